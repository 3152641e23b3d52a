"""The command's arguments: their defaults and help. Needs no JAX, so that a bad one is refused at once."""

import argparse
from pathlib import Path
from typing import Any

from jaxflow.running.hosts import parse_hosts
from jaxflow.running.parsing import Help, Parser, decimal, number, path, refused_at_once, widths
from jaxflow.values import LARGEST_SEED, MOST_NETWORKS, MOST_PERMUTATIONS

EXPERIMENTS = ("synthetic", "adult-small", "adult-large", "mnist")
ESTIMATORS = ("gaussian", "copula", "linear-svm", "kernel-svm", "probe", "quadratic", "knn")
WITH_NULL = ("gaussian", "copula", "quadratic")  # estimators that permutations of a message make sense for
BACKENDS = ("jax", "sklearn")
TUNE = ("each", "once")
ABLATIONS = ("zero", "mean", "resample")
NOTIONS = ("parity", "odds", "opportunity")
METRICS = (
    *("bias/acc", "acc/bias", "random", "magnitude", "gradient", "integrated-5", "integrated-32", "saliency"),
    *("saliency-again", "fisher", "conductance", "mediation", "removal", "greedy"),
)
MEASURES = ("bias", "parity_gap", "odds_gap")
REFITS = ("bias", "scale", "none")
FIGURES = (*(f"fig{k}" for k in (2, 3, 4, 5, "6a", "6b", *range(8, 18))), "quadratic")
TABLES = (".csv", ".parquet", ".pq", ".tsv")


def parser() -> Parser:
    """All commands and options."""
    top = Parser(prog="jaxflow", description="Information flows in trained networks, and interventions on them.",
                 epilog="jaxflow COMMAND --help lists the options of a command.")  # fmt: skip
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run an experiment of the paper, or your table, or go on with such a run",
        description="Train networks, measure information flows, intervene, and write tables and figures. The same"
        " command goes on with an interrupted run; a larger --seeds extends a finished one.",
        formatter_class=Help,
    )
    run.add_argument("experiment", metavar="EXPERIMENT|TABLE", help="experiment of the paper"
                     f" ({', '.join(EXPERIMENTS)}), or a table of yours: a .csv, .tsv or .parquet file, or"
                     " openml:NAME[@VERSION]")  # fmt: skip
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
    count, seed = number(1, MOST_NETWORKS), number(0, LARGEST_SEED)
    run.add_argument("--seeds", type=count, default=100, metavar="N", help="number of networks to train")
    run.add_argument("--hidden", type=widths, default=argparse.SUPPRESS, metavar="WIDTHS", help="widths of the hidden"
                     " layers: 16,8 for two layers, 32x20 for twenty of 32 nodes each (default: the paper's; for a"
                     " table 3, or 2K and at most 8 if its label has K > 2 classes)")  # fmt: skip
    run.add_argument("--seed", type=seed, default=0, metavar="N", help="random seed of initialisations, shuffles and"
                     " the random control; the number of networks is --seeds")  # fmt: skip
    run.add_argument("--permutations", type=number(0, MOST_PERMUTATIONS), metavar="N", help="number of permutations of"
                     " each message, for p-values (default: 200, or 20 where each is estimated by itself)")  # fmt: skip
    run.add_argument("--data-seed", type=seed, metavar="N", help="random seed of the draw of rows (default: the"
                     " authors' rows where they are known, else 0)")  # fmt: skip


def _add_table(run: Any) -> None:
    """Options that a table of the user's needs."""
    run.add_argument("--label", metavar="COLUMN", help="column of the classes that the networks are trained to tell")
    run.add_argument("--attribute", action="append", metavar="COLUMN", help="column of a protected attribute, or a"
                     " product A*B, whose classes are the combinations that occur; repeatable")  # fmt: skip
    run.add_argument("--drop", action="append", metavar="COLUMN", help="column to leave out; repeatable")
    run.add_argument("--category", action="append", metavar="COLUMN", help="column whose numbers are codes, not"
                     " amounts; repeatable")  # fmt: skip
    run.add_argument("--keep-attributes", action="store_true", help="let the networks see the attributes, and the parts"
                     " of products")  # fmt: skip
    run.add_argument("--learning-rate", type=decimal(), metavar="RATE", help="learning rate of the first epoch"
                     " (default: 0.003)")  # fmt: skip
    run.add_argument("--epochs", type=number(1, 10**6), metavar="N", help="number of training epochs (default: 50)")


def _add_estimator(run: Any) -> None:
    """Options of the estimate of information."""
    run.add_argument("--estimator", choices=ESTIMATORS, default=argparse.SUPPRESS, help="estimator of information"
                     " (default: quadratic for synthetic, gaussian for all others)")  # fmt: skip
    run.add_argument("--notion", choices=NOTIONS, default="parity", help="what information about an attribute is"
                     " conditioned on: nothing (parity), the label (odds), or the label's favourable class"
                     " (opportunity)")  # fmt: skip
    run.add_argument("--favourable", metavar="CLASS", help="favourable class of the label for --notion opportunity,"
                     " such as yes (default: of two values the second in sorted order)")  # fmt: skip
    run.add_argument("--backend", choices=BACKENDS, default="jax", help="program that fits the SVMs")
    run.add_argument("--ablation", choices=ABLATIONS, default="zero", help="what a pruned edge transmits in the place"
                     " of its signal: nothing (zero), its mean (mean), or that of another row (resample)")  # fmt: skip
    run.add_argument("--metric", action="append", choices=METRICS, metavar="NAME", help="ranking by which nodes, edges"
                     f" and paths are pruned: {', '.join(METRICS)}; repeatable (default: bias/acc, acc/bias and"
                     " random). How many are pruned is the experiment's")  # fmt: skip
    run.add_argument("--published-alpha", action="store_true", help="give the kernel SVM the penalties of the authors'"
                     " program; needs --backend sklearn")  # fmt: skip
    run.add_argument("--dask", metavar="ADDRESS", help="address of a Dask scheduler that spreads the fits; needs"
                     " --backend sklearn")  # fmt: skip
    run.add_argument("--tune", choices=TUNE, default="each", help="when to search an SVM's hyperparameters: for each"
                     " estimate (each), or once per network and message, to be kept under pruning (once)")  # fmt: skip


def _add_machines(run: Any) -> None:
    """Options of files, devices and hosts."""
    run.add_argument("--data-dir", type=path, metavar="DIR", help="folder with adult/ and mnist/ (default:"
                     " $JAXFLOW_DATA, else the user's cache, filled by download from OpenML)")  # fmt: skip
    run.add_argument("--out", type=path, metavar="DIR", help="results folder (default: results/EXPERIMENT-ESTIMATOR,"
                     " with -seedN at its end for a --seed other than 0)")  # fmt: skip
    run.add_argument("--chunk", type=number(1, MOST_NETWORKS), default=argparse.SUPPRESS, metavar="N", help="number of"
                     " networks computed and saved together (default: what suits the device and its"
                     " memory)")  # fmt: skip
    run.add_argument("--devices", type=number(1, MOST_NETWORKS), default=argparse.SUPPRESS, metavar="N", help="number"
                     " of this host's devices that share each chunk (default: all); the results are the same up to the"
                     " rounding of float32")  # fmt: skip
    run.add_argument("--hosts", type=refused_at_once(parse_hosts), metavar="I/P@HOST:PORT", help="make this process I"
                     " of P, numbered from 0, that share the chunks; process 0 runs on HOST and listens there. Give"
                     " each the same command, with its I, and an --out that all can write to")  # fmt: skip
    run.add_argument("--report", action="store_true", help="write report.html into the results folder at the end, a"
                     " page to explore the run in a browser; see jaxflow report")  # fmt: skip
    run.add_argument("--overwrite", action="store_true", help="delete what the results folder holds, a finished run,"
                     " one of another config or a damaged one, and start afresh; an unfinished run of the same config"
                     " goes on")  # fmt: skip


def _measure_parser(commands: Any) -> None:
    """``jaxflow measure``."""
    measure = commands.add_parser(
        "measure",
        help="measure flows in a recording, or in activations of any origin",
        description="Measure information flows in a recording [trial, time, unit], with p-values and intervals, and"
        " write tables and figures. Every time bin is a layer. The same command goes on with an interrupted run.",
        formatter_class=Help,
    )
    measure.add_argument("recording", metavar="RECORDING", help="recording: an .npz file of arrays by name, or a netCDF"
                         " file (.nc) with dimensions trial, time and unit")  # fmt: skip
    measure.add_argument("--message", action="append", required=True, metavar="NAME", help="array with a value for"
                         " every trial that flows are about: integers and texts are classes, floats numbers;"
                         " repeatable")  # fmt: skip
    measure.add_argument("--given", metavar="NAME", help="array that the flows are conditioned on")
    measure.add_argument("--within", metavar="NAME", help="array of numbers, such as sessions, within which"
                         " permutations exchange trials")  # fmt: skip
    measure.add_argument("--activity", metavar="NAME", help="array of the activity, [trial, time, unit] or [trial,"
                         " unit] (default: layer_0, layer_1 and so on, or the largest array)")  # fmt: skip
    measure.add_argument("--groups", metavar="NAME", help="array that says which units are one node, such as a region")
    measure.add_argument("--window", type=number(1, 10**6), default=1, metavar="BINS", help="number of time bins taken"
                         " together as one layer")  # fmt: skip
    measure.add_argument("--estimator", choices=WITH_NULL, default="gaussian", help="estimator of information")
    measure.add_argument("--permutations", type=number(1, 10**6), default=1000, metavar="N", help="number of"
                         " permutations of each message, for p-values")  # fmt: skip
    measure.add_argument("--seed", type=number(0, LARGEST_SEED), default=0, metavar="N", help="random seed of"
                         " permutations and halves")  # fmt: skip
    measure.add_argument("--out", type=path, metavar="DIR", help="results folder (default: results/RECORDING-ESTIMATOR,"
                         " with -seedN at its end for a --seed other than 0)")  # fmt: skip
    measure.add_argument("--chunk", type=number(1, MOST_NETWORKS), metavar="N", help="number of layers computed and"
                         " saved together (default: about ten seconds' work)")  # fmt: skip
    measure.add_argument("--overwrite", action="store_true", help="delete what the results folder holds, a finished or"
                         " another run, and start afresh")  # fmt: skip
    _add_common(measure)


def _edit_parser(commands: Any) -> None:
    """``jaxflow edit``."""
    edit = commands.add_parser(
        "edit",
        help="edit the networks of a finished run: less bias at the least loss of accuracy",
        description="Edit every network of a finished run, and write the edited parameters, a table of what was scaled"
        " by what, and a figure. Edits are chosen on one half of the analysis rows and reported on the other.",
        formatter_class=Help,
    )
    edit.add_argument("results", type=path, metavar="RESULTS", help="folder that jaxflow run has filled")
    edit.add_argument("--attribute", action="append", metavar="NAME", help="attribute of the run whose measure counts;"
                      " repeatable, and of several the worst counts (default: all)")  # fmt: skip
    edit.add_argument("--measure", choices=MEASURES, default="bias", help="measure to lower: bias by the run's"
                      " estimator, or a gap of the decisions without its sign")  # fmt: skip
    asked = edit.add_mutually_exclusive_group(required=True)
    asked.add_argument("--at-most", type=decimal(0, 100), metavar="VALUE", help="largest value of the measure, in per"
                       " cent, to be reached at the least loss of decision accuracy")  # fmt: skip
    asked.add_argument("--keep-accuracy", type=decimal(0, 100), metavar="POINTS", help="largest loss of decision"
                       " accuracy, in points of per cent, at which the measure is to be the least")  # fmt: skip
    edit.add_argument("--metric", action="append", choices=METRICS, metavar="NAME", help="ranking by which candidates"
                      f" are found: {', '.join(METRICS)}; repeatable (default: bias/acc). Methods, levels and factors"
                      " are the run's")  # fmt: skip
    edit.add_argument("--refine", type=number(0, 100), default=0, metavar="EDGES", help="number of single edges that"
                      " may be removed beside, each the best next one, as long as that helps")  # fmt: skip
    edit.add_argument("--recalibrate", choices=REFITS, default="bias", help="what of the output is refitted on the"
                      " training half: its bias (bias), its scale and bias (scale), or nothing (none)")  # fmt: skip
    edit.add_argument("--seed", type=number(0, LARGEST_SEED), default=0, metavar="N", help="random seed of the halves")
    edit.add_argument("--data-dir", type=path, metavar="DIR", help="folder with adult/ and mnist/, or with the run's"
                      " table (default: where the run has found its data)")  # fmt: skip
    edit.add_argument("--out", type=path, metavar="DIR", help="folder to write (default: RESULTS-edit, with -seedN at"
                      " its end for a --seed other than 0)")  # fmt: skip
    edit.add_argument("--overwrite", action="store_true", help="replace an earlier edit in that folder")
    _add_common(edit)


def _report_parser(commands: Any) -> None:
    """``jaxflow report``."""
    report = commands.add_parser(
        "report",
        help="write a page to explore a finished run, recording or edit with",
        description="Write one HTML file from the tables of a folder. Of a run it shows the network with its flows, the"
        " tradeoff under pruning, flow against effect, all networks, and what was run; of a recording its flows over"
        " time; of an edit every network with its edits, before and after. It opens from disk, in any browser,"
        " without a server, and asks nothing of any network.",
        formatter_class=Help,
    )
    report.add_argument("results", type=path, metavar="RESULTS", help="folder that jaxflow run, jaxflow measure or"
                        " jaxflow edit has filled")  # fmt: skip
    report.add_argument("--out", type=path, metavar="FILE.html", help="file to write or replace (default: report.html"
                        " in the results folder)")  # fmt: skip


def _reproduce_parser(commands: Any) -> None:
    """``jaxflow reproduce``."""
    reproduce = commands.add_parser(
        "reproduce",
        help="run everything of the paper and write a page of verdicts",
        description="Run the paper's experiments at full size, going on with what is there, and write tables, figures"
        " and a page of verdicts on its claims.",
        formatter_class=Help,
    )
    reproduce.add_argument("--only", nargs="+", default=(), choices=FIGURES, metavar="FIGURE", help="figures whose runs"
                           f" are made, without the others: {', '.join(FIGURES)} (default: all)")  # fmt: skip
    reproduce.add_argument("--seeds", type=number(1, MOST_NETWORKS), default=100, metavar="N", help="number of networks"
                           " of every run, by kernel SVM at most 20 on a CPU")  # fmt: skip
    reproduce.add_argument("--quick", action="store_true", help="make 10 networks, tune SVMs once, and leave out the"
                           " kernel SVM and the runs that explain what differs")  # fmt: skip
    reproduce.add_argument("--data-dir", type=path, metavar="DIR", help="folder with adult/ and mnist/ (default:"
                           " $JAXFLOW_DATA, else the user's cache, filled by download from OpenML)")  # fmt: skip
    reproduce.add_argument("--docs", type=path, default=Path("docs"), metavar="DIR", help="folder of the page")
    reproduce.add_argument("--results", type=path, default=Path("results/reproduction"), metavar="DIR", help="folder of"
                           " the runs")  # fmt: skip
    _add_common(reproduce)


def _doctor_parser(commands: Any) -> None:
    """``jaxflow doctor``."""
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed, where caches and data are, and what to do about what is missing",
        description="Say which versions, optional extras, devices, memory, caches and data there are, what is missing,"
        " and what to do about it. Nothing is changed. The exit code is 0 if a run is possible, and 1 if not.",
        formatter_class=Help,
    )
    doctor.add_argument("--data-dir", type=path, metavar="DIR", help="folder to look for adult/ and mnist/ in (default:"
                        " $JAXFLOW_DATA, else the user's cache)")  # fmt: skip


def _add_common(command: argparse.ArgumentParser) -> None:
    """Options of every command that computes."""
    command.add_argument("--no-cache", action="store_true", help="keep no compiled programs in the user's cache folder,"
                         " from which later runs start faster")  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="show no progress on stderr")
