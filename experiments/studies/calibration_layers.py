"""Layers whose truth is known, for ``calibration.py``: null layers, Gaussian populations, a planted effect.

Everything here is NumPy in double precision and independent of the package: closed forms on the population.
"""

from typing import NamedTuple

import numpy as np

NULL_KINDS = ("Gaussian", "correlated", "ReLU")
CERTAIN = 1e-12  # bits below which a conditional information is 0 but for rounding
TOGETHER = 20  # layers about one message and its permutations
COMMON = 0.75  # of a node's variance, the noise that the nodes of the layer "shared noise" have in common


def generator(*names: object) -> np.random.Generator:
    """Random numbers of one block, whatever else is computed."""
    return np.random.default_rng(list("/".join(map(str, names)).encode()))


class Population(NamedTuple):
    """Many layers of Gaussian nodes about a message of two classes, with different means and one covariance.

    Attributes:
        covariance: within the classes ``[S, n, n]``.
        shift: mean of class 1 less that of class 0 ``[S, n]``.
        share: probability of class 1.
    """

    covariance: np.ndarray
    shift: np.ndarray
    share: float


def classes(rng: np.random.Generator, rows: int, share: float = 0.5) -> np.ndarray:
    """A message of two classes ``[N]``."""
    return (rng.random(rows) < share).astype(np.int32)


def null_layers(rng: np.random.Generator, kind: str, count: int, rows: int, nodes: int) -> np.ndarray:
    """Layers ``[S, N, n]`` that know nothing of any message.

    ``Gaussian`` has independent nodes, ``correlated`` random mixtures of them, and ``ReLU`` the positive part of such
    mixtures about random thresholds: some units are alive in a few rows only, or in none.
    """
    normal = rng.normal(size=(count, rows, nodes)).astype(np.float32)
    if kind == "Gaussian":
        return normal
    mixing = rng.normal(size=(count, nodes, nodes)).astype(np.float32) / np.sqrt(nodes, dtype=np.float32)
    mixed = normal @ mixing
    return mixed if kind == "correlated" else np.maximum(mixed + mixing[:, :1], 0)


def random_population(rng: np.random.Generator, count: int, nodes: int, share: float) -> Population:
    """Layers of nodes that share noise, with effects from a hundredth of a standard deviation to a whole one.

    A third of the nodes are independent of everything: what they tell given any others is exactly 0. Of six nodes and
    more the last one is the first plus noise, and tells nothing once the first is known.
    """
    dead = nodes // 3
    own = nodes - dead
    loadings = rng.normal(size=(count, own, 2))
    covariance = np.tile(np.eye(nodes), (count, 1, 1))
    covariance[:, dead:, dead:] += loadings @ loadings.swapaxes(1, 2)
    sizes = 10 ** rng.uniform(-2, 0, (count, own)) * rng.choice([-1, 1], (count, own))
    shift = np.zeros((count, nodes))
    shift[:, dead:] = sizes * np.sqrt(np.einsum("sii->si", covariance)[:, dead:])
    if nodes >= 6:
        shift[:, -1] = shift[:, dead]
        covariance[:, -1] = covariance[:, dead]
        covariance[:, :, -1] = covariance[:, :, dead]
        covariance[:, -1, -1] += 0.5
    return Population(covariance, shift, share)


def drawn(rng: np.random.Generator, population: Population, message: np.ndarray) -> np.ndarray:
    """Rows of every layer about one message ``[S, N, n]``."""
    count, nodes = population.shift.shape
    factor = np.linalg.cholesky(population.covariance)
    noise = rng.normal(size=(count, len(message), nodes)) @ factor.swapaxes(1, 2)
    return (noise + message[:, None] * population.shift[:, None]).astype(np.float32)


def distances(population: Population, members: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distance of the class means in a subset of each layer's nodes ``[S, n]``, one per node.

    Args:
        population: of S layers.
        members: nodes of a subset, ``[S, n, n]``: a subset for every node of every layer.
    """
    shift = np.where(members, population.shift[:, None], 0)
    both = members[..., :, None] & members[..., None, :]
    covariance = np.where(both, population.covariance[:, None], np.eye(members.shape[-1]))
    return np.einsum("sni,sni->sn", shift, np.linalg.solve(covariance, shift[..., None])[..., 0])


def conditional_information(population: Population, witness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """I(M; X_V | X_T) of every node and its T in bits, and the standard deviation of a row's share in its estimate.

    With π and 1 − π the classes' probabilities and D² the squared distance of their means, the Gaussian information is
    ½ log₂ κ, κ = 1 + π(1 − π) D². A row moves its estimate by ½ (u² − w²) / (N ln 2), where u and w are the residuals
    of the regressions of M on X_T and on X_T and X_V, over their standard deviations. Within a class they are
    Gaussian, with moments that follow from the two D² alone.

    Args:
        population: of S layers.
        witness: bitmasks of T ``[S, n]``.

    Returns:
        Bits and standard deviations ``[S, n]``.
    """
    nodes = witness.shape[1]
    members = (witness[..., None] >> np.arange(nodes) & 1).astype(bool)
    weight = population.share * (1 - population.share)
    less, more = (weight * distances(population, own) for own in (members, members | np.eye(nodes, dtype=bool)))
    more = np.maximum(more, less)
    bits = 0.5 * np.log2(1 + (more - less) / (1 + less))
    bits = np.where(bits < CERTAIN, 0, bits)
    spreads = less / (1 + less), more / (1 + more)
    joint = less / np.sqrt((1 + less) * (1 + more))
    parts = []
    for number, probability in ((0, 1 - population.share), (1, population.share)):
        u, w = ((number - population.share) / np.sqrt(weight * (1 + own)) for own in (less, more))
        mean = u**2 + spreads[0] - w**2 - spreads[1]
        variance = 2 * (spreads[0] ** 2 + spreads[1] ** 2 - 2 * joint**2)
        variance += 4 * (u**2 * spreads[0] + w**2 * spreads[1] - 2 * u * w * joint)
        parts.append((probability, mean, variance))
    centre = sum(probability * mean for probability, mean, _ in parts)
    total = sum(probability * (variance + (mean - centre) ** 2) for probability, mean, variance in parts)
    return bits, np.where(bits > 0, np.sqrt(np.maximum(total, 0)) / (2 * np.log(2)), 0)


def planted(
    rng: np.random.Generator, scene: str, count: int, message: np.ndarray, nodes: int, effect: float
) -> np.ndarray:
    """Layers ``[S, N, n]`` of unit variance whose first node's mean differs by ``effect`` between the classes.

    ``alone`` has independent nodes; in ``shared noise`` they have most of their noise in common, which the others
    allow to subtract.
    """
    noise = rng.normal(size=(count, len(message), nodes))
    if scene == "shared noise":
        noise = np.sqrt(1 - COMMON) * noise + np.sqrt(COMMON) * rng.normal(size=(count, len(message), 1))
    noise[..., 0] += effect * message
    return noise.astype(np.float32)
