"""Classes, and classes within strata, that have too few rows for what is estimated about them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxflow.batching import is_traced
from jaxflow.errors import ThinCellsWarning
from jaxflow.messages import Message

MOST_NAMED = 4  # cells of a message


class Cell(NamedTuple):
    """A class of a message within a stratum of what is given, and how many rows are of it.

    Attributes:
        stratum: its number; None where no classes are given.
        value: the number of the class; None of a continuous message.
        rows: how many.
    """

    stratum: int | None
    value: int | None
    rows: int


def thin_cells(message: Message, columns: int) -> list[Cell]:
    """The cells (class × stratum) with fewer rows than columns + 2, the smallest first.

    So many rows have as many directions as the columns: any class of theirs looks as if the layer told it. Cells
    without rows are none. What is traced cannot be counted and has none; of several messages the first is looked at.

    Args:
        message: with what is given.
        columns: of the layer.

    Example:
        >>> thin_cells(Message(np.array([0, 0, 0, 0, 1, 1, 1, 2]), classes=3), columns=2)
        [Cell(stratum=None, value=2, rows=1), Cell(stratum=None, value=1, rows=3)]
    """
    if not (message.classes or message.strata) or is_traced((message.values, message.given)):
        return []
    values, classes, strata = np.asarray(message.values), max(1, message.classes), max(1, message.strata)
    rows = values.shape[-2 if message.continuous else -1]
    value = values.reshape(-1, rows)[0] if message.classes else np.zeros(rows, int)
    stratum = np.asarray(message.given) if message.strata else np.zeros(rows, int)
    counts = np.bincount((stratum * classes + value)[stratum >= 0], minlength=strata * classes).reshape(strata, classes)
    found = [
        Cell(int(g) if message.strata else None, int(k) if message.classes else None, int(counts[g, k]))
        for g, k in np.argwhere((counts > 0) & (counts < columns + 2))
    ]
    return sorted(found, key=lambda cell: cell.rows)


def thin_lines(
    messages: Mapping[str, Message], columns: int, values: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """A line for every message with thin cells, which names the smallest of them.

    Args:
        messages: by name; ``sex|hired`` is sex within the classes of hired.
        columns: of the widest layer whose subsets are all gone through.
        values: names of the classes of some messages.

    Example:
        >>> sex = Message(np.array([0, 1, 1, 0, 0]), np.array([0, 0, 0, 1, 1]), 2, 2)
        >>> print(*thin_lines({"sex|hired": sex}, 0, {"sex": ("f", "m")}))
        few rows for 0 columns: sex|hired has 1 in class f of stratum 0; at least 2 are needed
    """
    named = values or {}

    def one(name: str, cell: Cell) -> str:
        value, _, condition = name.partition("|")
        parts = [
            f"{role} {names[number] if number < len(names) else number}"
            for role, names, number in (
                ("class", named.get(value, ()), cell.value),
                ("stratum", named.get(condition, ()), cell.stratum),
            )
            if number is not None
        ]
        return f"{cell.rows} in {' of '.join(parts)}"

    lines = []
    for name, message in messages.items():
        cells = thin_cells(message, columns)
        more = [f"{len(cells) - MOST_NAMED} more such cells"] if len(cells) > MOST_NAMED else []
        few = ", ".join([one(name, cell) for cell in cells[:MOST_NAMED]] + more)
        if cells:
            lines.append(f"few rows for {columns} columns: {name} has {few}; at least {columns + 2} are needed")
    return lines


def widest_listed(widths: Sequence[int], groups: Sequence[tuple[int, ...] | None] | None, most: int) -> int:
    """Columns of the widest layer whose subsets are all gone through; −2, for which no cell is thin, if there is none.

    A search looks at few columns at a time.

    Args:
        widths: of the layers, in columns, or in nodes where there are groups.
        groups: the node of every column of a layer, if nodes have several.
        most: nodes of the widest layer that is not searched.

    Example:
        >>> widest_listed([784, 10, 2], None, 24), widest_listed([6, 2], [(0, 0, 1, 1, 2, 2), None], 3)
        (10, 6)
    """
    listed = [
        (width, width) if group is None else (len(group), max(group) + 1)
        for width, group in zip(widths, groups or [None] * len(widths), strict=True)
    ]
    return max((columns for columns, nodes in listed if nodes <= most), default=-2)


def warn_of_thin_cells(messages: Mapping[str, Message], columns: int) -> None:
    """Warn whoever called the caller of messages with thin cells, a ``ThinCellsWarning`` each.

    Args:
        messages: by name.
        columns: of the widest layer whose subsets are all gone through.
    """
    for line in thin_lines(messages, columns):
        warnings.warn(f"{line}: merge classes or strata, or analyse fewer columns", ThinCellsWarning, stacklevel=3)
