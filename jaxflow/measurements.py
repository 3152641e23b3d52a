"""What is measured on a stack of trained networks as they are, as arrays: information, flows and outputs.

Everything is one network's computation mapped over the networks, compiled once. An estimator that cannot run under
``jit`` gets activations as arrays, so that it may choose folds from the messages or leave JAX altogether.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.batching import ALONE, batched_map, cores, on_all_cores
from jaxflow.flows import LISTED_NODES, Flows, edge_flows, node_flows
from jaxflow.inference.evidence import Evidence, evidence_of, honest_of_layer
from jaxflow.inference.honest import Honest, honest_layers, intervals
from jaxflow.information import Advance, Estimates, EstimatorSpec, subset_members
from jaxflow.information.estimates import ignore
from jaxflow.information.exact import layers_together, widest_exact
from jaxflow.information.search import search_flows
from jaxflow.messages import Message, unpermuted
from jaxflow.networks import Params
from jaxflow.outputs import Roles, counted_measures, outputs_of
from jaxflow.study import Messages, Study

BLOCK_BYTES = 2**28  # of information values that are held at once
SEARCHED_PERMUTATIONS = 20  # that a search goes through at most: each takes as long as the message itself
SEARCH_STEPS = 2**20  # of progress in a searched layer: what a listed layer of 20 nodes has, and takes about as long
NARROW = 4  # nodes of a layer that costs less to compute than to compile

Fits: TypeAlias = dict[str, tuple[Any, Any]]
"""Fits behind every network's estimates about each message, and how many of them did not converge, ``[S]``."""


class LayerFlows(NamedTuple):
    """Information and flows of one layer about one message, of networks ``[S]`` or of one.

    Attributes:
        bits: ``[..., 2**n]``, or ``[..., 0]`` of a layer too wide to list.
        node: ``[..., n]``.
        witness: ``[..., n]`` bitmasks.
        evidence: how sure the flows are.
        whole: I(M; X) of all nodes ``[...]``.
    """

    bits: Any
    node: Any
    witness: Any
    evidence: Evidence
    whole: Any


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
    start, kept, layers, outputs, counted = shown
    for own in layers.values():
        advance(sum(found.bits.size for found in own.values()))
    fits, draws, about = [], None, study.estimated(messages)
    for layer in sorted(kept):
        networks = len(kept[layer])
        own = kept[layer][:1] if _all_the_same(kept[layer]) else kept[layer]
        found, draws, spent = _layer_flows(study, layer, own, about, halves, advance)
        if layer == max((*kept, *layers)) and _nodes(study, layer, own) > widest(study.spec):
            found, draws, spent = _with_whole(study, own, found, about)
        layers[layer], spent = jax.tree.map(partial(_for_all, networks), (found, spent))
        fits.append(spent)
    if not outputs:
        whole = {name: jnp.asarray(own.whole) for name, own in layers[max(layers)].items()}
        outputs = stack_outputs(whole, counted, first_of(messages), study.roles)
    flows, evidence = _by_message({layer: layers[layer] for layer in sorted(layers)}, study, params, len(x))
    return Measured(flows, evidence, outputs, start, draws, sum_of_fits(fits, study, len(jax.tree.leaves(params)[0])))


def first_of(messages: Messages) -> dict[str, Message]:
    """The messages without their permutations."""
    return {name: replace(own, values=own.values[0]) for name, own in messages.items()}


def sum_of_fits(fits: list[Fits], study: Study, networks: int) -> Fits:
    """Fits of several stages together, 0 where nothing was fitted."""
    none = {name: (np.zeros(networks, int), np.zeros(networks, int)) for name in study.roles.measured_names}
    return jax.tree.map(lambda *counts: sum(counts), none, *filter(None, fits))


@partial(jax.jit, static_argnames=("roles",))
def stack_outputs(bits: dict[str, Array], counted: dict[str, Array], messages: dict, roles: Roles) -> dict[str, Array]:
    """``outputs_of`` for any leading axes."""
    return outputs_of(bits, counted, messages, roles)


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


@partial(jax.jit, static_argnames=("study",), compiler_options=ALONE)
def _shown(params: Params, x: Array, messages: dict[str, Message], halves: dict[str, Array], study: Study) -> Any:
    """What interventions begin with, activations, flows, outputs and counted measures of every network.

    With ``layer_bits`` activations of layers too wide to list, flows of the others, and outputs if the output is among
    them. Without: activations of all analysed layers, and no flows and outputs.
    """

    def one(params: Params, x: Array, messages: dict[str, Message], halves: dict[str, Array]) -> Any:
        layers = dict(enumerate(study.network.activations(params, x)))
        start = study.network.start(params, x, study.first_layer)
        last, logits = len(layers) - 1, layers[len(layers) - 1]
        counted = counted_measures(logits, first_of(messages), study.roles)
        kept = {layer: own for layer, own in layers.items() if layer >= study.first_layer}
        if study.spec.layer_bits is None:
            return start, kept, {}, {}, counted
        listed = {layer: own for layer, own in kept.items() if _nodes(study, layer, own) <= LISTED_NODES}
        flows = _listed_flows(study, listed, study.estimated(messages), halves)
        outputs = {}
        if last in listed:
            whole = {name: own.whole for name, own in flows[last].items()}
            outputs = outputs_of(whole, counted, first_of(messages), study.roles)
        return start, {layer: own for layer, own in kept.items() if layer not in listed}, flows, outputs, counted

    shapes = jax.eval_shape(study.network.activations, jax.tree.map(lambda leaf: leaf[0], params), x)
    listed = [a.shape[1] for a in shapes[1:] if a.shape[1] <= LISTED_NODES]
    held = sum(own.values.shape[0] for own in study.estimated(messages).values())
    item_bytes = 8 * sum(a.size for a in shapes[1:]) + 16 * held * sum(2**n for n in listed)
    return batched_map(one, params, item_bytes, x, messages, halves)


def widest(spec: EstimatorSpec) -> int:
    """Nodes of the widest layer whose subsets an estimator goes through, with the memory that is free now.

    Wider layers are searched, with Gaussian information.
    """
    return spec.most if spec.flows is None else min(spec.most, widest_exact())


def _nodes(study: Study, layer: int, activations: Any) -> int:
    """Nodes of a layer."""
    groups = study.groups(layer)
    return activations.shape[-1] if groups is None else max(groups) + 1


def _listed_flows(
    study: Study, layers: dict[int, Float[Array, "N _"]], messages: Messages, halves: Mapping[str, Array]
) -> dict[int, dict[str, LayerFlows]]:
    """Flows of one network's layers about every message; layers of equal width share one trace.

    Layers of up to ``NARROW`` nodes count as equally wide: constant nodes are added to them, which carry nothing.
    """
    together: dict[int, list[int]] = {}
    found = {}
    for layer, own in layers.items():
        if (groups := study.groups(layer)) is not None:
            bits, honest = _estimated(study, messages, halves, own, groups)
            found[layer] = {name: _flows_of(bits[name], max(groups) + 1, honest.get(name)) for name in messages}
        else:
            together.setdefault(max(own.shape[1], NARROW), []).append(layer)
    for members in together.values():
        nodes = max(layers[layer].shape[1] for layer in members)
        padded = [jnp.pad(layers[layer], ((0, 0), (0, nodes - layers[layer].shape[1]))) for layer in members]
        stacked = jax.vmap(partial(_estimated, study, messages, halves))(jnp.stack(padded))
        for number, layer in enumerate(members):
            bits, honest = jax.tree.map(lambda a, number=number: a[number], stacked)
            found[layer] = {name: _flows_of(bits[name], layers[layer].shape[1], honest.get(name)) for name in messages}
    return found


def _estimated(
    study: Study, messages: Messages, halves: Mapping[str, Array], layer: Float[Array, "N c"], groups: Any = None
) -> tuple[dict[str, Array], dict[str, Honest]]:
    """Bits of one layer about every message and its permutations, and honest flows if the estimator has them."""
    estimate: Any = study.spec.layer_bits
    bits = estimate(messages, layer, groups)
    if study.spec.regressed is None or not halves:
        return bits, {}
    return bits, honest_of_layer(layer, first_of(messages), halves, study.spec.regressed, groups)


def _flows_of(bits: Float[Array, "P *S T"], nodes: int, honest: Honest | None = None) -> LayerFlows:
    """Flows of a layer's own nodes from the bits about a message and its permutations; constant nodes may follow."""
    honest = honest if honest is None else Honest(*(field[..., :nodes] for field in honest))
    flow, witness = node_flows(bits[..., : 2**nodes])
    kept = bits[0, ..., : 2**nodes] if nodes <= LISTED_NODES else bits[0, ..., :0]
    return LayerFlows(kept, flow[0], witness[0], evidence_of(flow, honest), bits[0, ..., 2**nodes - 1])


_stack_flows = jax.jit(_flows_of, static_argnames=("nodes",))


def _layer_flows(
    study: Study,
    layer: int,
    activations: Float[Array | np.ndarray, "S N c"],
    messages: Messages,
    halves: Mapping[str, Array],
    advance: Advance,
) -> tuple[dict[str, LayerFlows], Any, Fits]:
    """Flows in one layer of many networks, the draws of the whole layer and the fits, in blocks of networks."""
    nodes = _nodes(study, layer, activations)
    if nodes > widest(study.spec):
        return _searched_layer_flows(study, layer, activations, messages, advance), None, {}
    if study.spec.flows is not None and nodes > LISTED_NODES:
        return _exact_layer_flows(study, layer, activations, messages, halves, advance), None, {}
    members = subset_members(nodes)
    held = max(own.values.shape[0] for own in messages.values()) * len(messages)
    width = max(1, BLOCK_BYTES // (8 * held * len(members)))
    found = []
    for begin in range(0, len(activations), width):
        block = jnp.asarray(activations[begin : begin + width])
        estimates = study.estimate(block, messages, members, groups=study.groups(layer), advance=advance)
        own = {name: _stack_flows(jnp.asarray(estimates[name].bits, block.dtype), nodes=nodes) for name in messages}
        searched = all(estimates[name].draws is not None for name in messages)
        whole = {name: estimates[name].draws[:, -1] for name in messages} if searched else None
        found.append((own, whole, fits_of(estimates, len(block))))
    return jax.tree.map(lambda *blocks: np.concatenate(blocks), *found)


def _exact_layer_flows(
    study: Study,
    layer: int,
    activations: Float[Array | np.ndarray, "S N c"],
    messages: Messages,
    halves: Mapping[str, Array],
    advance: Advance,
) -> dict[str, LayerFlows]:
    """Flows in one wide layer, as many networks at a time as there are cores and memory."""
    exact: Any = study.spec.flows
    prepare, groups = study.spec.regressed, study.groups(layer)
    nodes = _nodes(study, layer, activations)
    width = layers_together(nodes)
    found = {}
    for name, message in messages.items():
        own = first_of({name: message})[name]

        def about(layers: Array, message: Message = message, own: Message = own, name: str = name) -> Any:
            flows = exact(layers, message=message, groups=groups)
            return flows, (honest_layers(layers, own, halves[name], prepare, groups) if prepare and halves else None)

        parts = []
        for begin in range(0, len(activations), width):
            block = activations[begin : begin + width]
            parts.append(jax.tree.map(np.asarray, on_all_cores(about, block)))
            advance(len(block) * 2**nodes)
        flows, honest = jax.tree.map(lambda *blocks: np.concatenate(blocks), *parts)
        found[name] = _unlisted(flows.flow, flows.witness, flows.whole[:, 0], honest and intervals(*honest))
    return found


def _searched_layer_flows(
    study: Study, layer: int, activations: Float[Array | np.ndarray, "S N c"], messages: Messages, advance: Advance
) -> dict[str, LayerFlows]:
    """Lower bounds on the flows in a layer too wide to list, by Gaussian search, a network on each core."""
    groups, found = study.groups(layer), {}
    for name, message in messages.items():
        message = replace(message, values=message.values[: 1 + SEARCHED_PERMUTATIONS])
        parts = []
        for begin in range(0, len(activations), cores()):
            own = activations[begin : begin + cores()]
            parts.append(jax.tree.map(np.asarray, search_flows(message, own[:, None], groups=groups)))
            advance(len(own) * SEARCH_STEPS)
        flow, witness = jax.tree.map(lambda *blocks: np.concatenate(blocks), *parts)
        found[name] = _unlisted(flow, witness, np.full(len(flow), np.nan, flow.dtype))
    return found


def _with_whole(
    study: Study, logits: Float[Array | np.ndarray, "S N c"], found: dict[str, LayerFlows], messages: Messages
) -> tuple[dict[str, LayerFlows], Any, Fits]:
    """Searched flows of an output with the information in all logits, which outputs are read from; draws and fits."""
    estimates = study.estimate_output(jnp.asarray(logits), unpermuted(first_of(messages)))
    flows = {name: own._replace(whole=np.asarray(estimates[name].bits[0, :, -1])) for name, own in found.items()}
    draws = {name: own.draws[:, -1] for name, own in estimates.items() if own.draws is not None}
    return flows, draws or None, fits_of(estimates, len(logits))


def _unlisted(flow: Any, witness: Any, whole: Any, honest: Honest | None = None) -> LayerFlows:
    """Flows ``[S, P, n]`` of a layer whose bits are not kept."""
    nothing = np.zeros((len(flow), 0), flow.dtype)
    evidence = jax.tree.map(np.asarray, evidence_of(jnp.asarray(np.swapaxes(flow, 0, 1)), honest))
    return LayerFlows(nothing, flow[:, 0], witness[:, 0], evidence, whole)


def fits_of(estimates: Mapping[str, Estimates], layers: int) -> Fits:
    """The fits behind estimates, summed over subsets; the empty one needs none."""

    def of_message(own: Estimates) -> tuple[np.ndarray, np.ndarray]:
        subsets = own.bits.shape[-1]
        count = np.full(layers, own.fits * max(1, subsets - 1))
        return count, np.broadcast_to(own.unconverged, (layers, subsets)).sum(axis=-1)

    return {name: of_message(own) for name, own in estimates.items()}
