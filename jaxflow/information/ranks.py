"""Normal scores: every activation replaced by the normal quantile of its rank. Monotone maps leave them unchanged."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt
from numpy.typing import ArrayLike
from scipy.special import ndtri

BLOCK = 64
WITHIN = "promise_in_bounds"  # of the indices made here; checking them costs half of a gather


class Ranking(NamedTuple):
    """The rows to rank among, for every fold: see ``ranking``.

    Attributes:
        counted: 1 for the rows among them, else 0; more zeros up to whole blocks, ``[F, B · 64]``.
        words: the same, a bit for every fold in integers of 32: one gather serves as many folds ``[F / 32, B · 64]``.
        quantiles: of the normal distribution at 1, 2, … 2N, over twice the number of counted rows, ``[F, 2N + 1]``.
    """

    counted: Float[Array, "F M"]
    words: UInt[Array, "W M"]
    quantiles: Float[Array, "F Q"]


def ranking(counted: Bool[np.ndarray, "F N"], dtype: Any = np.float32) -> Ranking:
    """What all columns share."""
    rows = counted.sum(axis=1, keepdims=True)
    doubled = np.clip(np.arange(2 * counted.shape[1] + 1)[None], 1, 2 * rows - 1)
    filled = np.pad(counted, ((0, 0), (0, _filling(counted.shape[1]))))
    bits = np.pad(filled, ((0, -len(filled) % 32), (0, 0))).reshape(-1, 32, filled.shape[1])
    words = np.sum(bits << np.arange(32, dtype=np.uint32)[:, None], axis=1, dtype=np.uint32)
    quantiles = ndtri(doubled / (2 * rows))
    return Ranking(jnp.asarray(filled, dtype), jnp.asarray(words), jnp.asarray(quantiles, dtype))


def _filling(rows: int) -> int:
    """Rows to add so that there are whole blocks, and at least one more row."""
    return BLOCK - rows % BLOCK


def normal_scores(x: Float[Array, " N"], among: Ranking) -> Float[Array, "F N"]:
    """Φ⁻¹((L + U) / 2R) of every value v of a column, for every fold.

    L and U count the fold's R rows with values < v and ≤ v. For those rows themselves (L + U) / 2R is
    (mid-rank − ½) / R; other rows fall between them, and at 1/2R from the ends if they lie outside.
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
    distinct = jnp.all(step[1 : len(x)])
    both = jax.lax.cond(distinct, lambda: 2 * below + counted, lambda: _both_of_equals(below, step))
    return jnp.take_along_axis(among.quantiles, both.at[:, place].get(mode=WITHIN).astype(int), axis=1, mode=WITHIN)


def rank_normalised(activations: ArrayLike) -> Float[Array, "*batch N n"]:
    """Every column's normal scores among all its rows: a monotone map of each node, which changes no information.

    Labels play no part, so that nothing about a message leaks from held-out rows.

    Args:
        activations: ``[..., N, n]``.
    """
    x = jnp.asarray(activations)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    among = ranking(np.ones((1, x.shape[-2]), bool), x.dtype)
    return jnp.vectorize(lambda column: normal_scores(column, among)[0], signature="(s)->(s)")(x.mT).mT


def _both_of_equals(below: Float[Array, "F M"], step: Bool[Array, " M"]) -> Float[Array, "F M"]:
    """L + U of every sorted row where some are equal: all of a group have the L of its first and the U of its last."""
    rows = jnp.arange(len(step))
    first = jax.lax.cummax(jnp.where(step, rows, 0))
    after = jax.lax.cummin(jnp.where(jnp.roll(step, -1), rows + 1, len(step) - 1), reverse=True)
    return below.at[:, first].get(mode=WITHIN) + below.at[:, after].get(mode=WITHIN)


def sums_before(counts: Float[Array, "F M"]) -> Float[Array, "F M"]:
    """Sums of what comes before, whole blocks of rows: as matrix products, a third of ``cumsum``'s time on a CPU."""
    blocks = counts.reshape(-1, BLOCK)
    highest = jax.lax.Precision.HIGHEST
    within = jnp.matmul(blocks, jnp.triu(jnp.ones((BLOCK, BLOCK), counts.dtype), 1), precision=highest)
    total = (within[:, -1] + blocks[:, -1]).reshape(len(counts), -1)
    earlier = jnp.cumsum(total, axis=1) - total
    return (within.reshape(*total.shape, BLOCK) + earlier[..., None]).reshape(counts.shape)


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
