"""What every dataset becomes: two halves of features, true label and protected attribute."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxflow.errors import InputError


class Half(NamedTuple):
    """One half of a dataset: features ``x [N, d]``, true label ``y [N]`` and protected attribute ``z [N]``, 0/1."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """Two halves: one trains the networks, the other, never seen by them, is used for every analysis.

    Build one from your own arrays with ``Dataset(name, train=Half(x, y, z), test=Half(x, y, z))``. Features become
    float32, messages int32.

    Attributes:
        name: what tables, figures and the results folder call it.
        train: the training half.
        test: the analysis half.
        categories: the first ``len(categories)`` columns of x hold category codes 0 … categories[i] − 1, which
            the network embeds; the other columns are numeric.
        features: names of the columns of x, for figures.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, a message that is not 0/1 or has one class only, or a
            category code out of range.
    """

    name: str
    train: Half
    test: Half
    categories: tuple[int, ...] = ()
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check and convert the arrays."""
        for half in ("train", "test"):
            checked = _checked_half(f"{self.name}, {half} half", getattr(self, half), self.categories)
            object.__setattr__(self, half, checked)
        width = self.train.x.shape[1]
        if self.test.x.shape[1] != width:
            raise InputError(f"{self.name}: train has {width} features, test {self.test.x.shape[1]}")
        names = self.features or tuple(f"x{i + 1}" for i in range(width))
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
    try:
        x, y, z = (np.asarray(array) for array in half)
        x = x.astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected three numeric arrays x, y, z ({error})") from None
    if x.ndim != 2 or y.shape != x.shape[:1] or z.shape != x.shape[:1] or len(x) == 0:
        raise InputError(f"{where}: expected x [N, d], y [N], z [N], N > 0, got {x.shape}, {y.shape}, {z.shape}")
    x = _checked_features(where, x, categories)
    for name, message in (("y", y), ("z", z)):
        values = np.unique(message)
        if not np.array_equal(values, [0, 1]):
            shown = ", ".join(map(str, values[:5])) + (", …" if len(values) > 5 else "")
            raise InputError(f"{where}: {name} must hold both 0 and 1 and nothing else, it holds {shown or 'nothing'}")
    return Half(x, y.astype(np.int32), z.astype(np.int32))


def _checked_features(where: str, exact: np.ndarray, categories: tuple[int, ...]) -> np.ndarray:
    """Finite features and valid category codes as float32, if that can hold them."""
    if not np.isfinite(exact).all():
        rows = int((~np.isfinite(exact)).any(axis=1).sum())
        raise InputError(f"{where}: {rows} rows of x hold NaN or infinity; drop or fill them")
    if len(categories) > exact.shape[1]:
        raise InputError(f"{where}: {len(categories)} categories for {exact.shape[1]} columns")
    with np.errstate(over="ignore"):
        x = exact.astype(np.float32)
    lost = (np.abs(x - exact).max(axis=0) > 1e-3 * exact.std(axis=0)) & (np.ptp(exact, axis=0) > 0)
    if lost.any():
        raise InputError(f"{where}: float32 cannot resolve column {int(lost.argmax())} of x; standardise it")
    for column, cardinality in enumerate(categories):
        codes = x[:, column]
        if not np.array_equal(codes, codes.round()) or codes.min() < 0 or codes.max() >= cardinality:
            raise InputError(f"{where}: column {column} must hold category codes 0 to {cardinality - 1}")
    return x
