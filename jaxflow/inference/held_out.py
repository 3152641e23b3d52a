"""Honest flows of estimators that predict held-out rows, from what they lose on every row; nothing is fitted again.

By every subset of nodes every row was predicted once, by a model that was fitted to other rows. The losses of one half
of the rows choose T; those of the other half value what V adds to T.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.special import ndtri

from jaxflow.messages import Message, fano_unknown, message_entropy

MOST_LOSSES = 2**26  # of one layer and message that are kept: 13 nodes of 8,192 rows
STEPS, ANGLES = 16, 32  # radii, equal in their squares, and angles at which what means may be instead is looked at
ROUNDING = 1e-5  # bits: by how much one row's surprise differs by two models that are equal but for float32


def keeps_rows(subsets: int, rows: int) -> bool:
    """Whether the losses of so many rows by so many subsets are kept for honest flows."""
    return subsets * rows <= MOST_LOSSES


class Reading(NamedTuple):
    """How the mean loss of some rows is read as information, the message's distribution taken from them.

    Attributes:
        mistakes: whether losses are mistakes, read by Fano's inequality; else they are surprise in bits.
        classes: how many have members.
        entropy: H(M) in bits.
    """

    mistakes: bool
    classes: int
    entropy: float

    def unknown(self, loss: Float[np.ndarray, "*a"]) -> Float[np.ndarray, "*a"]:
        """Bits that are left unknown; more than H(M) if the models do worse than none."""
        return fano_unknown(loss, self.classes) if self.mistakes else loss

    def known(self, loss: Float[np.ndarray, "*a"]) -> Float[np.ndarray, "*a"]:
        """I(M; X_T) in bits, as the estimator reads it."""
        return self.entropy - np.clip(self.unknown(loss), 0, self.entropy)

    def gain(
        self, before: Float[np.ndarray, "S a"], after: Float[np.ndarray, "S a"], empty: Bool[np.ndarray, "S 1"]
    ) -> Float[np.ndarray, "S a"]:
        """I(M; X_V | X_T) in bits.

        Args:
            before: mean loss by T; H(M), of which there may be an error, where T is empty.
            after: mean loss by T ∪ V.
            empty: whether T is.
        """
        most = np.where(empty, before, self.entropy)
        left = np.where(empty, before, np.clip(self.unknown(before), 0, self.entropy))
        return left - np.clip(self.unknown(after), 0, most)


def honest_of_losses(
    losses: Shaped[np.ndarray, "S T N"], message: Message, halves: Int[np.ndarray, "2 H"], confidence: float
) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S n"], Float[np.ndarray, "S n"]]:
    """Honest flows of layers and the lower and upper ends of their confidence intervals, in bits.

        ½ Σ_halves Σ_g P(g) [I_g(M; X_{T∪V}) − I_g(M; X_T)]        T the witness in the other half

    A term is a function of two mean losses of the same rows, and terms of different rows are independent. The interval
    is the range of the sum where all these means together are at most so far from those found as one normal number
    is from its own mean under the confidence: the sum of the squared distances of the terms, each in units of the
    standard errors, has that limit. Where the terms are nearly linear in the means, that is the interval of the delta
    method; where they are not, as at chance, below which nothing is read, it still holds what the means can stand for.

    Args:
        losses: of every row by all 2ⁿ subsets, see ``Estimates``.
        message: classes, ``values [N]``, with the strata given.
        halves: of the rows.
        confidence: of the intervals.
    """
    reach, parts = float(ndtri((1 + confidence) / 2)), [list(_strata(message, half)) for half in np.asarray(halves)]
    informed = [
        sum((share * _known(losses, message, rows) for share, rows in strata), np.zeros(losses.shape[:2]))
        for strata in parts
    ]
    counted = np.sum(np.asarray(message.given)[halves] >= 0) if message.strata else halves.size
    flow = np.zeros((len(losses), losses.shape[1].bit_length() - 1))
    falls, rises = np.zeros((2, STEPS + 1, *flow.shape))
    unequal = np.zeros_like(flow)
    for strata, bits in zip(parts, informed[::-1], strict=True):
        subsets, terms = witnesses(bits), []
        for share, rows in strata:
            term = _valued(losses, message, rows, subsets, reach)
            falls, rises = _farthest(falls, share / 2 * term.falls), _farthest(rises, share / 2 * term.rises)
            terms.append((share, term.value))
        mean = sum((share * value for share, value in terms), np.zeros_like(flow))
        flow += mean / 2
        unequal += sum(share * value**2 for share, value in terms) - mean**2
    moved = np.sqrt(np.maximum(unequal, 0) / counted / 2)[None] * _radii(reach)[:, None, None]
    falls, rises = _farthest(falls, moved), _farthest(rises, moved)
    return flow, flow - falls[-1], np.maximum(flow + rises[-1], 0)


def _radii(reach: float) -> Float[np.ndarray, " r"]:
    """Standard errors from the mean within which the means of all terms together are looked for, the last ``reach``."""
    return reach * np.sqrt(np.arange(STEPS + 1) / STEPS)


def _farthest(first: Float[np.ndarray, "r *a"], second: Float[np.ndarray, "r *a"]) -> Float[np.ndarray, "r *a"]:
    """How far a sum goes within every squared radius: the best division of it between two terms."""
    return np.stack([np.max(first[: step + 1] + second[step::-1], axis=0) for step in range(len(first))])


def witnesses(bits: Float[np.ndarray, "S T"]) -> Int[np.ndarray, "S n"]:
    """The subset that attains every node's flow: ``node_flows`` in double precision."""
    masks, chosen = np.arange(bits.shape[1]), []
    for node in range(len(masks).bit_length() - 1):
        without = masks[masks >> node & 1 == 0]
        gain = bits[:, without | 1 << node] - bits[:, without]
        chosen.append(np.where(gain.max(axis=1) > 0, without[gain.argmax(axis=1)], 0))
    return np.stack(chosen, axis=1)


def _strata(message: Message, half: Int[np.ndarray, " H"]) -> Iterator[tuple[float, Int[np.ndarray, " R"]]]:
    """Share and rows of every stratum of a half in which there is something to know; all rows if none is given."""
    given = np.asarray(message.given)[half] if message.strata else np.zeros(len(half), int)
    values = np.asarray(message.values)[half]
    for stratum in range(max(1, message.strata)):
        inside = given == stratum
        if inside.any() and np.ptp(values[inside]):
            yield inside.sum() / (given >= 0).sum(), half[inside]


def _reading(losses: Shaped[np.ndarray, "S T N"], message: Message, rows: Int[np.ndarray, " R"]) -> Reading:
    """How the mean losses of some rows are read."""
    values = np.asarray(message.values)[rows]
    return Reading(losses.dtype == bool, len(np.unique(values)), message_entropy(values))


def _known(losses: Shaped[np.ndarray, "S T N"], message: Message, rows: Int[np.ndarray, " R"]) -> np.ndarray:
    """I(M; X_T) ``[S, T]`` as some rows have it, 0 of no nodes."""
    bits = _reading(losses, message, rows).known(losses[:, :, rows].mean(axis=2, dtype=float))
    return np.where(np.arange(bits.shape[1]) > 0, bits, 0)


class Term(NamedTuple):
    """I(M; X_V | X_T) of nodes ``[..., n]`` as some rows have it, in bits.

    Attributes:
        value: of the mean losses.
        falls: how far it goes down within every radius ``[r, ..., n]``, from 0 on.
        rises: how far it goes up.
    """

    value: np.ndarray
    falls: np.ndarray
    rises: np.ndarray


def _valued(
    losses: Shaped[np.ndarray, "S T N"],
    message: Message,
    rows: Int[np.ndarray, " R"],
    subsets: Int[np.ndarray, "S n"],
    reach: float,
) -> Term:
    """The term of some rows for every node and its T.

    Where the losses of all N rows are the same with V and without it, V adds nothing for sure.
    """
    reading, layer = _reading(losses, message, rows), np.arange(len(losses))
    classes = np.asarray(message.values)[rows]
    surprise = -np.log2(np.bincount(classes)[classes] / len(rows))
    found = []
    for node, own in enumerate(subsets.T):
        before, after, empty = losses[layer, own], losses[layer, own | 1 << node], own[:, None] == 0
        equal = before == after if reading.mistakes else np.abs(after - before) <= ROUNDING
        after = np.where(equal, before, after)[:, rows].astype(float)
        term = _term(reading, np.where(empty, surprise[None], before[:, rows]), after, empty, reach)
        found.append([np.where(equal.all(axis=1), 0, field) for field in term])
    return Term(*(np.stack(field, axis=-1) for field in zip(*found, strict=True)))


def _term(
    reading: Reading,
    before: Float[np.ndarray, "S R"],
    after: Float[np.ndarray, "S R"],
    empty: Bool[np.ndarray, "S 1"],
    reach: float,
) -> Term:
    """The gain of the mean losses, and how far it falls and rises in ellipses about them."""
    middle, added = before.mean(axis=1, keepdims=True), (after - before).mean(axis=1, keepdims=True)
    if reading.mistakes:
        # One row more that T alone mistakes, and one that T ∪ V alone does (Bonett and Price 2012): where few rows are
        # told differently, their number is not known as well as its square root says.
        other = np.where(empty, reading.entropy, [[1.0, 0.0]])
        before, after = np.hstack([before, other]), np.hstack([after, np.broadcast_to([[0.0, 1.0]], other.shape)])
    variance, common, own = _moments(before, after - before)
    slope = np.divide(common, variance, where=variance > 0, out=np.zeros_like(common))
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    radius = _radii(reach)[:, None]
    along = np.sqrt(variance) * (radius * np.cos(angle)[None]).reshape(1, -1)
    across = np.sqrt(np.maximum(own - slope * common, 0)) * (radius * np.sin(angle)[None]).reshape(1, -1)
    value = reading.gain(middle, middle + added, empty)
    moved = reading.gain(middle + along, middle + added + (1 + slope) * along + across, empty) - value
    moved = np.moveaxis(moved.reshape(-1, STEPS + 1, ANGLES), 0, 1)
    falls, rises = (np.maximum.accumulate(way.max(axis=2).clip(0), axis=0) for way in (-moved, moved))
    return Term(value[:, 0], falls, rises)


def _moments(a: Float[np.ndarray, "S R"], b: Float[np.ndarray, "S R"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance, covariance and variance ``[S, 1]`` of the means of two numbers of the same rows."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    count = a.shape[1] * (a.shape[1] - 1)

    def of_means(products: np.ndarray) -> np.ndarray:
        return np.sum(products, axis=1, keepdims=True) / count

    return of_means(a * a), of_means(a * b), of_means(b * b)
