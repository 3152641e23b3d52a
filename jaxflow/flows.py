"""Information flows: from the information of every subset to node flows, their witnesses and edge flows."""

from dataclasses import dataclass, field
from functools import partial, reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.arrays import as_finite_array
from jaxflow.batching import in_blocks, nodes_together, rows_together
from jaxflow.errors import InputError

LISTED_NODES = 10  # of layers up to this wide runs keep the information of all subsets
ABSENT = 2**31 - 1  # larger than every mask
WITHIN = 3  # first nodes by which the subsets of a piece differ
GATHERED = 6  # nodes of a layer so narrow that the gains are looked up in one step: a program of few operations
MANY_BYTES = 2**25  # of the bits of many layers that are gone through together


@partial(jax.tree_util.register_dataclass, data_fields=["node", "witness", "edge", "bits"], meta_fields=["samples"])
@dataclass(frozen=True)
class Flows:
    """Information flows through one network, in bits; many networks' where its arrays have a leading axis.

    Every field holds a dictionary by name of the message, which holds one by number of the layer, 0 the input:
    ``flows.node["z"][1]`` are the flows about z of the nodes of the first hidden layer.

    Attributes:
        node: flow of every node ``[n_l]``, of the output too.
        witness: the subset that attains it, a bitmask ``[n_l]``.
        edge: flow of every edge ``[n_l, n_{l+1}]``, of all layers but the output.
        bits: information of every subset ``[2**n_l]``, of the layers that are narrow enough to keep it.
        samples: N of the estimate.

    Example:
        >>> flows = Flows({"z": {0: jnp.array([0.5, 0.0])}}, samples=100)
        >>> flows.node["z"][0].shape
        (2,)
    """

    node: dict[str, dict[int, Any]]
    witness: dict[str, dict[int, Any]] = field(default_factory=dict)
    edge: dict[str, dict[int, Any]] = field(default_factory=dict)
    bits: dict[str, dict[int, Any]] = field(default_factory=dict)
    samples: int = 1


def node_flows(bits: ArrayLike) -> tuple[Float[Array, "*batch n"], Int[Array, "*batch n"]]:
    """Information flow of every node of a layer, and the subset that attains it.

    F_M(V) = max over T ⊆ layer∖V of I(M; X_{T∪V}) − I(M; X_T), in bits, Venkatesh et al. 2021, eqs. 3 and 8;
    truncated at 0 (App. A.2). A flow with the empty witness is direct; one that needs others is synergistic.

    Args:
        bits: I(M; X_T) ``[..., 2**n]``, T indexed by bitmask; integers are taken as numbers of bits.

    Returns:
        Flows ``[..., n]`` and witnesses ``[..., n]``, int32 bitmasks: the smallest mask among equals, 0 where the
        flow is 0.

    Raises:
        InputError: the last axis is no power of two up to 2³⁰; NaN or infinity, where values can be checked.

    Example:
        >>> flow, witness = node_flows([0, 0, 0, 1])  # M = X₁ xor X₂
        >>> flow.tolist(), witness.tolist()
        ([1.0, 1.0], [2, 1])
    """
    values = as_finite_array("bits", bits)
    subsets = values.shape[-1] if values.ndim else 0
    n = subsets.bit_length() - 1
    if subsets != 2 ** max(n, 0) or n > 30:
        raise InputError(f"bits must hold 2**n values on its last axis, n ≤ 30, got {subsets}")
    return _largest_gains(values, 2 ** min(n, nodes_together() - 2), rows_together(n))


@partial(jax.jit, static_argnames=("width", "rows"))
def _largest_gains(
    bits: Float[Array, "*batch subsets"], width: int, rows: int = 2**30
) -> tuple[Float[Array, "*batch n"], Int[Array, "*batch n"]]:
    """Node flows and witnesses, of ``rows`` layers and from ``width`` subsets at a time."""
    batch, n = bits.shape[:-1], bits.shape[-1].bit_length() - 1
    if prod(batch) <= rows:
        return _gains_gathered(bits) if n <= GATHERED else _gains_together(bits, width)
    flat = bits.reshape(-1, bits.shape[-1])
    if 0 < n <= nodes_together():
        found = in_blocks(_gains_of_many, flat, max(1, MANY_BYTES // (4 * 2**n)))
    else:
        found = in_blocks(partial(_gains_together, width=width), flat, rows)
    flow, witness = (a.reshape(*batch, n) for a in found)
    return flow, witness


def _gains_gathered(bits: Float[Array, "*batch subsets"]) -> tuple[Float[Array, "*batch n"], Int[Array, "*batch n"]]:
    """Node flows and witnesses of narrow layers: every subset with a node, less the same without it.

    XLA may compute the bits here anew for the maximum and for its place, and round them otherwise. So the place is not
    where a gain equals the maximum, which may be nowhere, but that of a maximum of its own: the first subset.
    """
    subset = np.arange(bits.shape[-1], dtype=np.int32)
    node = np.arange(len(subset).bit_length() - 1, dtype=np.int32)
    held = jnp.take(bits, subset | 1 << node[:, None], axis=-1, mode="clip")  # of the subsets with the node
    gain = jnp.where(subset >> node[:, None] & 1 == 0, held - bits[..., None, :], -jnp.inf)
    flow = jnp.max(gain, axis=-1, initial=0)
    return flow, jnp.where(flow > 0, jnp.argmax(gain, axis=-1).astype(jnp.int32), 0)


def _gains_of_many(bits: Float[Array, "P subsets"]) -> tuple[Float[Array, "P n"], Int[Array, "P n"]]:
    """Node flows and witnesses of many layers, ``_gains_together`` on a CPU.

    The layers lie side by side here, so that every step does the same with all of them: no reduction is as fast. The
    subsets fall into pieces that agree in all but their first nodes. The first piece that attains the maximum holds
    the witness, and only its gains are looked at again.
    """
    n = bits.shape[1].bit_length() - 1
    within = min(n, WITHIN)
    pieces = with_layout_constraint(bits.T, Layout((0, 1)))  # else XLA transposes in name only
    found = [_first_piece(pieces.reshape(-1, 2**within, len(bits)), node) for node in range(n)]
    flow, first = (jnp.stack(own, axis=1) for own in zip(*found, strict=True))
    node = jnp.arange(n, dtype=jnp.int32)[None, :, None]
    subset = first[..., None] << within | jnp.arange(2**within, dtype=jnp.int32)[None, None]
    both = jnp.concatenate([subset, subset | 1 << node], axis=-1).reshape(len(bits), -1)
    values = jnp.take_along_axis(bits, both, axis=1).reshape(len(bits), n, 2, -1)
    gain = jnp.where(subset >> node & 1 == 0, values[:, :, 1] - values[:, :, 0], -jnp.inf)
    _, place = _first_largest(jnp.moveaxis(gain, -1, 0), jnp.arange(2**within, dtype=jnp.int32)[:, None, None])
    return jnp.maximum(flow, 0), jnp.where(flow > 0, first << within | place, 0)


def _first_piece(pieces: Float[Array, "H W P"], node: int) -> tuple[Float[Array, " P"], Int[Array, " P"]]:
    """The largest gain by a node, and the first of the H pieces of W subsets without it that attains it."""
    count, width, layers = pieces.shape
    number = np.arange(count, dtype=np.int32)
    if 2**node < width:
        gains = [pieces[:, own | 1 << node] - pieces[:, own] for own in range(width) if not own >> node & 1]
    else:
        pairs = pieces.reshape(-1, 2, 2**node // width, width, layers)
        gains = [pairs[:, 1, :, own] - pairs[:, 0, :, own] for own in range(width)]
        number = number[number * width >> node & 1 == 0]
    largest = reduce(jnp.maximum, gains).reshape(-1, layers)
    return _first_largest(largest, jnp.asarray(number)[:, None])


def _first_largest(a: Float[Array, "L *rest"], name: Int[Array, "L *ones"]) -> tuple[Array, Array]:
    """The largest along the first axis, whose length is a power of two, and the name of the first that attains it.

    Neighbours are compared, and value and name of the larger stay together. To look afterwards for what equals the
    maximum would be wrong where XLA computes the values anew for it and rounds them otherwise: nothing may equal it.
    """
    name = jnp.broadcast_to(name, a.shape)
    while len(a) > 1:
        later = a[1::2] > a[::2]
        a, name = jnp.where(later, a[1::2], a[::2]), jnp.where(later, name[1::2], name[::2])
    return a[0], name[0]


def _gains_together(
    bits: Float[Array, "*batch subsets"], width: int
) -> tuple[Float[Array, "*batch n"], Int[Array, "*batch n"]]:
    """Node flows and witnesses: one loop for all nodes.

    A gain may be compared with the maximum here: the loop reads ``padded`` from memory, and what it subtracts twice is
    twice the same.
    """
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


def edge_flows(flow: ArrayLike, weights: ArrayLike) -> Float[Array, "*batch n m"]:
    """Information flow of every edge that leaves a layer.

    F_M(E) = |w(E)| · F_M(V) of an edge E leaving node V, in bits (Venkatesh et al. 2021, eq. 4).

    Args:
        flow: node flows of the layer ``[..., n]``.
        weights: of the edges ``[..., n, m]``, source → target. Axes before the nodes are batches and broadcast.

    Returns:
        Edge flows ``[..., n, m]``.

    Raises:
        InputError: shapes that do not fit; NaN or infinity, where values can be checked.

    Example:
        >>> edge_flows([0.5, 0.25], [[1.0, -2.0], [0.0, 4.0]]).tolist()
        [[0.5, 1.0], [0.0, 1.0]]
    """
    node, w = as_finite_array("flow", flow), as_finite_array("weights", weights)
    if node.ndim < 1 or w.ndim < 2 or node.shape[-1] != w.shape[-2]:
        raise InputError(f"expected node flows [..., n] and weights [..., n, m], got {node.shape} and {w.shape}")
    try:
        batch = len(np.broadcast_shapes(node.shape[:-1], w.shape[:-2]))
    except ValueError:
        raise InputError(f"batches of node flows {node.shape} and of weights {w.shape} do not broadcast") from None
    node = node.reshape(*(batch + 1 - node.ndim) * (1,), *node.shape, 1)
    return jnp.abs(w.reshape(*(batch + 2 - w.ndim) * (1,), *w.shape)) * node


@partial(jax.jit, inline=True)
def null95_of_flows(flows: Float[Array, "permutations *batch n"]) -> Float[Array, "*batch"]:
    """The 95th percentile of node flows about permuted messages, pooled over permutations and the layer's nodes.

    What ``noise_floor`` is once the flows are known. Flows, not the information of subsets: these are larger.

    Args:
        flows: node flows in bits about permutations of the message, ``[permutations, ..., n]``.

    Returns:
        null95 in bits ``[...]``.
    """
    pooled = jnp.moveaxis(flows, 0, -1)
    return jnp.percentile(pooled.reshape(*pooled.shape[:-2], -1), 95, axis=-1)
