"""What a run must know of an estimator: the built-in ones, their options, and a user's own in ten lines of NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import InputError
from jaxflow.information import ESTIMATORS, EstimatorSpec, gaussian, quadratic, spec_of, subset_members
from jaxflow.information.cross_validation import outer_fold_numbers
from jaxflow.information.specs import within_folds, within_strata
from jaxflow.messages import Message, as_message


def by_counts(message, activations):
    """I(M; signs of X_T) by counting: a stranger's estimator."""
    bits = []
    for mask in range(2 ** activations.shape[1]):
        nodes = [i for i in range(activations.shape[1]) if mask >> i & 1]
        code = (activations[:, nodes] > 0) @ (2 ** np.arange(len(nodes)))
        joint = np.histogram2d(message, code, bins=(np.unique(message).size, 2 ** len(nodes)))[0] / len(message)
        independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        seen = joint > 0
        bits.append(np.sum(joint[seen] * np.log2(joint[seen] / independent[seen])))
    return np.array(bits)


@pytest.fixture
def layers(rng):
    return jnp.asarray(rng.normal(size=(2, 200, 3)), jnp.float32)


@pytest.fixture
def message(layers):
    return np.array(layers[0, :, 1] > 0, int)


def test_ten_lines_of_numpy_are_an_estimator(layers, message, rng):
    """Mapped over layers, messages and permutations; the subsets that are asked for; progress counted."""
    permuted = np.stack([message, rng.permutation(message)])
    messages = {"y": Message(permuted), "z": Message(rng.integers(0, 3, (1, 200)), classes=3)}
    heard = []
    spec = spec_of(by_counts)
    found = spec.estimate(layers, messages, subset_members(3, [7, 2]), advance=heard.append)
    assert spec.name == "by_counts"
    assert sum(heard) == 2 * 2 * 2
    assert found["y"].bits.shape == (2, 2, 2)
    assert found["z"].bits.shape == (1, 2, 2)
    assert found["y"].draws is None
    for p, own in enumerate(permuted):
        for s, layer in enumerate(np.asarray(layers)):
            np.testing.assert_allclose(found["y"].bits[p, s], by_counts(own, layer)[[7, 2]])
    p = message.mean()
    assert found["y"].bits[0, 0, 1] == pytest.approx(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def test_what_it_does_not_take_is_refused(layers, message):
    spec = spec_of(by_counts)
    conditioned = as_message(message[None], np.arange(200) % 2)
    with pytest.raises(InputError, match="by_counts does not take given"):
        spec.accepts(conditioned, "y")
    with pytest.raises(InputError, match="by_counts does not take given"):
        spec.estimate(layers, {"y": conditioned}, subset_members(3))
    with pytest.raises(InputError, match="by_counts does not take groups"):
        spec.estimate(layers, {"y": Message(message[None])}, subset_members(2), groups=(0, 1, 1))
    spec.accepts(Message(message), "y")


def test_what_it_takes_it_gets_as_the_user_gave_it(layers):
    """Numbers [N] and not [N, 1]; classes as integers; groups as they are."""
    seen = {}

    def curious(message, activations, *, given=None, groups=None):
        seen.update(message=message, given=given, groups=groups, rows=len(activations))
        return np.zeros(2 ** (max(groups) + 1))

    numbers = np.linspace(0.1, 1, 200)
    messages = {"y": as_message(numbers[None], np.arange(200) % 2, samples=200)}
    found = spec_of(curious).estimate(layers, messages, subset_members(2), groups=(0, 1, 1))
    assert found["y"].bits.shape == (1, 2, 4)
    np.testing.assert_allclose(seen["message"], numbers, rtol=1e-6)
    np.testing.assert_array_equal(seen["given"], np.arange(200) % 2)
    assert seen["groups"] == (0, 1, 1)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (np.zeros(7), r"must return bits of shape \(8,\), one for every subset of 3 nodes.*not \(7,\)"),
        (np.full(8, np.nan), "returned NaN or infinity for subset 0"),
        ("bits", "must return 8 numbers, not 'bits'"),
    ],
)
def test_what_it_returns_is_checked(layers, message, returned, says):
    with pytest.raises(InputError, match=says) as caught:
        spec_of(lambda *_: returned).estimate(layers, {"y": Message(message[None])}, subset_members(3))
    assert "\n" not in str(caught.value)


def test_names_and_functions_of_the_package_are_its_own_specs():
    for name, spec in ESTIMATORS.items():
        assert spec_of(name) is spec
        assert spec_of(spec.function) is spec
        assert spec.name == name
    mine = EstimatorSpec(by_counts, most=3, exchangeable=None)
    assert spec_of(mine) is mine
    assert spec_of(by_counts) == spec_of(by_counts)  # so that what is compiled for a function is found again
    assert len({spec_of(by_counts), spec_of(by_counts), mine}) == 2
    with pytest.raises(InputError, match="unknown estimator 'gausian'"):
        spec_of("gausian")
    with pytest.raises(InputError, match="an estimator is a name or a function"):
        spec_of(3)


def test_stacks_give_what_the_functions_give(layers, message):
    for function in (gaussian, quadratic):
        found = spec_of(function).estimate(layers, {"y": Message(message[None])}, subset_members(3))
        np.testing.assert_allclose(found["y"].bits[0], function(message, layers), atol=1e-6)


def test_options_are_checked_where_they_are_made():
    spec = ESTIMATORS["kernel-svm"]
    assert spec.options().as_json() == {"backend": "jax", "published_alpha": False}
    chosen = spec.options_from({"backend": "sklearn", "published_alpha": True})
    assert spec.with_options(chosen).keywords == chosen.as_json()
    assert ESTIMATORS["quadratic"].options_from({}).as_json() == {"bound": "fano"}
    for name, values, says in [
        ("kernel-svm", {"published_alpha": True}, "backend sklearn only"),
        ("linear-svm", {"backend": "torch"}, "unknown backend"),
        ("linear-svm", {"bound": "fano"}, "linear-svm has no bound; choose from backend"),
        ("quadratic", {"bound": "chernoff"}, "unknown bound"),
        ("gaussian", {"backend": "jax"}, "gaussian has no backend; it has no options"),
    ]:
        with pytest.raises(InputError, match=says):
            ESTIMATORS[name].options_from(values)


def test_permutations_stay_within_strata_and_folds(rng):
    y, given = rng.integers(0, 3, 300), np.arange(300) % 2
    conditioned = as_message(y, given)
    np.testing.assert_array_equal(within_folds(as_message(y)), outer_fold_numbers(y))
    np.testing.assert_array_equal(within_strata(as_message(y)), 0)
    np.testing.assert_array_equal(within_strata(conditioned), given)
    numbers = within_folds(conditioned)
    assert len(np.unique(numbers)) == 10
    for g in (0, 1):
        own = numbers[given == g]
        assert not set(own) & set(numbers[given != g])
        np.testing.assert_array_equal(np.unique(own, return_inverse=True)[1], outer_fold_numbers(y[given == g]))
