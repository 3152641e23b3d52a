"""How long 100 networks of an experiment train, and how long the compilation before it takes.

python experiments/training_speed.py [adult-small] [--networks 100] [--data-dir DIR]

Prints the seconds of one compilation and of three runs under one jit, then of three on all cores, as a run trains.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxflow import load_dataset
from jaxflow.batching import on_all_cores
from jaxflow.pipeline import PRESETS, preset
from jaxflow.training import train_many


def main() -> None:
    """Print seconds of compilation and of three runs, under one jit and on all cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("experiment", nargs="?", default="adult-small", choices=PRESETS)
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()

    config = preset(options.experiment)
    data = load_dataset(config.name, options.data_dir)
    network = config.network(data)
    arrays = jax.random.key(0), jnp.arange(options.networks), jnp.asarray(data.train.x), jnp.asarray(data.train.y)

    begin = time.perf_counter()
    compiled = train_many.lower(*arrays, network=network, config=config.training).compile()
    print(f"{options.experiment}, {options.networks} networks: compilation {time.perf_counter() - begin:.2f} s")
    for _ in range(3):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*arrays))
        print(f"training {time.perf_counter() - begin:.2f} s")
    key, numbers, x, y = arrays
    train = partial(train_many, key, x=x, y=y, network=network, config=config.training)
    jax.block_until_ready(on_all_cores(train, numbers))
    for _ in range(3):
        begin = time.perf_counter()
        jax.block_until_ready(on_all_cores(train, numbers))
        print(f"training on all cores {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
