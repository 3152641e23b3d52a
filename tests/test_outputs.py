"""What logits show: thresholds against trying them all, gaps against fairlearn, any classes and attributes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from given_logits import IDENTITY, one_by_one, outputs_of_logits

from jaxflow import InputError, layers, measurements
from jaxflow.analysis import measure_outputs
from jaxflow.chance import chance_levels
from jaxflow.information import ESTIMATORS, gaussian
from jaxflow.messages import Message, as_message, read_out, unpermuted
from jaxflow.outputs import (
    PAPER,
    THRESHOLDS,
    Roles,
    best_threshold,
    counted_measures,
    measure_names,
    threshold_measures,
    with_measured,
)
from jaxflow.study import Study

read = jax.jit(read_out)  # step by step it would be dozens of programs
compiled_thresholds = jax.jit(threshold_measures, static_argnums=2)

ROWS = 20_000  # of tests that share a program


def threshold_fractions(score, *messages):
    """Of every message the fraction told by the best held-out threshold on the difference of two logits."""
    logits = jnp.stack([jnp.zeros(len(score)), jnp.asarray(score, jnp.float32)], axis=1)
    names = [f"m{k}" for k in range(len(messages))]
    own = {name: as_message(np.asarray(message)) for name, message in zip(names, messages, strict=True)}
    if len(own) == 1:
        own["m1"] = own["m0"]
    measured = compiled_thresholds(logits, own, Roles("m0", tuple(own)[1:]))
    return [float(value) for value in measured.values()][: len(messages)]


def rules(score, message, candidates):
    """Rows told right by M = 1 at and above a threshold, and by M = 1 below it, in the order that ties are broken."""
    for direction in (True, False):
        for threshold in candidates:
            yield ((score >= threshold) == direction) == (message == 1)


def halves_of(right):
    """The best rule on the rows with even numbers counted on the odd ones, and the other way round, as a fraction."""
    right = np.array(right)
    best = [right[:, half::2].sum(axis=1).argmax() for half in (0, 1)]
    return (right[best[0], 1::2].sum() + right[best[1], 0::2].sum()) / right.shape[1]


@pytest.mark.parametrize("rows", [600, 601])
def test_thresholds_are_those_of_trying_all(rng, rows):
    """Whole scores from 0 to 255: each is a step of its own."""
    messages = rng.integers(0, 2, (2, rows)).astype(np.int32)
    score = np.clip(rng.integers(0, 200, rows) + 40 * messages[0] - 30 * messages[1], 0, 256)
    score[:2] = 0, 256
    for ours, message in zip(threshold_fractions(score, *messages), messages, strict=True):
        theirs = halves_of(list(rules(np.minimum(score, 255), message, range(THRESHOLDS))))
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_steps_cost_no_more_than_the_rows_of_one(rng):
    """Every row twice, so that both halves are the same: at most the best of all thresholds, and hardly less."""
    message = rng.integers(0, 2, 1000)
    score = rng.standard_t(3, 1000) + message
    (doubled,) = threshold_fractions(np.repeat(score, 2), np.repeat(message, 2))
    best = max(np.mean(right) for right in rules(score, message, np.append(score, np.inf)))
    fullest = np.histogram(score, THRESHOLDS)[0].max() / 1000
    assert best - fullest <= doubled <= best + 1e-6


def test_a_choice_does_not_flatter(rng):
    """Messages that the score cannot know: on average chance, while the same choice judged on its own rows is above."""
    messages = rng.integers(0, 2, (300, 200))
    score = rng.normal(size=200)
    logits = jnp.stack([jnp.zeros(200), jnp.asarray(score, jnp.float32)], axis=1)

    @jax.jit
    def told(values):
        both = {"y": Message(values), "z": Message(values)}
        return threshold_measures(logits, both, PAPER)["threshold_accuracy"]

    ours = np.array([told(jnp.asarray(message, jnp.int32)) for message in messages])
    flattered = [max(np.mean(right) for right in rules(score, message, score)) for message in messages]
    assert abs(ours.mean() - 0.5) < 4 * 0.5 / np.sqrt(300 * 200)
    assert np.mean(flattered) > 0.53


def test_a_constant_score_tells_the_larger_class(rng):
    message = (rng.random(500) < 0.3).astype(np.int32)
    (accuracy,) = threshold_fractions(np.full(500, 7.0), message)
    assert accuracy == pytest.approx(1 - message.mean(), abs=1e-6)


@pytest.mark.parametrize("notion", ["parity", "odds", "opportunity"])
def test_chance_is_what_nothing_tells(rng, notion):
    """Counted by hand: the largest class, within the label's classes where the notion says so; 0 of numbers."""
    y, z, age = rng.integers(0, 3, 600), (rng.random(600) < 0.8) * 1, rng.normal(size=(600, 1)).astype("float32")
    z[y == 2] = rng.random((y == 2).sum()) < 0.3  # the larger class is another within this one
    given = {"y": Message(y, classes=3), "z": Message(z), "age": Message(age, classes=0)}
    found = chance_levels(with_measured(given, roles := Roles("y", ("z", "age"), notion, 2)), roles)
    largest = [np.bincount(z[y == own]).max() for own in range(3)]
    label, attribute = np.bincount(y).max() / 6, np.bincount(z).max() / 6
    within = {"parity": attribute, "odds": sum(largest) / 6, "opportunity": 100 * largest[2] / (y == 2).sum()}
    expected = {"accuracy": label, "argmax_accuracy": label, "threshold_accuracy": label}
    expected |= {"bias_z": within[notion], "bias_age": 0.0, "threshold_bias_z": attribute}
    assert found == pytest.approx(expected)
    assert list(found) == [name for name in measure_names(roles) if name in expected]


def test_information_accuracy_is_no_accuracy(rng):
    """Classes three deviations apart: no decision attains the accuracy that I(Y; Ŷ) stands for."""
    y = rng.integers(0, 2, ROWS).astype(np.int32)
    score = rng.normal(size=len(y)) + 3 * y
    measured = outputs_of_logits(np.stack([-score, score], 1), {"y": y, "z": y})
    bayes = 93.319  # Φ(1.5)
    assert float(measured["threshold_accuracy"]) == pytest.approx(bayes, abs=1)
    assert float(measured["accuracy"]) > bayes + 1


def test_one_program_gives_what_networks_alone_give(rng):
    y, z = rng.integers(0, 2, (2, 400)).astype(np.int32)
    logits = jnp.asarray(rng.normal(size=(3, 400, 2)) + np.stack([-y, y + z], 1), jnp.float32)
    messages = {"y": as_message(y), "z": as_message(z)}
    together = jax.jit(jax.vmap(lambda own: measure_outputs(IDENTITY, jnp.eye(2), own, messages)))(logits)
    for number, own in enumerate(logits):
        for name, value in one_by_one(own, {"y": y, "z": z}).items():
            assert together[name][number] == pytest.approx(float(value), abs=1e-4)


# More classes


def three_classes(rng, rows=900, groups=3):
    """Logits of three classes, the label, an attribute that has left a trace in them, and one that has not."""
    y, group, other = rng.integers(0, 3, rows), rng.integers(0, groups, rows), rng.integers(0, 2, rows)
    logits = rng.normal(size=(rows, 3)) + 2 * np.eye(3)[y] + 0.7 * (group == 1)[:, None] * np.array([0, 1, -1])
    return logits.astype(np.float32), {"y": y, "group": group, "other": other}


def test_measures_of_three_logits_and_two_attributes(rng):
    """Information about each message by itself, decisions by counting; every measure has its name."""
    logits, messages = three_classes(rng)
    measured = outputs_of_logits(logits, messages)
    roles = Roles("y", ("group", "other"))
    assert set(measured) == set(measure_names(roles))
    for measure, name in (("accuracy", "y"), ("bias_group", "group"), ("bias_other", "other")):
        bits = gaussian(messages[name], logits)[-1]
        assert measured[measure] == pytest.approx(100 * float(read(bits, as_message(messages[name]))), abs=1e-3)
    decided = logits.argmax(axis=1)
    assert measured["argmax_accuracy"] == pytest.approx(100 * np.mean(decided == messages["y"]), abs=1e-3)
    for name in roles.attributes:
        alone = outputs_of_logits(logits, {"y": messages["y"], name: messages[name]})
        for measure in ("bias", "parity_gap", "odds_gap", "threshold_bias"):
            assert measured[f"{measure}_{name}"] == pytest.approx(float(alone[measure]), abs=1e-4)


@pytest.mark.parametrize("estimator", ["gaussian", "quadratic"])
def test_many_logits_are_one_node(rng, estimator):
    """Forty logits have 2⁴⁰ subsets; the whole alone is estimated, and is what as many columns of one node tell."""
    y, z = rng.integers(0, 3, 500), rng.integers(0, 2, 500)
    logits = (rng.normal(size=(500, 40)) + 2 * np.eye(40)[y + z]).astype(np.float32)
    measured = one_by_one(logits, {"y": y, "z": z}, estimator=estimator)
    bits = ESTIMATORS[estimator].function(z, logits, groups=(0,) * 40)[-1]
    assert measured["bias"] == pytest.approx(100 * float(read(bits, as_message(z))), abs=1e-3)
    assert measured["bias"] > 55


def test_the_whole_of_three_logits_is_their_last_subset(rng):
    """An estimator that takes no groups lists the subsets, to the same number."""
    logits, messages = three_classes(rng)

    def without_groups(message, activations):
        return np.asarray(gaussian(message, activations))

    listed, whole = one_by_one(logits, messages, estimator=without_groups), one_by_one(logits, messages)
    for name, value in whole.items():
        assert listed[name] == pytest.approx(float(value), abs=1e-3)


def rate_gaps(decided, group, rows):
    """Largest difference between two groups' rates of every decision among some of the rows."""
    rates = [[np.mean(decided[rows & (group == g)] == d) for g in np.unique(group[rows])] for d in np.unique(decided)]
    return max(max(own) - min(own) for own in rates)


def test_gaps_of_three_decisions_are_the_largest_over_decisions_and_labels(rng):
    logits, messages = three_classes(rng)
    decided, group, y = logits.argmax(axis=1), messages["group"], messages["y"]
    measured = outputs_of_logits(logits, messages)
    assert measured["parity_gap_group"] == pytest.approx(100 * rate_gaps(decided, group, y >= 0), abs=1e-3)
    largest = max(rate_gaps(decided, group, y == own) for own in range(3))
    assert measured["odds_gap_group"] == pytest.approx(100 * largest, abs=1e-3)


@pytest.mark.parametrize("groups", [2, 3])
def test_gaps_are_fairlearns(rng, groups):
    """Two decisions; between two groups the parity gap has a sign, its amount is fairlearn's."""
    metrics = pytest.importorskip("fairlearn.metrics", reason="needs fairlearn: pip install '.[test]'")
    rows = ROWS if groups == 2 else 700
    y, z = rng.integers(0, 2, rows), rng.integers(0, groups, rows)
    for slope in (-1.0, 1.0):
        logits = rng.normal(size=(rows, 2)) + np.outer(y + slope * (z == 1), [-1, 1])
        measured, decided = outputs_of_logits(logits, {"y": y, "z": z}), logits.astype(np.float32).argmax(axis=1)
        parity = 100 * metrics.demographic_parity_difference(y, decided, sensitive_features=z)
        odds = 100 * metrics.equalized_odds_difference(y, decided, sensitive_features=z)
        signed = np.sign(slope) if groups == 2 else 1
        assert measured["parity_gap"] == pytest.approx(signed * parity, abs=1e-3)
        assert measured["odds_gap"] == pytest.approx(odds, abs=1e-3)


def test_a_group_without_rows_of_a_label_adds_no_gap(rng):
    """Fairlearn's rates would have no meaning there; the other groups' gap stands."""
    logits, messages = three_classes(rng)
    y, group = messages["y"], messages["group"].copy()
    group[(y == 0) & (group == 2)] = 0
    measured = outputs_of_logits(logits, {"y": y, "group": group})  # the program of another test
    largest = max(rate_gaps(logits.argmax(axis=1), group, y == own) for own in range(3))
    assert measured["odds_gap"] == pytest.approx(100 * largest, abs=1e-3)


def class_rules(scores, classes, message):
    """Rows told right by one class below a threshold and one at and above, for every score, in order of ties."""
    for score in scores:
        for threshold, below, above in itertools.product(range(THRESHOLDS), range(classes), range(classes)):
            yield np.where(score < threshold, below, above) == message


def test_thresholds_about_more_classes_are_those_of_trying_all(rng):
    """A message of three classes told from whole scores, each a step of its own: two of the classes at a time."""
    message = rng.integers(0, 3, 201)
    score = np.clip(rng.integers(0, 120, 201) + 60 * message, 0, 256)
    score[:2] = 0, 256
    ours = threshold_fractions(score, message)
    theirs = halves_of(list(class_rules([np.minimum(score, 255)], 3, message)))
    assert ours == [pytest.approx(theirs, abs=1e-6)]


def test_thresholds_on_three_logits_take_the_best_of_them(rng):
    """A logit that knows the attribute, among two that know nothing: as good as the threshold on it alone."""
    z = rng.integers(0, 2, 900)
    logits = 0.01 * rng.normal(size=(900, 3))
    logits[:, 2] += 3 * z + rng.normal(size=900)
    messages = {"y": rng.integers(0, 3, 900), "other": z}  # the program of another test
    found = outputs_of_logits(logits, messages)["threshold_bias"]
    assert float(found) == pytest.approx(93.319, abs=3)  # Φ(1.5)


def test_many_classes_together_are_counted_one_by_one(rng):
    """Histograms of all cells would be too large; the numbers are those of each attribute alone."""
    y, one, two = rng.integers(0, 10, (3, 800))
    logits = rng.normal(size=(800, 10)) + np.eye(10)[y] + 0.5 * np.eye(10)[one]
    together = outputs_of_logits(logits, {"y": y, "one": one, "two": two})
    alone = outputs_of_logits(logits, {"y": y, "one": one})
    assert together["threshold_accuracy"] == pytest.approx(float(alone["threshold_accuracy"]), abs=1e-4)
    assert together["threshold_bias_one"] == pytest.approx(float(alone["threshold_bias"]), abs=1e-4)


# Notions and continuous attributes


def test_given_the_label_bias_is_the_information_within_its_classes(rng):
    """The read-out of Σ_y P(y) I(Z; Ŷ | Y = y); what is counted does not change."""
    logits, messages = three_classes(rng)
    y, z = messages["y"], messages["other"]
    y = (y > 0).astype(int)
    logits = logits[:, :2] + np.outer(z * y, [0, 1]).astype(np.float32)
    plain, odds = (one_by_one(logits, {"y": y, "z": z}, given=given) for given in (None, y))
    bits = sum(np.mean(y == k) * oracles.gaussian_bits(z[y == k], logits[y == k])[-1] for k in (0, 1))
    expected = 100 * float(read(jnp.float32(bits), as_message(z, y)))
    assert odds["bias"] == pytest.approx(expected, abs=1e-2)
    assert {name for name in plain if plain[name] != odds[name]} == {"bias"}
    assert list(plain) == list(measure_names(PAPER))


def test_a_continuous_attribute_has_a_share_of_variance_and_no_groups(rng):
    age = rng.normal(size=900)
    logits = np.stack([rng.normal(size=900), age + rng.normal(size=900)], axis=1)
    measured = outputs_of_logits(logits, {"y": rng.integers(0, 2, 900), "age": age})
    design = np.column_stack([np.ones(900), logits])
    left = age - design @ np.linalg.lstsq(design, age, rcond=None)[0]
    assert measured["bias"] == pytest.approx(100 * (1 - left.var() / age.var()), abs=0.01)
    assert all(np.isnan(measured[name]) for name in ("parity_gap", "odds_gap", "threshold_bias"))
    assert np.isfinite(measured["argmax_accuracy"])


def test_order_and_names_of_messages_change_nothing(rng):
    """'age' sorts before 'hired', which is the label because it is said to be."""
    logits, messages = three_classes(rng)
    renamed = {"age": messages["group"], "hired": messages["y"], "zip": messages["other"]}
    ours = outputs_of_logits(logits, renamed, label="hired")
    theirs = outputs_of_logits(logits, messages)
    names = {"group": "age", "other": "zip"}
    for measure, value in theirs.items():
        head, _, tail = measure.rpartition("_")
        assert ours[f"{head}_{names[tail]}" if tail in names else measure] == pytest.approx(float(value), abs=1e-4)


def test_classes_may_be_renumbered(rng):
    """The groups' numbers mean nothing to measures of three groups."""
    logits, messages = three_classes(rng)
    own = {name: as_message(value) for name, value in messages.items()}
    relabelled = own | {"group": as_message(np.array([2, 0, 1])[messages["group"]])}
    roles = Roles("y", ("group", "other"))
    compiled = jax.jit(lambda messages: counted_measures(jnp.asarray(logits), messages, roles))
    ours, theirs = compiled(own), compiled(relabelled)
    for name in ("parity_gap_group", "odds_gap_group", "threshold_bias_group"):
        assert float(ours[name]) == pytest.approx(float(theirs[name]), abs=1e-6)


@pytest.mark.parametrize("messages", [{"y": np.arange(20) % 2}, {"y": np.linspace(0.5, 1, 20), "z": np.arange(20) % 2}])
def test_a_label_and_an_attribute_are_needed(rng, messages):
    with pytest.raises(InputError, match="give a label of classes and at least one attribute"):
        one_by_one(rng.normal(size=(20, 2)), messages)


@pytest.mark.slow
def test_an_output_too_wide_to_list_is_read_from_the_whole(rng, monkeypatch):
    """A search gives no information in all logits; an estimate of one node does, in stacks as for one network."""
    logits, messages = three_classes(rng)
    study = Study(IDENTITY, Roles("y", ("group", "other")), ESTIMATORS["quadratic"], first_layer=1)
    forms = unpermuted({name: as_message(message.astype(np.int32)) for name, message in messages.items()})

    def searched(_study, _layer, activations, about, _halves, _advance):
        nothing = np.zeros((len(activations), 1, 3), np.float32)
        flows = layers.with_evidence(layers.unlisted(nothing, nothing[:, 0], np.full(len(activations), np.nan)))
        return dict.fromkeys(about, flows)

    for module in (measurements, layers):
        monkeypatch.setattr(module, "widest", lambda _spec: 2)
    monkeypatch.setattr(layers, "_searched_layer_flows", searched)
    found = measurements.measure_flows(study, jnp.eye(3)[None], jnp.asarray(logits), forms)
    alone = one_by_one(logits, messages, estimator="quadratic")
    for name, value in found.outputs.items():
        assert float(value[0]) == pytest.approx(float(alone[name]), abs=1e-3)


def test_the_best_rule_of_many_classes_is_that_of_all_pairs(rng):
    """Small counts, so that rules tie: the first of the best is taken, by score, threshold, class below and above."""
    for _ in range(20):
        counts = rng.integers(0, 3, (2, 5, 2, 4)).astype(np.float32)
        below = counts.cumsum(axis=1) - counts
        above = counts.sum(axis=1, keepdims=True) - below
        even, odd = np.moveaxis(below[..., :, None] + above[..., None, :], 2, 0).reshape(2, -1)
        assert float(best_threshold(jnp.asarray(counts))) == odd[even.argmax()] + even[odd.argmax()]
