"""The one function that runs a config through everything: networks, flows, interventions, tables, figures."""

import dataclasses
import importlib.metadata
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxflow import figures, tables
from jaxflow.batching import local_mesh, on_all_cores, side_by_side, spread_over
from jaxflow.datasets import Dataset, load_dataset
from jaxflow.errors import InputError, shown
from jaxflow.information import ESTIMATORS, Estimate, memory_needed
from jaxflow.information.exact import layers_together, widest_exact
from jaxflow.measurements import Fits, Flows, LayerFlows, measure_flows, permuted_within
from jaxflow.networks import MLP, Params, kernels, tail_network, tail_params
from jaxflow.outputs import Outputs
from jaxflow.running.assembly import assemble
from jaxflow.running.chunks import is_written, unfinished, write_chunk
from jaxflow.running.config import Config
from jaxflow.running.hosts import Hosts
from jaxflow.running.manifest import Bounds, assembled, planned_chunks
from jaxflow.running.progress import Report, Stages, silent, timed
from jaxflow.running.results import Results, locked, open_results, run_name
from jaxflow.statistics import correlations, predictors
from jaxflow.sweeps import group_width, measure_interventions, measure_removals, strategy_ranks
from jaxflow.training import Trained, train_many
from jaxflow.values import MOST_NETWORKS, flag, folder, whole

PACKAGES = (
    "jaxflow",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "matplotlib",
)


class Inputs(NamedTuple):
    """What all chunks of a run share, on the device."""

    config: Config
    network: MLP
    train_x: Array
    train_y: Array
    x: Array
    messages: Array
    key: Array


class Measured(NamedTuple):
    """Everything measured on a chunk."""

    trained: Trained
    flows: Flows
    tradeoff: Outputs
    removed: Outputs
    fits: dict[str, Fits]


def run(
    config: Config,
    dataset: Dataset | None = None,
    *,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    overwrite: bool = False,
    devices: int | None = None,
    hosts: Hosts | None = None,
    report: Report = silent,
) -> Results:
    """Run an experiment, or go on with it, and fill its results folder.

    Networks are trained and analysed in chunks; a finished chunk is never computed again. A larger ``config.seeds``
    extends the folder, any other change of the config is refused.

    Args:
        config: what to run; ``preset("adult-small", seeds=10)`` is one of the paper's.
        dataset: your own data; by default the one of the config's name is loaded.
        out: results folder, default ``results/<name>-<estimator>``.
        data_dir: folder with the original data files.
        overwrite: delete a former run in the folder.
        devices: of this process, among which each chunk's networks are shared out; all by default.
        hosts: the processes among which the chunks are shared out; alone by default.
        report: called with stage, networks done and total.

    Raises:
        InputError: data, config and folder do not fit; the message names cause and fix.
    """
    path, data_dir, hosts = _checked(config, dataset, out, data_dir, overwrite, devices, hosts, report)
    hosts.check()
    report("loading data", 0, config.seeds)
    if dataset is None:
        dataset = load_dataset(config.name, data_dir, config.data_seed)
    network = config.network(dataset)
    if hosts.processes == 1:  # else JAX may not start before all have met
        local_mesh(devices)
        _check_memory(config, network, dataset, report)
    identity = {**config.as_json(), "data": dataset.fingerprint()}
    del identity["seeds"], identity["chunk"]
    planned = dataclasses.replace(config, chunk=config.chunk or chunk_size(config, network, dataset, hosts))
    if hosts.processes > 1:
        report(f"waiting for {'the others' if hosts.process == 0 else 'process 0'} at {hosts.address}", 0, config.seeds)
    with _opened(path, planned, identity, overwrite, hosts, report) as (results, manifest):
        mesh = local_mesh(devices)
        if hosts.processes > 1:
            _check_memory(config, network, dataset, report)
        with spread_over(mesh):
            _run_chunks(_inputs(config, network, dataset), results, manifest, hosts, mesh.size, report)
        _wait(results, manifest["pending"], config.seeds, report)
        hosts.part()
        if hosts.process == 0:
            _finish(results, manifest, config, dataset, report)
    return results


def chunk_size(config: Config, network: MLP, dataset: Dataset, hosts: Hosts) -> int:
    """Networks that are processed and saved together when the config leaves it open.

    An accelerator gets as many as it can hold; a CPU at most 100, which are as fast as more, and about a minute's work,
    which is what an interruption may lose. Few for estimators that search hyperparameters for minutes. With several
    hosts JAX does not run yet when process 0 plans: 25, or less so that every process has a share.
    """
    if ESTIMATORS[config.estimator].searches:
        return 2 if config.estimator == "kernel-svm" else 25
    if hosts.processes > 1:
        return min(25, -(-config.seeds // hosts.processes))
    rows, inputs = dataset.test.x.shape
    widths = (inputs, *network.widths)[config.first_layer :]
    edges = sum(n * m for n, m in pairwise(widths))
    swept = len(config.strategies) * len(config.factors)
    return side_by_side(item_bytes=8 * rows * sum(widths), item_work=rows * edges * (swept + edges))


def _checked(
    config: Any, dataset: Any, out: Any, data_dir: Any, overwrite: Any, devices: Any, hosts: Any, report: Any
) -> tuple[Path, Path | None, Hosts]:
    """The results folder, the data folder and the processes, after the arguments of ``run`` were looked at."""
    expected = {"config": (config, Config), "dataset": (dataset, Dataset), "hosts": (hosts, Hosts)}
    for name, (value, kind) in expected.items():
        if not (isinstance(value, kind) or (value is None and name != "config")):
            raise InputError(f"{name} must be a {kind.__module__}.{kind.__name__}, not {shown(value)}")
    if not callable(report):
        raise InputError(f"report must be a function of stage, networks done and total, not {shown(report)}")
    flag("overwrite", overwrite)
    if devices is not None:
        whole("devices", devices, 1, MOST_NETWORKS)
    path = Path("results") / f"{config.name}-{config.estimator}" if out is None else folder("out", out)
    return path, None if data_dir is None else folder("data_dir", data_dir), hosts or Hosts()


@contextmanager
def _opened(
    path: Path, config: Config, identity: dict[str, Any], overwrite: bool, hosts: Hosts, report: Report
) -> Iterator[tuple[Results, dict[str, Any]]]:
    """Lock the folder and yield it with its plan: process 0 writes the plan, then all meet, then the others read it."""
    if hosts.process == 0:
        with locked(path):
            results, manifest = open_results(path, identity, config.seeds, overwrite)
            manifest = _planned(config, identity, manifest, results, report)
            results.write_manifest(manifest)
            hosts.meet()
            yield results, manifest
    else:
        hosts.meet()
        with locked(path, hosts.process):
            results, manifest = open_results(path, identity, config.seeds)
            if manifest is None or manifest["seeds"] != config.seeds or not {"pending", "run"} <= set(manifest):
                raise InputError(
                    f"{path} is not what process 0 has begun; all processes need the same command and the same storage"
                )
            yield results, manifest


def _run_chunks(
    inputs: Inputs, results: Results, manifest: dict[str, Any], hosts: Hosts, devices: int, report: Report
) -> None:
    """Compute and save this process's share of the chunks that are not there yet.

    All are as wide as the widest, so that all share one trace, and a multiple of the devices.
    """
    widest = max(stop - start for start, stop in manifest["chunks"])
    width = -(-widest // devices) * devices
    steps = _steps(inputs.config, inputs.network, inputs.x.shape[1], width)
    manifest["device"] = jax.local_devices()[0].device_kind
    for start, stop in manifest["pending"][hosts.process :: hosts.processes]:
        stages = Stages(steps, _shares(inputs.config, steps), manifest["seconds"], partial(
            _report_chunk, report, start, stop, inputs.config.seeds))  # fmt: skip
        measured = _measure(inputs, start, width, stages)
        measured = jax.tree.map(lambda a, n=stop - start: np.asarray(a)[:n], measured)
        frames = _tables(inputs, np.arange(start, stop), measured)
        write_chunk(results.path, (start, stop), manifest["run"], frames, measured.trained.params)
        if hosts.process == 0:
            results.write_manifest(manifest)


def _wait(results: Results, chunks: Sequence[Bounds], seeds: int, report: Report) -> None:
    """Wait until the other processes have written their chunks; if one dies, JAX aborts this process too."""
    reported, missing = -1, list(chunks)
    while missing := [bounds for bounds in missing if not is_written(results.path, bounds)]:
        done = seeds - sum(stop - start for start, stop in missing)
        if done != reported:
            report("waiting for the other processes", done, seeds)
        reported = done
        time.sleep(1)


def _finish(results: Results, manifest: dict[str, Any], config: Config, dataset: Dataset, report: Report) -> None:
    """Make the tables and figures of the whole run; its manifest then says that it has ended."""
    report("tables and figures", config.seeds, config.seeds)
    with timed(manifest["seconds"], "tables and figures"):
        files = assemble(results.path, manifest["chunks"], manifest["run"])
        dependence = results.table("dependence")
        results.write_table("correlations", correlations(dependence))
        told = predictors(dependence, results.table("edge_flows"), results.table("node_flows"))
        results.write_table("predictors", told)
        results.write_figures(figures.draw_all(results, config, dataset))
    del manifest["pending"]
    results.write_manifest({**manifest, "finished": True, "assembled": config.seeds, "files": files})
    results.close()


def _inputs(config: Config, network: MLP, dataset: Dataset) -> Inputs:
    """Everything on the device."""
    train, test = dataset.train, dataset.test
    messages = np.stack([test.messages[name] for name in dataset.messages])
    arrays = map(jnp.asarray, (train.x, train.messages[dataset.label], test.x, messages))
    return Inputs(config, network, *arrays, key=jax.random.key(config.seed))


def _check_memory(config: Config, network: MLP, dataset: Dataset, report: Report) -> None:
    """Refuse, or say before it begins, what the flows of the widest layer take, if it is too wide to list."""
    spec = ESTIMATORS[config.estimator]
    nodes = max((dataset.train.x.shape[1], *network.widths)[config.first_layer :])
    if spec.flows is None or nodes <= tables.LISTED_NODES:
        return
    if nodes > (widest := widest_exact()):
        raise InputError(
            f"a layer has {nodes} nodes, 2**{nodes} subsets; there is memory for layers of up to {widest} nodes"
        )
    gigabytes = layers_together(nodes) * memory_needed(nodes) / 2**30
    report(f"exact flows of {nodes} nodes will take {gigabytes:.2f} GB", 0, config.seeds)


def _planned(
    config: Config, identity: dict[str, Any], manifest: dict[str, Any] | None, results: Results, report: Report
) -> dict[str, Any]:
    """The manifest to begin or go on with: its chunks, and which of them have yet to be computed."""
    old = manifest or {}
    run = old.get("run", run_name(identity))
    chunks = planned_chunks(old.get("chunks", ()), config.seeds, config.chunk or config.seeds)
    pending = unfinished(results.path, chunks, manifest, run, lambda line: report(line, 0, config.seeds))
    return {
        "experiment": config.name,
        "seeds": config.seeds,
        "assembled": assembled(old) if old else 0,
        "identity": {key: old.get("identity", {}).get(key, value) for key, value in identity.items()},
        "run": run,
        "chunks": chunks,
        "finished": False,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "seconds": old.get("seconds", {}),
        "pending": pending,
    }


def _measure(inputs: Inputs, start: int, width: int, stages: Stages) -> Measured:
    """Train and analyse networks start … start + width − 1."""
    config, network, train_x, train_y, x, messages, key = inputs
    numbers = jnp.arange(start, start + width)
    train_key, control_key, null_key = (jax.random.fold_in(key, purpose) for purpose in range(3))
    with stages("training"):
        train = partial(train_many, train_key, x=train_x, y=train_y, network=network, config=config.training)
        trained = jax.block_until_ready(on_all_cores(train, numbers))
    _check_finite(trained, start)
    estimate, permuted = _estimator(config, null_key, messages)
    with stages("flows") as advance:
        spec = ESTIMATORS[config.estimator]
        flows = measure_flows(
            trained.params, x, permuted, network, config.first_layer, estimate, advance, spec.flows, spec.layer_bits
        )
    control_keys = jax.vmap(partial(jax.random.fold_in, control_key))(numbers)
    edges = tables.edge_list(dict(enumerate(kernels(tail_params(trained.params, config.first_layer)))))
    shared = _shared(inputs, trained.params, flows, estimate, len(edges))
    with stages("tradeoff") as advance:
        node = {layer: own.node for layer, own in flows.layers.items()}
        ranks = strategy_ranks(
            control_keys, trained.params, node, config.strategies, messages.shape[1], config.first_layer
        )
        levels = [strategy.level for strategy in config.strategies]
        tradeoff, tradeoff_fits = measure_interventions(
            ranks=ranks, levels=levels, factors=config.factors, unpruned=flows.outputs, advance=advance, **shared
        )
    with stages("dependence") as advance:
        removed, removed_fits = measure_removals(edges=edges, ranks=ranks, advance=advance, **shared)
    fits = {"flows": flows.fits, "tradeoff": tradeoff_fits, "dependence": removed_fits}
    return Measured(trained, flows._replace(start=jnp.zeros(width), draws=None), tradeoff, removed, fits)


def _estimator(config: Config, key: Array, messages: Array) -> tuple[Estimate, Array]:
    """The estimator, and the messages with the permutations of its noise floor."""
    spec = ESTIMATORS[config.estimator]
    options: dict[str, Any] = {"backend": config.backend} if spec.searches else {}
    if config.published_alpha:
        options["published_alpha"] = True
    groups = None if spec.groups is None else np.stack([spec.groups(message) for message in np.asarray(messages)])
    return partial(spec.estimate, **options), permuted_within(key, messages, groups)


def _shared(inputs: Inputs, params: Params, flows: Flows, estimate: Estimate, edges: int) -> dict[str, Any]:
    """What interventions on these networks and removals of their edges have in common, from the first layer on."""
    config = inputs.config
    swept = len(config.strategies) * sum(factor != 1 for factor in config.factors)
    return {
        "params": jax.vmap(partial(tail_params, start=config.first_layer))(params),
        "start": flows.start,
        "messages": inputs.messages,
        "network": tail_network(inputs.network, config.first_layer),
        "estimate": estimate,
        "draws": flows.draws if config.tune == "once" else None,
        "layer_bits": ESTIMATORS[config.estimator].layer_bits,
        "width": group_width(swept, edges),
    }


def _report_chunk(report: Report, start: int, stop: int, total: int, stage: str, part: float) -> None:
    """Part of a chunk done, as networks."""
    report(stage, start + (stop - start) * part, total)


def _steps(config: Config, network: MLP, inputs: int, width: int) -> dict[str, int]:
    """Estimates (network, factor, message, subset) in every stage of a chunk."""
    widths = (inputs, *network.widths)[config.first_layer :]
    shared = config.first_layer == 0 and not network.categories
    subsets = sum(2**n * (1 if shared and layer == 0 else width) for layer, n in enumerate(widths))
    edges = sum(n * m for n, m in pairwise(widths))
    swept = len(config.strategies) * sum(factor != 1 for factor in config.factors)
    return {"training": 0, "flows": 2 * subsets, "tradeoff": 2 * width * swept, "dependence": 2 * width * edges}


def _shares(config: Config, steps: dict[str, int]) -> dict[str, float]:
    """What part of a chunk's time every stage takes, roughly: by fits where there are many, else as much as any."""
    if not ESTIMATORS[config.estimator].searches:
        return dict.fromkeys(steps, 1.0)
    kept = 0.01 if config.tune == "once" else 1.0
    return {stage: count * (1.0 if stage == "flows" else kept) for stage, count in steps.items()}


def _check_finite(trained: Trained, start: int) -> None:
    """Refuse networks whose training diverged: their information would be NaN."""
    leaves = [trained.loss, *jax.tree.leaves(trained.params)]
    finite = np.all([np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in map(np.asarray, leaves)], axis=0)
    if not finite.all():
        raise InputError(
            f"training diverged in network {start + int(np.argmin(finite))} ({int((~finite).sum())} of {len(finite)}); "
            "lower the learning rate"
        )


def _tables(inputs: Inputs, networks: np.ndarray, measured: Measured) -> dict[str, pd.DataFrame]:
    """All tables of a chunk."""
    trained, flows, tradeoff, removed, fits = measured
    config = inputs.config
    weights = {layer: kernel for layer, kernel in enumerate(kernels(trained.params)) if layer >= config.first_layer}
    layers = {name: {layer: getattr(own, name) for layer, own in flows.layers.items()} for name in LayerFlows._fields}
    frames = {
        "networks": tables.networks_table(networks, flows.outputs),
        "training": tables.training_table(networks, trained.loss, trained.learning_rate),
        "information": tables.information_table(networks, layers["bits"]),
        "node_flows": tables.node_flows_table(networks, layers["node"], layers["witness"], layers["null95"]),
        "edge_flows": tables.edge_flows_table(networks, flows.edge, weights),
        "tradeoff": tables.tradeoff_table(networks, config.strategies, config.factors, tradeoff),
        "dependence": tables.dependence_table(networks, tables.edge_list(weights), flows.edge, flows.outputs, removed),
    }
    searched = ESTIMATORS[config.estimator].searches
    return frames | ({"fits": tables.fits_table(networks, fits)} if searched else {})
