"""What an output shows about label and attributes, in per cent: information, decisions, and the best threshold.

Everything is a function of one network's logits and compiles into whatever maps it over networks and interventions.
Measures have names (``measure_names``); what is about one of several attributes carries that attribute's name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.errors import InputError, alternatives, shown
from jaxflow.messages import Message, read_out
from jaxflow.sums import sums_before

THRESHOLDS = 256  # equal steps from the smallest to the largest score
HIGHEST = jax.lax.Precision.HIGHEST
NOTIONS = ("parity", "odds", "opportunity")  # demographic parity, equalised odds, equal opportunity
MOST_CELLS = 64  # values of all messages together that share one histogram


class Roles(NamedTuple):
    """Which message is the label, and which are the attributes, by their names in a dict of messages.

    The messages of a measurement need not be those: with ``notion`` odds, information about ``z`` is measured as that
    about ``z|y``, while decisions are counted by ``y`` and ``z``.

    Attributes:
        label: the message that the network was trained to tell.
        attributes: the protected ones.
        notion: ``parity``, ``odds`` or ``opportunity``: what information about an attribute is conditioned on.
        favourable: number of the label's class in whose rows ``opportunity`` measures it.
    """

    label: str = "y"
    attributes: tuple[str, ...] = ("z",)
    notion: str = "parity"
    favourable: int = 1

    def measured(self, name: str) -> str:
        """The name of the message that stands for the label or an attribute in flows, ``z`` or ``z|y``."""
        if name == self.label or self.notion == "parity":
            return name
        return f"{name}|{self.label}" if self.notion == "odds" else f"{name}|{self.label}={self.favourable}"

    @property
    def measured_names(self) -> tuple[str, ...]:
        """Names of the messages that information is measured about, label first."""
        return tuple(map(self.measured, (self.label, *self.attributes)))

    def suffix(self, attribute: str) -> str:
        """What a measure's name has at its end, if it is about one of several attributes."""
        return f"_{attribute}" if len(self.attributes) > 1 else ""


PAPER = Roles()
"""The paper's: y and z."""


def with_measured(messages: Mapping[str, Message], roles: Roles) -> dict[str, Message]:
    """Label and attributes by name, and beside them the attributes conditioned as the notion says.

    ``opportunity`` leaves out the rows of all labels but the favourable: they belong to stratum −1, which is none.
    """
    found, label = dict(messages), messages[roles.label]
    for name in roles.attributes if roles.notion != "parity" else ():
        if roles.notion == "odds":
            given = replace(found[name], given=label.values, strata=label.classes)
        else:
            positive = (label.values == roles.favourable).astype("int32") - 1
            given = replace(found[name], given=positive, strata=1)
        found[roles.measured(name)] = given
    return found


def favourable_class(value: str | int | None, label: str, names: Sequence[str], classes: int) -> int:
    """Number of the label's favourable class, in whose rows the notion ``opportunity`` measures information.

    Args:
        value: its name, or its number; None for class 1.
        label: name of the label.
        names: of its classes, if they have names.
        classes: how many.

    Raises:
        InputError: there is no such class.
    """
    known = list(names) or [str(number) for number in range(classes)]
    number = 1 if value is None else known.index(value) if value in known else value
    if isinstance(number, str) or not 0 <= number < classes:
        hint = alternatives(value, known[:20])
        raise InputError(f"{label} has no class {shown(value)} that could be the favourable; {hint}")
    return number


def measure_names(roles: Roles) -> tuple[str, ...]:
    """Names of all output measures, in the order of the tables' columns.

    ``accuracy`` and ``bias``: information about label and attribute as per cent (``messages.read_out``; Venkatesh et
    al. 2021, defs. 2 and 3). ``argmax_accuracy``, ``parity_gap``, ``odds_gap``: of the network's own decision, see
    ``decision_measures``. ``threshold_accuracy``, ``threshold_bias``: what the best threshold on the logits attains
    about them, chosen on one half of the rows and counted on the other.
    """

    def about(measure: str) -> list[str]:
        return [f"{measure}{roles.suffix(attribute)}" for attribute in roles.attributes]

    return (
        *("accuracy", *about("bias"), "argmax_accuracy", *about("parity_gap"), *about("odds_gap")),
        *("threshold_accuracy", *about("threshold_bias")),
    )


def outputs_of(
    bits: Mapping[str, Float[Array, "*batch"]],
    counted: Mapping[str, Float[Array, "*batch"]],
    messages: Mapping[str, Message],
    roles: Roles,
) -> dict[str, Float[Array, "*batch"]]:
    """All measures in per cent, from the information in the logits by message and from ``counted_measures``."""
    told = {"accuracy": roles.label} | {f"bias{roles.suffix(name)}": name for name in roles.attributes}
    information = {
        measure: 100 * read_out(bits[roles.measured(name)], messages[roles.measured(name)])
        for measure, name in told.items()
    }
    found = information | {measure: 100 * fraction for measure, fraction in counted.items()}
    return {measure: found[measure] for measure in measure_names(roles)}


@partial(jax.jit, static_argnames=("roles",))
def stack_outputs(
    bits: dict[str, Array], counted: dict[str, Array], messages: dict[str, Message], roles: Roles
) -> dict[str, Array]:
    """``outputs_of`` for any leading axes."""
    return outputs_of(bits, counted, messages, roles)


def counted_measures(
    logits: Float[Array, "N c"], messages: Mapping[str, Message], roles: Roles
) -> dict[str, Float[Array, ""]]:
    """Fractions that are counted on the logits: every measure but the information.

    They are NaN where nothing can be counted, and where a logit is NaN.

    Args:
        logits: of one network. A single logit is that of class 1 against class 0, whose own is 0, as of scikit-learn's
            ``MLPClassifier``: the decision is 1 where it is positive.
        messages: label and attributes, ``values [N]``.
        roles: which is which.
    """
    if logits.shape[1] == 1:
        logits = jnp.pad(logits, ((0, 0), (1, 0)))
    measures = decision_measures(logits, messages, roles) | threshold_measures(logits, messages, roles)
    # An argmax and a histogram would make numbers of NaN. The smallest is NaN if any is, and is found sooner.
    broken = jnp.isnan(jnp.min(logits))
    return {name: jnp.where(broken, jnp.nan, value) for name, value in measures.items()}


def decision_measures(
    logits: Float[Array, "N c"], messages: Mapping[str, Message], roles: Roles
) -> dict[str, Float[Array, ""]]:
    """What the decision Ŷ = argmax of the logits amounts to, as fractions.

    - ``argmax_accuracy``: P(Ŷ = Y).
    - ``parity_gap``: demographic-parity difference, the largest difference between two groups of P(Ŷ = d | Z) over
      decisions d; for two decisions and two groups signed, P(Ŷ=1|Z=1) − P(Ŷ=1|Z=0).
    - ``odds_gap``: equalized-odds difference, the same of P(Ŷ = d | Z, Y = y), the largest over y.

    A cell without rows adds no gap. A continuous attribute has no groups: its gaps are NaN.
    """
    label, choices = messages[roles.label], logits.shape[1]
    chosen = jax.nn.one_hot(jnp.argmax(logits, axis=1), choices, dtype=logits.dtype)
    nothing = jnp.full((), jnp.nan, logits.dtype)
    measures = {"argmax_accuracy": jnp.mean(jnp.argmax(logits, axis=1) == label.values, dtype=logits.dtype)}
    for name in roles.attributes:
        attribute, suffix = messages[name], roles.suffix(name)
        if attribute.continuous:
            measures |= dict.fromkeys((f"parity_gap{suffix}", f"odds_gap{suffix}"), nothing)
            continue
        cells = _cells(label, attribute, logits.dtype)
        shape = label.classes, attribute.classes
        # Sums of products with the cells' indicators: on a CPU several times as fast as masked sums. Of two decisions
        # the second suffices: the rates of the first differ by as much.
        taken = jnp.matmul(chosen[:, choices == 2 :].T, cells, precision=HIGHEST)
        taken, total = taken.reshape(-1, *shape), jnp.sum(cells, axis=0).reshape(shape)
        parity = _gaps(taken.sum(axis=1), total.sum(axis=0))
        odds = jnp.max(jnp.abs(jax.vmap(_gaps, (1, 0))(taken, total)))
        signed = parity.size == 1 and attribute.classes == 2
        measures |= {
            f"parity_gap{suffix}": parity[0] if signed else jnp.max(jnp.abs(parity)),
            f"odds_gap{suffix}": odds,
        }
    return measures


def _cells(label: Message, attribute: Message, dtype: jnp.dtype) -> Float[Array, "N cells"]:
    """Indicators of the cells (label, attribute), label-major."""
    cell = attribute.classes * label.values + attribute.values
    return jax.nn.one_hot(cell, label.classes * attribute.classes, dtype=dtype)


def _gaps(taken: Float[Array, "d g"], total: Float[Array, " g"]) -> Float[Array, " d"]:
    """Largest difference of two groups' rates of every decision; of two groups the second's less the first's."""
    rates, real = taken / jnp.maximum(total, 1)[None], total > 0
    if len(total) == 2:
        return jnp.where(jnp.all(real), rates[:, 1] - rates[:, 0], 0)
    high = jnp.max(rates, axis=1, initial=-jnp.inf, where=real[None])
    low = jnp.min(rates, axis=1, initial=jnp.inf, where=real[None])
    return jnp.where(jnp.sum(real) > 1, high - low, 0)


def threshold_measures(
    logits: Float[Array, "N c"], messages: Mapping[str, Message], roles: Roles
) -> dict[str, Float[Array, ""]]:
    """``threshold_accuracy`` about the label and ``threshold_bias`` about every attribute, see ``best_threshold``.

    The score is the difference of two logits; of more, that of one logit and the logarithm of the others' sum of
    exponentials, for the best of them. NaN for a continuous attribute.
    """
    names = {"threshold_accuracy": roles.label}
    names |= {f"threshold_bias{roles.suffix(name)}": name for name in roles.attributes}
    classes = {measure: messages[name] for measure, name in names.items() if not messages[name].continuous}
    counts = _counts_of_scores(_scores(logits), list(classes.values()))
    found = {measure: best_threshold(own) / len(logits) for measure, own in zip(classes, counts, strict=True)}
    return {measure: found.get(measure, jnp.full((), jnp.nan, logits.dtype)) for measure in names}


def _counts_of_scores(scores: Float[Array, "s N"], messages: Sequence[Message]) -> list[Float[Array, "s steps 2 K"]]:
    """``_class_counts`` of every score. The axis of a single score is added after: scatters of batches are slower."""
    if len(scores) == 1:
        return [counts[None] for counts in _class_counts(scores[0], messages)]
    return jax.vmap(lambda score: _class_counts(score, messages))(scores)


def _scores(logits: Float[Array, "N c"]) -> Float[Array, "s N"]:
    """Numbers that a threshold can be put on."""
    if logits.shape[1] == 2:
        return (logits[:, 1] - logits[:, 0])[None]
    others = jnp.where(jnp.eye(logits.shape[1], dtype=bool)[:, None], -jnp.inf, logits[None])
    return logits.T - jax.nn.logsumexp(others, axis=2)


def best_threshold(counts: Float[Array, "s steps 2 K"]) -> Float[Array, ""]:
    """Rows on which the best threshold rule is right about a message, counted on rows that did not choose it.

    The rule says one class below a threshold and another one at and above it. Score, threshold and classes are the best
    on the rows with even numbers and are judged on the odd ones, and the other way round.

    Args:
        counts: rows by score, step of the score, even or odd number, and class.
    """
    classes = counts.shape[-1]
    if classes > 2:
        return _best_of_many_classes(counts)
    right = _two_class_rules(counts)
    best = jnp.argmax(right, axis=-1)
    return jnp.sum(jnp.take_along_axis(right[::-1], best[:, None], axis=-1))


def _best_of_many_classes(counts: Float[Array, "s steps 2 K"]) -> Float[Array, ""]:
    """``best_threshold`` of more than two classes.

    A rule's rows are those below plus those above, so the best class of either side is found by itself: K operations
    for every threshold, where all pairs of classes take K².
    """
    below = jnp.cumsum(counts, axis=1) - counts
    above = jnp.sum(counts, axis=1, keepdims=True) - below
    below, above = (jnp.moveaxis(a, 2, 0).reshape(2, -1, counts.shape[-1]) for a in (below, above))
    best = jnp.argmax(jnp.max(below, axis=2) + jnp.max(above, axis=2), axis=1)
    half = jnp.arange(2)
    sides = ((a[1 - half, best], a[half, best]) for a in (below, above))
    return sum(
        (jnp.sum(judged[half, jnp.argmax(chosen, axis=1)]) for judged, chosen in sides), jnp.zeros((), counts.dtype)
    )


def _two_class_rules(counts: Float[Array, "s steps 2 2"]) -> Float[Array, "2 rules"]:
    """Rows of every half on which each rule is right: 1 at and above a threshold, then 1 below it."""
    zeros, ones = jnp.moveaxis(counts, -1, 0)
    gain = jnp.swapaxes(ones - zeros, 1, 2)  # rows told right less rows told wrong, where 1 is said of a step
    below = sums_before(gain.reshape(-1, THRESHOLDS)).reshape(gain.shape)
    above = jnp.sum(gain, axis=-1, keepdims=True) - below
    start = jnp.sum(zeros, axis=1)[..., None]
    rules = jnp.concatenate([start + above, start + below], axis=-1)  # [s, half, rule]
    return jnp.swapaxes(rules, 0, 1).reshape(2, -1)


def _class_counts(score: Float[Array, " N"], messages: Sequence[Message]) -> list[Float[Array, "steps 2 K"]]:
    """Rows by step of the score, even or odd number, and class, for every message.

    Counting needs a histogram of the score and no sort, which on a CPU would take longer than all else that is measured
    on a pruned network; messages of few classes share one, over all their combinations.
    """
    sizes = [message.classes for message in messages]
    if math.prod(sizes) > MOST_CELLS and len(sizes) > 1:
        return [_class_counts(score, [message])[0] for message in messages]
    strides = np.cumprod([1, *sizes[:-1]])
    cell = sum((message.values * int(s) for message, s in zip(messages, strides, strict=True)), jnp.zeros((), int))
    counts = _histogram(score, cell.astype(jnp.int32), math.prod(sizes))
    parts = counts.reshape(THRESHOLDS, 2, *sizes[::-1])
    last = len(sizes) + 1
    return [jnp.sum(parts, axis=tuple(a for a in range(2, last + 1) if a != last - k)) for k in range(len(sizes))]


def _histogram(score: Float[Array, " N"], cell: Int[Array, " N"], cells: int) -> Float[Array, "steps 2 cells"]:
    """Rows by step of the score, even or odd number, and cell; steps are equal from the least to the largest score."""
    low, high = jnp.min(score), jnp.max(score)
    width = jnp.where(high > low, (high - low) / THRESHOLDS, 1)
    step = jnp.clip((score - low) / width, 0, THRESHOLDS - 1).astype(jnp.int32)
    place = (2 * step + jnp.arange(len(score)) % 2) * cells + cell
    counts = jnp.zeros(THRESHOLDS * 2 * cells, score.dtype).at[place].add(1, mode="promise_in_bounds")
    return counts.reshape(THRESHOLDS, 2, cells)
