"""Which runs the reproduction needs, and which figures of the paper are drawn from each."""

import jax

from jaxflow.interventions import METHODS, METRICS
from jaxflow.presets import Config, factor_grid, paper_preset, preset, strategy_grid

KERNEL_NETWORKS = 20  # on a CPU, ten minutes each
QUICK, QUICK_KERNEL = 10, 2  # networks of --quick
RATIOS = ("bias/acc", "acc/bias")
MAIN = {"nodes": (2, 3), "edges": (3, 6), "paths": (1, 2)}


def reproduction_runs(seeds: int = 100, quick: bool = False) -> dict[str, Config]:
    """Every run with its name: the paper's estimator where there is one, the Gaussian, and quadratic for synthetic.

    All sweep the magnitude control beside the paper's metrics; the SVMs leave out the random one. ``quick`` takes ten
    networks, and tunes the SVMs once (two networks by kernel SVM).
    """
    seeds = min(seeds, QUICK) if quick else seeds
    tune = "once" if quick else "each"
    kernel = min(seeds, QUICK_KERNEL if quick else KERNEL_NETWORKS if jax.default_backend() == "cpu" else seeds)
    searched = strategy_grid(**MAIN, metrics=(*RATIOS, "magnitude"))
    runs = {
        "synthetic-kernel-svm": paper_preset("synthetic", seeds=kernel, tune=tune, strategies=searched),
        "synthetic-quadratic": _swept("synthetic", seeds, "quadratic"),
    }
    for name in ("adult-small", "adult-large"):
        runs[f"{name}-linear-svm"] = paper_preset(
            name, seeds=seeds, tune=tune, strategies=searched, factors=factor_grid()
        )
    return runs | {f"{name}-gaussian": _swept(name, seeds, "gaussian") for name in ("synthetic", *ADULT, "mnist")}


ADULT = ("adult-small", "adult-large")


def _swept(name: str, seeds: int, estimator: str) -> Config:
    """A closed-form run with the magnitude control beside the preset's strategies."""
    config = preset(name, seeds=seeds, estimator=estimator)
    levels = {f"{method}s": sorted({s.level for s in config.strategies if s.method == method}) for method in METHODS}
    return preset(name, seeds=seeds, estimator=estimator, strategies=strategy_grid(**levels, metrics=METRICS))
