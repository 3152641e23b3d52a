"""Permutation p-values and honest flows: what they promise under the null hypothesis and of Gaussian layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma, erf

from jaxflow import InputError, ThinCellsWarning, as_message, honest_flows, node_flows, significance
from jaxflow.inference.evidence import evidence_of, honest_of_layer
from jaxflow.inference.honest import equal_halves, intervals, spread_of
from jaxflow.inference.permutations import step_down
from jaxflow.information import copula, gaussian
from jaxflow.information.specs import as_they_are

N, NODES = 200, 3
KEY = jax.random.key(0)


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, N)


@pytest.fixture
def layer(rng, message):
    """One node that tells the message, one that does not, one that is dead."""
    return np.column_stack([message + rng.normal(size=N), rng.normal(size=N), np.zeros(N)]).astype(np.float32)


# --- significance ----------------------------------------------------------------------------------------------------


def plain_step_down(flow, drawn):
    """Westfall and Young's algorithm 4.1, one comparison after another."""
    order = sorted(range(len(flow)), key=lambda node: -flow[node])
    adjusted, before = np.zeros(len(flow)), 0
    for j, node in enumerate(order):
        reached = sum(max(row[k] for k in order[j:]) >= flow[node] for row in drawn)
        before = max(before, (1 + reached) / (1 + len(drawn)))
        adjusted[node] = before
    return adjusted


@pytest.mark.parametrize("values", [1000, 3])
def test_step_down_is_the_plain_loop_with_and_without_ties(rng, values):
    flow, drawn = rng.integers(0, values, 7) / 8, rng.integers(0, values, (50, 7)) / 8
    np.testing.assert_array_equal(step_down(flow, drawn), plain_step_down(flow, drawn))
    order = rng.permutation(7)
    np.testing.assert_array_equal(step_down(flow[order], drawn[:, order]), step_down(flow, drawn)[order])


def test_p_values_are_the_counts_of_the_formula(message, layer, rng):
    """With surrogates of the caller's, every number follows from ``gaussian`` and ``node_flows``."""
    surrogates = np.stack([rng.permutation(message) for _ in range(39)])
    found = significance(KEY, message, layer, permutations=surrogates)
    flow, witness = node_flows(gaussian(message, layer))
    drawn = np.asarray(node_flows(gaussian(surrogates, layer))[0])
    np.testing.assert_allclose(found.flow, flow, atol=1e-6)
    np.testing.assert_array_equal(found.witness, witness)
    np.testing.assert_allclose(found.p, (1 + np.sum(drawn >= np.asarray(flow), axis=0)) / 40)
    np.testing.assert_allclose(found.p_max, plain_step_down(np.asarray(flow), drawn))
    assert float(found.null95) == pytest.approx(np.percentile(drawn, 95), abs=1e-6)


def test_p_is_never_zero_and_a_dead_node_has_one(message, layer):
    found = significance(KEY, message, layer, permutations=39)
    assert found.p[0] == found.p_max[0] == 1 / 40
    assert found.p[2] == found.p_max[2] == 1
    assert np.all(found.p_max >= found.p)
    constant = significance(KEY, 0 * message, layer, permutations=39)
    np.testing.assert_array_equal(constant.p, 1)


def test_a_surrogate_that_is_the_message_ties_with_it(message, layer):
    """Equal messages have equal flows to the bit, wherever they stand among the permutations."""
    found = significance(KEY, message, layer, permutations=np.stack([message] * 39))
    np.testing.assert_array_equal(found.p, 1)
    np.testing.assert_array_equal(found.p_max, 1)


def test_layers_of_a_stack_are_one_family(message, layer, rng):
    """p of every node is that of its layer alone; p_max steps down over the nodes of all layers."""
    layers = np.stack([layer, rng.normal(size=layer.shape).astype(np.float32), layer[:, ::-1]])
    surrogates = np.stack([rng.permutation(message) for _ in range(39)])
    found = significance(KEY, message, layers, permutations=surrogates)
    drawn = np.concatenate([node_flows(gaussian(surrogates, own))[0] for own in layers], axis=1)
    assert found.flow.shape == (3, NODES)
    assert found.null95.shape == (3,)
    np.testing.assert_allclose(found.p_max.ravel(), plain_step_down(found.flow.ravel(), drawn))
    for own, p, null95 in zip(layers, found.p, found.null95, strict=True):
        alone = significance(KEY, message, own, permutations=surrogates)
        np.testing.assert_array_equal(p, alone.p)
        assert float(null95) == pytest.approx(float(alone.null95), abs=1e-6)


def test_under_the_null_p_is_uniform_and_p_max_errs_in_alpha_of_the_layers(rng):
    """1,000 layers that know nothing: P(p ≤ α) ≤ α for every node, P(some p_max ≤ α) ≤ α, within four errors."""
    layers, B, alpha = 1000, 19, 0.1
    activations = rng.normal(size=(layers, N, NODES)).astype(np.float32)
    messages = rng.integers(0, 2, (layers, B + 1, N))  # independent rows: permutations in distribution
    flows = jax.vmap(lambda m, x: node_flows(gaussian(m, x, classes=2))[0])(jnp.asarray(messages), activations)
    flows = np.asarray(flows)
    p = (1 + np.sum(flows[:, 1:] >= flows[:, :1], axis=1)) / (B + 1)
    some = np.mean([step_down(own[0], own[1:]).min() <= alpha for own in flows])
    error = 4 * np.sqrt(alpha * (1 - alpha) / layers)
    assert np.abs(np.mean(p <= alpha, axis=0) - alpha).max() < error
    assert np.abs(np.mean(p <= 0.5, axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(layers)
    assert alpha - error < some < alpha + error


def test_rows_change_places_within_sessions_only(rng):
    """A message that its session determines cannot be moved: every permutation ties, p = 1."""
    session = np.arange(N) % 4
    message = session % 2
    layer = (message + 0.1 * rng.normal(size=N))[:, None]
    free = significance(KEY, message, layer, permutations=19)
    bound = significance(KEY, message, layer, within=session, permutations=19)
    assert free.p[0] == 1 / 20
    assert bound.p[0] == 1


def test_given_classes_bound_the_permutations_and_condition_the_flow(rng, message):
    """A node that knows only G: it has a flow about M, and none given G."""
    given = np.where(rng.random(N) < 0.8, message, 1 - message)
    layer = (given + 0.3 * rng.normal(size=N))[:, None].astype(np.float32)
    assert significance(KEY, message, layer, permutations=19).p[0] == 1 / 20
    found = significance(KEY, message, layer, given=given, permutations=19)
    assert found.p[0] > 0.05
    np.testing.assert_allclose(found.flow, node_flows(gaussian(message, layer, given=given))[0], atol=1e-6)
    assert significance(KEY, message, layer, given=message, permutations=19).p[0] == 1


@pytest.mark.parametrize("estimator", ["copula", "quadratic"])
def test_other_estimators_have_null_distributions_of_their_own(message, layer, estimator):
    found = significance(KEY, message, layer, estimator=estimator, permutations=19)
    assert found.p[0] == 1 / 20
    assert found.p[1] > 1 / 20


def test_numbers_groups_and_an_estimator_of_ones_own(rng, layer):
    numbers = layer[:, 0] + rng.normal(size=N)
    found = significance(KEY, numbers, layer, groups=[0, 1, 1], permutations=19)
    assert found.p.shape == (2,)
    assert found.p[0] == 1 / 20
    own = significance(KEY, numbers, layer, estimator=lambda m, x: np.asarray(gaussian(m, x)), permutations=19)
    np.testing.assert_allclose(own.flow[:2], found.flow, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"message": np.zeros((2, N), int)}, "one message at a time"),
        ({"estimator": "linear-svm"}, "linear-svm has no null distribution: use gaussian, copula or quadratic"),
        ({"within": np.zeros(N - 1)}, "within must hold one number for each"),
        ({"within": np.zeros(N), "permutations": np.zeros((3, N))}, "surrogates of your own are taken as they are"),
        ({"permutations": 0}, "permutations must be between 1 and"),
        ({"permutations": np.zeros((5, N - 1), int)}, "surrogates must be"),
        ({"permutations": np.zeros((0, N), int)}, "surrogates must be"),
        ({"activations": np.zeros((0, N, 3))}, "an axis before the samples is empty"),
        ({"permutations": np.full((5, N), 2)}, "surrogates of a message of 2 classes must hold 0 to 1"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_one_line(message, layer, options, says):
    options = {"message": message, "activations": layer} | options
    with pytest.raises(InputError, match=says) as caught:
        significance(KEY, **options)
    assert "\n" not in str(caught.value)


def test_the_evidence_of_a_run_is_that_of_each_layer(rng):
    """Of many layers at once, every one a family of its own, with flows that tie."""
    flow = np.round(rng.random((51, 5, 4)), 1)
    found = evidence_of(flow)
    np.testing.assert_array_equal(found.p, (1 + np.sum(flow[1:] >= flow[0] - 1e-6, axis=0)) / 51)
    for layer in range(5):
        drawn = flow[1:, layer]
        np.testing.assert_array_equal(found.p_max[layer], plain_step_down(flow[0, layer] - 1e-6, drawn))
        assert float(found.null95[layer]) == pytest.approx(np.percentile(drawn, 95))
    assert all(np.isnan(values).all() for values in evidence_of(flow[:1]))  # without permutations


# --- honest flows ----------------------------------------------------------------------------------------------------


def test_a_flow_lies_within_its_interval_and_tells_what_is_there(message, layer):
    flow, low, high = honest_flows(KEY, message, layer)
    assert np.all(low <= flow)
    assert np.all(flow <= high)
    assert low[0] > 0
    assert low[1] < 0.02
    np.testing.assert_array_equal([flow[2], low[2], high[2]], 0)  # a dead node


def conditional_information(covariance, node, mask):
    """I(M; X_V | X_T) of Gaussian variables in bits; M is the last of them."""
    n = len(covariance) - 1

    def left(nodes):
        about = covariance[nodes, n]
        return covariance[n, n] - about @ np.linalg.solve(covariance[np.ix_(nodes, nodes)], about)

    others = [i for i in range(n) if mask >> i & 1]
    return 0.5 * np.log2(left(others) / left([*others, node]))


def regressed(targets, x, rows):
    """The residuals of a regression with an intercept in some rows, their leverages, and the rank."""
    design = np.column_stack([np.ones(len(rows)), x[rows]])
    residual = targets[rows] - design @ np.linalg.lstsq(design, targets[rows], rcond=1e-6)[0]
    directions, sizes, _ = np.linalg.svd(design, full_matrices=False)
    directions = directions[:, sizes > 1e-6 * sizes[0]]
    return residual, np.sum(directions**2, axis=1), directions.shape[1]


def left_of(targets, x, rows):
    """½ log₂ det of the sum of squares that a regression leaves of the targets in some rows."""
    residual = regressed(targets, x, rows)[0]
    return np.linalg.slogdet(residual.T @ residual)[1] / (2 * np.log(2))


def unevenness(targets, x, less, more, rows, whole):
    """How many times that of residuals of equal size the mean of a projection is: Σ h u² / (1 − g), over its mean."""
    (residual, before, rank), (_, after, larger) = (regressed(targets, x[:, nodes], rows) for nodes in (less, more))
    squares = np.sum(residual @ np.linalg.inv(residual.T @ residual) * residual, axis=1)
    times = np.sum((after - before) * squares / (1 - before)) * (len(rows) - rank)
    times /= max((larger - rank) * targets.shape[1], 1)
    gain, bias = whole
    return 1 + (times - 1) * min(1, 4 * times * bias / gain) if gain > 0 else times


def plain_honest(message, numbers, x, half, masks):
    """Values of all nodes in one half, their biases, and rows' shares, every row left out and everything fitted again.

    The bias is the mean of the logarithm of a Wishart determinant, from SciPy, times how uneven residuals are.
    """
    targets = message if numbers else np.eye(message.max() + 1)[message][:, 1:]
    targets, count = targets.reshape(len(targets), -1).astype(float), len(half)
    values, biases, shares = np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.zeros((x.shape[1], count))
    alive = x.any(axis=0)
    for node, mask in enumerate(masks):
        sets = [[i for i in np.flatnonzero(alive) if nodes >> i & 1] for nodes in (mask, mask | 1 << node)]
        for sign, nodes in zip((-1, 1), sets, strict=True):
            columns = x[:, nodes].astype(float)
            whole = left_of(targets, columns, half)
            freedom = count - 1 - columns.shape[1] - np.arange(targets.shape[1])
            values[node] -= sign * whole
            biases[node] -= sign * digamma(freedom / 2).sum() / (2 * np.log(2))
            without = [left_of(targets, columns, np.delete(half, row)) for row in range(count)]
            shares[node] += sign * (count - 1) * (np.array(without) - whole)
        biases[node] *= unevenness(targets, x.astype(float), *sets, half, (values[node], biases[node]))
    return values - biases, biases, shares


@pytest.mark.parametrize("kind", ["two", "three", "numbers", "strata"])
def test_an_honest_flow_is_what_regressions_row_by_row_give(rng, kind):
    rows = N
    classes = rng.integers(0, 3 if kind == "three" else 2, rows)
    given = rng.integers(0, 2, rows) if kind == "strata" else np.zeros(rows, int)
    x = np.column_stack([classes + rng.normal(size=rows), rng.normal(size=rows), np.zeros(rows)]).astype(np.float32)
    x[:, 1] += 0.5 * x[:, 0]
    x[:, 0] += given * classes  # in one stratum much more is known
    message = x @ [0.5, 1, 0] + rng.normal(size=rows) if kind == "numbers" else classes
    about = as_message(message, given=given) if kind == "strata" else as_message(message)
    narrow = erf(1 / np.sqrt(2))  # one standard error about
    flow, low, high = honest_flows(KEY, about, x, confidence=narrow)
    halves = np.asarray(equal_halves(KEY, about))
    means = [gaussian(message[half], x[half], given=given[half] if kind == "strata" else None) for half in halves]
    expected, bias, variance = np.zeros((3, 3))
    for half, bits in zip(halves, means[::-1], strict=True):
        groups = [half[given[half] == g] for g in range(1 + given.max())]
        parts = [plain_honest(message, kind == "numbers", x, own, np.asarray(node_flows(bits)[1])) for own in groups]
        part = np.array([len(own) / len(half) for own in groups])[:, None]
        values, biases = (np.array([own[k] for own in parts]) for k in range(2))
        mean = np.sum(part * values, axis=0)
        expected, bias = expected + mean / 2, bias + np.sum(part * biases, axis=0) / 2
        # a row has the information of its stratum beside its share in the estimate of it
        within = sum(len(own[2][0]) * own[2].var(axis=1) for own in parts)
        between = len(half) * np.sum(part * (values - mean) ** 2, axis=0)
        variance += (within + between) / (len(half) - 1) / len(half) / 4
    np.testing.assert_allclose(flow, expected, atol=2e-6)
    # on the scale of square roots one standard error reaches as far up as down
    squares, steady = np.maximum(expected + bias, 0), (bias / 16) ** 2
    slope = (variance * squares + 2 * bias * steady) / np.maximum(squares**2 + steady, 1e-30)
    slope = np.minimum(slope, 4 * bias)
    variance = np.maximum(variance, slope * squares)
    square = np.maximum(variance / np.maximum(slope, 1e-30) - bias / 2 + slope / 8, 0)
    zero = square - expected - slope / 4
    expected_low = np.maximum(np.sqrt(square) - np.sqrt(slope) / 2, 0) ** 2 - zero
    expected_high = (np.sqrt(square + slope / 16) + np.sqrt(slope) / 2) ** 2 - zero
    np.testing.assert_allclose(low, np.minimum(expected_low, expected), atol=2e-6)
    np.testing.assert_allclose(high, np.maximum(expected_high, 0), atol=2e-6)


def test_no_lower_end_is_above_zero_whatever_the_data(rng):
    """Where the rows' standard error is as large as half the flow, be their variance a thousand times Gaussian."""
    flow, bias = rng.exponential(size=1000), rng.exponential(size=1000)
    for times in (4, 40, 4000):
        error, slope = spread_of(jnp.asarray(flow), jnp.asarray(bias), jnp.asarray(times * flow**2))
        found = intervals(jnp.asarray(flow), error, slope)
        assert float(found.low.max()) <= 0
        large = times * flow**2 > 10 * bias**2  # a variance that is large by itself widens the interval
        assert np.all((found.high - flow)[large] > 1.9 * np.sqrt(times) * flow[large])
    flow = (bias * rng.uniform(-1, 3, size=1000)).astype(np.float32)
    found = intervals(jnp.asarray(flow), *spread_of(jnp.asarray(flow), jnp.asarray(bias), jnp.asarray(bias**2)))
    ends = np.asarray(found.low) == flow  # lower than any truth can be: the lower end is the estimate itself
    assert 0 < ends.sum() < np.sum(flow < 0)
    assert np.all(flow[ends] < 0)
    assert np.all(np.asarray(found.high)[ends] > 0)


@pytest.mark.parametrize("bias", [1e-3, 1e-7, 1e-25, 0.0])
def test_an_interval_of_nothing_is_finite_and_does_not_follow_rounding(bias):
    """Where the estimate, a square, is 0 but for a part in ten thousand of its bias, the upper end moves as little."""
    squares = jnp.array([0.0, 1e-4]) * bias
    variance = jnp.array([0.0, 1.0]) * 4 * bias * squares  # a quotient that may be anything
    flow = squares - bias
    found = intervals(jnp.asarray(flow), *spread_of(flow, jnp.full(2, bias), variance))
    assert np.all(np.isfinite(np.asarray(found)))
    assert float(found.high[1] - found.high[0]) <= 2e-3 * bias


def test_a_node_that_scatters_where_the_message_is_undecided_knows_nothing(rng):
    """Noise in the rows in which the first node leaves the message open: residuals are largest where it is at work.

    Its information is 0, alone and given the first node. An estimate of it has three times the bias of Gaussian ones.
    """
    errors, flows = [], []
    for number in range(10):
        message = rng.integers(0, 2, N)
        first = 1.3 * (2 * message - 1) + rng.normal(size=(20, N))
        second = rng.normal(size=(20, N)) * (np.abs(first) < 0.3)
        layers = np.stack([first, second, np.zeros((20, N))], axis=-1).astype(np.float32)
        found = honest_flows(jax.random.key(number), message, layers)
        errors.append(found.low[:, 1] > 0)
        flows.append(found.flow[:, 1])
    assert np.mean(errors) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(flows) < 4 * np.std(flows) / np.sqrt(200)


@pytest.mark.parametrize("columns", [2, 4, 20])
def test_intervals_hold_small_information_as_often_as_large(rng, columns):
    """Estimates are squares, χ² less its mean; that their variance is 2 (k + 2 λ) makes the slope 4."""
    for truth in (0.0, 1.0, 4.0, 9.0, 100.0):
        squares = np.sum(rng.normal(np.sqrt(truth / columns), size=(20_000, columns)) ** 2, axis=1)
        flow, error = squares - columns, np.sqrt(4 * np.maximum(squares - columns / 2 + 0.5, 0))
        _, low, high = map(np.asarray, intervals(jnp.asarray(flow), jnp.asarray(error), 4.0))
        above, below = np.mean(low > truth), np.mean(high < truth)
        assert above < 0.03
        assert below < (0.026 if columns == 2 else 0.045)
        assert truth < 9 or above + below > 0.038
        if (columns, truth) == (2, 4.0):
            assert 0.11 < np.mean(flow + 1.96 * np.sqrt(4 * squares) < truth) < 0.13  # by standard errors alone


@pytest.mark.slow
def test_intervals_cover_the_information_of_the_chosen_subsets(rng):
    """Gaussian layers of three nodes, 1,000 rows: of flows above twice their error 95 % are within, four errors about.

    A flow's own error is √(1 − 2^(−2I)) / (√N ln 2), which does not depend on what was drawn.
    """
    covered = []
    for number in range(300):
        key, mixing = jax.random.key(number), rng.normal(size=(NODES, NODES))
        weights = rng.normal(size=NODES) * rng.choice([0, 0.2, 0.5], NODES)
        x = (rng.normal(size=(1000, NODES)) @ mixing).astype(np.float32)
        numbers = x @ weights + rng.normal(size=1000)
        mixed = np.vstack([np.column_stack([mixing, mixing @ weights]), np.eye(NODES + 1)[-1]])
        _, low, high = honest_flows(key, numbers, x)
        truth = np.zeros(NODES)
        for half in equal_halves(key, as_message(numbers)):
            masks = np.asarray(node_flows(gaussian(numbers[half], x[half]))[1])
            truth += [conditional_information(mixed.T @ mixed, *pair) / 2 for pair in enumerate(masks)]
        large = truth > 2 * np.sqrt(1 - 2 ** (-2 * truth)) / np.sqrt(1000) / np.log(2)
        covered += list(((low <= truth) & (truth <= high))[large])
    assert len(covered) > 400
    assert abs(np.mean(covered) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(covered))


def test_of_a_message_that_nodes_do_not_know_the_honest_flow_is_zero_on_average(rng):
    """Where the flow itself, a maximum, is above it in nearly all layers."""
    layers = rng.normal(size=(100, N, NODES)).astype(np.float32)
    numbers = rng.normal(size=N)
    flows = honest_flows(KEY, numbers, layers).flow
    error = flows.mean(axis=1).std() / np.sqrt(len(flows))
    assert abs(flows.mean()) < 4 * error
    assert np.asarray(node_flows(gaussian(numbers, layers))[0]).mean() > 4 * error


def test_few_rows_are_told_and_no_interval_is_above_what_there_is_to_know(rng):
    """Twelve trials of three classes and six units, where a half has as many rows as columns."""
    message, layer = np.arange(12) % 3, rng.normal(size=(12, 6)).astype(np.float32)
    with pytest.warns(ThinCellsWarning, match="half of the message has 2 in class 0"):
        flow, _, high = honest_flows(KEY, message, layer)
    assert float(flow.max()) <= float(high.max()) <= np.log2(3) + 1e-6


def test_of_classes_no_honest_flow_tells_more_than_their_entropy(rng):
    """Columns that determine three classes, alone or together: a regression leaves nothing, and its log no limit."""
    message = rng.integers(0, 3, N)
    layer = rng.normal(size=(N, NODES))
    alone, together = layer.copy(), layer.copy()
    alone[:, :2] = np.eye(3)[message][:, :2] + 1e-3 * layer[:, :2]
    together[:, :2] = np.eye(3)[message][:, :2] + layer[:, 2:]
    for x in (alone, together):
        flow, _, _ = honest_flows(jax.random.key(0), message, x)
        exact = np.asarray(node_flows(gaussian(message, x))[0])
        assert (flow < np.log2(3) + 0.01).all()  # the unbiased estimate of what the others tell may be below 0
        np.testing.assert_allclose(flow, exact, atol=0.15)


@pytest.mark.slow
def test_messages_of_all_shapes_have_honest_flows_side_by_side(rng, message, layer):
    """Numbers and vectors are not of one kind; each has what it has alone."""
    forms = {"y": message, "c": rng.normal(size=N), "v": rng.normal(size=(N, 2)) + layer[:, :1]}
    messages = {name: as_message(values, samples=N) for name, values in forms.items()}
    messages = jax.tree.map(lambda values: jnp.asarray(values, jnp.result_type(values)), messages)
    halves = {name: jnp.asarray(equal_halves(KEY, own)) for name, own in messages.items()}
    found = jax.jit(honest_of_layer, static_argnums=3)(jnp.asarray(layer), messages, halves, as_they_are)
    for name, values in forms.items():
        np.testing.assert_allclose(found[name].flow, honest_flows(KEY, values, layer).flow, atol=2e-6)


def test_wider_confidence_is_a_wider_interval_about_the_same_flow(message, layer):
    narrow, wide = (honest_flows(KEY, message, layer, confidence=level) for level in (0.5, 0.99))
    np.testing.assert_array_equal(narrow.flow, wide.flow)
    assert wide.low[0] < narrow.low[0]
    assert np.all(wide.low <= narrow.low)  # alike where both end at the least value that there is
    assert np.all(wide.high[:2] >= narrow.high[:2])


def test_layers_names_scales_and_node_order_change_nothing(message, layer):
    found = honest_flows(KEY, message, layer)
    stacked = honest_flows(KEY, message, np.stack([layer, layer[:, [2, 0, 1]] * 8 + 4] * 10))
    for own, many in zip(map(np.asarray, found), map(np.asarray, stacked), strict=True):
        assert many.shape == (20, NODES)
        np.testing.assert_allclose(many[0], own, atol=1e-6)
        np.testing.assert_allclose(many[1], own[[2, 0, 1]], atol=1e-5)


def test_given_classes_and_given_numbers_take_away_what_they_explain(rng):
    """X₁ knows only G and X₂ the message besides: about M given G only the second has a flow."""
    given = rng.integers(0, 2, N)
    message = np.where(rng.random(N) < 0.8, given, 1 - given)
    noise = 0.5 * rng.normal(size=(N, 2))
    layer = np.column_stack([given + noise[:, 0], message + noise[:, 1], np.zeros(N)]).astype(np.float32)
    plain = honest_flows(KEY, message, layer)
    assert np.all(plain.low[:2] > 0)
    for condition in (given, given + 1e-3 * rng.normal(size=N)):
        found = honest_flows(KEY, message, layer, given=condition)
        assert found.low[0] <= 0.003
        assert found.low[1] > 0
        expected = node_flows(gaussian(message, layer, given=condition))[0][1]
        assert float(found.low[1]) < float(expected) < float(found.high[1])


@pytest.mark.slow
def test_monotone_maps_of_numbers_change_no_honest_copula_flow(message, layer):
    """Of the message and of what is given; within strata, of each stratum's activations by itself."""

    def flow(about, x, **given):
        return honest_flows(KEY, about, x, estimator="copula", **given).flow

    numbers = layer[:, 0] + layer[:, 1]
    np.testing.assert_allclose(flow(np.exp(4 * numbers), layer), flow(numbers, layer), atol=1e-5)
    np.testing.assert_allclose(
        flow(numbers, layer, given=np.exp(layer[:, 0])), flow(numbers, layer, given=layer[:, 0]), atol=1e-5
    )
    moved = layer + np.float32(100) * message[:, None].astype(np.float32)
    np.testing.assert_allclose(flow(numbers, moved, given=message), flow(numbers, layer, given=message), atol=1e-4)


def test_three_classes_numbers_groups_and_copula(rng):
    message = rng.integers(0, 3, N)
    layer = (np.eye(3)[message] + rng.normal(size=(N, 3))).astype(np.float32)
    numbers = layer @ [1.0, 1.0, 0.0] + rng.normal(size=N)
    for own, options in ((message, {}), (numbers, {}), (message, {"groups": [0, 1, 1]})):
        bits = gaussian(own, layer, **options)
        found = honest_flows(KEY, own, layer, **options)
        flow = np.asarray(node_flows(bits)[0])
        assert np.all(found.low < flow)
        assert np.all(flow < found.high)
    found = honest_flows(KEY, message, layer**3, estimator=copula)
    np.testing.assert_allclose(found.flow, honest_flows(KEY, message, layer, estimator="copula").flow, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"message": np.zeros((2, N), int)}, "one message at a time"),
        ({"estimator": lambda m, x: gaussian(m, x)}, "estimators gaussian, .*, quadratic, not with .*lambda"),
        ({"bound": "fano"}, "gaussian has no bound; it has no options"),
        ({"confidence": 1.0}, "confidence must be"),
        ({"activations": np.zeros((0, N, 3))}, "an axis before the samples is empty"),
        ({"message": [1], "activations": [[0.5, 1.0]]}, "too few rows: at least 2 are needed, got 1"),
    ],
)
def test_what_is_not_honest_is_refused_in_one_line(message, layer, options, says):
    options = {"message": message, "activations": layer} | options
    with pytest.raises(InputError, match=says) as caught:
        honest_flows(KEY, **options)
    assert "\n" not in str(caught.value)
