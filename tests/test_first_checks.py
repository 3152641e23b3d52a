"""What the public functions of one network check first: rows, labels and finiteness; and a network of one logit."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxflow import (
    Dataset,
    InputError,
    Split,
    Training,
    as_message,
    gaussian,
    measure_outputs,
    mlp,
    network,
    network_flows,
    noise_floor,
    rank,
    select,
    significance,
    train_many,
)

RNG = np.random.default_rng(3)
X = RNG.normal(size=(200, 2)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=200) > 0).astype(int)
Z = (X[:, 1] > 0).astype(int)
BROKEN = np.where(np.arange(200)[:, None] == 3, np.nan, X)
NETWORK = mlp(hidden=(2,))
ONCE = Training(epochs=1)
IDENTITY = network(lambda params, x: (x, x @ params), lambda params: [params])


def trained(x, y, count=2):
    return train_many(jax.random.key(0), count, NETWORK, x, y, ONCE)


def measured(x, y, z=Z):
    return measure_outputs(IDENTITY, jnp.eye(2), x, {"y": y, "z": z})


def flows(x, y, params=jnp.eye(2)):  # noqa: B008
    return network_flows(IDENTITY, params, x, {"y": y})


@pytest.mark.parametrize(
    ("call", "x", "y", "says"),
    [
        (trained, X, Y[:-1], r"each of the 200 rows of x: \[200\], not \[199\]"),
        (trained, X, Y + 1, "labels up to 2, which need 3 outputs; the network has 2"),
        (trained, X, Y / 2, "classes 0, 1, …, not numbers"),
        (trained, BROKEN, Y, "x holds NaN"),
        (flows, X, Y[:-1], r"message y must hold one value .* \[200\], not \[199\]"),
        (flows, X, Y[:, None], r"message y must hold one value .* \[200\], not \[200, 1\]"),
        (flows, BROKEN, Y, "x holds NaN"),
        (lambda x, y: flows(x, y, jnp.eye(2) * jnp.nan), X, Y, "activations of layer 1 hold NaN"),
        (measured, X, Y[:-1], "message y must hold"),
        (lambda x, y: measured(x, y, as_message(Z[:-1])), X, Y, "message z must hold"),
        (measured, BROKEN, Y, "x holds NaN"),
    ],
)
def test_refused_in_one_line(call, x, y, says):
    with pytest.raises(InputError, match=says) as error:
        call(x, y)
    assert "\n" not in str(error.value)


def test_labels_of_any_type_and_numbers_of_networks_train_the_same():
    expected = trained(X, Y)
    for y, count in ((Y.astype(float), np.int64(2)), (as_message(Y), jnp.arange(2)), (Y > 0, np.array([0, 1]))):
        np.testing.assert_array_equal(trained(X, y, count).loss, expected.loss)
    inside = jax.jit(lambda y: trained(X, y).loss)(jnp.asarray(Y))
    np.testing.assert_allclose(inside, expected.loss, atol=1e-6)


def test_one_logit_is_two_of_which_the_first_is_zero():
    """As of scikit-learn's classifier: it decides for class 1 where it is positive."""
    messages = {"y": Y, "z": Z}
    one = measure_outputs(IDENTITY, jnp.array([[1.0], [0.5]]), X, messages)
    two = measure_outputs(IDENTITY, jnp.array([[0.0, 1.0], [0.0, 0.5]]), X, messages)
    for name, value in two.items():
        assert one[name] == pytest.approx(float(value), abs=1e-3)
    decided = X @ np.array([1.0, 0.5]) > 0
    assert one["argmax_accuracy"] == pytest.approx(100 * np.mean(decided == Y), abs=1e-3)
    assert one["parity_gap"] == pytest.approx(100 * (decided[Z == 1].mean() - decided[Z == 0].mean()), abs=1e-3)


LINEAR = network(lambda params, x: (x, x @ params["w"]), lambda params: [params["w"]])


@pytest.mark.parametrize("own", [NETWORK, LINEAR], ids=["mlp", "functions"])
def test_parameters_of_several_networks_are_sent_to_map_networks(monkeypatch, own):
    """Also where a foreign network's functions would take them for something else."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as where jaxflow is used
    one = {"w": jnp.eye(2)} if own is LINEAR else own.init(jax.random.key(0), X)
    messages, several = {"y": Y, "z": Z}, jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), one)
    flow = network_flows(own, one, X, messages)
    ranks = rank(own, one, flow)
    flows_of_three = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), flow)
    for call in (
        lambda: network_flows(own, several, X, messages),
        lambda: measure_outputs(own, several, X, messages),
        lambda: rank(own, several, flows_of_three),
        lambda: select(own, several, jnp.stack([ranks] * 3), 1),
    ):
        with pytest.raises(InputError, match=r"parameters of several networks: .* map_networks"):
            call()


KEYED = {
    "significance": lambda key: significance(key, Y, X, permutations=3).p,
    "noise_floor": lambda key: noise_floor(Y, X, key=key, permutations=3),
    "train_many": lambda key: train_many(key, 2, NETWORK, X, Y, ONCE).loss,
    "init": lambda key: NETWORK.init(key, X)["layer_0"]["kernel"],
    "own init": lambda key: network(LINEAR.activations, LINEAR.weights, jax.random.normal).init(key, (2, 2)),
}


@pytest.mark.parametrize("name", KEYED)
def test_keys_old_and_new_are_the_same_and_a_number_is_none(monkeypatch, name):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    np.testing.assert_array_equal(KEYED[name](jax.random.PRNGKey(1)), KEYED[name](jax.random.key(1)))
    for wrong in (0, jax.random.split(jax.random.key(0)), np.zeros(2)):
        with pytest.raises(InputError, match=r"key must be one random key such as jax\.random\.key\(0\), not "):
            KEYED[name](wrong)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: gaussian(2 * Y - 1, X), "classes 0, 1, … below"),
        (lambda: gaussian(np.array(["no", "yes"])[Y], X), "real numbers, not <U3"),
        (lambda: gaussian(np.array(["no", "yes"], object)[Y], X), "real numbers, not object"),
        (lambda: trained(X, 2.0 * Y - 1), "classes 0, 1, …, not numbers"),
        (lambda: Dataset("own", *2 * [Split(X, {"y": 2 * Y - 1, "z": Z})]), "not -1, 1"),
        (lambda: Dataset("own", *2 * [Split(X, {"y": 2.0 * Y - 1, "z": Z})]), "not floating numbers"),
        (lambda: Dataset("own", *2 * [Split(X, {"y": np.array(["a", "b"])[Y], "z": Z})]), "not <U1"),
    ],
)
def test_labels_of_another_kind_are_refused_with_the_way_to_number_them(call, says):
    with pytest.raises(InputError, match=says) as error:
        call()
    assert "np.unique(values, return_inverse=True)[1]" in str(error.value)


def test_layers_too_wide_to_list_are_sent_to_the_search():
    wide = np.zeros((200, 40), np.float32)
    for call in (lambda: gaussian(Y, wide), lambda: significance(jax.random.key(0), Y, wide)):
        with pytest.raises(InputError, match=r"40.* jaxflow\.search_flows"):
            call()
