"""What messages beyond two classes cost: ten classes against two, and a thousand permutations against one message.

    python experiments/benchmarks/messages.py

One layer of 12 nodes, 5,000 rows. Milliseconds, the fastest of several runs after one that compiles; the two sides of
a ratio take turns, so that both meet the same machine.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow import node_flows
from jaxflow.information import gaussian

ROWS, NODES, REPEATS = 5_000, 12, 15


def side_by_side(*functions: Callable[[], object]) -> list[float]:
    """Milliseconds of the fastest run of each, taking turns."""
    for function in functions:
        jax.block_until_ready(function())
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS):
        for function, own in zip(functions, times, strict=True):
            begin = time.perf_counter()
            jax.block_until_ready(function())
            own.append(1e3 * (time.perf_counter() - begin))
    return [min(own) for own in times]


def main() -> None:
    """Print both ratios."""
    rng = np.random.default_rng(0)
    layer = jnp.asarray(rng.normal(size=(ROWS, NODES)) @ rng.normal(size=(NODES, NODES)), jnp.float32)
    two, ten = (jnp.asarray(rng.integers(0, classes, ROWS)) for classes in (2, 10))
    many = jnp.asarray(np.stack([rng.permutation(np.asarray(two)) for _ in range(1_000)]))

    def flows(message: jax.Array) -> object:
        return node_flows(gaussian(message, layer))

    rows = [
        ("ten classes / two", lambda: gaussian(two, layer), lambda: gaussian(ten, layer), 6),
        ("1,000 permutations / one message", lambda: gaussian(two, layer), lambda: gaussian(many, layer), 25),
        ("the same, with node_flows", lambda: flows(two), lambda: flows(many), 25),
    ]
    for name, small, large, most in rows:
        one, other = side_by_side(small, large)
        print(f"{name:34} {other:8.2f} ms / {one:6.2f} ms = {other / one:5.1f} (at most {most})")


if __name__ == "__main__":
    main()
