"""The known circuit of ``experiments/studies``: who hears what, what a lesion takes, what its page says."""

import sys
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp, ttest_rel

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "experiments/studies"))
circuit, circuit_network = map(import_module, ("circuit", "circuit_network"))
circuit_numbers, circuit_tables, measuring = map(import_module, ("circuit_numbers", "circuit_tables", "measuring"))
TRIALS = circuit_network.recorded_trials(jax.random.key(3), 72)
PARAMS = circuit_network.initial(jax.random.key(1))
STREAMS, INTEGRATING = circuit.STAGES["streams"], circuit.STAGES["integrating"]


@pytest.fixture(scope="module")
def run():
    compiled = jax.jit(circuit_network.simulate)

    def activity(trials, *silent):
        units = np.isin(np.arange(circuit_network.UNITS), silent)
        held = np.zeros((circuit_network.STEPS, circuit_network.UNITS), np.float32)
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # as in a script
            return compiled(PARAMS, jax.random.key(2), trials, circuit_network.Lesion(units, held))

    return activity


def test_streams_know_nothing_of_the_context_and_of_each_other(run):
    asked, moved = (TRIALS._replace(**{name: 1 - getattr(TRIALS, name)}) for name in ("context", "motion"))
    same = run(TRIALS).rates == run(asked).rates
    assert same[..., STREAMS].all()
    assert not same[-1][:, INTEGRATING].all(axis=0).all()
    same = run(TRIALS).rates == run(moved).rates
    assert same[..., STREAMS[2:]].all()
    assert not same[-1, :, STREAMS[:2]].all()


def test_without_a_stream_the_output_does_not_depend_on_it(run):
    changed = TRIALS._replace(colour=1 - TRIALS.colour)
    assert (run(TRIALS).output[-1] != run(changed).output[-1]).mean() > 0.9
    assert (run(TRIALS, *STREAMS[2:]).output == run(changed, *STREAMS[2:]).output).all()


def test_contexts_are_equally_frequent_in_both_halves():
    trials = jax.tree.map(lambda values: np.asarray(values)[None], TRIALS)
    half = circuit.Study(None, None, trials, None, np.zeros(0)).chosen_on
    for rows in (half, ~half):
        assert np.bincount(TRIALS.context[rows]).tolist() == [18, 18]


def test_permutations_find_what_does_not_matter_as_often_as_they_should(rng):
    """An output that depends on motion alone: p ≤ 0.05 about colour in 5 % of the recordings, as if undisturbed.

    Were all combinations of motion and colour equally frequent, it would be in none.
    """
    count, permutations = 400, 39
    keys = jax.random.split(jax.random.key(4), count)
    drawn = jax.jit(jax.vmap(lambda key: circuit_network.recorded_trials(key, 72)))(keys)
    motion, colour, strength = (np.asarray(values)[:, ::2] for values in (drawn[0], drawn[1], drawn[3]))
    output = (2 * motion - 1) * strength + 0.2 * rng.normal(size=motion.shape)
    output -= output.mean(axis=1, keepdims=True)
    permuted = rng.permuted(np.repeat(colour[None], permutations, axis=0), axis=2)
    of_all = [abs(((own - own.mean(axis=-1, keepdims=True)) * output).sum(axis=-1)) for own in (colour, permuted)]
    p = (1 + (of_all[1] >= of_all[0]).sum(axis=0)) / (permutations + 1)
    assert abs((p <= 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / count)


def test_lesions_are_of_equal_number_and_of_the_recorded_units_alone():
    flows = pd.DataFrame({"unit": [3, 5, 6, 9, 11], "flow": [0.2, 0.5, 0.0, 0.4, 0.1]}).assign(without=False)
    flows.loc[2, "without"] = True
    chosen = flows.assign(recording="rates", stage="integrating", message="choice", network=0)
    both = circuit.lesions_of(pd.concat([chosen, chosen.iloc[:2].assign(stage="streams")]))
    both = both[both["kind"] == "mean"].set_index(["stage", "which"])["units"]
    assert [sorted(both["integrating", which]) for which in ("largest", "smallest")] == [[5, 9], [6, 11]]
    assert [both["integrating", which] for which in ("as many", "without")] == [[5], [6]]
    assert [both["streams", which] for which in ("largest", "smallest", "as many", "without")] == [[5], [3], [], []]
    assert both["none", "none"] == []
    assert len(both["one"]) == circuit_network.UNITS


def test_intervals_are_over_networks_however_many_rows_they_have():
    table = pd.DataFrame({"network": [0, 0, 0, 1, 2, 2], "value": [1.0, 2.0, 3.0, 5.0, 6.0, 2.0], "of": "all"})
    over_all = circuit_numbers.over_networks(table, ["of"], "value").iloc[0]
    exact = ttest_1samp([2.0, 5.0, 4.0], 0).confidence_interval()
    np.testing.assert_allclose([over_all["low"], over_all["high"]], [exact.low, exact.high])
    assert over_all["networks"] == 3


def lesions_of_three_networks():
    """Accuracy, intact and after two lesions chosen by the flow of motion; the same in all contexts and recordings."""
    intact, largest, smallest = [90.0, 80.0, 88.0], [60.0, 70.0, 50.0], [85.0, 82.0, 80.0]
    parts = [
        pd.DataFrame({"network": range(3), "accuracy": accuracy, "which": which}).assign(
            recording=recording, stage=stage, message=message, kind=kind, context=context
        )
        for (recording, stage, message), named in {
            ("–", "none", "none"): {"none": intact},
            **{
                (name, "integrating", "motion"): {"largest": largest, "smallest": smallest}
                for name in circuit.RECORDINGS
            },
        }.items()
        for which, accuracy in named.items()
        for kind in ("mean", "silent")
        for context in ("motion", "colour")
    ]
    return pd.concat(parts, ignore_index=True), np.array(largest), np.array(smallest)


def test_differences_are_those_of_pairs():
    lesions, largest, smallest = lesions_of_three_networks()
    cost = circuit_numbers.costs(lesions).query("recording == 'rates' and kind == 'mean' and context == 'motion'")
    assert cost.loc[cost["which"] == "largest", "value"].tolist() == [30.0, 10.0, 38.0]
    contrasts = circuit_numbers.contrasts(lesions)
    names = ["recording", "context", "what"]
    over_all = circuit_numbers.over_networks(contrasts, names, "value").set_index(names).sort_index()
    exact = ttest_rel(smallest, largest).confidence_interval()
    for context in ("own", "other"):
        for recording in circuit.RECORDINGS:
            row = over_all.loc[(recording, context, "mean")]
            np.testing.assert_allclose([row["low"], row["high"]], [exact.low, exact.high])
        assert over_all.loc[("spikes − rates", context, "mean"), "mean"] == 0
        assert over_all.loc[("rates", context, "silent − mean"), "mean"] == 0


@pytest.mark.parametrize("inside", ["", "old\nlines\n"])
def test_tables_stand_between_their_markers(inside):
    page = f"a\n<!-- gate -->\n{inside}<!-- end of gate -->\nb\n"
    made = measuring.filled(page, {"gate": r"| \1 |", "absent": "| |"}, *circuit_tables.MARKS)
    assert made == "a\n<!-- gate -->\n| \\1 |\n<!-- end of gate -->\nb\n"


def test_the_page_says_what_the_files_say():
    page = (ROOT / "docs/circuit.md").read_text(encoding="utf-8")
    names = ("flows", "lesions", "numbers")
    tables = circuit_tables.page_tables({name: pd.read_csv(ROOT / f"docs/circuit_{name}.csv") for name in names})
    assert measuring.filled(page, tables, *circuit_tables.MARKS) == page
    assert all(table in page for table in tables.values())
