"""Rivals of information flow that follow the gradient of a bias: attribution, saliency, conductance.

All look at ``jaxflow.gaps.logit_gap`` B on the rows that they are shown. w are weights, h what nodes transmit, δ the
derivative of B by a node's input in one row.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxflow.gaps import HIGHEST, cell_indicators, logit_gap
from jaxflow.messages import Message
from jaxflow.metrics.contract import Scores, Shown, rows_of
from jaxflow.metrics.rows import Rows, ones_like
from jaxflow.metrics.steps import one_after_the_other

PATH_STEPS = 16  # of the conductance


def gradient(shown: Shown) -> Scores:
    """First-order effect of every edge on the bias: w ∂B/∂w, the change of B that its removal promises, negated.

    A node has the sum over the edges that leave it. Edge attribution of Syed et al. (2023), with the differentiable
    bias of Marcinkevičs et al. (2022) for an outcome. Under another ablation than zero it is that of replacing the
    edge's signal.

    Args:
        shown: the network on rows.

    Returns:
        Scores of nodes and edges in units of the logits.

    Raises:
        InputError: no rows.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> z = Message(jnp.array([0, 1]))
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, jnp.eye(2), z, z))
        >>> gradient(shown).node[0].tolist()  # the first input alone tells the groups apart
        [2.0, 0.0]
    """
    rows = rows_of(shown, "gradient")
    return _of_edges(_gradient(rows, ones_like(rows.weights)))


def integrated(shown: Shown, steps: int = 5) -> Scores:
    """Integrated gradients of every edge, along the straight way from no weights to all: w ∫₀¹ ∂B/∂w (αw) dα.

    All scores together are B less what it is without any analysed edge (Sundararajan et al. 2017; along edges as in
    EAP-IG, Hanna et al. 2024). The integral is Gauss and Legendre's, exact where the network is a polynomial in α.

    Args:
        shown: the network on rows.
        steps: points of the integral.

    Returns:
        Scores of nodes and edges in units of the logits.

    Raises:
        InputError: no rows.

    Example:
        >>> shown = Shown([], [], [])
        >>> integrated(shown)
        Traceback (most recent call last):
        jaxflow.errors.InputError: the metric integrated looks at rows: rank(..., x=x, messages=messages)
    """
    rows = rows_of(shown, "integrated")
    points, shares = np.polynomial.legendre.leggauss(steps)
    ones = ones_like(rows.weights)

    def at(alpha: Array) -> list[Array]:
        return _gradient(rows, [alpha * one for one in ones])

    along = jax.lax.map(at, jnp.asarray((1 + points) / 2, ones[0].dtype))
    share = jnp.asarray(shares / 2, ones[0].dtype)
    return _of_edges([jnp.tensordot(share, own, 1) for own in along])


def saliency(shown: Shown) -> Scores:
    """Influence of a unit on the bias: Σ over rows of ∂B/∂h, on the network as it is.

    As in Marcinkevičs et al. (2022) B is of probabilities here: in the last hidden layer the sum of the logits'
    derivatives is always 0.

    Args:
        shown: the network on rows.

    Returns:
        Scores of nodes, in units of twice a probability by those of the activations.

    Raises:
        InputError: no rows, a network that does not say where its biases lie, or nodes of several columns.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> z = Message(jnp.array([0, 0, 1]))
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, jnp.ones((3, 2)), z, z))
        >>> saliency(shown).node[0].shape
        (2,)
    """
    rows = rows_of(shown, "saliency")
    return Scores(_influence(rows, ones_like(rows.weights)))


def saliency_again(shown: Shown) -> Scores:
    """``saliency``, measured again after each unit is pruned: the first to go has the highest score.

    The dynamic variant of Marcinkevičs et al. (2022). Beyond 64 units the others follow as they then stand.

    Args:
        shown: the network on rows.

    Returns:
        Scores of nodes: 0 of the first, −1 of the second, and so on.

    Raises:
        InputError: as ``saliency``.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> z = Message(jnp.array([0, 1]))
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, jnp.eye(2), z, z))
        >>> sorted(saliency_again(shown).node[0].tolist())
        [-1.0, 0.0]
    """
    rows = rows_of(shown, "saliency-again")
    scores, tie = one_after_the_other(rows.weights, "node", partial(_influence, rows))
    return Scores(node=scores, node_tie=tie)


def fisher(shown: Shown) -> Scores:
    """Second-order saliency for the better served group less that for the worse served: ½ w² (H_a − H_b).

    FairPrune (Wu et al. 2022), with the diagonal of the empirical Fisher information for H: the mean over a group's
    rows of the squared derivative of a row's cross-entropy. Better served is the group of the least mean cross-entropy.
    Of a node the derivative is by the multiplier that all edges leaving it share. Strata play no part.

    Args:
        shown: the network on rows.

    Returns:
        Scores of nodes and edges in nats.

    Raises:
        InputError: as ``saliency``, or an attribute of numbers, which has no groups.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> z = Message(jnp.array([0, 1]))
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, jnp.eye(2), z, z))
        >>> fisher(shown).edge[0].shape
        (2, 2)
    """
    rows = rows_of(shown, "fisher", groups=True)
    layers, weights = rows.layers(ones_like(rows.weights)), rows.weights
    groups = cell_indicators(Message(rows.attribute.values, None, rows.attribute.classes), layers[-1].dtype)
    losses = optax.softmax_cross_entropy_with_integer_labels(_two(layers[-1]), rows.label.values)
    count = jnp.sum(groups, axis=0)
    mean = groups / jnp.maximum(count, 1)[None]
    served = jnp.where(count > 0, mean.T @ losses, jnp.nan)
    contrast = 0.5 * (mean[:, jnp.nanargmin(served)] - mean[:, jnp.nanargmax(served)])
    deltas = rows.input_gradients(
        rows.params,
        lambda logits: jnp.sum(optax.softmax_cross_entropy_with_integer_labels(_two(logits), rows.label.values)),
    )
    node = [contrast @ (h * (d @ w.T)) ** 2 for h, d, w in zip(layers, deltas, weights, strict=False)]
    edge = [w**2 * ((contrast[:, None] * h**2).T @ d**2) for h, d, w in zip(layers, deltas, weights, strict=False)]
    return Scores(node, edge)


def conductance(shown: Shown) -> Scores:
    """The part of the bias that passes through a node while the first analysed layer is turned on: ∫ Σ ∂B/∂h dh.

    All nodes of a layer together have B less what it is where the first analysed layer transmits nothing (Dhamdhere et
    al. 2019); an edge has what passes through it. The way is straight and has 16 steps, with the derivative in the
    middle of each.

    Args:
        shown: the network on rows.

    Returns:
        Scores of nodes and edges in units of the logits.

    Raises:
        InputError: as ``saliency``.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> z = Message(jnp.array([0, 1]))
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, jnp.eye(2), z, z))
        >>> conductance(shown).node[0].tolist()
        [2.0, 0.0]
    """
    rows = rows_of(shown, "conductance")
    first, *others = ones_like(rows.weights)

    def on(alpha: Array) -> list[Array]:
        return [alpha * first, *others]

    def transmitted(alpha: Array) -> list[Array]:
        layers = rows.layers(on(alpha))
        return [alpha * layers[0], *layers[1:-1]]

    def step(passed: list[Array], alpha: Array) -> tuple[list[Array], None]:
        half = 0.5 / PATH_STEPS
        before, after = transmitted(alpha - half), transmitted(alpha + half)
        deltas = rows.input_gradients(rows.scaled(on(alpha)), partial(logit_gap, attribute=rows.attribute))
        gained = [
            w * jnp.matmul((new - old).T, delta, precision=HIGHEST)
            for w, new, old, delta in zip(rows.weights, after, before, deltas, strict=True)
        ]
        return [own + more for own, more in zip(passed, gained, strict=True)], None

    middles = (jnp.arange(PATH_STEPS, dtype=first.dtype) + 0.5) / PATH_STEPS
    passed, _ = jax.lax.scan(step, [jnp.zeros_like(w) for w in rows.weights], middles)
    return _of_edges(passed)


def _gradient(rows: Rows, multipliers: Sequence[Array]) -> list[Array]:
    """∂B by every edge's multiplier."""
    return jax.grad(lambda own: logit_gap(rows.logits(own), rows.attribute))(list(multipliers))


def _influence(rows: Rows, multipliers: Sequence[Array]) -> list[Array]:
    """Σ over rows of ∂B/∂h for every node, with the edges' weights times their multipliers."""

    def gap(logits: Float[Array, "N c"]) -> Float[Array, ""]:
        return logit_gap(jax.nn.softmax(_two(logits)), rows.attribute)

    deltas = rows.input_gradients(rows.scaled(multipliers), gap)
    weights = [w * m for w, m in zip(rows.weights, multipliers, strict=True)]
    return [w @ jnp.sum(delta, axis=0) for w, delta in zip(weights, deltas, strict=True)]


def _of_edges(edges: Sequence[Array]) -> Scores:
    """Scores of edges, and of nodes as the sum over the edges that leave them."""
    return Scores([jnp.sum(own, axis=1) for own in edges], list(edges))


def _two(logits: Float[Array, "N c"]) -> Float[Array, "N k"]:
    """Logits of all classes: a single one is that of class 1 against class 0."""
    return jnp.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits
