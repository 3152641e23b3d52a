"""Honest flows of layers too wide to list: T is searched on one half of the rows and valued on the other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import batched_map, on_all_cores
from jaxflow.inference.honest import of_both, rows_of, strata_of, valued_in
from jaxflow.inference.residuals import taken_of
from jaxflow.information.gaussian import Groups, by_node, node_sizes
from jaxflow.information.grouped_sets import NOWHERE, picked, table_of
from jaxflow.information.search import search_flows
from jaxflow.messages import Message
from jaxflow.programs import ALONE

T_THEN_V = np.array([[False, False], [True, False]])  # two nodes: all columns of T, and those of V given T


def honest_of_search(
    layers: Float[Array | np.ndarray, "S N c"], message: Message, halves: Int[np.ndarray, "2 H"], groups: Groups = None
) -> tuple[Float[Array, "S n"], Float[Array, "S n"], Float[Array, "S n"]]:
    """Honest flows of wide layers, their standard errors and slopes for ``intervals``, in bits, by a Gaussian search.

    The value is that of ``honest_layer``, of the columns of T and V alone; T is what ``search_flows`` finds in the
    other half, and need not be the best there.

    Args:
        layers: activations.
        message: one, ``values [N]`` or ``[N, d]``.
        halves: of the rows.
        groups: the node of every column.
    """
    parts = [rows_of(message, rows) for rows in halves]
    searched = (search_flows(own, layers[:, rows], groups=groups) for own, rows in zip(parts, halves, strict=True))
    sets = [np.asarray(witness) for _, witness in searched]
    found = []
    for own, rows, chosen in zip(parts, halves, sets[::-1], strict=True):
        slots = 2 ** int(np.ceil(np.log2(max(1, chosen.sum(axis=-1).max()))))  # few programs for sets of any size
        value = partial(_all_valued, message=own, groups=groups, slots=slots)
        found.append(on_all_cores(lambda items, value=value: value(*items), (jnp.asarray(layers[:, rows]), chosen)))
    value, bias, variance = (jnp.stack([jnp.asarray(half) for half in field]) for field in zip(*found, strict=True))
    return of_both(value, bias, variance)


@partial(jax.jit, static_argnames=("groups", "slots"), compiler_options=ALONE)
def _all_valued(
    layers: Float[Array, "S H c"], sets: Bool[Array, "S n n"], message: Message, groups: Groups, slots: int
) -> tuple[Float[Array, "S n"], Float[Array, "S n"], Float[Array, "S n"]]:
    """What ``valued_in`` finds of every node in every layer.

    Args:
        layers: activations of one half.
        sets: T of every node.
        message: of the same rows.
        groups: the node of every column.
        slots: at least as many as a T has nodes.
    """
    nodes = sets.shape[1]
    table = jnp.asarray(table_of(node_sizes(groups) or (1,) * nodes))
    sizes, taken = (slots * table.shape[1], table.shape[1]), taken_of(message)

    def of_node(node: Array, x: Float[Array, "H c"], chosen: Array, message: Message) -> tuple[Array, Array, Array]:
        members = jnp.flatnonzero(chosen[node], size=slots, fill_value=nodes)
        others = table.at[members].get(mode="fill", fill_value=NOWHERE)
        strata = strata_of(message, picked(x, jnp.append(others.ravel(), table[node])))
        value, bias, variance = valued_in(strata, jnp.asarray(T_THEN_V), taken, sizes)
        return value[1], bias[1], variance[1]

    def of_layer(item: tuple[Array, Array], message: Message) -> tuple[Array, Array, Array]:
        x, item_bytes = by_node(item[0], groups), 16 * len(layers[0]) * sum(sizes)
        return batched_map(of_node, jnp.arange(nodes), item_bytes, x, item[1], message)

    return batched_map(of_layer, (layers, sets), 4 * layers[0].size * nodes, message)
