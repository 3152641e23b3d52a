"""What is measured on a chunk of trained networks, as arrays: information and flows, tradeoff, dependence.

Each is one network's computation mapped over the networks, compiled once.
"""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.analyses import Outputs, measure_outputs, pruned_logits
from jaxflow.batching import batched_map
from jaxflow.flows import edge_flows, node_flows, noise_floor
from jaxflow.information import Estimator
from jaxflow.interventions import Strategy, edge_ranks, flow_scores, random_scores, select
from jaxflow.networks import MLP, Params, forward, kernels, tail_params

PERMUTATIONS = 20  # of the message, for the noise floor


class Flows(NamedTuple):
    """Information and flows of networks ``[S]`` about both messages (axis of 2: y, z), by layer.

    Attributes:
        bits: ``[S, 2, 2**n]``.
        node: ``[S, 2, n]``.
        witness: ``[S, 2, n]`` bitmasks.
        null95: ``[S, 2]``.
        edge: ``[S, 2, n, m]``, of all layers but the output.
        outputs: of the unpruned networks, fields ``[S]``.
        start: activations of the first analysed layer ``[S, N, n]``, where interventions begin.
    """

    bits: dict[int, Array]
    node: dict[int, Array]
    witness: dict[int, Array]
    null95: dict[int, Array]
    edge: dict[int, Array]
    outputs: Outputs
    start: Array


def permuted_rows(key: Array, samples: int) -> Int[Array, "permutations N"]:
    """The identity and the permutations of the noise floor, the same for all networks."""
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, samples))(jax.random.split(key, PERMUTATIONS))
    return jnp.concatenate([jnp.arange(samples)[None], shuffled])


@partial(jax.jit, static_argnames=("network", "estimator", "first_layer"))
def measure_flows(
    params: Params,
    x: Float[Array, "N d"],
    y: Int[Array, " N"],
    z: Int[Array, " N"],
    network: MLP,
    first_layer: int,
    permutations: Int[Array, "permutations N"],
    estimator: Estimator,
) -> Flows:
    """Information, node and edge flows with noise floor, and outputs, of networks stacked on axis 0 of ``params``."""
    messages = jnp.stack([y[permutations], z[permutations]], axis=1).astype(x.dtype)  # [1 + permutations, 2, N]

    def one(params: Params) -> Flows:
        layers = dict(enumerate(forward(network, params, x)))
        all_bits = {layer: estimator(messages, a) for layer, a in layers.items() if layer >= first_layer}
        bits = {layer: values[0] for layer, values in all_bits.items()}
        null = {layer: noise_floor(values[1:]) for layer, values in all_bits.items()}
        node, witness = ({layer: node_flows(b)[part] for layer, b in bits.items()} for part in (0, 1))
        weights = dict(enumerate(kernels(params)))
        edge = {
            layer: jax.vmap(edge_flows, (0, None))(node[layer], weights[layer]) for layer in bits if layer in weights
        }
        outputs = measure_outputs(layers[len(layers) - 1], y, z, estimator)
        return Flows(bits, node, witness, null, edge, outputs, layers[first_layer])

    return batched_map(one, params, 8 * x.shape[0] * sum(network.widths))


@partial(jax.jit, static_argnames=("strategies", "samples", "first_layer"))
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
        ranks = []
        for (metric, method), group in groupby(strategies, lambda strategy: strategy[:2]):
            levels = [strategy.level for strategy in group]
            if metric == "random":
                scores = random_scores(key, method, weights)
            else:
                scores = flow_scores(method, *pairs[metric], weights, samples)
            ranks += len(levels) * [edge_ranks(method, scores, weights[0].shape[0], max(levels))]
        return jnp.stack(ranks)

    return jax.vmap(one)((keys, params, node))


@partial(jax.jit, static_argnames=("network", "estimator"))
def measure_interventions(
    params: Params,
    start: Float[Array, "S N n"],
    ranks: Int[Array, "S K L W W"],
    levels: Int[Array, " K"],
    factors: Float[Array, " F"],
    y: Int[Array, " N"],
    z: Int[Array, " N"],
    network: MLP,
    estimator: Estimator,
) -> Outputs:
    """Outputs of all networks after every intervention and factor, fields ``[S, K, F]``.

    Args:
        params: stacked parameters of ``network``, which begins at the first analysed layer.
        start: activations of that layer.
        ranks: of the edges under every intervention.
        levels: edges of rank below it are multiplied by the factor.
        factors: what they are multiplied by.
        y: true label.
        z: protected attribute.
        network: architecture.
        estimator: of information.
    """
    shape = ranks.shape[:2]
    indices = jnp.stack(jnp.meshgrid(*(jnp.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 2)

    def one(index: Int[Array, "2"]) -> Outputs:
        s, k = index
        own = jax.tree.map(lambda leaf: leaf[s], params)
        selection = select(own, ranks[s, k], levels[k])
        logits = jax.vmap(lambda factor: pruned_logits(network, own, selection, factor, start[s]))(factors)
        return measure_outputs(logits, y, z, estimator)

    item_bytes = 8 * len(factors) * start.shape[1] * sum(network.widths)
    outputs = batched_map(one, indices, item_bytes)
    return jax.tree.map(lambda field: field.reshape(*shape, len(factors)), outputs)


def single_edges(weights: Sequence[Array]) -> np.ndarray:
    """Ranks ``[E, L, W, W]`` that choose every edge alone at level 1, in the order of ``analyses.edge_list``."""
    width = max(max(w.shape[-2:]) for w in weights)
    edges = [(layer, *edge) for layer, w in enumerate(weights) for edge in np.ndindex(*w.shape[-2:])]
    ranks = np.ones((len(edges), len(weights), width, width), np.int32)
    for row, edge in enumerate(edges):
        ranks[(row, *edge)] = 0
    return ranks
