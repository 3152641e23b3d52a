"""Entropies and the inverse of Fano's bound; what is one message; messages made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import accuracy_of
from scipy.stats import entropy

from jaxflow import InputError, messages, network, network_flows, noise_floor
from jaxflow.information import binary_entropy, gaussian, information_to_accuracy
from jaxflow.messages import Message


def test_binary_entropy_equals_scipy_and_is_zero_at_the_ends():
    p = np.linspace(0, 1, 101, dtype=np.float32)
    np.testing.assert_allclose(binary_entropy(jnp.asarray(p)), entropy([p, 1 - p], base=2), atol=1e-6)
    np.testing.assert_array_equal(binary_entropy(jnp.array([0.0, 1.0])), 0)


def test_entropies_of_numpys_arrays_keep_double_precision():
    """What classifiers' accuracies are worth is computed on the host, where half a sample must not round away."""
    p = np.linspace(0, 1, 101)
    np.testing.assert_allclose(binary_entropy(p), entropy([p, 1 - p], base=2), atol=1e-14)
    shares = np.array([[0.2, 0.5, 0.3], [0, 1, 0]])
    np.testing.assert_allclose(messages.entropy(shares), entropy(shares, base=2, axis=1), atol=1e-14)
    assert messages.message_entropy(np.array([0, 2, 2, 0])) == 1


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


def test_one_message_has_batch_axes_of_length_one_only():
    single = messages.as_message([[[0.5], [0.25]]], [0, 1], samples=2)
    one = messages.one_message(single, "mine")
    assert (one.values.shape, one.given.tolist(), one.classes, one.strata) == ((2, 1), [0, 1], 0, 2)
    with pytest.raises(InputError, match="mine takes one message at a time"):
        messages.one_message(messages.as_message([[0, 1], [1, 0]]), "mine")


@pytest.mark.parametrize(
    ("by_hand", "says"),
    [
        (Message(np.arange(12) % 3), "has classes 0 to 2, but its Message says 2"),
        (Message(jnp.arange(12) % 2 - 1), "has classes -1 to 0, but its Message says 2"),
        (Message(np.linspace(0, 1, 12)), "has classes 0.0 to 1.0, but its Message says 2"),
        (Message(np.arange(12) % 2, np.arange(12) // 4, 2, 2), "has strata 0 to 2, but its Message says 2"),
        (Message(np.ones((12, 1)), np.arange(12) // 6 - 2, 0, 2), "has strata -2 to 0, but its Message says 2"),
    ],
)
def test_a_message_made_by_hand_is_not_believed_to_have_fewer_classes_than_it_has(by_hand, says):
    """A third class of two would be a row of zeros, and a third stratum left out, with other bits and no word."""
    x = np.random.default_rng(0).normal(size=(12, 1)).astype(np.float32)
    layer = network(lambda params, x: (x, x @ params), lambda params: (params,))
    calls = [
        lambda message: gaussian(message, x),
        lambda message: noise_floor(message, x, key=jax.random.key(0)),
        lambda message: network_flows(layer, jnp.ones((1, 1)), x, {"y": message}),
    ]
    for call in calls:
        with pytest.raises(InputError, match=says) as caught:
            call(by_hand)
        assert "let jaxflow.as_message count them" in str(caught.value)
    if by_hand.strata:
        with pytest.raises(InputError, match="says 2"):
            gaussian(np.arange(12) % 2, x, given=Message(by_hand.given, None, by_hand.strata))


def test_rows_of_no_stratum_may_be_in_a_message_made_by_hand():
    rows = np.arange(12)
    assert gaussian(Message(rows % 2, rows // 4 - 1, 2, 2), rows[:, None] % 5).shape == (2,)
