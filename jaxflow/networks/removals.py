"""Every edge alone removed from a network: its target is computed anew, and the layers after it run again."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import batched_map
from jaxflow.networks import MLP, Params, forward, kernels
from jaxflow.networks.layers import PRECISE, affine, leaky


class Stack(NamedTuple):
    """Layers side by side, padded with zeros to the widest output: a loop over them is one trace at any depth.

    Attributes:
        first: kernel of layer 0 ``[n, W]``, apart because its inputs may be far more than W.
        kernel: ``[L, W, W]``, source → target; layer 0 stays empty.
        bias: ``[L, W]``.
        slope: of each layer's activation below zero ``[L]``, 1 where it is linear.
    """

    first: Array
    kernel: Array
    bias: Array
    slope: Array


def stacked(network: MLP, params: Params) -> Stack:
    """The layers of a network without embeddings."""
    first, *others = kernels(params)
    width = max(network.widths)
    layers = range(len(network.widths))

    def padded(a: Array, *shape: int) -> Array:
        return jnp.pad(a, [(0, size - n) for size, n in zip(shape, a.shape, strict=True)])

    return Stack(
        padded(first, len(first), width),
        jnp.stack([jnp.zeros((width, width), first.dtype), *(padded(kernel, width, width) for kernel in others)]),
        jnp.stack([padded(params[f"layer_{layer}"]["bias"], width) for layer in layers]),
        jnp.asarray([network.slope(layer) for layer in layers], first.dtype),
    )


def logits_without(
    network: MLP, params: Params, x: Float[Array, "N n"], edges: Int[Array, "G 3"]
) -> Float[Array, "G N 2"]:
    """Logits of a network without each of the edges (layer, source, target) alone.

    What pruning the edge by factor 0 gives, but for rounding.

    Args:
        network: architecture, without embeddings.
        params: its parameters.
        x: its inputs.
        edges: of layers, sources and targets that it has.
    """
    stack = stacked(network, params)
    width = stack.first.shape[1]
    activations = jnp.stack([jnp.pad(a.T, ((0, width - a.shape[1]), (0, 0))) for a in forward(network, params, x)[1:]])
    return batched_map(_without_edge, edges, 8 * activations[0].size, stack, x.T, activations)


def _without_edge(
    edge: Int[Array, "3"], stack: Stack, x: Float[Array, "n N"], activations: Float[Array, "L W N"]
) -> Float[Array, "N 2"]:
    """Logits without one edge, from the inputs and the activations of layers 1 to L of the whole network."""
    layer, source, target = edge

    def into_target(kernel: Array, h: Array) -> Array:
        return jnp.matmul(kernel[:, target].at[source].set(0), h, precision=PRECISE)

    def next_layer(own: Array, h: Array) -> Array:
        return leaky(affine(stack.kernel[own], stack.bias[own], h), stack.slope[own])

    before = activations[jnp.maximum(layer, 1) - 1]
    product = jnp.where(layer == 0, into_target(stack.first, x), into_target(stack.kernel[layer], before))
    changed = leaky(product + stack.bias[layer, target], stack.slope[layer])
    h = activations[layer].at[target].set(changed)
    return jax.lax.fori_loop(layer + 1, len(activations), next_layer, h)[:2].T
