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

from jaxflow.information import matrices
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
    """

    basis: Float[Array, "d w"]
    nodes: Int[Array, " d"]
    filled: Bool[Array, " d"]
    variance: Float[Array, " w"]
    target: Float[Array, " w"]
    message: Float[Array, "m w"]


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


def _message_of(subset: Subset) -> tuple[Array, Array, Array]:
    """Covariances of the message's columns with the target given T; determinant and inverse of their own."""
    m = len(subset.message)
    return subset.target[-m:], *determinant_and_inverse(subset.message[:, -m:])


def own_flow(problem: Problem, subset: Subset) -> Array:
    """Flow of the target node given the current subset T."""
    c, remaining, inverse = _message_of(subset)
    return _flow(subset.target[problem.target], quadratic_form(inverse, c, c), remaining, problem.entropy)


def flows_with(problem: Problem, subset: Subset) -> Float[Array, " n"]:
    """Flow of the target given T and one more node, for every node; −∞ where it cannot join.

    The inverse of the message's covariance given one more node follows from that given T (Sherman and Morrison).
    """
    n = subset.message.shape[1] - len(subset.message)
    target, remaining, inverse = _message_of(subset)
    variance = jnp.maximum(subset.variance[:n], RESOLVED)
    to_target, to_message = subset.target[:n], subset.message[:, :n].T
    c = target[None] - (to_target / variance)[:, None] * to_message
    remains = jnp.maximum(
        1 - quadratic_form(inverse, to_message, to_message) / variance, jnp.finfo(remaining.dtype).tiny
    )
    explained = quadratic_form(inverse, c, c) + quadratic_form(inverse, to_message, c) ** 2 / (variance * remains)
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
    slot = jnp.argmax(subset.nodes == len(subset.variance) - len(subset.message))
    adds = able & (subset.variance[node] > RESOLVED)
    row = problem.covariance[node] - jnp.matmul(subset.basis[:, node], subset.basis, precision=HIGHEST)
    row = jnp.where(adds, row / jnp.sqrt(jnp.maximum(subset.variance[node], RESOLVED)), 0)
    return _updated(problem, subset, row, 1)._replace(
        basis=subset.basis.at[slot].set(jnp.where(adds, row, subset.basis[slot])),
        nodes=subset.nodes.at[slot].set(jnp.where(able, node, subset.nodes[slot])),
        filled=subset.filled.at[slot].set(adds | subset.filled[slot]),
    )


def empty_set(problem: Problem, depth: int) -> Subset:
    """The empty set, with room for ``depth`` nodes."""
    covariance, n = problem.covariance, len(problem.order)
    basis = jnp.zeros((depth, len(covariance)), covariance.dtype)
    slots = jnp.full(depth, n), jnp.zeros(depth, bool)
    return Subset(basis, *slots, jnp.diag(covariance), covariance[problem.target], covariance[n:])


def flows_without(problem: Problem, subset: Subset) -> tuple[Float[Array, "d d"], Float[Array, " d"]]:
    """Of the target given T less the node in each slot, and the direction in the basis that leaves with it.

    That direction is orthogonal to the other nodes: a row of the inverse of the nodes' coordinates.
    """
    n, depth = len(problem.order), len(subset.nodes)
    chosen = subset.basis.at[:, subset.nodes].get(mode="clip")
    inverse = matrices.general_inverse(jnp.where(subset.filled[None], chosen, jnp.eye(depth, dtype=chosen.dtype)))
    directions = inverse / jnp.linalg.norm(inverse, axis=1, keepdims=True)
    target = jnp.matmul(directions, subset.basis[:, problem.target], precision=HIGHEST)
    message = jnp.matmul(directions, subset.basis[:, n:], precision=HIGHEST)
    own_target, remaining, known = _message_of(subset)
    c = own_target[None] + target[:, None] * message
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
    smaller = _updated(problem, subset, row, -1)
    n = len(subset.variance) - len(subset.message)
    return smaller._replace(
        basis=turned.at[slot].set(0),
        nodes=subset.nodes.at[slot].set(n),
        filled=subset.filled.at[slot].set(False),
    )


SINGLE = Moves(empty_set, own_flow, flows_with, flows_without, with_node, without_node, resolved)
"""Of nodes of one column each, within one stratum."""
