"""Ratios of jaxflow against what one would write first, measured side by side; a table, a CSV, a page.

    python experiments/benchmarks/benchmark.py [--data-dir DIR] [--docs docs] [--networks 100]

Training of all networks, as a run does it, against a compiled loop over seeds and, where PyTorch is installed, against
its plain loop (one network, times the number); information of all subsets of all layers against determinants in NumPy;
SVMs against scikit-learn. Everything compiled is timed after compilation: the fastest of three runs.
"""

import argparse
import importlib
import importlib.util
import sys
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxflow import load_dataset
from jaxflow.batching import on_all_cores
from jaxflow.datasets import Dataset
from jaxflow.information import gaussian
from jaxflow.information.sklearn_svms import kernel_pipeline
from jaxflow.information.svms import KERNEL, LINEAR
from jaxflow.running.config import Config
from jaxflow.running.presets import preset
from jaxflow.training import train, train_many

sys.path.append(str(Path(__file__).parents[1]))
from measuring import both_messages, machine, markdown, runs_of, timed, trained_layers, write_table
from svm_speed import compared, hidden_layers

EXPERIMENTS = ("synthetic", "adult-small", "mnist")


class Row(NamedTuple):
    """One comparison; seconds for the same work."""

    what: str
    jaxflow: float
    baseline: str
    seconds: float


def training(config: Config, data: Dataset, networks: int) -> list[Row]:
    """All networks at once, one after the other in JAX, and one in PyTorch."""
    what = f"training, {config.name}, {networks} networks"
    network, x, y = config.network(data), jnp.asarray(data.train.x), jnp.asarray(data.train.messages["y"])
    key, numbers = jax.random.key(0), jnp.arange(networks)
    many = partial(train_many, key, x=x, y=y, network=network, training=config.training)
    ours = runs_of(lambda: on_all_cores(many, numbers)).fastest
    one = jax.jit(partial(train, network=network, config=config.training))
    some = min(networks, 5)
    loop = runs_of(lambda: [one(jax.random.fold_in(key, k), x, y) for k in range(some)], 1).fastest * networks / some
    rows = [Row(what, ours, f"one jitted network after the other ({some}, scaled)", loop)]
    if importlib.util.find_spec("torch"):
        rows.append(Row(what, ours, "PyTorch, plain loop (1, scaled)", by_torch(config, data) * networks))
    return rows


def by_torch(config: Config, data: Dataset) -> float:
    """Seconds of one network by a plain PyTorch loop: same sizes, batches, optimiser and schedule."""
    torch: Any = importlib.import_module("torch")
    nn = torch.nn
    widths = (data.train.x.shape[1], *config.hidden, 2)
    layers = [part for n, m in pairwise(widths) for part in (nn.Linear(n, m), nn.LeakyReLU())]
    model, loss_of = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(model.parameters(), config.training.learning_rate, config.training.momentum)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser)
    x, y = torch.as_tensor(data.train.x), torch.as_tensor(data.train.messages["y"], dtype=torch.long)

    def train_all() -> None:
        for _ in range(config.training.epochs):
            losses = []
            for rows in torch.randperm(len(x)).split(config.training.batch_size):
                optimiser.zero_grad()
                loss = loss_of(model(x[rows]), y[rows])
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
            schedule.step(float(np.mean(losses)))

    return timed(train_all)[0]


def information(config: Config, data: Dataset, networks: int) -> list[Row]:
    """All subsets of a hidden layer of all networks about both messages, and the same by determinants."""
    brief = replace(config.training, epochs=1)
    layers, messages = trained_layers(config.network(data), brief, data, networks)[0], both_messages(data)
    what = f"information, {layers.shape[-1]} nodes, {networks} networks, 2 messages"
    m, x = jnp.asarray(messages, jnp.float32), jnp.asarray(layers)[:, None]
    ours = runs_of(lambda: gaussian(m, x)).fastest
    some = min(networks, 2)
    seconds, theirs = timed(
        lambda: [[by_determinants(message, layer) for message in messages] for layer in layers[:some]]
    )
    loop = seconds * networks / some
    apart = np.abs(np.asarray(gaussian(m, x[:some])) - np.array(theirs)).max()
    print(f"{what}: largest difference {apart:.1e} bit", file=sys.stderr)
    return [Row(what, ours, f"determinants in NumPy, subset by subset ({some} networks, scaled)", loop)]


def by_determinants(message: np.ndarray, layer: np.ndarray) -> list[float]:
    """Eq. 13 for every subset, in double precision."""
    joint = np.cov(message, layer.astype(float), rowvar=False)
    n = layer.shape[1]
    share = message.mean()
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    bits = [0.0]
    for mask in range(1, 2**n):
        nodes = [1 + i for i in range(n) if mask >> i & 1]
        both = [0, *nodes]
        ratio = np.linalg.det(joint[np.ix_(both, both)]) / np.linalg.det(joint[np.ix_(nodes, nodes)]) / joint[0, 0]
        bits.append(float(np.clip(-np.log2(ratio) / 2, 0, entropy)))
    return bits


def svms(data_dir: Path | None) -> list[Row]:
    """Seconds of 1,000 fits of either SVM; see ``svm_speed.py`` for what they find."""
    layers, message = hidden_layers("synthetic", 8, data_dir)
    rows = []
    for svm, pipeline in ((LINEAR, LINEAR.pipeline), (KERNEL, partial(kernel_pipeline, 0))):
        speed, _ = compared(svm, [pipeline], layers, message)
        rows.append(Row(f"{svm.name}, 1,000 fits", speed["jax ms/fit"], "scikit-learn", speed["sklearn ms/fit"]))
    return rows


def page(table: pd.DataFrame) -> str:
    """The table, and on which machine it was measured."""
    return (
        f"# Benchmark\n\nMade by `python experiments/benchmarks/benchmark.py --data-dir DIR` ({machine()})."
        " Seconds for the same work, side by side in one run; jaxflow after compilation, the fastest of three.\n\n"
        f"{markdown(list(table.columns), list(table.itertuples(index=False)))}\n"
    )


def main() -> None:
    """Measure, print, and write ``benchmark.csv`` and ``benchmark.md``."""
    parser = argparse.ArgumentParser(description="Ratios of jaxflow against what one would write first.")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--networks", type=int, default=100)
    options = parser.parse_args()
    rows: list[Row] = []
    for name in EXPERIMENTS:
        config, data = preset(name), load_dataset(name, options.data_dir)
        print(f"{name}: training", file=sys.stderr)
        rows += training(config, data, options.networks if name != "mnist" else options.networks // 10)
        print(f"{name}: information", file=sys.stderr)
        rows += information(config, data, options.networks)
    print("SVMs", file=sys.stderr)
    rows += svms(options.data_dir)
    table = pd.DataFrame(rows).assign(ratio=[row.seconds / row.jaxflow for row in rows])
    print(table.to_string(index=False, float_format="{:.3g}".format))
    write_table(table, options.docs / "benchmark.csv")
    shown = table.assign(**{name: table[name].map("{:.3g}".format) for name in ("jaxflow", "seconds", "ratio")})
    (options.docs / "benchmark.md").write_text(page(shown.rename(columns={"jaxflow": "jaxflow, s", "seconds": "s"})))


if __name__ == "__main__":
    main()
