"""How many items run side by side: a pure function of one item, mapped over many in bounded memory."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

In = TypeVar("In")
Out = TypeVar("Out")

CPU_BYTES, CPU_MOST = (
    2**16,
    16,
)  # a batch that stays in a core's cache; XLA inlines small loops up to about 40
ACCELERATOR_BYTES = 2**31


def lanes(item_bytes: int) -> int:
    """Number of items of this size to run under one ``vmap``: few on a CPU, as many as fit in 2 GiB elsewhere.

    On a CPU 100 adult networks train in 1.7 s in lanes of 16 and in 3.1 s in one lane of 100.
    """
    if jax.default_backend() == "cpu":
        return max(1, min(CPU_MOST, CPU_BYTES // item_bytes))
    return max(1, ACCELERATOR_BYTES // item_bytes)


def on_all_cores(function: Callable[[Any], Any], items: Any) -> Any:
    """``function(items)`` in as many equal parts as there are cores, each in a thread of its own.

    On a CPU XLA runs a loop of small operations on one core; an accelerator gets everything at once.

    Args:
        function: compiled, of a pytree with a leading axis, which its results have too.
        items: array with a leading axis.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = min(cores if jax.default_backend() == "cpu" else 1, len(items))
    with ThreadPoolExecutor(parts) as pool:
        results = list(pool.map(lambda part: jax.block_until_ready(function(part)), jnp.array_split(items, parts)))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *results)


def batched_map(function: Callable[[In], Out], items: In, item_bytes: int) -> Out:
    """``vmap(function)(items)`` in equal batches of at most ``lanes(item_bytes)``, the last one padded: one trace.

    Args:
        function: of one item, a pytree without the leading axis.
        items: pytree with a leading axis.
        item_bytes: what one item needs while it runs, roughly.
    """
    count = jax.tree.leaves(items)[0].shape[0]
    batches = -(-count // lanes(item_bytes))
    width = -(-count // batches)
    padded = jax.tree.map(lambda a: jnp.concatenate([a, jnp.repeat(a[-1:], batches * width - count, axis=0)]), items)
    results = jax.lax.map(jax.vmap(function), jax.tree.map(lambda a: a.reshape(batches, width, *a.shape[1:]), padded))
    return jax.tree.map(lambda a: a.reshape(batches * width, *a.shape[2:])[:count], results)
