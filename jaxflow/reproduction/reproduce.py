"""Everything of the paper in one call: runs, tables, figures, page."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from jaxflow.errors import InputError
from jaxflow.figures import paper_style
from jaxflow.pipeline import run
from jaxflow.presets import PAPER_ESTIMATORS, Config
from jaxflow.progress import reporter
from jaxflow.reproduction.drawings import FIGURES, predictor_figure
from jaxflow.reproduction.page import page
from jaxflow.reproduction.runs import reproduction_runs
from jaxflow.reproduction.verdicts import beyond_magnitude, of_run, verdict_table
from jaxflow.results import Results

COST_COLUMNS = ("run", "experiment", "estimator", "papers", "networks", "seconds")


def reproduce(
    docs: Path,
    results: Path,
    *,
    only: Sequence[str] = (),
    seeds: int = 100,
    quick: bool = False,
    data_dir: Path | None = None,
    quiet: bool = False,
) -> Path:
    """Run what is not there yet, then write ``docs/reproduction/`` and ``docs/reproduction.md`` from all that is.

    Args:
        docs: folder of the page.
        results: folder of the runs; a finished one is not computed again.
        only: names of figures whose runs are needed; everything if empty.
        seeds: networks of every run (20 for the kernel SVM on a CPU).
        quick: ten networks, SVMs tuned once.
        data_dir: of the data files.
        quiet: no progress.

    Returns:
        The page.

    Raises:
        InputError: an unknown figure, or what ``pipeline.run`` refuses.
    """
    unknown = set(only) - set(FIGURES)
    if unknown:
        raise InputError(f"unknown figure {min(unknown)!r}; choose from {', '.join(FIGURES)}")
    wanted = reproduction_runs(seeds, quick)
    needed = {FIGURES[name][0] for name in only} or set(wanted)
    for name, config in wanted.items():
        if name in needed:
            with reporter(name, quiet) as report:
                run(config, out=results / name, data_dir=data_dir, report=report)
    return write_page(docs, {name: (config, Results(results / name)) for name, config in wanted.items()})


def _is_finished(results: Results) -> bool:
    return (results.path / "manifest.json").exists() and results.manifest["finished"]


def write_page(docs: Path, wanted: dict[str, tuple[Config, Results]]) -> Path:
    """Tables and figures of those runs that are finished, and the page made from them."""
    folder = docs / "reproduction"
    folder.mkdir(parents=True, exist_ok=True)
    runs = {name: own for name, own in wanted.items() if _is_finished(own[1])}
    tables = _tables(runs)
    missing = [(name, own.name, own.estimator, False, 0, 0.0) for name, (own, _) in wanted.items() if name not in runs]
    tables["runs"] = pd.concat([tables["runs"], pd.DataFrame(missing, columns=list(COST_COLUMNS))])
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    with paper_style():
        predictor_figure(tables["predictors"]).savefig(folder / "predictors.png", dpi=150)
        for name, (own, draw) in FIGURES.items():
            if own in runs:
                config, results = runs[own]
                title = f"{config.name}, {config.estimator} estimate, {results.manifest['seeds']} networks"
                draw(results, title).savefig(folder / f"{name}.png", dpi=110)
    path = docs / "reproduction.md"
    path.write_text(page(read_tables(folder)))
    return path


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a page."""
    return {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}


def _tables(runs: dict[str, tuple[Config, Results]]) -> dict[str, pd.DataFrame]:
    """What the page says, from the runs' tables."""
    verdicts, beyond, told, cost = [], [], [], []
    for name, (config, results) in runs.items():
        tables = {own: results.table(own) for own in ("networks", "edge_flows", "tradeoff", "predictors")}
        verdicts += of_run(name, config.name, config.estimator, tables)
        beyond.append(beyond_magnitude(name, tables))
        told.append(tables["predictors"].assign(run=name))
        papers = config.estimator == PAPER_ESTIMATORS[config.name]
        spent = results.manifest["seconds"]
        seconds = sum(spent[stage] for stage in ("training", "flows", "tradeoff", "dependence"))
        cost.append((name, config.name, config.estimator, papers, results.manifest["seeds"], seconds))
    return {
        "verdicts": verdict_table(verdicts),
        "beyond": verdict_table(beyond),
        "predictors": pd.concat(told),
        "runs": pd.DataFrame(cost, columns=list(COST_COLUMNS)),
    }
