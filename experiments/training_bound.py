"""What bounds the training of the mnist network: a step against its parts, each alone.

    python experiments/training_bound.py [--networks 26] [--data-dir DIR]

On one core, best of several runs, microseconds a step, every part for as many steps and over as many shuffles as the
training, so that what else the machine does weighs on all alike: gathering the batch from the shuffled rows; the two
products of the first layer, and the momentum update of its weights, both without the gather; the whole step of a run's
training. Then the same products at the speed of a large matrix product. The largest part is the bound; what the parts
take one after the other is what one core needs at least, were memory and arithmetic never to overlap. Pin it to a core
that does nothing else (``taskset -c 0``).
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxflow import load_dataset
from jaxflow.batching import ALONE
from jaxflow.pipeline import preset
from jaxflow.training import shuffled, train_many

EPOCHS, REPEATS, LARGE = 4, 5, 1024
BOUNDS = "gather", "products at peak", "update"
PRECISE = jax.lax.Precision.HIGHEST


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Of the fastest run, compilation apart."""
    compiled = jax.jit(function, compiler_options=ALONE).lower(*arguments).compile()
    times = []
    for _ in range(1 + REPEATS):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - begin)
    return min(times[1:])


def parts(x: jax.Array, width: int, batch: int, shuffles: int) -> dict[str, float]:
    """Seconds a step of the first layer's parts."""
    steps = shuffles * (len(x) // batch)
    orders = jax.vmap(lambda key: shuffled(key, len(x)))(jax.random.split(jax.random.key(0), shuffles))
    rows = orders[:, : steps // shuffles * batch].reshape(steps, batch)
    weights = jax.random.normal(jax.random.key(1), (width, x.shape[1])) / 100
    fixed = x[:batch]

    def gather(x: jax.Array, rows: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda sums, own: (0.5 * sums + x[own], None), jnp.zeros_like(x[:batch]), rows)[0]

    def products(weights: jax.Array, fixed: jax.Array, rows: jax.Array) -> jax.Array:
        def step(w: jax.Array, _: jax.Array) -> tuple[jax.Array, None]:
            z = jnp.matmul(w, fixed.T, precision=PRECISE)
            return jnp.matmul(z, fixed, precision=PRECISE) / len(x), None

        return jax.lax.scan(step, weights, rows)[0]

    def update(weights: jax.Array, rows: jax.Array) -> Any:
        def step(state: tuple[jax.Array, jax.Array], _: jax.Array):
            w, momentum = state
            momentum = 0.9 * momentum + 0.1 * w
            return (w - 0.01 * momentum, momentum), None

        return jax.lax.scan(step, (weights, weights), rows)[0]

    return {
        "gather": seconds(gather, x, rows) / steps,
        "products": seconds(products, weights, fixed, rows) / steps,
        "update": seconds(update, weights, rows) / steps,
    }


def main() -> None:
    """Print the parts, the step and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=26)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()

    config = preset("mnist")
    data, training = load_dataset(config.name, options.data_dir), dataclasses.replace(config.training, epochs=EPOCHS)
    network, x, y = config.network(data), jnp.asarray(data.train.x), jnp.asarray(data.train.y)
    found = parts(x, network.widths[0], training.batch_size, options.networks * EPOCHS)
    square = jnp.ones((LARGE, LARGE))
    peak = 2 * LARGE**3 / seconds(lambda a: jnp.matmul(a, a, precision=PRECISE), square)
    found["products at peak"] = 4 * training.batch_size * x.shape[1] * network.widths[0] / peak

    def train(key: jax.Array, x: jax.Array, y: jax.Array) -> Any:
        return train_many(key, jnp.arange(options.networks), x, y, network, training)

    steps = options.networks * EPOCHS * (len(x) // training.batch_size)
    step = seconds(train, jax.random.key(0), x, y) / steps
    bound = max(BOUNDS, key=found.__getitem__)
    print(listing(found, step))
    floor = sum(found[name] for name in BOUNDS)
    print(f"bound: {bound}; a step takes {step / found[bound]:.1f} times as long")
    print(f"{' + '.join(BOUNDS)}: {1e6 * floor:.2f} µs; a step takes {step / floor:.1f} times as long")


def listing(found: dict[str, float], step: float) -> str:
    """One line for every part, in microseconds."""
    return "\n".join(f"{name:18s}{1e6 * value:8.2f} µs" for name, value in [*found.items(), ("whole step", step)])


if __name__ == "__main__":
    main()
