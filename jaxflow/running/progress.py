"""Progress of a run: a live line on a terminal, a few plain lines elsewhere, always on stderr."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from rich.console import Console
from rich.live import Live
from rich.text import Text

from jaxflow.errors import printable

Report: TypeAlias = Callable[[str, float, int], None]
"""Called with what is being done, how many networks are done (fractions count), and of how many."""

STARTING = "starting"
SILENCE = 30  # seconds without a line where the output is no terminal; later a tenth of the time that has passed
SHORTEST_BAR, LONGEST_BAR = 10, 40  # columns
OVERDUE = "longer than estimated"
FIGURES = 2.0  # times as long as to load JAX, on any machine: both are Python on one core


def silent(stage: str, done: float, total: int) -> None:
    """Report nothing."""
    del stage, done, total


def _clock(seconds: float) -> str:
    """``1:05``, or ``2:01:05`` with hours."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def reporter(title: str, quiet: bool = False, about: str = "", figures: float = FIGURES) -> Iterator[Report]:
    """A report function for the length of a run, which says at once that it is starting: JAX takes seconds to load.

    Args:
        title: of the run.
        quiet: report nothing.
        about: what is said of the run at the beginning, such as ``100 networks, seed 0``.
        figures: how long tables and figures take when all is computed, as a multiple of the time to the first report.
    """
    console, pace, title = Console(stderr=True), Pace(time.monotonic(), figures), printable(title)
    if quiet:
        yield silent
    elif console.is_terminal:
        if about:
            console.print(f"{title}: {about}", highlight=False, markup=False, soft_wrap=True)
        with _live(title, console, pace) as report:
            yield report
    else:
        with _plain(title, about, console, pace) as report:
            yield report


class Pace:
    """The time that is left, estimated anew with every report and counted down by the clock in between.

    What is left of the networks takes as long as those since the first report did, fraction by fraction; what an
    earlier run finished does not count. Tables and figures come on top of that. Between two reports the estimate is
    counted down; where that comes to nothing before the next report, there is no estimate any more. So it never says
    ``0:00 left`` and stays there.

    Args:
        begin: the clock's seconds at the beginning.
        figures: see ``reporter``.
    """

    def __init__(self, begin: float, figures: float = FIGURES) -> None:
        self.begin, self.figures = begin, figures
        self.stage, self.done, self.total = STARTING, 0.0, 0
        self.start, self.first = begin, 0.0
        self.estimated, self.estimate = begin, None
        self.part = 0.0

    def hear(self, now: float, stage: str, done: float, total: int) -> None:
        """Take a report in, at the clock's ``now``."""
        if total and not self.total:
            self.start, self.first = now, done
        ended = bool(self.total) and self.done >= self.total
        self.stage, self.done, self.total = stage, done, total
        last = self.figures * max(self.start - self.begin, 1.0)
        if not total or (done >= total and ended) or done < self.first or (done == self.first < total):
            return
        rest = 0.0 if done >= total else (now - self.start) * (total - done) / (done - self.first)
        self.estimated, self.estimate = now, rest + last
        begun, spent = self.first / total, now - self.start
        self.part = max(self.part, begun + (1 - begun) * spent / max(spent + rest + last, 1e-9))

    def left(self, now: float) -> str:
        """``about 1:05 left``; nothing where it is not known, and that it takes longer where it does."""
        if self.estimate is None:
            return ""
        seconds = self.estimate - (now - self.estimated)
        return f"about {_clock(math.ceil(seconds))} left" if seconds > 0 else OVERDUE

    @property
    def percent(self) -> str:
        """``33 %`` of the time that everything is expected to take, as of the last report."""
        return f"{int(100 * self.part)} %" if self.total else ""


@contextmanager
def _live(title: str, console: Console, pace: Pace) -> Iterator[Report]:
    """One line that is drawn anew four times a second, as wide as the terminal is then."""

    def line() -> Text:
        now, bar = time.monotonic(), "=-" if console.options.ascii_only else "━╌"
        return Text(progress_line(console.width, title, pace, now, bar), overflow="fold")

    with Live(get_renderable=line, console=console, transient=True) as live:
        live.refresh()  # at once, not with the first of the drawings
        yield lambda *what: pace.hear(time.monotonic(), *what)


def progress_line(width: int, title: str, pace: Pace, now: float, bar: str = "━╌") -> str:
    """What a terminal of ``width`` columns shows: the stage always, and of the rest as much as there is room for.

    Args:
        width: columns.
        title: of the run.
        pace: of what was reported.
        now: the clock's seconds.
        bar: what the done and the missing part of the bar are made of.
    """
    stage, percent, left, clock = pace.stage, pace.percent, pace.left(now), _clock(now - pace.begin)
    named = f"{title}: {stage}"
    whole = named, percent, clock, left
    choices = (whole, (named, percent, left), (stage, percent, left), (stage, percent), (stage,))
    lines = ["  ".join(filter(None, parts)) for parts in choices]
    room = min(LONGEST_BAR, width - len(lines[0]) - 2)
    if percent and room >= SHORTEST_BAR:
        full = round(room * pace.part)
        return "  ".join(filter(None, (named, bar[0] * full + bar[1] * (room - full), percent, clock, left)))
    return next((line for line in lines if len(line) <= width), stage)


@contextmanager
def _plain(title: str, about: str, console: Console, pace: Pace) -> Iterator[Report]:
    """A line for every new stage, and now and then one in a long stage, whether it reports or not."""
    said: set[str] = set()
    last, lock, ended = pace.begin, threading.Lock(), threading.Event()

    def due() -> float:
        return last + max(SILENCE, (last - pace.begin) / 10)

    def say(*more: str) -> None:
        nonlocal last
        last = time.monotonic()
        said.add(pace.stage)
        line = f"{title}: {', '.join(filter(None, (pace.stage, *more)))}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def report(*what: Any) -> None:
        with lock:
            pace.hear(now := time.monotonic(), *what)
            if pace.stage not in said or now > due():
                say(pace.percent, pace.left(now))

    def speak() -> None:
        while not ended.wait(max(0.2, due() - time.monotonic())):
            with lock, suppress(OSError):  # of a stderr that nobody reads any more
                if (now := time.monotonic()) > due():
                    say(pace.percent, pace.left(now))

    say(about)
    threading.Thread(target=speak, daemon=True).start()
    try:
        yield report
    finally:
        ended.set()


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add a stage's wall time."""
    begin = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - begin, 3)


def spent_since(stages: Iterable[str], seconds: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Seconds of every stage since ``before``: so the next piece of work is expected to divide its time."""
    return {stage: max(seconds.get(stage, 0.0) - before.get(stage, 0.0), 1e-3) for stage in stages}


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
