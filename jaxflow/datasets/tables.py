"""A table of one's own as a dataset: label and attributes become messages, the other columns features."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxflow.datasets.base import COLUMNS, Dataset, Split, message_name
from jaxflow.datasets.columns import Codes, Column, Numbers, coded, column_of, filled, product
from jaxflow.datasets.features import check_identifiers, features_of, standardised, without_constants
from jaxflow.datasets.halves import FEWEST, divided
from jaxflow.datasets.reading import Table, nearest, read
from jaxflow.errors import InputError, counted, printable, shown
from jaxflow.values import LARGEST_SEED, flag, several, whole

MOST_CLASSES = 100  # of a label or an attribute
DISCRETE_WHOLE, DISCRETE_REAL = 20, 10  # an attribute of more different whole or other numbers is continuous


class Roles(NamedTuple):
    """What the user wants of the columns; see ``read_table``. ``products`` has the parts of attributes ``a*b``."""

    label: str
    attributes: tuple[str, ...]
    drop: tuple[str, ...]
    category: tuple[str, ...]
    keep_attributes: bool
    products: Mapping[str, tuple[str, ...]] = {}

    @property
    def messages(self) -> tuple[str, ...]:
        """Label and attributes."""
        return (self.label, *self.attributes)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which no row can be used: label, attributes, and the parts of products."""
        return (*self.messages, *(part for parts in self.products.values() for part in parts))

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments of ``read_table`` that they come from."""
        return {field: value for field, value in self._asdict().items() if field != "products"}


def read_table(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame,
    label: str,
    attributes: str | Sequence[str],
    *,
    seed: int | None = None,
    name: str | None = None,
    drop: str | Sequence[str] = (),
    category: str | Sequence[str] = (),
    keep_attributes: bool = False,
) -> Dataset:
    """Two halves of a table: a label that networks are trained to tell, protected attributes, and features.

    - Numbers become features standardised by mean and deviation of the training half. Text, truth values, pandas'
      categories and the columns in ``category`` become codes of their sorted values, which the networks embed; they
      come first. Columns that are constant, empty or without a name are left out. A text column of which more than
      half of the rows differ is refused, unless ``category`` names it.
    - The label is up to 100 classes, numbered by their sorted values. So is an attribute, unless it holds numbers:
      more than 20 different whole numbers, or more than 10 others, are continuous and standardised.
    - The attribute ``a*b`` is the product of two columns (or more): every combination that occurs is a class. Its
      parts are protected as it is.
    - Rows in which a number, the label or an attribute is missing (or infinite) are left out; missing text is a value
      of its own, ``?``. A cell is missing if it is empty, ``?``, ``NA`` or ``NULL``.
    - The rows of every cell (label × attributes with classes) are divided evenly. Which rows fall into which half
      depends on the seed and on the order of the rows.

    What was decided is told in the dataset's ``notes``; ``values`` holds the names of the classes, ``source`` the
    file's name and SHA-256 and these arguments.

    Args:
        path_or_frame: a CSV file in UTF-8 (columns separated by commas, semicolons or tabs; after semicolons commas are
            decimal), a Parquet file, ``openml:NAME[@VERSION]``, or a pandas frame.
        label: column to be predicted.
        attributes: protected columns, one or more.
        seed: of the draw of halves; None is 0.
        name: of the dataset; None is the file's name without its ending.
        drop: columns to leave out.
        category: columns whose numbers are codes, not amounts.
        keep_attributes: whether networks see the attributes.

    Returns:
        The dataset, its messages named after the columns.

    Raises:
        InputError: a table that cannot be read, columns that do not exist or have two roles, numbers beside text in one
            column, a label or an attribute that is constant or has too many values, a class with fewer than 10 rows
            in a half, no complete row, or no feature left.

    Example:
        >>> import pandas as pd
        >>> people = pd.DataFrame({"age": range(80), "sex": ["f", "m"] * 40, "hired": [0, 0, 1, 1] * 20})
        >>> data = read_table(people, "hired", "sex")
        >>> data.features, data.values["sex"], data.train.x.shape
        (('age',), ('f', 'm'), (40, 1))
    """
    roles = _roles(label, attributes, drop, category, keep_attributes)
    seed = 0 if seed is None else whole("the data's seed", seed, 0, LARGEST_SEED)
    table = read(path_or_frame)
    roles = roles._replace(products=_products(roles, table.frame.columns))
    columns, notes = _complete(_columns(table, roles), roles)
    messages, told = _messages(columns, roles)
    classes = {message: column for message, column in messages.items() if isinstance(column, Codes)}
    halves, rare = divided(classes, seed)
    seen, left_out = _seen(columns, roles, halves[0])
    features = features_of(seen, halves[0])
    train, test = (Split(features.x[rows], _arrays(messages, halves[0], rows)) for rows in halves)
    return Dataset(
        table.name if name is None else name,
        train,
        test,
        label=roles.label,
        attributes=roles.attributes,
        categories=features.categories,
        features=features.names,
        notes=(*table.notes, *notes, *told, *left_out, *rare, f"halves are drawn with seed {seed}"),
        values={message: column.names for message, column in classes.items()},
        source={**table.source, **roles.asked, "seed": seed},
    )


def _roles(label: Any, attributes: Any, drop: Any, category: Any, keep_attributes: Any) -> Roles:
    """The arguments that name columns, checked among themselves."""
    protected, dropped, codes = (
        _names(role, names) for role, names in (("attributes", attributes), ("drop", drop), ("category", category))
    )
    (label,) = _names("label", (label,))
    if not protected:
        raise InputError("name at least one protected attribute (--attribute)")
    if label in protected:
        raise InputError(f"{shown(label)} is both label and attribute; choose another column for one of them")
    if twice := [name for i, name in enumerate(protected) if name in protected[:i]]:
        raise InputError(f"attribute {shown(twice[0])} is named twice; name every attribute once")
    for name in (label, *protected):
        if name in dropped:
            raise InputError(f"{shown(name)} is label or attribute and cannot be dropped; attributes are no features")
        if "/" in name:
            raise InputError(f"the name {shown(name)} becomes part of files' names; rename the column, without /")
        message_name(name)
    return Roles(label, protected, dropped, codes, flag("keep_attributes", keep_attributes))


def _names(role: str, given: Any) -> tuple[str, ...]:
    """Column names; one may come without a list."""
    names = several(role, (given,) if isinstance(given, str) else given, COLUMNS)
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"{role}: a column's name is text, not {shown(name)}")
    return tuple(str(name).strip() for name in names)


def _columns(table: Table, roles: Roles) -> dict[str, Column]:
    """The columns that are not dropped, as numbers or codes, and the products that are attributes."""
    frame = table.frame
    parts = [part for names in roles.products.values() for part in names]
    for name in (*roles.messages, *parts, *roles.drop, *roles.category):
        if name not in frame.columns and name not in roles.products:
            raise InputError(f"{table.name}: there is no column {shown(name)}; {nearest(name, frame.columns)}")
    columns: dict[str, Column] = {}
    for name in frame.columns:
        if name not in roles.drop:
            column = column_of(name, frame[name], mixed=name in (*roles.messages, *parts, *roles.category))
            columns[name] = coded(column) if name in roles.category else column
    return columns | {name: product([coded(columns[part]) for part in names]) for name, names in roles.products.items()}


def _products(roles: Roles, columns: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Attributes such as ``race*sex`` that no column has as its name, and the columns that they combine."""
    products = {
        name: tuple(part.strip() for part in name.split("*"))
        for name in roles.attributes
        if "*" in name and name not in columns
    }
    for name, parts in products.items():
        if unusable := [part for part in parts if part == roles.label or part in roles.drop]:
            raise InputError(f"attribute {shown(name)} combines {shown(unusable[0])}, which is the label or is dropped")
    return products


def _complete(columns: Mapping[str, Column], roles: Roles) -> tuple[dict[str, Column], list[str]]:
    """The columns in the rows that can be used, and what was left out; missing text becomes a value."""
    notes = [f"dropped: {', '.join(map(shown, roles.drop))}"] if roles.drop else []
    kept: dict[str, Column] = {}
    needed: dict[str, np.ndarray] = {}  # True where a cell is missing that its row cannot do without
    for name, column in columns.items():
        missing = column.missing
        if missing.all() and name in roles.needed:
            raise InputError(f"column {shown(name)} has no values; choose another label or attribute")
        if missing.all():
            notes.append(f"column {shown(name)} is empty and left out")
        elif isinstance(column, Numbers) and name not in roles.needed and _is_single(column):
            notes.append(f"column {shown(name)} holds a single number and is left out")
        elif isinstance(column, Codes) and name not in roles.needed:
            kept[name] = filled(column)
            unknown = counted(missing.sum(), "missing value")
            notes += [f"? stands for {unknown} of {shown(name)}"] if missing.any() else []
        else:
            kept[name] = column
            needed |= {name: missing} if missing.any() else {}
    rows, lost = _complete_rows(needed, len(columns[roles.label].missing))
    return {name: column.take(rows) for name, column in kept.items()}, [*notes, *lost]


def _is_single(column: Numbers) -> bool:
    """Whether all known numbers are equal: no row is to be left out for the sake of such a column."""
    return bool(np.nanmin(column.exact) == np.nanmax(column.exact))


def _complete_rows(needed: Mapping[str, np.ndarray], total: int) -> tuple[np.ndarray, list[str]]:
    """Numbers of the rows that lack nothing, and how many do."""
    if not needed:
        return np.arange(total), []
    rows = np.flatnonzero(~np.logical_or.reduce(list(needed.values())))
    if not len(rows):
        worst = max(needed, key=lambda name: needed[name].sum())
        raise InputError(f"no row is complete; {shown(worst)} is missing most often: drop it or fill its cells")
    lost = ", ".join(f"{shown(name)} ({missing.sum():,})" for name, missing in needed.items())
    return rows, [f"left out {total - len(rows):,} of {total:,} rows, for missing or infinite values of {lost}"]


def _messages(columns: Mapping[str, Column], roles: Roles) -> tuple[dict[str, Column], list[str]]:
    """Label and attributes as classes or numbers, and which are numbers."""
    messages: dict[str, Column] = {}
    notes = []
    for name in roles.messages:
        role, column = "label" if name == roles.label else "attribute", columns[name]
        count, continuous = _different(column)
        if count < 2:
            raise InputError(f"{role} {shown(name)} holds a single value in all complete rows; choose another column")
        if continuous and role == "label":
            _check_amounts(name, column)
        if continuous and role == "attribute":
            notes.append(f"attribute {shown(name)} is continuous: it holds {count:,} different numbers")
            messages[name] = column
        elif count > MOST_CLASSES:
            raise InputError(
                f"{role} {shown(name)} holds {count:,} different values, more than {MOST_CLASSES} classes; merge or bin"
                " them, or choose another column"
            )
        else:
            messages[name] = coded(column)
    return messages, notes


def _check_amounts(name: str, label: Column) -> None:
    """Refuse a label of many different numbers most of which hardly any row has: amounts, where classes are needed.

    Raises:
        InputError: naming how many they are, from where to where, and a remedy.
    """
    exact = label.exact if isinstance(label, Numbers) else np.empty(0)
    values, rows = np.unique(exact, return_counts=True)
    if len(values) > MOST_CLASSES or np.median(rows) < 2 * FEWEST or rows.min() < FEWEST:
        raise InputError(
            f"a label must be classes, and {shown(name)} holds {len(values):,} different numbers, from {values[0]:g} to"
            f" {values[-1]:g}: give the table a column of classes, such as {printable(name)} >= {np.median(exact):g},"
            " or choose another label"
        )


def _different(column: Column) -> tuple[int, bool]:
    """How many different values a column has, and whether these are amounts rather than classes if it may choose."""
    if isinstance(column, Codes):
        return len(column.names), False
    values = np.unique(column.exact)
    return len(values), len(values) > (DISCRETE_WHOLE if (values == np.round(values)).all() else DISCRETE_REAL)


def _arrays(messages: Mapping[str, Column], train: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The messages of some rows; continuous ones standardised by the training half."""
    return {
        name: standardised(column.exact, train)[rows] if isinstance(column, Numbers) else column.codes[rows]
        for name, column in messages.items()
    }


def _seen(columns: Mapping[str, Column], roles: Roles, train: np.ndarray) -> tuple[dict[str, Column], list[str]]:
    """The columns that networks see, and which of them are left out."""
    protected = {*roles.attributes, *(part for parts in roles.products.values() for part in parts)}
    hidden = {roles.label, *(roles.products if roles.keep_attributes else protected)}
    seen, notes = without_constants({name: column for name, column in columns.items() if name not in hidden}, train)
    check_identifiers(seen, {*roles.category, *protected})
    kept = ", ".join(shown(own) for own in seen if own in protected)
    return seen, [*notes, *([f"among the features though protected: {kept}"] if kept else [])]
