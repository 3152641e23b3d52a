"""What users hand in as arrays: lists, frames, NumPy's and JAX's arrays as real numbers; and random keys."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxflow.errors import CLASS_NUMBERS, InputError, cause, shown


def as_real_array(name: str, values: Any) -> Any:
    """Lists, frames, series and arrays as arrays of the machine's own byte order; only real numbers will do.

    Args:
        name: what they are, for the error.
        values: JAX's arrays stay as they are; anything else becomes a NumPy array. Floating numbers of fewer than 32
            bits become float32 NumPy arrays, unless they are traced: XLA has no float16 on processors without F16C.

    Raises:
        InputError: no array, masked values, or anything but real numbers.
    """
    if not isinstance(values, (jax.Array, Tracer)):
        if np.ma.is_masked(values):
            raise InputError(f"the {name} must not hold masked values; leave those samples out or fill them")
        try:
            values = np.asarray(values)
        except Exception as error:  # rows of different lengths, and whatever a foreign object may raise
            raise InputError(
                f"the {name} must be an array: rows of a list have equal lengths ({cause(error)})"
            ) from None
        if values.dtype.byteorder not in "=|":
            values = values.astype(values.dtype.newbyteorder("="))
    real = any(jnp.issubdtype(values.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))
    if not real or np.issubdtype(values.dtype, np.timedelta64):  # which NumPy counts among the integers
        hint = f"; {CLASS_NUMBERS}" if getattr(values.dtype, "kind", "") in ("O", "S", "U") else ""
        raise InputError(f"the {name} must hold real numbers, not {values.dtype}{hint}")
    if jnp.issubdtype(values.dtype, jnp.floating) and values.dtype.itemsize < 4 and not isinstance(values, Tracer):
        return np.asarray(values).astype(np.float32)
    return values


def as_finite_array(name: str, values: Any) -> Array:
    """Finite numbers as a floating JAX array; integers, whose differences would wrap, become float32.

    Args:
        name: what they are, for the error.
        values: concrete values are checked, traced ones cannot be.

    Raises:
        InputError: what ``as_real_array`` refuses, NaN, infinity, what JAX's floating type cannot hold.
    """
    array = as_real_array(name, values)
    if not isinstance(array, Tracer):
        kind = array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else np.float32
        largest = jnp.finfo(jax.dtypes.canonicalize_dtype(float if kind == np.longdouble else kind)).max
        numbers = np.asarray(array)
        if jnp.issubdtype(kind, jnp.floating) and jnp.finfo(kind).max <= largest and kind != np.longdouble:
            fits = np.isfinite(numbers).all()
        else:  # a wider type holds numbers that JAX's cannot
            fits = (np.abs(numbers.astype(np.longdouble)) <= largest).all()
        if not fits:
            raise InputError(f"the {name} must be finite, but hold NaN, infinity or more than {float(largest):.2g}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(np.float32)
    if array.dtype == np.longdouble:
        array = array.astype(float)  # JAX does not know it
    return as_jax(array)


def as_jax(values: Any) -> Any:
    """JAX's arrays as they are, NumPy's on the device: ``jnp.asarray`` without a program for every shape.

    Since JAX 0.10 ``jnp.asarray`` compiles the identity for every new shape and type of a NumPy array.

    Args:
        values: an array, traced perhaps.

    Returns:
        It in JAX's types, as ``jnp.asarray`` would make it.
    """
    return jax.device_put(values) if isinstance(values, np.ndarray) else values


def as_key(key: Any) -> Array:
    """One random key: a new one as it is, an old-style one (``jax.random.PRNGKey``) as the new one of the same numbers.

    Args:
        key: ``jax.random.key(0)`` or one that was split or folded out of it, traced perhaps.

    Raises:
        InputError: a number, many keys, or anything else.
    """
    if isinstance(key, (jax.Array, np.ndarray)):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0:
            return jnp.asarray(key)
        if key.dtype == np.uint32 and key.shape == _old_style().shape:
            return jax.random.wrap_key_data(jnp.asarray(key))
    raise InputError(f"key must be one random key such as jax.random.key(0), not {shown(key)}")


def _old_style() -> Any:
    """Shape and type of an old-style key."""
    return jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
