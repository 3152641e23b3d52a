"""Every compiled function lowers for GPUs and TPUs: it calls nothing back, holds no float64, and has few loops.

Nothing is run, so no accelerator is needed. What is lowered is what an accelerator would get, with its large batches.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxflow
from jaxflow.information.cross_validation import nested_folds
from jaxflow.information.gaussian import layer_bits
from jaxflow.information.ranks import ranking
from jaxflow.networks import MLP, initial_params
from jaxflow.running.config import strategy_grid
from jaxflow.sweeps import Interventions
from jaxflow.training import Training

NETWORKS, NODES, DEPTH = 500, 24, 21  # a run of equal layers, and more subsets than any device takes at once
SAMPLES = 211  # of no other test, which might have traced these shapes with a CPU's batches
MESSAGE = np.arange(SAMPLES) % 2
NETWORK = MLP((NODES,) * (DEPTH - 1) + (2,))
LISTED = MLP((6,) * (DEPTH - 1) + (2,))  # all subsets of its hidden layers are listed
SEEN = {"network": NETWORK, "layer_bits": layer_bits}
SHOWN = {"network": LISTED, "layer_bits": layer_bits, "first_layer": 0}
STRATEGIES = strategy_grid(nodes=(1,), edges=(1,), paths=(1,))


def floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def integers(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def keys(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jax.random.key(0).dtype)


def shapes(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def params(network: MLP = NETWORK) -> Any:
    x = jnp.zeros((1, NODES))
    many = jax.vmap(partial(initial_params, network=network, x=x))
    return jax.eval_shape(many, jax.random.split(jax.random.key(0), NETWORKS))


X, Y, LAYERS = floats(SAMPLES, NODES), integers(SAMPLES), floats(NETWORKS, SAMPLES, NODES)
MESSAGES, VALUES = integers(2, SAMPLES), floats(2, SAMPLES)


def of_svm(hyperparameters: int, nodes: int) -> tuple:
    folds = shapes(nested_folds(MESSAGE))
    return floats(NETWORKS, nodes, SAMPLES), floats(SAMPLES), folds, floats(25, hyperparameters)


def of_quadratic() -> tuple:
    among = shapes(ranking(np.ones((10, SAMPLES), bool)))
    return LAYERS, floats(10, 1, SAMPLES), among, integers(10, 64), jax.ShapeDtypeStruct((2**NODES, NODES), bool)


def of_sweep() -> tuple:
    items = params(), LAYERS, integers(NETWORKS, 6, DEPTH, NODES, NODES)
    return items, Interventions(integers(6), integers(6), floats(6), integers(6, 3)), MESSAGES


def of_edges() -> tuple:
    layers = range(DEPTH - 1)
    nodes, weights = floats(NETWORKS, 2, NODES), floats(NETWORKS, NODES, NODES)
    return dict.fromkeys(layers, nodes), dict.fromkeys(layers, weights)


def of_strategies() -> tuple:
    widths = enumerate((NODES, *NETWORK.widths))
    return keys(NETWORKS), params(), {layer: floats(NETWORKS, 2, width) for layer, width in widths}


class Entry(NamedTuple):
    """A compiled function's most loops, whatever the size of its arguments, the shapes of these, and its options."""

    loops: int
    arguments: Callable[[], tuple]
    options: dict[str, Any] = {}  # noqa: RUF012


ENTRIES = {
    "training.train_many": Entry(
        5, lambda: (keys(), integers(NETWORKS), X, Y), {"network": NETWORK, "config": Training(epochs=3)}
    ),
    "measurements._shown": Entry(16, lambda: (params(LISTED), X, integers(21, 2, SAMPLES)), SHOWN),
    "measurements._edge_flows": Entry(0, of_edges),
    "measurements._node_flows": Entry(2, lambda: (floats(21, NETWORKS, 2, 2**10),)),
    "measurements._permuted": Entry(0, lambda: (keys(), MESSAGES, MESSAGES)),
    "sweeps._pruned": Entry(6, of_sweep, SEEN),
    "sweeps._removed": Entry(8, lambda: ((params(), LAYERS), integers(6, 3), MESSAGES), SEEN),
    "sweeps.strategy_ranks": Entry(5, of_strategies, {"strategies": STRATEGIES, "samples": SAMPLES, "first_layer": 0}),
    "outputs.outputs_of": Entry(1, lambda: (floats(NETWORKS, 2), floats(NETWORKS, 5), MESSAGES)),
    "outputs.decision_measures": Entry(1, lambda: (floats(SAMPLES, 2), MESSAGES)),
    "flows._largest_gains": Entry(2, lambda: (floats(NETWORKS, 2**NODES),), {"width": 2**20}),
    "information.search._all_layers": Entry(
        7, lambda: (LAYERS, floats(NETWORKS, 2, SAMPLES), keys()), {"beam": 4, "restarts": 2, "depth": 6}
    ),
    "information.gaussian._all_gaussian": Entry(13, lambda: (VALUES, floats(1, SAMPLES, NODES))),
    "information.gaussian._all_layers": Entry(14, lambda: (LAYERS, floats(3, 2, SAMPLES))),
    "information.exact._all_flows": Entry(17, lambda: (floats(1, 2, SAMPLES), floats(NETWORKS, 1, SAMPLES, NODES))),
    "information.quadratic.all_held_out": Entry(5, of_quadratic, {"bound": "fano"}),
    "information.linear.search_layers": Entry(4, partial(of_svm, 1, NODES)),
    "information.nystrom.search_layers": Entry(13, partial(of_svm, 2, 6)),
    "information.ranks._all_columns": Entry(2, lambda: (LAYERS, shapes(ranking(np.ones((1, SAMPLES), bool))))),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_compiled_function_lowers_for_accelerators(monkeypatch, name):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # for ``batching``, which asks
    module, function = f"jaxflow.{name}".rsplit(".", 1)
    loops, arguments, options = ENTRIES[name]
    compiled = getattr(importlib.import_module(module), function)
    if not hasattr(compiled, "lower"):
        compiled = jax.jit(compiled)
    for platform in ("cuda", "tpu"):
        text = export.export(compiled, platforms=[platform])(*arguments(), **options).mlir_module()
        assert "callback" not in text
        assert not re.search(r"[<x]f64", text)
        assert not re.search(r"sort.*tensor<[\dx]*u?i64>", text)  # no TPU has integers of 64 bits
        assert text.count("stablehlo.while") <= loops


def test_every_compiled_function_of_the_package_is_among_them():
    """Whoever compiles another one says how it is to be lowered."""
    compiled = set()
    for module in pkgutil.walk_packages(jaxflow.__path__, "jaxflow."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if hasattr(value, "lower") and hasattr(value, "_cache_size") and value.__module__ == module.name:
                compiled.add(f"{module.name.removeprefix('jaxflow.')}.{name}")
    assert compiled
    assert compiled <= set(ENTRIES)
