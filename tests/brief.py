"""XLA's flags of the tests, which compile a program in a third of the time. Imported before JAX is."""

from importlib.metadata import version

# A flag that XLA does not know is a fatal error, and the second is of jaxlib 0.10: without it, MLIR takes more than
# half of the time.
MLIR = ("--xla_cpu_use_fusion_emitters=false",) if version("jaxlib").startswith("0.10.") else ()
FLAGS = " ".join(("--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1", *MLIR))
