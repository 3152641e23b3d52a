"""What makes the tests brief: XLA's flags, which compile a program in a third of the time, and shorter programs.

Imported before JAX is.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

# A flag that XLA does not know is a fatal error, and the second is of jaxlib 0.10: without it, MLIR takes more than
# half of the time.
MLIR = ("--xla_cpu_use_fusion_emitters=false",) if version("jaxlib").startswith("0.10.") else ()
FLAGS = " ".join(("--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1", *MLIR))


@contextmanager
def no_honest_flows() -> Iterator[None]:
    """Gaussian runs leave the columns of the honest flows empty, whose regressions are two fifths of their program.

    The estimator is another one to ``jit``, so that no program of these runs is taken for one of the others.
    """
    from jaxflow.information import ESTIMATORS

    gaussian = ESTIMATORS["gaussian"]
    ESTIMATORS["gaussian"] = dataclasses.replace(gaussian, regressed=None)
    try:
        yield
    finally:
        ESTIMATORS["gaussian"] = gaussian
