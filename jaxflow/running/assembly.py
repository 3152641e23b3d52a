"""The tables and parameters of a whole run, from its chunks."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from jaxflow.errors import InputError
from jaxflow.running.chunks import ARRAYS, CHUNK_NAME, CHUNKS, PARAMS, DamagedError, chunk_name, read_chunk
from jaxflow.running.files import delete, entries, explained, written_together
from jaxflow.running.manifest import Bounds

PARAMS_FOLDER = "params"


def assemble(root: Path, chunks: Sequence[Bounds], run: str, without: Sequence[str] = ()) -> dict[str, Any]:
    """Put the chunks' tables one after the other, and their parameters into ``params/``.

    Every chunk is checked against its record once more. Tables are copied in pieces: none is ever in memory as a whole.

    Args:
        root: the results folder.
        chunks: of the run, in order.
        run: of which run they must be.
        without: names of tables that the caller makes from the chunks itself.

    Returns:
        File of a chunk, such as ``chunks/000000-000024/tradeoff.csv`` → its size, SHA-256, and rows or shapes.

    Raises:
        InputError: a chunk is not what was written, the chunks differ in their columns, or writing fails.
    """
    files = {chunk_name(bounds): _checked(root, bounds, run) for bounds in chunks}
    folders = [root / CHUNKS / name for name in files]
    with explained(root), written_together(root) as new:
        for table in sorted(set().union(*files.values()) - {*ARRAYS, *(f"{name}.csv" for name in without)}):
            with new(table) as whole:
                _join([folder / table for folder in folders], whole)
        for folder in (own for own in folders if PARAMS in files[own.name]):
            with new(f"{PARAMS_FOLDER}/{folder.name}.npz") as whole, (folder / PARAMS).open("rb") as piece:
                shutil.copyfileobj(piece, whole)
    delete_params(root, set(files))
    return {f"{CHUNKS}/{chunk}/{name}": entry for chunk, own in files.items() for name, entry in own.items()}


def _checked(root: Path, bounds: Bounds, run: str) -> dict[str, dict[str, Any]]:
    """What the record of a chunk says of its files, if they agree with it."""
    try:
        if files := read_chunk(root, bounds, run):
            return files
        reason = "missing"
    except DamagedError as error:
        reason = f"damaged ({error})"
    raise InputError(f"chunk {chunk_name(bounds)} of {root} is {reason}; the same command computes it again")


def _join(pieces: Sequence[Path], whole: BinaryIO) -> None:
    """Write one table after the other, under the header that they share."""
    header = b""
    for path in pieces:
        if not path.exists():
            raise _other_columns(path, pieces[0])
        with path.open("rb") as piece:
            first = piece.readline()
            if path == pieces[0]:
                whole.write(header := first)
            elif first != header:
                raise _other_columns(path, pieces[0])
            shutil.copyfileobj(piece, whole)


def _other_columns(path: Path, first: Path) -> InputError:
    return InputError(
        f"{path} and {first} differ in their columns, because different versions of jaxflow wrote them;"
        f" delete {first.parent.parent} and give the same command"
    )


def delete_params(root: Path, kept: set[str] | frozenset[str] = frozenset()) -> None:
    """Delete the parameters of chunks that are not, or no longer, of the run.

    Args:
        root: the results folder.
        kept: names of the chunks whose parameters stay.

    Raises:
        InputError: a file cannot be deleted.
    """
    folder = root / PARAMS_FOLDER
    for name in entries(folder):
        chunk = name.removesuffix(".npz")
        if chunk != name and CHUNK_NAME.fullmatch(chunk) and chunk not in kept:
            delete(folder / name)
