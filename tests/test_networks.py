"""The networks against NumPy, their initialisation and their tails."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxflow import InputError, mlp
from jaxflow.networks import MLP
from jaxflow.networks.layouts import WIDE, folded, unfolded
from jaxflow.networks.perceptron import REPEATED

# operation by operation they compile forty programs for every network
initial_params = jax.jit(lambda key, network, x: network.init(key, x), static_argnums=1)
forward = jax.jit(lambda network, params, x: network.activations(params, x), static_argnums=0)

DEEP = MLP((4, *(5,) * 36, 3, 2), categories=(7,), linear=(20,))


@pytest.mark.parametrize("samples", [7, 5000])
def test_forward_equals_numpy(rng, samples):
    """Few samples take the fused sum, many the matrix product."""
    x = jnp.asarray(rng.normal(size=(samples, 5)).astype(np.float32))
    network = MLP((4, 3, 2))
    params = initial_params(jax.random.key(1), network, x)
    for ours, theirs in zip(forward(network, params, x), oracles.forward(params, np.asarray(x)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_initialisation_is_that_of_torch_linear():
    """Kernels and biases uniform in ±1/√fan_in: bounds and variance of a uniform, for every layer."""
    network = MLP((200, 300))
    params = initial_params(jax.random.key(0), network, jnp.zeros((1, 50)))
    for fan_in, leaves in ((50, params["layer_0"]), (200, params["layer_1"])):
        bound = fan_in**-0.5
        for values in (leaves["kernel"], leaves["bias"]):
            assert float(jnp.abs(values).max()) <= bound
            assert float(jnp.std(values)) == pytest.approx(bound / 3**0.5, rel=0.1)
            assert abs(float(values.mean())) < 0.15 * bound


def test_embeddings_replace_codes():
    network = MLP((3, 2), categories=(15, 9))
    x = jnp.array([[14.0, 0.0, 0.5], [2.0, 8.0, -1.0]])
    params = initial_params(jax.random.key(0), network, x)
    values = [params[f"embedding_{column}"]["embedding"][:, 0] for column in (0, 1)]
    assert [v.shape for v in values] == [(15,), (9,)]
    expected = [[values[0][14], values[1][0], 0.5], [values[0][2], values[1][8], -1.0]]
    np.testing.assert_allclose(forward(network, params, x)[0], np.array(expected, np.float32), atol=1e-7)


def test_embeddings_start_standard_normal():
    network = MLP((2,), categories=(5000,))
    table = initial_params(jax.random.key(3), network, jnp.zeros((1, 2)))["embedding_0"]["embedding"]
    assert float(table.mean()) == pytest.approx(0, abs=0.05)
    assert float(table.std()) == pytest.approx(1, abs=0.05)


def test_a_linear_layer_passes_negative_values_unchanged(rng):
    x = jnp.asarray(rng.normal(size=(20, 5)).astype(np.float32))
    params = initial_params(jax.random.key(1), MLP((4, 3, 2)), x)
    plain, linear = (forward(MLP((4, 3, 2), linear=own), params, x) for own in ((), (1,)))
    assert float(linear[1].min()) < 0
    np.testing.assert_allclose(plain[1], np.where(linear[1] > 0, linear[1], 0.01 * linear[1]), atol=1e-7)
    assert float(jnp.abs(linear[2] - plain[2]).max()) > 0.01


@pytest.mark.parametrize("linear", [(), (1,), (2,)])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_resuming_continues_from_a_layers_activations(rng, layer, linear):
    network = MLP((4, 3, 2), categories=(7,), linear=linear)
    x = jnp.asarray(np.column_stack([rng.integers(0, 7, 20), rng.normal(size=(20, 2))]).astype(np.float32))
    params = initial_params(jax.random.key(2), network, x)
    whole = network.activations(params, x)
    for ours, theirs in zip(
        network.resume(params, x, network.start(params, x, layer), layer), whole[layer:], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def deep_input(rng):
    return jnp.asarray(np.column_stack([rng.integers(0, 7, 20), rng.normal(size=(20, 2))]).astype(np.float32))


def test_equal_layers_run_together():
    """Weight layers 2 to 18, then 19, which is linear, then 20 to 36."""
    assert DEEP.runs(3) == [(0, 1), (1, 1), (2, 17), (19, 1), (20, 17), (37, 1), (38, 1)]
    assert MLP((3,) * REPEATED + (2,)).runs(2) == [(layer, 1) for layer in range(REPEATED + 1)]
    assert MLP((3,) * REPEATED + (2,)).runs(3) == [(0, REPEATED), (REPEATED, 1)]


def test_a_deep_network_equals_numpy(rng):
    x = deep_input(rng)
    params = initial_params(jax.random.key(4), DEEP, x)
    ours = forward(DEEP, params, x)
    layers = {name: leaves for name, leaves in params.items() if name.startswith("layer_")}
    for layer, (mine, theirs) in enumerate(
        zip(ours, oracles.forward(layers, np.asarray(ours[0]), DEEP.linear), strict=True)
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-5, err_msg=str(layer))


def test_unfolding_undoes_folding(rng):
    """Every layer's parameters are there under its own name, and start as those of a layer alone would."""
    x = deep_input(rng)
    params = initial_params(jax.random.key(4), DEEP, x)
    assert set(params) == {"embedding_0", *(f"layer_{layer}" for layer in range(39))}
    together = folded(params, DEEP.runs(3))
    jax.tree.map(np.testing.assert_array_equal, unfolded(together), params)
    assert together["layer_2"]["kernel"].shape == (17, 5, 5)
    for layer, kernel in enumerate(together["layer_20"]["kernel"]):
        np.testing.assert_array_equal(kernel, params[f"layer_{20 + layer}"]["kernel"])
    run = np.stack(DEEP.weights(params)[2:19])
    assert len(np.unique(run)) == run.size
    assert abs(run).max() <= 5**-0.5
    assert np.std(run) == pytest.approx(5**-0.5 / 3**0.5, rel=0.15)


def test_packing_is_undone_and_changes_no_activation(rng):
    """Runs of equal layers, embeddings, and a wide layer, which is transposed."""
    network = MLP((40, 40, *(5,) * REPEATED, 5, 2), categories=(7,))
    x = deep_input(rng)
    params = initial_params(jax.random.key(4), network, x)
    packed = network.packed(params)
    assert packed["layer_1"]["kernel"].size >= WIDE
    np.testing.assert_array_equal(packed["layer_1"]["kernel"], params["layer_1"]["kernel"].T)
    jax.tree.map(np.testing.assert_array_equal, network.unpacked(packed), params)
    together = jax.jit(network.packed_activations)(packed, x)
    for own, expected in zip(together, forward(network, params, x), strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-6)  # sums of 40 products, of a transposed kernel


def test_equal_arguments_make_equal_networks():
    """Whatever kind of integers and sequences they are; a function compiled for one is not traced for the other."""
    a, b = mlp((4, 3)), mlp([np.int64(4), 3], outputs=2, categories=np.array([], int), linear=())
    assert a == b
    assert hash(a) == hash(b)
    assert a != mlp((4, 3), outputs=3)
    assert mlp((), outputs=5).widths == (5,)


@pytest.mark.parametrize("bad", [{"hidden": (0,)}, {"hidden": (1.5,)}, {"hidden": (3,), "outputs": 0}])
def test_senseless_widths_are_refused(bad):
    with pytest.raises(InputError):
        mlp(**bad)
