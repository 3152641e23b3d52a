"""The network of a probe: two hidden layers, several of them side by side, and what its outputs say of a message."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

WIDTH, TOGETHER = 32, 4  # hidden units of a network; networks whose predictions are averaged
MIXED = 3  # Gaussians of a density
NARROWEST = 0.01  # their smallest standard deviation, of a message of standard deviation 1


class Head(NamedTuple):
    """What a probe predicts of a message: the probabilities of its classes, or a density of its numbers.

    Attributes:
        classes: K; 0 for numbers.
        dimensions: d of numbers.
    """

    classes: int
    dimensions: int = 0

    @property
    def outputs(self) -> int:
        """Of the network."""
        return self.classes or MIXED * (1 + 2 * self.dimensions)

    @property
    def pace(self) -> tuple[float, float]:
        """Learning rate at the beginning of a cycle, and weight decay.

        A density that is learned as fast as classes knows its rows by heart before it has learned anything of others.
        """
        return (1e-2, 0.03) if self.classes else (1e-3, 1.0)

    def log_likelihood(
        self, outputs: Float[Array, "*batch o"], message: Shaped[Array, "..."]
    ) -> Float[Array, "*batch"]:
        """The logarithm of the probability, or density, of what the message is, in nats.

        Args:
            outputs: of the network.
            message: class numbers ``[*batch]`` or normal scores ``[*batch, d]``.
        """
        if self.classes:
            own = jax.nn.one_hot(message, self.classes, dtype=outputs.dtype)
            return jnp.sum(own * jax.nn.log_softmax(outputs), axis=-1)
        weights, rest = outputs[..., :MIXED], outputs[..., MIXED:]
        means, widths = jnp.moveaxis(rest.reshape(*rest.shape[:-1], 2, MIXED, self.dimensions), -3, 0)
        log_width = jnp.maximum(widths, math.log(NARROWEST))
        distance = (message[..., None, :] - means) * jnp.exp(-log_width)
        density = jnp.sum(-(distance**2) / 2 - log_width - math.log(2 * math.pi) / 2, axis=-1)
        return jax.nn.logsumexp(jax.nn.log_softmax(weights) + density, axis=-1)


class Weights(NamedTuple):
    """Weights and biases of the three layers of several networks, each with the networks first.

    Attributes:
        weights: of the layers.
        biases: of the layers.
        gains: what the hidden units of each layer are raised by, of every variant of the inputs ``[E, V, w]``; none
            where there is one variant.
        offsets: what is added to them after that.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    gains: tuple[Array, ...] = ()
    offsets: tuple[Array, ...] = ()


def initial(key: Array, columns: int, given: int, fan_in: Float[Array, ""], head: Head) -> Weights:
    """Random networks; what a column's weights are depends on its place, not on how many columns follow it.

    Args:
        key: of the weights.
        columns: c of the layer.
        given: columns of what is given.
        fan_in: inputs that vary, by whose number the first weights are scaled.
        head: of the message.
    """
    keys = jax.random.split(key, (TOGETHER, 5))

    def one(keys: Array) -> Weights:
        shown = jax.random.normal(keys[0], (4 * columns, WIDTH))
        first = jnp.concatenate([shown, jax.random.normal(keys[1], (given, WIDTH))]) / jnp.sqrt(fan_in)
        second = jax.random.normal(keys[2], (WIDTH, WIDTH)) / math.sqrt(WIDTH)
        last = jax.random.normal(keys[3], (WIDTH, head.outputs)) / (10 * math.sqrt(WIDTH))
        bias = jnp.zeros(head.outputs)
        if not head.classes:  # Gaussians that are all the same would stay so
            places = slice(MIXED, MIXED * (1 + head.dimensions))
            bias = bias.at[places].set(jax.random.normal(keys[4], (MIXED * head.dimensions,)))
        return Weights((first, second, last), (jnp.zeros(WIDTH), jnp.zeros(WIDTH), bias))

    return jax.vmap(one)(keys)


def for_variants(networks: Weights, variants: int) -> Weights:
    """The same networks, which treat every one of several variants of the inputs alike to begin with."""
    nothing = tuple(jnp.zeros((TOGETHER, variants, bias.shape[-1])) for bias in networks.biases[:-1])
    return networks._replace(gains=nothing, offsets=nothing)


def outputs(networks: Weights, x: Float[Array, "B d"]) -> Float[Array, "E B o"]:
    """What every network makes of the same inputs; those of the first variant come first, all have equally many."""
    return jax.vmap(output, (0, None))(networks, x)


def output(network: Weights, x: Float[Array, "B d"]) -> Float[Array, "B o"]:
    """What one network, fields without the leading axis, makes of inputs."""
    hidden = x
    for layer, (weight, bias) in enumerate(zip(network.weights[:-1], network.biases[:-1], strict=True)):
        hidden = hidden @ weight + bias[None]
        if network.gains:
            hidden = _adapted(hidden, network.gains[layer], network.offsets[layer])
        hidden = jax.nn.gelu(hidden)
    return hidden @ network.weights[-1] + network.biases[-1][None]


def _adapted(
    hidden: Float[Array, "B w"], gains: Float[Array, "V w"], offsets: Float[Array, "V w"]
) -> Float[Array, "B w"]:
    """Hidden units as every variant's gains and offsets make them."""
    blocks = hidden.reshape(len(gains), -1, hidden.shape[1])
    return (blocks * (1 + gains)[:, None] + offsets[:, None]).reshape(hidden.shape)


def log_likelihoods(
    networks: Weights, x: Float[Array, "B d"], message: Shaped[Array, "B ..."], head: Head
) -> Float[Array, "E B"]:
    """The logarithm of the probability, or density, that every network gives to what the message is, in nats."""
    return head.log_likelihood(outputs(networks, x), jnp.broadcast_to(message, (TOGETHER, *message.shape)))


def surprise(
    networks: Weights, x: Float[Array, "B d"], message: Shaped[Array, "B ..."], head: Head
) -> Float[Array, " B"]:
    """−log₂ of the mean of the probabilities, or densities, that the networks give to what the message is, in bits."""
    return mean_surprise(log_likelihoods(networks, x, message, head))


def mean_surprise(every: Float[Array, "E B"]) -> Float[Array, " B"]:
    """−log₂ of the mean of probabilities, or densities, from the logarithms of several networks', in bits."""
    return (math.log(TOGETHER) - jax.nn.logsumexp(every, axis=0)) / math.log(2)
