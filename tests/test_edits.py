"""Edits: the best of all candidates, chosen without a look at the rows that report; recalibration; refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import jaxflow as jf
from jaxflow import InputError, Split
from jaxflow.editing.choosing import Aim, asked_for, best
from jaxflow.editing.edits import stack_both_ways
from jaxflow.editing.preparing import check_setting, data_of, roles_of, rows_of_halves, setting_of
from jaxflow.editing.recalibration import refit
from jaxflow.information import ESTIMATORS
from jaxflow.messages import as_message
from jaxflow.study import Study

NETWORK = jf.mlp(hidden=(3,))
KEY = jax.random.key(0)
STRATEGIES = (("bias/acc", "node", 1), ("bias/acc", "edge", 2), ("magnitude", "node", 2))
FACTORS = (0.5, 0.0)
TINY = {"strategies": STRATEGIES, "factors": FACTORS}


def rows(count=401, seed=0):
    """Three features of a label and an attribute that are correlated."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, count)
    y = np.where(rng.random(count) < 0.3, z, rng.integers(0, 2, count))
    x = rng.normal(size=(count, 3)) + np.column_stack([1.5 * y, 1.2 * z, 0.7 * (y + z)])
    return Split(x.astype(np.float32), {"y": y, "z": z})


SPLIT, TRAIN = rows(), rows(300, 1)
MANY = jf.train_many(KEY, 3, NETWORK, TRAIN.x, TRAIN.messages["y"], jf.Training(0.03, epochs=2)).params
PARAMS = jax.tree.map(lambda leaf: leaf[0], MANY)


def halves(split=SPLIT):
    """The rows of both halves of ``edit(KEY, ...)``."""
    messages = {name: as_message(values) for name, values in split.messages.items()}
    drawn = np.asarray(rows_of_halves(KEY, messages, roles_of(messages, "y", "parity", 1)))
    return [Split(split.x[half], {name: own[half] for name, own in split.messages.items()}) for half in drawn]


def taken(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def nothing_changed(before, after):
    return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True))


# --- the choice ---------------------------------------------------------------------------------------------------


def by_hand(half, measure, allowed):
    """Number of the strategy and factor of the best candidate, from ``measure_pruning`` of one half.

    Args:
        half: the rows that choose.
        measure: what is to become small.
        allowed: measure and accuracy of all candidates, the unedited first, to what the best has least of; inf for
            what does not count.
    """
    flows = jf.network_flows(NETWORK, PARAMS, half.x, half.messages)
    shown = jf.measure_pruning(NETWORK, PARAMS, half.x, half.messages, flows, STRATEGIES, FACTORS)
    plain = jf.measure_outputs(NETWORK, PARAMS, half.x, half.messages)
    value, accuracy = (
        np.append(np.abs(plain[name]), np.abs(shown[name]).ravel()).astype(float)
        for name in (measure, "argmax_accuracy")
    )
    number = int(np.argmin(allowed(value, accuracy)))
    return (-1, 1.0) if number == 0 else ((number - 1) // len(FACTORS), FACTORS[(number - 1) % len(FACTORS)])


@pytest.mark.parametrize(
    ("measure", "asked", "allowed"),
    [
        ("bias", {"at_most": 69.0}, lambda v, a: np.where(v <= 69, -a, np.inf)),
    ],
)
def test_the_edit_is_the_best_of_all_candidates(measure, asked, allowed):
    edit = jf.edit(KEY, NETWORK, PARAMS, SPLIT, measure=measure, **asked, **TINY)
    first, second = halves()
    for own, half in ((edit, first), (edit.exchanged, second)):
        expected = by_hand(half, measure, allowed)
        assert expected[0] >= 0  # an edit is needed
        assert (int(own.ranking), float(own.factor)) == expected
    flows = jf.network_flows(NETWORK, PARAMS, first.x, first.messages)
    metric, method, level = edit.aimed[int(edit.ranking)][1]
    chosen = jf.select(NETWORK, PARAMS, jf.rank(NETWORK, PARAMS, flows, metric, method), level)
    assert nothing_changed(chosen, edit.selection)
    assert nothing_changed(jf.prune(PARAMS, chosen, edit.factor), edit.params)
    for report, params in ((edit.before, PARAMS), (edit.after, edit.params)):
        again = jf.measure_outputs(NETWORK, params, second.x, second.messages)
        np.testing.assert_allclose([report[name] for name in again], list(again.values()), atol=2e-3)


def prepared(points):
    """Setting and rows of a recalibrated, refined edit."""
    messages = {name: as_message(values) for name, values in SPLIT.messages.items()}
    study = Study(NETWORK, roles_of(messages, "y", "parity", 1), ESTIMATORS["gaussian"])
    setting = setting_of(study, Aim("parity_gap", ("z",), keeps_accuracy=True), STRATEGIES, FACTORS, "bias", 2)
    train = jf.editing.candidates.Sample(jnp.asarray(TRAIN.x), {"y": as_message(TRAIN.messages["y"])})
    data = data_of(KEY, jf.editing.candidates.Sample(jnp.asarray(SPLIT.x), messages), train, study, points)
    check_setting(setting, (3, 3, 2), PARAMS, data)
    return setting, data


@pytest.fixture(scope="module")
def refined():
    """Edits of three networks, with what they were chosen from."""
    setting, data = prepared(8.0)
    return setting, data, stack_both_ways(jax.random.split(KEY, 3), MANY, data, setting=setting)


def test_a_choice_never_sees_the_rows_that_report(refined):
    """Other labels and attributes of the reporting half change its report, and not one bit of the choice."""
    setting, data, found = refined
    messages = {
        name: jf.Message(own.values.at[1].set(own.values[1, ::-1]), None, 2)
        for name, own in data.halves.messages.items()
    }
    other = data._replace(halves=data.halves._replace(messages=messages, x=data.halves.x.at[1].multiply(0.5)))
    again = stack_both_ways(jax.random.split(KEY, 3), MANY, other, setting=setting)
    for name in ("params", "multipliers", "ranking", "factor", "reached", "least"):
        first, second = (jax.tree.map(lambda leaf: leaf[:, 0], getattr(own, name)) for own in (found, again))
        assert nothing_changed(first, second), name
    assert not np.array_equal(found.after["parity_gap"][:, 0], again.after["parity_gap"][:, 0])


def test_an_edit_reaches_its_aim_where_it_was_chosen_and_counts_its_own_parameters(refined):
    """The parameters handed out, recalibrated and refined, measured by themselves on both halves."""
    _, _, found = refined
    first, second = halves()
    edited = 0
    for k in range(3):
        params = taken(found.params, (k, 0))
        plain, own = (jf.measure_outputs(NETWORK, p, first.x, first.messages) for p in (taken(MANY, k), params))
        assert own["argmax_accuracy"] >= plain["argmax_accuracy"] - 8 - 1e-3
        np.testing.assert_allclose(abs(own["parity_gap"]), found.least[k, 0], atol=1e-3)
        reported = jf.measure_outputs(NETWORK, params, second.x, second.messages)
        np.testing.assert_allclose(reported["parity_gap"], found.after["parity_gap"][k, 0], atol=1e-3)
        edited += any((np.asarray(own)[k, 0] != 1).any() for own in found.multipliers)
    assert edited


def test_refining_helps_or_does_nothing(refined):
    """Against the same strategy and factor alone, recalibrated."""
    _, _, found = refined
    first, _ = halves()
    gained = []
    for k in range(3):
        params, ranking = taken(MANY, k), int(found.ranking[k, 0])
        flows = jf.network_flows(NETWORK, params, first.x, first.messages)
        if ranking >= 0:
            metric, method, level = STRATEGIES[ranking]
            chosen = jf.select(NETWORK, params, jf.rank(NETWORK, params, flows, metric, method), level)
            params = jf.prune(params, chosen, found.factor[k, 0])
            params = jf.recalibrated(NETWORK, params, TRAIN.x, TRAIN.messages["y"])
        plain = jf.measure_outputs(NETWORK, params, first.x, first.messages)
        gained.append(abs(float(plain["parity_gap"])) - float(found.least[k, 0]))
    assert min(gained) > -1e-3
    assert max(gained) > 0.1


def test_no_edit_is_made_where_the_target_is_met():
    edit = jf.edit(KEY, NETWORK, PARAMS, SPLIT, at_most=100, **TINY)
    assert nothing_changed(edit.params, PARAMS)
    assert (int(edit.ranking), float(edit.factor), bool(edit.reached)) == (-1, 1.0, True)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(edit.selection))
    assert edit.before == edit.after


@pytest.mark.slow
def test_many_networks_are_edited_as_each_alone():
    one = partial(jf.edit, KEY, NETWORK, split=SPLIT, measure="bias", at_most=70, **TINY)
    many = jf.map_networks(lambda params: one(params), MANY)
    for k in (0, 2):
        alone = one(taken(MANY, k))
        assert int(alone.ranking) == int(many.ranking[k])
        assert float(alone.factor) == float(many.factor[k])
        np.testing.assert_allclose(alone.after["bias"], many.after["bias"][k], rtol=1e-5)


@pytest.mark.parametrize(
    ("asked", "value", "accuracy", "expected"),
    [
        ({"at_most": 5}, [9, 5, 4, 3], [80, 70, 75, 60], 2),
        ({"at_most": 5}, [5, 1, 1, 1], [70, 90, 90, 90], 0),  # met already, though others would be better
        ({"at_most": 5}, [9, 4, 3, 3], [80, 75, 75, 75], 2),  # equals: the least measure, then the first
        ({"at_most": 1}, [9, 5, 4, 6], [80, 70, 75, 60], 2),  # not to be reached: the nearest
        ({"keep_accuracy": 5}, [9, 5, 4, 3], [80, 75, 74.9, 90], 3),
        ({"keep_accuracy": 0}, [9, 9, 10, 9], [80, 80, 85, 79], 0),
        ({"at_most": 5}, [9, np.nan, 4, np.nan], [80, 99, 75, np.nan], 2),
        ({"keep_accuracy": 50}, [9, np.nan, 4, 1], [80, 99, 75, np.nan], 2),
    ],
)
def test_the_best_by_hand(asked, value, accuracy, expected):
    aim, limit = asked_for("bias", ("z",), asked.get("at_most"), asked.get("keep_accuracy"))
    numbers = (jnp.array(own, jnp.float32) for own in (value, accuracy, limit))
    assert int(best(aim, *numbers)) == expected


@pytest.mark.slow
def test_an_estimator_that_gets_arrays_edits_too():
    """A plain NumPy function, of bits that fall with the attribute's correlation; several attributes, the worst."""

    def correlation(message, activations):
        columns = np.asarray(activations)[:, [0]] if activations.shape[1] == 1 else np.asarray(activations)
        count = columns.shape[1]
        own = [abs(np.nan_to_num(np.corrcoef(message, column)[0, 1])) for column in columns.T]
        return np.array([max([0.0, *(own[i] for i in range(count) if mask >> i & 1)]) for mask in range(2**count)])

    split = Split(SPLIT.x, SPLIT.messages | {"w": (SPLIT.x[:, 2] > 0.5).astype(int)})
    edit = jf.edit(
        KEY, NETWORK, PARAMS, split, attribute=("z", "w"), keep_accuracy=60, estimator=correlation,
        strategies=[("bias/acc", "node", 1)], factors=[0.0],
    )  # fmt: skip
    first = halves(split)[0]
    candidates = []
    for name in ("z", "w"):
        flows = jf.network_flows(NETWORK, PARAMS, first.x, first.messages, correlation)
        chosen = jf.select(NETWORK, PARAMS, jf.rank(NETWORK, PARAMS, flows, remove=name), 1)
        candidates.append(jf.prune(PARAMS, chosen, 0.0))
    worst = []
    for params in (PARAMS, *candidates):
        shown = jf.measure_outputs(NETWORK, params, first.x, first.messages, correlation)
        worst.append(max(float(shown["bias_z"]), float(shown["bias_w"])))
    expected = (PARAMS, *candidates)[int(np.argmin(worst))]
    assert nothing_changed(edit.params, expected)
    assert set(edit.after) >= {"bias_z", "bias_w", "parity_gap_w"}


# --- recalibration ------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(3)
LABEL = RNG.integers(0, 3, 500)
LOGITS = (RNG.normal(size=(500, 3)) + 1.5 * np.eye(3)[LABEL] + [3.0, -2.0, 0.5]).astype(np.float32)


def loss(logits, label):
    return float(optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits, jnp.float32), label).mean())


@pytest.mark.parametrize("how", ["bias", "scale"])
def test_a_refit_has_no_gradient_left_and_is_what_scipy_finds(how):
    found = refit(jnp.asarray(LOGITS), jnp.asarray(LABEL), how)

    def objective(scale, bias):
        moved = scale * LOGITS + bias[None]
        return optax.softmax_cross_entropy_with_integer_labels(moved, LABEL).mean()

    by_scale, by_bias = jax.grad(objective, (0, 1))(found.scale, found.bias)
    assert np.abs(by_bias).max() < 2e-6
    assert how == "bias" or abs(by_scale) < 2e-6
    assert abs(found.bias.mean()) < 1e-6

    def plain(at):
        own = (at[0] if how == "scale" else 1) * LOGITS.astype(float) + np.array([0.0, *at[1:]])
        return np.mean(np.log(np.exp(own).sum(1)) - own[np.arange(500), LABEL])

    again = minimize(plain, np.array([1.0, 0.0, 0.0]), tol=1e-12).x
    expected = np.array([0.0, *again[1:]])
    np.testing.assert_allclose(found.bias, expected - expected.mean(), atol=1e-3)
    assert how == "bias" or abs(found.scale - again[0]) < 1e-3


def test_scale_and_bias_of_two_logits_are_a_logistic_regression():
    two, label = LOGITS[:, :2], np.minimum(LABEL, 1)
    found = refit(jnp.asarray(two), jnp.asarray(label), "scale")
    model = LogisticRegression(C=np.inf, tol=1e-8).fit(two[:, 1:] - two[:, :1], label)
    np.testing.assert_allclose(found.scale, model.coef_[0, 0], rtol=1e-3)
    np.testing.assert_allclose(found.bias[1] - found.bias[0], model.intercept_[0], rtol=1e-3)
    single = refit(jnp.asarray(two[:, 1:] - two[:, :1]), jnp.asarray(label), "scale")  # one logit is their difference
    np.testing.assert_allclose([single.scale, single.bias[0]], [found.scale, found.bias[1] - found.bias[0]], rtol=1e-4)


@pytest.mark.parametrize("how", ["bias", "scale"])
@pytest.mark.parametrize(
    "logits",
    [LOGITS * 50, LOGITS * 0, LOGITS + 200 * np.eye(3)[0], LOGITS * 1e-4, np.eye(3)[LABEL] * 9],
    ids=["saturated", "silent", "far off", "tiny", "separable"],
)
def test_a_refit_never_lowers_the_likelihood(how, logits):
    found = refit(jnp.asarray(logits, jnp.float32), jnp.asarray(LABEL), how)
    assert np.isfinite(found.scale)
    after = loss(found.of(jnp.asarray(logits, jnp.float32)), LABEL)
    assert after <= loss(logits, LABEL) + 1e-6
    shares = np.bincount(LABEL) / len(LABEL)
    assert after <= -np.sum(shares * np.log(shares)) + 1e-3 or how == "bias"  # at least as good as no logits at all


def own_network(biases=True):
    """One hidden layer, kernels target × source, by plain functions."""
    return jf.network(
        activations=lambda p, x: (x, h := jnp.tanh(x @ p["a"].T + p["c"][None]), h @ p["b"].T + p["d"][None]),
        kernels=lambda p: (p["a"], p["b"]),
        transposed=True,
        biases=(lambda p: (p["c"], p["d"])) if biases else None,
    )


OWN = {
    "a": RNG.normal(size=(4, 3)).astype(np.float32),
    "b": RNG.normal(size=(2, 4)).astype(np.float32),
    "c": RNG.normal(size=4).astype(np.float32),
    "d": np.array([2.0, -1.0], np.float32),
}


@pytest.mark.parametrize("how", ["bias", "scale"])
def test_recalibrated_parameters_show_the_refitted_logits(how):
    network = own_network()
    before = network.activations(OWN, SPLIT.x)[-1]
    params = jf.recalibrated(network, OWN, SPLIT.x, SPLIT.messages["y"], how)
    expected = refit(before, jnp.asarray(SPLIT.messages["y"]), how).of(before)
    np.testing.assert_allclose(network.activations(params, SPLIT.x)[-1], expected, rtol=1e-4, atol=1e-4)
    assert nothing_changed({"a": params["a"], "c": params["c"]}, {"a": OWN["a"], "c": OWN["c"]})
    assert (how == "bias") == bool(np.array_equal(params["b"], OWN["b"]))


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "one of at_most and keep_accuracy, not neither"),
        ({"at_most": 5, "keep_accuracy": 1}, "one of at_most and keep_accuracy, not both"),
        ({"at_most": float("nan")}, "at_most must be a finite number between 0 and 100"),
        ({"keep_accuracy": -1}, "keep_accuracy must be a finite number between 0 and 100"),
        ({"at_most": 5, "attribute": "sex"}, "there is no attribute 'sex'; choose from z, n"),
        ({"at_most": 5, "attribute": "y"}, "there is no attribute 'y'"),
        ({"at_most": 5, "attribute": ()}, "at least one attribute"),
        ({"at_most": 5, "measure": "gap"}, "unknown measure 'gap'; did you mean 'parity_gap' or 'odds_gap'"),
        ({"at_most": 5, "measure": "odds_gap", "attribute": "n"}, "n is numbers, which have no groups"),
        ({"at_most": 5, "label": "n"}, "the label must be one of the messages of classes"),
        ({"at_most": 5, "metrics": ["gradeint"]}, "unknown strategy 'gradeint', .* metrics: did you mean 'gradient'"),
        ({"at_most": 5, "strategies": [("bias/acc", "node", 99)]}, "cannot prune 99 nodes"),
        ({"at_most": 5, "factors": [1.0]}, "one factor beside 1"),
        ({"at_most": 5, "recalibrate": "temperature"}, "unknown way to recalibrate 'temperature'"),
        ({"at_most": 5, "train": (SPLIT.x, {"z": SPLIT.messages["z"]})}, "the training rows need the label y"),
        ({"at_most": 5, "split": SPLIT.x}, "split must be a Split"),
        ({"split": SPLIT, "at_most": 0.0, **TINY}, "no edit brings the bias of z to 0: the least that is possible"),
    ],
)
@pytest.mark.usefixtures("no_types_are_checked")
def test_what_cannot_be_meant_is_refused_in_one_line(changes, says):
    numbers = Split(SPLIT.x, SPLIT.messages | {"n": SPLIT.x[:, 0]})
    with pytest.raises(InputError, match=says) as refusal:
        jf.edit(KEY, NETWORK, PARAMS, **({"split": numbers} | changes))
    assert "\n" not in str(refusal.value)


def test_a_cell_of_one_row_leaves_nothing_for_a_half():
    y = np.where((SPLIT.messages["y"] == 1) & (SPLIT.messages["z"] == 1), 0, SPLIT.messages["y"])
    y[np.flatnonzero(SPLIT.messages["z"] == 1)[0]] = 1
    with pytest.raises(InputError, match="none of y = 1, z = 1, which has 1 row"):
        jf.edit(KEY, NETWORK, PARAMS, Split(SPLIT.x, {"y": y, "z": SPLIT.messages["z"]}), at_most=50)


def test_a_network_without_known_biases_is_edited_but_not_recalibrated():
    network = own_network(biases=False)
    with pytest.raises(InputError, match="does not say where its biases lie"):
        jf.edit(KEY, network, OWN, SPLIT, keep_accuracy=5, train=TRAIN, **TINY)


def test_halves_share_every_cell_evenly():
    messages = {name: as_message(values) for name, values in SPLIT.messages.items()}
    drawn = np.asarray(rows_of_halves(KEY, messages, roles_of(messages, "y", "parity", 1)))
    assert drawn.shape == (2, 200)
    assert len(np.unique(drawn)) == 400
    cell = 2 * SPLIT.messages["y"] + SPLIT.messages["z"]
    counts = [np.bincount(cell[half], minlength=4) for half in drawn]
    assert np.abs(counts[0] - counts[1]).max() <= 1
