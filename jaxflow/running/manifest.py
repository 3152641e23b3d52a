"""The manifest of a results folder: what it holds, how it is read and checked, and the plan of chunks in it.

``manifest.json`` is written by jaxflow, but people edit files, and disks damage them. Everything that is read from it
is checked here, once, so that no other module has to doubt a value's type.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from jaxflow.errors import InputError
from jaxflow.running.files import open_regular

Bounds: TypeAlias = Sequence[int]
"""First network of a chunk, and the one after its last."""

NAME = "manifest.json"
OURS = ("experiment", "identity", "chunks", "seeds", "finished")  # a manifest without these is not jaxflow's
MOST = 2**31  # networks: their numbers are folded into keys as 32-bit integers


def read_json(path: Path, follow: bool = False) -> Any:
    """What a file of JSON holds.

    Args:
        path: the file.
        follow: whether it may be a symbolic link.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or nested so deeply that Python cannot read it.
    """
    try:
        with open_regular(path, follow) as file:
            return json.loads(file.read().decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a results folder, its values unchecked (``fault`` checks them).

    Raises:
        InputError: there is none, it cannot be read, or another program wrote it.
    """
    if not os.path.lexists(folder / NAME):
        raise InputError(f"{folder} is no results folder, it holds no {NAME}; name one that jaxflow has filled")
    try:
        manifest = read_json(folder / NAME, follow=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no readable {NAME} ({error}); choose another --out") from None
    if isinstance(manifest, dict) and "edit" in manifest:
        raise InputError(f"{folder} is the folder of an edit, which is no run")
    lacking = OURS if not isinstance(manifest, dict) else [name for name in OURS if name not in manifest]
    if lacking:
        raise InputError(f"{folder} holds no jaxflow run ({NAME} has no {lacking[0]}); choose another --out")
    return manifest


def fault(manifest: Mapping[str, Any]) -> str:
    """The first value of a manifest that cannot be, in words; empty if there is none.

    Returns:
        Such as ``seeds is not a whole number from 1 to 2147483648``.
    """
    for name, (required, check, what) in FIELDS.items():
        if name not in manifest:
            if required:
                return f"{name} is missing"
        elif not check(manifest[name]):
            return f"{name} is not {what}"
    chunks, seeds = manifest["chunks"], manifest["seeds"]
    if [start for start, _ in chunks] != [0, *(stop for _, stop in chunks[:-1])] or chunks[-1][1] != seeds:
        return f"chunks do not follow one another from 0 to seeds, {seeds}"
    if not set(map(tuple, manifest.get("pending", ()))) <= set(map(tuple, chunks)):
        return "pending holds others than chunks"
    if manifest.get("assembled", 0) > seeds:
        return f"assembled is above seeds, {seeds}"
    return ""


def is_entry(entry: Any) -> bool:
    """Whether this can be what is recorded of a file: size, SHA-256, and rows of a table or shapes of arrays."""
    if not isinstance(entry, dict) or not {"bytes", "sha256"} < set(entry) <= {"bytes", "sha256", "rows", "shapes"}:
        return False
    shapes = entry.get("shapes", {})
    return (
        _is_count(entry["bytes"])
        and isinstance(entry["sha256"], str)
        and re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]) is not None
        and _is_count(entry.get("rows", 0))
        and isinstance(shapes, dict)
        and all(isinstance(shape, list) and all(map(_is_count, shape)) for shape in shapes.values())
    )


def assembled(manifest: Mapping[str, Any]) -> int:
    """How many networks the tables in the folder hold: those of the last run that ended, 0 if none has."""
    return manifest["seeds"] if manifest["finished"] else manifest.get("assembled", 0)


def planned_chunks(planned: Sequence[Bounds], seeds: int, size: int) -> list[list[int]]:
    """The chunks of a run that goes on with an earlier plan.

    Chunks of the earlier plan are kept as far as they go; the other networks are divided into chunks of equal size.

    Args:
        planned: the chunks of the earlier plan, from network 0 on; none for a new run.
        seeds: how many networks are asked for.
        size: how many a chunk holds at most.

    Returns:
        Chunks that follow one another from 0 to ``seeds``.
    """
    kept = [list(bounds) for bounds in planned if bounds[1] <= seeds]
    start = kept[-1][1] if kept else 0
    count = -(-(seeds - start) // size)
    edges = np.linspace(start, seeds, count + 1).astype(int).tolist()
    return [*kept, *map(list, pairwise(edges))]


def _is_count(value: Any) -> bool:
    """A whole number that is not negative; in Python ``True`` is one as well, here it is not."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_chunk(bounds: Any) -> bool:
    return isinstance(bounds, list) and len(bounds) == 2 and all(map(_is_count, bounds)) and bounds[0] < bounds[1]


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _object_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _is_number_of_networks(value: Any) -> bool:
    return _is_count(value) and 1 <= value <= MOST


# Name → whether every manifest has it, the check of its value, and what the value is in words.
FIELDS: dict[str, tuple[bool, Callable[[Any], bool], str]] = {
    "experiment": (True, _is(str), "a text"),
    "seeds": (True, _is_number_of_networks, f"a whole number from 1 to {MOST}"),
    "identity": (True, _is(dict), "an object"),
    "chunks": (True, lambda value: bool(value) and _list_of(_is_chunk)(value), "a list of pairs [start, stop]"),
    "finished": (True, _is(bool), "true or false"),
    "versions": (True, _object_of(_is(str)), "an object of texts"),
    "seconds": (True, _object_of(_is_seconds), "an object of numbers, none negative"),
    "run": (False, _is(str), "a text"),
    "pending": (False, _list_of(_is_chunk), "a list of pairs [start, stop]"),
    "assembled": (False, _is_count, "a whole number, not negative"),
    "label": (False, _is(str), "a text"),
    "attributes": (False, _list_of(_is(str)), "a list of texts"),
    "dataset": (False, _is(dict), "an object"),
    "recording": (False, _is(dict), "an object"),
    "chance": (False, _object_of(_is_seconds), "an object of numbers, none negative"),
    "searched": (False, _list_of(_is_count), "a list of whole numbers"),
    "thin": (False, _list_of(_is(str)), "a list of texts"),
    "device": (False, _is(str), "a text"),
    "files": (False, _object_of(is_entry), "an object of sizes and checksums"),
    "clearing": (False, _is(bool), "true or false"),
}
