"""The line that a terminal shows: the stage stays readable at any width, and something is shown at once."""

import io
import itertools

import pytest
from rich.console import Console

from jaxflow.running import progress
from jaxflow.running.progress import progress_line, reporter

STAGES = ("starting", "training", "dependence", "tables and figures", "waiting for the other processes")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_is_whole_and_the_line_fits(width, stage):
    for done, left in itertools.product((0, 12.4, 100), ("", "about 1:05 left")):
        line = progress_line(width, "adult-small", stage, done, 100, "0:35", left)
        assert stage in line
        assert len(line) <= max(width, len(stage))


def test_what_there_is_room_for():
    line = ("synthetic", "tradeoff", 50, 100, "0:35", "about 0:36 left")
    assert progress_line(40, *line) == "tradeoff  50/100  about 0:36 left"
    assert progress_line(60, *line) == "synthetic: tradeoff  50/100  about 0:36 left"
    assert progress_line(82, *line, bar="=-") == (
        "synthetic: tradeoff  =========---------  50 of 100 networks  0:35  about 0:36 left"
    )
    assert progress_line(20, *line) == "tradeoff  50/100"
    assert progress_line(5, *line) == "tradeoff"


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal of 40 columns receives."""
    received = io.StringIO()
    monkeypatch.setattr(
        progress, "Console", lambda **_: Console(file=received, width=40, force_terminal=True, color_system=None)
    )
    return received


def test_a_terminal_shows_the_start_before_any_report(terminal):
    with reporter("adult-small"):
        assert "adult-small: starting" in terminal.getvalue()


def test_a_terminal_of_40_columns_shows_stage_and_count(terminal):
    with reporter("adult-small") as report:
        report("dependence", 12.5, 100)
    assert "adult-small: dependence  12/100" in terminal.getvalue()


def test_a_file_gets_lines_from_the_start_on(capsys):
    with reporter("adult-small") as report:
        assert capsys.readouterr().err == "adult-small: starting\n"
        report("flows [1]", 0, 100)
    assert capsys.readouterr().err == "adult-small: 0 of 100 networks, flows [1]\n"


def test_quiet_is_silent(capsys):
    with reporter("adult-small", quiet=True) as report:
        report("flows", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_the_time_left_does_not_count_what_came_before(monkeypatch):
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    pace = progress._Pace()
    assert pace.left(0, 0) == ""  # starting: nothing is known yet
    assert pace.left(50, 100) == ""  # finished by an earlier run
    assert pace.left(60, 100) == "about 0:40 left"
