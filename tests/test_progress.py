"""The line that a terminal shows: the stage stays readable at any width, and something is shown at once."""

import io
import time

import pytest
from rich.console import Console

from jaxflow.running import progress
from jaxflow.running.progress import OVERDUE, Pace, progress_line, reporter, spent_since

STAGES = ("starting", "training", "dependence", "tables and figures", "waiting for the other processes")


def paced(*reports, begin=0.0):
    """What follows from reports, each with the clock's seconds before it."""
    pace = Pace(begin, figures=2.0)
    for now, *what in reports:
        pace.hear(now, *what)
    return pace


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_is_whole_and_the_line_fits(width, stage):
    for reports in ([(1, stage, 0, 100)], [(1, "training", 0, 100), (9, stage, 12.4, 100)], [(1, stage, 100, 100)]):
        line = progress_line(width, "adult-small", paced(*reports), 10)
        assert stage in line
        assert len(line) <= max(width, len(stage))


def test_what_there_is_room_for():
    pace = paced((1, "training", 0, 100), (36, "tradeoff", 50, 100))
    assert progress_line(35, "synthetic", pace, 37) == "tradeoff  48 %  about 0:36 left"
    assert progress_line(44, "synthetic", pace, 37) == "synthetic: tradeoff  48 %  about 0:36 left"
    assert progress_line(60, "synthetic", pace, 37, bar="=-") == (
        "synthetic: tradeoff  =====-----  48 %  0:37  about 0:36 left"
    )
    assert progress_line(20, "synthetic", pace, 37) == "tradeoff  48 %"
    assert progress_line(5, "synthetic", pace, 37) == "tradeoff"


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


def test_a_terminal_of_40_columns_shows_stage_and_part(terminal):
    with reporter("adult-small", about="100 networks, seed 5") as report:
        report("dependence", 12.5, 100)
    assert terminal.getvalue().startswith("adult-small: 100 networks, seed 5\n")
    assert "adult-small: dependence  0 %" in terminal.getvalue()


def test_a_file_gets_lines_from_the_start_on(capsys):
    """One for every new stage; those that come again with every chunk are not said again."""
    with reporter("adult-small", about="100 networks, seed 0") as report:
        assert capsys.readouterr().err == "adult-small: starting, 100 networks, seed 0\n"
        for done in range(50):
            report("training", done, 100)
            report("flows [1]", done + 0.5, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "adult-small: training, 0 %"
    assert [line.split(",")[0] for line in lines] == ["adult-small: training", "adult-small: flows [1]"]


def test_a_long_stage_that_reports_nothing_is_heard_of(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SILENCE", 0)
    with reporter("adult-small") as report:
        report("flows", 0, 100)
        time.sleep(0.6)
    assert capsys.readouterr().err.count("adult-small: flows, 0 %\n") >= 2


def test_quiet_is_silent(capsys):
    with reporter("adult-small", quiet=True, about="2 networks") as report:
        report("flows", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_the_time_left_is_counted_down_and_does_not_count_what_came_before():
    """50 networks were there; 10 took 10 s, so that 40 take 40, and figures twice the first 3 s."""
    pace = paced((103, "training", 50, 100), begin=100)
    assert pace.left(110) == ""  # nothing is known yet
    pace.hear(113, "training", 60, 100)
    assert pace.left(113) == "about 0:46 left"
    assert [pace.left(113 + second) for second in (1, 2, 30)] == [f"about 0:{left} left" for left in (45, 44, 16)]
    assert pace.left(158.5) == "about 0:01 left"
    assert pace.left(159) == pace.left(500) == OVERDUE
    pace.hear(200, "flows", 80, 100)
    assert pace.left(200) == "about 1:11 left"


def test_tables_and_figures_have_an_estimate_whether_or_not_anything_was_computed():
    for reports in ([(3, "training", 0, 9), (8, "flows", 4.5, 9), (20, "tables", 9, 9)], [(3, "tables", 9, 9)]):
        pace = paced(*reports)
        assert pace.left(reports[-1][0] + 1) == "about 0:05 left"
        pace.hear(reports[-1][0] + 2, "tables", 9, 9)
        assert pace.left(reports[-1][0] + 2) == "about 0:04 left"


def test_the_part_that_is_done_never_falls():
    pace, parts = Pace(0.0), []
    for now, done in ((1, 0), (2, 1), (30, 2), (31, 8), (90, 9), (91, 10)):
        pace.hear(now, "flows", done, 10)
        parts.append(pace.part)
    assert parts == sorted(parts)
    assert 0 <= parts[0] <= parts[-1] < 1


def test_hours_are_written_as_hours():
    pace = paced((0, "flows", 0, 100), (3600, "flows", 50, 100))
    assert pace.left(3600) == "about 1:00:02 left"


def test_a_chunk_divides_its_time_as_the_one_before_did():
    assert spent_since(["a", "b"], {"a": 3.0, "b": 2.0, "c": 1.0}, {"a": 1.0}) == {"a": 2.0, "b": 2.0}
    assert spent_since(["a"], {}, {}) == {"a": 1e-3}
