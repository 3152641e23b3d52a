"""Held-out thresholds on the logits against trying them all; one program gives what the estimator on arrays gives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.information import gaussian
from jaxflow.information.gaussian import layer_bits
from jaxflow.outputs import THRESHOLDS, measure_outputs, threshold_accuracies, traced_outputs


def rules(score, message, candidates):
    """Rows told right by M = 1 at and above a threshold, and by M = 1 below it, in the order that ties are broken."""
    for direction in (True, False):
        for threshold in candidates:
            yield ((score >= threshold) == direction) == (message == 1)


def held_out(score, message, candidates):
    """Every rule tried on the rows with even numbers and counted on the odd ones, and the other way round."""
    right = np.array(list(rules(score, message, candidates)))
    best = [right[:, half::2].sum(axis=1).argmax() for half in (0, 1)]
    return (right[best[0], 1::2].sum() + right[best[1], 0::2].sum()) / len(score)


@pytest.mark.parametrize("rows", [600, 601])
def test_thresholds_are_those_of_trying_all(rng, rows):
    """Whole scores from 0 to 255: each is a step of its own."""
    messages = rng.integers(0, 2, (2, rows)).astype(np.int32)
    score = np.clip(rng.integers(0, 200, rows) + 40 * messages[0] - 30 * messages[1], 0, 256)
    score[:2] = 0, 256
    accuracies = threshold_accuracies(jnp.asarray(score, jnp.float32), jnp.asarray(messages))
    for ours, message in zip(accuracies, messages, strict=True):
        assert float(ours) == pytest.approx(held_out(np.minimum(score, 255), message, range(THRESHOLDS)), abs=1e-6)


def test_steps_cost_no_more_than_the_rows_of_one(rng):
    """Every row twice, so that both halves are the same: at most the best of all thresholds, and hardly less."""
    message = rng.integers(0, 2, 1000)
    score = rng.standard_t(3, 1000) + message
    doubled = threshold_accuracies(
        jnp.asarray(np.repeat(score, 2), jnp.float32), jnp.asarray(np.repeat(message, 2)[None], jnp.int32)
    )
    best = max(np.mean(right) for right in rules(score, message, np.append(score, np.inf)))
    fullest = np.histogram(score, THRESHOLDS)[0].max() / 1000
    assert best - fullest <= float(doubled[0]) <= best + 1e-6


def test_a_choice_does_not_flatter(rng):
    """Messages that the score cannot know: on average chance, while the same choice judged on its own rows is above."""
    messages = rng.integers(0, 2, (300, 200))
    score = rng.normal(size=200)
    run = jax.jit(lambda message: threshold_accuracies(jnp.asarray(score, jnp.float32), message[None])[0])
    ours = np.array([run(jnp.asarray(message, jnp.int32)) for message in messages])
    flattered = [max(np.mean(right) for right in rules(score, message, score)) for message in messages]
    assert abs(ours.mean() - 0.5) < 4 * 0.5 / np.sqrt(300 * 200)
    assert np.mean(flattered) > 0.53


def test_a_constant_score_tells_the_larger_class(rng):
    message = (rng.random((1, 500)) < 0.3).astype(np.int32)
    accuracy = threshold_accuracies(jnp.full(500, 7.0), jnp.asarray(message))
    assert float(accuracy[0]) == pytest.approx(1 - message.mean(), abs=1e-6)


def test_information_accuracy_is_no_accuracy(rng):
    """Classes three deviations apart: no decision attains the accuracy that I(Y; Ŷ) stands for."""
    y = rng.integers(0, 2, 20_000).astype(np.int32)
    score = rng.normal(size=len(y)) + 3 * y
    logits = jnp.asarray(np.stack([-score, score], 1), jnp.float32)
    measured = measure_outputs(logits, jnp.asarray(y), jnp.asarray(y), gaussian)
    bayes = 93.319  # Φ(1.5)
    assert float(measured.threshold_accuracy) == pytest.approx(bayes, abs=1)
    assert float(measured.accuracy) > bayes + 1


def test_one_program_gives_what_arrays_give(rng):
    y, z = messages = rng.integers(0, 2, (2, 400)).astype(np.int32)
    logits = (rng.normal(size=(3, 400, 2)) + np.stack([-y, y + z], 1)).astype(np.float32)
    traced = jax.vmap(partial(traced_outputs, messages=jnp.asarray(messages), layer_bits=layer_bits))(
        jnp.asarray(logits)
    )
    by_arrays = measure_outputs(jnp.asarray(logits), jnp.asarray(y), jnp.asarray(z), gaussian)
    for ours, theirs in zip(traced, by_arrays, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
