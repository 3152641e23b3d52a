"""Information from classifiers: accuracy of nested cross-validation, then Fano's bound.

These estimators choose folds from the message, so they run on arrays, not under ``jit``; what is heavy in them is
compiled inside.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxflow.batching import on_all_cores
from jaxflow.errors import InputError
from jaxflow.information import sklearn_svms
from jaxflow.information.checks import checked_inputs
from jaxflow.information.cross_validation import accuracy_to_information, hyperparameter_draws, nested_folds
from jaxflow.information.squared_hinge import search_layers

BACKENDS = ("jax", "sklearn")


class ConvergenceWarning(UserWarning):
    """Some fits stopped before they converged; the message counts them."""


def linear_svm(
    message: ArrayLike, activations: ArrayLike, *, subsets: Sequence[int] | None = None, backend: str = "jax"
) -> Float[Array, "*batch subsets"]:
    """I(M; X_T) ≥ H(M) − H_b(1 − a) in bits, a the mean outer-fold accuracy of a linear SVM, for all 2ⁿ subsets T.

    Nested cross-validation with the folds, draws and seeds of the authors' program (Venkatesh et al. 2021, §3.1 and
    App. A.1): 5 outer and 4 inner stratified folds, standardisation on the training rows, C the best of 25 draws from
    [0.01, 100]. Accuracy at or below chance is worth 0.

    Args:
        message: binary, ``[..., N]``.
        activations: ``[..., N, n]``; leading axes broadcast against the message's.
        subsets: bitmasks to estimate; all 2ⁿ if not given.
        backend: ``jax``, all folds and C at once, or ``sklearn``, ``LinearSVC`` as the authors ran it. They agree to
            within one or two test samples of a fold.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``.

    Raises:
        InputError: shapes that do not fit, a message that is not 0/1 or has fewer than 5 samples in a class, NaN or
            infinity, an unknown backend.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}; choose from {', '.join(BACKENDS)}")
    accuracies = _linear_by_jax if backend == "jax" else partial(_by_sklearn, sklearn_svms.linear_search)
    return _classified(message, activations, subsets, accuracies)


def _linear_by_jax(layers: np.ndarray, message: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean accuracies ``[B, T]`` by the batched solver."""
    folds = jax.tree.map(jnp.asarray, nested_folds(message))
    c = jnp.asarray(hyperparameter_draws("C")[:, 0], jnp.float32)
    searched = partial(search_layers, message=jnp.asarray(message, jnp.float32), folds=folds, c=c, members=members)
    search = on_all_cores(searched, jnp.asarray(layers))
    if failed := int(search.unconverged.sum()):
        fits = search.unconverged.size * (folds.inner_train.shape[0] * len(c) + folds.train.shape[0])
        warnings.warn(f"{failed} of {fits} linear SVM fits did not converge", ConvergenceWarning, stacklevel=2)
    return np.asarray(search.accuracy, float).mean(axis=-1)


def _by_sklearn(search: Callable, layers: np.ndarray, message: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean accuracies ``[B, T]`` by scikit-learn."""
    nested_folds(message)  # refuses what cannot be split
    return sklearn_svms.search_layers(search, layers, message, members).mean(axis=-1)


def _classified(
    message: ArrayLike, activations: ArrayLike, subsets: Sequence[int] | None, accuracies: Callable
) -> Float[Array, "*batch subsets"]:
    """Bits of every subset, one call of ``accuracies(layers, message, members)`` for every distinct message."""
    m, x = (np.asarray(array) for array in checked_inputs(message, activations))
    n = x.shape[-1]
    masks = np.arange(2**n) if subsets is None else np.asarray(subsets)
    members = masks[:, None] >> np.arange(n)[None] & 1 == 1
    asked = members.any(axis=1)
    batch = np.broadcast_shapes(m.shape[:-1], x.shape[:-2])
    samples = x.shape[-2]
    messages = np.broadcast_to(m, (*batch, samples)).reshape(-1, samples)
    layers = np.broadcast_to(x, (*batch, samples, n)).reshape(-1, samples, n)
    bits = np.zeros((len(messages), len(masks)))
    distinct, which = np.unique(messages, axis=0, return_inverse=True)
    for index, one in enumerate(distinct.astype(int)):
        rows = np.flatnonzero(which.ravel() == index)
        if 0 < one.sum() < samples and asked.any():
            found = accuracies(layers[rows], one, members[asked])
            bits[np.ix_(rows, asked)] = accuracy_to_information(found, one)
    return jnp.asarray(bits.reshape(*batch, len(masks)), x.dtype)
