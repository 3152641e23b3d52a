"""What cannot be known from a recording, or cannot be significant, in sentences for its manifest and summary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxflow.figures.style import ALPHA
from jaxflow.information import EstimatorSpec
from jaxflow.messages import Message

KNOWN = 1e-6  # share of a number's spread that is rounding, where regression on what is given leaves no more


def idle_lines(
    layers: Sequence[np.ndarray], messages: Mapping[str, Message], within: np.ndarray | None, spec: EstimatorSpec
) -> list[str]:
    """Why flows are 0, or p-values 1, whatever the units tell: nothing varies, or nothing can be exchanged.

    Args:
        layers: activity ``[N, c]`` of each.
        messages: by name, with what is given.
        within: numbers ``[N]`` of rows that permutations may exchange; or None.
        spec: the estimator, which may bound the exchange further.

    Example:
        >>> from jaxflow.information import ESTIMATORS
        >>> idle_lines([np.eye(3)], {"cue": Message(np.zeros(3, int))}, None, ESTIMATORS["gaussian"])
        ['cue is the same in all trials: there is nothing to know of it']
    """
    lines = []
    if all((layer == layer[:1]).all() for layer in layers):
        lines.append("no unit's activity differs between trials: there is nothing to know from it")
    for name, message in messages.items():
        values = _rows(message)
        if (values == values[:1]).all():
            lines.append(f"{name} is the same in all trials: there is nothing to know of it")
        elif message.given is not None and _known_by_given(message, values):
            lines.append(f"{name} is known from what is given: there is nothing more to know of it")
        elif within is not None and not _exchanges(message, values, within, spec):
            lines.append(f"within leaves nothing to exchange of {name}: all its p-values are 1")
    return lines


def few_permutations(count: int) -> list[str]:
    """A line where so few permutations cannot make any flow significant.

    Args:
        count: B; the smallest p-value is 1 / (B + 1). Of none there are no p-values.

    Example:
        >>> few_permutations(9), few_permutations(20)
        (['no p-value of 9 permutations is below 0.1; p < 0.05 needs at least 20'], [])
    """
    if not 0 < count < 1 / ALPHA:
        return []
    least = f"{1 / (count + 1):.2g}"
    return [f"no p-value of {count} permutations is below {least}; p < {ALPHA} needs at least {1 / ALPHA:.0f}"]


def _rows(message: Message) -> np.ndarray:
    """The message's values ``[N, d]``."""
    values = np.asarray(message.values)
    return values[:, None] if message.classes else values


def _known_by_given(message: Message, values: np.ndarray) -> bool:
    """Whether the strata, or a regression on the numbers that are given, leave nothing of a message open."""
    given = np.asarray(message.given)
    if message.strata:
        return not _differs(given[given >= 0], values[given >= 0])
    values = (values == np.unique(values)[1:]) if message.classes else values
    centred, design = (own - own.mean(axis=0) for own in (values.astype(float), given.astype(float)))
    residual = centred - design @ np.linalg.lstsq(design, centred)[0]
    return bool((residual.std(axis=0) <= KNOWN * centred.std(axis=0)).all())


def _exchanges(message: Message, values: np.ndarray, within: np.ndarray, spec: EstimatorSpec) -> bool:
    """Whether any two rows that may change places have different values."""
    bounds: Any = spec.exchangeable
    numbers = np.unique(np.stack([bounds(message), within], axis=1), axis=0, return_inverse=True)[1].ravel()
    return _differs(numbers, values)


def _differs(numbers: np.ndarray, values: np.ndarray) -> bool:
    """Whether values differ among rows of the same number."""
    cells = np.unique(np.column_stack([numbers, values]), axis=0)
    return len(cells) > len(np.unique(numbers))
