"""How sure the flows of many layers are, in a run: p-values of all nodes, and honest flows about messages of a kind."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.flows import null95_of_flows
from jaxflow.inference.honest import Honest, Prepare, honest_layer, intervals
from jaxflow.inference.permutations import reached_by
from jaxflow.information.gaussian import Groups
from jaxflow.messages import Message


class Evidence(NamedTuple):
    """How sure the flows of a layer's nodes are; NaN where there are no permutations, or no honest flows.

    Attributes:
        null95: noise floor of the layer ``[...]``.
        p: of every node, ``[..., n]`` as all that follow.
        p_max: family-wise over the layer.
        honest: flows that no choice flatters, bits.
        low: lower end of their intervals.
        high: upper end.
    """

    null95: Any
    p: Any
    p_max: Any
    honest: Any
    low: Any
    high: Any


def evidence_of(flow: Float[Array, "P *S n"], honest: Honest | None = None) -> Evidence:
    """From the flows about a message, the first, and its permutations.

    Args:
        flow: in bits; P = 1 without permutations.
        honest: flows and intervals ``[*S, n]``.
    """
    nothing = jnp.full_like(flow[0], jnp.nan)
    told = (nothing, nothing, nothing) if honest is None else honest
    if len(flow) == 1:
        return Evidence(nothing[..., 0], nothing, nothing, *told)
    p, p_max = p_values(flow[0], flow[1:])
    return Evidence(null95_of_flows(flow[1:]), p, p_max, *told)


def p_values(
    flow: Float[Array, "*S n"], drawn: Float[Array, "B *S n"]
) -> tuple[Float[Array, "*S n"], Float[Array, "*S n"]]:
    """Both p-values, p and p_max, of the nodes of every layer, as ``significance`` has them of one.

    No flows are sorted here: node k counts among those that node j is compared with if its flow is smaller, or equal
    and not before. Where a layer is narrow that is faster, under ``jit``, than the steps of ``step_down``.

    Args:
        flow: about the message, bits.
        drawn: about its permutations.
    """
    reached, order = reached_by(flow), jnp.arange(flow.shape[-1])
    smaller, equal = (reached[..., None, :] < reached[..., None]), (reached[..., None, :] == reached[..., None])
    follows = smaller | (equal & (order[None] >= order[:, None]).reshape((1,) * (flow.ndim - 1) + 2 * order.shape))
    largest = jnp.max(jnp.where(follows[None], drawn[..., None, :], -jnp.inf), axis=-1)

    def share(statistic: Array) -> Array:
        return (1 + jnp.sum(statistic >= reached[None], axis=0, dtype=flow.dtype)) / (1 + len(drawn))

    steps = jnp.where(jnp.swapaxes(follows, -1, -2), share(largest)[..., None, :], 0)
    return share(drawn), jnp.max(steps, axis=-1)


def honest_of_layer(
    layer: Float[Array, "N c"],
    messages: Mapping[str, Message],
    halves: Mapping[str, Int[Array, "2 H"]],
    prepare: Prepare,
    groups: Groups = None,
) -> dict[str, Honest]:
    """Honest flows of one layer about every message, under ``jit``; those of one kind share a trace.

    Args:
        layer: activations.
        messages: ``values [N]`` or ``[N, d]``.
        halves: of the rows, for every message.
        prepare: see ``honest_layer``.
        groups: the node of every column.
    """
    kinds: dict[Any, list[str]] = {}
    for name, message in messages.items():
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(message))
        kinds.setdefault((jax.tree.structure(message), shapes), []).append(name)
    found = {}
    for names in kinds.values():
        alike = jax.tree.map(lambda *own: jnp.stack(own), *(messages[name] for name in names))
        parts = jnp.stack([halves[name] for name in names])
        every = intervals(
            *jax.vmap(lambda about, half: honest_layer(layer, about, half, prepare, groups))(alike, parts)
        )
        found |= {name: Honest(*(field[k] for field in every)) for k, name in enumerate(names)}
    return found
