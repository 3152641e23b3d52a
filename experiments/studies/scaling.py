"""How time, memory and the paper's correlations grow: with seeds, width, depth and samples.

    python experiments/studies/scaling.py [--data-dir DIR] [--docs docs] [--only seeds exact search depth samples mnist]

Every point runs in a process of its own, for its peak of memory, and goes into ``docs/scaling.csv`` as soon as it is
there; what is there is not measured again (delete the rows that you want afresh). Seconds are those of the fastest of
three calls, compilation apart; for the whole pipeline (seeds) both together. ``docs/scaling.md`` is the page.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from rich.progress import track

from jaxflow import load_dataset, pipeline, search_flows
from jaxflow.figures import paper_style
from jaxflow.information import gaussian, gaussian_flows
from jaxflow.interventions import Strategy
from jaxflow.networks import mlp
from jaxflow.training import Training, train_many

sys.path.append(str(Path(__file__).parents[1]))
from measuring import normal_layer, runs_of, timed, write_table
from scaling_page import growth_figure, growth_text, mnist_figure, mnist_text

SAMPLES, NODES = 5300, 6
NETWORKS = 100  # behind every correlation on mnist, as in the paper
SIZES = {
    "seeds": (1, 10, 100, 1000, 10_000),
    "exact": (2, 4, 8, 12, 16, 20, 22, 24),
    "search": (24, 48, 98, 196, 392, 784),
    "depth": (1, 2, 5, 10, 20, 50),
    "samples": (1000, 10_000, 100_000, 1_000_000),
}
MNIST = [(f"{width}x{depth}", (width,) * depth) for width, depth in ((3, 5), (6, 5), (10, 5), (6, 1), (6, 3), (6, 10))]


def fastest(function: Callable[[], object]) -> dict[str, float]:
    """Seconds of the fastest of three calls, and of compilation."""
    found = runs_of(function)
    return {"seconds": found.fastest, "compilation": found.compilation}


def seeds(size: int, data_dir: Path | None) -> dict[str, float]:
    """The whole pipeline into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        config = pipeline.preset("adult-small", seeds=size)
        seconds, _ = timed(lambda: pipeline.run(config, out=folder, data_dir=data_dir))
    return {"seconds": seconds, "compilation": np.nan}


def exact(size: int, _: Path | None) -> dict[str, float]:
    """All flows of a layer."""
    message, layer = normal_layer(SAMPLES, size)
    return fastest(lambda: gaussian_flows(message, layer))


def search(size: int, _: Path | None) -> dict[str, float]:
    """Lower bounds on all flows of a layer."""
    message, layer = normal_layer(SAMPLES, size)
    return fastest(lambda: search_flows(message, layer, beam=1, restarts=0))


def depth(size: int, _: Path | None) -> dict[str, float]:
    """One epoch of training, on the synthetic data."""
    train = load_dataset("synthetic").train
    numbers, x, y = jnp.arange(16), jnp.asarray(train.x), jnp.asarray(train.messages["y"])
    network, training = mlp((16,) * size), Training(learning_rate=1e-2, epochs=1)
    return fastest(lambda: train_many(jax.random.key(0), numbers, network, x, y, training))


def samples(size: int, _: Path | None) -> dict[str, float]:
    """All subsets of a layer."""
    message, layer = normal_layer(size, NODES)
    return fastest(lambda: gaussian(message, layer))


MEASURES: dict[str, Callable[[int, Path | None], dict[str, float]]] = {
    "seeds": seeds,
    "exact": exact,
    "search": search,
    "depth": depth,
    "samples": samples,
}


def measured(kind: str, size: int, data_dir: Path | None) -> dict[str, float]:
    """A point, from a process of its own."""
    command = [sys.executable, __file__, "--point", kind, str(size)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(process.stdout.splitlines()[-1])


def point(kind: str, size: int, data_dir: Path | None) -> None:
    """Measure in this process, and print JSON."""
    found = MEASURES[kind](size, data_dir)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"kind": kind, "size": size, **found, "peak_gb": peak}))


def all_points(kinds: list[str], path: Path, data_dir: Path | None) -> pd.DataFrame:
    """Every point, those that are missing measured."""
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["kind", "size"])
    there = set(zip(table["kind"], table["size"], strict=True))
    missing = [(kind, size) for kind in kinds if kind in SIZES for size in SIZES[kind] if (kind, size) not in there]
    for kind, size in track(missing, "points"):
        row = pd.DataFrame([measured(kind, size, data_dir)])
        table = pd.concat([table, row]) if len(table) else row
        write_table(table, path)
    return table


def mnist_table(path: Path, data_dir: Path | None, measure: bool) -> pd.DataFrame:
    """Table 2's correlations on mnist for networks of other widths and depths, with their intervals.

    What is missing is measured where ``measure``.
    """
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["network"])
    missing = [own for own in MNIST if measure and own[0] not in set(table["network"])]
    for name, hidden in track(missing, "mnist"):
        strategies = (Strategy("bias/acc", "node", 1),)
        config = pipeline.preset("mnist", hidden=hidden, seeds=NETWORKS, strategies=strategies, factors=(1.0, 0.0))
        with tempfile.TemporaryDirectory() as folder:
            results = pipeline.run(config, out=folder, data_dir=data_dir)
            told = results.table("predictors").query("predictor == 'edge flow'").assign(network=name)
        table = pd.concat([table, told]) if len(table) else told
        write_table(table, path)
    return table


def main() -> None:
    """Measure what is missing, and draw."""
    parser = argparse.ArgumentParser(description="How time, memory and the paper's correlations grow.")
    parser.add_argument("--only", nargs="+", choices=(*SIZES, "mnist"), default=(*SIZES, "mnist"))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--point", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        point(options.point[0], int(options.point[1]), options.data_dir)
        return
    docs = options.docs
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    table = all_points(options.only, docs / "scaling.csv", options.data_dir)
    correlations = mnist_table(docs / "scaling_mnist.csv", options.data_dir, "mnist" in options.only)
    text = growth_text(table)
    with paper_style():
        growth_figure(table).savefig(docs / "figures/scaling.png", dpi=120)
        if len(correlations):
            mnist_figure(correlations).savefig(docs / "figures/scaling_mnist.png", dpi=120)
            text += mnist_text(correlations)
    (docs / "scaling.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
