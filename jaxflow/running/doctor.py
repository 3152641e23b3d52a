"""``jaxflow doctor``: what is installed, which devices JAX finds, where caches and data are, and what to do.

Nothing here may fail where something is broken: JAX is asked in another process, and what a part of the report raises
becomes a line of it. Nothing is installed or downloaded, and no folder is made.
"""

import importlib.metadata
import io
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxflow import __version__
from jaxflow.errors import InputError, cause, counted, printable
from jaxflow.running.devices import asked

SHOWN = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")
EXTRAS = {  # of the package that brings each
    "dask": ("distributed",),
    "debias": ("fairlearn",),
    "parquet": ("pyarrow",),
    "recordings": ("h5netcdf", "h5py", "xarray"),
}
PURPOSES = {
    "dask": "SVM fits over a cluster",
    "debias": "debiasers of Fairlearn beside ours",
    "parquet": "tables in Parquet files",
    "recordings": "recordings in netCDF files",
}
State = Literal["good", "note", "bad"]
MARKS: dict[State, tuple[str, str, str]] = {"good": ("✓", "+", "green"), "note": ("!", "!", "yellow"),
                                            "bad": ("✗", "X", "red")}  # fmt: skip
NVIDIA = Path("/proc/driver/nvidia/version")
"""There if the driver of an NVIDIA GPU is loaded."""


class Line(NamedTuple):
    """A line of the report.

    Attributes:
        name: of what is looked at.
        value: what was found.
        state: ``bad`` where no run is possible, ``note`` where something is missing.
        advice: what to do; empty if there is nothing.
    """

    name: str
    value: str
    state: State = "good"
    advice: str = ""


def examined(data_dir: Path | None = None) -> dict[str, list[Line]]:
    """The report: title of every part, and its lines.

    Args:
        data_dir: where the data are looked for; None for ``$JAXFLOW_DATA``, else the user's cache.
    """
    answer = asked()
    parts: dict[str, Callable[[], list[Line]]] = {
        "Versions": _versions,
        "Extras": _extras,
        "Machine": lambda: _machine(answer),
        "Caches": lambda: _caches(answer),
        "Data": lambda: _data(data_dir),
        "Results": _results,
    }
    return {title: _whatever_happens(part) for title, part in parts.items()}


def obstacle(report: Mapping[str, list[Line]]) -> str:
    """Why no run is possible, in one line; empty if one is."""
    return "; ".join(f"{line.value} ({line.advice})" for lines in report.values() for line in lines
                     if line.state == "bad")  # fmt: skip


def _whatever_happens(part: Callable[[], list[Line]]) -> list[Line]:
    """The lines of a part, or what it raised."""
    try:
        return part()
    except Exception as error:  # as broken as the installation may be
        return [Line("not known", f"{type(error).__name__}: {cause(error)}", "note")]


def _versions() -> list[Line]:
    """Python, jaxflow and what it stands on; a note on each that is not one that jaxflow is made for."""
    lines = [Line("Python", f"{platform.python_version()}, {sys.executable}"), Line("jaxflow", __version__)]
    needed = _requirements()
    for name in (*SHOWN, *sorted(needed.keys() - set(SHOWN))):
        version, wanted = _installed(name), needed.get(name)
        if version is None:
            lines.append(Line(name, "not installed", "note", f"pip install '{wanted or name}'"))
        elif wanted is not None and not wanted.specifier.contains(version, prereleases=True):
            lines.append(Line(name, f"{version}, but jaxflow needs {wanted}", "note", f"pip install '{wanted}'"))
        elif name in SHOWN:
            lines.append(Line(name, version))
    return lines


def _requirements() -> dict[str, Any]:
    """What jaxflow needs on this machine without any extra, by name; none where it is not installed itself."""
    from packaging.requirements import Requirement

    try:
        listed = map(Requirement, importlib.metadata.requires("jaxflow") or ())
    except importlib.metadata.PackageNotFoundError:  # used from its sources
        return {}
    return {one.name: one for one in listed if one.marker is None or one.marker.evaluate({"extra": ""})}


def _installed(name: str) -> str | None:
    """The version of a package, None if it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _extras() -> list[Line]:
    """Every optional part, or how to get it."""
    lines = []
    for extra, packages in EXTRAS.items():
        versions = {name: _installed(name) for name in packages}
        if None in versions.values():
            advice = f"for {PURPOSES[extra]}: pip install 'jaxflow[{extra}]'"
            lines.append(Line(extra, "not installed", "note", advice))
        else:
            lines.append(Line(extra, ", ".join(f"{name} {version}" for name, version in versions.items())))
    return lines


def _machine(answer: Mapping[str, Any]) -> list[Line]:
    """What JAX computes on."""
    system = Line("System", platform.platform())
    if "error" in answer:
        return [system, Line("JAX", answer["error"], "bad", _remedy(answer["error"]))]
    devices = ", ".join(f"{count} × {kind}" for kind, count in answer["devices"].items())
    alone = answer["backend"] == "cpu"
    advice = "pip install 'jaxflow[cuda12]', or cuda13, for the NVIDIA GPU" if alone and NVIDIA.exists() else ""
    return [
        system,
        Line("Devices", devices, "note" if advice else "good", advice),
        Line("Free memory", f"{answer['free'] / 2**30:.1f} GB of {'this machine' if alone else 'the first device'}"),
        Line("CPU cores", f"{answer['cores']} for jaxflow"),
    ]


def _remedy(error: str) -> str:
    """What to do about an error of JAX's."""
    if "XLA_FLAGS" in error and "XLA_FLAGS" in os.environ:
        return "correct XLA_FLAGS, or unset it"
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms and platforms != "cpu":
        return f"JAX_PLATFORMS is {printable(platforms)}: unset it, or set it to cpu"
    if "SIGILL" in error:
        return "jaxlib has instructions that this processor lacks: try an older jaxlib or another machine"
    if "ImportError" in error or "ModuleNotFoundError" in error:
        return "pip install --force-reinstall jaxflow, in a fresh environment if that does not help"
    return "JAX_PLATFORMS=cpu leaves accelerators out"


def _caches(answer: Mapping[str, Any]) -> list[Line]:
    """Folders of compiled programs and of downloads, with their sizes."""
    import platformdirs

    ours = Path(platformdirs.user_cache_dir("jaxflow"))
    folders = {"Programs": Path(answer.get("programs", ours / "compiled")), "Downloads": ours}
    without = {"Programs": "every run compiles anew", "Downloads": "Adult and MNIST must be in --data-dir"}
    lines = []
    for name, folder in folders.items():
        size = _megabytes(folder, "**/*" if name == "Programs" else "*.npy")
        reason = _unwritable(folder)
        advice = f"{without[name]}; XDG_CACHE_HOME chooses another folder" if reason else ""
        value = f"{folder}, {size}" + (f", cannot be written to ({reason})" if reason else "")
        lines.append(Line(name, value, "note" if reason else "good", advice))
    return lines


def _megabytes(folder: Path, pattern: str) -> str:
    """What files of a folder take together; ``empty`` if there are none."""
    sizes = [path.lstat().st_size for path in folder.glob(pattern) if path.is_file()] if folder.is_dir() else []
    return f"{counted(len(sizes), 'file')}, {sum(sizes) / 1e6:.1f} MB" if sizes else "empty"


def _unwritable(folder: Path) -> str:
    """Why nothing can be written into a folder that is there or could be made; empty if something can."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryDirectory(dir=folder):
            return ""
    except OSError as error:
        return cause(error)


def _data(data_dir: Path | None) -> list[Line]:
    """The paper's data: found whole, or missing, or damaged."""
    from jaxflow.datasets import SOURCES
    from jaxflow.datasets.sources import find

    lines = [_looked_in(data_dir)]
    for name, (files, sha256) in SOURCES.items():
        try:
            where, found = find(name, data_dir, files, sha256)
        except InputError as error:
            lines.append(Line(name, f"cannot be used: {error}", "note"))
            continue
        if found:
            lines.append(Line(name, f"found in {where}, whole"))
        else:
            advice = f"a run downloads it once from OpenML; else put its {counted(len(files), 'original file')} into"
            lines.append(Line(name, f"not found in {where}", "note", f"{advice} DIR/{name} and give --data-dir DIR"))
    return lines


def _looked_in(data_dir: Path | None) -> Line:
    """Which folder of data it is, and who chose it."""
    if data_dir is not None:
        chosen, named = "--data-dir", data_dir
    elif os.environ.get("JAXFLOW_DATA"):
        chosen, named = "JAXFLOW_DATA", Path(os.environ["JAXFLOW_DATA"])
    else:
        return Line("Folder", "the user's cache; neither --data-dir nor JAXFLOW_DATA is set")
    if Path(os.path.expanduser(named)).is_dir():
        return Line("Folder", f"{named}, from {chosen}")
    return Line("Folder", f"{named}, from {chosen}, is no folder", "note", f"set {chosen} to one that is there")


def _results() -> list[Line]:
    """Whether results can be written where the command is given, and how much there is room for."""
    here = Path.cwd()
    if reason := _unwritable(here):
        return [Line("Folder", f"{here} cannot be written to ({reason})", "note", "give --out DIR to jaxflow run")]
    return [Line("Folder", f"{here}, {shutil.disk_usage(here).free / 1e9:.1f} GB free")]


def text(report: Mapping[str, list[Line]]) -> str:
    """The report as it is printed, in colour for a terminal."""
    plain = not _can_encode("✓→")
    width = max(len(line.name) for lines in report.values() for line in lines)
    parts: list[tuple[str, str]] = []  # text and its style
    for title, lines in report.items():
        parts.append((f"{title}\n", "bold"))
        for line in lines:
            mark, ascii_mark, colour = MARKS[line.state]
            parts += [(f"  {ascii_mark if plain else mark} ", colour)]
            parts += [(f"{line.name:<{width}}  {printable(line.value)}\n", "")]
            if line.advice:
                parts += [(f"{'':<{width + 6}}{'->' if plain else '→'} {printable(line.advice)}\n", "")]
    last = "" if obstacle(report) else "A run is possible: jaxflow run synthetic needs nothing else."
    return _styled([*parts, (last, "")]).rstrip("\n")


def _can_encode(text: str) -> bool:
    """Whether standard output has these signs."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _styled(parts: list[tuple[str, str]]) -> str:
    """The parts one after the other, with the terminal's codes for their styles if there is one and rich is."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return "".join(part for part, _ in parts)
    written, terminal = io.StringIO(), sys.stdout is not None and sys.stdout.isatty()
    Console(file=written, force_terminal=terminal, soft_wrap=True).print(Text.assemble(*parts), end="")
    return written.getvalue()
