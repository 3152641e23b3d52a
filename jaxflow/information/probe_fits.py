"""One probe for all subsets of a layer: how it is trained, when that ends, and what it loses on held-out rows.

Training goes in cycles, in each of which the learning rate falls from its largest to 0 along a cosine; from the second
on every cycle is twice as long as the one before. After each the held-out rows of all folds are predicted under random
masks. When that gained less than ``TOLERANCE``, training ends. Every fold then keeps the networks of the cycle that did
best in the other four folds: its own rows have no part in the choice.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import batched_map
from jaxflow.information.choosing import chosen_losses, in_other_folds
from jaxflow.information.probe_inputs import columns_shown, drawn_masks, inputs, node_columns, seen
from jaxflow.information.probe_network import TOGETHER, WIDTH, Head, Weights, initial, outputs, surprise
from jaxflow.information.ranks import Ranking, normal_scores
from jaxflow.programs import REPEATED, compiled

BATCH, LEARNING_RATE, DECAY, ADAM = 256, 1e-2, 0.03, optax.scale_by_adam()
FIRST, MOST_CYCLES = 500, 8  # steps of the first cycle; all together have 32,250
TOLERANCE = 0.002  # bits a row
MASKS = 4  # random masks under which every held-out row is judged
UNTRAINED = 1e30  # bits lost by a cycle that was not trained


class Task(NamedTuple):
    """What is to be predicted, by which rows; shared by all layers.

    Attributes:
        message: class numbers ``[N]``, or numbers ``[N, d]``.
        given: columns that are never masked ``[N, g]``.
        prior: surprise of every fold's held-out rows by the classes of its training rows, in bits ``[F, B]``.
        train: row numbers of every fold, −1 at the end ``[F, R]``.
        test: held-out rows of every fold, −1 at the end ``[F, B]``.
        among: ranking by the training rows of every fold, and last by all rows.
        groups: the node of every column ``[c]``.
        members: nodes of every subset to predict by ``[T, n]``.
    """

    message: Any
    given: Any
    prior: Any
    train: Any
    test: Any
    among: Ranking
    groups: Any
    members: Any


class Lost(NamedTuple):
    """What a layer's probe loses on held-out rows, in bits.

    Attributes:
        by_row: by every subset, fold and held-out row of it ``[T, F, B]``, 0 where there are fewer.
        nothing: on all rows together without any node.
        gain: bits a row that the last cycle gained over the best before.
        cycles: that were trained.
    """

    by_row: Array
    nothing: Array
    gain: Array
    cycles: Array


class Fold(NamedTuple):
    """One fold's view of a task and a layer.

    Attributes:
        features: of the layer ``[N, c, 2]``.
        given: ``[N, g]``.
        message: ``[N]`` or ``[N, d]``.
        train: row numbers, −1 at the end.
        test: row numbers, −1 at the end.
        key: of its networks and batches.
    """

    features: Array
    given: Array
    message: Array
    train: Array
    test: Array
    key: Array


def cycle_lengths(cycles: int) -> list[int]:
    """Steps of every cycle: the second, half as long as the first, is enough where the first has learned everything.

    Example:
        >>> cycle_lengths(5)
        [500, 250, 500, 1000, 2000]
    """
    return [FIRST, *(FIRST * 2**cycle // 4 for cycle in range(1, cycles))][:cycles]


@compiled("head", "every_subset", alone=True, on_cpu=REPEATED)
def all_lost(
    layers: Float[Array, "S N c"], task: Task, key: Array, cycles: Array, *, head: Head, every_subset: bool
) -> Lost:
    """What the probe of every layer loses, fields ``[S, ...]``; all layers begin with the same networks.

    Args:
        layers: activations.
        task: shared by them.
        key: of the networks, masks and batches.
        cycles: most of them, at most ``MOST_CYCLES``.
        head: of the message.
        every_subset: whether the subsets are all 2ⁿ in the order of their bitmasks; then those that a smaller subset
            predicts better take its predictions, see ``chosen_losses``.
    """
    run = partial(layer_lost, head=head, every_subset=every_subset)
    return batched_map(run, layers, 4 * TOGETHER * WIDTH * 8 * task.test.size, task, key, cycles)


def layer_lost(
    x: Float[Array, "N c"], task: Task, key: Array, cycles: Array, *, head: Head, every_subset: bool
) -> Lost:
    """What the probe of one layer loses, see ``all_lost``."""
    view = seen(x, task.among)
    shows = node_columns(task.groups, view.shows, task.members.shape[1])
    folds = _folds(view.features, task, jax.random.fold_in(key, 0), head)
    inputs_that_vary = 2 * view.distinct.astype(x.dtype) + folds.given.shape[-1] / 2 + 1
    begin = jax.vmap(lambda fold: initial(fold.key, x.shape[1], fold.given.shape[-1], inputs_that_vary, head))(folds)
    networks, gain, trained = _trained(begin, folds, shows, jax.random.fold_in(key, 1), head, cycles)

    def by(mask: Array) -> Array:
        return _over_folds(partial(_held_out, masks=mask[None], head=head), (networks, folds))[:, 0]

    masks = jnp.pad(columns_shown(task.members, shows), ((0, 1), (0, 0)))  # the last: without nodes
    by_row = batched_map(by, masks, TOGETHER * WIDTH * 8 * task.test.size)
    nothing = _without_nodes(by_row[-1], folds, task, head)
    by_row = jnp.where(jnp.any(masks > 0, axis=1)[:-1, None, None], by_row[:-1], nothing[None])
    if every_subset:
        by_row = _best_of_smaller(by_row)
    return Lost(by_row, jnp.sum(nothing), gain, trained)


def _folds(features: Float[Array, "F N c 2"], task: Task, key: Array, head: Head) -> Fold:
    """Every fold's view; numbers, and what is given, are ranked by its training rows."""
    count = len(task.train)
    given = seen(task.given, task.among).features if task.given.shape[1] else jnp.zeros((count, *task.given.shape, 2))
    given = given.reshape(*given.shape[:2], -1)
    message = jnp.broadcast_to(task.message, (count, *task.message.shape))
    if not head.classes:
        message = jax.vmap(partial(normal_scores, among=task.among), in_axes=1, out_axes=2)(task.message)[:count]
    return Fold(features, given, message, task.train, task.test, jax.random.split(key, count))


def _without_nodes(probed: Float[Array, "F B"], folds: Fold, task: Task, head: Head) -> Float[Array, "F B"]:
    """The surprise of held-out rows where no node is known.

    Of classes it is that by their frequencies. Of numbers, and where numbers are given, the better of the probe and of
    what takes no training, so that a probe that knows too little without nodes does not flatter the nodes.
    """
    places = jnp.maximum(task.test, 0)
    if head.classes:
        simple = task.prior
    else:
        scores = jax.vmap(lambda message, rows: message[rows])(folds.message, places)
        normal = jnp.sum(scores**2 + math.log(2 * math.pi), axis=-1) / math.log(4)
        simple = jnp.where(task.test >= 0, normal, 0)
    if not _learns_nothing(folds, head):
        return simple
    return jnp.where(jnp.sum(probed) < jnp.sum(simple), probed, simple)


def _best_of_smaller(by_row: Float[Array, "T F B"]) -> Float[Array, "T F B"]:
    """The losses of all subsets, where a fold takes the predictions by a smaller subset if the other folds say so."""
    sums = jnp.sum(by_row, axis=2)[:, None, None]
    every = jnp.ones(len(by_row), bool)
    chosen = chosen_losses(sums, jnp.zeros_like(sums), every, "cross-entropy", True, by_row[:, None])[1]
    return by_row if chosen is None else chosen


def _over_folds(function: Any, items: Any) -> Any:
    """The function of every fold: one after the other where a core's cache holds one batch, else side by side."""
    return batched_map(function, items, 4 * TOGETHER * WIDTH * BATCH * 8)


def _trained(
    begin: Weights, folds: Fold, shows: Bool[Array, "n c"], key: Array, head: Head, cycles: Array
) -> tuple[Weights, Float[Array, ""], Int[Array, ""]]:
    """The networks of every fold, the gain of the last cycle in bits a row, and how many cycles there were."""
    lengths, count = jnp.asarray(cycle_lengths(MOST_CYCLES)), len(folds.train)
    rows = jnp.sum(folds.test >= 0)
    judge = drawn_masks(key, MASKS * folds.test.shape[1], shows, _learns_nothing(folds, head))
    judge = judge.reshape(MASKS, folds.test.shape[1], -1)

    def more(state: tuple) -> Array:
        cycle, _, _, _, gain = state
        return (cycle < cycles) & ((cycle < 2) | (gain > TOLERANCE))

    def train(state: tuple) -> tuple:
        cycle, learner, kept, lost, _ = state
        turn = partial(_cycle, number=cycle, length=lengths[cycle], shows=shows, head=head)
        networks, moments = _over_folds(turn, (learner, folds))
        judged = _over_folds(partial(_held_out, masks=judge, head=head), (networks, folds))
        own = jnp.sum(judged, axis=(1, 2)) / MASKS
        gain = (jnp.min(jnp.sum(lost, axis=1)) - jnp.sum(own)) / rows.astype(own.dtype)
        kept = jax.tree.map(lambda every, one: every.at[cycle].set(one), kept, networks)
        return cycle + 1, (networks, moments), kept, lost.at[cycle].set(own), gain

    kept = jax.tree.map(lambda leaf: jnp.zeros((MOST_CYCLES, *leaf.shape), leaf.dtype), begin)
    lost = jnp.full((MOST_CYCLES, count), UNTRAINED / count)
    learner = begin, jax.vmap(ADAM.init)(begin)
    state = jnp.asarray(0), learner, kept, lost, jnp.asarray(jnp.inf)
    trained, _, kept, lost, gain = jax.lax.while_loop(more, train, state)
    best = jnp.argmin(in_other_folds(lost), axis=0)
    chosen = jax.tree.map(lambda every: every[best, jnp.arange(count)], kept)
    return chosen, gain, trained


def _learns_nothing(fold: Fold, head: Head) -> bool:
    """Whether the networks must know what is known without any node: of numbers, and given something."""
    return not head.classes or fold.given.shape[-1] > 0


def _cycle(
    item: tuple[tuple[Weights, Any], Fold], number: Array, length: Array, shows: Bool[Array, "n c"], head: Head
) -> tuple[Weights, Any]:
    """One fold's networks, and AdamW's moments, after a cycle; every step draws rows and masks for all networks."""
    learner, fold = item
    available, key = jnp.sum(fold.train >= 0), jax.random.fold_in(fold.key, number)

    def loss(networks: Weights, x: Array, message: Array) -> Array:
        every = head.log_likelihood(outputs(networks, x), jnp.broadcast_to(message, (TOGETHER, *message.shape)))
        return -jnp.sum(jnp.mean(every, axis=1))

    def step(number: Array, learner: tuple[Weights, Any]) -> tuple[Weights, Any]:
        networks, moments = learner
        which, masks = jax.random.split(jax.random.fold_in(key, number))
        rows = fold.train[jax.random.randint(which, (BATCH,), 0, available)]
        mask = drawn_masks(masks, BATCH, shows, _learns_nothing(fold, head))
        x = inputs(fold.features[rows], mask, fold.given[rows])
        gradient = jax.grad(loss)(networks, x, fold.message[rows])
        with jax.numpy_dtype_promotion("standard"):  # Optax raises floats to the power of an integer
            update, moments = ADAM.update(gradient, moments)
        share = (number / length).astype(jnp.float32)
        rate = LEARNING_RATE * (1 + jnp.cos(math.pi * share)) / 2
        return jax.tree.map(lambda own, by: own - rate * (by + DECAY * own), networks, update), moments

    return jax.lax.fori_loop(0, length, step, learner)


def _held_out(item: tuple[Weights, Fold], masks: Float[Array, "M ... c"], head: Head) -> Float[Array, "M B"]:
    """The surprise in bits of one fold's held-out rows under every mask, 0 where there are fewer rows."""
    networks, fold = item
    rows = jnp.maximum(fold.test, 0)

    def one(mask: Array) -> Array:
        x = inputs(fold.features[rows], jnp.broadcast_to(mask, (len(rows), mask.shape[-1])), fold.given[rows])
        return jnp.where(fold.test >= 0, surprise(networks, x, fold.message[rows], head), 0)

    return jax.lax.map(one, masks)
