"""A set of nodes as a search holds it, and the flows of all sets that differ from it by one node.

A set T is held as the coordinates of all columns, and of the message, in an orthonormal basis of T's columns: rows r
with cov(u, v | T) = cov(u, v) − Σ r_u r_v. A node that joins adds one row, a node that leaves takes one away; either is
a rank-one update of the conditional covariances, of which only the variances and the rows of target and message are
kept: O(n·|T|) for the flows of all sets that differ from T by one node.
A search asks for nothing but the functions of ``Moves``: ``grouped_sets`` has those of nodes of several columns,
``stratified_sets`` those of sets that are seen within several strata at once.
Shapes: n nodes, w = n + m columns with the message's m, orthonormal, as the last, d slots for the nodes of T.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.information.columns import HIGHEST
from jaxflow.information.recursion import DETERMINED

RESOLVED = 10 * DETERMINED  # residual variance that a covariance in float32 still tells from 0


class Subset(NamedTuple):
    """A set T of nodes, seen from one target.

    Attributes:
        basis: coordinates of every column in an orthonormal basis of T's, zero rows where slots are empty.
        nodes: the node in every slot, n in an empty one.
        filled: whether a slot holds a direction; within a stratum not even that of a node may, which others determine.
        variance: of every column given T.
        target: covariance of the target with every column given T.
        message: covariance of the message's columns with every column given T.
        inverse: of the coordinates of T's nodes, a column of the identity where a slot holds no direction.
        remaining: determinant of the covariance of the message's columns given T.
        known: inverse of that covariance.
    """

    basis: Float[Array, "d w"]
    nodes: Int[Array, " d"]
    filled: Bool[Array, " d"]
    variance: Float[Array, " w"]
    target: Float[Array, " w"]
    message: Float[Array, "m w"]
    inverse: Float[Array, "d d"]
    remaining: Float[Array, ""]
    known: Float[Array, "m m"]


class Problem(NamedTuple):
    """Whose flow is searched.

    Attributes:
        covariance: of the standardised nodes and, last, the message's columns.
        entropy: H(M), infinite for numbers.
        order: nodes by their own information, most first.
        target: the node.
    """

    covariance: Float[Array, "w w"]
    entropy: Float[Array, ""]
    order: Int[Array, " n"]
    target: Int[Array, ""]


class Moves(NamedTuple):
    """What a search asks of sets, whatever holds them: a ``Subset``, or whatever else has ``nodes``.

    Attributes:
        empty_set: ``(problem, depth) → set``.
        own_flow: ``(problem, set) → bits``, −∞ where the set determines the target.
        flows_with: ``(problem, set) → bits [n]`` given one more node, −∞ where it cannot join.
        flows_without: ``(problem, set) → directions, bits [d]`` given one node less, −∞ of empty slots.
        with_node: ``(problem, set, node, able) → set``.
        without_node: ``(problem, set, slot, directions) → set``.
        resolved: ``(set) → [n]``, whether the set leaves so much of a node that it can join.
    """

    empty_set: Callable[..., Any]
    own_flow: Callable[..., Array]
    flows_with: Callable[..., Array]
    flows_without: Callable[..., tuple[Array, Array]]
    with_node: Callable[..., Any]
    without_node: Callable[..., Any]
    resolved: Callable[..., Array]


def determinant_and_inverse(covariance: Float[Array, "m m"]) -> tuple[Float[Array, ""], Float[Array, "m m"]]:
    """Of what is left of the message's covariance, by Gauss and Jordan; pivots are no smaller than rounding."""
    m = len(covariance)
    least = jnp.finfo(covariance.dtype).tiny if m == 1 else jnp.finfo(covariance.dtype).eps

    def eliminate(j: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        determinant, a, inverse = state
        pivot = jnp.maximum(a[j, j], least)
        a_row, row = a[j] / pivot, inverse[j] / pivot
        factor = jnp.where(jnp.arange(m) == j, 0, a[:, j])
        a, inverse = (old - factor[:, None] * new[None] for old, new in ((a, a_row), (inverse, row)))
        return determinant * pivot, a.at[j].set(a_row), inverse.at[j].set(row)

    start = jnp.ones((), covariance.dtype), covariance, jnp.eye(m, dtype=covariance.dtype)
    determinant, _, inverse = jax.lax.fori_loop(0, m, eliminate, start) if m > 1 else eliminate(jnp.array(0), start)
    return determinant, inverse


def quadratic_form(
    inverse: Float[Array, "m m"], a: Float[Array, "*k m"], b: Float[Array, "*k m"]
) -> Float[Array, "*k"]:
    """aᵀ A b of every pair."""
    return jnp.sum(jnp.matmul(a, inverse, precision=HIGHEST) * b, axis=-1)


def bits_gained(
    remaining: Float[Array, "*a"], explained: Float[Array, "*a"], entropy: Float[Array, ""]
) -> Float[Array, "*a"]:
    """Bits gained, up to H(M).

    Args:
        remaining: determinant of what is left of the message's covariance.
        explained: the part of that covariance that is explained, relative to it.
        entropy: H(M).
    """
    gain = -jnp.log1p(-jnp.clip(explained, 0, 1 - jnp.finfo(remaining.dtype).epsneg)) / (2 * jnp.log(2.0))
    return up_to_entropy(gain, remaining, entropy)


def up_to_entropy(
    gain: Float[Array, "*a"], remaining: Float[Array, "*a"], entropy: Float[Array, ""]
) -> Float[Array, "*a"]:
    """Bits gained, no more than there are left to know once −½ log₂ ``remaining`` are known."""
    remaining = jnp.maximum(remaining, jnp.finfo(remaining.dtype).tiny)
    return jnp.clip(entropy + jnp.log2(remaining) / 2, 0, gain)


def _flow(variance: Array, explained: Array, remaining: Array, entropy: Array) -> Array:
    """I(M; X_V | X_T) from the conditional covariances; −∞ where T leaves too little of the target.

    Args:
        variance: of the target given T.
        explained: cᵀ A c of its covariance c with the message's columns, A the inverse of their covariance given T.
        remaining: determinant of the latter.
        entropy: H(M).
    """
    return jnp.where(
        variance > RESOLVED, bits_gained(remaining, explained / jnp.maximum(variance, RESOLVED), entropy), -jnp.inf
    )


def own_flow(problem: Problem, subset: Subset) -> Array:
    """Flow of the target node given the current subset T."""
    c = subset.target[-len(subset.message) :]
    explained = quadratic_form(subset.known, c, c)
    return _flow(subset.target[problem.target], explained, subset.remaining, problem.entropy)


def flows_with(problem: Problem, subset: Subset) -> Float[Array, " n"]:
    """Flow of the target given T and one more node, for every node; −∞ where it cannot join.

    The inverse of the message's covariance given one more node follows from that given T (Sherman and Morrison).
    """
    m, n = len(subset.message), len(problem.order)
    target, remaining, known = subset.target[-m:], subset.remaining, subset.known
    variance = jnp.maximum(subset.variance[:n], RESOLVED)
    to_target, to_message = subset.target[:n], subset.message[:, :n].T
    share = (to_target / variance)[:, None]
    c = target[None] - share * to_message
    told = jnp.matmul(to_message, known, precision=HIGHEST)  # the one product of matrices, for all nodes
    told_c = jnp.matmul(known, target, precision=HIGHEST)[None] - share * told
    remains = jnp.maximum(1 - jnp.sum(told * to_message, axis=1) / variance, jnp.finfo(remaining.dtype).tiny)
    explained = jnp.sum(told_c * c, axis=1) + jnp.sum(told * c, axis=1) ** 2 / (variance * remains)
    flows = _flow(
        subset.target[problem.target] - to_target**2 / variance, explained, remaining * remains, problem.entropy
    )
    able = (subset.variance[:n] > RESOLVED) & (jnp.arange(n) != problem.target) & jnp.any(subset.nodes == n)
    return jnp.where(able, flows, -jnp.inf)


def resolved(subset: Subset) -> Bool[Array, " n"]:
    """Whether T leaves so much of a node that it can join."""
    return subset.variance[: -len(subset.message)] > RESOLVED


def _updated(problem: Problem, subset: Subset, row: Float[Array, " w"], sign: int) -> Subset:
    """Covariances given a subset with (sign 1) or without (−1) the direction of ``row``."""
    return subset._replace(
        variance=subset.variance - sign * row**2,
        target=subset.target - sign * row[problem.target] * row,
        message=subset.message - sign * row[-len(subset.message) :, None] * row[None],
    )


def with_node(problem: Problem, subset: Subset, node: Int[Array, ""], able: Bool[Array, ""]) -> Subset:
    """T and one more node, in the first empty slot; T itself if that is not able to join.

    A node that is able to join, but determined by T, is one of T's nodes and adds no direction: there are other strata
    in which it does.
    """
    slot = jnp.argmax(subset.nodes == len(problem.order))
    adds = able & (subset.variance[node] > RESOLVED)
    row = problem.covariance[node] - jnp.matmul(subset.basis[:, node], subset.basis, precision=HIGHEST)
    row = jnp.where(adds, row / jnp.sqrt(jnp.maximum(subset.variance[node], RESOLVED)), 0)
    larger = _updated(problem, subset, row, 1)
    remaining, known = _known_with(subset, larger.message, row)
    return larger._replace(
        basis=subset.basis.at[slot].set(jnp.where(adds, row, subset.basis[slot])),
        nodes=subset.nodes.at[slot].set(jnp.where(able, node, subset.nodes[slot])),
        filled=subset.filled.at[slot].set(adds | subset.filled[slot]),
        inverse=jnp.where(adds, _inverse_with(subset, node, slot, row), subset.inverse),
        remaining=remaining,
        known=known,
    )


def _inverse_with(subset: Subset, node: Array, slot: Array, row: Float[Array, " w"]) -> Float[Array, "d d"]:
    """Inverse of the nodes' coordinates with one more column, of a block triangular matrix."""
    length = jnp.where(row[node] > 0, row[node], 1)
    column = -jnp.matmul(subset.inverse, subset.basis[:, node], precision=HIGHEST) / length
    return subset.inverse.at[:, slot].set(column.at[slot].set(1 / length))


def _known_with(
    subset: Subset, message: Float[Array, "m w"], row: Float[Array, " w"]
) -> tuple[Float[Array, ""], Float[Array, "m m"]]:
    """Determinant and inverse of the message's covariance after T got the direction of ``row`` (Sherman, Morrison).

    m² operations instead of m³; a single column has them from its variance.
    """
    m = len(message)
    if m == 1:
        return determinant_and_inverse(message[:, -m:])
    told = jnp.matmul(subset.known, row[-m:], precision=HIGHEST)
    remains = jnp.maximum(1 - jnp.vdot(row[-m:], told, precision=HIGHEST), jnp.finfo(row.dtype).eps)
    return subset.remaining * remains, subset.known + told[:, None] * told[None] / remains


def empty_set(problem: Problem, depth: int) -> Subset:
    """The empty set, with room for ``depth`` nodes."""
    covariance, n = problem.covariance, len(problem.order)
    dtype = covariance.dtype
    slots = jnp.full(depth, n), jnp.zeros(depth, bool)
    known = determinant_and_inverse(covariance[n:, n:])
    basis, inverse = jnp.zeros((depth, len(covariance)), dtype), jnp.eye(depth, dtype=dtype)
    return Subset(basis, *slots, jnp.diag(covariance), covariance[problem.target], covariance[n:], inverse, *known)


def flows_without(problem: Problem, subset: Subset) -> tuple[Float[Array, "d d"], Float[Array, " d"]]:
    """Of the target given T less the node in each slot, and the direction in the basis that leaves with it.

    That direction is orthogonal to the other nodes: a row of the inverse of the nodes' coordinates.
    """
    n, remaining, known = len(problem.order), subset.remaining, subset.known
    directions = subset.inverse / jnp.linalg.norm(subset.inverse, axis=1, keepdims=True)
    target = jnp.matmul(directions, subset.basis[:, problem.target], precision=HIGHEST)
    message = jnp.matmul(directions, subset.basis[:, n:], precision=HIGHEST)
    c = subset.target[n:][None] + target[:, None] * message
    remains = 1 + quadratic_form(known, message, message)
    explained = quadratic_form(known, c, c) - quadratic_form(known, message, c) ** 2 / remains
    flows = _flow(subset.target[problem.target] + target**2, explained, remaining * remains, problem.entropy)
    return directions, jnp.where(subset.nodes == n, -jnp.inf, flows)


def without_node(problem: Problem, subset: Subset, slot: Int[Array, ""], directions: Float[Array, "d d"]) -> Subset:
    """T less the node in a slot: a reflection turns the direction that leaves into the slot's row, to be cleared."""
    direction = directions[slot]
    row = jnp.matmul(direction, subset.basis, precision=HIGHEST)
    mirror = direction.at[slot].add(-1)
    scale = 2 / jnp.maximum(jnp.vdot(mirror, mirror), jnp.finfo(mirror.dtype).tiny)
    turned = subset.basis - scale * mirror[:, None] * jnp.matmul(mirror, subset.basis, precision=HIGHEST)[None]
    back = scale * jnp.matmul(subset.inverse, mirror, precision=HIGHEST)[:, None] * mirror[None]
    smaller, n = _updated(problem, subset, row, -1), len(problem.order)
    none = jnp.zeros_like(direction).at[slot].set(1)
    remaining, known = determinant_and_inverse(smaller.message[:, n:])  # anew: updates would keep what is lost here
    return smaller._replace(
        basis=turned.at[slot].set(0),
        nodes=subset.nodes.at[slot].set(n),
        filled=subset.filled.at[slot].set(False),
        inverse=(subset.inverse - back).at[slot].set(none).at[:, slot].set(none),
        remaining=remaining,
        known=known,
    )


SINGLE = Moves(empty_set, own_flow, flows_with, flows_without, with_node, without_node, resolved)
"""Of nodes of one column each, within one stratum."""
