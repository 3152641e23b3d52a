"""The built-in network: a multilayer perceptron. What makes it fast stays behind the contract, in this folder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.arrays import as_key
from jaxflow.networks.contract import Network, Params
from jaxflow.networks.layers import LEAK, affine, equal_layers, leaky
from jaxflow.networks.layouts import depth, folded, turned, unfolded
from jaxflow.networks.removals import outputs_without, stacked
from jaxflow.values import LAYERS, WIDTH, wholes

REPEATED = 16  # equal layers in a row that run as a loop, and are drawn as one; fewer are sooner compiled one by one


def mlp(hidden: Iterable[Any], outputs: int = 2, categories: Iterable[Any] = (), linear: Iterable[Any] = ()) -> "MLP":
    """A multilayer perceptron: leaky ReLU (slope 0.01) on the hidden layers, linear logits.

    The paper's network (Venkatesh et al. 2021, App. C.1), initialised as PyTorch's ``Linear``: kernels and biases
    uniform in ±1/√fan_in, embeddings standard normal.

    Args:
        hidden: nodes of the hidden layers.
        outputs: logits, one for each class of the label.
        categories: the first columns of x hold codes of these many categories, each embedded in one dimension.
        linear: hidden layers that stay linear; 1 is the first.

    Returns:
        A network; equal arguments make equal ones. Its parameters are a dictionary: ``layer_l`` holds
        ``kernel [n, m]`` and ``bias [m]``, ``embedding_c`` an ``embedding``.

    Raises:
        InputError: widths that are no integers from 1 on.

    Example:
        >>> network, x = mlp(hidden=(3,)), jnp.ones((5, 4))
        >>> params = network.init(jax.random.key(0), x)
        >>> [w.shape for w in network.weights(params)]
        [(4, 3), (3, 2)]
    """
    widths = wholes("hidden and outputs (nodes of a layer)", [*hidden, outputs], 1, WIDTH)
    codes = wholes("categories (codes of a column)", categories, 1, WIDTH)
    return MLP(widths, codes, wholes("linear", linear, 1, LAYERS))


@dataclass(frozen=True)
class MLP(Network):
    """What ``mlp`` returns.

    Attributes:
        widths: nodes of the hidden layers and of the output.
        categories: the first columns of x hold codes of these many categories, each embedded in one dimension.
        linear: hidden layers that stay linear; 1 is the first.
    """

    widths: tuple[int, ...]
    categories: tuple[int, ...] = ()
    linear: tuple[int, ...] = ()

    def activations(self, params: Params, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
        """See ``Network``; layer 0 is the input with its categories embedded.

        Differentiable in reverse; forward (``jax.jvp``) only without a run of ``REPEATED`` equal layers.
        """
        return self._apply(folded(params, self.runs(params["layer_0"]["kernel"].shape[0])), x)

    def weights(self, params: Params) -> list[Any]:
        """See ``Network``."""
        return [params[f"layer_{layer}"]["kernel"] for layer in range(depth(params))]

    def spread(self, params: Params, values: Sequence[Any]) -> Params:
        """See ``Network``: values on the kernels, nothing on biases and embeddings."""
        laid = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.result_type(values[0])), params)
        for layer, own in enumerate(values):
            laid[f"layer_{layer}"]["kernel"] = own
        return laid

    def shift(self, params: Params, values: Sequence[Any]) -> Params:
        """See ``Network``: values added to the biases."""
        layers = {f"layer_{layer}": params[f"layer_{layer}"] for layer in range(depth(params))}
        moved = {
            name: {**own, "bias": own["bias"] + value}
            for (name, own), value in zip(layers.items(), values, strict=True)
        }
        return {**params, **moved}

    def init(self, key: Array, x: Float[Array, "N d"]) -> Params:
        """See ``Network``."""
        return unfolded(dict(_Module(self).init(as_key(key), x[:1])["params"]))

    def start(self, params: Params, x: Float[Array, "N d"], layer: int) -> Float[Array, "N n"]:
        """See ``Network``: the activations of the layer."""
        return self.activations(params, x)[layer]

    def resume(self, params: Params, x: Any, start: Any, layer: int) -> tuple[Float[Array, "N _"], ...]:
        """See ``Network``: the layers from ``layer`` on, run from its activations."""
        del x
        return self._tail(layer).activations(_tail_params(params, layer), start)

    def logits_without(
        self, params: Params, x: Any, start: Any, layer: int, edges: Int[Array, "G 3"]
    ) -> Float[Array, "G N c"]:
        """See ``Network``: only the edge's target and the layers after it are computed anew."""
        tail, own = self._tail(layer), _tail_params(params, layer)
        slopes = [tail.slope(index) for index in range(len(tail.widths))]
        biases = [own[f"layer_{index}"]["bias"] for index in range(len(tail.widths))]
        activations = self.resume(params, x, start, layer)
        first = jnp.array([layer, 0, 0], edges.dtype)
        return outputs_without(stacked(tail.weights(own), biases, slopes), activations, edges - first[None])

    def logits_shifted(
        self, params: Params, x: Any, start: Any, layer: int, shifts: Sequence[Float[Array, "_ _"]]
    ) -> Float[Array, "N c"]:
        """See ``Network``: samples last, from the activations of the layer on."""
        del x
        h = start.T
        for index, shift in enumerate(shifts, layer):
            own = params[f"layer_{index}"]
            h = leaky(affine(own["kernel"], own["bias"], h) + shift.T, self.slope(index))
        return h.T

    def packed(self, params: Params) -> Params:
        """See ``Network``: equal layers stacked, wide ones transposed."""
        return turned(folded(params, self.runs(params["layer_0"]["kernel"].shape[0])))

    def unpacked(self, packed: Params) -> Params:
        """See ``Network``."""
        return unfolded(turned(packed))

    def packed_activations(self, packed: Params, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
        """See ``Network``."""
        return self._apply(turned(packed), x)

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

    def _apply(self, folded: Params, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
        """Activations from folded parameters."""
        return _Module(self).apply({"params": folded}, x)  # pyright: ignore[reportReturnType]

    def _tail(self, layer: int) -> "MLP":
        """The network whose input are the activations of a layer (embedded, for layer 0)."""
        return replace(
            self,
            widths=self.widths[layer:],
            categories=(),
            linear=tuple(own - layer for own in self.linear if own > layer),
        )


def _tail_params(params: Params, layer: int) -> Params:
    """Parameters from a layer on."""
    return {f"layer_{index - layer}": params[f"layer_{index}"] for index in range(layer, depth(params))}


class _Module(nn.Module):
    """The Flax module of an MLP, whose parameters are folded.

    Attributes:
        network: its shape.
    """

    network: Any  # an MLP

    @nn.compact
    def __call__(self, x: Float[Array, "N d"]) -> tuple[Float[Array, "N _"], ...]:
        """Activations of every layer: the (embedded) input, the hidden layers after their leaky ReLU, the logits."""
        categories = self.network.categories
        embedded = [
            nn.Embed(size, 1, embedding_init=nn.initializers.normal(1.0), name=f"embedding_{column}")(
                x[:, column].astype(jnp.int32)
            ).T
            for column, size in enumerate(categories)
        ]
        h = jnp.concatenate([*embedded, x[:, len(categories) :].T])
        activations = [h]
        for first, count in self.network.runs(h.shape[0]):
            layers = _Layers(self.network.widths[first], self.network.slope(first), count, name=f"layer_{first}")
            h, own = layers(h)
            activations += own
        return tuple(a.T for a in activations)


class _Layers(nn.Module):
    """A layer, or a run of equal ones, initialised as PyTorch's ``Linear``.

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
