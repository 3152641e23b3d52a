"""Thresholds of its own for every group: fairlearn's ThresholdOptimizer on a network's logits (Hardt et al. 2016)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxflow.arrays import as_real_array
from jaxflow.batching import is_traced
from jaxflow.debiasing.gaps import classes_of
from jaxflow.errors import InputError, cause
from jaxflow.messages import Message
from jaxflow.values import LARGEST_SEED, choice, whole

CONSTRAINTS = {
    "parity": "demographic_parity",
    "odds": "equalized_odds",
    "opportunity": "true_positive_rate_parity",
}


@dataclass(frozen=True)
class GroupThresholds:
    """Thresholds of every group, as ``group_thresholds`` chose them.

    Attributes:
        fitted: fairlearn's ``ThresholdOptimizer``.

    Example:
        >>> GroupThresholds(fitted=None).fitted is None
        True
    """

    fitted: Any

    def decide(self, logits: Any, attribute: Any, seed: int = 0) -> Int[np.ndarray, " N"]:
        """Decisions 0 or 1 on any rows. Between two thresholds fairlearn decides at random, as it needs to.

        Args:
            logits: of the network that they were chosen for ``[N, 2]`` or ``[N, 1]``.
            attribute: classes ``[N]``, among those that were there when they were chosen.
            seed: of the random decisions.

        Raises:
            InputError: other logits than one network's, rows that do not fit, a group that was not there.
        """
        scores, groups, seed = _scores(logits), _groups(attribute), whole("seed", seed, 0, LARGEST_SEED)
        new = set(groups.tolist()) - set(self.fitted.interpolated_thresholder_.interpolation_dict)
        if new or len(groups) != len(scores):
            raise InputError(
                f"no threshold was chosen for group {min(new)}"
                if new
                else f"the attribute must hold the class of each of the {len(scores)} rows"
            )
        return self.fitted.predict(scores, sensitive_features=groups, random_state=seed)


def group_thresholds(logits: Any, label: Any, attribute: Any, notion: str = "parity") -> GroupThresholds:
    """Thresholds on the difference of two logits, one or a mixture of two for every group, chosen by fairlearn.

    Of all whose decisions satisfy the notion of fairness on these rows, fairlearn's ``ThresholdOptimizer`` takes the
    most accurate (Hardt et al. 2016). It computes on the host: call it for one network after the other, outside of
    ``jit`` and ``vmap``. Choose on some rows and report on others.

    Args:
        logits: of one network ``[N, 2]``, or ``[N, 1]``, that of class 1 against class 0.
        label: 0 or 1 ``[N]``, an array or a ``Message``.
        attribute: classes ``[N]``, whose condition is not looked at.
        notion: what is equal among the groups: the rate of decision 1 (``parity``), those of true and false decisions 1
            (``odds``), that of true ones (``opportunity``).

    Returns:
        The thresholds, which ``decide`` on any rows.

    Raises:
        InputError: fairlearn is not installed; more than two classes, traced arrays, or rows that fairlearn refuses,
            such as a group of one label alone.

    Example:
        >>> logits = np.array([[0, -1], [0, 1], [0, 0], [0, 2], [0, 2], [0, 3], [0, 1], [0, 4]])
        >>> y, z = np.array([0, 1, 0, 1] * 2), np.array([0] * 4 + [1] * 4)
        >>> group_thresholds(logits, y, z).decide(logits, z).tolist()
        [0, 1, 0, 1, 0, 1, 0, 1]
    """
    constraint: Any = CONSTRAINTS[choice("notion", notion, CONSTRAINTS)]
    try:
        from fairlearn.postprocessing import ThresholdOptimizer
        from sklearn.linear_model import LinearRegression
    except ImportError:
        raise InputError("fairlearn is not installed; pip install 'jaxflow[debias]'") from None
    scores, groups, form = _scores(logits), _groups(attribute), classes_of("label", label)
    y = np.asarray(form.values)
    if form.classes != 2 or not len(y) == len(groups) == len(scores):
        raise InputError("thresholds need a label of two classes, and label and attribute of every row of the logits")
    identity = LinearRegression()  # fairlearn asks a fitted estimator for scores: this one gives back its input
    identity.coef_, identity.intercept_ = np.ones(1), 0.0
    chooser = ThresholdOptimizer(estimator=identity, constraints=constraint, prefit=True, predict_method="predict")
    try:
        return GroupThresholds(chooser.fit(scores, y, sensitive_features=groups))
    except ValueError as error:
        raise InputError(f"fairlearn finds no thresholds: {cause(error)}") from error


def _scores(logits: Any) -> np.ndarray:
    """The difference of two logits, or the one logit, as a column in double precision."""
    _must_be_seen(logits)
    values = np.asarray(as_real_array("logits", logits)).astype(float)
    if values.ndim != 2 or values.shape[1] not in (1, 2) or not np.isfinite(values).all():
        raise InputError(f"thresholds are put on finite logits [N, 2] or [N, 1] of one network, not {values.shape}")
    return values[:, -1:] if values.shape[1] == 1 else values[:, 1:] - values[:, :1]


def _groups(attribute: Any) -> np.ndarray:
    """Numbers of the groups."""
    values = attribute.values if isinstance(attribute, Message) else attribute
    _must_be_seen(values)
    return np.asarray(classes_of("attribute", values).values)


def _must_be_seen(values: Any) -> None:
    """Refuse arrays that are being traced, which fairlearn could not look at."""
    if is_traced(values):
        raise InputError("fairlearn chooses thresholds on the host: call it outside of jit, vmap and map_networks")
