"""Information from support vector machines: accuracy of nested cross-validation, then Fano's inequality.

Folds depend on the message, so these estimators run on arrays, not under ``jit``; what is heavy is compiled inside.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.batching import cores, on_all_cores
from jaxflow.errors import InputError
from jaxflow.information import linear, nystrom
from jaxflow.information.cross_validation import (
    INNER,
    OUTER,
    Search,
    hyperparameter_draws,
    in_row_order,
    nested_folds,
    one_against_the_rest,
)
from jaxflow.information.estimates import Advance, Estimates, Options, broadcast, by_strata, ignore
from jaxflow.information.ranks import rank_normalised
from jaxflow.messages import Message, accuracy_to_information
from jaxflow.values import choice, flag

BACKENDS = ("jax", "sklearn")


class ConvergenceWarning(UserWarning):
    """Some fits stopped before they converged; the message counts them."""


@dataclass(frozen=True)
class SVM:
    """A support vector machine and how it is fitted.

    Attributes:
        name: in messages.
        hyperparameters: what is searched, named as in scikit-learn's pipeline.
        search: the batched solver, ``(layers [B, n, N], signs [R, N], folds, draws
            [25, h], chosen [B, 5] or None)``; None if there is none.
        pipeline: scikit-learn's, for the given hyperparameters.
        block_fits: fits between two reports of progress.
    """

    name: str
    hyperparameters: tuple[str, ...]
    search: Callable[..., Search] | None
    pipeline: Callable[[], Any]
    block_fits: int


def sklearn_pipeline(name: str) -> Any:
    """A pipeline of ``sklearn_svms``; scikit-learn is imported for who asks for it, which takes half a second."""
    from jaxflow.information import sklearn_svms

    return getattr(sklearn_svms, name)()


LINEAR = SVM("linear SVM", ("linearsvc__C",), linear.search_layers, partial(sklearn_pipeline, "linear_pipeline"), 8192)
KERNEL = SVM(
    "kernel SVM",
    ("nystroem__gamma", "sgd__C"),
    nystrom.search_layers,
    partial(sklearn_pipeline, "kernel_pipeline"),
    1024,
)
PUBLISHED = SVM(
    "kernel SVM", ("nystroem__gamma", "sgd__alpha"), None, partial(sklearn_pipeline, "published_kernel_pipeline"), 1024
)


def linear_svm(
    message: ArrayLike,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    subsets: Sequence[int] | None = None,
    backend: str = "jax",
    rank: bool = False,
) -> Float[Array, "*batch T"]:
    """Information from the accuracy of a linear SVM, in bits, for all 2ⁿ subsets T.

        I(M; X_T) ≥ H(M) − H_b(e) − e log₂(K − 1)        e the mean error on the outer folds

    Nested cross-validation with the folds, draws and seeds of the authors' program (Venkatesh et al. 2021, §3.1 and
    App. A.1): 5 outer and 4 inner stratified folds, standardisation on the training rows, C the best of 25 draws from
    [0.01, 100]. Accuracy at or below chance is worth 0.

    Args:
        message: classes, ``[..., N]``; more than two are told apart one against the rest.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        given: classes ``[N]`` to condition on: the mean of the strata's bits, Σ_g P(g) I(M; X_T | G = g).
        groups: the number of the node that every column belongs to; every column is a node if not given.
        subsets: bitmasks to estimate; all 2ⁿ if not given.
        backend: ``jax``, all folds and C at once, or ``sklearn``, ``LinearSVC`` as the authors ran it. They agree to
            within one or two test samples of a fold.
        rank: replace activations by normal scores first, see ``rank_normalised``.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``.

    Raises:
        InputError: shapes that do not fit, a continuous message or condition, fewer than 5 samples in a class (of a
            stratum), NaN or infinity, an unknown backend.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> message = rng.integers(0, 2, 200)
        >>> activations = message[:, None] + 0.1 * rng.normal(size=(200, 2)) * np.array([1, 100])
        >>> [round(float(bits), 1) for bits in linear_svm(message, activations)]  # the second node is noise
        [0.0, 1.0, 0.0, 1.0]
    """
    run = partial(estimate, svm=LINEAR, **LinearOptions(backend).as_json())
    activations = rank_normalised(activations) if rank else activations
    return _bits(LINEAR, broadcast(run, message, activations, subsets, given=given, groups=groups))


def kernel_svm(
    message: ArrayLike,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    subsets: Sequence[int] | None = None,
    backend: str = "jax",
    published_alpha: bool = False,
    rank: bool = False,
) -> Float[Array, "*batch T"]:
    """Information from the accuracy of a kernel SVM, in bits, for all 2ⁿ subsets T.

        I(M; X_T) ≥ H(M) − H_b(e) − e log₂(K − 1)        e the mean error on the outer folds

    A Gaussian kernel exp(−γ‖x − x′‖²) through a Nyström map of 100 training rows, then a linear SVM; γ and C the best
    of 25 draws from [0.01, 100]², otherwise as ``linear_svm`` (Venkatesh et al. 2021, §3.1 and App. A.1).

    Args:
        message: classes, ``[..., N]``; more than two are told apart one against the rest.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        given: classes ``[N]`` to condition on: the mean of the strata's bits, Σ_g P(g) I(M; X_T | G = g).
        groups: the number of the node that every column belongs to; every column is a node if not given.
        subsets: bitmasks to estimate; all 2ⁿ if not given.
        backend: ``jax``, a hinge rounded off and solved to convergence, or ``sklearn``, the hinge by ``SGDClassifier``
            with α = 1/(nC) and a fixed seed. The same map; their accuracies differ by about as much as the latter's
            between seeds.
        published_alpha: draw α itself from [0.01, 100], as the authors' program does where their text draws C: so
            strong a penalty that most draws predict the majority class. For ``sklearn`` only.
        rank: replace activations by normal scores first, see ``rank_normalised``.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``.

    Raises:
        InputError: as ``linear_svm``; the published α with the ``jax`` backend.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> message = rng.integers(0, 2, 60)
        >>> activations = (message + 2 * rng.integers(0, 2, 60) + 0.1 * rng.normal(size=60))[:, None]
        >>> [round(float(bits), 1) for bits in kernel_svm(message, activations)]  # no line tells 0 and 2 from 1 and 3
        [0.0, 1.0]
    """
    run = partial(estimate_kernel, **KernelOptions(backend, published_alpha).as_json())
    activations = rank_normalised(activations) if rank else activations
    return _bits(KERNEL, broadcast(run, message, activations, subsets, given=given, groups=groups))


def _bits(svm: SVM, found: tuple[Float[Array, "*batch T"], int, int]) -> Float[Array, "*batch T"]:
    """The bits of ``broadcast``, with a warning where fits did not converge."""
    bits, failed, fits = found
    if failed:
        warnings.warn(f"{failed} of {fits} {svm.name} fits did not converge", ConvergenceWarning, stacklevel=3)
    return bits


@dataclass(frozen=True)
class LinearOptions(Options):
    """Options of ``linear_svm``: who does the fits."""

    backend: str = BACKENDS[0]

    def __post_init__(self) -> None:
        check_backend(self.backend)


@dataclass(frozen=True)
class KernelOptions(Options):
    """Options of ``kernel_svm``: who does the fits, and whether the penalty is drawn as the authors' program does."""

    backend: str = BACKENDS[0]
    published_alpha: bool = False

    def __post_init__(self) -> None:
        check_backend(self.backend, self.published_alpha)


def check_backend(backend: str, published_alpha: bool = False) -> None:
    """Refuse a name that is none, and the published α where its exact minimiser is the majority class."""
    choice("backend", backend, BACKENDS)
    if flag("published_alpha", published_alpha) and backend != "sklearn":
        raise InputError("the published alpha exists with backend sklearn only")


def estimate(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    svm: SVM,
    backend: str = "jax",
    groups: tuple[int, ...] | None = None,
    draws: Mapping[str, np.ndarray] | None = None,
    by_row: bool = False,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol of the support vector machines, with the draws that were chosen.

    Given ``draws`` nothing is searched: every outer fold is fitted with its own. See ``jaxflow.information.Estimate``.
    """
    run = partial(_rows_estimate, svm=svm, backend=backend, by_row=by_row)
    return by_strata(run, layers, messages, members, groups=groups, draws=draws, advance=advance)


def estimate_kernel(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    published_alpha: bool = False,
    **options: Any,
) -> dict[str, Estimates]:
    """``estimate`` by kernel SVMs."""
    return estimate(layers, messages, members, svm=PUBLISHED if published_alpha else KERNEL, **options)


def _rows_estimate(
    layers: Float[Array, "S N c"],
    messages: dict[str, np.ndarray],
    members: Bool[np.ndarray, "T c"],
    *,
    svm: SVM,
    backend: str,
    by_row: bool,
    draws: dict[str, np.ndarray] | None,
    advance: Advance,
) -> dict[str, Estimates]:
    """Bits about class numbers ``[P, N]`` from all rows; every permutation is searched by itself."""
    found, run = {}, partial(_of_message, layers, members=members, svm=svm, backend=backend)
    for name, permuted in messages.items():
        kept = None if draws is None else draws[name]
        first = run(permuted[0], by_row=by_row, draws=kept, advance=advance)
        others = [run(message, by_row=False, draws=kept, advance=ignore) for message in permuted[1:]]
        found[name] = first._replace(bits=np.stack([first.bits, *(other.bits for other in others)]))
    return found


def _of_message(
    layers: Float[Array, "S N c"],
    message: np.ndarray,
    members: Bool[np.ndarray, "T c"],
    *,
    svm: SVM,
    backend: str,
    by_row: bool,
    draws: np.ndarray | None,
    advance: Advance,
) -> Estimates:
    """Bits ``[S, T]`` about class numbers ``[N]``, with the draws ``[S, T, 5]``; draws ``[S, 5]`` may be known.

    Where there is nothing to fit, the largest class is decided for.
    """
    run = partial(_by_jax if backend == "jax" else _by_sklearn, svm=svm)
    varies = np.ptp(np.asarray(layers), axis=1) > 0
    asked = np.any(varies[:, None] & members, axis=2)  # no node, and constant ones, tell nothing
    shape = len(layers), len(members)
    bits, unconverged, chosen = np.zeros(shape), np.zeros(shape, int), np.zeros((*shape, OUTER), int)
    kept = None if draws is None else np.repeat(draws, asked.sum(axis=1), axis=0)
    mistaken = np.tile(message != np.argmax(np.bincount(message)), (*shape, 1)) if by_row else None
    advance(int((~asked).sum()))
    if len(pairs := np.argwhere(asked)):
        search = run(layers, message, members, pairs, kept, advance=advance)
        places = pairs[:, 0], pairs[:, 1]
        bits[places] = accuracy_to_information(search.accuracy.mean(axis=-1), message)
        unconverged[places], chosen[places] = search.unconverged, search.chosen
        if mistaken is not None:
            mistaken[places] = ~search.right
    fits = OUTER if draws is not None else OUTER * (1 + INNER * len(hyperparameter_draws(*svm.hyperparameters)))
    return Estimates(bits, chosen, unconverged, fits * len(one_against_the_rest(message)), mistaken)


def _by_jax(
    layers: Array, message: np.ndarray, members: np.ndarray, pairs: np.ndarray, kept: Any, *, svm: SVM, advance: Advance
) -> Search:
    """Accuracies of all pairs of layer and subset by the batched solver, block by block."""
    solver: Any = svm.search
    every = nested_folds(message)
    folds, tests = jax.device_put(every), [rows[rows >= 0] for rows in every.test]
    host = np.asarray(layers)  # whatever is cut out of JAX's arrays compiles programs of its own
    draws = jax.device_put(hyperparameter_draws(*svm.hyperparameters).astype(host.dtype))
    signs = jax.device_put(one_against_the_rest(message).astype(host.dtype))
    fits = len(signs) * (OUTER if kept is not None else OUTER * (1 + INNER * len(draws)))
    found = []
    for block in _blocks(len(pairs), max(cores(), svm.block_fits // fits)):
        x = np.where(members[pairs[block, 1], :, None], host[pairs[block, 0]].swapaxes(1, 2), 0)
        own = jax.device_put((x,) if kept is None else (x, kept[block]))
        search = on_all_cores(lambda own: solver(own[0], signs, folds, draws, *own[1:]), own)
        found.append(jax.tree.map(np.asarray, search))
        advance(len(set(block.tolist())))
    together = jax.tree.map(lambda *blocks: np.concatenate(blocks)[: len(pairs)], *found)
    right = in_row_order(together.right, tests)
    return together._replace(accuracy=together.accuracy.astype(float), right=right)


def _blocks(count: int, width: int) -> Iterator[np.ndarray]:
    """Numbers below ``count`` in blocks of equal width, the last one filled up with its own last number."""
    width = -(-count // -(-count // width))
    for start in range(0, count, width):
        yield np.minimum(np.arange(start, start + width), count - 1)


def _by_sklearn(
    layers: Array, message: np.ndarray, members: np.ndarray, pairs: np.ndarray, kept: Any, *, svm: SVM, advance: Advance
) -> Search:
    """Accuracies of all pairs of layer and subset by scikit-learn, one joblib task each."""
    from jaxflow.information.sklearn_svms import Task, search_tasks

    nested_folds(message)  # refuses what cannot be split
    tasks = [
        Task(svm.pipeline, svm.hyperparameters, np.asarray(layers[layer], float)[:, members[subset]], message, own)
        for (layer, subset), own in zip(pairs, [None] * len(pairs) if kept is None else kept, strict=True)
    ]
    return search_tasks(tasks, advance)
