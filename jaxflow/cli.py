"""The command: arguments, progress and exit codes."""

import argparse
import ctypes
import os
import re
import signal
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

EXPERIMENTS = ("synthetic", "adult-small", "adult-large", "mnist")
ESTIMATORS = ("gaussian", "linear-svm", "kernel-svm", "quadratic")
BACKENDS = ("jax", "sklearn")
TUNE = ("each", "once")


class Parser(argparse.ArgumentParser):
    """Errors are one line on stderr, exit code 2."""

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Name the cause and where to look."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options\n")


def widths(text: str) -> tuple[int, ...]:
    """Widths of layers from ``16,8`` or ``32x20`` or both."""
    found = [re.fullmatch(r"(\d+)(?:x(\d+))?", part.strip()) for part in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} are no widths; write 16,8 or 32x20")
    return tuple(int(own[1]) for own in found if own for _ in range(int(own[2] or 1)))


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
    run.add_argument("--seeds", type=int, default=100, metavar="N", help="number of networks")
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
    run.add_argument("--data-dir", type=Path, metavar="DIR", help="folder with adult/ and mnist/; else $JAXFLOW_DATA,"
                     " else the user's cache, filled by download from OpenML")  # fmt: skip
    run.add_argument(
        "--out", type=Path, metavar="DIR", help="results folder; results/EXPERIMENT-ESTIMATOR if not given"
    )
    run.add_argument("--seed", type=int, default=0, help="of initialisations, shuffles and the random control")
    run.add_argument("--data-seed", type=int, help="of the draw of rows; the authors' rows if not given")
    run.add_argument("--chunk", type=int, default=argparse.SUPPRESS, help="networks computed and saved together;"
                     " larger on an accelerator, smaller for less memory; the preset's if not given")  # fmt: skip
    run.add_argument("--devices", type=int, default=argparse.SUPPRESS, metavar="N", help="of this host, that share"
                     " each chunk; all if not given; the results are the same")  # fmt: skip
    run.add_argument("--hosts", metavar="I/P@HOST:PORT", help="this is process I of P, numbered from 0, that share the"
                     " chunks; process 0 runs on HOST. Give each the same command, with its I, and an --out that all"
                     " can write to")  # fmt: skip
    run.add_argument("--overwrite", action="store_true", help="start afresh where the results folder holds a finished"
                     " run, one of another config or a damaged one, and delete it; an unfinished run of the same config"
                     " goes on")  # fmt: skip
    run.add_argument("--quiet", action="store_true", help="no progress on stderr")
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
    reproduce.add_argument("--seeds", type=int, default=100, metavar="N", help="networks of every run; by kernel SVM at"
                           " most 20 on a CPU")  # fmt: skip
    reproduce.add_argument("--quick", action="store_true", help="10 networks, SVMs tuned once, and without kernel"
                           " SVM and the runs that explain what differs")  # fmt: skip
    reproduce.add_argument("--data-dir", type=Path, metavar="DIR", help="folder with adult/ and mnist/")
    reproduce.add_argument("--docs", type=Path, default=Path("docs"), metavar="DIR", help="where the page goes")
    reproduce.add_argument("--results", type=Path, default=Path("results/reproduction"), metavar="DIR",
                           help="where the runs are kept")  # fmt: skip
    reproduce.add_argument("--quiet", action="store_true", help="no progress on stderr")


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
    signal.signal(signal.SIGINT, _interrupted)
    warnings.formatwarning = lambda message, *_, **__: f"jaxflow: {message}\n"
    return _run(arguments) if arguments.command == "run" else _reproduce(arguments)


def _reproduce(arguments: argparse.Namespace) -> int:
    from jaxflow.errors import InputError
    from jaxflow.reproduction.reproduce import reproduce

    names = ("only", "seeds", "quick", "data_dir", "quiet")
    try:
        page = reproduce(arguments.docs, arguments.results, **{name: getattr(arguments, name) for name in names})
    except InputError as error:
        print(f"jaxflow: {error}", file=sys.stderr)
        return 2
    print(f"Page: {page}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    if arguments.hosts:
        _explain_loss()  # before JAX is loaded
    from jaxflow import pipeline
    from jaxflow.errors import InputError
    from jaxflow.hosts import Hosts, parse_hosts
    from jaxflow.progress import reporter
    from jaxflow.summary import summary

    names = ("seeds", "hidden", "estimator", "backend", "published_alpha", "tune", "seed", "data_seed", "chunk")
    changes = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    how = {name: getattr(arguments, name) for name in ("out", "data_dir", "overwrite", "devices")
           if hasattr(arguments, name)}  # fmt: skip
    try:
        hosts = parse_hosts(arguments.hosts) if arguments.hosts else Hosts()
        config = pipeline.preset(arguments.experiment, **changes)
        with _engine(arguments), reporter(arguments.experiment, arguments.quiet) as report:
            results = pipeline.run(config, **how, hosts=hosts, report=report)
        if hosts.process == 0:
            print(summary(results), flush=True)
    except InputError as error:
        print(f"jaxflow: {error}", file=sys.stderr, flush=True)
        if arguments.hosts:
            os._exit(2)  # an orderly exit would wait for the other processes
        return 2
    except BrokenPipeError:  # the reader of the summary, such as head, had enough
        sys.stdout = None
    except OSError as error:
        print(f"jaxflow: cannot print the summary ({error.strerror}); the results are complete", file=sys.stderr)
        sys.stdout = None
        return 2
    return 0


def _engine(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """Where scikit-learn's fits run."""
    from jaxflow.engines import dask_engine
    from jaxflow.errors import InputError

    if arguments.dask is None:
        return nullcontext()
    if arguments.backend != "sklearn":
        raise InputError("--dask spreads the fits of --backend sklearn; add that")
    return dask_engine(arguments.dask)


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
