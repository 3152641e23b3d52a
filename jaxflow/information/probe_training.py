"""How the networks of a probe are trained, and when that ends.

Training goes in cycles, in each of which the learning rate falls from its largest to 0 along a cosine. It opens with
two short ones: where few rows tell little, more would only be learned by heart. The others become longer and longer.
After each the held-out rows of all folds are predicted. When that gained less than ``TOLERANCE``, training ends. Every
fold then keeps the networks of the cycle that did best in the other four folds: its own rows have no part in the
choice.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxflow.batching import batched_map
from jaxflow.information.choosing import in_other_folds
from jaxflow.information.probe_network import TOGETHER, WIDTH, Weights

BATCH, ADAM = 256, optax.scale_by_adam()
OPENING = (25, 75)  # steps of the short cycles before those that are counted
FIRST, MOST_CYCLES = 500, 8  # steps of the first of these; all together have 32,350
FEWEST = 2 + len(OPENING)  # cycles before training may end
TOLERANCE = 0.002  # bits a row
UNTRAINED = 1e30  # bits lost by a cycle that was not trained


class Fold(NamedTuple):
    """One fold's view of a task and a layer.

    Attributes:
        features: of the layer ``[N, c, 3]``.
        nearest: the nearest of its columns to every one ``[c]``.
        given: ``[N, g]``.
        message: ``[N]`` or ``[N, d]``.
        train: row numbers, −1 at the end.
        test: row numbers, −1 at the end.
        key: of its networks and batches.
    """

    features: Array
    nearest: Array
    given: Array
    message: Array
    train: Array
    test: Array
    key: Array


class Lessons(NamedTuple):
    """What networks learn by, and what they are judged by.

    Attributes:
        loss: of one fold's networks and a key, by which rows are drawn for a step: the mean loss in nats.
        judged: of one fold's networks: the bits that they lose on all its held-out rows.
        pace: see ``Head.pace``.
    """

    loss: Callable[[Weights, Fold, Array], Array]
    judged: Callable[[Weights, Fold], Array]
    pace: tuple[float, float]


def cycle_lengths(cycles: int) -> list[int]:
    """Steps of every cycle after two short ones: the second of a half is enough where the first has learned everything.

    Example:
        >>> cycle_lengths(5)
        [25, 75, 500, 250, 500, 1000, 2000]
    """
    return [*OPENING, FIRST, *(FIRST * 2**cycle // 4 for cycle in range(1, cycles))]


def over_folds(function: Any, items: Any) -> Any:
    """The function of every fold: one after the other where a core's cache holds one batch, else side by side."""
    return batched_map(function, items, 4 * TOGETHER * WIDTH * BATCH * 8)


def drawn_rows(key: Array, fold: Fold, *count: int) -> Int[Array, "..."]:
    """Numbers of random rows to train on."""
    return fold.train[jax.random.randint(key, count, 0, jnp.sum(fold.train >= 0))]


def trained(begin: Weights, folds: Fold, lessons: Lessons, cycles: Array) -> tuple[Weights, Float[Array, ""]]:
    """The networks of every fold, and the gain of the last cycle in bits a row."""
    lengths, count = jnp.asarray(cycle_lengths(MOST_CYCLES)), len(folds.train)
    rows = jnp.sum(folds.test >= 0)

    def more(state: tuple) -> Array:
        cycle, _, _, _, gain = state
        return (cycle < cycles + len(OPENING)) & ((cycle < FEWEST) | (gain > TOLERANCE))

    def train(state: tuple) -> tuple:
        cycle, learner, kept, lost, _ = state
        turn = partial(_cycle, number=cycle, length=lengths[cycle], lessons=lessons)
        networks, moments = over_folds(turn, (learner, folds))
        own = over_folds(lambda item: lessons.judged(*item), (networks, folds))
        gain = (jnp.min(jnp.sum(lost, axis=1)) - jnp.sum(own)) / rows.astype(own.dtype)
        kept = jax.tree.map(lambda every, one: every.at[cycle].set(one), kept, networks)
        return cycle + 1, (networks, moments), kept, lost.at[cycle].set(own), gain

    kept = jax.tree.map(lambda leaf: jnp.zeros((len(lengths), *leaf.shape), leaf.dtype), begin)
    lost = jnp.full((len(lengths), count), UNTRAINED / count)
    learner = begin, jax.vmap(ADAM.init)(begin)
    state = jnp.asarray(0), learner, kept, lost, jnp.asarray(jnp.inf)
    _, _, kept, lost, gain = jax.lax.while_loop(more, train, state)
    best = jnp.argmin(in_other_folds(lost), axis=0)
    chosen = jax.tree.map(lambda every: every[best, jnp.arange(count)], kept)
    return chosen, gain


def _cycle(
    item: tuple[tuple[Weights, Any], Fold], number: Array, length: Array, lessons: Lessons
) -> tuple[Weights, Any]:
    """One fold's networks, and AdamW's moments, after a cycle."""
    (learner, fold), (largest, decay) = item, lessons.pace
    key = jax.random.fold_in(fold.key, number)

    def step(number: Array, learner: tuple[Weights, Any]) -> tuple[Weights, Any]:
        networks, moments = learner
        gradient = jax.grad(lessons.loss)(networks, fold, jax.random.fold_in(key, number))
        with jax.numpy_dtype_promotion("standard"):  # Optax raises floats to the power of an integer
            update, moments = ADAM.update(gradient, moments)
        share = (number / length).astype(jnp.float32)
        rate = largest * (1 + jnp.cos(math.pi * share)) / 2
        return jax.tree.map(lambda own, by: own - rate * (by + decay * own), networks, update), moments

    return jax.lax.fori_loop(0, length, step, learner)
