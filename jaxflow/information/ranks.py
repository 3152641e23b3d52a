"""Normal scores: every activation replaced by the normal quantile of its rank. Monotone maps leave them unchanged."""

import math
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt
from numpy.typing import ArrayLike
from scipy.special import ndtri

from jaxflow.arrays import as_jax
from jaxflow.batching import batched_map
from jaxflow.sums import BLOCK, sums_before

COLUMN_BYTES = 160  # for every row of a column that is being ranked; most are the masks of 32 folds
ATOM = 0.01  # smallest share of the rows that makes a repeated value an atom
WITHIN = "promise_in_bounds"  # of the indices made here; checking them costs half of a gather


class Ranking(NamedTuple):
    """The rows to rank among, for every fold: see ``ranking``.

    Attributes:
        counted: 1 for the rows among them, else 0; more zeros up to whole blocks, ``[F, B · 64]``.
        words: the same, a bit for every fold in integers of 32: one gather serves as many folds ``[F / 32, B · 64]``.
        quantiles: of the normal distribution for every L + U of ``normal_scores``, 0 … 2N, ``[F, 2N + 1]``.
    """

    counted: Float[Array, "F M"]
    words: UInt[Array, "W M"]
    quantiles: Float[Array, "F Q"]


def ranking(
    counted: Bool[np.ndarray, "F N"] | Bool[Array, "F N"], dtype: Any = np.float32, offset: float = 0.5
) -> Ranking:
    """What all columns share: quantiles by SciPy, or by JAX for rows that are only known when the program runs.

    NumPy's rows give NumPy's arrays. ``offset`` is that of ``rank_normalised``.
    """
    xp, quantile = (jnp, jax.scipy.special.ndtri) if isinstance(counted, jax.Array) else (np, ndtri)
    rows = xp.maximum(counted.sum(axis=1, keepdims=True), 1)
    doubled = xp.clip(xp.arange(2 * counted.shape[1] + 1)[None], 1, 2 * rows - 1)
    filled = xp.pad(counted, ((0, 0), (0, _filling(counted.shape[1]))))
    bits = xp.pad(filled, ((0, -len(filled) % 32), (0, 0))).reshape(-1, 32, filled.shape[1])
    shifts = xp.arange(32, dtype=np.uint32)[None, :, None]
    words = xp.sum(bits.astype(np.uint32) << shifts, axis=1, dtype=np.uint32)
    kind, twice = float if xp is np else dtype, 2 * offset
    share = (doubled.astype(kind) + (1 - twice)) / (2 * rows.astype(kind) + 2 * (1 - twice))
    return Ranking(filled.astype(dtype), words, quantile(share).astype(dtype))


def _filling(rows: int) -> int:
    """Rows to add so that there are whole blocks, and at least one more row."""
    return BLOCK - rows % BLOCK


def normal_scores(x: Float[Array, " N"], among: Ranking) -> Float[Array, "F N"]:
    """Φ⁻¹((L + U) / 2R) of every value v of a column, for every fold.

    L and U count the fold's R rows with values < v and ≤ v. For those rows themselves (L + U) / 2R is
    (mid-rank − ½) / R; other rows fall between them, and at 1/2R from the ends if they lie outside. A ranking of
    another ``offset`` has other places, in the same order.
    """
    return scores_and_atom(x, among)[0]


def scores_and_atom(x: Float[Array, " N"], among: Ranking) -> tuple[Float[Array, "F N"], Bool[Array, " N"]]:
    """The ``normal_scores`` of a column, and the rows that hold its atom.

    The atom of a column is its most frequent value, the smallest of several, if at least one row in a hundred holds it
    and some row does not: the 0 of a ReLU unit, or a category. A column without an atom has no such rows.

    Args:
        x: the column.
        among: the rows of every fold to rank among.

    Returns:
        Scores ``[F, N]``, and True where x is the atom ``[N]``.
    """
    filled = jnp.pad(x, (0, _filling(len(x))), constant_values=jnp.inf)
    rows = jnp.arange(len(filled))
    order = stable_order(filled)
    ascending = filled[order]
    step = jnp.concatenate([jnp.zeros(1, bool), ascending[1:] != ascending[:-1]])
    place = jnp.zeros_like(rows).at[order].set(rows, unique_indices=True, mode=WITHIN)[: len(x)]
    words = among.words.at[:, order].get(mode=WITHIN)
    bits = words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None, :, None] & 1
    counted = bits.reshape(-1, len(filled))[: len(among.counted)].astype(x.dtype)
    below = sums_before(counted)

    def distinct() -> tuple[Array, Array]:
        return 2 * below + counted, jnp.zeros(len(x), bool)

    def tied() -> tuple[Array, Array]:
        return _both_of_equals(below, step), _at_atom(x, ascending, step)

    both, atom = jax.lax.cond(jnp.all(step[1 : len(x)]), distinct, tied)
    places = both.at[:, place].get(mode=WITHIN).astype(int)
    return jnp.take_along_axis(among.quantiles, places, axis=1, mode=WITHIN), atom


def _at_atom(x: Float[Array, " N"], ascending: Float[Array, " M"], step: Bool[Array, " M"]) -> Bool[Array, " N"]:
    """The rows at the atom of a column, from its sorted values and where these step up."""
    rows = jnp.arange(len(x))
    earlier = rows - jax.lax.cummax(jnp.where(step[: len(x)], rows, 0))  # equal values before this one
    last = jnp.argmax(earlier)
    count = earlier[last] + 1
    return (x == ascending[last]) & (count >= math.ceil(ATOM * len(x))) & (count > 1) & (count < len(x))


def rank_normalised(activations: ArrayLike, offset: float = 0.5) -> Float[Array, "*batch N n"]:
    """Replace every column by its normal scores among all its rows: a monotone map, which changes no information.

    Labels play no part, so that nothing about a message leaks from held-out rows. The ranking is compiled once for
    every shape, and may be called under ``jit`` and ``vmap``.

    Args:
        activations: ``[..., N, n]``.
        offset: a, where the place of a value in the normal distribution is (mid-rank − a) / (N + 1 − 2a): with ½ the
            middle of its share of the rows, with 0 rank / (N + 1), the mean of a uniform number of its rank.

    Returns:
        Scores ``[..., N, n]`` of the normal distribution, in the floating type of the activations.
    """
    x = as_jax(activations if isinstance(activations, jax.Array) else np.asarray(activations))
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return _all_columns(x, _among_all(x.shape[-2], x.dtype, offset))


@lru_cache(maxsize=32)
def _among_all(rows: int, dtype: Any, offset: float) -> Ranking:
    """The ranking among all rows: N quantiles take longer than to sort. NumPy arrays belong to no device or trace."""
    with jax.ensure_compile_time_eval():
        return jax.tree.map(np.asarray, ranking(np.ones((1, rows), bool), dtype, offset))


@jax.jit
def _all_columns(x: Float[Array, "*batch N n"], among: Ranking) -> Float[Array, "*batch N n"]:
    """``rank_normalised``: on a CPU a column at a time, on an accelerator many."""
    columns = x.mT.reshape(-1, x.shape[-2])
    return batched_map(_only_scores, columns, COLUMN_BYTES * x.shape[-2], among).reshape(x.mT.shape).mT


def _only_scores(column: Float[Array, " N"], among: Ranking) -> Float[Array, " N"]:
    """``normal_scores`` of a ranking with a single fold."""
    return normal_scores(column, among)[0]


def _both_of_equals(below: Float[Array, "F M"], step: Bool[Array, " M"]) -> Float[Array, "F M"]:
    """L + U of every sorted row where some are equal: all of a group have the L of its first and the U of its last."""
    rows = jnp.arange(len(step))
    first = jax.lax.cummax(jnp.where(step, rows, 0))
    after = jax.lax.cummin(jnp.where(jnp.roll(step, -1), rows + 1, len(step) - 1), reverse=True)
    return below.at[:, first].get(mode=WITHIN) + below.at[:, after].get(mode=WITHIN)


def stable_order(x: Float[Array, " N"]) -> Int[Array, " N"]:
    """``argsort(x)``, equals in their order."""
    if x.dtype != jnp.float32:
        return jnp.argsort(x, stable=True)
    return jax.lax.platform_dependent(x, cpu=_packed_order, default=partial(jnp.argsort, stable=True))


def _packed_order(x: Float[Array, " N"]) -> Int[Array, " N"]:
    """``argsort(x)`` of float32 on a CPU, equals in their order.

    Sorting single integers is several times as fast on a CPU as sorting pairs of value and row, so that value and row
    are packed into one integer of 64 bits. TPUs have no such integers; there the plain form is no slower.
    """
    bits = jax.lax.bitcast_convert_type(jnp.where(x == 0, 0, x), jnp.int32)  # −0 equals 0
    key = jax.lax.bitcast_convert_type(bits ^ ((bits >> 31) & 0x7FFFFFFF) ^ jnp.int32(-(2**31)), jnp.uint32)
    with jax.enable_x64(True):
        packed = key.astype(jnp.uint64) << jnp.uint64(32) | jnp.arange(len(x), dtype=jnp.uint64)
        return (jnp.sort(packed) & jnp.uint64(2**32 - 1)).astype(jnp.int32)
