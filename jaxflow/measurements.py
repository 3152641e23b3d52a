"""What is measured on a stack of trained networks as they are, as arrays: information, flows and outputs.

Everything is one network's computation mapped over the networks, compiled once. An estimator that cannot run under
``jit`` gets activations as arrays, so that it may choose folds from the messages or leave JAX altogether.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.batching import batched_map, on_all_cores
from jaxflow.flows import LISTED_NODES, Flows, edge_flows
from jaxflow.inference.evidence import Evidence, honest_of_layer
from jaxflow.information import Advance
from jaxflow.information.estimates import ignore
from jaxflow.layers import (
    Fits,
    LayerEstimate,
    LayerFlows,
    Together,
    estimate_of,
    first_of,
    layer_flows,
    nodes_of,
    sum_of_fits,
    widest,
    with_whole,
)
from jaxflow.messages import Message
from jaxflow.networks import Params
from jaxflow.outputs import counted_measures, measure_names, outputs_of, stack_outputs
from jaxflow.programs import compiled
from jaxflow.study import Messages, Study

NARROW = 4  # nodes of a layer that costs less to compute than to compile


class Measured(NamedTuple):
    """What is measured on unpruned networks ``[S]``.

    Attributes:
        flows: arrays with a leading axis S.
        evidence: how sure the flows are, message → layer → ``[S, ...]``.
        outputs: by measure ``[S]``.
        start: what interventions begin with, see ``Network.start``.
        draws: hyperparameters chosen for the output, message → ``[S, G, 5]``; None without a search.
        fits: of all layers.
    """

    flows: Flows
    evidence: dict[str, dict[int, Evidence]]
    outputs: dict[str, Any]
    start: Any
    draws: dict[str, Any] | None
    fits: Fits


def measure_flows(
    study: Study,
    params: Params,
    x: Float[Array, "N *d"],
    messages: Messages,
    halves: Mapping[str, Array] | None = None,
    advance: Advance = ignore,
) -> Measured:
    """Information, node and edge flows with evidence, and outputs, of networks stacked on axis 0 of ``params``.

    An estimator that runs under ``jit`` is compiled together with the networks, from inputs to node flows. The others
    get arrays; a layer that is the same for all networks, such as an input without embeddings, is estimated once.

    Args:
        study: how to measure.
        params: stacked parameters.
        x: inputs.
        messages: by name, with their permutations: label and attributes, and those that information is measured about.
        halves: of the rows ``[2, H]``, for honest flows about every message that information is measured about;
            None for no honest flows.
        advance: told how many (network, message, subset) are done.
    """
    halves = dict(halves or {})
    given = {"x": x, "messages": dict(messages), "halves": halves}
    shown = on_all_cores(partial(_shown, study=study, **given), params)
    start, kept, listed, outputs, counted = shown
    layers = {layer: own for found in listed for layer, own in found.by_layer().items()}
    for own in layers.values():
        advance(sum(found.bits.size for found in own.values()))
    fits, draws, about = [], None, study.estimated(messages)
    for layer in sorted(kept):
        networks = len(kept[layer])
        own = kept[layer][:1] if _all_the_same(kept[layer]) else kept[layer]
        found, draws, spent = layer_flows(study, layer, own, about, halves, advance)
        if layer == max((*kept, *layers)) and nodes_of(study, layer, own) > widest(study.spec):
            found, draws, spent = with_whole(study, own, found, about)
        layers[layer], spent = jax.tree.map(partial(_for_all, networks), (found, spent))
        fits.append(spent)
    if outputs is None:
        whole = {name: jnp.asarray(own.whole) for name, own in layers[max(layers)].items()}
        outputs = stack_outputs(whole, counted, first_of(messages), study.roles)
    else:
        outputs = dict(zip(measure_names(study.roles), np.asarray(outputs).T, strict=True))
    flows, evidence = _by_message({layer: layers[layer] for layer in sorted(layers)}, study, params, len(x))
    return Measured(flows, evidence, outputs, start, draws, sum_of_fits(fits, study, len(jax.tree.leaves(params)[0])))


def _all_the_same(layer: Any) -> bool:
    """Whether a layer's activations are the same in all networks."""
    return len(layer) > 1 and bool(np.all(np.asarray(layer[1:]) == np.asarray(layer[:1])))


def _for_all(networks: int, values: Any) -> Any:
    """What was estimated once, for every network."""
    return np.broadcast_to(values, (networks, *values.shape[1:])) if len(values) != networks else values


def _by_message(
    layers: dict[int, dict[str, LayerFlows]], study: Study, params: Params, samples: int
) -> tuple[Flows, dict[str, dict[int, Evidence]]]:
    """Flows and their evidence, message → layer → array, from layer → message."""
    names = study.roles.measured_names  # dictionaries leave jit in alphabetical order

    def field(name: str) -> dict[str, dict[int, Any]]:
        return {message: {layer: getattr(own[message], name) for layer, own in layers.items()} for message in names}

    node = field("node")
    edge = _edge_flows(params, node, study)
    edge = {name: dict(sorted(edge[name].items())) for name in names}
    return Flows(node, field("witness"), edge, field("bits"), samples), field("evidence")


@partial(jax.jit, static_argnames=("study",))
def _edge_flows(params: Params, node: dict[str, dict[int, Any]], study: Study) -> dict[str, dict[int, Array]]:
    """Edge flows of every network, message → layer → ``[S, n, m]``."""
    weights = dict(enumerate(jax.vmap(study.network.weights)(params)))
    return {
        name: {layer: jax.vmap(edge_flows)(own[layer], weights[layer]) for layer in own if layer in weights}
        for name, own in node.items()
    }


@compiled("study", alone=True)
def _shown(params: Params, x: Array, messages: dict[str, Message], halves: dict[str, Array], study: Study) -> Any:
    """What interventions begin with, activations, estimates, outputs and counted measures of every network.

    With ``layer_bits`` activations of layers too wide to list, estimates of the others, and the outputs side by side
    instead of counted measures if the output is among them. Without: activations of all analysed layers.
    """

    def one(params: Params, x: Array, messages: dict[str, Message], halves: dict[str, Array]) -> Any:
        layers = dict(enumerate(study.network.activations(params, x)))
        start = study.network.start(params, x, study.first_layer)
        last, logits = len(layers) - 1, layers[len(layers) - 1]
        counted = counted_measures(logits, first_of(messages), study.roles)
        kept = {layer: own for layer, own in layers.items() if layer >= study.first_layer}
        if study.spec.layer_bits is None:
            return start, kept, [], None, counted
        listed = {layer: own for layer, own in kept.items() if nodes_of(study, layer, own) <= LISTED_NODES}
        found = _listed_layers(study, listed, study.estimated(messages), halves)
        outputs = None
        if last in listed:
            whole = next(own.whole_of(last) for own in found if last in own.layers)
            outputs = jnp.stack([*outputs_of(whole, counted, first_of(messages), study.roles).values()])
            counted = {}
        return start, {layer: own for layer, own in kept.items() if layer not in listed}, found, outputs, counted

    shapes = jax.eval_shape(study.network.activations, jax.tree.map(lambda leaf: leaf[0], params), x)
    listed = [a.shape[1] for a in shapes[1:] if a.shape[1] <= LISTED_NODES]
    held = sum(own.values.shape[0] for own in study.estimated(messages).values())
    item_bytes = 8 * sum(a.size for a in shapes[1:]) + 16 * held * sum(2**n for n in listed)
    return batched_map(one, params, item_bytes, x, messages, halves)


def _listed_layers(
    study: Study, layers: dict[int, Float[Array, "N _"]], messages: Messages, halves: Mapping[str, Array]
) -> list[Together]:
    """One network's layers about every message; layers of equal width share one trace.

    Layers of up to ``NARROW`` nodes count as equally wide: constant nodes are added to them, which carry nothing.
    """
    together: dict[Any, list[int]] = {}
    for layer, own in layers.items():
        groups = study.groups(layer)
        together.setdefault((max(own.shape[1], NARROW if groups is None else 0), groups), []).append(layer)
    found = []
    for (_, groups), members in together.items():
        columns = max(layers[layer].shape[1] for layer in members)
        padded = [jnp.pad(layers[layer], ((0, 0), (0, columns - layers[layer].shape[1]))) for layer in members]
        estimate = jax.vmap(partial(_estimated, study, messages, halves, groups=groups))(jnp.stack(padded))
        nodes = tuple(nodes_of(study, layer, layers[layer]) for layer in members)
        found.append(Together(estimate, tuple(members), nodes, tuple(messages)))
    return found


def _estimated(
    study: Study, messages: Messages, halves: Mapping[str, Array], layer: Float[Array, "N c"], groups: Any
) -> LayerEstimate:
    """One layer about every message ``[M, ...]`` and its permutations, with honest flows if the estimator has them.

    All messages have as many permutations, so that their flows share one trace.
    """
    layer_bits: Any = study.spec.layer_bits
    bits = layer_bits(messages, layer, groups)
    estimate = estimate_of(jnp.stack([bits[name] for name in messages]))._replace(whole=None)
    if study.spec.regressed is None or not halves:
        return estimate
    honest = honest_of_layer(layer, first_of(messages), halves, study.spec.regressed, groups)
    return estimate._replace(honest=jax.tree.map(lambda *own: jnp.stack(own), *(honest[name] for name in messages)))
