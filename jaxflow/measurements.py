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

from jaxflow.analyses import LISTED_NODES, Outputs, decision_measures, outputs, pruned_logits
from jaxflow.batching import ALONE, BRIEF, batched_map, on_all_cores
from jaxflow.flows import edge_flows, node_flows, null95_of_flows
from jaxflow.information import Advance, Estimate, Estimates, ExactFlows, subset_members
from jaxflow.information.estimates import ignore
from jaxflow.information.exact import layers_together
from jaxflow.interventions import (
    Scores,
    Strategy,
    edge_ranks,
    flow_scores,
    magnitude_scores,
    random_scores,
    select,
)
from jaxflow.networks import MLP, Params, forward, kernels, tail_params
from jaxflow.removals import logits_without

PERMUTATIONS = 20  # of the message, for the noise floor
MOST_TOGETHER = 32  # interventions by factors in one call
BLOCK_BYTES = 2**28  # of information values that are held at once


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
) -> Flows:
    """Information, node and edge flows with noise floor, and outputs, of networks stacked on axis 0 of ``params``.

    The input layer of networks without embeddings is the same for all and estimated once.

    Args:
        params: stacked parameters of ``network``.
        x: inputs.
        messages: y and z, and permutations of them.
        network: architecture.
        first_layer: where the analysis begins.
        estimate: of information.
        advance: told how many (network, message, subset) are done.
        exact: flows of layers too wide to list, see ``EstimatorSpec``.
    """
    activations = dict(enumerate(_activations(params, x, network)))
    values = messages.astype(x.dtype)
    layers, fits, draws = {}, [], None
    for layer in range(first_layer, len(activations)):
        own = activations[layer][:1] if layer == 0 and not network.categories else activations[layer]
        found, draws, spent = _layer_flows(own, values, estimate, advance, exact)
        layers[layer], *shared = jax.tree.map(partial(_for_all, len(activations[layer])), (found, spent))
        fits += shared
    weights = {layer: kernel for layer, kernel in enumerate(kernels(params)) if layer in layers}
    edge = {layer: _edge_flows(layers[layer].node, kernel) for layer, kernel in weights.items()}
    decisions = jax.vmap(decision_measures, (0, None))(activations[len(activations) - 1], messages[0])
    measured = outputs(jnp.asarray(layers[len(activations) - 1].bits[..., -1]), decisions, messages[0])
    return Flows(layers, edge, measured, activations[first_layer], draws, jax.tree.map(lambda *n: sum(n), *fits))


@jax.jit
def _edge_flows(node: Float[Array, "S 2 n"], kernel: Float[Array, "S n m"]) -> Float[Array, "S 2 n m"]:
    """Edge flows of every network about both messages."""
    return jax.vmap(jax.vmap(edge_flows, (0, None)))(node, kernel)


def _for_all(networks: int, values: Any) -> Any:
    """What was estimated once, for every network."""
    return np.broadcast_to(values, (networks, *values.shape[1:])) if len(values) != networks else values


@partial(jax.jit, static_argnames=("network",))
def _activations(params: Params, x: Float[Array, "N d"], network: MLP) -> tuple[Float[Array, "S N _"], ...]:
    """Activations of every layer of every network."""
    return batched_map(partial(forward, network), params, 8 * x.shape[0] * sum(network.widths), x)


def _layer_flows(
    layer: Float[Array, "S N n"],
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
        estimates = estimate(layer[start : start + width], messages, members, advance=advance)
        own = _node_flows(jnp.asarray(estimates.bits, layer.dtype))
        whole = None if estimates.draws is None else estimates.draws[:, :, -1]
        found.append((own, whole, _fits(estimates)))
    return jax.tree.map(lambda *blocks: np.concatenate(blocks), *found)


def _exact_layer_flows(
    layer: Float[Array, "S N n"], messages: Float[Array, "P 2 N"], exact: Callable[..., ExactFlows], advance: Advance
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


def _null95(flow: Float[Array, "permutations S 2 n"]) -> Float[Array, "S 2"]:
    """Noise floor, NaN without permutations."""
    return null95_of_flows(flow) if len(flow) else jnp.full(flow.shape[1:3], jnp.nan)


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
    start: Float[Array, "S N n"],
    ranks: Int[Array, "S K L W W"],
    levels: Sequence[int],
    factors: Sequence[float],
    unpruned: Outputs,
    messages: Int[Array, "2 N"],
    network: MLP,
    estimate: Estimate,
    draws: Any = None,
    width: int = MOST_TOGETHER,
    advance: Advance = ignore,
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
    """
    pairs = np.array([(k, f) for k, f in product(range(len(levels)), range(len(factors))) if factors[f] != 1], int)
    prune = partial(_pruned, messages=messages, network=network)
    measured = jax.tree.map(lambda field: np.tile(field[:, None, None], (1, len(levels), len(factors))), unpruned)
    fits = [Fits(*np.zeros((2, len(start), 2), int))]
    for own in (pairs[begin : begin + width] for begin in range(0, len(pairs), width)):
        k, f = _filled(own, width).T
        values = jnp.asarray(np.array(levels)[k]), jnp.asarray(np.array(factors)[f], start.dtype)
        pruned = on_all_cores(lambda items, values=values: prune(items, *values), (params, start, ranks[:, k]))
        found, spent = _estimated(pruned, len(own), messages, estimate, draws, advance)
        for field, values in zip(measured, found, strict=True):
            field[:, *own.T] = values
        fits.append(spent)
    return measured, jax.tree.map(lambda *n: sum(n), *fits)


def measure_removals(
    params: Params,
    start: Float[Array, "S N n"],
    edges: Int[np.ndarray, "E 3"],
    messages: Int[Array, "2 N"],
    network: MLP,
    estimate: Estimate,
    draws: Any = None,
    width: int = MOST_TOGETHER,
    advance: Advance = ignore,
) -> tuple[Outputs, Fits]:
    """Outputs of all networks with every edge alone removed, fields ``[S, E]``, and the fits behind them.

    What ``measure_interventions`` measures at factor 0, computed from the edge's layer on.

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
    """
    found, fits = [], []
    remove = partial(_removed, messages=messages, network=network)
    for own in (edges[begin : begin + width] for begin in range(0, len(edges), width)):
        filled = jnp.asarray(_filled(own, width))
        removed = on_all_cores(lambda items, filled=filled: remove(items, filled), (params, start))
        outputs, spent = _estimated(removed, len(own), messages, estimate, draws, advance)
        found.append(outputs)
        fits.append(spent)
    joined = jax.tree.map(lambda *fields: np.concatenate(fields, axis=1), *found)
    return joined, jax.tree.map(lambda *n: sum(n), *fits)


def _filled(rows: np.ndarray, width: int) -> np.ndarray:
    """Rows with the last one repeated up to ``width``: one trace."""
    return np.pad(rows, ((0, width - len(rows)), (0, 0)), "edge")


def _estimated(
    measured: tuple[Float[Array, "S G N 2"], Float[Array, "S G 3"]],
    count: int,
    messages: Int[Array, "2 N"],
    estimate: Estimate,
    draws: Any,
    advance: Advance,
) -> tuple[Outputs, Fits]:
    """Outputs of networks under the first ``count`` of G interventions, ``[S, count]``, and the fits behind them."""
    logits, decisions = (a[:, :count] for a in measured)
    flat = logits.reshape(-1, *logits.shape[2:])
    kept = None if draws is None else np.repeat(draws, count, axis=0)
    found = estimate(flat, messages[None].astype(flat.dtype), np.ones((1, 2), bool), draws=kept, advance=advance)
    bits = jnp.asarray(found.bits[0, :, :, 0], flat.dtype).reshape(len(logits), count, 2)
    spent = jax.tree.map(lambda n: n.reshape(len(logits), count, 2).sum(axis=1), _fits(found))
    return outputs(bits, decisions, messages), spent


def group_width(*counts: int) -> int:
    """The width of groups that wastes least on filling up the last; one for all counts, so that all share a trace.

    Args:
        counts: interventions by factors.
    """
    return min(range(MOST_TOGETHER, 0, -1), key=lambda width: sum(-(-count // width) * (width + 1) for count in counts))


@partial(jax.jit, static_argnames=("network",), compiler_options=ALONE)
def _pruned(
    items: tuple[Params, Float[Array, "S N n"], Int[Array, "S G L W W"]],
    levels: Int[Array, " G"],
    factors: Float[Array, " G"],
    messages: Int[Array, "2 N"],
    network: MLP,
) -> tuple[Float[Array, "S G N 2"], Float[Array, "S G 3"]]:
    """Logits of networks after every intervention by its factor, and the measures of their decisions."""

    def one(item: tuple[Params, Array, Array], levels: Array, factors: Array, messages: Array) -> tuple[Array, Array]:
        own, begin, ranks = item

        def pruned(rank: Array, level: Array, factor: Array) -> Array:
            return pruned_logits(network, own, select(own, rank, level), factor, begin)

        logits = jax.vmap(pruned)(ranks, levels, factors)
        return logits, jax.vmap(decision_measures, (0, None))(logits, messages)

    item_bytes = 8 * len(factors) * items[1].shape[1] * sum(network.widths)
    return batched_map(one, items, item_bytes, levels, factors, messages)


@partial(jax.jit, static_argnames=("network",), compiler_options=ALONE)
def _removed(
    items: tuple[Params, Float[Array, "S N n"]], edges: Int[Array, "G 3"], messages: Int[Array, "2 N"], network: MLP
) -> tuple[Float[Array, "S G N 2"], Float[Array, "S G 3"]]:
    """Logits of networks without each of the edges, and the measures of their decisions."""

    def one(item: tuple[Params, Array], edges: Array, messages: Array) -> tuple[Array, Array]:
        logits = logits_without(network, *item, edges)
        return logits, jax.vmap(decision_measures, (0, None))(logits, messages)

    samples, inputs = items[1].shape[1:]
    item_bytes = 4 * samples * (inputs + max(network.widths) * (len(network.widths) + 2 * len(edges)))
    return batched_map(one, items, item_bytes, edges, messages)
