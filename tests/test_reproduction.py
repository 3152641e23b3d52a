"""The reproduction: verdicts on tables whose answer is known, and the page against the tables it is made from."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from splits import half as split_of

from jaxflow import InputError
from jaxflow.datasets import Dataset, Split, load_dataset
from jaxflow.information import ESTIMATORS, gaussian, subset_members
from jaxflow.interventions import Strategy
from jaxflow.measurements import measure_flows
from jaxflow.messages import as_message, unpermuted
from jaxflow.outputs import PAPER
from jaxflow.reproduction.page import page, short
from jaxflow.reproduction.paper import CORRELATIONS
from jaxflow.reproduction.program import estimate_by_inversion, measured_again, shared_edges_table
from jaxflow.reproduction.reproduce import read_tables, reproduce
from jaxflow.reproduction.runs import PROGRAM, RATE, ROWS, program_pixels, reproduction_runs, variants
from jaxflow.reproduction.verdicts import (
    bias_taken_off,
    correlations,
    curves,
    decisions,
    features_carry,
    judged,
    less_bias,
    mean_of_networks,
    negative_factors_raise_bias,
    nodes_beat_edges,
)
from jaxflow.running.config import Config, measured_messages

DOCS = Path(__file__).parent.parent / "docs"
FACTORS = (1.0, 0.5, 0.0, -1.0)


def tradeoff_table(rng, shapes, networks=8):
    """Curves (accuracy, bias) by strategy at ``FACTORS``, the same for all networks but for a little noise."""
    rows = [
        (n, metric, method, level, factor, accuracy + noise, bias + noise)
        for n in range(networks)
        for noise in [0.01 * rng.normal()]
        for (metric, method, level), points in shapes.items()
        for factor, (accuracy, bias) in zip(FACTORS, points, strict=True)
    ]
    return pd.DataFrame(rows, columns=["network", "metric", "method", "level", "factor", "accuracy", "bias"])


STEEP = ((70, 66), (69, 60), (68, 54), (67, 52))
FLAT = ((70, 66), (69, 63), (68, 61), (67, 60))


def test_a_number_agrees_within_the_widened_interval_and_an_order_above_0():
    assert judged("run", "r", -0.5, -0.3, (-0.41, -0.2)).verdict == "agree"
    assert judged("run", "r", -0.52, -0.3, (-0.41, -0.2)).verdict == "differ"
    assert judged("run", "order", np.nan, 0.3, (0.01, 0.4)).verdict == "agree"
    assert judged("run", "order", np.nan, 0.3, (-0.01, 0.4)).verdict == "differ"
    assert judged("run", "r", -0.5, np.nan, (np.nan, np.nan)).verdict == "undecided"


def test_curves_do_not_depend_on_the_order_of_rows(rng):
    table = tradeoff_table(
        rng, {("bias/acc", "node", 2): STEEP, ("random", "edge", 10): FLAT, ("random", "edge", 9): STEEP}
    )
    shuffled = curves(table.sample(frac=1, random_state=1))
    assert shuffled.strategies == [("bias/acc", "node", 2), ("random", "edge", 9), ("random", "edge", 10)]
    np.testing.assert_array_equal(shuffled.factors, FACTORS)
    np.testing.assert_allclose(shuffled.points.mean(axis=0)[:, :, ::-1], [STEEP, STEEP, FLAT], atol=0.02)


def test_bias_taken_off_counts_what_two_points_of_accuracy_afford(rng):
    shapes = {("acc/bias", "node", 2): STEEP, ("bias/acc", "edge", 2): FLAT, ("bias/acc", "node", 2): STEEP}
    table = curves(tradeoff_table(rng, shapes))
    found = bias_taken_off("run", 12.0, table)
    assert found.ours == pytest.approx(12)
    assert found.verdict == "agree"
    assert bias_taken_off("run", 10.0, table).verdict == "differ"


def test_orders_are_at_equal_accuracy(rng):
    """Interpolated by hand: 0 at 70, 3 at 69, 7 at 68, 8 at 67 %."""
    shapes = {("bias/acc", "node", 1): STEEP, ("random", "node", 1): FLAT, ("bias/acc", "edge", 3): FLAT}
    shapes[("random", "edge", 3)] = FLAT
    table = curves(tradeoff_table(rng, shapes))
    expected = np.mean(np.interp(np.linspace(67, 70, 50), [67, 68, 69, 70], [8, 7, 3, 0]))
    assert less_bias("run", "order", table, "bias/acc", "random").ours == pytest.approx(expected / 2, abs=0.01)
    assert nodes_beat_edges("run", table).ours == pytest.approx(expected, abs=0.01)
    assert less_bias("run", "order", table, "random", "bias/acc").verdict == "differ"


def test_decisions_are_read_where_most_bias_is_taken_off_for_two_points(rng):
    shapes = {("acc/bias", "node", 2): STEEP, ("bias/acc", "edge", 2): FLAT, ("bias/acc", "node", 2): STEEP}
    table = tradeoff_table(rng, shapes)
    steep = (table["metric"] == "bias/acc") & (table["method"] == "node")
    table["argmax_accuracy"] = 70 - 10 * (1 - table["factor"]) * np.where(steep, 1, 5)
    table["parity_gap"] = -20 + 8 * (1 - table["factor"]) * np.where(steep, 1, 5)
    accuracy, gap = decisions("run", {"tradeoff": table})
    assert (accuracy.paper, accuracy.ours) == (pytest.approx(70), pytest.approx(-10))  # at factor 0
    assert (gap.paper, gap.ours) == (pytest.approx(-20), pytest.approx(8))


def test_negative_factors(rng):
    turning = ((70, 66), (69, 60), (68, 54), (67, 58))
    for shape, ours, verdict in ((turning, 4, "agree"), (STEEP, 0, "differ")):
        shapes = {("bias/acc", "edge", 1): STEEP, ("bias/acc", "node", 1): shape, ("random", "node", 1): turning}
        found = negative_factors_raise_bias("run", curves(tradeoff_table(rng, shapes)))
        assert found.ours == pytest.approx(ours)
        assert found.verdict == verdict


def test_features_are_compared_by_their_widest_edges():
    rows = [
        (n, 0, source, target, message, flow * (1 + 0.1 * target))
        for n in range(5)
        for message, flows in (("y", (0.1, 0.2, 0.5)), ("z", (0.4, 0.3, 0.0)))
        for source, flow in enumerate(flows)
        for target in range(2)
    ]
    edges = pd.DataFrame(rows, columns=["network", "layer", "source", "target", "message", "flow"])
    y, z = features_carry("run", edges)
    assert (y.ours, z.ours) == (pytest.approx(0.33), pytest.approx(0.33))
    assert (y.verdict, z.verdict) == ("agree", "agree")


def test_intervals_of_means_are_those_of_the_central_limit(rng):
    values = pd.Series(rng.normal(98, 2, 400))
    found = mean_of_networks("run", "accuracy", 98.0, values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_table_2_takes_the_layers_from_the_first_analysed():
    rows = [
        (message, layer, "edge flow", r, r - 0.01, r + 0.01)
        for message, printed in CORRELATIONS["mnist"].items()
        for layer, r in enumerate(printed, 1)
    ]
    table = pd.DataFrame(rows, columns=["message", "layer", "predictor", "r", "low", "high"])
    found = correlations("mnist-gaussian", "mnist", table)
    assert [verdict.verdict for verdict in found] == ["agree"] * 10
    assert [verdict.ours for verdict in found] == [verdict.paper for verdict in found]


def test_all_runs_are_configured_and_quick_ones_are_small():
    quick = reproduction_runs(quick=True)
    assert set(quick) == set(reproduction_runs())
    assert max(run.config.seeds for run in quick.values()) == 10
    assert {strategy.metric for strategy in quick["mnist-gaussian"].config.strategies} == {
        *("bias/acc", "acc/bias", "random", "magnitude")
    }


def test_variants_change_one_thing_and_explain_a_run_there_is():
    runs = reproduction_runs()
    for name, variant in variants().items():
        own, base = variant.config.as_json(), runs[variant.explains].config.as_json()
        changed = {key for key in own if own[key] != base[key]} - {"strategies", "factors"}
        expected = {ROWS: {"data_seed"}, RATE: {"training"}, PROGRAM: {"linear"}}[variant.kind]
        assert changed == expected, name


def test_program_pixels_divide_by_the_spread_of_the_pixels_spreads(rng):
    """Half of the pixels with deviation 1, half with 3: their deviations deviate by 1."""
    x = rng.normal(size=(20_000, 10)).astype(np.float32) * np.repeat([2, 6], 5)
    half = split_of(x, rng.integers(0, 2, len(x)), rng.integers(0, 2, len(x)))
    scaled = program_pixels(Dataset("own", half, half))
    np.testing.assert_allclose(scaled.test.x, x / 2, rtol=0.03)


def inversion_bits(layers, message, members, **how):
    """Of every layer and subset about one message."""
    return estimate_by_inversion(layers, unpermuted({"m": as_message(message)}), members, **how)["m"].bits[0]


def test_inversion_is_the_gaussian_estimate_until_the_covariance_is_singular(rng):
    """Eq. 13 by inverse and determinant equals the recursion where both are sound, and does not where they are not."""
    message = rng.integers(0, 2, 2000)
    layer = rng.normal(size=(2000, 3)) + np.outer(message, [1, 0.5, 0])
    members = subset_members(3)
    bits = inversion_bits(jnp.asarray(layer[None], jnp.float32), message, members)
    np.testing.assert_allclose(bits[0], gaussian(message, layer), atol=1e-6)
    twins = (layer[:, :1] * [1, 0.3] + [0.1, -2]).astype(np.float32)  # the second logit is the first but for rounding
    stacked = jnp.asarray(np.stack([twins, twins[:, ::-1]]))
    whole = np.ones((1, 2), bool)
    own = np.asarray(gaussian(message, twins))[-1]
    single = inversion_bits(stacked, message, whole, precision="float32")
    assert np.abs(single - own).max() > 0.1
    constant = jnp.zeros((1, 2000, 2))
    assert inversion_bits(constant, message, whole) == 0


@pytest.mark.slow
def test_shared_edges_are_scaled_for_every_path_through_them():
    """Two paths through one last edge: scaled once they follow the tradeoff table's curve, twice they do not."""
    test = load_dataset("synthetic").test
    half = Split(test.x[:600], {name: own[:600] for name, own in test.messages.items()})
    dataset = Dataset("own", half, half)
    config = Config("own", strategies=(Strategy("bias/acc", "path", 2),), factors=(1.0, 0.5, 0.0))
    network = config.network(dataset)
    keys = jax.random.split(jax.random.key(0), 6)
    params = jax.jit(jax.vmap(lambda key: network.init(key, jnp.asarray(half.x))))(keys)
    messages = jax.tree.map(jnp.asarray, measured_messages(PAPER, dataset))
    study = config.study(network, dataset)
    measured = measure_flows(study, params, jnp.asarray(half.x), unpermuted(messages))
    table = shared_edges_table(params, config, dataset, measured.flows.node)
    plain = measured_again(params, config, dataset, ESTIMATORS["gaussian"])
    np.testing.assert_allclose(table["bias"], np.ravel(plain["bias"]), atol=1e-3)
    np.testing.assert_allclose(table["accuracy"], np.ravel(plain["accuracy"]), atol=1e-3)
    halfway = table[table["factor"] == 0.5]
    assert (halfway["bias"] - halfway["bias_repeated"]).abs().max() > 0.01
    ends = table[table["factor"] != 0.5]
    np.testing.assert_allclose(ends["bias"], ends["bias_repeated"], atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_figures", "no_honest_flows")
def test_a_quick_reproduction_end_to_end_computes_nothing_twice(tmp_path):
    """Networks of the synthetic data: run, tables, figures and page; the page says what is missing."""
    quick = partial(reproduce, tmp_path / "docs", tmp_path / "runs", only=["fig13"], seeds=2, quick=True, quiet=True)
    path = quick()
    tables = read_tables(path.parent / "reproduction")
    text = path.read_text()
    assert text == page(tables)
    assert "Not run yet: synthetic-kernel-svm, synthetic-quadratic, adult-small-linear-svm" in text
    assert set(tables["predictors"]["run"]) == {"synthetic-gaussian"}
    drawn = {file.stem for file in (path.parent / "reproduction").glob("*.png")}
    assert drawn == {"fig1", "fig7", "fig13", "inversion", "predictors"}
    assert tables["inversion"]["networks"].eq(2).all()
    chunk = next((tmp_path / "runs/synthetic-gaussian/chunks").iterdir())
    before = chunk.stat().st_mtime_ns
    assert quick().read_text() == text
    assert chunk.stat().st_mtime_ns == before


def test_an_unknown_figure_is_refused(tmp_path):
    with pytest.raises(InputError, match="unknown figure 'fig99'"):
        reproduce(tmp_path, tmp_path, only=["fig99"])


def test_the_page_and_the_readme_are_what_the_tables_say():
    tables = read_tables(DOCS / "reproduction")
    assert (DOCS / "reproduction.md").read_text() == page(tables)
    assert short(tables) in (DOCS.parent / "README.md").read_text()
