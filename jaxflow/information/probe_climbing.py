"""How a probe of a wide layer finds the company T in which a node V tells most of a message.

One probe has learned to predict by any subset. What it loses on held-out rows under T less what it loses under T ∪ V
estimates I(M; X_V | X_T). From a subset to one with a node more, or less, the first hidden layer changes by that node's
inputs alone, so that a step over all n nodes takes about as long as n small networks of fixed size.

Two sets are found for every V: one grows from nothing, node by node; one shrinks from all other nodes, by halves, so
that nodes which help only together are not missed. A set must beat another by √(2 ln n) standard errors, which the best
of n nodes that tell nothing does not. The rows that choose are not those that say whether anything was found.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import batched_map
from jaxflow.information.probe_fits import Learned, Task, learned, without_nodes
from jaxflow.information.probe_inputs import inputs, shown_of
from jaxflow.information.probe_network import TOGETHER, WIDTH, Head, Weights, mean_surprise, output, surprise
from jaxflow.information.probe_training import over_folds
from jaxflow.programs import REPEATED, compiled

PATIENCE = 2  # steps past a plateau
CERTAIN = 1.0  # standard errors that a flow must have on rows which did not choose its T
NO_COLUMN = -1


class Judges(NamedTuple):
    """Every fold's networks [F], and held-out rows that ask them.

    Attributes:
        networks: of the fold.
        features: of the rows, columns as they were learned ``[F, B, c, 3]``.
        nearest: the nearest column to each ``[F, c]``.
        given: ``[F, B, g]``.
        message: ``[F, B]`` or ``[F, B, d]``.
        nothing: surprise about the message where no node is known ``[F, B]``.
        counted: whether there is a row ``[F, B]``.
    """

    networks: Weights
    features: Array
    nearest: Array
    given: Array
    message: Array
    nothing: Array
    counted: Array


class Nodes(NamedTuple):
    """The nodes of a layer as the probe knows them.

    Attributes:
        shows: the columns of every node ``[n, c]``.
        moved: columns that are shown in another way when a node joins or leaves, its own and those to which they are
            nearest, ``NO_COLUMN`` where there are fewer ``[n, m]``.
        useful: nodes that are neither constant nor a copy of another such ``[n]``.
    """

    shows: Any
    moved: Any
    useful: Any


class Asked(NamedTuple):
    """Which of every fold's held-out rows do what.

    Attributes:
        nothing: the surprise of all where no node is known ``[F, R]``.
        choosing: places of those that choose T.
        deciding: places of those that say whether anything was found.
    """

    nothing: Array
    choosing: Any
    deciding: Any


class Found(NamedTuple):
    """What is found for a target V.

    Attributes:
        members: T ``[n]``.
        certain: whether the rows that did not choose T say that V tells something in its company.
    """

    members: Array
    certain: Array


@compiled("head", alone=True, on_cpu=REPEATED)
def taught(x: Float[Array, "N c"], task: Task, key: Array, cycles: Array, *, head: Head) -> tuple[Learned, Array]:
    """What is learned of a wide layer, and every fold's surprise ``[F, B]`` where no node is known."""
    own = learned(x, task, key, cycles, head=head)

    def probed(item: tuple) -> Array:
        networks, fold = item
        rows = jnp.maximum(fold.test, 0)
        mask = jnp.zeros((len(rows), x.shape[1]), x.dtype)
        shown = inputs(fold.features[rows], mask, fold.nearest, fold.given[rows])
        return jnp.where(fold.test >= 0, surprise(networks, shown, fold.message[rows], head), 0)

    unknown = over_folds(probed, (own.networks, own.folds))
    return own, without_nodes(unknown, own.folds, task, head)


@compiled("depth", "head", alone=True, on_cpu=REPEATED)
def best_sets(targets: Int[Array, " V"], own: Learned, asked: Asked, nodes: Nodes, *, depth: int, head: Head) -> Found:
    """What is found for every target ``[V, ...]``, in bounded memory.

    Args:
        targets: numbers of nodes.
        own: what was learned of the layer.
        asked: by which rows.
        nodes: of the layer.
        depth: most nodes of T.
        head: of the message.
    """
    choosing, deciding = (_judges(own, asked.nothing, places) for places in (asked.choosing, asked.deciding))
    margin = jnp.sqrt(2 * jnp.log(jnp.maximum(jnp.sum(nodes.useful), 2).astype(choosing.nothing.dtype)))

    def one(target: Array, choosing: Judges, deciding: Judges, nodes: Nodes, margin: Array) -> Found:
        own = nodes.shows[target].astype(jnp.int32)
        others = nodes.useful & (jnp.arange(len(nodes.useful)) != target)
        climb = _Climb(choosing, nodes, own, head)
        members, told = _grown(climb, others, depth, margin)
        smaller, told_by_smaller = _shrunk(climb, others & ~jnp.any(nodes.shows & (own > 0)[None], axis=1), depth)
        members = jnp.where(_exceeds(told_by_smaller - told, margin, choosing), smaller, members)
        confirmed = _Climb(deciding, nodes, own, head).differences(members)
        return Found(members, jnp.any(own > 0) & _exceeds(confirmed, CERTAIN, deciding))

    return batched_map(one, targets, len(nodes.useful) * _bytes_of(choosing), choosing, deciding, nodes, margin)


def _judges(own: Learned, nothing: Float[Array, "F R"], places: Int[Array, " B"]) -> Judges:
    """The networks with the held-out rows at these places."""
    rows = own.folds.test[:, places]
    taken = jnp.maximum(rows, 0)
    features, given, message = (
        jax.vmap(lambda all_rows, some: all_rows[some])(field, taken)
        for field in (own.folds.features, own.folds.given, own.folds.message)
    )
    return Judges(own.networks, features, own.folds.nearest, given, message, nothing[:, places], rows >= 0)


class _Climb(NamedTuple):
    """A target, and by what its sets are judged.

    Attributes:
        judges: with the rows.
        nodes: of the layer.
        own: 1 for the target's columns, else 0 ``[c]``.
        head: of the message.
    """

    judges: Judges
    nodes: Nodes
    own: Array
    head: Head

    def showing(self, members: Bool[Array, " n"]) -> Int[Array, " c"]:
        """How many nodes of T show each column."""
        return jnp.sum(members[:, None] & self.nodes.shows, axis=0, dtype=jnp.int32)

    def differences(self, members: Bool[Array, " n"]) -> Float[Array, "F B"]:
        """The surprise of every row under T, or under nothing if that is less, less that under T ∪ V.

        T ∪ V is likewise judged by its best among itself, V alone and the better of T and nothing: a T that was
        learned badly does not make V look better.
        """
        without, both, alone = (
            _losses(self.judges, count, self.head)
            for count in (self.showing(members), self.showing(members) + self.own, self.own)
        )
        known = _smaller(self.judges.nothing, without)
        return known - _smaller(known, _smaller(alone, both))

    def flows_changed(self, members: Bool[Array, " n"], asked: Bool[Array, " n"]) -> Float[Array, " n"]:
        """The sums of ``differences`` for T with, or without, each of the nodes that are asked for; 0 for others."""
        count, judges, head = self.showing(members), self.judges, self.head
        counts = jnp.stack([count, count + self.own])  # T, T ∪ V
        hidden = jax.vmap(lambda own: jax.vmap(partial(_first_hidden, shown=own > 0))(judges))(counts)
        nothing, alone = jnp.sum(judges.nothing), jnp.sum(_losses(judges, self.own, head))

        def flow(item: tuple[Array, Array, Array], counts: Array, hidden: Array, judges: Judges) -> Array:
            shows, moved, sign = item
            after = counts + (sign * shows)[None]
            losses = jax.vmap(lambda *own: jnp.sum(_changed(judges, moved, *own, head=head)))(hidden, counts, after)
            known = jnp.minimum(nothing, losses[0])
            return known - jnp.minimum(known, jnp.minimum(alone, losses[1]))

        def one(item: tuple[tuple[Array, Array, Array], Array], *shared: Any) -> Array:
            node, own = item  # the conditional skips the others where one runs after the other
            return jax.lax.cond(own, lambda: flow(node, *shared), lambda: jnp.zeros_like(nothing))

        signs = jnp.where(members, -1, 1)
        items = (self.nodes.shows.astype(jnp.int32), self.nodes.moved, signs), asked
        return batched_map(one, items, _bytes_of(judges), counts, hidden, judges)


def _grown(
    climb: _Climb, others: Bool[Array, " n"], depth: int, margin: Array
) -> tuple[Bool[Array, " n"], Float[Array, "F B"]]:
    """The set that grows from nothing, by the node that raises the flow most, until that gains too little.

    A few steps more are taken then: what tells nothing may do so in the company of the next.
    """

    def more(state: tuple) -> Array:
        members, _, _, since = state
        return (jnp.sum(members) < depth) & (since < PATIENCE) & jnp.any(others & ~members)

    def step(state: tuple) -> tuple:
        members, best, told, since = state
        asked = others & ~members
        flows = jnp.where(asked, climb.flows_changed(members, asked), -jnp.inf)
        members = members.at[jnp.argmax(flows)].set(True)
        now = climb.differences(members)
        better = _exceeds(now - told, margin, climb.judges)
        best, told = jnp.where(better, members, best), jnp.where(better, now, told)
        return members, best, told, jnp.where(better, 0, since + 1)

    nothing = jnp.zeros_like(others)
    state = nothing, nothing, climb.differences(nothing), 0
    return jax.lax.while_loop(more, step, state)[1:3]


def _shrunk(climb: _Climb, others: Bool[Array, " n"], depth: int) -> tuple[Bool[Array, " n"], Float[Array, "F B"]]:
    """The best of the sets that shrink from all other nodes; each keeps the half without which the flow is least."""

    def step(state: tuple) -> tuple:
        members, best, told = state
        now = climb.differences(members)
        better = (jnp.sum(members) <= depth) & (jnp.sum(now) >= jnp.sum(told))
        best, told = jnp.where(better, members, best), jnp.where(better, now, told)
        flows = jnp.where(members, climb.flows_changed(members, members), jnp.inf)
        place = jnp.argsort(jnp.argsort(flows))
        return place < jnp.sum(members) // 2, best, told

    nothing = jnp.zeros_like(others)
    state = others, nothing, climb.differences(nothing)
    return jax.lax.while_loop(lambda state: jnp.any(state[0]), step, state)[1:]


def _exceeds(gain: Float[Array, "F B"], margin: float | Array, judges: Judges) -> Array:
    """Whether the mean of the rows' gains is above so many of its standard errors."""
    count = jnp.sum(judges.counted).astype(gain.dtype)
    mean = jnp.sum(gain) / count
    variance = jnp.sum(jnp.where(judges.counted, gain - mean, 0) ** 2) / count
    return mean > margin * jnp.sqrt(variance / count)


def _smaller(first: Float[Array, "F B"], second: Float[Array, "F B"]) -> Float[Array, "F B"]:
    """What loses less of the two, the first among equals."""
    return jnp.where(jnp.sum(second) < jnp.sum(first), second, first)


def _bytes_of(judges: Judges) -> int:
    """What one set takes: the hidden units of all rows, for T and T ∪ V."""
    return 4 * 2 * 2 * TOGETHER * WIDTH * judges.counted.size


def _losses(judges: Judges, count: Int[Array, " c"], head: Head) -> Float[Array, "F B"]:
    """The surprise of every row under the columns that some node shows."""
    shown = count > 0
    told = jax.vmap(lambda own: _surprise(own, _first_hidden(own, shown), head))(judges)
    return jnp.where(jnp.any(shown), told, judges.nothing)


def _changed(
    judges: Judges, moved: Int[Array, " m"], hidden: Float[Array, "F E B w"], before: Array, after: Array, *, head: Head
) -> Float[Array, "F B"]:
    """The same after a node joined or left, from the hidden units before.

    Args:
        judges: with the rows.
        moved: the columns that are shown in another way.
        hidden: what came into the first hidden units.
        before: how many nodes showed each column ``[c]``.
        after: how many do so now.
        head: of the message.
    """
    real, places = moved != NO_COLUMN, jnp.maximum(moved, 0)

    def of_fold(own: Judges, hidden: Array) -> Array:
        features, nearest = own.features[:, places], own.nearest[places]
        masks = ((count > 0).astype(features.dtype) for count in (before, after))
        old, new = (
            shown_of(features, *(jnp.broadcast_to(mask[some], features.shape[:-1]) for some in (places, nearest)))
            for mask in masks
        )
        x = jnp.where(real[None, :, None], new - old, 0).reshape(len(features), -1)
        first = own.networks.weights[0][:, : 4 * own.features.shape[1]]
        first = first.reshape(TOGETHER, -1, 4, WIDTH)[:, places].reshape(TOGETHER, -1, WIDTH)
        return _surprise(own, hidden + jnp.einsum("bj,ejw->ebw", x, first), head)

    return jnp.where(jnp.any(after > 0), jax.vmap(of_fold)(judges, hidden), judges.nothing)


def _first_hidden(judges: Judges, shown: Bool[Array, " c"]) -> Float[Array, "E B w"]:
    """What comes into the first hidden units of one fold's networks under a mask."""
    mask = jnp.broadcast_to(shown.astype(judges.features.dtype), judges.features.shape[:-1])
    x = inputs(judges.features, mask, judges.nearest, judges.given)
    return jax.vmap(lambda weight, bias: x @ weight + bias[None])(judges.networks.weights[0], judges.networks.biases[0])


def _surprise(judges: Judges, hidden: Float[Array, "E B w"], head: Head) -> Float[Array, " B"]:
    """The surprise of one fold's rows from what comes into the first hidden units, 0 where there is no row."""
    rest = Weights(judges.networks.weights[1:], judges.networks.biases[1:])
    told = jax.vmap(output)(rest, jax.nn.gelu(hidden))
    message = jnp.broadcast_to(judges.message, (TOGETHER, *judges.message.shape))
    return jnp.where(judges.counted, mean_surprise(head.log_likelihood(told, message)), 0)
