"""Nodes or edges taken away one after the other, each chosen after those before it have gone."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

MOST_STEPS = 64


def one_after_the_other(
    weights: Sequence[Array], method: str, scores_of: Callable[[list[Array]], Sequence[Array]], most: int = MOST_STEPS
) -> tuple[list[Array], list[Array]]:
    """Scores by which nodes or edges are pruned in the order in which each has the highest score when it goes.

    Equal scores go by those before anything had gone: where nothing reaches the output any more all are equal.

    Args:
        weights: of the analysed layers, whose shapes matter.
        method: ``node`` or ``edge``.
        scores_of: scores of all nodes or edges by layer, from the edges' multipliers: 0 where they are gone.
        most: how many go in this way; the others follow by their last scores.

    Returns:
        Scores, 0 of the first, −1 of the second, and so on; and the last scores, which decide between the others.
    """
    sizes = [len(w) if method == "node" else w.size for w in weights]
    dtype, total = weights[0].dtype, sum(sizes)
    steps = min(most, total)

    intact = joined(scores_of(multipliers(weights, method, jnp.ones(total, dtype))))

    def next_one(step: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        order, alive, _ = state
        scores = joined(scores_of(multipliers(weights, method, alive)))
        highest = jnp.max(scores, where=alive > 0, initial=-jnp.inf)
        best = jnp.argmax(jnp.where((alive > 0) & (scores == highest), intact, -jnp.inf))
        return order.at[best].set(-step.astype(dtype)), alive.at[best].set(0), scores

    start = jnp.full(total, -steps, dtype), jnp.ones(total, dtype), jnp.zeros(total, dtype)
    order, _, last = jax.lax.fori_loop(0, steps, next_one, start)
    return by_layer(weights, method, order), by_layer(weights, method, last)


def multipliers(weights: Sequence[Array], method: str, alive: Float[Array, " _"]) -> list[Array]:
    """Multipliers of all edges from one number for every node, which all edges out of it have, or for every edge."""
    own = by_layer(weights, method, alive)
    if method == "edge":
        return own
    return [jnp.broadcast_to(a[:, None], w.shape) for a, w in zip(own, weights, strict=True)]


def by_layer(weights: Sequence[Array], method: str, values: Shaped[Array, " _"]) -> list[Array]:
    """One number for every node or edge, in lists by layer."""
    shapes = [w.shape[:1] if method == "node" else w.shape for w in weights]
    found, begin = [], 0
    for shape in shapes:
        size = shape[0] if method == "node" else shape[0] * shape[1]
        found.append(values[begin : begin + size].reshape(shape))
        begin += size
    return found


def joined(scores: Sequence[Array]) -> Float[Array, " _"]:
    """The inverse of ``by_layer``."""
    return jnp.concatenate([own.ravel() for own in scores])
