"""The one function that runs a config through everything: networks, flows, interventions, tables, figures."""

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator
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

from jaxflow import analyses, classified, figures, measurements
from jaxflow.datasets import Dataset, load_dataset
from jaxflow.errors import InputError
from jaxflow.information import ESTIMATORS
from jaxflow.networks import MLP, kernels, tail_network, tail_params
from jaxflow.presets import PRESETS, Config, preset, strategy_grid
from jaxflow.progress import Report, silent
from jaxflow.results import Results, locked, open_results
from jaxflow.training import Trained, train_many

__all__ = ["PRESETS", "Config", "preset", "run", "strategy_grid"]

STAGES = ("training", "flows", "tradeoff", "dependence")
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
    y: Array
    z: Array
    key: Array


class Measured(NamedTuple):
    """Everything measured on a chunk."""

    trained: Trained
    flows: measurements.Flows
    tradeoff: analyses.Outputs
    removed: analyses.Outputs


def run(
    config: Config,
    dataset: Dataset | None = None,
    *,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    overwrite: bool = False,
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
        report: called with stage, networks done and total.

    Raises:
        InputError: data, config and folder do not fit; the message names cause and fix.
    """
    report("loading data", 0, config.seeds)
    if dataset is None:
        dataset = load_dataset(config.name, data_dir, config.data_seed)
    inputs = _inputs(config, dataset)
    path = Path(out) if out is not None else Path("results") / f"{config.name}-{config.estimator}"
    identity = {**config.as_json(), "data": dataset.fingerprint()}
    del identity["seeds"]
    with locked(path):
        results, manifest = open_results(path, identity, overwrite)
        manifest = _planned(config, identity, manifest, path)
        results.write_manifest(manifest)
        _run_chunks(inputs, results, manifest, report)
        report("tables and figures", config.seeds, config.seeds)
        with _timed(manifest["seconds"], "tables and figures"):
            results.assemble(manifest["chunks"])
            results.write_table("correlations", analyses.correlations(results.table("dependence")))
            for name, figure in figures.draw_all(results, config, dataset):
                results.write_figure(name, figure)
        results.write_manifest({**manifest, "finished": True})
        results.close()
    return results


def _run_chunks(inputs: Inputs, results: Results, manifest: dict[str, Any], report: Report) -> None:
    """Compute and save every chunk that is not there yet; all as wide as the widest, so that all share one trace."""
    width = max(stop - start for start, stop in manifest["chunks"])
    for start, stop in manifest["chunks"]:
        if not results.finished(start, stop):
            measured = _measure(inputs, start, width, manifest["seconds"], report, stop - start)
            measured = jax.tree.map(lambda a, n=stop - start: np.asarray(a[:n]), measured)
            results.write_chunk(start, stop, _tables(inputs, np.arange(start, stop), measured), measured.trained.params)
            results.write_manifest(manifest)


def _inputs(config: Config, dataset: Dataset) -> Inputs:
    """Everything on the device."""
    train, test = dataset.train, dataset.test
    arrays = map(jnp.asarray, (train.x, train.y, test.x, test.y, test.z))
    return Inputs(config, config.network(dataset), *arrays, key=jax.random.key(config.seed))


def _planned(config: Config, identity: dict[str, Any], manifest: dict[str, Any] | None, path: Path) -> dict[str, Any]:
    """The manifest to begin or go on with; chunks of equal size for the networks that it does not have yet."""
    old = manifest or {"seeds": 0, "chunks": [], "seconds": {}}
    if config.seeds < old["seeds"]:
        raise InputError(
            f"{path} holds {old['seeds']} networks, {config.seeds} were asked for; "
            "ask for at least as many, choose another --out, or --overwrite to start afresh"
        )
    missing = config.seeds - old["seeds"]
    bounds = np.linspace(old["seeds"], config.seeds, -(-missing // config.chunk) + 1).astype(int).tolist()
    return {
        "experiment": config.name,
        "seeds": config.seeds,
        "identity": identity,
        "chunks": [*old["chunks"], *pairwise(bounds)],
        "finished": False,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "device": jax.devices()[0].device_kind,
        "seconds": old["seconds"],
    }


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add a stage's wall time."""
    begin = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - begin, 3)


def _measure(inputs: Inputs, start: int, width: int, seconds: dict[str, float], report: Report, count: int) -> Measured:
    """Train and analyse networks start … start + width − 1."""
    config, network, train_x, train_y, x, y, z, key = inputs
    numbers = jnp.arange(start, start + width)
    train_key, control_key, null_key = (jax.random.fold_in(key, purpose) for purpose in range(3))

    def stage(index: int, function: Any, *args: Any) -> Any:
        report(STAGES[index], start + count * index / len(STAGES), config.seeds)
        with _timed(seconds, STAGES[index]):
            return jax.block_until_ready(function(*args))

    trained = stage(0, train_many, train_key, numbers, train_x, train_y, network, config.training)
    _check_finite(trained, start)
    first, params = config.first_layer, trained.params
    measure_flows, measure_interventions = _drivers(config.estimator, null_key, len(y))
    flows = stage(1, measure_flows, params, x, y, z, network, first)
    control_keys = jax.vmap(partial(jax.random.fold_in, control_key))(numbers)
    ranks = measurements.strategy_ranks(control_keys, params, flows.node, config.strategies, len(y), first)
    rest = jax.vmap(partial(tail_params, start=first))(params), flows.start
    ends = y, z, tail_network(network, first)
    levels = jnp.array([strategy.level for strategy in config.strategies])
    tradeoff = stage(2, measure_interventions, *rest, ranks, levels, jnp.array(config.factors), *ends)
    single = jnp.asarray(measurements.single_edges(kernels(rest[0])))
    single = jnp.broadcast_to(single, (width, *single.shape))
    ones = jnp.ones(single.shape[1], jnp.int32)
    removed = stage(3, measure_interventions, *rest, single, ones, jnp.zeros(1), *ends)
    return Measured(trained, flows._replace(start=jnp.zeros(width)), tradeoff, removed)


def _drivers(estimator: str, null_key: Array, samples: int) -> tuple[Callable, Callable]:
    """What measures flows and interventions: all under ``jit`` if the estimator can be traced, else around it."""
    spec = ESTIMATORS[estimator]
    if not spec.traced:
        return partial(classified.measure_flows, spec=spec), partial(classified.measure_interventions, spec=spec)
    permutations = measurements.permuted_rows(null_key, samples)
    flows = partial(measurements.measure_flows, permutations=permutations, estimator=spec.bits)
    return flows, partial(measurements.measure_interventions, estimator=spec.whole)


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
    trained, flows, tradeoff, removed = measured
    config = inputs.config
    weights = {layer: kernel for layer, kernel in enumerate(kernels(trained.params)) if layer >= config.first_layer}
    alone = analyses.Outputs(*(field[:, :, 0] for field in removed))
    return {
        "networks": analyses.networks_table(networks, flows.outputs),
        "training": analyses.training_table(networks, trained.loss, trained.learning_rate),
        "information": analyses.information_table(networks, flows.bits),
        "node_flows": analyses.node_flows_table(networks, flows.node, flows.witness, flows.null95),
        "edge_flows": analyses.edge_flows_table(networks, flows.edge, weights),
        "tradeoff": analyses.tradeoff_table(networks, config.strategies, config.factors, tradeoff),
        "dependence": analyses.dependence_table(
            networks, analyses.edge_list(weights), flows.edge, flows.outputs, alone
        ),
    }
