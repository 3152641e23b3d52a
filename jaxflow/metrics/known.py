"""Metrics by their names, and what is asked of their scores."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxflow.errors import InputError, alternatives, cause
from jaxflow.errors import shown as printed
from jaxflow.metrics.contract import Metric, Scores, Shown
from jaxflow.metrics.cuts import greedy, mediation, removal
from jaxflow.metrics.flow import accuracy_to_bias, bias_to_accuracy, magnitude, random_scores
from jaxflow.metrics.gradients import conductance, fisher, gradient, integrated, saliency, saliency_again
from jaxflow.metrics.rows import Rows

METRICS: dict[str, Metric] = {
    "bias/acc": bias_to_accuracy,
    "acc/bias": accuracy_to_bias,
    "random": random_scores,
    "magnitude": magnitude,
    "gradient": gradient,
    "integrated-5": integrated,
    "integrated-32": partial(integrated, steps=32),
    "saliency": saliency,
    "saliency-again": saliency_again,
    "fisher": fisher,
    "conductance": conductance,
    "mediation": mediation,
    "removal": removal,
    "greedy": greedy,
}
PAPER_METRICS = ("bias/acc", "acc/bias", "random")
FLOW_METRICS = (*PAPER_METRICS, "magnitude")  # that look at flows and weights alone
NODE_METRICS = ("saliency", "saliency-again")  # that score no edges


def checked_metric(metric: Any) -> Metric:
    """The function of a metric's name, or the function handed in.

    Raises:
        InputError: an unknown name, or neither name nor function.
    """
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric]
    if callable(metric):
        return metric  # pyright: ignore[reportReturnType]
    known = alternatives(metric, METRICS)
    raise InputError(f"unknown metric {printed(metric)}; {known}, or hand in a function of Shown")


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


def check_metrics(strategies: Sequence[Any], widths: Sequence[int], rows: Rows) -> None:
    """Try, on shapes alone, the metrics that may fail and that strategies name: before anything is trained.

    Args:
        strategies: (metric, method, level) each.
        widths: nodes of every analysed layer, the output included.
        rows: of a network, whose parameters may be shapes.

    Raises:
        InputError: a metric that fails, or does not score what is to be ranked.
    """
    flows = [jax.ShapeDtypeStruct((n,), jnp.float32) for n in widths[:-1]]
    weights = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in pairwise(widths)]
    key = jax.eval_shape(jax.random.key, 0)

    def scores(metric: str | Metric, method: str, flows: list[Array], weights: list[Array], key: Array, rows: Rows):
        return padded_scores(metric, Shown(flows, flows, weights, key, 1_000, method, rows))

    for metric, method in dict.fromkeys((metric, method) for metric, method, _ in strategies):
        if metric in FLOW_METRICS:
            continue
        try:
            jax.eval_shape(partial(scores, metric, method), flows, weights, key, rows)
        except InputError:
            raise
        except Exception as error:  # whatever the user's function raises
            name, sizes = metric_title(metric), ", ".join(map(str, widths))
            raise InputError(
                f"the metric {name} fails on layers of {sizes} nodes ({type(error).__name__}: {cause(error)}); it is"
                " compiled and mapped over networks, so it takes jax.numpy in place of numpy"
            ) from error
