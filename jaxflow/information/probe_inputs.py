"""What a probe sees of a layer: every column twice, a mask, and an order that depends on no order of the columns.

A column comes in as its standardised values, which a linear read-out needs, and as the normal scores of its mid-ranks,
which outliers and squeezing nonlinearities do not touch. Columns of equal ranks carry the same information about
anything: they are one. A constant column carries none. So neither has any part in what the probe learns.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from jaxflow.batching import batched_map
from jaxflow.information.ranks import COLUMN_BYTES, Ranking, scores_and_atom

HIGHEST = jax.lax.Precision.HIGHEST
NEAR, ROUNDING = 0.7, 1e-4  # of a standard deviation, that the nearest column leaves
FARTHEST = 6.0  # standard deviations: what lies beyond is told by ranks


class Seen(NamedTuple):
    """Columns in their own order, the distinct ones first.

    Attributes:
        features: standardised values and normal scores by every fold's training rows, and what the nearest column
            leaves ``[F, N, c, 3]``, 0 for columns that are constant or that repeat another one.
        nearest: the column that is nearest to every one ``[c]``, see ``residuals``.
        shows: whether a column of the layer is, or repeats, the k-th of these columns ``[c, c]``.
        distinct: how many there are.
    """

    features: Array
    nearest: Array
    shows: Array
    distinct: Array


def seen(x: Float[Array, "N c"], among: Ranking) -> Seen:
    """What a probe sees of a layer.

    Args:
        x: activations, of which there is one column at least.
        among: ranking by the training rows of every fold, and last by all rows.
    """
    rows = x.shape[0]
    ranked = partial(two_ways, among=among)
    values, scores = batched_map(ranked, x.T, COLUMN_BYTES * among.counted.shape[1])  # [c, F + 1, N]
    by_rank, by_value = _number(scores[:, -1], rows), _number(values[:, -1], rows)
    constant = jnp.all(scores[:, -1] == scores[:, -1, :1], axis=1)
    order = jnp.lexsort((by_value, by_rank, constant))
    ascending = by_rank[order]
    new = jnp.concatenate([jnp.ones(1, bool), ascending[1:] != ascending[:-1]]) & ~constant[order]
    left, nearest = residuals(jnp.where(new[:, None], x.T[order], 0))
    left = jnp.broadcast_to(left[:, None], values[:, :-1].shape)
    features = jnp.stack([values[order, :-1], scores[order, :-1], left], axis=-1)
    features = jnp.where(new[:, None, None, None], features, 0)
    shows = (by_rank[:, None] == ascending[None]) & new[None]
    return Seen(jnp.moveaxis(features, 0, 2), nearest, shows, jnp.sum(new))


def two_ways(column: Float[Array, " N"], among: Ranking) -> tuple[Float[Array, "F N"], Float[Array, "F N"]]:
    """A column's standardised values and its normal scores by the rows of every fold."""
    counted = among.counted[:, : len(column)]
    number = jnp.sum(counted, axis=1, keepdims=True)
    centred = column[None] - jnp.sum(counted * column[None], axis=1, keepdims=True) / number
    centred = centred - jnp.sum(counted * centred, axis=1, keepdims=True) / number
    deviation = jnp.sqrt(jnp.sum(counted * centred**2, axis=1, keepdims=True) / number)
    standardised = jnp.where(deviation > 0, centred / jnp.where(deviation > 0, deviation, 1), 0)
    return jnp.clip(standardised, -FARTHEST, FARTHEST), scores_and_atom(column, among)[0]


def residuals(columns: Float[Array, "c N"]) -> tuple[Float[Array, "c N"], Int[Array, " c"]]:
    """What the column nearest to it leaves of every column, standardised, and which one that is.

    Two columns that go nearly together, such as the logits of two classes, may tell by their small difference what
    neither tells; networks are slow to learn that. What is left is 0 where the nearest is not near, or leaves nothing.
    """
    centred = columns - jnp.mean(columns, axis=1, keepdims=True)
    centred = centred - jnp.mean(centred, axis=1, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(centred**2, axis=1, keepdims=True))
    standardised = jnp.where(deviation > 0, centred / jnp.where(deviation > 0, deviation, 1), 0)
    together = jnp.matmul(standardised, standardised.T, precision=HIGHEST) / columns.shape[1]
    together = together * (1 - jnp.eye(len(columns)))
    nearest = jnp.argmax(together**2, axis=1)
    other = standardised[nearest]
    left = standardised
    for _ in range(2):
        left = left - jnp.mean(left * other, axis=1, keepdims=True) * other
    scale = jnp.sqrt(jnp.mean(left**2, axis=1, keepdims=True))
    near = (scale < NEAR) & (scale > ROUNDING)
    return jnp.where(near, jnp.clip(left / jnp.where(near, scale, 1), -FARTHEST, FARTHEST), 0), nearest


def _number(columns: Float[Array, "c N"], rows: int) -> UInt[Array, " c"]:
    """A number for every column that only equal columns share, but for one chance in 2³²; the same in any place.

    Sums of floats depend on the order in which they are added; sums of integers modulo 2³² do not.
    """
    weights = jax.random.bits(jax.random.key(0), (rows,), jnp.uint32) | jnp.uint32(1)
    bits = jax.lax.bitcast_convert_type(columns.astype(jnp.float32), jnp.uint32)
    return jnp.sum(bits * weights[None], axis=1, dtype=jnp.uint32)


def drawn_masks(key: Array, count: int, shows: Bool[Array, "n c"], with_none: bool = False) -> Float[Array, "count c"]:
    """Random subsets of the nodes, as masks of the columns that they show.

    The share of nodes in a subset is uniform between 0 and 1, so that small and large subsets are learned alike. Every
    second subset that would be empty holds the one node that came nearest, the others hold all. What a column draws
    depends on its place alone, so that columns without information change nothing.

    Args:
        key: of the subsets.
        count: of the subsets.
        shows: the columns that every node shows.
        with_none: whether empty subsets stay empty.
    """
    ours, shares = jax.random.split(key)
    drawn = jax.random.uniform(ours, (shows.shape[1], count)).T
    height = jnp.min(jnp.where(shows[None], drawn[:, None], 2.0), axis=2)  # of every node [count, n]
    share, coin = jax.random.uniform(shares, (2, count, 1))
    inside = height < share
    if not with_none:
        lowest = jnp.where(coin < 0.5, jnp.min(height, axis=1, keepdims=True), 1.0)
        inside = jnp.where(jnp.any(inside, axis=1, keepdims=True), inside, height <= lowest)
    return columns_shown(inside, shows)


def columns_shown(inside: Bool[Array, "*batch n"], shows: Bool[Array, "n c"]) -> Float[Array, "*batch c"]:
    """1 for the columns that some node of a subset shows, else 0."""
    return (inside.astype(jnp.float32) @ shows.astype(jnp.float32) > 0).astype(jnp.float32)


def inputs(
    features: Float[Array, "*batch c 3"],
    mask: Float[Array, "*batch c"],
    nearest: Int[Array, " c"],
    given: Float[Array, "*batch g"],
) -> Float[Array, "*batch d"]:
    """What goes into the network: what is shown of the columns, and what is given, which is never masked."""
    shown = shown_of(features, mask, mask[..., nearest])
    return jnp.concatenate([shown.reshape(*shown.shape[:-2], -1), given], axis=-1)


def shown_of(
    features: Float[Array, "*batch c 3"], mask: Float[Array, "*batch c"], of_nearest: Float[Array, "*batch c"]
) -> Float[Array, "*batch c 4"]:
    """Masked features and the mask. What the nearest column leaves of a column is shown if both are.

    Args:
        features: of the columns.
        mask: 1 for the columns that are there.
        of_nearest: the mask of the column nearest to each.
    """
    shown = features * jnp.stack([mask, mask, mask * of_nearest], axis=-1)
    return jnp.concatenate([shown, jnp.broadcast_to(mask[..., None], (*features.shape[:-1], 1))], axis=-1)


def node_columns(groups: Int[Array, " c"], shows: Bool[Array, "c k"], nodes: int) -> Bool[Array, "n k"]:
    """The distinct columns that every node shows.

    Args:
        groups: the node of every column of the layer.
        shows: see ``Seen``.
        nodes: n.
    """
    member = groups[None] == jnp.arange(nodes)[:, None]
    return jnp.any(member[:, :, None] & shows[None], axis=1)
