"""Gaussian estimates about classes, numbers, strata and nodes of several columns, against double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import determinant_bits, entropy, gaussian_bits, indicators
from scipy.stats import norm, rankdata

from jaxflow import InputError, node_flows, noise_floor, search_flows
from jaxflow.information import copula, gaussian, gaussian_flows, spec_of
from jaxflow.information.copula import estimate as estimate_copula
from jaxflow.information.gaussian import estimate as estimate_gaussian
from jaxflow.messages import Message, as_message, uncertainty

N, NODES = 500, 6
SUBSETS = [[i for i in range(NODES) if mask >> i & 1] for mask in range(2**NODES)]


@pytest.fixture
def three(rng):
    return rng.choice(3, N, p=[0.5, 0.3, 0.2])


@pytest.fixture
def layer(rng, three):
    """Mixed nodes of which one is a duplicate, one constant and one far off."""
    x = rng.normal(size=(N, NODES)) @ rng.normal(size=(NODES, NODES)) + indicators(three) @ rng.normal(size=(2, NODES))
    x[:, 2], x[:, 4] = 2 * x[:, 0] + 1, 7
    x[:, 5] += 1e4
    return x.astype(np.float32)


@pytest.fixture
def numbers(rng, layer):
    return layer[:, :3] @ rng.normal(size=(3, 2)) + 3 * rng.normal(size=(N, 2)) @ rng.normal(size=(2, 2))


@pytest.fixture
def strata(rng, layer):
    return (layer[:, 1] + rng.normal(size=N) > 0).astype(int) + (rng.random(N) < 0.2)


def test_three_classes_equal_the_determinants(three, layer):
    expected = determinant_bits(indicators(three), layer, SUBSETS, most=entropy(three))
    np.testing.assert_allclose(gaussian(three, layer), expected, atol=1e-5)


def test_numbers_equal_the_determinants(numbers, layer):
    np.testing.assert_allclose(gaussian(numbers, layer), determinant_bits(numbers, layer, SUBSETS), atol=1e-5)
    expected = determinant_bits(numbers[:, 0], layer, SUBSETS)
    np.testing.assert_allclose(gaussian(numbers[:, 0], layer), expected, atol=1e-5)


def test_two_normal_variables_are_the_closed_form(rng):
    x, noise = rng.normal(size=(2, N))
    message = 0.75 * x + np.sqrt(1 - 0.75**2) * noise
    rho = np.corrcoef(x, message)[0, 1]
    assert gaussian(message, x[:, None])[1] == pytest.approx(-0.5 * np.log2(1 - rho**2), abs=1e-6)


def test_relabelling_classes_changes_nothing(three, layer):
    bits = gaussian(three, layer)
    for labels in ([2, 0, 1], [1, 2, 0], [3, 0, 2]):  # the last with a class that has no rows
        np.testing.assert_allclose(gaussian(np.array(labels)[three], layer), bits, atol=1e-6)


def test_two_classes_among_more_are_those_two(rng, layer):
    message = rng.integers(0, 2, N)
    np.testing.assert_allclose(gaussian(3 * message, layer), gaussian(message, layer), atol=1e-6)


def test_affine_maps_of_numbers_change_nothing(numbers, layer):
    moved = numbers @ [[2.0, 1.0], [-1.0, 3.0]] * 1e8 + [3e9, -7e5]
    np.testing.assert_allclose(gaussian(moved, layer), gaussian(numbers, layer), atol=2e-6)


def test_a_column_that_repeats_another_tells_nothing_new(numbers, layer):
    repeated = np.column_stack([numbers, numbers[:, 0] * 3 - 1, np.ones(N)])
    np.testing.assert_allclose(gaussian(repeated, layer), gaussian(numbers, layer), atol=2e-6)


def test_what_the_layer_determines_is_finite_and_at_most_twenty_bits_a_column(layer):
    message = layer[:, :2] @ [[1.0, 2.0], [-1.0, 0.5]]
    for columns, whole in ((message[:, 0], 20), (message, 40)):
        bits = np.asarray(gaussian(columns, layer))
        assert np.isfinite(bits).all()
        assert whole / 2 < bits[3] <= whole
    np.testing.assert_allclose(gaussian(layer[:, 0] * 0 + 3.25, layer), 0)


def test_a_copy_of_the_classes_is_their_entropy(three, layer):
    copied = np.column_stack([layer[:, :4], indicators(three) @ [[1.0, 2.0], [3.0, -1.0]]])
    assert gaussian(three, copied)[-1] == pytest.approx(entropy(three), abs=1e-6)


def test_product_of_classes_is_told_by_both_and_splitting_a_class_by_chance_adds_chance(rng, layer):
    first, second = rng.integers(0, 2, (2, N))
    x = np.zeros((N, NODES))  # as many columns as elsewhere, of which two are not constant
    x[:, :2] = np.column_stack([first, second]) + rng.normal(size=(N, 2))
    bits, whole = gaussian(2 * first + second, x), np.asarray(gaussian(first, x)) + np.asarray(gaussian(second, x))
    assert float(bits[-1]) == pytest.approx(float(whole[-1]), abs=0.02)
    split = [gaussian(np.where(first == 1, 1 + coin, 0), layer) for coin in rng.integers(0, 2, (20, N))]
    added = np.asarray(split) - np.asarray(gaussian(first, layer))[None]
    assert (added > -1e-6).all()
    assert added[:, -1].mean() < 2 * NODES / (2 * N * np.log(2))


@pytest.mark.slow
def test_strata_are_each_by_themselves_and_averaged(three, numbers, layer, strata):
    expected = {"two": 0, "three": 0, "numbers": 0}
    for stratum in range(3):
        rows = strata == stratum
        m, x, weight = three[rows], layer[rows], rows.mean()
        expected["two"] += weight * gaussian_bits(m > 0, x)
        expected["three"] += weight * determinant_bits(indicators(m), x, SUBSETS, most=entropy(m))
        expected["numbers"] += weight * determinant_bits(numbers[rows], x, SUBSETS)
    for name, message in (("two", three > 0), ("three", three), ("numbers", numbers)):
        bits = gaussian(message, layer, given=strata)
        np.testing.assert_allclose(bits, expected[name], atol=1e-5)
        found, (flow, witness) = gaussian_flows(message, layer, given=strata), node_flows(bits)
        np.testing.assert_allclose(found.flow, flow, atol=1e-6)
        np.testing.assert_array_equal(found.witness, witness)


def test_strata_without_rows_or_classes_are_no_nan(three, layer):
    given = np.where(three == 0, 0, 2)  # stratum 1 is empty, stratum 0 has one class
    rows = three > 0
    expected = rows.mean() * gaussian_bits(three[rows] == 2, layer[rows])
    np.testing.assert_allclose(gaussian(three, layer, given=given), expected, atol=1e-5)
    np.testing.assert_array_equal(gaussian(three, layer, given=three), 0)


def test_numbers_given_are_regressed_out(three, numbers, layer, rng):
    given = np.column_stack([numbers[:, 0], rng.normal(size=N)]) + indicators(three)
    for message, columns in ((three, indicators(three)), (three > 0, three > 0), (numbers, numbers)):
        expected = determinant_bits(columns.astype(float), layer, SUBSETS, given)
        np.testing.assert_allclose(gaussian(message, layer, given=given), expected, atol=1e-5)
    np.testing.assert_array_equal(gaussian(given, layer, given=given), 0)


def test_vectors_of_zeros_and_ones_are_numbers(three, layer):
    """As indicators of classes are: ``[N, d]`` has no classes."""
    columns = indicators(three).astype(float)
    np.testing.assert_allclose(gaussian(columns, layer), determinant_bits(columns, layer, SUBSETS), atol=1e-5)
    np.testing.assert_array_equal(gaussian(columns, layer, given=columns), 0)


def test_chain_rule_of_numbers(numbers, layer, rng):
    """I((M₁, M₂); X) = I(M₁; X) + I(M₂; X | M₁)."""
    first = np.column_stack([rng.normal(size=N) + layer[:, 0], rng.normal(size=N)])
    both = gaussian(np.column_stack([first, numbers]), layer)
    steps = np.asarray(gaussian(first, layer)) + np.asarray(gaussian(numbers, layer, given=first))
    np.testing.assert_allclose(both, steps, atol=1e-5)


def test_groups_of_one_column_are_nodes_and_of_two_are_unions(rng, three, numbers, layer, strata):
    groups = [0, 1, 0, 2, 1, 2]
    union = [sum(1 << i for i, node in enumerate(groups) if mask >> node & 1) for mask in range(8)]
    given = layer[:, :2] + rng.normal(size=(N, 2))
    for message, own in ((three, {"given": strata}), (numbers, {"given": given})):
        bits = gaussian(message, layer, **own)
        np.testing.assert_array_equal(gaussian(message, layer, groups=range(NODES), **own), bits)
        together = gaussian(message, layer, groups=groups, **own)
        np.testing.assert_allclose(together, np.asarray(bits)[union], atol=2e-6)
    order = [3, 1, 0, 5, 2, 4]
    moved = gaussian(three, layer[:, order], groups=order, given=strata)
    np.testing.assert_allclose(moved, gaussian(three, layer, given=strata), atol=2e-6)
    found = gaussian_flows(three > 0, layer, groups=groups)
    bits = np.asarray(gaussian(three > 0, layer))[union]
    np.testing.assert_allclose(found.flow, node_flows(bits)[0], atol=2e-6)


def test_many_nodes_of_many_columns(rng, three):
    layer = rng.normal(size=(N, 40)) + np.outer(three, rng.normal(size=40)) / 5
    groups = np.repeat(np.arange(10), 4)
    bits = gaussian(three, layer, groups=groups)
    masks = [1, 5, 700, 1023]
    subsets = [[i for i in range(40) if mask >> groups[i] & 1] for mask in masks]
    expected = determinant_bits(indicators(three), layer, subsets, most=entropy(three))
    np.testing.assert_allclose(np.asarray(bits)[masks], expected, atol=1e-5)


@pytest.mark.parametrize("estimator", [gaussian, copula])
def test_many_messages_equal_each_alone(rng, three, numbers, layer, strata, estimator):
    layers = np.stack([layer, layer[::-1]])[:, None]
    for message in (three, numbers):
        messages = np.stack([rng.permutation(message) for _ in range(30)])
        bits = estimator(messages, layers, given=strata)
        assert bits.shape == (2, 30, 2**NODES)
        for i, j in ((0, 3), (1, 29)):
            expected = estimator(messages[j], layers[i, 0], given=strata)
            np.testing.assert_allclose(bits[i, j], expected, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimate", "estimator"), [(estimate_gaussian, gaussian), (estimate_copula, copula)], ids=["gaussian", "copula"]
)
def test_stacks_equal_single_calls(rng, three, numbers, layer, strata, estimate, estimator):
    messages = {"y": (three > 0, None), "z": (strata > 1, None), "k": (three, strata), "c": (numbers, numbers[:, :1])}
    messages = messages if estimator is gaussian else {name: messages[name] for name in "kc"}  # each kind once
    permuted, order = {}, rng.permutation(N)
    for name, (values, given) in messages.items():
        m = as_message(values, given, samples=N)
        permuted[name] = Message(jnp.stack([m.values, m.values[order]]), m.given, m.classes, m.strata)
    layers = jnp.asarray(np.stack([layer, layer[::-1]]))
    members, done = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1]], bool), []
    found = estimate(layers, permuted, members, groups=(0, 1, 0, 2, 1, 2), advance=done.append)
    for name, (values, given) in messages.items():
        assert found[name].bits.shape == (2, 2, 3)
        for p, s in np.ndindex(2, 2):
            moved = values[order] if p else values
            expected = estimator(moved, layers[s], given=given, groups=(0, 1, 0, 2, 1, 2))[jnp.array([0, 5, 7])]
            np.testing.assert_allclose(found[name].bits[p, s], expected, atol=3e-6)
    assert sum(done) == len(messages) * 2 * 3


def test_under_jit_the_same(three, numbers, layer, strata):
    about, classes, floats = as_message(three, strata), jnp.asarray(three), jnp.asarray(numbers[:, 0], jnp.float32)

    @jax.jit
    def inside(about, classes, floats, x):
        return gaussian(about, x), copula(about, x), gaussian(classes, x, classes=3), gaussian(floats, x)

    found = inside(about, classes, floats, jnp.asarray(layer))
    np.testing.assert_allclose(found[0], gaussian(three, layer, given=strata), atol=1e-6)
    np.testing.assert_allclose(found[1], copula(three, layer, given=strata), atol=1e-5)
    np.testing.assert_allclose(found[2], gaussian(three, layer), atol=1e-6)
    np.testing.assert_allclose(found[3], gaussian(numbers[:, 0], layer), atol=1e-5)


def scores(x):
    return norm.ppf(rankdata(x, axis=0) / (len(x) + 1))


def test_copula_is_the_gaussian_of_scores_whatever_the_monotone_map(three, numbers, layer, strata):
    """Of Φ⁻¹(rank / (N + 1)), as Ince et al. 2017 have it: to 1e-6 by determinants in double precision."""
    x = np.maximum(layer[:, [0, 1, 3, 2, 0, 4]], 0)  # ties, copies, a constant
    for message in (three, numbers):
        own = message if message is three else scores(message)
        np.testing.assert_allclose(copula(message, x), gaussian(own, scores(x)), atol=1e-5)
        mapped = message if message is three else np.cbrt(numbers)
        np.testing.assert_allclose(copula(mapped, x**3 + x), copula(message, x), atol=1e-6)
    expected = determinant_bits(scores(numbers), scores(x), SUBSETS)
    np.testing.assert_allclose(copula(numbers, x), expected, atol=1e-6)
    within = [np.empty_like(x), numbers.copy()]
    for a, own in zip(within, (x, numbers), strict=True):
        for stratum in range(3):
            a[strata == stratum] = scores(own[strata == stratum])
    expected = gaussian(within[1], within[0], given=strata)
    np.testing.assert_allclose(copula(numbers, x, given=strata), expected, atol=1e-5)


def test_ties_share_ranks_however_the_rows_are_ordered(rng):
    message = np.sort(rng.integers(0, 2, N))  # rows in the order of the label
    unit = np.maximum(rng.normal(size=(N, 1)) - 1, 0)
    assert float(copula(message, unit)[1]) < 10 / (2 * N * np.log(2))


SMALL = {"beam": 10, "restarts": 0}  # of five other nodes there are at most ten subsets of a size: all are seen


@pytest.mark.slow
def test_searched_flows_are_certified_for_any_message(three, numbers, layer):
    given = numbers[:, :1] + layer[:, 1:2]
    for message, options in ((three, {}), (numbers[:, 1], {"given": given})):  # ``test_search_given`` has others
        bits = np.asarray(gaussian(message, layer, **options))
        best = np.asarray(node_flows(bits)[0])
        flows, witnesses = search_flows(message, layer, **SMALL, **options)
        masks = np.asarray(witnesses) @ 2 ** np.arange(NODES)
        for node, (flow, mask) in enumerate(zip(flows, masks, strict=True)):
            assert float(flow) == pytest.approx(float(bits[mask | 1 << node] - bits[mask]), abs=1e-5)
        np.testing.assert_allclose(flows, best, atol=1e-5)


def test_noise_floor_of_any_message_stays_within_strata(rng, strata):
    """A message that its stratum determines cannot be moved; one that depends on it is moved within it."""
    x = rng.normal(size=(N, 3)) + strata[:, None]
    key = jax.random.key(0)
    assert float(noise_floor(strata, x, key=key, given=strata)) == 0
    floor = float(noise_floor(strata + rng.normal(size=N), x, key=key, given=strata, groups=[0, 1, 0]))
    assert 0 < floor < 20 / (2 * N * np.log(2))
    assert float(noise_floor(rng.normal(size=(N, 2)), x, key=key, given=x[:, 0])) < 20 / (2 * N * np.log(2))


@pytest.mark.parametrize(
    ("message", "options", "says"),
    [
        (np.array([0, 1, -1]), {}, "below 1000"),
        (np.array([0.5, np.nan, 1]), {}, "message holds NaN"),
        (np.array([0, 1, 5]), {"classes": 3}, "classes up to 5"),
        (np.array([0, 1, 2]), {"given": [0, 1]}, "given must hold one value"),
        (np.array([0, 1, 2]), {"groups": [0, 2]}, "between 0 and 1"),
        (np.array([0, 1, 2]), {"groups": [1, 1]}, "leave node 0 without columns"),
        (np.array([0, 1, 2]), {"groups": [0]}, "each of the 2 columns"),
    ],
)
def test_bad_messages_are_refused_in_one_line(message, options, says):
    with pytest.raises(InputError, match=says):
        gaussian(message, np.arange(6.0).reshape(3, 2), **options)


def test_limits_are_the_entropy_of_the_message(three, strata, layer):
    copies = np.column_stack([layer[:, :4], indicators(three)])
    expected = float(uncertainty(as_message(three, strata)))
    assert float(gaussian(three, copies, given=strata)[-1]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("name", "strata"), [("gaussian", 1), ("gaussian", 2), ("quadratic", 1), ("by hand", 2)])
def test_rows_of_no_stratum_are_as_if_they_were_not_there(rng, name, strata):
    """Stratum −1: whether it holds the rows or they are taken out, the bits are the same."""

    def by_hand(message, activations, *, given=None):
        return np.array([0, np.corrcoef(message + given, activations[:, 0])[0, 1]])

    spec = spec_of(by_hand if name == "by hand" else name)
    given, values = rng.integers(-1, strata, 300), rng.integers(0, 2, 300)
    layer = (rng.normal(size=(300, 1)) + values[:, None]).astype(np.float32)

    def bits(rows):
        own = Message(jnp.asarray(values[None, rows], jnp.int32), jnp.asarray(given[rows], jnp.int32), 2, strata)
        members = np.array([[False], [True]])
        return spec.estimate(jnp.asarray(layer[None, rows]), {"m": own}, members)["m"].bits

    assert bits(slice(None))[0, 0, 1] > 0.05
    np.testing.assert_allclose(bits(slice(None)), bits(given >= 0), atol=1e-6)
