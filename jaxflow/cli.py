"""The command: arguments, progress and exit codes."""

import argparse
import ctypes
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from jaxflow.errors import InputError, cause, printable, shown
from jaxflow.running.hosts import parse_hosts
from jaxflow.values import LARGEST_SEED, LAYERS, MOST_NETWORKS, WIDTH, folder, whole

EXPERIMENTS = ("synthetic", "adult-small", "adult-large", "mnist")
ESTIMATORS = ("gaussian", "linear-svm", "kernel-svm", "quadratic")
BACKENDS = ("jax", "sklearn")
TUNE = ("each", "once")


class Parser(argparse.ArgumentParser):
    """Errors are one line on stderr, exit code 2."""

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Name the cause and where to look."""
        self.exit(2, f"{self.prog}: {printable(message)}; {self.prog} --help lists the options\n")


def refused_at_once(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """An argparse type from a check of the library's, which so refuses before JAX is loaded."""

    def checked(text: str) -> Any:
        try:
            return convert(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def number(name: str, low: int, high: int) -> Callable[[str], int]:
    """The type of an option that is an integer."""
    digits = re.compile(r"[-+]?[0-9]{1,100}")
    return refused_at_once(lambda text: whole(name, int(text) if digits.fullmatch(text) else text, low, high))


def path(name: str) -> Callable[[str], Path]:
    """The type of an option that is a folder."""
    return refused_at_once(partial(folder, name))


def widths(text: str) -> tuple[int, ...]:
    """Widths of layers from ``16,8`` or ``32x20`` or both."""
    parts = [re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", part.strip()) for part in text.split(",")]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{shown(text)} are no widths; write 16,8 or 32x20")
    counts = [(int(part[1]), int(part[2] or 1)) for part in parts if part]
    if not all(1 <= width <= WIDTH and count > 0 for width, count in counts) or sum(n for _, n in counts) > LAYERS:
        limits = f"1 to {WIDTH} nodes, in up to {LAYERS} layers"
        raise argparse.ArgumentTypeError(f"{shown(text)}: hidden layers have {limits}")
    return tuple(width for width, count in counts for _ in range(count))


def parser() -> Parser:
    """All commands and options."""
    top = Parser(prog="jaxflow", description="Information flows in trained networks, and interventions on them.")
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run one of the paper's experiments, or go on with it",
        description="Train networks, measure information flows, intervene, and write tables and figures. The same"
        " command goes on with an interrupted run; a larger --seeds extends a finished one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    run.add_argument("experiment", choices=EXPERIMENTS, metavar="EXPERIMENT", help=f"one of {', '.join(EXPERIMENTS)}")
    run.add_argument(
        "--seeds", type=number("seeds", 1, MOST_NETWORKS), default=100, metavar="N", help="number of networks"
    )
    run.add_argument("--hidden", type=widths, default=argparse.SUPPRESS, metavar="WIDTHS", help="of the hidden layers,"
                     " such as 16,8 or 32x20 for twenty of 32 nodes; the paper's if not given")  # fmt: skip
    run.add_argument("--estimator", choices=ESTIMATORS, default=argparse.SUPPRESS,
                     help="of the information; else quadratic for synthetic, gaussian for the others")  # fmt: skip
    run.add_argument("--backend", choices=BACKENDS, default="jax", help="of the SVMs")
    run.add_argument("--published-alpha", action="store_true", help="kernel-svm with the penalties of the authors'"
                     " program, for --backend sklearn")  # fmt: skip
    run.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler that spreads the fits of --backend sklearn")
    run.add_argument("--tune", choices=TUNE, default="each", help="search an SVM's hyperparameters for each estimate,"
                     " or once per network and message and keep them under pruning")  # fmt: skip
    run.add_argument("--data-dir", type=path("--data-dir"), metavar="DIR", help="folder with adult/ and mnist/; else"
                     " $JAXFLOW_DATA, else the user's cache, filled by download from OpenML")  # fmt: skip
    run.add_argument(
        "--out", type=path("--out"), metavar="DIR", help="results folder; results/EXPERIMENT-ESTIMATOR if not given"
    )
    run.add_argument(
        "--seed",
        type=number("seed", 0, LARGEST_SEED),
        default=0,
        help="of initialisations, shuffles and the random control",
    )
    run.add_argument("--data-seed", type=number("seed", 0, LARGEST_SEED), help="of the draw of rows; the"
                     " authors' rows if not given")  # fmt: skip
    run.add_argument("--chunk", type=number("chunk", 1, MOST_NETWORKS), default=argparse.SUPPRESS,
                     help="networks computed and saved together; what suits the device and its memory if not"
                     " given")  # fmt: skip
    run.add_argument("--devices", type=number("devices", 1, MOST_NETWORKS), default=argparse.SUPPRESS, metavar="N",
                     help="of this host, that share each chunk; all if not given; the results are the same up to the"
                     " rounding of float32")  # fmt: skip
    run.add_argument("--hosts", type=refused_at_once(parse_hosts), metavar="I/P@HOST:PORT", help="this is process I of"
                     " P, numbered from 0, that share the chunks; process 0 runs on HOST and listens there. Give each"
                     " the same command, with its I, and an --out that all can write to")  # fmt: skip
    run.add_argument("--overwrite", action="store_true", help="start afresh where the results folder holds a"
                     " finished run, one of another config or a damaged one, and delete it; an unfinished run of the"
                     " same config goes on")  # fmt: skip
    _add_common(run)
    _reproduce_parser(commands)
    return top


def _reproduce_parser(commands: Any) -> None:
    """``jaxflow reproduce``."""
    reproduce = commands.add_parser(
        "reproduce",
        help="run everything of the paper and write a page of verdicts",
        description="Run the paper's experiments at full size, going on with what is there, and write tables, figures"
        " and a page of verdicts on its claims.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    reproduce.add_argument("--only", nargs="+", default=(), metavar="FIGURE", help="only the runs of these figures,"
                           " such as fig3")  # fmt: skip
    reproduce.add_argument("--seeds", type=number("seeds", 1, MOST_NETWORKS), default=100, metavar="N",
                           help="networks of every run; by kernel SVM at most 20 on a CPU")  # fmt: skip
    reproduce.add_argument("--quick", action="store_true", help="10 networks, SVMs tuned once, and without kernel"
                           " SVM and the runs that explain what differs")  # fmt: skip
    reproduce.add_argument("--data-dir", type=path("--data-dir"), metavar="DIR", help="folder with adult/ and mnist/")
    reproduce.add_argument(
        "--docs", type=path("--docs"), default=Path("docs"), metavar="DIR", help="where the page goes"
    )
    reproduce.add_argument("--results", type=path("--results"), default=Path("results/reproduction"), metavar="DIR",
                           help="where the runs are kept")  # fmt: skip
    _add_common(reproduce)


def _add_common(command: argparse.ArgumentParser) -> None:
    """Options of every command that computes."""
    command.add_argument("--no-cache", action="store_true", help="do not keep compiled programs in the user's cache"
                         " folder, from which later runs start faster")  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 when done, 2 for bad input, 130 when interrupted."""
    arguments = parser().parse_args(argv)
    if arguments.version:
        from importlib.metadata import version

        print(f"jaxflow {version('jaxflow')}")
        return 0
    if arguments.command is None:
        parser().print_help()
        return 0
    for stream in (sys.stdout, sys.stderr):  # what the terminal cannot show must not end a run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGINT, _interrupted)
    warnings.formatwarning = lambda message, *_, **__: f"jaxflow: {message}\n"
    return _run(arguments) if arguments.command == "run" else _reproduce(arguments)


def _reproduce(arguments: argparse.Namespace) -> int:
    from jaxflow.running.progress import reporter

    with reporter("reproduction", arguments.quiet):  # says that it is starting while JAX is loaded
        from jaxflow.reproduction.reproduce import reproduce
    names = ("only", "seeds", "quick", "data_dir", "quiet")
    options = {name: getattr(arguments, name) for name in names}
    try:
        with _programs(arguments):
            page = reproduce(arguments.docs, arguments.results, **options)
    except InputError as error:
        return _refused(str(error))
    except OSError as error:
        return _refused(f"cannot write the page ({cause(error)}); the runs are kept")
    print(f"Page: {printable(str(page))}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from jaxflow.running.progress import reporter

    if arguments.hosts:
        _explain_loss()  # before JAX is loaded
    try:
        if arguments.dask is not None and arguments.backend != "sklearn":
            raise InputError("--dask spreads the fits of --backend sklearn; add that")
        with reporter(arguments.experiment, arguments.quiet) as report:  # says that it is starting while JAX is loaded
            results = _results(arguments, report)
        if arguments.hosts is None or arguments.hosts.process == 0:
            from jaxflow.running.summary import summary

            print(summary(results), flush=True)
    except InputError as error:
        code = _refused(str(error))
        if arguments.hosts:
            os._exit(code)  # an orderly exit would wait for the other processes
        return code
    except BrokenPipeError:  # the reader of the summary, such as head, had enough
        sys.stdout = None
    except OSError as error:
        sys.stdout = None
        return _refused(f"cannot print the summary ({error.strerror}); the results are complete")
    return 0


def _results(arguments: argparse.Namespace, report: Any) -> Any:
    """Load JAX and run the experiment."""
    from jaxflow import pipeline

    names = ("seeds", "hidden", "estimator", "backend", "published_alpha", "tune", "seed", "data_seed", "chunk")
    changes = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    how = {name: getattr(arguments, name) for name in ("out", "data_dir", "overwrite", "devices", "hosts")
           if hasattr(arguments, name)}  # fmt: skip
    config = pipeline.preset(arguments.experiment, **changes)
    try:
        with _programs(arguments), _engine(arguments.dask):
            return pipeline.run(config, **how, report=report)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):  # as XLA says it
            raise
        raise InputError("there is not enough memory; a smaller --chunk needs less") from None


@contextmanager
def _programs(arguments: argparse.Namespace) -> Iterator[None]:
    """Compiled programs kept between runs, unless the user does not want it; the first run says so."""
    from jaxflow.running.compilation import kept_programs

    with nullcontext(False) if arguments.no_cache else kept_programs() as first:
        if first and not arguments.quiet:
            print("jaxflow: the first run compiles its programs; later ones will start faster", file=sys.stderr)
        yield


def _refused(line: str) -> int:
    """Exit code 2 with one line on stderr."""
    print(f"jaxflow: {line}", file=sys.stderr, flush=True)
    return 2


def _engine(address: str | None) -> AbstractContextManager[None]:
    """Where scikit-learn's fits run."""
    from jaxflow.running.engines import dask_engine

    return nullcontext() if address is None else dask_engine(address)


def _explain_loss() -> None:
    """One line where jax.distributed, which has lost a process, would log a stack trace and abort.

    It aborts from a thread of its own, where Python's signal handlers do not come to their turn.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "4")  # 0 shows what JAX says about it
    ctypes.CDLL(None).signal(signal.SIGABRT, _LOST)


def _lost(_: int) -> None:
    _end("another process did not come, or was lost; the same commands go on from the finished chunks", 1)


_LOST = ctypes.CFUNCTYPE(None, ctypes.c_int)(_lost)


def _interrupted(*_: object) -> None:
    _end("interrupted; the same command goes on from the last finished chunk", 130)


def _end(line: str, code: int) -> None:
    """End at once: every file is written whole or not at all, and XLA's threads do not survive an orderly exit."""
    show_cursor = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}jaxflow: {line}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
