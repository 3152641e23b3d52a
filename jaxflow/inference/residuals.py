"""Conditional information of a node in one set of rows, free of bias, and every row's share in it (jackknife).

With the layer X = QR and the message's orthonormal columns M, of which C = QᵀM are the coordinates and L = M − QC what
the layer leaves, everything about a subset T is small: the coordinates of X_T are columns of R, an orthonormal basis U
of them (at most as many rows as the layer has columns) gives the part UᵀUC of C that X_T explains, and the residual is
L + Q(C − UᵀUC).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.information.columns import HIGHEST, LEAST, Layer, Rows, coordinates, decomposed, orthonormalised, whitened
from jaxflow.information.gaussian import all_bits
from jaxflow.information.recursion import DETERMINED, Sizes
from jaxflow.messages import Message

RESOLVED = 1e-6  # of the residual's determinant: what is left of it at least when a row is left out
SHIFT = 8  # by which the arguments of ψ are raised, for its asymptotic series


class Stratum(NamedTuple):
    """The rows that are regressed: all of them, or those of one stratum of a discrete ``given``.

    Attributes:
        message: one, ``values [1, N]`` or ``[1, N, d]``.
        layer: decomposed among these rows, the columns of a continuous ``given`` first.
        rows: which they are; all if None.
        number: how many.
        weight: their part of all rows.
        taken: columns of a continuous ``given``.
    """

    message: Message
    layer: Layer
    rows: Rows
    number: Float[Array, ""]
    weight: Float[Array, ""]
    taken: int


def stratum_of(message: Message, x: Float[Array, "N c"], rows: Rows = None) -> Stratum:
    """The layer decomposed among some rows.

    Args:
        message: one, ``values [N]`` or ``[N, d]``.
        x: activations, the columns of a node side by side.
        rows: those of a stratum, if something discrete is given.
    """
    given = None if message.strata else message.given
    one = Message(message.values[None], message.given, message.classes, message.strata)
    total = jnp.asarray(len(x), x.dtype)
    count = total if rows is None else jnp.sum(rows, dtype=x.dtype)
    taken = 0 if given is None else given.shape[1]
    return Stratum(one, decomposed(x, rows, given), rows, count, count / total, taken)


def weighted_bits(stratum: Stratum, sizes: Sizes) -> Float[Array, " subsets"]:
    """I(M; X_T) of all subsets in these rows, times the weight of the stratum."""
    return stratum.weight * _bits(stratum, sizes)


def _bits(stratum: Stratum, sizes: Sizes) -> Float[Array, " subsets"]:
    """I(M; X_T) of all subsets in these rows."""
    return all_bits(stratum.message, stratum.layer, stratum.rows, stratum.taken, sizes)[0]


def conditional(
    stratum: Stratum, witness: Int[Array, " n"], sizes: Sizes
) -> tuple[Float[Array, " n"], Float[Array, "n N"]]:
    """I(M; X_V | X_T) of every node V given its subset T, times the weight of the stratum; and the rows' shares in it.

    Leaving out a row of residual r and leverage h takes the factor 1 − rᵀS⁻¹r / (1 − h) off the determinant of the sum
    of squares S of the residuals; N − 1 times half its logarithm is the row's share (the jackknife). Where classes are
    told as well as can be there is no more to tell, whatever row is left out: no bias and no share.

    Args:
        stratum: the rows.
        witness: T of every node, bitmasks.
        sizes: how many columns each node has; one if None.
    """
    (columns,), (limit,) = whitened(stratum.message, stratum.layer, stratum.rows, stratum.taken)
    basis = stratum.layer.basis.at[: stratum.taken].set(0) if stratum.taken else stratum.layer.basis
    along, left = coordinates(columns, basis)
    dimensions = _nonzero_rows(columns)
    bits = _bits(stratum, sizes)
    numbers = jnp.asarray(np.repeat(np.arange(len(witness), dtype=np.int32), sizes or (1,) * len(witness)))

    def told(mask: Array, span: Float[Array, "k c"]) -> tuple[Array, Array]:
        known = bits[mask] - bias_of(stratum.number, _nonzero_rows(span), dimensions, len(columns))
        unexplained = along - _product(span.T, _product(span, along))
        shares = _shares(
            left + _product(unexplained.T, stratum.layer.basis), _product(span, stratum.layer.basis), stratum.number
        )
        full = bits[mask] >= limit
        return jnp.where(full, limit, known), jnp.where(full, 0, shares * (stratum.number - 1))

    def of_node(node: Array, mask: Array) -> tuple[Array, Array]:
        before = jnp.pad(mask >> numbers & 1 == 1, (stratum.taken, 0), constant_values=True)
        own = jnp.pad(numbers == node, (stratum.taken, 0))
        span = _span(stratum.layer.factor, before, own)
        less, shares_less = told(mask, span[: len(before)])
        more, shares_more = told(mask | jnp.left_shift(jnp.int32(1), node), span)
        return stratum.weight * (more - less), shares_more - shares_less

    value, shares = jax.vmap(of_node)(jnp.arange(len(witness), dtype=jnp.int32), witness)
    return value, shares if stratum.rows is None else jnp.where(stratum.rows[None], shares, 0)


def _span(factor: Float[Array, "c c"], first: Array, then: Array) -> Float[Array, "two_c c"]:
    """Orthonormal rows that span the coordinates of the first columns, and what others add to them; 0 where nothing."""
    columns = jnp.concatenate([jnp.where(first[:, None], factor.T, 0), jnp.where(then[:, None], factor.T, 0)])
    return orthonormalised(columns, DETERMINED**0.5)[0]


def _shares(
    residual: Float[Array, "d N"], directions: Float[Array, "k N"], count: Float[Array, ""]
) -> Float[Array, " N"]:
    """½ log₂ of what leaving out each row takes off the residual's determinant.

    Args:
        residual: of the message, a row for each of its columns.
        directions: orthonormal, of the columns that were fitted beside the intercept.
        count: of the rows that were fitted.
    """
    if len(residual) == 1:
        part = residual[0] ** 2 / jnp.maximum(jnp.sum(residual**2), jnp.finfo(residual.dtype).tiny)
    else:
        part = jnp.sum(orthonormalised(residual, LEAST)[0] ** 2, axis=0)
    leverage = 1 / count + jnp.sum(directions**2, axis=0)
    kept = jnp.maximum(1 - leverage, RESOLVED)
    return jnp.log1p(-jnp.minimum(part / kept, 1 - RESOLVED)) / (2 * jnp.log(2.0))


def bias_of(
    count: Float[Array, ""], columns: Float[Array, ""], dimensions: Float[Array, ""], most: int
) -> Float[Array, ""]:
    """How much information columns of no information seem to have about Gaussian numbers, in bits.

    N times a residual covariance of d dimensions is a Wishart matrix of N − 1 − k degrees of freedom after a regression
    on k columns. The mean of half its log-determinant falls with k by ½ Σ_{i<d} ψ((N−1−i)/2) − ψ((N−1−k−i)/2).

    Args:
        count: N.
        columns: k.
        dimensions: d.
        most: at least d; static.
    """
    i = jnp.arange(most, dtype=count.dtype)
    freedom = jnp.maximum(count - 1 - i, 1)
    falls = _digamma_fall(freedom / 2, jnp.maximum(freedom - columns, 1) / 2)
    return jnp.sum(jnp.where(i < dimensions, falls, 0)) / (2 * jnp.log(2.0))


def _digamma_fall(x: Float[Array, "*a"], y: Float[Array, "*a"]) -> Float[Array, "*a"]:
    """ψ(x) − ψ(y) for x ≥ y ≥ ½, from terms that do not cancel.

    ψ(x) = ψ(x + 8) − Σ_{j<8} 1/(x + j), and for large x ψ(x) = ln x − 1/(2x) − 1/(12x²) + O(x⁻⁴).
    """
    steps = jnp.arange(SHIFT, dtype=x.dtype)
    stepped = jnp.sum(jax.vmap(lambda j: (x - y) / ((x + j) * (y + j)))(steps), axis=0)
    gap, x, y = x - y, x + SHIFT, y + SHIFT
    return stepped + jnp.log1p(gap / y) + gap / (2 * x * y) + gap * (x + y) / (12 * x**2 * y**2)


def _nonzero_rows(a: Float[Array, "k N"]) -> Float[Array, ""]:
    """How many rows are not 0 throughout."""
    return jnp.sum(jnp.any(a != 0, axis=1), dtype=a.dtype)


def _product(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """The product of two matrices in full precision."""
    return jnp.matmul(a, b, precision=HIGHEST)
