"""What every estimator asks of its inputs, and how values that float32 cannot hold come into it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxflow.arrays import as_jax, as_real_array
from jaxflow.errors import InputError
from jaxflow.messages import Message, as_message, conditioned
from jaxflow.values import wholes

MOST_NODES = 26  # 2²⁶ values of one message take a quarter of a gigabyte
EXPONENTS = 100  # a column whose largest value is within 2^±100 keeps its scale: float32 has room on both sides
MOST_COLUMNS = 10**6


class Checked(NamedTuple):
    """What an estimator computes with.

    Attributes:
        message: its normal form, of batch axes as many as the activations have.
        activations: floats ``[..., N, n]``.
        groups: the number of the node of every column; None where every column is a node of its own.
    """

    message: Message
    activations: Array
    groups: tuple[int, ...] | None


def checked(
    message: Any,
    activations: Any,
    *,
    given: Any = None,
    groups: Any = None,
    classes: int | None = None,
    most: int | None = MOST_NODES,
    least: int = 1,
) -> Checked:
    """Message and activations in the form that estimators compute with.

    The samples are the last axis of a message of classes and axis −2 of the activations. Concrete values are checked,
    traced ones (under ``jit``, ``vmap``) cannot be. What float32 cannot hold is scaled and centred before it is cut to
    it, column by column; neither changes any information.

    Args:
        message: classes or numbers, see ``as_message``; or a ``Message``, whose numbers of classes and strata must do
            for its values; what is given goes into it if it is not conditioned yet.
        activations: ``[..., N, n]``, real numbers of any type, NumPy's or JAX's.
        given: what the message is conditioned on, ``[N]`` or ``[N, g]``; or None.
        groups: for every column of the activations the number of its node, 0 … n − 1; None if each is its own.
        classes: K, if it is not to be counted; integers that are being traced need it, see ``as_message``.
        most: nodes of the widest layer; None for any number.
        least: fewest samples of which anything can be told.

    Returns:
        The normal form; numbers are float32, or float64 where JAX has it enabled and the activations are wide.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a stack without layers, too few samples,
            groups that leave a node without columns, NaN, infinity, masked values, anything that is not a real number;
            what ``check_counts`` refuses.

    Example:
        >>> checked([0, 2, 1], [[1.0, 2.0], [0.0, 1.0], [2.0, 5.0]]).message.classes
        3
    """
    activations = as_real_array("activations", activations)
    by_hand = isinstance(message, Message) or isinstance(given, Message)
    if not isinstance(message, Message):
        message = _normal_form(message, activations, given, classes)
    elif given is not None:
        message = conditioned(message, _condition(given))
    if by_hand:
        check_counts(message)
    shape = message.values.shape[:-1] if message.continuous else message.values.shape
    _check_shapes(shape, activations.shape)
    if shape[-1] < least:
        raise InputError(f"too few rows: at least {least} are needed, got {shape[-1]}")
    groups = _checked_groups(groups, activations.shape[-1])
    nodes = max(groups) + 1 if groups else activations.shape[-1]
    if most is not None and nodes > most:
        raise InputError(
            f"a layer of {nodes} nodes has 2**{nodes} subsets; at most {most} nodes can be listed, and"
            " jaxflow.search_flows finds flows of wider layers"
        )
    x = _as_floats("activations", activations)
    batch = max(len(shape) - 1, x.ndim - 2)
    message = _with_axes(message, batch + 1 - len(shape), x.dtype)
    return Checked(message, as_jax(x.reshape(*(batch + 2 - x.ndim) * (1,), *x.shape)), groups)


def check_counts(message: Message, name: str = "the message") -> None:
    """Refuse a ``Message`` that was made by hand with fewer classes or strata than its values have.

    A class beyond the last would be a one-hot row of zeros, a stratum beyond the last would be left out, silently.

    Args:
        message: concrete values are checked, traced ones cannot be.
        name: what the refusal calls it.

    Raises:
        InputError: numbers out of range, or floating numbers where classes are announced.

    Example:
        >>> check_counts(Message(np.array([0, 1, 2]), classes=3))
    """
    for what, numbers, count, least in (
        (f"{name} has classes", message.values, message.classes, 0),
        (f"what is given of {name} has strata", message.given, message.strata, -1),
    ):
        if not count or isinstance(numbers, Tracer):
            continue
        codes = np.asarray(numbers)
        low, high = codes.min(initial=0), codes.max(initial=0)
        if codes.dtype.kind not in "iub" or low < least or high >= count:
            raise InputError(f"{what} {low} to {high}, but its Message says {count}: let jaxflow.as_message count them")


def must_see_arrays(estimator: str) -> str:
    """Why an estimator that looks at values cannot run on what is being traced, and what to do."""
    return (
        f"{estimator} must see arrays: call it outside of jit, vmap and map_networks, for one network after the other,"
        " or use gaussian or copula there"
    )


def _with_axes(message: Message, ones: int, dtype: Any) -> Message:
    """With as many more batch axes in front; its numbers in the type of the activations."""
    values, given = message.values, message.given
    values = values.reshape(*ones * (1,), *values.shape) if ones else values
    values = values.astype(dtype) if message.continuous else values
    if given is not None:
        given = as_jax(given if message.strata else given.astype(dtype))
    return Message(as_jax(values), given, message.classes, message.strata)


def _normal_form(message: Any, activations: Any, given: Any, classes: int | None) -> Message:
    """``as_message``, its numbers narrowed to float32 as those of the activations are."""
    message = as_real_array("message", message)
    shape, layer = message.shape, activations.shape
    samples = layer[-2] if len(layer) > 1 else None
    vectors = len(shape) > 1 and samples not in (None, shape[-1]) and shape[-2] == samples
    given = given if given is None else _condition(given)
    if classes is None and _numbers(message, vectors):
        _check_shapes(shape[:-1] if vectors else shape, layer)
        message = _as_floats("message", message if vectors else message[..., None])
        message = message if vectors else message[..., 0]
    elif len(shape) < 1 or samples != shape[-1]:
        _check_shapes(shape, layer)
    return as_message(message, given, samples=samples, classes=classes)


def _condition(given: Any) -> Any:
    """What a message is conditioned on, numbers ``[N, g]`` narrowed to float32."""
    if isinstance(given, Message):
        return given
    given = as_real_array("given", given)
    vectors = given.ndim == 2
    return _as_floats("given", given if vectors else given[..., None]) if _numbers(given, vectors) else given


def _numbers(values: Any, vectors: bool) -> bool:
    """Whether they are numbers and not classes: floating, and vectors or not all 0 or 1."""
    floating = jnp.issubdtype(values.dtype, jnp.floating)
    return floating and (vectors or isinstance(values, Tracer) or not np.isin(np.asarray(values), (0, 1)).all())


def _as_floats(name: str, values: Any) -> Any:
    """Checked, narrowed to what JAX's floating type can hold of every column ``[..., N, n]``; NumPy's stay NumPy's."""
    if not isinstance(values, Tracer):
        values = _narrowed(values, name)
    wide = jax.dtypes.canonicalize_dtype(values.dtype) == np.float64
    return values.astype(np.float64 if wide else np.float32)


def _checked_groups(groups: Any, columns: int) -> tuple[int, ...] | None:
    """The node of every column; None where each is its own and they stand in order."""
    if groups is None:
        return None
    numbers = wholes("groups", groups, 0, columns - 1, MOST_COLUMNS)
    if len(numbers) != columns:
        raise InputError(f"groups must name the node of each of the {columns} columns, got {len(numbers)} numbers")
    missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
    if missing:
        raise InputError(f"groups leave node {missing[0]} without columns: number the nodes 0, 1, … without gaps")
    return None if numbers == tuple(range(columns)) else numbers


def _check_shapes(message: tuple[int, ...], layer: tuple[int, ...]) -> None:
    """Refuse what does not fit, with what would, and what could be meant in two ways."""
    if len(message) < 1 or len(layer) < 2 or message[-1] != layer[-2]:
        hint = _hint(message, layer)
        raise InputError(f"expected message [..., N] and activations [..., N, n], got {message} and {layer}{hint}")
    if message[-1] == 0:
        raise InputError("message and activations hold no samples")
    if layer[-1] == 0:
        raise InputError("the layer has no nodes")
    if 0 in (*message[:-1], *layer[:-2]):
        raise InputError(f"an axis before the samples is empty, got message {message} and activations {layer}")
    if len(message) == 1 and 1 < message[0] == layer[-2] and message[0] in layer[:-2]:
        raise InputError(
            f"a message {message} fits two axes of the activations {layer}: give it as [1, {message[0]}] if axis -2 "
            f"holds the samples, as it should; if not, move them there, {_moved(message, layer)}"
        )
    try:
        np.broadcast_shapes(message[:-1], layer[:-2])
    except ValueError:
        raise InputError(
            f"the axes before the samples are batches and must broadcast, got message {message} and activations {layer}"
        ) from None


def _hint(message: tuple[int, ...], layer: tuple[int, ...]) -> str:
    """Where the samples seem to be, if not where they should."""
    if message and message[-1] in layer[:-2]:
        return f"; axis -2 of the activations holds the samples: move them there, {_moved(message, layer)}"
    if message and len(layer) == 2 and message[-1] == layer[-1]:
        return "; axis -2 of the activations holds the samples: activations.T"
    return ""


def _moved(message: tuple[int, ...], layer: tuple[int, ...]) -> str:
    """The call that moves the first axis of the message's length to axis −2."""
    axis = layer.index(message[-1])
    return "activations.swapaxes(0, 1)" if len(layer) == 3 else f"np.moveaxis(activations, {axis}, -2)"


def _narrowed(activations: Any, name: str) -> Any:
    """Checked; what float32 would round or lose is centred and scaled in the precision that it came in.

    Scales are powers of two. Float32 columns are scaled only where they are nearly denormal or nearly infinite, because
    XLA takes denormals for 0.
    """
    dtype, values = activations.dtype, np.asarray(activations)
    if jnp.issubdtype(dtype, jnp.floating):
        values = values.astype(np.promote_types(dtype, np.float32))
        if not np.isfinite(values).all():
            raise InputError(f"the {name} hold{'s' * (name != 'activations')} NaN or infinity")
    elif dtype.itemsize >= 4:
        values = values.astype(np.longdouble if dtype.itemsize > 4 else float)  # all 64 bits, where it has as many
    exponent = _exponents(values)
    if values.dtype.itemsize <= 4:
        shift = np.where(np.abs(exponent) <= EXPONENTS, 0, -exponent)
        return np.ldexp(values, shift) if shift.any() else activations
    values = np.ldexp(values, -exponent)
    centred = values - values.mean(axis=-2, keepdims=True)
    constant = centred.std(axis=-2, keepdims=True) <= np.finfo(values.dtype).eps
    centred = np.where(constant, 0, centred)
    left = _exponents(centred)
    usual = np.abs(exponent + left) <= EXPONENTS
    return np.ldexp(centred, np.where(usual, exponent, -left)).astype(float)


def _exponents(values: np.ndarray) -> np.ndarray:
    """Power of two just above the largest value of every column; 0 where all are 0."""
    return np.frexp(np.abs(values).max(axis=-2, keepdims=True, initial=0))[1]
