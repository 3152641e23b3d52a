"""Interventions: flows → scores → selection (a mask pytree) → pruned parameters (Venkatesh et al. 2021, §3.2).

Layers of different widths share one array, padded to the widest layer with scores of −∞, so that nodes, edges and
paths of the whole network are ranked together.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.arrays import as_finite_array, as_real_array
from jaxflow.errors import InputError, shown
from jaxflow.networks import Params, kernels
from jaxflow.values import whole

PAPER_METRICS = ("bias/acc", "acc/bias", "random")
METRICS = (*PAPER_METRICS, "magnitude")
METHODS = ("node", "edge", "path")
MOST_LEVEL = 10**6  # of paths, which are ranked one by one
Kernels: TypeAlias = Sequence[Float[Array, "_ _"]]
Flows: TypeAlias = Sequence[Float[Array, " _"]]


class Strategy(NamedTuple):
    """What to prune: the top ``level`` nodes, edges or paths (``method``) under a ``metric``.

    A plain ``("bias/acc", "node", 1)`` will do wherever strategies are asked for.
    """

    metric: str
    method: str
    level: int


class Scores(NamedTuple):
    """Scores of nodes ``[L, W]`` or edges ``[L, W, W]``, −∞ where there is none, and what decides between equals."""

    score: Array
    tie: Array


def checked_strategy(value: Any) -> Strategy:
    """A strategy from one, or from a plain tuple or list (metric, method, level).

    Raises:
        InputError: another type, unknown metric or method, or a level that is no integer from 1 on.
    """
    if not isinstance(value, (tuple, list)) or len(value) != len(Strategy._fields):
        raise InputError(f"a strategy is (metric, method, level), such as ('bias/acc', 'node', 2), not {shown(value)}")
    metric, method, level = value
    if not (isinstance(metric, str) and isinstance(method, str) and metric in METRICS and method in METHODS):
        names = f"metrics: {', '.join(METRICS)}; methods: {', '.join(METHODS)}"
        raise InputError(f"unknown strategy {shown(metric)}, {shown(method)}; {names}")
    return Strategy(str(metric), str(method), whole(f"the level of {metric}, {method}", level, 1, MOST_LEVEL))


def check_strategies(strategies: Sequence[Strategy], widths: Sequence[int]) -> None:
    """Refuse what cannot be selected in a network of these layer widths, input and output included.

    Raises:
        InputError: unknown metric or method, a level below 1 or above the number of nodes, edges or paths.
    """
    available = {
        "node": sum(widths[:-1]),
        "edge": sum(n * m for n, m in pairwise(widths)),
        "path": math.prod(widths),
    }
    for _, method, level in map(checked_strategy, strategies):
        if level > available[method]:
            raise InputError(f"cannot prune {level} {method}s: the network has {available[method]}, choose 1 to that")


def flow_ratio(
    numerator: Float[Array, "*batch"], denominator: Float[Array, "*batch"], samples: int
) -> Float[Array, "*batch"]:
    """F_a / max(F_b, ε), ε = 1/(2N ln 2) bits: the expected Gaussian information of one independent variable.

    Finite, and 0/0 = 0.
    """
    return numerator / jnp.maximum(denominator, 1 / (2 * samples * math.log(2)))


def flow_scores(method: str, numerator: Flows, denominator: Flows, weights: Kernels, samples: int) -> Scores:
    """F_a/F_b of every node, or |w|·F_a/F_b of every edge with its source node's flows; ties to the larger numerator.

    Args:
        method: ``node``, ``edge`` or ``path`` (whose scores are those of its edges).
        numerator: F_a of the nodes of every layer but the output.
        denominator: F_b of the same nodes.
        weights: kernels ``[n, m]``, source → target.
        samples: N of the flows' estimate.
    """
    ratios = [flow_ratio(a, b, samples) for a, b in zip(numerator, denominator, strict=True)]
    if method == "node":
        return _padded(ratios, numerator, weights)
    weighted = [
        [jnp.abs(w) * v[:, None] for w, v in zip(weights, values, strict=True)] for values in (ratios, numerator)
    ]
    return _padded(weighted[0], weighted[1], weights)


def random_scores(key: Array, method: str, weights: Kernels) -> Scores:
    """The control: i.i.d. uniform scores, one draw for each method; random paths are the widest under theirs."""
    key = jax.random.fold_in(key, METHODS.index(method))
    shapes = [w.shape[:1] if method == "node" else w.shape for w in weights]
    scores = [jax.random.uniform(jax.random.fold_in(key, layer), shape) for layer, shape in enumerate(shapes)]
    return _padded(scores, scores, weights)


def magnitude_scores(method: str, weights: Kernels) -> Scores:
    """The control that knows no flow: |w| of every edge, Σ|w| over the edges out of every node."""
    sizes = [jnp.abs(w) for w in weights]
    scores = [jnp.sum(size, axis=1) for size in sizes] if method == "node" else sizes
    return _padded(scores, scores, weights)


def _padded(scores: Sequence[Array], ties: Sequence[Array], weights: Kernels) -> Scores:
    """All layers in one array as wide as the widest of them."""
    width = max(max(w.shape) for w in weights)

    def stacked(arrays: Sequence[Array]) -> Array:
        padded = (jnp.pad(a, [(0, width - n) for n in a.shape], constant_values=-jnp.inf) for a in arrays)
        return jnp.stack(list(padded))

    return Scores(stacked(scores), stacked(ties))


def edge_ranks(method: str, scores: Scores, inputs: int, most: int) -> Int[Array, "L W W"]:
    """Rank of every edge under a method: the top ``level`` of it are the edges whose rank is below ``level``.

    An edge has the rank of its source node (``node``), its own (``edge``), or that of the first path through it
    (``path``: paths beyond the first ``most`` are not ranked). Equal scores go by the larger tie value, then by index.
    """
    if method == "path":
        paths = widest_paths(scores.score, inputs, most)
        layers = jnp.arange(paths.shape[1] - 1)
        ranks = jnp.full(scores.score.shape, most)
        return ranks.at[layers, paths[:, :-1], paths[:, 1:]].min(jnp.arange(most)[:, None])
    order = jnp.lexsort((-scores.tie.ravel(), -scores.score.ravel()))
    ranks = jnp.zeros_like(order).at[order].set(jnp.arange(order.size)).reshape(scores.score.shape)
    if method == "edge":
        return ranks
    return jnp.broadcast_to(ranks[:, :, None], (*ranks.shape, ranks.shape[1]))


def widest_paths(edge: Float[Array, "L W W"], inputs: int, count: int) -> Int[Array, "count nodes"]:
    """The ``count`` widest paths from input to output, each as its nodes, layer by layer.

    A path is as wide as its smallest edge score (Venkatesh et al. 2021, eq. 9); ties, which every shared bottleneck
    makes, go to the larger second smallest, and so on; what is equal throughout to the lower nodes, read from the
    output. Appending an edge preserves this order of the ascending scores, so keeping the ``count`` best paths into
    every node is exact.

    Args:
        edge: scores of the edges, −∞ where there is none.
        inputs: nodes of the first layer.
        count: at most the number of paths.
    """
    layers, width, _ = edge.shape
    # paths into every node: ascending scores, padded with +∞ on the right, and nodes; before layer 0 one path each
    scores = jnp.full((width, count, layers), jnp.inf, edge.dtype)
    real = (jnp.arange(width)[:, None] < inputs) & (jnp.arange(count)[None] == 0)
    scores = scores.at[:, :, 0].set(jnp.where(real, jnp.inf, -jnp.inf))
    nodes = jnp.zeros((width, count, layers + 1), jnp.int32).at[:, :, 0].set(jnp.arange(width)[:, None])

    def extend(paths: tuple[Array, Array], layer: Array) -> tuple[tuple[Array, Array], None]:
        scores, nodes = paths

        def into(target: Array) -> tuple[Array, Array]:
            last = jnp.broadcast_to(edge[layer, :, target][:, None, None], (width, count, 1))
            candidates = jnp.sort(jnp.concatenate([scores, last], axis=-1), axis=-1)[:, :, :layers].reshape(-1, layers)
            chosen = _lexicographically_largest(candidates, count)
            return candidates[chosen], nodes.reshape(-1, layers + 1)[chosen].at[:, layer + 1].set(target)

        return jax.vmap(into)(jnp.arange(width)), None

    (scores, nodes), _ = jax.lax.scan(extend, (scores, nodes), jnp.arange(layers))
    best = _lexicographically_largest(scores.reshape(-1, layers), count)
    return nodes.reshape(-1, layers + 1)[best]


def _lexicographically_largest(rows: Float[Array, "rows columns"], count: int) -> Int[Array, " count"]:
    """Indices of the ``count`` largest rows, compared column by column; among equals the first.

    One by one, by narrowing the rows still alive: for a few paths that is twice as fast as a lexicographic sort.
    """

    def narrowed(alive: Array, column: Array) -> tuple[Array, None]:
        return alive & (column == jnp.max(column, where=alive, initial=-jnp.inf)), None

    def take(left: Array, _: None) -> tuple[Array, Array]:
        best = jnp.argmax(jax.lax.scan(narrowed, left, rows.T)[0])
        return left.at[best].set(False), best

    left = jnp.ones(len(rows), bool)
    return jax.lax.scan(take, left, None, length=count)[1]


def select(params: Params, ranks: Int[Array, "L W W"], level: int | Array) -> Params:
    """The selection: a mask pytree like ``params``, true for the kernel entries of rank below ``level``.

    Biases and embeddings are never selected.
    """
    selection = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, bool), params)
    for layer, kernel in enumerate(kernels(params)):
        n, m = kernel.shape
        selection[f"layer_{layer}"]["kernel"] = ranks[layer, :n, :m] < level
    return selection


def prune(params: Params, selection: Params, factor: ArrayLike) -> Params:
    """Multiply the selected weights of a network by a factor: soft pruning of Venkatesh et al. 2021, §3.2.

    w → factor · w where selected: 1 leaves the weights, 0 removes them, negative factors turn them round. ``params``
    stays as it is. Pure, so that it maps over factors, selections or networks with ``jax.vmap``.

    Args:
        params: parameters of one network.
        selection: a pytree of masks like ``params``, booleans of the same shapes; ``select`` makes one.
        factor: one number.

    Returns:
        Parameters like ``params``.

    Raises:
        InputError: a selection of another structure, shape or type, a factor that is not one finite number.

    Example:
        >>> params, selection = {"kernel": jnp.ones((2, 2))}, {"kernel": jnp.eye(2, dtype=bool)}
        >>> prune(params, selection, 0)["kernel"].tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if jax.tree.structure(params) != jax.tree.structure(selection):
        raise InputError("the selection must be a pytree of the same structure as the parameters")
    number = as_finite_array("factor", factor)
    if number.ndim:
        raise InputError(f"the factor must be one number, got shape {number.shape}; jax.vmap over prune takes many")
    for w, chosen in zip(jax.tree.leaves(params), jax.tree.leaves(selection), strict=True):
        shape, mask = as_real_array("parameters", w).shape, as_real_array("selection", chosen)
        if mask.dtype != bool or mask.shape != shape:
            raise InputError(f"the selection must be bool {shape} like the parameters, not {mask.dtype} {mask.shape}")
    return jax.tree.map(
        lambda w, chosen: jnp.where(chosen, number.astype(jnp.result_type(w)) * w, w), params, selection
    )
