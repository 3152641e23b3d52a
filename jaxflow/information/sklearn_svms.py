"""The authors' classifiers as they are: scikit-learn pipelines under nested randomised search, spread by joblib."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from jaxflow.information.cross_validation import (
    LANDMARK_SEED,
    LANDMARKS,
    Search,
    hyperparameter_draws,
    inner_splitter,
    outer_splitter,
)


class Task(NamedTuple):
    """One nested cross-validation; with ``chosen``, the draw of every outer fold, only the outer one."""

    pipeline: Callable[[], Pipeline]
    hyperparameters: tuple[str, ...]
    x: np.ndarray
    message: np.ndarray
    chosen: np.ndarray | None = None


def linear_pipeline() -> Pipeline:
    """Linear SVM (L2, squared hinge; Venkatesh et al. 2021, App. A.1)."""
    return make_pipeline(StandardScaler(), LinearSVC(dual=False))  # pyright: ignore[reportArgumentType]


class SGDHinge(ClassifierMixin, BaseEstimator):
    """Hinge loss by stochastic gradients, α = 1/(nC) for n rows: the C of a support vector machine."""

    def __init__(self, C: float = 1.0, seed: int = 0) -> None:
        self.C, self.seed = C, seed

    def fit(self, x: np.ndarray, y: np.ndarray) -> "SGDHinge":
        """As scikit-learn's."""
        self.model_ = SGDClassifier(alpha=1 / (len(x) * self.C), random_state=self.seed).fit(x, y)
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """As scikit-learn's."""
        return np.asarray(self.model_.predict(x))


def kernel_pipeline(seed: int = 0) -> Pipeline:
    """Gaussian kernel through a Nyström map of 100 components, hinge loss by SGD with C (App. A.1)."""
    nystroem = Nystroem(n_components=LANDMARKS, random_state=LANDMARK_SEED)
    return Pipeline([("scale", StandardScaler()), ("nystroem", nystroem), ("sgd", SGDHinge(seed=seed))])


def published_kernel_pipeline(seed: int = 0) -> Pipeline:
    """As ``kernel_pipeline``, with the range for C given to α itself, as the authors' program does."""
    nystroem = Nystroem(n_components=LANDMARKS, random_state=LANDMARK_SEED)
    return Pipeline([("scale", StandardScaler()), ("nystroem", nystroem), ("sgd", SGDClassifier(random_state=seed))])


def best_draw(task: Task, rows: np.ndarray) -> int:
    """The draw with the best mean accuracy over the inner folds of these rows, the first among equals.

    What ``RandomizedSearchCV`` chooses, to the last bit, in half of its time for linear machines: the rows of a fold
    are standardised once for all draws, and the estimators are fitted without clones, timers and checks around them.
    """
    x, message = task.x[rows], task.message[rows]
    draws = hyperparameter_draws(*task.hyperparameters)
    accuracy = np.zeros((len(draws), inner_splitter().get_n_splits()))
    for fold, (train, test) in enumerate(inner_splitter().split(x, message)):
        scaler = StandardScaler().fit(x[train])
        points, tested = scaler.transform(x[train]), scaler.transform(x[test])
        for draw, values in enumerate(draws):
            model = pipeline_at(task, values)[1:].fit(points, message[train])
            accuracy[draw, fold] = np.mean(model.predict(tested) == message[test])
    return int(np.argmax(accuracy.mean(axis=1)))


def pipeline_at(task: Task, values: np.ndarray) -> Pipeline:
    """The pipeline of a task with one draw of its hyperparameters."""
    return task.pipeline().set_params(**dict(zip(task.hyperparameters, values, strict=True)))


def search_fold(task: Task, fold: int, rows: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, int]:
    """Which held-out rows of one outer fold are told right, and the draw that it uses."""
    draw = best_draw(task, rows) if task.chosen is None else int(task.chosen[fold])
    model = pipeline_at(task, hyperparameter_draws(*task.hyperparameters)[draw])
    model.fit(task.x[rows], task.message[rows])
    return model.predict(task.x[held_out]) == task.message[held_out], draw


def search_task(task: Task) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Accuracies and draws of the outer folds ``[5]``, unconverged fits, and which rows ``[N]`` are told right.

    On one BLAS thread.
    """
    checked = config_context(assume_finite=True, skip_parameter_validation=True)  # the arrays and draws are our own
    with threadpool_limits(1), checked, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folds = list(outer_splitter().split(task.x, task.message))
        found = [search_fold(task, fold, *rows) for fold, rows in enumerate(folds)]
    accuracy, chosen = np.array([np.mean(right) for right, _ in found]), np.array([draw for _, draw in found])
    every = np.zeros(len(task.message), bool)
    for (_, held_out), (right, _) in zip(folds, found, strict=True):
        every[held_out] = right
    failed = sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return accuracy, chosen, failed, every


def search_tasks(tasks: Sequence[Task], advance: Callable[[int], object]) -> Search:
    """All tasks, fields ``[tasks, ...]``; joblib's ``parallel_config`` chooses the engine."""
    found = []
    results: Any = Parallel(n_jobs=-1, return_as="generator")(delayed(search_task)(task) for task in tasks)
    for result in results:
        found.append(result)
        advance(1)
    return Search(*(np.stack(field) for field in zip(*found, strict=True)))
