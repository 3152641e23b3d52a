"""Figures show what the tables say."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from jaxflow import figures
from jaxflow.interventions import PAPER_METRICS
from jaxflow.outputs import Roles


@pytest.fixture
def tradeoffs(rng):
    rows = [
        (network, metric, method, level, factor, *rng.random(2))
        for network in range(4)
        for metric in PAPER_METRICS
        for method, levels in (("node", (1, 2, 3)), ("edge", (2, 6)))
        for level in levels
        for factor in (1.0, 0.5, 0.0)
    ]
    return pd.DataFrame(rows, columns=["network", "metric", "method", "level", "factor", "accuracy", "bias"])


@pytest.fixture
def networks(rng):
    values = rng.random((4, 2))
    return pd.DataFrame({"network": range(4), "output_accuracy": values[:, 0], "output_bias": values[:, 1]})


def test_tradeoff_curve_is_mean_and_standard_error(tradeoffs, networks):
    figure = figures.tradeoff(tradeoffs, networks, "title")
    axes = figure.axes[0]
    rows = tradeoffs.query("metric == 'bias/acc' and method == 'node' and level == 2")
    means = rows.groupby("factor")[["bias", "accuracy"]].mean().loc[[1.0, 0.5, 0.0]]
    container = axes.containers[0]
    np.testing.assert_allclose(container.lines[0].get_xydata(), means.to_numpy())
    reach = container.lines[2][0].get_segments()[0]
    sem = rows.query("factor == 1")["bias"].std(ddof=1) / 2
    assert reach[1, 0] - reach[0, 0] == pytest.approx(2 * sem)
    star = next(line for line in axes.lines if line.get_marker() == "*")
    np.testing.assert_allclose(
        star.get_xydata()[0], [networks["output_bias"].mean(), networks["output_accuracy"].mean()]
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["unpruned", *PAPER_METRICS]
    assert [a.get_title() for a in figure.axes] == ["top 2 nodes", "top 2 edges"]


def test_chance_is_a_line_with_its_name_or_far_away_an_arrow(tradeoffs, networks):
    """A line within the reach of the curves; one that is ten times farther would squeeze them."""
    low, high = tradeoffs["bias"].min(), tradeoffs["bias"].max()
    chance = {"bias": float(low), "accuracy": float(tradeoffs["accuracy"].min() - 1000)}
    figure = figures.tradeoff(tradeoffs, networks, "title", chance=chance)
    for axes in figure.axes:
        levels = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 0.6]
        assert levels == [low]
        assert np.ptp(axes.get_ylim()) < 2 * np.ptp(tradeoffs["accuracy"])
    names = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert names == [f"bias at chance, {low:.1f} %", f"↓ accuracy at chance, {chance['accuracy']:.1f} %"]
    assert high > low


def test_every_level_has_its_curve(tradeoffs, networks):
    figure = figures.tradeoff_levels(tradeoffs, networks, "title")
    assert len(figure.axes) == 6
    assert [len(axes.containers) for axes in figure.axes] == [3, 3, 3, 2, 2, 2]
    looks = {(c.lines[0].get_color(), c.lines[0].get_marker()) for c in figure.axes[0].containers}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 3


def test_there_is_no_limit_to_levels(rng, networks):
    rows = [
        (n, "random", "edge", level, f, *rng.random(2)) for n in range(2) for level in range(1, 12) for f in (1.0, 0.0)
    ]
    table = pd.DataFrame(rows, columns=["network", "metric", "method", "level", "factor", "accuracy", "bias"])
    assert len(figures.tradeoff_levels(table, networks, "title").axes[0].containers) == 11


def test_dependence_draws_points_fit_and_r_squared(rng):
    flow = rng.random(60)
    table = pd.DataFrame({"message": "y", "layer": np.repeat([0, 1], 30), "flow": flow, "effect": 1 - 2 * flow**2})
    table = pd.concat([table, table.assign(message="z", effect=0.0)])
    figure = figures.dependence(table, "title")
    accuracy, bias = figure.axes
    for layer, points in enumerate(accuracy.collections):
        rows = table.query("message == 'y' and layer == @layer")
        np.testing.assert_allclose(points.get_offsets(), rows[["flow", "effect"]])
        label = accuracy.get_legend().get_texts()[layer].get_text()
        assert label == f"layer {layer}, R² = {linregress(rows['flow'], rows['effect']).rvalue ** 2:.2f}"
    assert [text.get_text() for text in bias.get_legend().get_texts()] == ["layer 0", "layer 1"]  # constant: no fit


def test_edge_width_grows_with_flow_and_faint_nodes_are_dotted():
    nodes = pd.DataFrame(
        {"network": 0, "layer": [0, 0, 1], "node": [0, 1, 0], "message": "y", "flow": [0.5, 0.001, 0.4], "null95": 0.01}
    )
    edges = pd.DataFrame(
        {"network": 0, "layer": 0, "source": [0, 1], "target": 0, "message": "y", "flow": [0.6, 0.0005]}
    )
    _, grid = figures.new_figure(3, 3)
    figures.flow_panel(grid[0, 0], nodes, edges, ("y", "$Y$"), "#0072B2", ("a", "b"))
    strong, weak, _ = grid[0, 0].collections
    assert [len(own.get_segments()) for own in (strong, weak)] == [1, 1]
    assert strong.get_linewidth()[0] > 10 * weak.get_linewidth()[0]
    solid, dotted = strong.get_linestyle()[0][1], weak.get_linestyle()[0][1]
    assert (solid is None, dotted is None) == (True, False)
    assert [text.get_text() for text in grid[0, 0].texts] == ["a", "b"]


def test_flows_below_the_noise_floor_do_not_look_strong():
    """Full width and shade stand for five floors at least; without a floor, for the largest flow."""
    nodes = pd.DataFrame({"layer": [0, 0, 1], "node": [0, 1, 0], "message": "y", "flow": [0.01, 0.001, 0.008]})
    edges = pd.DataFrame({"layer": 0, "source": [0, 1], "target": 0, "message": "y", "flow": [0.02, 0.002]})
    drawn = {}
    for floor in (0.02, np.nan):
        _, grid = figures.new_figure(3, 3)
        figures.flow_panel(grid[0, 0], nodes.assign(null95=floor), edges, ("y", "accuracy"), "#0072B2")
        drawn[floor] = max(width for own in grid[0, 0].collections[:2] for width in own.get_linewidth()), grid[0, 0]
    assert drawn[0.02][0] == pytest.approx(0.3 + 6 * 0.01 / (5 * 0.02))
    assert [own.get_title().endswith("none significant") for _, own in drawn.values()] == [True, False]


def test_edges_are_faint_by_significance_and_not_by_the_floor():
    """p_max decides where it is known: not significant above the floor is faint, significant below it is not."""
    nodes = pd.DataFrame({"layer": [0, 0, 1], "node": [0, 1, 0], "message": "y", "flow": [0.5, 0.01, 0.4]})
    nodes = nodes.assign(null95=0.1, p_max=[0.2, 0.01, 0.01])
    edges = pd.DataFrame({"layer": 0, "source": [0, 1], "target": 0, "message": "y", "flow": [0.7, 0.02]})
    _, grid = figures.new_figure(3, 3)
    figures.flow_panel(grid[0, 0], nodes, edges, ("y", "accuracy"), "#0072B2")
    plain, faint = ([segment[0].tolist() for segment in own.get_segments()] for own in grid[0, 0].collections[:2])
    assert (plain, faint) == ([[0.0, -0.5]], [[0.0, 0.5]])


def test_figures_touch_no_global_state(tradeoffs, networks):
    before = dict(plt.rcParams)
    with figures.paper_style():
        figures.tradeoff(tradeoffs, networks, "title")
    assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []


def test_one_network_has_no_error_bars_and_no_nan(tradeoffs, networks):
    figure = figures.tradeoff(tradeoffs.query("network == 0"), networks.head(1), "title")
    segments = figure.axes[0].containers[0].lines[2][0].get_segments()
    assert np.isfinite(np.concatenate(segments)).all()


# Several attributes, and metrics of the user's

TWO = Roles("hired", ("sex", "zip$"))


@pytest.fixture
def aimed(rng):
    """Tradeoffs that aim at one of two attributes."""
    rows = [
        (network, metric, "edge", level, attribute, factor, *rng.random(3))
        for network in range(3)
        for attribute in TWO.attributes
        for metric in ("bias/acc", "mine")
        for level in (2, 6, 9)
        for factor in (1.0, 0.0)
    ]
    biases = [f"bias{TWO.suffix(name)}" for name in TWO.attributes]
    columns = ["network", "metric", "method", "level", "attribute", "factor", "accuracy", *biases]
    return pd.DataFrame(rows, columns=columns)


def test_every_attribute_has_its_row_with_its_bias(aimed):
    networks = pd.DataFrame({"output_accuracy": [0.5, 0.7], "bias_sex": [0.1, 0.2], "bias_zip$": [0.3, 0.5]})
    figure = figures.tradeoff(aimed, networks, "title", TWO)
    for axes, name, unpruned in zip(figure.axes, TWO.attributes, (0.15, 0.4), strict=True):
        rows = aimed.query("metric == 'mine' and level == 6 and attribute == @name")
        means = rows.groupby("factor")[[f"bias_{name}", "accuracy"]].mean().loc[[1.0, 0.0]]
        np.testing.assert_allclose(axes.containers[1].lines[0].get_xydata(), means.to_numpy())
        star = next(line for line in axes.lines if line.get_marker() == "*")
        np.testing.assert_allclose(star.get_xydata()[0], [unpruned, 0.6])
        assert figures.plain_text(name) in axes.get_xlabel()
    levels = figures.tradeoff_levels(aimed, networks, "title", TWO)
    assert [len(axes.containers) for axes in levels.axes] == [3] * 4
    for drawn in (figure, levels):
        drawn.savefig(io.BytesIO(), format="svg")


@pytest.mark.parametrize("notion", ["parity", "odds"])
def test_every_message_has_its_panel(rng, notion):
    """Titles are names as they are, not mathematics; messages are those that are measured."""
    roles = TWO._replace(notion=notion)
    titles = figures.message_titles(roles)
    assert list(titles) == list(roles.measured_names)
    assert list(titles.values()) == ["accuracy", f"bias (sex, {notion})", rf"bias (zip\$, {notion})"]
    alone = figures.message_titles(TWO._replace(attributes=("sex",), notion=notion))
    assert list(alone.values()) == ["accuracy", f"bias ({notion})"]
    assert list(figures.message_titles(Roles()).values()) == ["accuracy", "bias"]
    rows = [(message, 0, flow, flow * (number + 1))
            for number, message in enumerate(titles) for flow in rng.random(9)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["message", "layer", "flow", "effect"])
    figure = figures.dependence(table, "title", roles)
    for axes, message in zip(figure.axes, titles, strict=True):
        own = table[table["message"] == message]
        np.testing.assert_allclose(axes.collections[0].get_offsets(), own[["flow", "effect"]])
