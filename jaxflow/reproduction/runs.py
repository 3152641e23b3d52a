"""Which runs the reproduction needs: the paper's, and those that explain what differs."""

import dataclasses
from typing import NamedTuple

import jax

from jaxflow.datasets import Dataset, Split
from jaxflow.interventions import METHODS, Strategy
from jaxflow.metrics import FLOW_METRICS
from jaxflow.running.config import Config, factor_grid, strategy_grid
from jaxflow.running.presets import PAPER_ESTIMATORS, PRESETS, paper_preset, preset

KERNEL_NETWORKS = 20  # on a CPU, minutes each
QUICK, QUICK_KERNEL = 10, 2  # networks of --quick
RATIOS = ("bias/acc", "acc/bias")
MAIN = {"nodes": (2, 3), "edges": (3, 6), "paths": (1, 2)}
CLOSED_FORM = {"synthetic": "quadratic", "adult-small": "gaussian", "adult-large": "gaussian", "mnist": "gaussian"}
PAPERS, CLOSED, LINEAR = "paper's estimator", "closed form", "linear"
ROWS, RATE, PROGRAM = "other rows", "rate never cut", "program's way"


class Run(NamedTuple):
    """A run of an experiment.

    Attributes:
        config: what to run.
        kind: what it is for: ``PAPERS``, ``CLOSED`` (another estimator), ``LINEAR`` (one that the data is no place for,
            Fig. 13), or one thing changed in the run that it ``explains``.
        explains: the run whose differences from the paper it is to explain.
    """

    config: Config
    kind: str
    explains: str = ""


def reproduction_runs(seeds: int = 100, quick: bool = False) -> dict[str, Run]:
    """Every run of the paper with its name: by its estimator where there is one, the Gaussian, quadratic for synthetic.

    All sweep the magnitude control beside the paper's metrics; the SVMs leave out the random one. The kernel SVM is
    tuned once for every network and message. ``quick`` takes ten networks, tunes all SVMs once and takes two networks
    by kernel SVM.
    """
    seeds = min(seeds, QUICK) if quick else seeds
    tune = "once" if quick else "each"
    kernel = min(seeds, QUICK_KERNEL if quick else KERNEL_NETWORKS if jax.default_backend() == "cpu" else seeds)
    searched = strategy_grid(**MAIN, metrics=(*RATIOS, "magnitude"))
    configs = {
        "synthetic-kernel-svm": paper_preset("synthetic", seeds=kernel, tune="once", strategies=searched),
        "synthetic-quadratic": _swept("synthetic", seeds, "quadratic"),
    }
    for name in ("adult-small", "adult-large"):
        configs[f"{name}-linear-svm"] = paper_preset(
            name, seeds=seeds, tune=tune, strategies=searched, factors=factor_grid()
        )
    configs |= {f"{name}-gaussian": _swept(name, seeds, "gaussian") for name in PRESETS}
    return {name: Run(config, _kind(config)) for name, config in configs.items()}


def _kind(config: Config) -> str:
    """Whose estimator it is."""
    if config.estimator == PAPER_ESTIMATORS[config.name]:
        return PAPERS
    return CLOSED if config.estimator == CLOSED_FORM[config.name] else LINEAR


def variants(seeds: int = 100) -> dict[str, Run]:
    """One thing changed at a time, by the closed-form estimators, with one strategy: other rows, other training.

    For mnist also the authors' program: its first hidden layer is linear and its pixels are divided by another number.
    """
    runs = {}
    for name, estimator in CLOSED_FORM.items():
        base = f"{name}-{estimator}"
        config = preset(name, seeds=seeds, estimator=estimator, strategies=(Strategy("bias/acc", "node", 1),))
        if name == "synthetic":  # Fig. 3's tradeoff is a claim; of the others only correlations are explained
            config = dataclasses.replace(config, strategies=strategy_grid((2, 3), (3, 6), metrics=RATIOS[:1]))
        else:
            config = dataclasses.replace(config, factors=(1.0, 0.0))
        never = dataclasses.replace(config.training, patience=config.training.epochs)
        runs[f"{base}-rows"] = Run(dataclasses.replace(config, data_seed=1), ROWS, base)
        runs[f"{base}-rate"] = Run(dataclasses.replace(config, training=never), RATE, base)
        if name == "mnist":
            runs[f"{base}-program"] = Run(dataclasses.replace(config, linear=(1,)), PROGRAM, base)
    return runs


def program_pixels(dataset: Dataset) -> Dataset:
    """Mnist as the authors' program scales it: by the deviation over pixels of the per-pixel deviations."""
    divisor = dataset.train.x.std(axis=0, dtype=float).std()

    def scaled(half: Split) -> Split:
        return half._replace(x=half.x / divisor)

    return dataclasses.replace(dataset, train=scaled(dataset.train), test=scaled(dataset.test))


def _swept(name: str, seeds: int, estimator: str) -> Config:
    """A closed-form run with the magnitude control beside the preset's strategies."""
    config = preset(name, seeds=seeds, estimator=estimator)
    levels = {f"{method}s": sorted({s.level for s in config.strategies if s.method == method}) for method in METHODS}
    return preset(name, seeds=seeds, estimator=estimator, strategies=strategy_grid(**levels, metrics=FLOW_METRICS))
