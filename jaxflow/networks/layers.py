"""The arithmetic of layers: one layer, and a run of equal ones as a loop, one trace for any number of them."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LEAK = 0.01
FUSED = 2**8  # products of fewer terms are summed in place
PRECISE = jax.lax.Precision.HIGHEST


def affine(kernel: Float[Array, "n m"], bias: Float[Array, " m"], h: Float[Array, "n N"]) -> Float[Array, "m N"]:
    """Wᵀh + b, samples last.

    Samples last because narrow layers then vectorise over the samples: on a CPU pruning sweeps run four times
    faster. A mini-batch of a few nodes is a fused sum: a library call would cost more than its arithmetic. For
    many networks of 16 nodes side by side that sum would take four times as long as the call.
    """
    if kernel.size * h.shape[-1] <= FUSED:
        product = jnp.sum(kernel[:, :, None] * h[:, None, :], axis=0)
    else:
        product = jnp.matmul(kernel.T, h, precision=PRECISE)
    return product + bias[:, None]


def leaky(z: Float[Array, "*shape"], slope: float | Array) -> Float[Array, "*shape"]:
    """φ(z): z, times ``slope`` below zero."""
    return jnp.where(z >= 0, z, slope * z)


def equal_layers(
    kernels: Float[Array, "r n n"], biases: Float[Array, "r n"], h: Float[Array, "n N"], slope: float
) -> tuple[Float[Array, "n N"], Float[Array, "r n N"]]:
    """Activations h_l = φ(W_lᵀ h_{l−1} + b_l) of a run of equal layers, φ with ``slope`` > 0 below zero.

    Differentiated by hand: the loop backwards carries δ alone, and the kernels' gradients are one product after it.
    Networks of 20 layers train 1.6 times as fast as with the gradient of ``jax.lax.scan``.

    Returns:
        Those of the last layer, and of all: who needs the last alone never stores the others.
    """
    return _run(slope, kernels, biases, h)  # pyright: ignore[reportReturnType]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(slope: float, kernels: Array, biases: Array, h: Array) -> tuple[Array, Array]:
    """``equal_layers``."""

    def next_layer(h: Array, layer: tuple[Array, Array]) -> tuple[Array, Array]:
        h = leaky(affine(*layer, h), slope)
        return h, h

    return jax.lax.scan(next_layer, h, (kernels, biases))


Kept = tuple[Array, Array, Array]


def _forward(slope: float, kernels: Array, biases: Array, h: Array) -> tuple[tuple[Array, Array], Kept]:
    """``equal_layers``, and what its gradient needs: kernels, h and all activations."""
    last, activations = equal_layers(kernels, biases, h, slope)
    return (last, activations), (kernels, h, activations)


def _backward(
    slope: float, kept: Kept, gradient: tuple[Float[Array, "n N"], Float[Array, "r n N"]]
) -> tuple[Float[Array, "r n n"], Float[Array, "r n"], Float[Array, "n N"]]:
    """Gradients of kernels, biases and h: δ_l = (W_{l+1} δ_{l+1} + ∂/∂h_l) φ′, ∂W_l = h_{l−1} δ_lᵀ, ∂b_l = Σ δ_l."""
    kernels, h, activations = kept

    def previous_layer(d_h: Array, layer: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        kernel, own, d_own = layer
        delta = (d_h + d_own) * jnp.where(own >= 0, 1, slope)
        return jnp.matmul(kernel, delta, precision=PRECISE), delta

    d_last, d_activations = gradient
    d_h, deltas = jax.lax.scan(previous_layer, d_last, (kernels, activations, d_activations), reverse=True)
    before = jnp.concatenate([h[None], activations[:-1]])
    return jnp.matmul(before, jnp.swapaxes(deltas, 1, 2), precision=PRECISE), jnp.sum(deltas, axis=2), d_h


_run.defvjp(_forward, _backward)
