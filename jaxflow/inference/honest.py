"""Honest flows: the witness is chosen on one half of the rows and valued on the other, with a confidence interval."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike
from scipy.special import digamma, ndtri

from jaxflow.errors import InputError
from jaxflow.flows import node_flows
from jaxflow.information import copula, gaussian, spec_of
from jaxflow.information.checks import checked
from jaxflow.information.copula import scored
from jaxflow.information.cross_validation import message_entropy
from jaxflow.messages import Message
from jaxflow.values import real

RESOLVED = 1e-9  # of a column's variance: what is left of one that others determine


class Honest(NamedTuple):
    """Honest flows of nodes ``[..., n]`` in bits with the ends of their confidence intervals; a tuple of three."""

    flow: Any
    low: Any
    high: Any


class Regression(NamedTuple):
    """What the columns of some nodes leave of a message in some rows.

    Attributes:
        bits: ½ log₂ of the determinant of its residual covariance.
        rows: every row's share in it, by leaving it out, for the standard error ``[N]``.
        columns: that were fitted, beside the intercept.
    """

    bits: float
    rows: np.ndarray
    columns: int


def honest_flows(
    key: Array,
    message: ArrayLike,
    activations: ArrayLike,
    *,
    estimator: str | Callable[..., Any] = gaussian,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    confidence: float = 0.95,
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
    spec, level = spec_of(estimator), real("confidence", confidence, 1e-6, 1 - 1e-6)
    if spec.name not in ("gaussian", "copula"):
        raise InputError(f"honest flows come with the estimators gaussian and copula, not with {spec.name}")
    inputs = checked(message, activations, given=given, groups=groups)
    own, x = _one(inputs.message), np.asarray(inputs.activations, float)
    columns = np.arange(x.shape[-1]) if inputs.groups is None else np.asarray(inputs.groups)
    halves = _halves(key, own, x.shape[-2])
    reach = float(ndtri((1 + level) / 2))
    layers = [_layer(own, layer, columns, halves, spec.function, inputs.groups, reach)
              for layer in x.reshape(-1, *x.shape[-2:])]  # fmt: skip
    fields = (np.stack(field).reshape(*x.shape[:-2], -1) for field in zip(*layers, strict=True))
    return Honest(*fields)


def _one(message: Message) -> Message:
    """The message as NumPy arrays without batch axes."""
    own = 2 if message.continuous else 1
    values = np.asarray(message.values)
    shape = values.shape[values.ndim - own :]
    if values.size != np.prod(shape):
        raise InputError("honest_flows takes one message at a time: call it for each")
    given = None if message.given is None else np.asarray(message.given)
    return Message(values.reshape(shape), given, message.classes, message.strata)


def _halves(key: Array, message: Message, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of two halves, drawn within every cell of classes and strata."""
    cell = np.zeros(rows, int)
    if message.classes:
        cell = cell * message.classes + message.values
    if message.strata:
        cell = cell * message.strata + message.given
    order = np.asarray(jax.random.permutation(key, rows))
    order = order[np.argsort(cell[order], kind="stable")]
    return np.sort(order[::2]), np.sort(order[1::2])


def _layer(
    message: Message,
    layer: Float[np.ndarray, "N c"],
    columns: np.ndarray,
    halves: tuple[np.ndarray, np.ndarray],
    estimator: Callable[..., Any],
    groups: Any,
    reach: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Honest flows of one layer, and their intervals' ends."""
    values, errors = [], []
    for chooses, counts in (halves, halves[::-1]):
        about, x = _rows(message, counts), layer[counts]
        if estimator is copula:  # the half that is counted is ranked as the one that chooses: by itself, within strata
            about, x = _scored(about, x)
        own = _rows(message, chooses)
        bits = estimator(own, jnp.asarray(layer[chooses], jnp.float32), groups=groups)
        witnesses = np.asarray(node_flows(bits)[1])
        found = [_conditional(about, x, columns, node, int(mask)) for node, mask in enumerate(witnesses)]
        values.append([value for value, _ in found])
        errors.append([error for _, error in found])
    flow, error = np.mean(values, axis=0), np.sqrt(np.sum(np.square(errors), axis=0)) / 2
    return flow, flow - reach * error, np.maximum(flow + reach * error, 0)


def _scored(message: Message, layer: np.ndarray) -> tuple[Message, np.ndarray]:
    """Normal scores of activations, and of a message's and of given numbers."""
    found, x = scored(jax.tree.map(jnp.asarray, message), jnp.asarray(layer, jnp.float32))
    return jax.tree.map(np.asarray, found), np.asarray(x, float)


def _rows(message: Message, rows: np.ndarray) -> Message:
    """The message in some of the rows."""
    given = None if message.given is None else message.given[rows]
    return Message(message.values[rows], given, message.classes, message.strata)


def _conditional(message: Message, layer: np.ndarray, columns: np.ndarray, node: int, mask: int) -> tuple[float, float]:
    """I(M; X_V | X_T) in bits less its bias, and its standard error; of discrete ``given`` the mean over the strata."""
    before = (mask >> columns & 1).astype(bool)
    own = columns == node
    targets = _targets(message)
    always = message.given if message.given is not None and not message.strata else np.zeros((len(layer), 0))
    strata = message.given if message.strata else np.zeros(len(layer), int)
    value, shares = 0.0, np.zeros(len(layer))
    for stratum in range(max(1, message.strata)):
        rows = strata == stratum
        limit = message_entropy(message.values[rows]) if message.classes else np.inf
        without = _regression(targets[rows], np.column_stack([always[rows], layer[rows][:, before]]))
        with_node = _regression(targets[rows], np.column_stack([always[rows], layer[rows][:, before | own]]))
        (known, known_rows), (told, told_rows) = (_told(fit, targets[rows], limit) for fit in (without, with_node))
        value += rows.mean() * (told - known)
        shares[rows] = told_rows - known_rows
    return value, float(shares.std(ddof=1) / np.sqrt(len(layer)))


def _told(fit: Regression, targets: np.ndarray, limit: float) -> tuple[float, np.ndarray]:
    """Information in bits less its bias, and the rows' shares in it.

    Classes that a regression leaves nothing of would be told without limit, as ``gaussian`` is clipped for: there is no
    more to tell than their entropy, whatever row is left out.
    """
    told = _bias(fit.columns, targets) - fit.bits
    return (told, -fit.rows) if told < limit else (limit, np.zeros(len(targets)))


def _targets(message: Message) -> np.ndarray:
    """The columns that are regressed: numbers as they are, indicators of all classes but the first."""
    if message.continuous:
        return np.asarray(message.values, float)
    return (message.values[:, None] == np.arange(1, message.classes)).astype(float)


def _bias(columns: int, targets: np.ndarray) -> float:
    """What ½ log₂ of the determinant of a residual covariance of N rows is off by after a regression on the columns.

    Of Gaussian targets of d dimensions N times that covariance is a Wishart matrix of ν = N − 1 − columns degrees of
    freedom, so that the mean is ½ Σ_{i<d} ψ((ν − i)/2) + d/2 ln(2/N) above the truth, in nats, whatever is true.
    """
    rows = len(targets)
    if rows < 2:
        return 0.0
    dimensions = np.linalg.matrix_rank(targets - targets.mean(axis=0))
    freedom = np.maximum(rows - 1 - columns - np.arange(dimensions), 1)
    return float(np.sum(digamma(freedom / 2) + np.log(2 / rows)) / (2 * np.log(2)))


def _regression(targets: Float[np.ndarray, "N d"], x: Float[np.ndarray, "N c"]) -> Regression:
    """What linear regression with an intercept leaves of the targets, in double precision.

    The bits are ½ log₂ det(residual covariance), within the space in which the targets vary. Leaving out a row of
    residual r and leverage h takes the factor 1 − rᵀ S⁻¹ r / (1 − h) off det S, S the sum of squares of the residuals;
    N − 1 times half the logarithm of that is the row's share (the jackknife).
    """
    if len(targets) < 2:
        return Regression(0.0, np.zeros(len(targets)), 0)
    centred = targets - targets.mean(axis=0)
    directions, scale, _ = np.linalg.svd(centred, full_matrices=False)
    whitened = directions[:, scale > RESOLVED * max(scale.max(), 1e-300)] * np.sqrt(len(targets))
    basis = _basis(x)
    residual = whitened - basis @ (basis.T @ whitened)
    root, size, _ = np.linalg.svd(residual / np.sqrt(len(targets)), full_matrices=False)
    size = np.maximum(size, np.sqrt(RESOLVED))
    leverage = 1 / len(targets) + np.sum(basis**2, axis=1)
    left = 1 - np.sum(root**2, axis=1) / np.maximum(1 - leverage, RESOLVED)
    rows = -(len(targets) - 1) * np.log2(np.maximum(left, RESOLVED)) / 2
    return Regression(float(np.sum(np.log2(size))), rows, basis.shape[1])


def _basis(x: Float[np.ndarray, "N c"]) -> Float[np.ndarray, "N r"]:
    """An orthonormal basis of the centred columns."""
    centred = x - x.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    centred = centred[:, norm > 0] / norm[norm > 0]
    if not centred.size:
        return np.zeros((len(x), 0))
    directions, scale, _ = np.linalg.svd(centred, full_matrices=False)
    return directions[:, scale > np.sqrt(RESOLVED) * scale.max()]
