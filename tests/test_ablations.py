"""Ablations: what a pruned edge transmits in the place of its signal, against networks computed by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from given_logits import outputs_of_logits
from oracles import forward

from jaxflow import InputError, mlp, network
from jaxflow.ablations import ABLATIONS, donors
from jaxflow.gaps import logit_gap
from jaxflow.information import ESTIMATORS
from jaxflow.messages import as_message
from jaxflow.metrics import Rows
from jaxflow.metrics.contract import Shown
from jaxflow.metrics.gradients import gradient
from jaxflow.networks import Network
from jaxflow.outputs import PAPER
from jaxflow.study import Study
from jaxflow.sweeps import Stack, measure_interventions, measure_removals

RNG = np.random.default_rng(8)
N = 200
Y, Z = RNG.integers(0, 2, N), RNG.integers(0, 2, N)
X = jnp.asarray(RNG.normal(size=(N, 3)) + np.stack([Y, Z, Y * Z], 1), jnp.float32)
NET = mlp(hidden=(4, 3))
STACK = jax.vmap(lambda key: jax.tree.map(lambda leaf: 2.5 * leaf, NET.init(key, X)))(
    jax.random.split(jax.random.key(5), 2)
)
MESSAGES = {"y": as_message(Y), "z": as_message(Z)}
EDGES = np.array([[0, 1, 2], [1, 3, 0], [2, 0, 1]])
OTHERS = np.asarray(donors(jax.random.key(1), "resample", N))


def by_hand(params: Any, gone: dict[tuple[int, int, int], float], ablation: str) -> np.ndarray:
    """Logits in double precision where some edges (layer, source, target) have lost a share of their signal."""
    intact = forward(params, np.asarray(X))
    h = intact[0]
    for layer in range(3):
        kernel, bias = (np.asarray(params[f"layer_{layer}"][name], float) for name in ("kernel", "bias"))
        total = h @ kernel + bias
        for (own, source, target), share in gone.items():
            if own == layer:
                signal = intact[layer][:, source]
                instead = {"zero": 0, "mean": signal.mean(), "resample": signal[OTHERS]}[ablation]
                total[:, target] += share * kernel[source, target] * (instead - h[:, source])
        h = np.where((total > 0) | (layer == 2), total, 0.01 * total)
    return h


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_sweeps_and_removals_transmit_what_the_ablation_says(ablation):
    """Two nodes' edges at half their strength, and single edges removed, against the same by hand."""
    study = Study(NET, PAPER, ESTIMATORS["gaussian"], ablation=ablation)
    ranks = jnp.full((2, 1, 3, 4, 4), 9).at[:, :, 0, 1].set(0).at[:, :, 1, 2].set(1)
    others = jnp.asarray(OTHERS) if ablation == "resample" else None
    start = jax.vmap(lambda params: NET.start(params, X, 0))(STACK)
    stack = Stack(STACK, start, ranks, X, MESSAGES, others)
    nothing = {name: np.zeros(2) for name in outputs_of_logits(np.zeros((N, 2)), {"y": Y, "z": Z})}
    swept, _ = measure_interventions(study, stack, [2], [0.5], nothing)
    removed, _ = measure_removals(study, stack, EDGES)
    for number in range(2):
        params = jax.tree.map(lambda leaf, number=number: leaf[number], STACK)
        gone = {(0, 1, k): 0.5 for k in range(4)} | {(1, 2, k): 0.5 for k in range(3)}
        shown = [({name: own[number, 0, 0] for name, own in swept.items()}, gone)]
        shown += [
            ({name: own[number, e] for name, own in removed.items()}, {tuple(edge): 1.0})
            for e, edge in enumerate(EDGES)
        ]
        for ours, lost in shown:
            expected = outputs_of_logits(by_hand(params, lost, ablation), {"y": Y, "z": Z})
            for name in ("accuracy", "bias"):
                assert ours[name] == pytest.approx(float(expected[name]), abs=0.02)
            for name in ("argmax_accuracy", "parity_gap"):  # a row at the boundary may go either way
                assert ours[name] == pytest.approx(float(expected[name]), abs=1.1)


def test_the_mean_keeps_the_mean_of_a_nodes_input_and_a_donor_is_another_row():
    assert sorted(OTHERS) == list(range(N))
    assert donors(jax.random.key(0), "mean", N) is None
    params = jax.tree.map(lambda leaf: leaf[0], STACK)
    linear = mlp(hidden=(4, 3), linear=(1, 2))
    rows = Rows(linear, params, X, *MESSAGES.values(), ablation="mean")
    half = [jnp.full(w.shape, 0.5) for w in rows.weights]
    ones = [jnp.ones(w.shape) for w in rows.weights]
    cut, whole = (np.asarray(rows.logits(own)) for own in (half, ones))
    np.testing.assert_allclose(cut.mean(axis=0), whole.mean(axis=0), atol=1e-4)  # a linear network's mean is its mean's
    assert np.ptp(cut, axis=0).min() < 0.6 * np.ptp(whole, axis=0).min()


def test_the_gradient_under_an_ablation_is_that_of_replacing_the_signal():
    """Of a single layer of edges the gap is linear in every signal: w (h − h′) is the derivative, edge by edge."""
    net = mlp(hidden=())
    params = net.init(jax.random.key(3), X)
    for ablation in ABLATIONS:
        rows = Rows(net, params, X, *MESSAGES.values(), 0, ablation, jnp.asarray(OTHERS))
        found = gradient(Shown([], [], rows.weights, rows=rows)).edge[0]
        for source, target in np.ndindex(3, 2):

            def gap(share: Any, source: int = source, target: int = target, rows: Rows = rows) -> Any:
                return logit_gap(rows.logits([jnp.ones((3, 2)).at[source, target].set(share)]), rows.attribute)

            assert found[source, target] == pytest.approx(float(gap(1.0) - gap(0.9)) / 0.1, abs=2e-4)


def test_shifted_inputs_are_those_of_shifted_biases_in_every_row():
    """The perceptron's own way, from any layer on, is the contract's: one row after the other with its biases moved."""
    params = jax.tree.map(lambda leaf: leaf[0], STACK)
    for layer, rows in ((0, len(X)), (1, len(X)), (0, 1)):
        shifts = [jax.random.normal(jax.random.key(m), (rows, m)) for m in (4, 3, 2)[layer:]]
        found = NET.logits_shifted(params, X, NET.start(params, X, layer), layer, shifts)
        assert np.abs(found - NET.activations(params, X)[-1]).min(axis=0).max() > 1e-3
        np.testing.assert_allclose(found, Network.logits_shifted(NET, params, X, None, layer, shifts), atol=1e-5)


def test_ablations_need_biases_and_nodes_of_one_column():
    params = jax.tree.map(lambda leaf: leaf[0], STACK)
    shifts = [jnp.zeros((1, 4)), jnp.zeros((1, 3)), jnp.ones((1, 2))]
    bare = network(NET.activations, NET.weights)
    with pytest.raises(InputError, match="where its biases lie"):
        bare.logits_shifted(params, X, None, 0, shifts)
    grouped = network(NET.activations, NET.weights, groups=[None, [0, 0, 1, 1], None, None])
    with pytest.raises(InputError, match="several columns"):
        grouped.logits_shifted(params, X, None, 0, shifts)
