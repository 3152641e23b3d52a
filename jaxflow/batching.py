"""How many items run side by side: a pure function of one item, mapped over many in bounded memory, on all devices."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, PartitionSpec

from jaxflow.errors import InputError
from jaxflow.programs import Compiled

Out = TypeVar("Out")

CPU_BYTES, CPU_MOST = 2**18, 25  # a batch that stays in a core's second cache; XLA inlines small loops up to about 40
CPU_TOGETHER, CPU_WORK = 100, 10**12  # networks of a chunk; multiplications, about a minute on two cores
ACCELERATOR_BYTES = 2**30
MOST_TOGETHER = 10_000
MESSAGE_BYTES = 2**26  # of the information about messages that go through a layer's subsets together
AXIS = "networks"  # of the mesh of devices


def local_mesh(devices: int | None = None) -> Mesh:
    """A row of this process's devices, the first ``devices`` of them or all.

    Raises:
        InputError: there are not as many.
    """
    local = jax.local_devices()
    count = len(local) if devices is None else devices
    if not 1 <= count <= len(local):
        raise InputError(f"devices must be between 1 and the {len(local)} that this process has, not {count}")
    return Mesh(np.array(local[:count]), (AXIS,))


def spread_over(mesh: Mesh) -> AbstractContextManager[Any]:
    """While the block lasts every ``batched_map`` gives each device of the mesh an equal share of its items.

    Their leading axis is sharded by ``jax.shard_map``; the mapped functions do not know of it.
    """
    return jax.set_mesh(mesh) if mesh.size > 1 else nullcontext()


def _shards() -> int:
    """Devices to share items among; 1 without a mesh, and inside of a share."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape[AXIS] if AXIS in mesh.auto_axes else 1


def lanes(item_bytes: int) -> int:
    """Number of items of this size to run under one ``vmap``: few on a CPU, as many as fit in 1 GiB elsewhere.

    On a CPU 50 adult networks train in two thirds of the time in lanes of 25 as in one lane of 50, and 100 networks are
    equal lanes on one, two or four cores.
    """
    if jax.default_backend() == "cpu":
        return max(1, min(CPU_MOST, CPU_BYTES // item_bytes))
    return max(1, ACCELERATOR_BYTES // item_bytes)


def side_by_side(item_bytes: int, item_work: int) -> int:
    """Number of items to hold at once, for hours of items: what fits into a quarter of the free memory.

    On a CPU no more than 100, nor than about a minute's work, so that what is done can be saved.

    Args:
        item_bytes: what stays in memory of one item.
        item_work: multiplications that one item takes, roughly.
    """
    fit = free_bytes() // (4 * item_bytes)
    if jax.default_backend() == "cpu":
        fit = min(fit, CPU_TOGETHER, max(cores(), CPU_WORK // item_work))
    return max(1, min(fit, MOST_TOGETHER))


def nodes_together() -> int:
    """Nodes whose 2ⁿ subsets are computed together: in a core's cache on a CPU, enough to fill anything else."""
    return 16 if jax.default_backend() == "cpu" else 22


def nodes_in_cache() -> int:
    """Nodes whose 2ⁿ subsets are gone through together for several messages side by side."""
    return 10 if jax.default_backend() == "cpu" else 16


def messages_together(nodes: int) -> int:
    """Messages that go side by side through the 2ⁿ subsets of a layer: two registers of a CPU, if memory allows."""
    most = 16 if jax.default_backend() == "cpu" else 256
    return max(8, min(most, MESSAGE_BYTES // (4 * 2**nodes)))


def rows_together(nodes: int) -> int:
    """Layers whose 2ⁿ values are gone through together: a CPU's nearest cache holds them, elsewhere all."""
    return max(1, 2**14 >> nodes) if jax.default_backend() == "cpu" else 2**30


def free_bytes() -> int:
    """Memory that is free for arrays: the accelerator's, else this machine's within the limit of its control group."""
    stats = jax.local_devices()[0].memory_stats() or {}  # of several hosts, only this one's can be asked
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    try:
        fields = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        free = next(int(field[1]) * 1024 for field in fields if field[0] == "MemAvailable:")
    except (OSError, StopIteration):  # no Linux: what is installed
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no control group, or one without a limit
        return free
    return min(free, limit - used)


def cores() -> int:
    """CPU cores that this process may use; 1 where an accelerator does the work."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(function: Callable[[Any], Any], items: Any) -> Any:
    """``function(items)`` in as many equal parts as there are cores, each in a thread of its own: one trace.

    On a CPU XLA runs a loop of small operations on one core; an accelerator gets everything at once, and so do many
    devices, among which ``batched_map`` shares it.

    Args:
        function: compiled, of a pytree with a leading axis, which its results have too.
        items: pytree with a leading axis.

    Returns:
        What ``function`` returns. From a CPU's cores they are NumPy arrays: to cut and join JAX's would compile a
        program for every shape.
    """
    count = _count(items)
    parts = 1 if _shards() > 1 else min(cores(), count)
    if parts == 1:
        return function(items)
    width = -(-count // parts)
    host = jax.tree.map(_on_host, items)
    split = [jax.tree.map(partial(_host_part, start=part * width, width=width), host) for part in range(parts)]
    with ThreadPoolExecutor(parts) as pool:
        results = list(pool.map(lambda part: jax.block_until_ready(function(jax.device_put(part))), split))
    return jax.tree.map(lambda *leaves: _joined(leaves)[:count], *results)


def _on_host(a: Any) -> Any:
    """A view of what already lies in the host's memory; NumPy knows no keys, which stay as they are."""
    return a if jnp.issubdtype(a.dtype, jax.dtypes.extended) else np.asarray(a)


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays one after the other."""
    return jnp.concatenate(parts) if jnp.issubdtype(parts[0].dtype, jax.dtypes.extended) else np.concatenate(parts)


def _host_part(a: Any, start: int, width: int) -> Any:
    """``_part`` of a NumPy array, or of keys."""
    return a[np.minimum(np.arange(start, start + width), len(a) - 1)] if start + width > len(a) else a[start:][:width]


def _count(items: Any) -> int:
    """Length of the leading axis."""
    return jax.tree.leaves(items)[0].shape[0]


def _part(a: Any, start: int, width: int) -> Any:
    """``width`` rows from ``start`` on, the last one repeated where they run out."""
    own = a[start : start + width]
    missing = width - len(own)
    return jnp.concatenate([own, jnp.repeat(a[-1:], missing, axis=0)]) if missing else own


def _filled(items: Any, count: int) -> Any:
    """Items with the last one repeated up to ``count``."""
    return jax.tree.map(partial(_part, start=0, width=count), items)


def batched_map(function: Callable[..., Out], items: Any, item_bytes: int, *shared: Any) -> Out:
    """``function(item, *shared)`` of all items, in equal batches of at most ``lanes(item_bytes)`` under ``vmap``.

    The last batch is padded: one trace. On many devices (``spread_over``) each maps an equal share, again padded; a
    ``batched_map`` inside of the function is the device's own.

    Args:
        function: of one item, a pytree without the leading axis, and what is shared. On many devices it must not close
            over arrays that are being traced, unless inside another ``batched_map``.
        items: pytree with a leading axis.
        item_bytes: what one item needs while it runs, roughly.
        shared: arrays that are the same for all items.
    """
    count, shards = _count(items), _shards()
    run: Any = partial(_in_batches, function, item_bytes)
    if shards > 1:
        each, same = PartitionSpec(AXIS), (PartitionSpec(),) * len(shared)
        run = jax.shard_map(run, in_specs=(each, *same), out_specs=each, check_vma=False)
    results = run(_filled(items, -(-count // shards) * shards), *shared)
    return jax.tree.map(lambda a: a[:count], results)


def in_blocks(function: Callable[[Any], Out], items: Any, most: int) -> Out:
    """``function(items)`` of a block of items at a time, equal blocks of at most ``most``.

    For functions that treat many items better than ``vmap`` would; inside of a compiled function, on one device.

    Args:
        function: of a pytree with a leading axis, which its results have too.
        items: pytree with a leading axis.
        most: items of a block.
    """
    count = _count(items)
    blocks = -(-count // most)
    width = -(-count // blocks)
    if blocks == 1:
        return function(items)
    split = jax.tree.map(lambda a: a.reshape(blocks, width, *a.shape[1:]), _filled(items, blocks * width))
    results = jax.lax.map(function, split)
    return jax.tree.map(lambda a: a.reshape(blocks * width, *a.shape[2:])[:count], results)


def _in_batches(function: Callable[..., Out], item_bytes: int, items: Any, *shared: Any) -> Out:
    """``batched_map`` on one device."""

    def one(item: Any) -> Out:
        return function(item, *shared)

    if lanes(item_bytes) == 1:  # a vmap of one would evaluate both branches of every conditional
        return jax.lax.map(one, items)
    count = _count(items)
    batches = -(-count // lanes(item_bytes))
    width = -(-count // batches)
    split = jax.tree.map(lambda a: a.reshape(batches, width, *a.shape[1:]), _filled(items, batches * width))
    results = jax.lax.map(jax.vmap(one), split)
    return jax.tree.map(lambda a: a.reshape(batches * width, *a.shape[2:])[:count], results)


def map_networks(function: Callable[..., Out], *stacked: Any) -> Out:
    """``function`` of every network, where the arguments hold many networks one after the other.

    The same as ``jax.vmap(function)(*stacked)`` but for memory and speed: it is compiled, runs in batches that fit into
    a core's cache (elsewhere into the accelerator's memory) and on all cores. Batches are sized by the largest
    intermediate result that one network's computation has.

    Args:
        function: a pure function of one network, such as of its parameters, to a pytree of arrays. The same function
            object is compiled once.
        stacked: pytrees whose arrays have a leading axis, one item for every network.

    Returns:
        What the function returns, every array with a leading axis.

    Raises:
        InputError: no arguments, or leading axes that differ in length.

    Example:
        >>> scaled = lambda params, factor: factor * params["w"].sum()
        >>> map_networks(scaled, {"w": jnp.ones((4, 3))}, jnp.arange(4.0)).tolist()
        [0.0, 3.0, 6.0, 9.0]
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(stacked)}
    if len(sizes) != 1 or () in sizes:
        raise InputError("map_networks needs stacked arguments: arrays with a leading axis of one length, the networks")
    if is_traced(stacked):
        return _in_fitting_batches(stacked, function)
    return jax.device_put(on_all_cores(partial(_compiled_map, function=function), stacked))


def is_traced(values: Any) -> bool:
    """Whether some array is being traced, so that neither its values nor threads are at hand."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(values))


def _in_fitting_batches(stacked: Any, function: Callable[..., Any]) -> Any:
    """``batched_map`` with batches sized by the largest result inside of one item's computation."""
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), stacked)
    program = jax.make_jaxpr(function)(*one).jaxpr
    return batched_map(lambda item: function(*item), stacked, max(1, 2 * _largest_result(program)))


_compiled_map = Compiled(_in_fitting_batches, "function", alone=True)


def _largest_result(program: Any) -> int:
    """Bytes of the largest results that one equation of a jaxpr has, those inside of its loops and calls included."""
    largest = 0
    for equation in program.eqns:
        largest = max(largest, sum(_bytes(result.aval) for result in equation.outvars))
        # a loop, a conditional or a call holds its own jaxpr, closed or open, among its parameters
        for inner in jax.tree.leaves(list(equation.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            largest = max(largest, _largest_result(inner)) if hasattr(inner, "eqns") else largest
    return largest


def _bytes(kind: Any) -> int:
    """Size of an array of this type; a key counts as 16 bytes."""
    return getattr(kind, "size", 0) * getattr(getattr(kind, "dtype", None), "itemsize", 16)
