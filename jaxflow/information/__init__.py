"""I(M; X_T) for all subsets T of a layer at once, in bits. One signature for all estimators."""

from jaxflow.information.copula import copula
from jaxflow.information.estimates import (
    Advance,
    Estimate,
    Estimates,
    Estimator,
    LayerBits,
    Options,
    subset_members,
)
from jaxflow.information.exact import ExactFlows, gaussian_flows, memory_needed
from jaxflow.information.gaussian import gaussian
from jaxflow.information.knn import knn
from jaxflow.information.probe import probe
from jaxflow.information.quadratic import quadratic
from jaxflow.information.ranks import rank_normalised
from jaxflow.information.specs import ESTIMATORS, EstimatorSpec, spec_of
from jaxflow.information.svms import BACKENDS, check_backend, kernel_svm, linear_svm
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
    "Options",
    "binary_entropy",
    "check_backend",
    "copula",
    "gaussian",
    "gaussian_flows",
    "information_to_accuracy",
    "kernel_svm",
    "knn",
    "linear_svm",
    "memory_needed",
    "probe",
    "quadratic",
    "rank_normalised",
    "spec_of",
    "subset_members",
]
