"""I(M; X_T) for all subsets T of a layer at once, in bits. One signature for all estimators."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array
from numpy.typing import ArrayLike

from jaxflow.information.classifiers import linear_svm
from jaxflow.information.entropy import binary_entropy, information_to_accuracy
from jaxflow.information.gaussian import gaussian

__all__ = [
    "CLASSIFIERS",
    "ESTIMATORS",
    "Estimator",
    "EstimatorSpec",
    "binary_entropy",
    "gaussian",
    "information_to_accuracy",
    "linear_svm",
]


@runtime_checkable
class Estimator(Protocol):
    """``(message [..., N], activations [..., N, n]) → bits [..., subsets]``, the whole layer last."""

    def __call__(self, message: ArrayLike, activations: ArrayLike, /) -> Array:
        """Information in bits."""
        ...


@dataclass(frozen=True)
class EstimatorSpec:
    """How information is estimated.

    Attributes:
        bits: of all 2ⁿ subsets of a layer.
        traced: whether it runs under ``jit`` and ``vmap``; one that chooses folds from the message does not.
        whole: of the whole layer only, ``[..., 1]``; what the output needs.
    """

    bits: Estimator
    whole: Estimator
    traced: bool


def _whole(message: ArrayLike, activations: ArrayLike, estimate: Any) -> Array:
    """The last subset is all nodes."""
    return estimate(message, activations, subsets=(2 ** np.shape(activations)[-1] - 1,))


ESTIMATORS = {
    "gaussian": EstimatorSpec(gaussian, gaussian, traced=True),
    "linear-svm": EstimatorSpec(linear_svm, partial(_whole, estimate=linear_svm), traced=False),
}
CLASSIFIERS = tuple(name for name, spec in ESTIMATORS.items() if not spec.traced)
