"""Sets of nodes of several columns, as a search holds them: ``conditional_sets``, a block of columns for every node.

A node that joins adds a row of coordinates for each of its columns that T and its own columns before it do not
determine; the node's block of conditional covariances says which. A node that leaves takes its rows away, one
reflection after the other. The flow of a node of several columns is the sum of the flows of its columns, each given
those before it: I(M; X_V | X_T) = Σ_i I(M; v_i | X_T, v_1 … v_{i−1}), so that small flows keep their digits.

All functions take ``table`` first: the columns of every node, ``NOWHERE`` where a node has fewer than the largest.
Shapes: n nodes of up to k columns, w columns with the message's m, orthonormal, as the last, d slots for nodes.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.information import matrices
from jaxflow.information.columns import HIGHEST
from jaxflow.information.conditional_sets import RESOLVED, Moves, Problem, determinant_and_inverse, up_to_entropy

NOWHERE = 2**30  # number of a column that does not exist
Table = Int[np.ndarray, "n k"]


class Blocks(NamedTuple):
    """A set T of nodes of several columns, seen from one target.

    Attributes:
        basis: coordinates of every column in an orthonormal basis of T's, k rows for each slot, zero where empty.
        nodes: the node in every slot, n in an empty one.
        filled: whether a row of the basis holds a direction.
        within: covariance of every node's columns given T.
        target: covariance of the target's columns with every column given T.
        message: covariance of the message's columns with every column given T.
    """

    basis: Float[Array, "dk w"]
    nodes: Int[Array, " d"]
    filled: Bool[Array, " dk"]
    within: Float[Array, "n k k"]
    target: Float[Array, "k w"]
    message: Float[Array, "m w"]


def table_of(sizes: tuple[int, ...]) -> Table:
    """The columns of every node, which lie side by side."""
    within = np.arange(max(sizes))[None]
    columns = (np.cumsum(sizes) - sizes)[:, None] + within
    return np.where(within < np.array(sizes)[:, None], columns, NOWHERE)


def grouped(table: Table) -> Moves:
    """What a search asks of sets of these nodes."""
    flows = partial(own_flow, table), partial(flows_with, table), partial(flows_without, table)
    return Moves(partial(empty_set, table), *flows, partial(with_node, table), partial(without_node, table), resolved)


def picked(a: Float[Array, "*rows w"], columns: Int[Array | np.ndarray, "*shape"]) -> Float[Array, "*rows_and_shape"]:
    """Of these columns, 0 where there is none."""
    return a.at[..., columns].get(mode="fill", fill_value=0)


def gained_by_all(
    target: Float[Array, "k k"], cross: Float[Array, "k m"], message: Float[Array, "m m"], entropy: Float[Array, ""]
) -> Float[Array, ""]:
    """Bits that all columns of a node add about the message, one column after the other; −∞ if none is resolved.

    What column i explains, c_iᵀ A c_i / v_i of what is left of the message, updates A, the inverse of the message's
    covariance, by Sherman and Morrison.

    Args:
        target: covariance of the node's columns, given the set.
        cross: with the message's columns.
        message: of the message's columns.
        entropy: H(M).
    """
    left, inverse = determinant_and_inverse(message)

    def take(i: Array, state: tuple) -> tuple:
        target, cross, inverse, bits, seen = state
        resolved = target[i, i] > RESOLVED
        variance, row, c = jnp.maximum(target[i, i], RESOLVED), jnp.where(resolved, target[i], 0), cross[i]
        known = jnp.matmul(inverse, c, precision=HIGHEST)
        share = jnp.vdot(c, known, precision=HIGHEST) / variance
        share = jnp.where(resolved, jnp.clip(share, 0, 1 - jnp.finfo(c.dtype).epsneg), 0)
        scale = jnp.where(resolved, 1 / (variance * (1 - share)), 0)
        target, cross = (a - row[:, None] * b[None] / variance for a, b in ((target, target[i]), (cross, c)))
        inverse = inverse + scale * known[:, None] * known[None]
        return target, cross, inverse, bits - jnp.log1p(-share) / (2 * jnp.log(2.0)), seen | resolved

    start = target, cross, inverse, jnp.zeros((), left.dtype), jnp.array(False)
    bits, seen = jax.lax.fori_loop(0, len(target), take, start)[3:]
    return jnp.where(seen, up_to_entropy(bits, left, entropy), -jnp.inf)


def resolved(subset: Blocks) -> Bool[Array, " n"]:
    """Whether T leaves so much of some column of a node that it can join."""
    return jnp.any(jnp.diagonal(subset.within, axis1=1, axis2=2) > RESOLVED, axis=1)


def empty_set(table: Table, problem: Problem, depth: int) -> Blocks:
    """The empty set, with room for ``depth`` nodes."""
    covariance, (n, k), columns = problem.covariance, table.shape, int((table < NOWHERE).sum())
    target = picked(covariance.T, jnp.asarray(table)[problem.target]).T
    own = covariance.at[table[:, :, None], table[:, None]].get(mode="fill", fill_value=0)
    basis = jnp.zeros((depth * k, len(covariance)), covariance.dtype)
    return Blocks(basis, jnp.full(depth, n), jnp.zeros(depth * k, bool), own, target, covariance[columns:])


def own_flow(table: Table, problem: Problem, subset: Blocks) -> Array:
    """Flow of the target node given the current subset T."""
    m = len(subset.message)
    own = picked(subset.target, jnp.asarray(table)[problem.target])
    return gained_by_all(own, subset.target[:, -m:], subset.message[:, -m:], problem.entropy)


def flows_with(table: Table, problem: Problem, subset: Blocks) -> Float[Array, " n"]:
    """Flow of the target given T and one more node, for every node; −∞ where it cannot join."""
    (n, k), m = table.shape, len(subset.message)
    about = jnp.concatenate([subset.target, subset.message])
    columns = jnp.asarray(table)[problem.target]
    seen = jnp.concatenate([picked(about, columns), about[:, -m:]], axis=1)  # what target and message share
    crossed = jnp.moveaxis(picked(about, table), 1, 0)

    def given(own: Float[Array, "k k"], shared: Float[Array, "km k"]) -> Array:
        """Eliminate the columns of one node, one after the other, from what target and message share."""

        def take(i: Array, whole: Array) -> Array:
            row = jnp.where(whole[i, i] > RESOLVED, whole[i], 0)
            return whole - row[:, None] * whole[i][None] / jnp.maximum(whole[i, i], RESOLVED)

        whole = jax.lax.fori_loop(0, k, take, jnp.block([[own, shared.T], [shared, seen]]))[k:, k:]
        return gained_by_all(whole[:k, :k], whole[:k, k:], whole[k:, k:], problem.entropy)

    flows = jax.vmap(given)(subset.within, crossed)
    able = resolved(subset) & (jnp.arange(n) != problem.target) & jnp.any(subset.nodes == n)
    return jnp.where(able.at[subset.nodes].set(False, mode="drop"), flows, -jnp.inf)


def _updated(table: Table, problem: Problem, subset: Blocks, row: Float[Array, " w"], sign: int) -> Blocks:
    """Covariances given a subset with (sign 1) or without (−1) the direction of ``row``."""
    own, about = picked(row, table), sign * row[None]
    return subset._replace(
        within=subset.within - sign * own[:, :, None] * own[:, None],
        target=subset.target - picked(row, jnp.asarray(table)[problem.target])[:, None] * about,
        message=subset.message - row[-len(subset.message) :, None] * about,
    )


def with_node(table: Table, problem: Problem, subset: Blocks, node: Int[Array, ""], able: Bool[Array, ""]) -> Blocks:
    """T and one more node, in the first empty slot; T itself if that is not able to join.

    Columns that T and those before them determine add no direction.
    """
    n, k = table.shape
    slot, columns = jnp.argmax(subset.nodes == n), jnp.asarray(table)[node]

    def add(i: Array, subset: Blocks) -> Blocks:
        variance, place = subset.within[node, i, i], slot * k + i
        adds = able & (variance > RESOLVED)
        column = jnp.minimum(columns[i], problem.covariance.shape[0] - 1)
        row = problem.covariance[column] - jnp.matmul(subset.basis[:, column], subset.basis, precision=HIGHEST)
        row = jnp.where(adds, row / jnp.sqrt(jnp.maximum(variance, RESOLVED)), 0)
        return _updated(table, problem, subset, row, 1)._replace(
            basis=subset.basis.at[place].set(jnp.where(adds, row, subset.basis[place])),
            filled=subset.filled.at[place].set(adds | subset.filled[place]),
        )

    larger = jax.lax.fori_loop(0, k, add, subset)
    return larger._replace(nodes=subset.nodes.at[slot].set(jnp.where(able, node, subset.nodes[slot])))


def flows_without(table: Table, problem: Problem, subset: Blocks) -> tuple[Float[Array, "d k dk"], Float[Array, " d"]]:
    """Of the target given T less the node in each slot, and the directions in the basis that leave with it.

    These are orthogonal to all other nodes: the node's rows of the inverse of the nodes' coordinates, orthonormalised.
    """
    (n, k), (rows, _), m = table.shape, subset.basis.shape, len(subset.message)
    columns = jnp.asarray(table).at[subset.nodes].get(mode="clip").reshape(-1)
    own = jnp.where(subset.filled[None], picked(subset.basis, columns), jnp.eye(rows, dtype=subset.basis.dtype))
    inverse = matrices.general_inverse(own)
    inverse = inverse / jnp.linalg.norm(inverse, axis=1, keepdims=True)
    directions = jax.vmap(matrices.orthonormalised)(inverse.reshape(-1, k, rows).mT)[0].mT
    target_columns = jnp.asarray(table)[problem.target]
    seen = jnp.concatenate([picked(subset.basis, target_columns), subset.basis[:, -m:]], axis=1)

    def without(parts: Float[Array, "k km"]) -> Array:
        back = jnp.matmul(parts.T, parts, precision=HIGHEST)
        own = picked(subset.target, target_columns) + back[:k, :k]
        cross, message = subset.target[:, -m:] + back[:k, k:], subset.message[:, -m:] + back[k:, k:]
        return gained_by_all(own, cross, message, problem.entropy)

    flows = jax.vmap(without)(jnp.matmul(directions, seen, precision=HIGHEST))
    return directions, jnp.where(subset.nodes == n, -jnp.inf, flows)


def without_node(
    table: Table, problem: Problem, subset: Blocks, slot: Int[Array, ""], directions: Float[Array, "d k dk"]
) -> Blocks:
    """T less the node in a slot: reflections turn the directions that leave into the slot's rows, to be cleared."""
    n, k = table.shape

    def leave(i: Array, state: tuple[Blocks, Array]) -> tuple[Blocks, Array]:
        subset, leaving = state
        row = jnp.matmul(leaving[i], subset.basis, precision=HIGHEST)
        mirror = leaving[i].at[slot * k + i].add(-1)
        scale = 2 / jnp.maximum(jnp.vdot(mirror, mirror), jnp.finfo(mirror.dtype).tiny)
        back = scale * mirror[:, None] * jnp.matmul(mirror, subset.basis, precision=HIGHEST)[None]
        turned = leaving - scale * jnp.matmul(leaving, mirror, precision=HIGHEST)[:, None] * mirror[None]
        return _updated(table, problem, subset, row, -1)._replace(basis=subset.basis - back), turned

    smaller = jax.lax.fori_loop(0, k, leave, (subset, directions[slot]))[0]
    rows = slot * k + jnp.arange(k)
    return smaller._replace(
        basis=smaller.basis.at[rows].set(0),
        nodes=subset.nodes.at[slot].set(n),
        filled=subset.filled.at[rows].set(False),
    )
