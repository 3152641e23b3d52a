"""One probe for all subsets of a layer: what it learns by, and what it loses on held-out rows under every mask."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import batched_map
from jaxflow.information.choosing import chosen_losses
from jaxflow.information.probe_inputs import columns_shown, drawn_masks, inputs, node_columns, seen
from jaxflow.information.probe_network import TOGETHER, WIDTH, Head, Weights, initial, log_likelihoods, surprise
from jaxflow.information.probe_training import BATCH, Fold, Lessons, drawn_rows, over_folds, trained
from jaxflow.information.ranks import Ranking, normal_scores
from jaxflow.programs import REPEATED, compiled

HIGHEST = jax.lax.Precision.HIGHEST
DETERMINED = 1e-4  # of the largest variance: less is not told apart from none
MASKS = 4  # random masks under which every held-out row is judged


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
    """

    by_row: Array
    nothing: Array
    gain: Array


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


class Learned(NamedTuple):
    """What is learned of one layer.

    Attributes:
        networks: of every fold.
        folds: what they were trained on.
        shows: the columns of ``folds`` that every node shows ``[n, c]``.
        gain: bits a row that the last cycle gained over the best before.
    """

    networks: Weights
    folds: Fold
    shows: Array
    gain: Array


def learned(x: Float[Array, "N c"], task: Task, key: Array, cycles: Array, *, head: Head) -> Learned:
    """The networks of all folds, trained on random subsets of a layer's nodes; for the arguments see ``all_lost``."""
    view = seen(x, task.among)
    shows = node_columns(task.groups, view.shows, task.members.shape[1])
    folds = views_of_folds(view.features, view.nearest, task, jax.random.fold_in(key, 0), head)
    inputs_that_vary = 2 * view.distinct.astype(x.dtype) + folds.given.shape[-1] / 2 + 1
    begin = jax.vmap(lambda fold: initial(fold.key, x.shape[1], fold.given.shape[-1], inputs_that_vary, head))(folds)
    networks, gain = trained(begin, folds, _lessons(folds, shows, jax.random.fold_in(key, 1), head), cycles)
    return Learned(networks, folds, shows, gain)


def layer_lost(
    x: Float[Array, "N c"], task: Task, key: Array, cycles: Array, *, head: Head, every_subset: bool
) -> Lost:
    """What the probe of one layer loses, see ``all_lost``."""
    networks, folds, shows, gain = learned(x, task, key, cycles, head=head)

    def by(mask: Array) -> Array:
        return over_folds(partial(_held_out, masks=mask[None], head=head), (networks, folds))[:, 0]

    masks = jnp.pad(columns_shown(task.members, shows), ((0, 1), (0, 0)))  # the last: without nodes
    by_row = batched_map(by, masks, TOGETHER * WIDTH * 8 * task.test.size)
    nothing = without_nodes(by_row[-1], folds, task, head)
    by_row = jnp.where(jnp.any(masks > 0, axis=1)[:-1, None, None], by_row[:-1], nothing[None])
    if every_subset:
        by_row = best_of_smaller(by_row)
    return Lost(by_row, jnp.sum(nothing), gain)


def views_of_folds(
    features: Float[Array, "F N c 3"], nearest: Int[Array, " c"], task: Task, key: Array, head: Head
) -> Fold:
    """Every fold's view; numbers, and what is given, are ranked by its training rows."""
    count = len(task.train)
    given = seen(task.given, task.among).features if task.given.shape[1] else jnp.zeros((count, *task.given.shape, 3))
    given = given.reshape(*given.shape[:2], -1)
    message = jnp.broadcast_to(task.message, (count, *task.message.shape))
    if not head.classes:
        scores = jax.vmap(partial(normal_scores, among=task.among), in_axes=1, out_axes=2)(task.message)[:count]
        message = jax.vmap(_uncorrelated)(scores, task.among.counted[:count, : scores.shape[1]])
    nearest = jnp.broadcast_to(nearest, (count, len(nearest)))
    return Fold(features, nearest, given, message, task.train, task.test, jax.random.split(key, count))


def _uncorrelated(scores: Float[Array, "N d"], counted: Float[Array, " N"]) -> Float[Array, "N d"]:
    """The numbers of a message turned and scaled, so that they are uncorrelated, of variance 1, on the counted rows.

    An invertible map, which changes no information. Without it a density of independent parts would know less of
    correlated numbers where no node is known than where some are, and the difference would exceed the information.
    """
    centred = scores - (counted @ scores)[None] / jnp.sum(counted)
    weighted = centred * counted[:, None]
    covariance = jnp.matmul(weighted.T, centred, precision=HIGHEST) / jnp.sum(counted)
    variances, directions = jnp.linalg.eigh(covariance)
    scale = jnp.sqrt(jnp.maximum(variances, DETERMINED * variances[-1]))
    turned = jnp.matmul(directions / scale[None], directions.T, precision=HIGHEST)
    return jnp.matmul(centred, turned, precision=HIGHEST)


def without_nodes(probed: Float[Array, "F B"], folds: Fold, task: Task, head: Head) -> Float[Array, "F B"]:
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
    if not learns_nothing(folds, head):
        return simple
    return jnp.where(jnp.sum(probed) < jnp.sum(simple), probed, simple)


def best_of_smaller(by_row: Float[Array, "T F B"]) -> Float[Array, "T F B"]:
    """The losses of all subsets, where a fold takes the predictions by a smaller subset if the other folds say so."""
    sums = jnp.sum(by_row, axis=2)[:, None, None]
    every = jnp.ones(len(by_row), bool)
    chosen = chosen_losses(sums, jnp.zeros_like(sums), every, "cross-entropy", True, by_row[:, None])[1]
    return by_row if chosen is None else chosen


def learns_nothing(fold: Fold, head: Head) -> bool:
    """Whether the networks must know what is known without any node: of numbers, and given something."""
    return not head.classes or fold.given.shape[-1] > 0


def _lessons(folds: Fold, shows: Array, key: Array, head: Head) -> Lessons:
    """Every row comes with a random mask; held-out rows are judged under a few that stay the same."""
    with_none, rows = learns_nothing(folds, head), folds.test.shape[1]
    judge = drawn_masks(key, MASKS * rows, shows, with_none).reshape(MASKS, rows, -1)

    def loss(networks: Weights, fold: Fold, key: Array) -> Array:
        which, masks = jax.random.split(key)
        rows = drawn_rows(which, fold, BATCH)
        mask = drawn_masks(masks, BATCH, shows, with_none)
        x = inputs(fold.features[rows], mask, fold.nearest, fold.given[rows])
        return -jnp.sum(jnp.mean(log_likelihoods(networks, x, fold.message[rows], head), axis=1))

    def judged(networks: Weights, fold: Fold) -> Array:
        return jnp.sum(_held_out((networks, fold), judge, head), axis=(0, 1)) / MASKS

    return Lessons(loss, judged, head.pace)


def _held_out(item: tuple[Weights, Fold], masks: Float[Array, "M ... c"], head: Head) -> Float[Array, "M B"]:
    """The surprise in bits of one fold's held-out rows under every mask, 0 where there are fewer rows."""
    networks, fold = item
    rows = jnp.maximum(fold.test, 0)

    def one(mask: Array) -> Array:
        shown = jnp.broadcast_to(mask, (len(rows), mask.shape[-1]))
        x = inputs(fold.features[rows], shown, fold.nearest, fold.given[rows])
        return jnp.where(fold.test >= 0, surprise(networks, x, fold.message[rows], head), 0)

    return jax.lax.map(one, masks)
