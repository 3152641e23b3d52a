"""Information flows: from the information of every subset to node flows, their witnesses and edge flows."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.errors import InputError


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
    if n == 0:
        empty = jnp.zeros((*bits.shape[:-1], 0))
        return empty, empty.astype(jnp.int32)
    flows, witnesses = zip(*(_node_flow(bits, node) for node in range(n)), strict=True)
    return jnp.stack(flows, axis=-1), jnp.stack(witnesses, axis=-1)


def _node_flow(bits: Float[Array, "*batch subsets"], node: int) -> tuple[Array, Array]:
    """Flow and witness of one node: differences along its axis of the subset lattice, maximised over the others."""
    below = 2**node
    lattice = bits.reshape(*bits.shape[:-1], -1, 2, below)
    gain = (lattice[..., 1, :] - lattice[..., 0, :]).reshape(*bits.shape[:-1], -1)
    best = jnp.argmax(gain, axis=-1).astype(jnp.int32)
    flow = jnp.maximum(jnp.max(gain, axis=-1), 0)
    witness = best // below * (2 * below) + best % below  # a zero bit goes in where the node stands
    return flow, jnp.where(flow > 0, witness, 0)


def edge_flows(flow: Float[Array, "*batch n"], kernel: Float[Array, "*batch n m"]) -> Float[Array, "*batch n m"]:
    """F_M(E) = |w(E)| · F_M(V) of every edge E leaving node V (Venkatesh et al. 2021, eq. 4), in bits.

    Args:
        flow: node flows of a layer.
        kernel: weights, source → target.
    """
    return jnp.abs(kernel) * flow[..., :, None]


def noise_floor(bits: Float[Array, "permutations *batch subsets"]) -> Float[Array, "*batch"]:
    """null95: the 95th percentile of the node flows about permuted messages, pooled over the layer, in bits.

    A flow is a maximum over subsets and so biased upward; below this floor it cannot be told from none.

    Args:
        bits: I(M′; X_T) for permutations M′ of the message, ``[permutations, ..., 2**n]``.
    """
    flow = jnp.moveaxis(node_flows(bits)[0], 0, -1)
    return jnp.percentile(flow.reshape(*flow.shape[:-2], -1), 95, axis=-1)
