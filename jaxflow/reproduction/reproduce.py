"""Everything of the paper in one call: runs, tables, figures, page."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from jaxflow.datasets import Dataset, load_dataset
from jaxflow.errors import InputError, cause
from jaxflow.figures import paper_style
from jaxflow.pipeline import run
from jaxflow.reproduction import departures
from jaxflow.reproduction.drawings import DIAGRAMS, FIGURES, inversion_figure, predictor_figure
from jaxflow.reproduction.page import page
from jaxflow.reproduction.runs import PROGRAM, Run, program_pixels, reproduction_runs, variants
from jaxflow.reproduction.verdicts import beyond_magnitude, decisions, numbers, of_run, verdict_table
from jaxflow.running.progress import reporter
from jaxflow.running.results import Results
from jaxflow.values import choice

COST_COLUMNS = ("run", "experiment", "estimator", "kind", "networks", "training", "analyses")
SLOW = {"synthetic-kernel-svm"}  # minutes for every network
READ = ("networks", "edge_flows", "tradeoff", "predictors", "correlations")


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
        only: names of figures whose runs are needed; everything if empty, with the runs that explain what differs.
        seeds: networks of every run (at most 20 for the kernel SVM on a CPU).
        quick: ten networks, SVMs tuned once; without the kernel SVM, unless a figure asks for it, and without the runs
            and comparisons that explain what differs.
        data_dir: of the data files.
        quiet: no progress.

    Returns:
        The page.

    Raises:
        InputError: an unknown figure, data that a run needs and that is not there, a folder that cannot be written, or
            what ``pipeline.run`` refuses.
    """
    for name in only:
        choice("figure", name, FIGURES)
    wanted = reproduction_runs(seeds, quick) | ({} if quick else variants(seeds))
    slow = SLOW if quick else set()
    needed = {FIGURES[name][0] for name in only} or set(wanted) - slow
    datasets = partial(load_dataset, data_dir=data_dir)
    drawn = [wanted[name].config for name in wanted if name in needed]
    _check_places(docs, {(config.name, config.data_seed) for config in drawn}, datasets)
    for name, planned in wanted.items():
        if name in needed:
            with reporter(name, quiet) as report:
                run(planned.config, _dataset(planned, datasets), out=results / name, report=report)
    folders = {name: Results(results / name) for name in wanted}
    finished = {name: (planned, folders[name]) for name, planned in wanted.items() if _is_finished(folders[name])}
    compared = departures.tables(finished, results / "departures", datasets, needed - slow, quiet)
    missing = {name: planned for name, planned in wanted.items() if name not in finished}
    return write_page(docs, finished, missing, compared)


def _check_places(docs: Path, draws: set[tuple[str, int | None]], load: Callable[..., Dataset]) -> None:
    """Refuse, before runs that take hours, data that cannot be read or a page that cannot be written.

    Raises:
        InputError: what ``load_dataset`` refuses, or no place for the page.
    """
    for name, seed in sorted(draws, key=str):
        load(name, seed=seed)
    try:
        (docs / "reproduction").mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=docs / "reproduction").close()
    except OSError as error:
        raise InputError(f"cannot write to {docs} ({cause(error)}); choose another --docs") from None


def _dataset(planned: Run, load: Callable[..., Dataset]) -> Dataset:
    """The data of a run."""
    dataset = load(planned.config.name, seed=planned.config.data_seed)
    return program_pixels(dataset) if planned.kind == PROGRAM else dataset


def _is_finished(results: Results) -> bool:
    return (results.path / "manifest.json").exists() and results.manifest["finished"]


def write_page(
    docs: Path,
    finished: dict[str, tuple[Run, Results]],
    missing: dict[str, Run],
    compared: dict[str, pd.DataFrame],
) -> Path:
    """Tables and figures, and the page made from the tables.

    Args:
        docs: folder of the page.
        finished: runs with their results.
        missing: runs that the page does without.
        compared: the tables of ``departures``.
    """
    folder = docs / "reproduction"
    folder.mkdir(parents=True, exist_ok=True)
    tables = _tables(finished) | {name: departures.summary(name, table) for name, table in compared.items()}
    absent = [
        (name, planned.config.name, planned.config.spec.name, planned.kind, 0, 0.0, 0.0)
        for name, planned in missing.items()
    ]
    tables["runs"] = pd.concat([tables["runs"], pd.DataFrame(absent, columns=list(COST_COLUMNS))])
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    with paper_style():
        predictor_figure(tables["predictors"]).savefig(folder / "predictors.png", dpi=150)
        for name, diagram in DIAGRAMS.items():
            diagram().savefig(folder / f"{name}.png", dpi=110)
        for name, (source, draw) in FIGURES.items():
            if source in finished:
                config, results = finished[source][0].config, finished[source][1]
                title = f"{config.name}, {config.estimator} estimate, {results.manifest['seeds']} networks"
                draw(results, title).savefig(folder / f"{name}.png", dpi=110)
        if "inversion" in compared:
            inversion_figure(compared["inversion"]).savefig(folder / "inversion.png", dpi=110)
    path = docs / "reproduction.md"
    path.write_text(page(read_tables(folder)))
    return path


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a page."""
    return {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}


def _tables(runs: dict[str, tuple[Run, Results]]) -> dict[str, pd.DataFrame]:
    """What the page says, from the runs' tables."""
    verdicts, beyond, decided, told, cost, printed = [], [], [], [], [], []
    for name, (done, results) in runs.items():
        config = done.config
        tables = {table: results.table(table) for table in READ}
        verdict = verdict_table(numbers(name, config.name, tables))
        printed.append(verdict.assign(experiment=config.name, kind=done.kind, nonzero=_nonzero(tables["correlations"])))
        spent = results.manifest["seconds"]
        analyses = sum(spent.get(stage, 0.0) for stage in ("flows", "tradeoff", "dependence"))
        counted = results.manifest["seeds"], spent.get("training", 0.0), analyses
        cost.append((name, config.name, config.spec.name, done.kind, *counted))
        if not done.explains:
            verdicts += of_run(name, config.name, config.spec.name, tables)
            beyond.append(beyond_magnitude(name, tables))
            decided += decisions(name, tables)
            told.append(tables["predictors"].assign(run=name))
    return {
        "verdicts": verdict_table(verdicts),
        "numbers": pd.concat(printed),
        "beyond": verdict_table(beyond),
        "decisions": verdict_table(decided)
        .rename(columns={"paper": "before", "ours": "change"})
        .drop(columns="verdict"),
        "predictors": pd.concat(told),
        "runs": pd.DataFrame(cost, columns=list(COST_COLUMNS)),
    }


def _nonzero(correlations: pd.DataFrame) -> pd.Series:
    """Effects that are not 0, of all, in the order of Table 2."""
    return correlations["nonzero"].astype(str) + " of " + correlations["points"].astype(str)
