"""What every estimator asks of its inputs."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from jaxflow.errors import InputError


def checked_inputs(message: ArrayLike, activations: ArrayLike) -> tuple[Array, Array]:
    """Both as floating arrays with equally many leading axes.

    Concrete values are checked, traced ones (under ``jit``, ``vmap``) cannot be.

    Raises:
        InputError: shapes that do not fit, a message that is not 0/1, NaN or infinity.
    """
    samples, layer = jnp.shape(message), jnp.shape(activations)
    if len(samples) < 1 or len(layer) < 2 or samples[-1] != layer[-2]:
        raise InputError(f"expected message [..., N] and activations [..., N, n], got {samples} and {layer}")
    if samples[-1] == 0:
        raise InputError("message and activations hold no samples")
    if not isinstance(message, Tracer) and not np.isin(np.asarray(message), (0, 1)).all():
        raise InputError("the message must be binary, 0 or 1 in every sample")
    if not isinstance(activations, Tracer):
        activations = _centred(activations)
    dtype = jnp.promote_types(jnp.result_type(activations), jnp.float32)
    m, x = jnp.asarray(message).astype(dtype), jnp.asarray(activations).astype(dtype)
    batch = max(m.ndim - 1, x.ndim - 2)
    return m.reshape(*(batch + 1 - m.ndim) * (1,), *m.shape), x.reshape(*(batch + 2 - x.ndim) * (1,), *x.shape)


def _centred(activations: ArrayLike) -> ArrayLike:
    """Checked; columns wider than float32 are centred in their own precision before they are cut to it."""
    values = np.asarray(activations)
    if not np.isfinite(values.astype(float)).all():
        raise InputError("the activations hold NaN or infinity")
    if values.dtype.itemsize <= 4:
        return activations
    centred = values.astype(float) - values.mean(axis=-2, keepdims=True, dtype=float)
    if np.abs(centred).max() > np.finfo(np.float32).max:
        raise InputError("the activations are too large for float32; scale them")
    return centred.astype(np.promote_types(jnp.result_type(activations), np.float32))
