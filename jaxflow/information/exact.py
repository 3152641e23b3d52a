"""Gaussian node flows of layers whose 2ⁿ values are too many to keep: one message of one layer at a time."""

from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import cores, free_bytes
from jaxflow.errors import InputError
from jaxflow.flows import node_flows
from jaxflow.information.checks import checked_inputs
from jaxflow.information.gaussian import decomposed, projected, subset_bits

MASK_NODES = 30  # bits of an int32 witness
VALUES_HELD = 4  # arrays of 2ⁿ values at the peak: two on a CPU, and room for devices that copy more


class ExactFlows(NamedTuple):
    """Flows of a layer about messages ``[...]``.

    Attributes:
        flow: node flows in bits, ``[..., n]``.
        witness: the subsets that attain them, int32 bitmasks ``[..., n]``.
        whole: I(M; X) of the whole layer in bits, ``[...]``.
    """

    flow: Float[Array, "*batch n"]
    witness: Int[Array, "*batch n"]
    whole: Float[Array, "*batch"]


def gaussian_flows(message: ArrayLike, activations: ArrayLike) -> ExactFlows:
    """``node_flows(gaussian(message, activations))`` without all layers' 2ⁿ values in memory at once.

    The decomposition of a layer is shared by its messages; then one message after another is taken through all
    subsets and only its flows are kept, so memory is ``memory_needed(n)`` whatever the number of layers and messages.
    A ``vmap`` around it would undo that; hand the batch in instead.

    Args:
        message: binary, ``[..., N]``. Its last axis, the samples, is axis −2 of the activations.
        activations: ``[..., N, n]``: samples on axis −2, nodes on the last; axes before them are batches and broadcast
            against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``.

    Returns:
        Flows and witnesses by the rule of ``node_flows``, and the information of the whole layer.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a message that is not 0/1, NaN, infinity or
            masked values, a layer that does not fit into memory or a mask of 30 nodes.
    """
    message, activations = checked_inputs(message, activations, MASK_NODES)
    n, widest = activations.shape[-1], widest_exact(activations.dtype.itemsize)
    if n > widest:
        raise InputError(f"2**{n} subsets of a layer do not fit into memory; up to {widest} nodes would")
    return _all_flows(message, activations)


def stack_flows(layers: Float[Array, "S N n"], messages: Float[Array, "P K N"]) -> ExactFlows:
    """Flows of all layers about all messages, fields ``[S, P, K, ...]``; whoever asks has seen to the memory."""
    return _all_flows(messages[None], layers[:, None, None])


def memory_needed(nodes: int, itemsize: int = 4) -> int:
    """Bytes that the exact flows of one layer take at their peak, besides its activations."""
    return VALUES_HELD * itemsize * 2**nodes


def widest_exact(itemsize: int = 4) -> int:
    """Nodes of the widest layer whose exact flows fit into the memory that is free now; 30 are the bits of a mask."""
    return min(MASK_NODES, (free_bytes() // (VALUES_HELD * itemsize)).bit_length() - 1)


def layers_together(nodes: int) -> int:
    """Layers whose exact flows fit into the memory that is free, up to one for each core."""
    return max(1, min(cores(), free_bytes() // memory_needed(nodes)))


@jax.jit
def _all_flows(message: Float[Array, "*batch N"], activations: Float[Array, "*batch2 N n"]) -> ExactFlows:
    """Axes along which there is one layer only go to its messages."""
    layers = activations.shape[:-2]
    batch = jnp.broadcast_shapes(message.shape[:-1], layers)
    order = sorted(range(len(batch)), key=lambda axis: layers[axis] == 1)
    places = [order.index(axis) for axis in range(len(batch))]
    x = activations.reshape(prod(layers), *activations.shape[-2:])
    m = jnp.broadcast_to(message, (*batch, message.shape[-1])).transpose(*order, len(batch))
    found = jax.lax.map(_layer_flows, (m.reshape(len(x), -1, m.shape[-1]), x))

    def placed(a: Array) -> Array:
        a = a.reshape(*(batch[axis] for axis in order), *a.shape[2:])
        return a.transpose(*places, *range(len(batch), a.ndim))

    return jax.tree.map(placed, found)


def _layer_flows(item: tuple[Float[Array, "K N"], Float[Array, "N n"]]) -> ExactFlows:
    """Flows of one layer about each of its messages."""
    messages, activations = item
    basis, factor = decomposed(activations)

    def one(message: Array) -> ExactFlows:
        bits = subset_bits(factor, *projected(message, basis))
        return ExactFlows(*node_flows(bits), bits[-1])

    return jax.lax.map(one, messages)
