"""Where Adult and MNIST come from: original files in a folder, else a user cache that OpenML fills.

Both routes end in the same canonical arrays, in the row order of the original files, checked by hash.
"""

import gzip
import hashlib
import os
import tempfile
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import platformdirs

from jaxflow.errors import InputError


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
    folder = Path(data_dir or os.environ.get("JAXFLOW_DATA") or cache_folder())
    try:
        folder = folder.expanduser()
        present = [path for path in files if (folder / path).exists()]
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name}: the data folder {folder} cannot be read ({error}); choose another --data-dir"
        ) from None
    if present:
        absent = [path for path in files if path not in present]
        if absent:
            raise InputError(f"{name}: {folder / absent[0]} is missing; put the original file there")
        return parse([_unpacked(folder / path, sha256) for path, sha256 in files.items()])
    return _cached(name, folder, download, canonical_sha256)


def array_sha256(array: np.ndarray) -> str:
    """SHA-256 of the array's bytes, little-endian, row by row."""
    return hashlib.sha256(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()).hexdigest()


def _unpacked(path: Path, sha256: str) -> bytes:
    """The file's bytes, unpacked if gzipped, checked by hash."""
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); put the original file there") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} is truncated or altered (its hash differs); put the original file there")
    return content


def _cached(name: str, folder: Path, download: Callable[[Path], np.ndarray], sha256: str) -> np.ndarray:
    """The downloaded array, from the cache if it is there and whole, else fetched now and kept."""
    cache = cache_folder()
    kept = cache / f"{name}.npy"
    try:
        array = np.load(kept)
        if array_sha256(array) == sha256:
            return array
    except (OSError, ValueError, EOFError):
        kept.unlink(missing_ok=True)  # absent or damaged: fetch it
    try:
        with warnings.catch_warnings():  # scikit-learn warns of every retry
            warnings.simplefilter("ignore", UserWarning)
            array = download(cache / "openml")
        if array_sha256(array) != sha256:
            raise ValueError("the table's rows are not the published ones")
        _keep(kept, array)
    except Exception as error:  # urllib, OpenML and ARFF errors have no common base
        raise InputError(
            f"{name}: not found in {folder}, and its download from OpenML failed ({_first_line(error)}); "
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


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
