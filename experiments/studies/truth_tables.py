"""What the page of ``truth.py``, its guide and its picture ask of the tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from truth_peers import PEERS

from jaxflow.information import ESTIMATORS

BOUNDED = "quadratic, cross-entropy"  # an estimator under another of its bounds
OURS = [name for own in ESTIMATORS for name in ((own, BOUNDED) if BOUNDED.startswith(own) else (own,))]
ORDER = [*OURS, *PEERS]
SURE = 3.0  # standard errors by which a mean must be above the truth to count as above it


def in_order(names: Iterable[Any]) -> list[str]:
    """Estimators once each: ours in the library's order, then the others."""
    return sorted(map(str, dict.fromkeys(names)), key=place)


def place(name: str) -> int:
    """Where an estimator stands among all; last if it is none of them."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


def answered(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of estimators that take the scene."""
    return table[table["draws"] > 0]


def above_truth(table: pd.DataFrame) -> pd.Series:
    """Whether the mean over draws is above the truth by more than chance."""
    return table["bias"] > SURE * table["spread"] / np.sqrt(table["draws"]) + 1e-6


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, as it is printed."""
    return f"{value:+.{digits}f}".replace("-", "−")


def whole_layers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of whole layers: the last subset of every cell."""
    return table.loc[table.groupby(["scene", "rows", "estimator"], sort=False)["subset"].idxmax()]
