"""The measurements of ``measurements.py`` by estimators that run on arrays and not under ``jit``: the classifiers.

Activations and pruned logits are computed under ``jit`` for all networks; the estimator sees them as arrays.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.analyses import Outputs, measure_outputs, pruned_logits
from jaxflow.batching import batched_map
from jaxflow.flows import edge_flows, node_flows
from jaxflow.information import EstimatorSpec
from jaxflow.interventions import select
from jaxflow.measurements import Flows
from jaxflow.networks import MLP, Params, forward, kernels


def measure_flows(
    params: Params,
    x: Float[Array, "N d"],
    y: Int[Array, " N"],
    z: Int[Array, " N"],
    network: MLP,
    first_layer: int,
    spec: EstimatorSpec,
) -> Flows:
    """Information, flows and outputs of stacked networks, as ``measurements.measure_flows``; without a noise floor.

    The input layer of networks without embeddings is the same for all and estimated once.
    """
    layers = dict(enumerate(_activations(params, x, network)))
    networks = len(layers[0])
    messages = np.stack([y, z])[:, None]
    bits = {}
    for layer in range(first_layer, len(layers)):
        own = layers[layer][:1] if layer == 0 and not network.categories else layers[layer]
        found = jnp.swapaxes(spec.bits(messages, own), 0, 1)
        bits[layer] = jnp.broadcast_to(found, (networks, *found.shape[1:]))
    flows = {layer: node_flows(values) for layer, values in bits.items()}
    node, witness = ({layer: both[part] for layer, both in flows.items()} for part in (0, 1))
    weights = {layer: kernel for layer, kernel in enumerate(kernels(params)) if layer in bits}
    each = jax.vmap(jax.vmap(edge_flows, (0, None)))  # over networks, over messages
    edge = {layer: each(node[layer], kernel) for layer, kernel in weights.items()}
    null = {layer: jnp.full((networks, 2), jnp.nan) for layer in bits}
    last = len(layers) - 1
    outputs = measure_outputs(layers[last], y, z, lambda *_: bits[last])
    return Flows(bits, node, witness, null, edge, outputs, layers[first_layer])


@partial(jax.jit, static_argnames=("network",))
def _activations(params: Params, x: Float[Array, "N d"], network: MLP) -> tuple[Float[Array, "S N _"], ...]:
    """Activations of every layer of every network."""
    return batched_map(partial(forward, network, x=x), params, 8 * x.shape[0] * sum(network.widths))


def measure_interventions(
    params: Params,
    start: Float[Array, "S N n"],
    ranks: Int[Array, "S K L W W"],
    levels: Int[Array, " K"],
    factors: Float[Array, " F"],
    y: Int[Array, " N"],
    z: Int[Array, " N"],
    network: MLP,
    spec: EstimatorSpec,
) -> Outputs:
    """Outputs after every intervention, fields ``[S, K, F]``, as ``measurements.measure_interventions``.

    Of the output layer only the whole is estimated.
    """
    fields = []
    for k, level in enumerate(levels):
        logits = _pruned_logits(params, start, ranks[:, k], level, factors, network)
        fields.append(measure_outputs(logits, y, z, spec.whole))
    return jax.tree.map(lambda *columns: jnp.stack(columns, axis=1), *fields)


@partial(jax.jit, static_argnames=("network",))
def _pruned_logits(
    params: Params,
    start: Float[Array, "S N n"],
    ranks: Int[Array, "S L W W"],
    level: Int[Array, ""],
    factors: Float[Array, " F"],
    network: MLP,
) -> Float[Array, "S F N 2"]:
    """Logits of every network after one intervention, by all factors."""

    def one(item: tuple[Params, Array, Array]) -> Array:
        own, begin, rank = item
        selection = select(own, rank, level)
        return jax.vmap(lambda factor: pruned_logits(network, own, selection, factor, begin))(factors)

    return batched_map(one, (params, start, ranks), 8 * len(factors) * start.shape[1] * sum(network.widths))
