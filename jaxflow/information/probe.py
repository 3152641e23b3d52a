"""Information by a learned probe: one small network that predicts a message from any subset of a layer's nodes."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import cores, on_all_cores
from jaxflow.information.cross_validation import OUTER, in_row_order, outer_folds, padded, unstratified_folds
from jaxflow.information.estimates import Advance, Estimates, Options, broadcast, ignore, subset_members
from jaxflow.information.probe_fits import Lost, Task, all_lost
from jaxflow.information.probe_network import Head
from jaxflow.information.probe_training import MOST_CYCLES, TOLERANCE
from jaxflow.information.probe_variants import variants_lost
from jaxflow.information.ranks import ranking
from jaxflow.information.svms import ConvergenceWarning
from jaxflow.messages import Message, message_entropy
from jaxflow.values import LARGEST_SEED, whole

ROUNDING = 1e-6  # bits: of a mean of surprises in float32
LAYERS_TOGETHER = 4  # for every core, between two reports of progress


@dataclass(frozen=True)
class ProbeOptions(Options):
    """Options of ``probe``: the most cycles of training, and the seed of its networks, masks and batches."""

    cycles: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cycles", whole("cycles", self.cycles, 1, MOST_CYCLES))
        object.__setattr__(self, "seed", whole("seed", self.seed, 0, LARGEST_SEED))


def probe(
    message: ArrayLike,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    subsets: Sequence[int] | None = None,
    cycles: int = 6,
    seed: int = 0,
) -> Float[Array, "*batch T"]:
    """I(M; X_T) from the held-out predictions of one network for all subsets T, in bits.

        I(M; X_T) ≥ H(M) − CE_T        CE_T = −⟨log₂ P(m | x_T)⟩ over rows that were not trained on

    With every row that it learns from, the network gets a random subset of the nodes: their standardised values and
    normal scores, 0 for the others, and the mask that says which are there. It learns to predict the message from any
    subset at once. Four networks of two
    hidden layers are averaged in each of the five outer folds of ``quadratic``.

    Training goes in cycles, from very short ones to longer and longer, until one gains less than 0.002 bits a row on
    held-out rows; every fold keeps the networks of the cycle that does best in the other four folds. If all 2ⁿ subsets
    are estimated, a fold of a subset takes what a smaller one predicts wherever that does better in the other four
    folds. What is estimated does not depend on the order of nodes; constant columns, and columns of the same ranks as
    another one, have no part.

    Numbers are predicted by a mixture of three Gaussians of their normal scores, which monotone maps of a number do not
    change; less is known without any node than the better of the probe itself and independent standard normals say.

    Args:
        message: classes ``[..., N]``, or numbers ``[..., N]`` or ``[..., N, d]``.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        given: classes ``[N]``, or numbers ``[N]`` or ``[N, g]``, to condition on: shown to the network in every subset.
        groups: the number of the node that every column belongs to; every column is a node if not given.
        subsets: bitmasks to estimate; all 2ⁿ if not given.
        cycles: most cycles after the two short ones; 6 are 8,350 steps.
        seed: of the networks, masks and batches.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``; at least 0, of classes at most H(M) or H(M | G).

    Raises:
        InputError: shapes that do not fit, fewer than 5 samples in a class (of a stratum), NaN or infinity.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> bits = rng.integers(0, 2, (400, 2))
        >>> activations = bits + 0.1 * rng.normal(size=(400, 2))
        >>> told = probe(bits[:, 0] ^ bits[:, 1], activations)  # what neither tells, both tell
        >>> [round(float(one), 1) for one in told]
        [0.0, 0.0, 0.0, 1.0]
    """
    run = partial(estimate, **ProbeOptions(cycles, seed).as_json())
    bits, failed, fits = broadcast(run, message, activations, subsets, given=given, groups=groups, numbers=True)
    if failed:
        warnings.warn(
            f"{failed} of {fits} probes still improved when the last cycle ended: allow more cycles",
            ConvergenceWarning,
            stacklevel=2,
        )
    return bits


class Question(NamedTuple):
    """One message, and what is known of it without any node.

    Attributes:
        head: what is predicted.
        message: class numbers ``[N]``, or numbers ``[N, d]``.
        given: the condition as columns ``[N, g]``.
        numbers: whether these are numbers.
        stratum: the number of every row's stratum ``[N]``.
        tests: held-out rows of every fold.
    """

    head: Head
    message: np.ndarray
    given: np.ndarray
    numbers: bool
    stratum: np.ndarray
    tests: list[np.ndarray]


def estimate(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    groups: tuple[int, ...] | None = None,
    draws: Mapping[str, Any] | None = None,
    by_row: bool = False,
    cycles: int = 6,
    seed: int = 0,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol of ``probe``, see ``jaxflow.information.Estimate``. There is nothing to search.

    Every permutation is learned by itself.
    """
    del draws
    nodes = members.shape[1]
    every_subset = len(members) == 2**nodes and np.array_equal(members, subset_members(nodes))
    groups = groups or tuple(range(layers.shape[2]))

    def answer(question: Question, x: np.ndarray, advance: Advance) -> Estimates:
        task = task_of(question, members, groups, x.dtype)
        run = partial(all_lost, **_shared(task, seed, cycles), head=question.head, every_subset=every_subset)
        return _read(question, _in_blocks(run, x, advance), members)

    return _about_each(layers, messages, answer, by_row, advance)


def estimate_variants(
    layers: Float[Array | np.ndarray, "S V N c"],
    messages: Mapping[str, Message],
    *,
    cycles: int = 6,
    seed: int = 0,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The information in all columns of every variant of a layer ``[P, S, V]``, by one probe for all variants.

    See ``jaxflow.information.EstimatorSpec.variants``.
    """

    def answer(question: Question, x: np.ndarray, advance: Advance) -> Estimates:
        members = np.ones((x.shape[1], 1), bool)
        task = task_of(question, members[:1], (0,) * x.shape[3], x.dtype)
        among = jax.device_put(ranking(np.ones((1, x.shape[2]), bool), x.dtype))
        run = partial(variants_lost, among=among, **_shared(task, seed, cycles), head=question.head)
        return _read(question, _in_blocks(run, x, advance), members)

    return _about_each(layers, messages, answer, False, advance)


def _about_each(
    layers: Float[Array | np.ndarray, "S ... N c"],
    messages: Mapping[str, Message],
    answer: Callable[[Question, np.ndarray, Advance], Estimates],
    by_row: bool,
    advance: Advance,
) -> dict[str, Estimates]:
    """The answers to every message and its permutations, from the rows that have a stratum."""
    host, found = np.asarray(layers), {}
    for name, message in messages.items():
        each = [question_of(message, values) for values in np.asarray(message.values)]
        kept = kept_rows(message)
        x = host if len(kept) == host.shape[-2] else host[..., kept, :]
        answers = [answer(own, x, advance if number == 0 else ignore) for number, own in enumerate(each)]
        first = answers[0]
        losses = None
        if by_row:
            losses = np.zeros((*first.losses.shape[:2], host.shape[-2]), np.float32)
            losses[:, :, kept] = first.losses
        found[name] = first._replace(bits=np.stack([own.bits for own in answers]), losses=losses)
    return found


def kept_rows(message: Message) -> Int[np.ndarray, " K"]:
    """Numbers of the rows that have a stratum; of all rows where nothing discrete is given."""
    if message.strata:
        return np.flatnonzero(np.asarray(message.given) >= 0)
    return np.arange(message.values.shape[-2 if message.continuous else -1])


def question_of(message: Message, values: np.ndarray) -> Question:
    """A message with what is given and the folds of its rows, those without a stratum left out.

    Folds are stratified on classes, within strata; those of numbers are random.
    """
    rows = kept_rows(message)
    own, stratum, columns = values[rows], np.zeros(len(rows), int), np.zeros((len(rows), 0), np.float32)
    if message.given is not None:
        given = np.asarray(message.given)[rows]
        if message.strata:
            stratum = given.astype(int)
            columns = np.eye(message.strata, dtype=np.float32)[stratum]
        else:
            columns = np.asarray(given, np.float32).reshape(len(rows), -1)
    numbers = message.given is not None and not message.strata
    if message.continuous:
        return Question(Head(0, own.shape[-1]), own, columns, numbers, stratum, unstratified_folds(len(own)))
    _, cell = np.unique(stratum * message.classes + own, return_inverse=True)
    return Question(Head(message.classes), own, columns, numbers, stratum, outer_folds(cell))


def _shared(task: Task, seed: int, cycles: int) -> dict[str, Any]:
    """What all layers share."""
    return jax.device_put({"task": task, "key": jax.random.key(seed), "cycles": np.int32(cycles)})


def _in_blocks(run: Callable[[Any], Lost], layers: Float[np.ndarray, "S ... N c"], advance: Advance) -> Lost:
    """What is lost in all layers, a few on every core between two reports of progress."""
    parts = []
    for begin in range(0, len(layers), width := LAYERS_TOGETHER * cores()):
        lost = jax.tree.map(np.asarray, on_all_cores(run, layers[begin : begin + width]))
        parts.append(lost)
        advance(len(lost.gain) * lost.by_row.shape[1])
    return jax.tree.map(lambda *blocks: np.concatenate(blocks), *parts)


def task_of(question: Question, members: Bool[np.ndarray, "T n"], groups: tuple[int, ...], dtype: Any) -> Task:
    """What ``all_lost`` needs to know of a question."""
    samples = len(question.message)
    counted = np.ones((OUTER + 1, samples), bool)  # the last: all rows
    for fold, held_out in zip(counted, question.tests, strict=False):
        fold[held_out] = False
    train, test = padded([np.flatnonzero(fold) for fold in counted[:OUTER]]), padded(question.tests)
    kind = np.int32 if question.head.classes else dtype
    return Task(
        message=question.message.astype(kind),
        given=question.given.astype(dtype),
        prior=_prior(question, counted, test).astype(dtype),
        train=train,
        test=test,
        among=ranking(counted, dtype),
        groups=np.asarray(groups, np.int32),
        members=members,
    )


def _prior(
    question: Question, counted: Bool[np.ndarray, "F N"], test: Int[np.ndarray, "f B"]
) -> Float[np.ndarray, "f B"]:
    """−log₂ of the share of a held-out row's class among the training rows of its stratum; 0 of numbers."""
    surprise = np.zeros(test.shape)
    if question.head.classes:
        for fold, (rows, held_out) in enumerate(zip(counted[:OUTER], question.tests, strict=True)):
            table = np.zeros((question.stratum.max() + 1, question.head.classes))
            np.add.at(table, (question.stratum[rows], question.message[rows]), 1)
            stratum = question.stratum[held_out]
            share = table[stratum, question.message[held_out]] / table[stratum].sum(axis=1)
            surprise[fold, : len(held_out)] = -np.log2(share)
    return surprise


def _read(question: Question, lost: Lost, members: Bool[np.ndarray, "T n"]) -> Estimates:
    """Bits ``[S, T]`` from the losses of rows ``[S, T, F, B]``, and how many fits still improved when they ended."""
    samples = len(question.message)
    unknown = lost.by_row.sum(axis=(2, 3), dtype=float) / samples
    known = (
        _uncertainty(question) if question.head.classes and not question.numbers else lost.nothing[:, None] / samples
    )
    gained = known - unknown
    bits = np.where(members.any(axis=1) & (gained > ROUNDING), gained, 0)
    short = OUTER * (lost.gain > TOLERANCE)[:, None] * members.any(axis=1)
    return Estimates(bits, None, short, OUTER, in_row_order(np.asarray(lost.by_row), question.tests))


def _uncertainty(question: Question) -> float:
    """H(M), or H(M | G) of the strata, in bits from the data."""
    strata = [question.message[question.stratum == one] for one in np.unique(question.stratum)]
    return sum(len(rows) * message_entropy(rows) for rows in strata) / len(question.message)
