"""The paper's counterexamples (§2.3): flow without effect, and effect without flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import Flows, edge_flows, node_flows, prune, rank, select
from jaxflow.analysis import measure_outputs
from jaxflow.information import gaussian
from jaxflow.networks import MLP

N = 20_000


def test_flow_without_effect(rng):
    """A node full of Z whose outgoing weights are 0: the first to be pruned, and pruning it changes nothing."""
    z = rng.integers(0, 2, N)
    y = rng.integers(0, 2, N)
    x = jnp.asarray(np.column_stack([z, y]) + 0.1 * rng.normal(size=(N, 2)), jnp.float32)
    params = {
        "layer_0": {"kernel": jnp.eye(2), "bias": jnp.zeros(2)},
        "layer_1": {"kernel": jnp.array([[0.0, 0.0], [-1.0, 1.0]]), "bias": jnp.zeros(2)},
    }
    network = MLP((2, 2))
    hidden = network.activations(params, x)[1]
    layers = dict(enumerate((x, hidden)))
    flows = {
        name: {layer: node_flows(gaussian(message, a))[0] for layer, a in layers.items()}
        for name, message in (("y", y), ("z", z))
    }
    assert float(flows["z"][1][0]) > 0.9
    assert float(edge_flows(flows["z"][1], network.weights(params)[1])[0].max()) == 0
    chosen = select(network, params, rank(network, params, Flows(flows, samples=N)), 2)
    assert bool(chosen["layer_1"]["kernel"][0].all())
    only_hidden = {**chosen, "layer_0": jax.tree.map(jnp.zeros_like, chosen["layer_0"])}
    before, after = (network.activations(p, x)[-1] for p in (params, prune(params, only_hidden, 0.0)))
    np.testing.assert_array_equal(before, after)


def test_effect_without_flow(rng):
    """A gate W that knows nothing of M, beside M in a ReLU with equal weights: without W the output knows M."""
    m = rng.integers(0, 2, N)
    gate = np.where(rng.random(N) < 0.5, 0.0, -1.5)
    x = jnp.asarray(np.column_stack([m, gate]), jnp.float32)
    params = {
        "layer_0": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)},
        "layer_1": {"kernel": jnp.array([[-1.0, 1.0]]), "bias": jnp.zeros(2)},
    }
    network = MLP((1, 2))
    bits = gaussian(m, x)
    assert float(bits[0b10]) < 0.001  # W alone
    selection = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, bool), params)
    selection["layer_0"]["kernel"] = jnp.array([[False], [True]])
    both = params, prune(params, selection, 0.0)
    gated, open_ = (float(measure_outputs(network, p, x, {"y": m, "z": m})["bias"]) for p in both)
    assert gated < 90
    assert open_ == pytest.approx(100)


def test_gate_has_no_flow_at_all(rng):
    """F_M(W) = 0 in the exact sense needs independence given M too: I(M; W) = I(M; W | M) = 0."""
    exact = np.array([0.0, 1.0, 0.0, 1.0])  # ∅, M, W, MW, in bits, by hand
    flow, _ = node_flows(jnp.asarray(exact, jnp.float32))
    np.testing.assert_array_equal(flow, [1, 0])
    m = rng.integers(0, 2, N)
    gate = np.where(rng.random(N) < 0.5, 0.0, -1.5)
    estimated, _ = node_flows(gaussian(m, np.column_stack([m, gate])))
    assert float(estimated[1]) < 0.001
