"""What estimators share: one signature for stacks of layers, and how messages and layers of any shape come to it."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.arrays import as_jax
from jaxflow.batching import is_traced
from jaxflow.errors import InputError
from jaxflow.information.checks import checked, must_see_arrays
from jaxflow.information.cross_validation import check_cells, check_discrete, check_folds
from jaxflow.messages import Message
from jaxflow.values import wholes

MOST_SUBSETS = 2**20
Advance = Callable[[int], object]


def ignore(_done: int) -> None:
    """For those who do not ask for progress."""


LayerBits = Callable[..., dict[str, Array]]
"""An estimator that runs under ``jit``: ``(messages {name: Message}, layer [N, c], groups=None) → {name: bits}``.

Bits are ``[P, 2**n]``, all subsets of n nodes; the layer is decomposed once for all messages and permutations [P].
"""


class Estimates(NamedTuple):
    """What is found about one message and its permutations [P] in layers [S], for subsets [T].

    Attributes:
        bits: ``[P, S, T]``.
        draws: hyperparameters of every outer fold in every stratum of ``given``, as numbers of the 25 draws
            ``[S, T, G, 5]``, G = 1 where nothing discrete is given; None without a search.
        unconverged: fits that did not converge, ``[S, T]``.
        fits: how many stand behind one estimate.
        losses: what the estimate loses on every row, which it predicts from others, about the first of the messages
            [P]: booleans ``[S, T, N]``, whether the row is mistaken, of an estimate by Fano's inequality; or numbers,
            its surprise −log₂ P(m | x_T) in bits, of one by cross-entropy. None if they are not asked for.
    """

    bits: Any
    draws: Any = None
    unconverged: Any = 0
    fits: int = 0
    losses: Any = None


@runtime_checkable
class Estimator(Protocol):
    """``(message [..., N], activations [..., N, c]) → bits [..., 2**n]``, n nodes, the whole layer last."""

    def __call__(
        self, message: ArrayLike, activations: ArrayLike, /, *, given: ArrayLike | None = None, groups: Any = None
    ) -> Array:
        """Information in bits, I(M; X_T | G) where something is given.

        Args:
            message: classes or numbers, see ``jaxflow.messages.as_message``.
            activations: samples on axis −2.
            given: another message ``[N]``, or numbers ``[N, g]``.
            groups: the number of the node that every column belongs to; every column is a node if not given.
        """
        ...


@runtime_checkable
class Estimate(Protocol):
    """An estimator on stacks, as the pipeline calls it."""

    def __call__(
        self,
        layers: Array,
        messages: Mapping[str, Message],
        members: np.ndarray,
        *,
        groups: tuple[int, ...] | None = None,
        draws: Mapping[str, Any] | None = None,
        advance: Advance = ignore,
    ) -> dict[str, Estimates]:
        """Estimates about every message for layers ``[S, N, c]`` and subsets ``[T, n]``.

        Args:
            layers: activations.
            messages: ``values [P, N]``, or ``[P, N, d]`` of continuous ones; the first of axis 0 chooses the folds, the
                others are permutations of it.
            members: nodes of every subset.
            groups: the node of every column, if nodes have several.
            draws: hyperparameters to use instead of searching, ``[S, G, 5]`` for every message.
            advance: told how many (layer, message, subset) are done, as they are.
        """
        ...


@dataclass(frozen=True)
class Options:
    """Options of an estimator that has none; those of the others are dataclasses derived from this one.

    Their fields are the estimator's keyword arguments, their ``__post_init__`` refuses what is out of range.
    """

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, for a manifest; they are also the keyword arguments of the estimator."""
        return asdict(self)


def subset_members(nodes: int, subsets: Sequence[int] | None = None) -> Bool[np.ndarray, "T n"]:
    """The nodes of every bitmask; of all 2ⁿ if none are given.

    Raises:
        InputError: a mask with a node that the layer does not have.
    """
    masks = np.arange(2**nodes)
    if subsets is not None:
        name = f"subsets, bitmasks from 0 to {2**nodes - 1} of {nodes} nodes,"
        masks = np.array(wholes(name, subsets, 0, 2**nodes - 1, MOST_SUBSETS), int)
    return masks[:, None] >> np.arange(nodes)[None] & 1 == 1


def columns_of(members: Bool[np.ndarray, "T n"], groups: Sequence[int] | None) -> Bool[np.ndarray, "T c"]:
    """The columns of every subset: those of all its nodes.

    Args:
        members: nodes of every subset.
        groups: the node of every column; None if every column is one.

    Example:
        >>> columns_of(np.array([[False, True]]), (1, 0, 1))
        array([[ True, False,  True]])
    """
    return members if groups is None else members[:, np.asarray(groups)]


# --- conditioning on classes -----------------------------------------------------------------------------------------


def by_strata(
    estimate: Callable[..., dict[str, Estimates]],
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    groups: tuple[int, ...] | None = None,
    draws: Mapping[str, Any] | None = None,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol for an estimator that knows only classes and rows: every stratum is estimated by itself.

        I(M; X_T | G) = Σ_g P(g) I(M; X_T | G = g)

    Where nothing is given there is one stratum of all rows. In every stratum classes are numbered anew, those that it
    lacks are left out, and a message of a single class tells nothing.

    Args:
        estimate: ``(layers [S, N_g, c], {name: classes [P, N_g]}, members [T, c], draws={name: [S, 5]} or None,
            advance) → {name: Estimates}`` of the rows of one stratum, with draws ``[S, T, 5]``.
        layers: activations.
        messages: classes, ``values [P, N]``.
        members: nodes of every subset.
        groups: the node of every column, if nodes have several.
        draws: to use instead of searching, ``[S, G, 5]`` for every message.
        advance: told how many (layer, message, subset) are done.

    Raises:
        InputError: a continuous message or condition, a class too small for the folds of its stratum.
    """
    for name, message in messages.items():
        check_folds(message, name)
    columns = columns_of(members, groups)
    estimates = {}
    for names in _equally_conditioned(messages):
        strata = _rows_of_strata(messages[names[0]])
        host = np.asarray(layers) if len(strata) > 1 else layers  # JAX's arrays would compile a program for every size
        step = _in_parts(advance, len(strata))
        parts = []
        for stratum, rows in enumerate(strata):
            values = {name: np.asarray(messages[name].values)[:, rows] for name in names}
            kept = None if draws is None else {name: np.asarray(draws[name])[:, stratum] for name in names}
            x = layers if len(rows) == layers.shape[1] else as_jax(host[:, rows])
            parts.append(_in_stratum(estimate, x, values, columns, kept, step))
        samples = layers.shape[1]
        estimates |= {name: _averaged([part[name] for part in parts], strata, samples) for name in names}
    return {name: estimates[name] for name in messages}


def _equally_conditioned(messages: Mapping[str, Message]) -> list[list[str]]:
    """Names of the messages with the same condition, which are estimated together."""
    together = defaultdict(list)
    for name, message in messages.items():
        together[np.asarray(message.given).tobytes() if message.strata else None].append(name)
    return list(together.values())


def _rows_of_strata(message: Message) -> list[np.ndarray]:
    """Row numbers of every stratum; all rows where nothing is given."""
    if not message.strata:
        return [np.arange(message.values.shape[-1])]
    given = np.asarray(message.given)
    return [np.flatnonzero(given == stratum) for stratum in range(message.strata)]


def _in_parts(advance: Advance, parts: int) -> Advance:
    """Progress of ``parts`` passes over the same work: one unit is reported when all passes have done as much."""
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        before, done = done, done + more
        advance(done // parts - before // parts)

    return tell


def _in_stratum(
    estimate: Callable[..., dict[str, Estimates]],
    layers: Float[Array, "S N c"],
    values: dict[str, np.ndarray],
    members: Bool[np.ndarray, "T c"],
    draws: dict[str, np.ndarray] | None,
    advance: Advance,
) -> dict[str, Estimates]:
    """Estimates in the rows of one stratum, classes ``[P, N]`` numbered without gaps; a constant tells nothing."""
    estimates, told = {}, {}
    for name, classes in values.items():
        present = np.unique(classes)
        if len(present) > 1:
            told[name] = np.searchsorted(present, classes)
        else:
            estimates[name] = Estimates(np.zeros((len(classes), len(layers), len(members))))
            advance(len(layers) * len(members))
    return estimates | (estimate(layers, told, members, draws=draws, advance=advance) if told else {})


def _averaged(parts: list[Estimates], strata: list[np.ndarray], samples: int) -> Estimates:
    """The weighted sum of the strata's bits, all their draws, the sum of their fits, and the losses of all rows."""
    sizes = np.array([len(rows) for rows in strata])  # rows that belong to no stratum do not count
    bits = sum(weight * np.asarray(part.bits) for weight, part in zip(sizes / sizes.sum(), parts, strict=True))
    searched = [part.draws for part in parts if part.draws is not None]
    draws = None
    if searched:
        none = np.zeros_like(searched[0])
        draws = np.stack([none if part.draws is None else part.draws for part in parts], axis=-2)
    fits = sum(part.unconverged for part in parts), sum(part.fits for part in parts)
    return Estimates(bits, draws, *fits, _losses_of_all([part.losses for part in parts], strata, samples))


def _losses_of_all(parts: list[Any], strata: list[np.ndarray], samples: int) -> Any:
    """The losses of all rows from those of the strata's; rows of no stratum, or of one with a single class, have 0."""
    kept = next((own for own in parts if own is not None), None)
    if kept is None or kept.shape[2] == samples:
        return kept
    losses = np.zeros((*kept.shape[:2], samples), kept.dtype)
    for own, rows in zip(parts, strata, strict=True):
        if own is not None:
            losses[:, :, rows] = own
    return losses


# --- any shapes ------------------------------------------------------------------------------------------------------


def broadcast(
    estimate: Estimate,
    message: ArrayLike,
    activations: ArrayLike,
    subsets: Sequence[int] | None,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    numbers: bool = False,
) -> tuple[Float[Array, "*batch T"], int, int]:
    """Bits for messages ``[..., N]`` and activations ``[..., N, c]`` that broadcast, unconverged fits and all fits.

    Every distinct pair is estimated once; layers that are asked about the same messages go together. A message that
    is constant carries nothing.

    Args:
        estimate: of stacks.
        message: classes, or numbers if the estimator takes them.
        activations: samples on axis −2.
        subsets: bitmasks to estimate; all 2ⁿ if None.
        given: what to condition on.
        groups: the node of every column, if nodes have several.
        numbers: whether the estimator takes numbers.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, numbers where only classes are taken, a class too small.
    """
    inputs = checked(message, activations, given=given, groups=groups)
    if not numbers:
        check_discrete(inputs.message)
    if is_traced((inputs.message, inputs.activations)):
        raise InputError(must_see_arrays("an estimator by cross-validation"))
    m, x = np.asarray(inputs.message.values), np.asarray(inputs.activations)
    members = subset_members(max(inputs.groups) + 1 if inputs.groups else x.shape[-1], subsets)
    layers = x.reshape(-1, *x.shape[-2:])
    own = m.shape[-2:] if inputs.message.continuous else m.shape[-1:]
    before = m.shape[: m.ndim - len(own)]
    messages, number = np.unique(m.reshape(-1, math.prod(own)), axis=0, return_inverse=True)
    each = {
        str(one): replace(inputs.message, values=values.reshape(1, *own))
        for one, values in enumerate(messages)
        if np.ptp(values.reshape(own), axis=0).any()
    }
    for single in each.values():
        check_cells(single)
    batch = np.broadcast_shapes(before, x.shape[:-2])
    asked = np.broadcast_to(number.reshape(before), batch).ravel()
    layer = np.broadcast_to(np.arange(len(layers)).reshape(x.shape[:-2]), batch).ravel()
    bits = np.zeros((len(layers), len(messages), len(members)))
    unconverged = fits = 0
    for group, about in _layers_about(layer, asked, each):
        estimates = estimate(as_jax(layers[group]), {name: each[name] for name in about}, members, groups=inputs.groups)
        for name, about_one in estimates.items():
            bits[group, int(name)] = about_one.bits[0]
            unconverged += int(np.sum(about_one.unconverged))
            fits += about_one.fits * len(group) * int(members.any(axis=1).sum())
    return as_jax(bits[layer, asked].reshape(*batch, len(members)).astype(x.dtype)), unconverged, fits


def _layers_about(
    layer: np.ndarray, asked: np.ndarray, messages: Mapping[str, Message]
) -> list[tuple[list[int], tuple[str, ...]]]:
    """Layers that are asked about the same messages, and the names of these."""
    about = defaultdict(set)
    for one, message in zip(layer.tolist(), asked.tolist(), strict=True):
        if str(message) in messages:
            about[one].add(message)
    groups = defaultdict(list)
    for one, asked_about in about.items():
        groups[tuple(map(str, sorted(asked_about)))].append(one)
    return [(members, asked_about) for asked_about, members in groups.items()]
