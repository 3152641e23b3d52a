"""Every edge alone removed: the same as pruning it from the whole network, at any depth; deep runs."""

import dataclasses
from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from brief import no_honest_flows
from splits import half as split_of

from jaxflow import Dataset, Split, pipeline, sweeps
from jaxflow.information import ESTIMATORS
from jaxflow.messages import Message
from jaxflow.networks import MLP, perceptron
from jaxflow.networks.perceptron import REPEATED
from jaxflow.outputs import PAPER, measure_names
from jaxflow.running.config import Config, strategy_grid
from jaxflow.study import Study
from jaxflow.sweeps import (
    MOST_TOGETHER,
    Interventions,
    Stack,
    group_width,
    measure_interventions,
    measure_removals,
    measure_together,
)
from jaxflow.tables import edge_list
from jaxflow.training import Training

NETWORKS, SAMPLES, INPUTS = 3, 300, 4
DEEP = MLP((5,) * 6 + (2,), linear=(3,))
UNEVEN = MLP((2, 3, 2))  # narrower than its inputs
ALONE = MLP((2,))
RUN = MLP((5,) * 17 + (2,))  # sixteen equal layers, one run
TOGETHER = 7  # edges in one call, which does not divide their number


def study(network, spec=ESTIMATORS["gaussian"]):
    """One whose estimator stands on arrays unless it is the package's own."""
    return Study(network, PAPER, spec)


BY_ARRAYS = dataclasses.replace(ESTIMATORS["gaussian"], layer_bits=None)


def case(network):
    """Networks whose signals neither die nor explode on their way, what removals begin with, inputs, y and z."""
    rng = np.random.default_rng(1)
    y, z = messages = rng.integers(0, 2, (2, SAMPLES))
    x = jnp.asarray(rng.normal(size=(SAMPLES, INPUTS)) + np.column_stack([y, -y, y + z, z]), jnp.float32)
    keys = jax.random.split(jax.random.key(0), NETWORKS)
    params = jax.jit(jax.vmap(partial(network.init, x=x)))(keys)
    scaled = jax.tree.map(lambda w: w * np.float32(2.2 if w.ndim == 3 else 1), jax.device_get(params))
    params = jax.tree.map(jnp.asarray, scaled)
    start = jax.vmap(lambda own: network.start(own, x, 0))(params)
    about = {name: Message(jnp.asarray(own, jnp.int32)) for name, own in zip("yz", messages, strict=True)}
    return Stack(params, start, None, x, about), jnp.asarray(messages)


def weights_of(network, params):
    """Weights of the stacked networks by layer."""
    return dict(enumerate(jax.vmap(network.weights)(params)))


def one_of(tree, number):
    return jax.tree.map(lambda leaf: leaf[number], tree)


def without(params, edge):
    """Parameters of one network without one edge."""
    layer, source, target = edge
    kernel = params[f"layer_{layer}"]["kernel"].copy()
    kernel[source, target] = 0
    return {**params, f"layer_{layer}": {**params[f"layer_{layer}"], "kernel": kernel}}


def rounding(network, params, x, messages):
    """Percentage points by which float32 leaves information accuracies, and the decision's measures, undecided.

    The logits are off by δ of their deviation, as NumPy's float32 shows; what one adds to the other is off by κδ, κ
    their condition number. An accuracy a = 1 − H⁻¹(1 − I) changes by at most 0.6 for every unit of the correlation
    behind it, so that two computations are within 2 · 60κδ points. A decision is undecided where the logits are equal
    within a few δ.
    """
    exact, cut = (oracles.forward(params, x, network.linear, dtype)[-1] for dtype in (float, np.float32))
    deviation = exact.std(axis=0)
    delta = np.max(np.sqrt(np.mean((exact - cut) ** 2, axis=0)) / deviation)
    correlation = abs(np.corrcoef(exact.T)[0, 1])
    kappa = np.sqrt((1 + correlation) / (1 - correlation))
    close = np.sum(abs(exact[:, 1] - exact[:, 0]) < 8 * delta * deviation.max())
    return 120 * kappa * max(delta, np.finfo(np.float32).eps), 100 * close / np.bincount(
        messages[0] * 2 + messages[1]
    ).min()


@pytest.mark.parametrize(
    "network",
    [ALONE, *(pytest.param(network, marks=pytest.mark.slow) for network in (DEEP, UNEVEN, RUN))],
    ids=["alone", "deep", "uneven", "run"],
)
def test_removals_are_interventions_with_factor_0(network):
    stack, messages = case(network)
    weights = weights_of(network, stack.params)
    edges = edge_list(weights)
    edges = edges[:: len(edges) // 32 + 1]  # of all layers
    arrays = study(network, BY_ARRAYS)
    removed, fits = measure_removals(arrays, stack, edges, width=TOGETHER)
    width = max(max(own.shape[1:]) for own in weights.values())
    ranks = np.ones((NETWORKS, len(edges), len(weights), width, width), int)
    for row, edge in enumerate(edges):
        ranks[(slice(None), row, *edge)] = 0
    ranked = stack._replace(ranks=jnp.asarray(ranks))
    unpruned = {name: jnp.zeros(NETWORKS) for name in measure_names(PAPER)}
    pruned, expected = measure_interventions(arrays, ranked, [1] * len(edges), [0.0], unpruned)
    owns = [jax.tree.map(np.asarray, one_of(stack.params, number)) for number in range(NETWORKS)]
    allowed = np.array([
        [rounding(network, without(own, edge), np.asarray(stack.x), np.asarray(messages)) for edge in edges]
        for own in owns
    ])  # fmt: skip
    assert np.median(allowed[..., 0]) < 0.05
    assert np.median(allowed[..., 1]) == 0
    for measure, ours in removed.items():
        assert np.ptp(pruned[measure]) > 1
        atol = allowed[..., 0 if measure in ("accuracy", "bias") else 1] + 1e-4
        assert (abs(ours - pruned[measure][:, :, 0]) <= atol).all(), measure
    jax.tree.map(np.testing.assert_array_equal, fits, expected)
    for own in (stack, ranked):
        again, _ = measure_removals(study(network), own, edges, width=TOGETHER)
        for measure, theirs in removed.items():
            np.testing.assert_allclose(again[measure], theirs, atol=3e-3)


def gaussian_variants(layers, messages, *, advance):
    """The Gaussian estimate of all columns of every variant."""
    networks, variants, _, columns = layers.shape
    flat = jnp.asarray(layers.reshape(-1, *layers.shape[2:]))
    found = BY_ARRAYS.estimate(flat, messages, np.ones((1, columns), bool), advance=advance)
    return {
        name: own._replace(
            bits=own.bits.reshape(-1, networks, variants), unconverged=np.zeros((networks, variants), int)
        )
        for name, own in found.items()
    }


def test_an_estimator_may_take_the_output_under_all_interventions_at_once():
    """The same as one by one, edges and strategies in one call."""
    stack, _ = case(ALONE)
    weights = weights_of(ALONE, stack.params)
    edges = edge_list(weights)
    stack = stack._replace(ranks=jnp.asarray(np.arange(16).reshape(1, 1, 1, 4, 4).repeat(NETWORKS, axis=0)))
    unpruned = {name: jnp.full(NETWORKS, 7.0) for name in measure_names(PAPER)}
    sweep, heard = (stack, [3], [1.0, 0.5, 0.0], unpruned), ([], [])
    single = study(ALONE, BY_ARRAYS)
    swept, _ = measure_interventions(single, *sweep, width=TOGETHER, advance=heard[0].append)
    removed, _ = measure_removals(single, stack, edges, width=TOGETHER, advance=heard[0].append)
    together = study(ALONE, dataclasses.replace(BY_ARRAYS, variants=gaussian_variants))
    *both, _ = measure_together(together, *sweep, edges, width=TOGETHER, advance=heard[1].append)
    jax.tree.map(partial(np.testing.assert_allclose, atol=3e-3), [swept, removed], both)
    assert sum(heard[0]) == sum(heard[1])
    assert [group_width(together, *counts) for counts in [(135,), (0,), (300,), (1000,)]] == [135, 1, 150, 250]
    assert group_width(single, 120, 15) <= MOST_TOGETHER


def test_removals_against_numpy():
    """One edge of every layer: the pruned network's accuracy and bias in double precision."""
    stack, messages = case(DEEP)
    rng = np.random.default_rng(2)
    edges = [(layer, *rng.integers(w.shape[1:])) for layer, w in weights_of(DEEP, stack.params).items()]
    removed, _ = measure_removals(study(DEEP), stack, np.array(edges), width=TOGETHER)
    own = jax.tree.map(np.asarray, one_of(stack.params, 1))
    for row, edge in enumerate(edges):
        pruned = without(own, edge)
        logits = oracles.forward(pruned, np.asarray(stack.x), linear=DEEP.linear)[-1]
        atol = rounding(DEEP, pruned, np.asarray(stack.x), np.asarray(messages))[0] + 1e-4
        for measure, message in zip(("accuracy", "bias"), np.asarray(messages), strict=True):
            bits = oracles.gaussian_bits(message, logits, [3])[0]
            expected = 100 * oracles.accuracy_of(bits, message.mean())
            assert removed[measure][1, row] == pytest.approx(expected, abs=atol)


@pytest.mark.slow
def test_every_layer_of_a_deep_network_shares_one_trace(monkeypatch):
    """What is compiled multiplies as many matrices for 12 equal layers as for 6, where four are a run."""
    monkeypatch.setattr(perceptron, "REPEATED", 4)

    def products(depth: int) -> list[int]:
        network = MLP((5,) * depth + (2,))
        shapes, _ = jax.eval_shape(lambda: case(network))
        stack = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
        edges = jnp.asarray(edge_list(weights_of(network, stack.params)))
        removed = sweeps._removed.lower(stack, edges, study=study(network))
        ranked = stack._replace(ranks=jnp.zeros((NETWORKS, 2, depth + 1, 5, 5), int))
        rows = Interventions(jnp.arange(2), jnp.array([1, 2]), jnp.zeros(2), edges[:2])
        pruned = sweeps._pruned.lower(ranked, rows, study=study(network))
        return [lowered.as_text().count("dot_general") for lowered in (removed, pruned)]

    expected = products(7)
    assert products(13) == expected
    assert min(expected) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "width", "repeated"), [(6, 3, 4), pytest.param(17, 11, REPEATED, marks=pytest.mark.extended)]
)
def test_a_deep_network_runs_through_everything(monkeypatch, tmp_path, depth, width, repeated):
    """All strategies; flows, effects and figures for every layer; of a run of sixteen, too wide to be listed, too."""
    monkeypatch.setattr(perceptron, "REPEATED", repeated)
    samples = 10 * width + 40
    rng = np.random.default_rng(0)

    def half() -> Split:
        y, z = rng.integers(0, 2, (2, samples))
        return split_of(rng.normal(size=(samples, 3)) + np.column_stack([y, z, y + z]), y, z)

    config = Config(
        "deep", hidden=(width,) * depth, training=Training(epochs=1), seeds=1, factors=(1.0, 0.0),
        strategies=strategy_grid(nodes=(1, width), edges=(1, 50), paths=(1, 10)),
    )  # fmt: skip
    with nullcontext() if width == 3 else no_honest_flows():
        results = pipeline.run(config, Dataset("deep", half(), half()), out=tmp_path / "out")
    flows, effects = results.table("edge_flows"), results.table("dependence")
    assert len(flows) == len(effects) == 2 * (3 * width + (depth - 1) * width**2 + width * 2)
    assert set(effects["layer"]) == set(range(depth + 1))
    assert results.table("node_flows").groupby("layer")["flow"].max().gt(0).all()
    assert effects["effect"].ne(0).any()
    for table in ("edge_flows", "dependence", "tradeoff"):
        assert not results.table(table).isna().any(axis=None)
    assert {path.stem for path in (tmp_path / "out/figures").iterdir()} >= {"dependence", "tradeoff"}
