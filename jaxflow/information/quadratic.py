"""Quadratic discriminants of normal scores, in closed form, for all subsets of a layer and all outer folds at once."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import ALONE, batched_map, on_all_cores
from jaxflow.information.cross_validation import (
    OUTER,
    accuracy_to_information,
    message_entropy,
    outer_folds,
    padded,
)
from jaxflow.information.estimates import Advance, Estimates, broadcast, ignore
from jaxflow.information.ranks import Ranking, ranking, scores_and_atom
from jaxflow.values import choice

BOUNDS = ("fano", "cross-entropy")
RIDGE = 1e-3  # λ of the class covariance (1 − λ)Σ + λI
HIGHEST = jax.lax.Precision.HIGHEST


class Classes(NamedTuple):
    """The two classes in the training rows of every fold, axis −1 or before the nodes: class 0, class 1.

    Attributes:
        mean: ``[..., 2, n]``.
        covariance: ``[..., 2, n, n]``.
        log_prior: ``[..., 2]``.
    """

    mean: Array
    covariance: Array
    log_prior: Array


class Fit(NamedTuple):
    """Columns that a discriminant is fitted to in every fold, and its classes.

    Attributes:
        columns: ``[F, m, N]``.
        classes: fields ``[F, P, 2, ...]``.
    """

    columns: Array
    classes: Classes


def class_moments(scores: Float[Array, "n N"], classes: Float[Array, "C N"]) -> tuple[Array, Array, Array]:
    """Count ``[C]``, mean ``[C, n]`` and covariance ``[C, n, n]`` of the rows of every class (0/1 indicators).

    Normal scores are centred and of unit scale: subtracting the squared mean costs 1e-6, a thousandth of the ridge.
    """
    n = len(scores)
    i, j = np.triu_indices(n)
    place = np.zeros((n, n), int)
    place[i, j] = place[j, i] = np.arange(len(i))
    features = jnp.concatenate([scores, scores[i] * scores[j]])
    count = jnp.sum(classes, axis=-1)
    moments = jnp.einsum("qn,cn->cq", features, classes, precision=HIGHEST) / count[:, None]
    mean, second = moments[:, :n], moments[:, n:][:, place]
    return count, mean, second - mean[:, :, None] * mean[:, None, :]


def log_odds(x: Float[Array, "n B"], classes: Classes, member: Bool[Array, " n"]) -> Float[Array, " B"]:
    """The log odds log P(1 | x_T) / P(0 | x_T) of Gaussian classes with covariance (1 − λ)Σ + λI.

    Nodes outside T drop out.
    """
    inside = member[:, None] & member[None]
    eye = jnp.eye(len(member), dtype=x.dtype)
    covariance = jnp.where(inside[None], (1 - RIDGE) * classes.covariance + RIDGE * eye[None], eye[None])
    root = jnp.linalg.cholesky(covariance)
    whiten = jax.scipy.linalg.solve_triangular(root, jnp.broadcast_to(eye, root.shape), lower=True)
    whiten = jnp.where(member[None, None], whiten, 0)
    shift = jnp.einsum("cij,cj->ci", whiten, classes.mean, precision=HIGHEST)
    distance = jnp.einsum("cij,jb->cib", whiten, x, precision=HIGHEST) - shift[..., None]
    spread = jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
    log_density = -jnp.sum(distance**2, axis=1) / 2 + (classes.log_prior - spread)[:, None]
    return log_density[1] - log_density[0]


def held_out(
    x: Float[Array, "n N"],
    messages: Float[Array, "F P N"],
    among: Ranking,
    rows: Int[Array, "F B"],
    members: Bool[Array, "T n"],
    bound: str,
) -> Float[Array, "T P F"]:
    """What every fold loses on its held-out rows of a layer: how many are mistaken, or their surprise in bits.

    The classes have their own covariances. In subsets with a column that has an atom (see ``scores_and_atom``), two
    other fits stand beside them, and every fold takes the one that does best in the other folds of its message.

    Args:
        x: activations.
        messages: 0/1, those that every fold is about; the five folds of a message are neighbours.
        among: ranking by the training rows of every fold.
        rows: held-out rows of every fold, −1 where there are fewer.
        members: nodes of every subset.
        bound: ``fano`` asks for the mistakes, ``cross-entropy`` for the surprise.
    """
    ranked = batched_map(lambda column: scores_and_atom(column, among), x, 4 * among.counted.size)
    scores, atoms = jnp.swapaxes(ranked[0], 0, 1), ranked[1]  # [F, n, N], [n, N]
    train = among.counted[:, : x.shape[1]]
    fit = Fit(scores, jax.vmap(fold_classes)(scores, messages, train))
    loss = partial(losses, messages=messages, rows=rows, members=members, bound=bound)
    has_atom = jnp.any(atoms, axis=1)

    def best() -> Array:
        doubled = jnp.concatenate([scores, jnp.broadcast_to(indicators(atoms, x.dtype)[None], scores.shape)], axis=1)
        linear = Fit(doubled, pooled(jax.vmap(fold_classes)(doubled, messages, train)))
        sums, apart = loss([fit, Fit(scores, unit_variance(fit.classes)), linear])
        concerned = jnp.any(members & has_atom[None], axis=1)[:, None, None]
        return jnp.where(concerned, best_elsewhere(sums, apart, bound), sums[:, 0])

    return jax.lax.cond(jnp.any(has_atom), best, lambda: loss([fit])[0][:, 0])


def losses(
    fits: list[Fit], messages: Float[Array, "F P N"], rows: Int[Array, "F B"], members: Bool[Array, "T n"], bound: str
) -> tuple[Float[Array, "T C P F"], Float[Array, "T C P F"]]:
    """Mistakes, or surprise in bits, of every fit, summed over the held-out rows of every fold: see ``held_out``.

    Returns:
        The sums, and the number of rows on which a fit's decision is not the first fit's.
    """
    places = jnp.maximum(rows, 0)[:, None]
    truth = jnp.take_along_axis(messages, places, axis=2) > 0  # [F, P, B]
    tested = [jnp.take_along_axis(fit.columns, places, axis=2) for fit in fits]
    real = (rows >= 0)[None, :, None]

    def one(member: Array) -> tuple[Array, Array]:
        odds = jnp.stack([_log_odds(x, fit.classes, member) for x, fit in zip(tested, fits, strict=True)])
        decisions = odds > 0
        surprise = jax.nn.softplus(jnp.where(truth[None], -odds, odds)) / jnp.log(2.0)
        shown = (decisions != truth[None]).astype(odds.dtype) if bound == "fano" else surprise
        apart = (decisions != decisions[:1]).astype(odds.dtype)
        lost, differing = (jnp.swapaxes(jnp.sum(a, axis=-1, where=real), 1, 2) for a in (shown, apart))
        return lost, differing

    return batched_map(one, members, len(fits) * _subset_bytes(fits[-1].columns[0], messages))


def _log_odds(x: Float[Array, "F m B"], classes: Classes, member: Bool[Array, " n"]) -> Float[Array, "F P B"]:
    """``log_odds`` in every fold and for every message; the indicators of the nodes follow the nodes."""
    inside = jnp.tile(member, x.shape[1] // len(member))
    return jax.vmap(jax.vmap(log_odds, (None, 0, None)), (0, 0, None))(x, classes, inside)


def unit_variance(classes: Classes) -> Classes:
    """Both covariances plus what every column's variance lacks to 1, on their diagonals.

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
    """Both classes with the covariance within classes: the discriminant becomes linear."""
    share = jnp.exp(classes.log_prior)[..., None, None]
    within = jnp.sum(share * classes.covariance, axis=-3, keepdims=True)
    return classes._replace(covariance=jnp.broadcast_to(within, classes.covariance.shape))


def indicators(atoms: Bool[Array, "n N"], dtype: Any) -> Float[Array, "n N"]:
    """Whether a row is at the atom of a column, standardised; 0 for a column without an atom."""
    at_atom = atoms.astype(dtype)
    share = jnp.mean(at_atom, axis=1, keepdims=True)
    deviation = jnp.sqrt(share * (1 - share))
    return jnp.where(deviation > 0, (at_atom - share) / jnp.where(deviation > 0, deviation, 1), 0)


def best_elsewhere(sums: Float[Array, "T C P F"], apart: Float[Array, "T C P F"], bound: str) -> Float[Array, "T P F"]:
    """Of C fits the loss of every fold under the one that does best in the other four folds, the first among equals.

    Mistakes come in whole rows, so that one of two equally good fits always makes fewer. A fit must make fewer than the
    first by one standard error of the difference: √k of k rows that the two decide differently.

    What a fold loses has no part in its choice, except that its rows are a quarter of those that the other folds' fits
    were trained on.

    Args:
        sums: the losses of every fit and fold; the five folds of a message are neighbours.
        apart: rows that a fit decides differently from the first.
        bound: ``fano``, or ``cross-entropy``, which asks for no margin.
    """
    by_message, differing = (a.reshape(*a.shape[:-1], -1, OUTER) for a in (sums, apart))
    elsewhere, margin = (jnp.sum(a, axis=-1, keepdims=True) - a for a in (by_message, differing))
    judged = elsewhere + jnp.sqrt(margin) if bound == "fano" else elsewhere
    choice = jnp.argmin(judged, axis=1)[:, None]
    return jnp.take_along_axis(by_message, choice, axis=1)[:, 0].reshape(sums[:, 0].shape)


def fold_classes(scores: Float[Array, "n N"], messages: Float[Array, "P N"], counted: Float[Array, " N"]) -> Classes:
    """The classes of every message in the training rows of a fold, fields ``[P, 2, ...]``."""
    indicators = jnp.stack([1 - messages, messages], axis=1) * counted[None, None]
    moments = class_moments(scores, indicators.reshape(-1, scores.shape[1]))
    count, mean, covariance = (a.reshape(len(messages), 2, *a.shape[1:]) for a in moments)
    return Classes(mean, covariance, jnp.log(count / jnp.sum(count, axis=-1, keepdims=True)))


def _subset_bytes(x: Array, messages: Array) -> int:
    """What one subset needs: the whitened rows of both classes, every message and fold."""
    return 8 * x.size * messages.shape[1] * len(messages) // OUTER


@partial(jax.jit, static_argnames=("bound",), compiler_options=ALONE)
def all_held_out(
    layers: Float[Array, "S N n"],
    messages: Float[Array, "F P N"],
    among: Ranking,
    rows: Int[Array, "F B"],
    members: Bool[Array, "T n"],
    bound: str,
) -> Float[Array, "S T P F"]:
    """``held_out`` of every layer."""
    item_bytes = 12 * layers[0].size * len(rows) + len(members) * _subset_bytes(layers[0], messages)
    shared = messages, among, rows, members
    return batched_map(lambda x, *shared: held_out(x.T, *shared, bound=bound), layers, item_bytes, *shared)


def quadratic(
    message: ArrayLike, activations: ArrayLike, *, subsets: Sequence[int] | None = None, bound: str = "fano"
) -> Float[Array, "*batch T"]:
    """I(M; X_T) from a quadratic discriminant of normal scores, in bits, for all 2ⁿ subsets T.

    Every activation is replaced by the normal score of its mid-rank among the training rows of an outer fold
    (information is invariant to monotone maps of each coordinate); each class is a Gaussian with covariance
    (1 − λ)Σ + λI, λ = 1e-3. The held-out rows of the five outer folds of ``linear_svm`` give

        fano            I ≥ H(M) − H_b(1 − a)   a the mean accuracy (Venkatesh et al. 2021, eq. 7), 0 at or below chance
        cross-entropy   I ≥ H(M) − CE           CE = −⟨log₂ P(m | x)⟩ of the posteriors, clipped to [0, H(M)]

    A column that holds one value in at least a hundredth of its rows, such as a ReLU unit, has an atom, which no
    Gaussian describes. In a subset with such a column every fold takes the best of three fits, judged by the other four
    folds: the one above; the same with Σ plus what ties take of each column's variance; and a linear discriminant of
    the scores and of indicators of the atoms. See docs/method.md.

    Args:
        message: binary, ``[..., N]``.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        subsets: bitmasks to estimate; all 2ⁿ if not given.
        bound: ``fano`` or ``cross-entropy``.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``.

    Raises:
        InputError: shapes that do not fit, a message that is not 0/1 or has fewer than 5 samples in a class, NaN or
            infinity, an unknown bound.
    """
    choice("bound", bound, BOUNDS)
    return broadcast(partial(estimate, bound=bound), message, activations, subsets)[0]


def estimate(
    layers: Float[Array, "S N n"],
    messages: Float[Array, "P K N"],
    members: Bool[np.ndarray, "T n"],
    *,
    bound: str = "fano",
    draws: None = None,
    advance: Advance = ignore,
) -> Estimates:
    """Bits of all layers, messages and subsets: see ``quadratic``. There is nothing to search."""
    del draws
    about = np.asarray(messages[0]).astype(int)
    tests = [rows for message in about for rows in outer_folds(message)]
    counted = np.ones((len(tests), about.shape[1]), bool)
    for left_out, own in zip(counted, tests, strict=True):
        left_out[own] = False
    each = jnp.repeat(jnp.swapaxes(messages, 0, 1), OUTER, axis=0)
    among, rows = ranking(counted, layers.dtype), jnp.asarray(padded(tests))
    run = partial(all_held_out, messages=each, among=among, rows=rows, members=jnp.asarray(members), bound=bound)
    by_fold = np.asarray(on_all_cores(run, layers), float)
    by_fold = by_fold.reshape(*by_fold.shape[:3], -1, OUTER)  # [S, T, P, K, 5]
    sizes = np.array([len(own) for own in tests]).reshape(-1, OUTER)
    bits = [_bits(by_fold[..., k, :], sizes[k], message, bound) for k, message in enumerate(about)]
    advance(len(layers) * len(about) * len(members))
    asked = np.asarray(members.any(axis=1))[:, None]  # nothing is known from no node
    return Estimates(np.moveaxis(np.stack(bits) * asked, (0, 1, 2, 3), (2, 1, 3, 0)))


def _bits(by_fold: np.ndarray, sizes: np.ndarray, message: np.ndarray, bound: str) -> np.ndarray:
    """Either bound from what the folds show ``[..., 5]``."""
    if bound == "fano":
        return accuracy_to_information(1 - np.mean(by_fold / sizes, axis=-1), message)
    entropy = message_entropy(message)
    return np.clip(entropy - by_fold.sum(axis=-1) / sizes.sum(), 0, entropy)
