"""The nearest-neighbour estimate: closed forms, scikit-learn's values, ties and dead units, and its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import entropy
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from jaxflow import InputError, node_flows, significance
from jaxflow.information import ESTIMATORS, knn, subset_members
from jaxflow.information.knn import about_classes, about_numbers, normal_scores
from jaxflow.messages import Message, as_message

N = 500


@pytest.fixture
def message(rng):
    return rng.integers(0, 3, N)


@pytest.fixture
def layer(rng, message):
    """Two nodes that tell, and a ReLU unit that is dead in about a third of the rows."""
    unit = np.maximum(rng.normal(size=N) + 0.25 + 0.5 * (message == 2), 0)
    return np.column_stack([message + rng.normal(size=N), rng.normal(size=N) + 0.5 * message, unit])


def mean_of(draws, rng, one):
    """The mean of several draws, and its standard error."""
    bits = [one(rng) for _ in range(draws)]
    return np.mean(bits), np.std(bits, ddof=1) / np.sqrt(draws)


@pytest.mark.parametrize("classes", [2, 5])
def test_classes_of_overlapping_uniforms(rng, classes):
    """M uniform on 0 … m − 1, X uniform on (M, M + 2): log₂ m − (m − 1)/m bits (Gao et al. 2017)."""

    def one(rng):
        m = rng.integers(0, classes, N)
        return float(knn(m, (m + 2 * rng.random(N))[:, None])[1])

    found, error = mean_of(10, rng, one)
    assert found == pytest.approx(np.log2(classes) - (classes - 1) / classes, abs=3 * error + 0.01)


@pytest.mark.parametrize("r", [0.0, 0.6, 0.95])
def test_a_gaussian_pair(rng, r):
    """−½ log₂(1 − ρ²)."""

    def one(rng):
        x, y = rng.normal(size=(2, N))
        return float(about_numbers((r * x + np.sqrt(1 - r**2) * y)[:, None], normal_scores(x[:, None]), 3))

    found, error = mean_of(10, rng, one)
    assert found == pytest.approx(-0.5 * np.log2(1 - r**2), abs=3 * error + 0.02)


def test_interactions_and_vectors(rng):
    """XOR needs both nodes; a vector of two independent numbers is told as the sum of its parts."""
    x = rng.normal(size=(N, 2))
    bits = np.asarray(knn((x[:, 0] * x[:, 1] > 0).astype(int), x))
    assert bits[3] > 0.85
    assert (bits[1:3] < 0.05).all()
    noisy = 0.8 * x + 0.6 * rng.normal(size=(N, 2))
    one, other, both = np.asarray(knn(noisy, x))[1:]
    assert both == pytest.approx(2 * 0.737, abs=0.15)
    assert one + other == pytest.approx(both, abs=0.15)


def test_one_column_gives_scikit_learns_value(rng, message, layer):
    """Which breaks ties by noise: here a few distances are equal, since scores lie in mirror image about 0."""
    x = normal_scores(layer[:, :1])
    told = mutual_info_classif(x, message, n_neighbors=4, random_state=0)[0] / np.log(2)
    assert float(knn(message, layer[:, :1], neighbours=4)[1]) == pytest.approx(told, abs=5e-4)
    number = layer[:, 1] + rng.normal(size=N)
    told = mutual_info_regression(x, normal_scores(number[:, None])[:, 0], n_neighbors=3, random_state=0)[0]
    assert float(knn(number, layer[:, :1])[1]) == pytest.approx(told / np.log(2), abs=5e-4)


def test_a_class_of_one_row_is_left_out_as_scikit_learn_does(message, layer):
    alone = np.where(np.arange(N) == 7, 3, message)
    told = mutual_info_classif(normal_scores(layer[:, :1]), alone, random_state=0)[0] / np.log(2)
    assert about_classes(alone, normal_scores(layer[:, :1]), 3) == pytest.approx(told, abs=5e-4)
    assert float(knn(np.eye(1, N, dtype=int)[0], layer[:, :1])[1]) == 0


def test_repeated_values_are_counted(rng, message):
    """Discrete columns: the sum of p log p with ψ in the place of log, by which the bias of the counts is gone."""
    x = np.where(rng.random(N) < 0.7, message, rng.integers(0, 3, N))
    joint = np.histogram2d(message, x, bins=3)[0]
    psi = digamma(N) + np.sum(joint * (digamma(joint) - digamma(joint.sum(0)) - digamma(joint.sum(1)[:, None]))) / N
    assert float(knn(message, x[:, None])[1]) == pytest.approx(psi / np.log(2), abs=1e-5)
    numbers = np.array([0.1, 0.7, 2.5])[message]
    assert float(knn(numbers, x[:, None])[1]) == pytest.approx(psi / np.log(2), abs=1e-5)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_unit_that_is_dead_in_two_of_five_rows(rng, kind):
    """About the sign of its input, wrong in 11 % of the rows; about its input and as much noise, by integration."""

    def one(rng):
        before = rng.normal(size=N) + 0.2533  # Φ(0.2533) = 0.6
        unit = np.maximum(before, 0)[:, None]
        if kind == "classes":
            return float(knn(((before > 0) ^ (rng.random(N) < 0.11)).astype(int), unit)[1])
        return float(knn(before + rng.normal(size=N), unit)[1])

    flipped = 0.6 * 0.89 + 0.4 * 0.11
    truth = binary(flipped) - binary(0.11) if kind == "classes" else relu_bits(0.2533)
    found, error = mean_of(10, rng, one)
    assert found == pytest.approx(truth, abs=3 * error + 0.02)


def binary(p):
    """H_b(p) in bits."""
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def relu_bits(shift):
    """I(B + noise; max(B, 0)) for B ~ N(shift, 1) and noise of variance 1: h(m) less h(m | unit), by integration."""
    m = np.linspace(-12, 12, 4001)
    normal = lambda x, variance=1.0: np.exp(-(x**2) / 2 / variance) / np.sqrt(2 * np.pi * variance)  # noqa: E731
    off = np.linspace(-9, 0, 1501)
    dead = np.trapezoid(normal(off - shift)[:, None] * normal(m - off[:, None]), off, axis=0)
    share = np.trapezoid(dead, m)
    silent = -np.trapezoid(dead / share * np.log2(np.maximum(dead / share, 1e-300)), m)
    known = share * silent + (1 - share) * 0.5 * np.log2(2 * np.pi * np.e)
    return 0.5 * np.log2(2 * np.pi * np.e * 2) - known


def test_a_table_in_the_order_of_its_labels_tells_what_a_shuffled_one_does(message, layer):
    order = np.argsort(message, kind="stable")
    np.testing.assert_allclose(knn(message[order], layer[order]), knn(message, layer), atol=1e-6)
    numbers = layer[:, 1]
    np.testing.assert_allclose(knn(numbers[order], layer[order]), knn(numbers, layer), atol=1e-6)


def test_monotone_maps_scales_and_offsets_change_nothing(message, layer):
    bits, numbers = knn(message, layer), layer[:, 1]
    mapped = np.column_stack([1e4 + 64 * layer[:, 0], np.exp(layer[:, 1]), 1e-30 * layer[:, 2]])
    np.testing.assert_allclose(knn(message, mapped), bits, atol=1e-5)
    np.testing.assert_allclose(knn(np.exp(numbers), mapped), knn(numbers, layer), atol=1e-5)


def test_the_order_of_nodes_and_the_names_of_classes_change_nothing(message, layer):
    bits, members = np.asarray(knn(message, layer)), subset_members(3)
    turned = members[:, ::-1] @ 2 ** np.arange(3)
    np.testing.assert_array_equal(np.asarray(knn(message, layer[:, ::-1]))[turned], bits)
    np.testing.assert_array_equal(knn(np.array([2, 0, 1])[message], layer), bits)


def test_constants_and_copies_change_nothing(message, layer):
    """Exactly: a constant tells 0, and beside others nothing more; neither does a copy, in any scale."""
    bits = np.asarray(knn(message, layer[:, [0, 2]]))
    beside = np.column_stack([layer[:, 0], np.full(N, 3.3), layer[:, 2], np.zeros(N), 2 * layer[:, 0]])
    members = subset_members(5)
    reduced = (members[:, 0] | members[:, 4]) + 2 * members[:, 2]
    found = np.asarray(knn(message, beside))
    np.testing.assert_array_equal(found, bits[reduced])
    assert found[0] == found[2] == found[8] == found[10] == 0
    np.testing.assert_array_equal(knn(layer[:, 1], np.ones((N, 2))), 0)
    np.testing.assert_array_equal(knn(np.full(N, 0.3), layer[:, :2]), 0)
    np.testing.assert_array_equal(knn(np.ones(N, int), layer[:, :2]), 0)


def test_bits_lie_between_nothing_and_everything(rng, message):
    """A column that holds the message, one of noise alone, and few rows with many columns."""
    assert float(knn(message, message[:, None])[1]) == pytest.approx(entropy(message), abs=2e-3)
    for rows in (1, 2, 5):
        for own in (message[:rows], rng.normal(size=rows)):
            bits = np.asarray(knn(own, np.maximum(rng.normal(size=(rows, 3)), 0)))
            assert np.isfinite(bits).all()
            assert (bits >= 0).all()
    few = np.asarray(knn(np.arange(6) % 2, rng.normal(size=(6, 3)), neighbours=50))
    assert (few <= 1).all()


def test_given_classes_are_strata(rng, message, layer):
    """Σ_g P(g) I(M; X_T | G = g), of classes and numbers; rows of no stratum do not count."""
    given = np.where(rng.random(N) < 0.3, 1, 0)
    for own in (message, layer[:, 1]):
        parts = [np.asarray(knn(own[given == g], layer[given == g])) * np.mean(given == g) for g in (0, 1)]
        np.testing.assert_allclose(knn(own, layer, given=given), parts[0] + parts[1], atol=1e-6)
    np.testing.assert_array_equal(knn(message, layer, given=message), 0)
    left_out = Message(np.where(given == 1, -1, 0).astype(np.int32), None, 1)
    found = knn(as_message(message, left_out), layer)
    np.testing.assert_allclose(found, knn(message[given == 0], layer[given == 0]), atol=1e-6)


def test_batches_groups_subsets_and_stacks(message, layer):
    """One signature: every message about its layer; a node of two columns; some subsets; permutations."""
    layers, both = np.stack([layer, layer[::-1]]), np.stack([message, message[::-1]])
    bits = np.asarray(knn(both, layers))
    np.testing.assert_array_equal(bits[0], knn(message, layer))
    np.testing.assert_array_equal(bits[1], knn(message[::-1], layer[::-1]))
    np.testing.assert_array_equal(np.asarray(knn(both[:, None], layers, subsets=[5]))[..., 0].diagonal(), bits[:, 5])
    grouped = np.asarray(knn(message, layer, groups=[0, 1, 0]))
    np.testing.assert_array_equal(grouped, bits[0][[0, 5, 2, 7]])
    told = []
    spec = ESTIMATORS["knn"]
    found = spec.estimate(
        jnp.asarray(layers, jnp.float32), {"m": as_message(both)}, subset_members(3, [6, 1]), advance=told.append
    )
    np.testing.assert_allclose(found["m"].bits[:, 0], np.asarray(knn(both, layer, subsets=[6, 1])), atol=1e-6)
    assert found["m"].bits.shape == (2, 2, 2)
    assert sum(told) == 2 * 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"given": np.linspace(0, 1, N)},
            "the message is continuous, and knn conditions on classes only: use",
        ),
        ({"neighbours": 0}, "neighbours must be between 1 and"),
        ({"activations": np.full((N, 2), np.nan)}, "NaN or infinity"),
        ({"activations": np.zeros((N - 1, 2))}, "expected message"),
        ({"subsets": [8]}, "subsets, bitmasks from 0 to 7"),
    ],
)
def test_what_cannot_be_estimated_is_refused_in_one_line(message, layer, options, says):
    options = {"message": message, "activations": layer} | options
    with pytest.raises(InputError, match=says) as caught:
        knn(options.pop("message"), options.pop("activations"), **options)
    assert "\n" not in str(caught.value)


def test_it_must_see_arrays(message, layer):
    with pytest.raises(InputError, match="must see arrays"):
        jax.jit(lambda x: knn(message, x))(layer)


def test_flows_and_significance_come_as_with_any_other_estimator(message, layer):
    flow, _ = node_flows(knn(message, layer[:, :2]))
    found = significance(jax.random.key(0), message, layer[:, :2], estimator="knn", permutations=19)
    np.testing.assert_allclose(found.flow, flow, atol=1e-6)
    assert found.p[0] == 1 / 20
