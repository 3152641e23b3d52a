"""Recordings where users keep them: .npz and netCDF files, xarray's and MNE's objects, dictionaries and plain arrays.

Each comes to the same form: the activity, axes ``[trial, time, unit]``, and everything else by name. Neither xarray nor
MNE is imported for their objects, which are known by what they have.
"""

import errno
import hashlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxflow.datasets import sources
from jaxflow.datasets.reading import nearest
from jaxflow.errors import InputError, cause, shown
from jaxflow.values import folder

NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")
NETCDF_STARTS = (b"CDF", b"\x89HDF")  # of version 3, and of version 4, which is HDF5
DIMENSIONS = {
    "trial": ("trial", "trials", "epoch", "epochs", "sample", "samples"),
    "time": ("time", "times", "bin", "bins"),
    "unit": ("unit", "units", "neuron", "neurons", "cell", "cells", "channel", "channels"),
}
TIME, UNIT = ("time", "times"), ("unit", "units")  # names of the times of bins, and of what units are called
LAYER, WEIGHTS = re.compile(r"layer_(\d+)"), re.compile(r"weights(_\d+)?")


class Contents(NamedTuple):
    """What a recording holds, unchecked but for its form.

    Attributes:
        name: of the recording, for titles and messages.
        activity: ``[trial, time, unit]`` or ``[trial, unit]``; or a tuple of a network's layers ``[trial, unit]``.
        times: of the bins, or None.
        units: names of the units, or None.
        variables: all other arrays by name.
        unreadable: names of arrays of Python objects, which are not loaded.
        source: what a manifest says of it: a file's name and ``sha256``; nothing of an object in memory.
    """

    name: str
    activity: Any
    times: Any = None
    units: Any = None
    variables: Mapping[str, Any] = {}
    unreadable: frozenset[str] = frozenset()
    source: Mapping[str, str] = {}


def opened(recording: Any, activity: str | None = None) -> Contents:
    """What a user means by a recording.

    Args:
        recording: the path of an ``.npz`` or netCDF file; a dictionary of arrays; an xarray ``DataArray`` or
            ``Dataset``; an object with ``get_data``, ``times`` and ``ch_names``, as MNE's epochs have; an array
            ``[trial, time, unit]`` or ``[trial, unit]``; layers ``[trial, unit]`` of different widths.
        activity: name of the array that holds the activity; the largest if not given.

    Raises:
        InputError: it cannot be read, or there is no activity in it.
    """
    if activity is not None and not isinstance(activity, str):
        raise InputError(f"activity is the name of an array in the recording, not {shown(activity)}")
    if isinstance(recording, (str, os.PathLike)):
        return _from_file(folder("the recording", recording), activity)
    if hasattr(recording, "dims") and hasattr(recording, "coords"):
        return _from_xarray("recording", recording, activity)
    if isinstance(recording, Mapping):
        return _from_arrays("recording", {str(name): own for name, own in recording.items()}, activity)
    if hasattr(recording, "get_data") and hasattr(recording, "ch_names"):
        return _from_epochs(recording)
    return Contents("recording", _from_list(recording) if isinstance(recording, (list, tuple)) else recording)


def variable(contents: Contents, what: str, name: str) -> Any:
    """An array by its name.

    Args:
        contents: of the recording.
        what: what it is for, such as message, in the refusal.
        name: of the array.

    Raises:
        InputError: there is none of this name, or it holds Python objects.
    """
    if name in contents.unreadable:
        form = "numbers, with trials cut to the same times" if what == "activity" else "numbers or text"
        raise InputError(
            f"{name} in {contents.name} holds pickled Python objects, which are not loaded because they could run code:"
            f" save it as {form}"
        )
    if name not in contents.variables:
        hint = "it holds nothing but the activity"
        hint = nearest(name, contents.variables, "arrays") if contents.variables else hint
        raise InputError(f"{contents.name} has no array {shown(name)}, named as {what}; {hint}")
    return contents.variables[name]


# --- files -----------------------------------------------------------------------------------------------------------


def _from_file(path: Path, activity: str | None) -> Contents:
    """A file's arrays."""
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        content = sources.regular_bytes(path, path.stat().st_size)
    except (OSError, ValueError) as error:
        raise InputError(f"the recording {path} cannot be read ({cause(error)}); name an .npz or .nc file") from None
    if path.suffix.lower() in NETCDF:
        found = _from_netcdf(path, content, activity)
    else:
        arrays, unreadable = _npz_arrays(path, content)
        found = _from_arrays(path.stem, arrays, activity, unreadable)
    return found._replace(source={"file": path.name, "sha256": hashlib.sha256(content).hexdigest()})


def _npz_arrays(path: Path, content: bytes) -> tuple[dict[str, np.ndarray], frozenset[str]]:
    """The arrays of an ``.npz`` file, and the names of those that hold Python objects."""
    try:
        archive = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{path} holds one array without messages; save them together with numpy.savez")
        arrays, unreadable = {}, set()
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as error:
                if "allow_pickle" not in str(error):
                    raise
                unreadable.add(name)
    except InputError:
        raise
    except Exception as error:  # damaged archives raise errors of zipfile, zlib and NumPy
        reason = cause(error) if content.startswith((b"PK", b"\x93NUMPY")) else _not_npz(path, content)
        raise InputError(f"{path} is no readable .npz file ({reason}); write it with numpy.savez") from None
    return arrays, frozenset(unreadable)


def _not_npz(path: Path, content: bytes) -> str:
    """What a file is that does not begin as NumPy's do."""
    if path.suffix.lower() == ".mat":
        return "scipy.io.loadmat reads MATLAB's"
    kinds = {b"\x80": "it holds pickled Python objects", **dict.fromkeys(NETCDF_STARTS, "netCDF files end in .nc")}
    found = [text for start, text in kinds.items() if content.startswith(start)]
    return found[0] if found else "it is no archive of arrays" if content else "it is empty"


def _from_netcdf(path: Path, content: bytes, activity: str | None) -> Contents:
    """A netCDF file, which xarray reads."""
    try:
        import xarray
    except ImportError:
        raise InputError(
            f"{path}: netCDF needs xarray and h5netcdf; pip install 'jaxflow[recordings]', or save it as .npz"
        ) from None
    try:
        with xarray.open_dataset(path) as dataset:
            return _from_xarray(path.stem, dataset.load(), activity)
    except InputError:
        raise
    except Exception as error:  # the readers' errors have no common base
        reason = cause(error) if content.startswith(NETCDF_STARTS) else "it is neither netCDF nor HDF5"
        raise InputError(f"{path} is no readable netCDF file ({reason}); save it anew, or as .npz") from None


# --- objects ---------------------------------------------------------------------------------------------------------


def _from_arrays(
    name: str, arrays: Mapping[str, Any], activity: str | None, unreadable: frozenset[str] = frozenset()
) -> Contents:
    """Arrays by name. The activity is ``layer_0``, …; or ``activity``; or the largest of two or three axes."""
    layers = sorted((own for own in arrays if LAYER.fullmatch(own)), key=lambda own: int(own.removeprefix("layer_")))
    if activity is None and layers:
        _check_numbers(name, layers)
        others = {own: values for own, values in arrays.items() if own not in layers}
        return Contents(name, tuple(arrays[own] for own in layers), variables=others, unreadable=unreadable)
    if activity is None:
        activity = _likely_activity(name, arrays, unreadable)
    chosen = variable(Contents(name, None, variables=arrays, unreadable=unreadable), "activity", activity)
    others = {own: values for own, values in arrays.items() if own != activity}
    times, units = (next((others[own] for own in names if own in others), None) for names in (TIME, UNIT))
    return Contents(name, chosen, times, units, others, unreadable)


def _likely_activity(name: str, arrays: Mapping[str, Any], unreadable: frozenset[str]) -> str:
    """The name of what is meant by the activity, even if it is refused later: what has this name, or the largest."""
    fit = {own: np.shape(values) for own, values in arrays.items() if _is_activity(own, values)}
    named = _shape(arrays["activity"]) if "activity" in arrays else ()
    if "activity" in unreadable or ("activity" in arrays and (not fit or len(named) > 1 or -1 in named)):
        return "activity"
    if not fit and arrays:
        held = ", ".join(f"{own} {list(_shape(values))}" for own, values in list(arrays.items())[:4])
        raise InputError(f"{name} holds no activity: numbers [trial, time, unit] or [trial, unit]; it has {held}")
    return _largest(name, fit)


def _check_numbers(name: str, layers: Sequence[str]) -> None:
    """Refuse layers whose numbers leave a gap, or are written in two ways."""
    expected = [f"layer_{number}" for number in range(len(layers))]
    if missing := [own for own in expected if own not in layers]:
        raise InputError(
            f"{name} has no {missing[0]}, but {', '.join(layers[:4])}: number the layers layer_0, layer_1 and so on"
            " without gaps, or name one as the activity"
        )


def _from_list(arrays: Sequence[Any]) -> Any:
    """Layers of the same trials and different widths as a tuple; trials of one shape, or rows, stay a list."""
    shapes = [_shape(own) for own in arrays]
    if len(set(shapes)) < 2:
        return list(arrays)
    if all(len(shape) == 2 for shape in shapes) and len({shape[0] for shape in shapes}) == 1:
        return tuple(arrays)
    other = next(shape for shape in shapes if shape != shapes[0])
    raise InputError(f"the trials have different shapes, such as {shapes[0]} and {other}; cut them to the same times")


def _shape(values: Any) -> tuple[int, ...]:
    """The shape of an array; (−1,) where rows differ in length."""
    try:
        return np.shape(values)
    except ValueError:
        return (-1,)


def _is_activity(name: str, values: Any) -> bool:
    """Whether these can be activity: numbers with two or three axes, and no weights."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths are refused by name, when they are asked for
        return False
    return array.ndim in (2, 3) and array.dtype.kind in "biuf" and not WEIGHTS.fullmatch(name)


def _largest(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The name of the largest array; one that is named activity goes first."""
    if not shapes:
        raise InputError(f"{name} holds no activity: numbers [trial, time, unit] or [trial, unit]")
    return "activity" if "activity" in shapes else max(shapes, key=lambda own: int(np.prod(shapes[own])))


def _from_xarray(name: str, data: Any, activity: str | None) -> Contents:
    """A ``Dataset``, or a ``DataArray``, whose dimensions have names and may stand in any order."""
    variables = dict(data.coords) | (dict(data.data_vars) if hasattr(data, "data_vars") else {})
    if not hasattr(data, "data_vars"):
        chosen = data
        name = str(data.name) if data.name is not None and name == "recording" else name
    else:
        if activity is None:
            fit = {str(own): data[own].shape for own in data.data_vars if len(_dimensions(data[own].dims)) > 1}
            if not fit:
                raise InputError(f"{name} holds no activity: a variable with the dimensions trial, time and unit")
            activity = _largest(name, fit)
        chosen = variable(Contents(name, None, variables={str(own): v for own, v in variables.items()}), "activity",
                          activity)  # fmt: skip
    found = _dimensions(chosen.dims)
    if not {"trial", "unit"} <= set(found) or len(found) < len(chosen.dims):
        raise InputError(
            f"the activity of {name} has the dimensions {', '.join(map(str, chosen.dims))}; name them trial, time and"
            " unit (time may be missing)"
        )
    order = [found[kind] for kind in DIMENSIONS if kind in found]
    others = {
        str(own): _trials_first(values, found["trial"]) for own, values in variables.items() if str(own) != activity
    }
    times = others.get(str(found["time"])) if "time" in found else None
    return Contents(name, chosen.transpose(*order).to_numpy(), times, others.get(str(found["unit"])), others)


def _dimensions(names: Any) -> dict[str, Any]:
    """Which of a variable's dimensions is trial, time and unit."""
    return {kind: own for kind, known in DIMENSIONS.items() for own in names if str(own).lower() in known}


def _trials_first(values: Any, trial: Any) -> np.ndarray:
    """A variable with the trials on axis 0, if it has any."""
    order = [trial, *(own for own in values.dims if own != trial)] if trial in values.dims else values.dims
    return values.transpose(*order).to_numpy()


def _from_epochs(epochs: Any) -> Contents:
    """MNE's epochs: channels are units, ``metadata``'s columns variables, and so are the events' names (``event``)."""
    try:
        data, times = np.asarray(epochs.get_data()), np.asarray(epochs.times)
        frame, events = getattr(epochs, "metadata", None), getattr(epochs, "events", None)
        variables = {} if frame is None else {str(name): frame[name].to_numpy() for name in frame}
        if events is not None and "event" not in variables:
            names = {code: name for name, code in (getattr(epochs, "event_id", None) or {}).items()}
            variables["event"] = np.array([str(names.get(code, code)) for code in np.asarray(events)[:, 2].tolist()])
    except Exception as error:  # a foreign object may raise anything
        raise InputError(f"the epochs cannot be read ({cause(error)}); give get_data() as an array") from None
    if data.ndim != 3:
        raise InputError(f"get_data() of the epochs must be [trial, channel, time], not {data.shape}")
    return Contents("epochs", data.swapaxes(1, 2), times, list(epochs.ch_names), variables)
