"""A bias that has a gradient: how far the groups of an attribute lie apart in the logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.messages import Message

HIGHEST = jax.lax.Precision.HIGHEST


def margins(logits: Float[Array, "N c"]) -> Float[Array, "N k"]:
    """Every logit less the mean of the others; of two logits their difference, from either side.

    A single logit is that of class 1 against class 0, whose own is 0.

    Example:
        >>> margins(jnp.array([[1.0, 3.0]])).tolist()
        [[-2.0, 2.0]]
    """
    if logits.shape[1] == 1:
        logits = jnp.pad(logits, ((0, 0), (1, 0)))
    classes = logits.shape[1]
    return (logits - jnp.mean(logits, axis=1, keepdims=True)) * (classes / (classes - 1))


def logit_gap(logits: Float[Array, "N c"], attribute: Message) -> Float[Array, ""]:
    """The largest difference between two groups' mean margins, within a stratum: a bias that has a gradient.

    max over strata s, logits k and groups a, b of E[m_k | Z = a, s] − E[m_k | Z = b, s], m the ``margins``. Of two
    logits and two groups it is |E[l₁ − l₀ | Z = 1] − E[l₁ − l₀ | Z = 0]|, the proxy of the parity gap of Marcinkevičs
    et al. (2022); where the label's favourable class is the only stratum, that of equal opportunity. Of an attribute of
    numbers it is the largest slope of a margin, per standard deviation.

    Args:
        logits: of one network.
        attribute: ``[N]``, conditioned on classes perhaps.

    Returns:
        A number from 0 on, in units of the logits.

    Example:
        >>> logits = jnp.array([[0.0, 1.0], [0.0, 3.0]])
        >>> float(logit_gap(logits, Message(jnp.array([0, 1]))))
        2.0
    """
    if attribute.continuous:
        return jnp.max(jnp.abs(_slopes(margins(logits), attribute)))
    means, real = group_means(logits, attribute)
    high = jnp.max(means, axis=1, initial=-jnp.inf, where=real[:, :, None])
    low = jnp.min(means, axis=1, initial=jnp.inf, where=real[:, :, None])
    return jnp.max(jnp.where(jnp.any(real, axis=1)[:, None], high - low, 0))


def group_means(
    logits: Float[Array, "N c"], attribute: Message
) -> tuple[Float[Array, "strata groups k"], Bool[Array, "strata groups"]]:
    """Mean margins of every group in every stratum, less the mean of all rows, and which of them have rows."""
    centred = margins(logits)
    centred = centred - jnp.mean(centred, axis=0, keepdims=True)
    cells = cell_indicators(attribute, centred.dtype)
    count = jnp.sum(cells, axis=0)
    means = jnp.matmul(cells.T, centred, precision=HIGHEST) / jnp.maximum(count, 1)[:, None]
    shape = max(attribute.strata, 1), attribute.classes
    return means.reshape(*shape, -1), (count > 0).reshape(shape)


def cell_indicators(attribute: Message, dtype: jnp.dtype) -> Float[Array, "N cells"]:
    """Indicators of the cells (stratum, group), stratum-major; zeros for rows that are left out."""
    strata = _strata(attribute)
    cell = attribute.classes * strata + attribute.values  # below 0 where the stratum is −1
    return jax.nn.one_hot(cell, max(attribute.strata, 1) * attribute.classes, dtype=dtype)


def _strata(attribute: Message) -> Array:
    """The number of every row's stratum; one for all where nothing, or no class, is given."""
    if attribute.given is None or not attribute.strata:
        return jnp.zeros(attribute.values.shape[0], jnp.int32)
    return jnp.asarray(attribute.given)


def _slopes(margin: Float[Array, "N k"], attribute: Message) -> Float[Array, "strata d k"]:
    """Slope of every margin on every standardised number, by least squares within each stratum."""

    def within(inside: Array) -> Array:
        weight = inside / jnp.maximum(jnp.sum(inside), 1)
        x, y = (own - (weight @ own)[None] for own in (attribute.values, margin))
        deviation = jnp.sqrt(weight @ x**2)
        return (
            jnp.matmul((x * weight[:, None]).T, y, precision=HIGHEST) / jnp.where(deviation > 0, deviation, 1)[:, None]
        )

    inside = jax.nn.one_hot(_strata(attribute), max(attribute.strata, 1), dtype=margin.dtype)
    return jax.vmap(within, 1)(inside)
