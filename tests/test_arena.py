"""The arena: choices never see what they are reported on, and the bound is a bound where it was chosen."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow.messages import as_message

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "experiments" / "studies"), str(ROOT / "experiments")]
arena, choices, measures = map(import_module, ("arena", "arena_choices", "arena_measures"))
MEASURES, Candidate = measures.MEASURES, measures.Candidate
RNG = np.random.default_rng(2)
METRICS = ("bias/acc", "removal", "greedy")
SIZES = {"node": 6, "edge": 15, "path": 18}
WANTED = measures.candidates(METRICS, SIZES)


def made(networks: int = 5) -> np.ndarray:
    """Measures ``[S, 2, G, 2, M]`` of no network in particular."""
    found = RNG.uniform(50, 80, size=(networks, 2, len(WANTED), 2, len(MEASURES)))
    found[:, :, 0, :, MEASURES.index("accuracy")] = 75
    return found.astype(np.float32)


def test_candidates_are_the_network_as_it_is_and_what_it_has_enough_nodes_for():
    assert WANTED[0] == Candidate("", "node", 0, 1.0)
    small = measures.candidates(METRICS, {"node": 2, "edge": 3, "path": 2})
    assert {own.level for own in small if own.method == "node" and own.metric} == {1}
    assert {own.level for own in small if own.kept} == {0, 1, 2, 3}
    assert len(set(WANTED)) == len(WANTED)


def test_choices_do_not_see_the_rows_that_report():
    """Whatever happens there, the same interventions are chosen; what is reported is what happens there."""
    found, own = made(), choices.members(WANTED, "bias/acc")
    other = found.copy()
    other[..., 1, :] += 5
    for reading in choices.READINGS:
        first, second = (choices.front(measured, own, reading) for measured in (found, other))
        np.testing.assert_allclose(first.removed, second.removed, atol=1e-3)  # what all gained by alike is no removal
        np.testing.assert_allclose(first.lost, second.lost, atol=1e-3)
    shuffled = found.copy()
    shuffled[:, :, 1:, 1] = found[:, :, :0:-1, 1]
    assert not np.allclose(
        choices.front(shuffled, own, "information").removed, choices.front(found, own, "information").removed
    )


def test_a_front_is_the_least_bias_within_the_budget_by_a_loop():
    found, own = made(3), choices.members(WANTED, "bias/acc", "edge")
    front = choices.front(found, own, "information")
    accuracy, bias = MEASURES.index("accuracy"), MEASURES.index("bias")
    for network in range(3):
        for b, budget in enumerate(choices.BUDGETS):
            removed = []
            for role in range(2):
                chosen, reported = found[network, role, :, 0], found[network, role, :, 1]
                within = [g for g in own if chosen[0, accuracy] - chosen[g, accuracy] <= budget]
                best = min(within, key=lambda g: chosen[g, bias])
                removed.append(reported[0, bias] - reported[best, bias])
            assert front.removed[network, b] == pytest.approx(np.mean(removed), abs=1e-3)


def test_where_both_choose_the_bound_is_at_least_as_good_as_removal():
    found = made()
    found[:, :, :, 1] = found[:, :, :, 0]  # judged where it was chosen
    oracle, bound = (choices.front(found, choices.members(WANTED, m), "information") for m in ("removal", "greedy"))
    assert (bound.removed >= oracle.removed - 1e-4).all()
    assert (bound.removed > oracle.removed + 1e-4).any()


def test_a_decision_is_as_accurate_as_asked_where_it_was_chosen():
    found, own = made(), choices.members(WANTED, "bias/acc")
    accuracy, gap = (MEASURES.index(name) for name in choices.READINGS["recalibrated"])
    found[:, :, 0, 0, accuracy] = 70
    found[:, :, 1:, 0, accuracy] = 60
    found[:, :, own[3], 0, accuracy], found[:, :, own[5], 0, accuracy] = 68, 66
    found[:, :, 0, :, gap], found[:, :, own[3], :, gap], found[:, :, own[5], :, gap] = 9, 5, 2
    for asked, expected in ((71, 9), (69, 9), (67, 5), (65, 2)):
        kept, left = choices.as_accurate_as(found, own, asked)
        place = {9: 0, 5: own[3], 2: own[5]}[expected]
        np.testing.assert_allclose(left, expected)
        np.testing.assert_allclose(kept, found[:, :, place, 1, accuracy].mean(axis=1), rtol=1e-6)


def test_nothing_fair_is_worth_nothing():
    found, own = made(), choices.members(WANTED, "bias/acc")
    gap = MEASURES.index("recalibrated_parity_gap")
    found[..., gap] = 9
    assert choices.fair_accuracy(found, own)[0].max() == 0
    found[:, :, 3, :, gap] = 1  # one intervention is
    worth, fair = choices.fair_accuracy(found, choices.members(WANTED, WANTED[3].metric))
    expected = found[:, :, 3, 1, MEASURES.index("recalibrated_balanced_accuracy")].mean(axis=1)
    np.testing.assert_allclose(worth, expected, rtol=1e-5)
    assert fair.min() == 1


def test_all_edges_are_all_of_the_bias_and_none_is_none():
    found = made()
    kept = [k for k, own in enumerate(WANTED) if own.kept and own.metric == "removal"]
    bias = MEASURES.index("bias")
    found[:, :, 0, :, bias] = 90
    for k in kept:
        found[:, :, k, :, bias] = 50 + 40 * WANTED[k].level / 15
    shares, parts = choices.faithfulness(found, WANTED, "removal")
    np.testing.assert_allclose(parts, np.tile(shares, (5, 1)), atol=1e-5)


def test_the_best_shift_is_right_about_as_many_rows_as_any_threshold():
    score, y = RNG.normal(size=300), RNG.integers(0, 2, 300)
    score += y
    logits = jnp.asarray(np.stack([np.zeros(300), score], 1), jnp.float32)
    shift = float(measures.best_shift(logits, jnp.asarray(y, jnp.int32)))
    best = max(np.mean((score >= t) == y) for t in np.linspace(score.min(), score.max(), 4000))
    assert np.mean((score >= shift) == y) >= best - 0.011  # 256 steps


@pytest.mark.slow
def test_what_is_measured_is_what_the_pruned_network_shows(monkeypatch):
    """Two synthetic networks by three rankings: the unpruned point on both halves, and oracles by construction."""
    monkeypatch.setattr(arena, "METRICS", dict.fromkeys(METRICS))
    monkeypatch.setattr(arena, "CHUNK", 2)
    networks = arena.scene("synthetic", None)
    found = arena.measured_chunk(networks, "zero", np.arange(2))
    assert choices.one_step_excess(found["measures"], networks.wanted) <= choices.ROUNDING
    config, data = networks.config, networks.data
    network, key = config.network(data), jax.random.key(config.seed)
    train = data.train.x, data.train.messages["y"]
    params = arena.jf.train_many(jax.random.fold_in(key, 0), 2, network, *train, config.training).params
    study = config.study(network, data)
    halves = measures.halves_of(
        study, {n: as_message(own) for n, own in data.test.messages.items()}, jax.random.fold_in(key, 5)
    )
    for k, rows in enumerate(halves):
        of = {name: own[rows] for name, own in data.test.messages.items()}
        one: Any = jax.tree.map(lambda leaf: leaf[1], params)
        shown = arena.jf.measure_outputs(network, one, data.test.x[rows], of)
        for name in ("accuracy", "bias", "argmax_accuracy", "odds_gap"):
            ours = found["measures"][1, k, 0, 0, MEASURES.index(name)]
            assert ours == pytest.approx(float(shown[name]), abs=0.01)
            assert found["measures"][1, 1 - k, 0, 1, MEASURES.index(name)] == pytest.approx(ours, abs=0.01)
