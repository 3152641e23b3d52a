"""The networks: multilayer perceptrons that return the activations of every layer, nothing hidden."""

from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.networks.layers import LEAK, affine, equal_layers, leaky

Params: TypeAlias = dict[str, Any]
REPEATED = 16  # equal layers in a row that run as a loop, and are drawn as one; fewer are sooner compiled one by one


class Layers(nn.Module):
    """A layer, or a run of equal ones, initialised as PyTorch's ``Linear``: kernel and bias uniform in ±1/√fan_in.

    Attributes:
        width: nodes.
        slope: of the activation below zero, 1 for linear layers.
        count: layers in the run; the parameters of more than one have a leading axis.
    """

    width: int
    slope: float
    count: int

    @nn.compact
    def __call__(self, h: Float[Array, "n N"]) -> tuple[Float[Array, "m N"], list[Float[Array, "m N"]]]:
        """Activations of the last layer, and of all."""

        def uniform(key: Array, shape: tuple[int, ...]) -> Array:
            bound = h.shape[0] ** -0.5
            return jax.random.uniform(key, shape, h.dtype, -bound, bound)

        run = (self.count,) if self.count > 1 else ()
        kernel = self.param("kernel", uniform, (*run, h.shape[0], self.width))
        bias = self.param("bias", uniform, (*run, self.width))
        if run:
            last, activations = equal_layers(kernel, bias, h, self.slope)
            return last, list(activations)
        h = leaky(affine(kernel, bias, h), self.slope)
        return h, [h]


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
        for first, count in self.runs(h.shape[0]):
            h, own = Layers(self.widths[first], self.slope(first), count, name=f"layer_{first}")(h)
            activations += own
        return tuple(a.T for a in activations)

    def slope(self, layer: int) -> float:
        """Of the activation after weight layer ``layer``, below zero."""
        return 1.0 if layer == len(self.widths) - 1 or layer + 1 in self.linear else LEAK

    def runs(self, inputs: int) -> list[tuple[int, int]]:
        """First weight layer and number of those that run together: ``REPEATED`` or more equal ones, or one alone."""
        sizes = (inputs, *self.widths)
        runs: list[tuple[int, int]] = []
        for _, equal in groupby(range(len(self.widths)), lambda i: (sizes[i : i + 2], self.slope(i))):
            layers = list(equal)
            together = len(layers) >= REPEATED
            runs += [(layers[0], len(layers))] if together else [(layer, 1) for layer in layers]
        return runs


def forward(network: MLP, params: Params, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
    """Activations of every layer of one network, input and logits included.

    Differentiable in reverse; forward (``jax.jvp``) only without a run of ``REPEATED`` equal layers.
    """
    return folded_forward(network, folded(network, params), x)


def folded_forward(network: MLP, folded: Params, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
    """``forward`` from folded parameters, which training carries."""
    return network.apply({"params": folded}, x)  # pyright: ignore[reportReturnType]


def initial_params(key: Array, network: MLP, x: Float[Array, "N d"]) -> Params:
    """Fresh parameters: ``layer_l`` holds ``kernel [n, m]`` and ``bias [m]``, ``embedding_c`` an ``embedding``."""
    return unfolded(initial_folded(key, network, x))


def initial_folded(key: Array, network: MLP, x: Float[Array, "N d"]) -> Params:
    """``initial_params``, folded."""
    return network.init(key, x[:1])["params"]  # pyright: ignore[reportReturnType]


def folded(network: MLP, params: Params) -> Params:
    """The parameters of equal layers that run together stacked, under the name of the first."""
    runs = dict(network.runs(params["layer_0"]["kernel"].shape[0]))
    others = {name: leaves for name, leaves in params.items() if not name.startswith("layer_")}

    def run(first: int, count: int) -> Params:
        own = [params[f"layer_{index}"] for index in range(first, first + count)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *own) if count > 1 else own[0]

    return others | {f"layer_{first}": run(first, count) for first, count in runs.items()}


def unfolded(params: Params) -> Params:
    """The inverse of ``folded``: every layer by itself."""
    layers = {}
    for name, leaves in params.items():
        if not is_run(leaves):
            layers[name] = leaves
            continue
        first = int(name.removeprefix("layer_"))
        for index in range(len(leaves["bias"])):
            layers[f"layer_{first + index}"] = jax.tree.map(itemgetter(index), leaves)
    return layers


def is_run(leaves: Params) -> bool:
    """Whether these are the stacked parameters of equal layers."""
    return "kernel" in leaves and leaves["kernel"].ndim == 3


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
