"""What the command refuses at once: before JAX is loaded, and before it says that it is starting."""

import argparse
import errno
import os
from pathlib import Path

from jaxflow.arguments import EXPERIMENTS, TABLES
from jaxflow.errors import InputError, alternatives, cause, shown
from jaxflow.running.manifest import check_finished, kind_of, read_manifest
from jaxflow.running.places import check_free, check_writable, default_folder, edit_folder

TABLE_OPTIONS = ("label", "attribute", "drop", "category", "keep_attributes", "learning_rate", "epochs")


def is_table(experiment: str) -> bool:
    """Whether this names a table of the user's."""
    return experiment.startswith("openml:") or experiment.lower().endswith(TABLES) or "/" in experiment


def check_run(arguments: argparse.Namespace) -> None:
    """Refuse options of ``jaxflow run`` that do not go together, an unknown experiment, files that are not there.

    Raises:
        InputError: see above.
    """
    if arguments.dask is not None and arguments.backend != "sklearn":
        raise InputError("--dask spreads the fits of --backend sklearn; add that")
    name = arguments.experiment
    values = {own: getattr(arguments, own) for own in TABLE_OPTIONS}
    given = [own for own, value in values.items() if value is not None and value is not False]
    if is_table(name):
        for option in TABLE_OPTIONS[:2]:
            if not getattr(arguments, option):
                raise InputError(f"a table of yours needs --{option} COLUMN")
        if not name.startswith("openml:"):
            check_file(name, "the table", "name a CSV or Parquet file")
    elif name not in EXPERIMENTS:
        known = alternatives(name, EXPERIMENTS)
        raise InputError(f"unknown experiment {shown(name)}; {known}, or a .csv, .tsv or .parquet file")
    elif given:
        raise InputError(f"--{given[0].replace('_', '-')} is for a table of yours; {name} has its own")
    check_writable(default_folder("run", "own", 0) if arguments.out is None else arguments.out)


def check_measure(arguments: argparse.Namespace) -> None:
    """Refuse a recording that is not there, or a results folder that cannot be written.

    Raises:
        InputError: see above.
    """
    path = Path(arguments.recording)
    if (kind := kind_of(path)) is not None:
        raise InputError(f"{path} is the folder of {kind}, not a recording; jaxflow report {path} makes a page of it")
    check_file(arguments.recording, "the recording", "name an .npz or .nc file")
    check_writable(default_folder("recording", "own", 0) if arguments.out is None else arguments.out)


def check_edit(arguments: argparse.Namespace) -> None:
    """Refuse a folder that holds no finished run, attributes that it does not have, and a folder that is not free.

    Raises:
        InputError: see above.
    """
    results = arguments.results
    manifest = read_manifest(results)
    check_finished(results, manifest)
    out = edit_folder(results, arguments.seed) if arguments.out is None else arguments.out
    check_free(out, results, arguments.overwrite)
    known = manifest.get("attributes")
    for name in arguments.attribute or ():
        if isinstance(known, list) and name not in known:
            raise InputError(f"there is no attribute {shown(name)}; {alternatives(name, known)}")


def check_report(arguments: argparse.Namespace) -> None:
    """Refuse a folder that jaxflow has not filled, and a page that cannot be written.

    Raises:
        InputError: see above.
    """
    if kind_of(arguments.results) != "an edit":
        read_manifest(arguments.results)
    out = arguments.results if arguments.out is None else arguments.out
    check_writable(out.absolute().parent if os.path.isfile(out) else out)


def check_file(name: str, what: str, advice: str) -> None:
    """Refuse a file that is not there, and a folder in its place.

    Raises:
        InputError: see above.
    """
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.stat()
    except RuntimeError:
        raise InputError(f"{what} {name} begins with the home folder of a user who does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {name} cannot be read ({cause(error)}); {advice}") from None
