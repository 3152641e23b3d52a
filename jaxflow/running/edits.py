"""``jaxflow edit``: the networks of a finished run with less bias, in a folder of their own."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxflow.editing.candidates import Sample, Setting
from jaxflow.editing.choosing import Aim, asked_for
from jaxflow.editing.edit import unreachable
from jaxflow.editing.edits import Choice, Data, edited_stack
from jaxflow.editing.preparing import check_setting, data_of, default_strategies, setting_of
from jaxflow.errors import InputError
from jaxflow.figures.edits import draw_edit, typical_edit
from jaxflow.figures.glyphs import missing_glyphs
from jaxflow.figures.style import DPI
from jaxflow.metrics import METRICS
from jaxflow.networks.contract import layer_sizes
from jaxflow.outputs import measure_names
from jaxflow.running.assembly import PARAMS_FOLDER
from jaxflow.running.chunks import chunk_name, named_leaves, write_csv
from jaxflow.running.config import Config, measured_messages, under_metrics
from jaxflow.running.files import create, entries, explained, fingerprint, refuse_link, sync
from jaxflow.running.manifest import NAME, read_json
from jaxflow.running.plan import versions
from jaxflow.running.progress import Report, silent, timed
from jaxflow.running.rebuilt import Finished, finished_run
from jaxflow.running.results import FORMATS
from jaxflow.tables import edits_table
from jaxflow.values import choice, several

TOGETHER = 24  # networks that are edited between two reports
FIGURE = "edits"
TABLE = "edits.csv"


class Edited(NamedTuple):
    """What ``jaxflow edit`` has made.

    Attributes:
        path: the folder.
        table: of the edits, two rows a network.
        setting: how they were chosen.
        limit: what the measure was to be at most, per cent, or the points of accuracy that might be lost.
        least: the least measure of every network on the rows that choose ``[S]``.
        name: of the experiment.
    """

    path: Path
    table: pd.DataFrame
    setting: Setting
    limit: float
    least: np.ndarray
    name: str


def edit_results(
    results: Path,
    *,
    attributes: Sequence[str] | None = None,
    measure: str = "bias",
    at_most: float | None = None,
    keep_accuracy: float | None = None,
    metrics: Sequence[str] = ("bias/acc",),
    refine: int = 0,
    recalibrate: str = "bias",
    seed: int = 0,
    data_dir: Path | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Edited:
    """Edit every network of a finished run, as ``jaxflow.edit`` does, and write a folder.

    Args:
        results: folder of the run.
        attributes: of which the worst counts; all of the run if None.
        measure: ``bias``, ``parity_gap`` or ``odds_gap``.
        at_most: what it shall be at most, per cent.
        keep_accuracy: or the points of accuracy that may be lost.
        metrics: by which candidates are ranked; methods, levels and factors are the run's.
        refine: single edges that may be removed beside.
        recalibrate: what of the output is refitted on the training half.
        seed: of the halves, and of metrics that draw.
        data_dir: folder with the data files.
        out: where to write; the run's folder with ``-edit`` at its end if None.
        overwrite: whether an earlier edit there may be replaced.
        report: called with stage, networks done and total.

    Returns:
        What was made. Nothing is written unless all is.

    Raises:
        InputError: no finished run, no such attribute, data that are not to be found, no network that reaches the
            target, or a folder that cannot be written.
    """
    with explained(results if out is None else out):
        path = _beside(results) if out is None else out
        _check_free(path, results, overwrite)
    run = finished_run(results, data_dir)
    names = run.dataset.attributes if attributes is None else tuple(dict.fromkeys(attributes))
    aim, limit = asked_for(measure, names, at_most, keep_accuracy)
    key, params, seconds = jax.random.key(seed), run.params, {}
    setting, data = _prepared(run, aim, limit, metrics, recalibrate, refine, key)
    with timed(seconds, "edits"):
        choices = _in_blocks(jax.random.fold_in(key, 1), params, data, setting, report)
    written = np.asarray(choices.reached)[:, 0]
    if not written.any():
        raise InputError(unreachable(aim, limit, np.asarray(choices.least)[:, 0].tolist()))
    report("table and figure", len(written), len(written))
    table = edits_table(
        np.arange(len(written)), choices, setting.aimed, measure_names(setting.study.roles), recalibrate
    )
    figure = _figure(run, setting, table, choices, at_most)
    asked = {"attributes": list(names), "measure": measure, "at_most": at_most, "keep_accuracy": keep_accuracy,
             "metrics": list(metrics), "refine": refine, "recalibrate": recalibrate, "seed": seed}  # fmt: skip
    about = _manifest(run, asked, written, seconds)
    _write(path, table, figure, jax.tree.map(lambda a: np.asarray(a)[:, 0], choices.params), about, overwrite)
    return Edited(path, table, setting, limit, np.asarray(choices.least)[:, 0], run.config.name)


def _beside(results: Path) -> Path:
    """The run's folder with ``-edit`` at its end; of ``.`` beside the folder that it stands for."""
    named = results if results.name not in ("", "..") else results.resolve()
    return named.parent / f"{named.name}-edit"


def _prepared(
    run: Finished, aim: Aim, limit: float, metrics: Sequence[str], recalibrate: str, refine: int, key: jax.Array
) -> tuple[Setting, Data]:
    """How the networks of a run are edited, and the rows for it."""
    config, dataset, network = run.config, run.dataset, run.network
    study = config.study(network, dataset)
    aim.check(study.roles, dataset.classes)
    strategies = _strategies(config, metrics, layer_sizes(run_weights(run))[config.first_layer :])
    setting = setting_of(study, aim, strategies, [f for f in config.factors if f != 1] or [0.0], recalibrate, refine)
    messages = measured_messages(study.roles, dataset)
    label = replace(messages[dataset.label], values=dataset.train.messages[dataset.label])
    train = None if recalibrate == "none" else Sample(dataset.train.x, {dataset.label: label})
    data = data_of(key, Sample(jnp.asarray(dataset.test.x), messages), train, study, limit)
    one = jax.tree.map(lambda leaf: leaf[0], run.params)
    check_setting(setting, layer_sizes(run_weights(run)), one, data)
    return setting, data


def run_weights(run: Finished) -> Any:
    """Shapes of one network's weights."""
    return jax.eval_shape(run.network.weights, jax.tree.map(lambda leaf: leaf[0], run.params))


def _strategies(config: Config, metrics: Sequence[str], widths: Sequence[int]) -> list[Any]:
    """Methods and levels of the run under every metric; a few that suit the network if the run has none by name."""
    if config.strategies:
        return list(under_metrics(config.strategies, metrics))
    return default_strategies(
        [choice("metric", name, METRICS) for name in several("metrics", metrics, len(METRICS))], widths
    )


def _in_blocks(key: jax.Array, params: Any, data: Data, setting: Setting, report: Report) -> Choice:
    """The edits of all networks ``[S, 2, ...]``, some at a time, so that progress is seen."""
    count = len(jax.tree.leaves(params)[0])
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(count))
    together = 1 if setting.study.spec.layer_bits is None else -(-count // -(-count // TOGETHER))
    parts = []
    for begin in range(0, count, together):
        report("edits", begin, count)
        rows = np.minimum(np.arange(begin, begin + together), count - 1)  # the last repeated: one trace
        own = jax.tree.map(lambda leaf, rows=rows: leaf[rows], (keys, params))
        parts.append(jax.tree.map(np.asarray, edited_stack(own[0], own[1], data, setting)))
    return jax.tree.map(lambda *own: np.concatenate(own)[:count], *parts)


def measure_columns(setting: Setting) -> list[str]:
    """Names of the measure that is aimed at, one for every attribute."""
    roles = setting.study.roles
    return [f"{setting.aim.measure}{roles.suffix(name)}" for name in setting.aim.attributes]


def measure_title(aim: Aim) -> str:
    """What the measure is called, such as ``parity gap of sex or race, the larger``."""
    name = aim.measure.replace("_", " ")
    return f"{name} of {' or '.join(aim.attributes)}" + (", the larger" if len(aim.attributes) > 1 else "")


def _figure(run: Finished, setting: Setting, table: pd.DataFrame, choices: Choice, at_most: float | None) -> Figure:
    """A typical network with its edits, and all networks before and after."""
    first, columns = setting.study.first_layer, measure_columns(setting)
    number = typical_edit(table, columns)
    weights = run.network.weights(jax.tree.map(lambda leaf: leaf[number], run.params))[first:]
    by = [np.asarray(own)[number, 0] for own in choices.multipliers][first:]
    title, what = f"{run.config.name}, edited", f"{measure_title(setting.aim)} (%)"
    names = run.dataset.features if first == 0 else ()
    one = number, [np.asarray(w) for w in weights], by
    return draw_edit(table, columns, one, (title, what), names, at_most, first)


def _manifest(
    run: Finished, asked: Mapping[str, Any], reached: np.ndarray, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """What the folder's manifest says beside its files."""
    return {
        "edit": dict(asked),
        "of": {"experiment": run.config.name, "run": run.manifest.get("run", ""), "identity": run.manifest["identity"],
               "dataset": run.manifest.get("dataset", {}), "chance": run.manifest.get("chance", {})},
        "label": run.dataset.label,
        "attributes": list(run.dataset.attributes),
        "networks": len(reached),
        "reached": int(reached.sum()),
        "versions": versions(),
        "device": jax.local_devices()[0].device_kind,
        "seconds": dict(seconds),
    }  # fmt: skip


def _check_free(path: Path, results: Path, overwrite: bool) -> None:
    """Refuse to write where something else lies.

    Raises:
        InputError: a file or a link, the run's own folder, a folder of something else, or an earlier edit that may not
            be replaced.
    """
    refuse_link(path)
    if path.exists() and results.exists() and path.samefile(results):
        raise InputError(f"{path} is the run itself; choose another --out")
    if not entries(path):
        return
    try:
        ours = "edit" in read_json(path / NAME)
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise InputError(f"{path} is not empty and holds no edit; choose another --out")
    if not overwrite:
        raise InputError(f"{path} holds an edit; choose another --out, or --overwrite it")


def _write(
    path: Path, table: pd.DataFrame, figure: Figure, params: Any, manifest: dict[str, Any], overwrite: bool
) -> None:
    """Write the folder beside its place, and move it there when it is whole.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(os.path.abspath(path))
    partial_path, old = (path.with_name(f".{path.name}.{what}-{os.getpid()}") for what in ("new", "old"))
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _fill(partial_path, table, figure, params, manifest)
            if path.exists() and overwrite and entries(path):
                os.replace(path, old)
            os.replace(partial_path, path)  # onto nothing, or onto an empty folder
            sync([path.parent])
    finally:
        if old.exists() and not path.exists():  # the new one could not be moved
            with suppress(OSError):
                os.replace(old, path)
        for left in (partial_path, old):
            shutil.rmtree(left, ignore_errors=True)


def _fill(folder: Path, table: pd.DataFrame, figure: Figure, params: Any, manifest: dict[str, Any]) -> None:
    """All files of an edit."""
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(params).items()}
    count = len(next(iter(leaves.values())))
    for own in (folder, folder / PARAMS_FOLDER, folder / "figures"):
        own.mkdir()
    files = [f"{PARAMS_FOLDER}/{chunk_name((0, count))}.npz", "params.npz"]
    for name in files:
        with create(folder / name) as file:
            np.savez(file, **leaves)  # pyright: ignore[reportArgumentType]
    with create(folder / TABLE) as file:
        write_csv(table, file)
    with missing_glyphs():
        for suffix in FORMATS:
            name, metadata = f"figures/{FIGURE}.{suffix}", {"Date": None} if suffix == "svg" else None
            with create(folder / name) as file:
                figure.savefig(file, format=suffix, dpi=DPI, metadata=metadata)
            files.append(name)
    files.append(TABLE)
    known = {name: fingerprint(folder / name) for name in files}
    with create(folder / NAME) as file:
        file.write(f"{json.dumps({**manifest, 'files': known}, indent=2)}\n".encode())
    sync([folder, folder / PARAMS_FOLDER, folder / "figures", folder / NAME, *(folder / name for name in files)])
