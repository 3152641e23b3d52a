"""The learned probe: known truths, and what must not matter: places, copies, constants, scales and company."""

import jax.numpy as jnp
import numpy as np
import pytest
from searches import few_steps

from jaxflow import InputError, as_message
from jaxflow.information import probe, subset_members
from jaxflow.information.probe import ConvergenceWarning, estimate, estimate_variants
from jaxflow.information.probe_training import cycle_lengths
from jaxflow.messages import unpermuted

N = 400
FEW = 390  # rows of tests whose laws hold however short the training: see ``few_steps``
SHORT = pytest.mark.filterwarnings("ignore::jaxflow.information.svms.ConvergenceWarning")


@pytest.fixture(scope="module")
def signs():
    return np.random.default_rng(0).integers(0, 2, (N, 2))


@pytest.fixture(scope="module")
def layer(signs):
    """Two noisy signs and a ReLU unit that tells a little."""
    rng = np.random.default_rng(1)
    unit = np.maximum(rng.normal(size=N) + signs[:, 0], 0)
    return np.column_stack([2 * signs - 1 + 0.3 * rng.normal(size=(N, 2)), unit]).astype(np.float32)


@pytest.mark.slow
def test_exclusive_or_is_seen_in_both_nodes_and_in_neither_and_an_early_end_is_told(signs, layer):
    with pytest.warns(ConvergenceWarning, match="still improved when the last cycle ended"):
        told = np.asarray(probe(signs[:, 0] ^ signs[:, 1], layer, cycles=1))
    assert told[0] == 0
    assert (told[[1, 2, 4, 5]] < 0.02).all()
    assert (told[[3, 7]] > 0.9).all()
    assert (told <= 1).all()


@pytest.mark.slow
@SHORT
def test_the_order_of_nodes_copies_and_constants_play_no_part(signs, layer):
    """Columns of equal ranks are one column, whatever their values; places are the columns' own."""
    columns = np.column_stack([layer[:FEW, 0], np.full(FEW, 7, np.float32), np.exp(layer[:FEW, 0])])
    with few_steps():
        told, turned = (np.asarray(probe(signs[:FEW, 0], x, cycles=1)) for x in (columns, columns[:, ::-1]))
    np.testing.assert_array_equal(turned[[0, 4, 2, 6, 1, 5, 3, 7]], told)
    assert (told[[1, 3, 5, 6, 7]] == told[4]).all()
    assert told[4] > 0.9
    assert told[2] == 0


@pytest.mark.slow
@SHORT
def test_messages_and_layers_are_estimated_as_alone(signs, layer):
    """Side by side in threads."""
    messages = {"x": as_message(signs[:FEW, 0]), "y": as_message(signs[:FEW, 1])}
    layers = jnp.asarray(np.stack([layer[:FEW], layer[FEW - 1 :: -1]]))
    with few_steps():
        both = estimate(layers, unpermuted(messages), subset_members(3), cycles=1)
        alone = estimate(layers[1:], unpermuted({"y": messages["y"]}), subset_members(3), cycles=1)
    np.testing.assert_array_equal(both["y"].bits[:, 1:], alone["y"].bits)


@pytest.mark.slow
@SHORT
def test_a_small_difference_of_two_columns_is_seen(signs):
    """As between the logits of two classes: neither tells, both together do, whatever their order."""
    rng = np.random.default_rng(4)
    one = rng.normal(size=N)
    other = -one + 0.01 * (2 * signs[:, 0] - 1 + 0.3 * rng.normal(size=N))
    told = np.asarray(probe(signs[:, 0], np.stack([one, other], axis=1), cycles=1))
    assert (told[1:3] < 0.03).all()
    assert told[3] > 0.9


@pytest.mark.slow
@SHORT
def test_variants_of_a_layer_learn_together(signs, layer):
    """Whether one sign or the other is up, given the other: a layer, what survives of it, a part that does not tell."""
    pair = layer[:, :2]
    variants = np.stack([pair, np.maximum(pair, 0), pair * [1, 0], pair * [0, 1], 0 * pair]).astype(np.float32)
    messages = unpermuted({"m": as_message(signs[:, 0] | signs[:, 1], signs[:, 1])})
    found = estimate_variants(variants[None], messages, cycles=1)["m"]
    truth = np.mean(signs[:, 1] == 0)
    np.testing.assert_allclose(found.bits[0, 0, :4], [truth, truth, truth, 0], atol=0.06)
    assert found.bits[0, 0, 4] == 0
    assert found.unconverged.shape == (1, 5)


@pytest.mark.slow
@SHORT
def test_bits_are_what_the_losses_of_rows_say(signs, layer):
    signs = signs[:FEW]
    messages = unpermuted({"m": as_message(signs[:, 0], signs[:, 1])})
    with few_steps():
        found = estimate(jnp.asarray(layer[:FEW])[None], messages, subset_members(3), cycles=1, by_row=True)["m"]
    strata = [signs[signs[:, 1] == g, 0].mean() for g in (0, 1)]
    shares = [np.mean(signs[:, 1] == g) for g in (0, 1)]
    known = -sum(w * (p * np.log2(p) + (1 - p) * np.log2(1 - p)) for w, p in zip(shares, strata, strict=True))
    expected = np.maximum(known - found.losses[0].mean(axis=1), 0)
    np.testing.assert_allclose(found.bits[0, 0, 1:], expected[1:], atol=1e-5)
    assert found.losses.shape == (1, 8, FEW)


@pytest.mark.slow
@SHORT
def test_what_many_columns_tell_a_little_of_is_not_lost_in_what_is_learned_by_heart():
    """One row of five has the other class, which leaves 0.278 bits; after long training alone it is 0."""
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(N, 8)).astype(np.float32)
    message = (columns.sum(axis=1) > 0) ^ (rng.random(N) < 0.2)
    assert 0.1 < float(probe(message.astype(int), columns, groups=(0,) * 8, cycles=1)[1]) < 0.28


@pytest.mark.slow
@SHORT
def test_what_is_given_is_taken_away():
    """Noise that hides a number, of which it leaves half a bit; a number that says all about classes."""
    u, v = np.random.default_rng(2).normal(size=(2, N))
    assert float(probe(u + v, u[:, None], given=v, cycles=2)[1]) > 0.9
    assert float(probe((u > 0).astype(int), u[:, None], given=u, cycles=2)[1]) < 0.03


@pytest.mark.slow
@SHORT
def test_numbers_of_gaussian_pairs_are_near_the_truth():
    """−½ log₂(1 − ρ²), under monotone maps of either side."""
    x, noise = np.random.default_rng(3).normal(size=(2, 1000))
    bits = probe((0.8 * x + 0.6 * noise) ** 3, np.exp(x)[:, None], cycles=2)
    assert float(bits[1]) == pytest.approx(-np.log2(0.6), abs=0.1)


@pytest.mark.slow
@SHORT
def test_numbers_that_go_together_are_not_told_twice():
    """Three noisy copies of one number, about which a noisy copy tells less than what they know of each other."""
    rng = np.random.default_rng(5)
    common = rng.normal(size=(N, 1))
    message, column = common + 0.5 * rng.normal(size=(N, 3)), common + rng.normal(size=(N, 1))
    covariance = np.ones((4, 4)) + np.diag([0.25, 0.25, 0.25, 1])
    truth = np.log2(np.linalg.det(covariance[:3, :3]) * covariance[3, 3] / np.linalg.det(covariance)) / 2
    assert truth / 2 < float(probe(message, column, cycles=2)[1]) < truth + 0.05


def test_the_lengths_of_cycles():
    assert sum(cycle_lengths(6)) == 8350  # as the docstring says


@pytest.mark.parametrize(
    ("options", "says"),
    [({"cycles": 0}, "cycles"), ({"cycles": 20}, "cycles"), ({"seed": -1}, "seed")],
)
def test_options_out_of_range_are_refused(signs, layer, options, says):
    with pytest.raises(InputError, match=says):
        probe(signs[:, 0], layer, **options)


def test_few_rows_are_refused():
    with pytest.raises(InputError, match="class 1 of the message has 3 samples"):
        probe([0] * 20 + [1] * 3, np.arange(23.0)[:, None])
    with pytest.raises(InputError, match="cross-validation needs 5 samples"):
        probe([0.1, 0.2, 0.3], np.arange(3.0)[:, None])
