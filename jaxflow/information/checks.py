"""What every estimator asks of its inputs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxflow.errors import InputError

MOST_NODES = 26  # 2²⁶ values of one message take a quarter of a gigabyte


def checked_inputs(message: Any, activations: Any, most: int | None = MOST_NODES) -> tuple[Array, Array]:
    """Both as floating arrays with equally many leading axes.

    Concrete values are checked, traced ones (under ``jit``, ``vmap``) cannot be.

    Args:
        message: ``[..., N]``.
        activations: ``[..., N, n]``.
        most: nodes of the widest layer; None for any number.

    Raises:
        InputError: shapes that do not fit, a message that is not 0/1, NaN or infinity.
    """
    message, activations = _array("message", message), _array("activations", activations)
    samples, layer = message.shape, activations.shape
    if len(samples) < 1 or len(layer) < 2 or samples[-1] != layer[-2]:
        raise InputError(f"expected message [..., N] and activations [..., N, n], got {samples} and {layer}")
    if samples[-1] == 0:
        raise InputError("message and activations hold no samples")
    if most is not None and layer[-1] > most:
        raise InputError(f"a layer of {layer[-1]} nodes has 2**{layer[-1]} subsets; at most {most} nodes can be listed")
    if not isinstance(message, Tracer) and not np.isin(np.asarray(message), (0, 1)).all():
        raise InputError("the message must be binary, 0 or 1 in every sample")
    if not isinstance(activations, Tracer):
        activations = _centred(activations)
    dtype = jnp.promote_types(jnp.result_type(activations), jnp.float32)
    m, x = jnp.asarray(message).astype(dtype), jnp.asarray(activations).astype(dtype)
    batch = max(m.ndim - 1, x.ndim - 2)
    return m.reshape(*(batch + 1 - m.ndim) * (1,), *m.shape), x.reshape(*(batch + 2 - x.ndim) * (1,), *x.shape)


def _array(name: str, values: Any) -> Any:
    """Lists, frames and series as arrays; only numbers will do."""
    array = values if isinstance(values, (jax.Array, Tracer)) else np.asarray(values)
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool) or jnp.iscomplexobj(array):
        raise InputError(f"the {name} must hold real numbers, not {array.dtype}")
    return array


def _centred(activations: Any) -> Any:
    """Checked; columns wider than float32 are centred in their own precision before they are cut to it."""
    values = np.asarray(activations)
    if not np.isfinite(values.astype(float)).all():
        raise InputError("the activations hold NaN or infinity")
    if values.dtype.itemsize <= 4:
        return activations
    centred = values.astype(float) - values.mean(axis=-2, keepdims=True, dtype=float)
    if np.abs(centred).max(initial=0) > np.finfo(np.float32).max:
        raise InputError("the activations are too large for float32; scale them")
    return centred.astype(np.promote_types(jnp.result_type(activations), np.float32))
