"""Metrics of the paper, from flows and weights: ratios of flows, and the controls that know no flow."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.errors import InputError
from jaxflow.metrics.contract import METHODS, Scores, Shown


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
