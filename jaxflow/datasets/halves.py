"""The stratified draw of two halves: every cell of label and attributes is divided evenly. What is rare is told."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxflow.datasets.columns import Codes
from jaxflow.errors import InputError, counted, shown

FEWEST = 10  # rows of every class in each half; cells of fewer are told
NAMED = 5  # rare cells that are named one by one


def divided(messages: Mapping[str, Codes], seed: int) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    """The training and the analysis half, stratified by all messages that are classes.

    Args:
        messages: label and attributes that are classes, by name, the label first.
        seed: of the draw.

    Returns:
        Row numbers of the two halves, and a sentence about rare cells if there are such.

    Raises:
        InputError: a class has fewer than ``FEWEST`` rows in a half.
    """
    cells = cells_of([column.codes for column in messages.values()])
    halves = stratified_halves(cells, seed)
    check_classes(messages, halves)
    return halves, rare_cells(messages, cells, halves)


def cells_of(classes: Sequence[np.ndarray]) -> np.ndarray:
    """Number of every row's cell, the first message counting most, among the cells that have rows.

    Args:
        classes: class numbers ``[N]`` of every message, one message or more.

    Returns:
        Cell numbers ``[N]``, 0 … C − 1.

    Example:
        >>> cells_of([np.array([0, 1, 1]), np.array([2, 0, 2])])
        array([0, 1, 2])
    """
    cells = np.zeros(len(classes[0]), np.int64)
    for numbers in classes:  # numbered anew after every message: products of many would overflow
        cells = np.unique(cells * (int(numbers.max()) + 1) + numbers, return_inverse=True)[1]
    return cells


def stratified_halves(cells: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of two random halves, in random order.

    The rows of every cell are divided evenly. Cells of odd size give their last row to the training and to the
    analysis half by turns, in the order of their numbers: so the halves differ by at most one row, in every cell, in
    every run of neighbouring cells (such as those of one label, if the label counts most), and altogether.

    Args:
        cells: cell numbers ``[N]``.
        seed: of the draw. The draw depends on the order of the rows, not on what they hold.

    Returns:
        Rows of the training half and rows of the analysis half, each row once.

    Example:
        >>> train, test = stratified_halves(np.array([0, 0, 1, 1, 1]), seed=0)
        >>> len(train), len(test)
        (3, 2)
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(cells))
    by_cell = shuffled[np.argsort(cells[shuffled], kind="stable")]
    # Dealing out the rows by turns through all cells, as one deals cards, is exactly the rule above.
    return rng.permutation(by_cell[::2]), rng.permutation(by_cell[1::2])


def check_classes(messages: Mapping[str, Codes], halves: Sequence[np.ndarray]) -> None:
    """Refuse classes with fewer than ``FEWEST`` rows in a half: no estimator learns them.

    Args:
        messages: label and attributes that are classes, by name.
        halves: row numbers of the training and of the analysis half.

    Raises:
        InputError: naming class, count and remedy.
    """
    for name, column in messages.items():
        counts = np.stack([np.bincount(column.codes[rows], minlength=len(column.names)) for rows in halves])
        if counts.min() < FEWEST:
            half, code = np.unravel_index(counts.argmin(), counts.shape)
            raise InputError(
                f"class {shown(column.names[code])} of {shown(name)} has {counted(counts.min(), 'row')} in the"
                f" {('training', 'analysis')[half]} half, fewer than {FEWEST}: merge it with another class, or leave"
                " its rows out of the table"
            )


def rare_cells(messages: Mapping[str, Codes], cells: np.ndarray, halves: Sequence[np.ndarray]) -> list[str]:
    """A sentence about the cells with fewer than ``FEWEST`` rows in a half, if there are such.

    Args:
        messages: label and attributes that are classes, by name.
        cells: number of every row's cell ``[N]``, as ``cells_of`` gives it.
        halves: row numbers of the training and of the analysis half.

    Returns:
        One sentence that names the rarest cells, or none.
    """
    counts = np.stack([np.bincount(cells[rows], minlength=cells.max() + 1) for rows in halves])
    rare = np.flatnonzero(counts.min(axis=0) < FEWEST)
    first = np.unique(cells, return_index=True)[1]  # a row of every cell
    named = [
        " × ".join(column.names[column.codes[first[cell]]] for column in messages.values())
        + f" ({counts[0, cell]} and {counts[1, cell]})"
        for cell in rare[np.argsort(counts[:, rare].sum(axis=0), kind="stable")][:NAMED]
    ]
    has = "has" if len(rare) == 1 else "have"
    start = f"{counted(len(rare), 'cell')} of {' × '.join(messages)} {has} fewer than {FEWEST} rows in a half"
    return [f"{start}: {', '.join(named)}{', …' if len(rare) > NAMED else ''}"] if named else []
