"""What bounds the training of the mnist networks: all of it against its parts, each alone, on the same cores.

    python experiments/benchmarks/training_bound.py [--networks 100] [--data-dir DIR] [--trace DIR]

Microseconds that a step of one network takes, many trained side by side, on all cores (``taskset -c 0`` for one):

- ``gather``: the rows of every batch, fetched.
- ``memory``: the same, and the first layer's weights and momentum read and written: what a step has to move.
- ``products``: the two products of the first layer, at the speed of a large matrix product.
- ``training``: the whole step.

Parts and training run in lanes of as many networks, over as many shuffles, one after the other in several rounds; the
fastest counts. The larger of memory and products is the bound. ``--trace`` writes a profile of one training, every
operation in it, for Perfetto or TensorBoard.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxflow import load_dataset
from jaxflow.batching import batched_map, cores, on_all_cores
from jaxflow.pipeline import preset
from jaxflow.programs import ALONE
from jaxflow.training import Training, shuffled, train_many

sys.path.append(str(Path(__file__).parents[1]))
from measuring import side_by_side

EPOCHS, ROUNDS, LARGE = 2, 6, 4096
BOUNDS = "memory", "products"
PRECISE = jax.lax.Precision.HIGHEST


def moved(key: jax.Array, numbers: jax.Array, x: jax.Array, width: int, config: Training, weights: bool) -> jax.Array:
    """The batches of every network's epochs gathered; with ``weights`` those and their momentum updated as well."""
    steps = len(x) // config.batch_size

    def one(number: jax.Array, key: jax.Array, x: jax.Array) -> jax.Array:
        keys = jax.random.split(jax.random.fold_in(key, number), config.epochs)

        def step(carry: Any, rows: jax.Array) -> tuple[Any, None]:
            sums, w, momentum = carry
            if weights:
                momentum = 0.9 * momentum + 0.1 * w
                w = w - 0.01 * momentum
            return (0.5 * sums + x[rows], w, momentum), None

        def epoch(carry: Any, key: jax.Array) -> tuple[Any, None]:
            rows = shuffled(key, len(x))[: steps * config.batch_size].reshape(steps, config.batch_size)
            return jax.lax.scan(step, carry, rows)[0], None

        w = jax.random.normal(keys[0], (width, x.shape[1]))
        carry, _ = jax.lax.scan(epoch, (jnp.zeros_like(x[: config.batch_size]), w, w), keys)
        return jnp.stack([jnp.sum(part) for part in carry]).sum()

    return batched_map(one, numbers, 2 * width * x.shape[1], key, x)


def compiled(function: Callable[..., Any], numbers: jax.Array, *shared: Any) -> Callable[[], Any]:
    """``function(numbers, *shared)`` on all cores."""
    program = jax.jit(function, compiler_options=ALONE).lower(numbers[: -(-len(numbers) // cores())], *shared).compile()
    return lambda: on_all_cores(lambda own: program(own, *shared), numbers)


def main() -> None:
    """Print the parts, the training and their ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--trace", type=Path)
    options = parser.parse_args()

    config = preset("mnist")
    data, training = load_dataset(config.name, options.data_dir), dataclasses.replace(config.training, epochs=EPOCHS)
    network, x, y = config.network(data), jnp.asarray(data.train.x), jnp.asarray(data.train.messages["y"])
    numbers, key, width = jnp.arange(options.networks), jax.random.key(0), network.widths[0]

    def part(numbers: jax.Array, key: jax.Array, x: jax.Array, weights: bool) -> jax.Array:
        return moved(key, numbers, x, width, training, weights)

    def train(numbers: jax.Array, key: jax.Array, x: jax.Array, y: jax.Array) -> Any:
        return train_many(key, numbers, network, x, y, training)

    square = jnp.ones((LARGE, LARGE))
    product = jax.jit(partial(jnp.matmul, precision=PRECISE))
    programs = {
        "gather": compiled(partial(part, weights=False), numbers, key, x),
        "memory": compiled(partial(part, weights=True), numbers, key, x),
        "products": lambda: product(square, square),
        "training": compiled(train, numbers, key, x, y),
    }
    steps = options.networks * EPOCHS * (len(x) // training.batch_size)
    found = {name: seconds.fastest / steps for name, seconds in side_by_side(programs, ROUNDS).items()}
    operations = 4 * training.batch_size * x.shape[1] * width  # forwards, and backwards to the weights
    found["products"] *= steps * operations / (2 * LARGE**3)
    report(found)
    with jax.profiler.trace(options.trace) if options.trace else nullcontext():
        jax.block_until_ready(programs["training"]())


def report(found: dict[str, float]) -> None:
    """One line for every part, in microseconds; how far the training is from its bound."""
    for name, seconds in found.items():
        print(f"{name:12s}{1e6 * seconds:8.2f} µs")
    bound = max(BOUNDS, key=found.__getitem__)
    print(f"bound: {bound}, on {cores()} cores; training takes {found['training'] / found[bound]:.1f} times as long,")
    print(f"and {found['training'] / found['gather']:.1f} times as long as the gather alone")


if __name__ == "__main__":
    main()
