"""What every estimator asks of its inputs, and how values that float32 cannot hold come into it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxflow.arrays import as_real_array
from jaxflow.errors import InputError

MOST_NODES = 26  # 2²⁶ values of one message take a quarter of a gigabyte
EXPONENTS = 100  # a column whose largest value is within 2^±100 keeps its scale: float32 has room on both sides


def checked_inputs(message: Any, activations: Any, most: int | None = MOST_NODES) -> tuple[Array, Array]:
    """Both as floating arrays with equally many leading axes.

    The samples are the last axis of the message and axis −2 of the activations. Concrete values are checked, traced
    ones (under ``jit``, ``vmap``) cannot be. What float32 cannot hold is scaled and centred before it is cut to it,
    column by column; neither changes any information.

    Args:
        message: ``[..., N]``, 0 or 1.
        activations: ``[..., N, n]``, real numbers of any type, NumPy's or JAX's.
        most: nodes of the widest layer; None for any number.

    Returns:
        Message and activations as float32, or float64 where JAX has it enabled and the activations are wide.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a message that is not 0/1, NaN, infinity,
            masked values, anything that is not a real number.
    """
    message, activations = as_real_array("message", message), as_real_array("activations", activations)
    _check_shapes(message.shape, activations.shape, most)
    if not isinstance(message, Tracer) and not np.isin(np.asarray(message), (0, 1)).all():
        raise InputError("the message must be binary, 0 or 1 in every sample")
    if not isinstance(activations, Tracer):
        activations = _narrowed(activations)
    wide = jax.dtypes.canonicalize_dtype(activations.dtype) == np.float64
    dtype = jnp.float64 if wide else jnp.float32
    if isinstance(message, np.ndarray):
        message = message.astype(bool)  # JAX does not know all of NumPy's types
    m, x = jnp.asarray(message).astype(dtype), jnp.asarray(activations).astype(dtype)
    batch = max(m.ndim - 1, x.ndim - 2)
    return m.reshape(*(batch + 1 - m.ndim) * (1,), *m.shape), x.reshape(*(batch + 2 - x.ndim) * (1,), *x.shape)


def _check_shapes(message: tuple[int, ...], layer: tuple[int, ...], most: int | None) -> None:
    """Refuse what does not fit, with what would, and what could be meant in two ways."""
    if len(message) < 1 or len(layer) < 2 or message[-1] != layer[-2]:
        hint = _hint(message, layer)
        raise InputError(f"expected message [..., N] and activations [..., N, n], got {message} and {layer}{hint}")
    if message[-1] == 0:
        raise InputError("message and activations hold no samples")
    if layer[-1] == 0:
        raise InputError("the layer has no nodes")
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
    if most is not None and layer[-1] > most:
        raise InputError(f"a layer of {layer[-1]} nodes has 2**{layer[-1]} subsets; at most {most} nodes can be listed")


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


def _narrowed(activations: Any) -> Any:
    """Checked; what float32 would round or lose is centred and scaled in the precision that it came in.

    Scales are powers of two. Float32 columns are scaled only where they are nearly denormal or nearly infinite, because
    XLA takes denormals for 0.
    """
    dtype, values = activations.dtype, np.asarray(activations)
    if jnp.issubdtype(dtype, jnp.floating):
        values = values.astype(np.promote_types(dtype, np.float32))
        if not np.isfinite(values).all():
            raise InputError("the activations hold NaN or infinity")
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
