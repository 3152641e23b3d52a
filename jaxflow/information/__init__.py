"""I(M; X_T) for all subsets T of a layer at once, in bits. One signature for all estimators."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from jaxflow.information.cross_validation import check_folds, outer_fold_numbers
from jaxflow.information.estimates import Advance, Estimate, Estimates, Estimator, LayerBits, subset_members
from jaxflow.information.exact import MASK_NODES, ExactFlows, gaussian_flows, memory_needed, stack_flows
from jaxflow.information.gaussian import estimate as estimate_gaussian
from jaxflow.information.gaussian import gaussian, layer_bits
from jaxflow.information.quadratic import estimate as estimate_quadratic
from jaxflow.information.quadratic import quadratic
from jaxflow.information.ranks import rank_normalised
from jaxflow.information.svms import BACKENDS, LINEAR, check_backend, estimate_kernel, kernel_svm, linear_svm
from jaxflow.information.svms import estimate as estimate_svm
from jaxflow.messages import binary_entropy, information_to_accuracy

__all__ = [
    "BACKENDS",
    "ESTIMATORS",
    "Advance",
    "Estimate",
    "Estimates",
    "Estimator",
    "EstimatorSpec",
    "ExactFlows",
    "LayerBits",
    "binary_entropy",
    "check_backend",
    "gaussian",
    "gaussian_flows",
    "information_to_accuracy",
    "kernel_svm",
    "linear_svm",
    "memory_needed",
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
        most: nodes of the widest layer; beyond ``flows`` what two cores do for one network in about an hour.
        searches: whether it searches hyperparameters, and takes ``backend``.
        flows: of layers whose bits are not kept, one message at a time; None if all bits are listed first.
        layer_bits: the estimate as a pure function of one layer, which whatever uses it compiles into one program; None
            if it must see arrays.
        check: refuses a message ``[N]`` that cannot be estimated, by the name given second; called before training.
    """

    estimate: Callable[..., Estimates]
    groups: Callable[[np.ndarray], np.ndarray] | None
    most: int
    searches: bool = False
    flows: Callable[..., ExactFlows] | None = None
    layer_bits: LayerBits | None = None
    check: Callable[[np.ndarray, str], None] | None = None


ESTIMATORS = {
    "gaussian": EstimatorSpec(estimate_gaussian, np.zeros_like, MASK_NODES, flows=stack_flows, layer_bits=layer_bits),
    "linear-svm": EstimatorSpec(partial(estimate_svm, svm=LINEAR), None, 15, searches=True, check=check_folds),
    "kernel-svm": EstimatorSpec(estimate_kernel, None, 8, searches=True, check=check_folds),
    "quadratic": EstimatorSpec(estimate_quadratic, outer_fold_numbers, 18, check=check_folds),
}
