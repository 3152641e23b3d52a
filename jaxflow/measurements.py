"""What is measured on a chunk of trained networks, as arrays: information and flows, tradeoff, dependence.

Activations, pruned logits and flows are one network's computation mapped over the networks, compiled once. The
estimator sees activations as arrays, so that it may choose folds from the messages or leave JAX altogether.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.analyses import LISTED_NODES, Values
from jaxflow.batching import ALONE, BRIEF, batched_map, on_all_cores
from jaxflow.flows import edge_flows, node_flows, null95_of_flows
from jaxflow.information import Advance, Estimate, Estimates, ExactFlows, LayerBits, subset_members
from jaxflow.information.estimates import ignore
from jaxflow.information.exact import layers_together
from jaxflow.interventions import (
    Scores,
    Strategy,
    edge_ranks,
    flow_scores,
    magnitude_scores,
    prune,
    random_scores,
    select,
)
from jaxflow.networks import MLP, Params, forward, kernels, tail_params
from jaxflow.outputs import Outputs, decision_measures, outputs_of, traced_outputs
from jaxflow.removals import logits_without

PERMUTATIONS = 20  # of the message, for the noise floor
MOST_TOGETHER = 32  # interventions by factors in one call
BLOCK_BYTES = 2**28  # of information values that are held at once
FEW_EDGES = 256  # that are removed by the program of the sweep
NARROW = 4  # nodes of a layer that costs less to compute than to compile


class Fits(NamedTuple):
    """Fits behind every network's estimates about y and z, and how many of them did not converge, ``[S, 2]``."""

    total: np.ndarray
    unconverged: np.ndarray


class Interventions(NamedTuple):
    """Interventions on every network, one a row: weights chosen by rank, or one edge, are multiplied by a factor.

    Attributes:
        ranking: number of the ranking ``[G]``.
        level: edges of rank below it are chosen ``[G]``.
        factor: what they are multiplied by ``[G]``.
        edge: one more edge (layer, source, target) ``[G, 3]``; a layer that is not there for none.
    """

    ranking: Any
    level: Any
    factor: Any
    edge: Any


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
        found.append((own, whole, _fits(estimates)))
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


def _fits(estimates: Estimates) -> Fits:
    """Summed over subsets; the empty one needs none."""
    layers, messages, subsets = estimates.bits.shape[1:]
    count = np.full((layers, messages), estimates.fits * max(1, subsets - 1))
    return Fits(count, np.broadcast_to(estimates.unconverged, (layers, messages, subsets)).sum(axis=-1))


@partial(jax.jit, static_argnames=("strategies", "samples", "first_layer"), compiler_options=BRIEF)
def strategy_ranks(
    keys: Array,
    params: Params,
    node: dict[int, Array],
    strategies: tuple[Strategy, ...],
    samples: int,
    first_layer: int,
) -> Int[Array, "S K L W W"]:
    """Rank of every edge under every strategy, for networks with the keys ``[S]``: below the level it is chosen.

    Args:
        keys: of the random control.
        params: stacked parameters.
        node: node flows, layer → ``[S, 2, n]``.
        strategies: what to rank by; strategies of one metric and method share one ranking.
        samples: N of the flows' estimate.
        first_layer: where interventions begin.
    """

    def one(item: tuple[Array, Params, dict[int, Array]]) -> Array:
        key, params, node = item
        weights = kernels(tail_params(params, first_layer))
        layers = range(first_layer, first_layer + len(weights))
        flow_y, flow_z = ([node[layer][message] for layer in layers] for message in (0, 1))
        pairs = {"bias/acc": (flow_z, flow_y), "acc/bias": (flow_y, flow_z)}

        def scores(metric: str, method: str) -> Scores:
            if metric == "random":
                return random_scores(key, method, weights)
            if metric == "magnitude":
                return magnitude_scores(method, weights)
            return flow_scores(method, *pairs[metric], weights, samples)

        ranks = {}
        for method in dict.fromkeys(strategy.method for strategy in strategies):
            metrics = list(dict.fromkeys(strategy.metric for strategy in strategies if strategy.method == method))
            most = max(strategy.level for strategy in strategies if strategy.method == method)
            stacked = jax.tree.map(lambda *fields: jnp.stack(fields), *(scores(metric, method) for metric in metrics))
            ranked = jax.vmap(partial(edge_ranks, method, inputs=weights[0].shape[0], most=most))(stacked)
            ranks |= {(metric, method): own for metric, own in zip(metrics, ranked, strict=True)}
        return jnp.stack([ranks[strategy[:2]] for strategy in strategies])

    return jax.vmap(one)((keys, params, node))


def measure_interventions(
    params: Params,
    start: Float[Values, "S N n"],
    ranks: Int[Values, "S K L W W"],
    levels: Sequence[int],
    factors: Sequence[float],
    unpruned: Outputs,
    messages: Int[Array, "2 N"],
    network: MLP,
    estimate: Estimate,
    draws: Any = None,
    width: int = MOST_TOGETHER,
    advance: Advance = ignore,
    layer_bits: LayerBits | None = None,
) -> tuple[Outputs, Fits]:
    """Outputs of all networks after every intervention and factor, fields ``[S, K, F]``, and the fits behind them.

    Of the output layer only the whole is estimated; a factor of 1 is no intervention.

    Args:
        params: stacked parameters of ``network``, which begins at the first analysed layer.
        start: activations of that layer.
        ranks: of the edges under every intervention.
        levels: edges of rank below it are multiplied by the factor.
        factors: what they are multiplied by.
        unpruned: outputs of the networks as they are, fields ``[S]``.
        messages: y and z.
        network: architecture.
        estimate: of information.
        draws: hyperparameters to keep, ``[S, 2, 5]``; None searches them anew.
        width: interventions by factors that are measured together.
        advance: told how many (network, intervention, factor, message) are done.
        layer_bits: the estimator under ``jit``, if it can: all of it is then one program, which keeps no logits.
    """
    pairs = np.array([(k, f) for k, f in product(range(len(levels)), range(len(factors))) if factors[f] != 1], int)
    k, f = pairs.reshape(-1, 2).T
    nowhere = np.tile([ranks.shape[2], 0, 0], (len(pairs), 1))
    rows = Interventions(k, np.array(levels, int)[k], np.array(factors, start.dtype)[f], nowhere)
    apply = partial(_pruned, messages=messages, network=network, layer_bits=layer_bits)
    found, fits = _in_groups(apply, (params, start, ranks), rows, width, messages, estimate, draws, advance)
    measured = jax.tree.map(lambda field: np.tile(field[:, None, None], (1, len(levels), len(factors))), unpruned)
    for field, values in zip(measured, found, strict=True):
        field[:, k, f] = values
    return measured, fits


def measure_removals(
    params: Params,
    start: Float[Values, "S N n"],
    edges: Int[np.ndarray, "E 3"],
    messages: Int[Array, "2 N"],
    network: MLP,
    estimate: Estimate,
    draws: Any = None,
    width: int = MOST_TOGETHER,
    advance: Advance = ignore,
    layer_bits: LayerBits | None = None,
    ranks: Int[Values, "S K L W W"] | None = None,
) -> tuple[Outputs, Fits]:
    """Outputs of all networks with every edge alone removed, fields ``[S, E]``, and the fits behind them.

    What ``measure_interventions`` measures at factor 0. Few edges are removed by its program, if that has been compiled
    for these ``ranks``; many, in deep networks, from the edge's layer on.

    Args:
        params: stacked parameters of ``network``, which begins at the first analysed layer.
        start: activations of that layer.
        edges: (layer, source, target), layer 0 the first analysed one.
        messages: y and z.
        network: architecture.
        estimate: of information.
        draws: hyperparameters to keep, ``[S, 2, 5]``; None searches them anew.
        width: edges that are measured together.
        advance: told how many (network, edge, message) are done.
        layer_bits: as in ``measure_interventions``.
        ranks: as in ``measure_interventions``, to share its program; their values play no part.
    """
    if ranks is None or len(edges) > FEW_EDGES:
        remove = partial(_removed, messages=messages, network=network, layer_bits=layer_bits)
        return _in_groups(remove, (params, start), edges, width, messages, estimate, draws, advance)
    none = np.zeros(len(edges), int)
    rows = Interventions(none, none, np.zeros(len(edges), start.dtype), edges)
    apply = partial(_pruned, messages=messages, network=network, layer_bits=layer_bits)
    return _in_groups(apply, (params, start, ranks), rows, width, messages, estimate, draws, advance)


def _in_groups(
    apply: Callable[..., Any],
    items: Any,
    rows: Any,
    width: int,
    messages: Int[Array, "2 N"],
    estimate: Estimate,
    draws: Any,
    advance: Advance,
) -> tuple[Outputs, Fits]:
    """Outputs under every intervention, fields ``[S, G]``, ``width`` of them at a time, and the fits behind them.

    Args:
        apply: compiled, of items and ``width`` of the rows: what is seen of the networks then, see ``_seen``.
        items: of the networks, with a leading axis S.
        rows: of the interventions, a pytree with a leading axis G.
        width: interventions in one call.
        messages: y and z.
        estimate: of information.
        draws: hyperparameters to keep.
        advance: told how many (network, intervention, message) are done.
    """
    count, networks = len(jax.tree.leaves(rows)[0]), len(items[1])
    found = [Outputs(*np.zeros((len(Outputs._fields), networks, 0), np.float32))]
    fits = [Fits(*np.zeros((2, networks, 2), int))]
    for begin in range(0, count, width):
        own = jax.tree.map(lambda a, begin=begin: a[begin : begin + width], rows)
        size = len(jax.tree.leaves(own)[0])
        filled = jax.tree.map(partial(_filled, width=width), own)
        seen = on_all_cores(lambda items, filled=filled: apply(items, filled), items)
        outputs, spent = _estimated(seen, size, messages, estimate, draws, advance)
        found.append(outputs)
        fits.append(spent)
    joined = jax.tree.map(lambda *fields: np.concatenate(fields, axis=1), *found)
    return joined, jax.tree.map(lambda *n: sum(n), *fits)


def _filled(rows: np.ndarray, width: int) -> np.ndarray:
    """Pad to ``width`` rows by repeating the last, so that all groups share one compilation."""
    return rows[np.minimum(np.arange(width), len(rows) - 1)]


def _estimated(
    measured: Outputs | tuple[Any, Any],
    count: int,
    messages: Int[Array, "2 N"],
    estimate: Estimate,
    draws: Any,
    advance: Advance,
) -> tuple[Outputs, Fits]:
    """Outputs of networks under the first ``count`` of G interventions, ``[S, count]``, and the fits behind them.

    Args:
        measured: outputs ``[S, G]``; or logits ``[S, G, N, 2]``, to be estimated, and decisions ``[S, G, 5]``.
        count: interventions that are asked for.
        messages: y and z.
        estimate: of information.
        draws: hyperparameters to keep.
        advance: told how many (network, intervention, message) are done.
    """
    measured = jax.tree.map(lambda a: np.asarray(a)[:, :count], measured)
    networks = len(measured[0])
    if isinstance(measured, Outputs):
        advance(2 * networks * count)
        return measured, Fits(*np.zeros((2, networks, 2), int))
    logits, decisions = measured
    flat = jnp.asarray(logits.reshape(-1, *logits.shape[2:]))
    kept = None if draws is None else np.repeat(draws, count, axis=0)
    found = estimate(flat, messages[None].astype(flat.dtype), np.ones((1, 2), bool), draws=kept, advance=advance)
    bits = np.asarray(found.bits[0, :, :, 0], flat.dtype).reshape(networks, count, 2)
    spent = jax.tree.map(lambda n: n.reshape(networks, count, 2).sum(axis=1), _fits(found))
    return outputs_of(jnp.asarray(bits), jnp.asarray(decisions), messages), spent


def group_width(*counts: int) -> int:
    """The width of groups that wastes least on filling up the last; one for all counts, so that all share a trace.

    Args:
        counts: interventions by factors.
    """
    return min(range(MOST_TOGETHER, 0, -1), key=lambda width: sum(-(-count // width) * (width + 1) for count in counts))


@partial(jax.jit, static_argnames=("network", "layer_bits"), compiler_options=ALONE)
def _pruned(
    items: tuple[Params, Float[Array, "S N n"], Int[Array, "S K L W W"]],
    rows: Interventions,
    messages: Int[Array, "2 N"],
    network: MLP,
    layer_bits: LayerBits | None,
) -> Any:
    """What networks show after every intervention, ``[S, G, ...]``: see ``_seen``."""

    def one(item: tuple[Params, Array, Array], rows: Interventions, messages: Array) -> Any:
        own, begin, ranks = item

        def pruned(row: Interventions) -> Any:
            chosen = ranks[row.ranking].at[tuple(row.edge)].set(-1, mode="drop")
            params = prune(own, select(own, chosen, row.level), row.factor)
            return _seen(forward(network, params, begin)[-1], messages, layer_bits)

        return jax.vmap(pruned)(rows)

    item_bytes = 8 * len(rows.level) * items[1].shape[1] * sum(network.widths)
    return batched_map(one, items, item_bytes, rows, messages)


@partial(jax.jit, static_argnames=("network", "layer_bits"), compiler_options=ALONE)
def _removed(
    items: tuple[Params, Float[Array, "S N n"]],
    edges: Int[Array, "G 3"],
    messages: Int[Array, "2 N"],
    network: MLP,
    layer_bits: LayerBits | None,
) -> Any:
    """What networks show without each of the edges, ``[S, G, ...]``: see ``_seen``."""

    def one(item: tuple[Params, Array], edges: Array, messages: Array) -> Any:
        logits = logits_without(network, *item, edges)
        return jax.vmap(partial(_seen, messages=messages, layer_bits=layer_bits))(logits)

    samples, inputs = items[1].shape[1:]
    item_bytes = 4 * samples * (inputs + max(network.widths) * (len(network.widths) + 2 * len(edges)))
    return batched_map(one, items, item_bytes, edges, messages)


def _seen(logits: Float[Array, "N 2"], messages: Int[Array, "2 N"], layer_bits: LayerBits | None) -> Any:
    """The outputs of one network; for an estimator that must see arrays the logits, and what its decisions measure."""
    if layer_bits is None:
        return logits, decision_measures(logits, messages)
    return traced_outputs(logits, messages, layer_bits)
