"""Columns of a table as networks take them: codes first, then numbers standardised by the training half."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from jaxflow.datasets.columns import Codes, Column
from jaxflow.errors import InputError, shown

FEW_TEXTS = 10  # different texts that are never taken for identifiers


class Features(NamedTuple):
    """What ``Dataset`` needs to know of its features.

    Attributes:
        categories: number of values of each of the first columns.
        names: of all columns.
        x: float32 ``[N, d]``.
    """

    categories: tuple[int, ...]
    names: tuple[str, ...]
    x: np.ndarray


def without_constants(columns: Mapping[str, Column], train: np.ndarray) -> tuple[dict[str, Column], list[str]]:
    """The columns that vary, and a sentence about the others.

    Args:
        columns: by name, without missing values.
        train: row numbers of the training half. Numbers must vary there, because their deviation divides them.

    Raises:
        InputError: none is left.
    """
    constant = [
        name
        for name, column in columns.items()
        if (len(column.names) == 1 if isinstance(column, Codes) else np.ptp(column.exact[train]) == 0)
    ]
    if len(constant) == len(columns):
        raise InputError("no column is left for the features; drop fewer columns, or keep the attributes as features")
    kept = {name: column for name, column in columns.items() if name not in constant}
    return kept, [f"constant and left out: {', '.join(map(shown, constant))}"] if constant else []


def features_of(columns: Mapping[str, Column], train: np.ndarray) -> Features:
    """The columns side by side, categories first, otherwise in their order.

    Args:
        columns: by name, at least one, none constant, without missing values.
        train: row numbers of the training half.

    Raises:
        InputError: numbers of the analysis half that are 10³⁸ deviations of the training half away.
    """
    ordered = sorted(columns.items(), key=lambda item: not isinstance(item[1], Codes))  # the sort is stable
    first = ordered[0][1]
    rows = len(first.codes if isinstance(first, Codes) else first.exact)
    x = np.empty((rows, len(ordered)), np.float32)
    for i, (name, column) in enumerate(ordered):
        values = column.codes if isinstance(column, Codes) else standardised(column.exact, train)
        if np.abs(values).max() > np.finfo(np.float32).max:
            raise InputError(f"column {shown(name)} has outliers beyond float32; leave out their rows or the column")
        x[:, i] = values
    categories = tuple(len(column.names) for _, column in ordered if isinstance(column, Codes))
    return Features(categories, tuple(shown(name, form=str) for name, _ in ordered), x)


def standardised(exact: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(v − mean) / deviation, both of the training half.

    Args:
        exact: float64 ``[N]``, not constant in the training half.
        train: row numbers of the training half.

    Returns:
        float64 ``[N]``.

    Example:
        >>> standardised(np.array([1.0, 3.0, 5.0]), train=np.array([0, 1]))
        array([-1.,  1.,  3.])
    """
    # A power of two, which rounds nothing, brings numbers such as 1e300 near 1 before they are squared.
    near = np.ldexp(exact, -int(np.frexp(np.abs(exact[train]).max())[1]))
    centred = near - near[train].mean()
    return centred / centred[train].std()


def check_identifiers(columns: Mapping[str, Column], allowed: Collection[str]) -> None:
    """Refuse texts that are different in most rows, such as names, which a network could only learn by heart.

    Args:
        columns: by name.
        allowed: names of columns that are wanted all the same.

    Raises:
        InputError: naming the first such column.
    """
    for name, column in columns.items():
        if isinstance(column, Codes) and name not in allowed:
            rows, count = len(column.codes), len(column.names)
            if count > max(FEW_TEXTS, rows / 2):
                raise InputError(
                    f"column {shown(name)} holds {count:,} different texts in {rows:,} rows, as names and identifiers"
                    " do; leave it out (--drop), or take it as it is (--category)"
                )
