"""Every compiled function lowers for GPUs and TPUs: it calls nothing back, holds no float64, and has few loops.

Nothing is run, so no accelerator is needed. What is lowered is what an accelerator would get, with its large batches.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxflow
from jaxflow.debiasing import bias_penalty
from jaxflow.editing.candidates import Candidate, Sample, Setting
from jaxflow.editing.choosing import Aim
from jaxflow.editing.edits import Data
from jaxflow.flows import Flows
from jaxflow.information import ESTIMATORS
from jaxflow.information.cross_validation import nested_folds
from jaxflow.information.gaussian import MANY, layer_bits
from jaxflow.information.probe import question_of, task_of
from jaxflow.information.probe_climbing import Asked, Nodes, taught
from jaxflow.information.probe_network import Head
from jaxflow.information.ranks import ranking
from jaxflow.information.specs import as_they_are
from jaxflow.interventions import Padded, Strategy
from jaxflow.messages import Message
from jaxflow.networks import MLP
from jaxflow.outputs import PAPER, measure_names
from jaxflow.running.config import strategy_grid
from jaxflow.study import Study
from jaxflow.sweeps import Interventions, Stack
from jaxflow.training import Penalty, Training

NETWORKS, NODES, DEPTH = 500, 24, 21  # a run of equal layers, and more subsets than any device takes at once
SAMPLES = 211  # of no other test, which might have traced these shapes with a CPU's batches
MESSAGE = np.arange(SAMPLES) % 2
NETWORK = MLP((NODES,) * (DEPTH - 1) + (2,))
LISTED = MLP((6,) * (DEPTH - 1) + (2,))  # all subsets of its hidden layers are listed
GAUSSIAN = ESTIMATORS["gaussian"]
COUNTED = measure_names(PAPER)[2:]
STUDY = Study(NETWORK, PAPER, GAUSSIAN)
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
    many = jax.vmap(partial(network.init, x=x))
    return jax.eval_shape(many, jax.random.split(jax.random.key(0), NETWORKS))


X, Y, LAYERS = floats(SAMPLES, NODES), integers(SAMPLES), floats(NETWORKS, SAMPLES, NODES)
MESSAGES, VALUES = integers(2, SAMPLES), floats(2, SAMPLES)


def of_svm(hyperparameters: int, nodes: int) -> tuple:
    folds = shapes(nested_folds(MESSAGE))
    return floats(NETWORKS, nodes, SAMPLES), floats(1, SAMPLES), folds, floats(25, hyperparameters)


def of_quadratic() -> tuple:
    among = shapes(ranking(np.ones((10, SAMPLES), bool)))
    return LAYERS, (integers(10, 1, SAMPLES),), among, integers(10, 64), jax.ShapeDtypeStruct((2**NODES, NODES), bool)


def of_probe() -> Any:
    question = question_of(Message(MESSAGE[None], None), MESSAGE)
    return shapes(task_of(question, np.ones((2**6, 6), bool), tuple(range(6)), np.dtype(np.float32)))


def of_variants() -> tuple:
    return floats(10, 100, SAMPLES, 2), shapes(ranking(np.ones((1, SAMPLES), bool))), of_probe(), keys(), integers()


def of_wide_probe() -> tuple:
    """A layer of 6 nodes, what a probe has learned of it, and all held-out rows."""
    task, x, head = of_probe(), floats(SAMPLES, 6), Head(2)
    own, nothing = jax.eval_shape(partial(taught._inside, head=head), x, task, keys(), integers())
    rows = nothing.shape[1]
    nodes = Nodes(jax.ShapeDtypeStruct((6, 6), bool), integers(6, 2), jax.ShapeDtypeStruct((6,), bool))
    return integers(6), own, Asked(nothing, integers(rows // 2), integers(rows // 2)), nodes


def of_sweep(ranked: bool = True) -> Stack:
    ranks = integers(NETWORKS, 6, DEPTH, NODES, NODES) if ranked else None
    return Stack(params(), LAYERS, ranks, X, about())


def of_interventions() -> Interventions:
    return Interventions(integers(6), integers(6), floats(6), integers(6, 3))


def of_rows() -> tuple[jax.ShapeDtypeStruct, Penalty]:
    """Weights and a penalty on bias."""
    return floats(SAMPLES), bias_penalty(Message(Y, Y, 2, 2), floats())


EDITED = Setting(
    Study(MLP((3, 2), linear=(1,)), PAPER, GAUSSIAN), Aim("bias", ("z",)), STRATEGIES, (0.5, 0.0), "scale", 2
)


def of_edit() -> tuple:
    """Networks, and halves of the rows."""
    halves = Sample(floats(2, SAMPLES // 2, 3), {name: Message(integers(2, SAMPLES // 2)) for name in "yz"})
    train = Sample(floats(SAMPLES, 3), {"y": Message(integers(SAMPLES))})
    fresh = jax.vmap(partial(EDITED.study.network.init, x=jnp.zeros((1, 3))))
    return (
        keys(NETWORKS),
        jax.eval_shape(fresh, jax.random.split(jax.random.key(0), NETWORKS)),
        Data(halves, train, floats()),
    )


def of_candidates() -> tuple:
    """One network, and what it may become."""
    _, many, data = of_edit()
    one = jax.tree.map(lambda leaf: floats(*leaf.shape[1:]), many)
    rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), data.halves)
    removed = jax.ShapeDtypeStruct((7, 15), bool)
    return one, integers(3, 2, 3, 3), Candidate(integers(7), integers(7), floats(7), removed), rows, data.train


def of_kept() -> tuple:
    """One network, and one candidate."""
    one, ranks, many, _, train = of_candidates()
    return one, ranks, jax.tree.map(lambda own: jax.ShapeDtypeStruct(own.shape[1:], own.dtype), many), train


def about(*permutations: int) -> dict[str, Message]:
    return {name: Message(integers(*permutations, SAMPLES)) for name in "yz"}


def of_nodes() -> dict[str, dict[int, jax.ShapeDtypeStruct]]:
    widths = enumerate((NODES, *NETWORK.widths))
    flows = {layer: floats(NETWORKS, width) for layer, width in widths}
    return dict.fromkeys("yz", flows)


def of_message(count: int, classes: int) -> Message:
    return Message(integers(count, SAMPLES), None, classes)


def of_messages() -> dict[str, Message]:
    """Two classes, three within strata, and numbers."""
    return {
        "z": of_message(3, 2),
        "k": Message(integers(3, SAMPLES), integers(SAMPLES), 3, 2),
        "c": Message(floats(3, SAMPLES, 1), floats(SAMPLES, 1), 0),
    }


def halves() -> dict[str, jax.ShapeDtypeStruct]:
    """Row numbers of two halves, for both messages."""
    return dict.fromkeys("yz", integers(2, SAMPLES // 2))


class Entry(NamedTuple):
    """A compiled function's most loops, whatever the size of its arguments, the shapes of these, and its options."""

    loops: int
    arguments: Callable[[], tuple]
    options: dict[str, Any] = {}  # noqa: RUF012


ENTRIES = {
    "analysis._compiled_bits": Entry(
        70, lambda: (of_messages(), floats(SAMPLES, 6)), {"layer_bits": layer_bits, "groups": None}
    ),
    "analysis._compiled_outputs": Entry(
        3, lambda: (dict.fromkeys("yz", floats()), floats(SAMPLES, 2), about(), about()), {"roles": PAPER}
    ),
    "batching._compiled_map": Entry(1, lambda: ((params(),),), {"function": partial(jax.tree.map, jnp.sum)}),
    "training.train_numbers": Entry(
        5, lambda: (keys(), integers(NETWORKS), X, Y), {"network": NETWORK, "training": Training(epochs=3)}
    ),
    "training.train_numbers, debiased": Entry(
        5, lambda: (keys(), integers(NETWORKS), X, Y, NETWORK, Training(epochs=3), of_rows())
    ),
    "measurements._shown": Entry(
        34, lambda: (params(LISTED), X, about(201), halves()), {"study": Study(LISTED, PAPER, GAUSSIAN)}
    ),
    "measurements._edge_flows": Entry(0, lambda: (params(), of_nodes()), {"study": STUDY}),
    "layers.stack_estimate": Entry(2, lambda: (floats(NETWORKS, 21, 2**10),)),
    "outputs.stack_outputs": Entry(
        2,
        lambda: (dict.fromkeys("yz", floats(NETWORKS)), dict.fromkeys(COUNTED, floats(NETWORKS)), about()),
        {"roles": PAPER},
    ),
    "sweeps._pruned": Entry(8, lambda: (of_sweep(), of_interventions()), {"study": STUDY}),
    "sweeps._removed": Entry(9, lambda: (of_sweep(ranked=False), integers(6, 3)), {"study": STUDY}),
    "rankings._by_flows": Entry(
        5,
        lambda: ((keys(NETWORKS), params(), Flows(of_nodes(), samples=SAMPLES)), X, about(), None),
        {"study": STUDY, "strategies": STRATEGIES},
    ),
    "rankings._by_rows": Entry(
        19,
        lambda: ((keys(NETWORKS), params(), Flows(of_nodes(), samples=SAMPLES)), X, about(), None),
        {"study": STUDY, "strategies": (*STRATEGIES, Strategy("greedy", "edge", 2))},
    ),
    "editing.candidates._shown": Entry(9, of_candidates, {"setting": EDITED}),
    "editing.candidates.read_outs": Entry(2, lambda: (dict.fromkeys("yz", floats(101)), about())),
    "editing.edits.handed_out": Entry(5, of_kept, {"setting": EDITED}),
    "editing.edits.logits_counted": Entry(0, lambda: of_candidates()[::3], {"study": EDITED.study}),
    "editing.edits.stack_both_ways": Entry(90, of_edit, {"setting": EDITED}),
    "flows._largest_gains": Entry(2, lambda: (floats(NETWORKS, 2**NODES),), {"width": 2**20, "rows": 2**30}),
    "flows.null95_of_flows": Entry(0, lambda: (floats(21, NETWORKS, NODES),)),
    "inference.honest.honest_layers": Entry(
        40, lambda: (LAYERS, Message(integers(SAMPLES)), integers(2, SAMPLES // 2)), {"prepare": as_they_are}
    ),
    "inference.honest._ends": Entry(0, lambda: (floats(NETWORKS, NODES),) * 4 + (floats(),)),
    "inference.searched._all_valued": Entry(
        40,
        lambda: (
            floats(NETWORKS, SAMPLES // 2, NODES),
            jax.ShapeDtypeStruct((NETWORKS, NODES, NODES), bool),
            Message(integers(SAMPLES // 2)),
        ),
        {"groups": None, "slots": 4},
    ),
    "inference.permutations._compiled_flows": Entry(
        30, lambda: (floats(NETWORKS, SAMPLES, 6), of_message(21, 2)), {"layer_bits": layer_bits, "groups": None}
    ),
    "orders.random_bits": Entry(0, lambda: (keys(1000),), {"rows": SAMPLES}),
    "interventions._multiplied": Entry(
        0, lambda: (floats(NODES, NODES), jax.ShapeDtypeStruct((NODES, NODES), bool), floats())
    ),
    "interventions.edge_ranks": Entry(
        5, tuple, {"method": "path", "scores": Padded(*[floats(DEPTH, NODES, NODES)] * 2), "inputs": NODES, "most": 6}
    ),
    "orders.permuted_within": Entry(0, lambda: (keys(), integers(SAMPLES))),
    "information.search._compiled_search": Entry(
        8, lambda: (LAYERS, Message(integers(NETWORKS, 2, SAMPLES)), keys()), {"beam": 4, "restarts": 2, "depth": 6}
    ),
    "information.search._compiled_search, of strata": Entry(
        10,
        lambda: (LAYERS, Message(integers(NETWORKS, 2, SAMPLES), integers(SAMPLES), 2, 2), keys()),
        {"beam": 4, "restarts": 2, "depth": 6},
    ),
    "information.search._compiled_search, of groups": Entry(
        40,
        lambda: (LAYERS, Message(integers(NETWORKS, 2, SAMPLES), integers(SAMPLES), 3, 2), keys()),
        {"beam": 4, "restarts": 2, "depth": 6, "groups": (*range(NODES - 4), 0, 0, 1, 2)},
    ),
    "information.gaussian.about_layers": Entry(30, lambda: (of_message(1, 2), floats(1, SAMPLES, NODES))),
    "information.gaussian._all_layers": Entry(70, lambda: (LAYERS, of_messages()), {"layer_bits": layer_bits}),
    "information.copula._within_strata": Entry(
        9, lambda: (floats(NETWORKS, SAMPLES, NODES), integers(SAMPLES)), {"strata": 3}
    ),
    "information.exact._all_flows": Entry(
        30, lambda: (Message(integers(1, 2, SAMPLES)), floats(NETWORKS, 1, SAMPLES, NODES))
    ),
    "information.exact.stack_flows": Entry(30, lambda: (LAYERS, of_message(2, 3))),
    "information.exact.stack_flows, of many": Entry(
        40, lambda: (floats(NETWORKS, SAMPLES, 20), Message(integers(MANY, SAMPLES), integers(SAMPLES), 2, 2))
    ),
    "information.quadratic.all_held_out": Entry(
        6, of_quadratic, {"classes": (2,), "bound": "fano", "every_subset": True, "by_row": True}
    ),
    "information.linear.search_layers": Entry(4, partial(of_svm, 1, NODES)),
    "information.nystrom.search_layers": Entry(13, partial(of_svm, 2, 6)),
    "information.probe_fits.all_lost": Entry(
        20,
        lambda: (floats(NETWORKS, SAMPLES, 6), of_probe(), keys(), integers()),
        {"head": Head(2), "every_subset": True},
    ),
    "information.probe_climbing.taught": Entry(
        20, lambda: (floats(SAMPLES, 6), of_probe(), keys(), integers()), {"head": Head(2)}
    ),
    "information.probe_climbing.best_sets": Entry(12, of_wide_probe, {"depth": 4, "head": Head(2)}),
    "information.probe_variants.variants_lost": Entry(20, of_variants, {"head": Head(2)}),
    "information.ranks._all_columns": Entry(2, lambda: (LAYERS, shapes(ranking(np.ones((1, SAMPLES), bool))))),
}


def lowered(name: str, *platforms: str) -> str:
    """The program of an entry for all of these platforms, or for this machine's if none are named, as text."""
    module, function = f"jaxflow.{name.partition(',')[0]}".rsplit(".", 1)  # what follows tells its arguments
    _, arguments, options = ENTRIES[name]
    compiled = getattr(importlib.import_module(module), function)
    compiled = compiled if hasattr(compiled, "lower") else jax.jit(compiled)
    if not platforms:  # what is only for here may hold what no export can keep, such as a layout
        return compiled.lower(*arguments(), **options).as_text()
    return export.export(compiled, platforms=platforms)(*arguments(), **options).mlir_module()


@cache
def for_accelerators(name: str) -> str:
    """The program of an entry for GPUs and TPUs; what differs between the two stands in it twice."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jax, "default_backend", lambda: "gpu")  # for ``batching``, which asks
        return lowered(name, "cuda", "tpu")


LONG = (
    "editing.edits.stack_both_ways",
    "information.search._compiled_search, of strata",
    "information.search._compiled_search, of groups",
    "information.probe_fits.all_lost",
    "information.probe_variants.variants_lost",
    "information.probe_climbing.taught",
    "information.probe_climbing.best_sets",
)
CASES = [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in ENTRIES]


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_function_lowers_for_accelerators(name):
    text = for_accelerators(name)
    assert "callback" not in text
    assert not re.search(r"[<x]f64", text)
    assert not re.search(r"sort.*tensor<[\dx]*u?i64>", text)  # no TPU has integers of 64 bits
    assert text.count("stablehlo.while") <= ENTRIES[name][0]


@pytest.mark.parametrize("name", CASES)
def test_no_kernel_on_a_cpu_takes_a_batch_of_matrices(name):
    """It would wait for XLA's threads, all of which may wait likewise: two programs side by side then never end.

    What factors no matrix on accelerators factors none on a CPU either, and is not lowered again.
    """
    factors = re.search("cholesky|triangular_solve|custom_call", for_accelerators(name))
    calls = re.findall("custom_call @lapack_.*", lowered(name)) if factors else []
    assert all(re.search(r": \(tensor<\d+x\d+xf32>", call) for call in calls)
    factoring = ("linear", "nystrom", "quadratic", "search")
    assert bool(calls) == name.startswith(tuple(f"information.{room}" for room in factoring))


def test_every_compiled_function_of_the_package_is_among_them():
    """Whoever compiles another one says how it is to be lowered."""
    compiled = set()
    for module in pkgutil.walk_packages(jaxflow.__path__, "jaxflow."):
        for name, value in vars(importlib.import_module(module.name)).items():
            jitted = hasattr(value, "lower") and hasattr(value, "_cache_size") and not isinstance(value, type)
            if jitted and value.__module__ == module.name:
                compiled.add(f"{module.name.removeprefix('jaxflow.')}.{name}")
    assert compiled
    assert compiled <= set(ENTRIES)
