"""The command's arguments: their types, defaults and help. Needs no JAX, so that a bad one is refused at once."""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jaxflow.errors import InputError, printable, shown
from jaxflow.running.hosts import parse_hosts
from jaxflow.values import LARGEST_SEED, LAYERS, MOST_NETWORKS, MOST_PERMUTATIONS, WIDTH, folder, real, whole

EXPERIMENTS = ("synthetic", "adult-small", "adult-large", "mnist")
ESTIMATORS = ("gaussian", "copula", "linear-svm", "kernel-svm", "probe", "quadratic", "knn")
WITH_NULL = ("gaussian", "copula", "quadratic")  # estimators that permutations of a message make sense for
BACKENDS = ("jax", "sklearn")
TUNE = ("each", "once")
ABLATIONS = ("zero", "mean", "resample")
NOTIONS = ("parity", "odds", "opportunity")
MEASURES = ("bias", "parity_gap", "odds_gap")
REFITS = ("bias", "scale", "none")
TABLES = (".csv", ".parquet", ".pq", ".tsv")


class Parser(argparse.ArgumentParser):
    """Errors are one line on stderr, exit code 2."""

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Name the cause and where to look."""
        self.exit(2, f"{self.prog}: {printable(message)}; {self.prog} --help lists the options\n")


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults that are a value; that nothing is given by itself need not be said."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        """The help with the default, or as it is."""
        return action.help if action.default in (None, False, ()) else super()._get_help_string(action)


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


def per_cent(name: str) -> Callable[[str], float]:
    """The type of an option that is a number from 0 to 100."""

    def converted(text: str) -> float:
        try:
            value: Any = float(text)
        except ValueError:
            value = text
        return real(name, value, 0, 100)

    return refused_at_once(converted)


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
        help="run one of the paper's experiments or a table of yours, or go on with it",
        description="Train networks, measure information flows, intervene, and write tables and figures. The same"
        " command goes on with an interrupted run; a larger --seeds extends a finished one.",
        formatter_class=Help,
    )
    run.add_argument("experiment", metavar="EXPERIMENT|TABLE", help=f"one of {', '.join(EXPERIMENTS)}; or a table of"
                     " yours, a .csv, .tsv or .parquet file or openml:NAME[@VERSION]")  # fmt: skip
    _add_networks(run)
    _add_table(run.add_argument_group("your table"))
    _add_estimator(run.add_argument_group("information"))
    _add_machines(run.add_argument_group("files and machines"))
    _add_common(run)
    _measure_parser(commands)
    _edit_parser(commands)
    _report_parser(commands)
    _reproduce_parser(commands)
    _doctor_parser(commands)
    return top


def _add_networks(run: argparse.ArgumentParser) -> None:
    """Options of what is trained."""
    count, seed = number("seeds", 1, MOST_NETWORKS), number("seed", 0, LARGEST_SEED)
    run.add_argument("--seeds", type=count, default=100, metavar="N", help="number of networks")
    run.add_argument("--hidden", type=widths, default=argparse.SUPPRESS, metavar="WIDTHS", help="of the hidden layers,"
                     " such as 16,8 or 32x20 for twenty of 32 nodes; if not given the paper's; for a table 3,"
                     " and for a label of K > 2 classes 2K, at most 8")  # fmt: skip
    run.add_argument("--seed", type=seed, default=0, help="of initialisations, shuffles and the random control")
    run.add_argument("--permutations", type=number("permutations", 0, MOST_PERMUTATIONS), metavar="B", help="of every"
                     " message, for p-values; if not given 200, and 20 where each is estimated by itself")  # fmt: skip
    run.add_argument("--data-seed", type=seed, help="of the draw of rows; the authors' rows, or 0, if not given")


def _add_table(run: Any) -> None:
    """Options that a table of the user's needs."""
    run.add_argument("--label", metavar="COLUMN", help="what the networks are trained to tell")
    run.add_argument("--attribute", action="append", metavar="COLUMN", help="a protected attribute, or a product A*B,"
                     " whose classes are the combinations that occur; may be given several times")  # fmt: skip
    run.add_argument("--drop", action="append", metavar="COLUMN", help="leave a column out")
    run.add_argument("--category", action="append", metavar="COLUMN", help="numbers that are codes, not amounts")
    run.add_argument("--keep-attributes", action="store_true", help="let the networks see the attributes, and"
                     " the parts of products")  # fmt: skip
    run.add_argument("--learning-rate", type=float, metavar="RATE", help="of the first epoch; 0.003 if not given")
    run.add_argument("--epochs", type=number("epochs", 1, 10**6), metavar="N", help="of training; 50 if not given")


def _add_estimator(run: Any) -> None:
    """Options of the estimate of information."""
    run.add_argument("--estimator", choices=ESTIMATORS, default=argparse.SUPPRESS,
                     help="of the information; else quadratic for synthetic, gaussian for the others")  # fmt: skip
    run.add_argument("--notion", choices=NOTIONS, default="parity", help="what information about an attribute is"
                     " conditioned on: nothing, the label (odds), or the label's favourable class"
                     " (opportunity)")  # fmt: skip
    run.add_argument("--favourable", metavar="CLASS", help="of --notion opportunity: the label's value that is wished"
                     " for, such as yes; of two values the second in sorted order if not given")  # fmt: skip
    run.add_argument("--backend", choices=BACKENDS, default="jax", help="of the SVMs")
    run.add_argument("--ablation", choices=ABLATIONS, default="zero", help="what a pruned edge transmits in the place"
                     " of its signal: nothing, its mean, or that of another row")  # fmt: skip
    run.add_argument("--metric", action="append", metavar="NAME", help="by which nodes, edges and paths are pruned,"
                     " such as bias/acc, random, gradient or removal; may be given several times; bias/acc, acc/bias"
                     " and random if not given. How many are pruned is the experiment's")  # fmt: skip
    run.add_argument("--published-alpha", action="store_true", help="kernel-svm with the penalties of the authors'"
                     " program, for --backend sklearn")  # fmt: skip
    run.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler that spreads the fits of --backend sklearn")
    run.add_argument("--tune", choices=TUNE, default="each", help="search an SVM's hyperparameters for each estimate,"
                     " or once per network and message and keep them under pruning")  # fmt: skip


def _add_machines(run: Any) -> None:
    """Options of files, devices and hosts."""
    run.add_argument("--data-dir", type=path("--data-dir"), metavar="DIR", help="folder with adult/ and mnist/; else"
                     " $JAXFLOW_DATA, else the user's cache, filled by download from OpenML")  # fmt: skip
    run.add_argument(
        "--out", type=path("--out"), metavar="DIR", help="results folder; results/EXPERIMENT-ESTIMATOR if not given"
    )
    run.add_argument("--chunk", type=number("chunk", 1, MOST_NETWORKS), default=argparse.SUPPRESS,
                     help="networks computed and saved together; what suits the device and its memory if not"
                     " given")  # fmt: skip
    run.add_argument("--devices", type=number("devices", 1, MOST_NETWORKS), default=argparse.SUPPRESS, metavar="N",
                     help="of this host, that share each chunk; all if not given; the results are the same up to the"
                     " rounding of float32")  # fmt: skip
    run.add_argument("--hosts", type=refused_at_once(parse_hosts), metavar="I/P@HOST:PORT", help="this is process I of"
                     " P, numbered from 0, that share the chunks; process 0 runs on HOST and listens there. Give each"
                     " the same command, with its I, and an --out that all can write to")  # fmt: skip
    run.add_argument("--report", action="store_true", help="at the end write report.html into the results folder, a"
                     " page to explore the run with; see jaxflow report")  # fmt: skip
    run.add_argument("--overwrite", action="store_true", help="start afresh where the results folder holds a"
                     " finished run, one of another config or a damaged one, and delete it; an unfinished run of the"
                     " same config goes on")  # fmt: skip


def _measure_parser(commands: Any) -> None:
    """``jaxflow measure``."""
    measure = commands.add_parser(
        "measure",
        help="measure flows in a recording, or in activations of any origin",
        description="Information flows in a recording [trial, time, unit], with p-values and intervals: every time bin"
        " is a layer. Write tables and figures. The same command goes on with an interrupted run.",
        formatter_class=Help,
    )
    measure.add_argument("recording", metavar="RECORDING", help="an .npz file of arrays by name, or a netCDF file (.nc)"
                         " with dimensions trial, time and unit")  # fmt: skip
    measure.add_argument("--message", action="append", required=True, metavar="NAME", help="of an array with a value"
                         " for every trial that flows are about: integers and texts are classes, floats numbers; may be"
                         " given several times")  # fmt: skip
    measure.add_argument("--given", metavar="NAME", help="of what the flows are conditioned on")
    measure.add_argument("--within", metavar="NAME", help="of numbers, such as sessions, within which permutations"
                         " exchange trials")  # fmt: skip
    measure.add_argument("--activity", metavar="NAME", help="of the activity [trial, time, unit] or [trial, unit];"
                         " layer_0, layer_1 and so on, or the largest array, if not given")  # fmt: skip
    measure.add_argument("--groups", metavar="NAME", help="of what says which units are one node, such as a region")
    measure.add_argument("--window", type=number("window", 1, 10**6), default=1, metavar="BINS", help="that are taken"
                         " together as one layer")  # fmt: skip
    measure.add_argument("--estimator", choices=WITH_NULL, default="gaussian", help="of the information")
    measure.add_argument("--permutations", type=number("permutations", 1, 10**6), default=1000, metavar="N", help="of"
                         " every message, for p-values")  # fmt: skip
    measure.add_argument("--seed", type=number("seed", 0, LARGEST_SEED), default=0, help="of permutations and halves")
    measure.add_argument(
        "--out", type=path("--out"), metavar="DIR", help="results folder; results/RECORDING-ESTIMATOR if not given"
    )
    measure.add_argument("--chunk", type=number("chunk", 1, MOST_NETWORKS), metavar="N", help="layers computed and"
                         " saved together; about ten seconds' work if not given")  # fmt: skip
    measure.add_argument("--overwrite", action="store_true", help="start afresh where the results folder holds a"
                         " finished or another run")  # fmt: skip
    _add_common(measure)


def _edit_parser(commands: Any) -> None:
    """``jaxflow edit``."""
    edit = commands.add_parser(
        "edit",
        help="edit the networks of a finished run: less bias at the least loss of accuracy",
        description="Edit every network of a finished run. The edit is chosen on one half of the analysis rows and"
        " reported on the other. Write the edited parameters, a table of what was scaled by what, and a figure.",
        formatter_class=Help,
    )
    edit.add_argument("results", type=path("RESULTS"), metavar="RESULTS", help="folder that jaxflow run has filled")
    edit.add_argument("--attribute", action="append", metavar="NAME", help="of the run; of several the worst counts;"
                      " all if not given")  # fmt: skip
    edit.add_argument("--measure", choices=MEASURES, default="bias", help="bias by the run's estimator, or a gap of the"
                      " decisions without its sign")  # fmt: skip
    asked = edit.add_mutually_exclusive_group(required=True)
    asked.add_argument("--at-most", type=per_cent("--at-most"), metavar="VALUE", help="bring the measure, in per cent,"
                       " to this at the least loss of accuracy of the decisions")  # fmt: skip
    asked.add_argument("--keep-accuracy", type=per_cent("--keep-accuracy"), metavar="POINTS", help="or to the least"
                       " that costs at most so many points of that accuracy")  # fmt: skip
    edit.add_argument("--metric", action="append", metavar="NAME", help="by which candidates are ranked, such as"
                      " bias/acc, gradient or removal; may be given several times; bias/acc if not given. Methods,"
                      " levels and factors are the run's")  # fmt: skip
    edit.add_argument("--refine", type=number("refine", 0, 100), default=0, metavar="EDGES", help="single edges that"
                      " may be removed beside, each the best next one, as long as that helps")  # fmt: skip
    edit.add_argument("--recalibrate", choices=REFITS, default="bias", help="what of the output is refitted on the"
                      " training half: its bias, its scale and bias, or none")  # fmt: skip
    edit.add_argument("--seed", type=number("seed", 0, LARGEST_SEED), default=0, help="of the halves")
    edit.add_argument("--data-dir", type=path("--data-dir"), metavar="DIR", help="folder with adult/ and mnist/, or"
                      " with the table of the run where it is no longer where it was")  # fmt: skip
    edit.add_argument("--out", type=path("--out"), metavar="DIR", help="folder to write; RESULTS-edit if not given")
    edit.add_argument("--overwrite", action="store_true", help="replace an earlier edit there")
    _add_common(edit)


def _report_parser(commands: Any) -> None:
    """``jaxflow report``."""
    report = commands.add_parser(
        "report",
        help="write a page to explore a finished run, recording or edit with",
        description="Write one HTML file from the tables of a folder. Of a run: the network with its flows, the"
        " tradeoff under pruning, flow against effect, all networks, and what was run; of a recording its flows over"
        " time; of an edit every network with its edits, before and after. It opens from disk, in any browser,"
        " without a server, and asks nothing of any network.",
        formatter_class=Help,
    )
    report.add_argument("results", type=path("RESULTS"), metavar="RESULTS", help="folder that jaxflow run, jaxflow"
                        " measure or jaxflow edit has filled")  # fmt: skip
    report.add_argument("--out", type=path("--out"), metavar="FILE.html", help="report.html in the results folder if"
                        " not given; a file that is there is replaced")  # fmt: skip


def _reproduce_parser(commands: Any) -> None:
    """``jaxflow reproduce``."""
    reproduce = commands.add_parser(
        "reproduce",
        help="run everything of the paper and write a page of verdicts",
        description="Run the paper's experiments at full size, going on with what is there, and write tables, figures"
        " and a page of verdicts on its claims.",
        formatter_class=Help,
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


def _doctor_parser(commands: Any) -> None:
    """``jaxflow doctor``."""
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed, where caches and data are, and what to do about what is missing",
        description="Versions, optional extras, devices and memory, caches and data: what is there, what is missing,"
        " and what to do about it. Nothing is changed. The exit code is 0 if a run is possible, and 1 if not.",
        formatter_class=Help,
    )
    doctor.add_argument("--data-dir", type=path("--data-dir"), metavar="DIR", help="where to look for adult/ and"
                        " mnist/; else $JAXFLOW_DATA, else the user's cache")  # fmt: skip


def _add_common(command: argparse.ArgumentParser) -> None:
    """Options of every command that computes."""
    command.add_argument("--no-cache", action="store_true", help="do not keep compiled programs in the user's cache"
                         " folder, from which later runs start faster")  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")
