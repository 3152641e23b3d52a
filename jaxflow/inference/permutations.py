"""How sure a flow is: permutation p-values of every node, and of the largest of many nodes, layers or time bins."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxflow.arrays import as_jax, as_key, as_real_array
from jaxflow.batching import batched_map, cores
from jaxflow.errors import InputError
from jaxflow.flows import LISTED_NODES, node_flows
from jaxflow.information import EstimatorSpec, gaussian, spec_of, subset_members
from jaxflow.information.checks import MOST_NODES, Checked, checked
from jaxflow.information.exact import layers_together
from jaxflow.messages import Message, one_message
from jaxflow.orders import orders_within
from jaxflow.programs import compiled
from jaxflow.values import MOST_PERMUTATIONS, whole

TIED = 1e-6  # bits, of flows above 1 relative, within which flows are equal: rounding must not decide between them
BLOCK_BYTES = 2**27  # of surrogates and their information that are held at once


class Significance(NamedTuple):
    """Flows of nodes ``[..., n]`` with their p-values; a tuple of five.

    Attributes:
        flow: in bits.
        witness: bitmasks of the subsets that attain them.
        p: probability of as large a flow of this node about a permuted message.
        p_max: the same for all nodes of all layers together (family-wise).
        null95: 95th percentile of the flows about permuted messages, pooled over a layer's nodes ``[...]``.
    """

    flow: Any
    witness: Any
    p: Any
    p_max: Any
    null95: Any


def significance(
    key: Array,
    message: ArrayLike,
    activations: ArrayLike,
    *,
    estimator: str | Callable[..., Any] = gaussian,
    given: ArrayLike | Message | None = None,
    within: ArrayLike | None = None,
    groups: Any = None,
    permutations: int | ArrayLike = 1000,
) -> Significance:
    """Node flows with permutation p-values, of one layer or of a stack of layers or time bins about one message.

    The message is permuted B times, the same way for all nodes, subsets and layers, whose decomposition is computed
    once. With F_b the flow about permutation b,

        p(V) = (1 + #{b : F_b(V) ≥ F(V)}) / (B + 1)

    and p_max is Westfall and Young's step-down over all nodes of the stack (*Resampling-based multiple testing*, 1993,
    algorithm 4.1): in descending order of F, node j is compared with max_{k ≥ j} F_b(k), and p-values may only rise.
    An F_b that is smaller by no more than rounding, 1e-6 bit, counts as equal: p can only become larger by that.
    Neither is ever 0, and a dead node, whose flow is 0 under every permutation, has 1.

    A permutation takes the message from the whole layer. So if no node, alone or with others, tells anything, some
    p_max ≤ α has probability α at most, whatever the distributions. About a node without flow beside others with, it
    is an approximation: good where the spread of the nodes does not depend on the message, too often significant where
    it does (docs/calibration.md). Numbers that are given leave the permutation free and are regressed out of each
    permuted message: there the spread of the message must not depend on them either.

    Args:
        key: of the permutations, as ``jax.random.key(0)``.
        message: one message, classes ``[N]`` or numbers ``[N]`` or ``[N, d]``.
        activations: ``[..., N, n]``: samples on axis −2; axes before them are layers or time bins.
        estimator: of information, a name or function that has a null distribution: gaussian, copula, quadratic (which
            permutes within its folds) or your own.
        given: another message that the flows are conditioned on. Where it is classes, rows change places within them.
        within: numbers ``[N]``; rows change places only with those of the same number, such as a recording's session.
        groups: the node of every column, if nodes have several.
        permutations: B; or surrogate messages ``[B, N]`` of your own, such as shifted ones, instead of permutations.
            The work is B times 2ⁿ subsets, and nothing is reported meanwhile: every further node doubles the time,
            which docs/performance.md has for 20 nodes.

    Returns:
        flow, witness, p, p_max ``[..., n]`` and null95 ``[...]``.

    Raises:
        InputError: several messages at once, an estimator without a null distribution, shapes that do not fit, a layer
            too wide for the estimator to list, ``within`` beside surrogates.

    Example:
        >>> message = np.arange(400) % 2
        >>> activations = np.stack([message + np.sin(np.arange(400.0)), np.cos(np.arange(400.0))], axis=1)
        >>> found = significance(jax.random.key(0), message, activations, permutations=99)
        >>> [bool(p < 0.05) for p in found.p_max], round(float(found.p.min()), 2)
        ([True, False], 0.01)
    """
    options: Any = {"estimator": estimator, "given": given, "within": within, "groups": groups}
    flow, witness, drawn = permuted_flows(key, message, activations, permutations=permutations, **options)
    p_max = family_wise(flow.ravel(), drawn.reshape(len(drawn), -1)).reshape(flow.shape)
    return Significance(flow, witness, node_wise(flow, drawn), p_max, pooled95(drawn))


class Drawn(NamedTuple):
    """Flows about a message and about its permutations; a tuple of three.

    Attributes:
        flow: about the message, in bits ``[..., n]``.
        witness: bitmasks of the subsets that attain them ``[..., n]``.
        drawn: flows about every permutation ``[B, ..., n]``.
    """

    flow: np.ndarray
    witness: np.ndarray
    drawn: np.ndarray


def permuted_flows(
    key: Array,
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    estimator: str | Callable[..., Any] | EstimatorSpec = gaussian,
    given: ArrayLike | Message | None = None,
    within: ArrayLike | None = None,
    groups: Any = None,
    permutations: int | ArrayLike = 1000,
) -> Drawn:
    """What ``significance`` counts in: node flows about the message and about each of its permutations.

    The permutations depend on the key and not on the activations. Layers may therefore be handed in some at a time,
    under the same key, and their flows be put side by side for ``family_wise``.

    Args:
        key: of the permutations.
        message: see ``significance``, as are all others.
        activations: ``[..., N, n]``.
        estimator: of information.
        given: another message that the flows are conditioned on.
        within: numbers ``[N]``.
        groups: the node of every column, if nodes have several.
        permutations: B, or surrogate messages.

    Returns:
        flow, witness ``[..., n]`` and drawn ``[B, ..., n]``.

    Raises:
        InputError: what ``significance`` refuses.

    Example:
        >>> message = np.arange(40) % 2
        >>> found = permuted_flows(jax.random.key(0), message, np.sin(np.arange(80.0)).reshape(40, 2), permutations=9)
        >>> found.drawn.shape
        (9, 2)
    """
    key, spec = as_key(key), spec_of(estimator)
    inputs = checked(message, activations, given=given, groups=groups, most=None)
    _check_width(spec, inputs)
    own = one_message(inputs.message, "significance")
    spec.accepts(own, "the message")
    count, null = _surrogates(key, spec, own, within, permutations)
    batch, layers = inputs.activations.shape[:-2], inputs.activations.reshape(-1, *inputs.activations.shape[-2:])
    flow, witness, drawn = _all_flows(spec, layers, own, count, null, inputs.groups)
    return Drawn(*(a.reshape(*a.shape[:-2], *batch, a.shape[-1]) for a in (flow, witness, drawn)))


def node_wise(
    flow: Float[np.ndarray, "*batch n"], drawn: Float[np.ndarray, "B *batch n"]
) -> Float[np.ndarray, "*batch n"]:
    """Of every node by itself, (1 + #{b : F_b ≥ F}) / (B + 1)."""
    return (1 + np.sum(drawn >= np.asarray(reached_by(flow)), axis=0)) / (1 + len(drawn))


def family_wise(
    flow: Float[np.ndarray, "*batch n"], drawn: Float[np.ndarray, "B *batch n"]
) -> Float[np.ndarray, "*batch n"]:
    """p_max of the nodes on the last axis together, by ``step_down``; many layers' stand one after the other."""
    return step_down(np.asarray(reached_by(flow)), drawn)


def pooled95(drawn: Float[np.ndarray, "B *batch n"]) -> Float[np.ndarray, "*batch"]:
    """null95: the 95th percentile of flows about permutations, pooled over these and over the nodes of a layer."""
    return np.asarray(np.percentile(drawn, 95, axis=(0, -1)))


def _check_width(spec: EstimatorSpec, inputs: Checked) -> None:
    """Refuse layers whose subsets cannot be listed, and say how the flows of a search are tested."""
    nodes = inputs.activations.shape[-1] if inputs.groups is None else max(inputs.groups) + 1
    if nodes > (most := min(spec.most, MOST_NODES)):
        raise InputError(
            f"significance lists all subsets of a layer, with {spec.name} of up to {most} nodes, not {nodes}: compare"
            " jaxflow.search_flows with those about permuted messages (docs/wide_layers.md)"
        )


def reached_by(flow: Any) -> Any:
    """What a flow about a permutation must reach to count as large as this flow: as much, but for rounding."""
    return flow - TIED * abs(flow).clip(1)


def step_down(
    flow: Float[np.ndarray, "*batch n"], drawn: Float[np.ndarray, "B *batch n"]
) -> Float[np.ndarray, "*batch n"]:
    """Westfall and Young's adjusted p-values of the largest statistics, step by step from the largest down.

    The nodes on the last axis are one family; axes before it are families of their own.
    """
    order = np.argsort(-flow, axis=-1, kind="stable")
    drawn = np.take_along_axis(drawn, order[None], axis=-1)
    largest = np.maximum.accumulate(drawn[..., ::-1], axis=-1)[..., ::-1]  # of this and all smaller ones
    p = (1 + np.sum(largest >= np.take_along_axis(flow, order, axis=-1), axis=0)) / (1 + len(drawn))
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(p, axis=-1), axis=-1)
    return adjusted


def _surrogates(
    key: Array, spec: EstimatorSpec, message: Message, within: Any, permutations: Any
) -> tuple[int, Callable[[int, int], Any]]:
    """B, and by first and last number the message's values under the null hypothesis ``[b, N]`` or ``[b, N, d]``."""
    if np.ndim(permutations):
        if within is not None:
            raise InputError("within is for permutations; surrogates of your own are taken as they are")
        values = _own_surrogates(message, permutations)
        return len(values), lambda begin, end: values[begin:end]
    if spec.exchangeable is None:
        raise InputError(f"{spec.name} has no null distribution: use gaussian, copula or quadratic")
    count = whole("permutations", permutations, 1, MOST_PERMUTATIONS)
    numbers = np.asarray(spec.exchangeable(message))
    if within is not None:
        rows = as_real_array("within", within)
        if rows.shape != numbers.shape:
            raise InputError(f"within must hold one number for each of the {len(numbers)} samples, got {rows.shape}")
        numbers = np.unique(np.stack([numbers, np.asarray(rows)]), axis=1, return_inverse=True)[1].ravel()
    keys, values = jax.random.split(key, count), np.asarray(message.values)
    return count, lambda begin, end: values[orders_within(keys[begin:end], numbers)]


def _own_surrogates(message: Message, surrogates: Any) -> Array:
    """The user's surrogate messages in the form of the message."""
    values = as_real_array("surrogates", surrogates)
    values = values[..., None] if message.continuous and values.ndim == message.values.ndim else values
    if values.shape[1:] != message.values.shape or not len(values):
        raise InputError(f"surrogates must be [B, *message's shape], got {values.shape} for {message.values.shape}")
    if message.classes and not np.isin(np.asarray(values), np.arange(message.classes)).all():
        raise InputError(f"surrogates of a message of {message.classes} classes must hold 0 to {message.classes - 1}")
    return jnp.asarray(values).astype(message.values.dtype)


def _all_flows(
    spec: EstimatorSpec, layers: Array, message: Message, count: int, null: Callable[[int, int], Any], groups: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flows and witnesses ``[S, n]`` about the message and flows ``[B, S, n]`` about its surrogates.

    As many surrogates at a time as memory holds, after the message itself: an estimator with folds chooses them from
    the first message, and what is equal to the message goes through the same arithmetic.
    """
    nodes = layers.shape[-1] if groups is None else max(groups) + 1
    together = min(cores(), len(layers)) if _one_by_one(spec) else len(layers)
    bits = 0 if _unlisted(spec, nodes) else together * 2**nodes
    held = 4 * (bits + 8 * message.values.size)  # of one surrogate: its bits, and its columns
    blocks = -(-count // max(1, BLOCK_BYTES // held))
    width, own = -(-count // blocks), np.asarray(message.values)[None]
    flows, witnesses = [], []
    for begin in range(0, count, width):
        block = np.asarray(null(begin, min(begin + width, count)))
        padded = np.concatenate([own, block, np.repeat(block[-1:], width - len(block), axis=0)])
        flow, witness = _flows_of(spec, layers, replace(message, values=padded), nodes, groups)
        flows.append(flow[: len(block) + 1])
        witnesses.append(witness)
    return flows[0][0], witnesses[0], np.concatenate([flow[1:] for flow in flows])


def _unlisted(spec: EstimatorSpec, nodes: int) -> bool:
    """Whether a layer's bits are not kept: the estimator has flows of wide layers."""
    return nodes > LISTED_NODES and spec.flows is not None


def _one_by_one(spec: EstimatorSpec) -> bool:
    """Whether layers go through the program of a single one, each on a core of its own."""
    return spec.layer_bits is not None and jax.default_backend() == "cpu"


def _flows_of(
    spec: EstimatorSpec, layers: Array, message: Message, nodes: int, groups: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Flows ``[P, S, n]`` about a message and its surrogates, and witnesses ``[S, n]`` of the message's own.

    The bits of an estimator that compiles do not leave the program.
    """
    if spec.layer_bits is None:
        about = {"m": replace(message, values=as_jax(message.values))}
        found = spec.estimate(layers, about, subset_members(nodes), groups=groups)
        flow, witness = node_flows(np.asarray(found["m"].bits, layers.dtype))
        return np.asarray(flow), np.asarray(witness[0])
    if _unlisted(spec, nodes):
        flows = partial(_exact_flows, exact=spec.flows, groups=groups)
    else:
        flows = partial(_compiled_flows, layer_bits=spec.layer_bits, groups=groups)
    found = _on_all_cores(flows, layers, message) if _one_by_one(spec) else flows(layers, message)
    return np.swapaxes(np.asarray(found[0]), 0, 1), np.asarray(found[1])


def _on_all_cores(flows: Callable[..., tuple[Array, Array]], layers: Array, message: Message) -> tuple[Any, Any]:
    """Flows ``[S, P, n]`` and witnesses ``[S, n]`` on a CPU, a layer at a time on each core.

    A layer with all its surrogates fills a core. Its flows then do not depend on the other layers, to the bit, and the
    program of one layer compiles in half the time of a batch's, and takes half the time of a core. Where there are
    fewer layers than cores, the surrogates are shared out among them.
    """
    parts = -(-cores() // len(layers))
    width = -(-len(message.values) // parts)
    rows = [np.minimum(np.arange(part * width, (part + 1) * width), len(message.values) - 1) for part in range(parts)]
    some = [jax.device_put(replace(message, values=message.values[own])) for own in rows]

    def one(pair: tuple[np.ndarray, Message]) -> tuple[np.ndarray, np.ndarray]:
        flow, witness = flows(jax.device_put(np.asarray(pair[0])[None]), pair[1])
        return np.asarray(flow[0]), np.asarray(witness[0])

    with ThreadPoolExecutor(layers_together(layers.shape[-1], max(1, message.strata))) as pool:
        found = list(pool.map(one, product(np.asarray(layers), some)))
    flow = np.stack([own[0] for own in found]).reshape(len(layers), parts * width, -1)
    return flow[:, : len(message.values)], np.stack([own[1] for own in found[::parts]])


def _exact_flows(layers: Array, message: Message, exact: Any, groups: Any) -> tuple[Array, Array]:
    """Flows and witnesses of layers whose bits are not kept."""
    flow, witness, _ = exact(layers, message=message, groups=groups)
    return flow, witness


@compiled("layer_bits", "groups", alone=True)
def _compiled_flows(layers: Array, message: Message, layer_bits: Any, groups: Any) -> tuple[Array, Array]:
    """Flows ``[S, P, n]`` and the message's own witnesses ``[S, n]`` by a pure function of one layer."""

    def one(layer: Array, message: Message) -> tuple[Array, Array]:
        flow, witness = node_flows(layer_bits({"m": message}, layer, groups)["m"])
        return flow, witness[0]

    if len(layers) == 1:
        return jax.tree.map(lambda a: a[None], one(layers[0], message))
    return batched_map(one, layers, 4 * layers[0].size, message)
