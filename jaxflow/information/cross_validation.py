"""Nested stratified cross-validation with the paper's seeds.

scikit-learn and ``scipy.stats`` are imported where they are used: their import takes half a second, and
an estimator in closed form needs neither.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxflow.errors import InputError, counted
from jaxflow.messages import Message

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
    """Nested cross-validations.

    Attributes:
        accuracy: of every outer fold ``[..., 5]``.
        chosen: its draw ``[..., 5]``.
        unconverged: fits ``[...]``.
        right: whether its held-out rows are told right, ``[..., 5, B]``, and then ``[..., N]`` in the order of rows.
    """

    accuracy: Any
    chosen: Any
    unconverged: Any
    right: Any


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
    """Held-out rows of the five outer folds, stratified on the classes of a message ``[N]``.

    Raises:
        InputError: a class has fewer members than there are folds.
    """
    check_sizes(message)
    return [held_out for _, held_out in outer_splitter().split(message, message)]


def unstratified_folds(samples: int) -> list[np.ndarray]:
    """Held-out rows of five outer folds about numbers.

    Raises:
        InputError: fewer samples than there are folds.
    """
    from sklearn.model_selection import KFold

    if samples < OUTER:
        raise InputError(
            f"cross-validation needs {OUTER} samples, got {samples}: record more, or use the gaussian estimator"
        )
    folds = KFold(OUTER, shuffle=True, random_state=OUTER_SEED)
    return [held_out for _, held_out in folds.split(np.zeros(samples))]


def nested_folds(message: np.ndarray) -> Folds:
    """Folds stratified on the classes of a message ``[N]`` (Venkatesh et al. 2021, App. A.1).

    Raises:
        InputError: a class has fewer members than the five outer folds need.
    """
    check_sizes(message)
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


def check_folds(message: Message, name: str = "the message") -> None:
    """Refuse a message that classifiers cannot be cross-validated on.

    Classifiers estimate information about classes, in every stratum of ``given`` by itself. In each stratum every
    class needs a member in each of the five outer folds. A class without any member in a stratum is not among that
    stratum's classes, and a stratum with a single class needs no folds: there is nothing to be known in it.

    Args:
        message: ``values [..., N]``; of several, such as a message and its permutations, the first is looked at.
        name: what the refusal calls the message.

    Raises:
        InputError: the message or what is given is continuous, or a class is too small; the refusal names the class,
            its stratum and its size.

    Example:
        >>> check_folds(Message(np.array([0, 1, 2, 0, 1, 2] * 5), classes=3))
    """
    check_discrete(message, name)
    check_cells(message, name)


def check_cells(message: Message, name: str = "the message") -> None:
    """``check_folds`` for who takes numbers too, of which any rows will do, and may be given numbers.

    Raises:
        InputError: a class is too small.
    """
    if message.continuous:
        return None
    values = np.asarray(message.values)
    values = values.reshape(-1, values.shape[-1])[0]
    if not message.strata:
        return check_sizes(values, message.classes, name)
    given = np.asarray(message.given)
    for stratum in range(message.strata):
        inside = values[given == stratum]
        if len(inside) and np.ptp(inside):
            check_sizes(inside, message.classes, name, f" in stratum {stratum} of what is given")
    return None


def check_discrete(message: Message, name: str = "the message") -> None:
    """Refuse numbers where a classifier needs classes.

    Raises:
        InputError: the message or what is given is continuous; the refusal names the estimators that take numbers.
    """
    if message.continuous or (message.given is not None and not message.strata):
        which = name if message.continuous else f"what is given beside {name}"
        raise InputError(
            f"{which} is continuous, and a classifier takes classes only: use the gaussian or copula estimator, which"
            " take numbers, or bin them into classes"
        )


def check_sizes(message: np.ndarray, classes: int = 2, name: str = "the message", where: str = "") -> None:
    """Refuse class numbers ``[N]`` of which one class cannot be spread over the five outer folds.

    Classes without members are none, except where there is only one with members.

    Args:
        message: class numbers.
        classes: how many there may be.
        name: what the refusal calls the message.
        where: what follows the number of samples in the refusal.

    Raises:
        InputError: a class has fewer members than there are folds; the refusal names the smallest class and its size.
    """
    counts = np.bincount(message, minlength=classes)
    possible = np.flatnonzero(counts) if np.count_nonzero(counts) > 1 else np.arange(len(counts))
    smallest = int(possible[np.argmin(counts[possible])])
    if counts[smallest] < OUTER:
        raise InputError(
            f"class {smallest} of {name} has {counted(counts[smallest], 'sample')}{where}, nested cross-validation"
            f" needs {OUTER}: record more samples, or use the gaussian estimator"
        )


def padded(folds: list[np.ndarray]) -> np.ndarray:
    """Rows of all folds as one array, −1 at the end; rounded up so that similar messages share a trace."""
    longest = -(-max(map(len, folds)) // ROUND) * ROUND
    padded = [np.concatenate([rows, np.full(longest - len(rows), -1)]) for rows in folds]
    return np.stack(padded).astype(np.int32)


def in_row_order(by_fold: np.ndarray, folds: Sequence[np.ndarray]) -> np.ndarray:
    """What is known of the held-out rows of every fold ``[..., 5, B]``, in the order of all rows ``[..., N]``.

    Args:
        by_fold: the rows of a fold one after the other, filled up to a common length.
        folds: numbers of these rows; every row is held out by one fold.

    Example:
        >>> in_row_order(np.array([[1, 2], [3, 0]]), [np.array([0, 2]), np.array([1])])
        array([1, 3, 2])
    """
    place = np.zeros(sum(map(len, folds)), int)
    for fold, rows in enumerate(folds):
        place[rows] = fold * by_fold.shape[-1] + np.arange(len(rows))
    return by_fold.reshape(*by_fold.shape[:-2], -1)[..., place]


def hyperparameter_draws(*names: str) -> np.ndarray:
    """The 25 draws of the randomised search, log-uniform in [0.01, 100], as ``[25, names]``."""
    from scipy.stats import loguniform
    from sklearn.model_selection import ParameterSampler

    ranges = dict.fromkeys(names, loguniform(SMALLEST, LARGEST))
    sampler = ParameterSampler(ranges, DRAWS, random_state=DRAW_SEED)
    return np.array([[draw[name] for name in names] for draw in sampler])


def one_against_the_rest(message: np.ndarray) -> np.ndarray:
    """Signs ``[R, N]`` of the linear machines that tell K classes apart, as scikit-learn's ``LinearSVC`` does.

    Two classes need one machine, positive for class 1; more classes need one each, positive for its own class.

    Args:
        message: class numbers 0 … K − 1, all of which have members, ``[N]``.

    Example:
        >>> one_against_the_rest(np.array([0, 1, 1]))
        array([[-1,  1,  1]])
        >>> one_against_the_rest(np.array([0, 2, 1]))
        array([[ 1, -1, -1],
               [-1, -1,  1],
               [-1,  1, -1]])
    """
    classes = np.arange(message.max() + 1) if message.max() > 1 else np.array([1])
    return np.where(message == classes[:, None], 1, -1)
