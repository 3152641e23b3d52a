"""How an MLP's parameters lie in memory: layer by layer, equal layers stacked (folded), wide ones transposed (turned).

Outside of training every layer lies by itself under its own name, its kernel source × target.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

Layers: TypeAlias = dict[str, Any]
WIDE = 2**10  # weights of a layer that trains transposed


def folded(params: Layers, runs: Sequence[tuple[int, int]]) -> Layers:
    """The parameters of equal layers that run together stacked, under the name of the first.

    Args:
        params: layer by layer.
        runs: first weight layer and number of those that run together.
    """
    counts = dict(runs)
    others = {name: leaves for name, leaves in params.items() if not name.startswith("layer_")}

    def run(first: int, count: int) -> Layers:
        own = [params[f"layer_{index}"] for index in range(first, first + count)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *own) if count > 1 else own[0]

    return others | {f"layer_{first}": run(first, count) for first, count in counts.items()}


def unfolded(params: Layers) -> Layers:
    """The inverse of ``folded``: every layer by itself."""
    layers = {}
    for name, leaves in params.items():
        if not is_run(leaves):
            layers[name] = leaves
            continue
        first = int(name.removeprefix("layer_"))
        for index in range(len(leaves["bias"])):
            layers[f"layer_{first + index}"] = jax.tree.map(itemgetter(index), leaves)
    return layers


def turned(params: Layers) -> Layers:
    """Wide layers transposed, and back: with the inputs last, gradient and update run along memory.

    A step of the mnist networks takes half as long on a CPU; narrow layers gain nothing, nor do runs of 64 nodes.
    """

    def own(leaves: Layers) -> Layers:
        wide = "kernel" in leaves and leaves["kernel"].size >= WIDE and not is_run(leaves)
        return leaves | {"kernel": leaves["kernel"].T} if wide else leaves

    return {name: own(leaves) for name, leaves in params.items()}


def is_run(leaves: Layers) -> bool:
    """Whether these are the stacked parameters of equal layers."""
    return "kernel" in leaves and leaves["kernel"].ndim == 3


def depth(params: Layers) -> int:
    """Number of weight layers."""
    return sum(name.startswith("layer_") for name in params)
