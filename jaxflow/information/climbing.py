"""How a search finds sets: a beam that grows node by node, and climbs that add or remove one node at a time."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxflow.information.conditional_sets import Moves, Problem

IMPROVED = 1e-6  # bits by which a step of the climb must gain, lest it run in circles


def candidates(moves: Moves, problem: Problem, ranks: Int[Array, "c d"], beam: int, depth: int) -> Int[Array, "k d"]:
    """Slots of the best set of the beam, and of those to which it and the random sets climb."""
    nodes = _best_of_beam(moves, problem, beam, depth)[None]
    if len(ranks) == 0:
        return nodes
    drawn = problem.order.at[ranks].get(mode="fill", fill_value=len(problem.order))
    starts = jnp.concatenate([nodes, drawn])
    return jnp.concatenate([nodes, jax.vmap(partial(_climbed, moves, problem))(starts)])


def random_sets(key: Array, nodes: int, count: int, depth: int) -> Int[Array, "c d"]:
    """Sets of random sizes from 1 to ``depth``, as ranks of nodes; ``nodes`` where there is none."""
    size_key, set_key = jax.random.split(key)
    sizes = jax.random.randint(size_key, (count, 1), 1, depth + 1)
    drawn = jax.lax.top_k(jax.random.uniform(set_key, (count, nodes)), min(depth, nodes))[1]
    return jnp.where(jnp.arange(drawn.shape[1])[None] < sizes, drawn, nodes)


def _best_of_beam(moves: Moves, problem: Problem, width: int, depth: int) -> Int[Array, " d"]:
    """The best of all sets in a beam that grows node by node."""
    n = len(problem.order)
    nothing = moves.empty_set(problem, depth)
    beam = jax.tree.map(lambda a: jnp.broadcast_to(a, (width, *a.shape)), nothing)
    alive = jnp.arange(width) == 0  # equal sets side by side would stay equal

    def grow(carry: tuple, _: None) -> tuple[tuple, None]:
        beam, alive, best, nodes = carry
        flows = jax.vmap(partial(moves.flows_with, problem))(beam)
        flows = jnp.where(alive[:, None] & ~_repeated(beam.nodes, alive, n), flows, -jnp.inf)
        flow, place = jax.lax.top_k(flows.ravel(), width)
        parents = jax.tree.map(lambda a: a[place // n], beam)
        beam = jax.vmap(partial(moves.with_node, problem))(parents, place % n, flow > -jnp.inf)
        nodes = jnp.where(flow[0] > best, beam.nodes[0], nodes)
        return (beam, flow > -jnp.inf, jnp.maximum(best, flow[0]), nodes), None

    start = (beam, alive, moves.own_flow(problem, nothing), nothing.nodes)
    return jax.lax.scan(grow, start, length=depth)[0][-1]


def _repeated(nodes: Int[Array, "b d"], alive: Bool[Array, " b"], n: int) -> Bool[Array, "b n"]:
    """Whether set i with node u is set j < i with a node: of equal sizes, they then differ by that node alone."""
    width = len(nodes)
    members = jnp.zeros((width, n), bool).at[jnp.arange(width)[:, None], nodes].set(True, mode="drop")
    missing = members[None] & ~members[:, None]  # i, j, u: in j and not in i
    near = (jnp.sum(missing, axis=-1) == 1) & alive[None] & jnp.tril(jnp.ones((width, width), bool), -1)
    return jnp.any(missing & near[:, :, None], axis=1)


def _climbed(moves: Moves, problem: Problem, start: Int[Array, " d"]) -> Int[Array, " d"]:
    """Add or remove the node that raises the flow most, until none does; from the nodes of ``start`` that can join."""
    n, depth = len(problem.order), len(start)

    def join(subset: Any, node: Array) -> tuple[Any, None]:
        flow = moves.flows_with(problem, subset).at[node].get(mode="clip")
        return moves.with_node(problem, subset, jnp.minimum(node, n - 1), (node < n) & (flow > -jnp.inf)), None

    def step(state: tuple) -> tuple:
        subset, flow, _, count = state
        directions, without = moves.flows_without(problem, subset)
        flows = jnp.concatenate([moves.flows_with(problem, subset), without])
        best = jnp.argmax(flows)
        improves = flows[best] > flow + IMPROVED
        larger = moves.with_node(problem, subset, jnp.minimum(best, n - 1), improves)
        slot = jnp.maximum(best - n, 0)
        smaller = moves.without_node(problem, subset, slot, directions)
        changed = jax.tree.map(lambda a, b: jnp.where(improves & (best >= n), a, b), smaller, larger)
        return changed, jnp.where(improves, flows[best], flow), improves, count + 1

    subset = jax.lax.scan(join, moves.empty_set(problem, depth), start)[0]
    state = subset, moves.own_flow(problem, subset), jnp.array(True), 0
    return jax.lax.while_loop(lambda s: s[2] & (s[3] < 4 * depth), step, state)[0].nodes
