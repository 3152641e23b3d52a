"""Quadratic discriminants of normal scores, in closed form, for all subsets of a layer and all outer folds at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map, on_all_cores
from jaxflow.information.choosing import chosen_losses
from jaxflow.information.cross_validation import (
    OUTER,
    in_row_order,
    outer_folds,
    padded,
)
from jaxflow.information.discriminant import (
    Classes,
    fold_classes,
    log_odds,
    most_probable,
    pooled,
    surprise,
    unit_variance,
)
from jaxflow.information.estimates import Advance, Estimates, Options, broadcast, by_strata, ignore, subset_members
from jaxflow.information.ranks import Ranking, ranking, scores_and_atom
from jaxflow.messages import Message, accuracy_to_information, message_entropy
from jaxflow.programs import ALONE
from jaxflow.values import choice

BOUNDS = ("fano", "cross-entropy")


@dataclass(frozen=True)
class QuadraticOptions(Options):
    """Options of ``quadratic``: the bound."""

    bound: str = BOUNDS[0]

    def __post_init__(self) -> None:
        choice("bound", self.bound, BOUNDS)


class Fit(NamedTuple):
    """Columns that a discriminant is fitted to in every fold, and its classes.

    Attributes:
        columns: ``[F, m, N]``.
        classes: fields ``[F, P, K, ...]``.
    """

    columns: Array
    classes: Classes


class Lost(NamedTuple):
    """What is lost on held-out rows.

    Attributes:
        sums: mistakes, or surprise in bits, of every message and fold ``[..., T, P, F]``.
        by_row: of every held-out row of a fold ``[..., T, F, B]``, 0 where there are fewer; booleans are mistakes.
    """

    sums: Any
    by_row: Any = None


def held_out(
    x: Float[Array, "n N"],
    messages: tuple[Int[Array, "_ _ N"], ...],
    among: Ranking,
    rows: Int[Array, "F B"],
    members: Bool[Array, "T n"],
    classes: tuple[int, ...],
    bound: str,
    every_subset: bool = False,
    by_row: bool = False,
) -> tuple[Lost, ...]:
    """What every fold loses on its held-out rows of a layer: how many are mistaken, or their surprise in bits.

    The layer is ranked once for the folds of all messages; messages of equally many classes are then computed together.

    Args:
        x: activations.
        messages: class numbers, for every number of classes those that its folds ``[F_k, P_k, N]`` are about, in the
            order of the folds; the five folds of a message are neighbours.
        among: ranking by the training rows of every fold.
        rows: held-out rows of every fold, −1 where there are fewer.
        members: nodes of every subset.
        classes: the numbers of classes.
        bound: ``fano`` asks for the mistakes, ``cross-entropy`` for the surprise.
        every_subset: whether the subsets are all 2ⁿ of n nodes, in the order of their bitmasks.
        by_row: whether the losses of single rows are kept, for the first of the messages [P_k].

    Returns:
        The losses ``[T, P_k, F_k]`` for every number of classes, those of rows ``[T, F_k, B]``.
    """
    ranked = batched_map(lambda column: scores_and_atom(column, among), x, 4 * among.counted.size)
    scores, atoms = jnp.swapaxes(ranked[0], 0, 1), ranked[1]  # [F, n, N], [n, N]
    train = among.counted[:, : x.shape[1]]
    lost, first = [], 0
    for about, count in zip(messages, classes, strict=True):
        own = slice(first, first := first + len(about))
        folds = scores[own], atoms, about, train[own], rows[own]
        lost.append(_held_out(*folds, members, count, bound, every_subset, by_row))
    return tuple(lost)


def _held_out(
    scores: Float[Array, "F n N"],
    atoms: Bool[Array, "n N"],
    messages: Int[Array, "F P N"],
    train: Float[Array, "F N"],
    rows: Int[Array, "F B"],
    members: Bool[Array, "T n"],
    classes: int,
    bound: str,
    every_subset: bool,
    by_row: bool,
) -> Lost:
    """``held_out`` of messages of equally many classes.

    The classes have their own covariances. In subsets with a column that has an atom (see ``scores_and_atom``), two
    other fits stand beside them, and every fold takes the one that does best in the other folds of its message, or the
    fit of a smaller subset, if all are listed and this does better: see ``chosen_losses``.
    """
    moments = jax.vmap(partial(fold_classes, classes=classes))
    fit = Fit(scores, moments(scores, messages, train))
    loss = partial(losses, messages=messages, rows=rows, members=members, bound=bound, by_row=by_row)
    has_atom = jnp.any(atoms, axis=1)

    def best() -> Lost:
        marks = jnp.broadcast_to(indicators(atoms, scores.dtype)[None], scores.shape)
        doubled = jnp.concatenate([scores, marks], axis=1)
        linear = Fit(doubled, pooled(moments(doubled, messages, train)))
        sums, apart, single = loss([fit, Fit(scores, unit_variance(fit.classes)), linear])
        concerned = jnp.any(members & has_atom[None], axis=1)
        return Lost(*chosen_losses(sums, apart, concerned, bound, every_subset, single))

    def only() -> Lost:
        sums, _, single = loss([fit])
        return Lost(sums[:, 0], None if single is None else single[:, 0])

    return jax.lax.cond(jnp.any(has_atom), best, only)


def losses(
    fits: list[Fit],
    messages: Int[Array, "F P N"],
    rows: Int[Array, "F B"],
    members: Bool[Array, "T n"],
    bound: str,
    by_row: bool = False,
) -> tuple[Float[Array, "T C P F"], Float[Array, "T C P F"], Shaped[Array, "T C F B"] | None]:
    """Mistakes, or surprise in bits, of every fit, summed over the held-out rows of every fold: see ``held_out``.

    Returns:
        The sums, the number of rows on which a fit's decision is not the first fit's, and if asked for the rows'
        mistakes (booleans) or surprise under the first of the messages.
    """
    places = jnp.maximum(rows, 0)[:, None]
    truth = jnp.take_along_axis(messages, places, axis=2)  # [F, P, B]
    tested = [jnp.take_along_axis(fit.columns, places, axis=2) for fit in fits]
    real = (rows >= 0)[None, :, None]

    def one(member: Array) -> tuple[Array, Array, Array | None]:
        odds = jnp.stack([_log_odds(x, fit.classes, member) for x, fit in zip(tested, fits, strict=True)])
        decisions = most_probable(odds)
        every = jnp.broadcast_to(truth[None], decisions.shape)
        shown = decisions != every if bound == "fano" else surprise(odds, every)
        counted = shown.astype(odds.dtype), (decisions != decisions[:1]).astype(odds.dtype)
        lost, differing = (jnp.swapaxes(jnp.sum(a, axis=-1, where=real), 1, 2) for a in counted)
        single = shown[:, :, 0]
        return lost, differing, jnp.where(real[:, :, 0], single, jnp.zeros_like(single)) if by_row else None

    classes = fits[0].classes.log_prior.shape[-1]
    return batched_map(one, members, len(fits) * _subset_bytes(fits[-1].columns[0], messages, classes))


def _log_odds(x: Float[Array, "F m B"], classes: Classes, member: Bool[Array, " n"]) -> Float[Array, "F P L B"]:
    """``log_odds`` in every fold and for every message; the indicators of the nodes follow the nodes."""
    inside = jnp.tile(member, x.shape[1] // len(member))
    return jax.vmap(jax.vmap(log_odds, (None, 0, None)), (0, 0, None))(x, classes, inside)


def indicators(atoms: Bool[Array, "n N"], dtype: Any) -> Float[Array, "n N"]:
    """Whether a row is at the atom of a column, standardised; 0 for a column without an atom."""
    at_atom = atoms.astype(dtype)
    share = jnp.mean(at_atom, axis=1, keepdims=True)
    deviation = jnp.sqrt(share * (1 - share))
    return jnp.where(deviation > 0, (at_atom - share) / jnp.where(deviation > 0, deviation, 1), 0)


def _subset_bytes(x: Array, messages: Array, classes: int) -> int:
    """What one subset needs: the whitened rows of all classes, every message and fold."""
    return 4 * classes * x.size * messages.shape[1] * len(messages) // OUTER


@partial(jax.jit, static_argnames=("classes", "bound", "every_subset", "by_row"), compiler_options=ALONE)
def all_held_out(
    layers: Float[Array, "S N n"],
    messages: tuple[Int[Array, "_ _ N"], ...],
    among: Ranking,
    rows: Int[Array, "F B"],
    members: Bool[Array, "T n"],
    classes: tuple[int, ...],
    bound: str,
    every_subset: bool = False,
    by_row: bool = False,
) -> tuple[Lost, ...]:
    """``held_out`` of every layer, fields ``[S, T, ...]``."""
    subset_bytes = sum(_subset_bytes(layers[0], about, k) for about, k in zip(messages, classes, strict=True))
    item_bytes = 12 * layers[0].size * len(rows) + len(members) * subset_bytes
    run = partial(held_out, classes=classes, bound=bound, every_subset=every_subset, by_row=by_row)
    return batched_map(lambda x, *shared: run(x.T, *shared), layers, item_bytes, messages, among, rows, members)


def quadratic(
    message: ArrayLike,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    subsets: Sequence[int] | None = None,
    bound: str = "fano",
) -> Float[Array, "*batch T"]:
    """I(M; X_T) from a quadratic discriminant of normal scores, in bits, for all 2ⁿ subsets T.

    Every activation is replaced by the normal score of its mid-rank among the training rows of an outer fold
    (information is invariant to monotone maps of each coordinate); each class is a Gaussian with covariance
    (1 − λ)Σ + λI, λ = 1e-3. The held-out rows of the five outer folds of ``linear_svm`` give

        fano            I ≥ H(M) − H_b(e) − e log₂(K − 1)   e the mean error (Venkatesh et al. 2021, eq. 7, has K = 2)
        cross-entropy   I ≥ H(M) − CE                       CE = −⟨log₂ P(m | x)⟩ of the posteriors

    The first is 0 where the accuracy is at or below the share of the largest class; both lie in [0, H(M)].

    A column that holds one value in at least a hundredth of its rows, such as a ReLU unit, has an atom, which no
    Gaussian describes. In a subset with such a column every fold takes the best of three fits, judged by the other four
    folds: the one above; the same with Σ plus what ties take of each column's variance; and a linear discriminant of
    the scores and of indicators of the atoms. If all 2ⁿ subsets are estimated, a fold of such a subset takes what a
    smaller subset of it has chosen instead, the empty one among them, wherever this does better in the other four
    folds. See docs/method.md.

    Args:
        message: classes, ``[..., N]``.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        given: classes ``[N]`` to condition on: the mean of the strata's bits, Σ_g P(g) I(M; X_T | G = g).
        groups: the number of the node that every column belongs to; every column is a node if not given.
        subsets: bitmasks to estimate; all 2ⁿ if not given. Where some are missing, subsets with an atom choose among
            their own fits alone, so that none depends on which others are asked for.
        bound: ``fano`` or ``cross-entropy``.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``.

    Raises:
        InputError: shapes that do not fit, a continuous message or condition, fewer than 5 samples in a class (of a
            stratum), NaN or infinity, an unknown bound.

    Example:
        >>> message = np.arange(300) % 3
        >>> activations = (message * message)[:, None] + 0.1 * np.sin(np.arange(300.0))[:, None]
        >>> bits = quadratic(message, activations)  # log2(3) = 1.585 is all there is to know
        >>> float(bits[0]), bool(1.5 < bits[1] < 1.586)
        (0.0, True)
    """
    options = QuadraticOptions(bound).as_json()
    return broadcast(partial(estimate, **options), message, activations, subsets, given=given, groups=groups)[0]


def estimate(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    groups: tuple[int, ...] | None = None,
    bound: str = "fano",
    draws: Mapping[str, Any] | None = None,
    by_row: bool = False,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol of ``quadratic``, see ``jaxflow.information.Estimate``. There is nothing to search."""
    del draws
    nodes = members.shape[1]
    every_subset = len(members) == 2**nodes and np.array_equal(members, subset_members(nodes))
    run = partial(_rows_estimate, bound=bound, every_subset=every_subset, by_row=by_row)
    return by_strata(run, layers, messages, members, groups=groups, advance=advance)


def _rows_estimate(
    layers: Float[Array, "S N c"],
    messages: dict[str, np.ndarray],
    members: Bool[np.ndarray, "T c"],
    *,
    bound: str,
    every_subset: bool,
    by_row: bool,
    draws: dict[str, np.ndarray] | None,
    advance: Advance,
) -> dict[str, Estimates]:
    """Bits about class numbers ``[P, N]`` from all rows; the folds of all messages go together."""
    del draws
    alike = defaultdict(list)  # by number of classes, and of permutations
    for name, message in messages.items():
        alike[int(message.max()) + 1, len(message)].append(name)
    tests = {name: outer_folds(messages[name][0]) for names in alike.values() for name in names}
    every = [rows for own in tests.values() for rows in own]
    counted = np.ones((len(every), layers.shape[1]), bool)
    for left_out, own in zip(counted, every, strict=True):
        left_out[own] = False
    about = tuple(
        np.repeat([messages[name] for name in names], OUTER, axis=0).astype(np.int32) for names in alike.values()
    )
    among, rows = ranking(counted, layers.dtype), padded(every)
    shared = jax.device_put({"messages": about, "among": among, "rows": rows, "members": members})
    static = {"bound": bound, "every_subset": every_subset, "by_row": by_row}
    run = partial(all_held_out, **shared, classes=tuple(classes for classes, _ in alike), **static)
    nodes, found = np.any(members, axis=1, keepdims=True), {}
    for names, lost in zip(alike.values(), on_all_cores(run, layers), strict=True):
        by_fold = np.asarray(lost.sums, float)
        by_fold = by_fold.reshape(*by_fold.shape[:3], len(names), OUTER)  # [S, T, P, k, 5]
        for k, name in enumerate(names):
            sizes = np.array([len(own) for own in tests[name]])
            bits = _bits(by_fold[..., k, :], sizes, messages[name][0], bound)
            own = slice(OUTER * k, OUTER * (k + 1))
            single = in_row_order(np.asarray(lost.by_row)[:, :, own], tests[name]) if by_row else None
            found[name] = Estimates(np.moveaxis(bits * nodes, 2, 0), losses=single)  # no node tells nothing
    advance(len(layers) * len(messages) * len(members))
    return found


def _bits(by_fold: np.ndarray, sizes: np.ndarray, message: np.ndarray, bound: str) -> np.ndarray:
    """Either bound from what the folds show ``[..., 5]``."""
    if bound == "fano":
        return accuracy_to_information(1 - np.mean(by_fold / sizes, axis=-1), message)
    entropy = message_entropy(message)
    return np.clip(entropy - by_fold.sum(axis=-1) / sizes.sum(), 0, entropy)
