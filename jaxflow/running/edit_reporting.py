"""The report of a folder of ``jaxflow edit``: what its manifest, its table and its parameters say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from jaxflow.errors import InputError, counted, shown
from jaxflow.explorer import About, Asked, Shape, edit_page
from jaxflow.outputs import Roles
from jaxflow.running.commands import edit_command
from jaxflow.running.facts import config_facts, data_facts, estimator_of, machine_facts, plain_facts
from jaxflow.running.manifest import NAME, read_json
from jaxflow.running.results import Results
from jaxflow.running.summary import notion_line, roles_of_manifest

EDITS = "edits"
PARAMS = "params.npz"


def edit_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an edit; None where the folder holds something else."""
    try:
        manifest = read_json(folder / NAME, follow=True)
    except (OSError, ValueError):
        return None  # said by who reads it as a run's
    return manifest if isinstance(manifest, dict) and "edit" in manifest else None


def page_of_edits(results: Results, manifest: Mapping[str, Any]) -> str:
    """The report of an edit as HTML.

    Raises:
        InputError: something in the folder is damaged.
    """
    try:
        roles = roles_of_manifest({**manifest, "identity": manifest["of"]["identity"],
                                              "dataset": manifest["of"].get("dataset", {})})  # fmt: skip
        asked = manifest["edit"]
        limit = asked["at_most"] if asked["at_most"] is None else float(asked["at_most"])
        aim = Asked(asked["measure"], [str(own) for own in asked["attributes"]], limit, asked["recalibrate"])
        first = int(manifest["of"]["identity"].get("first_layer", 0))
        return edit_page(_table(results), _shape(results.path, first), _about(manifest, roles, first), aim)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the files in {results.path} do not fit together ({shown(error)}); the edit's command makes them again"
        ) from error


def _table(results: Results) -> pd.DataFrame:
    """The table of edits.

    Raises:
        InputError: it is not there, is no table, or holds no network.
    """
    edits = results.table(EDITS)
    edits["edges"] = edits["edges"].astype(str).replace("nan", "")
    if not edits["written"].any():
        raise InputError(f"{results.path / EDITS}.csv holds no network; the edit's command makes it again")
    return edits


def _shape(folder: Path, first: int) -> Shape:
    """The weights of all networks, of the layers that are shown.

    Raises:
        InputError: they cannot be read.
    """
    try:
        with np.load(folder / PARAMS) as arrays:
            kernels = {name: arrays[name] for name in arrays if name.endswith("/kernel")}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"cannot read {folder / PARAMS} ({error}); the edit's command makes it again") from None
    layers = sorted(kernels, key=lambda name: int(name.removesuffix("/kernel").rpartition("_")[2]))
    return Shape(first, [kernels[name] for name in layers][first:])


def _about(manifest: Mapping[str, Any], roles: Roles, first: int) -> About:
    """What the manifest of an edit says."""
    asked, of = manifest["edit"], manifest["of"]
    identity, data = of["identity"], of.get("dataset", {})
    estimator = estimator_of(identity)
    limit, points = asked["at_most"], asked["keep_accuracy"]
    target = (
        f"at most {limit:g} %, at the least loss of accuracy"
        if points is None
        else (f"the least that costs at most {points:g} points of accuracy")
    )
    measure = f"{asked['measure'].replace('_', ' ')} of {' or '.join(asked['attributes'])}"
    subtitle = f"{counted(manifest['networks'], 'network')}, {estimator} estimate; {measure}: {target}"
    notes = [*notion_line(roles, data.get("values", {})), *data.get("notes", [])]
    asked_for = {f"edit: {name}": value for name, value in asked.items()}
    facts = [*plain_facts(asked_for), *config_facts(identity), *data_facts(data), *machine_facts(manifest)]
    names = data.get("features", []) if first == 0 else []
    version = manifest["versions"].get("jaxflow", "")
    return About(f"{of['experiment']}, edited", subtitle, estimator, roles, names, None, notes, facts,
                 edit_command(manifest), version, chance=of.get("chance", {}))  # fmt: skip
