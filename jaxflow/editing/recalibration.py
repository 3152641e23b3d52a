"""The output's bias, or its scale and bias, refitted to the rows that trained the network, by maximum likelihood.

Pruning shifts the logits, and the argmax pays for it. What is refitted are a number added to every logit and, if
wished, one positive or negative number that multiplies them all: neither changes the Gaussian information in the
logits, so that the bias of an edit by that measure is the same with it and without.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.errors import InputError
from jaxflow.messages import as_message
from jaxflow.networks import Network, Params, activations_of
from jaxflow.networks.leaves import is_floating
from jaxflow.values import choice

REFITS = ("bias", "scale", "none")
STEPS = 30  # of Newton's method
LONGEST = 4.0  # change of a logit in one step: far out, where all probabilities are 0 or 1, Newton's are of any length
ENOUGH = 1e-11  # squared Newton decrement; the log-likelihood's resolution in float32 is coarser
HIGHEST = jax.lax.Precision.HIGHEST


class Refit(NamedTuple):
    """What is done to the logits l: scale · l + bias.

    Attributes:
        scale: one number.
        bias: ``[c]``, whose mean is 0 where there are several logits.
    """

    scale: Array
    bias: Array

    def of(self, logits: Float[Array, "N c"]) -> Float[Array, "N c"]:
        """The refitted logits."""
        return self.scale * logits + self.bias[None]


class _Point(NamedTuple):
    """Where Newton's method stands: coordinates, loss there, the step from there, its length, and its promise."""

    at: Array
    loss: Array
    step: Array
    length: Array
    decrement: Array
    steps: Array


def refit(logits: Float[Array, "N c"], label: Int[Array, " N"], how: str = "bias") -> Refit:
    """Maximum-likelihood scale s and bias b of a network's logits: min over s, b of the mean cross-entropy of s·l + b.

    Newton's method on the logits less the first one, in units in which they are centred and of deviation 1; a step
    that would raise the loss is halved. The loss is never above that of the logits as they are.

    Args:
        logits: of one network on the rows that trained it; a single one is that of class 1 against class 0.
        label: classes of these rows.
        how: ``bias``, ``scale`` (and bias), or ``none``.
    """
    columns, dtype = logits.shape[1], logits.dtype
    if how == "none":
        return Refit(jnp.ones((), dtype), jnp.zeros(columns, dtype))
    margins = logits if columns == 1 else logits[:, 1:] - logits[:, :1]
    size, middle = margins.shape[1], jnp.mean(margins, axis=0)
    centred = margins - middle[None]
    deviation = jnp.sqrt(jnp.mean(centred**2))
    unit = jnp.where(deviation > 0, deviation, 1) if how == "scale" else jnp.ones((), dtype)
    right = jax.nn.one_hot(label - 1, size, dtype=dtype)  # zeros of class 0
    found = _minimised(centred / unit, right, _starts(right, middle, unit, how))
    scale = found[size] / unit if how == "scale" else jnp.ones((), dtype)
    bias = found[:size] - scale * middle
    bias = bias if columns == 1 else jnp.pad(bias, (1, 0))
    return Refit(scale, bias - (jnp.mean(bias) if columns > 1 else 0))


def _starts(right: Float[Array, "N k"], middle: Float[Array, " k"], unit: Array, how: str) -> Float[Array, "_ _"]:
    """Where the minimum is looked for: the logits as they are; centred at the classes' odds; and these odds alone."""
    shares = jnp.mean(right, axis=0)
    odds = jnp.log(jnp.maximum(shares, 1e-6)) - jnp.log(jnp.maximum(1 - jnp.sum(shares), 1e-6))
    if how == "bias":
        return jnp.stack([middle, odds])
    return jnp.stack([jnp.append(middle, unit), jnp.append(odds, unit), jnp.append(odds, 0)])


def _minimised(margins: Float[Array, "N k"], right: Float[Array, "N k"], starts: Float[Array, "_ _"]) -> Array:
    """Biases ``[k]``, and the scale if starts have one more coordinate, of the least mean cross-entropy.

    The best of the starts is gone on with, and is what is returned where nothing is better.
    """
    losses, steps, decrements = jax.lax.map(partial(_newton, margins, right), starts)
    first = jnp.argmin(losses)
    begin = _Point(
        starts[first], losses[first], steps[first], jnp.ones((), starts.dtype), decrements[first],
        jnp.zeros((), jnp.int32),
    )  # fmt: skip

    def unfinished(point: _Point) -> Array:
        return (point.steps < STEPS) & (point.decrement > ENOUGH)

    def moved(point: _Point) -> _Point:
        at = point.at - point.length * point.step
        loss, step, decrement = _newton(margins, right, at)
        new = _Point(at, loss, step, jnp.ones_like(loss), decrement, point.steps + 1)
        old = point._replace(length=point.length / 2, steps=point.steps + 1)
        return jax.tree.map(lambda a, b: jnp.where(loss <= point.loss, a, b), new, old)

    return jax.lax.while_loop(unfinished, moved, begin).at


def _newton(margins: Array, right: Array, at: Array) -> tuple[Array, Array, Array]:
    """Mean cross-entropy at some coordinates, Newton's step to be subtracted, and its product with the gradient."""
    size = margins.shape[1]
    scale = at[size] if len(at) > size else jnp.ones((), at.dtype)
    whole = jnp.pad(scale * margins + at[None, :size], ((0, 0), (1, 0)))
    loss = jnp.mean(jax.nn.logsumexp(whole, axis=1) - jnp.sum(whole[:, 1:] * right, axis=1))
    p = jax.nn.softmax(whole, axis=1)[:, 1:]
    excess = p - right
    gradient = jnp.mean(excess, axis=0)
    hessian = jnp.diag(jnp.mean(p, axis=0)) - jnp.matmul(p.T, p, precision=HIGHEST) / len(p)
    if len(at) > size:
        along = jnp.sum(p * margins, axis=1, keepdims=True)
        cross = jnp.mean(p * (margins - along), axis=0)
        own = jnp.mean(jnp.sum(p * (margins - along) ** 2, axis=1) + (1 - jnp.sum(p, axis=1)) * along[:, 0] ** 2)
        gradient = jnp.append(gradient, jnp.mean(jnp.sum(excess * margins, axis=1)))
        hessian = jnp.block([[hessian, cross[:, None]], [cross[None], own[None, None]]])
    # Margins that are constant leave the scale open: the little that is added keeps the matrix regular.
    step = _solved(hessian + (1e-6 * jnp.trace(hessian) + 1e-12) * jnp.eye(len(at), dtype=at.dtype), gradient)
    furthest = jnp.max(jnp.abs(step)) / LONGEST
    return loss, step / jnp.maximum(furthest, 1), jnp.sum(step * gradient)


def _solved(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """A⁻¹b of a small positive definite A by Gauss and Jordan's elimination, which maps over networks as it stands."""
    table = jnp.concatenate([matrix, right[:, None]], axis=1)

    def eliminated(i: Array, table: Array) -> Array:
        pivot = table[i] / table[i, i]
        return (table - table[:, i][:, None] * pivot[None]).at[i].set(pivot)

    return jax.lax.fori_loop(0, len(right), eliminated, table)[:, -1]


def laid_down(network: Network, params: Params, refitted: Refit, x: Any, how: str = "bias") -> Params:
    """Parameters of a network whose logits are the refitted ones.

    The scale multiplies the last kernel and the output's own biases; those are what the output shows where nothing
    passes the last kernel.

    Args:
        network: the network, which must say where its biases lie.
        params: of one network.
        refitted: scale and bias.
        x: features of at least one row.
        how: as ``refit``: a bias alone is only added.
    """
    if how == "none":
        return params
    weights = [jnp.asarray(w) for w in network.weights(params)]
    nothing = [jnp.zeros(w.shape[1], w.dtype) for w in weights[:-1]]
    if how == "bias":
        return network.shift(params, [*nothing, refitted.bias])
    silent = _last_kernel_times(network, params, weights, jnp.zeros((), refitted.scale.dtype))
    own = network.activations(silent, x[:1])[-1][0]
    scaled = _last_kernel_times(network, params, weights, refitted.scale)
    return network.shift(scaled, [*nothing, (refitted.scale - 1) * own + refitted.bias])


def _last_kernel_times(network: Network, params: Params, weights: list[Array], scale: Array) -> Params:
    """Parameters with the last kernel multiplied."""
    last = jnp.broadcast_to(scale - 1, weights[-1].shape)
    laid = network.spread(params, [*(jnp.zeros(w.shape, last.dtype) for w in weights[:-1]), last])
    return jax.tree.map(lambda w, change: w * (1 + change) if is_floating(w) else w, params, laid)


def recalibrated(network: Network, params: Params, x: ArrayLike, label: Any, how: str = "bias") -> Params:
    """A network whose output's bias, or scale and bias, are refitted by maximum likelihood.

    min over b (and s) of the mean cross-entropy of s·l + b, l the logits on the given rows: those that trained the
    network, so that whatever is measured on others stays honest. All other parameters stay as they are. For edited
    networks, whose logits pruning has shifted.

    Args:
        network: the network; it must say where its biases lie, as ``mlp`` and ``network(..., biases=...)`` do, and its
            output must be linear in its last kernel and biases.
        params: of one network; ``map_networks`` or ``jax.vmap`` take many.
        x: features ``[N, d]``.
        label: classes ``[N]``.
        how: ``bias``, or ``scale`` for both.

    Returns:
        Parameters like ``params``.

    Raises:
        InputError: the network does not say where its biases lie; a label that does not fit x or the output.

    Example:
        >>> from jaxflow import mlp
        >>> network, params = mlp(hidden=()), {"layer_0": {"kernel": jnp.zeros((1, 2)), "bias": jnp.zeros(2)}}
        >>> fitted = recalibrated(network, params, jnp.ones((4, 1)), [1, 1, 1, 0])
        >>> [f"{p:.2f}" for p in jax.nn.softmax(fitted["layer_0"]["bias"])]  # as often as the classes occur
        ['0.25', '0.75']
    """
    choice("way to recalibrate", how, REFITS)
    x = jnp.asarray(x)
    logits = activations_of(network, params, x)[-1]
    message = as_message(label, samples=len(x))
    if message.continuous or message.values.shape != x.shape[:1] or message.classes > max(logits.shape[1], 2):
        raise InputError(f"the label must be one of {max(logits.shape[1], 2)} classes for each of the {len(x)} rows")
    return laid_down(network, params, refit(logits, jnp.asarray(message.values), how), x, how)
