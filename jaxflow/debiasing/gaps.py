"""How far groups of an attribute are apart: in the mean of some values, in their logits, in their decisions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.errors import InputError
from jaxflow.messages import Message, as_message

HIGHEST = jax.lax.Precision.HIGHEST


class Rows(NamedTuple):
    """Rows that a debiaser is shown, or that it is judged on.

    Attributes:
        x: features ``[N, ...]``.
        label: classes ``[N]``, an array or a ``Message``.
        attribute: classes ``[N]``; conditioned on the label (``as_message(z, given=y)``) where groups shall be compared
            among rows of the same label, for equalised odds.

    Example:
        >>> Rows(jnp.ones((4, 3)), jnp.array([0, 1, 0, 1]), jnp.array([0, 0, 1, 1])).x.shape
        (4, 3)
    """

    x: Any
    label: Any
    attribute: Any


def classes_of(name: str, message: Any) -> Message:
    """A message of classes, in its normal form.

    Args:
        name: what it is, for the error.
        message: an array ``[N]`` or a ``Message``.

    Raises:
        InputError: it is numbers, or conditioned on numbers.
    """
    form = message if isinstance(message, Message) else as_message(message)
    if form.continuous or (form.given is not None and not form.strata):
        raise InputError(f"the {name} must be classes, and what it is conditioned on too: numbers have no groups")
    return form


def group_means(values: Float[Array, "N k"], attribute: Message) -> tuple[Float[Array, "G K k"], Float[Array, "G K"]]:
    """Mean of some values in every stratum and group, 0 where there are no rows, and the number of rows.

    Args:
        values: of every row.
        attribute: K classes; in G strata if it is conditioned, else in one.
    """
    shape = max(1, attribute.strata), attribute.classes
    cell = jnp.asarray(attribute.values)
    if attribute.strata:
        given = jnp.asarray(attribute.given)
        cell = jnp.where(given < 0, -1, given * attribute.classes + cell)  # −1 is the indicator of no cell
    cells = jax.nn.one_hot(cell, shape[0] * shape[1], dtype=values.dtype)
    total = jnp.sum(cells, axis=0)
    means = jnp.matmul(cells.T, values, precision=HIGHEST) / jnp.maximum(total, 1)[:, None]
    return means.reshape(*shape, values.shape[1]), total.reshape(shape)


def mean_gap(values: Float[Array, "N k"], attribute: Message) -> Float[Array, ""]:
    """Largest difference between two groups' means, over columns and strata; differentiable almost everywhere.

    A group without rows adds no gap.

    Args:
        values: of every row.
        attribute: classes, conditioned on classes perhaps: groups are then compared within strata.
    """
    means, total = group_means(values, attribute)
    real = (total > 0)[..., None]
    high = jnp.max(jnp.where(real, means, -jnp.inf), axis=1)
    low = jnp.min(jnp.where(real, means, jnp.inf), axis=1)
    both = jnp.sum(real, axis=1) > 1
    return jnp.max(jnp.where(both, high - low, 0))


def logit_gap(logits: Float[Array, "N c"], attribute: Any) -> Float[Array, ""]:
    """A differentiable bias: the largest difference between two groups of the mean margin of a class.

    The margin of class k is its logit less the mean of the other logits; of two classes the difference of the logits.

    Args:
        logits: of one network; a single one is that of class 1 against class 0, whose own is 0.
        attribute: classes ``[N]``, an array or a ``Message``; conditioned on classes perhaps: groups are then compared
            within strata.

    Returns:
        The bias, from 0 on.

    Raises:
        InputError: an attribute of numbers, or conditioned on numbers.

    Example:
        >>> logit_gap(jnp.array([[0.0, 1.0], [0.0, 3.0], [0.0, 5.0]]), [0, 0, 1]).item()
        3.0
    """
    logits = of_classes(logits)
    classes = logits.shape[1]
    margins = (logits - jnp.mean(logits, axis=1, keepdims=True)) * (classes / (classes - 1))
    return mean_gap(margins, classes_of("attribute", attribute))


def probability_gap(logits: Float[Array, "N c"], attribute: Any) -> Float[Array, ""]:
    """A differentiable bias: the largest difference between two groups of the mean probability of a class.

    The difference of groups' mean outputs by which Marcinkevičs et al. 2022 stand in for the gaps of decisions, whose
    gradient is 0. Other than ``logit_gap`` it does not depend on how far beyond doubt an output is.

    Args:
        logits: of one network; a single one is that of class 1 against class 0, whose own is 0.
        attribute: classes ``[N]``, an array or a ``Message``; conditioned on classes perhaps: groups are then compared
            within strata.

    Returns:
        The bias, from 0 to 1.

    Raises:
        InputError: an attribute of numbers, or conditioned on numbers.

    Example:
        >>> probability_gap(jnp.array([[0.0, -50.0], [0.0, 0.0], [0.0, 50.0]]), [0, 0, 1]).item()
        0.75
    """
    return mean_gap(jax.nn.softmax(of_classes(logits)), classes_of("attribute", attribute))


def of_classes(logits: Float[Array, "N c"]) -> Float[Array, "N c2"]:
    """Logits of all classes: a single one is that of class 1 against class 0, whose own is 0."""
    return jnp.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits


def decided(logits: Float[Array, "N c"]) -> Int[Array, " N"]:
    """The class of the largest logit."""
    return jnp.argmax(of_classes(logits), axis=1)


def decision_gap(logits: Float[Array, "N c"], attribute: Any) -> Float[Array, ""]:
    """Largest difference between two groups in how often a class is decided, as a fraction.

    The amount of ``parity_gap``; of ``odds_gap`` where the attribute is conditioned on the label.

    Args:
        logits: of one network.
        attribute: classes ``[N]``, an array or a ``Message``; conditioned on classes perhaps: groups are then compared
            within strata.

    Returns:
        The gap, from 0 to 1; NaN where a logit is.

    Raises:
        InputError: an attribute of numbers, or conditioned on numbers.

    Example:
        >>> decision_gap(jnp.array([[0.0, -1.0], [0.0, 1.0], [0.0, 2.0]]), [0, 0, 1]).item()
        0.5
    """
    chosen = jax.nn.one_hot(decided(logits), max(2, logits.shape[1]), dtype=logits.dtype)
    gap = mean_gap(chosen, classes_of("attribute", attribute))
    return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, gap)
