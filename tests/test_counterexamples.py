"""The paper's counterexamples (§2.3): flow without effect, and effect without flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import edge_flows, node_flows, prune
from jaxflow.information import gaussian
from jaxflow.interventions import edge_ranks, flow_scores, select
from jaxflow.networks import MLP, forward, kernels
from jaxflow.outputs import measure_outputs

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
    hidden = forward(network, params, x)[1]
    flows = [[node_flows(gaussian(m, a))[0] for a in (x, hidden)] for m in (z, y)]
    assert float(flows[0][1][0]) > 0.9
    assert float(edge_flows(flows[0][1], kernels(params)[1])[0].max()) == 0
    ranks = edge_ranks("node", flow_scores("node", flows[0], flows[1], kernels(params), N), 2, 2)
    chosen = select(params, ranks, 2)
    assert bool(chosen["layer_1"]["kernel"][0].all())
    only_hidden = {**chosen, "layer_0": jax.tree.map(jnp.zeros_like, chosen["layer_0"])}
    before, after = (forward(network, p, x)[-1] for p in (params, prune(params, only_hidden, 0.0)))
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
    logits = [forward(network, p, x)[-1] for p in (params, prune(params, selection, 0.0))]
    y = jnp.asarray(m, jnp.int32)
    gated, open_ = (float(measure_outputs(o, y, y, gaussian).bias) for o in logits)
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
