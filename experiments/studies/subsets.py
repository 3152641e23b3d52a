"""How long the Gaussian information of all subsets and the node flows take, what memory, and how exact they are.

    python experiments/studies/subsets.py
    python experiments/studies/subsets.py --nodes 16 20 24 26

For every width, compiled, the fastest of five runs with the slowest: node flows with witnesses about one message and
about two, beside a determinant per subset (eq. 13; the first 2¹² subsets, times the rest). The error is against least
squares in double precision on random subsets. Peak memory is that of the whole process so far.
"""

import argparse
import resource
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.information import binary_entropy, gaussian, gaussian_flows, memory_needed

sys.path.append(str(Path(__file__).parents[1]))
from measuring import normal_layer, runs_of

SAMPLES = 5300
DETERMINANTS = 2**12


def by_determinants(message: jax.Array, layer: jax.Array) -> jax.Array:
    """One determinant of the joint covariance and one of the layer's for each of the first subsets (eq. 13)."""
    joint = jnp.cov(jnp.column_stack([message, layer]).T)
    n = layer.shape[1]
    subsets = jnp.arange(min(2**n, DETERMINANTS))[:, None] >> jnp.arange(n)[None] & 1

    def bits(members: jax.Array) -> jax.Array:
        inside = jnp.concatenate([jnp.ones(1, bool), members == 1])
        both = inside[:, None] & inside[None]
        own = both & (jnp.arange(n + 1) > 0)[:, None] & (jnp.arange(n + 1) > 0)[None]
        whole, part = (jnp.linalg.slogdet(jnp.where(m, joint, jnp.eye(n + 1)))[1] for m in (both, own))
        return -(whole - part - jnp.log(joint[0, 0])) / (2 * jnp.log(2.0))

    return jax.lax.map(bits, subsets, batch_size=256)


def least_squares(message: np.ndarray, layer: np.ndarray, mask: int) -> float:
    """I(M; X_T) in double precision, at most H(M)."""
    nodes = [i for i in range(layer.shape[1]) if mask >> i & 1]
    design = np.column_stack([np.ones(len(layer)), layer[:, nodes].astype(float)])
    residual = message - design @ np.linalg.lstsq(design, message.astype(float))[0]
    entropy = float(binary_entropy(jnp.asarray(message.mean(), jnp.float32)))
    return min(-0.5 * np.log2(residual.var() / message.var()), entropy)


def errors(message: np.ndarray, layer: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Largest error of 50 random subsets' information, and of the flows as gains by their witnesses."""
    bits = gaussian(message, layer)
    masks = rng.integers(0, len(bits), 50)
    found = gaussian_flows(message, layer)
    gains = [
        least_squares(message, layer, int(witness) | 1 << node) - least_squares(message, layer, int(witness))
        for node, witness in enumerate(found.witness)
    ]
    worst = max(abs(float(bits[mask]) - least_squares(message, layer, mask)) for mask in masks)
    return worst, float(np.abs(np.asarray(found.flow) - gains).max())


def row(nodes: int, rng: np.random.Generator) -> str:
    """Everything about one width."""
    message, layer = normal_layer(SAMPLES, nodes)
    two = jnp.stack([message, jnp.asarray(rng.integers(0, 2, SAMPLES), jnp.int32)])
    flows_of, plain = jax.jit(gaussian_flows), jax.jit(by_determinants)
    one, both = runs_of(lambda: flows_of(message, layer), 5), runs_of(lambda: flows_of(two, layer), 5)
    slow = runs_of(lambda: plain(message, layer), 5).fastest / min(2**nodes, DETERMINANTS) * 2**nodes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    own, flows = errors(np.asarray(message), np.asarray(layer), rng)
    return (
        f"{nodes:5} {2**nodes:10} {one.compilation:9.1f} {one.fastest:8.4f} – {one.slowest:<8.4f} {both.fastest:8.4f}"
        f" {slow:12.3f} {slow / one.fastest:7.0f} {memory_needed(nodes) / 2**30:10.3f} {peak:8.2f}"
        f" {own:9.1e} {flows:9.1e}"
    )


def main() -> None:
    """Print a row for every width."""
    parser = argparse.ArgumentParser(description="Flows of wide layers: seconds, memory, errors.")
    parser.add_argument("--nodes", type=int, nargs="+", default=(8, 12, 16, 20, 24), help="widths")
    widths = parser.parse_args().nodes
    rng = np.random.default_rng(0)
    print("nodes    subsets compile s        flows, s          2 messages  determinants   ratio  stated GB  peak GB"
          "  error of bits and flows")  # fmt: skip
    for nodes in widths:
        print(f"{nodes} nodes", file=sys.stderr, flush=True)
        print(row(nodes, rng), flush=True)


if __name__ == "__main__":
    main()
