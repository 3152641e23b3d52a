"""A recording through everything: layers of time bins, flows with p-values, tables, figures, in a results folder."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from jaxflow import figures
from jaxflow.batching import free_bytes
from jaxflow.datasets.recordings import Recording, message_of, read_recording
from jaxflow.errors import InputError, shown
from jaxflow.information import ESTIMATORS, EstimatorSpec, spec_of
from jaxflow.information.cells import thin_lines
from jaxflow.messages import Message, conditioned
from jaxflow.running.assembly import assemble
from jaxflow.running.bins import STAGES, Question, measure_bins, p_max_column
from jaxflow.running.chunks import CHUNKS, PERMUTED, chunk_name, unfinished, write_chunk
from jaxflow.running.config import function_identity
from jaxflow.running.manifest import planned_chunks
from jaxflow.running.notes import few_permutations, idle_lines
from jaxflow.running.places import default_folder
from jaxflow.running.plan import versions
from jaxflow.running.progress import Report, Stages, silent, spent_since, timed
from jaxflow.running.results import Results, locked, open_results, run_name
from jaxflow.values import LARGEST_SEED, MOST_NETWORKS, MOST_PERMUTATIONS, file_name, flag, folder, real, several, whole

MOST_NODES = 24  # of which all subsets are gone through for every permutation
MOST_MESSAGES = 1_000
CHUNK_WORK, CHUNK_LAYERS = 2 * 10**8, 100  # subsets × permutations of a chunk, about ten seconds; and its layers


class Task(NamedTuple):
    """A recording, what is asked of it, and what must not have changed for the same run to go on.

    Attributes:
        recording: its layers.
        question: what is asked.
        identity: as plain JSON types.
        about: what the manifest says of the recording.
    """

    recording: Recording
    question: Question
    identity: dict[str, Any]
    about: dict[str, Any]


def measure(
    recording: Any,
    messages: Any,
    *,
    activity: str | None = None,
    given: Any = None,
    within: Any = None,
    groups: Any = None,
    window: int = 1,
    estimator: Any = "gaussian",
    permutations: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    chunk: int | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> Results:
    """Information flows in a recording ``[trial, time, unit]`` or in activations of any origin, with p-values.

    Every time bin is a layer, as in a network unrolled in time (Venkatesh, Dutta and Grover 2020). For every unit and
    bin: the flow F(V) = max_T I(M; X_V | X_T) in bits, p and p_max from permutations of the message (``significance``;
    p_max over all units and bins of one message), and the honest flow with its interval (``honest_flows``). The units
    that were recorded are not all that transmit. Finished chunks of bins are kept: the same call goes on.

    Args:
        recording: path of an ``.npz`` or netCDF file; a dictionary of arrays; xarray's ``DataArray`` or ``Dataset``
            with dimensions trial, time and unit; MNE's epochs; an array ``[trial, time, unit]`` or ``[trial, unit]``;
            layers ``[trial, unit]`` of a network as a list, or as ``layer_0``, … in a file or dictionary.
            ``weights_0``, … between the layers, or ``weights`` for all, give edge flows.
        messages: name of a variable of the recording, several names, or a dictionary or frame of arrays: integers,
            booleans and texts are classes, floats are numbers; ``[trial]`` or ``[trial, d]``.
        activity: name of the array that holds the activity; ``activity`` or the largest if not given.
        given: what the flows are conditioned on, a name or an array. The message moves within its classes.
        within: a name or numbers ``[trial]``; trials change places only with those of the same, such as a session.
        groups: for every unit the node that it belongs to, a name or an array; each its own if not given.
        window: bins that are taken together as one layer; a unit's bins are then one node.
        estimator: gaussian, copula, quadratic, or a function of your own.
        permutations: B, of every message.
        confidence: of the intervals of honest flows.
        seed: of permutations and of the halves of honest flows.
        chunk: layers that are computed and saved together; about ten seconds' work if not given.
        name: of the recording; the file's if not given.
        out: results folder, default ``results/<name>-<estimator>``, with ``-seed5`` at its end for another seed than 0.
        overwrite: delete a former run in the folder.
        report: called with stage, layers done and total.

    Returns:
        The results folder, finished: ``node_flows`` and, where there are weights, ``edge_flows``.

    Raises:
        InputError: recording, messages and folder do not fit; the message names cause and fix.

    Example:
        >>> import tempfile
        >>> stimulus = np.arange(100) % 2
        >>> noise = np.random.default_rng(0).normal(size=(100, 2, 3))  # trials, time bins, units
        >>> recording = {"activity": noise + stimulus[:, None, None], "stimulus": stimulus}
        >>> results = measure(recording, "stimulus", permutations=9, out=f"{tempfile.mkdtemp()}/flows")
        >>> results.table("node_flows").groupby("layer").size().tolist()
        [3, 3]
    """
    report("reading the recording", 0, 0)
    own = read_recording(recording, activity=activity, groups=groups, window=window)
    name = file_name("name", own.contents.name if name is None else name)
    spec = spec_of(estimator)
    asked, classes = _messages(own, messages, given, spec)
    question = Question(
        asked,
        _within(own, within),
        spec,
        whole("permutations", permutations, 1, MOST_PERMUTATIONS),
        real("confidence", confidence, 1e-6, 1 - 1e-6),
        whole("seed", seed, 0, LARGEST_SEED),
    )
    _check_work(own, question)
    flag("overwrite", overwrite)
    size = _chunk_size(own, question) if chunk is None else whole("chunk", chunk, 1, MOST_NETWORKS)
    path = default_folder(name, spec.name, question.seed) if out is None else folder("out", out)
    named = {"activity": activity, "given": given, "within": within, "groups": groups}
    asked_for = {what: _named(values, what)[0] for what, values in named.items()} | {"window": int(window)}
    about = {"asked": asked_for, **_about(own, question, classes)}
    return _run(Task(own, question, _identity(own, question, name), about), path, size, overwrite, report)


# --- what is asked ---------------------------------------------------------------------------------------------------


def _messages(
    recording: Recording, messages: Any, given: Any, spec: EstimatorSpec
) -> tuple[dict[str, Message], dict[str, tuple[str, ...]]]:
    """The messages by their names in tables, ``stimulus|context`` if something is given, and all classes' names."""
    asked = _asked(messages)
    found, classes, strata = {}, {}, None
    condition, about = _named(given, "given")
    if condition is not None:
        strata, classes[condition] = message_of(recording, "given", condition, about)
    for name, values in asked.items():
        message, classes[name] = message_of(recording, "message", name, values)
        message = message if strata is None else conditioned(message, strata)
        spec.accepts(message, name)
        found[name if condition is None else f"{name}|{condition}"] = message
    return found, classes


def _asked(messages: Any) -> dict[str, Any]:
    """The names of messages with their values; None where these are a variable of the recording."""
    if isinstance(messages, (Mapping, pd.DataFrame)):
        asked = {str(name): values for name, values in messages.items()}
    elif getattr(getattr(messages, "dtype", None), "kind", "O") not in ("O", "U"):
        raise InputError("messages must have names: give an array as a dictionary, such as {'message': array}")
    else:
        names = [messages] if isinstance(messages, str) else several("messages", messages, MOST_MESSAGES)
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise InputError(f"messages are names, or a dictionary of arrays by name, not {shown(wrong[0])}")
        asked = dict.fromkeys(names)
    if not asked:
        raise InputError("name at least one message that the flows are about")
    return asked


def _named(values: Any, what: str) -> tuple[str | None, Any]:
    """A name and, unless it is a variable's, its values."""
    if values is None or isinstance(values, str):
        return values, None
    return what, values


def _within(recording: Recording, within: Any) -> np.ndarray | None:
    """Numbers of the trials that permutations may exchange."""
    name, values = _named(within, "within")
    if name is None:
        return None
    message, _ = message_of(recording, "within", name, values)
    if not message.classes:
        raise InputError(f"within {name} must be integers or texts, such as numbers of sessions")
    return np.asarray(message.values)


def _check_work(recording: Recording, question: Question) -> None:
    """Refuse, before anything is computed, what has no p-values, or what no machine would end or hold."""
    if question.spec.exchangeable is None:
        raise InputError(f"{question.spec.name} has no null distribution: use gaussian, copula or quadratic")
    nodes, most = max(recording.widths), min(question.spec.most, MOST_NODES)
    if nodes > most:
        raise InputError(
            f"{nodes} nodes have 2**{nodes} subsets, too many for permutations (up to {most} nodes): take units"
            " together with groups, leave some out, or search flows without p-values with jaxflow.search_flows"
        )
    needed = 16 * question.permutations * sum(recording.widths)  # the flows, and what sorts and compares them
    if needed > free_bytes():
        raise InputError(f"{question.permutations} permutations need {needed / 2**30:.0f} GB of memory; ask for fewer")


def _chunk_size(recording: Recording, question: Question) -> int:
    """Layers whose work takes about ten seconds."""
    work = 2 ** max(recording.widths) * (question.permutations + 1) * len(question.messages)
    return max(1, min(CHUNK_WORK // work, CHUNK_LAYERS))


def _identity(recording: Recording, question: Question, name: str) -> dict[str, Any]:
    """What must not have changed for a run to be continued."""
    places = [(layer.groups or (), layer.time) for layer in recording.layers]
    function = question.spec.function
    return {
        "name": name,
        "data": _sha256([*(layer.activity for layer in recording.layers), *recording.weights]),
        "layers": _sha256([np.array(repr(places))]),
        "nodes": list(recording.nodes),
        "messages": {own: _sha256(jax.tree.leaves(message)) for own, message in question.messages.items()},
        "within": None if question.within is None else _sha256([question.within]),
        "estimator": question.spec.name if question.spec in ESTIMATORS.values() else function_identity(function),
        "permutations": question.permutations,
        "confidence": question.confidence,
        "seed": question.seed,
    }


def _sha256(arrays: Sequence[Any]) -> str:
    """The hash of some arrays' types, shapes and values."""
    digest = hashlib.sha256()
    for own in map(np.asarray, arrays):
        digest.update(f"{own.dtype} {own.shape}".encode() + own.tobytes())
    return digest.hexdigest()


def _about(recording: Recording, question: Question, classes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the manifest says of the recording."""
    columns = max(layer.activity.shape[1] for layer in recording.layers)
    idle = idle_lines([own.activity for own in recording.layers], question.messages, question.within, question.spec)
    thin = thin_lines(question.messages, columns, classes)
    return {
        "trials": recording.trials,
        "layers": len(recording.layers),
        "nodes": list(recording.nodes) or list(recording.widths),
        "classes": {name: list(own) for name, own in classes.items() if own},
        "source": dict(recording.contents.source),
        "notes": [*recording.notes, *idle, *few_permutations(question.permutations), *thin],
    }


# --- the folder ------------------------------------------------------------------------------------------------------


def _run(task: Task, path: Path, size: int, overwrite: bool, report: Report) -> Results:
    """Fill the results folder, or go on with it."""
    with locked(path):
        results, manifest = open_results(path, task.identity, len(task.recording.layers), overwrite)
        manifest = _manifest(task, size, results, manifest, report)
        results.write_manifest(manifest)
        _run_chunks(task, results, manifest, report)
        _finish(task, results, manifest, report)
    return results


def _manifest(
    task: Task, size: int, results: Results, manifest: dict[str, Any] | None, report: Report
) -> dict[str, Any]:
    """The manifest to begin or go on with; what a run counts as networks, here are layers."""
    old, total = manifest or {}, len(task.recording.layers)
    run = old.get("run", run_name(task.identity))
    chunks = planned_chunks(old.get("chunks", ()), total, size)
    pending = unfinished(results.path, chunks, manifest, run, lambda line: report(line, 0, total))
    return {
        "experiment": task.identity["name"],
        "seeds": total,
        "identity": task.identity,
        "run": run,
        "recording": task.about,
        "chunks": chunks,
        "finished": False,
        "versions": versions(),
        "device": jax.local_devices()[0].device_kind,
        "seconds": old.get("seconds", {}),
        "pending": pending,
    }


def _run_chunks(task: Task, results: Results, manifest: dict[str, Any], report: Report) -> None:
    """Compute and save the chunks that are not there yet."""
    steps = dict.fromkeys(STAGES, len(task.question.messages))
    shares = dict.fromkeys(STAGES, 1.0)
    for start, stop in manifest["pending"]:
        told, before = partial(_report_chunk, report, start, stop, manifest["seeds"]), dict(manifest["seconds"])
        stages = Stages(steps, shares, manifest["seconds"], told)
        frames, arrays = measure_bins(task.recording, task.question, (start, stop), stages)
        write_chunk(results.path, (start, stop), manifest["run"], frames, arrays, PERMUTED)
        shares |= spent_since(shares, manifest["seconds"], before)
        results.write_manifest(manifest)


def _report_chunk(report: Report, start: int, stop: int, total: int, stage: str, part: float) -> None:
    """Part of a chunk done, as layers."""
    report(stage, start + (stop - start) * part, total)


def _finish(task: Task, results: Results, manifest: dict[str, Any], report: Report) -> None:
    """p_max over all layers, the tables and figures; the manifest then says that the run has ended."""
    total, chunks = manifest["seeds"], manifest["chunks"]
    report("tables and figures", total, total)
    with timed(manifest["seconds"], "tables and figures"):
        files = assemble(results.path, chunks, manifest["run"], without=("node_flows",))
        folders = [Results(results.path / CHUNKS / chunk_name(bounds)) for bounds in chunks]
        flows = pd.concat([folder.table("node_flows") for folder in folders], ignore_index=True)
        with ExitStack() as opened:  # of chunks that were found to be whole
            drawn = [opened.enter_context(np.load(folder.path / PERMUTED)) for folder in folders]
            p_max = p_max_column(flows, drawn, list(task.question.messages))
        flows.insert(list(flows.columns).index("p") + 1, "p_max", p_max)
        results.write_table("node_flows", flows)
        edges = results.table("edge_flows") if task.recording.weights else pd.DataFrame()
        title = f"{manifest['experiment']}, {task.question.spec.name} estimate, {task.recording.trials} trials"
        results.write_figures(figures.draw_recording(flows, edges, title, task.recording.nodes))
    del manifest["pending"]
    results.write_manifest({**manifest, "finished": True, "files": files})
    results.close()
