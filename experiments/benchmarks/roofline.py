"""How near the main kernels come to what the device can do: peak of arithmetic, or bandwidth of memory.

    python experiments/benchmarks/roofline.py [--data-dir DIR] [--docs docs] [--networks 100 1000] [--nodes 20 22]

Peak and bandwidth are measured beside the kernels: a large matrix product in float32, and a large array halved in
place. Work is counted by hand, what cannot be avoided and no more: for training the products of every layer and the
batch's rows, weights and momentum read and written; for flows the 2ⁿ informations written and read again, n comparisons
each; for a pruning sweep one forward pass of every pruned network from the first analysed layer on. A kernel is bound
by the larger of its two fractions; ``neither`` where both are below a tenth: small operations one after the other, or
roots and logarithms, which no peak counts. Writes ``roofline.csv`` and ``roofline.md``.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pandas as pd
from rich.progress import track

from jaxflow import load_dataset
from jaxflow.batching import batched_map, on_all_cores
from jaxflow.information import gaussian_flows
from jaxflow.running.presets import preset
from jaxflow.training import train_many

sys.path.append(str(Path(__file__).parents[1]))
from measuring import machine, markdown, normal_layer, runs_of, write_table

SQUARE, COPIED, COPIES = 4096, 2**26, 20
EXPERIMENTS, EPOCHS = ("adult-small", "mnist"), 5
SAMPLES = 5300
FACTORS = 11  # pruned networks of a sweep


class Work(NamedTuple):
    """A kernel, and the operations and bytes that it cannot do without."""

    name: str
    run: Callable[[], Any]
    operations: float
    bytes: float


def peaks() -> tuple[float, float]:
    """Operations a second of a float32 matrix product, bytes a second of a copy (read and written)."""
    square, line = jnp.ones((SQUARE, SQUARE)), jnp.ones(COPIED)
    product = jax.jit(partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST))
    copies = jax.jit(lambda a: jax.lax.fori_loop(0, COPIES, lambda _, a: 0.5 * a, a))  # in place: no fresh pages
    moved = 8 * COPIED * COPIES
    multiplied, copied = runs_of(lambda: product(square, square)), runs_of(lambda: copies(line))
    return 2 * SQUARE**3 / multiplied.fastest, moved / copied.fastest


def of_networks(name: str, networks: int, data_dir: Path | None) -> Iterator[Work]:
    """Training, per epoch, and a sweep of pruned forward passes."""
    config, data = preset(name), load_dataset(name, data_dir)
    training = config.training.__class__(config.training.learning_rate, epochs=EPOCHS)
    network, numbers = config.network(data), jnp.arange(networks)
    x, y, seen = jnp.asarray(data.train.x), jnp.asarray(data.train.messages["y"]), jnp.asarray(data.test.x)
    train = partial(train_many, jax.random.key(0), x=x, y=y, network=network, training=training)
    params = train(numbers).params
    sizes = [int(own[0].size) for own in jax.vmap(network.weights)(params)]
    batches = networks * EPOCHS * (len(x) // training.batch_size)
    products = training.batch_size * (6 * sum(sizes) - 2 * sizes[0])  # no gradient for the inputs
    moved = 4 * (training.batch_size * x.shape[1] + 4 * sum(sizes))
    title = f"{name}, {networks:,} networks: "
    yield Work(f"{title}{EPOCHS} epochs", lambda: on_all_cores(train, numbers), batches * products, batches * moved)

    start = config.first_layer
    begin = network.start(jax.tree.map(lambda w: w[0], params), seen, start)

    @jax.jit
    def sweep(params: Any, begin: jax.Array) -> jax.Array:
        def one(params: Any, begin: jax.Array) -> jax.Array:
            levels = jnp.arange(FACTORS, dtype=begin.dtype) / FACTORS
            scaled = jax.vmap(lambda f: jax.tree.map(lambda w: f * w, params))(levels)
            return jax.vmap(lambda own: network.resume(own, None, begin, start)[-1])(scaled)

        return batched_map(one, params, 8 * FACTORS * len(begin) * sum(network.widths[start:]), begin)

    passes = networks * FACTORS * len(seen)
    moved = 4 * (networks * begin.size + passes * network.widths[-1])
    title += f"{FACTORS} pruned forward passes"
    yield Work(title, lambda: sweep(params, begin), 2 * passes * sum(sizes[start:]), moved)


def of_subsets(nodes: int) -> Work:
    """All flows of a layer about one message."""
    message, layer = normal_layer(SAMPLES, nodes)
    return Work(f"flows of {nodes} nodes", lambda: gaussian_flows(message, layer), 2**nodes * nodes, 8 * 2.0**nodes)


def measured(work: Work, peak: float, bandwidth: float) -> dict[str, Any]:
    """Seconds, and the fractions of what the device can do."""
    took = runs_of(work.run).fastest
    fractions = {"of peak": work.operations / took / peak, "of bandwidth": work.bytes / took / bandwidth}
    largest = max(fractions, key=fractions.__getitem__)
    bound = {"of peak": "arithmetic", "of bandwidth": "memory"}[largest]
    return {
        "kernel": work.name,
        "seconds": took,
        **fractions,
        "bound": bound if fractions[largest] >= 0.1 else "neither",
    }


def page(table: pd.DataFrame, peak: float, bandwidth: float) -> str:
    """The table, and on which machine it was measured."""
    rows = [
        (row[0], f"{row[1]:.3g}", f"{100 * row[2]:.2g} %", f"{100 * row[3]:.2g} %", row[4])
        for row in table.itertuples(index=False)
    ]
    return (
        f"# Roofline\n\nMade by `python experiments/benchmarks/roofline.py --data-dir DIR` ({machine()}):"
        f" {peak / 1e9:,.0f} GFLOP/s in a large matrix product, {bandwidth / 1e9:,.0f} GB/s"
        " through a large array, measured in the same run. Work is what cannot be avoided,"
        " counted by hand (see the script). `neither`: both fractions are below a tenth; small"
        " operations one after the other bound it, or roots and logarithms, which no peak counts.\n\n"
        f"{markdown(list(table.columns), rows)}\n"
    )


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description="How near the main kernels come to what the device can do.")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--networks", type=int, nargs="+", default=[100])
    parser.add_argument("--nodes", type=int, nargs="+", default=[20, 24])
    options = parser.parse_args()
    peak, bandwidth = peaks()
    works = [
        *(work for s in options.networks for name in EXPERIMENTS for work in of_networks(name, s, options.data_dir)),
        *map(of_subsets, options.nodes),
    ]
    table = pd.DataFrame([measured(work, peak, bandwidth) for work in track(works, "kernels")])
    write_table(table, options.docs / "roofline.csv")
    text = page(table, peak, bandwidth)
    (options.docs / "roofline.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
