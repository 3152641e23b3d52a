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
from jaxflow.flows import LISTED_NODES, node_flows
from jaxflow.inference.held_out import MOST_LOSSES, honest_of_losses, keeps_rows
from jaxflow.inference.residuals import Stratum, conditional, stratum_bits, stratum_of, taken_of
from jaxflow.information import ESTIMATORS, Estimate, EstimatorSpec, gaussian, spec_of, subset_members
from jaxflow.information.cells import warn_of_thin_cells
from jaxflow.information.checks import checked
from jaxflow.information.gaussian import Groups, by_node, node_sizes
from jaxflow.information.recursion import Sizes
from jaxflow.messages import Message, one_message, uncertainty, unpermuted
from jaxflow.programs import compiled
from jaxflow.values import real

CONFIDENCE = 0.95
STEADYING = 1 / 16  # of the bias, down to which the rows say how the variance rises with the information
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
    estimator: str | Callable[..., Any] | EstimatorSpec = gaussian,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    confidence: float = CONFIDENCE,
    **options: Any,
) -> Honest:
    """Node flows whose subsets are chosen on other rows than those that value them, with confidence intervals.

    A flow F(V) = max_T I(M; X_V | X_T) is a maximum over noisy estimates, and biased upward. Here T is chosen on one
    half of the rows and I(M; X_V | X_T) is estimated on the other; the halves then exchange roles, and the two values
    are averaged. That is a lower bound of the flow in expectation, since the chosen T need not be the best. The
    interval is that of the average of the two conditional informations, and ends at 0 or above.

    By ``gaussian`` and ``copula`` each half is regressed by itself. The bias of the estimate is subtracted, and the
    interval comes from the spread of the rows' shares (jackknife). Neither takes the message's residuals as equally
    large in all rows (``inference.residuals``). The interval is right about small informations too, whose estimates
    are spread like squares (see ``intervals``). docs/calibration.md counts how often intervals hold the truth, of
    which layers and messages, and from how many rows on; those of ``copula`` about a strongly related number do not
    hold it as often as they say.

    By ``quadratic`` and the SVMs nothing is fitted anew: the estimator predicts every row once by every subset, with a
    model of the other outer folds, and the halves are halves of these predictions. The value is what the estimator
    reads out with T ∪ V less what it reads out with T, and the interval covers that difference for the models as they
    were fitted, of the rows that there are: what Fano's inequality, or cross-entropy, makes of how they would do on
    further rows. It does not cover what a better classifier would tell. It takes the rows' losses as independent,
    though any two of the models have three quarters of their rows in common. See docs/method.md.

    Args:
        key: of the division into halves, which keeps the shares of a message's classes and of ``given``'s.
        message: one message, classes ``[N]`` or numbers ``[N]`` or ``[N, d]``.
        activations: ``[..., N, n]``: samples on axis −2; axes before them are layers or time bins.
        estimator: ``gaussian``, ``copula``, ``quadratic``, ``linear-svm`` or ``kernel-svm``.
        given: another message that the flows are conditioned on.
        groups: the node of every column, if nodes have several.
        confidence: of the intervals, between 0 and 1.
        options: of the estimator, such as ``bound="cross-entropy"`` or ``backend="sklearn"``.

    Returns:
        flow, low, high ``[..., n]`` in bits; a flow may come out slightly below 0.

    Warns:
        ThinCellsWarning: a class has fewer rows in a half than the layer has columns, and two: intervals may then lie
            above 0 where nothing is told.

    Raises:
        InputError: several messages at once, another estimator, a single row, too many subsets to keep every row's
            losses, shapes that do not fit.

    Example:
        >>> message = np.arange(400) % 2
        >>> activations = np.stack([message + np.sin(np.arange(400.0)), np.cos(np.arange(400.0))], axis=1)
        >>> flow, low, high = honest_flows(jax.random.key(0), message, activations)
        >>> bool(low[0] > 0), bool(low[1] < 0)
        (True, True)
        >>> bool(honest_flows(jax.random.key(0), message, activations, estimator="quadratic").low[0] > 0)
        True
    """
    key, spec, level = as_key(key), spec_of(estimator), real("confidence", confidence, 1e-6, 1 - 1e-6)
    estimate = spec.with_options(spec.options_from(options), by_row=True)
    if not spec.honest:
        names = ", ".join(name for name, own in ESTIMATORS.items() if own.honest)
        raise InputError(f"honest flows come with the estimators {names}, not with {spec.name}")
    inputs = checked(message, activations, given=given, groups=groups, least=2)
    about, layers = one_message(inputs.message, "honest_flows"), inputs.activations
    halves = equal_halves(key, about)
    warn_of_thin_cells({"half of the message": rows_of(about, halves[0])}, layers.shape[-1])
    flat = layers.reshape(-1, *layers.shape[-2:])
    if spec.regressed is None:
        found = _of_held_out(flat, about, halves, estimate, inputs.groups, level)
    else:
        spread = honest_layers(flat, about, halves, spec.regressed, inputs.groups)
        most = np.asarray(uncertainty(about), layers.dtype)
        found = intervals(*spread, most=most, confidence=level)
    return Honest(*(field.reshape(*layers.shape[:-2], -1) for field in found))


def _of_held_out(
    layers: Float[Array, "S N c"],
    message: Message,
    halves: Int[np.ndarray, "2 H"],
    estimate: Estimate,
    groups: Groups,
    confidence: float,
) -> Honest:
    """Honest flows of layers from held-out losses, as many layers at a time as keep theirs together."""
    nodes, samples = layers.shape[-1] if groups is None else max(groups) + 1, layers.shape[1]
    if not keeps_rows(2**nodes, samples):
        raise InputError(
            f"honest flows by a classifier keep what every row loses by every subset, and {nodes} nodes of {samples}"
            " rows are too many: group nodes, or use the gaussian estimator"
        )
    members, name = subset_members(nodes), "the message"
    width, found = MOST_LOSSES // (2**nodes * samples), []
    for begin in range(0, len(layers), width):
        own, losses = layers[begin : begin + width], None
        if np.ptp(message.values):
            losses = estimate(own, unpermuted({name: message}), members, groups=groups)[name].losses
        nothing = np.zeros((len(own), nodes))  # of a single class, also in every stratum, there is nothing to know
        found.append([nothing] * 3 if losses is None else honest_of_losses(losses, message, halves, confidence))
    return Honest(*(jnp.asarray(np.concatenate(field), layers.dtype) for field in zip(*found, strict=True)))


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


def rows_of(message: Message, rows: Int[np.ndarray, " H"]) -> Message:
    """The message of some rows."""
    given = None if message.given is None else np.asarray(message.given)[rows]
    return replace(message, values=np.asarray(message.values)[rows], given=given)


def intervals(
    flow: Array,
    error: Array,
    slope: Array | float = 0.0,
    *,
    most: Array | np.ndarray | float = jnp.inf,
    confidence: float = CONFIDENCE,
) -> Honest:
    """The intervals of honest flows from their standard errors, with equal tails for small flows too.

    The estimate of a small information I from N rows of Gaussian variables is a square:
    (χ²_k(2N ln 2 · I) − k) / (2N ln 2), where k counts columns and halves. Its variance v I + k v²/8 rises with the
    truth by the slope v = 2 / (N ln 2). An interval of z standard errors about F misses an I of one standard error in
    one case of eight, because the error is smallest where F is too low. On the scale √(I + (k − 1) v/8) the
    spread is √v / 2 whatever I, so that this lies within z √v / 2 of √(F + (k + 1) v/8). With e² = v (F + (k + 1) v/8),
    the variance at the estimate, the ends are F + (1 + z²) v/4 ± z e; the lower one stays at the least value of the
    scale once it is there. For the upper one e² is v²/16 larger and the end v/16 higher: then it misses at most 2.5 %
    of what two squares estimate, whatever I. An estimate below that least value, which is not above 0, is lower
    than any truth can be: there the lower end is the estimate itself, so that the interval holds it as well as 0.
    Without slope the ends are F ± z e. Nothing is above what there is to know, which estimates and errors of few rows
    may be.

    Args:
        flow: F, in bits.
        error: e.
        slope: v, in bits.
        most: bits that there are to know, ``uncertainty`` of the message.
        confidence: the probability behind z.
    """
    reach = float(ndtri((1 + confidence) / 2))
    return _ends(flow, error, slope, most, reach)


@compiled()
def _ends(flow: Array, error: Array, slope: Any, most: Any, reach: Any) -> Honest:
    """``intervals`` that reach so many standard errors from the middle."""
    down = jnp.minimum(reach, 2 * error / jnp.maximum(slope, jnp.finfo(error.dtype).tiny))
    low = flow + slope / 4 - down * (error - down * slope / 4)
    high = flow + (1.25 + reach**2) * slope / 4 + reach * jnp.hypot(error, slope / 4)
    flow = jnp.minimum(flow, most)
    return Honest(flow, jnp.minimum(low, flow), jnp.clip(high, 0, most))


@compiled("prepare", "groups")
def honest_layers(
    layers: Float[Array, "S N c"], message: Message, halves: Int[Array, "2 H"], prepare: Prepare, groups: Groups = None
) -> tuple[Float[Array, "S n"], Float[Array, "S n"], Float[Array, "S n"]]:
    """``honest_layer`` of every layer."""

    def one(layer: Array, message: Message, halves: Array) -> tuple[Array, Array, Array]:
        return honest_layer(layer, message, halves, prepare, groups)

    if len(layers) == 1:
        return jax.tree.map(lambda a: a[None], one(layers[0], message, halves))
    nodes = layers.shape[-1] if groups is None else max(groups) + 1
    return batched_map(one, layers, 4 * layers[0].size * nodes + 16 * 2**nodes, message, halves)


def honest_layer(
    layer: Float[Array, "N c"], message: Message, halves: Int[Array, "2 H"], prepare: Prepare, groups: Groups = None
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, " n"]]:
    """Honest flows of one layer, their standard errors, and how their variance rises with the truth; under ``jit``.

    All in bits, for ``intervals``.

    Args:
        layer: activations.
        message: one, ``values [N]`` or ``[N, d]``.
        halves: of the rows.
        prepare: what is done to message and activations of some rows before they are regressed: ranks, or nothing.
        groups: the node of every column.
    """
    sizes, taken = node_sizes(groups), taken_of(message)

    def of_half(rows: Array) -> Stratum:
        given = None if message.given is None else message.given[rows]
        about, x = prepare(replace(message, values=message.values[rows], given=given), layer[rows])
        return strata_of(about, by_node(x, groups))

    def chosen(strata: Stratum) -> Bool[Array, "n n"]:
        bits = jax.vmap(lambda stratum: stratum_bits(stratum, message, sizes))(strata)
        _, witness = node_flows(jnp.sum(strata.number[:, None] * bits, axis=0) / jnp.sum(strata.number))
        return witness[:, None] >> jnp.arange(len(witness))[None] & 1 == 1

    of_halves = jax.vmap(of_half)(halves)
    nodes = layer.shape[1] if groups is None else max(groups) + 1
    witness = jax.vmap(chosen)(of_halves) if nodes <= LISTED_NODES else jax.lax.map(chosen, of_halves)
    values = jax.vmap(partial(valued_in, taken=taken, sizes=sizes))(of_halves, witness[::-1])
    return of_both(*values)


def valued_in(
    strata: Stratum, witness: Bool[Array, "n n"], taken: int, sizes: Sizes
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, " n"]]:
    """I(M; X_V | X_T) in the rows of some strata, less its bias; the bias; and the variance. See ``conditional``."""
    values, biases, shares = jax.vmap(lambda stratum: conditional(stratum, witness, taken, sizes))(strata)
    weights = strata.number[:, None] / jnp.sum(strata.number)
    return jnp.sum(weights * values, axis=0), jnp.sum(weights * biases, axis=0), _variance(values, shares, strata)


def of_both(
    value: Float[Array, "2 *n"], bias: Float[Array, "2 *n"], variance: Float[Array, "2 *n"]
) -> tuple[Float[Array, "*n"], Float[Array, "*n"], Float[Array, "*n"]]:
    """Flow, error and slope for ``intervals`` from what ``valued_in`` finds in the halves."""
    flow = jnp.mean(value, axis=0)
    return flow, *spread_of(flow, jnp.mean(bias, axis=0), jnp.sum(variance, axis=0) / 4)


def spread_of(
    flow: Float[Array, "*n"], bias: Float[Array, "*n"], variance: Float[Array, "*n"]
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Error and slope of ``intervals`` from the jackknife's variance, which is v (F + bias) where F is small.

    So v comes from the rows, as the variance does, and need not be that of Gaussian variables, 2 / (N ln 2). A sum of k
    squares has the bias k v/4, and v is at most four times the bias: whatever the rows say, the least value of the
    scale, (1 − k) v/8, is then not above 0. A variance beyond v (F + bias), which large flows may have and those of
    unequal strata, widens the interval all the same. Only as F + bias, a sum of squares, goes to 0, where the quotient
    is one of two roundings, does v go to that of two squares.
    """
    small = bias > 0  # not if classes are told as well as can be, or a node tells nothing whatever the rows
    squares = jnp.maximum(flow + bias, 0)
    steady = jnp.where(small, STEADYING * bias, 1) ** 2
    slope = (variance * squares + 2 * bias * steady) / jnp.maximum(squares**2 + steady, jnp.finfo(flow.dtype).tiny)
    slope = jnp.where(small, jnp.minimum(slope, 4 * bias), 0)
    return jnp.sqrt(jnp.maximum(jnp.maximum(variance, slope * squares) - slope * (bias / 2 - slope / 8), 0)), slope


def strata_of(message: Message, x: Float[Array, "N c"]) -> Stratum:
    """The strata of a discrete ``given`` one after the other, or all rows as a single one."""
    if not message.strata:
        return jax.tree.map(lambda a: a[None], stratum_of(message, x))
    strata = jnp.arange(message.strata, dtype=message.given.dtype)
    return jax.lax.map(lambda number: stratum_of(message, x, message.given == number), strata)


def _variance(values: Float[Array, "G n"], shares: Float[Array, "G n N"], strata: Stratum) -> Float[Array, " n"]:
    """Variance of the mean over the strata; rows of no stratum have no share and do not count.

    Σ_g P(g) I_g is a mean over rows, each of which has its stratum's I_g beside its share in the estimate of it: that
    strata have the sizes they have is chance, too.
    """
    total, number = jnp.sum(strata.number), strata.number[:, None]
    mean = jnp.sum(number * values, axis=0, keepdims=True) / total
    about = values - mean - jnp.sum(shares, axis=2) / jnp.maximum(number, 1)
    of_rows = jnp.sum(jnp.where(strata.member[:, None], shares + about[..., None], 0), axis=0)
    return jnp.sum(of_rows**2, axis=1) / (jnp.maximum(total, 2) - 1) / total
