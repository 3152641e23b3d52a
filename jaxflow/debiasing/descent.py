"""Bias gradient descent: a trained network's parameters go down the gradient of its bias (Marcinkevičs et al. 2022)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.debiasing.gaps import Sample, classes_of, decided, decision_gap, probability_gap
from jaxflow.errors import InputError
from jaxflow.messages import Message
from jaxflow.networks import Network, Params
from jaxflow.networks.leaves import floating_leaves
from jaxflow.training import MOST
from jaxflow.values import real, whole

SMALLEST = np.finfo(np.float32).tiny


class Descent(NamedTuple):
    """A network after bias gradient descent, and what held-out rows showed on the way.

    Attributes:
        params: those of the chosen step.
        step: which one; 0 is the network as it was.
        gap: decision gap on the choosing rows before the first and after every step, in per cent ``[steps + 1]``.
        accuracy: of the decisions on the same rows, in per cent ``[steps + 1]``.

    Example:
        >>> Descent({"w": jnp.ones(2)}, 1, jnp.array([20.0, 3.0]), jnp.array([80.0, 78.0])).step
        1
    """

    params: Params
    step: Any
    gap: Array
    accuracy: Array


def bias_descent(
    network: Network,
    params: Params,
    rows: Sample,
    choosing: Sample,
    *,
    most: float = 5.0,
    steps: int = 100,
    share: float = 0.05,
    bias: Callable[[Array, Message], Array] = probability_gap,
) -> Descent:
    """Parameters after gradient steps on a differentiable bias b, the step chosen on other rows.

    θ ← θ − share · b ∇b / ‖∇b‖²: a step takes the given share off the bias, as far as b is linear (Polyak's step
    length), whatever the scale of the parameters. All floating parameters move, and the gradient is that of all rows.
    Of all steps, the network as it was included, the most accurate one on the choosing rows is kept whose decision gap
    there is at most ``most``; the one of the smallest gap if there is none. The bias and this objective are those of
    Marcinkevičs et al. 2022, who take steps of Adam on batches; their program keeps the smallest bias among the steps
    whose accuracy stays above a bound.

    Args:
        network: the network.
        params: of one network; ``map_networks`` or ``jax.vmap`` take many.
        rows: that the gradient is taken on; their label is not looked at unless the attribute is conditioned on it.
        choosing: rows that choose the step; report on other ones.
        most: decision gap in per cent, the parity gap or, of an attribute conditioned on the label, the odds gap.
        steps: how many.
        share: of the bias that a step takes off, above 0, at most 1.
        bias: (logits, attribute) → the differentiable bias, 0 where there is none.

    Returns:
        Parameters like ``params``, which step they are of, and the gap and accuracy of every step.

    Raises:
        InputError: an attribute of numbers, numbers out of range.

    Example:
        >>> network, x = mlp(hidden=(3,)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> params, z = network.init(jax.random.key(0), x), (x[:, 0] > 0).astype(int)
        >>> rows = Sample(x, (x[:, 1] > 0).astype(int), z)
        >>> descent = bias_descent(network, params, rows, rows, steps=20)
        >>> descent.gap.shape
        (21,)
    """
    most, share = real("most", most, 0, 100), real("share", share, 1e-6, 1)
    whole("steps", steps, 1, MOST)
    leaves, rebuild = floating_leaves(params)
    attribute, judged = (classes_of("attribute", own.attribute) for own in (rows, choosing))
    label = classes_of("label", choosing.label)
    if jnp.shape(judged.values) != jnp.shape(label.values):
        raise InputError("the choosing rows' label and attribute must hold a class for every row")

    def bias_of(leaves: list[Array]) -> Array:
        return bias(network.activations(rebuild(leaves), rows.x)[-1], attribute)

    def shown(leaves: list[Array]) -> tuple[Array, Array]:
        logits = network.activations(rebuild(leaves), choosing.x)[-1]
        right = decided(logits) == jnp.asarray(label.values)
        return 100 * decision_gap(logits, judged), 100 * jnp.mean(right, dtype=logits.dtype)

    def step(carry: tuple[list[Array], _Best], number: Array) -> tuple[tuple[list[Array], _Best], tuple[Array, Array]]:
        leaves, best = carry
        leaves = _stepped(bias_of, leaves, share)
        gap, accuracy = shown(leaves)
        return (leaves, _better(best, _Best(leaves, number, gap, accuracy), most)), (gap, accuracy)

    start = _Best(leaves, jnp.zeros((), jnp.int32), *shown(leaves))
    numbers = jnp.arange(1, steps + 1, dtype=jnp.int32)
    (_, best), (gaps, accuracies) = jax.lax.scan(step, (leaves, start), numbers)
    gap, accuracy = (
        jnp.concatenate([one[None], own]) for one, own in ((start.gap, gaps), (start.accuracy, accuracies))
    )
    return Descent(rebuild(best.leaves), best.step, gap, accuracy)


class _Best(NamedTuple):
    """The best step so far: its floating parameters, number, and what the choosing rows show of it."""

    leaves: list[Array]
    step: Int[Array, ""]
    gap: Float[Array, ""]
    accuracy: Float[Array, ""]


def _stepped(bias: Callable[[list[Array]], Array], leaves: list[Array], share: float) -> list[Array]:
    """The parameters after one step; as they are where the bias has no slope."""
    value, slope = jax.value_and_grad(bias)(leaves)
    size = sum((jnp.sum(own**2) for own in slope), jnp.zeros((), value.dtype))
    length = jnp.where(size > SMALLEST, share * value / jnp.maximum(size, SMALLEST), 0)
    return [leaf - (length * own).astype(leaf.dtype) for leaf, own in zip(leaves, slope, strict=True)]


def _better(best: _Best, other: _Best, most: float) -> _Best:
    """The more accurate of those whose gap is small enough, else the one of the smaller gap; not one of NaN."""
    small, was_small = other.gap <= most, best.gap <= most
    better = jnp.where(small & was_small, other.accuracy > best.accuracy, other.gap < best.gap)
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), other, best)
