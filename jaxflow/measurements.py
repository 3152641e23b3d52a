"""What is measured on a chunk of trained networks as they are, as arrays: information, flows and outputs.

Everything is one network's computation mapped over the networks, compiled once. An estimator that cannot run under
``jit`` gets activations as arrays, so that it may choose folds from the messages or leave JAX altogether.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.batching import ALONE, BRIEF, batched_map, on_all_cores
from jaxflow.flows import edge_flows, node_flows, null95_of_flows
from jaxflow.information import Advance, Estimate, Estimates, ExactFlows, LayerBits, subset_members
from jaxflow.information.estimates import ignore
from jaxflow.information.exact import layers_together
from jaxflow.networks import MLP, Params, forward, kernels
from jaxflow.outputs import Outputs, decision_measures, outputs_of
from jaxflow.tables import LISTED_NODES, Values

PERMUTATIONS = 20  # of the message, for the noise floor
BLOCK_BYTES = 2**28  # of information values that are held at once
NARROW = 4  # nodes of a layer that costs less to compute than to compile


class Fits(NamedTuple):
    """Fits behind every network's estimates about y and z, and how many of them did not converge, ``[S, 2]``."""

    total: np.ndarray
    unconverged: np.ndarray


class LayerFlows(NamedTuple):
    """Information and flows of one layer of networks ``[S]`` about both messages (axis of 2: y, z).

    Attributes:
        bits: ``[S, 2, 2**n]``, or ``[S, 2, 0]`` of a layer too wide to list.
        node: ``[S, 2, n]``.
        witness: ``[S, 2, n]`` bitmasks.
        null95: ``[S, 2]``, NaN where the messages come without permutations.
    """

    bits: Any
    node: Any
    witness: Any
    null95: Any


class Flows(NamedTuple):
    """What is measured on unpruned networks ``[S]``.

    Attributes:
        layers: information and node flows by layer.
        edge: edge flows ``[S, 2, n, m]`` by layer, of all but the output.
        outputs: fields ``[S]``.
        start: activations of the first analysed layer ``[S, N, n]``, where interventions begin.
        draws: hyperparameters chosen for the output ``[S, 2, 5]``; None without a search.
        fits: of all layers.
    """

    layers: dict[int, LayerFlows]
    edge: dict[int, Array]
    outputs: Outputs
    start: Any
    draws: Any
    fits: Fits


def permuted_within(key: Array, messages: Int[Array, "K N"], groups: Any) -> Int[Array, "P K N"]:
    """The messages, and permutations of each for the noise floor, the same for all networks.

    Args:
        key: of the permutations.
        messages: 0/1.
        groups: ``[K, N]``, rows change places only within their group (within a fold, so that folds and ranks serve
            all permutations); None for no permutations.
    """
    if groups is None:
        return messages[None]
    return _permuted(key, messages, jnp.asarray(groups))


@partial(jax.jit, compiler_options=BRIEF)
def _permuted(key: Array, messages: Int[Array, "K N"], groups: Int[Array, "K N"]) -> Int[Array, "P K N"]:
    """``permuted_within``."""
    keys = jax.random.split(key, (PERMUTATIONS, len(messages)))

    def permuted(key: Array, message: Array, group: Array) -> Array:
        shuffled = jnp.lexsort((jax.random.bits(key, message.shape), group))
        return jnp.zeros_like(message).at[jnp.argsort(group, stable=True)].set(message[shuffled])

    each = jax.vmap(jax.vmap(permuted), (0, None, None))(keys, messages, groups)
    return jnp.concatenate([messages[None], each])


def measure_flows(
    params: Params,
    x: Float[Array, "N d"],
    messages: Int[Array, "P 2 N"],
    network: MLP,
    first_layer: int,
    estimate: Estimate,
    advance: Advance = ignore,
    exact: Callable[..., ExactFlows] | None = None,
    layer_bits: LayerBits | None = None,
) -> Flows:
    """Information, node and edge flows with noise floor, and outputs, of networks stacked on axis 0 of ``params``.

    An estimator that runs under ``jit`` is compiled together with the networks, from inputs to node flows. The others
    get arrays; of networks without embeddings the input layer is then the same for all and estimated once.

    Args:
        params: stacked parameters of ``network``.
        x: inputs.
        messages: y and z, and permutations of them.
        network: architecture.
        first_layer: where the analysis begins.
        estimate: of information.
        advance: told how many (network, message, subset) are done.
        exact: flows of layers too wide to list, see ``EstimatorSpec``.
        layer_bits: the estimator under ``jit``, if it can, see ``EstimatorSpec``.
    """
    values = messages.astype(x.dtype)
    show = partial(_shown, x=x, messages=messages, network=network, first_layer=first_layer, layer_bits=layer_bits)
    kept, layers, measured = on_all_cores(show, params)
    for own in layers.values():
        advance(own.bits[0].size * len(own.bits))
    fits, draws = [], None
    for layer in sorted(set(kept) - set(layers)) if layer_bits else sorted(kept):
        own = kept[layer][:1] if layer == 0 and not network.categories else kept[layer]
        found, draws, spent = _layer_flows(own, values, estimate, advance, exact)
        layers[layer], *shared = jax.tree.map(partial(_for_all, len(kept[layer])), (found, spent))
        fits += shared
    if layer_bits is None:
        measured = outputs_of(jnp.asarray(layers[max(layers)].bits[..., -1]), measured, messages[0])
    weights = {layer: kernel for layer, kernel in enumerate(kernels(params)) if layer in layers}
    edge = _edge_flows({layer: layers[layer].node for layer in weights}, weights)
    none = Fits(*np.zeros((2, len(kept[first_layer]), 2), int))
    total = jax.tree.map(lambda *n: sum(n), none, *fits)
    return Flows({layer: layers[layer] for layer in sorted(layers)}, edge, measured, kept[first_layer], draws, total)


@jax.jit
def _edge_flows(node: dict[int, Any], weights: dict[int, Any]) -> dict[int, Array]:
    """Edge flows of every network about both messages, layer → ``[S, 2, n, m]``."""
    each = jax.vmap(jax.vmap(edge_flows, (0, None)))
    return {layer: each(node[layer], kernel) for layer, kernel in weights.items()}


def _for_all(networks: int, values: Any) -> Any:
    """What was estimated once, for every network."""
    return np.broadcast_to(values, (networks, *values.shape[1:])) if len(values) != networks else values


@partial(jax.jit, static_argnames=("network", "first_layer", "layer_bits"), compiler_options=ALONE)
def _shown(
    params: Params,
    x: Float[Array, "N d"],
    messages: Int[Array, "P 2 N"],
    network: MLP,
    first_layer: int,
    layer_bits: LayerBits | None,
) -> tuple[dict[int, Array], dict[int, LayerFlows], Any]:
    """Activations, flows and outputs of every network.

    With ``layer_bits``: activations of the first analysed layer and of those too wide to list, flows of the others, and
    outputs. Without: activations of all analysed layers, no flows, and the measures of the decisions.
    """

    def one(params: Params, x: Array, messages: Array) -> tuple[dict[int, Array], dict[int, LayerFlows], Any]:
        activations = dict(enumerate(forward(network, params, x)))
        analysed = {layer: own for layer, own in activations.items() if layer >= first_layer}
        logits = activations[len(activations) - 1]
        if layer_bits is None:
            return analysed, {}, decision_measures(logits, messages[0])
        listed = {layer: own for layer, own in analysed.items() if own.shape[1] <= LISTED_NODES}
        kept = {layer: own for layer, own in analysed.items() if layer == first_layer or layer not in listed}
        flows = _listed_flows(listed, messages, layer_bits)
        whole = flows[len(activations) - 1].bits[:, -1]
        return kept, flows, outputs_of(whole, decision_measures(logits, messages[0]), messages[0])

    listed = [width for width in network.widths if width <= LISTED_NODES]
    item_bytes = 8 * x.shape[0] * sum(network.widths) + 16 * messages[..., 0].size * sum(2**n for n in listed)
    return batched_map(one, params, item_bytes, x, messages)


def _listed_flows(
    layers: dict[int, Float[Array, "N _"]], messages: Int[Array, "P 2 N"], layer_bits: LayerBits
) -> dict[int, LayerFlows]:
    """Flows of one network's layers, fields without the axis S; layers of equal width share one trace.

    Layers of up to ``NARROW`` nodes count as equally wide: constant nodes are added to them, which carry nothing.
    """
    groups: dict[int, list[int]] = {}
    for layer, own in layers.items():
        groups.setdefault(max(own.shape[1], NARROW), []).append(layer)
    about = messages.reshape(-1, messages.shape[-1]).astype(jnp.float32)
    found = {}
    for members in groups.values():
        nodes = max(layers[layer].shape[1] for layer in members)
        stacked = jnp.stack(
            [jnp.pad(layers[layer], ((0, 0), (0, nodes - layers[layer].shape[1]))) for layer in members]
        )
        bits = jax.vmap(partial(layer_bits, about))(stacked).reshape(len(members), *messages.shape[:2], -1)
        found |= {layer: _layer_of(own, layers[layer].shape[1]) for layer, own in zip(members, bits, strict=True)}
    return found


def _layer_of(bits: Float[Array, "P 2 T"], nodes: int) -> LayerFlows:
    """Flows of a layer's own nodes from bits that list constant ones after them."""
    flow, witness = node_flows(bits[..., : 2**nodes])
    return LayerFlows(bits[0, :, : 2**nodes], flow[0], witness[0], _null95(flow[1:]))


def _layer_flows(
    layer: Float[Values, "S N n"],
    messages: Float[Array, "P 2 N"],
    estimate: Estimate,
    advance: Advance,
    exact: Callable[..., ExactFlows] | None = None,
) -> tuple[LayerFlows, Any, Fits]:
    """Flows in one layer, the draws of the whole layer and the fits, in blocks of networks."""
    if exact is not None and layer.shape[-1] > LISTED_NODES:
        return _exact_layer_flows(layer, messages, exact, advance), None, Fits(*np.zeros((2, len(layer), 2), int))
    members = subset_members(layer.shape[-1])
    width = max(1, BLOCK_BYTES // (8 * messages[..., 0].size * len(members)))
    found = []
    for start in range(0, len(layer), width):
        estimates = estimate(jnp.asarray(layer[start : start + width]), messages, members, advance=advance)
        own = _node_flows(jnp.asarray(estimates.bits, layer.dtype))
        whole = None if estimates.draws is None else estimates.draws[:, :, -1]
        found.append((own, whole, fits_of(estimates)))
    return jax.tree.map(lambda *blocks: np.concatenate(blocks), *found)


def _exact_layer_flows(
    layer: Float[Values, "S N n"], messages: Float[Array, "P 2 N"], exact: Callable[..., ExactFlows], advance: Advance
) -> LayerFlows:
    """Flows in one wide layer, as many networks at a time as there are cores and memory."""
    nodes, found = layer.shape[-1], []
    width = layers_together(nodes)
    for start in range(0, len(layer), width):
        flows = on_all_cores(partial(exact, messages=messages), layer[start : start + width])
        found.append(jax.tree.map(np.asarray, flows))
        advance(len(flows.flow) * messages.shape[1] * 2**nodes)
    flow, witness, _ = jax.tree.map(lambda *blocks: jnp.concatenate(blocks), *found)
    nothing = np.zeros((*flow.shape[::2], 0), flow.dtype)
    return LayerFlows(nothing, flow[:, 0], witness[:, 0], _null95(jnp.swapaxes(flow[:, 1:], 0, 1)))


@jax.jit
def _node_flows(bits: Float[Array, "P S 2 T"]) -> LayerFlows:
    """Node flows and noise floor from the bits about the messages and their permutations."""
    flow, witness = node_flows(bits)
    kept = bits[0] if bits.shape[-1] <= 2**LISTED_NODES else bits[0, ..., :0]
    return LayerFlows(kept, flow[0], witness[0], _null95(flow[1:]))


def _null95(flow: Float[Array, "permutations *S 2 n"]) -> Float[Array, "*S 2"]:
    """Noise floor, NaN without permutations."""
    return null95_of_flows(flow) if len(flow) else jnp.full(flow.shape[1:-1], jnp.nan)


def fits_of(estimates: Estimates) -> Fits:
    """The fits behind estimates, summed over subsets; the empty one needs none."""
    layers, messages, subsets = estimates.bits.shape[1:]
    count = np.full((layers, messages), estimates.fits * max(1, subsets - 1))
    return Fits(count, np.broadcast_to(estimates.unconverged, (layers, messages, subsets)).sum(axis=-1))
