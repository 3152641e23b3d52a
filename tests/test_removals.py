"""Every edge alone removed: the same as pruning it from the whole network, at any depth; deep runs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from splits import half as split_of

from jaxflow import Dataset, Split, networks, pipeline, sweeps
from jaxflow.information.gaussian import estimate, layer_bits
from jaxflow.networks import MLP, REPEATED, initial_params, kernels
from jaxflow.outputs import Outputs
from jaxflow.running.config import Config, strategy_grid
from jaxflow.sweeps import Interventions, measure_interventions, measure_removals
from jaxflow.tables import edge_list
from jaxflow.training import Training

NETWORKS, SAMPLES, INPUTS = 3, 300, 4
DEEP = MLP((5,) * 6 + (2,), linear=(3,))
UNEVEN = MLP((2, 3, 2))  # narrower than its inputs
ALONE = MLP((2,))
RUN = MLP((5,) * 17 + (2,))  # sixteen equal layers, one run
TOGETHER = 7  # edges in one call, which does not divide their number


def case(network):
    """Networks whose signals neither die nor explode on their way, their inputs, y and z."""
    rng = np.random.default_rng(1)
    y, z = messages = rng.integers(0, 2, (2, SAMPLES))
    x = jnp.asarray(rng.normal(size=(NETWORKS, SAMPLES, INPUTS)) + np.column_stack([y, -y, y + z, z]), jnp.float32)
    keys = jax.random.split(jax.random.key(0), NETWORKS)
    params = jax.jit(jax.vmap(partial(initial_params, network=network, x=x[0])))(keys)
    scaled = jax.tree.map(lambda w: w * np.float32(2.2 if w.ndim == 3 else 1), jax.device_get(params))
    return jax.tree.map(jnp.asarray, scaled), x, jnp.asarray(messages)


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
    [pytest.param(DEEP, marks=pytest.mark.slow), UNEVEN, ALONE, pytest.param(RUN, marks=pytest.mark.slow)],
    ids=["deep", "uneven", "alone", "run"],
)
def test_removals_are_interventions_with_factor_0(network):
    params, x, messages = case(network)
    edges = edge_list(dict(enumerate(kernels(params))))
    edges = edges[:: len(edges) // 32 + 1]  # of all layers
    removed, fits = measure_removals(params, x, edges, messages, network, estimate, width=TOGETHER)
    width = max(max(kernel.shape[1:]) for kernel in kernels(params))
    ranks = np.ones((NETWORKS, len(edges), len(kernels(params)), width, width), int)
    for row, edge in enumerate(edges):
        ranks[(slice(None), row, *edge)] = 0
    unpruned = Outputs(*jnp.zeros((len(Outputs._fields), NETWORKS)))
    pruned, expected = measure_interventions(
        params, x, jnp.asarray(ranks), [1] * len(edges), [0.0], unpruned, messages, network, estimate
    )
    owns = [jax.tree.map(np.asarray, one_of(params, number)) for number in range(NETWORKS)]
    allowed = np.array([
        [rounding(network, without(own, edge), np.asarray(inputs), np.asarray(messages)) for edge in edges]
        for own, inputs in zip(owns, x, strict=True)
    ])  # fmt: skip
    assert np.median(allowed[..., 0]) < 0.05
    assert np.median(allowed[..., 1]) == 0
    for field, ours, theirs in zip(Outputs._fields, removed, pruned, strict=True):
        assert np.ptp(theirs) > 1
        atol = allowed[..., 0 if field in ("accuracy", "bias") else 1] + 1e-4
        assert (abs(ours - theirs[:, :, 0]) <= atol).all(), field
    np.testing.assert_array_equal(fits.total, expected.total)
    for ways in ({"layer_bits": layer_bits}, {"layer_bits": layer_bits, "ranks": jnp.asarray(ranks)}):
        again, _ = measure_removals(params, x, edges, messages, network, estimate, width=7, **ways)
        for ours, theirs in zip(again, removed, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=3e-3)


def test_removals_against_numpy():
    """One edge of every layer: the pruned network's accuracy and bias in double precision."""
    params, x, messages = case(DEEP)
    rng = np.random.default_rng(2)
    edges = np.array([(layer, *rng.integers(w.shape[1:])) for layer, w in enumerate(kernels(params))])
    removed, _ = measure_removals(params, x, edges, messages, DEEP, estimate, width=TOGETHER)
    own = jax.tree.map(np.asarray, one_of(params, 1))
    for row, edge in enumerate(edges):
        pruned = without(own, edge)
        logits = oracles.forward(pruned, np.asarray(x[1]), linear=DEEP.linear)[-1]
        atol = rounding(DEEP, pruned, np.asarray(x[1]), np.asarray(messages))[0] + 1e-4
        for measured, message in zip(removed[:2], np.asarray(messages), strict=True):
            bits = oracles.gaussian_bits(message, logits, [3])[0]
            assert measured[1, row] == pytest.approx(100 * oracles.accuracy_of(bits, message.mean()), abs=atol)


def test_every_layer_of_a_deep_network_shares_one_trace():
    """What is compiled multiplies as many matrices for 40 equal layers as for 20."""

    def products(depth: int) -> list[int]:
        network = MLP((5,) * depth + (2,))
        shapes = jax.eval_shape(lambda: case(network))
        params, x, messages = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
        edges = edge_list(dict(enumerate(kernels(params))))
        how = {"network": network, "layer_bits": layer_bits}
        removed = sweeps._removed.lower((params, x), jnp.asarray(edges), messages, **how)
        ranks = jnp.zeros((NETWORKS, 2, depth + 1, 5, 5), int)
        rows = Interventions(jnp.arange(2), jnp.array([1, 2]), jnp.zeros(2), jnp.asarray(edges[:2]))
        pruned = sweeps._pruned.lower((params, x, ranks), rows, messages, **how)
        return [lowered.as_text().count("dot_general") for lowered in (removed, pruned)]

    expected = products(20)
    assert products(40) == expected
    assert min(expected) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "width", "repeated"), [(6, 3, 4), pytest.param(20, 16, REPEATED, marks=pytest.mark.slow)]
)
def test_a_deep_network_runs_through_everything(monkeypatch, tmp_path, depth, width, repeated):
    """All strategies; flows, effects and figures for every layer; of a run of equal ones too."""
    monkeypatch.setattr(networks, "REPEATED", repeated)
    samples = 10 * width + 40
    rng = np.random.default_rng(0)

    def half() -> Split:
        y, z = rng.integers(0, 2, (2, samples))
        return split_of(rng.normal(size=(samples, 3)) + np.column_stack([y, z, y + z]), y, z)

    config = Config(
        "deep", hidden=(width,) * depth, training=Training(epochs=1), seeds=1, factors=(1.0, 0.0),
        strategies=strategy_grid(nodes=(1, width), edges=(1, 50), paths=(1, 10)),
    )  # fmt: skip
    results = pipeline.run(config, Dataset("deep", half(), half()), out=tmp_path / "out")
    flows, effects = results.table("edge_flows"), results.table("dependence")
    assert len(flows) == len(effects) == 2 * (3 * width + (depth - 1) * width**2 + width * 2)
    assert set(effects["layer"]) == set(range(depth + 1))
    assert results.table("node_flows").groupby("layer")["flow"].max().gt(0).all()
    assert effects["effect"].ne(0).any()
    for table in ("edge_flows", "dependence", "tradeoff"):
        assert not results.table(table).isna().any(axis=None)
    assert {path.stem for path in (tmp_path / "out/figures").iterdir()} >= {"dependence", "tradeoff"}
