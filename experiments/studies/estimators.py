"""How tight is every estimator? Its bits on the synthetic inputs against the truth, integrated numerically.

    python experiments/studies/estimators.py [--kernel]

Z given the inputs is a problem of two known densities (App. B.1), so I(Y; X_T) and I(Z; X_T) can be computed. What an
estimator shows of them is a lower bound by Fano's inequality, up to sampling error (5,000 rows).
"""

import argparse

import numpy as np
import pandas as pd

from jaxflow import information, load_dataset
from jaxflow.datasets.synthetic import NOISE, signed_distance

GRID_U = np.linspace(-5, 5, 301)
GRID_S, GRID_X3 = np.linspace(-6, 6, 801), np.linspace(-2, 2, 201)
SUBSETS = ("X1", "X2", "X1 X2", "X3", "X1 X3", "X2 X3", "X1 X2 X3")


def normal(x: np.ndarray, mean: np.ndarray, deviation: float) -> np.ndarray:
    """Density of a normal distribution."""
    return np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))


def truth() -> np.ndarray:
    """I(Y; X_T) and I(Z; X_T) in bits for all subsets, ``[2, 8]``, of the data as they are balanced.

    2,500 rows of every cell (y, z) are kept: U has the density p(u | y) in the cells of y, whatever z. Of X1 and X2
    only their projection s on (0.7, 0.5) tells anything: across it is noise.
    """
    u_y, u_g = np.meshgrid(GRID_U, GRID_U, indexing="ij")
    likely = 1 / (1 + np.exp(-3 * signed_distance(u_y, u_g)))
    prior = normal(u_y, np.zeros(1), 1) * normal(u_g, np.zeros(1), 1)
    given_y = [prior * p / np.sum(prior * p) for p in (1 - likely, likely)]  # masses on the grid
    bits = np.zeros((2, 8))
    for mask in range(1, 8):
        slope = np.linalg.norm([a for i, a in enumerate((0.7, 0.5)) if mask >> i & 1])
        x3 = normal(GRID_X3, 0.1 * GRID_U[:, None], NOISE)  # [u_g, x3]
        along = [normal(GRID_S[:, None], z * slope * GRID_U[None], NOISE) for z in (0, 1)]  # [s, u_y]
        if not mask & 4:
            x3 = np.full((len(GRID_U), len(GRID_X3)), 1 / np.ptp(GRID_X3))
        cells = np.array([[along[z] @ given_y[y] @ x3 for z in (0, 1)] for y in (0, 1)])  # densities of (s, x3)
        bits[0, mask] = divergence(cells.mean(axis=1))
        bits[1, mask] = divergence(cells.mean(axis=0))
    return bits


def divergence(classes: np.ndarray) -> float:
    """I(M; S, X3) in bits from the densities of two equally frequent classes."""
    mixture = classes.mean(axis=0)
    terms = classes * np.log2(np.maximum(classes, 1e-300) / np.maximum(mixture, 1e-300))
    return float(np.trapezoid(np.trapezoid(terms.mean(axis=0), GRID_X3), GRID_S))


def main() -> None:
    """Print a row for every message and subset, a column for every estimator."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", action="store_true", help="the kernel SVM too (a minute)")
    kernel = parser.parse_args().kernel
    data = load_dataset("synthetic").test
    messages = np.stack([data.messages["y"], data.messages["z"]])
    columns = {
        "truth": truth(),
        "gaussian": information.gaussian(messages, data.x[None]),
        "linear SVM": information.linear_svm(messages, data.x[None]),
        "quadratic": information.quadratic(messages, data.x[None]),
        "quadratic, cross-entropy": information.quadratic(messages, data.x[None], bound="cross-entropy"),
    }
    if kernel:
        columns["kernel SVM"] = information.kernel_svm(messages, data.x[None])
    index = pd.MultiIndex.from_product([("Y", "Z"), SUBSETS])
    table = pd.DataFrame({name: np.asarray(bits)[:, 1:].ravel() for name, bits in columns.items()}, index)
    print(table.to_string(float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
