"""Rows that debiasers are shown, and how far the groups of an attribute are apart in probabilities and decisions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.errors import InputError
from jaxflow.gaps import logit_gap
from jaxflow.messages import Message, as_message


class Sample(NamedTuple):
    """Rows that a debiaser is shown, or that it is judged on.

    Attributes:
        x: features ``[N, ...]``.
        label: classes ``[N]``, an array or a ``Message``.
        attribute: classes ``[N]``; conditioned on the label (``as_message(z, given=y)``) where groups shall be compared
            among rows of the same label, for equalised odds.

    Example:
        >>> Sample(jnp.ones((4, 3)), jnp.array([0, 1, 0, 1]), jnp.array([0, 0, 1, 1])).x.shape
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


def shares_gap(shares: Float[Array, "N c"], attribute: Any) -> Float[Array, ""]:
    """Largest difference between two groups in the mean of a class's share; the shares of a row sum to 1.

    A share p is a margin of (p − 1/c) c/(c − 1) to ``logit_gap``, whose groups and strata these are.
    """
    classes = shares.shape[1]
    return logit_gap(shares, classes_of("attribute", attribute)) * ((classes - 1) / classes)


def probability_gap(logits: Float[Array, "N c"], attribute: Any) -> Float[Array, ""]:
    """A differentiable bias: the largest difference between two groups of the mean probability of a class.

    The difference of groups' mean outputs by which Marcinkevičs et al. 2022 stand in for the gaps of decisions, whose
    gradient is 0. Other than ``jaxflow.gaps.logit_gap`` it does not depend on how far beyond doubt an output is.

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
    return shares_gap(jax.nn.softmax(of_classes(logits)), attribute)


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
    return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, shares_gap(chosen, attribute))
