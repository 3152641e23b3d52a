"""Figures of recordings: nothing is clipped or cut, scales compare, ticks are round, whatever messages and names."""

import warnings
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure

from jaxflow.cli import main
from jaxflow.errors import MissingGlyphsWarning
from jaxflow.figures import draw_recording, flow_matrix, flow_network, flow_over_time, laid_out, plain_text
from jaxflow.figures.glyphs import missing_glyphs
from jaxflow.figures.style import ALPHA, FULL
from jaxflow.figures.ticks import bins_of_ticks, named_places, round_times
from jaxflow.running.results import Results

FLOOR = 0.02
LONG = tuple(f"shank3_electrode{number:03d}_putative_pyramidal" for number in range(6))
LONG_MESSAGE = "stimulus_orientation_of_the_left_hemifield_grating|context"


def recorded(sizes, widths, times=None, weights=False):
    """Tables of flows: of every message noise below the floor, and its largest flow in the last layer's first node."""
    times = np.arange(len(widths)) if times is None else times
    rows = [
        (0, layer, times[layer], node, message, FLOOR * (1 + node) / (1 + width), FLOOR, 1.0)
        for message in sizes
        for layer, width in enumerate(widths)
        for node in range(width)
    ]
    flows = pd.DataFrame(rows, columns=["network", "layer", "time", "node", "message", "flow", "null95", "p_max"])
    for message, size in sizes.items():
        if size > FLOOR:
            largest = (flows["message"] == message) & (flows["layer"] == len(widths) - 1) & (flows["node"] == 0)
            flows.loc[largest, ["flow", "p_max"]] = size, 0.01
    edges = [
        (message, layer, source, target, 1.0, 0.01 + (size if layer == len(widths) - 2 else 0))
        for message, size in sizes.items()
        for layer in range(len(widths) - 1)
        for source in range(widths[layer])
        for target in range(widths[layer + 1])
    ]
    columns = ["message", "layer", "source", "target", "weight", "flow"]
    return flows, pd.DataFrame(edges if weights else [], columns=columns)


def over_time(sizes, widths, names=()):
    return flow_over_time(recorded(sizes, widths)[0], "mine", names)


def matrix(sizes, widths):
    return flow_matrix(recorded(sizes, widths)[0], "mine")


def network(sizes, widths):
    return flow_network(*recorded(sizes, widths, weights=True), "mine")


def panels(figure):
    """The Axes that show a message."""
    return [axes for axes in figure.axes if axes.get_title()]


def points(axes):
    """All that is plotted in Axes, in their own coordinates."""
    lines = [line.get_xydata() for line in axes.lines]
    bars = [box.get_corners() for box in axes.patches]
    return np.concatenate([*lines, *bars])


@pytest.mark.parametrize("widths", [[3] * 5, [3, 2, 1], [4]], ids=["bins", "layers", "one layer"])
@pytest.mark.parametrize("sizes", [{"weak": 0.05, "strong": 1.68}, {"strong": 1.68, "noise": 0, "weak": 0.05}], ids=len)
def test_every_flow_lies_within_the_axes(widths, sizes):
    figure = over_time(sizes, widths)
    for axes, size in zip(panels(figure), sizes.values(), strict=True):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        x, y = points(axes).T
        assert left < x.min() <= x.max() < right
        assert bottom == 0 <= y.min() <= y.max() < top
        assert y.max() >= size
        if size < FLOOR:
            assert top >= FULL * FLOOR  # noise stays low


def test_a_single_layer_has_a_bar_for_every_node():
    """Coloured where it is significant, with its name below."""
    figure = over_time({"weak": 0.05}, [4], LONG[:4])
    axes = panels(figure)[0]
    bars = [box for box in axes.patches if box.get_width() < 1]
    assert [box.get_x() + box.get_width() / 2 for box in bars] == [0, 1, 2, 3]
    assert bars[0].get_height() == 0.05
    assert len({box.get_facecolor() for box in bars[1:]} - {bars[0].get_facecolor()}) == 1
    assert [text.get_text() for text in axes.get_xticklabels()] == [plain_text(name) for name in LONG[:4]]
    band = next(box for box in axes.patches if box.get_width() >= 1)
    assert band.get_height() == FLOOR


def test_one_scale_of_colours_serves_all_messages():
    """And a node that a narrower layer does not have looks like no flow."""
    sizes = {"noise": 0.0, "strong": 1.68}
    figure = matrix(sizes, [3, 3, 2])
    images = [axes.images[0] for axes in panels(figure)]
    assert [image.get_clim() for image in images] == [(0, 1.68)] * 2
    colours = images[0].to_rgba(images[0].get_array())
    absent = np.isnan(np.ma.filled(images[0].get_array(), np.nan))
    assert absent.sum() == 1
    assert colours[absent][:, :3].max() < colours[~absent][:, :3].min()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no such node"]
    bars = [axes for axes in figure.axes if any(isinstance(part, QuadMesh) for part in axes.collections)]
    assert [axes.get_ylabel() for axes in bars] == ["flow (bits)"]
    alone = matrix({"noise": 0.0}, [3, 3, 3])
    assert panels(alone)[0].images[0].get_clim() == (0, pytest.approx(FULL * FLOOR))
    assert not alone.legends


def test_the_network_says_what_is_dashed_and_which_bins_it_shows():
    figure = network({"stimulus": 0.5}, [2] * 14)
    axes = panels(figure)[0]
    assert axes.get_xlabel().startswith("time: 10 of 14 bins")
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(time) for time in range(4, 14)]
    assert figure.legends[0].get_texts()[0].get_text() == f"flow not significant ($p_{{max}}$ ≥ {ALPHA:g})"
    whole = network({"stimulus": 0.5}, [3, 2])
    assert panels(whole)[0].get_xlabel() == "time"
    circles = next(part for part in panels(whole)[0].collections if isinstance(part, PathCollection))
    assert len(np.asarray(circles.get_offsets())) == 5  # a narrower layer has fewer


CASES = {
    "three bins": ({LONG_MESSAGE: 0.2, "s2": 0.0}, [6] * 3, LONG, [0.001, 0.002, 0.003]),
    "one bin": ({LONG_MESSAGE: 0.2}, [6], LONG, [0.001]),
    "layers": ({"W" * 60: 0.2}, [6, 2], (), [0, 1]),
    "many bins": ({LONG_MESSAGE: 1.0}, [2] * 50, ("W" * 30, "W" * 40), np.linspace(-0.2, 0.78, 50)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_text_is_cut_and_labels_of_times_do_not_collide(case):
    sizes, widths, names, times = case
    tables = recorded(sizes, widths, times, weights=len(widths) > 1)
    for name, figure in draw_recording(*tables, "M" * 60, names):
        figure.draw_without_rendering()
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) > -0.01, name
        assert (drawn.x1 < width + 0.01, drawn.y1 < height + 0.01) == (True, True), name
        labels = [text for text in panels(figure)[-1].get_xticklabels() if text.get_text()]
        boxes = sorted((box.x0, box.x1) for box in (text.get_window_extent() for text in labels))
        assert all(end < start for (_, end), (start, _) in pairwise(boxes)), name


def test_ticks_of_times_are_round():
    def labels(times):
        ticks, text = round_times(np.asarray(times, float))
        np.testing.assert_allclose(ticks, [float(own) for own in text], rtol=0, atol=0.02 * np.ptp(times) + 1e-12)
        return text

    assert labels(range(10)) == list("0123456789")
    assert labels(range(16)) == ["0", "5", "10", "15"]
    assert labels([0.001, 0.002, 0.003]) == ["0.001", "0.002", "0.003"]
    assert labels(np.arange(20) * 0.05 - 0.4) == ["-0.4", "-0.2", "0.0", "0.2", "0.4"]
    assert labels(np.linspace(-0.5, 1, 100)) == ["-0.5", "0.0", "0.5", "1.0"]
    assert labels([0, 1, 3, 700]) == [str(own) for own in range(0, 701, 100)]
    assert labels([0.075]) == ["0.075"]
    assert labels([7.0, 7.0]) == ["7"]


def test_ticks_lie_at_their_bins():
    places, labels = bins_of_ticks(np.arange(20) * 0.05 - 0.4)
    np.testing.assert_allclose(places, [0, 4, 8, 12, 16])
    assert labels == ["-0.4", "-0.2", "0.0", "0.2", "0.4"]
    uneven = np.array([0.0, 1, 3, 700])  # of which the matrix shows each as wide as the others
    assert [own.tolist() if isinstance(own, np.ndarray) else own for own in bins_of_ticks(uneven)] == [
        [0, 1, 2, 3],
        ["0", "1", "3", "700"],
    ]
    assert named_places("abcdefghijk", 5) == ([0, 5, 10], ["a", "f", "k"])
    assert named_places("abc", 5) == ([0, 1, 2], ["a", "b", "c"])


# --- characters that the font does not have --------------------------------------------------------------------------


def titled(text):
    figure = Figure(figsize=(1, 1), layout="constrained")
    figure.subplots().set_title(text)
    return figure


def test_characters_without_a_glyph_are_told_in_one_line(tmp_path):
    figures = (("flows", titled("刺激")), ("flow_matrix", titled("右刺")))
    with pytest.warns(MissingGlyphsWarning) as told:
        Results(tmp_path).write_figures((name, laid_out(figure)) for name, figure in figures)
    assert [str(own.message) for own in told] == [
        "the font of the figures has no 刺激右: they show boxes there; the tables have the names"
    ]
    assert len(list((tmp_path / "figures").iterdir())) == 4
    Results(tmp_path).write_figures([("flows", titled("α é"))])


def test_other_warnings_are_not_swallowed():
    with pytest.warns(UserWarning, match="something else") as told, missing_glyphs():
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert len(told) == 1
    with pytest.raises(UserWarning, match="something else"), missing_glyphs():
        warnings.warn("something else", UserWarning, stacklevel=1)


@pytest.mark.parametrize("options", [(), ("--quiet",)], ids=["told", "quiet"])
def test_quiet_is_quiet_about_characters(options, monkeypatch, capsys, tmp_path):
    def measure(*_, **__):
        with missing_glyphs():
            warnings.warn("Glyph 21050 (X) missing from font(s) DejaVu Sans.", UserWarning, stacklevel=1)
        return SimpleNamespace()

    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.npz").touch()
    monkeypatch.setattr("jaxflow.running.recording.measure", measure)
    monkeypatch.setattr("jaxflow.running.summary.recording_summary", lambda _: "done")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert main(["measure", "cells.npz", "--message", "stimulus", "--no-cache", *options]) == 0
    assert capsys.readouterr().out == "done\n"
    assert len(told) == (0 if options else 1)
