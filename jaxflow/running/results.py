"""The results folder: what a run leaves for its readers, and which folder a run may fill.

Every file appears whole or not at all (``files``). A chunk of networks is finished when its folder in ``chunks/``
exists; tables are the chunks' pieces one after the other, so that an interrupted run ends with the same bytes as an
uninterrupted one. The manifest is written before anything else, and is replaced and never deleted: at any moment the
folder says whose it is.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from flax.traverse_util import unflatten_dict
from matplotlib.figure import Figure

from jaxflow.errors import InputError, counted, printable
from jaxflow.figures.glyphs import missing_glyphs
from jaxflow.figures.style import DPI
from jaxflow.networks import Params
from jaxflow.running.assembly import PARAMS_FOLDER, delete_params
from jaxflow.running.chunks import CHUNK_NAME, CHUNK_TABLES, CHUNKS, chunk_name, discard_chunk, held, write_csv
from jaxflow.running.files import (
    PRIVATE,
    delete,
    delete_if_empty,
    entries,
    exclusive,
    explained,
    own_folder,
    refuse_link,
    written_together,
)
from jaxflow.running.manifest import NAME, assembled, fault, read_manifest

FORMATS = ("png", "svg")
TABLES = (*CHUNK_TABLES, "correlations", "predictors")
TEXTS = (
    "message",
    "witness",
    "metric",
    "method",
    "attribute",
    "stage",
    "predictor",
    "edges",
)  # all other columns are numbers
FIGURES = (
    *("training", "flows", "dependence", "tradeoff", "tradeoff_levels", "paper_tradeoff"),
    *("flow_over_time", "flow_matrix"),
)
REPORT = "report.html"
FOLDERS = (CHUNKS, PARAMS_FOLDER, "figures")


@dataclass(frozen=True)
class Results:
    """A results folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """Config, seeds, versions, device and wall times, every value of the type that it must have.

        Raises:
            InputError: there is no manifest, jaxflow did not write it, or it was damaged.
        """
        manifest = read_manifest(self.path)
        if manifest.get("clearing") is True:
            raise InputError(f"{self.path} is being cleared by an --overwrite that was interrupted; give it again")
        if wrong := fault(manifest):
            raise InputError(f"{self.path / NAME} is damaged: {wrong}; --overwrite starts afresh")
        return manifest

    def table(self, name: str) -> pd.DataFrame:
        """A table, such as ``tradeoff``; an empty witness stays an empty string.

        Raises:
            InputError: it is not there, or is no table.
        """
        path = self.path / f"{name}.csv"
        try:
            columns = pd.read_csv(path, nrows=0).columns
            numbers = dict.fromkeys(set(columns) - set(TEXTS), "")  # which may be empty
            return pd.read_csv(path, keep_default_na=False, na_values=numbers, dtype={"message": str, "attribute": str})
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path} ({error}); the run's command makes it again") from None

    def params(self) -> Params:
        """Parameters of all networks of the tables, stacked on axis 0.

        Raises:
            InputError: no run has ended in this folder, or a file cannot be read.
        """
        manifest = self.manifest
        chunks = [bounds for bounds in manifest["chunks"] if bounds[1] <= assembled(manifest)]
        if not chunks:
            raise InputError(f"no run has ended in {self.path}; give its command again")
        pieces = []
        for file in (self.path / PARAMS_FOLDER / f"{chunk_name(bounds)}.npz" for bounds in chunks):
            try:
                with np.load(file) as piece:
                    pieces.append(dict(piece))
            except (OSError, ValueError, EOFError, BadZipFile) as error:
                raise InputError(f"cannot read {file} ({error}); the run's command makes it again") from None
        return unflatten_dict({name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}, sep="/")

    def write_table(self, name: str, frame: pd.DataFrame) -> None:
        """Save a table made from the whole run."""
        with self._writing() as new, new(f"{name}.csv") as file:
            write_csv(frame, file)

    def write_figures(self, figures: Iterable[tuple[str, Figure]]) -> None:
        """Save figures, each with its name, as PNG and SVG under ``figures/``.

        Warns with one ``MissingGlyphsWarning`` of all characters that their font does not have.
        """
        with missing_glyphs(), self._writing() as new:
            for name, figure in figures:
                for suffix in FORMATS:
                    metadata = {"Date": None} if suffix == "svg" else None
                    with new(f"figures/{name}.{suffix}") as file:
                        figure.savefig(file, format=suffix, dpi=DPI, metadata=metadata)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Save the manifest."""
        with self._writing() as new, new(NAME) as file:
            file.write(f"{json.dumps(manifest, indent=2)}\n".encode())

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Callable[[str], BinaryIO]]:
        """A function that opens files of the folder for writing; they are moved into place when the block ends well."""
        with explained(self.path), written_together(self.path) as new:
            yield new

    def close(self) -> None:
        """Delete what interrupted writes have left behind, and nobody else's file."""
        private = self.path / PRIVATE
        for name in entries(private):
            stem = name.rsplit(".", 1)[0]
            if CHUNK_NAME.fullmatch(name):
                discard_chunk(private / name)
            elif name == NAME or stem in (*TABLES, *FIGURES) or CHUNK_NAME.fullmatch(stem):
                delete(private / name)


def run_name(identity: Mapping[str, Any]) -> str:
    """By what chunks know their run: SHA-256 of its identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def open_results(
    path: Path, identity: Mapping[str, Any], seeds: int, overwrite: bool = False
) -> tuple[Results, dict[str, Any] | None]:
    """Open the folder for a run, new or to be continued.

    A run of the same identity is continued, and an interrupted clearing is completed, ``overwrite`` or not. A folder
    holds as many networks as are finished from network 0 on without a gap, and at least those of its tables. Fewer
    than it holds are refused, but for a return to those of the tables, after a larger run was interrupted.

    Args:
        path: the folder.
        identity: what must not have changed for a run to be continued.
        seeds: how many networks are asked for.
        overwrite: delete what is there if it has ended, cannot be continued, or is damaged.

    Returns:
        The folder, and the manifest to go on with; None for a new run.

    Raises:
        InputError: the path is a file, cannot be written, or holds another run or something else.
    """
    results = Results(path)
    manifest = _own_manifest(path)
    if manifest is None:
        return results, None
    refusal = "" if manifest.get("clearing") is True else _refusal(results, manifest, identity, seeds)
    if refusal and not overwrite:
        raise InputError(refusal)
    if refusal or manifest.get("clearing") is True or (overwrite and manifest["finished"]):
        _clear(results)
        return results, None
    return results, manifest


def _refusal(results: Results, manifest: dict[str, Any], identity: Mapping[str, Any], seeds: int) -> str:
    """Why a run cannot go on with what a folder holds, in one line; empty if it can."""
    if wrong := fault(manifest):
        return f"{results.path / NAME} is damaged: {wrong}; choose another --out, or --overwrite it"
    former = manifest["identity"]  # a field that has its default may be absent, from either
    if changed := [key for key in {**identity, **former} if former.get(key) != identity.get(key)]:
        kinds = ["a recording's flows" if "messages" in own else "a run" for own in (former, identity)]
        what = f"a run that differs in {', '.join(changed[:6])}{', …' if len(changed) > 6 else ''}"
        if kinds[0] != kinds[1]:
            what = f"{kinds[0]} ({printable(str(manifest['experiment']))}), and {kinds[1]} cannot go there"
        return f"{results.path} has {what}; choose another --out, or --overwrite it"
    if seeds >= manifest["seeds"] or seeds == assembled(manifest):
        return ""
    run = manifest.get("run", run_name(identity))
    held_networks = max(assembled(manifest), held(results.path, manifest, run))
    if seeds >= held_networks:
        return ""
    return (
        f"{results.path} holds {counted(held_networks, 'network')}, not the {seeds} asked for; "
        "ask for at least as many, choose another --out, or --overwrite to start afresh"
    )


def _own_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a folder, unchecked; None if it is absent or empty, an error if jaxflow did not fill it."""
    with explained(path):
        contents = set(os.listdir(path)) - {PRIVATE} if path.exists() else set()
        # What an interrupted run made before its first file; a folder with somebody else's files in it is not empty.
        contents -= {name for name in contents & set(FOLDERS) if not entries(path / name)}
    if not contents:
        return None
    if NAME not in contents:
        raise InputError(f"{path} is not empty and holds no jaxflow run; choose another --out")
    return read_manifest(path)


def _clear(results: Results) -> None:
    """Delete what jaxflow writes, and nothing else.

    The manifest says from the first deletion on that the folder is being cleared, and stays until the next run's
    manifest replaces it: whenever this is interrupted, the next command clears the rest. Nothing is deleted because a
    manifest lists it, which may have been altered, but because its name is one that jaxflow gives.

    Raises:
        InputError: something cannot be deleted.
    """
    root = results.path
    empty = {"experiment": "", "seeds": 0, "identity": {}, "chunks": [], "finished": False}
    results.write_manifest({**empty, "clearing": True})
    for name in filter(CHUNK_NAME.fullmatch, entries(root / CHUNKS)):
        discard_chunk(root / CHUNKS / name)
    delete_params(root)
    for name, suffix in product(FIGURES, FORMATS):
        delete(root / "figures" / f"{name}.{suffix}")
    for name in (*(f"{table}.csv" for table in TABLES), REPORT):
        delete(root / name)
    for name in FOLDERS:
        delete_if_empty(root / name)
    results.close()


@contextlib.contextmanager
def locked(path: Path, process: int = 0) -> Iterator[None]:
    """Keep a second run out of the folder while the block lasts; the system forgets the lock when a process dies.

    Args:
        path: the folder; made where there is none.
        process: each of the processes that share a run holds a lock of its own.

    Raises:
        InputError: another run has the lock, the folder holds something else, or a link stands in place of one of its
            folders or of the lock.
    """
    _own_manifest(path)  # leaves alone what is not ours
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
        for name in (PRIVATE, *FOLDERS):
            refuse_link(path / name)
        lock = own_folder(path / PRIVATE) / (f"lock-{process}" if process else "lock")
    with exclusive(lock):
        yield
