"""Explained variance of all subsets of a layer, from a triangular factor: the recursion, in bounded memory.

A layer X = QR and a message with coordinates c = Qᵀm. A node is taken from the front of the factor:

    with the node       its direction is the first row: drop row and column, c₀² of the variance is explained
    without the node    drop the column, rotate the first row into the others (Givens) so that R stays triangular

Working on R and not on the covariance RᵀR keeps an error of eps·κ where Schur complements of the covariance
(Griffin and Tsatsomeros 2006) make eps·κ², κ the condition number of a subset. The tree is the dropping-columns
algorithm for all-subsets regression (Gatu and Kontoghiorghes 2003).

The last nodes double the subsets, one compiled step for each. Before them every subset of the first nodes goes its
own way through one compiled loop: a little more work where subsets are few, for a compile time that does not grow
with the layer. Layers beyond a block of nodes are done block by block, one subset of their first nodes after another.

Rounding. What is left of a node is compared with nothing: at most 1e-6 of its variance is none. But nodes that are
nearly collinear pass their rounding on: where R₀₀ is what is left of a node and R₀ⱼ its part in node j, an error a₀ in
the one becomes aⱼ + (R₀ⱼ/R₀₀)²·a₀ in the other (variances, in units of float32's). A residue of at most 1e-8 of that
would show other nodes' information as its own and counts as none too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import nodes_together

DETERMINED = 1e-6  # residual variance of a standardised column that counts as none
UNCERTAIN = 1e-8  # the same, in units of the rounding variance that the columns before it pass on
DOUBLED = 8  # nodes at the end of the factor whose subsets double, step by step


class Trunk(NamedTuple):
    """What is left of a layer once T of its nodes are decided.

    Attributes:
        factor: triangular, of the k nodes that are left, ``[k, k, T]``.
        coordinates: of the message, ``[k, T]``.
        rounding: variance of the rounding error in what is left of a node, 1 for a node as it came, ``[k, T]``.
        explained: fraction of the message's variance, ``[T]``.
    """

    factor: Float[Array, "k k T"]
    coordinates: Float[Array, "k T"]
    rounding: Float[Array, "k T"]
    explained: Float[Array, " T"]


def explained_variance(
    factor: Float[Array, "n n"], coordinates: Float[Array, " n"], block: int | None = None
) -> Float[Array, " 2**n"]:
    """Fraction of the message's variance explained by X_T, for all T by bitmask.

    A node that the ones before it in T determine adds nothing: up to 1e-6 of its variance, or to what rounding leaves.

    Args:
        factor: upper triangular, of columns of unit norm.
        coordinates: of the message of unit norm.
        block: nodes whose subsets are computed together; what suits the device if not given.
    """
    first = max(0, len(factor) - (block or nodes_together()))
    rounding, explained = jnp.ones((len(factor), 1), factor.dtype), jnp.zeros(1, factor.dtype)
    trunk = _decided(Trunk(factor[:, :, None], coordinates[:, None], rounding, explained), first)
    if first == 0:
        return _branches(trunk)
    trunks = jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0)[..., None], trunk)
    return jax.lax.map(_branches, trunks).T.reshape(-1)


def _branches(trunk: Trunk) -> Float[Array, " subsets"]:
    """Explained variance of all subsets of the nodes that are left; T runs fastest."""
    trunk = _decided(trunk, max(0, len(trunk.factor) - DOUBLED))
    for _ in range(len(trunk.factor)):
        trunk = _doubled(trunk)
    return trunk.explained


def _decided(trunk: Trunk, nodes: int) -> Trunk:
    """The first nodes decided in all ways ``[2**nodes · T]``, T running fastest; one loop whatever their number."""
    if nodes == 0:
        return trunk
    way = jnp.arange(2**nodes * len(trunk.explained), dtype=jnp.int32) // len(trunk.explained)

    def decide(node: Int[Array, ""], trunk: Trunk) -> Trunk:
        R, c, rounding, explained = trunk
        member = (way >> node & 1 == 1) & ~_determined(trunk)
        row, c_row = jnp.where(member[None], 0, R[0]), jnp.where(member, 0, c[0])
        R_left, c_left = jnp.pad(R[1:, 1:], ((0, 1), (0, 1), (0, 0))), jnp.pad(c[1:], ((0, 1), (0, 0)))
        left = _absorbed(R_left, c_left, jnp.pad(row[1:], ((0, 1), (0, 0))), c_row)
        rounding = jnp.pad(jnp.where(member[None], _passed_on(trunk), rounding[1:]), ((0, 1), (0, 0)))
        return Trunk(*left, rounding, explained + jnp.where(member, c[0] ** 2, 0))

    copies = jax.tree.map(lambda a: jnp.tile(a, 2**nodes), trunk)
    R, c, rounding, explained = jax.lax.fori_loop(0, nodes, decide, copies)
    return Trunk(R[:-nodes, :-nodes], c[:-nodes], rounding[:-nodes], explained)


def _doubled(trunk: Trunk) -> Trunk:
    """The subsets without the first node, then those with it."""
    R, c, rounding, explained = trunk
    R_without, c_without = _absorbed(R[1:, 1:], c[1:], R[0, 1:], c[0])
    without = Trunk(R_without, c_without, rounding[1:], explained)
    member = Trunk(R[1:, 1:], c[1:], _passed_on(trunk), explained + c[0] ** 2)
    determined = _determined(trunk)
    pairs = ((old, jnp.where(_broadcast(determined, old), old, new)) for old, new in zip(without, member, strict=True))
    return Trunk(*(jnp.concatenate(pair, axis=-1) for pair in pairs))


def _determined(trunk: Trunk) -> Bool[Array, " T"]:
    """Whether what is left of the first node counts as none."""
    return trunk.factor[0, 0] ** 2 <= jnp.maximum(DETERMINED, UNCERTAIN * trunk.rounding[0])


def _passed_on(trunk: Trunk) -> Float[Array, "k T"]:
    """Rounding variance of the other nodes once the first is taken: its direction is off by its own."""
    ratio = trunk.factor[0, 1:] / nonzero(trunk.factor[0, 0])[None]
    return trunk.rounding[1:] + ratio**2 * trunk.rounding[:1]


def _broadcast(flag: Bool[Array, " T"], like: Float[Array, "*axes T"]) -> Bool[Array, "*ones T"]:
    """With as many axes."""
    return flag.reshape((1,) * (like.ndim - 1) + flag.shape)


def _absorbed(
    R: Float[Array, "k k T"], c: Float[Array, "k T"], row: Float[Array, "k T"], c_row: Float[Array, " T"]
) -> tuple[Float[Array, "k k T"], Float[Array, "k T"]]:
    """R' upper triangular with R'ᵀR' = RᵀR + rowᵀrow, by one Givens rotation for each row of R; c turns along."""
    if len(R) == 0:
        return R, c

    def rotate(carry: tuple[Array, Array], xs: tuple[Array, Array, Array]):
        (row, c_row), (j, R_j, c_j) = carry, xs
        norm = jnp.sqrt(R_j[j] ** 2 + row[j] ** 2)
        cos, sin = jnp.where(norm > 0, R_j[j] / nonzero(norm), 1), row[j] / nonzero(norm)
        turned = cos[None] * R_j + sin[None] * row, cos * c_j + sin * c_row
        return (cos[None] * row - sin[None] * R_j, cos * c_row - sin * c_j), turned

    return jax.lax.scan(rotate, (row, c_row), (jnp.arange(len(R)), R, c))[1]


def nonzero(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1 instead of 0, to divide by."""
    return jnp.where(x > 0, x, 1)
