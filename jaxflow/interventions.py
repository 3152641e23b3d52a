"""Interventions: flows → scores → ranks of edges → selection (a mask pytree) → pruned parameters of one network.

Venkatesh et al. 2021, §3.2. Layers of different widths share one array, padded to the widest layer with scores of −∞,
so that nodes, edges and paths of the whole network are ranked together.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.arrays import as_finite_array, as_key, as_real_array
from jaxflow.batching import is_traced
from jaxflow.errors import InputError, alternatives, counted, shown
from jaxflow.flows import Flows
from jaxflow.metrics import METHODS, METRICS, NODE_METRICS, PAPER_METRICS, Metric, Padded, Rows, Shown, looked_at
from jaxflow.metrics.known import checked_metric, metric_title, padded_scores
from jaxflow.networks.contract import SEVERAL, Network, Params
from jaxflow.networks.leaves import is_floating
from jaxflow.paths import widest_paths
from jaxflow.values import choice, whole

__all__ = ["METHODS", "METRICS", "PAPER_METRICS", "Strategy", "prune", "rank", "select"]

MOST_LEVEL = 10**6  # of paths, which are ranked one by one
MOST_PATHS = 100  # that ``rank`` ranks unless told otherwise
UNRANKED = 2**30  # above every level; the rank of edges on no ranked path is that much more than paths are ranked


class Strategy(NamedTuple):
    """What to prune: the top ``level`` nodes, edges or paths (``method``) under a ``metric``, a name or a function.

    A plain ``("bias/acc", "node", 1)`` will do wherever strategies are asked for.
    """

    metric: str | Metric
    method: str
    level: int


def checked_strategy(value: Any, functions: bool = False) -> Strategy:
    """A strategy from one, or from a plain tuple or list (metric, method, level).

    Args:
        value: what was given.
        functions: whether the metric may be a function; a config, which is kept as JSON, takes names alone.

    Raises:
        InputError: another type, unknown metric or method, or a level that is no integer from 1 on.
    """
    if not isinstance(value, (tuple, list)) or len(value) != len(Strategy._fields):
        raise InputError(f"a strategy is (metric, method, level), such as ('bias/acc', 'node', 2), not {shown(value)}")
    metric, method, level = value
    known = metric in METRICS if isinstance(metric, str) else functions and callable(metric)
    if not (known and isinstance(method, str) and method in METHODS):
        names = f"metrics: {alternatives(metric, METRICS)}; methods: {alternatives(method, METHODS)}"
        raise InputError(f"unknown strategy {shown(metric)}, {shown(method)}; {names}")
    if metric in NODE_METRICS and method != "node":
        raise InputError(f"the metric {metric} scores nodes alone, not what {method} needs")
    name = metric_title(metric)
    metric = str(metric) if isinstance(metric, str) else checked_metric(metric)
    return Strategy(metric, str(method), whole(f"the level of {name}, {method}", level, 1, MOST_LEVEL))


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
    for _, method, level in (checked_strategy(strategy, functions=True) for strategy in strategies):
        if level > available[method]:
            most = available[method]
            raise InputError(f"cannot prune {counted(level, method)}: the network has {most}, choose 1 to that")


def rank(
    network: Network,
    params: Params,
    flows: Flows,
    metric: str | Metric = "bias/acc",
    method: str = "node",
    *,
    keep: str = "y",
    remove: str = "z",
    key: Array | None = None,
    most: int | None = None,
    x: ArrayLike | None = None,
    messages: Mapping[str, Any] | None = None,
    given: Any = None,
) -> Int[Array, "L W W"]:
    """Rank of every edge of a network under a metric: pruning at ``level`` takes the edges of rank below it.

    An edge has the rank of its source node (``node``: a pruned node loses all edges that leave it), its own (``edge``),
    or that of the first path through it (``path``: a path is as wide as its smallest edge score, eq. 9 of Venkatesh et
    al. 2021). Equal scores go by the metric's tie value, then by index.

    Args:
        network: the network.
        params: of one network; ``map_networks`` or ``jax.vmap`` take many.
        flows: what ``network_flows`` gave, from the first analysed layer on.
        metric: a name in ``jaxflow.metrics.METRICS``, or a function ``Shown → Scores``.
        method: ``node``, ``edge`` or ``path``.
        keep: the message whose flow shall stay.
        remove: the message whose flow shall go.
        key: for random metrics, of this network alone.
        most: paths to rank; by default all of them, or the 100 widest where there are more.
        x: features ``[N, d]`` of rows that metrics such as ``gradient`` or ``removal`` look at.
        messages: of those rows, by name.
        given: what the message to remove is conditioned on there.

    Returns:
        Ranks int32 ``[L, W, W]`` of the L weight layers from the first analysed one on, W the widest layer. What is not
        ranked (edges on no ranked path) has the rank 2³⁰ + the number of ranked paths; what is no edge has any.

    Raises:
        InputError: an unknown metric, method or message, flows that do not fit the network, a metric without scores of
            what is to be ranked, or without the key that it needs.

    Example:
        >>> from jaxflow import mlp
        >>> network = mlp(hidden=(), outputs=1)
        >>> params = {"layer_0": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
        >>> flows = Flows({"y": {0: jnp.array([0.5, 0.5])}, "z": {0: jnp.array([0.1, 0.4])}}, samples=100)
        >>> rank(network, params, flows)[0, :, 0].tolist()  # the second node is the first to be pruned
        [1, 0]
    """
    own = analysed_weights(network.weights(params), flows, (keep, remove))
    choice("method", method, METHODS)
    paths = math.prod((own[0].shape[0], *(w.shape[1] for w in own)))
    count = (
        min(paths, MOST_PATHS) if most is None else whole("most, the paths to rank,", most, 1, min(paths, MOST_LEVEL))
    )
    rows = None if x is None else looked_at(network, params, x, messages, (keep, remove, given), len(own))
    about = {"keep": keep, "remove": remove, "key": key, "rows": rows}
    return strategy_ranks(own, flows, (Strategy(metric, method, count),), **about)[0]


def analysed_weights(weights: Sequence[Array], flows: Flows, messages: Sequence[str]) -> Sequence[Array]:
    """The weights from the first analysed layer on, after a look at whether the flows are of this network.

    Args:
        weights: of one network, all layers.
        flows: what ``network_flows`` gave.
        messages: names of those that will be asked for.

    Raises:
        InputError: flows about other messages or of another network.
    """
    for name in messages:
        if name not in flows.node:
            hint = alternatives(name, flows.node) if flows.node else "there are none at all"
            raise InputError(f"there are no flows about {shown(name)}; {hint}")
        own = flows.node[name]
        layers = range(min(own, default=len(weights)), len(weights))
        sizes = [jnp.shape(own[layer]) for layer in layers if layer in own]
        if not sizes or sizes != [w.shape[:1] for w in weights[layers.start :]]:
            if any(w.ndim > 2 for w in weights) or any(len(size) > 1 for size in sizes):
                raise InputError(SEVERAL)
            raise InputError(
                f"the flows about {name} are not of one network's layers as they lie between these weights"
            )
    return weights[min(flows.node[messages[0]]) :]


def strategy_ranks(
    weights: Sequence[Float[Array, "_ _"]],
    flows: Flows,
    strategies: Sequence[Strategy],
    *,
    keep: str = "y",
    remove: str = "z",
    key: Array | None = None,
    rows: Rows | None = None,
) -> Int[Array, "K L W W"]:
    """Ranks of the edges under many strategies, those of one metric and method from one ranking.

    Args:
        weights: of one network, from the first analysed layer on.
        flows: of the same layers.
        strategies: what to rank by; the highest level of a method says how many paths are ranked.
        keep: the message whose flow shall stay.
        remove: the message whose flow shall go.
        key: for the random metric.
        rows: the network on rows, for metrics that look at more than flows.

    Raises:
        InputError: a metric that is unknown, that has no scores of what is to be ranked or needs a key.
    """
    layers, random = sorted(flows.node[remove])[: len(weights)], None if key is None else as_key(key)
    about = {name: [flows.node[name][layer] for layer in layers] for name in (keep, remove)}
    ranks = {}
    for method in dict.fromkeys(strategy.method for strategy in strategies):
        show = Shown(about[keep], about[remove], list(weights), random, flows.samples, method, rows)
        metrics = list(dict.fromkeys(strategy.metric for strategy in strategies if strategy.method == method))
        most = max(strategy.level for strategy in strategies if strategy.method == method)
        scores = [padded_scores(metric, show) for metric in metrics]
        stacked = jax.tree.map(lambda *fields: jnp.stack(fields), *scores)
        ranked = jax.vmap(partial(edge_ranks, method, inputs=weights[0].shape[0], most=most))(stacked)
        ranks |= {(metric, method): own for metric, own in zip(metrics, ranked, strict=True)}
    return jnp.stack([ranks[strategy.metric, strategy.method] for strategy in strategies])


@partial(jax.jit, static_argnames=("method", "inputs", "most"), inline=True)
def edge_ranks(method: str, scores: Padded, inputs: int, most: int) -> Int[Array, "L W W"]:
    """Rank of every edge under a method: the top ``level`` of it are the edges whose rank is below ``level``.

    An edge has the rank of its source node (``node``), its own (``edge``), or that of the first path through it
    (``path``: paths beyond the first ``most`` are not ranked). Equal scores go by the larger tie value, then by index.
    """
    if method == "path":
        paths = widest_paths(scores.score, inputs, most)
        layers = jnp.arange(paths.shape[1] - 1)
        ranks = jnp.full(scores.score.shape, UNRANKED + most)
        return ranks.at[layers, paths[:, :-1], paths[:, 1:]].min(jnp.arange(most)[:, None])
    order = jnp.lexsort((-scores.tie.ravel(), -scores.score.ravel()))
    ranks = jnp.zeros_like(order).at[order].set(jnp.arange(order.size)).reshape(scores.score.shape)
    if method == "edge":
        return ranks
    return jnp.broadcast_to(ranks[:, :, None], (*ranks.shape, ranks.shape[1]))


def select(network: Network, params: Params, ranks: Int[Array, "L W W"], level: int | Array) -> Params:
    """The selection: a pytree of masks like ``params``, true for the parameters of the edges of rank below ``level``.

    Biases, embeddings and whatever else is no edge's are never selected.

    Args:
        network: the network.
        params: of one network; only their shapes matter.
        ranks: what ``rank`` gave, of the last L weight layers.
        level: how many nodes, edges or paths; at most as many as are ranked, if neither is traced.

    Returns:
        Booleans like ``params``.

    Raises:
        InputError: ranks that do not fit the network, a level beyond what they rank.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
        >>> ranks = jnp.array([[[1, 9], [0, 9]]])
        >>> select(mlp(hidden=(), outputs=1), params, ranks, 1)["layer_0"]["kernel"].tolist()
        [[False], [True]]
    """
    weights = network.weights(params)
    if ranks.ndim > 3 or any(w.ndim > 2 for w in weights):
        raise InputError(SEVERAL)
    before = len(weights) - len(ranks)
    widest = max(max(w.shape) for w in weights[max(before, 0) :])
    if before < 0 or min(ranks.shape[1:]) < widest:
        raise InputError(
            f"ranks {list(ranks.shape)} are not of a network of {len(weights)} weight layers up to {widest}"
        )
    if not is_traced((ranks, level)):
        _check_level(int(level), np.asarray(ranks), [w.shape for w in weights[before:]])
    return network.spread(params, selected(weights, ranks, level))


def selected(weights: Sequence[Array], ranks: Int[Array, "L W W"], level: int | Array) -> list[Array]:
    """Whether every edge has a rank below the level, by layer; edges before the ranked layers do not."""
    before = len(weights) - len(ranks)
    return [
        ranks[layer - before, : w.shape[0], : w.shape[1]] < level if layer >= before else jnp.zeros(w.shape, bool)
        for layer, w in enumerate(weights)
    ]


def _check_level(level: int, ranks: Int[np.ndarray, "L W W"], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse to select more than is ranked.

    The largest rank counts nodes and edges, not paths: those may share all edges with paths before them. Edges on no
    ranked path say how many are. Ranks of paths have a 0 in every layer, of the first path; those of nodes in one.
    """
    layers = [of_layer[: shape[0], : shape[1]] for of_layer, shape in zip(ranks, shapes, strict=True)]
    largest = max(int(of_layer.max()) for of_layer in layers)
    of_paths = len(layers) > 1 and all(of_layer.min() == 0 for of_layer in layers)
    paths = math.prod((shapes[0][0], *(shape[1] for shape in shapes)))
    ranked = largest - UNRANKED if largest >= UNRANKED else paths if of_paths else largest + 1
    if level > ranked:
        raise InputError(
            f"cannot select {level}, only {ranked} are ranked: lower the level, or rank more paths (most=)"
        )


def prune(params: Params, selection: Params, factor: ArrayLike) -> Params:
    """Multiply the selected weights of a network by a factor: soft pruning of Venkatesh et al. 2021, §3.2.

    w → factor · w where selected: 1 leaves the weights, 0 removes them, negative factors turn them round. ``params``
    stays as it is. Pure, so that it maps over factors, selections or networks with ``jax.vmap``. Leaves that are no
    floating arrays (counters, random keys, functions) are left alone, whatever the selection holds there.

    Args:
        params: any pytree, parameters of one network.
        selection: a pytree of masks like ``params``, booleans of the same shapes; ``select`` makes one.
        factor: one number.

    Returns:
        Parameters like ``params``.

    Raises:
        InputError: a selection of another structure, shape or type, or in the place of the parameters; a factor that is
            not one finite number.

    Example:
        >>> params, selection = {"kernel": jnp.ones((2, 2))}, {"kernel": jnp.eye(2, dtype=bool)}
        >>> prune(params, selection, 0)["kernel"].tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if jax.tree.structure(params) != jax.tree.structure(selection):
        raise InputError("the selection must be a pytree of the same structure as the parameters")
    weights, masks = jax.tree.leaves(params), jax.tree.leaves(selection)
    pairs = [(w.shape, getattr(mask, "shape", None)) for w, mask in zip(weights, masks, strict=True) if is_floating(w)]
    if not pairs and any(map(is_floating, masks)):
        raise InputError("the parameters come before the selection: prune(params, selection, factor)")
    if pairs and all(shape and shape[1:] == mask for shape, mask in pairs):
        raise InputError(SEVERAL)
    number = as_finite_array("factor", factor)
    if number.ndim:
        raise InputError(f"the factor must be one number, got shape {number.shape}; jax.vmap over prune takes many")

    def pruned(w: Any, chosen: Any) -> Any:
        if not is_floating(w):
            return w
        shape, mask = as_real_array("parameters", w).shape, as_real_array("selection", chosen)
        if mask.dtype != bool or mask.shape != shape:
            raise InputError(f"the selection must be bool {shape} like the parameters, not {mask.dtype} {mask.shape}")
        return _multiplied(w, chosen, number)

    return jax.tree.map(pruned, params, selection)


@partial(jax.jit, inline=True)
def _multiplied(w: Any, chosen: Any, factor: Array) -> Array:
    """The weights, those chosen times the factor."""
    return jnp.where(chosen, factor.astype(jnp.result_type(w)) * w, w)
