"""Under a transformation a message keeps its classes, or is refused: never are three taken for two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import (
    InputError,
    as_message,
    copula,
    gaussian,
    linear_svm,
    map_networks,
    measure_outputs,
    mlp,
    network_flows,
    noise_floor,
    quadratic,
    search_flows,
)

RNG = np.random.default_rng(3)
THREE = RNG.integers(0, 3, 240)
STRATA = RNG.integers(0, 3, 240)
X = (RNG.normal(size=(240, 2)) + np.stack([THREE, STRATA * (THREE == 1)], axis=1)).astype(np.float32)
NETWORK = mlp(hidden=(2,), outputs=3)
CLASSES = {"hired": THREE, "age_group": STRATA}


@pytest.fixture(scope="module")
def params():
    return NETWORK.init(jax.random.key(0), jnp.asarray(X))


def counting(message, activations):
    """A user's estimator that leaves JAX."""
    return np.full(2 ** activations.shape[1], np.mean(np.asarray(activations)[:, 0]) + np.mean(message))


def by_counting(x):
    return network_flows(NETWORK, NETWORK.init(jax.random.key(0), x), x, CLASSES, counting)


def forms(messages):
    return {name: as_message(values) for name, values in messages.items()}


def outputs(params, messages):
    return measure_outputs(NETWORK, params, X, messages, label="hired", given=messages["hired"])


@pytest.mark.slow
def test_three_classes_are_the_same_under_jit_and_outside_of_it(params):
    """As arguments in normal form, and closed over as plain arrays; a label that no name tells, conditioned on."""
    flows_of = jax.jit(network_flows, static_argnums=0)
    found, expected = flows_of(NETWORK, params, X, forms(CLASSES)), network_flows(NETWORK, params, X, CLASSES)
    for name in CLASSES:
        for layer in range(3):
            np.testing.assert_allclose(found.node[name][layer], expected.node[name][layer], atol=1e-5)
    alone = outputs(params, CLASSES)
    for together in (jax.jit(outputs)(params, forms(CLASSES)), jax.jit(lambda own: outputs(own, CLASSES))(params)):
        assert set(together) == set(alone)
        for name, value in alone.items():
            np.testing.assert_allclose(together[name], value, atol=1e-3)
    assert 0 < alone["accuracy"] < 100


def test_what_is_given_keeps_its_strata():
    found = jax.jit(lambda m, x, g: gaussian(m, x, given=g))(as_message(THREE), X, as_message(STRATA))
    np.testing.assert_allclose(found, gaussian(THREE, X, given=STRATA), atol=1e-6)


def test_a_noise_floor_keeps_the_classes_of_what_it_permutes():
    def floor(x):
        return noise_floor(THREE, x, key=jax.random.key(0), permutations=3)

    np.testing.assert_allclose(jax.jit(floor)(X), floor(X), atol=1e-6)


@pytest.mark.parametrize("transformed", [jax.jit, lambda f: lambda *a: jax.vmap(f)(*(v[None] for v in a))])
@pytest.mark.parametrize(
    "call",
    [
        gaussian,
        copula,
        search_flows,
        lambda m, x: gaussian(THREE, x, given=m),
        lambda m, x: network_flows(NETWORK, NETWORK.init(jax.random.key(0), x), x, {"y": m}),
    ],
)
def test_traced_integers_are_refused_with_what_to_do(call, transformed):
    with pytest.raises(InputError, match=r"cannot be counted .* make jaxflow.as_message\((message|given)\)") as error:
        transformed(call)(jnp.asarray(THREE), jnp.asarray(X))
    assert "\n" not in str(error.value)


def test_announced_classes_and_booleans_need_no_counting():
    """And mean the same of floats as of integers, traced or not."""
    expected = gaussian(THREE, X)
    for values in (THREE, THREE.astype(np.float32)):
        announced = lambda m, x: gaussian(m, x, classes=3)  # noqa: E731
        np.testing.assert_allclose(jax.jit(announced)(jnp.asarray(values), X), expected, atol=1e-6)
        np.testing.assert_allclose(announced(values, X), expected, atol=1e-6)
    np.testing.assert_allclose(jax.jit(gaussian)(THREE > 0, X), gaussian(THREE > 0, X), atol=1e-6)
    for values, says in ((THREE, "up to 2"), (THREE + 0.5, "class numbers")):
        with pytest.raises(InputError, match=says):
            as_message(values, classes=2)


@pytest.mark.parametrize("transformed", [jax.jit, lambda f: f])
def test_the_label_is_never_the_first_of_a_dict(params, transformed):
    """Which jit sorts by name: it is called y, or named, or the only message of classes."""
    measure = transformed(lambda own, messages: measure_outputs(NETWORK, own, X, messages))
    for messages in (CLASSES, CLASSES | {"age_group": THREE}):
        with pytest.raises(InputError, match=r"name the label by label=; choose from .*hired") as error:
            measure(params, forms(messages))
        assert "\n" not in str(error.value)
    found = measure(params, forms({"z_score": X[:, 1], "hired": THREE}))
    expected = measure_outputs(NETWORK, params, X, {"hired": THREE, "z": STRATA}, label="hired")
    np.testing.assert_allclose(found["argmax_accuracy"], expected["argmax_accuracy"], atol=1e-4)
    with pytest.raises(InputError, match="named 'hird'"):
        measure_outputs(NETWORK, params, X, {"hired": THREE, "z_score": X[:, 1]}, label="hird")


@pytest.mark.parametrize(
    "call",
    [
        lambda x: quadratic(THREE, x),
        lambda x: linear_svm(THREE, x),
        lambda x: network_flows(NETWORK, NETWORK.init(jax.random.key(0), x), x, CLASSES, "quadratic"),
        lambda x: map_networks(lambda own: by_counting(own).node, x[None]),
    ],
)
def test_estimators_that_must_see_arrays_say_so(call):
    with pytest.raises(InputError, match=r"must see arrays: call it outside of jit, vmap and map_networks") as error:
        jax.jit(call)(jnp.asarray(X))
    assert "\n" not in str(error.value)


def test_nan_stays_nan_where_it_cannot_be_refused(params):
    """Neither an accuracy nor a gap comes of activations that are none."""
    broken = jnp.asarray(X).at[3].set(jnp.nan)
    found = jax.jit(lambda x: measure_outputs(NETWORK, params, x, CLASSES, label="hired"))(broken)
    assert all(np.isnan(value) for value in found.values())
