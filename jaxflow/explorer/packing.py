"""Numbers as short text: exact ones as base64 of float32, all others as whole multiples of a step.

Whole numbers are written as source maps write them: five bits a character, the sixth says that another one follows, and
the first bit of a number is its sign. Small numbers, of which differences and most effects consist, take one character.
"""

import base64
import math
from typing import Any

import numpy as np
from jaxtyping import Float

ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
NOT_A_NUMBER = ord("~")
DIGITS = 3  # significant ones of the largest value of a column, at least


def packed_floats(values: Float[np.ndarray, "..."]) -> str:
    """Values as they are, in float32, little-endian, in base64."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode("ascii")


def packed(values: Float[np.ndarray, "..."], step: float | None = None) -> dict[str, Any]:
    """Values rounded to multiples of a step, those along the last axis as differences from the one before.

    Args:
        values: any shape; NaN is kept.
        step: of the rounding; by default a power of ten that leaves the largest value three digits or four.

    Returns:
        ``step``, ``run`` (length of the last axis, after which the differences begin anew) and ``text``.
    """
    values = np.asarray(values, float)
    step = step_of(values) if step is None else step
    numbers = np.round(values / step)
    known = np.isfinite(numbers)
    whole = np.where(known, numbers, 0).astype(np.int64)
    run = values.shape[-1] if values.ndim else 1
    changes = np.diff(whole, axis=-1, prepend=0) if values.ndim else whole
    return {"step": step, "run": run, "text": _letters(changes.ravel(), known.ravel())}


def step_of(values: Float[np.ndarray, "..."]) -> float:
    """The power of ten of which the largest value holds a hundred to a thousand, or up to ten times as many."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    return 1.0 if largest == 0 else 10.0 ** (math.floor(math.log10(largest)) - DIGITS)


def plain(values: Float[np.ndarray, "..."], step: float | None = None) -> dict[str, Any]:
    """As ``packed``, each value by itself: for what is near 0 more often than near its neighbour."""
    return packed(np.asarray(values, float)[..., None], step)


def _letters(numbers: np.ndarray, known: np.ndarray) -> str:
    """Whole numbers as text; of an unknown one a tilde stands before its difference."""
    left = np.abs(numbers) * 2 + (numbers < 0)
    columns, there = [np.full(len(left), NOT_A_NUMBER, np.uint8)], [~known]
    more = np.ones(len(left), bool)  # of which numbers another digit follows
    while more.any():
        there.append(more)
        left, digit = left >> 5, left & 31
        more = more & (left > 0)
        columns.append(ALPHABET[digit | np.where(more, 32, 0)])
    return np.stack(columns, axis=1)[np.stack(there, axis=1)].tobytes().decode("ascii")
