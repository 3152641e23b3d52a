"""The known circuit of ``experiments/studies``: who hears what, what a lesion takes, which units are chosen."""

import sys
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

sys.path.append(str(Path(__file__).parents[1] / "experiments/studies"))
circuit, circuit_network, circuit_page = map(import_module, ("circuit", "circuit_network", "circuit_page"))
TRIALS = circuit_network.balanced_trials(1)
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


def test_the_halves_are_of_the_same_kinds_of_trials():
    trials = circuit_network.balanced_trials(4)
    half = circuit.Study(None, None, trials, None, np.zeros(0)).chosen_on
    table = pd.DataFrame(trials._asdict())
    for rows in (half, ~half):
        assert table[rows].value_counts().tolist() == [2] * 72


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
    found = circuit_page.over_networks(table, ["of"], "value").iloc[0]
    exact = ttest_1samp([2.0, 5.0, 4.0], 0).confidence_interval()
    np.testing.assert_allclose([found["low"], found["high"]], [exact.low, exact.high])
    assert found["networks"] == 3


@pytest.mark.parametrize("inside", ["", "old\nlines\n"])
def test_tables_stand_between_their_markers(inside):
    page = f"a\n<!-- gate -->\n{inside}<!-- end of gate -->\nb\n"
    assert circuit_page.filled(page, "gate", r"| \1 |") == "a\n<!-- gate -->\n| \\1 |\n<!-- end of gate -->\nb\n"
