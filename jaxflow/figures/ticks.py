"""Where an axis of times or of nodes is labelled, and how: round numbers, as many as there is room for."""

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

MOST_TICKS = 10  # of a time axis
ROOM = 60  # letters that fit side by side along a time axis


def round_times(times: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Places and labels of the ticks of a time axis.

    A few bins that lie equally far apart are labelled each; otherwise round numbers are, and whole ones where all
    times are whole.

    Args:
        times: of the bins.

    Returns:
        times that are labelled, in the order of time, and their labels.
    """
    if len(times) <= MOST_TICKS and is_even(times):
        ticks, labels = times, short(times)
        if sum(map(len, labels)) <= ROOM:
            return ticks, labels
    low, high = times.min(), times.max()
    whole = bool((times == np.round(times)).all())
    ticks, labels = np.array([low]), short(np.array([low]))
    for most in (2, 3, 4, 5, 7):  # the densest that there is room for
        places = MaxNLocator(most, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)
        gap = 1e-9 * (high - low)
        inside = places[(places >= low - gap) & (places <= high + gap)]
        if len(inside) and sum(map(len, short(inside))) <= ROOM:
            ticks, labels = inside, short(inside)
    return ticks, labels


def bins_of_ticks(times: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Places, counted in bins, and labels of the ticks of an axis that gives every bin the same width.

    Args:
        times: of the bins.

    Returns:
        places, which lie between two bins where no bin has a round time; and labels.
    """
    if is_even(times):
        ticks, labels = round_times(times)
        return np.interp(ticks, times, np.arange(len(times))), labels
    longest = max(map(len, short(times)))
    places = np.arange(0, len(times), round_step(len(times), max(1, min(MOST_TICKS, ROOM // longest))))
    return places, short(times[places])


def is_even(times: np.ndarray) -> bool:
    """Whether times rise by equal steps, up to their rounding."""
    steps = np.diff(times)
    return bool(len(steps) == 0 or (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3)))


def short(times: np.ndarray) -> list[str]:
    """Times with as few decimals as tell them apart and keep each to 3 % of the smallest step."""
    if len(times) == 1:
        return [f"{times[0]:.6g}"]
    steps = np.abs(np.diff(np.unique(times)))
    error = 0.03 * steps.min() if len(steps) else 0.03 * max(abs(times[0]), 1e-9)
    for decimals in range(10):
        if np.abs(np.round(times, decimals) - times).max() <= error:
            return [f"{value + 0.0:.{decimals}f}" for value in np.round(times, decimals)]
    return [f"{value:.6g}" for value in times]


def round_step(count: int, most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, … by which at most ``most`` of ``count`` are reached."""
    return next(own for power in range(10) for own in (10**power, 2 * 10**power, 5 * 10**power) if count <= own * most)


def named_places(labels: Sequence[str], most: int) -> tuple[list[int], list[str]]:
    """Which of some nodes are labelled, and their labels, where there is room for ``most`` labels."""
    places = list(range(0, len(labels), round_step(len(labels), most)))
    return places, [labels[place] for place in places]
