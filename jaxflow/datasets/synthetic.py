"""The paper's synthetic structural equation model (Venkatesh et al. 2021, App. B.1)."""

import numpy as np

from jaxflow.datasets.base import Dataset, Split
from jaxflow.datasets.draws import AUTHORS_SEED
from jaxflow.errors import InputError

DRAWN, PER_CELL, NOISE = 15_000, 2_500, 0.2


def signed_distance(u_y: np.ndarray, u_g: np.ndarray) -> np.ndarray:
    """Euclidean distance to the branch (1 + u_y)(1 + u_g) = 1, 1 + u_g > 0; positive on the side of large u.

    With a = 1 + u_y, b = 1 + u_g the nearest point (t, 1/t), t > 0, solves t⁴ − a t³ + b t − 1 = 0. All four roots
    come from the companion matrix; every positive real one is a candidate.
    """
    a, b = 1 + u_y, 1 + u_g
    companion = np.zeros((*a.shape, 4, 4))
    companion[..., 1:, :-1] = np.eye(3)
    companion[..., 0, -1], companion[..., 1, -1], companion[..., 3, -1] = 1, -b, a
    roots = np.linalg.eigvals(companion)
    positive = (np.abs(roots.imag) < 1e-6 * np.abs(roots)) & (roots.real > 0)
    t = np.where(positive, roots.real, 1.0)
    distance = np.hypot(a[..., None] - t, b[..., None] - 1 / t).min(axis=-1)
    return np.where((a > 0) & (b > 0) & (a * b > 1), distance, -distance)


def draw(rng: np.random.Generator, size: int) -> Split:
    """``size`` independent rows of the model, before any cell is balanced (App. B.1, eqs. 14–18)."""
    u_y, u_g = rng.standard_normal((2, size))
    z = rng.integers(0, 2, size)
    y = rng.random(size) < 1 / (1 + np.exp(-3 * signed_distance(u_y, u_g)))
    means = np.stack([0.7 * z * u_y, 0.5 * z * u_y, 0.1 * u_g], axis=1)
    x = means + NOISE * rng.standard_normal(means.shape)
    return Split(x, {"y": y.astype(np.int32), "z": z})


def load_synthetic(seed: int | None = None) -> Dataset:
    """15,000 rows drawn, 2,500 of each (y, z) cell kept and shuffled; 5,000 train, 5,000 are analysed."""
    rng = np.random.default_rng(AUTHORS_SEED if seed is None else seed)
    x, messages = draw(rng, DRAWN)
    y, z = messages["y"], messages["z"]
    cells = [np.flatnonzero((y == i) & (z == j))[:PER_CELL] for i in (0, 1) for j in (0, 1)]
    if min(map(len, cells)) < PER_CELL:
        raise InputError(f"data seed {seed} gives fewer than {PER_CELL} rows in a cell; take another --data-seed")
    rows = rng.permutation(np.concatenate(cells))
    train, test = (Split(x[half], {"y": y[half], "z": z[half]}) for half in np.split(rows, 2))
    return Dataset("synthetic", train, test, features=("X1", "X2", "X3"))
