"""The contract of a metric: what it is shown of one network, and the scores that it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
from jaxtyping import Array

from jaxflow.errors import InputError
from jaxflow.metrics.rows import Rows

METHODS = ("node", "edge", "path")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["keep", "remove", "weights", "key", "rows"],
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
        rows: the network itself and the rows that it is looked at on, for metrics that need more than flows; None where
            they were not handed in.

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
    rows: Rows | None = None


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


def rows_of(shown: Shown, metric: str, groups: bool = False) -> Rows:
    """The rows that a metric looks at.

    Args:
        shown: what the metric is shown.
        metric: its name, for the refusal.
        groups: whether it asks for an attribute of classes.

    Raises:
        InputError: there are none, or the attribute is numbers.
    """
    if shown.rows is None:
        raise InputError(f"the metric {metric} looks at rows: rank(..., x=x, messages=messages)")
    if groups and shown.rows.attribute.continuous:
        raise InputError(f"the metric {metric} compares groups, and the attribute is numbers")
    return shown.rows
