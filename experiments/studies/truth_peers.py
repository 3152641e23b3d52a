"""What other packages say of a message and a layer, for ``truth.py``: each is asked as its documentation shows it.

    python experiments/studies/truth_peers.py            # which of them this Python has
    python experiments/studies/truth_peers.py IN OUT     # asks one of them about the arrays of a file

Nothing here needs jaxflow: ``truth.py --peers PYTHON`` runs this file by another Python, in whose environment the
packages are (``pip install hoi frites infomeasure scikit-learn``), and exchanges arrays by files. A peer that raises,
or returns no finite number, has NaN.
"""

import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FOLDS = 5


class Peer(NamedTuple):
    """A function of another package.

    Attributes:
        package: that must be importable.
        bits: ``(message [N] or [N, d], columns [N, c]) → bits``.
        classes: whether it takes classes.
        numbers: whether it takes numbers.
        columns: at most so many.
    """

    package: str
    bits: Callable[[np.ndarray, np.ndarray], float]
    classes: bool = True
    numbers: bool = True
    columns: int = 1000


def scikit_learn(message: np.ndarray, x: np.ndarray) -> float:
    """Ross' and Kraskov's estimates of one column; ties are broken by noise."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    classes = message.dtype.kind in "iub"
    estimate = mutual_info_classif if classes else mutual_info_regression
    return estimate(x, message.reshape(len(message)), random_state=0)[0] / np.log(2)


def boosting(message: np.ndarray, x: np.ndarray) -> float:
    """H(M) less the cross-entropy of gradient-boosted trees on rows held out, five folds."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    lost = np.zeros(len(message))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, message):
        options: dict[str, Any] = {"early_stopping": True}  # its stubs know only one of the documented values
        with threadpool_limits(1):  # its threads wait for each other, long where others use the cores
            fit = HistGradientBoostingClassifier(random_state=0, **options).fit(x[train], message[train])
        place = np.searchsorted(fit.classes_, message[test])
        lost[test] = -np.log2(np.maximum(fit.predict_proba(x[test])[np.arange(len(test)), place], 1e-12))
    share = np.bincount(message) / len(message)
    return max(0.0, float(-np.sum(share[share > 0] * np.log2(share[share > 0])) - lost.mean()))


def frites(message: np.ndarray, x: np.ndarray) -> float:
    """Gaussian copula information, as frites' workflows compute it: ranks in the order of rows, then Gaussians."""
    from frites.core import copnorm_nd, mi_model_nd_gd, mi_nd_gg  # pyright: ignore[reportMissingImports]

    scores = copnorm_nd(x.T, axis=-1)
    if message.dtype.kind in "iub":
        return float(mi_model_nd_gd(scores, message, mvaxis=0, traxis=-1))
    numbers = copnorm_nd(message.reshape(len(message), -1).T, axis=-1)
    return float(mi_nd_gg(scores, numbers, mvaxis=0, traxis=-1))


def hoi(method: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """One of hoi's estimates, of the message as one more variable."""

    def bits(message: np.ndarray, x: np.ndarray) -> float:
        from hoi.core import get_mi  # pyright: ignore[reportMissingImports]

        own = message.reshape(len(message), -1).astype(float)
        return float(np.asarray(get_mi(method)(x.T.astype(float), own.T)))

    return bits


def hoi_total(message: np.ndarray, x: np.ndarray) -> float:
    """The total information of hoi's multiplets, of all columns together about a target, by its Gaussian copula."""
    from hoi.metrics import InfoTot  # pyright: ignore[reportMissingImports]

    model = InfoTot(x.astype(float), message.reshape(len(message), -1).astype(float), verbose=False)
    return float(model.fit(minsize=x.shape[1], maxsize=x.shape[1], method="gc")[0, 0])


def infomeasure(message: np.ndarray, x: np.ndarray) -> float:
    """Kraskov's estimate with the package's own defaults but for the unit."""
    import infomeasure as im  # pyright: ignore[reportMissingImports]

    return float(im.mutual_information(x, message.astype(float), approach="metric", base=2))


PEERS = {
    "scikit-learn kNN": Peer("sklearn", scikit_learn, columns=1),
    "gradient boosting": Peer("sklearn", boosting, numbers=False),
    "frites": Peer("frites", frites),
    "hoi, gc": Peer("hoi", hoi("gc")),
    "hoi, knn": Peer("hoi", hoi("knn")),
    "hoi, InfoTot": Peer("hoi", hoi_total),
    "infomeasure, KSG": Peer("infomeasure", infomeasure, classes=False),
}


def gaussians(ranked: bool, one_hot: bool) -> Callable[[np.ndarray, np.ndarray], float]:
    """Gaussian information by frites, without its correction of the bias: the formula alone, to compare ours with.

    Args:
        ranked: of normal scores of all columns of numbers.
        one_hot: of classes as all but one of their indicators, as if these were numbers; else classes have covariances
            of their own.
    """

    def bits(message: np.ndarray, x: np.ndarray) -> float:
        from frites.core import copnorm_nd, mi_model_nd_gd, mi_nd_gg  # pyright: ignore[reportMissingImports]

        scores = copnorm_nd(x.T, axis=-1) if ranked else x.T.copy()
        how = {"mvaxis": 0, "traxis": -1, "biascorrect": False}
        if message.dtype.kind in "iub" and not one_hot:
            return float(mi_model_nd_gd(scores, message, **how))
        if message.dtype.kind in "iub":
            return float(mi_nd_gg(scores, np.eye(message.max() + 1)[1:, message], **how))
        numbers = message.reshape(len(message), -1).T.copy()
        return float(mi_nd_gg(scores, copnorm_nd(numbers, axis=-1) if ranked else numbers, **how))

    return bits


def gcmi(message: np.ndarray, x: np.ndarray) -> float:
    """The functions of gcmi, of which frites keeps a copy: ranks, Gaussians, no correction."""
    from frites.core.copnorm import copnorm_nd  # pyright: ignore[reportMissingImports]
    from frites.core.gcmi_1d import mi_1d_gg  # pyright: ignore[reportMissingImports]

    both = (copnorm_nd(own.reshape(len(own), -1).T, axis=-1) for own in (x, message))
    return float(mi_1d_gg(*both, biascorrect=False))


FORMULAS = {  # that ours are compared with: see truth_agreement.py
    "mi_nd_gg": Peer("frites", gaussians(ranked=False, one_hot=True)),
    "copnorm_nd, mi_nd_gg": Peer("frites", gaussians(ranked=True, one_hot=True)),
    "mi_model_nd_gd": Peer("frites", gaussians(ranked=False, one_hot=False)),
    "copnorm_nd, mi_model_nd_gd": Peer("frites", gaussians(ranked=True, one_hot=False)),
    "gcmi: copnorm, mi_gg": Peer("frites", gcmi),
}


def available() -> list[str]:
    """The peers whose packages this Python has."""
    return [name for name, peer in PEERS.items() if importlib.util.find_spec(peer.package)]


def asked(name: str, message: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """What a peer says, NaN if it fails, and the seconds of processor time that it took."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            bits = float((PEERS | FORMULAS)[name].bits(message, x))
        except Exception:  # whatever another package raises
            bits = float("nan")
    return bits if np.isfinite(bits) else float("nan"), time.process_time() - begin


def main() -> None:
    """List the peers, or ask one about every pair of arrays in a file."""
    if len(sys.argv) == 1:
        print(json.dumps(available()))
        return
    given: Any = np.load(sys.argv[1], allow_pickle=False)
    name = str(given["name"])
    found = [asked(name, given[f"message {i}"], given[f"x {i}"]) for i in range(int(given["count"]))]
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
