"""Progress of a run: a live line on a terminal, plain lines elsewhere, always on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Report: TypeAlias = Callable[[str, float, int], None]
"""Called with what is being done, how many networks are done (fractions count), and of how many."""


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

    def report(stage: str, done: float, total: int) -> None:
        left = pace.left(done, total)
        if done == int(done):  # a line for every chunk, not for every stage of it
            parts = [f"{title}: {int(done)} of {total} networks", left, stage]
            console.print(", ".join(filter(None, parts)), highlight=False, soft_wrap=True)

    return report


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
