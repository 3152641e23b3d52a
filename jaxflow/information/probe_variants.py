"""One probe for many variants of one layer, such as a network's output under many interventions.

Its networks share their weights. Every variant has gains and offsets of the hidden units for itself: a pruned network's
output is the intact one's, moved and bent. No subsets are learned: a variant is predicted by all its columns.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.batching import batched_map
from jaxflow.information.probe_fits import (
    Lost,
    Task,
    best_of_smaller,
    learns_nothing,
    views_of_folds,
    without_nodes,
)
from jaxflow.information.probe_inputs import inputs, residuals, two_ways
from jaxflow.information.probe_network import (
    TOGETHER,
    WIDTH,
    Head,
    Weights,
    for_variants,
    initial,
    log_likelihoods,
    surprise,
)
from jaxflow.information.probe_training import Fold, Lessons, drawn_rows, over_folds, trained
from jaxflow.information.ranks import COLUMN_BYTES, Ranking
from jaxflow.programs import REPEATED, compiled

ROWS, FEWEST = 256, 4  # of a step; of every variant in it
JUDGED = 4  # every fourth held-out row of a variant judges a cycle


@compiled("head", alone=True, on_cpu=REPEATED)
def variants_lost(
    layers: Float[Array, "S V N c"], among: Ranking, task: Task, key: Array, cycles: Array, *, head: Head
) -> Lost:
    """What the probe of every stack of variants loses, ``by_row [S, V, F, B]``; all begin with the same networks.

    Args:
        layers: activations of every variant.
        among: ranks their columns by all rows; the message has no part in that.
        task: shared by them; ``groups`` and ``members`` play no part.
        key: of the networks and batches.
        cycles: most of them.
        head: of the message.
    """
    item_bytes = 4 * TOGETHER * WIDTH * 8 * task.test.size
    return batched_map(partial(_lost, head=head), layers, item_bytes, among, task, key, cycles)


def _lost(layer: Float[Array, "V N c"], among: Ranking, task: Task, key: Array, cycles: Array, *, head: Head) -> Lost:
    """What the probe of one layer's variants loses; the last that it learns is none, where no column is known."""
    features = _features(layer, among)
    none = jnp.zeros((len(task.train), 0, layer.shape[2], 3), layer.dtype)  # the folds share the features
    folds = views_of_folds(none, jnp.arange(layer.shape[2]), task, jax.random.fold_in(key, 0), head)
    if learns_nothing(folds, head):
        features = jnp.pad(features, ((0, 1), (0, 0), (0, 0), (0, 0)))
    columns, given = layer.shape[2], folds.given.shape[-1]
    fan_in = jnp.asarray(2 * columns + given / 2 + 1, layer.dtype)
    begin = jax.vmap(lambda fold: initial(fold.key, columns, given, fan_in, head))(folds)
    begin = jax.vmap(partial(for_variants, variants=len(features)))(begin)
    networks, gain = trained(begin, folds, _lessons(features, head), cycles)
    told = over_folds(partial(_held_out, features=features, head=head, every=1), (networks, folds))
    by_row = jnp.swapaxes(told, 0, 1)
    nothing = without_nodes(by_row[-1], folds, task, head)
    constant = jnp.all(features[: len(layer)] == 0, axis=(1, 2, 3))
    by_row = jnp.where(constant[:, None, None], nothing[None], by_row[: len(layer)])
    chosen = jax.vmap(lambda own: best_of_smaller(jnp.stack([nothing, own]))[1])(by_row)
    return Lost(chosen, jnp.sum(nothing), gain)


def _features(layer: Float[Array, "V N c"], among: Ranking) -> Float[Array, "V N c 3"]:
    """Standardised values and normal scores of every variant's columns."""
    variants, rows, count = layer.shape
    columns = jnp.swapaxes(layer, 1, 2).reshape(-1, rows)
    values, scores = batched_map(partial(two_ways, among=among), columns, COLUMN_BYTES * rows)
    left = jax.lax.map(lambda own: residuals(own.T)[0], layer).reshape(-1, rows)
    every = jnp.stack([values[:, 0], scores[:, 0], left], axis=-1).reshape(variants, count, rows, 3)
    return jnp.swapaxes(every, 1, 2)


def _of_each(variants: int) -> int:
    """Rows of every variant in a step."""
    return max(FEWEST, ROWS // variants)


def _lessons(features: Float[Array, "V N c 3"], head: Head) -> Lessons:
    """Every step takes as many rows of each variant."""
    variants, each = len(features), _of_each(len(features))

    def loss(networks: Weights, fold: Fold, key: Array) -> Array:
        rows = drawn_rows(key, fold, variants, each)
        x, message = _shown(features, fold, rows)
        return -jnp.sum(jnp.mean(log_likelihoods(networks, x, message, head), axis=1))

    def judged(networks: Weights, fold: Fold) -> Array:
        told = _held_out((networks, fold), features, head, JUDGED)
        return jnp.sum(told, axis=(0, 1)) / variants * JUDGED

    return Lessons(loss, judged, head.pace)


def _shown(features: Float[Array, "V N c 3"], fold: Fold, rows: Array) -> tuple[Array, Array]:
    """The inputs and messages of some rows ``[V, k]`` of every variant, one variant after the other."""
    own = jnp.take_along_axis(features, rows[:, :, None, None], axis=1)
    mask = jnp.ones(own.shape[:-1])
    x = inputs(own, mask, fold.nearest, fold.given[rows])
    message = fold.message[rows]
    return x.reshape(-1, x.shape[-1]), message.reshape(-1, *message.shape[2:])


def _held_out(
    item: tuple[Weights, Fold], features: Float[Array, "V N c 3"], head: Head, every: int
) -> Float[Array, "V B"]:
    """The surprise in bits of one fold's held-out rows in every variant, of every so many rows only."""
    networks, fold = item
    variants, each = len(features), _of_each(len(features))
    taken = fold.test[::every]
    count = len(taken)
    blocks = jnp.pad(taken, (0, -count % each), constant_values=-1).reshape(-1, each)

    def one(rows: Array) -> Array:
        x, message = _shown(features, fold, jnp.broadcast_to(jnp.maximum(rows, 0), (variants, each)))
        told = surprise(networks, x, message, head).reshape(variants, each)
        return jnp.where(rows[None] >= 0, told, 0)

    told = jax.lax.map(one, blocks)  # [blocks, V, each]
    return jnp.swapaxes(told, 0, 1).reshape(variants, -1)[:, :count]
