"""I(M; X_T) for all subsets T of a layer at once, in bits. One signature for all estimators."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from jaxflow.information.cross_validation import outer_fold_numbers
from jaxflow.information.entropy import binary_entropy, information_to_accuracy
from jaxflow.information.estimates import Advance, Estimate, Estimates, Estimator, subset_members
from jaxflow.information.gaussian import estimate as estimate_gaussian
from jaxflow.information.gaussian import gaussian
from jaxflow.information.quadratic import estimate as estimate_quadratic
from jaxflow.information.quadratic import quadratic
from jaxflow.information.ranks import rank_normalised
from jaxflow.information.svms import BACKENDS, LINEAR, check_backend, estimate_kernel, kernel_svm, linear_svm
from jaxflow.information.svms import estimate as estimate_svm

__all__ = [
    "BACKENDS",
    "ESTIMATORS",
    "Advance",
    "Estimate",
    "Estimates",
    "Estimator",
    "EstimatorSpec",
    "binary_entropy",
    "check_backend",
    "gaussian",
    "information_to_accuracy",
    "kernel_svm",
    "linear_svm",
    "quadratic",
    "rank_normalised",
    "subset_members",
]


@dataclass(frozen=True)
class EstimatorSpec:
    """How the pipeline estimates information.

    Attributes:
        estimate: of stacks of layers.
        groups: rows that the noise floor's permutations of a message may exchange; None if it has no noise floor.
        searches: whether it searches hyperparameters, and takes ``backend``.
    """

    estimate: Callable[..., Estimates]
    groups: Callable[[np.ndarray], np.ndarray] | None
    searches: bool = False


ESTIMATORS = {
    "gaussian": EstimatorSpec(estimate_gaussian, np.zeros_like),
    "linear-svm": EstimatorSpec(partial(estimate_svm, svm=LINEAR), None, searches=True),
    "kernel-svm": EstimatorSpec(estimate_kernel, None, searches=True),
    "quadratic": EstimatorSpec(estimate_quadratic, outer_fold_numbers),
}
