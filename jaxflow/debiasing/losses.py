"""Debiasing in training: weights of the rows, and a penalty on the bias of every batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.debiasing.gaps import classes_of, probability_gap
from jaxflow.errors import InputError
from jaxflow.gaps import cell_indicators
from jaxflow.messages import Message
from jaxflow.training import Penalty


def reweighing(label: Any, attribute: Any) -> Float[Array, " N"]:
    """Weights of the rows under which label and attribute are independent.

    w(y, z) = P(Y = y) P(Z = z) / P(Y = y, Z = z), from the data (Kamiran and Calders 2012). No class of either weighs
    more or less than it did, and the mean is 1, as long as every class of the label has rows of every group; a cell
    without rows cannot be weighed up.

    Args:
        label: classes ``[N]``, an array or a ``Message``.
        attribute: classes ``[N]``, on which nothing is conditioned.

    Returns:
        Weights ``[N]`` for ``train_many``.

    Raises:
        InputError: numbers, other lengths, a conditioned attribute.

    Example:
        >>> [round(float(w), 3) for w in reweighing([0, 0, 0, 1], [0, 0, 1, 1])]
        [0.75, 0.75, 1.5, 0.5]
    """
    y, z = classes_of("label", label), classes_of("attribute", attribute)
    if y.given is not None or z.given is not None or jnp.shape(y.values) != jnp.shape(z.values):
        raise InputError("label and attribute must hold a class for every row, with nothing given")
    rows, of_cells = len(y.values), Message(jnp.asarray(z.values), jnp.asarray(y.values), z.classes, y.classes)
    joint = jnp.sum(cell_indicators(of_cells, jnp.dtype(jnp.float32)), axis=0).reshape(y.classes, z.classes)
    expected = jnp.sum(joint, axis=1, keepdims=True) * jnp.sum(joint, axis=0, keepdims=True) / rows
    return (expected / jnp.maximum(joint, 1))[jnp.asarray(y.values), jnp.asarray(z.values)]


def bias_penalty(
    attribute: Any, strength: Any = 1.0, bias: Callable[[Array, Message], Array] = probability_gap
) -> Penalty:
    """A penalty on bias for ``train_many``: strength · b² of every batch, b a differentiable bias.

    A batch is a small sample of the groups, and the square of its gap has, beside the square of the true one, the
    variance of the groups' means: small batches also press margins together.

    Args:
        attribute: classes ``[N]`` of the training rows; conditioned on the label, the gap is that within its classes.
        strength: one number from 0 on; 0 is plain training. Other strengths are no other program.
        bias: (logits, attribute) → the differentiable bias: ``probability_gap``, ``jaxflow.gaps.logit_gap`` or a
            function of one's own.

    Returns:
        For ``train_many(..., penalty=)``.

    Raises:
        InputError: numbers, or a condition of numbers.

    Example:
        >>> penalty = bias_penalty([0, 0, 1, 1], 0.5)
        >>> penalty.of(jnp.array([[0.0, -50.0], [0.0, -50.0], [0.0, 0.0], [0.0, 50.0]]), penalty.about).item()
        0.5625
    """
    return Penalty(_Squared(bias), classes_of("attribute", attribute), strength)


@dataclass(frozen=True)
class _Squared:
    """The square of a bias, which is smooth where the bias is 0; of equal biases equal, so that it is traced once."""

    bias: Callable[[Array, Message], Array]

    def __call__(self, logits: Array, attribute: Message) -> Array:
        return self.bias(logits, attribute) ** 2
