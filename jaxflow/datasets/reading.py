"""From a CSV or Parquet file, a table of OpenML's or a pandas frame to one frame whose columns have different names.

Nothing is decided here about what a column means: see ``columns``. Whatever cannot be read is refused in one line.
"""

import csv
import errno
import hashlib
import io
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from jaxflow.datasets import sources
from jaxflow.errors import InputError, cause, did_you_mean, shown

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "<NA>")  # a cell that holds nothing
SEPARATORS = ",;\t"
MOST_BYTES = 2**32
OPENML = "openml:"
INDEX = re.compile(r"(Unnamed: \d+)?")  # names of columns without a name, as ``frame.to_csv`` writes its index


class Table(NamedTuple):
    """A frame as it was read.

    Attributes:
        name: of the table, for messages.
        frame: text column names, each once.
        notes: what was decided while reading.
        source: what a manifest says of it: ``table``, a file's name or ``openml:NAME@VERSION``, and a file's
            ``sha256``; nothing of a frame.
    """

    name: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    source: Mapping[str, str] = {}


def read(path_or_frame: Any) -> Table:
    """The table that a user means by a path, ``openml:NAME[@VERSION]`` or a pandas frame.

    Raises:
        InputError: it is none of them, cannot be read, is empty, or has two columns of one name.
    """
    if isinstance(path_or_frame, pd.DataFrame):
        return _named("table", path_or_frame)
    if isinstance(path_or_frame, str) and path_or_frame.startswith(OPENML):
        return _from_openml(path_or_frame.removeprefix(OPENML))
    path = _path(path_or_frame)
    content = _content(path)
    source = {"table": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    if content.startswith(b"PAR1") or path.suffix in (".parquet", ".pq"):
        return _named(path.stem, _from_parquet(path, content))._replace(source=source)
    separator, header = _header(path, content)
    notes = () if separator == "," else (f"columns are separated by {_called(separator)}",)
    return _named(path.stem, _from_csv(path, content, separator, header), notes)._replace(source=source)


def nearest(name: str, names: Iterable[str], what: str = "columns") -> str:
    """A hint for a name that no column has: the similar ones, else the first few."""
    known = list(names)
    listed = f"the {what} are {', '.join(map(shown, known[:8]))}{', …' if len(known) > 8 else ''}"
    return did_you_mean(name, known) or listed


def _named(name: str, frame: pd.DataFrame, notes: tuple[str, ...] = ()) -> Table:
    """The frame with stripped text names, without columns that have none."""
    names = [str(column).strip() for column in frame.columns]
    unnamed = [i for i, column in enumerate(names) if INDEX.fullmatch(column)]
    if unnamed:
        notes = (*notes, f"columns without a name are left out: {len(unnamed)}")
    named = [column for i, column in enumerate(names) if i not in unnamed]
    if twice := [column for i, column in enumerate(named) if column in named[:i]]:
        raise InputError(f"{name}: two columns are named {shown(twice[0])}; rename one")
    if not named or not len(frame):
        raise InputError(f"{name}: the table holds no {'rows' if named else 'columns'}; check what was exported")
    kept = frame.iloc[:, [i for i in range(len(names)) if i not in unnamed]]
    return Table(name, kept.set_axis(named, axis=1), notes)


def _path(value: Any) -> Path:
    """A path, ``~`` replaced by the home folder."""
    try:
        text = os.fspath(value)
        if not isinstance(text, str) or not text or "\0" in text:
            raise ValueError
        return Path(text).expanduser()
    except Exception:  # a foreign path may raise anything
        raise InputError(
            f"a table is a path, openml:NAME or a pandas frame, not {shown(value)}; convert it with .to_pandas()"
        ) from None


def _content(path: Path) -> bytes:
    """All bytes of a file."""
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        content = sources.regular_bytes(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"the table {path} cannot be read ({cause(error)}); name a CSV or Parquet file") from None
    if not content.strip():
        raise InputError(f"the table {path} is empty; it needs a line of column names and rows")
    return content


def _from_parquet(path: Path, content: bytes) -> pd.DataFrame:
    """A Parquet file, which pandas reads through pyarrow."""
    try:
        return pd.read_parquet(io.BytesIO(content))
    except ImportError:
        raise InputError(f"{path}: Parquet needs pyarrow; pip install 'jaxflow[parquet]', or save it as CSV") from None
    except Exception as error:  # Arrow's errors have no common base
        raise InputError(f"{path} is no readable Parquet file ({cause(error)}); save it anew, or as CSV") from None


def _from_openml(title: str) -> Table:
    """OpenML's table of this name, fetched once and kept in the user's cache."""
    name, _, version = title.partition("@")
    if not name or (version and not version.isdecimal()):
        raise InputError(f"a table of OpenML's is openml:NAME or openml:NAME@VERSION, not {shown(OPENML + title)}")
    try:
        bunch = _fetched(name, int(version) if version else "active")
    except Exception as error:  # urllib, OpenML and ARFF errors have no common base
        raise InputError(
            f"{OPENML}{title} was not fetched ({cause(error)}); check name and version on openml.org and the connection"
        ) from None
    version = bunch.details["version"]
    table = _named(name, bunch.frame, (f"version {version} of OpenML's table {name}",))
    return table._replace(source={"table": f"{OPENML}{name}@{version}"})


def _fetched(name: str, version: int | str) -> Any:
    """scikit-learn's answer; its fast parser fails on values that are named True and False, its slow one does not."""
    home = sources.cache_folder() / "openml"
    fetch = partial(sources.fetch_openml, name, version=version, data_home=home, as_frame=True)
    with warnings.catch_warnings():  # scikit-learn warns of every retry and of several versions
        warnings.simplefilter("ignore")
        try:
            return fetch(parser="pandas")
        except TypeError:
            return fetch(parser="liac-arff")


def _header(path: Path, content: bytes) -> tuple[str, list[str]]:
    """The separator and the column names: that of ``,``, ``;`` and tab which gives the first line most fields."""
    try:
        if b"\0" in content:
            raise ValueError("it holds zero bytes")
        content.decode()
        headers = {mark: next(_records(content, mark), []) for mark in SEPARATORS}
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"the table {path}: line {line} is not UTF-8 text; save it as CSV in UTF-8") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"the table {path} is no text ({cause(error)}); save it as CSV in UTF-8") from None
    separator = max(SEPARATORS, key=lambda mark: len(headers[mark]))
    if len(headers[separator]) < 2:
        raise InputError(f"the first line of {path} names one column; separate columns by commas, semicolons or tabs")
    return separator, headers[separator]


def _records(content: bytes, separator: str) -> Iterator[list[str]]:
    """Fields of every line that is not blank; a quoted line break does not end one."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=separator, skipinitialspace=True)
    return (row for row in reader if len(row) > 1 or "".join(row).strip())


def _from_csv(path: Path, content: bytes, separator: str, header: list[str]) -> pd.DataFrame:
    """A text file's columns under the names of its first line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.BytesIO(content),
                sep=separator,
                # With semicolons, commas are decimal; points are still understood, by ``columns``.
                decimal="," if separator == ";" else ".",
                header=0,
                names=list(range(len(header))),
                index_col=False,
                keep_default_na=False,
                na_values=list(MISSING),
                skipinitialspace=True,
                low_memory=False,  # one type for a whole column
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        _check_width(path, content, separator, len(header))
        raise InputError(f"the table {path} cannot be read ({cause(error)}); save it anew as CSV") from None
    if frame.iloc[:, -1].isna().any():  # pandas fills short lines, whose last cell is therefore missing
        _check_width(path, content, separator, len(header))
    return frame.set_axis(header, axis=1)


def _check_width(path: Path, content: bytes, separator: str, width: int) -> None:
    """Refuse lines of another number of fields than the first; a last field may be empty, as in ``1,2,``."""
    try:
        for number, row in enumerate(_records(content, separator), start=1):
            if len(row) != width and row[width:] != [""]:
                raise InputError(
                    f"the table {path}: row {number} has {len(row)} fields, the first line {width};"
                    f" quote text that holds {_called(separator)}"
                )
    except csv.Error:  # a field of more than 131,072 characters; pandas says what is wrong, if anything
        return


def _called(separator: str) -> str:
    """A separator in words."""
    return {",": "commas", ";": "semicolons", "\t": "tabs"}[separator]
