"""What every dataset becomes: two halves of features and messages, among them a label and protected attributes."""

import hashlib
import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxflow.errors import CLASS_NUMBERS, InputError, alternatives, cause, counted, shown
from jaxflow.messages import MOST_CLASSES
from jaxflow.values import LONGEST_NAME, several, wholes

CODES = 2**24  # category codes that float32 tells apart
COLUMNS = 10**6
LONGEST_NOTE = 1_000


class Split(NamedTuple):
    """One half of a dataset.

    Attributes:
        x: features ``[N, d]``.
        messages: what there is to know of every row, by name: integers or booleans are classes 0 … K − 1, ``[N]``;
            floating numbers are continuous, ``[N]`` or ``[N, d]`` (see ``jaxflow.messages``).

    Example:
        >>> half = Split(np.eye(4), {"hired": np.array([0, 1, 0, 1]), "age": np.array([0.2, 1.5, 0.3, 0.9])})
        >>> half.x.shape, sorted(half.messages)
        ((4, 4), ['age', 'hired'])
    """

    x: np.ndarray
    messages: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Dataset:
    """Two halves: one trains the networks, the other, never seen by them, is used for every analysis.

    Features become float32, classes int32, continuous messages float32. Arrays, frames and lists will do.

    Attributes:
        name: for the messages that refuse something; figures and the results folder have the config's name.
        train: the training half.
        test: the analysis half.
        label: name of the message that networks are trained to tell; its classes are 0 … K − 1.
        attributes: names of the protected attributes, one or more.
        categories: the first ``len(categories)`` columns of x hold category codes 0 … categories[i] − 1, which
            the network embeds; the other columns are numeric.
        features: names of the columns of x, for figures; ``frame.columns`` will do.
        notes: what was decided when the dataset was made, a sentence each; ``description`` prints them.
        values: of the messages whose classes have names, these names, in the order of the classes.
        source: where the rows come from, plain JSON values by name, for a run's manifest; ``read_table`` names the
            table with its SHA-256, and its own arguments.

    Raises:
        InputError: shapes that do not fit, no column, values that are no real numbers, are masked, NaN, infinite or
            beyond float32, a message that is missing or constant, a class without rows in one of the halves, or a
            category code out of range.

    Example:
        >>> x, y, z = np.eye(4), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
        >>> half = Split(x, {"y": y, "z": z})
        >>> Dataset("mine", train=half, test=half).classes
        {'y': 2, 'z': 2}
    """

    name: str
    train: Split
    test: Split
    label: str = "y"
    attributes: tuple[str, ...] = ("z",)
    categories: tuple[int, ...] = ()
    features: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check and convert the arrays."""
        if not isinstance(self.name, str):
            raise InputError(f"the dataset's name must be text, not {shown(self.name)}")
        self._check_names()
        object.__setattr__(self, "categories", wholes("categories", self.categories, 1, CODES, COLUMNS))
        for half in ("train", "test"):
            checked = _checked_split(f"{self.name}, {half} half", getattr(self, half), self.messages, self.categories)
            object.__setattr__(self, half, checked)
        self._check_halves()
        given = () if self.features is None else self.features
        width = self.train.x.shape[1]
        names = tuple(str(name) if isinstance(name, str) else shown(name, form=str) for name in several(
            f"{self.name}: features", given, COLUMNS)) or tuple(f"x{i + 1}" for i in range(width))  # fmt: skip
        if len(names) != width:
            raise InputError(f"{self.name}: {counted(len(names), 'feature name')} for {counted(width, 'feature')}")
        object.__setattr__(self, "features", names)
        self._check_words()

    def _check_names(self) -> None:
        """Refuse a label and attributes that are no different names."""
        attributes = (self.attributes,) if isinstance(self.attributes, str) else self.attributes
        names = several(f"{self.name}: attributes", attributes, COLUMNS)
        for name in (self.label, *names):
            message_name(name)
        if not names or len({self.label, *names}) <= len(names):
            raise InputError(f"{self.name}: give at least one attribute, and every message once")
        object.__setattr__(self, "attributes", tuple(names))

    def _check_halves(self) -> None:
        """Refuse halves that do not belong together."""
        width = self.train.x.shape[1]
        if self.test.x.shape[1] != width:
            raise InputError(f"{self.name}: train has {counted(width, 'feature')}, test {self.test.x.shape[1]}")
        for name in self.messages:
            train, test = self.train.messages[name], self.test.messages[name]
            if train.dtype != test.dtype or train.shape[1:] != test.shape[1:]:
                raise InputError(f"{self.name}: {name} is of another kind in train than in test")
            counts = [np.bincount(own, minlength=max(train.max(), test.max()) + 1) for own in (train, test)
                      if train.dtype == np.int32]  # fmt: skip
            for half, count in zip(("train", "test"), counts, strict=False):
                if not count.all():
                    raise InputError(f"{self.name}, {half} half: class {int(np.argmin(count))} of {name} has no rows")
        if not self.classes[self.label]:
            raise InputError(
                f"{self.name}: the label {self.label} must be classes 0, 1, …, not floating numbers; {CLASS_NUMBERS}"
            )

    def _check_words(self) -> None:
        """Refuse notes that are no text, and class names that do not fit the classes."""
        notes = several(f"{self.name}: notes", (self.notes,) if isinstance(self.notes, str) else self.notes, COLUMNS)
        object.__setattr__(self, "notes", tuple(shown(note, LONGEST_NOTE, str) for note in notes))
        if not isinstance(self.values, Mapping):
            raise InputError(f"{self.name}: values must be a dict of class names by message, not {shown(self.values)}")
        names = {own: tuple(shown(value, form=str) for value in several(f"{self.name}: values of {shown(own)}",
                 values, COLUMNS)) for own, values in self.values.items()}  # fmt: skip
        for own, values in names.items():
            if len(values) != self.classes.get(own):
                given = counted(len(values), "class name")
                raise InputError(f"{self.name}: {given} for the {self.classes.get(own, 0)} of {own}")
        object.__setattr__(self, "values", names)
        try:
            source = json.loads(json.dumps(dict(self.source), allow_nan=False))
        except Exception as error:  # foreign objects may raise anything
            raise InputError(f"{self.name}: source must be a dict of plain JSON values ({cause(error)})") from None
        object.__setattr__(self, "source", source)

    @property
    def messages(self) -> tuple[str, ...]:
        """Names of label and attributes, in this order."""
        return (self.label, *self.attributes)

    @property
    def classes(self) -> dict[str, int]:
        """Number of classes of label and attributes, 0 of a continuous one."""
        halves = self.train.messages, self.test.messages
        return {
            name: 0 if halves[0][name].dtype != np.int32 else 1 + max(int(own[name].max()) for own in halves)
            for name in self.messages
        }

    def describe(self) -> pd.DataFrame:
        """Number of rows in each cell (label, attributes) of each half, with totals; of classes only."""
        names = [name for name, count in self.classes.items() if count]
        frames = {half: pd.DataFrame({name: getattr(self, half).messages[name] for name in names})
                  for half in ("train", "test")}  # fmt: skip
        counts = {half: frame.groupby(names).size() for half, frame in frames.items()}
        table = pd.DataFrame(counts).fillna(0).astype(int).sort_index()
        table["total"] = table.sum(axis=1)
        return table.reset_index()

    def fingerprint(self) -> str:
        """SHA-256 of all arrays, not of names or notes: the same fingerprint gives the same results."""
        digest = hashlib.sha256(repr(self.categories).encode())
        if self.messages != ("y", "z"):
            digest.update(repr(self.messages).encode())
        for half in (self.train, self.test):
            for array in (half.x, *(half.messages[name] for name in self.messages)):
                digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def message_name(name: Any) -> str:
    """A message's name as tables and files can carry it.

    Raises:
        InputError: no text, empty, too long, with unprintable characters, or with ``|``, which stands for *given*.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or "|" in name:
        raise InputError(f"a message's name is short printable text without |, not {shown(name)}")
    return name


def _checked_split(where: str, half: Any, names: Sequence[str], categories: tuple[int, ...]) -> Split:
    """The half as float32 features and checked messages, or an error that names what is wrong."""
    parts = several(f"{where}: x, messages", half, len(Split._fields))
    if len(parts) != len(Split._fields) or not isinstance(parts[1], Mapping):
        raise InputError(f"{where}: expected Split(x, messages), messages a dict of arrays by name")
    if missing := [name for name in names if name not in parts[1]]:
        raise InputError(f"{where}: there is no message {shown(missing[0])}; {alternatives(missing[0], parts[1])}")
    x = _numbers(f"{where}: x", parts[0])
    if x.ndim != 2 or 0 in x.shape:
        raise InputError(f"{where}: expected x [N, d], N > 0, d > 0, got {x.shape}")
    messages = {message_name(name): _checked_message(f"{where}: {name}", own, len(x)) for name, own in parts[1].items()}
    return Split(_checked_features(where, x, categories), messages)


def _checked_message(where: str, values: Any, rows: int) -> np.ndarray:
    """A message as int32 classes or float32 numbers."""
    exact = _numbers(where, values)
    if exact.shape[:1] != (rows,) or exact.ndim > 2:
        raise InputError(f"{where} must hold one value for each of the {rows} rows of x, got {exact.shape}")
    classes = getattr(np.asarray(values), "dtype", None)
    floating = classes is not None and classes.kind == "f" and not np.isin(exact, (0, 1)).all()
    if not np.isfinite(exact).all() or np.abs(exact).max() > np.finfo(np.float32).max:
        raise InputError(f"{where} holds NaN, infinity or numbers beyond float32")
    if exact.ndim == 2 or floating:
        if (np.ptp(exact, axis=0) == 0).any():
            raise InputError(f"{where} is constant")
        return exact.astype(np.float32)
    if not np.array_equal(exact, exact.round()) or exact.min() < 0 or exact.max() >= MOST_CLASSES:
        some = ", ".join(f"{value:g}" for value in np.unique(exact)[:5])
        raise InputError(f"{where} must hold classes 0, 1, … or floating numbers, not {some}; {CLASS_NUMBERS}")
    if exact.min() == exact.max():
        raise InputError(f"{where} must hold at least the classes 0 and 1, it holds {exact.min():g} only")
    return exact.astype(np.int32)


def _numbers(where: str, values: Any) -> np.ndarray:
    """Real numbers of any type and byte order, as float64; infinity where they do not fit.

    Raises:
        InputError: text, dates, complex numbers, hidden (masked) or missing values, rows of different lengths.
    """
    try:
        hidden, array = bool(np.ma.is_masked(values)), np.asarray(values)
        real = array.dtype.kind in "biuf" or (array.dtype == object and all(map(_is_real, array.flat)))
        with np.errstate(over="ignore"):  # what is beyond float64 becomes infinite and is refused as that
            exact = array.astype(float) if real and not hidden else None
    except Exception as error:  # foreign arrays and objects may raise anything
        raise InputError(f"{where} is no numeric array ({cause(error)})") from None
    if hidden:
        raise InputError(f"{where} has masked values; drop or fill them")
    if exact is None:
        hint = f"; {CLASS_NUMBERS}" if array.dtype.kind in "OSU" else ""
        raise InputError(f"{where} must be one of the numeric arrays, of real numbers, not {array.dtype}{hint}")
    return exact


def _is_real(value: Any) -> bool:
    """Whether an object in an array, as frames of mixed columns give it, is a real number or a truth value."""
    return isinstance(value, (numbers.Real, np.bool_))


def _checked_features(where: str, exact: np.ndarray, categories: tuple[int, ...]) -> np.ndarray:
    """Finite features and valid category codes as float32, if that can hold them."""
    if not np.isfinite(exact).all():
        rows = int((~np.isfinite(exact)).any(axis=1).sum())
        raise InputError(f"{where}: NaN or infinity in {counted(rows, 'row')} of x; drop or fill them")
    if len(categories) > exact.shape[1]:
        raise InputError(f"{where}: {len(categories)} categories for {counted(exact.shape[1], 'column')}")
    lost = np.abs(exact).max(axis=0) > np.finfo(np.float32).max
    x = np.where(lost, 0, exact).astype(np.float32)
    if not lost.any():  # beyond float32 the deviation might overflow
        lost = (np.abs(x - exact).max(axis=0) > 1e-3 * exact.std(axis=0)) & (np.ptp(exact, axis=0) > 0)
    if lost.any():
        raise InputError(f"{where}: float32 cannot resolve column {int(lost.argmax())} of x; standardise it")
    for column, cardinality in enumerate(categories):
        codes = x[:, column]
        if not np.array_equal(codes, codes.round()) or codes.min() < 0 or codes.max() >= cardinality:
            raise InputError(f"{where}: column {column} must hold category codes 0 to {cardinality - 1}")
    return x
