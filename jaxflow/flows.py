"""Information flows: from the information of every subset to node flows, their witnesses and edge flows."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import nodes_together
from jaxflow.errors import InputError

ABSENT = 2**31 - 1  # larger than every mask


def node_flows(
    bits: Float[Array, "*batch subsets"],
) -> tuple[Float[Array, "*batch n"], Int[Array, "*batch n"]]:
    """F_M(V) = max over T ⊆ layer∖V of I(M; X_{T∪V}) − I(M; X_T), in bits, and the T that attains it.

    Venkatesh et al. 2021, eqs. 3 and 8; truncated at 0 (App. A.2). A flow with the empty witness is direct; one that
    needs others is synergistic.

    Args:
        bits: I(M; X_T) ``[..., 2**n]``, T indexed by bitmask.

    Returns:
        Flows ``[..., n]`` and witnesses ``[..., n]``, int32 bitmasks: the smallest mask among
        equals, 0 where the flow is 0.

    Raises:
        InputError: the last axis is no power of two up to 2³⁰.
    """
    bits = jnp.asarray(bits)
    n = bits.shape[-1].bit_length() - 1
    if bits.shape[-1] != 2**n or n > 30:
        raise InputError(f"bits must hold 2**n values on its last axis, n ≤ 30, got {bits.shape[-1]}")
    return _largest_gains(bits, 2 ** min(n, nodes_together() - 2))


@partial(jax.jit, static_argnames=("width",))
def _largest_gains(
    bits: Float[Array, "*batch subsets"], width: int
) -> tuple[Float[Array, "*batch n"], Int[Array, "*batch n"]]:
    """Node flows and witnesses, from ``width`` subsets at a time: one loop for all nodes."""
    n = bits.shape[-1].bit_length() - 1
    padded = jnp.concatenate([bits, jnp.zeros((*bits.shape[:-1], width), bits.dtype)], axis=-1)
    within = jnp.arange(width, dtype=jnp.int32).reshape((1,) * (bits.ndim - 1) + (width,))

    def largest(start: Array, node: Array) -> tuple[Array, Array]:
        """Largest gain by a node among the subsets from ``start`` on, and the first of them that attains it."""
        bit = jnp.left_shift(jnp.int32(1), node)
        subset = start + within
        without = jax.lax.dynamic_slice_in_dim(padded, start, width, -1)
        gain = jax.lax.dynamic_slice_in_dim(padded, start + bit, width, -1) - without
        gain = jnp.where(subset & bit == 0, gain, -jnp.inf)
        most = jnp.max(gain, axis=-1)
        return most, jnp.min(jnp.where(gain == most[..., None], subset, ABSENT), axis=-1)

    starts, nodes = (jnp.arange(0, end, step, dtype=jnp.int32) for end, step in ((2**n, width), (n, 1)))
    gains, subsets = jax.lax.map(lambda start: jax.lax.map(partial(largest, start), nodes), starts)
    flow = jnp.max(gains, axis=0)
    witness = jnp.min(jnp.where(gains == flow[None], subsets, ABSENT), axis=0)
    flow, witness = jnp.moveaxis(flow, 0, -1), jnp.moveaxis(witness, 0, -1)
    return jnp.maximum(flow, 0), jnp.where(flow > 0, witness, 0)


def edge_flows(flow: Float[Array, "*batch n"], kernel: Float[Array, "*batch n m"]) -> Float[Array, "*batch n m"]:
    """F_M(E) = |w(E)| · F_M(V) of every edge E leaving node V (Venkatesh et al. 2021, eq. 4), in bits.

    Args:
        flow: node flows of a layer.
        kernel: weights, source → target.
    """
    return jnp.abs(kernel) * flow[..., :, None]


def noise_floor(flow: Float[Array, "permutations *batch n"]) -> Float[Array, "*batch"]:
    """null95: the 95th percentile of the node flows about permuted messages, pooled over the layer, in bits.

    A flow is a maximum over subsets and so biased upward; below this floor it cannot be told from none.

    Args:
        flow: node flows about permutations of the message.
    """
    pooled = jnp.moveaxis(flow, 0, -1)
    return jnp.percentile(pooled.reshape(*pooled.shape[:-2], -1), 95, axis=-1)
