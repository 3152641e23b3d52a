"""A network whose output is its input, for laws of what is measured on logits."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxflow.analysis import measure_outputs
from jaxflow.messages import Message, as_message
from jaxflow.networks import Network


class Identity(Network):
    """x → x, every edge of weight 0 or 1."""

    def activations(self, params: Any, x: Any) -> tuple[Array, ...]:
        """The logits twice."""
        del params
        return x, x

    def weights(self, params: Any) -> list[Array]:
        """The identity."""
        return [params]

    def spread(self, params: Any, values: Any) -> Any:
        """There is one layer of edges."""
        del params
        return values[0]


IDENTITY = Identity()


@partial(jax.jit, static_argnames="label")
def _together(logits: Array, messages: dict[str, Message], label: str) -> dict[str, Array]:
    return measure_outputs(IDENTITY, jnp.eye(logits.shape[1]), logits, messages, label=label)


def outputs_of_logits(logits: Any, messages: dict[str, Any], label: str = "y") -> dict[str, Array]:
    """``measure_outputs`` of one network with these logits."""
    forms = {name: as_message(np.asarray(message)) for name, message in messages.items()}
    return _together(jnp.asarray(logits, jnp.float32), forms, label)


def one_by_one(logits: Any, messages: dict[str, Any], **how: Any) -> dict[str, Array]:
    """The same without ``jit``, of plain arrays."""
    logits = jnp.asarray(logits, jnp.float32)
    return measure_outputs(IDENTITY, jnp.eye(logits.shape[1]), logits, messages, **how)
