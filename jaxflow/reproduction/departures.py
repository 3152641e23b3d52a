"""What changes where the authors' program parts from the paper's text: computed once, kept, summarised for the page."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxflow.datasets import Dataset
from jaxflow.networks import Params
from jaxflow.reproduction.program import NodeFlows, alpha_table, inversion_table, shared_edges_table
from jaxflow.reproduction.runs import Run
from jaxflow.running.config import Config
from jaxflow.running.progress import reporter
from jaxflow.running.results import Results

BLOCK = 10  # networks between two reports
FAR = 1.0  # points


class Comparison(NamedTuple):
    """A table of the authors' way beside ours, on the networks of a run."""

    run: str
    compute: Callable[[Params, Config, Dataset, NodeFlows], pd.DataFrame]
    keys: tuple[str, ...]
    most: int = 100


COMPARISONS = {
    "inversion": Comparison("synthetic-gaussian", inversion_table, ("metric", "method", "level", "factor")),
    "shared_edges_large": Comparison("adult-large-gaussian", shared_edges_table, ("factor",)),
    "shared_edges_mnist": Comparison("mnist-gaussian", shared_edges_table, ("factor",)),
    "alpha": Comparison("synthetic-kernel-svm", alpha_table, ("method", "level", "factor"), most=4),  # minutes each
}


def tables(
    finished: dict[str, tuple[Run, Results]], folder: Path, load: Callable[..., Dataset], needed: set[str], quiet: bool
) -> dict[str, pd.DataFrame]:
    """Every comparison whose run is there, from ``folder`` where it was computed before.

    Args:
        finished: runs with their results.
        folder: where the tables are kept.
        load: ``load_dataset`` with its folder.
        needed: runs that were asked for; a comparison on another one is only read.
        quiet: no progress.
    """
    found = {}
    for name, comparison in COMPARISONS.items():
        if comparison.run not in finished:
            continue
        own, results = finished[comparison.run]
        count = min(comparison.most, results.manifest["seeds"])
        path = folder / f"{name}-{count}.csv"
        if not path.exists() and comparison.run in needed:
            table = _computed(f"{name}, {comparison.run}", comparison, own, results, count, load, quiet)
            folder.mkdir(parents=True, exist_ok=True)
            table.to_csv(path, index=False, float_format="%.9g", lineterminator="\n")
        if path.exists():
            found[name] = pd.read_csv(path)
    return found


def _computed(
    title: str,
    comparison: Comparison,
    own: Run,
    results: Results,
    count: int,
    load: Callable[..., Dataset],
    quiet: bool,
) -> pd.DataFrame:
    """The comparison on the first ``count`` networks of a run, block by block."""
    shared = results.params(), _node_flows(results)
    dataset, pieces = load(own.config.name), []
    with reporter(title, quiet) as report:
        for start in range(0, count, BLOCK):
            report("authors' way", start, count)
            params, node = jax.tree.map(lambda leaf, start=start: leaf[start : min(start + BLOCK, count)], shared)
            piece = comparison.compute(params, own.config, dataset, node)
            pieces.append(piece.assign(network=piece["network"] + start))
    return pd.concat(pieces)


def _node_flows(results: Results) -> NodeFlows:
    """Node flows ``[S, n]``, message → layer, from the table."""
    table = results.table("node_flows").sort_values(["network", "node"])
    networks, layers = table["network"].nunique(), sorted(set(table["layer"]))

    def flow(message: str, layer: int) -> Array:
        own = table[(table["message"] == message) & (table["layer"] == layer)]
        return jnp.asarray(own["flow"].to_numpy(np.float32).reshape(networks, -1))

    return {message: {int(layer): flow(message, layer) for layer in layers} for message in ("y", "z")}


def summary(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Means over networks of a comparison.

    With the inversion also ``far_double`` and ``far_single``: per cent of networks whose bias is more than a point off.
    """
    keys = list(COMPARISONS[name].keys)
    if name == "inversion":
        far = {way: 100 * (np.abs(table[f"bias_{way}"] - table["bias"]) > FAR) for way in ("double", "single")}
        table = table.assign(**{f"far_{way}": values for way, values in far.items()})
    means = table.groupby(keys, sort=False).mean(numeric_only=True).drop(columns="network")
    return means.assign(networks=table["network"].nunique()).reset_index()
