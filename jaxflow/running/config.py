"""The frozen config of an experiment, with its checks."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from jaxflow.ablations import ABLATIONS, donors
from jaxflow.datasets import Dataset
from jaxflow.errors import InputError, counted, shown
from jaxflow.information import BACKENDS, EstimatorSpec, Options, spec_of
from jaxflow.interventions import MOST_LEVEL, Strategy, check_strategies, checked_strategy
from jaxflow.messages import MOST_CLASSES, Message
from jaxflow.metrics import METHODS, METRICS, NODE_METRICS, PAPER_METRICS, Rows, check_metrics, checked_metric
from jaxflow.networks import MLP, Network, Params, mlp
from jaxflow.outputs import NOTIONS, Roles, favourable_class, with_measured
from jaxflow.running.identity import function_identity
from jaxflow.study import Study
from jaxflow.tables import metric_name
from jaxflow.training import Training
from jaxflow.values import (
    LARGEST_SEED,
    LAYERS,
    MOST_NETWORKS,
    MOST_PERMUTATIONS,
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
SHARED_PERMUTATIONS, SINGLE_PERMUTATIONS = 200, 20


def strategy_grid(
    nodes: Iterable[Any] = (),
    edges: Iterable[Any] = (),
    paths: Iterable[Any] = (),
    metrics: Iterable[Any] = PAPER_METRICS,
) -> tuple[Strategy, ...]:
    """Every metric (``magnitude`` is one that the paper does not have) with every method at its levels.

    Args:
        nodes: levels of the method ``node``, how many of them are pruned: integers, or an array of them.
        edges: of the method ``edge``.
        paths: of the method ``path``.
        metrics: names in ``jaxflow.metrics.METRICS``, or functions of ``jaxflow.metrics.Shown``.

    Raises:
        InputError: levels that are no integers from 1 on, an unknown metric.
    """
    levels = {
        method: wholes(f"{method}s", values, 1, MOST_LEVEL, MOST_STRATEGIES)
        for method, values in zip(METHODS, (nodes, edges, paths), strict=True)
    }
    names = [
        choice("metric", metric, METRICS) if isinstance(metric, str) else checked_metric(metric)
        for metric in several("metrics", metrics, MOST_STRATEGIES)
    ]
    return tuple(Strategy(metric, method, k) for metric in names for method in METHODS for k in levels[method])


def under_metrics(strategies: Iterable[Strategy], metrics: Iterable[Any]) -> tuple[Strategy, ...]:
    """The methods and levels of strategies under these metrics; those that score no edges have nodes alone.

    Args:
        strategies: whose metrics do not matter.
        metrics: names.

    Raises:
        InputError: an unknown metric, or none.
    """
    names = [choice("metric", name, METRICS) for name in several("metrics", metrics, len(METRICS))]
    grid = dict.fromkeys((own.method, own.level) for own in strategies)
    return tuple(Strategy(name, *own) for name in names for own in grid if own[0] == "node" or name not in NODE_METRICS)


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
        hidden: widths of the hidden layers. For a table the command takes 2K nodes, at most 8, for K > 2 classes.
        linear: hidden layers without the leaky ReLU; 1 is the first.
        training: how the networks are trained.
        strategies: the interventions.
        factors: what the chosen weights are multiplied by; 1.0 among them marks the unpruned point.
        first_layer: where the analysis begins; 1 leaves the input layer out.
        seeds: number of networks, up to a million.
        estimator: of information, a name in ``jaxflow.information.ESTIMATORS`` or a function of your own
            ``(message, activations, *, given=None, groups=None) → bits [2**n]``.
        notion: what information about an attribute is conditioned on: ``parity`` on nothing, ``odds`` on the label,
            ``opportunity`` on the label's favourable class.
        favourable: that class, by its name in the dataset's ``values`` or by its number; None is class 1, of a table's
            two values the second in sorted order.
        backend: of an estimator that searches hyperparameters: ``jax`` or ``sklearn``.
        ablation: what a pruned edge transmits in the place of its signal: nothing (``zero``, the paper), its ``mean``,
            or that of another row (``resample``).
        published_alpha: the kernel SVM with the range of its penalty as in the authors' program, see
            ``information.kernel_svm``.
        tune: where it searches them: for ``each`` estimate (the paper), or ``once`` per network and message on the
            unpruned output, to be kept under pruning.
        permutations: of every message, for noise floors and p-values; 0 for none. None stands for 200 where they share
            what is done once for a layer (gaussian, copula), and for 20 where every one is estimated by itself.
        seed: of initialisations, shuffles, permutations and the random control.
        data_seed: of the draw of rows; None draws the authors' rows.
        chunk: networks processed, kept in memory and saved together; None for what suits the device, see
            ``pipeline.chunk_size``.

    Raises:
        InputError: a value of another type, not finite or out of range, or choices that do not go together.

    Example:
        >>> strategies = pipeline.strategy_grid(nodes=(1, 2))
        >>> config = pipeline.Config("people", hidden=(4, 4), strategies=strategies, notion="odds", seeds=20)
        >>> len(config.strategies)  # three metrics, two levels
        6
    """

    name: str
    hidden: tuple[int, ...] = (3,)
    linear: tuple[int, ...] = ()
    training: Training = field(default_factory=Training)
    strategies: tuple[Strategy, ...] = strategy_grid(nodes=(1, 2, 3), edges=(2, 3, 6, 9), paths=(1, 2, 3))
    factors: tuple[float, ...] = factor_grid()
    first_layer: int = 0
    seeds: int = 100
    estimator: str | Callable[..., Any] = "gaussian"
    notion: str = "parity"
    favourable: str | int | None = None
    backend: str = "jax"
    published_alpha: bool = False
    tune: str = "each"
    permutations: int | None = None
    seed: int = 0
    data_seed: int | None = None
    chunk: int | None = None
    ablation: str = "zero"

    def __post_init__(self) -> None:
        """Plain values, so that equal configs are equal as JSON; refuse what no dataset could make right."""
        for name, value in _plain(self).items():
            object.__setattr__(self, name, value)
        if not self.strategies or not self.factors:
            raise InputError("an experiment needs at least one strategy and one factor")
        for name in ("strategies", "factors"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):  # means over networks would count one twice
                raise InputError(f"one of the {name} is named more than once")
        metrics = {strategy.metric for strategy in self.strategies}
        names = [metric_name(metric) for metric in metrics]
        if same := sorted({name for name in names if names.count(name) > 1}):  # tables tell metrics by their names
            raise InputError(f"two metrics are named {shown(same[0])}; give each function a name of its own, by def")
        self._check_search()
        if self.favourable is not None and self.notion != "opportunity":
            raise InputError(f"a favourable class belongs to the notion 'opportunity', not to {self.notion!r}")
        if not set(self.linear) <= set(range(1, len(self.hidden) + 1)):
            raise InputError(f"linear names hidden layers, 1 to {len(self.hidden)}, not {shown(self.linear)}")

    def _check_search(self) -> None:
        """Refuse choices that the estimator does not have."""
        spec = self.spec
        for name, choices in (("backend", BACKENDS), ("tune", TUNE)):
            value = getattr(self, name)
            if value != choices[0] and not spec.searches:
                raise InputError(f"{spec.name} searches no hyperparameters and has no {name} {value!r}")
        if self.published_alpha and spec.name != "kernel-svm":
            raise InputError(f"{spec.name} has no alpha; the published one belongs to kernel-svm")
        self.options  # noqa: B018 - refuses what does not go together

    @property
    def spec(self) -> EstimatorSpec:
        """The estimator as a run uses it."""
        return spec_of(self.estimator)

    @property
    def options(self) -> Options:
        """The options of the estimator."""
        known = {own.name for own in dataclasses.fields(self.spec.options)}
        return self.spec.options_from(
            {name: getattr(self, name) for name in ("backend", "published_alpha") if name in known}
        )

    def roles(self, dataset: Dataset) -> Roles:
        """Which of a dataset's messages is the label, which are attributes, and what they are conditioned on."""
        label = dataset.label
        names, classes = dataset.values.get(label, ()), dataset.classes[label]
        return Roles(label, dataset.attributes, self.notion, favourable_class(self.favourable, label, names, classes))

    def study(self, network: Network, dataset: Dataset) -> Study:
        """How the networks of this experiment are measured."""
        return Study(network, self.roles(dataset), self.spec, self.options, self.first_layer, self.ablation)

    def network(self, dataset: Dataset) -> MLP:
        """The architecture for a dataset, a logit for every class of the label at its end.

        Raises:
            InputError: a strategy that asks for more than there is, too few rows for a batch, or a message of the
                analysis half that the estimator cannot tell, such as a class too small for its folds.
        """
        outputs = dataset.classes[dataset.label]
        self.check((dataset.train.x.shape[1], *self.hidden, outputs), dataset)
        if len(dataset.train.x) < self.training.batch_size:
            rows, batch = counted(len(dataset.train.x), "training row"), self.training.batch_size
            raise InputError(f"{rows} cannot fill a batch of {batch}")
        return mlp(self.hidden, outputs, dataset.categories, self.linear)

    def check(self, widths: Sequence[int], dataset: Dataset) -> None:
        """Refuse what cannot be analysed in layers of so many nodes, input and output included.

        Raises:
            InputError: see ``network``.
        """
        check_strategies(self.strategies, widths[self.first_layer :])
        roles, messages = self.roles(dataset), measured_messages(self.roles(dataset), dataset)
        for name in (roles.label, *roles.attributes):
            measured = roles.measured(name)
            self.spec.accepts(messages[measured], f"{measured} in the analysis half")

    def try_functions(self, widths: Sequence[int], network: Network, params: Params, dataset: Dataset) -> None:
        """Try metrics and the user's own estimator on little, before a folder is made and anything is trained.

        Args:
            widths: nodes of every layer, input and output included.
            network: the architecture.
            params: of one network, or their shapes.
            dataset: its data.

        Raises:
            InputError: one of them fails, or returns what cannot be used.
        """
        roles, messages = self.roles(dataset), measured_messages(self.roles(dataset), dataset)
        for name in roles.attributes:
            label, attribute = messages[roles.label], messages[roles.measured(name)]
            others = donors(jax.random.key(0), self.ablation, len(dataset.test.x))
            rows = Rows(network, params, dataset.test.x, label, attribute, self.first_layer, self.ablation, others)
            check_metrics(self.strategies, widths[self.first_layer :], rows)
        for name in roles.measured_names:
            self.spec.try_out(messages[name], dataset.test.x, network.groups or ())

    def as_json(self) -> dict[str, Any]:
        """The config as plain JSON types; a function by its qualified name and a hash of its source."""
        plain = json.loads(json.dumps(dataclasses.asdict(self), default=function_identity))
        for name, default in (("notion", "parity"), ("favourable", None), ("ablation", "zero")):
            if plain[name] == default:
                del plain[name]  # so that folders of earlier versions go on
        return plain


def measured_messages(roles: Roles, dataset: Dataset) -> dict[str, Message]:
    """Messages of the analysis half by name: label and attributes, and those conditioned as the notion says."""
    values, found = dataset.test.messages, {}
    for name, classes in dataset.classes.items():
        numbers = values[name] if classes or values[name].ndim == 2 else values[name][:, None]
        found[name] = Message(numbers, None, classes)
    return with_measured(found, roles)


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
        "strategies": tuple(checked_strategy(strategy, functions=True) for strategy in strategies),
        "factors": tuple(real("every factor", factor) + 0.0 for factor in factors),  # −0 becomes 0
        "first_layer": whole("first_layer", config.first_layer, 0, len(hidden)),
        "seeds": whole("seeds, the number of networks,", config.seeds, 1, MOST_NETWORKS),
        "estimator": config.estimator if callable(config.estimator) else spec_of(config.estimator).name,
        "notion": choice("notion", config.notion, NOTIONS),
        "favourable": config.favourable
        if config.favourable is None or isinstance(config.favourable, str)
        else whole("favourable, the number of a class,", config.favourable, 0, MOST_CLASSES),
        "backend": choice("backend", config.backend, BACKENDS),
        "published_alpha": flag("published_alpha", config.published_alpha),
        "tune": choice("tune", config.tune, TUNE),
        "ablation": choice("ablation", config.ablation, ABLATIONS),
        "permutations": _permutations(config),
        "seed": whole("seed", config.seed, 0, LARGEST_SEED),
        "data_seed": None if config.data_seed is None else whole("data_seed", config.data_seed, 0, LARGEST_SEED),
        "chunk": None
        if config.chunk is None
        else whole("chunk, the number of networks in a chunk,", config.chunk, 1, MOST_NETWORKS),
    }


def _permutations(config: Config) -> int:
    """How many, as asked for or as many as cost little."""
    if config.permutations is None:
        return SHARED_PERMUTATIONS if spec_of(config.estimator).layer_bits is not None else SINGLE_PERMUTATIONS
    return whole("permutations", config.permutations, 0, MOST_PERMUTATIONS)
