"""Which messages each layer is asked about, where both have batch axes that broadcast: a layer is decomposed once."""

from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.messages import Message


class Pairs(NamedTuple):
    """L layers and, for each, the Q messages that it is asked about.

    Attributes:
        layers: ``[L, N, c]``.
        messages: ``values [L, Q, N]`` or ``[L, Q, N, d]``; what is given is the same for all.
        batch: the axes of messages and layers, broadcast, in the order of L and Q.
        places: where each axis of the result belongs.
    """

    layers: Float[Array, "L N c"]
    messages: Message
    batch: tuple[int, ...]
    places: tuple[int, ...]

    def placed(self, a: Array) -> Array:
        """What was found for every pair, ``[L, Q, …]``, in the order of the arguments' axes ``[..., …]``."""
        a = a.reshape(*self.batch, *a.shape[2:])
        return a.transpose(*self.places, *range(len(self.batch), a.ndim))


def paired(message: Message, activations: Float[Array, "*batch N c"]) -> Pairs:
    """Layers and their messages. Axes along which there is one layer only go to its messages.

    Args:
        message: with as many batch axes as the activations, which broadcast.
        activations: ``[..., N, c]``.
    """
    own = 2 if message.continuous else 1
    values, layers = message.values, activations.shape[:-2]
    batch = np.broadcast_shapes(values.shape[:-own], layers)
    order = sorted(range(len(batch)), key=lambda axis: layers[axis] == 1)
    places = tuple(order.index(axis) for axis in range(len(batch)))
    x = activations.reshape(prod(layers), *activations.shape[-2:])
    moved = (*order, *range(len(batch), len(batch) + own))
    m = jnp.broadcast_to(values, (*batch, *values.shape[-own:])).transpose(*moved)
    m = m.reshape(len(x), -1, *m.shape[-own:])
    messages = Message(m, message.given, message.classes, message.strata)
    return Pairs(x, messages, tuple(batch[axis] for axis in order), places)


def with_values(message: Message, values: Any) -> Message:
    """The same message with other values, of any batch axes."""
    return Message(values, message.given, message.classes, message.strata)
