"""What pruning does to a chunk of trained networks, as arrays: rankings, sweeps of interventions, removals of edges.

An intervention is one network's computation mapped over interventions and networks. With an estimator that runs under
``jit`` one program goes from ranks to outputs; for the others it stops at the logits, which they get as arrays.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.batching import ALONE, BRIEF, batched_map, on_all_cores
from jaxflow.information import Advance, Estimate, LayerBits
from jaxflow.information.estimates import ignore
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
from jaxflow.measurements import Fits, fits_of
from jaxflow.networks import MLP, Params, forward, kernels, tail_params
from jaxflow.networks.removals import logits_without
from jaxflow.outputs import Outputs, decision_measures, outputs_of, traced_outputs
from jaxflow.tables import Values

MOST_TOGETHER = 32  # interventions by factors in one call
FEW_EDGES = 256  # that are removed by the program of the sweep


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
    spent = jax.tree.map(lambda n: n.reshape(networks, count, 2).sum(axis=1), fits_of(found))
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
