"""The authors' classifiers as they are: scikit-learn pipelines under nested randomised search, spread by joblib."""

from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from jaxflow.information.cross_validation import DRAW_SEED, DRAWS, RANGE, inner_splitter, outer_splitter


def linear_search() -> RandomizedSearchCV:
    """Linear SVM (L2, squared hinge), C log-uniform in [0.01, 100] (Venkatesh et al. 2021, App. A.1)."""
    pipeline = make_pipeline(StandardScaler(), LinearSVC(dual=False))  # pyright: ignore[reportArgumentType]
    return _search(pipeline, {"linearsvc__C": RANGE})


def _search(pipeline, distributions: dict) -> RandomizedSearchCV:
    return RandomizedSearchCV(pipeline, distributions, n_iter=DRAWS, cv=inner_splitter(), random_state=DRAW_SEED)


def fold_accuracies(search: Callable[[], RandomizedSearchCV], x: np.ndarray, message: np.ndarray) -> np.ndarray:
    """Accuracy of every outer fold ``[5]``, on one BLAS thread."""
    with threadpool_limits(1):
        return cross_val_score(search(), x, message, cv=outer_splitter())


def search_layers(
    search: Callable[[], RandomizedSearchCV],
    layers: np.ndarray,
    message: np.ndarray,
    members: np.ndarray,
) -> np.ndarray:
    """Fold accuracies ``[B, T, 5]`` of every layer ``[B, N, n]`` and subset ``[T, n]``, one task each.

    joblib's ``parallel_config`` chooses the engine.
    """
    tasks = [(layer[:, subset], message) for layer in layers.astype(float) for subset in members]
    found: Any = Parallel(n_jobs=-1)(delayed(fold_accuracies)(search, x, m) for x, m in tasks)
    return np.stack(found).reshape(len(layers), len(members), -1)
