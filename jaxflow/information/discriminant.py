"""Gaussian classes and what they say of a row: the moments of K classes, and their posterior in closed form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.information import matrices

RIDGE = 1e-3  # λ of the class covariance (1 − λ)Σ + λI
HIGHEST = jax.lax.Precision.HIGHEST


class Classes(NamedTuple):
    """The K classes in the training rows of every fold, axis −1 or before the nodes.

    Attributes:
        mean: ``[..., K, n]``.
        covariance: ``[..., K, n, n]``.
        log_prior: ``[..., K]``.
    """

    mean: Array
    covariance: Array
    log_prior: Array


def class_moments(scores: Float[Array, "n N"], classes: Float[Array, "C N"]) -> tuple[Array, Array, Array]:
    """Count ``[C]``, mean ``[C, n]`` and covariance ``[C, n, n]`` of the rows of every class (0/1 indicators).

    All are 0 for a class without rows.

    Normal scores are centred and of unit scale: subtracting the squared mean costs 1e-6, a thousandth of the ridge.
    """
    n = len(scores)
    i, j = np.triu_indices(n)
    place = np.zeros((n, n), int)
    place[i, j] = place[j, i] = np.arange(len(i))
    features = jnp.concatenate([scores, scores[i] * scores[j]])
    count = jnp.sum(classes, axis=-1)
    moments = jnp.einsum("qn,cn->cq", features, classes, precision=HIGHEST) / jnp.maximum(count, 1)[:, None]
    mean, second = moments[:, :n], moments[:, n:][:, place]
    return count, mean, second - mean[:, :, None] * mean[:, None, :]


def fold_classes(
    scores: Float[Array, "n N"], messages: Int[Array, "P N"], counted: Float[Array, " N"], classes: int
) -> Classes:
    """The classes of every message in the training rows of a fold, fields ``[P, K, ...]``.

    A class that has no training row, as a permutation may leave it, is taken to be as wide as the scores of all rows,
    and as frequent as half a row would make it.
    """
    of_class = messages[:, None] == jnp.arange(classes)[None, :, None]
    inside = of_class.astype(scores.dtype) * counted[None, None]
    rows = jnp.sum(inside, axis=-1)
    _, mean, covariance = class_moments(scores, inside.reshape(-1, scores.shape[1]))
    mean, covariance = (a.reshape(*rows.shape, *a.shape[1:]) for a in (mean, covariance))
    missing = (rows == 0)[..., None, None]
    covariance = jnp.where(missing, jnp.eye(len(scores), dtype=scores.dtype)[None, None], covariance)
    return Classes(mean, covariance, jnp.log(jnp.maximum(rows, 0.5) / jnp.sum(rows, axis=-1, keepdims=True)))


def log_odds(x: Float[Array, "n B"], classes: Classes, member: Bool[Array, " n"]) -> Float[Array, "L B"]:
    """The log odds log P(k | x_T) / P(0 | x_T), k = 1 … K − 1, of Gaussian classes with covariance (1 − λ)Σ + λI.

    Nodes outside T drop out.
    """
    inside = member[:, None] & member[None]
    eye = jnp.eye(len(member), dtype=x.dtype)
    covariance = jnp.where(inside[None], (1 - RIDGE) * classes.covariance + RIDGE * eye[None], eye[None])
    root = jax.vmap(matrices.root)(covariance)
    whiten = jnp.where(member[None, None], jax.vmap(matrices.inverse)(root), 0)
    shift = jnp.einsum("cij,cj->ci", whiten, classes.mean, precision=HIGHEST)
    distance = jnp.einsum("cij,jb->cib", whiten, x, precision=HIGHEST) - shift[..., None]
    spread = jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
    log_density = -jnp.sum(distance**2, axis=1) / 2 + (classes.log_prior - spread)[:, None]
    return log_density[1:] - log_density[:1]


def most_probable(odds: Float[Array, "*batch L B"]) -> Int[Array, "*batch B"]:
    """The class with the largest posterior, the first among equals, from ``log_odds`` against class 0."""
    best = jnp.argmax(odds, axis=-2) + 1
    return jnp.where(jnp.max(odds, axis=-2) > 0, best, 0)


def surprise(odds: Float[Array, "*batch L B"], truth: Int[Array, "*batch B"]) -> Float[Array, "*batch B"]:
    """−log₂ P(m | x) of the class m that a row is of, from ``log_odds`` against class 0.

    Relative to the true class: the small surprise of a row that is told right then has no cancellation.
    """
    relative = jnp.concatenate([jnp.zeros_like(odds[..., :1, :]), odds], axis=-2)
    own = jnp.take_along_axis(relative, truth[..., None, :], axis=-2)
    return jax.nn.logsumexp(relative - own, axis=-2) / jnp.log(2.0)


def unit_variance(classes: Classes) -> Classes:
    """All covariances plus what every column's variance lacks to 1, on their diagonals.

    Scores of distinct values have variance 1; ties take some of it. This puts it back, as if the ties were broken at
    random: the classes of a nearly dead unit are then equally wide, and not narrow by how few of their rows it is alive
    in. A column without ties is left as it is.
    """
    share = jnp.exp(classes.log_prior)[..., None]
    mean = jnp.sum(share * classes.mean, axis=-2)
    within = jnp.diagonal(classes.covariance, axis1=-2, axis2=-1)
    variance = jnp.sum(share * (within + classes.mean**2), axis=-2) - mean**2
    lacking = jnp.broadcast_to(jnp.maximum(1 - variance, 0)[..., None, :], classes.mean.shape)
    diagonal = np.arange(mean.shape[-1])
    return classes._replace(covariance=classes.covariance.at[..., diagonal, diagonal].add(lacking))


def pooled(classes: Classes) -> Classes:
    """All classes with the covariance within classes: the discriminant becomes linear."""
    share = jnp.exp(classes.log_prior)[..., None, None]
    within = jnp.sum(share * classes.covariance, axis=-3, keepdims=True)
    return classes._replace(covariance=jnp.broadcast_to(within, classes.covariance.shape))
