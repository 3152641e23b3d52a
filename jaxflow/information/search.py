"""Node flows of wide layers: a search for the maximising subset where 2ⁿ cannot be listed.

A set T is held as the coordinates of all columns, and of the message, in an orthonormal basis of T's columns: rows r
with cov(u, v | T) = cov(u, v) − Σ r_u r_v. A node that joins adds one row, a node that leaves takes one away; either is
a rank-one update of the conditional covariances, of which only the variances and the rows of target and message are
kept: O(n·|T|) for the flows of all sets that differ from T by one node. What is found is computed anew from samples.
Shapes: n nodes, w = n + 1 columns with the message as the last, d slots for the nodes of T.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map
from jaxflow.information.checks import checked_inputs
from jaxflow.information.gaussian import HIGHEST, projected, standardised
from jaxflow.information.recursion import DETERMINED
from jaxflow.values import whole

MOST_SETS = 100_000  # side by side, and nodes of one
RESOLVED = 10 * DETERMINED  # residual variance that a covariance in float32 still tells from 0
IMPROVED = 1e-6  # bits by which a step of the climb must gain, lest it run in circles


class Subset(NamedTuple):
    """A set T of nodes, seen from one target.

    Attributes:
        basis: coordinates of every column in an orthonormal basis of T's, zero rows where slots are empty.
        nodes: the node in every slot, n in an empty one.
        variance: of every column given T.
        target: covariance of the target with every column given T.
        message: covariance of the message with every column given T.
    """

    basis: Float[Array, "d w"]
    nodes: Int[Array, " d"]
    variance: Float[Array, " w"]
    target: Float[Array, " w"]
    message: Float[Array, " w"]


class Problem(NamedTuple):
    """Whose flow is searched.

    Attributes:
        covariance: of the standardised nodes and, last, the message.
        entropy: H(M).
        order: nodes by their own information, most first.
        target: the node.
    """

    covariance: Float[Array, "w w"]
    entropy: Float[Array, ""]
    order: Int[Array, " n"]
    target: Int[Array, ""]


def search_flows(
    message: ArrayLike,
    activations: ArrayLike,
    *,
    beam: int = 8,
    restarts: int = 8,
    depth: int = 32,
    key: Array | None = None,
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch n n"]]:
    """Lower bounds on F_M(V) = max_T I(M; X_V | X_T) by Gaussian information, in bits, and the T that attain them.

    For every node V a beam grows the sets T of the largest conditional information, node by node up to ``depth``, past
    plateaus, and keeps the best it saw. Then the best set, and random ones, climb by adding or removing single nodes.
    Every bound is certified: it is I(M; X_V | X_T) of the returned T, computed from the samples' QR factors apart from
    the search's running updates; that is the difference of ``information.gaussian`` between T ∪ V and T.

    A set in which a node would keep 1e-5 of its variance or less is not tried, and a node with so little left has no
    flow. With fewer samples than nodes a subset of N − 1 nodes fits any message: flows then tend to H(M), whatever the
    message is, and only a comparison with permuted messages tells what they mean.

    The result depends on nothing but the arguments: not on the batch, and on the order of nodes only where nodes
    tie. Random sets are the same for every layer of a batch, drawn by the rank of a node's own information.

    Args:
        message: binary, ``[..., N]``. Its last axis, the samples, is axis −2 of the activations.
        activations: ``[..., N, n]``: samples on axis −2, nodes on the last; axes before them are batches and broadcast
            against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``.
        beam: sets that grow side by side; 1 is greedy search.
        restarts: random sets that climb, beside the beam's; with 0 nothing climbs.
        depth: most nodes of T.
        key: of the random sets, ``jax.random.key(0)`` by default.

    Returns:
        Flows ``[..., n]`` and witnesses ``[..., n, n]``: row V holds True for the nodes in T, none where the flow is 0.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a layer without nodes, a message that is not
            0/1, NaN, infinity or masked values, a beam or depth below 1.
    """
    beam, restarts, depth = (
        whole(name, value, low, MOST_SETS)
        for name, value, low in (("beam", beam, 1), ("restarts", restarts, 0), ("depth", depth, 1))
    )
    m, x = checked_inputs(message, activations, most=None)
    batch = jnp.broadcast_shapes(m.shape[:-1], x.shape[:-2])
    shared = [axis for axis, size in enumerate(x.shape[:-2]) if size == 1]  # messages differ along these, layers do not
    last = range(len(batch) - len(shared), len(batch))
    asked = jnp.moveaxis(jnp.broadcast_to(m, (*batch, m.shape[-1])), shared, last)
    layers = x.reshape(-1, *x.shape[-2:])
    key = jax.random.key(0) if key is None else key
    size = min(depth, max(1, x.shape[-1] - 1))
    flows, witnesses = _all_layers(layers, asked.reshape(len(layers), -1, m.shape[-1]), key, beam, restarts, size)
    flows, witnesses = (a.reshape(*asked.shape[:-1], *a.shape[2:]) for a in (flows, witnesses))
    return jnp.moveaxis(flows, last, shared), jnp.moveaxis(witnesses, last, shared)


@partial(jax.jit, static_argnames=("beam", "restarts", "depth"))
def _all_layers(
    layers: Float[Array, "S N n"], messages: Float[Array, "S Q N"], key: Array, beam: int, restarts: int, depth: int
) -> tuple[Float[Array, "S Q n"], Bool[Array, "S Q n n"]]:
    """Every layer about its messages, in bounded memory."""
    n = layers.shape[-1]
    set_bytes = 4 * (2 * restarts + beam + 1) * depth * n

    def one(item: tuple[Array, Array], ranks: Int[Array, "c d"]) -> tuple[Array, Array]:
        return _layer_flows(*item, partial(_candidates, beam=beam, depth=depth, ranks=ranks), set_bytes)

    ranks = _random_sets(key, n, restarts, depth)
    return batched_map(one, (layers, messages), 12 * layers[0].size + n * set_bytes, ranks)


def _layer_flows(
    layer: Float[Array, "N n"], messages: Float[Array, "Q N"], search: Callable[[Problem], Array], set_bytes: int
) -> tuple[Float[Array, "Q n"], Bool[Array, "Q n n"]]:
    """One layer about its messages, one after the other; Q and R of the standardised layer stand in for the samples."""
    n = layer.shape[-1]
    basis, columns = jnp.linalg.qr(standardised(layer.T).T)
    within = jnp.matmul(columns.T, columns, precision=HIGHEST)

    def about(message: Float[Array, " N"]) -> tuple[Array, Array]:
        coordinates, entropy = projected(message, basis.T)
        covariance = _bordered(within, jnp.matmul(coordinates, columns, precision=HIGHEST))
        order = jnp.argsort(-jnp.abs(covariance[-1, :-1]))

        def one(target: Int[Array, ""]) -> tuple[Array, Array]:
            found = search(Problem(covariance, entropy, order, target))
            flows = jax.vmap(partial(_certified, columns, coordinates, entropy, target))(found)
            best = jnp.argmax(flows)
            return flows[best], jnp.zeros(n, bool).at[found[best]].set(flows[best] > 0, mode="drop")

        return batched_map(one, jnp.arange(n), set_bytes)

    return jax.lax.map(about, messages)


def _bordered(within: Float[Array, "n n"], about: Float[Array, " n"]) -> Float[Array, "w w"]:
    """Covariance of the nodes and, last, of the message of variance 1."""
    return jnp.pad(within, (0, 1)).at[-1].set(jnp.append(about, 1)).at[:, -1].set(jnp.append(about, 1))


def _certified(
    columns: Float[Array, "k n"],
    about: Float[Array, " k"],
    entropy: Float[Array, ""],
    target: Int[Array, ""],
    nodes: Int[Array, " d"],
) -> Float[Array, ""]:
    """I(M; X_V | X_T) by Gram–Schmidt, every column twice, in the order of the slots, the target last."""
    listed = jnp.append(nodes, target)
    chosen = jnp.where(listed[:, None] < columns.shape[1], columns.T.at[listed].get(mode="clip"), 0)

    def add(basis: Array, item: tuple[Array, Array]) -> tuple[Array, Array]:
        j, v = item
        for _ in range(2):
            v = v - jnp.matmul(jnp.matmul(basis, v, precision=HIGHEST), basis, precision=HIGHEST)
        variance = jnp.vdot(v, v, precision=HIGHEST)
        direction = jnp.where(variance > DETERMINED, v / jnp.sqrt(jnp.maximum(variance, DETERMINED)), 0)
        return basis.at[j].set(direction), jnp.vdot(direction, about, precision=HIGHEST) ** 2

    explained = jax.lax.scan(add, jnp.zeros_like(chosen), (jnp.arange(len(chosen)), chosen))[1]
    left = 1 - jnp.minimum(jnp.sum(explained[:-1]), 1)
    return _gain(left, explained[-1], entropy)


def _gain(left: Float[Array, "*a"], explained: Float[Array, "*a"], entropy: Float[Array, ""]) -> Float[Array, "*a"]:
    """Bits gained, up to H(M), where of the message's variance ``left`` is left and ``explained`` of that explained."""
    left = jnp.maximum(left, jnp.finfo(left.dtype).tiny)
    gain = -jnp.log1p(-jnp.minimum(explained / left, 1)) / (2 * jnp.log(2.0))
    return jnp.clip(entropy + jnp.log2(left) / 2, 0, gain)


def _flow(variance: Array, covariance: Array, left: Array, entropy: Array) -> Array:
    """I(M; X_V | X_T) from the conditional covariances; −∞ where T leaves too little of the target."""
    explained = covariance**2 / jnp.maximum(variance, RESOLVED)
    return jnp.where(variance > RESOLVED, _gain(left, explained, entropy), -jnp.inf)


def _own_flow(problem: Problem, subset: Subset) -> Array:
    """Of the target given T."""
    return _flow(subset.target[problem.target], subset.target[-1], subset.message[-1], problem.entropy)


def _flows_with(problem: Problem, subset: Subset) -> Float[Array, " n"]:
    """Of the target given T and one more node, for every node; −∞ where it cannot join."""
    nodes = slice(0, -1)
    variance = jnp.maximum(subset.variance[nodes], RESOLVED)
    to_target, to_message = subset.target[nodes], subset.message[nodes]
    flows = _flow(
        subset.target[problem.target] - to_target**2 / variance,
        subset.target[-1] - to_target * to_message / variance,
        subset.message[-1] - to_message**2 / variance,
        problem.entropy,
    )
    n = len(to_target)
    able = (subset.variance[nodes] > RESOLVED) & (jnp.arange(n) != problem.target) & jnp.any(subset.nodes == n)
    return jnp.where(able, flows, -jnp.inf)


def _updated(problem: Problem, subset: Subset, row: Float[Array, " w"], sign: int) -> Subset:
    """Covariances given a subset with (sign 1) or without (−1) the direction of ``row``."""
    return subset._replace(
        variance=subset.variance - sign * row**2,
        target=subset.target - sign * row[problem.target] * row,
        message=subset.message - sign * row[-1] * row,
    )


def _with(problem: Problem, subset: Subset, node: Int[Array, ""], able: Bool[Array, ""]) -> Subset:
    """T and one more node, in the first empty slot; T itself if that is not able to join."""
    slot = jnp.argmax(subset.nodes == len(subset.variance) - 1)
    row = problem.covariance[node] - jnp.matmul(subset.basis[:, node], subset.basis, precision=HIGHEST)
    row = jnp.where(able, row / jnp.sqrt(jnp.maximum(subset.variance[node], RESOLVED)), 0)
    return _updated(problem, subset, row, 1)._replace(
        basis=subset.basis.at[slot].set(jnp.where(able, row, subset.basis[slot])),
        nodes=subset.nodes.at[slot].set(jnp.where(able, node, subset.nodes[slot])),
    )


def _empty(problem: Problem, depth: int) -> Subset:
    """The empty set, with room for ``depth`` nodes."""
    covariance, n = problem.covariance, len(problem.covariance) - 1
    basis = jnp.zeros((depth, n + 1), covariance.dtype)
    return Subset(basis, jnp.full(depth, n), jnp.diag(covariance), covariance[problem.target], covariance[-1])


def _candidates(problem: Problem, ranks: Int[Array, "c d"], beam: int, depth: int) -> Int[Array, "k d"]:
    """Slots of the best set of the beam, and of those to which it and the random sets climb."""
    nodes = _beam(problem, beam, depth)[None]
    if len(ranks) == 0:
        return nodes
    drawn = problem.order.at[ranks].get(mode="fill", fill_value=len(problem.order))
    starts = jnp.concatenate([nodes, drawn])
    return jnp.concatenate([nodes, jax.vmap(partial(_climb, problem))(starts)])


def _beam(problem: Problem, width: int, depth: int) -> Int[Array, " d"]:
    """The best of all sets in a beam that grows node by node."""
    n = len(problem.covariance) - 1
    nothing = _empty(problem, depth)
    beam = jax.tree.map(lambda a: jnp.broadcast_to(a, (width, *a.shape)), nothing)
    alive = jnp.arange(width) == 0  # equal sets side by side would stay equal

    def grow(carry: tuple, _: None) -> tuple[tuple, None]:
        beam, alive, best, nodes = carry
        flows = jax.vmap(partial(_flows_with, problem))(beam)
        flows = jnp.where(alive[:, None] & ~_repeated(beam.nodes, alive, n), flows, -jnp.inf)
        flow, place = jax.lax.top_k(flows.ravel(), width)
        parents = jax.tree.map(lambda a: a[place // n], beam)
        beam = jax.vmap(partial(_with, problem))(parents, place % n, flow > -jnp.inf)
        nodes = jnp.where(flow[0] > best, beam.nodes[0], nodes)
        return (beam, flow > -jnp.inf, jnp.maximum(best, flow[0]), nodes), None

    start = (beam, alive, _own_flow(problem, nothing), nothing.nodes)
    return jax.lax.scan(grow, start, length=depth)[0][-1]


def _repeated(nodes: Int[Array, "b d"], alive: Bool[Array, " b"], n: int) -> Bool[Array, "b n"]:
    """Whether set i with node u is set j < i with a node: of equal sizes, they then differ by that node alone."""
    width = len(nodes)
    members = jnp.zeros((width, n), bool).at[jnp.arange(width)[:, None], nodes].set(True, mode="drop")
    missing = members[None] & ~members[:, None]  # i, j, u: in j and not in i
    near = (jnp.sum(missing, axis=-1) == 1) & alive[None] & jnp.tril(jnp.ones((width, width), bool), -1)
    return jnp.any(missing & near[:, :, None], axis=1)


def _random_sets(key: Array, nodes: int, count: int, depth: int) -> Int[Array, "c d"]:
    """Sets of random sizes from 1 to ``depth``, as ranks of nodes; ``nodes`` where there is none."""
    size_key, set_key = jax.random.split(key)
    sizes = jax.random.randint(size_key, (count, 1), 1, depth + 1)
    drawn = jax.lax.top_k(jax.random.uniform(set_key, (count, nodes)), min(depth, nodes))[1]
    return jnp.where(jnp.arange(drawn.shape[1])[None] < sizes, drawn, nodes)


def _climb(problem: Problem, start: Int[Array, " d"]) -> Int[Array, " d"]:
    """Add or remove the node that raises the flow most, until none does; from the nodes of ``start`` that can join."""
    n, depth = len(problem.covariance) - 1, len(start)

    def join(subset: Subset, node: Array) -> tuple[Subset, None]:
        flow = _flows_with(problem, subset).at[node].get(mode="clip")
        return _with(problem, subset, jnp.minimum(node, n - 1), (node < n) & (flow > -jnp.inf)), None

    def step(state: tuple) -> tuple:
        subset, flow, _, count = state
        directions, without = _flows_without(problem, subset)
        flows = jnp.concatenate([_flows_with(problem, subset), without])
        best = jnp.argmax(flows)
        improves = flows[best] > flow + IMPROVED
        larger = _with(problem, subset, jnp.minimum(best, n - 1), improves)
        slot = jnp.maximum(best - n, 0)
        smaller = _without(problem, subset, slot, directions[slot])
        changed = jax.tree.map(lambda a, b: jnp.where(improves & (best >= n), a, b), smaller, larger)
        return changed, jnp.where(improves, flows[best], flow), improves, count + 1

    subset = jax.lax.scan(join, _empty(problem, depth), start)[0]
    state = subset, _own_flow(problem, subset), jnp.array(True), 0
    return jax.lax.while_loop(lambda s: s[2] & (s[3] < 4 * depth), step, state)[0].nodes


def _flows_without(problem: Problem, subset: Subset) -> tuple[Float[Array, "d d"], Float[Array, " d"]]:
    """Of the target given T less the node in each slot, and the direction in the basis that leaves with it.

    That direction is orthogonal to the other nodes: a row of the inverse of the nodes' coordinates.
    """
    n, depth = len(problem.covariance) - 1, len(subset.nodes)
    empty = subset.nodes == n
    own = subset.basis.at[:, subset.nodes].get(mode="clip")
    inverse = jnp.linalg.inv(jnp.where(empty[None], jnp.eye(depth, dtype=own.dtype), own))
    directions = inverse / jnp.linalg.norm(inverse, axis=1, keepdims=True)
    target = jnp.matmul(directions, subset.basis[:, problem.target], precision=HIGHEST)
    message = jnp.matmul(directions, subset.basis[:, -1], precision=HIGHEST)
    flows = _flow(
        subset.target[problem.target] + target**2,
        subset.target[-1] + target * message,
        subset.message[-1] + message**2,
        problem.entropy,
    )
    return directions, jnp.where(empty, -jnp.inf, flows)


def _without(problem: Problem, subset: Subset, slot: Int[Array, ""], direction: Float[Array, " d"]) -> Subset:
    """T less the node in a slot: a reflection turns the direction that leaves into the slot's row, to be cleared."""
    row = jnp.matmul(direction, subset.basis, precision=HIGHEST)
    mirror = direction.at[slot].add(-1)
    scale = 2 / jnp.maximum(jnp.vdot(mirror, mirror), jnp.finfo(mirror.dtype).tiny)
    turned = subset.basis - scale * mirror[:, None] * jnp.matmul(mirror, subset.basis, precision=HIGHEST)[None]
    smaller = _updated(problem, subset, row, -1)
    n = len(subset.variance) - 1
    return smaller._replace(basis=turned.at[slot].set(0), nodes=subset.nodes.at[slot].set(n))
