"""Gaussian node flows of layers whose 2ⁿ values are too many to keep: one message of one layer at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import cores, free_bytes
from jaxflow.errors import InputError
from jaxflow.flows import node_flows
from jaxflow.information.checks import checked
from jaxflow.information.gaussian import Groups, bits_about, node_sizes
from jaxflow.information.many import are_many, flows_about_many, memory_of_many, strata_of
from jaxflow.information.pairing import paired
from jaxflow.messages import Message
from jaxflow.programs import compiled

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


def gaussian_flows(
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    classes: int | None = None,
) -> ExactFlows:
    """``node_flows(gaussian(message, activations))`` without all layers' 2ⁿ values in memory at once.

    The decomposition of a layer is shared by its messages; then one message after another is taken through all
    subsets and only its flows are kept, so memory is ``memory_needed(n)`` whatever the number of layers and messages.
    A ``vmap`` around it would undo that; hand the batch in instead.

    Args:
        message: classes ``[..., N]`` or numbers ``[..., N]`` or ``[..., N, d]``, see ``gaussian``. The samples are axis
            −2 of the activations.
        activations: ``[..., N, n]``: samples on axis −2, columns on the last; axes before them are batches and
            broadcast against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``.
        given: what the information is conditioned on; by strata the maximum over subsets is taken after averaging.
        groups: for every column of the activations the number of its node, 0 … n − 1; each its own if not given.
        classes: K, if it is not to be counted. Integers that are being traced (under ``jit`` or ``vmap``) need it,
            or come as ``jaxflow.as_message`` made outside; traced floats are numbers unless K is given.

    Returns:
        Flows and witnesses by the rule of ``node_flows``, and the information of the whole layer.

    Raises:
        InputError: what ``gaussian`` refuses, a layer that does not fit into memory or a mask of 30 nodes.

    Example:
        >>> gaussian_flows([0, 0, 1, 1, 2, 2], [[0.0, 1], [0, 0], [1, 1], [1, 0], [1, 1], [1, 0]]).witness.tolist()
        [0, 0]
    """
    checks = checked(message, activations, given=given, groups=groups, classes=classes, most=MASK_NODES)
    x = checks.activations
    n, widest = max(checks.groups) + 1 if checks.groups else x.shape[-1], widest_exact(x.dtype.itemsize)
    if n > widest:
        raise InputError(f"2**{n} subsets of a layer do not fit into memory; up to {widest} nodes would")
    return _all_flows(checks.message, x, groups=checks.groups)


@compiled("groups", alone=True)
def stack_flows(layers: Float[Array, "S N c"], message: Message, groups: Groups = None) -> ExactFlows:
    """Flows of all layers about one message and its permutations, ``[S, P, ...]``, and witnesses of the first alone.

    Many messages of two classes share the directions of all subsets; others go through the recursion one by one.
    Whoever asks has seen to the memory.

    Args:
        layers: activations.
        message: ``values [P, N]`` or ``[P, N, d]``.
        groups: the node of every column.

    Returns:
        flow ``[S, P, n]``, witness ``[S, n]``, whole ``[S, P]``.
    """
    shared = are_many(message, layers.shape[-1], node_sizes(groups))

    def of_layer(layer: Array) -> ExactFlows:
        bits_of = bits_about(message, layer, groups)
        if not shared:
            flow, witness, whole = jax.lax.map(partial(_of_one, bits_of), message.values)
            return ExactFlows(flow, witness[0], whole)
        flow, whole = flows_about_many(message.values, strata_of(message, layer))
        return ExactFlows(flow, _of_one(bits_of, message.values[0]).witness, whole)

    return jax.lax.map(of_layer, layers)


def _of_one(bits_of: Callable[[Array], Array], values: Array) -> ExactFlows:
    """Flows about one message."""
    bits = bits_of(values[None])[0]
    return ExactFlows(*node_flows(bits), bits[-1])


def memory_needed(nodes: int, itemsize: int = 4) -> int:
    """Bytes that the exact flows of one layer take at their peak, besides its activations."""
    return VALUES_HELD * itemsize * 2**nodes


def widest_exact(itemsize: int = 4) -> int:
    """Nodes of the widest layer whose exact flows fit into the memory that is free now; 30 are the bits of a mask."""
    return min(MASK_NODES, (free_bytes() // (VALUES_HELD * itemsize)).bit_length() - 1)


def layers_together(nodes: int, strata: int = 1) -> int:
    """Layers whose exact flows, about many messages, fit into the memory that is free, up to one for each core."""
    return max(1, min(cores(), free_bytes() // max(memory_needed(nodes), memory_of_many(nodes, strata))))


@partial(jax.jit, static_argnames="groups")
def _all_flows(message: Message, activations: Float[Array, "*batch N c"], groups: Groups = None) -> ExactFlows:
    """One layer after another, and its messages one after another."""
    pairs = paired(message, activations)

    def flows_of(item: tuple[Array, Array]) -> ExactFlows:
        values, layer = item
        return jax.lax.map(partial(_of_one, bits_about(pairs.messages, layer, groups)), values)

    return jax.tree.map(pairs.placed, jax.lax.map(flows_of, (pairs.messages.values, pairs.layers)))
