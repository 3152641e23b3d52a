"""The arithmetic of layers: both products, and runs of equal layers with their gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.networks.layers import LEAK, affine, equal_layers

RUN, NODES, SAMPLES = 9, 4, 30


def run_of_layers(rng):
    """Kernels, biases and h whose signals neither die nor explode."""
    shapes = (RUN, NODES, NODES), (RUN, NODES), (NODES, SAMPLES)
    return [jnp.asarray(rng.normal(size=shape) * 0.8, jnp.float32) for shape in shapes]


def one_by_one(kernels, biases, h, slope):
    """The same in NumPy, in double precision: activations of all layers."""
    kernels, biases, h = (np.asarray(a, float) for a in (kernels, biases, h))
    activations = []
    for kernel, bias in zip(kernels, biases, strict=True):
        z = kernel.T @ h + bias[:, None]
        h = np.where(z > 0, z, slope * z)
        activations.append(h)
    return np.stack(activations)


def test_both_products_agree(rng):
    kernel, bias = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32), jnp.arange(4.0)
    h = jnp.asarray(rng.normal(size=(6, 1000)), jnp.float32)
    np.testing.assert_allclose(affine(kernel, bias, h)[:, :10], affine(kernel, bias, h[:, :10]), atol=1e-5)


@pytest.mark.parametrize("slope", [LEAK, 1.0])
def test_equal_layers_are_layers_one_by_one(rng, slope):
    layers = run_of_layers(rng)
    last, activations = equal_layers(*layers, slope)
    expected = one_by_one(*layers, slope)
    np.testing.assert_allclose(activations, expected, atol=1e-5)
    np.testing.assert_array_equal(last, activations[-1])


@pytest.mark.parametrize("slope", [LEAK, 1.0])
@pytest.mark.parametrize("of", ["last", "all", "both"])
def test_the_gradient_of_equal_layers_is_that_of_differences(rng, slope, of):
    """Along random directions of kernels, biases and h: central differences in double precision.

    The loss weighs the last layer's activations, all layers', or both.
    """
    layers = run_of_layers(rng)
    weights = [rng.normal(size=(NODES, SAMPLES)), rng.normal(size=(RUN, NODES, SAMPLES))]
    weights = [w * (of in (own, "both")) for w, own in zip(weights, ("last", "all"), strict=True)]

    def loss(*layers):
        last, activations = equal_layers(*layers, slope)
        return jnp.sum(last * weights[0].astype(np.float32)) + jnp.sum(activations * weights[1].astype(np.float32))

    def exact_loss(layers):
        activations = one_by_one(*layers, slope)
        return np.sum(activations[-1] * weights[0]) + np.sum(activations * weights[1])

    gradient = jax.grad(loss, argnums=(0, 1, 2))(*layers)
    for own, layer in enumerate(layers):
        direction = rng.normal(size=layer.shape)

        def exact(step, own=own, direction=direction):
            moved = [np.asarray(a, float) + step * direction if own == k else a for k, a in enumerate(layers)]
            return exact_loss(moved)

        along = (exact(1e-7) - exact(-1e-7)) / 2e-7
        assert abs(along) > 0.1
        assert float(np.sum(np.asarray(gradient[own], float) * direction)) == pytest.approx(along, rel=1e-3)
