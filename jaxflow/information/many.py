"""Flows of one layer about many messages of two classes, such as the permutations of one, in bounded memory.

What a node with those before it adds to a message is linear in the coordinates of the message, and its coefficients do
not look at the message (``recursion.directions``): of all subsets they are computed once. The subsets fall into blocks
that hold the same of the layer's first nodes. A block of subsets and some messages, which lie side by side, fits into a
core's cache, where bits and the gains by all nodes are one pass; the gains by the first nodes compare two blocks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import in_blocks, messages_together, nodes_in_cache
from jaxflow.information.columns import HIGHEST, Layer, decomposed, of_two_classes
from jaxflow.information.gaussian import MANY, bits_explained
from jaxflow.information.recursion import Sizes, block_directions, explained_along
from jaxflow.messages import Message

DIRECTION_BYTES = 2**29  # of the directions of all subsets


class Strata(NamedTuple):
    """A layer decomposed among the rows of every stratum ``[G]``, or among all rows as a single one.

    Attributes:
        layer: decomposed, ``[G, ...]``.
        rows: which belong to a stratum ``[G, N]``.
        share: of the rows ``[G]``.
    """

    layer: Layer
    rows: Array
    share: Array


def are_many(messages: Message, nodes: int, sizes: Sizes) -> bool:
    """Whether flows about so many messages of this kind come from directions, and these fit into memory.

    Args:
        messages: ``values [P, N]`` or ``[P, N, d]``.
        nodes: of the layer.
        sizes: how many columns each node has; None if one each.
    """
    of_numbers = messages.classes != 2 or (messages.given is not None and not messages.strata)
    fits = max(1, messages.strata) * _direction_bytes(nodes) <= DIRECTION_BYTES
    return len(messages.values) >= MANY and not of_numbers and sizes is None and fits


def memory_of_many(nodes: int, strata: int = 1) -> int:
    """Bytes that flows about many messages take at their peak, besides activations and messages."""
    directions = strata * _direction_bytes(nodes)
    return 0 if directions > DIRECTION_BYTES else 2 * directions + 4 * messages_together(nodes) * 2**nodes


def _direction_bytes(nodes: int) -> int:
    """Size of the directions of all subsets."""
    return 4 * nodes * 2**nodes


def strata_of(kind: Message, layer: Float[Array, "N n"]) -> Strata:
    """A layer decomposed as a message's ``given`` says."""
    if not kind.strata:
        whole = jax.tree.map(lambda a: a[None], decomposed(layer))
        return Strata(whole, jnp.ones((1, len(layer)), bool), jnp.ones(1, layer.dtype))
    rows = kind.given[None] == jnp.arange(kind.strata, dtype=kind.given.dtype)[:, None]
    number = jnp.sum(rows, axis=1, dtype=layer.dtype)  # rows that belong to no stratum do not count
    return Strata(jax.lax.map(lambda inside: decomposed(layer, inside), rows), rows, number / jnp.sum(number))


def flows_about_many(values: Int[Array, "P N"], strata: Strata) -> tuple[Float[Array, "P n"], Float[Array, " P"]]:
    """Node flows, and the information of the whole layer, about every message.

    Args:
        values: 0 and 1.
        strata: over which the information is averaged before the maximum over subsets is taken.
    """
    nodes = strata.layer.factor.shape[-1]
    inner = min(nodes, nodes_in_cache())
    first, blocks = jax.lax.map(lambda factor: block_directions(factor, inner), strata.layer.factor)
    blocks = jnp.moveaxis(blocks, 1, 0)

    def some(values: Array) -> tuple[Array, Array]:
        along, limit = jax.vmap(lambda layer, rows: of_two_classes(values, layer.basis, rows))(*strata[:2])
        return _largest_gains(blocks, along, jax.vmap(explained_along)(first, along), limit, strata.share)

    return in_blocks(some, values, messages_together(nodes))


def _largest_gains(
    blocks: Float[Array, "H G n W"],
    along: Float[Array, "G Q n"],
    before: Float[Array, "G Q H"],
    limit: Float[Array, "G Q"],
    share: Float[Array, " G"],
) -> tuple[Float[Array, "Q n"], Float[Array, " Q"]]:
    """The largest gains by every node, block by block, and the information of the last subset.

    Args:
        blocks: directions of the subsets of the last nodes, for all subsets of the first.
        along: coordinates of the messages.
        before: what the subsets of the first nodes explain.
        limit: bits that there are to know.
        share: of every stratum.
    """
    count, _, nodes, width = blocks.shape
    first, messages = count.bit_length() - 1, along.shape[1]

    def add(number: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        held, flow = state
        bits = _block_bits(blocks[number], along, before[:, :, number], limit, share)
        held = held.at[number].set(bits)
        without = number & ~(1 << jnp.arange(first, dtype=number.dtype))  # the block itself if it is without the node
        by_first = jax.lax.map(lambda other: jnp.max(bits - held[other], axis=0), without)
        by_last = jnp.stack([_largest_gain(bits, 2**node) for node in range(nodes - first)])
        return held, jnp.maximum(flow, jnp.concatenate([by_first, by_last]))

    nothing = jnp.zeros((count, width, messages), along.dtype), jnp.zeros((nodes, messages), along.dtype)
    held, flow = jax.lax.fori_loop(0, count, add, nothing)
    return flow.T, held[-1, -1]


def _block_bits(
    block: Float[Array, "G n W"],
    along: Float[Array, "G Q n"],
    before: Float[Array, "G Q"],
    limit: Float[Array, "G Q"],
    share: Float[Array, " G"],
) -> Float[Array, "W Q"]:
    """Bits about messages, side by side, of the subsets of a block."""
    added = jnp.matmul(block.mT, along.mT, precision=HIGHEST) ** 2
    explained = before[:, None]
    while (half := explained.shape[1]) < added.shape[1]:
        explained = jnp.concatenate([explained, explained + added[:, half : 2 * half]], axis=1)
    return jnp.sum(share[:, None, None] * bits_explained(explained, limit[:, None]), axis=0)


def _largest_gain(bits: Float[Array, "W Q"], size: int) -> Float[Array, " Q"]:
    """Of the subsets with the node of this bit over those without it."""
    pairs = bits.reshape(-1, 2, size, bits.shape[1])
    return jnp.max(pairs[:, 1] - pairs[:, 0], axis=(0, 1))
