"""What an output shows about label and attribute, in per cent: information, decisions, and the best threshold.

Everything is a function of one network's logits and compiles into whatever maps it over networks and interventions.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.information.estimates import Estimator, LayerBits
from jaxflow.information.ranks import sums_before
from jaxflow.messages import information_to_accuracy

THRESHOLDS = 256  # equal steps from the smallest to the largest score
HIGHEST = jax.lax.Precision.HIGHEST


class Outputs(NamedTuple):
    """What an output layer shows, in per cent, for any leading axes.

    Attributes:
        accuracy: information accuracy, the accuracy with which Fano's inequality pairs I(Y; Ŷ), Ŷ both logits
            (Venkatesh et al. 2021, def. 2). Not the accuracy of any decision: see ``threshold_accuracy``.
        bias: the same of I(Z; Ŷ) (def. 3).
        argmax_accuracy: of the network's own decision Ŷ = argmax.
        parity_gap: P(Ŷ=1|Z=1) − P(Ŷ=1|Z=0) of the decision.
        odds_gap: max_y |P(Ŷ=1|Z=1,Y=y) − P(Ŷ=1|Z=0,Y=y)| of the decision. A cell without samples adds no gap.
        threshold_accuracy: accuracy about Y attained by the best threshold on the difference of the logits, chosen
            on one half of the rows and counted on the other, see ``threshold_accuracies``.
        threshold_bias: the same about Z.
    """

    accuracy: Array | np.ndarray
    bias: Array | np.ndarray
    argmax_accuracy: Array | np.ndarray
    parity_gap: Array | np.ndarray
    odds_gap: Array | np.ndarray
    threshold_accuracy: Array | np.ndarray
    threshold_bias: Array | np.ndarray


def measure_outputs(
    logits: Float[Array, "*batch N 2"], y: Int[Array, " N"], z: Int[Array, " N"], estimator: Estimator
) -> Outputs:
    """All measures of an output layer by an estimator of information, in per cent.

    The accuracies that I(Y; Ŷ) and I(Z; Ŷ) stand for can hide damage to the network's own decision, because their
    probe is fitted again: the decision's measures stand beside them.

    Args:
        logits: of any number of networks, ``[..., N, 2]``.
        y: label 0/1.
        z: protected attribute 0/1.
        estimator: ``(message, activations) → bits [..., 2**n]``.

    Returns:
        Fields with the leading axes of the logits.
    """
    messages = jnp.stack([y, z])
    bits = estimator(messages.astype(logits.dtype), logits[..., None, :, :])[..., -1]
    decisions = jnp.vectorize(partial(decision_measures, messages=messages), signature="(s,c)->(k)")(logits)
    return outputs_of(bits, decisions, messages)


@jax.jit
def outputs_of(
    bits: Float[Array, "*batch 2"], decisions: Float[Array, "*batch 5"], messages: Int[Array, "2 N"]
) -> Outputs:
    """``Outputs`` from the information in the logits about y and z, in bits, and ``decision_measures``."""
    probabilities = messages.astype(bits.dtype).mean(axis=-1)
    accuracies = information_to_accuracy(bits, jnp.broadcast_to(probabilities, bits.shape))
    return Outputs(*jnp.moveaxis(100 * jnp.concatenate([accuracies, decisions], axis=-1), -1, 0))


def traced_outputs(logits: Float[Array, "N 2"], messages: Int[Array, "2 N"], layer_bits: LayerBits) -> Outputs:
    """``measure_outputs`` of one network by an estimator that runs under ``jit``."""
    bits = layer_bits(messages.astype(logits.dtype), logits)[:, -1]
    return outputs_of(bits, decision_measures(logits, messages), messages)


@jax.jit
def decision_measures(logits: Float[Array, "N 2"], messages: Int[Array, "2 N"]) -> Float[Array, "5"]:
    """Fractions that are counted on the logits: the fields of ``Outputs`` from ``argmax_accuracy`` on.

    All come from how many rows of each cell (y, z) lie above a threshold on the score, the difference of the logits:
    0 for the argmax. The counts are products with the cells' indicators, which on a CPU are several times as fast as
    masked sums.
    """
    score = logits[:, 1] - logits[:, 0]
    cells = _cells(messages, logits.dtype)
    above = jnp.matmul((score > 0).astype(logits.dtype), cells, precision=HIGHEST).reshape(2, 2)
    total = jnp.sum(cells, axis=0).reshape(2, 2)
    right = (above[1].sum() + total[0].sum() - above[0].sum()) / len(score)
    parity = _gap(above.sum(axis=0), total.sum(axis=0))
    odds = jnp.max(jnp.abs(jax.vmap(_gap)(above, total)))
    return jnp.concatenate([jnp.stack([right, parity, odds]), threshold_accuracies(score, messages)])


def _cells(messages: Int[Array, "2 N"], dtype: jnp.dtype) -> Float[Array, "N 4"]:
    """Indicators of the cells (y, z), y-major."""
    return jax.nn.one_hot(2 * messages[0] + messages[1], 4, dtype=dtype)


def _gap(above: Float[Array, "2"], total: Float[Array, "2"]) -> Float[Array, ""]:
    """Difference of the rates of Z = 1 and Z = 0 from counts by z; 0 where one of them has no rows."""
    rates = above / jnp.maximum(total, 1)
    return jnp.where(jnp.min(total) > 0, rates[1] - rates[0], 0)


def threshold_accuracies(score: Float[Array, " N"], messages: Int[Array, "K N"]) -> Float[Array, " K"]:
    """Held-out accuracy of the best threshold on a score about every binary message, as a fraction.

    The rule is M = 1 at and above a threshold, or M = 1 below it. Threshold and direction are the best on the rows
    with even numbers and are judged on the odd ones, and the other way round: no row that chooses is counted. The
    candidates are 256 equal steps from the smallest to the largest score, so that counting needs a histogram and no
    sort, which on a CPU would take longer than all else that is measured on a pruned network.

    Args:
        score: one number per row.
        messages: 0/1, ``[K, N]``.
    """
    count = len(messages)
    counts = _histogram(score, messages)
    is_one = jnp.asarray(np.arange(2**count)[:, None] >> np.arange(count) & 1, score.dtype)
    ones, zeros = (jnp.matmul(counts, own, precision=HIGHEST) for own in (is_one, 1 - is_one))  # [step, half, K]
    gain = jnp.moveaxis(ones - zeros, 0, -1)  # rows told right less rows told wrong, where 1 is said of a step
    below = sums_before(gain.reshape(-1, THRESHOLDS)).reshape(gain.shape)
    above = jnp.sum(gain, axis=-1, keepdims=True) - below
    right = jnp.concatenate([zeros.sum(axis=0)[..., None] + own for own in (above, below)], axis=-1)  # [half, K, rule]
    best = jnp.argmax(right, axis=-1)
    return jnp.sum(jnp.take_along_axis(right[::-1], best[..., None], axis=-1), axis=(0, 2)) / len(score)


def _histogram(score: Float[Array, " N"], messages: Int[Array, "K N"]) -> Float[Array, "steps 2 2**K"]:
    """Rows by step of the score, even or odd number, and values of all messages (bit k is message k)."""
    count = len(messages)
    low, high = jnp.min(score), jnp.max(score)
    width = jnp.where(high > low, (high - low) / THRESHOLDS, 1)
    step = jnp.clip((score - low) / width, 0, THRESHOLDS - 1).astype(jnp.int32)
    values = jnp.sum(messages << jnp.arange(count)[:, None], axis=0)
    place = (2 * step + jnp.arange(len(score)) % 2) * 2**count + values
    counts = jnp.zeros(THRESHOLDS * 2 * 2**count, score.dtype).at[place].add(1, mode="promise_in_bounds")
    return counts.reshape(THRESHOLDS, 2, 2**count)
