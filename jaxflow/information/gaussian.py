"""Gaussian information: I(M; X_T) from the joint covariance, for all subsets T of a layer in O(2ⁿ).

Three steps, all in the precision of the activations. Centre and standardise; Gram–Schmidt gives the triangular
factor R of the columns (X = QR) and the message's coordinates c = Qᵀm; a recursion over the nodes splits every
(R, c) into the subsets with and without the next node, see ``recursion``. No step relies on fused multiply-add or on an
order of summation, so that all processors agree (``tests/test_processors.py``).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map
from jaxflow.information.checks import checked_inputs
from jaxflow.information.estimates import Advance, Estimates, ignore
from jaxflow.information.ranks import rank_normalised
from jaxflow.information.recursion import explained_variance, nonzero
from jaxflow.messages import binary_entropy

HIGHEST = jax.lax.Precision.HIGHEST


def gaussian(message: ArrayLike, activations: ArrayLike, *, rank: bool = False) -> Float[Array, "*batch subsets"]:
    """Gaussian information about a binary message in every subset of a layer's nodes.

    I(M; X_T) = ½ log₂(Var M / Var(M | X_T)) bits, clipped to [0, H(M)], for all 2ⁿ subsets T: the Gaussian
    approximation of Venkatesh et al. 2021, App. A.3 (the determinant form of eq. 13).

    **It is an approximation and no bound.** It sees linear dependence only: for M = X₁ xor X₂ it is 0 and the truth
    is 1 bit. It can also lie above the truth, because a binary message is not Gaussian: for two equally likely normal
    classes of equal variance, two standard deviations apart, the truth is 0.486 bit and the Gaussian value 0.5; three
    standard deviations apart, 0.760 and 0.850 (``tests/test_gaussian.py``; more samples do not help).

    A node that the nodes before it in T determine (residual variance ≤ 1e-6 of the standardised column) adds nothing:
    constant, duplicate, collinear and dead columns are exact. Scale and offset of a column change nothing beyond what
    rounding took from the data before they came here.

    Args:
        message: binary, ``[..., N]``. Its last axis, the samples, is axis −2 of the activations.
        activations: ``[..., N, n]``: samples on axis −2, nodes on the last. Axes before them are batches and broadcast
            against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``: times are the batch.
        rank: replace activations by normal scores first, see ``rank_normalised``.

    Returns:
        Bits ``[..., 2**n]``, T indexed by bitmask (bit i set = node i in T). H(M) from the data.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a message that is not 0/1, NaN, infinity or
            masked values. Under a transformation values cannot be checked: NaN gives NaN there, and float32 values
            below 1.2e-38 count as 0.

    Example:
        >>> message = np.array([0, 0, 1, 1])
        >>> activations = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
        >>> gaussian(message, activations).shape
        (4,)
    """
    message, activations = checked_inputs(message, activations)
    return _all_gaussian(message, rank_normalised(activations) if rank else activations)


def estimate(
    layers: Float[Array, "S N n"],
    messages: Float[Array, "P K N"],
    members: Bool[np.ndarray, "T n"],
    *,
    draws: None = None,
    advance: Advance = ignore,
) -> Estimates:
    """Bits of all layers, messages and subsets: see ``gaussian``. There is nothing to search."""
    del draws
    masks = members @ 2 ** np.arange(members.shape[1])
    bits = np.asarray(_all_layers(layers, messages))[..., masks]
    advance(bits[:, 0].size)
    return Estimates(np.swapaxes(bits, 0, 1))


@jax.jit
def _all_layers(layers: Float[Array, "S N n"], messages: Float[Array, "P K N"]) -> Float[Array, "S P K 2**n"]:
    """Every layer about every message, in bounded memory."""
    item_bytes = 8 * layers[0].size + 16 * messages[..., 0].size * 2 ** layers.shape[-1]
    return batched_map(lambda layer, about: _all_gaussian(about, layer[None, None]), layers, item_bytes, messages)


@jax.jit
@partial(jnp.vectorize, signature="(s),(s,n)->(t)")
def _all_gaussian(message: Float[Array, " N"], activations: Float[Array, "N n"]) -> Float[Array, " 2**n"]:
    """One message, one layer."""
    basis, factor = decomposed(activations)
    return subset_bits(factor, *projected(message, basis))


def layer_bits(messages: Float[Array, "K N"], activations: Float[Array, "N n"]) -> Float[Array, "K 2**n"]:
    """``gaussian`` of one layer about many messages, under ``jit``: its decomposition serves them all."""
    basis, factor = decomposed(activations)
    return jax.vmap(lambda message: subset_bits(factor, *projected(message, basis)))(messages)


def decomposed(activations: Float[Array, "N n"]) -> tuple[Float[Array, "n N"], Float[Array, "n n"]]:
    """Q and R of the standardised columns."""
    return _orthonormalised(standardised(activations.T))


def projected(message: Float[Array, " N"], basis: Float[Array, "n N"]) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """Coordinates c = Qᵀm of a standardised message, and its entropy H(M).

    The message is projected twice, as the columns are: a long sum of products in float32 is off by as much as its
    order of summation, which differs from processor to processor; the second projection takes that off.
    """
    residual = standardised(message[None])[0]
    coordinates = jnp.zeros(len(basis), basis.dtype)
    for _ in range(2):
        part = jnp.matmul(basis, residual, precision=HIGHEST)
        residual = residual - jnp.matmul(part, basis, precision=HIGHEST)
        coordinates = coordinates + part
    return coordinates, binary_entropy(jnp.mean(message))


def subset_bits(
    factor: Float[Array, "n n"], coordinates: Float[Array, " n"], entropy: Float[Array, ""]
) -> Float[Array, " 2**n"]:
    """I(M; X_T) of all subsets from the coordinates of layer and message."""
    explained = jnp.minimum(explained_variance(factor, coordinates), 1)
    return jnp.clip(-jnp.log1p(-explained) / (2 * jnp.log(2.0)), 0, entropy)


def standardised(x: Float[Array, "n N"]) -> Float[Array, "n N"]:
    """Rows centred, of unit norm; a row that is constant but for rounding becomes 0.

    The data are taken as exact, so nothing before the means may round. Scaling by a power of two is exact. Where a row
    lies far off zero compared with its spread, the difference of a value and the first mean is exact too, however
    inaccurate that mean: both are multiples of the same spacing. The second mean corrects the first.

    Args:
        x: rows of any scale and offset.

    Returns:
        Rows of mean 0 and norm 1; 0 where the standard deviation is at most eps of the largest value.
    """
    largest = jnp.max(jnp.abs(x), axis=1, keepdims=True)
    scale = _power_of_two(largest)  # sums do not overflow, squares do not vanish
    x = x * scale
    for _ in range(2):
        x = x - jnp.mean(x, axis=1, keepdims=True)
    norm = jnp.sqrt(jnp.sum(x**2, axis=1, keepdims=True))
    constant = norm <= jnp.finfo(x.dtype).eps * x.shape[1] ** 0.5 * largest * scale
    return jnp.where(constant, 0, x / nonzero(norm))


def _power_of_two(size: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A power of two near 1/size. Products with it are exact, and neither it nor they are denormal or overflow."""
    info = jnp.finfo(size.dtype)
    return jax.lax.reduce_precision(1 / jnp.clip(size, info.tiny, 1 / info.tiny), info.nexp, 0)


def _orthonormalised(x: Float[Array, "n N"]) -> tuple[Float[Array, "n N"], Float[Array, "n n"]]:
    """Orthonormal rows Q and upper triangular R with X = RᵀQ, by Gram–Schmidt, every row twice.

    What is left of a row that the ones before it span is rounding; its direction would spoil Q and is left out. The
    second pass takes off what the first one's sums of products were off by; the norm, which has no second pass, is a
    sum and not a product of vectors, because XLA adds up sums pairwise.
    """
    n = len(x)
    rounding = 32 * jnp.finfo(x.dtype).eps

    def add(j: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, factor = state
        v, column = x[j], jnp.zeros(n, x.dtype)
        for _ in range(2):
            h = jnp.matmul(basis, v, precision=HIGHEST)
            v, column = v - jnp.matmul(h, basis, precision=HIGHEST), column + h
        norm = jnp.sqrt(jnp.sum(v**2))
        norm = jnp.where(norm > rounding, norm, 0)
        direction = jnp.where(norm > 0, v / nonzero(norm), 0)
        return basis.at[j].set(direction), factor.at[:, j].set(column.at[j].set(norm))

    return jax.lax.fori_loop(0, n, add, (jnp.zeros_like(x), jnp.zeros((n, n), x.dtype)))
