"""What a message is: classes or numbers, what there is to know of it, and what an amount of information stands for.

A message is an array. Integers and booleans are classes ``[..., N]``; floating numbers are continuous, ``[..., N]`` or
``[..., N, d]`` for vectors. It may be conditioned on another message, ``given``: on classes by strata, on numbers by
regression. Estimators compute with the normal form ``Message``; whoever calls them hands in plain arrays.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxflow.arrays import as_finite_array, as_real_array
from jaxflow.errors import InputError

MOST_CLASSES = 1_000  # beyond, the "classes" are numbers


@partial(jax.tree_util.register_dataclass, data_fields=["values", "given"], meta_fields=["classes", "strata"])
@dataclass(frozen=True)
class Message:
    """A message in the form that estimators compute with; a pytree, whose numbers of classes are static under ``jit``.

    Attributes:
        values: class numbers 0 … K − 1, int32 ``[..., N]``; or numbers ``[..., N, d]`` if continuous.
        given: what it is conditioned on: numbers of strata, int32 ``[N]``, −1 for rows that are left out; numbers
            ``[N, g]``; or None.
        classes: K; 0 for a continuous message.
        strata: G of discrete ``given``; 0 if it is continuous or None.
    """

    values: Any
    given: Any = None
    classes: int = 2
    strata: int = 0

    @property
    def continuous(self) -> bool:
        """Whether the message is numbers, not classes."""
        return self.classes == 0


def unpermuted(messages: Mapping[str, Message]) -> dict[str, Message]:
    """Messages ``[N]`` with the axis of permutations ``[1, N]`` that estimators ask for, themselves alone on it."""
    return {name: replace(message, values=message.values[None]) for name, message in messages.items()}


def as_message(message: Any, given: Any = None, *, samples: int | None = None, classes: int | None = None) -> Message:
    """The normal form of a message as users give it.

    Args:
        message: integers or booleans are classes 0 … K − 1, ``[..., N]``; floating numbers are continuous,
            ``[..., N]`` or, d numbers for every sample, ``[..., N, d]``. Floats that are all 0 or 1 are classes too.
        given: another message ``[N]``, or numbers ``[N, g]``; or None.
        samples: N, which tells a batch of numbers ``[..., N]`` from vectors ``[N, d]``; the last axis if not given.
        classes: K of a message that is being traced, whose values cannot be looked at; 2 if not given.

    Raises:
        InputError: no real numbers, masked or missing values, negative class numbers or more than 1,000 classes.

    Example:
        >>> as_message([0, 2, 1, 0]).classes
        3
    """
    values, count = _coded("message", message, samples, classes)
    plain = Message(values, None, count)
    return plain if given is None else conditioned(plain, given)


def conditioned(message: Message, given: Any) -> Message:
    """The message conditioned on another one.

    Args:
        message: on which nothing is conditioned yet.
        given: classes ``[N]``; or numbers ``[N]`` or ``[N, g]``.

    Raises:
        InputError: the message is conditioned already, or given does not hold one value for every sample.

    Example:
        >>> conditioned(as_message([0, 2, 1, 0]), [0, 0, 1, 1]).strata
        2
    """
    if message.given is not None:
        raise InputError("this message is already conditioned: leave out given, or give the message as an array")
    rows = message.values.shape[-2 if message.continuous else -1]
    condition, strata = _coded("given", given, rows, None)
    if condition.ndim != (1 if strata else 2) or condition.shape[0] != rows:
        raise InputError(f"given must hold one value for every sample of the message, got {jnp.shape(given)}")
    return replace(message, given=condition, strata=strata)


def _coded(name: str, values: Any, samples: int | None, classes: int | None) -> tuple[Any, int]:
    """Class numbers and their count, or numbers ``[..., N, d]`` and 0."""
    array = as_real_array(name, values)
    traced = isinstance(array, Tracer)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    if floating and (traced or not np.isin(np.asarray(array), (0, 1)).all()):
        numbers = as_finite_array(name, array)
        vectors = numbers.ndim > 1 and samples not in (None, numbers.shape[-1]) and numbers.shape[-2] == samples
        return numbers if vectors else numbers[..., None], 0
    if traced:
        return array.astype(jnp.int32), classes or 2
    whole = np.asarray(array)
    plain = whole.dtype == np.int32  # neither to be copied nor to be moved to the host and back
    whole = whole if plain else whole.astype(np.int64)
    largest = whole.max(initial=0)
    if whole.size and not 0 <= whole.min() <= largest < MOST_CLASSES:
        raise InputError(f"the {name}'s integers are classes 0, 1, … below {MOST_CLASSES}; make numbers floating")
    return array if plain else whole.astype(np.int32), classes or max(2, int(largest) + 1)


def frequencies(numbers: Int[Array | np.ndarray, "*batch N"], count: int) -> Float[Array, "*batch count"]:
    """Relative frequency of every class."""
    return jnp.mean(jax.nn.one_hot(numbers, count, dtype=jnp.float32), axis=-2)


def entropy(probabilities: Float[Array, "*batch K"]) -> Float[Array, "*batch"]:
    """H = −Σ p log₂ p in bits."""
    return jnp.sum(jax.scipy.special.entr(probabilities), axis=-1) / math.log(2)


def binary_entropy(p: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """H_b(p) = −p log₂ p − (1 − p) log₂(1 − p) in bits, 0 at p = 0 and p = 1."""
    return -(jax.scipy.special.xlogy(p, p) + jax.scipy.special.xlog1py(1 - p, -p)) / jnp.log(2.0)


def joint_frequencies(message: Message) -> Float[Array, "*batch G K"]:
    """P(G = g, M = m) of a discrete message, one stratum if nothing discrete is given."""
    if not message.strata:
        return frequencies(message.values, message.classes)[..., None, :]
    cell = message.given * message.classes + message.values
    cell = jnp.where(message.given < 0, -1, cell)
    joint = frequencies(cell, message.strata * message.classes)
    joint = joint / jnp.sum(joint, axis=-1, keepdims=True)
    return joint.reshape(*joint.shape[:-1], message.strata, message.classes)


def uncertainty(message: Message) -> Float[Array, "*batch"]:
    """H(M), or H(M | G) where a discrete G is given, in bits from the data; infinite for a continuous message."""
    if message.continuous:
        return jnp.full(message.values.shape[:-2], jnp.inf)
    if not message.strata and message.classes == 2:
        return binary_entropy(jnp.mean(message.values, axis=-1, dtype=jnp.float32))
    joint = joint_frequencies(message)
    return entropy(joint.reshape(*joint.shape[:-2], -1)) - entropy(joint.sum(axis=-1))


def chance(message: Message) -> Float[Array, "*batch"]:
    """Accuracy of who knows nothing but ``given``: Σ_g max_m P(g, m), the largest class where nothing is given."""
    return jnp.sum(jnp.max(joint_frequencies(message), axis=-1), axis=-1)


def read_out(bits: Float[Array, "*batch"], message: Message) -> Float[Array, "*batch"]:
    """What information about a message stands for, as a fraction.

    For classes the accuracy a that Fano's inequality pairs with it, H(M) − I = H_b(1 − a) + (1 − a) log₂(K − 1), at
    least that of chance. For numbers R² = 1 − 2^(−2I), exact for Gaussians.

    Args:
        bits: I(M; ·), or I(M; · | G).
        message: one, ``values [N]`` or ``[N, d]``.
    """
    if message.continuous:
        return -jnp.expm1(-2 * jnp.log(2.0) * jnp.maximum(bits, 0))
    if message.classes == 2 and not message.strata:
        p = jnp.mean(message.values, axis=-1, dtype=bits.dtype)
        return information_to_accuracy(bits, jnp.broadcast_to(p, bits.shape))
    least = chance(message).astype(bits.dtype)
    unknown = uncertainty(message).astype(bits.dtype) - bits
    return jnp.where(bits <= 0, least, jnp.maximum(1 - _error(unknown, message.classes), least))


def _error(unknown: Float[Array, "*batch"], classes: int) -> Float[Array, "*batch"]:
    """The error e from 0 to 1 − 1/K at which H_b(e) + e log₂(K − 1), which rises, leaves so many bits unknown."""
    most = 1 - 1 / classes

    def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        below = binary_entropy(middle) + middle * math.log2(classes - 1) < unknown
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, 30, halve, (jnp.zeros_like(unknown), jnp.full_like(unknown, most)))
    return (low + high) / 2


def _deficit(u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """1 − H_b((1 + u)/2) in bits, without cancellation near u = 0."""
    return (2 * u * jnp.arctanh(u) + jnp.log1p(-(u**2))) / (2 * jnp.log(2.0))


def information_to_accuracy(
    bits: Float[Array, "*batch"], probability: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Accuracy a = 1 − H_b⁻¹(H(M) − I) that Fano's inequality pairs with I bits about a binary message.

    At least max_m P(M = m), reached at I = 0; 1 at I = H(M). Inverts Venkatesh et al. 2021, eq. 7, for any H(M).

    Args:
        bits: I(M; ·), in [0, H(M)].
        probability: P(M = 1).

    Returns:
        The accuracy, in [½, 1].
    """
    least = jnp.maximum(probability, 1 - probability)
    deficit = _deficit(2 * least - 1) + bits  # 1 − H(M) + I

    def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        below = _deficit(middle) < deficit
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    bracket = jnp.zeros_like(deficit), jnp.ones_like(deficit)
    low, high = jax.lax.fori_loop(0, 30, halve, bracket)
    accuracy = jnp.maximum((1 + (low + high) / 2) / 2, least)
    return jnp.where(bits <= 0, least, accuracy)
