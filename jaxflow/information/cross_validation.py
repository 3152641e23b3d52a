"""Nested stratified cross-validation with the paper's seeds, and the information that an accuracy is worth.

scikit-learn and ``scipy.stats`` are imported where they are used: their import takes half a second, and
an estimator in closed form needs neither.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxflow.errors import InputError

if TYPE_CHECKING:
    from sklearn.model_selection import RepeatedStratifiedKFold

OUTER, INNER, DRAWS = 5, 4, 25
OUTER_SEED, INNER_SEED, DRAW_SEED = 73, 71, 53
LANDMARKS, LANDMARK_SEED = 100, 0
ROUND = 32
SMALLEST, LARGEST = 1e-2, 1e2  # hyperparameters that are drawn, log-uniform


class Folds(NamedTuple):
    """Row numbers of every fold, padded with −1 to a common length; inner folds are numbered outer-major.

    Attributes:
        train: outer training rows ``[5, rows]``.
        test: outer test rows ``[5, rows]``.
        inner_train: ``[20, rows]``.
        inner_test: ``[20, rows]``.
        landmarks: of a Nyström map, among the outer training rows ``[5, 100]``.
        inner_landmarks: ``[20, 100]``.
    """

    train: Any
    test: Any
    inner_train: Any
    inner_test: Any
    landmarks: Any
    inner_landmarks: Any


class Search(NamedTuple):
    """Nested cross-validations: accuracy and draw of every outer fold ``[..., 5]``, and unconverged fits ``[...]``."""

    accuracy: Any
    chosen: Any
    unconverged: Any


def outer_splitter() -> "RepeatedStratifiedKFold":
    """The five outer folds of the authors' program."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    return RepeatedStratifiedKFold(n_splits=OUTER, n_repeats=1, random_state=OUTER_SEED)


def inner_splitter() -> "RepeatedStratifiedKFold":
    """The four inner folds of the authors' program."""
    from sklearn.model_selection import RepeatedStratifiedKFold

    return RepeatedStratifiedKFold(n_splits=INNER, n_repeats=1, random_state=INNER_SEED)


def outer_fold_numbers(message: np.ndarray) -> np.ndarray:
    """The outer fold that holds every row out, ``[N]``."""
    numbers = np.zeros(len(message), np.int32)
    for fold, held_out in enumerate(outer_folds(message)):
        numbers[held_out] = fold
    return numbers


def outer_folds(message: np.ndarray) -> list[np.ndarray]:
    """Held-out rows of the five outer folds of a binary message ``[N]``.

    Raises:
        InputError: a class has fewer members than there are folds.
    """
    check_folds(message)
    return [held_out for _, held_out in outer_splitter().split(message, message)]


def nested_folds(message: np.ndarray) -> Folds:
    """Folds of a binary message ``[N]`` (Venkatesh et al. 2021, App. A.1).

    Raises:
        InputError: a class has fewer members than the five outer folds need.
    """
    check_folds(message)
    train, test, inner_train, inner_test = [], [], [], []
    for rows, held_out in outer_splitter().split(message, message):
        train.append(rows)
        test.append(held_out)
        for inner_rows, inner_held_out in inner_splitter().split(message[rows], message[rows]):
            inner_train.append(rows[inner_rows])
            inner_test.append(rows[inner_held_out])
    landmarks = ([_landmarks(rows) for rows in training] for training in (train, inner_train))
    return Folds(*(padded(rows) for rows in (train, test, inner_train, inner_test)), *map(np.stack, landmarks))


def _landmarks(rows: np.ndarray) -> np.ndarray:
    """The training rows that scikit-learn's ``Nystroem`` takes under the seed, −1 where there are fewer than 100."""
    taken = rows[np.random.RandomState(LANDMARK_SEED).permutation(len(rows))[:LANDMARKS]]
    return np.pad(taken, (0, LANDMARKS - len(taken)), constant_values=-1).astype(np.int32)


def check_folds(message: np.ndarray, name: str = "the message") -> None:
    """Refuse a message of which one class cannot be spread over the five outer folds.

    Args:
        message: 0/1, ``[N]``.
        name: what the refusal calls the message.

    Raises:
        InputError: a class has fewer members than there are folds; the message names it and its size.
    """
    counts = [int(np.sum(message == value)) for value in (0, 1)]
    smaller = int(np.argmin(counts))
    if counts[smaller] < OUTER:
        raise InputError(
            f"class {smaller} of {name} has {counts[smaller]} samples, nested cross-validation needs {OUTER}:"
            " record more samples, or use the gaussian estimator"
        )


def padded(folds: list[np.ndarray]) -> np.ndarray:
    """Rows of all folds as one array, −1 at the end; rounded up so that similar messages share a trace."""
    longest = -(-max(map(len, folds)) // ROUND) * ROUND
    padded = [np.concatenate([rows, np.full(longest - len(rows), -1)]) for rows in folds]
    return np.stack(padded).astype(np.int32)


def hyperparameter_draws(*names: str) -> np.ndarray:
    """The 25 draws of the randomised search, log-uniform in [0.01, 100], as ``[25, names]``."""
    from scipy.stats import loguniform
    from sklearn.model_selection import ParameterSampler

    ranges = dict.fromkeys(names, loguniform(SMALLEST, LARGEST))
    sampler = ParameterSampler(ranges, DRAWS, random_state=DRAW_SEED)
    return np.array([[draw[name] for name in names] for draw in sampler])


def accuracy_to_information(accuracy: np.ndarray, message: np.ndarray) -> np.ndarray:
    """Fano's bound I ≥ H(M) − H_b(1 − a) in bits, H(M) from the data (Venkatesh et al. 2021, eq. 7).

    An accuracy at or below that of the majority class is worth 0 (up to half a sample, for unequal folds), accuracy 1
    is worth H(M).
    """
    chance = max(np.mean(message), 1 - np.mean(message))
    accuracy = np.where(accuracy < chance + 0.5 / len(message), chance, accuracy)
    return np.maximum(message_entropy(message) - _entropy(np.minimum(accuracy, 1)), 0)


def message_entropy(message: np.ndarray) -> float:
    """H(M) in bits from the data."""
    return float(_entropy(np.mean(message)))


def _entropy(p: Any) -> np.ndarray:
    """H_b in bits, in double precision."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = p * np.log2(p) + (1 - p) * np.log2(1 - p)
    return np.where((p <= 0) | (p >= 1), 0.0, -terms)
