"""Honest flows: the witness is chosen on one half of the rows and valued on the other, with a confidence interval."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike
from scipy.special import ndtri

from jaxflow.arrays import as_key
from jaxflow.batching import batched_map
from jaxflow.errors import InputError
from jaxflow.flows import node_flows
from jaxflow.inference.residuals import conditional, stratum_of
from jaxflow.information import gaussian, spec_of
from jaxflow.information.checks import checked
from jaxflow.information.gaussian import Groups, by_node, layer_bits, node_sizes
from jaxflow.information.recursion import Sizes
from jaxflow.messages import Message, one_message, unpermuted
from jaxflow.values import real

CONFIDENCE = 0.95
Prepare = Callable[[Message, Array], tuple[Message, Array]]


class Honest(NamedTuple):
    """Honest flows of nodes ``[..., n]`` in bits with the ends of their confidence intervals; a tuple of three."""

    flow: Any
    low: Any
    high: Any


def honest_flows(
    key: Array,
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    estimator: str | Callable[..., Any] = gaussian,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    confidence: float = CONFIDENCE,
) -> Honest:
    """Node flows that no choice flatters, with confidence intervals.

    A flow F(V) = max_T I(M; X_V | X_T) is a maximum over noisy estimates, and biased upward. Here T is chosen on one
    half of the rows and I(M; X_V | X_T) is estimated on the other, less the bias that it has for Gaussian variables;
    the halves then exchange roles, and the two values are averaged. That is a lower bound of the flow in expectation,
    since the chosen T need not be the best. The interval is that of the average of the two conditional informations,
    from the spread of the rows' shares (jackknife); it can exclude a negative value, and ends at 0 or above.

    Args:
        key: of the division into halves, which keeps the shares of a message's classes and of ``given``'s.
        message: one message, classes ``[N]`` or numbers ``[N]`` or ``[N, d]``.
        activations: ``[..., N, n]``: samples on axis −2; axes before them are layers or time bins.
        estimator: ``gaussian`` or ``copula``.
        given: another message that the flows are conditioned on.
        groups: the node of every column, if nodes have several.
        confidence: of the intervals, between 0 and 1.

    Returns:
        flow, low, high ``[..., n]`` in bits; a flow may come out slightly below 0.

    Raises:
        InputError: several messages at once, another estimator, too few rows, shapes that do not fit.

    Example:
        >>> message = np.arange(400) % 2
        >>> activations = np.stack([message + np.sin(np.arange(400.0)), np.cos(np.arange(400.0))], axis=1)
        >>> flow, low, high = honest_flows(jax.random.key(0), message, activations)
        >>> bool(low[0] > 0), bool(low[1] < 0)
        (True, True)
    """
    key, spec, level = as_key(key), spec_of(estimator), real("confidence", confidence, 1e-6, 1 - 1e-6)
    if spec.regressed is None:
        raise InputError(f"honest flows come with the estimators gaussian and copula, not with {spec.name}")
    inputs = checked(message, activations, given=given, groups=groups)
    about, layers = one_message(inputs.message, "honest_flows"), inputs.activations
    halves = jnp.asarray(equal_halves(key, about))
    flat = layers.reshape(-1, *layers.shape[-2:])
    flow, error = honest_layers(flat, about, halves, spec.regressed, inputs.groups)
    return Honest(*(field.reshape(*layers.shape[:-2], -1) for field in intervals(flow, error, level)))


def equal_halves(key: Array, message: Message) -> Int[np.ndarray, "2 H"]:
    """Row numbers of two halves, drawn within every cell of classes and strata; of an odd number a row is left out."""
    rows = message.values.shape[-2 if message.continuous else -1]
    cell = np.zeros(rows, int)
    if message.classes:
        cell = cell * message.classes + np.asarray(message.values)
    if message.strata:
        cell = cell * (message.strata + 1) + np.asarray(message.given)
    order = np.asarray(jax.random.permutation(key, rows))
    order = order[np.argsort(cell[order], kind="stable")][: rows // 2 * 2]
    return np.sort(order.reshape(-1, 2).T, axis=1).astype(np.int32)


def intervals(flow: Array, error: Array, confidence: float = CONFIDENCE) -> Honest:
    """The intervals of honest flows from their standard errors."""
    reach = float(ndtri((1 + confidence) / 2))
    return Honest(flow, flow - reach * error, jnp.maximum(flow + reach * error, 0))


@partial(jax.jit, static_argnames=("prepare", "groups"))
def honest_layers(
    layers: Float[Array, "S N c"], message: Message, halves: Int[Array, "2 H"], prepare: Prepare, groups: Groups = None
) -> tuple[Float[Array, "S n"], Float[Array, "S n"]]:
    """``honest_layer`` of every layer."""

    def one(layer: Array, message: Message, halves: Array) -> tuple[Array, Array]:
        return honest_layer(layer, message, halves, prepare, groups)

    if len(layers) == 1:
        return jax.tree.map(lambda a: a[None], one(layers[0], message, halves))
    return batched_map(one, layers, 4 * layers[0].size * layers.shape[-1], message, halves)


def honest_layer(
    layer: Float[Array, "N c"], message: Message, halves: Int[Array, "2 H"], prepare: Prepare, groups: Groups = None
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Honest flows of one layer and their standard errors, in bits; under ``jit``.

    Args:
        layer: activations.
        message: one, ``values [N]`` or ``[N, d]``.
        halves: of the rows.
        prepare: what is done to message and activations of some rows before they are regressed: ranks, or nothing.
        groups: the node of every column.
    """

    def prepared(rows: Array) -> tuple[Message, Array]:
        given = None if message.given is None else message.given[rows]
        return prepare(replace(message, values=message.values[rows], given=given), layer[rows])

    def chosen(rows: Array) -> Bool[Array, "n n"]:
        about, x = prepared(rows)
        _, witness = node_flows(layer_bits(unpermuted({"m": about}), x, groups)["m"][0])
        return witness[:, None] >> jnp.arange(len(witness))[None] & 1 == 1

    def valued(rows: Array, witness: Array) -> tuple[Array, Array]:
        about, x = prepared(rows)
        return _valued(about, by_node(x, groups), witness, node_sizes(groups))

    value, error = jax.vmap(valued)(halves, jax.vmap(chosen)(halves)[::-1])
    return jnp.mean(value, axis=0), jnp.sqrt(jnp.sum(error**2, axis=0)) / 2


def _valued(
    message: Message, x: Float[Array, "N c"], witness: Bool[Array, "n n"], sizes: Sizes
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """I(M; X_V | X_T) of every node in these rows, of discrete ``given`` the mean over its strata; and its error."""
    if not message.strata:
        value, shares = conditional(stratum_of(message, x), witness, sizes)
        return value, jnp.std(shares, axis=1, ddof=1) / jnp.sqrt(jnp.asarray(len(x), x.dtype))
    counts = message.given >= 0  # rows that belong to no stratum do not

    def of_stratum(number: Array) -> tuple[Array, Array]:
        stratum = stratum_of(message, x, message.given == number)
        value, shares = conditional(stratum, witness, sizes)
        return stratum.number * value, shares

    strata = jnp.arange(message.strata, dtype=message.given.dtype)
    sums, shares = jax.tree.map(lambda a: jnp.sum(a, axis=0), jax.lax.map(of_stratum, strata))
    total = jnp.maximum(jnp.sum(counts, dtype=x.dtype), 2)
    centred = jnp.where(counts[None], shares - jnp.sum(shares, axis=1, keepdims=True) / total, 0)
    return sums / total, jnp.sqrt(jnp.sum(centred**2, axis=1) / (total - 1) / total)
