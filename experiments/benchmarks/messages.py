"""What messages beyond two classes cost: ten classes against two, and a thousand permutations against one message.

    python experiments/benchmarks/messages.py

One layer of 12 nodes, 5,000 rows. Milliseconds, the fastest of several runs after one that compiles; the two sides of
a ratio take turns, so that both meet the same machine.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow import node_flows
from jaxflow.information import gaussian

sys.path.append(str(Path(__file__).parents[1]))
from measuring import normal_layer, side_by_side

ROWS, NODES, REPEATS = 5_000, 12, 15


def main() -> None:
    """Print both ratios."""
    rng = np.random.default_rng(0)
    two, layer = normal_layer(ROWS, NODES)
    ten = jnp.asarray(rng.integers(0, 10, ROWS))
    many = jnp.asarray(np.stack([rng.permutation(np.asarray(two)) for _ in range(1_000)]))

    def flows(message: jax.Array) -> object:
        return node_flows(gaussian(message, layer))

    rows = [
        ("ten classes / two", lambda: gaussian(two, layer), lambda: gaussian(ten, layer), 6),
        ("1,000 permutations / one message", lambda: gaussian(two, layer), lambda: gaussian(many, layer), 25),
        ("the same, with node_flows", lambda: flows(two), lambda: flows(many), 25),
    ]
    for name, small, large, most in rows:
        found = side_by_side({"small": small, "large": large}, REPEATS)
        one, other = (1e3 * own.fastest for own in found.values())
        print(f"{name:34} {other:8.2f} ms / {one:6.2f} ms = {other / one:5.1f} (at most {most})")


if __name__ == "__main__":
    main()
