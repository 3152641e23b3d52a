"""frites' test of every node by itself, with its maximum statistic over the nodes of a layer; frites is optional.

frites (Combrisson et al., *JOSS* 2022) estimates the Gaussian-copula information of every channel and time in a
message of classes, permutes the message, and compares every value with the largest of a permutation.
"""

import contextlib
import io
from importlib.util import find_spec

import numpy as np


def has_frites() -> bool:
    """Whether frites is installed."""
    return find_spec("frites") is not None


def frites_p(layers: np.ndarray, message: np.ndarray, permutations: int, seed: int) -> np.ndarray:
    """Corrected p-values ``[S, n]``, every layer a family of its own.

    One ``WfMi`` computes the information of all columns and its permutations, the columns in the place of time points;
    ``testwise_correction_mcp`` is what ``WfMi.fit(mcp="maxstat")`` corrects with.

    Args:
        layers: ``[S, N, n]``.
        message: classes ``[N]``.
        permutations: of the message, the same for all columns.
        seed: of the permutations.
    """
    from frites.dataset import DatasetEphy  # pyright: ignore[reportMissingImports]
    from frites.stats import testwise_correction_mcp  # pyright: ignore[reportMissingImports]
    from frites.workflow import WfMi  # pyright: ignore[reportMissingImports]

    count, rows, nodes = layers.shape
    columns = layers.transpose(1, 0, 2).reshape(rows, 1, count * nodes).astype(float)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        data = DatasetEphy(
            [columns], y=[message.astype(int)], roi=[["layer"]], times=np.arange(count * nodes), verbose=False
        )
        workflow = WfMi(mi_type="cd", inference="ffx", verbose=False)
        workflow.fit(data, mcp="nostat", n_perm=permutations, n_jobs=1, random_state=seed)
    own = np.asarray(workflow.mi[0]).reshape(count, nodes)
    drawn = np.asarray(workflow.mi_p[0]).reshape(permutations, count, nodes)
    return np.stack([testwise_correction_mcp(own[k], drawn[:, k], tail=1, mcp="maxstat") for k in range(count)])
