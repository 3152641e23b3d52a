"""Layers of which the information is known, in bits: what estimators are held against by ``truth.py``.

Every function takes random numbers and a number of rows, draws a message and a layer about it, and says what is true of
the population: exact where a formula gives it, else integrated in double precision. Nothing here knows the package
but the synthetic data set, which is its own. ``tests/test_truths.py`` holds each against densities or large samples.

Sources: Gao et al. 2017 (overlapping uniforms); Lee and Rhee 2024 (a label that the layer determines, wrong in a share
q of the rows: 1 − H_b(q)); Czyż et al. 2023 (numbers; their values are in nats).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from estimators import truth
from scipy.special import gammaln, ndtr, ndtri, psi

from jaxflow.datasets.synthetic import draw

Generator = np.random.Generator


class Drawn(NamedTuple):
    """A message, a layer about it, and what is true of them.

    Attributes:
        message: classes ``[N]``, or numbers ``[N]`` or ``[N, d]``.
        activations: ``[N, c]``.
        bits: I(M; X_T) of the population for all subsets of nodes ``[2**n]``.
        groups: the node of every column; None where each is its own, and all subsets are known.
    """

    message: np.ndarray
    activations: np.ndarray
    bits: np.ndarray
    groups: tuple[int, ...] | None = None


def whole(message: np.ndarray, activations: np.ndarray, bits: float) -> Drawn:
    """A layer of which only the information of all columns together is known: they are one node."""
    return Drawn(message, activations, np.array([0, bits]), (0,) * activations.shape[1])


def interaction(message: np.ndarray, activations: np.ndarray, bits: float) -> Drawn:
    """A layer that tells only if all of its nodes are known."""
    return Drawn(message, activations, np.append(np.zeros(2 ** activations.shape[1] - 1), bits))


def binary_entropy(p: float | np.ndarray) -> np.ndarray:
    """H_b(p) in bits, 0 at 0 and 1."""
    p = np.asarray(p, float)
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    return np.where(inside, -q * np.log2(q) - (1 - q) * np.log2(1 - q), 0)


# --- classes: closed forms -------------------------------------------------------------------------------------------


def uniforms(rng: Generator, rows: int, classes: int) -> Drawn:
    """M uniform on 0 … m − 1, X uniform on (M, M + 2): log₂ m − (m − 1)/m.

    Inside two classes are equally likely, in the outer unit intervals, of probability 1/m together, one is certain.
    """
    message = rng.integers(0, classes, rows)
    x = message + 2 * rng.random(rows)
    return whole(message, x[:, None], np.log2(classes) - (classes - 1) / classes)


INPUTS, UNITS, ALIVE = 4, 8, (0.6, 0.5, 0.5, 0.4, 0.1, 0.01, 0.002, 0.0)  # of a ReLU layer; shares of rows above 0
LARGE = 2**20  # rows of which the median of a score is found; what that leaves of H is below 1e-6 bit


def relu_units(x: np.ndarray) -> np.ndarray:
    """Eight ReLU units of four normal inputs, alive in the shares ``ALIVE`` of the rows; the last one is dead."""
    weights = np.random.default_rng(1).normal(size=(INPUTS, UNITS))
    thresholds = np.array([ndtri(1 - share) if share else 9 for share in ALIVE])
    return np.maximum(x @ (weights / np.linalg.norm(weights, axis=0)) - thresholds, 0)


def score(units: np.ndarray) -> np.ndarray:
    """What a next layer might compute of the units."""
    return units @ np.random.default_rng(2).normal(size=UNITS)


@cache
def middle() -> float:
    """The median of the score."""
    return float(np.median(score(relu_units(np.random.default_rng(3).normal(size=(LARGE, INPUTS))))))


def flipped(rng: Generator, rows: int, share: float) -> Drawn:
    """A label that ReLU units determine by a plane, half of the rows on either side, wrong in a share q: 1 − H_b(q).

    Two units are alive in one row of 100 and of 500, one never.
    """
    units = relu_units(rng.normal(size=(rows, INPUTS)))
    label = (score(units) > middle()) ^ (rng.random(rows) < share)
    return whole(label.astype(int), units, 1 - float(binary_entropy(share)))


def ring(rng: Generator, rows: int) -> Drawn:
    """Whether a point of a round normal distribution is farther out than half of them, r² > 2 ln 2: 1."""
    x = rng.normal(size=(rows, 2))
    return whole((np.sum(x**2, axis=1) > 2 * np.log(2)).astype(int), x, 1.0)


def checkerboard(rng: Generator, rows: int) -> Drawn:
    """The colour of one of 4 × 4 squares; either coordinate by itself tells nothing: 1."""
    x = 4 * rng.random((rows, 2))
    return interaction(np.floor(x).sum(axis=1).astype(int) % 2, x, 1.0)


# --- classes: integrals ----------------------------------------------------------------------------------------------

SPREAD = 0.2  # of the noise about the corners of a cube
STEPS = np.linspace(-8, 8, 161)


@cache
def parity_bits(nodes: int, spread: float = SPREAD) -> float:
    """I of the parity of independent signs s_i, each seen as s_i + σ · noise.

    E[s_i | x_i] = tanh(x_i / σ²) and E[Π s_i | x] is their product P, so that I = 1 − ⟨H_b((1 + P)/2)⟩, where
    by symmetry all s_i may be taken as 1.
    """
    weight = np.exp(-(STEPS**2) / 2)
    weight /= weight.sum()
    one = np.tanh((1 + spread * STEPS) / spread**2)
    product, probability = np.ones(1), np.ones(1)
    for _ in range(nodes):
        product = np.multiply.outer(product, one).ravel()
        probability = np.multiply.outer(probability, weight).ravel()
    return 1 - float(probability @ binary_entropy((1 + product) / 2))


def corners(rng: Generator, rows: int, nodes: int, spread: float = SPREAD) -> tuple[np.ndarray, np.ndarray]:
    """The parity of the signs of a cube's corners, and the corners with noise."""
    bits = rng.integers(0, 2, (rows, nodes))
    return bits.sum(axis=1) % 2, 2 * bits - 1 + spread * rng.normal(size=(rows, nodes))


def parity(rng: Generator, rows: int, nodes: int, spread: float = SPREAD) -> Drawn:
    """XOR of two or more noisy signs: all nodes together tell, any fewer nothing."""
    return interaction(*corners(rng, rows, nodes, spread), parity_bits(nodes, spread))


def rotated_xor(rng: Generator, rows: int) -> Drawn:
    """XOR of two noisy signs, turned by an eighth, so that either column by itself tells something too."""
    message, x = corners(rng, rows, 2)
    return whole(message, x @ np.array([[1, -1], [1, 1]]) / np.sqrt(2), parity_bits(2))


def of_two(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> float:
    """I about two equally likely classes from their densities on a grid, and the grid's weights."""
    mixture = (first + second) / 2
    terms = [p * np.log2(np.maximum(p, 1e-300) / np.maximum(mixture, 1e-300)) for p in (first, second)]
    return float(np.sum((terms[0] + terms[1]) / 2 * weight))


GRID = np.linspace(-14, 14, 5601)
DISTANCE, NODES = 2.0, 3  # between two classes of equal covariance; columns of theirs
SCALE, SCALED = 3.0, 2  # of the wider class; columns
SHIFT = 3.0  # between two Cauchy classes, in half-widths


def normal(x: np.ndarray, mean: float = 0.0, deviation: float = 1.0) -> np.ndarray:
    """Density of a normal distribution."""
    return np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))


@cache
def equal_bits() -> float:
    """I of two normal classes with their means DISTANCE standard deviations apart, along which alone they differ."""
    return of_two(normal(GRID, DISTANCE / 2), normal(GRID, -DISTANCE / 2), np.full(len(GRID), GRID[1] - GRID[0]))


def equal_covariances(rng: Generator, rows: int) -> Drawn:
    """Two normal classes of one covariance, correlated columns, a Mahalanobis distance of DISTANCE apart."""
    message = rng.integers(0, 2, rows)
    mixing = np.eye(NODES) + 0.5
    x = rng.normal(size=(rows, NODES)) + DISTANCE / np.sqrt(NODES) * message[:, None]
    return whole(message, x @ mixing, equal_bits())


@cache
def scale_bits() -> float:
    """I of two round normal classes of one mean, the one SCALE times as wide: of the radius alone, in two columns."""
    r = np.linspace(0, 14 * SCALE, 20_001)
    narrow, wide = (r / s**2 * np.exp(-((r / s) ** 2) / 2) for s in (1.0, SCALE))
    return of_two(narrow, wide, np.full(len(r), r[1]))


def scales(rng: Generator, rows: int) -> Drawn:
    """Two round normal classes of one mean, the one SCALE times as wide."""
    message = rng.integers(0, 2, rows)
    return whole(message, rng.normal(size=(rows, SCALED)) * (1 + (SCALE - 1) * message)[:, None], scale_bits())


@cache
def cauchy_bits() -> float:
    """I of two Cauchy classes SHIFT apart; x = tan u spreads their tails over a finite interval."""
    u = (np.arange(20_000) + 0.5) / 20_000 * np.pi - np.pi / 2
    x = np.tan(u)
    one, other = (1 / (np.pi * (1 + (x - own) ** 2)) for own in (0.0, SHIFT))
    return of_two(one, other, np.pi / 20_000 * (1 + x**2))


def cauchy(rng: Generator, rows: int) -> Drawn:
    """Two Cauchy classes SHIFT apart: tails in which no mean exists."""
    message = rng.integers(0, 2, rows)
    return whole(message, (rng.standard_cauchy(rows) + SHIFT * message)[:, None], cauchy_bits())


# --- the synthetic data set ------------------------------------------------------------------------------------------

synthetic_bits = cache(truth)  # [2, 8], of Y and Z


def synthetic(rng: Generator, rows: int, name: str) -> Drawn:
    """The inputs of the paper's synthetic data about Y or Z, as many rows of every cell (y, z): all subsets."""
    drawn = draw(rng, 3 * rows + 200)
    cell = 2 * drawn.messages["y"] + drawn.messages["z"]
    chosen = np.concatenate([np.flatnonzero(cell == own)[: -(-rows // 4)] for own in range(4)])
    kept = rng.permutation(chosen)[:rows]
    return Drawn(drawn.messages[name][kept], drawn.x[kept], synthetic_bits()["yz".index(name)])


# --- numbers (Czyż et al. 2023) --------------------------------------------------------------------------------------


def pair_bits(r: float) -> float:
    """−½ log₂(1 − ρ²)."""
    return -0.5 * np.log2(1 - r**2)


def wiggly(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising sums of waves, of either number another."""
    return (
        x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5),
        y - 0.4 * np.sin(0.4 * y) + 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5),
    )


IMAGES: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "as it is": lambda x, y: (x, y),
    "normal CDF": lambda x, y: (ndtr(x), ndtr(y)),
    "wiggly": wiggly,
    "half-cube": lambda x, y: (np.sign(x) * np.abs(x) ** 1.5, np.sign(y) * np.abs(y) ** 1.5),
}


def normal_pair(rng: Generator, rows: int, image: str, r: float = 0.75) -> Drawn:
    """Bivariate normal numbers under rising maps, which change no information: −½ log₂(1 − ρ²)."""
    x, noise = rng.normal(size=(2, rows))
    x, y = IMAGES[image](x, r * x + np.sqrt(1 - r**2) * noise)
    return whole(y, x[:, None], pair_bits(r))


def additive_bits(e: float) -> float:
    """X uniform on (0, 1) and M = X + U(−ε, ε): ε − ln 2ε nats up to ε = ½, 1/4ε beyond."""
    return (e - np.log(2 * e) if e <= 0.5 else 1 / (4 * e)) / np.log(2)


def additive(rng: Generator, rows: int, e: float) -> Drawn:
    """A uniform number, and the same with uniform noise."""
    x = rng.random(rows)
    return whole(x + e * (2 * rng.random(rows) - 1), x[:, None], additive_bits(e))


def student_bits(freedom: float, r: float = 0.0) -> float:
    """Of two numbers of a bivariate Student distribution: −½ log₂(1 − ρ²) and what the common scale tells.

    f(ν) + f(ν + 2) − 2 f(ν + 1) nats, f(x) = ln Γ(x/2) − (x/2) ψ(x/2).
    """

    def f(x: float) -> float:
        return float(gammaln(x / 2) - x / 2 * psi(x / 2))

    return pair_bits(r) + (f(freedom) + f(freedom + 2) - 2 * f(freedom + 1)) / np.log(2)


def student(rng: Generator, rows: int, freedom: float) -> Drawn:
    """Two uncorrelated numbers with a common scale in every row."""
    scale = np.sqrt(freedom / rng.chisquare(freedom, rows))
    x, y = scale * rng.normal(size=(2, rows))
    return whole(y, x[:, None], student_bits(freedom))


def dense_bits(d: int) -> float:
    """Of two halves of 2d normal numbers with all correlations ½: ½ log₂ of (det Σ_x det Σ_m / det Σ)."""

    def log_determinant(n: int) -> float:
        return (n - 1) * np.log2(0.5) + np.log2(0.5 + 0.5 * n)

    return log_determinant(d) - 0.5 * log_determinant(2 * d)


def dense(rng: Generator, rows: int, d: int) -> Drawn:
    """A message of d numbers and a layer of d columns, all correlated by ½."""
    both = np.sqrt(0.5) * (rng.normal(size=(rows, 2 * d)) + rng.normal(size=(rows, 1)))
    return whole(both[:, :d], both[:, d:], dense_bits(d))


def two_pairs(rng: Generator, rows: int, r: float = 0.8, d: int = 3) -> Drawn:
    """A message of d numbers of which two are correlated with a column each, the others with none: −log₂(1 − ρ²)."""
    x, m = rng.normal(size=(2, rows, d))
    m[:, :2] = r * x[:, :2] + np.sqrt(1 - r**2) * m[:, :2]
    return whole(m, x, 2 * pair_bits(r))


CLASSES: dict[str, Callable[[Generator, int], Drawn]] = {
    "synthetic, Y": partial(synthetic, name="y"),
    "synthetic, Z": partial(synthetic, name="z"),
    **{f"overlapping uniforms, m = {m}": partial(uniforms, classes=m) for m in (2, 3, 4, 5)},
    **{f"ReLU units, {100 * q:g} % flipped": partial(flipped, share=q) for q in (0, 0.11, 0.3)},
    "XOR": partial(parity, nodes=2),
    "rotated XOR": rotated_xor,
    "ring": ring,
    "checkerboard, 4 × 4": checkerboard,
    "three-way parity": partial(parity, nodes=3),
    "equal covariances": equal_covariances,
    "scale × 3": scales,
    "Cauchy": cauchy,
}
NUMBERS: dict[str, Callable[[Generator, int], Drawn]] = {
    **{f"normal pair, {image}": partial(normal_pair, image=image) for image in IMAGES},
    **{f"additive uniform, ε = {e:g}": partial(additive, e=e) for e in (0.1, 0.75)},
    "Student, ν = 1": partial(student, freedom=1),
    **{f"dense normal, d = {d}": partial(dense, d=d) for d in (2, 3, 5, 25)},
    "two pairs, ρ = 0.8": two_pairs,
}
TRUTHS = CLASSES | NUMBERS


# --- what trips estimators up ----------------------------------------------------------------------------------------


def told_by_one(rng: Generator, rows: int, numbers: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Two normal classes DISTANCE apart, or a number correlated by ¾; the column that tells them, and what it tells."""
    noise = rng.normal(size=rows)
    if numbers:
        x = rng.normal(size=rows)
        return 0.75 * x + np.sqrt(1 - 0.75**2) * noise, x[:, None], pair_bits(0.75)
    message = rng.integers(0, 2, rows)
    return message, (noise + DISTANCE * message)[:, None], equal_bits()


def changed(rng: Generator, rows: int, numbers: bool, change: Callable[[np.ndarray], np.ndarray]) -> Drawn:
    """A column that tells the message, changed or with another beside it that tells nothing more."""
    message, x, bits = told_by_one(rng, rows, numbers)
    return whole(message, change(x), bits)


ALIVE_SHIFT = float(ndtri(0.6))  # of a normal number that is above 0 in three of five rows


@cache
def rectified_bits() -> float:
    """I of B + N(0, 1) and max(B, 0), B normal about ALIVE_SHIFT: h(M) less what is left of it, by integration."""
    m, b = np.linspace(-12, 12, 2401), np.linspace(-9, 0, 1501)
    below = np.trapezoid(normal(b, ALIVE_SHIFT)[:, None] * normal(m - b[:, None]), b, axis=0)
    share = np.trapezoid(below, m)
    silent = -np.trapezoid(below / share * np.log2(np.maximum(below / share, 1e-300)), m)
    known = 0.5 * np.log2(2 * np.pi * np.e)  # h of the noise
    return float(known + 0.5 - share * silent - (1 - share) * known)


def dead_relu(rng: Generator, rows: int, numbers: bool) -> Drawn:
    """A ReLU unit that is 0 in two of five rows, about whether it is, wrong in 11 %; or about its input with noise."""
    before = rng.normal(size=rows) + ALIVE_SHIFT
    unit = np.maximum(before, 0)[:, None]
    if numbers:
        return whole(before + rng.normal(size=rows), unit, rectified_bits())
    message = ((before > 0) ^ (rng.random(rows) < 0.11)).astype(int)
    return whole(message, unit, float(binary_entropy(0.6 * 0.89 + 0.4 * 0.11) - binary_entropy(0.11)))


def in_order(rng: Generator, rows: int, numbers: bool) -> Drawn:
    """A ReLU unit that is 0 in four of five rows and knows nothing of the message, in the order of which rows are."""
    message = np.sort(told_by_one(rng, rows, numbers)[0])
    return whole(message, np.maximum(rng.normal(size=(rows, 1)) - ndtri(0.8), 0), 0.0)


def constant(rng: Generator, rows: int, numbers: bool) -> Drawn:
    """A column that is 3.3 in all rows."""
    return whole(told_by_one(rng, rows, numbers)[0], np.full((rows, 1), 3.3), 0.0)


TRIPS: dict[str, Callable[..., Drawn]] = {
    "one column": partial(changed, change=lambda x: x),
    "a constant beside it": partial(changed, change=lambda x: np.column_stack([x, np.full(len(x), 3.3)])),
    "its copy beside it": partial(changed, change=lambda x: np.column_stack([x, 2 * x])),
    "10⁶ off centre": partial(changed, change=lambda x: x + 1e6),
    "a dead ReLU unit": dead_relu,
    "a constant alone": constant,
    "a dead unit's noise, rows in the message's order": in_order,
}
PITFALLS: dict[str, Callable[[Generator, int], Drawn]] = {
    f"{kind}: {name}": partial(scene, numbers=kind == "number")
    for kind in ("classes", "number")
    for name, scene in TRIPS.items()
}
