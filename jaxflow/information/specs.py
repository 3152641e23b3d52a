"""The third contract: what a run must know of an estimator, the table of those built in, and the user's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Array

from jaxflow.errors import InputError, alternatives, shown
from jaxflow.information.copula import copula, scored
from jaxflow.information.copula import estimate as estimate_copula
from jaxflow.information.copula import layer_bits as copula_layer_bits
from jaxflow.information.copula import stack_flows as copula_stack_flows
from jaxflow.information.cross_validation import check_cells, check_folds, outer_fold_numbers
from jaxflow.information.custom import check_taken, estimate_one_by_one, keywords_of, try_out
from jaxflow.information.estimates import Estimate, Estimates, LayerBits, Options
from jaxflow.information.exact import MASK_NODES, ExactFlows, stack_flows
from jaxflow.information.gaussian import estimate as estimate_gaussian
from jaxflow.information.gaussian import gaussian, layer_bits
from jaxflow.information.knn import KnnOptions, check_condition, knn
from jaxflow.information.knn import estimate as estimate_knn
from jaxflow.information.probe import ProbeOptions, probe
from jaxflow.information.probe import estimate as estimate_probe
from jaxflow.information.probe import estimate_variants as estimate_probe_variants
from jaxflow.information.quadratic import QuadraticOptions, quadratic
from jaxflow.information.quadratic import estimate as estimate_quadratic
from jaxflow.information.svms import (
    LINEAR,
    KernelOptions,
    LinearOptions,
    estimate_kernel,
    kernel_svm,
    linear_svm,
)
from jaxflow.information.svms import estimate as estimate_svm
from jaxflow.messages import Message
from jaxflow.values import choice

MOST_CUSTOM = 16  # nodes whose 2**n subsets a user's own function is asked for


def within_strata(message: Message) -> np.ndarray:
    """Numbers ``[N]`` of the rows that a permutation of the message may exchange: those of one stratum of ``given``."""
    if message.strata:
        return np.asarray(message.given, np.int32)
    return np.zeros(message.values.shape[-1 if message.classes else -2], np.int32)


def within_folds(message: Message) -> np.ndarray:
    """As ``within_strata``, and of one outer fold of the stratum: every fold keeps its number of each class."""
    strata = within_strata(message)
    values = np.asarray(message.values)
    values = values.reshape(-1, values.shape[-1])[0]
    numbers = np.zeros(len(values), np.int32)
    for stratum in np.unique(strata):
        rows = strata == stratum
        if np.ptp(values[rows]):  # rows of a single class may be exchanged at will
            numbers[rows] = outer_fold_numbers(np.unique(values[rows], return_inverse=True)[1])
    return numbers + strata * (numbers.max() + 1)


def accept(_message: Message, _name: str) -> None:
    """The check of an estimator that takes any message."""


def as_they_are(message: Message, activations: Array) -> tuple[Message, Array]:
    """What an estimator regresses that changes neither message nor activations."""
    return message, activations


@dataclass(frozen=True)
class EstimatorSpec:
    """An estimator as a run uses it. The function alone suffices; the other fields are facts and faster ways.

    Attributes:
        function: ``(message, activations, *, given=None, groups=None) → bits [2**n]``.
        stacked: a faster way for stacks of layers, see ``Estimate``; the function is called for one layer, message and
            permutation after the other if not given.
        title: the name in messages; the function's own if not given.
        exchangeable: numbers ``[N]`` of a message, equal for the rows that a permutation of the noise floor may
            exchange; None if the estimator has no noise floor.
        most: nodes of the widest layer; beyond ``flows`` what two cores do for one network in about an hour.
        searches: whether it searches hyperparameters.
        chunk: networks that a run measures and saves together, about a minute's fits; None if it fits nothing that may
            not converge.
        flows: of layers whose bits are not kept, one message at a time; None if all bits are listed first.
        layer_bits: the estimate as a pure function of one layer, which whatever uses it compiles into one program; None
            if it must see arrays.
        regressed: message and activations as this estimator regresses the one on the other, which honest flows repeat:
            as they are, or their ranks; None if its information is not that of a linear regression.
        held_out: as ``stacked``, with what the estimate loses on every row, which it predicts from others
            (``Estimates.losses``), and of which honest flows are made; None if it predicts no rows.
        variants: the information in all columns of many variants of every layer at once, such as of a network's output
            under interventions: ``(layers [S, V, N, c], messages, *, advance, **options) → {name: Estimates}`` with
            bits ``[P, S, V]``; None if every variant is estimated by itself.
        check: refuses a message that cannot be estimated, by the name given second; called before training.
        options: the dataclass of its options.

    Example:
        >>> ESTIMATORS["linear-svm"].options_from({"backend": "sklearn"}).as_json()
        {'backend': 'sklearn'}
    """

    function: Callable[..., Any]
    stacked: Estimate | None = None
    title: str = ""
    exchangeable: Callable[[Message], np.ndarray] | None = within_strata
    most: int = MOST_CUSTOM
    searches: bool = False
    chunk: int | None = None
    flows: Callable[..., ExactFlows] | None = None
    layer_bits: LayerBits | None = None
    regressed: Callable[[Message, Array], tuple[Message, Array]] | None = None
    held_out: Estimate | None = None
    variants: Callable[..., dict[str, Estimates]] | None = None
    check: Callable[[Message, str], None] = accept
    options: type[Options] = Options

    @property
    def name(self) -> str:
        """The estimator's name in messages."""
        return self.title or getattr(self.function, "__qualname__", type(self.function).__name__)

    @property
    def honest(self) -> bool:
        """Whether there are honest flows by this estimator."""
        return self.regressed is not None or self.held_out is not None

    @property
    def estimate(self) -> Estimate:
        """The estimator on stacks of layers, by its fast way if it has one."""
        return self.stacked or partial(estimate_one_by_one, function=self.function, name=self.name)

    def accepts(self, message: Message, name: str) -> None:
        """Refuse, before anything is trained, a message that cannot be estimated.

        Args:
            message: with what is given, but without permutations or any other batch.
            name: what the refusal calls the message.

        Raises:
            InputError: as ``check`` says; the message is conditioned, and the estimator does not take ``given``.
        """
        check_taken(message, None, self.function, self.name)
        self.check(message, name)

    def try_out(self, message: Message, x: Any, groups: Sequence[Any] = ()) -> None:
        """Call a user's own function once, before anything is trained; those built in need no trial.

        Args:
            message: as ``accepts`` takes it.
            x: features ``[N, d]`` of the same rows.
            groups: for every layer the node of every column, or None.

        Raises:
            InputError: the function fails, returns something else than 2ⁿ finite numbers, or takes no groups where
                there are such.
        """
        if getattr(self.estimate, "func", None) is estimate_one_by_one:
            for columns in groups:
                check_taken(message, columns, self.function, self.name)
            try_out(self.function, self.name, message, x)

    def output_groups(self, columns: int, groups: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Groups that make all columns of an output one node, whose last subset is the whole: two subsets, not 2ⁿ.

        Two columns or fewer keep their groups, which costs nothing; so do those of a function that takes no groups.

        Args:
            columns: of the output.
            groups: the node of every column, if nodes have several.

        Example:
            >>> ESTIMATORS["gaussian"].output_groups(3, None)
            (0, 0, 0)
        """
        return (0,) * columns if columns > 2 and "groups" in keywords_of(self.function) else groups

    def options_from(self, values: Mapping[str, Any]) -> Options:
        """The options of these names and values; what is not named has its default.

        Raises:
            InputError: the estimator has no such option, or not this value of it.
        """
        known = [field.name for field in fields(self.options)]
        for name in values:
            if name not in known:
                has = alternatives(name, known) if known else "it has no options"
                raise InputError(f"{self.name} has no {name}; {has}")
        return self.options(**values)

    def with_options(self, options: Options, by_row: bool = False) -> Estimate:
        """The estimate of stacks under these options.

        Args:
            options: of the estimator.
            by_row: whether the losses of single rows come with it, see ``held_out``.
        """
        values, estimate = options.as_json(), self.held_out if by_row and self.held_out else self.estimate
        return partial(estimate, **values) if values else estimate


ESTIMATORS = {
    "gaussian": EstimatorSpec(
        gaussian,
        estimate_gaussian,
        "gaussian",
        most=MASK_NODES,
        flows=stack_flows,
        layer_bits=layer_bits,
        regressed=as_they_are,
    ),
    "copula": EstimatorSpec(
        copula,
        estimate_copula,
        "copula",
        most=MASK_NODES,
        flows=copula_stack_flows,
        layer_bits=copula_layer_bits,
        regressed=scored,
    ),
    "linear-svm": EstimatorSpec(
        linear_svm,
        partial(estimate_svm, svm=LINEAR),
        "linear-svm",
        exchangeable=None,
        held_out=partial(estimate_svm, svm=LINEAR, by_row=True),
        most=15,
        searches=True,
        chunk=25,
        check=check_folds,
        options=LinearOptions,
    ),
    "kernel-svm": EstimatorSpec(
        kernel_svm,
        estimate_kernel,
        "kernel-svm",
        exchangeable=None,
        held_out=partial(estimate_kernel, by_row=True),
        most=8,
        searches=True,
        chunk=2,
        check=check_folds,
        options=KernelOptions,
    ),
    "probe": EstimatorSpec(
        probe,
        estimate_probe,
        "probe",
        exchangeable=None,
        held_out=partial(estimate_probe, by_row=True),
        variants=estimate_probe_variants,
        most=12,
        chunk=4,
        check=check_cells,
        options=ProbeOptions,
    ),
    "quadratic": EstimatorSpec(
        quadratic,
        estimate_quadratic,
        "quadratic",
        exchangeable=within_folds,
        held_out=partial(estimate_quadratic, by_row=True),
        most=18,
        check=check_folds,
        options=QuadraticOptions,
    ),
    "knn": EstimatorSpec(
        knn,
        estimate_knn,
        "knn",
        most=12,
        check=check_condition,
        options=KnnOptions,
    ),
}


def spec_of(estimator: Any) -> EstimatorSpec:
    """How a run uses an estimator: one of the names in ``ESTIMATORS``, or a function of the user's own.

    A function gets one message ``[N]`` and the activations ``[N, n]`` of one layer as NumPy arrays, and returns the
    bits of all 2ⁿ subsets of nodes in the order of their bitmasks. It may take ``given=`` and ``groups=``; if not,
    messages that are conditioned, and nodes of several columns, are refused.

    Args:
        estimator: a name, a function, or a spec, which is taken as it is.

    Raises:
        InputError: an unknown name, or something that is neither a name nor a function.

    Example:
        >>> def agreement(message, activations):
        ...     return np.array([0.0, np.mean((activations[:, 0] > 0) == message)])
        >>> spec_of(agreement).name
        'agreement'
        >>> spec_of("quadratic").most
        18
    """
    if isinstance(estimator, EstimatorSpec):
        return estimator
    if isinstance(estimator, str):
        return ESTIMATORS[choice("estimator", estimator, ESTIMATORS)]
    if not callable(estimator):
        raise InputError(f"an estimator is a name or a function (message, activations) → bits, not {shown(estimator)}")
    return next((spec for spec in ESTIMATORS.values() if spec.function is estimator), EstimatorSpec(estimator))
