"""Every edge alone removed from an MLP: its target is computed anew, and the layers after it run again."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import batched_map
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


def stacked(kernels: Sequence[Array], biases: Sequence[Array], slopes: Sequence[float]) -> Stack:
    """The layers of an MLP without embeddings."""
    first, *others = kernels
    width = max(kernel.shape[1] for kernel in kernels)

    def padded(a: Array, *shape: int) -> Array:
        return jnp.pad(a, [(0, size - n) for n, size in zip(a.shape, shape, strict=True)])

    return Stack(
        padded(first, len(first), width),
        jnp.stack([jnp.zeros((width, width), first.dtype), *(padded(kernel, width, width) for kernel in others)]),
        jnp.stack([padded(bias, width) for bias in biases]),
        jnp.asarray(slopes, first.dtype),
    )


def outputs_without(
    stack: Stack, activations: Sequence[Float[Array, "N _"]], edges: Int[Array, "G 3"]
) -> Float[Array, "G N c"]:
    """Output of a network without each of the edges (layer, source, target) alone.

    Args:
        stack: the network's layers.
        activations: of all its layers, the input first.
        edges: of layers, sources and targets that it has.
    """
    x, *after = activations
    width, outputs = stack.first.shape[1], after[-1].shape[1]
    padded = jnp.stack([jnp.pad(a.T, ((0, width - a.shape[1]), (0, 0))) for a in after])
    without_edge = partial(_without_edge, outputs=outputs)
    return batched_map(without_edge, edges, 8 * padded[0].size, stack, x.T, padded)


def _without_edge(
    edge: Int[Array, "3"], stack: Stack, x: Float[Array, "n N"], activations: Float[Array, "L W N"], outputs: int
) -> Float[Array, "N c"]:
    """Output without one edge, from the inputs and the activations of layers 1 to L of the whole network."""
    layer, source, target = edge

    def into_target(kernel: Array, h: Array) -> Array:
        return jnp.matmul(kernel[:, target].at[source].set(0), h, precision=PRECISE)

    def next_layer(own: Array, h: Array) -> Array:
        return leaky(affine(stack.kernel[own], stack.bias[own], h), stack.slope[own])

    before = activations[jnp.maximum(layer, 1) - 1]
    product = jnp.where(layer == 0, into_target(stack.first, x), into_target(stack.kernel[layer], before))
    changed = leaky(product + stack.bias[layer, target], stack.slope[layer])
    h = activations[layer].at[target].set(changed)
    return jax.lax.fori_loop(layer + 1, len(activations), next_layer, h)[:outputs].T
