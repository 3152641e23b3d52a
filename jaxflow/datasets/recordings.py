"""Recorded activity as layers: every time bin, or window of bins, is a layer whose nodes are units or groups of them.

A network unrolled in time (Venkatesh, Dutta and Grover 2020, "Information flow in computational systems").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxflow.arrays import as_real_array
from jaxflow.datasets.containers import WEIGHTS, Contents, opened, variable
from jaxflow.errors import InputError, counted, shown
from jaxflow.messages import Message, as_message
from jaxflow.values import whole

MOST_VALUES = 50  # different integers that are classes without doubt, however few the trials


class Layer(NamedTuple):
    """One layer of a recording.

    Attributes:
        activity: ``[N, c]``, the columns of all its nodes.
        groups: the node of every column; None if each is its own.
        time: of the bin, or the mean of the window's.
    """

    activity: np.ndarray
    groups: tuple[int, ...] | None
    time: float


@dataclass(frozen=True)
class Recording:
    """A recording in the form in which flows are measured.

    Attributes:
        name: of the recording.
        layers: in the order of time.
        nodes: names of the nodes; empty where layers differ in width.
        weights: between one layer's nodes and the next one's ``[n_l, n_{l+1}]``; empty where they are unknown.
        contents: what it was made from, with all other variables.
        notes: what was decided about it, in sentences.
    """

    name: str
    layers: tuple[Layer, ...]
    nodes: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    contents: Contents
    notes: tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        """N, of every layer."""
        return len(self.layers[0].activity)

    @property
    def widths(self) -> tuple[int, ...]:
        """Nodes of every layer."""
        return tuple(max(own.groups) + 1 if own.groups else own.activity.shape[1] for own in self.layers)


def read_recording(recording: Any, *, activity: str | None = None, groups: Any = None, window: Any = 1) -> Recording:
    """A recording of any origin as layers.

    Args:
        recording: see ``containers.opened``.
        activity: name of the array that holds the activity; the largest if not given.
        groups: for every unit the node that it belongs to, numbers or texts, or the name of such an array.
        window: time bins that are taken together as one layer: a unit's bins are then one node. A last window that the
            bins do not fill is shorter, and a note says so.

    Returns:
        Its layers, in which every value is finite, with weights where ``weights_0``, …, or ``weights`` are there.

    Raises:
        InputError: it cannot be read, has other axes, NaN, one trial, trials of different lengths, times that do not
            rise, or names, groups, window or weights that do not fit.

    Example:
        >>> [layer.activity.shape for layer in read_recording(np.zeros((9, 5, 3)), window=2).layers]
        [(9, 6), (9, 6), (9, 3)]
    """
    contents = opened(recording, activity)
    bins = _bins(contents)
    _check_values(contents.name, bins)
    units = bins[0].shape[1]
    numbers, nodes = _nodes(contents, groups, bins)
    window = whole("window", window, 1, len(bins))
    if window > 1 and len({own.shape for own in bins}) > 1:
        raise InputError("a window takes time bins together; layers of different widths are no bins")
    layers = tuple(_windows(bins, _times(contents, len(bins)), numbers, window))
    notes = () if groups is not None else _ungrouped(contents, units)
    if last := len(bins) % window:
        notes = (*notes, f"{len(bins)} bins in windows of {window}: the last layer holds {counted(last, 'bin')}")
    return Recording(contents.name, layers, nodes, _weights(contents, numbers, bins, len(layers)), contents, notes)


def message_of(recording: Recording, what: str, name: str, values: Any = None) -> tuple[Message, tuple[str, ...]]:
    """A variable as a message: floats are numbers; integers, booleans and texts are classes in their sorted order.

    Args:
        recording: whose trials it tells.
        what: what it is for, such as message, in a refusal.
        name: of the variable, or what the values are called.
        values: instead of the recording's own ``[N]`` or ``[N, d]``.

    Returns:
        The message, and what its classes were called; nothing of numbers.

    Raises:
        InputError: there is no such variable, it holds NaN, or not one value for every trial.
    """
    values = variable(recording.contents, what, name) if values is None else values
    if isinstance(values, Message):
        rows = np.shape(values.values)[-2 if values.continuous else -1]
        if rows != recording.trials:
            raise InputError(f"the {what} {name} must hold one value for each of the {recording.trials} trials: {rows}")
        return values, ()
    array = _plain_array(what, name, values)
    trials = recording.trials
    if array.shape[:1] != (trials,) or array.ndim > 2:
        raise InputError(
            f"the {what} {name} must hold one value for each of the {trials} trials, not {_listed(array.shape)}"
            f"{_misplaced(recording, array)}"
        )
    if array.dtype.kind in "US" or array.dtype.kind in "iub":
        return _classes(what, name, array)
    array = np.asarray(as_real_array(f"{what} {name}", array), float)
    if not np.isfinite(array).all():
        wrong = int((~np.isfinite(array.reshape(trials, -1))).any(axis=1).sum())
        raise InputError(f"the {what} {name} holds NaN or infinity in {wrong} of {trials} trials; leave these out")
    if array.ndim == 2 and array.shape[1] == len(recording.layers) > 1:
        raise InputError(f"the {what} {name} has a value for every bin; give one bin's, {name}[:, bin], at a time")
    return as_message(array, samples=trials), ()


# --- layers ----------------------------------------------------------------------------------------------------------


def _bins(contents: Contents) -> list[np.ndarray]:
    """The layers ``[N, units]`` one after the other."""
    own = contents.activity
    if isinstance(own, tuple):  # layers of a network
        layers = [np.asarray(as_real_array("layer", one)) for one in own]
        if any(one.ndim != 2 or 0 in one.shape or len(one) != len(layers[0]) for one in layers):
            shapes = ", ".join(_listed(one.shape) for one in layers[:4])
            raise InputError(f"layers must be [trial, unit] of the same trials, not {shapes}")
        return layers
    dtype = getattr(own, "dtype", None)
    if getattr(dtype, "kind", "") in ("O", "S", "U"):
        unequal = "; trials of different lengths must be cut to the same times" if dtype == np.dtype(object) else ""
        raise InputError(f"the activity must hold real numbers, not {dtype}{unequal}")
    array = np.asarray(as_real_array("activity", own))
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(f"the activity must be [trial, time, unit] or [trial, unit], not {_listed(array.shape)}")
    return [array] if array.ndim == 2 else list(array.swapaxes(0, 1))


def _check_values(name: str, bins: Sequence[np.ndarray]) -> None:
    """Refuse one trial, and values that are none."""
    trials = len(bins[0])
    if trials < 2:
        raise InputError(f"{name} has {trials} trial; flows are estimated over trials, [trial, time, unit]")
    broken = np.zeros(trials, bool)
    for own in bins:
        broken |= ~np.isfinite(own).all(axis=1) if own.dtype.kind == "f" else False
    if broken.any():
        raise InputError(
            f"the activity of {name} holds NaN or infinity in {int(broken.sum())} of {trials} trials, the first is"
            f" trial {int(broken.argmax())}; leave these trials out, or fill them"
        )


def _times(contents: Contents, bins: int) -> np.ndarray:
    """The times of the bins as numbers; their numbers where there are no times."""
    if contents.times is None:
        return np.arange(bins)
    array = _plain_array("time", "of bins", contents.times, "biufUSmM")
    if array.shape != (bins,):
        raise InputError(f"time must hold one value for each of the {bins} bins, not {_listed(array.shape)}")
    if array.dtype.kind == "M":
        array = array - array[0]
    if array.dtype.kind == "m":
        array = array / np.timedelta64(1, "s")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError("time must hold finite numbers; leave it out to count the bins")
    if (late := array[1:] <= array[:-1]).any():
        place = int(late.argmax()) + 1
        raise InputError(
            f"time must rise from bin to bin, but bin {place} is at {array[place]:.6g} after {array[place - 1]:.6g};"
            " sort the bins, or leave it out to count them"
        )
    return array


def _windows(bins: Sequence[np.ndarray], times: np.ndarray, numbers: Any, window: int) -> Any:
    """Layers of ``window`` bins each, side by side."""
    own = None if numbers is None else tuple(numbers)
    for start in range(0, len(bins), window):
        some = bins[start : start + window]
        groups = own
        if len(some) > 1:
            groups = (own or tuple(range(some[0].shape[1]))) * len(some)
        yield Layer(np.concatenate(some, axis=1), groups, float(np.mean(times[start : start + window])))


def _nodes(contents: Contents, groups: Any, bins: Sequence[np.ndarray]) -> tuple[list[int] | None, tuple[str, ...]]:
    """The node of every unit, None if each is its own, and the nodes' names."""
    units = bins[0].shape[1]
    if len({own.shape for own in bins}) > 1:
        if groups is not None:
            raise InputError("groups name the node of every unit; layers of different widths have no common units")
        return None, ()
    names = _unit_names(contents, units)
    if groups is None:
        if twice := [name for place, name in enumerate(names) if name in names[:place]]:
            raise InputError(f"two units are named {shown(twice[0])}; rename one, or take them together with groups")
        return None, names
    name = groups if isinstance(groups, str) else "groups"
    labels = _plain_array("groups", name, variable(contents, "groups", groups) if isinstance(groups, str) else groups)
    if labels.shape != (units,):
        raise InputError(f"{name} must name the node of each of the {units} units, not {_listed(labels.shape)}")
    order = list(dict.fromkeys(labels.tolist()))  # of first appearance, as a user lists them
    return [order.index(label) for label in labels.tolist()], tuple(map(str, order))


def _unit_names(contents: Contents, units: int) -> tuple[str, ...]:
    """What the units are called; their numbers where they have no names."""
    if contents.units is None:
        return tuple(map(str, range(units)))
    names = _plain_array("name", "of units", contents.units).astype(str)
    if names.shape != (units,):
        raise InputError(
            f"unit must hold one name for each of the {units} units, not {_listed(names.shape)}; rename it if it is"
            " something else"
        )
    return tuple(names.tolist())


def _ungrouped(contents: Contents, units: int) -> tuple[str, ...]:
    """A sentence where there seem to be groups that nobody asked for."""
    for name in ("groups", "region"):
        if name in contents.variables and np.shape(contents.variables[name]) == (units,):
            return (f"every unit is a node of its own; --groups {name} takes the units of one {name} as one",)
    return ()


def _weights(
    contents: Contents, numbers: list[int] | None, bins: Sequence[np.ndarray], layers: int
) -> tuple[np.ndarray, ...]:
    """Weights between the nodes of consecutive layers; a block of weights counts by its Frobenius norm."""
    names = [name for name in contents.variables if WEIGHTS.fullmatch(name)]
    if not names or layers < 2:
        return ()
    expected = [f"weights_{layer}" for layer in range(layers - 1)]
    if names != ["weights"] and sorted(names) != sorted(expected):
        raise InputError(
            f"{contents.name} has {layers} layers, between which weights_0 to {expected[-1]} would stand, or weights"
            f" for all; it has {', '.join(names[:4])}"
        )
    ordered = names * (layers - 1) if names == ["weights"] else expected
    shapes = [(own.shape[1], following.shape[1]) for own, following in pairwise([*bins, bins[-1]])][: layers - 1]
    return tuple(
        _block_norms(_finite_weights(name, contents.variables[name], shape), numbers)
        for name, shape in zip(ordered, shapes, strict=True)
    )


def _finite_weights(name: str, values: Any, shape: tuple[int, int]) -> np.ndarray:
    """A matrix source × target of finite numbers."""
    array = np.asarray(as_real_array(name, values), float)
    if array.shape != shape:
        raise InputError(
            f"{name} must hold finite numbers [{shape[0]}, {shape[1]}], source to target, not {_listed(array.shape)};"
            " rename it if it is something else"
        )
    if broken := int(np.sum(~np.isfinite(array))):
        raise InputError(f"{name} holds NaN or infinity in {broken} of {array.size} places; 0 is no edge")
    return array


def _block_norms(weights: np.ndarray, numbers: list[int] | None) -> np.ndarray:
    """Of every pair of nodes the root of the sum of squares of the weights between their units."""
    if numbers is None:
        return weights
    belongs = np.equal.outer(np.arange(max(numbers) + 1), numbers).astype(float)
    return np.sqrt(belongs @ weights**2 @ belongs.T)


# --- messages --------------------------------------------------------------------------------------------------------


def _plain_array(what: str, name: str, values: Any, kinds: str = "biufUS") -> np.ndarray:
    """Numbers, booleans or texts as an array."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":  # of texts, as pandas keeps them; of booleans or integers
            if missing := int(np.sum(pd.isna(array))):
                raise ValueError(f"{missing} are missing")
            array = np.array(array.tolist())
        if array.dtype.kind not in kinds:
            raise ValueError(f"{array.dtype} values")
    except Exception as error:  # rows of different lengths, and whatever a foreign object may raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the {what} {name} must hold numbers or texts, one for each ({reason})") from None
    return array


def _classes(what: str, name: str, array: np.ndarray) -> tuple[Message, tuple[str, ...]]:
    """Class numbers in the sorted order of the values, and these."""
    if array.ndim != 1:
        raise InputError(f"the {what} {name} holds several classes for every trial; give one column at a time")
    values, codes = np.unique(array, return_inverse=True)
    if len(values) > max(MOST_VALUES, len(array) // 2):
        kind = "texts" if array.dtype.kind in "US" else "integers, which are classes: make them floating to be numbers"
        raise InputError(f"the {what} {name} holds {len(values)} different {kind}")
    return as_message(codes.astype(np.int32), classes=max(2, len(values))), tuple(map(str, values.tolist()))


def _misplaced(recording: Recording, array: np.ndarray) -> str:
    """A hint where the trials seem to be another axis of the activity."""
    own = () if isinstance(recording.contents.activity, tuple) else np.shape(recording.contents.activity)
    if array.ndim and len(array) != recording.trials and len(own) == 3 and len(array) in own[1:]:
        return f"; axis 0 of the activity {_listed(own)} must be the trials, [trial, time, unit]"
    return ""


def _listed(shape: Sequence[int]) -> str:
    """A shape as it is written in the documentation, such as [600, 8, 5]."""
    return f"[{', '.join(map(str, shape))}]"
