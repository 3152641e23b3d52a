"""How sure the flows of many layers are, in a run: p-values of all nodes, and honest flows about messages of a kind."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.inference.honest import Honest, Prepare, honest_layer, intervals
from jaxflow.inference.permutations import family_wise, node_wise, pooled95
from jaxflow.information.gaussian import Groups
from jaxflow.messages import Message, uncertainty


class Evidence(NamedTuple):
    """How sure the flows of a layer's nodes are; NaN where there are no permutations, or no honest flows.

    Attributes:
        null95: noise floor of the layer ``[...]``.
        p: of every node, ``[..., n]`` as all that follow.
        p_max: family-wise over the layer.
        honest: flows whose subsets were chosen on other rows, bits.
        low: lower end of their intervals.
        high: upper end.
    """

    null95: Any
    p: Any
    p_max: Any
    honest: Any
    low: Any
    high: Any


def evidence_of(flow: Float[np.ndarray, "P *S n"], honest: Honest | None = None) -> Evidence:
    """From the flows about a message, the first, and its permutations: every layer's nodes are one family.

    They are counted on the host, where sorting needs no program of its own for every width of a layer.

    Args:
        flow: in bits; P = 1 without permutations.
        honest: flows and intervals ``[*S, n]``.
    """
    nothing = np.full_like(flow[0], np.nan)
    told = (nothing, nothing, nothing) if honest is None else map(np.asarray, honest)
    if len(flow) == 1:
        return Evidence(nothing[..., 0], nothing, nothing, *told)
    counted = pooled95(flow[1:]), node_wise(flow[0], flow[1:]), family_wise(flow[0], flow[1:])
    return Evidence(*(np.asarray(values, flow.dtype) for values in counted), *told)


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
            *jax.vmap(lambda about, half: honest_layer(layer, about, half, prepare, groups))(alike, parts),
            most=jax.vmap(uncertainty)(alike)[:, None],
        )
        found |= {name: Honest(*(field[k] for field in every)) for k, name in enumerate(names)}
    return found
