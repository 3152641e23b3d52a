"""Do Gaussian and copula say what frites and gcmi say? The same tables, in their precision and in ours.

Without their correction of the bias theirs are the same formulas. The table has a row for every pair of functions, the
largest difference over ten draws, and what either says of a unit with ties that knows nothing, in two orders of rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from calibration_layers import generator
from truth_outside import asked_outside
from truths import in_order

from jaxflow import copula, gaussian

ROWS, COLUMNS, DRAWS, CLASSES = 1000, 4, 10, 3
OURS = {"gaussian": gaussian, "copula": copula}
NO_TIES = "no ties"
Tables = list[tuple[np.ndarray, np.ndarray]]  # message and columns


class Pair(NamedTuple):
    """Two functions that are asked about the same tables.

    Attributes:
        kind: of message, ``numbers`` or ``classes``.
        ours: a name in ``OURS``.
        theirs: a name in ``truth_peers``.
    """

    kind: str
    ours: str
    theirs: str


PAIRS = (
    Pair("numbers", "gaussian", "mi_nd_gg"),
    Pair("numbers", "copula", "copnorm_nd, mi_nd_gg"),
    Pair("numbers", "copula", "gcmi: copnorm, mi_gg"),
    Pair("numbers", "copula", "frites"),
    Pair("classes", "gaussian", "mi_nd_gg"),
    Pair("classes", "copula", "copnorm_nd, mi_nd_gg"),
    Pair("classes", "gaussian", "mi_model_nd_gd"),
    Pair("classes", "copula", "copnorm_nd, mi_model_nd_gd"),
    Pair("classes", "copula", "frites"),
)
TIED = ("copnorm_nd, mi_nd_gg", "copnorm_nd, mi_model_nd_gd")  # numbers, classes


def correlated(kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal columns with shared noise, and a number or three classes that they tell something of, far below H(M)."""
    rng = generator("agreement", kind, number)
    x = rng.normal(size=(ROWS, COLUMNS)) + rng.normal(size=(ROWS, 1))
    if kind == "numbers":
        return x @ rng.normal(size=COLUMNS) / COLUMNS + rng.normal(size=ROWS), x
    message = rng.integers(0, CLASSES, ROWS)
    return message, x + np.outer(message, rng.normal(size=COLUMNS)) / COLUMNS


def tied(kind: str, number: int, ordered: bool) -> tuple[np.ndarray, np.ndarray]:
    """A unit that is 0 in four of five rows and knows nothing, rows in the order of the message or in any."""
    rng = generator("ties", kind, number)
    drawn = in_order(rng, ROWS, kind == "numbers")
    order = np.arange(ROWS) if ordered else rng.permutation(ROWS)
    return drawn.message[order], drawn.activations[order]


def said_by_us(name: str, tables: Tables, double: bool) -> np.ndarray:
    """Our bits of all columns together, in double or in single precision."""
    with jax.enable_x64(double):
        kept = np.float64 if double else np.float32
        return np.array(
            [float(OURS[name](m if m.dtype.kind in "iub" else m.astype(kept), x.astype(kept))[-1]) for m, x in tables]
        )


def compared(python: str, pair: Pair, data: str, tables: Tables) -> dict[str, object]:
    """A row of the table: mean bits, and the largest differences."""
    theirs = np.array([bits for bits, _ in asked_outside(python, pair.theirs, tables)])
    double, single = (said_by_us(pair.ours, tables, own) for own in (True, False))
    return {
        **{"data": data, "message": pair.kind, "ours": pair.ours, "theirs": pair.theirs},
        **{"bits": double.mean(), "their_bits": theirs.mean()},
        **{"double": np.abs(double - theirs).max(), "single": np.abs(single - theirs).max()},
    }


def agreement(python: str, draws: Sequence[int] = range(DRAWS)) -> pd.DataFrame:
    """The whole table, by a Python that has frites."""
    rows = [compared(python, pair, NO_TIES, [correlated(pair.kind, own) for own in draws]) for pair in PAIRS]
    for kind, theirs in zip(("numbers", "classes"), TIED, strict=True):
        for ordered in (False, True):
            name = "rows in the message's order" if ordered else "rows in any order"
            tables = [tied(kind, own, ordered) for own in draws]
            rows.append(compared(python, Pair(kind, "copula", theirs), name, tables))
    return pd.DataFrame(rows)
