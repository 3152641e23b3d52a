"""The frozen config of an experiment, with its checks."""

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jaxflow.datasets import Dataset
from jaxflow.errors import InputError, shown
from jaxflow.information import BACKENDS, ESTIMATORS, check_backend
from jaxflow.interventions import (
    METHODS,
    METRICS,
    MOST_LEVEL,
    PAPER_METRICS,
    Strategy,
    check_strategies,
    checked_strategy,
)
from jaxflow.networks import MLP
from jaxflow.training import Training
from jaxflow.values import (
    LARGEST_SEED,
    LAYERS,
    MOST_NETWORKS,
    WIDTH,
    choice,
    file_name,
    flag,
    real,
    several,
    whole,
    wholes,
)

TUNE = ("each", "once")
MOST_STRATEGIES, MOST_FACTORS = 10_000, 10_000


def strategy_grid(
    nodes: Iterable[Any] = (),
    edges: Iterable[Any] = (),
    paths: Iterable[Any] = (),
    metrics: Iterable[str] = PAPER_METRICS,
) -> tuple[Strategy, ...]:
    """Every metric (``magnitude`` is one that the paper does not have) with every method at its levels.

    Args:
        nodes: levels of the method ``node``, how many of them are pruned: integers, or an array of them.
        edges: of the method ``edge``.
        paths: of the method ``path``.
        metrics: names in ``jaxflow.interventions.METRICS``.

    Raises:
        InputError: levels that are no integers from 1 on, an unknown metric.
    """
    levels = {
        method: wholes(f"{method}s", values, 1, MOST_LEVEL, MOST_STRATEGIES)
        for method, values in zip(METHODS, (nodes, edges, paths), strict=True)
    }
    names = [choice("metric", metric, METRICS) for metric in several("metrics", metrics, len(METRICS))]
    return tuple(Strategy(metric, method, k) for metric in names for method in METHODS for k in levels[method])


def factor_grid(lowest: float = 0.0) -> tuple[float, ...]:
    """1.0, 0.9, … down to ``lowest``, at most 1 and at least −100."""
    tenths = math.ceil(10 * real("the lowest factor", lowest, -100, 1) - 1e-9)
    return tuple(tenth / 10 for tenth in range(10, tenths - 1, -1))


@dataclass(frozen=True)
class Config:
    """An experiment: everything its results depend on, and nothing else.

    NumPy's numbers, lists and arrays become plain numbers and tuples: the config is compared, and kept as JSON.

    Attributes:
        name: of the experiment, in tables' titles, figures and the default results folder; also the dataset that is
            loaded where none is given. One line without ``/``.
        hidden: widths of the hidden layers.
        linear: hidden layers without the leaky ReLU; 1 is the first.
        training: how the networks are trained.
        strategies: the interventions.
        factors: what the chosen weights are multiplied by; 1.0 among them marks the unpruned point.
        first_layer: where the analysis begins; 1 leaves the input layer out.
        seeds: number of networks, up to a million.
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

    Raises:
        InputError: a value of another type, not finite or out of range, or choices that do not go together.
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
        """Plain values, so that equal configs are equal as JSON; refuse what no dataset could make right."""
        for name, value in _plain(self).items():
            object.__setattr__(self, name, value)
        if not self.strategies or not self.factors:
            raise InputError("an experiment needs at least one strategy and one factor")
        for name in ("strategies", "factors"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):  # means over networks would count one twice
                raise InputError(f"one of the {name} is named more than once")
        self._check_search()
        if not set(self.linear) <= set(range(1, len(self.hidden) + 1)):
            raise InputError(f"linear names hidden layers, 1 to {len(self.hidden)}, not {shown(self.linear)}")

    def _check_search(self) -> None:
        """Refuse choices that the estimator does not have."""
        for name, choices in (("backend", BACKENDS), ("tune", TUNE)):
            value = getattr(self, name)
            if value != choices[0] and not ESTIMATORS[self.estimator].searches:
                raise InputError(f"{self.estimator} searches no hyperparameters and has no {name} {value!r}")
        if self.published_alpha and self.estimator != "kernel-svm":
            raise InputError(f"{self.estimator} has no alpha; the published one belongs to kernel-svm")
        check_backend(self.backend, self.published_alpha)

    def network(self, dataset: Dataset) -> MLP:
        """The architecture for a dataset, two logits at its end.

        Raises:
            InputError: a layer too wide to list its subsets, a strategy that asks for more than there is, too few
                rows for a batch, or a class of the analysis half too small for the estimator's folds.
        """
        widths = (dataset.train.x.shape[1], *self.hidden, 2)
        self._check_widths(widths)
        check_strategies(self.strategies, widths[self.first_layer :])
        if len(dataset.train.x) < self.training.batch_size:
            raise InputError(f"{len(dataset.train.x)} training rows cannot fill a batch of {self.training.batch_size}")
        check = ESTIMATORS[self.estimator].check
        if check is not None:
            for name in dataset.messages:
                check(dataset.test.messages[name], f"{name} in the analysis half")
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


def _plain(config: Config) -> dict[str, Any]:
    """Every field as the plain Python value that it stands for."""
    if not isinstance(config.training, Training):
        raise InputError(f"training must be a jaxflow.training.Training, not {shown(config.training)}")
    hidden = wholes("hidden (nodes of a layer)", config.hidden, 1, WIDTH)
    strategies = several("strategies", config.strategies, MOST_STRATEGIES)
    factors = several("factors", config.factors, MOST_FACTORS)
    return {
        "name": file_name("name", config.name),
        "hidden": hidden,
        "linear": wholes("linear", config.linear, 1, LAYERS),
        "strategies": tuple(checked_strategy(strategy) for strategy in strategies),
        "factors": tuple(real("every factor", factor) + 0.0 for factor in factors),  # −0 becomes 0
        "first_layer": whole("first_layer", config.first_layer, 0, len(hidden)),
        "seeds": whole("seeds, the number of networks,", config.seeds, 1, MOST_NETWORKS),
        "estimator": choice("estimator", config.estimator, ESTIMATORS),
        "backend": choice("backend", config.backend, BACKENDS),
        "published_alpha": flag("published_alpha", config.published_alpha),
        "tune": choice("tune", config.tune, TUNE),
        "seed": whole("seed", config.seed, 0, LARGEST_SEED),
        "data_seed": None if config.data_seed is None else whole("data_seed", config.data_seed, 0, LARGEST_SEED),
        "chunk": None
        if config.chunk is None
        else whole("chunk, the number of networks in a chunk,", config.chunk, 1, MOST_NETWORKS),
    }
