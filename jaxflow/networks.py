"""The networks: multilayer perceptrons that return the activations of every layer, nothing hidden."""

from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Params: TypeAlias = dict[str, Any]
LEAK = 0.01
FUSED = 2**8  # products of fewer terms are summed in place


def affine(kernel: Float[Array, "n m"], bias: Float[Array, " m"], h: Float[Array, "n N"]) -> Float[Array, "m N"]:
    """Wᵀh + b, samples last.

    Samples last because narrow layers then vectorise over the samples: on a CPU pruning sweeps run four times
    faster. A mini-batch of a few nodes is a fused sum: a library call would cost more than its arithmetic. For
    many networks of 16 nodes side by side that sum would take four times as long as the call.
    """
    if kernel.size * h.shape[-1] <= FUSED:
        product = jnp.sum(kernel[:, :, None] * h[:, None, :], axis=0)
    else:
        product = jnp.matmul(kernel.T, h, precision=jax.lax.Precision.HIGHEST)
    return product + bias[:, None]


class Layer(nn.Module):
    """One layer, initialised as PyTorch's ``Linear``: kernel and bias uniform in ±1/√fan_in."""

    width: int

    @nn.compact
    def __call__(self, h: Float[Array, "n N"]) -> Float[Array, "m N"]:
        """Wᵀh + b."""

        def uniform(key: Array, shape: tuple[int, ...]) -> Array:
            bound = h.shape[0] ** -0.5
            return jax.random.uniform(key, shape, h.dtype, -bound, bound)

        kernel = self.param("kernel", uniform, (h.shape[0], self.width))
        return affine(kernel, self.param("bias", uniform, (self.width,)), h)


class MLP(nn.Module):
    """Leaky ReLU (slope 0.01) on the hidden layers, linear logits (Venkatesh et al. 2021, App. C.1).

    Attributes:
        widths: nodes of the hidden layers and of the output.
        categories: the first columns of x hold codes of these many categories, each embedded in one dimension.
        linear: hidden layers that stay linear; 1 is the first.
    """

    widths: tuple[int, ...]
    categories: tuple[int, ...] = ()
    linear: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
        """Activations of every layer: the (embedded) input, the hidden layers after their leaky ReLU, the logits."""
        embedded = [
            nn.Embed(size, 1, embedding_init=nn.initializers.normal(1.0), name=f"embedding_{column}")(
                x[:, column].astype(jnp.int32)
            ).T
            for column, size in enumerate(self.categories)
        ]
        h = jnp.concatenate([*embedded, x[:, len(self.categories) :].T])
        activations = [h]
        for index, width in enumerate(self.widths):
            h = Layer(width, name=f"layer_{index}")(h)
            if index < len(self.widths) - 1 and index + 1 not in self.linear:
                h = nn.leaky_relu(h, LEAK)
            activations.append(h)
        return tuple(a.T for a in activations)


def forward(network: MLP, params: Params, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
    """Activations of every layer of one network, input and logits included."""
    return network.apply({"params": params}, x)  # pyright: ignore[reportReturnType]


def initial_params(key: Array, network: MLP, x: Float[Array, "N d"]) -> Params:
    """Fresh parameters: ``layer_l`` holds ``kernel [n, m]`` and ``bias [m]``, ``embedding_c`` an ``embedding``."""
    return network.init(key, x[:1])["params"]  # pyright: ignore[reportReturnType]


def kernels(params: Params) -> list[Any]:
    """The layer weights, source → target, layer by layer; the only leaves that interventions touch."""
    return [params[f"layer_{index}"]["kernel"] for index in range(depth(params))]


def depth(params: Params) -> int:
    """Number of weight layers."""
    return sum(name.startswith("layer_") for name in params)


def tail_network(network: MLP, start: int) -> MLP:
    """The network from layer ``start`` on: its input are the activations of that layer (embedded, for layer 0)."""
    return MLP(network.widths[start:], linear=tuple(layer - start for layer in network.linear if layer > start))


def tail_params(params: Params, start: int) -> Params:
    """Parameters of ``tail_network(network, start)``."""
    return {f"layer_{index - start}": params[f"layer_{index}"] for index in range(start, depth(params))}


class Stack(NamedTuple):
    """A network's layers side by side, padded with zeros to the widest: a loop over them is one trace at any depth.

    Attributes:
        kernel: ``[L, W, W]``, source → target.
        bias: ``[L, W]``.
        slope: of each layer's activation below zero ``[L]``, 1 where it stays linear.
    """

    kernel: Array
    bias: Array
    slope: Array


def stacked(network: MLP, params: Params) -> Stack:
    """The layers of a network without embeddings."""
    weights = kernels(params)
    width = max(max(kernel.shape) for kernel in weights)
    last = len(weights) - 1
    slopes = [1.0 if index == last or index + 1 in network.linear else LEAK for index in range(last + 1)]

    def padded(a: Array) -> Array:
        return jnp.pad(a, [(0, width - n) for n in a.shape])

    biases = [padded(params[f"layer_{index}"]["bias"]) for index in range(last + 1)]
    return Stack(jnp.stack([padded(kernel) for kernel in weights]), jnp.stack(biases), jnp.asarray(slopes))


def next_layer(stack: Stack, layer: int | Array, h: Float[Array, "W N"]) -> Float[Array, "W N"]:
    """Activations of layer ``layer + 1`` from those of layer ``layer``, samples last."""
    return nn.leaky_relu(affine(stack.kernel[layer], stack.bias[layer], h), stack.slope[layer])
