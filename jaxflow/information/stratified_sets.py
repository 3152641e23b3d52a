"""Sets of nodes that are seen within several strata at once: flows are averages over strata, the sets are the same.

I(M; X_V | X_T, G) = Σ_g P(G = g) I(M; X_V | X_T, G = g): a search for the T of the largest average takes the steps that
raise the average. Each stratum has covariances of its own and holds the set by itself. What is determined within one
stratum need not be so within another: a node can join where it can join in some stratum, and adds nothing in those that
determine it; a target that a stratum determines has no flow there.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.information.columns import HIGHEST
from jaxflow.information.conditional_sets import Moves, Problem

EACH = Problem(covariance=0, entropy=0, order=None, target=None)  # type: ignore[arg-type]  # axes of strata


class Strata(NamedTuple):
    """A set of nodes.

    Attributes:
        nodes: the node in every slot, n in an empty one.
        parts: the set as every stratum holds it, with a leading axis of strata.
    """

    nodes: Int[Array, " d"]
    parts: Any


def stratified(moves: Moves, weights: Float[Array, " G"]) -> Moves:
    """What a search asks of sets that are seen within strata; problems have a covariance and an entropy for each.

    Args:
        moves: of sets within one stratum.
        weights: P(G = g).
    """
    own_moves = partial(empty_set, moves), partial(own_flow, moves, weights), partial(flows_with, moves, weights)
    changes = partial(flows_without, moves, weights), partial(with_node, moves), partial(without_node, moves)
    return Moves(*own_moves, *changes, partial(resolved, moves))


def averaged(weights: Float[Array, " G"], flows: Float[Array, "G *k"], determined: Array | float = 0) -> Array:
    """Σ_g P(g) flow_g; −∞ where no stratum has a flow, and ``determined`` bits where only some have none."""
    possible = flows > -jnp.inf
    mean = jnp.tensordot(weights, jnp.where(possible, flows, determined), 1, precision=HIGHEST)
    return jnp.where(jnp.any(possible, axis=0), mean, -jnp.inf)


def empty_set(moves: Moves, problem: Problem, depth: int) -> Strata:
    """The empty set, with room for ``depth`` nodes."""
    return _of(jax.vmap(lambda own: moves.empty_set(own, depth), (EACH,))(problem))


def _of(parts: Any) -> Strata:
    """Every stratum has the same nodes."""
    return Strata(parts.nodes[0], parts)


def resolved(moves: Moves, subset: Strata) -> Bool[Array, " n"]:
    """Whether a node can join within some stratum."""
    return jnp.any(jax.vmap(moves.resolved)(subset.parts), axis=0)


def own_flow(moves: Moves, weights: Array, problem: Problem, subset: Strata) -> Array:
    """Flow of the target node given the current subset T."""
    return averaged(weights, jax.vmap(moves.own_flow, (EACH, 0))(problem, subset.parts))


def flows_with(moves: Moves, weights: Array, problem: Problem, subset: Strata) -> Float[Array, " n"]:
    """Flow of the target given T and one more node, for every node; −∞ where it cannot join.

    Where the flow of a stratum is −∞, either T determines the node there, which leaves the flow as it is, or T and the
    node determine the target.
    """
    flows = jax.vmap(moves.flows_with, (EACH, 0))(problem, subset.parts)
    as_it_is = jnp.maximum(jax.vmap(moves.own_flow, (EACH, 0))(problem, subset.parts), 0)
    joins = jax.vmap(moves.resolved)(subset.parts)
    total = averaged(weights, flows, jnp.where(joins, 0, as_it_is[:, None]))
    return total.at[subset.nodes].set(-jnp.inf, mode="drop")  # a determined one that others no longer determine


def flows_without(moves: Moves, weights: Array, problem: Problem, subset: Strata) -> tuple[Array, Float[Array, " d"]]:
    """Of the target given T less the node in each slot, and the directions that leave with it in every stratum."""
    directions, flows = jax.vmap(moves.flows_without, (EACH, 0))(problem, subset.parts)
    return directions, averaged(weights, flows)


def with_node(moves: Moves, problem: Problem, subset: Strata, node: Int[Array, ""], able: Bool[Array, ""]) -> Strata:
    """T and one more node, in the first empty slot; T itself if that is not able to join."""
    return _of(jax.vmap(moves.with_node, (EACH, 0, None, None))(problem, subset.parts, node, able))


def without_node(moves: Moves, problem: Problem, subset: Strata, slot: Int[Array, ""], directions: Array) -> Strata:
    """T less the node in a slot."""
    return _of(jax.vmap(moves.without_node, (EACH, 0, None, 0))(problem, subset.parts, slot, directions))
