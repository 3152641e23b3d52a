"""What the four experiments share: running a preset from the command line, and reading its tradeoffs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from jaxflow import InputError, figures, pipeline
from jaxflow.running.progress import reporter
from jaxflow.running.results import Results


def paper_run(name: str) -> tuple[pipeline.Config, Results]:
    """Run a preset, or go on with it, with the options ``--seeds``, ``--data-dir`` and ``--out``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100, help="number of networks")
    parser.add_argument("--data-dir", type=Path, help="folder with the original data files")
    parser.add_argument("--out", type=Path, help="results folder, results/EXPERIMENT-ESTIMATOR if not given")
    options = parser.parse_args()
    try:
        config = pipeline.preset(name, seeds=options.seeds)
        with reporter(name) as report:
            return config, pipeline.run(config, out=options.out, data_dir=options.data_dir, report=report)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)


def mean_curve(results: Results, metric: str, method: str, level: int) -> pd.DataFrame:
    """Mean accuracy and bias over networks at every factor of one strategy, from factor 1 down."""
    table = results.table("tradeoff")
    rows = table[(table["metric"] == metric) & (table["method"] == method) & (table["level"] == level)]
    return rows.groupby("factor")[["accuracy", "bias"]].mean()[::-1]


def draw(
    config: pipeline.Config, results: Results, name: str, curves: Sequence[tuple[str, int]], metrics: Sequence[str]
) -> None:
    """Save the tradeoff of chosen strategies, a panel for every metric, beside the run's other figures."""
    title = f"{config.name}, {config.estimator} estimate"
    with figures.paper_style():
        figure = figures.tradeoff_by_metric(
            results.table("tradeoff"), results.table("networks"), curves, metrics, title
        )
        results.write_figures([(name, figure)])
    results.close()
    print(f"Results: {results.path}")
