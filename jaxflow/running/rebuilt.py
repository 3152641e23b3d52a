"""A finished run again: its config, data and networks, from its results folder."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.datasets import DATASETS, Dataset, load_dataset, read_table
from jaxflow.errors import InputError, printable, shown
from jaxflow.interventions import Strategy
from jaxflow.networks import MLP, Params
from jaxflow.running.assembly import PARAMS_FOLDER
from jaxflow.running.chunks import CHUNKS, PARAMS, chunk_name
from jaxflow.running.config import Config
from jaxflow.running.files import PRIVATE, create, fingerprint, open_regular, own_folder
from jaxflow.running.manifest import check_finished
from jaxflow.running.plan import versions
from jaxflow.running.results import Results
from jaxflow.training import Training

PLACE = "table"  # in the folder's private part: where on this machine its table was; the manifest has no paths
LONGEST_PLACE = 2**16


class Finished(NamedTuple):
    """A run that has ended.

    Attributes:
        results: its folder.
        manifest: of the folder.
        config: what was run, without strategies by a function of the user's.
        dataset: its data, the very same.
        network: the architecture.
        params: of all networks, stacked.
    """

    results: Results
    manifest: dict[str, Any]
    config: Config
    dataset: Dataset
    network: MLP
    params: Params


def finished_run(path: Path, data_dir: Path | None = None) -> Finished:
    """A finished run's config, data and networks.

    Args:
        path: the results folder.
        data_dir: folder with the data files, or with the user's table.

    Raises:
        InputError: no finished run of this version whose networks jaxflow trained; a file is damaged; the data are not
            to be found or have changed.
    """
    results = Results(path)
    manifest = results.manifest
    check_finished(path, manifest)
    theirs, ours = manifest["versions"].get("jaxflow", "none"), versions()["jaxflow"]
    if theirs != ours:
        raise InputError(
            f"{path} was filled by jaxflow {shown(theirs, form=str)}, this is {ours}: its command with --overwrite"
            " makes it anew"
        )
    if "params" in manifest["identity"]:
        raise InputError(f"the networks in {path} were trained elsewhere; jaxflow.edit in Python takes any")
    config = config_of(manifest, path)
    dataset = _data(results, manifest, config, data_dir)
    if dataset.fingerprint() != manifest["identity"].get("data"):
        raise InputError(f"the data of the run in {path} have changed since; put back those that it was made with")
    network = config.network(dataset)
    return Finished(results, manifest, config, dataset, network, _params(results, manifest, network, dataset))


def config_of(manifest: Mapping[str, Any], path: Path) -> Config:
    """The config behind a manifest's identity; strategies by functions of the user's are left out.

    Raises:
        InputError: the estimator is such a function, or the identity is not one that this version writes.
    """
    known = {field.name for field in dataclasses.fields(Config)}
    values: dict[str, Any] = {name: value for name, value in manifest["identity"].items() if name in known}
    if isinstance(values.get("estimator"), dict):
        raise InputError(f"the run in {path} has an estimator of your own; jaxflow.edit in Python takes it")
    try:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        values["training"] = Training(**values["training"])
        values["strategies"] = tuple(Strategy(*own) for own in values["strategies"] if isinstance(own[0], str))
        return Config(**values, seeds=manifest["seeds"])
    except (InputError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"the config in {path} cannot be used ({printable(str(error))}); was it edited?") from None


def remember_table(path: Path, table: str) -> None:
    """Keep beside a run, not in its manifest, where on this machine its table lies; a hint that may be lost.

    Args:
        path: the results folder.
        table: as the command was given it.
    """
    with contextlib.suppress(OSError, InputError):
        place = own_folder(path / PRIVATE) / PLACE
        with create(place) as file:
            file.write(os.fsencode(os.path.abspath(os.path.expanduser(table))))


def _data(results: Results, manifest: Mapping[str, Any], config: Config, data_dir: Path | None) -> Dataset:
    """The dataset of a run.

    Raises:
        InputError: it was handed in from Python, or cannot be found.
    """
    source = manifest.get("dataset", {}).get("source", {})
    if not source and config.name in DATASETS:
        return load_dataset(config.name, data_dir, config.data_seed)
    names = ("label", "attributes", "seed", "drop", "category", "keep_attributes")
    if not isinstance(source, dict) or not {"table", *names} <= set(source):
        raise InputError(f"the data of the run in {results.path} were handed in from Python; jaxflow.edit takes them")
    table = str(source["table"])
    place = table if table.startswith("openml:") else str(_place(results, table, data_dir))
    label, attributes, *others = (source[name] for name in names)
    return read_table(place, label, attributes, name=config.name, **dict(zip(names[2:], others, strict=True)))


def _place(results: Results, table: str, data_dir: Path | None) -> Path:
    """Where a table lies: in ``data_dir``, where the run found it, or in the working folder.

    Raises:
        InputError: in none of them.
    """
    name = Path(table).name  # a manifest may have been edited to name another folder
    places = [] if data_dir is None else [data_dir / name, data_dir / "tables" / name]
    with contextlib.suppress(OSError, ValueError), open_regular(results.path / PRIVATE / PLACE) as file:
        places.append(Path(os.fsdecode(file.read(LONGEST_PLACE))))
    for place in (*places, Path(name)):
        with contextlib.suppress(OSError, ValueError):
            if place.is_file():
                return place
    raise InputError(f"the table {shown(name, form=str)} of the run in {results.path} is not to be found; name its"
                     " folder by --data-dir")  # fmt: skip


def _params(results: Results, manifest: Mapping[str, Any], network: MLP, dataset: Dataset) -> Params:
    """The networks' parameters, as they were written.

    Raises:
        InputError: a file is missing, is not the one that was written, or does not fit the network.
    """
    for bounds in manifest["chunks"]:
        name = chunk_name(bounds)
        file, written = results.path / PARAMS_FOLDER / f"{name}.npz", _written(manifest, name)
        try:
            found = fingerprint(file)
        except OSError as error:
            raise InputError(f"cannot read {file} ({error.strerror}); the run's command makes it again") from None
        if written is not None and {key: written[key] for key in found} != found:
            raise InputError(f"{file} is damaged: it is not what the run has written; the run's command makes it again")
    params = jax.tree.map(jnp.asarray, results.params())
    expected = jax.eval_shape(network.init, jax.random.key(0), jnp.asarray(dataset.test.x))
    shapes = jax.tree.map(lambda leaf: (manifest["seeds"], *leaf.shape), expected)
    if jax.tree.map(np.shape, params) != shapes:
        raise InputError(
            f"the parameters in {results.path} are not those of {manifest['seeds']} networks of its config"
        )
    return params


def _written(manifest: Mapping[str, Any], chunk: str) -> Mapping[str, Any] | None:
    """What the manifest records of a chunk's parameters."""
    return manifest.get("files", {}).get(f"{CHUNKS}/{chunk}/{PARAMS}")
