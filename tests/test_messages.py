"""Binary entropy and its inverse."""

import jax.numpy as jnp
import numpy as np
import pytest
from oracles import accuracy_of
from scipy.stats import entropy

from jaxflow.information import binary_entropy, information_to_accuracy


def test_binary_entropy_equals_scipy_and_is_zero_at_the_ends():
    p = np.linspace(0, 1, 101, dtype=np.float32)
    np.testing.assert_allclose(binary_entropy(jnp.asarray(p)), entropy([p, 1 - p], base=2), atol=1e-6)
    np.testing.assert_array_equal(binary_entropy(jnp.array([0.0, 1.0])), 0)


@pytest.mark.parametrize("probability", [0.5, 0.499, 0.3, 0.9])
def test_accuracy_equals_bisection(probability):
    p = np.float32(probability)
    most = float(entropy([p, 1 - p], base=2))
    bits = np.array([0, 1e-7, 1e-4, 0.01, 0.2, 0.5 * most, 0.99 * most, most], np.float32)
    expected = [accuracy_of(float(b), float(p)) for b in bits]
    accuracy = information_to_accuracy(jnp.asarray(bits), jnp.full_like(bits, p))
    np.testing.assert_allclose(accuracy, expected, atol=3e-5)


def test_no_information_is_the_majority_class_and_all_of_it_is_certainty():
    p = jnp.array([0.5, 0.2, 0.7])
    np.testing.assert_allclose(information_to_accuracy(jnp.zeros(3), p), [0.5, 0.8, 0.7], rtol=1e-6)
    np.testing.assert_allclose(information_to_accuracy(binary_entropy(p), p), 1, atol=1e-4)
