"""Where results go: the default folders, and whether a folder can be written, asked before anything is computed."""

import errno
import os
import tempfile
from pathlib import Path

from jaxflow.errors import InputError
from jaxflow.running.files import entries, explained, refuse_link
from jaxflow.running.manifest import NAME, read_json


def default_folder(name: str, estimator: str, seed: int) -> Path:
    """``results/<name>-<estimator>``; another seed than 0 has a folder of its own, ending in ``-seed5``."""
    return Path("results") / f"{name}-{estimator}{_seed(seed)}"


def edit_folder(results: Path, seed: int) -> Path:
    """The run's folder with ``-edit`` at its end; of ``.`` beside the folder that it stands for."""
    named = results if results.name not in ("", "..") else results.resolve()
    return named.parent / f"{named.name}-edit{_seed(seed)}"


def _seed(seed: int) -> str:
    return f"-seed{seed}" if seed else ""


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be filled; where it is not there yet, by making one in its place and deleting it.

    Permissions alone do not say so: nobody can make a folder in ``/proc``, and its permissions allow it to root.

    Raises:
        InputError: it cannot be written, or made.
    """
    with explained(path):
        try:
            place = path
            while (there := _nearest_entry(place)) != place:
                place = there
            if not place.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if place != path:
                os.rmdir(tempfile.mkdtemp(prefix=".jaxflow-", dir=place))
        except OSError as error:  # without the name of the folder that was tried
            raise OSError(error.errno, error.strerror) from None


def _nearest_entry(path: Path) -> Path:
    """The path if there is anything, else the folder that it would be in.

    Raises:
        OSError: nothing can be there, because a name is too long or because a file stands in a folder's place.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return path.parent if not path.is_symlink() else path
    return path


def check_free(path: Path, results: Path, overwrite: bool) -> None:
    """Refuse to write an edit where something else lies, or where nothing can be written.

    Args:
        path: the folder of the edit.
        results: the folder of the run.
        overwrite: whether an earlier edit may be replaced.

    Raises:
        InputError: a file or a link, the run's own folder, a folder of something else, an earlier edit that may not
            be replaced, or a place where no folder can be made.
    """
    with explained(path):
        refuse_link(path)
        if path.exists() and results.exists() and path.samefile(results):
            raise InputError(f"{path} is the run itself; choose another --out")
        held = entries(path)
    if not held:
        return check_writable(path)
    try:
        ours = "edit" in read_json(path / NAME)
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise InputError(f"{path} is not empty and holds no edit; choose another --out")
    if not overwrite:
        raise InputError(f"{path} holds an edit; choose another --out, or --overwrite it")
    return check_writable(path.absolute().parent)
