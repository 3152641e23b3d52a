"""Finished chunks of networks on the disk: their tables, their parameters, and the records by which both are checked.

A chunk is the folder ``chunks/<first>-<last>``. It is written under another name, with a record (``chunk.json``) of
the size and SHA-256 of every file, of the networks and of the run that they belong to, and moved into place: it
appears whole. Each of several processes that share a run does this alone, without the manifest. Nothing in a chunk is
trusted before it agrees with the record.
"""

import errno
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxflow.errors import InputError
from jaxflow.networks import Params
from jaxflow.running.files import (
    PRIVATE,
    create,
    delete,
    delete_if_empty,
    explained,
    fingerprint,
    own_folder,
    refuse_link,
    sync,
)
from jaxflow.running.manifest import Bounds, assembled, is_entry, read_json

CHUNKS = "chunks"
RECORD = "chunk.json"
PARAMS = "params.npz"
PERMUTED = "permuted.npz"  # of a recording's chunk: flows about every permutation, which p_max of all chunks needs
ARRAYS = (PARAMS, PERMUTED)
CHUNK_TABLES = (
    *("networks", "training", "information", "node_flows", "edge_flows"),
    *("tradeoff", "dependence", "fits"),
)
CHUNK_FILES = (RECORD, *ARRAYS, *(f"{table}.csv" for table in CHUNK_TABLES))
CHUNK_NAME = re.compile(r"\d{6,}-\d{6,}")


class DamagedError(Exception):
    """A chunk on the disk is not the one that was written; the message names the file."""


def chunk_name(bounds: Bounds) -> str:
    """The name of a chunk's folder, ``000025-000049`` for networks 25 … 49."""
    start, stop = bounds
    return f"{start:06d}-{stop - 1:06d}"


def write_csv(frame: pd.DataFrame, file: Any) -> None:
    """Write a table as all tables are written: nine digits, Unix line ends, UTF-8, to a binary file."""
    frame.to_csv(file, index=False, float_format="%.9g", lineterminator="\n", mode="wb", encoding="utf-8")


def write_chunk(
    root: Path, bounds: Bounds, run: str, tables: Mapping[str, pd.DataFrame], params: Params, file: str = PARAMS
) -> None:
    """Save the tables and the parameters of networks ``start … stop − 1``, or layers of a recording, all together.

    Args:
        root: the results folder.
        bounds: ``start, stop``.
        run: of which run they are (the manifest's ``run``).
        tables: name → table, with names from ``CHUNK_TABLES``.
        params: the networks' parameters, stacked on axis 0; or a recording's flows about permutations.
        file: of these, one of ``ARRAYS``.

    Raises:
        InputError: the folder cannot be written to.
    """
    name = chunk_name(bounds)
    with explained(root):
        partial = own_folder(own_folder(root / PRIVATE) / name)
        arrays = {key: np.asarray(leaf) for key, leaf in named_leaves(params).items()}
        about: dict[str, dict[str, Any]] = {file: {"shapes": {key: list(own.shape) for key, own in arrays.items()}}}
        with create(partial / file) as opened:
            np.savez(opened, **arrays)  # pyright: ignore[reportArgumentType]
        for table, frame in tables.items():
            about[f"{table}.csv"] = {"rows": len(frame)}
            with create(partial / f"{table}.csv") as opened:
                write_csv(frame, opened)
        files = {own: {**fingerprint(partial / own), **extra} for own, extra in about.items()}
        with create(partial / RECORD) as opened:
            record = {"run": run, "networks": list(bounds), "files": files}
            opened.write(json.dumps(record, indent=2).encode())
        sync([partial, *(partial / own for own in (*files, RECORD))])
        folder = own_folder(root / CHUNKS)
        _move(partial, folder / name)
        sync([folder])


def named_leaves(params: Params) -> dict[str, Any]:
    """The leaves of parameters by name: ``layer_0/kernel`` in nested dictionaries, else the path in the pytree."""
    paths = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in paths}


def _move(partial: Path, target: Path) -> None:
    """Move a chunk's folder into place.

    Somebody else's files may have kept a folder of that name when it was cleared. Then the files are moved one by one,
    the record, without which they count for nothing, last.
    """
    try:
        os.replace(partial, target)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    for file in sorted(partial.iterdir(), key=lambda file: file.name == RECORD):
        os.replace(file, target / file.name)
    partial.rmdir()
    sync([target])


def is_written(root: Path, bounds: Bounds) -> bool:
    """Whether a chunk has been moved into place; ``read_chunk`` says whether it is whole."""
    return (root / CHUNKS / chunk_name(bounds) / RECORD).is_file()


def read_chunk(root: Path, bounds: Bounds, run: str) -> dict[str, dict[str, Any]] | None:
    """Check a chunk's files against its record.

    Args:
        root: the results folder.
        bounds: ``start, stop``.
        run: of which run it must be.

    Returns:
        File → ``bytes``, ``sha256``, and ``rows`` of a table or ``shapes`` of parameters; None if there is no chunk.

    Raises:
        DamagedError: a file is missing, shorter, longer or altered, or the record is of other networks.
        InputError: the chunk may not be read, or a link stands in its place.
    """
    folder = root / CHUNKS / chunk_name(bounds)
    refuse_link(folder)
    if not any(os.path.lexists(folder / name) for name in CHUNK_FILES):
        return None
    files = _record(folder, bounds, run)
    for name, entry in files.items():
        if any(entry[key] != value for key, value in _fingerprint(folder / name).items()):
            raise DamagedError(name)
    return files


def _record(folder: Path, bounds: Bounds, run: str) -> dict[str, dict[str, Any]]:
    """What the record of a chunk says of its files, if it is one of this run and these networks."""
    try:
        record = read_json(folder / RECORD)
    except PermissionError as error:
        raise InputError(f"cannot read {folder / RECORD} ({error.strerror}); choose another --out") from None
    except (OSError, ValueError):
        raise DamagedError(RECORD) from None
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict) or (record.get("run"), record.get("networks")) != (run, list(bounds)):
        raise DamagedError(RECORD)
    if not set(ARRAYS) & set(files) or not set(files) < set(CHUNK_FILES) or not all(map(is_entry, files.values())):
        raise DamagedError(RECORD)
    return files


def _fingerprint(path: Path) -> dict[str, Any]:
    try:
        return fingerprint(path)
    except PermissionError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); choose another --out") from None
    except OSError:
        raise DamagedError(path.name) from None


def discard_chunk(folder: Path) -> None:
    """Delete the files of a chunk, the record first, and its folder if nobody else's file is in it.

    Args:
        folder: of the chunk, in ``chunks/`` or where it was being written.

    Raises:
        InputError: a file cannot be deleted, or the folder is a link.
    """
    refuse_link(folder)
    for name in CHUNK_FILES:
        delete(folder / name)
    delete_if_empty(folder)


def unfinished(
    root: Path, chunks: Sequence[Bounds], manifest: Mapping[str, Any] | None, run: str, say: Callable[[str], None]
) -> list[Bounds]:
    """Which chunks have to be computed: those that are not there, and those that are damaged, which are deleted.

    Args:
        root: the results folder.
        chunks: of the run.
        manifest: that the folder already has.
        run: of which run they must be.
        say: called with a line for every chunk that was finished and is computed again.

    Raises:
        InputError: a damaged chunk cannot be deleted.
    """
    pending = []
    for bounds in chunks:
        name = chunk_name(bounds)
        try:
            if _is_whole(root, bounds, manifest, run):
                continue
            if manifest and bounds[1] <= assembled(manifest):
                say(f"chunk {name} is missing and is computed again")
        except DamagedError as error:
            say(f"chunk {name} is damaged ({error}) and is computed again")
            discard_chunk(root / CHUNKS / name)
        pending.append(bounds)
    return pending


def held(root: Path, manifest: Mapping[str, Any], run: str) -> int:
    """How many networks of a run are finished and whole, counted from 0 to the first that is not.

    Args:
        root: the results folder.
        manifest: with the run's ``chunks``.
        run: of which run they must be.
    """
    for bounds in manifest["chunks"]:
        try:
            whole = _is_whole(root, bounds, manifest, run)
        except DamagedError:
            whole = False
        if not whole:
            return bounds[0]
    return manifest["seeds"]


def _is_whole(root: Path, bounds: Bounds, manifest: Mapping[str, Any] | None, run: str) -> bool:
    """Whether a chunk is there; it must agree with its record, and the record with the manifest of a finished run."""
    files = read_chunk(root, bounds, run)
    listed = (manifest or {}).get("files", {})
    for name, entry in (files or {}).items():
        if listed.get(f"{CHUNKS}/{chunk_name(bounds)}/{name}", entry) != entry:
            raise DamagedError(name)
    return files is not None
