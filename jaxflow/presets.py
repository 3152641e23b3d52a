"""Frozen configs, and the presets of the paper's experiments (Venkatesh et al. 2021, App. C.1; figures 2–17)."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxflow.datasets import Dataset
from jaxflow.errors import InputError
from jaxflow.information import BACKENDS, ESTIMATORS, check_backend
from jaxflow.interventions import METHODS, PAPER_METRICS, Strategy, check_strategies
from jaxflow.networks import MLP
from jaxflow.training import Training

TUNE = ("each", "once")


def strategy_grid(
    nodes: Sequence[int] = (),
    edges: Sequence[int] = (),
    paths: Sequence[int] = (),
    metrics: Sequence[str] = PAPER_METRICS,
) -> tuple[Strategy, ...]:
    """Every metric (``magnitude`` is one that the paper does not have) with every method at its levels."""
    levels = dict(zip(METHODS, (nodes, edges, paths), strict=True))
    return tuple(Strategy(metric, method, k) for metric in metrics for method in METHODS for k in levels[method])


def factor_grid(lowest: float = 0.0) -> tuple[float, ...]:
    """1.0, 0.9, … down to ``lowest``."""
    return tuple(tenth / 10 for tenth in range(10, round(10 * lowest) - 1, -1))


@dataclass(frozen=True)
class Config:
    """An experiment: everything its results depend on, and nothing else.

    Attributes:
        name: of the experiment; also the dataset that is loaded where none is given.
        hidden: widths of the hidden layers.
        linear: hidden layers without the leaky ReLU; 1 is the first.
        training: how the networks are trained.
        strategies: the interventions.
        factors: what the chosen weights are multiplied by; 1.0 among them marks the unpruned point.
        first_layer: where the analysis begins; 1 leaves the input layer out.
        seeds: number of networks.
        estimator: of information, a name in ``jaxflow.information.ESTIMATORS``.
        backend: of an estimator that searches hyperparameters: ``jax`` or ``sklearn``.
        published_alpha: the kernel SVM with the range of its penalty as in the authors' program, see
            ``information.kernel_svm``.
        tune: where it searches them: for ``each`` estimate (the paper), or ``once`` per network and message on the
            unpruned output, to be kept under pruning.
        seed: of initialisations, shuffles, permutations and the random control.
        data_seed: of the draw of rows; None draws the authors' rows.
        chunk: networks processed, kept in memory and saved together; None for what suits the device, see
            ``pipeline.chunk_size``.
    """

    name: str
    hidden: tuple[int, ...] = (3,)
    linear: tuple[int, ...] = ()
    training: Training = field(default_factory=Training)
    strategies: tuple[Strategy, ...] = strategy_grid(nodes=(1, 2, 3), edges=(2, 3, 6, 9), paths=(1, 2, 3))
    factors: tuple[float, ...] = factor_grid()
    first_layer: int = 0
    seeds: int = 100
    estimator: str = "gaussian"
    backend: str = "jax"
    published_alpha: bool = False
    tune: str = "each"
    seed: int = 0
    data_seed: int | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        """Make sequences tuples and refuse what no dataset could make right."""
        for name in ("hidden", "linear", "strategies", "factors"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.strategies or not self.factors:
            raise InputError("an experiment needs at least one strategy and one factor")
        if self.seeds < 1:
            raise InputError(f"seeds is the number of networks, at least 1, not {self.seeds}")
        if self.chunk is not None and self.chunk < 1:
            raise InputError(f"chunk is the number of networks in a chunk, at least 1, not {self.chunk}")
        if not 0 <= self.seed < 2**32 or (self.data_seed is not None and not 0 <= self.data_seed < 2**32):
            raise InputError("a seed must be between 0 and 4294967295")
        if self.estimator not in ESTIMATORS:
            raise InputError(f"unknown estimator {self.estimator!r}; choose from {', '.join(ESTIMATORS)}")
        self._check_search()
        if not all(width > 0 for width in self.hidden):
            raise InputError(f"hidden layers need at least one node each, got {self.hidden}")
        if not set(self.linear) <= set(range(1, len(self.hidden) + 1)):
            raise InputError(f"linear names hidden layers, 1 to {len(self.hidden)}, not {self.linear}")
        if not 0 <= self.first_layer <= len(self.hidden):
            raise InputError(f"first_layer must be between 0 and {len(self.hidden)}, not {self.first_layer}")

    def _check_search(self) -> None:
        """Refuse unknown names, and choices that the estimator does not have."""
        for name, choices in (("backend", BACKENDS), ("tune", TUNE)):
            value = getattr(self, name)
            if value not in choices:
                raise InputError(f"unknown {name} {value!r}; choose from {', '.join(choices)}")
            if value != choices[0] and not ESTIMATORS[self.estimator].searches:
                raise InputError(f"{self.estimator} searches no hyperparameters and has no {name} {value!r}")
        if self.published_alpha and self.estimator != "kernel-svm":
            raise InputError(f"{self.estimator} has no alpha; the published one belongs to kernel-svm")
        check_backend(self.backend, self.published_alpha)

    def network(self, dataset: Dataset) -> MLP:
        """The architecture for a dataset, two logits at its end.

        Raises:
            InputError: a layer too wide to list its subsets, a strategy that asks for more than there is, or too few
                rows for a batch.
        """
        widths = (dataset.train.x.shape[1], *self.hidden, 2)
        self._check_widths(widths)
        check_strategies(self.strategies, widths[self.first_layer :])
        if len(dataset.train.y) < self.training.batch_size:
            raise InputError(f"{len(dataset.train.y)} training rows cannot fill a batch of {self.training.batch_size}")
        return MLP((*self.hidden, 2), dataset.categories, self.linear)

    def _check_widths(self, widths: tuple[int, ...]) -> None:
        """Refuse a layer with more subsets than the estimator has time for."""
        most = ESTIMATORS[self.estimator].most
        for layer, width in enumerate(widths[self.first_layer :], self.first_layer):
            if width > most:
                hint = " (first_layer=1 leaves the input out)" if layer == 0 else ""
                raise InputError(
                    f"layer {layer} has {width} nodes, 2**{width} subsets;"
                    f" {self.estimator} goes up to {most} nodes{hint}"
                )

    def as_json(self) -> dict[str, Any]:
        """The config as plain JSON types."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


PRESETS = {
    "synthetic": Config("synthetic", training=Training(learning_rate=3e-2), estimator="quadratic"),
    "adult-small": Config("adult-small"),
    "adult-large": Config("adult-large", hidden=(3, 3), factors=factor_grid(-1.0)),
    "mnist": Config(
        "mnist",
        hidden=(6, 6, 6, 6, 6),
        first_layer=1,
        strategies=strategy_grid(nodes=(1, 2, 3, 6, 12), edges=(2, 3, 6, 9, 18, 36), paths=(1, 2, 3, 6)),
    ),
}

PAPER_ESTIMATORS = {
    "synthetic": "kernel-svm",
    "adult-small": "linear-svm",
    "adult-large": "linear-svm",
    "mnist": "gaussian",
}
# of the paper's main figures; what a search of hyperparameters can afford
PAPER_STRATEGIES = strategy_grid((2, 3), (3, 6), (1, 2), metrics=("bias/acc", "acc/bias"))


def preset(name: str, **changes: Any) -> Config:
    """The config of an experiment, with changes; an SVM sweeps the twelve strategies of the main figures.

    Raises:
        InputError: unknown experiment or value.
    """
    if name not in PRESETS:
        raise InputError(f"unknown experiment {name!r}; choose from {', '.join(PRESETS)}")
    spec = ESTIMATORS.get(changes.get("estimator", PRESETS[name].estimator))
    if spec and spec.searches:
        changes = {"strategies": PAPER_STRATEGIES, **changes}
    return dataclasses.replace(PRESETS[name], **changes)


def paper_preset(name: str, **changes: Any) -> Config:
    """As ``preset``, with the estimator of the paper: synthetic kernel SVM, adult linear SVM, mnist Gaussian."""
    return preset(name, **{"estimator": PAPER_ESTIMATORS.get(name, "gaussian"), **changes})
