"""The command: what it runs, progress and exit codes."""

import argparse
import ctypes
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxflow import __version__
from jaxflow.arguments import parser
from jaxflow.errors import InputError, MissingGlyphsWarning, cause, counted, printable


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 when done, 1 where the doctor finds that none can run, 2 for bad input, 130 when interrupted."""
    arguments = parser().parse_args(argv)
    if arguments.version:
        print(f"jaxflow {__version__}")
        return 0
    if arguments.command is None:
        parser().print_help()
        return 0
    for stream in (sys.stdout, sys.stderr):  # what the terminal cannot show must not end a run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGINT, _edit_interrupted if arguments.command == "edit" else _interrupted)
    warnings.formatwarning = lambda message, *_, **__: f"jaxflow: {message}\n"
    if getattr(arguments, "quiet", False):
        warnings.simplefilter("ignore", MissingGlyphsWarning)
    commands = {"run": _run, "measure": _measure, "edit": _edit, "report": _report, "reproduce": _reproduce,
                "doctor": _doctor}  # fmt: skip
    return commands[arguments.command](arguments)


def _edit(arguments: argparse.Namespace) -> int:
    from jaxflow.running.progress import reporter
    from jaxflow.running.refusals import check_edit

    names = ("measure", "at_most", "keep_accuracy", "refine", "recalibrate", "seed", "data_dir", "out", "overwrite")
    options = {name: getattr(arguments, name) for name in names}
    options |= {"attributes": arguments.attribute, "metrics": arguments.metric or ("bias/acc",)}
    try:
        check_edit(arguments)
        with reporter(arguments.results.name, arguments.quiet, f"seed {arguments.seed}", 0.5) as report:
            from jaxflow.running.edits import edit_results

            with _enough_memory(), _programs(arguments):
                edited = edit_results(arguments.results, **options, report=report)
        from jaxflow.running.summary import edit_summary

        return _printed(edit_summary(edited))
    except InputError as error:
        return _refused(str(error))


def _report(arguments: argparse.Namespace) -> int:
    from jaxflow.running.refusals import check_report

    try:
        check_report(arguments)
        from jaxflow.running.reporting import report

        return _printed(f"Report: {printable(str(report(arguments.results, arguments.out)))}", "the report is written")
    except InputError as error:
        return _refused(str(error))


def _doctor(arguments: argparse.Namespace) -> int:
    """0 if a run is possible, else 1, with the reason on stderr."""
    from jaxflow.running.doctor import examined, obstacle, text

    report = examined(arguments.data_dir)
    code = _printed(text(report), "nothing was changed")
    reason = obstacle(report)
    return _refused(f"no run is possible: {reason}", 1) if reason else code


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


def _measure(arguments: argparse.Namespace) -> int:
    from jaxflow.running.progress import reporter
    from jaxflow.running.refusals import check_measure

    names = ("activity", "given", "within", "groups", "window", "estimator", "permutations", "seed", "out", "chunk",
             "overwrite")  # fmt: skip
    options = {name: getattr(arguments, name) for name in names}
    try:
        check_measure(arguments)
        about = f"{counted(arguments.permutations, 'permutation')}, seed {arguments.seed}"
        with reporter(Path(arguments.recording).stem, arguments.quiet, about, 0.5) as report:
            from jaxflow.running.recording import measure

            with _enough_memory(), _programs(arguments):
                results = measure(arguments.recording, arguments.message, **options, report=report)
        from jaxflow.running.summary import recording_summary

        return _printed(recording_summary(results))
    except InputError as error:
        return _refused(str(error))


def _printed(summary: str, done: str = "the results are complete") -> int:
    """Print what a run found; what it wrote is complete whether it can be read or not."""
    try:
        print(summary, flush=True)
    except BrokenPipeError:  # the reader of the summary, such as head, had enough
        sys.stdout = None
    except OSError as error:
        sys.stdout = None
        return _refused(f"cannot print the summary ({error.strerror}); {done}")
    return 0


@contextmanager
def _enough_memory() -> Iterator[None]:
    """One line where memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):  # as XLA says it
            raise
        raise InputError("there is not enough memory; a smaller --chunk needs less") from None


def _run(arguments: argparse.Namespace) -> int:
    from jaxflow.running.progress import reporter
    from jaxflow.running.refusals import check_run, is_table

    if arguments.hosts:
        _explain_loss()  # before JAX is loaded
    try:
        check_run(arguments)
        about = f"{counted(arguments.seeds, 'network')}, seed {arguments.seed}"
        title = Path(arguments.experiment).stem if is_table(arguments.experiment) else arguments.experiment
        with reporter(title, arguments.quiet, about) as report:  # says that it is starting while JAX is loaded
            results = _results(arguments, report)
        if arguments.hosts is None or arguments.hosts.process == 0:
            from jaxflow.running.summary import summary

            lines = [summary(results)]
            if arguments.report:
                from jaxflow.running.reporting import report as written

                lines.append(f"Report: {printable(str(written(results)))}")
            return _printed("\n".join(lines))
    except InputError as error:
        code = _refused(str(error))
        if arguments.hosts:
            os._exit(code)  # an orderly exit would wait for the other processes
        return code
    return 0


def _results(arguments: argparse.Namespace, report: Any) -> Any:
    """Load JAX and run the experiment."""
    from jaxflow import pipeline
    from jaxflow.running.config import under_metrics
    from jaxflow.running.refusals import is_table

    names = (
        "seeds",
        "hidden",
        "estimator",
        "notion",
        "favourable",
        "backend",
        "ablation",
        "published_alpha",
        "tune",
        "permutations",
        "seed",
        "data_seed",
        "chunk",
    )
    changes = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    how = {name: getattr(arguments, name) for name in ("out", "data_dir", "overwrite", "devices", "hosts")
           if hasattr(arguments, name)}  # fmt: skip
    if is_table(arguments.experiment):
        config, dataset = _own_table(arguments, changes, report)
    else:
        config, dataset = pipeline.preset(arguments.experiment, **changes), None
    if arguments.metric:
        config = replace(config, strategies=under_metrics(config.strategies, arguments.metric))
    with _enough_memory(), _programs(arguments), _engine(arguments.dask):
        results = pipeline.run(config, dataset, **how, report=report)
    if is_table(arguments.experiment):
        from jaxflow.running.rebuilt import remember_table

        remember_table(results.path, arguments.experiment)
    return results


def _own_table(arguments: argparse.Namespace, changes: dict[str, Any], report: Any) -> tuple[Any, Any]:
    """The config for a table of the user's, and the table, which is described on stderr before anything is computed."""
    from jaxflow import Training, pipeline, read_table
    from jaxflow.datasets import description
    from jaxflow.running.presets import table_hidden
    from jaxflow.running.summary import notion_line

    report("reading the table", 0, arguments.seeds)
    dataset = read_table(
        arguments.experiment, arguments.label, arguments.attribute, seed=arguments.data_seed, drop=arguments.drop or (),
        category=arguments.category or (), keep_attributes=arguments.keep_attributes,
    )  # fmt: skip
    asked = {"learning_rate": arguments.learning_rate, "epochs": arguments.epochs}
    training = Training(**{name: value for name, value in asked.items() if value is not None})
    changes.setdefault("hidden", table_hidden(dataset.classes[dataset.label]))
    config = pipeline.Config(dataset.name, training=training, **changes)
    lines = [description(dataset), *notion_line(config.roles(dataset), dataset.values)]
    if not arguments.quiet:
        print("\n".join(lines), file=sys.stderr)
    return config, dataset


@contextmanager
def _programs(arguments: argparse.Namespace) -> Iterator[None]:
    """Compiled programs kept between runs, unless the user does not want it; the first run says so."""
    from jaxflow.running.compilation import kept_programs

    with nullcontext(False) if arguments.no_cache else kept_programs() as first:
        if first and not arguments.quiet:
            print("jaxflow: the first run compiles its programs; later ones will start faster", file=sys.stderr)
        yield


def _refused(line: str, code: int = 2) -> int:
    """An exit code with one line on stderr."""
    print(f"jaxflow: {line}", file=sys.stderr, flush=True)
    return code


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


def _edit_interrupted(*_: object) -> None:
    _end("interrupted; nothing was written", 130)


def _end(line: str, code: int) -> None:
    """End at once: every file is written whole or not at all, and XLA's threads do not survive an orderly exit."""
    show_cursor = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}jaxflow: {line}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
