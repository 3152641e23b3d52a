"""The noise floor, from message and activations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import InputError, node_flows, noise_floor
from jaxflow.information import gaussian

N = 200


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, N)


def test_is_that_of_flows_and_not_of_the_information_in_subsets(message, rng):
    """Of three nodes that know nothing the whole layer shows more than the flow of any node."""
    layer = rng.normal(size=(N, 3)).astype(np.float32)
    bits = gaussian(np.stack([rng.permutation(message) for _ in range(60)]), layer)
    floor = float(noise_floor(message, layer, key=jax.random.key(0), permutations=200))
    assert floor == pytest.approx(np.percentile(node_flows(bits)[0], 95), rel=0.15)
    assert floor < 0.8 * np.percentile(bits, 95)


def test_batches_have_floors_of_their_own(message, rng):
    layers = rng.normal(size=(2, 1, N, 3)).astype(np.float32)
    messages = np.stack([message, 1 - message, rng.integers(0, 2, N)])
    key = jax.random.key(1)
    floors = noise_floor(messages, layers, key=key)
    assert floors.shape == (2, 3)
    np.testing.assert_allclose(floors[:, 0], floors[:, 1], atol=1e-6)
    assert floors[1, 2] == pytest.approx(float(noise_floor(messages[2], layers[1, 0], key=key)), abs=1e-6)


def test_by_another_estimator(message, rng):
    """One that finds half a bit in the whole of two nodes and nothing in each: two flows of half a bit."""
    half = jnp.array([0, 0, 0, 0.5])
    layer = rng.normal(size=(N, 2))
    assert float(noise_floor(message, layer, key=jax.random.key(0), estimator=lambda *_: half)) == 0.5


@pytest.mark.parametrize(("nodes", "some"), [(3, 0.14), (6, 0.26)])
def test_five_per_cent_of_nodes_are_above_it_and_some_node_of_many_layers(rng, nodes, some):
    """Layers that know nothing. With independent nodes some node of 1 − 0.95ⁿ of the layers is above, or a few more."""
    layers = rng.normal(size=(300, N, nodes)).astype(np.float32)
    messages = rng.integers(0, 2, (300, N))
    flow = node_flows(gaussian(messages, layers))[0]
    above = np.asarray(flow > noise_floor(messages, layers, key=jax.random.key(2))[:, None])
    assert 0.035 < np.mean(above) < 0.085
    assert some - 0.06 < np.mean(np.any(above, axis=-1)) < some + 0.1


def test_no_permutations_are_refused(message):
    with pytest.raises(InputError, match="permutations must be between 1 and"):
        noise_floor(message, np.zeros((N, 2)), key=jax.random.key(0), permutations=0)
