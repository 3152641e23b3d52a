"""Progress of a run: a live line on a terminal, plain lines elsewhere, always on stderr."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report: TypeAlias = Callable[[str, float, int], None]
"""Called with what is being done, how many networks are done (fractions count), and of how many."""


PLAIN_SECONDS = 30


def silent(stage: str, done: float, total: int) -> None:
    """Report nothing."""
    del stage, done, total


def _clock(seconds: float) -> str:
    """``1:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def reporter(title: str, quiet: bool = False) -> Iterator[Report]:
    """A report function for the length of a run."""
    console = Console(stderr=True)
    if quiet:
        yield silent
    elif console.is_terminal:
        with _live(title, console) as report:
            yield report
    else:
        yield _plain(title, console)


@contextmanager
def _live(title: str, console: Console) -> Iterator[Report]:
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}")),
        *(TimeElapsedColumn(), TextColumn("{task.fields[left]}")),
    )
    pace = _Pace()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1, count="", left="")

        def report(stage: str, done: float, total: int) -> None:
            count = f"{int(done)} of {total} networks"
            left = pace.left(done, total)
            bar.update(task, description=f"{title}: {stage}", completed=done, total=total, count=count, left=left)

        yield report


def _plain(title: str, console: Console) -> Report:
    pace = _Pace()
    last = time.monotonic()

    def report(stage: str, done: float, total: int) -> None:
        nonlocal last
        left = pace.left(done, total)
        if done == int(done) or time.monotonic() - last > PLAIN_SECONDS:  # every chunk, or now and then in a long one
            last = time.monotonic()
            parts = [f"{title}: {int(done)} of {total} networks", left, stage]
            console.print(", ".join(filter(None, parts)), highlight=False, soft_wrap=True)

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
        self.start = time.monotonic()
        self.first: float | None = None

    def left(self, done: float, total: int) -> str:
        """``about 1:05 left``, once anything is done."""
        if self.first is None:
            self.first = done
        if not self.first < done < total:
            return ""
        elapsed = time.monotonic() - self.start
        return f"about {_clock(elapsed * (total - done) / (done - self.first))} left"
