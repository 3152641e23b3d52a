"""Metrics: what one network shows → scores of its nodes and edges. The highest are pruned first.

A metric is a pure function ``Shown → Scores``. A user's own goes wherever a name is asked for, or into ``METRICS``.
"""

from jaxflow.metrics.contract import METHODS, Metric, Scores, Shown
from jaxflow.metrics.flow import accuracy_to_bias, bias_to_accuracy, flow_ratio, magnitude, random_scores
from jaxflow.metrics.known import (
    FLOW_METRICS,
    METRICS,
    NODE_METRICS,
    PAPER_METRICS,
    Padded,
    check_metrics,
    checked_metric,
    metric_title,
    padded_scores,
)
from jaxflow.metrics.rows import Rows, looked_at

__all__ = [
    "FLOW_METRICS",
    "METHODS",
    "METRICS",
    "NODE_METRICS",
    "PAPER_METRICS",
    "Metric",
    "Padded",
    "Rows",
    "Scores",
    "Shown",
    "accuracy_to_bias",
    "bias_to_accuracy",
    "check_metrics",
    "checked_metric",
    "flow_ratio",
    "looked_at",
    "magnitude",
    "metric_title",
    "padded_scores",
    "random_scores",
]
