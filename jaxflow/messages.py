"""What a message is: classes or numbers, what there is to know of it, and what an amount of information stands for.

A message is an array. Integers and booleans are classes ``[..., N]``; floating numbers are continuous, ``[..., N]`` or
``[..., N, d]`` for vectors. It may be conditioned on another message, ``given``: on classes by strata, on numbers by
regression. Estimators compute with the normal form ``Message``; whoever calls them hands in plain arrays. The number of
classes is counted in the values: integers whose values are traced (arguments of ``jit`` or ``vmap``) are refused unless
they come as a ``Message``, which keeps the number, or with ``classes=``.
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
from jaxflow.errors import CLASS_NUMBERS, InputError

MOST_CLASSES = 1_000  # beyond, the "classes" are numbers


@partial(jax.tree_util.register_dataclass, data_fields=["values", "given"], meta_fields=["classes", "strata"])
@dataclass(frozen=True)
class Message:
    """A message in the form that estimators compute with; a pytree, whose numbers of classes are static under ``jit``.

    ``as_message`` makes it from an array and counts the classes.

    Attributes:
        values: class numbers 0 … K − 1, int32 ``[..., N]``; or numbers ``[..., N, d]`` if continuous.
        given: what it is conditioned on: numbers of strata, int32 ``[N]``, −1 for rows that are left out; numbers
            ``[N, g]``; or None.
        classes: K; 0 for a continuous message.
        strata: G of discrete ``given``; 0 if it is continuous or None.

    Example:
        >>> message = as_message([0, 2, 1, 0])
        >>> jax.jit(lambda own: jax.nn.one_hot(own.values, own.classes))(message).shape
        (4, 3)
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


def one_message(message: Message, function: str) -> Message:
    """The message as NumPy arrays without batch axes, of which only those of length 1 can be left out.

    Args:
        message: in its normal form, with any number of batch axes.
        function: the name of the function that takes one message, for the refusal.

    Raises:
        InputError: there are several messages.

    Example:
        >>> one_message(as_message([[0, 2, 1]]), "significance").values.tolist()
        [0, 2, 1]
    """
    values = np.asarray(message.values)
    shape = values.shape[-2 if message.continuous else -1 :]
    if values.size != math.prod(shape):
        raise InputError(f"{function} takes one message at a time: call it for each")
    given = None if message.given is None else np.asarray(message.given)
    return Message(values.reshape(shape), given, message.classes, message.strata)


def as_message(message: Any, given: Any = None, *, samples: int | None = None, classes: int | None = None) -> Message:
    """The normal form of a message as users give it.

    Make it outside of ``jit`` and ``vmap`` and hand it to compiled functions in place of the array: its number of
    classes is then known under the transformation, where it could not be counted.

    Args:
        message: integers or booleans are classes 0 … K − 1, ``[..., N]``; floating numbers are continuous,
            ``[..., N]`` or, d numbers for every sample, ``[..., N, d]``. Floats that are all 0 or 1 are classes too,
            unless they are being traced: then their values cannot be looked at, and they are numbers.
        given: another message ``[N]``, plain or a ``Message``, or numbers ``[N, g]``; or None.
        samples: N, which tells a batch of numbers ``[..., N]`` from vectors ``[N, d]``; the last axis if not given.
        classes: K, if it is not to be counted: of integers that are being traced, or of which some class has no rows.

    Returns:
        The message, its classes counted: the largest number plus one, at least 2; booleans are 2.

    Raises:
        InputError: no real numbers, masked or missing values, negative class numbers or more than 1,000 classes; traced
            integers without ``classes``.

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
        given: classes ``[N]``, plain or a ``Message`` of them; or numbers ``[N]`` or ``[N, g]``.

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
    if isinstance(values, Message):
        if values.given is not None:
            raise InputError(f"the {name} is itself conditioned: make it without given")
        return values.values, values.classes
    array = as_real_array(name, values)
    traced = isinstance(array, Tracer)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    vectors = array.ndim > 1 and samples not in (None, array.shape[-1]) and array.shape[-2] == samples
    if classes is None and floating and (traced or vectors or not np.isin(np.asarray(array), (0, 1)).all()):
        numbers = as_finite_array(name, array)
        return numbers if vectors else numbers[..., None], 0
    return _traced_classes(name, array, classes) if traced else _counted_classes(name, array, classes)


def _traced_classes(name: str, array: Any, classes: int | None) -> tuple[Any, int]:
    """Class numbers whose values cannot be looked at, if it is known how many classes there are.

    To guess two would be silently wrong of three: a one-hot row of zeros, a stratum left out.
    """
    if classes is None and array.dtype != bool:
        announce = "" if name == "given" else ", or say classes=K where that can be said"
        raise InputError(
            f"the classes of the {name} cannot be counted while it is traced: make jaxflow.as_message({name}) outside"
            f" of jit and vmap and hand that in{announce}".replace("the given", "given")
        )
    return array.astype(jnp.int32), classes or 2


def _counted_classes(name: str, array: Any, classes: int | None) -> tuple[Any, int]:
    """Class numbers as int32, and how many classes there are: the largest number plus one unless announced."""
    whole = np.asarray(array)
    plain = whole.dtype == np.int32  # neither to be copied nor to be moved to the host and back
    if jnp.issubdtype(whole.dtype, jnp.floating) and not (np.isfinite(whole) & (whole == np.trunc(whole))).all():
        raise InputError(f"the {name} must hold class numbers 0, 1, … where classes={classes} is given")
    whole = whole if plain else whole.astype(np.int64)
    largest = whole.max(initial=0)
    if whole.size and not 0 <= whole.min() <= largest < MOST_CLASSES:
        raise InputError(
            f"the {name}'s integers are classes 0, 1, … below {MOST_CLASSES}: {CLASS_NUMBERS}; make amounts floating"
        )
    if classes is not None and largest >= classes:
        raise InputError(f"the {name} has classes up to {largest}, but {classes} classes were announced")
    return array if plain else whole.astype(np.int32), classes or max(2, int(largest) + 1)


def frequencies(numbers: Int[Array | np.ndarray, "*batch N"], count: int) -> Float[Array | np.ndarray, "*batch count"]:
    """Relative frequency of every class; of NumPy's numbers in double precision."""
    if isinstance(numbers, np.ndarray):
        return np.mean(numbers[..., None] == np.arange(count), axis=-2)
    return jnp.mean(jax.nn.one_hot(numbers, count, dtype=jnp.float32), axis=-2)


def entropy(probabilities: Float[Array | np.ndarray, "*batch K"]) -> Any:
    """H = −Σ p log₂ p in bits; of NumPy's arrays in their own precision."""
    return _special(probabilities).entr(probabilities).sum(axis=-1) / math.log(2)


def binary_entropy(p: Float[Array | np.ndarray, "*batch"]) -> Any:
    """H_b(p) = −p log₂ p − (1 − p) log₂(1 − p) in bits, 0 at p = 0 and p = 1; of NumPy's arrays in their precision."""
    special = _special(p)
    return -(special.xlogy(p, p) + special.xlog1py(1 - p, -p)) / math.log(2)


def _special(values: Any) -> Any:
    """JAX's special functions, or SciPy's for NumPy's arrays, which JAX would round to its own floating type."""
    if not isinstance(values, np.ndarray):
        return jax.scipy.special
    import scipy.special  # which takes a fifth of a second, and only classifiers ask for it

    return scipy.special


def message_entropy(message: Int[np.ndarray, " N"]) -> float:
    """H(M) in bits from class numbers, in double precision."""
    return abs(float(entropy(np.bincount(message) / len(message))))


def joint_frequencies(message: Message) -> Float[Array | np.ndarray, "*batch G K"]:
    """P(G = g, M = m) of a discrete message, one stratum if nothing discrete is given."""
    if not message.strata:
        return frequencies(message.values, message.classes)[..., None, :]
    cell = message.given * message.classes + message.values
    cell = (np if isinstance(cell, np.ndarray) else jnp).where(message.given < 0, -1, cell)
    joint = frequencies(cell, message.strata * message.classes)
    joint = joint / joint.sum(axis=-1, keepdims=True)
    return joint.reshape(*joint.shape[:-1], message.strata, message.classes)


def uncertainty(message: Message) -> Any:
    """H(M), or H(M | G) where a discrete G is given, in bits from the data; infinite for a continuous message."""
    host = isinstance(message.values, np.ndarray)  # JAX would compile two dozen programs for NumPy's arrays
    if message.continuous:
        return (np if host else jnp).full(message.values.shape[:-2], np.inf)
    if not message.strata and message.classes == 2 and not host:
        return binary_entropy(jnp.mean(message.values, axis=-1, dtype=jnp.float32))
    joint = joint_frequencies(message)
    return entropy(joint.reshape(*joint.shape[:-2], -1)) - entropy(joint.sum(axis=-1))


def chance(message: Message) -> Float[Array, "*batch"]:
    """Accuracy of who knows nothing but ``given``: Σ_g max_m P(g, m), the largest class where nothing is given."""
    return jnp.sum(jnp.max(joint_frequencies(message), axis=-1), axis=-1)


def read_out(bits: Float[Array, "*batch"], message: Message) -> Float[Array, "*batch"]:
    """What information about a message stands for, as a fraction.

    For classes the accuracy a that Fano's inequality pairs with it, H(M) − I = H_b(1 − a) + (1 − a) log₂(K − 1), at
    least that of chance. For numbers R² = 1 − 2^(−2I), exact for Gaussians. NaN stays NaN.

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
    accuracy = jnp.where(bits <= 0, least, jnp.maximum(1 - _error(unknown, message.classes), least))
    return jnp.where(jnp.isnan(bits), bits, accuracy)


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


def accuracy_to_information(accuracy: np.ndarray, message: Int[np.ndarray, " N"]) -> np.ndarray:
    """Fano's bound in bits, H(M) from the data (Venkatesh et al. 2021, eq. 7, where K = 2).

        I ≥ H(M) − H_b(e) − e log₂(K − 1)        e = 1 − a, the error

    An accuracy at or below that of the largest class is worth 0 (up to half a sample, for unequal folds), accuracy 1
    is worth H(M).

    Args:
        accuracy: of predictions on held-out rows, any shape.
        message: class numbers ``[N]``; K is the number of classes that have members.

    Example:
        >>> accuracy_to_information(np.array([1 / 3, 1]), np.array([0, 1, 2] * 5)).round(3)
        array([0.   , 1.585])
    """
    counts = np.bincount(message)
    bits = message_entropy(message) - fano_unknown(np.asarray(1 - accuracy), int(np.count_nonzero(counts)))
    at_chance = accuracy < (counts.max() + 0.5) / len(message)
    return np.where(at_chance, 0, np.maximum(bits, 0))


def fano_unknown(error: np.ndarray, classes: int) -> Any:
    """H_b(e) + e log₂(K − 1): bits that predictions leave unknown at most, at most log₂ K, reached by guesses.

    Args:
        error: share of mistaken predictions e, any shape; beyond that of guesses, 1 − 1/K, it is read as theirs.
        classes: K.

    Example:
        >>> fano_unknown(np.array([0, 0.5, 1]), 2)
        array([0., 1., 1.])
    """
    error = np.asarray(np.clip(error, 0, 1 - 1 / classes))
    return binary_entropy(error) + error * np.log2(max(1, classes - 1))


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
        The accuracy, in [½, 1]; NaN of NaN.
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
    accuracy = jnp.where(bits <= 0, least, accuracy)
    return jnp.where(jnp.isnan(bits), bits, accuracy)
