"""Plain Python values from what a user hands in: NumPy's numbers, arrays and lists are welcome, all else is refused.

Configs are written as JSON, compared with JSON and hashed, so they hold plain numbers, text and tuples only. This
module needs neither NumPy nor JAX: the command refuses a bad option before it loads them.
"""

import itertools
import numbers
import operator
import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from jaxflow.errors import InputError, alternatives, shown

MOST_PERMUTATIONS = 10**6
MOST_NETWORKS = 10**6  # chunks are named by six digits
LARGEST_SEED = 2**32 - 1  # of NumPy's and JAX's generators
LAYERS, WIDTH = 1_000, 100_000  # of hidden layers: beyond, nothing would fit into memory
FLOAT32 = 3.4e38
LONGEST_NAME = 200  # bytes: file systems allow 255


def whole(name: str, value: Any, low: int, high: int) -> int:
    """An integer between two others; a float, even 5.0, is none, nor is True.

    Raises:
        InputError: another type, or out of range.
    """
    try:
        number = operator.index(value)
    except Exception:  # a foreign object may raise anything
        number = None
    if number is None or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number, not {shown(value)}")
    if not low <= number <= high:
        raise InputError(f"{name} must be between {low} and {high}, not {shown(number)}")
    return int(number)


def real(name: str, value: Any, low: float = -FLOAT32, high: float = FLOAT32) -> float:
    """A finite number between two others.

    Raises:
        InputError: another type, NaN or out of range.
    """
    number = _scalar(value)
    try:
        number = float(number) if isinstance(number, numbers.Real) and not isinstance(number, bool) else None
    except (OverflowError, ValueError):
        number = None
    if number is None:
        raise InputError(f"{name} must be a number, not {shown(value)}")
    if not low <= number <= high:  # NaN is nowhere between
        raise InputError(f"{name} must be a finite number between {low:g} and {high:g}, not {shown(number)}")
    return number


def flag(name: str, value: Any) -> bool:
    """True or False, Python's or NumPy's.

    Raises:
        InputError: anything else, 0 and 1 included.
    """
    truth = _scalar(value)
    if not isinstance(truth, bool):
        raise InputError(f"{name} must be True or False, not {shown(value)}")
    return truth


def choice(name: str, value: Any, choices: Any) -> str:
    """One of a few names.

    Raises:
        InputError: another type, or none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"unknown {name} {shown(value)}; {alternatives(value, choices)}")
    return str(value)


def file_name(name: str, value: Any) -> str:
    """A name that can be part of a file's: one line of text without ``/``.

    Raises:
        InputError: another type, empty, longer than 200 bytes, or with characters that would leave the folder.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {shown(value)}")
    fits = value.isprintable() and 0 < len(value.encode()) <= LONGEST_NAME
    if not fits or "/" in value or value in (".", ".."):
        raise InputError(f"{name} becomes part of a folder's name: printable, short, without /, not {shown(value)}")
    return str(value)


def several(name: str, values: Any, most: int) -> list[Any]:
    """The items of a list, tuple, array or other ordered iterable, at most ``most`` of them.

    Raises:
        InputError: no such thing (a string, a set, a number), or more items.
    """
    try:
        unordered = isinstance(values, (str, bytes, bytearray, memoryview, Mapping, Set))
        items = None if unordered else list(itertools.islice(iter(values), most + 1))
    except Exception:  # a foreign iterator may raise anything
        items = None
    if items is None:
        raise InputError(f"{name} must be a list or a tuple, not {shown(values)}")
    if len(items) > most:
        raise InputError(f"{name} may hold up to {most} values, not more")
    return items


def wholes(name: str, values: Any, low: int, high: int, most: int = LAYERS) -> tuple[int, ...]:
    """A tuple of integers.

    Raises:
        InputError: no list, too long, or a value that is no integer in the range.
    """
    return tuple(whole(f"every value of {name}", value, low, high) for value in several(name, values, most))


def folder(name: str, value: Any) -> Path:
    """A path, ``~`` and ``~user`` replaced by the home folder.

    Raises:
        InputError: no path, empty, not to be encoded for the file system, or of a user who does not exist.
    """
    try:
        text = os.fspath(value)
        if not isinstance(text, str) or not text or b"\0" in os.fsencode(text):
            raise ValueError
    except Exception:  # a foreign path may raise anything
        raise InputError(f"{name} must be the path of a folder, not {shown(value)}") from None
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InputError(f"{name} {text} begins with the home folder of a user who does not exist") from None


def _scalar(value: Any) -> Any:
    """An array of no dimension as the Python number in it; a masked one holds none."""
    try:
        return value.item() if getattr(value, "ndim", None) == 0 and not getattr(value, "mask", False) else value
    except Exception:  # a foreign object may raise anything
        return value
