"""Metrics: what one network shows → scores of its nodes and edges. The highest are pruned first.

A metric is a pure function ``Shown → Scores``. A user's own goes wherever a name is asked for, or into ``METRICS``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.errors import InputError, cause
from jaxflow.errors import shown as printed

METHODS = ("node", "edge", "path")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["keep", "remove", "weights", "key"],
    meta_fields=["samples", "method"],
)
@dataclass(frozen=True)
class Shown:
    """What one network shows to a metric: lists by layer, from the first analysed one to the last hidden one.

    Attributes:
        keep: flows of the message that pruning shall keep, in bits, ``[n_l]`` per layer.
        remove: flows of the message that it shall remove.
        weights: ``[n_l, n_{l+1}]`` per layer, source → target.
        key: of random metrics, of this network alone; None where none was given.
        samples: N of the flows' estimate.
        method: whether nodes, edges or paths will be ranked; the scores of a path are those of its edges.

    Example:
        >>> shown = Shown(keep=[jnp.ones(2)], remove=[jnp.array([0.5, 2.0])], weights=[jnp.ones((2, 1))])
        >>> METRICS["bias/acc"](shown).node[0].tolist()
        [0.5, 2.0]
    """

    keep: list[Array]
    remove: list[Array]
    weights: list[Array]
    key: Any = None
    samples: int = 1
    method: str = "node"


class Scores(NamedTuple):
    """Scores of nodes ``[n_l]`` and edges ``[n_l, n_{l+1}]``, lists by layer like those of ``Shown``.

    A metric may leave out what it has no score for; whoever asks for it is told.

    Attributes:
        node: of every node.
        edge: of every edge.
        node_tie: what decides between nodes of equal score, the larger first; by default the index.
        edge_tie: the same of edges.

    Example:
        >>> def largest_flow(shown):
        ...     return Scores(node=shown.remove)
    """

    node: Any = None
    edge: Any = None
    node_tie: Any = None
    edge_tie: Any = None


Metric: TypeAlias = Callable[[Shown], Scores]


def flow_ratio(
    numerator: Float[Array, "*batch"], denominator: Float[Array, "*batch"], samples: int
) -> Float[Array, "*batch"]:
    """F_a / max(F_b, ε), ε = 1/(2N ln 2) bits: the expected Gaussian information of one independent variable.

    Finite, and 0/0 = 0.
    """
    return numerator / jnp.maximum(denominator, 1 / (2 * samples * math.log(2)))


def _ratio_scores(numerator: list[Float[Array, " _"]], denominator: list[Float[Array, " _"]], shown: Shown) -> Scores:
    """F_a/F_b of every node, |w|·F_a/F_b of every edge with its source's flows; ties to the larger numerator."""
    ratios = [flow_ratio(a, b, shown.samples) for a, b in zip(numerator, denominator, strict=True)]

    def weighted(values: list[Array]) -> list[Array]:
        return [jnp.abs(w) * v[:, None] for w, v in zip(shown.weights, values, strict=True)]

    return Scores(ratios, weighted(ratios), numerator, weighted(numerator))


def bias_to_accuracy(shown: Shown) -> Scores:
    """Flow of the message to remove over flow of the one to keep (Venkatesh et al. 2021, §3.2).

    F_Z/F_Y of a node, |w| F_Z/F_Y of an edge that leaves it. Where F_Y is below the estimate's noise, 1/(2N ln 2)
    bits, that stands in for it; equal ratios go by the larger F_Z.

    Args:
        shown: flows and weights of one network.

    Returns:
        Scores of nodes and edges.

    Example:
        >>> shown = Shown(keep=[jnp.array([1.0, 0.5])], remove=[jnp.ones(2)], weights=[jnp.ones((2, 1))], samples=100)
        >>> bias_to_accuracy(shown).node[0].tolist()
        [1.0, 2.0]
    """
    return _ratio_scores(shown.remove, shown.keep, shown)


def accuracy_to_bias(shown: Shown) -> Scores:
    """The paper's control in the opposite direction: flow of the message to keep over that of the one to remove.

    Args:
        shown: flows and weights of one network.

    Returns:
        Scores of nodes and edges, F_Y/F_Z and |w| F_Y/F_Z.

    Example:
        >>> shown = Shown(keep=[jnp.array([1.0, 0.5])], remove=[jnp.ones(2)], weights=[jnp.ones((2, 1))], samples=100)
        >>> accuracy_to_bias(shown).node[0].tolist()
        [1.0, 0.5]
    """
    return _ratio_scores(shown.keep, shown.remove, shown)


def random_scores(shown: Shown) -> Scores:
    """The paper's random control: independent uniform scores, one draw for each method.

    Random paths are the widest under theirs.

    Args:
        shown: the key, folded by method and then by layer, and the weights' shapes.

    Returns:
        Scores of nodes and edges in [0, 1).

    Raises:
        InputError: no key.

    Example:
        >>> shown = Shown(keep=[], remove=[], weights=[jnp.ones((2, 3))], key=jax.random.key(0))
        >>> random_scores(shown).edge[0].shape
        (2, 3)
    """
    if shown.key is None:
        raise InputError("the metric 'random' needs a key: rank(..., key=jax.random.key(0))")

    def uniform(method: str, shape: Callable[[Array], tuple[int, ...]]) -> list[Array]:
        key = jax.random.fold_in(shown.key, METHODS.index(method))
        keys = (jax.random.fold_in(key, layer) for layer in range(len(shown.weights)))
        return [jax.random.uniform(own, shape(w)) for own, w in zip(keys, shown.weights, strict=True)]

    of_edges = "path" if shown.method == "path" else "edge"
    return Scores(uniform("node", lambda w: w.shape[:1]), uniform(of_edges, lambda w: w.shape))


def magnitude(shown: Shown) -> Scores:
    """The control that knows no flow: |w| of every edge, Σ|w| over the edges out of every node.

    Args:
        shown: weights of one network.

    Returns:
        Scores of nodes and edges.

    Example:
        >>> shown = Shown(keep=[], remove=[], weights=[jnp.array([[1.0, -2.0], [0.5, 0.0]])])
        >>> magnitude(shown).node[0].tolist()
        [3.0, 0.5]
    """
    sizes = [jnp.abs(w) for w in shown.weights]
    return Scores([jnp.sum(size, axis=1) for size in sizes], sizes)


METRICS: dict[str, Metric] = {
    "bias/acc": bias_to_accuracy,
    "acc/bias": accuracy_to_bias,
    "random": random_scores,
    "magnitude": magnitude,
}
PAPER_METRICS = ("bias/acc", "acc/bias", "random")


def checked_metric(metric: Any) -> Metric:
    """The function of a metric's name, or the function handed in.

    Raises:
        InputError: an unknown name, or neither name nor function.
    """
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    if callable(metric):
        return metric  # pyright: ignore[reportReturnType]
    raise InputError(
        f"unknown metric {printed(metric)}; choose from {', '.join(METRICS)}, or hand in a function of Shown"
    )


def metric_title(metric: Any) -> str:
    """What messages call a metric: its name, or its function's."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", printed(metric))


class Padded(NamedTuple):
    """Scores of nodes ``[L, W]`` or edges ``[L, W, W]``, −∞ where there is none, and what decides between equals."""

    score: Array
    tie: Array


def padded_scores(metric: str | Metric, show: Shown) -> Padded:
    """A metric's scores of all layers in one array as wide as the widest of them.

    Raises:
        InputError: an unknown metric, or scores that are not there or not one for every node or edge.
    """
    scores = checked_metric(metric)(show)
    if not isinstance(scores, Scores):
        form = "jaxflow.Scores(node=[...], edge=[...]), a list of arrays each"
        raise InputError(f"the metric {metric_title(metric)} must return {form}, not {printed(scores)}")
    of_nodes = show.method == "node"
    own, ties = (scores.node, scores.node_tie) if of_nodes else (scores.edge, scores.edge_tie)
    _check_scores(metric, own, show)
    if ties is not None:
        _check_scores(metric, ties, show)
    width = max(max(w.shape) for w in show.weights)

    def padded(values: Any) -> Array:
        scores = jnp.asarray(values)
        scores = scores if jnp.issubdtype(scores.dtype, jnp.floating) else scores.astype(jnp.float32)
        return jnp.pad(scores, [(0, width - n) for n in scores.shape], constant_values=-jnp.inf)

    def stacked(arrays: Any) -> Array:
        return jnp.stack([padded(values) for values in arrays])

    return Padded(stacked(own), stacked(own if ties is None else ties))


def _check_scores(metric: str | Metric, values: Any, show: Shown) -> None:
    """Refuse scores that are not one for every node or edge, and say what was expected."""
    of_nodes, name = show.method == "node", metric_title(metric)
    what, other = ("node", "edge and path") if of_nodes else ("edge", "node")
    if values is None:
        raise InputError(
            f"the metric {name} scores no {what}s: return Scores({what}=[...]) too, or choose it with the method"
            f" {other} alone"
        )
    expected = [w.shape[:1] if of_nodes else w.shape for w in show.weights]
    try:
        held = [np.shape(value) for value in values]
    except (TypeError, ValueError):  # no list, or one of lists of different lengths
        held = printed(values)
    if held != expected:
        raise InputError(f"the metric {name} must score every {what}: a list of arrays {expected}, not {held}")


def check_metrics(strategies: Sequence[Any], widths: Sequence[int]) -> None:
    """Try, on shapes alone, the metrics of the user's that strategies name: before anything is trained.

    Args:
        strategies: (metric, method, level) each.
        widths: nodes of every analysed layer, the output included.

    Raises:
        InputError: a metric that fails, or does not score what is to be ranked.
    """
    flows = [jax.ShapeDtypeStruct((n,), jnp.float32) for n in widths[:-1]]
    weights = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in pairwise(widths)]
    key = jax.eval_shape(jax.random.key, 0)

    def scores(metric: str | Metric, method: str, flows: list[Array], weights: list[Array], key: Array) -> Padded:
        return padded_scores(metric, Shown(flows, flows, weights, key, 1_000, method))

    for metric, method in dict.fromkeys((metric, method) for metric, method, _ in strategies):
        if metric in PAPER_METRICS:
            continue
        try:
            jax.eval_shape(partial(scores, metric, method), flows, weights, key)
        except InputError:
            raise
        except Exception as error:  # whatever the user's function raises
            name, sizes = metric_title(metric), ", ".join(map(str, widths))
            raise InputError(
                f"the metric {name} fails on layers of {sizes} nodes ({type(error).__name__}: {cause(error)}); it is"
                " compiled and mapped over networks, so it takes jax.numpy in place of numpy"
            ) from error
