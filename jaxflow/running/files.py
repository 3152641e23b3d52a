"""Files that appear whole or not at all, that outlast a loss of power, and that are never reached through a link."""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from jaxflow.errors import InputError

PRIVATE = ".jaxflow"  # the folder, inside a results folder, of its locks and of files that are being written
UNSYNCED = (errno.EINVAL, errno.ENOTSUP)  # what file systems answer that cannot sync a folder


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a write that fails inside the block into one line.

    Args:
        path: the folder that is written to; named where the error itself names no file.

    Raises:
        InputError: an ``OSError`` came out of the block.
    """
    try:
        yield
    except OSError as error:
        reason, name = error.strerror or error, error.filename2 or error.filename
        raise InputError(
            f"cannot write to {name if isinstance(name, str) else path} ({reason});"
            " make room or choose another --out, then run again"
        ) from error


def refuse_link(folder: Path) -> None:
    """Refuse a link, or a file, that stands where jaxflow keeps a folder of its own.

    What is written to or deleted from such a folder would be written to or deleted from another place.

    Raises:
        InputError: ``folder`` exists and is no folder, or is a symbolic link to one.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(
            f"{folder} is a link or a file, where jaxflow keeps a folder; move it away or choose another --out"
        )


def own_folder(folder: Path) -> Path:
    """Make a folder where there is none yet, and return its path.

    Raises:
        InputError: a link or a file stands in its place.
        OSError: it cannot be made.
    """
    refuse_link(folder)
    folder.mkdir(exist_ok=True)
    return folder


def create(path: Path) -> BinaryIO:
    """Open a new file for writing, in place of what an interrupted run has left under its name.

    The old directory entry is removed, so that neither a symbolic nor a hard link leads the bytes elsewhere.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), "wb")


def open_regular(path: Path, follow: bool = False) -> io.BufferedReader:
    """Open an ordinary file for reading; a pipe or a device, which could be waited on for ever, is an error.

    Args:
        path: the file.
        follow: whether ``path`` may be a symbolic link.

    Raises:
        OSError: there is none, it is not an ordinary file, or it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    return os.fdopen(descriptor, "rb")


def sync(paths: Iterable[Path]) -> None:
    """Wait until files and folders are on the disk.

    They are synced side by side: the file system then writes its journal once for all of them, a fifth of the time
    that a dozen files take one after the other.

    Raises:
        OSError: the disk is full or broken.
    """
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def written_together(root: Path) -> Iterator[Callable[[str], BinaryIO]]:
    """Write several files of a results folder; they are moved into place when the block ends well.

    They are written under ``PRIVATE``, synced, moved, and their folders synced: whoever looks sees the old file or
    the whole new one, also after a loss of power.

    Args:
        root: the results folder.

    Yields:
        A function of a file's name in the folder, such as ``figures/flows.png``, that opens it for writing.

    Raises:
        InputError: a link or a file stands in place of a folder.
        OSError: a file cannot be written or moved.
    """
    moves: dict[Path, Path] = {}

    def new(name: str) -> BinaryIO:
        target = root / name
        partial = own_folder(root / PRIVATE) / target.name
        moves[partial] = target
        return create(partial)

    yield new
    sync(moves)
    for partial, target in moves.items():
        if target.parent != root:
            own_folder(target.parent)
        os.replace(partial, target)
    sync({root, *(target.parent for target in moves.values())})


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Write one file anywhere; it is moved into place, over one that is there, when the block ends well.

    It is written beside its place, under a hidden name that no other process takes, and deleted if the block fails.

    Args:
        path: of the file, in a folder that exists.

    Raises:
        OSError: it cannot be written or moved.
    """
    partial = path.with_name(f".{path.name[:80]}.{os.getpid()}")
    try:
        with create(partial) as file:
            yield file
        sync([partial])
        os.replace(partial, path)
        sync([path.parent])
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def entries(folder: Path) -> list[str]:
    """The names in a folder, sorted; none if it is not there.

    Raises:
        InputError: it cannot be read, or a link or a file stands in its place.
    """
    refuse_link(folder)
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {folder} ({error.strerror}); choose another --out") from None


def delete(path: Path) -> None:
    """Delete a file, if it is there; of a link the link itself.

    Raises:
        InputError: it cannot be deleted.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"cannot delete {path} ({error.strerror}); delete it or choose another --out") from None


def delete_if_empty(folder: Path) -> None:
    """Delete a folder, unless it holds something that is not jaxflow's.

    Raises:
        InputError: it is empty and cannot be deleted.
    """
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise InputError(f"cannot delete {folder} ({error.strerror}); delete it or choose another --out") from None


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file.

    Returns:
        ``{"bytes": …, "sha256": …}``, the latter in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on a file while the block lasts; the system forgets it when the process dies.

    The file is made where there is none, and stays. One that is already there is opened as it is, neither emptied
    nor reached through a link.

    Args:
        path: the lock file.

    Raises:
        InputError: another process holds the lock, or the file is a link, has a second name, or cannot be opened.
    """
    with explained(path):
        if path.is_symlink():
            raise InputError(f"{path} is a link; jaxflow locks a file of its own: delete the link, then run again")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    with os.fdopen(descriptor, "rb", buffering=0):
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise InputError(f"{path} is not a file of jaxflow's own: delete it, then run again")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another run is writing to {path.parent.parent}; wait for it or choose another --out"
            ) from None
        except OSError as error:
            raise InputError(f"cannot lock {path} ({error.strerror}); choose --out on another file system") from None
        yield
