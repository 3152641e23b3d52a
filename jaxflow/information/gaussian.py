"""Gaussian information: I(M; X_T) from the joint covariance, for all subsets T of a layer in O(2ⁿ).

Three steps, all in the precision of the activations. Centre and standardise; Gram–Schmidt gives the triangular
factor R of the columns (X = QR) and the message's coordinates c = Qᵀm; a recursion over the nodes splits every
(R, c) into the subsets with and without the next node, see ``recursion``.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map
from jaxflow.information.checks import checked_inputs
from jaxflow.information.entropy import binary_entropy
from jaxflow.information.estimates import Advance, Estimates, ignore
from jaxflow.information.ranks import rank_normalised
from jaxflow.information.recursion import explained_variance, nonzero

HIGHEST = jax.lax.Precision.HIGHEST


def gaussian(message: ArrayLike, activations: ArrayLike, *, rank: bool = False) -> Float[Array, "*batch subsets"]:
    """I(M; X_T) = ½ log₂(Var M / Var(M | X_T)) in bits, clipped to [0, H(M)], for all 2ⁿ subsets T.

    The Gaussian approximation of Venkatesh et al. 2021, App. A.3 (the determinant form of eq. 13). It sees linear
    dependence only: for M = X₁ xor X₂ it is 0. A column that the ones already in T determine adds nothing (residual
    variance ≤ 1e-6 of the standardised column): constant, duplicate, collinear and dead columns are exact.

    Args:
        message: binary, ``[..., N]``.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        rank: replace activations by normal scores first, see ``rank_normalised``.

    Returns:
        Bits ``[..., 2**n]``, T indexed by bitmask (bit i set = node i in T). H(M) from the data.

    Raises:
        InputError: shapes that do not fit, a message that is not 0/1, NaN or infinity. Under a transformation values
            cannot be checked, and NaN gives NaN.
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
    """Coordinates c = Qᵀm of a standardised message, and its entropy H(M)."""
    coordinates = jnp.matmul(basis, standardised(message[None])[0], precision=HIGHEST)
    return coordinates, binary_entropy(jnp.mean(message))


def subset_bits(
    factor: Float[Array, "n n"], coordinates: Float[Array, " n"], entropy: Float[Array, ""]
) -> Float[Array, " 2**n"]:
    """I(M; X_T) of all subsets from the coordinates of layer and message."""
    explained = jnp.minimum(explained_variance(factor, coordinates), 1)
    return jnp.clip(-jnp.log1p(-explained) / (2 * jnp.log(2.0)), 0, entropy)


def standardised(x: Float[Array, "n N"]) -> Float[Array, "n N"]:
    """Rows centred, of unit norm; a row that is constant but for rounding becomes 0.

    Centred twice: the first mean of a far-off row is rounded, the second corrects it.
    """
    x = x / nonzero(jnp.max(jnp.abs(x), axis=1, keepdims=True))  # sums do not overflow
    for _ in range(2):
        x = x - jnp.mean(x, axis=1, keepdims=True)
    reach = jnp.max(jnp.abs(x), axis=1, keepdims=True)
    x = x / nonzero(reach)  # squares do not vanish
    norm = jnp.sqrt(jnp.sum(x**2, axis=1, keepdims=True))
    constant = reach * norm <= jnp.finfo(x.dtype).eps * x.shape[1] ** 0.5
    return jnp.where(constant, 0, x / nonzero(norm))


def _orthonormalised(x: Float[Array, "n N"]) -> tuple[Float[Array, "n N"], Float[Array, "n n"]]:
    """Orthonormal rows Q and upper triangular R with X = RᵀQ, by Gram–Schmidt, every row twice.

    What is left of a row that the ones before it span is rounding; its direction would spoil Q and is left out.
    """
    n = len(x)
    rounding = 32 * jnp.finfo(x.dtype).eps

    def add(j: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, factor = state
        v, column = x[j], jnp.zeros(n, x.dtype)
        for _ in range(2):
            h = jnp.matmul(basis, v, precision=HIGHEST)
            v, column = v - jnp.matmul(h, basis, precision=HIGHEST), column + h
        norm = jnp.sqrt(jnp.vdot(v, v, precision=HIGHEST))
        norm = jnp.where(norm > rounding, norm, 0)
        direction = jnp.where(norm > 0, v / nonzero(norm), 0)
        return basis.at[j].set(direction), factor.at[:, j].set(column.at[j].set(norm))

    return jax.lax.fori_loop(0, n, add, (jnp.zeros_like(x), jnp.zeros((n, n), x.dtype)))
