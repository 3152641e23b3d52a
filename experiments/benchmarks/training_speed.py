"""How long 100 networks of an experiment train, and how long the compilation before it takes.

    python experiments/benchmarks/training_speed.py [adult-small] [--networks 100] [--lanes 13 25] [--data-dir DIR]

Prints the seconds of one compilation and of three runs under one jit, then of three on all cores, as a run trains.
With ``--lanes`` also of the fastest of three on all cores with so many networks side by side under one ``vmap``.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxflow import load_dataset
from jaxflow.batching import on_all_cores
from jaxflow.pipeline import PRESETS, preset
from jaxflow.programs import ALONE
from jaxflow.training import train, train_many, train_numbers

sys.path.append(str(Path(__file__).parents[1]))
from measuring import runs_of, side_by_side, timed


def of_lanes(lanes: list[int], numbers: jax.Array, one: Callable[..., Any], *shared: jax.Array) -> None:
    """Print the seconds of so many networks side by side, all numbers of lanes in every round."""

    def program(width: int) -> Callable[[jax.Array], Any]:
        many = jax.jit(lambda own, *shared: jax.lax.map(lambda number: one(number, *shared), own, batch_size=width),
                       compiler_options=ALONE)  # fmt: skip
        return lambda own: many(own, *shared)

    programs = {f"{width} side by side": partial(on_all_cores, program(width), numbers) for width in lanes}
    for name, seconds in side_by_side(programs).items():
        print(f"{name} {seconds.fastest:.2f} s")


def main() -> None:
    """Print seconds of compilation and of three runs, under one jit and on all cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("experiment", nargs="?", default="adult-small", choices=PRESETS)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--lanes", type=int, nargs="*", default=[])
    options = parser.parse_args()

    config = preset(options.experiment)
    data = load_dataset(config.name, options.data_dir)
    network, training = config.network(data), dataclasses.replace(config.training, epochs=options.epochs)
    arrays = (
        jax.random.key(0),
        jnp.arange(options.networks),
        jnp.asarray(data.train.x),
        jnp.asarray(data.train.messages["y"]),
    )

    lowered = partial(train_numbers.lower, *arrays, network=network, training=training)
    compilation, compiled = timed(lambda: lowered().compile())
    print(f"{options.experiment}, {options.networks} networks: compilation {compilation:.2f} s")
    for seconds in runs_of(lambda: compiled(*arrays)).later:
        print(f"training {seconds:.2f} s")
    key, numbers, x, y = arrays
    own = partial(train_many, key, x=x, y=y, network=network, training=training)
    for seconds in runs_of(lambda: on_all_cores(own, numbers)).later:
        print(f"training on all cores {seconds:.2f} s")

    def one(number: jax.Array, key: jax.Array, x: jax.Array, y: jax.Array) -> Any:
        return train(jax.random.fold_in(key, number), x, y, network, training)

    of_lanes(options.lanes, numbers, one, key, x, y)


if __name__ == "__main__":
    main()
