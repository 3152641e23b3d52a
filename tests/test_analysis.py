"""The three functions of one network: what they refuse, and pruning measured at once as step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import (
    InputError,
    copula,
    gaussian,
    map_networks,
    measure_outputs,
    measure_pruning,
    mlp,
    network,
    network_flows,
    prune,
    rank,
    select,
)
from jaxflow.messages import Message, as_message, conditioned
from jaxflow.tables import pruning_tables

RNG = np.random.default_rng(5)
X = RNG.normal(size=(300, 2)).astype(np.float32)
Y = (X[:, 0] + 0.5 * RNG.normal(size=300) > 0).astype(int)
Z = (X[:, 1] + 0.5 * RNG.normal(size=300) > 0).astype(int)
MESSAGES = {"y": Y, "z": Z}
STRATEGIES = [("bias/acc", "node", 1), ("random", "edge", 3)]
FACTORS = (1.0, 0.4, 0.0)
NETWORK = mlp(hidden=(3,))
KEY = jax.random.key(2)


@pytest.fixture(scope="module")
def params():
    return jax.jit(NETWORK.init)(jax.random.key(0), jnp.asarray(X))


def flows_of(params, messages, **how):
    """As one program: compiled piece by piece it takes ten times as long."""
    return jax.jit(lambda own: network_flows(NETWORK, own, X, messages, **how))(params)


@pytest.fixture(scope="module")
def flows(params):
    return flows_of(params, MESSAGES)


@pytest.fixture(scope="module")
def pruned(params, flows):
    run = jax.jit(lambda own, flows: measure_pruning(NETWORK, own, X, MESSAGES, flows, STRATEGIES, FACTORS, key=KEY))
    return run(params, flows)


def test_pruning_measured_at_once_is_rank_select_prune_and_measure(params, flows, pruned):
    measure = jax.jit(lambda own: measure_outputs(NETWORK, own, X, MESSAGES))
    for row, (metric, method, level) in enumerate(STRATEGIES):
        ranks = rank(NETWORK, params, flows, metric, method, key=KEY)
        selection = select(NETWORK, params, ranks, level)
        for column, factor in enumerate(FACTORS):
            expected = measure(prune(params, selection, factor))
            assert set(expected) == set(pruned)
            for name, value in expected.items():
                np.testing.assert_allclose(pruned[name][row, column], value, atol=2e-3)


def test_an_estimator_that_must_see_arrays_is_called_for_one_network_after_the_other(params, flows, pruned):
    def own(message, activations):
        assert isinstance(activations, jax.Array)
        return np.asarray(gaussian(message, activations))

    found = measure_pruning(NETWORK, params, X, MESSAGES, flows, STRATEGIES[:1], FACTORS[1:2], own)
    np.testing.assert_allclose(found["bias"], pruned["bias"][:1, 1:2], atol=2e-3)


def test_many_networks_become_tables(params, pruned):
    """Network k of many is network k alone; factor 1 is the networks as they are, wherever it stands."""
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    chosen, factors = STRATEGIES[:1], (0.0, 1.0)

    def one(own):
        return measure_pruning(NETWORK, own, X, MESSAGES, network_flows(NETWORK, own, X, MESSAGES), chosen, factors)

    outputs = map_networks(one, stacked)
    tradeoff, networks = pruning_tables(chosen, factors, outputs)
    assert tradeoff.columns[:5].tolist() == ["network", "metric", "method", "level", "factor"]
    assert len(tradeoff) == 4
    unpruned = tradeoff.query("factor == 1")
    np.testing.assert_array_equal(networks["output_bias"], unpruned["bias"])
    np.testing.assert_allclose(tradeoff.query("network == 0")["accuracy"], pruned["accuracy"][0, ::-2], atol=2e-3)
    with pytest.raises(InputError, match="one of the factors be 1"):
        pruning_tables(chosen, (0.0, 0.5), outputs)


@pytest.mark.parametrize(
    ("strategies", "factors", "says"),
    [
        ([], (1.0,), "at least one strategy"),
        (STRATEGIES[:1], (), "one factor"),
        ([("bias/acc", "node", 9)], (0.0,), "the network has 5"),
        ([("bias/acc", "nodes", 1)], (0.0,), "unknown strategy"),
        ([("random", "node", 1)], (0.0,), "key"),
    ],
)
def test_pruning_refuses(params, flows, strategies, factors, says):
    with pytest.raises(InputError, match=says) as error:
        measure_pruning(NETWORK, params, X, MESSAGES, flows, strategies, factors)
    assert "\n" not in str(error.value)


def test_flows_from_a_later_layer_on_are_those_of_all_layers(params, flows):
    later = flows_of(params, MESSAGES, first_layer=1)
    for name in MESSAGES:
        assert list(later.node[name]) == list(later.witness[name]) == [1, 2]
        assert list(later.edge[name]) == [1]
        for layer in (1, 2):
            np.testing.assert_array_equal(later.node[name][layer], flows.node[name][layer])
    ranks = rank(NETWORK, params, later)
    assert ranks.shape == (1, 3, 3)
    with pytest.raises(InputError, match="first_layer"):
        network_flows(NETWORK, params, X, MESSAGES, first_layer=3)


def test_copula_flows_of_a_wide_layer_are_the_copulas():
    """Beyond 16 nodes, where the bits are not kept: no monotone map changes them, as it does the Gaussian ones."""
    network = mlp(hidden=())
    x = np.random.default_rng(0).normal(size=(120, 17)).astype(np.float32)
    params = jax.jit(network.init)(jax.random.key(0), x)
    message = {"y": (x[:, 0] + x[:, 1] > 0).astype(int)}

    def flow(x, estimator):
        return network_flows(network, params, x, message, estimator).node["y"][0]

    np.testing.assert_allclose(flow(np.exp(x), "copula"), flow(x, "copula"), atol=1e-5)


def test_flows_refuse_a_network_whose_parts_do_not_go_together():
    own = network(lambda p, x: (x, x @ p.T), lambda p: [p])
    with pytest.raises(InputError, match=r"from layer 0 must be \[2, 4\], .*not \[4, 2\]"):
        network_flows(own, jnp.ones((4, 2)), X, MESSAGES)


def test_a_message_in_its_normal_form_is_conditioned_as_the_array_is(params):
    """And one that is conditioned already is not conditioned twice, neither is its condition dropped."""
    expected = flows_of(params, {"z": Z}, given=Y)
    for message, given in ((as_message(Z), Y), (as_message(Z, Y), None)):
        found = flows_of(params, {"z": message}, given=given)
        for layer in range(3):
            np.testing.assert_array_equal(found.node["z"][layer], expected.node["z"][layer])
    for call in (
        lambda: network_flows(NETWORK, params, X, {"z": as_message(Z, Y)}, given=Y),
        lambda: measure_outputs(NETWORK, params, X, {"y": Y, "z": as_message(Z, Y)}, given=Y),
        lambda: copula(as_message(Z, Y), X, given=Y),
    ):
        with pytest.raises(InputError, match="already conditioned: leave out given") as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", [Y, X[:, 0]])
def test_what_is_given_goes_into_a_message_that_is_not_conditioned(given):
    expected = gaussian(Z, X, given=given)
    np.testing.assert_array_equal(gaussian(as_message(Z), X, given=given), expected)
    assert conditioned(Message(Z), given).strata == (0 if given.dtype == np.float32 else 2)
    with pytest.raises(InputError, match="one value for every sample"):
        conditioned(Message(Z), given[:-1])
