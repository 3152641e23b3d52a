"""The results folder: manifest, finished chunks, tables, parameters, figures. The only writer.

Every file is written beside the folder's other files under ``.partial`` and moved into place: it appears whole or
not at all. A chunk of networks is finished when its folder in ``chunks/`` exists; tables are the chunks' pieces one
after the other, so that an interrupted run ends with the same bytes as an uninterrupted one.
"""

import contextlib
import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from flax.traverse_util import flatten_dict, unflatten_dict
from matplotlib.figure import Figure

from jaxflow.errors import InputError
from jaxflow.networks import Params

FORMATS = ("png", "svg")
TABLES = (
    *(
        "networks",
        "training",
        "information",
        "node_flows",
        "edge_flows",
        "tradeoff",
        "dependence",
        "fits",
        "correlations",
        "predictors",
    ),
)
NUMBERS = ("r", "p", "null95", "low", "high", "rho", "rho_low", "rho_high")  # columns that may be empty
FIGURES = ("training", "flows", "dependence", "tradeoff", "tradeoff_levels", "paper_tradeoff")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failed write into one line that names the cause."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"cannot write to {path} ({reason}); make room or choose another --out, then run again"
        ) from error


@dataclass(frozen=True)
class Results:
    """A results folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def manifest(self) -> Any:
        """Config, seeds, versions, device and wall times."""
        try:
            return json.loads((self.path / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path} holds no readable manifest.json ({error}); --overwrite starts afresh"
            ) from None

    def table(self, name: str) -> pd.DataFrame:
        """A table, such as ``tradeoff``; an empty witness stays an empty string."""
        return pd.read_csv(self.path / f"{name}.csv", keep_default_na=False, na_values=dict.fromkeys(NUMBERS, ""))

    def params(self) -> Params:
        """Parameters of all networks, stacked on axis 0."""
        pieces = [np.load(file) for file in sorted((self.path / "params").glob("*.npz"))]
        return unflatten_dict({name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}, sep="/")

    def finished(self, start: int, stop: int) -> bool:
        """Whether networks start … stop − 1 are done."""
        return (self.path / "chunks" / _chunk_name(start, stop)).is_dir()

    def write_chunk(self, start: int, stop: int, tables: Mapping[str, pd.DataFrame], params: Params) -> None:
        """Save the tables and parameters of networks start … stop − 1, all together."""
        name = _chunk_name(start, stop)
        partial = self.path / ".partial" / name
        with _explained(self.path):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for table, frame in tables.items():
                frame.to_csv(partial / f"{table}.csv", index=False, float_format="%.9g", lineterminator="\n")
            arrays = {key: np.asarray(leaf) for key, leaf in flatten_dict(params, sep="/").items()}
            np.savez(partial / "params.npz", **arrays)  # pyright: ignore[reportArgumentType]
            (self.path / "chunks").mkdir(exist_ok=True)
            os.replace(partial, self.path / "chunks" / name)

    def assemble(self, ranges: Sequence[Sequence[int]]) -> None:
        """Tables and ``params/`` from the finished chunks, in order."""
        chunks = [self.path / "chunks" / _chunk_name(*bounds) for bounds in ranges]
        for table in sorted(file.name for file in chunks[0].glob("*.csv")):
            with self._replacing(table) as partial, partial.open("wb") as whole:
                for index, chunk in enumerate(chunks):
                    with (chunk / table).open("rb") as piece:
                        header = piece.readline()
                        whole.write(header if index == 0 else b"")
                        shutil.copyfileobj(piece, whole)
        for chunk in chunks:
            with self._replacing(f"params/{chunk.name}.npz") as partial:
                shutil.copyfile(chunk / "params.npz", partial)

    def write_table(self, name: str, frame: pd.DataFrame) -> None:
        """Save a table made from the whole run."""
        with self._replacing(f"{name}.csv") as partial:
            frame.to_csv(partial, index=False, float_format="%.9g", lineterminator="\n")

    def write_figure(self, name: str, figure: Figure) -> None:
        """Save a figure as PNG and SVG under ``figures/``."""
        for suffix in FORMATS:
            metadata = {"Date": None} if suffix == "svg" else None
            with self._replacing(f"figures/{name}.{suffix}") as partial:
                figure.savefig(partial, format=suffix, dpi=200, metadata=metadata)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Save the manifest."""
        with self._replacing("manifest.json") as partial:
            partial.write_text(json.dumps(manifest, indent=2) + "\n")

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        """A path to write to; when the block ends well it becomes ``name``."""
        target = self.path / name
        partial = self.path / ".partial" / target.name
        with _explained(self.path):
            partial.parent.mkdir(exist_ok=True)
            target.parent.mkdir(exist_ok=True)
            yield partial
            os.replace(partial, target)

    def close(self) -> None:
        """Remove what an interrupted write left behind."""
        shutil.rmtree(self.path / ".partial", ignore_errors=True)


def open_results(
    path: Path, identity: Mapping[str, Any], overwrite: bool = False
) -> tuple[Results, dict[str, Any] | None]:
    """The folder for a run, new or to be continued, and the manifest that it already has.

    An unfinished run of the same identity is continued, ``overwrite`` or not.

    Args:
        path: the folder; made where there is none.
        identity: what must not have changed for a run to be continued.
        overwrite: delete what another or a finished run left there.

    Raises:
        InputError: the path is a file, cannot be written, or holds another run or something else.
    """
    results = Results(path)
    manifest = _own_manifest(results)
    if manifest is None:
        return results, None
    changed = [key for key, value in identity.items() if manifest["identity"].get(key) != value]
    if manifest.get("clearing") or (overwrite and (changed or manifest["finished"])):
        with _explained(path):
            _clear(results)
        return results, None
    if changed:
        what = ", ".join(changed)
        raise InputError(f"{path} holds a run with another {what}; choose another --out, or --overwrite it")
    return results, manifest


def _own_manifest(results: Results) -> dict[str, Any] | None:
    """The manifest of a folder; None if it is empty or absent, an error if jaxflow did not fill it."""
    with _explained(results.path):
        contents = {entry.name for entry in results.path.iterdir()} if results.path.exists() else set()
    if not {name for name in contents if name != ".partial" and not name.startswith(".lock")}:
        return None
    manifest = results.manifest if "manifest.json" in contents else None
    if not isinstance(manifest, dict) or not {"experiment", "identity", "chunks", "seeds", "finished"} <= set(manifest):
        raise InputError(f"{results.path} is not empty and holds no jaxflow run; choose another --out")
    return manifest


def _clear(results: Results) -> None:
    """Delete what jaxflow writes, and nothing else.

    The manifest goes last and says until then that the folder is being cleared, so that an interruption is made good.
    """
    results.write_manifest({**results.manifest, "clearing": True})
    for folder in ("chunks", "params"):
        shutil.rmtree(results.path / folder, ignore_errors=True)
    for name in TABLES:
        (results.path / f"{name}.csv").unlink(missing_ok=True)
    for name, suffix in itertools.product(FIGURES, FORMATS):
        (results.path / "figures" / f"{name}.{suffix}").unlink(missing_ok=True)
    (results.path / "manifest.json").unlink()


@contextlib.contextmanager
def locked(path: Path, process: int = 0) -> Iterator[None]:
    """Keep a second run out of the folder while the block lasts; the system forgets the lock when a process dies.

    Each of the processes that share a run holds a lock of its own.
    """
    _own_manifest(Results(path))  # leaves alone what is not ours
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)
        file = (path / (f".lock-{process}" if process else ".lock")).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"another run is writing to {path}; wait for it or choose another --out") from None
        yield


def _chunk_name(start: int, stop: int) -> str:
    return f"{start:06d}-{stop - 1:06d}"
