"""Programs compiled as on a user's machine give the numbers of those that the tests compile with less optimisation.

The tests set XLA's flags (``brief.py``), and before these jaxflow's own compiler options give way. So one process runs
without any, and this one analyses the same networks.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxflow import pipeline
from jaxflow.datasets import load_dataset
from jaxflow.pipeline import strategy_grid
from jaxflow.running.results import Results

CACHE = "JAX_COMPILATION_CACHE_DIR"  # nobody else compiles these programs
BITS, PER_CENT = 1e-6, 1e-4  # of float32: some roundings of a bit, and of numbers up to 100
PROGRAM = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from jaxflow import figures
from test_users_programs import analysed
figures.draw_all = lambda *_: ()
analysed(sys.argv[1])
"""
TABLES = {
    "information": {"bits": BITS},
    "node_flows": {"flow": BITS, "null95": BITS, "honest": BITS, "low": 1e-5, "high": 1e-5},
    "edge_flows": {"flow": 1e-5},  # times a weight
    "tradeoff": {"accuracy": PER_CENT, "bias": PER_CENT, "parity_gap": PER_CENT},
    "networks": {"output_accuracy": PER_CENT, "output_bias": PER_CENT, "threshold_accuracy": PER_CENT},
    "dependence": {"effect": PER_CENT},
}


def analysed(out) -> Results:
    """Three random networks on the synthetic data; as compiling takes most of the time, one level of every strategy."""
    data, rng = load_dataset("synthetic"), np.random.default_rng(0)
    config = pipeline.preset(
        "synthetic", seeds=3, estimator="gaussian", hidden=(8,), first_layer=1, factors=(1.0, 0.5, 0.0),
        strategies=strategy_grid(nodes=(2,), edges=(3,), paths=(2,)),
    )  # fmt: skip
    params = {
        f"layer_{layer}": {"kernel": rng.normal(size=(3, n, m)), "bias": rng.normal(size=(3, m))}
        for layer, (n, m) in enumerate(((3, 8), (8, 2)))
    }
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    return pipeline.analyse(config.network(data), params, data, config, out=out)


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.usefixtures("plain_figures")
def test_a_run_without_flags_gives_the_tables_of_one_with_ours(tmp_path):
    """Gaussian flows with p-values and honest flows, the sweep and the removals; eight nodes are a wide layer's way."""
    environment = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", CACHE)}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "user")], env=environment, check=True)
    users, tests = Results(tmp_path / "user"), analysed(tmp_path / "tests")
    for name, columns in TABLES.items():
        ours, theirs = users.table(name), tests.table(name)
        assert len(ours) == len(theirs) > 0
        for column, most in columns.items():
            np.testing.assert_allclose(ours[column], theirs[column], rtol=0, atol=most, err_msg=f"{name}.{column}")
    bits = users.table("information").set_index(["network", "layer", "message", "subset"])["bits"]
    for row in users.table("node_flows").itertuples():
        others = sum(2 ** int(node) for node in str(row.witness).split("+") if node)
        before, after = (bits[row.network, row.layer, row.message, own] for own in (others, others | 1 << row.node))
        assert others >> row.node & 1 == 0
        np.testing.assert_allclose(row.flow, max(0, after - before), atol=BITS)
