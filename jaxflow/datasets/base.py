"""What every dataset becomes: two halves of features, true label and protected attribute."""

import hashlib
import numbers
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxflow.errors import InputError, cause, shown
from jaxflow.values import several, wholes

CODES = 2**24  # category codes that float32 tells apart
COLUMNS = 10**6


class Half(NamedTuple):
    """One half of a dataset: features ``x [N, d]``, true label ``y [N]`` and protected attribute ``z [N]``, 0/1."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """Two halves: one trains the networks, the other, never seen by them, is used for every analysis.

    Build one from your own arrays, frames or lists with ``Dataset(name, train=Half(x, y, z), test=Half(x, y, z))``.
    Features become float32, messages int32.

    Attributes:
        name: for the messages that refuse something; figures and the results folder have the config's name.
        train: the training half.
        test: the analysis half.
        categories: the first ``len(categories)`` columns of x hold category codes 0 … categories[i] − 1, which
            the network embeds; the other columns are numeric.
        features: names of the columns of x, for figures; ``frame.columns`` will do.

    Raises:
        InputError: shapes that do not fit, no column, values that are no real numbers, are masked, NaN, infinite or
            beyond float32, a message that is not 0/1 or has one class only, or a category code out of range.
    """

    name: str
    train: Half
    test: Half
    categories: tuple[int, ...] = ()
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and convert the arrays."""
        if not isinstance(self.name, str):
            raise InputError(f"the dataset's name must be text, not {shown(self.name)}")
        object.__setattr__(self, "categories", wholes("categories", self.categories, 1, CODES, COLUMNS))
        for half in ("train", "test"):
            checked = _checked_half(f"{self.name}, {half} half", getattr(self, half), self.categories)
            object.__setattr__(self, half, checked)
        width = self.train.x.shape[1]
        if self.test.x.shape[1] != width:
            raise InputError(f"{self.name}: train has {width} features, test {self.test.x.shape[1]}")
        given = () if self.features is None else self.features
        names = tuple(str(name) if isinstance(name, str) else shown(name, form=str) for name in several(
            f"{self.name}: features", given, COLUMNS)) or tuple(f"x{i + 1}" for i in range(width))  # fmt: skip
        if len(names) != width:
            raise InputError(f"{self.name}: {len(names)} feature names for {width} features")
        object.__setattr__(self, "features", names)

    def describe(self) -> pd.DataFrame:
        """Number of rows in each cell (y, z) of each half, with totals."""
        halves = {"train": self.train, "test": self.test}
        counts = {
            name: {(y, z): int(np.sum((half.y == y) & (half.z == z))) for y in (0, 1) for z in (0, 1)}
            for name, half in halves.items()
        }
        table = pd.DataFrame(counts).rename_axis(["y", "z"])
        table["total"] = table.sum(axis=1)
        return table.reset_index()

    def fingerprint(self) -> str:
        """SHA-256 of all arrays: two datasets with the same fingerprint give the same results."""
        digest = hashlib.sha256(repr(self.categories).encode())
        for half in (self.train, self.test):
            for array in half:
                digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _checked_half(where: str, half: Half, categories: tuple[int, ...]) -> Half:
    """The half as float32 features and int32 messages, or an error that names what is wrong."""
    parts = several(f"{where}: x, y, z", half, len(Half._fields))
    if len(parts) != len(Half._fields):
        raise InputError(f"{where}: expected three arrays x, y, z, got {len(parts)}")
    x, y, z = (_numbers(f"{where}: {name}", part) for name, part in zip(Half._fields, parts, strict=True))
    if x.ndim != 2 or y.shape != x.shape[:1] or z.shape != x.shape[:1] or 0 in x.shape:
        raise InputError(f"{where}: expected x [N, d], y [N], z [N], N > 0, d > 0, got {x.shape}, {y.shape}, {z.shape}")
    x = _checked_features(where, x, categories)
    for name, message in (("y", y), ("z", z)):
        values = np.unique(message)
        if not np.array_equal(values, [0, 1]):
            some = ", ".join(f"{value:g}" for value in values[:5]) + (", …" if len(values) > 5 else "")
            raise InputError(f"{where}: {name} must hold both 0 and 1 and nothing else, it holds {some}")
    return Half(x, y.astype(np.int32), z.astype(np.int32))


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
        raise InputError(f"{where} must be one of the numeric arrays, of real numbers, not {array.dtype}")
    return exact


def _is_real(value: Any) -> bool:
    """Whether an object in an array, as frames of mixed columns give it, is a real number or a truth value."""
    return isinstance(value, (numbers.Real, np.bool_))


def _checked_features(where: str, exact: np.ndarray, categories: tuple[int, ...]) -> np.ndarray:
    """Finite features and valid category codes as float32, if that can hold them."""
    if not np.isfinite(exact).all():
        rows = int((~np.isfinite(exact)).any(axis=1).sum())
        raise InputError(f"{where}: {rows} rows of x hold NaN or infinity; drop or fill them")
    if len(categories) > exact.shape[1]:
        raise InputError(f"{where}: {len(categories)} categories for {exact.shape[1]} columns")
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
