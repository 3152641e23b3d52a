"""How long the Gaussian information of all subsets takes, and how exact it is.

    python experiments/subsets.py

Times the recursion for layers of 8 to 22 nodes (compiled, median of 5) against a determinant per subset, batched, and
compares values with least squares in double precision on random subsets.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxflow.information import gaussian

SAMPLES = 5300


def seconds(function: Callable, *arguments: jax.Array) -> float:
    """Median of five runs after compilation."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


@jax.jit
def by_determinants(message: jax.Array, layer: jax.Array) -> jax.Array:
    """One determinant of the joint covariance and one of the layer's for every subset (eq. 13)."""
    joint = jnp.cov(jnp.column_stack([message, layer]).T)
    n = layer.shape[1]
    subsets = jnp.arange(2**n)[:, None] >> jnp.arange(n)[None] & 1

    def bits(members: jax.Array) -> jax.Array:
        inside = jnp.concatenate([jnp.ones(1, bool), members == 1])
        both = inside[:, None] & inside[None]
        own = both & (jnp.arange(n + 1) > 0)[:, None] & (jnp.arange(n + 1) > 0)[None]
        whole, part = (jnp.linalg.slogdet(jnp.where(m, joint, jnp.eye(n + 1)))[1] for m in (both, own))
        return -(whole - part - jnp.log(joint[0, 0])) / (2 * jnp.log(2.0))

    return jax.lax.map(bits, subsets, batch_size=256)


def largest_error(message: np.ndarray, layer: np.ndarray, bits: np.ndarray, rng: np.random.Generator) -> float:
    """Against least squares in double precision, on 50 random subsets."""
    errors = []
    for mask in rng.integers(0, len(bits), 50):
        nodes = [i for i in range(layer.shape[1]) if mask >> i & 1]
        design = np.column_stack([np.ones(len(layer)), layer[:, nodes].astype(float)])
        residual = message - design @ np.linalg.lstsq(design, message.astype(float))[0]
        errors.append(abs(float(bits[mask]) + 0.5 * np.log2(residual.var() / message.var())))
    return max(errors)


def main() -> None:
    """Print a row for every width."""
    rng = np.random.default_rng(0)
    message = rng.integers(0, 2, SAMPLES)
    print("nodes    subsets   recursion s   determinants s   ratio   error (bits)")
    for n in (8, 12, 16, 20, 22):
        layer = rng.normal(size=(SAMPLES, n)) @ rng.normal(size=(n, n)) + 0.3 * message[:, None]
        m, x = jnp.asarray(message, jnp.float32), jnp.asarray(layer, jnp.float32)
        ours = seconds(jax.jit(gaussian), m, x)
        theirs = seconds(by_determinants, m, x) if n <= 16 else float("nan")
        error = largest_error(message, np.asarray(x), np.asarray(gaussian(m, x)), rng)
        print(f"{n:5} {2**n:10} {ours:13.5f} {theirs:16.4f} {theirs / ours:7.0f} {error:14.1e}")


if __name__ == "__main__":
    main()
