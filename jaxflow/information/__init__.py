"""I(M; X_T) for all subsets T of a layer at once, in bits. One signature for all estimators."""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Array, ArrayLike

from jaxflow.information.entropy import binary_entropy, information_to_accuracy
from jaxflow.information.gaussian import gaussian

__all__ = ["ESTIMATORS", "Estimator", "binary_entropy", "gaussian", "information_to_accuracy"]

Estimator: TypeAlias = Callable[[ArrayLike, ArrayLike], Array]
"""``(message [..., N], activations [..., N, n]) → bits [..., 2**n]``."""

ESTIMATORS: dict[str, Estimator] = {"gaussian": gaussian}
