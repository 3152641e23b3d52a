"""Conditional information of a node in one set of rows, free of bias, and every row's share in it (jackknife).

With the layer X = QR and the message's orthonormal columns M, of which C = QᵀM are the coordinates and L = M − QC what
the layer leaves, everything about a subset T is small: the coordinates of X_T are columns of R, an orthonormal basis U
of them (at most as many rows as the layer has columns) gives the part UᵀUC of C that X_T explains, and the residual is
L + Q(C − UᵀUC).
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxflow.information.columns import (
    HIGHEST,
    Layer,
    Projected,
    Rows,
    coordinates,
    decomposed,
    orthonormalised,
    residual_of,
    whitened,
)
from jaxflow.information.gaussian import subset_bits
from jaxflow.information.recursion import DETERMINED, DOUBLED, Sizes
from jaxflow.messages import Message

RESOLVED = 1e-6  # of the residual's determinant: what is left of it at least when a row is left out
LOOPED = 8  # nodes of a layer whose subsets are all decided in one loop, which compiles faster and takes no time
FADING = 4  # a gain of more times its bias is less corrected for residuals of unequal size
SHIFT = 8  # by which the arguments of ψ are raised, for its asymptotic series


class Stratum(NamedTuple):
    """The rows that are regressed: all of them, or those of one stratum of a discrete ``given``.

    Attributes:
        layer: decomposed among these rows, the columns of a continuous ``given`` first.
        columns: of the message, orthonormal.
        along: their coordinates in the layer, without those of ``given``.
        left: what the layer leaves of them.
        limit: bits that there are to know.
        member: which of all rows are these.
        number: how many.
    """

    layer: Layer
    columns: Float[Array, "d N"]
    along: Float[Array, "c d"]
    left: Float[Array, "d N"]
    limit: Float[Array, ""]
    member: Bool[Array, " N"]
    number: Float[Array, ""]


def stratum_of(message: Message, x: Float[Array, "N c"], rows: Rows = None) -> Stratum:
    """The layer and the message decomposed among some rows.

    Args:
        message: one, ``values [N]`` or ``[N, d]``.
        x: activations, the columns of a node side by side.
        rows: those of a stratum, if something discrete is given.
    """
    given, taken = None if message.strata else message.given, taken_of(message)
    layer = decomposed(x, rows, given)
    (columns,), (limit,) = whitened(replace(message, values=message.values[None]), layer, rows, taken)
    along, left = coordinates(columns, layer.basis.at[:taken].set(0) if taken else layer.basis)
    member = jnp.ones(len(x), bool) if rows is None else rows
    return Stratum(layer, columns, along, left, limit, member, jnp.sum(member, dtype=x.dtype))


def taken_of(message: Message) -> int:
    """How many of a layer's first columns are those of a continuous ``given``."""
    return 0 if message.given is None or message.strata else message.given.shape[1]


def stratum_bits(stratum: Stratum, message: Message, sizes: Sizes) -> Float[Array, " subsets"]:
    """I(M; X_T) of all subsets, as ``gaussian`` has it.

    Args:
        stratum: the rows.
        message: whose kind says how it was decomposed.
        sizes: how many columns each node has; one if None.
    """
    taken = taken_of(message)
    factor = None
    if message.classes != 2 or taken:
        factor = residual_of(stratum.left, stratum.columns)[1]
    projected = Projected(stratum.along, factor, stratum.limit)
    nodes = len(stratum.layer.factor) - taken if sizes is None else len(sizes)
    return subset_bits(projected, stratum.layer, taken, sizes, 0 if nodes <= LOOPED else DOUBLED)


class Fit(NamedTuple):
    """A regression of the message on some columns and an intercept.

    Attributes:
        bits: that the columns tell, with the bias.
        certain: whether that is all there is to know.
        bias: of the bits for Gaussian variables.
        freedom: rows less intercept and columns.
        leverage: h of every row, the derivative of its fitted value by its value.
        squares: rᵀS⁻¹r of every row's residual r, S being the sum of all rᵀr.
    """

    bits: Float[Array, "*a"]
    certain: Bool[Array, "*a"]
    bias: Float[Array, "*a"]
    freedom: Float[Array, "*a"]
    leverage: Float[Array, "*a N"]
    squares: Float[Array, "*a N"]


def conditional(
    stratum: Stratum, witness: Bool[Array, "n n"], taken: int, sizes: Sizes
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "n N"]]:
    """I(M; X_V | X_T) of every node V given its subset T, less its bias, that bias, and the rows' shares.

    Leaving out a row of residual r and leverage h takes the factor 1 − rᵀS⁻¹r / (1 − h) off the determinant of the sum
    of squares S of the residuals; N − 1 times half its logarithm is the row's share (the jackknife). Where classes are
    told as well as can be there is no more to tell, whatever row is left out: no bias and no share.

    Args:
        stratum: the rows.
        witness: nodes of T, a row for every V.
        taken: columns of a continuous ``given``, which are always there.
        sizes: how many columns each node has; one if None.
    """
    (basis, factor), columns, along, left, limit, _, number = stratum
    numbers = np.repeat(np.arange(len(witness)), sizes or (1,) * len(witness))
    dimensions = _nonzero_rows(columns)

    def fit(span: Float[Array, "two_c c"]) -> Fit:
        unexplained = along - _product(span.T, _product(span, along))
        residual, shape = residual_of(left + _product(unexplained.T, basis), columns)
        bits, rank = jnp.clip(-jnp.sum(jnp.log2(jnp.diagonal(shape))), 0, limit), _nonzero_rows(span)
        bias = jnp.where(bits >= limit, 0, bias_of(number, rank, dimensions, len(columns)))
        leverage = 1 / number + jnp.sum(_product(span, basis) ** 2, axis=0)
        return Fit(bits, bits >= limit, bias, number - 1 - rank, leverage, jnp.sum(residual**2, axis=0))

    def of_node(node: Array, others: Array) -> tuple[Array, Array, Array]:
        before = jnp.pad(others[numbers], (taken, 0), constant_values=True)
        span = _span(factor, before, jnp.pad(jnp.asarray(numbers) == node, (taken, 0)))
        fits = jax.vmap(fit)(jnp.stack([span.at[len(before) :].set(0), span]))
        less, more = (jax.tree.map(lambda own, which=which: own[which], fits) for which in (0, 1))
        bias = (more.bias - less.bias) * _unevenness(less, more, dimensions)
        shares = (number - 1) * jnp.where(fits.certain[:, None], 0, _shares(fits))
        added = more.freedom < less.freedom  # else V is determined by T, and what is left of both fits is rounding
        gain = jnp.where(added, more.bits - less.bits - bias, 0)
        return gain, bias, jnp.where(added, shares[1] - shares[0], 0)

    return jax.vmap(of_node)(jnp.arange(len(witness)), witness)


def _unevenness(less: Fit, more: Fit, dimensions: Float[Array, ""]) -> Float[Array, ""]:
    """How many times the bias for Gaussian variables the bias is, where residuals are larger in some rows than others.

    What V seems to tell given T is tr(S⁻¹ uᵀPu) / (2 ln 2), where u are the residuals of the message given T, S = uᵀu
    and P projects on the k columns of V given T. Where V tells nothing, products of different rows' residuals are 0 on
    average, and what remains is the sum over the diagonal h of P: Σ_i h_i u_iᵀS⁻¹u_i / (2 ln 2), whatever the size of
    the residuals in the rows that V is about (White 1980, *Econometrica* 48). Over its value for residuals of equal
    size, and with every residual corrected for its leverage g by T (MacKinnon and White 1985, "HC2"), that is

        (ν / (k d)) Σ_i h_i u_iᵀS⁻¹u_i / (1 − g_i)

    with ν degrees of freedom and d dimensions; its mean for Gaussian variables is 1. Where V tells much, u holds what V
    tells, which is no noise: the correction fades out once the gain exceeds four times the bias.

    Args:
        less: the fit of T.
        more: that of T and V.
        dimensions: d.
    """
    parts = (more.leverage - less.leverage) * less.squares / jnp.maximum(1 - less.leverage, RESOLVED)
    counted = jnp.maximum((less.freedom - more.freedom) * dimensions, 1)
    times = jnp.maximum(less.freedom, 1) * jnp.sum(parts) / counted
    reach, gain = FADING * times * (more.bias - less.bias), more.bits - less.bits
    faded = 1 + (times - 1) * jnp.where(gain > reach, reach / jnp.where(gain > 0, gain, 1), 1)
    return jnp.where(less.certain | more.certain, 1, faded)


def _span(factor: Float[Array, "c c"], first: Array, then: Array) -> Float[Array, "two_c c"]:
    """Orthonormal rows that span the coordinates of the first columns, and what others add to them; 0 where nothing."""
    columns = jnp.concatenate([jnp.where(first[:, None], factor.T, 0), jnp.where(then[:, None], factor.T, 0)])
    return orthonormalised(columns, DETERMINED**0.5)[0]


def _shares(fit: Fit) -> Float[Array, "*a N"]:
    """½ log₂ of what leaving out each row takes off the determinant of the residuals' sum of squares."""
    part = fit.squares / jnp.maximum(1 - fit.leverage, RESOLVED)
    return jnp.log1p(-jnp.minimum(part, 1 - RESOLVED)) / (2 * jnp.log(2.0))


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
