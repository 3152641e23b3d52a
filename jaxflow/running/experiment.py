"""The functions that take a config through everything: networks, flows, interventions, tables, figures."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxflow import figures
from jaxflow.batching import local_mesh, spread_over
from jaxflow.datasets import Dataset, load_dataset
from jaxflow.errors import InputError, counted, shown
from jaxflow.networks import Network, Params
from jaxflow.networks.contract import check_fit, layer_sizes
from jaxflow.running.assembly import assemble
from jaxflow.running.chunk import Inputs, chunk_tables, inputs_of, measured_chunk, stage_shares, stage_steps
from jaxflow.running.chunks import is_written, write_chunk
from jaxflow.running.config import Config
from jaxflow.running.hosts import Hosts
from jaxflow.running.manifest import Bounds
from jaxflow.running.places import default_folder
from jaxflow.running.plan import Plan, announce, chunk_size, identity_of, manifest_of
from jaxflow.running.progress import Report, Stages, silent, spent_since, timed
from jaxflow.running.results import Results, locked, open_results
from jaxflow.statistics import correlations, predictors
from jaxflow.values import MOST_NETWORKS, flag, folder, whole


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
        out: results folder, default ``results/<name>-<estimator>``, with ``-seed5`` at its end for another seed than 0.
        data_dir: folder with the original data files.
        overwrite: delete a former run in the folder.
        devices: of this process, among which each chunk's networks are shared out; all by default.
        hosts: the processes among which the chunks are shared out; alone by default.
        report: called with stage, networks done and total.

    Returns:
        The results folder, finished.

    Raises:
        InputError: data, config and folder do not fit; the message names cause and fix.

    Example:
        >>> pipeline.run(pipeline.preset("synthetic", seeds=2)).table("networks")  # doctest: +SKIP
    """
    path, data_dir, hosts = _checked(config, dataset, out, data_dir, overwrite, devices, hosts, report)
    hosts.check()
    report("loading data", 0, config.seeds)
    if dataset is None:
        dataset = load_dataset(config.name, data_dir, config.data_seed)
    network = config.network(dataset)
    widths = (dataset.train.x.shape[1], *network.widths)
    return _run(Plan(config, dataset, network, widths, None, path, overwrite, devices, hosts, report))


def analyse(
    network: Network,
    params: Params,
    dataset: Dataset,
    config: Config,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    devices: int | None = None,
    report: Report = silent,
) -> Results:
    """The results folder for networks that jaxflow did not train: all tables and figures but the training's.

    Args:
        network: the architecture, see ``jaxflow.network``.
        params: of all networks, stacked on axis 0 of every leaf.
        dataset: its analysis half is what is measured on.
        config: strategies, factors, estimator and the like; ``hidden``, ``training`` and ``seeds`` play no part.
        out: results folder, default ``results/<name>-<estimator>``, with ``-seed5`` at its end for another seed than 0.
        overwrite: delete a former run in the folder.
        devices: of this process; all by default.
        report: called with stage, networks done and total.

    Returns:
        The results folder, finished.

    Raises:
        InputError: network, parameters, data, config and folder do not fit; the message names cause and fix.

    Example:
        >>> pipeline.analyse(network, params, data, pipeline.Config("mine"))  # doctest: +SKIP
    """
    path, _, hosts = _checked(config, dataset, out, None, overwrite, devices, None, report)
    leaves = [np.shape(leaf)[:1] for leaf in jax.tree.leaves(params)]
    if not isinstance(network, Network) or not leaves or len(set(leaves)) > 1 or not leaves[0]:
        raise InputError("give a jaxflow network, and its parameters stacked on axis 0 of every leaf")
    config = dataclasses.replace(config, seeds=leaves[0][0])
    one = jax.tree.map(lambda leaf: leaf[0], params)
    check_fit(network, one, dataset.test.x)
    widths = layer_sizes(jax.eval_shape(network.weights, one))
    classes = dataset.classes[dataset.label]
    if widths[-1] != classes and (widths[-1], classes) != (1, 2):  # one logit tells two classes apart
        raise InputError(f"the network has {counted(widths[-1], 'output')}, {dataset.label} {classes} classes")
    config.check(widths, dataset)
    return _run(Plan(config, dataset, network, widths, params, path, overwrite, devices, hosts, report))


def _run(plan: Plan) -> Results:
    """Fill the results folder."""
    config, hosts, report = plan.config, plan.hosts, plan.report
    if hosts.processes == 1:  # else JAX may not start before all have met
        local_mesh(plan.devices)
        _try_functions(plan)
        announce(plan)
    planned = dataclasses.replace(config, chunk=config.chunk or chunk_size(plan))
    if hosts.processes > 1:
        report(f"waiting for {'the others' if hosts.process == 0 else 'process 0'} at {hosts.address}", 0, config.seeds)
    with _opened(plan, planned) as (results, manifest):
        mesh = local_mesh(plan.devices)
        if hosts.processes > 1:
            _try_functions(plan)
            announce(plan)
        with spread_over(mesh):
            inputs = inputs_of(config, plan.network, plan.dataset, plan.params)
            _run_chunks(inputs, plan, results, manifest, mesh.size)
        _wait(results, manifest["pending"], config.seeds, report)
        hosts.part()
        if hosts.process == 0:
            _finish(results, manifest, plan)
    return results


def _try_functions(plan: Plan) -> None:
    """Try metrics and the user's own estimator on one network's shapes, see ``Config.try_functions``."""
    if plan.params is None:
        one = jax.eval_shape(plan.network.init, jax.random.key(0), plan.dataset.test.x)
    else:
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), plan.params)
    plan.config.try_functions(plan.widths, plan.network, one, plan.dataset)


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
    path = default_folder(config.name, config.spec.name, config.seed) if out is None else folder("out", out)
    return path, None if data_dir is None else folder("data_dir", data_dir), hosts or Hosts()


@contextmanager
def _opened(plan: Plan, config: Config) -> Iterator[tuple[Results, dict[str, Any]]]:
    """Lock the folder and yield it with its plan: process 0 writes the plan, then all meet, then the others read it."""
    path, hosts, identity = plan.path, plan.hosts, identity_of(plan)
    if hosts.process == 0:
        with locked(path):
            results, manifest = open_results(path, identity, config.seeds, plan.overwrite)
            manifest = manifest_of(config, identity, manifest, results, plan)
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


def _run_chunks(inputs: Inputs, plan: Plan, results: Results, manifest: dict[str, Any], devices: int) -> None:
    """Compute and save this process's share of the chunks that are not there yet.

    All are as wide as the widest, so that all share one trace, and a multiple of the devices.
    """
    longest = max(stop - start for start, stop in manifest["chunks"])
    width = -(-longest // devices) * devices
    steps = stage_steps(inputs, plan.widths, width)
    shares = stage_shares(inputs.config, steps)
    manifest["device"] = jax.local_devices()[0].device_kind
    for start, stop in manifest["pending"][plan.hosts.process :: plan.hosts.processes]:
        before, report = dict(manifest["seconds"]), partial(_report_chunk, plan.report, start, stop, plan.config.seeds)
        stages = Stages(steps, shares, manifest["seconds"], report)
        chunk = measured_chunk(inputs, start, width, stages)
        chunk = jax.tree.map(lambda a, n=stop - start: np.asarray(a)[:n], chunk)
        frames = chunk_tables(inputs, np.arange(start, stop), chunk)
        write_chunk(results.path, (start, stop), manifest["run"], frames, chunk.trained.params)
        shares |= spent_since(shares, manifest["seconds"], before)
        if plan.hosts.process == 0:
            results.write_manifest(manifest)


def _report_chunk(report: Report, start: int, stop: int, total: int, stage: str, part: float) -> None:
    """Part of a chunk done, as networks."""
    report(stage, start + (stop - start) * part, total)


def _wait(results: Results, chunks: Sequence[Bounds], seeds: int, report: Report) -> None:
    """Wait until the other processes have written their chunks; if one dies, JAX aborts this process too."""
    reported, missing = -1, list(chunks)
    while missing := [bounds for bounds in missing if not is_written(results.path, bounds)]:
        done = seeds - sum(stop - start for start, stop in missing)
        if done != reported:
            report("waiting for the other processes", done, seeds)
        reported = done
        time.sleep(1)


def _finish(results: Results, manifest: dict[str, Any], plan: Plan) -> None:
    """Make the tables and figures of the whole run; its manifest then says that it has ended."""
    config = plan.config
    plan.report("tables and figures", config.seeds, config.seeds)
    with timed(manifest["seconds"], "tables and figures"):
        files = assemble(results.path, manifest["chunks"], manifest["run"])
        dependence = results.table("dependence")
        results.write_table("correlations", correlations(dependence))
        told = predictors(dependence, results.table("edge_flows"), results.table("node_flows"))
        results.write_table("predictors", told)
        names = plan.dataset.features if config.first_layer == 0 and plan.params is None else ()
        title = figures.run_title(config.name, config.spec.name, config.seeds)
        drawn = figures.draw_all(results.table, title, config.roles(plan.dataset), names, manifest.get("chance", {}))
        results.write_figures(drawn)
    del manifest["pending"]
    results.write_manifest({**manifest, "finished": True, "assembled": config.seeds, "files": files})
    results.close()
