"""What a column of a table holds: numbers, or codes of the different values that occur in it.

What counts are the values, not pandas' types: the digits of a text column are numbers, and whole numbers stored as
floating ones (as a missing cell makes them) are integers. So a frame and the CSV file that it was written to agree.
"""

import decimal
import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxflow.datasets.reading import MISSING
from jaxflow.errors import InputError, shown

REAL = (numbers.Real, decimal.Decimal)  # Parquet has decimals
UNKNOWN = "?"  # the value that stands for a missing text


class Numbers(NamedTuple):
    """A column of amounts.

    Attributes:
        exact: float64 ``[N]``, NaN where nothing is known.
    """

    exact: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """True in the rows where nothing is known."""
        return np.isnan(self.exact)

    def take(self, rows: np.ndarray) -> "Numbers":
        """The column in a selection of rows."""
        return Numbers(self.exact[rows])


class Codes(NamedTuple):
    """A column of values without amount.

    Attributes:
        codes: int32 ``[N]``, −1 where nothing is known.
        names: what code 0, 1, … stands for, ascending.
    """

    codes: np.ndarray
    names: tuple[str, ...]

    @property
    def missing(self) -> np.ndarray:
        """True in the rows where nothing is known."""
        return self.codes < 0

    def take(self, rows: np.ndarray) -> "Codes":
        """The column in a selection of rows; values that do not occur there lose their code."""
        codes = self.codes[rows]
        present = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(self.names)))
        renumbered = np.where(codes < 0, -1, np.searchsorted(present, codes)).astype(np.int32)
        return Codes(renumbered, tuple(self.names[code] for code in present))


Column = Numbers | Codes


def column_of(name: str, series: pd.Series, *, mixed: bool = False) -> Column:
    """What one column of a frame holds.

    Numbers, numerals in text and decimals are numbers; infinite ones count as missing. Text, truth values and pandas'
    categories are coded in ascending order. Text loses surrounding spaces; empty cells, ``?`` and ``NA`` are missing.

    Args:
        name: of the column, for messages.
        series: the column ``[N]``.
        mixed: whether numbers beside text are text; otherwise they are refused.

    Raises:
        InputError: numbers beside text, or values that are neither, such as dates and lists.

    Example:
        >>> column_of("job", pd.Series(["cook", "baker", None])).codes
        array([ 1,  0, -1], dtype=int32)
    """
    kinds, nominal = pd.api.types, isinstance(series.dtype, pd.CategoricalDtype)
    if kinds.is_numeric_dtype(series.dtype) and not kinds.is_bool_dtype(series.dtype) and series.dtype.kind != "c":
        return Numbers(_finite(series.to_numpy(float, na_value=np.nan, copy=True)))
    which, known = _different_cells(name, series)  # of the different cells alone, which are few in a text column
    figures = [_figure(cell) for cell in known]
    text = [cell for cell, figure in zip(known, figures, strict=True) if cell is not None and figure is None]
    if not text:
        lookup = np.array([*(np.nan if figure is None else figure for figure in figures), np.nan])
        column = Numbers(_finite(lookup)[which])  # a missing cell has number −1 and looks up the last, NaN
        return coded(column) if nominal else column
    if not (mixed or nominal) and any(figure is not None for figure in figures):
        raise InputError(
            f"column {shown(name)} holds text such as {shown(text[0])} beside numbers; empty these cells, or take all"
            " as text (--category)"
        )
    return _coded_text(which, known)


def coded(column: Column) -> Codes:
    """The same column as codes: its different numbers, ascending, are the values."""
    if isinstance(column, Codes):
        return column
    different, codes = np.unique(np.where(column.missing, np.inf, column.exact), return_inverse=True)
    names = tuple(_written(number) for number in different if np.isfinite(number))
    return Codes(np.where(column.missing, -1, codes).astype(np.int32), names)


def filled(column: Codes) -> Codes:
    """Codes in which what is missing is a value of its own, ``?``, in its place among the others."""
    if not column.missing.any():
        return column
    place = sum(name < UNKNOWN for name in column.names)
    codes = np.where(column.missing, place, column.codes + (column.codes >= place)).astype(np.int32)
    return Codes(codes, (*column.names[:place], UNKNOWN, *column.names[place:]))


def product(columns: Sequence[Codes]) -> Codes:
    """Codes of the combinations that occur, ascending, the first column counting most; missing if any part is.

    Example:
        >>> product([Codes(np.array([0, 1, 1]), ("f", "m")), Codes(np.array([1, 1, 0]), ("no", "yes"))])
        Codes(codes=array([0, 2, 1], dtype=int32), names=('f × yes', 'm × no', 'm × yes'))
    """
    parts = np.stack([column.codes for column in columns], axis=1)
    missing = (parts < 0).any(axis=1)
    cells, which = np.unique(parts[~missing], axis=0, return_inverse=True)
    codes = np.full(len(parts), -1, np.int32)
    codes[~missing] = which
    names = (" × ".join(column.names[code] for column, code in zip(columns, cell, strict=True)) for cell in cells)
    return Codes(codes, tuple(names))


def _different_cells(name: str, series: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Number of every row's cell among the different ones, −1 if missing, and these as text, bool, float or None."""
    try:
        which, cells = pd.factorize(series)
        return which, [_cell(cell) for cell in cells]
    except Exception:  # what cannot be hashed or is no value of a table; foreign objects may raise anything
        kinds = {type(cell).__name__ for cell in series if not isinstance(cell, (str, np.bool_, *REAL))}
        held = max(kinds - {"NoneType", "NAType"}, default=str(series.dtype))
        raise InputError(
            f"column {shown(name)} holds values of the type {held}; make it numbers or text, or drop it"
        ) from None


def _cell(cell: Any) -> str | bool | float | None:
    """A cell as text, truth value or float; None if it holds nothing."""
    if isinstance(cell, str):
        return None if cell.strip() in MISSING else cell.strip()
    if isinstance(cell, (bool, np.bool_)):
        return bool(cell)
    if isinstance(cell, REAL):
        return float(cell)
    raise TypeError


def _figure(cell: str | bool | float | None) -> float | None:
    """The number that a cell is, None for text, truth values and nothing."""
    if cell is None or isinstance(cell, bool):
        return None
    try:
        # Python takes 1_000 for a number, tables do not.
        return None if isinstance(cell, str) and "_" in cell else float(cell)
    except ValueError:
        return None


def _finite(exact: np.ndarray) -> np.ndarray:
    """Infinite numbers as NaN, which is missing."""
    exact[~np.isfinite(exact)] = np.nan
    return exact


def _coded_text(which: np.ndarray, known: Sequence[Any]) -> Codes:
    """Codes of texts in ascending order; TRUE, true and True are one value where a column holds nothing else."""
    texts = [None if cell is None else _written(cell) if isinstance(cell, float) else str(cell) for cell in known]
    if all(text is None or text.lower() in ("true", "false") for text in texts):
        texts = [None if text is None else text.capitalize() for text in texts]
    names = sorted({text for text in texts if text is not None})
    place: dict[str | None, int] = {None: -1} | {text: code for code, text in enumerate(names)}
    lookup = np.array([*(place[text] for text in texts), -1], np.int32)
    return Codes(lookup[which], tuple(names))


def _written(number: float) -> str:
    """A number as people write it: 1, not 1.0."""
    return str(int(number)) if number == round(number) and abs(number) < 1e15 else repr(float(number))
