"""Where Adult and MNIST come from: original files in a folder, else a user cache that OpenML fills.

Both routes end in the same canonical arrays, in the row order of the original files, checked by hash.
"""

import errno
import gzip
import hashlib
import io
import os
import stat
import tempfile
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from jaxflow.errors import InputError, cause
from jaxflow.values import folder

MOST_BYTES = 2**27  # twice the largest file, the unpacked images


def cache_folder() -> Path:
    """The user's cache folder for downloaded data."""
    return Path(platformdirs.user_cache_dir("jaxflow"))


def canonical_array(
    name: str,
    data_dir: str | Path | None,
    files: dict[str, str],
    parse: Callable[[Sequence[bytes]], np.ndarray],
    download: Callable[[Path], np.ndarray],
    canonical_sha256: str,
) -> np.ndarray:
    """The dataset's rows in one integer array: parsed from its original files, or downloaded once.

    Looked for in ``data_dir``, else in ``$JAXFLOW_DATA``, else in the user's cache folder; a folder that has any of
    the files must have all of them. Otherwise OpenML's table is fetched and kept in the cache.

    Args:
        name: of the dataset, for messages.
        data_dir: folder to look in, or None.
        files: relative path → SHA-256 of the unpacked bytes.
        parse: from the unpacked files, in the order of ``files``, to the array.
        download: from scikit-learn's data home to the array, in the row order of the original files.
        canonical_sha256: of the array's bytes.

    Raises:
        InputError: a file is missing, unreadable or altered, or the download fails.
    """
    where, present = _looked_for(name, data_dir, files)
    if present:
        return parse(_contents(name, where, present, files))
    return _cached(name, where, download, canonical_sha256)


def find(name: str, data_dir: str | Path | None, files: dict[str, str], canonical_sha256: str) -> tuple[Path, bool]:
    """Where ``canonical_array`` would read a dataset from; nothing is downloaded.

    Args:
        name: of the dataset.
        data_dir: folder to look in, or None.
        files: relative path → SHA-256 of the unpacked bytes, which are compared.
        canonical_sha256: of the array that an earlier download has left.

    Returns:
        The folder with the original files, or the kept download, and True; the folder that was looked in, and False
        where there is neither.

    Raises:
        InputError: a file is missing, unreadable or altered, or a folder lies where the download is kept.
    """
    where, present = _looked_for(name, data_dir, files)
    if present:
        _contents(name, where, present, files)
        return where, True
    kept = cache_folder() / f"{name}.npy"
    return (kept, True) if _kept(kept, canonical_sha256) is not None else (where, False)


def _looked_for(name: str, data_dir: str | Path | None, files: dict[str, str]) -> tuple[Path, list[str]]:
    """The folder to read from, and which of the files have an entry there."""
    where = data_dir if data_dir is not None else os.environ.get("JAXFLOW_DATA") or cache_folder()
    where = folder(f"{name}: the data folder", where)
    try:
        if where.exists() and not where.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return where, [path for path in files if _entry_exists(where / path)]
    except OSError as error:
        raise InputError(
            f"{name}: the data folder {where} cannot be read ({error.strerror}); choose another --data-dir"
        ) from None


def _contents(name: str, where: Path, present: list[str], files: dict[str, str]) -> list[bytes]:
    """The unpacked bytes of all files, if none is missing."""
    absent = [path for path in files if path not in present]
    if absent:
        raise InputError(f"{name}: {where / absent[0]} is missing; put the original file there")
    return [_unpacked(where / path, sha256) for path, sha256 in files.items()]


def _entry_exists(path: Path) -> bool:
    """Whether there is anything of that name, a dangling link included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def regular_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """A file's bytes, if it is a regular file of bounded size: a pipe would never answer, a device never end.

    Raises:
        OSError: it cannot be opened, is no regular file, or is larger than ``most``.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe's open does not wait either
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than the {most} bytes that any of these files has")
    return content


def fetch_openml(name: str, **options: Any) -> Any:
    """scikit-learn's ``fetch_openml``, which takes longer to import than the files to read."""
    from sklearn.datasets import fetch_openml

    return fetch_openml(name, **options)


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 of the array's bytes, little-endian, row by row."""
    return hashlib.sha256(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()).hexdigest()


def _unpacked(path: Path, sha256: str) -> bytes:
    """The file's bytes, unpacked if gzipped, checked by hash."""
    try:
        content = regular_bytes(path)
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(content)) as packed:
                content = packed.read(MOST_BYTES)  # what unpacks to more has another hash
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({cause(error)}); put the original file there") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} is truncated or altered (its hash differs); put the original file there")
    return content


def _kept(path: Path, sha256: str) -> np.ndarray | None:
    """The array that an earlier download left, None if it is absent or damaged.

    Raises:
        InputError: the path is taken by something that could not be replaced.
    """
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder where a downloaded file belongs; remove it")
    try:
        array = np.load(io.BytesIO(regular_bytes(path)))
        return array if array_sha256(array) == sha256 else None
    except Exception:  # a damaged header may send NumPy anywhere, to zip archives and out of memory as well
        return None


def _cached(name: str, where: Path, download: Callable[[Path], np.ndarray], sha256: str) -> np.ndarray:
    """The downloaded array, from the cache if it is there and whole, else fetched now and kept."""
    cache = cache_folder()
    array = _kept(cache / f"{name}.npy", sha256)
    if array is not None:
        return array
    try:
        with warnings.catch_warnings():  # scikit-learn warns of every retry
            warnings.simplefilter("ignore", UserWarning)
            array = download(cache / "openml")
        if array_sha256(array) != sha256:
            raise ValueError("the table's rows are not the published ones")
        _keep(cache / f"{name}.npy", array)
    except Exception as error:  # urllib, OpenML and ARFF errors have no common base
        raise InputError(
            f"{name}: not found in {where}, and its download from OpenML failed ({cause(error)}); "
            "point --data-dir or JAXFLOW_DATA at a folder with the original files, or connect to the internet"
        ) from error
    return array


def _keep(path: Path, array: np.ndarray) -> None:
    """Write the array whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npy", delete=False) as file:
        try:
            np.save(file, array)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
