"""One network, in three functions: its flows, what its output shows, and what pruning does to that.

They work inside ``jit`` and ``vmap`` where their estimator does. Runs go the faster way of ``measurements`` and
``sweeps``, to the same numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxflow.batching import is_traced
from jaxflow.errors import InputError, alternatives, shown
from jaxflow.flows import Flows, edge_flows, node_flows
from jaxflow.information import EstimatorSpec, gaussian, spec_of
from jaxflow.information.cells import warn_of_thin_cells, widest_listed
from jaxflow.information.checks import check_counts, checked, must_see_arrays
from jaxflow.information.custom import one_per_subset
from jaxflow.information.estimates import LayerBits
from jaxflow.information.search import search_flows
from jaxflow.interventions import analysed_weights, check_strategies, checked_strategy, prune, select, strategy_ranks
from jaxflow.messages import Message, as_message, conditioned, unpermuted
from jaxflow.metrics.rows import looked_at
from jaxflow.networks import Network, Params, activations_of, check_fit, layer_sizes
from jaxflow.outputs import Roles, counted_measures, measure_names, outputs_of
from jaxflow.values import whole

Estimator: TypeAlias = str | Callable[..., Any] | EstimatorSpec
LISTED = 16  # nodes of a layer whose bits are kept; Gaussian flows of wider ones are computed without, or searched
EXACT = 24  # nodes of the widest layer whose Gaussian flows are exact


def network_flows(
    network: Network,
    params: Params,
    x: ArrayLike,
    messages: Mapping[str, Any],
    estimator: Estimator = gaussian,
    *,
    given: Any = None,
    first_layer: int = 0,
) -> Flows:
    """Information flows through one network about every message, on every node and edge.

    F_M(V) = max over T ⊆ layer∖V of I(M; X_V | X_T) of a node, |w| F_M(V) of an edge that leaves it (Venkatesh et al.
    2021, eqs. 3 and 4).

    Args:
        network: the network, see ``jaxflow.network`` and ``jaxflow.mlp``.
        params: its parameters; ``map_networks`` or ``jax.vmap`` take many.
        x: features ``[N, d]`` of rows that the network was not trained on.
        messages: what the flows are about, by name: classes ``[N]`` or numbers ``[N]``, ``[N, d]``.
        estimator: of information; a name in ``jaxflow.information.ESTIMATORS`` or a function
            ``(message, activations, *, given=None, groups=None) → bits [2**n]``.
        given: another message that all are conditioned on.
        first_layer: where the analysis begins; 1 leaves the input out.

    Returns:
        Flows in bits: ``flows.node["z"][layer]`` ``[n_l]``, ``flows.witness["z"][layer]`` (bitmasks ``[n_l]``; of
        layers above 24 nodes, whose Gaussian flows are searched, masks ``[n_l, n_l]``), ``flows.edge["z"][layer]``
        ``[n_l, n_{l+1}]``; layer 0 is the input, the output has no edges.

    Raises:
        InputError: a network whose activations and weights do not go together; messages that do not fit x, that are
            conditioned twice, or that the estimator cannot tell; a layer wider than the estimator can list; NaN or
            infinity in x or in a layer.

    Example:
        >>> network, x = mlp(hidden=(3,)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> params = network.init(jax.random.key(0), x)
        >>> flows = network_flows(network, params, x, {"y": (x[:, 0] > 0).astype(int)})
        >>> [flows.node["y"][layer].shape for layer in range(3)], flows.edge["y"][0].shape
        ([(2,), (3,), (2,)], (2, 3))
    """
    x = jnp.asarray(x)
    check_fit(network, params, x)
    layers = network.activations(params, x)
    whole("first_layer", first_layer, 0, len(layers) - 1)
    about = normal_forms(messages, given, len(layers[0]))
    _check_finite(x, dict(list(enumerate(layers))[first_layer:]))
    weights, spec = network.weights(params), spec_of(estimator)
    widths, groups = [own.shape[1] for own in layers], network.groups
    warn_of_thin_cells(
        about, widest_listed(widths[first_layer:], groups and groups[first_layer:], min(spec.most, EXACT))
    )
    bits: dict[str, dict[int, Array]] = {name: {} for name in about}
    node: dict[str, dict[int, Array]] = {name: {} for name in about}
    witness: dict[str, dict[int, Array]] = {name: {} for name in about}
    for layer, own in list(enumerate(layers))[first_layer:]:
        groups = None if network.groups is None else network.groups[layer]
        for name, found in _layer_flows(spec, own, about, groups).items():
            node[name][layer], witness[name][layer], listed = found
            bits[name] |= {} if listed is None else {layer: listed}
    edge = {
        name: {layer: edge_flows(own[layer], w) for layer, w in enumerate(weights) if layer in own}
        for name, own in node.items()
    }
    return Flows(node, witness, edge, bits, len(layers[0]))


def normal_forms(messages: Mapping[str, Any], given: Any, samples: int) -> dict[str, Message]:
    """Messages by name, each conditioned on what is given; those that are normal forms already keep what they have."""
    if not isinstance(messages, Mapping) or not messages:
        raise InputError(f"messages are a dict of arrays by name, not {shown(messages)}")
    forms = {
        name: message if isinstance(message, Message) else as_message(message, samples=samples)
        for name, message in messages.items()
    }
    for name, message in forms.items():
        shape = jnp.shape(message.values)
        if shape[:1] != (samples,) or len(shape) != (2 if message.continuous else 1):
            raise InputError(
                f"message {name} must hold one value for each of the {samples} rows of x, [{samples}], not"
                f" {list(shape)}"
            )
    forms = forms if given is None else {name: conditioned(message, given) for name, message in forms.items()}
    for name, message in forms.items():
        check_counts(message, f"message {name}")
    return forms


def _check_finite(x: Array, layers: Mapping[int, Array]) -> None:
    """Refuse NaN and infinity in the layers that are analysed, where they can be seen; x is named if it holds them."""
    for layer, values in layers.items():
        # NumPy sees what a function under jit closes over, which JAX would trace
        if is_traced(values) or np.isfinite(np.asarray(values)).all():
            continue
        if not is_traced(x) and not np.isfinite(np.asarray(x)).all():
            raise InputError("x holds NaN or infinity: leave those rows out or fill them")
        raise InputError(f"activations of layer {layer} hold NaN or infinity: are the parameters finite?")


def _layer_flows(
    spec: EstimatorSpec, layer: Float[Array, "N c"], messages: Mapping[str, Message], groups: Any
) -> dict[str, tuple[Array, Array, Array | None]]:
    """Node flows, witnesses and, where they are listed, bits of one layer about every message."""
    nodes = layer.shape[1] if groups is None else max(groups) + 1
    if nodes > LISTED and spec.flows is not None:
        wide = partial(_exact_flows, spec) if nodes <= EXACT else search_flows
        return {name: (*wide(message, layer, groups=groups), None) for name, message in messages.items()}
    if nodes > spec.most:
        raise InputError(
            f"a layer has {nodes} nodes; {spec.name} lists the subsets of up to {spec.most}, gaussian of any"
        )
    found = layer_information(spec, layer, messages, groups)
    return {name: (*node_flows(bits), bits) for name, bits in found.items()}


def _exact_flows(spec: EstimatorSpec, message: Message, layer: Float[Array, "N c"], groups: Any) -> tuple[Array, Array]:
    """Flows and witnesses of one layer about one message, from the estimator's exact flows of stacks."""
    stack_flows: Any = spec.flows
    inputs = checked(message, layer, groups=groups, most=None)
    found = stack_flows(inputs.activations[None], unpermuted({"m": inputs.message})["m"], inputs.groups)
    return found.flow[0, 0], found.witness[0]


def layer_information(
    spec: EstimatorSpec, layer: Float[Array, "N c"], messages: Mapping[str, Message], groups: Any = None
) -> dict[str, Float[Array, " subsets"]]:
    """Bits of every subset of a layer's nodes about every message, by the estimator's fast way if it has one."""
    if spec.layer_bits is not None:
        return _compiled_bits(unpermuted(messages), layer, spec.layer_bits, groups)
    extra = {} if groups is None else {"groups": groups}

    def one(message: Message) -> Array:
        spec.accepts(message, "a message")
        values = message.values[..., 0] if message.continuous and message.values.shape[-1] == 1 else message.values
        given = {} if message.given is None else {"given": message.given}
        try:
            bits = jnp.asarray(spec.function(values, layer, **given, **extra))
            return one_per_subset(bits, layer.shape[1] if groups is None else max(groups) + 1, spec.name)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise InputError(must_see_arrays(spec.name)) from error

    return {name: one(message) for name, message in messages.items()}


@partial(jax.jit, static_argnames=("layer_bits", "groups"))
def _compiled_bits(
    messages: dict[str, Message], layer: Float[Array, "N c"], layer_bits: LayerBits, groups: Any
) -> dict[str, Float[Array, " subsets"]]:
    """The fast way as one program: step by step, as called, it would be hundreds of little ones."""
    return {name: bits[0] for name, bits in layer_bits(messages, layer, groups).items()}


def measure_outputs(
    network: Network,
    params: Params,
    x: ArrayLike,
    messages: Mapping[str, Any],
    estimator: Estimator = gaussian,
    *,
    label: str = "y",
    given: Any = None,
) -> dict[str, Float[Array, ""]]:
    """What the output of one network shows about label and attributes, in per cent.

    Args:
        network: the network.
        params: its parameters, pruned perhaps; ``map_networks`` or ``jax.vmap`` take many.
        x: features ``[N, d]`` of rows that the network was not trained on.
        messages: by name: the label, and the attributes.
        estimator: of information, see ``network_flows``.
        label: which of the messages is the label; all others are attributes. Without it, and without a message y, the
            only message of classes.
        given: another message that the attributes' information is conditioned on: with the label, bias is what lies
            behind the odds gap.

    Returns:
        By name: ``accuracy`` and ``bias``, what the information in all logits stands for (``messages.read_out``;
        Venkatesh et al. 2021, defs. 2 and 3); of the decision ``argmax_accuracy``, ``parity_gap``, ``odds_gap``;
        ``threshold_accuracy`` and ``threshold_bias`` of the best held-out threshold (see ``jaxflow.outputs``). With
        several attributes there is one ``bias_NAME``, ``parity_gap_NAME``, ``odds_gap_NAME`` and
        ``threshold_bias_NAME`` for each.

    Raises:
        InputError: messages that do not fit x, no attribute, no message that is the label, or one that the estimator
            cannot tell; NaN or infinity in x or in the output.

    Example:
        >>> network, x = mlp(hidden=(3,)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> params = network.init(jax.random.key(0), x)
        >>> outputs = measure_outputs(network, params, x, {"y": (x[:, 0] > 0).astype(int), "z": jnp.arange(200) % 2})
        >>> sorted(outputs)[:3]
        ['accuracy', 'argmax_accuracy', 'bias']
    """
    x = jnp.asarray(x)
    layers = activations_of(network, params, x)
    _check_finite(x, {len(layers) - 1: layers[-1]})
    plain = normal_forms(messages, None, len(layers[0]))
    roles = _roles(plain, label)
    about = {roles.label: plain[roles.label]}
    about |= normal_forms({name: messages[name] for name in roles.attributes}, given, len(layers[0]))
    spec, own_groups = spec_of(estimator), None if network.groups is None else network.groups[-1]
    groups = spec.output_groups(layers[-1].shape[1], own_groups)  # information in all logits, not in their subsets
    bits = layer_information(spec, layers[-1], about, groups)
    found = _compiled_outputs({name: own[-1] for name, own in bits.items()}, layers[-1], plain, about, roles)
    return {name: found[name] for name in measure_names(roles)}  # a program's dicts are sorted by name


@partial(jax.jit, static_argnames="roles")
def _compiled_outputs(
    bits: dict[str, Float[Array, ""]],
    logits: Float[Array, "N c"],
    plain: dict[str, Message],
    about: dict[str, Message],
    roles: Roles,
) -> dict[str, Float[Array, ""]]:
    """All measures as one program, from the information in the logits.

    Args:
        bits: by message.
        logits: of one network.
        plain: label and attributes.
        about: the same, conditioned perhaps, as the information is.
        roles: which is which.
    """
    return outputs_of(bits, counted_measures(logits, plain, roles), about, roles)


def measure_pruning(
    network: Network,
    params: Params,
    x: ArrayLike,
    messages: Mapping[str, Any],
    flows: Flows,
    strategies: Sequence[Any],
    factors: Sequence[float] | ArrayLike,
    estimator: Estimator = gaussian,
    *,
    keep: str = "y",
    remove: str = "z",
    given: Any = None,
    key: Array | None = None,
) -> dict[str, Float[Array, "K F"]]:
    """What the output of one network shows after every strategy of pruning, step by step.

    A strategy ranks nodes, edges or paths under a metric and selects the first ``level`` of them; their weights are
    multiplied by every factor in turn (``rank``, ``select`` and ``prune``; Venkatesh et al. 2021, §3.2), and the output
    is measured (``measure_outputs``).

    Args:
        network: the network.
        params: its parameters; ``map_networks`` or ``jax.vmap`` take many.
        x: features ``[N, d]`` of rows that the network was not trained on.
        messages: by name: the label, and the attributes.
        flows: what ``network_flows`` gave of this network.
        strategies: (metric, method, level) each, such as ``("bias/acc", "node", 2)``; ``pipeline.strategy_grid`` makes
            many.
        factors: what the selected weights are multiplied by ``[F]``; 1 leaves them, 0 removes them.
        estimator: of information, see ``network_flows``.
        keep: the label, whose flow shall stay.
        remove: the message whose flow shall go.
        given: another message that the attributes' information at the output is conditioned on.
        key: for the random metric, of this network alone.

    Returns:
        By name as ``measure_outputs``, in per cent ``[K, F]``: a row for every strategy, a column for every factor.

    Raises:
        InputError: no strategy or factor, too small a network, and what ``rank`` and ``measure_outputs`` refuse.

    Example:
        >>> network, x = mlp(hidden=(3,)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> params = network.init(jax.random.key(0), x)
        >>> messages = {"y": (x[:, 0] > 0).astype(int), "z": jnp.arange(200) % 2}
        >>> flows = network_flows(network, params, x, messages)
        >>> strategies = [("bias/acc", "node", 1), ("bias/acc", "edge", 2)]
        >>> measure_pruning(network, params, x, messages, flows, strategies, (1.0, 0.5, 0.0))["bias"].shape
        (2, 3)
    """
    chosen, steps = [checked_strategy(own, functions=True) for own in strategies], jnp.asarray(factors, jnp.float32)
    if not chosen or steps.ndim != 1 or not steps.size:
        raise InputError("give at least one strategy, such as ('bias/acc', 'node', 2), and one factor, such as 0")
    weights = analysed_weights(network.weights(params), flows, (keep, remove))
    check_strategies(chosen, layer_sizes(weights))
    seen = looked_at(network, params, x, messages, (keep, remove, given), len(weights))
    ranks = strategy_ranks(weights, flows, chosen, keep=keep, remove=remove, key=key, rows=seen)
    levels = jnp.array([strategy.level for strategy in chosen])

    def after(ranks: Array, level: Array, factor: Array) -> dict[str, Array]:
        pruned = prune(params, select(network, params, ranks, level), factor)
        return measure_outputs(network, pruned, x, messages, estimator, label=keep, given=given)

    if spec_of(estimator).layer_bits is not None:
        return jax.lax.map(lambda own: jax.vmap(partial(after, *own))(steps), (ranks, levels))
    # an estimator that must see arrays gets one network after the other
    found = [after(own, level, factor) for own, level in zip(ranks, levels, strict=True) for factor in steps]
    return {name: jnp.stack([own[name] for own in found]).reshape(len(chosen), -1) for name in found[0]}


def _roles(messages: Mapping[str, Message], label: str) -> Roles:
    """The label, and all other messages as attributes.

    ``jit`` sorts the names. Where none is the label's default, the only message of classes must be it.
    """
    classes = [name for name, message in messages.items() if not message.continuous]
    if label not in messages and label == "y" and len(classes) == 1:
        label = classes[0]
    if label not in messages:
        raise InputError(f"no message is named {label!r}: name the label by label=; {alternatives(label, messages)}")
    attributes = tuple(name for name in messages if name != label)
    if not attributes or messages[label].continuous:
        raise InputError("give a label of classes and at least one attribute, such as {'y': ..., 'z': ...}")
    return Roles(label, attributes)
