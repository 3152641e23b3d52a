"""Progress of a run: a live line on a terminal, plain lines elsewhere, always on stderr."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from rich.console import Console
from rich.live import Live
from rich.text import Text

Report: TypeAlias = Callable[[str, float, int], None]
"""Called with what is being done, how many networks are done (fractions count), and of how many."""

STARTING = "starting"
PLAIN_SECONDS = 30
SHORTEST_BAR, LONGEST_BAR = 10, 40  # columns


def silent(stage: str, done: float, total: int) -> None:
    """Report nothing."""
    del stage, done, total


def _clock(seconds: float) -> str:
    """``1:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def reporter(title: str, quiet: bool = False, counted: str = "networks") -> Iterator[Report]:
    """A report function for the length of a run, which says at once that it is starting: JAX takes seconds to load.

    Args:
        title: of the run.
        quiet: report nothing.
        counted: what is counted.
    """
    console = Console(stderr=True)
    if quiet:
        yield silent
    elif console.is_terminal:
        with _live(title, console, counted) as report:
            yield report
    else:
        yield _plain(title, console, counted)


@contextmanager
def _live(title: str, console: Console, counted: str) -> Iterator[Report]:
    """One line that is drawn anew four times a second, as wide as the terminal is then."""
    pace, begin = _Pace(), time.monotonic()
    stage, done, total, left = STARTING, 0.0, 0, ""

    def line() -> Text:
        clock = _clock(time.monotonic() - begin)
        bar = "=-" if console.options.ascii_only else "━╌"
        shown = progress_line(console.width, title, stage, done, total, clock, left, bar, counted)
        return Text(shown, overflow="fold")

    def report(*what: Any) -> None:
        nonlocal stage, done, total, left
        stage, done, total = what
        left = pace.left(done, total)

    with Live(get_renderable=line, console=console, transient=True) as live:
        live.refresh()  # at once, not with the first of the drawings
        yield report


def progress_line(
    width: int,
    title: str,
    stage: str,
    done: float,
    total: int,
    clock: str,
    left: str,
    bar: str = "━╌",
    counted: str = "networks",
) -> str:
    """What a terminal of ``width`` columns shows: the stage always, and of the rest as much as there is room for.

    Args:
        width: columns.
        title: of the run.
        stage: what is being done.
        done: networks done; fractions count.
        total: of how many; 0 where that is not known yet.
        clock: time since the beginning.
        left: time left, or nothing.
        bar: what the done and the missing part of the bar are made of.
        counted: what is counted.
    """
    count, short = (f"{int(done)} of {total} {counted}", f"{int(done)}/{total}") if total else ("", "")
    named = f"{title}: {stage}"
    choices = ((named, count, clock, left), (named, short, left), (stage, short, left), (stage, short), (stage,))
    lines = ["  ".join(filter(None, parts)) for parts in choices]
    room = min(LONGEST_BAR, width - len(lines[0]) - 2)
    if total and room >= SHORTEST_BAR:
        full = round(room * min(done / total, 1))
        return "  ".join(filter(None, (named, bar[0] * full + bar[1] * (room - full), count, clock, left)))
    return next((line for line in lines if len(line) <= width), stage)


def _plain(title: str, console: Console, counted: str) -> Report:
    """A line for every chunk, or now and then in a long one."""
    pace = _Pace()
    last = time.monotonic()

    def report(stage: str, done: float, total: int) -> None:
        nonlocal last
        left = pace.left(done, total)
        if done == int(done) or time.monotonic() - last > PLAIN_SECONDS:
            last = time.monotonic()
            parts = [f"{int(done)} of {total} {counted}" if total else "", left, stage]
            line = f"{title}: {', '.join(filter(None, parts))}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    report(STARTING, 0, 0)
    return report


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add a stage's wall time."""
    begin = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - begin, 3)


class Stages:
    """Time and progress of the stages of a piece of work: a context for each, which gives a function to count steps."""

    def __init__(
        self,
        steps: Mapping[str, int],
        shares: Mapping[str, float],
        seconds: dict[str, float],
        report: Callable[[str, float], None],
    ) -> None:
        self.steps, self.shares, self.seconds, self.report = steps, shares, seconds, report

    @contextmanager
    def __call__(self, stage: str) -> Iterator[Callable[[int], None]]:
        """Run a stage; ``report`` hears its name and the part of the whole work that is done."""
        whole, names = sum(self.shares.values()), list(self.shares)
        before = sum(self.shares[name] for name in names[: names.index(stage)])
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.report(stage, (before + self.shares[stage] * done / max(1, self.steps[stage])) / whole)

        advance(0)
        with timed(self.seconds, stage):
            yield advance


class _Pace:
    """Time left at the pace since the first report: what an earlier run finished does not count."""

    def __init__(self) -> None:
        self.start = 0.0
        self.first: float | None = None

    def left(self, done: float, total: int) -> str:
        """``about 1:05 left``, once anything is done."""
        if self.first is None and total:
            self.first, self.start = done, time.monotonic()
        if self.first is None or not self.first < done < total:
            return ""
        elapsed = time.monotonic() - self.start
        return f"about {_clock(elapsed * (total - done) / (done - self.first))} left"
