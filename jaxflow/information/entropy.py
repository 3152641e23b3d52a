"""Binary entropy, its inverse, and the accuracy that an amount of information stands for."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def binary_entropy(p: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """H_b(p) = −p log₂ p − (1 − p) log₂(1 − p) in bits, 0 at p = 0 and p = 1."""
    return -(jax.scipy.special.xlogy(p, p) + jax.scipy.special.xlog1py(1 - p, -p)) / jnp.log(2.0)


def _deficit(u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """1 − H_b((1 + u)/2) in bits, without cancellation near u = 0."""
    return (2 * u * jnp.arctanh(u) + jnp.log1p(-(u**2))) / (2 * jnp.log(2.0))


def information_to_accuracy(
    bits: Float[Array, "*batch"], probability: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Accuracy a = 1 − H_b⁻¹(H(M) − I) that Fano's inequality pairs with I bits about a binary message.

    At least max_m P(M = m), reached at I = 0; 1 at I = H(M). Inverts Venkatesh et al. 2021, eq. 7, for any H(M).

    Args:
        bits: I(M; ·), in [0, H(M)].
        probability: P(M = 1).

    Returns:
        The accuracy, in [½, 1].
    """
    chance = jnp.maximum(probability, 1 - probability)
    deficit = _deficit(2 * chance - 1) + bits  # 1 − H(M) + I

    def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        below = _deficit(middle) < deficit
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    bracket = jnp.zeros_like(deficit), jnp.ones_like(deficit)
    low, high = jax.lax.fori_loop(0, 30, halve, bracket)
    accuracy = jnp.maximum((1 + (low + high) / 2) / 2, chance)
    return jnp.where(bits <= 0, chance, accuracy)
