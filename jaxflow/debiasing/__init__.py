"""Debiasing beside pruning: of the rows' weights, of training, of a layer, of trained parameters, and of decisions.

Every debiaser is a function of one network, or of the rows that networks are trained on. The names are not flat in
``jaxflow``; their examples begin with

    from jaxflow.debiasing import *

after what those of ``jaxflow`` begin with.
"""

from jaxflow.debiasing.descent import Descent, bias_descent
from jaxflow.debiasing.erasure import Eraser, erase, leace
from jaxflow.debiasing.gaps import Sample, decision_gap, probability_gap
from jaxflow.debiasing.losses import bias_penalty, reweighing
from jaxflow.debiasing.side_by_side import DEBIASERS, Task, debiased_outputs
from jaxflow.debiasing.thresholds import GroupThresholds, group_thresholds
from jaxflow.training import Penalty

__all__ = [
    "DEBIASERS",
    "Descent",
    "Eraser",
    "GroupThresholds",
    "Penalty",
    "Sample",
    "Task",
    "bias_descent",
    "bias_penalty",
    "debiased_outputs",
    "decision_gap",
    "erase",
    "group_thresholds",
    "leace",
    "probability_gap",
    "reweighing",
]
