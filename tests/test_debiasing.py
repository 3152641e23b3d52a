"""Debiasers: what each promises, as laws; LEACE against its formula in NumPy, thresholds against fairlearn's own."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from given_logits import outputs_of_logits

from jaxflow import InputError, as_message, gaussian, map_networks, mlp, network
from jaxflow.debiasing import (
    DEBIASERS,
    Sample,
    Task,
    bias_descent,
    bias_penalty,
    debiased_outputs,
    decision_gap,
    descent,
    erase,
    group_thresholds,
    leace,
    probability_gap,
    reweighing,
)
from jaxflow.gaps import logit_gap
from jaxflow.training import Training, train_many

NETWORK = mlp(hidden=(3,))
ROWS = 400
TRAINING = Training(learning_rate=0.1, epochs=4, batch_size=20)


@pytest.fixture(scope="module")
def rows():
    """Label and group go together, and features tell both; three draws: to train on, to choose on, to report on."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 3 * ROWS)
    z = np.where(rng.random(3 * ROWS) < 0.8, y, 1 - y)
    x = rng.normal(size=(3 * ROWS, 3)) + np.column_stack([1.5 * y, 3 * z, np.zeros(3 * ROWS)])
    parts = (slice(start * ROWS, (start + 1) * ROWS) for start in range(3))
    return [Sample(jnp.asarray(x[own], jnp.float32), as_message(y[own]), as_message(z[own])) for own in parts]


@pytest.fixture(scope="module")
def params(rows):
    """Of three networks."""
    return train_many(jax.random.key(0), 3, NETWORK, rows[0].x, rows[0].label, TRAINING).params


def one(params, k=0):
    return jax.tree.map(lambda leaf: leaf[k], params)


def logits_of(params, x):
    return NETWORK.activations(params, x)[-1]


def trained(rows, **how):
    return train_many(jax.random.key(0), 3, NETWORK, rows.x, rows.label, TRAINING, **how).params


# Gaps


def test_gaps_by_hand():
    logits = jnp.array([[1.0, 0, 2], [3, 0, 0], [0, 0, 0], [0, 6, 0]])
    z = as_message([0, 0, 1, 2])
    margins = np.array([[0, -1.5, 1.5], [3, -1.5, -1.5], [0, 0, 0], [-3, 6, -3]])
    means = np.stack([margins[:2].mean(axis=0), margins[2], margins[3]])
    np.testing.assert_allclose(logit_gap(logits, z), np.ptp(means, axis=0).max(), rtol=1e-6)
    apart = as_message([0, 1, 0, 1], given=[0, 0, 1, 1])
    np.testing.assert_allclose(logit_gap(logits, apart), np.abs(margins[::2] - margins[1::2]).max(), rtol=1e-6)
    left_out = replace(apart, given=np.array([0, 0, -1, -1]))
    np.testing.assert_allclose(logit_gap(logits, left_out), np.abs(margins[0] - margins[1]).max(), rtol=1e-6)


@pytest.mark.parametrize("gap", [logit_gap, probability_gap])
def test_a_group_without_rows_adds_no_gap_and_no_nan(gap):
    logits = jnp.array([[0.0, 1], [0, 4], [0, 4]])
    value, slope = jax.value_and_grad(gap)(logits, as_message([1, 1, 1], classes=3))
    assert value == 0
    assert jnp.all(slope == 0)
    value, slope = jax.value_and_grad(gap)(logits, as_message([0, 2, 2]))
    np.testing.assert_allclose(value, gap(logits, as_message([0, 1, 1])), rtol=1e-6)
    assert jnp.all(jnp.isfinite(slope))


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 3])
def test_decision_gaps_are_those_of_outputs(rng, groups):
    y, z, logits = rng.integers(0, 2, 300), rng.integers(0, groups, 300), rng.normal(size=(300, 2))
    logits[:, 1] += 0.3 * z * (1 + y)
    outputs = outputs_of_logits(logits, {"y": y, "z": z})
    about, logits = as_message(z), jnp.asarray(logits, jnp.float32)
    np.testing.assert_allclose(100 * decision_gap(logits, about), abs(outputs["parity_gap"]), rtol=1e-5)
    given = as_message(z, given=y)
    np.testing.assert_allclose(100 * decision_gap(logits, given), outputs["odds_gap"], rtol=1e-5)
    assert jnp.isnan(decision_gap(logits.at[0, 0].set(jnp.nan), about))
    single = logits[:, 1:] - logits[:, :1]
    for gap in (decision_gap, logit_gap, probability_gap):
        np.testing.assert_allclose(gap(single, about), gap(logits, about), rtol=1e-4)


def test_numbers_have_no_groups():
    for refused in (np.linspace(0, 1, 4), as_message([0, 1, 0, 1], given=np.linspace(0, 1, 4))):
        with pytest.raises(InputError, match="numbers have no groups"):
            probability_gap(jnp.zeros((4, 2)), refused)


# Reweighing and a penalty, in training


def test_weighted_label_and_attribute_are_independent(rng):
    y = rng.integers(0, 3, 500)
    z = np.minimum(y, rng.integers(0, 3, 500))
    y[:9], z[:9] = np.divmod(np.arange(9), 3)  # no cell is empty
    weights = np.asarray(reweighing(y, z), float)
    joint = np.zeros((3, 3))
    np.add.at(joint, (y, z), weights / len(y))
    np.testing.assert_allclose(joint, np.outer(np.bincount(y), np.bincount(z)) / len(y) ** 2, atol=1e-6)
    assert weights.mean() == pytest.approx(1, abs=1e-6)
    unrelated = np.arange(12) % 2, np.arange(12) // 2 % 3
    np.testing.assert_allclose(reweighing(*unrelated), 1, rtol=1e-6)


def test_the_weights_of_rows_and_labels_that_do_not_fit_are_refused(rows):
    with pytest.raises(InputError, match="nothing given"):
        reweighing(np.arange(4) % 2, as_message([0, 1, 0, 1], given=[0, 0, 1, 1]))
    with pytest.raises(InputError, match="every row"):
        reweighing(np.arange(4) % 2, np.arange(6) % 2)
    for weights in (np.ones(ROWS - 1), -np.ones(ROWS)):
        with pytest.raises(InputError, match="weights must hold"):
            trained(rows[0], weights=weights)
    with pytest.raises(InputError, match="penalty is about"):
        trained(rows[0], penalty=bias_penalty(np.arange(ROWS - 1) % 2))
    with pytest.raises(InputError, match="strength"):
        trained(rows[0], penalty=bias_penalty(rows[0].attribute, -1.0))


@pytest.mark.slow
def test_reweighing_and_a_penalty_lower_the_gap_on_other_rows(rows, params):
    """Of the same networks, from the same initialisations and shuffles; a penalty of strength 0 is none."""

    def gaps(params):
        return np.asarray(jax.vmap(lambda own: probability_gap(logits_of(own, rows[2].x), rows[2].attribute))(params))

    before = gaps(params)
    assert (gaps(trained(rows[0], weights=reweighing(rows[0].label, rows[0].attribute))) < 0.9 * before).all()
    assert (gaps(trained(rows[0], penalty=bias_penalty(rows[0].attribute, 10.0))) < 0.6 * before).all()
    nothing = trained(rows[0], penalty=bias_penalty(rows[0].attribute, 0.0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), nothing, params)


# LEACE


def leace_by_definition(x, indicators):
    """h − W⁺ P W (h − μ) in double precision, by eigenvectors of the covariance."""
    x, indicators = x.astype(float), indicators - indicators.mean(axis=0)
    centred = x - x.mean(axis=0)
    sizes, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    vectors, sizes = vectors[:, sizes > 1e-9 * sizes.max()], sizes[sizes > 1e-9 * sizes.max()]
    white, back = (vectors * sizes**power @ vectors.T for power in (-0.5, 0.5))
    told = np.linalg.svd(white @ centred.T @ indicators / len(x), full_matrices=False)
    told = told[0][:, told[1] > 1e-6]
    return x - centred @ white.T @ told @ told.T @ back.T


@pytest.fixture(scope="module")
def layer():
    """Five columns of different sizes far off 0, and three classes that they tell."""
    rng = np.random.default_rng(2)
    z = rng.integers(0, 3, 200)
    x = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + rng.normal(size=(3, 5))[z]
    return np.float32(x * [1, 10, 0.01, 1, 1] + [0, 50, 0, -7, 0.5]), z


FITTED = jax.jit(leace)  # one program for layers of one shape


def erased(x, z):
    x = jnp.asarray(x, jnp.float32)
    return np.asarray(FITTED(x, as_message(z))(x))


def test_leace_is_belroses_formula_and_erases_gaussian_information(layer):
    x, z = layer
    after = erased(x, z)
    size = x.std(axis=0)
    np.testing.assert_allclose(after / size, leace_by_definition(x, np.eye(3)[z]) / size, atol=2e-5)
    for k in range(3):
        np.testing.assert_allclose(after[z == k].mean(axis=0) / size, x.mean(axis=0) / size, atol=2e-5)
    assert np.max(gaussian(z, x)) > 0.3
    np.testing.assert_allclose(gaussian(z, after), 0, atol=1e-9)  # of every subset, and so are all flows
    assert len(np.unique(np.round(after, 3), axis=0)) > 100  # the rest is still there


def test_leace_is_a_projection_that_knows_no_order_and_no_unit(layer):
    x, z = layer
    after, size = erased(x, z), x.std(axis=0)
    np.testing.assert_allclose(erased(after, z) / size, after / size, atol=2e-5)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(erased(x[:, order], z) / size[order], after[:, order] / size[order], atol=2e-5)
    rows = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(erased(x[rows], z[rows]) / size, after[rows] / size, atol=2e-5)
    units = np.float32([1, 8, 1e4, 1e-4, 3])
    np.testing.assert_allclose(erased(x * units, z) / size / units, after / size, atol=2e-5)


def test_leace_changes_least(layer):
    """In every norm, against other affine maps that leave no covariance: projections along it, oblique at random."""
    x, z = layer
    centred = x.astype(float) - x.mean(axis=0, dtype=float)
    told = np.linalg.svd(centred.T @ np.eye(3)[z] / len(x), full_matrices=False)[0][:, :2]
    change, rng = erased(x, z) - x, np.random.default_rng(3)
    size = x.std(axis=0)
    for _ in range(20):
        across = rng.normal(size=(2, 5)) / size
        other = -centred @ across.T @ np.linalg.inv(told.T @ across.T) @ told.T
        assert abs((centred + other).T @ (np.eye(3)[z] - np.eye(3)[z].mean(axis=0))).max() < 1e-6 * len(x)
        norm = rng.normal(size=(5, 5)) / size[:, None]
        assert np.sum((change @ norm) ** 2) < np.sum((other @ norm) ** 2)


def test_leace_inverts_nothing_singular(layer):
    """A dead and a constant unit stay, also where they are not; near duplicates stay so; all erased leaves nothing."""
    x, z = layer
    near = x[:, 0] - 2 + np.float32(1e-5 * x[:, 0].std()) * x[:, 3]
    singular = np.column_stack([x[:, :2], np.zeros(200), near, np.full(200, 7.0)]).astype(np.float32)
    eraser = FITTED(jnp.asarray(singular), as_message(z))
    after = np.asarray(eraser(jnp.asarray(singular)))
    np.testing.assert_allclose(after[:, 3], after[:, 0] - 2, atol=1e-3)
    np.testing.assert_allclose(gaussian(z, after), 0, atol=1e-9)
    assert np.abs(eraser.matrix).max() < 100  # the near duplicates' difference is not blown up
    awake = singular + np.float32([0, 0, 3, 0, 3])
    np.testing.assert_array_equal(eraser(jnp.asarray(awake))[:, [2, 4]], awake[:, [2, 4]])
    doubled = np.repeat(x[:, :1] - x[:, :1].mean(), 5, axis=1)
    assert np.ptp(erased(doubled, z), axis=0).max() == 0
    np.testing.assert_array_equal(erased(np.zeros((200, 5)), z), 0)


def test_leace_within_strata(layer):
    """Given classes, means are equal in every stratum, and unconditional information may stay."""
    x, z = layer
    given = np.arange(200) % 2
    x = x + np.float32(x.std(axis=0) * (2 * given * (z == 0))[:, None])
    after = np.asarray(FITTED(jnp.asarray(x), as_message(z, given=given))(jnp.asarray(x)))
    np.testing.assert_allclose(gaussian(z, after, given=given), 0, atol=1e-9)
    assert np.max(gaussian(z, x, given=given)) > 0.3


@pytest.mark.parametrize("layer", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_an_erased_layer_is_the_same_network_with_other_parameters(rows, params, layer):
    """The logits are those of erased activations; where they are linear in them, they show nothing of the attribute."""
    x, z = rows[1].x, rows[1].attribute
    after = map_networks(lambda own: erase(NETWORK, own, rows[1], layer), params)
    for k in range(2):
        own = one(params, k)
        h = leace_by_definition(np.asarray(NETWORK.activations(own, x)[layer]), np.eye(2)[z.values])
        for number in range(layer, 2):
            h = h @ np.asarray(own[f"layer_{number}"]["kernel"]) + np.asarray(own[f"layer_{number}"]["bias"])
            h = np.where(h > 0, h, 0.01 * h) if number == 0 else h
        np.testing.assert_allclose(logits_of(one(after, k), x), h, atol=2e-4)
        if layer == 1:
            assert np.max(gaussian(z, logits_of(own, x))) > 0.1
            np.testing.assert_allclose(gaussian(z, logits_of(one(after, k), x)), 0, atol=1e-6)


def test_leace_of_a_network_of_ones_own(rows, params):
    """Transposed kernels and named biases; without biases there is nowhere to put the mean."""
    own = {
        "w": [params[f"layer_{n}"]["kernel"][0].T for n in range(2)],
        "b": [params[f"layer_{n}"]["bias"][0] for n in range(2)],
    }

    def activations(params, x):
        h = x @ params["w"][0].T + params["b"][0][None]
        h = jnp.where(h > 0, h, 0.01 * h)
        return x, h, h @ params["w"][1].T + params["b"][1][None]

    make = partial(network, activations, lambda params: params["w"], transposed=True)
    after = erase(make(biases=lambda params: params["b"]), own, rows[1], -1)
    same = erase(NETWORK, one(params), rows[1], -1)
    np.testing.assert_allclose(after["w"][1].T, same["layer_1"]["kernel"], atol=1e-5)
    np.testing.assert_allclose(after["b"][1], same["layer_1"]["bias"], atol=1e-5)
    with pytest.raises(InputError, match="biases"):
        erase(make(), own, rows[1], -1)
    with pytest.raises(InputError, match="nodes of several"):
        erase(make(groups=[None, (0, 0, 1), None]), own, rows[1], -1)
    with pytest.raises(InputError, match="layer"):
        erase(NETWORK, one(params), rows[1], 2)


# Bias gradient descent


def test_a_step_takes_its_share_off_a_linear_bias(rows):
    """Without hidden layers the gap of mean margins is linear in the parameters, whatever their scale."""

    @jax.jit
    def bias(leaves):
        return logit_gap(rows[0].x @ leaves[0] + leaves[1][None], rows[0].attribute)

    leaves = [100 * jax.random.normal(jax.random.key(1), (3, 2)), jnp.ones(2)]
    np.testing.assert_allclose(bias(descent._stepped(bias, leaves, 0.25)), 0.75 * bias(leaves), rtol=1e-4)
    still = descent._stepped(lambda leaves: 0 * bias(leaves), leaves, 0.25)
    jax.tree.map(np.testing.assert_array_equal, still, leaves)


def test_bias_descent_lowers_the_gap_of_decisions_on_other_rows(rows, params):
    after = map_networks(lambda own: bias_descent(NETWORK, own, *rows[:2], most=20.0, steps=60), params)
    for k in range(3):
        before, chosen = (
            100 * decision_gap(logits_of(one(own, k), rows[2].x), rows[2].attribute) for own in (params, after.params)
        )
        assert before > 30
        assert chosen < 0.6 * before
        gap, accuracy, step = after.gap[k], after.accuracy[k], int(after.step[k])
        assert (gap <= 20).any()
        assert step == np.argmax(np.where(gap <= 20, accuracy, -1))  # the first of the most accurate
        np.testing.assert_allclose(
            100 * decision_gap(logits_of(one(after.params, k), rows[1].x), rows[1].attribute), gap[step], atol=0.3
        )


def test_bias_descent_leaves_alone_what_shows_no_bias(rows, params):
    """Nothing to choose for: the network as it was is as good as any, and the first of equals is kept."""
    still = params | {"layer_1": jax.tree.map(jnp.zeros_like, params["layer_1"])}
    after = map_networks(lambda own: bias_descent(NETWORK, own, *rows[:2], most=20.0, steps=60), still)
    np.testing.assert_array_equal(after.step, 0)
    jax.tree.map(np.testing.assert_array_equal, after.params, still)


# Thresholds


@pytest.mark.parametrize("notion", ["parity", "odds", "opportunity"])
def test_thresholds_decide_as_fairlearns_own(rng, notion):
    """Of an estimator of scikit-learn's, whose scores are the difference of our logits; on rows that did not choose."""
    processing = pytest.importorskip("fairlearn.postprocessing", reason="needs fairlearn: pip install '.[test]'")
    from sklearn.linear_model import LogisticRegression

    y, z = rng.integers(0, 2, 400), rng.integers(0, 3, 400)
    x = rng.normal(size=(400, 2)) + np.column_stack([y, 0.7 * z])
    model = LogisticRegression().fit(x, y)
    constraints = {"parity": "demographic_parity", "odds": "equalized_odds", "opportunity": "true_positive_rate_parity"}
    theirs = processing.ThresholdOptimizer(
        estimator=model, constraints=constraints[notion], prefit=True, predict_method="decision_function"
    ).fit(x[:200], y[:200], sensitive_features=z[:200])
    scores = model.decision_function(x)
    logits = np.column_stack([np.zeros(400), scores])
    ours = group_thresholds(logits[:200], as_message(y[:200]), z[:200], notion)
    expected = theirs.predict(x[200:], sensitive_features=z[200:], random_state=5)
    np.testing.assert_array_equal(ours.decide(logits[200:], as_message(z[200:]), seed=5), expected)
    np.testing.assert_array_equal(ours.decide(scores[200:, None], z[200:], seed=5), expected)


def test_thresholds_that_cannot_be_chosen_are_refused():
    pytest.importorskip("fairlearn.postprocessing", reason="needs fairlearn: pip install '.[test]'")
    logits, y = np.column_stack([np.zeros(8), np.arange(8.0)]), np.arange(8) % 2
    with pytest.raises(InputError, match="Degenerate labels"):
        group_thresholds(logits, y, y)
    with pytest.raises(InputError, match="two classes"):
        group_thresholds(logits, np.arange(8) % 3, y)
    with pytest.raises(InputError, match="finite logits"):
        group_thresholds(np.zeros((2, 8, 2)), y, y)
    with pytest.raises(InputError, match="outside of jit"):
        jax.jit(lambda own: group_thresholds(own, y, y))(jnp.asarray(logits))
    chosen = group_thresholds(logits, y, np.arange(8) // 4)
    with pytest.raises(InputError, match="group 2"):
        chosen.decide(logits, np.full(8, 2))
    with pytest.raises(InputError, match="8 rows"):
        chosen.decide(logits, [0, 1])


# All of them


@pytest.mark.slow
@pytest.mark.parametrize("notion", ["parity", "odds"])
def test_all_debiasers_side_by_side(rows, params, notion):
    """Every one lowers the gap that it is told to; unchanged networks are those of ``measure_outputs``."""
    pytest.importorskip("fairlearn.postprocessing", reason="needs fairlearn: pip install '.[test]'")
    if notion == "odds":
        rows = [replace_attribute(own) for own in rows]
    task = Task(NETWORK, params, jax.random.key(0), TRAINING, *rows, notion)
    outputs = debiased_outputs(task)
    assert list(outputs) == list(DEBIASERS)
    gap = "parity_gap" if notion == "parity" else "odds_gap"
    before = outputs.pop("unchanged")
    alone = outputs_of_logits(
        logits_of(one(params), rows[2].x), {"y": rows[2].label.values, "z": rows[2].attribute.values}
    )
    assert set(before) == set(alone)
    for name in alone if notion == "parity" else (gap, "accuracy"):
        np.testing.assert_allclose(before[name][0], alone[name], rtol=1e-4, err_msg=name)
    for name, after in outputs.items():
        assert np.mean(np.abs(after[gap])) < np.mean(np.abs(before[gap])), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["leace", "descent"])
def test_nothing_is_chosen_on_the_reported_rows(rows, params, name):
    """Other labels and groups of these change no logit."""
    others = Sample(rows[2].x, *(as_message(np.roll(own.values, 1)) for own in rows[2][1:]))
    task = Task(NETWORK, params, jax.random.key(0), TRAINING, *rows)
    ours, theirs = (DEBIASERS[name](task._replace(reported=own)) for own in (rows[2], others))
    np.testing.assert_array_equal(ours, theirs)


def test_a_notion_that_the_attributes_do_not_have_is_refused(rows, params):
    task = Task(NETWORK, params, jax.random.key(0), TRAINING, *rows, "odds")
    with pytest.raises(InputError, match="condition the attributes"):
        debiased_outputs(task, {})


def replace_attribute(rows):
    return rows._replace(attribute=as_message(rows.attribute.values, given=rows.label.values))
