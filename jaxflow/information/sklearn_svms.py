"""The authors' classifiers as they are: scikit-learn pipelines under nested randomised search, spread by joblib."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from jaxflow.information.cross_validation import (
    DRAW_SEED,
    DRAWS,
    LANDMARK_SEED,
    LANDMARKS,
    RANGE,
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


def random_search(pipeline: BaseEstimator, hyperparameters: Sequence[str]) -> RandomizedSearchCV:
    """25 draws from [0.01, 100], log-uniform, over the inner folds."""
    ranges = dict.fromkeys(hyperparameters, RANGE)
    return RandomizedSearchCV(pipeline, ranges, n_iter=DRAWS, cv=inner_splitter(), random_state=DRAW_SEED)


def search_fold(task: Task, fold: int, rows: np.ndarray, held_out: np.ndarray) -> tuple[Any, int]:
    """Accuracy of one outer fold and the draw that it uses."""
    x, message = task.x, task.message
    if task.chosen is None:
        search = random_search(task.pipeline(), task.hyperparameters).fit(x[rows], message[rows])
        return search.score(x[held_out], message[held_out]), int(search.best_index_)
    draw = int(task.chosen[fold])
    values = hyperparameter_draws(*task.hyperparameters)[draw]
    model = task.pipeline().set_params(**dict(zip(task.hyperparameters, values, strict=True)))
    return model.fit(x[rows], message[rows]).score(x[held_out], message[held_out]), draw


def search_task(task: Task) -> tuple[np.ndarray, np.ndarray, int]:
    """Accuracies and draws of the outer folds ``[5]``, and unconverged fits, on one BLAS thread."""
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folds = outer_splitter().split(task.x, task.message)
        found = [search_fold(task, fold, *rows) for fold, rows in enumerate(folds)]
    accuracy, chosen = map(np.array, zip(*found, strict=True))
    return accuracy, chosen, sum(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def search_tasks(tasks: Sequence[Task], advance: Callable[[int], object]) -> Search:
    """All tasks, fields ``[tasks, ...]``; joblib's ``parallel_config`` chooses the engine."""
    found = []
    results: Any = Parallel(n_jobs=-1, return_as="generator")(delayed(search_task)(task) for task in tasks)
    for result in results:
        found.append(result)
        advance(1)
    return Search(*(np.stack(field) for field in zip(*found, strict=True)))
