"""Flows of one layer of many networks, by whatever its width allows: all subsets, exact flows without them, or search.

What an estimator that runs under ``jit`` finds of narrow layers is part of the networks' own program, see
``measurements``; the other layers come here as arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.batching import cores, on_all_cores
from jaxflow.flows import LISTED_NODES, node_flows
from jaxflow.inference.evidence import Evidence, evidence_of
from jaxflow.inference.held_out import honest_of_losses, keeps_rows
from jaxflow.inference.honest import CONFIDENCE, Honest, honest_layers, intervals
from jaxflow.inference.searched import honest_of_search
from jaxflow.information import Advance, Estimates, EstimatorSpec, subset_members
from jaxflow.information.exact import layers_together, widest_exact
from jaxflow.information.search import search_flows
from jaxflow.messages import Message, uncertainty, unpermuted
from jaxflow.study import Messages, Study

BLOCK_BYTES = 2**28  # of information values that are held at once
SEARCHED_PERMUTATIONS = 20  # that a search goes through at most: each takes as long as the message itself
SEARCH_STEPS = 2**20  # of progress in a searched layer: what a listed layer of 20 nodes has, and takes about as long

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


def first_of(messages: Messages) -> dict[str, Message]:
    """The messages without their permutations."""
    return {name: replace(own, values=own.values[0]) for name, own in messages.items()}


def widest(spec: EstimatorSpec) -> int:
    """Nodes of the widest layer whose subsets an estimator goes through, with the memory that is free now.

    Wider layers are searched, with Gaussian information.
    """
    return spec.most if spec.flows is None else min(spec.most, widest_exact())


def nodes_of(study: Study, layer: int, activations: Any) -> int:
    """Nodes of a layer."""
    groups = study.groups(layer)
    return activations.shape[-1] if groups is None else max(groups) + 1


class LayerEstimate(NamedTuple):
    """What a program finds of one layer about one message and its permutations, of networks ``[S]`` or of one.

    Attributes:
        bits: about the message ``[..., 2**n]``, or ``[..., 0]`` of a layer too wide to list.
        flow: of every node about the message and each permutation ``[..., P, n]``.
        witness: about the message ``[..., n]``.
        whole: I(M; X) of all nodes ``[...]``.
        honest: flows and intervals ``[..., n]``, if the estimator has them.
    """

    bits: Any
    flow: Any
    witness: Any
    whole: Any
    honest: Honest | None = None


def estimate_of(bits: Float[Array, "*S P T"], honest: Honest | None = None) -> LayerEstimate:
    """From the bits about a message and its permutations."""
    flow, witness = node_flows(bits)
    kept = bits[..., 0, :] if flow.shape[-1] <= LISTED_NODES else bits[..., 0, :0]
    return LayerEstimate(kept, flow, witness[..., 0, :], bits[..., 0, -1], honest)


def with_evidence(estimate: LayerEstimate) -> LayerFlows:
    """Flows of networks ``[S]`` with p-values and noise floor from the flows about permutations."""
    bits, flow, witness, whole, honest = jax.tree.map(np.asarray, estimate)
    return LayerFlows(bits, flow[:, 0], witness, evidence_of(np.moveaxis(flow, 1, 0), honest), whole)


@partial(jax.tree_util.register_dataclass, data_fields=["estimate"], meta_fields=["layers", "nodes", "names"])
@dataclass(frozen=True)
class Together:
    """What a program finds of layers that share a trace, about all messages, of networks ``[S]`` or of one.

    Few arrays leave the program: each of them would take a step of its own. They are cut up on the host.

    Attributes:
        estimate: of all layers and messages ``[..., L, M, ...]``, of as many nodes as the widest has.
        layers: their numbers.
        nodes: of each; constant nodes follow, which change no bits and no flows of these.
        names: of the messages.
    """

    estimate: LayerEstimate
    layers: tuple[int, ...]
    nodes: tuple[int, ...]
    names: tuple[str, ...]

    def whole_of(self, layer: int) -> dict[str, Array]:
        """I(M; X) of all nodes of one network's layer about every message."""
        whole = self.estimate.bits[self.layers.index(layer), :, 2 ** self.nodes[self.layers.index(layer)] - 1]
        return dict(zip(self.names, whole, strict=True))

    def by_layer(self) -> dict[int, dict[str, LayerFlows]]:
        """Layer → message → flows of networks ``[S]`` with evidence."""
        every = jax.tree.map(np.asarray, self.estimate)
        found: dict[int, dict[str, LayerFlows]] = {layer: {} for layer in self.layers}
        for (place, nodes), (number, name) in product(enumerate(self.nodes), enumerate(self.names)):
            bits, flow, witness, _, honest = jax.tree.map(lambda a, at=(place, number): a[:, *at], every)
            bits, whole = bits[:, : 2**nodes], bits[:, 2**nodes - 1]
            honest = honest if honest is None else Honest(*(field[:, :nodes] for field in honest))
            own = LayerEstimate(bits, flow[..., :nodes], witness[:, :nodes], whole, honest)
            found[self.layers[place]][name] = with_evidence(own)
        return found


stack_estimate = jax.jit(estimate_of)


def layer_flows(
    study: Study,
    layer: int,
    activations: Float[Array | np.ndarray, "S N c"],
    messages: Messages,
    halves: Mapping[str, Array],
    advance: Advance,
) -> tuple[dict[str, LayerFlows], Any, Fits]:
    """Flows in one layer of many networks, the draws of the whole layer and the fits, in blocks of networks."""
    nodes = nodes_of(study, layer, activations)
    if nodes > widest(study.spec):
        return _searched_layer_flows(study, layer, activations, messages, halves, advance), None, {}
    if study.spec.flows is not None and nodes > LISTED_NODES:
        return _exact_layer_flows(study, layer, activations, messages, halves, advance), None, {}
    members, samples = subset_members(nodes), activations.shape[1]
    by_row = bool(halves) and study.spec.held_out is not None and keeps_rows(len(members), samples)
    held = 8 * sum(own.values.shape[0] for own in messages.values()) + (4 * samples * len(messages) if by_row else 0)
    width = max(1, BLOCK_BYTES // (held * len(members)))
    how: dict[str, Any] = {"groups": study.groups(layer), "by_row": by_row, "advance": advance}
    found = []
    for begin in range(0, len(activations), width):
        block = jnp.asarray(activations[begin : begin + width])
        estimates = study.estimate(block, messages, members, **how)
        own = {}
        for name, message in first_of(messages).items():
            bits = jnp.asarray(np.swapaxes(estimates[name].bits, 0, 1), block.dtype)
            honest = _honest_of(estimates[name], message, halves.get(name))
            own[name] = with_evidence(stack_estimate(bits)._replace(honest=honest))
        searched = all(estimates[name].draws is not None for name in messages)
        whole = {name: estimates[name].draws[:, -1] for name in messages} if searched else None
        found.append((own, whole, fits_of(estimates, len(block))))
    return jax.tree.map(lambda *blocks: np.concatenate(blocks), *found)


def _honest_of(estimates: Estimates, message: Message, halves: Array | None) -> Honest | None:
    """Honest flows of all nodes from the losses of single rows; None where these are not kept."""
    if estimates.losses is None or halves is None:
        return None
    found = honest_of_losses(estimates.losses, message, np.asarray(halves), CONFIDENCE)
    return Honest(*(jnp.asarray(field, jnp.float32) for field in found))


def _exact_layer_flows(
    study: Study,
    layer: int,
    activations: Float[Array | np.ndarray, "S N c"],
    messages: Messages,
    halves: Mapping[str, Array],
    advance: Advance,
) -> dict[str, LayerFlows]:
    """Flows in one wide layer, as many networks at a time as there are cores and memory."""
    nodes = nodes_of(study, layer, activations)
    width = layers_together(nodes, max(1, *(message.strata for message in messages.values())))
    found = {}
    for name, message in messages.items():
        about = partial(_exactly, study=study, layer=layer, message=message, halves=halves.get(name))
        parts = []
        for begin in range(0, len(activations), width):
            block = activations[begin : begin + width]
            parts.append(jax.tree.map(np.asarray, on_all_cores(about, block)))
            advance(len(block) * 2**nodes)
        found[name] = with_evidence(jax.tree.map(lambda *blocks: np.concatenate(blocks), *parts))
    return found


def _exactly(layers: Array, study: Study, layer: int, message: Message, halves: Array | None) -> LayerEstimate:
    """Exact flows of some networks' wide layers about one message and its permutations, and honest flows."""
    exact: Any = study.spec.flows
    prepare, groups, honest = study.spec.regressed, study.groups(layer), None
    flows = exact(layers, message=message, groups=groups)
    if prepare is not None and halves is not None:
        single = replace(message, values=message.values[0])
        honest = intervals(*honest_layers(layers, single, halves, prepare, groups), most=uncertainty(single))
    return unlisted(flows.flow, flows.witness, flows.whole[:, 0], honest)


def _searched_layer_flows(
    study: Study,
    layer: int,
    activations: Float[Array | np.ndarray, "S N c"],
    messages: Messages,
    halves: Mapping[str, Array],
    advance: Advance,
) -> dict[str, LayerFlows]:
    """Lower bounds on the flows in a layer too wide to list, by Gaussian search, a network on each core."""
    groups, found = study.groups(layer), {}
    for name, message in messages.items():
        searched = replace(message, values=message.values[: 1 + SEARCHED_PERMUTATIONS])
        single, half, parts = first_of(messages)[name], halves.get(name), []
        for begin in range(0, len(activations), cores()):
            own = activations[begin : begin + cores()]
            honest = None if half is None else honest_of_search(own, single, np.asarray(half), groups)
            parts.append(jax.tree.map(np.asarray, (search_flows(searched, own[:, None], groups=groups), honest)))
            advance(len(own) * SEARCH_STEPS)
        (flow, witness), honest = jax.tree.map(lambda *blocks: np.concatenate(blocks), *parts)
        told = None if honest is None else intervals(*map(jnp.asarray, honest), most=uncertainty(single))
        whole = np.full(len(flow), np.nan, flow.dtype)  # which the search does not estimate
        found[name] = with_evidence(unlisted(flow, witness[:, 0], whole, told))
    return found


def with_whole(
    study: Study, logits: Float[Array | np.ndarray, "S N c"], found: dict[str, LayerFlows], messages: Messages
) -> tuple[dict[str, LayerFlows], Any, Fits]:
    """Searched flows of an output with the information in all logits, which outputs are read from; draws and fits."""
    estimates = study.estimate_output(jnp.asarray(logits), unpermuted(first_of(messages)))
    flows = {name: own._replace(whole=np.asarray(estimates[name].bits[0, :, -1])) for name, own in found.items()}
    draws = {name: own.draws[:, -1] for name, own in estimates.items() if own.draws is not None}
    return flows, draws or None, fits_of(estimates, len(logits))


def unlisted(flow: Any, witness: Any, whole: Any, honest: Honest | None = None) -> LayerEstimate:
    """Flows ``[S, P, n]`` of a layer whose bits are not kept."""
    return LayerEstimate(np.zeros((len(flow), 0), flow.dtype), flow, witness, whole, honest)


def fits_of(estimates: Mapping[str, Estimates], layers: int) -> Fits:
    """The fits behind estimates, summed over subsets; the empty one needs none."""

    def of_message(own: Estimates) -> tuple[np.ndarray, np.ndarray]:
        subsets = own.bits.shape[-1]
        count = np.full(layers, own.fits * max(1, subsets - 1))
        return count, np.broadcast_to(own.unconverged, (layers, subsets)).sum(axis=-1)

    return {name: of_message(own) for name, own in estimates.items()}


def sum_of_fits(fits: list[Fits], study: Study, networks: int) -> Fits:
    """Fits of several stages together, 0 where nothing was fitted."""
    none = {name: (np.zeros(networks, int), np.zeros(networks, int)) for name in study.roles.measured_names}
    return jax.tree.map(lambda *counts: sum(counts), none, *filter(None, fits))
