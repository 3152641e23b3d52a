"""Information does not depend on the processor: with and without fused multiply-add, by vectors of any width.

Run as a command, this file computes the cases and saves them, under whatever instruction set XLA_FLAGS allow.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

N, NODES = 1500, 12


def layers() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A message and layers that rounding could spoil, as float32."""
    rng = np.random.default_rng(0)
    message = rng.integers(0, 2, N)
    free = rng.normal(size=(N, NODES)) + 0.3 * message[:, None]
    mixed = free @ (np.eye(NODES) + 0.3 * rng.normal(size=(NODES, NODES)))
    copies = np.column_stack([mixed[:, :6], 5 - 2 * mixed[:, :3], mixed[:, :3] @ [0.3, -2, 1], np.full((N, 2), 0.1)])
    outlier = mixed.copy()
    outlier[0] = 1e4
    cases = {
        "mixed": mixed,
        "scales": (mixed + 1e5) * np.logspace(-30, 30, NODES),
        "nearly collinear": np.column_stack([free[:, 0], free[:, :-1] + 0.01 * free[:, 1:]]),
        "copies": copies,
        "outlier": outlier,
        "sparse": np.where(rng.random((N, NODES)) < 0.01, mixed + 3, 0),
        **{f"{offset:g} off": mixed + offset for offset in (1e3, 1e5, 1e6, -4e6)},
    }
    return message, {name: layer.astype(np.float32) for name, layer in cases.items()}


def measured() -> np.ndarray:
    """Bits of all subsets of every case."""
    from jaxflow.information import gaussian

    message, cases = layers()
    return np.asarray(gaussian(message, np.stack(list(cases.values()))))


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"),
    reason="needs an x86 processor, whose instruction sets alone XLA limits",
)
def test_information_is_the_same_on_all_processors(tmp_path):
    """To 1e-6 bit; before the columns were scaled by powers of two, a mean of 4e6 cost 5e-3."""
    runs = {}
    for name in ("AVX2", "SSE4_2"):
        environment = os.environ | {"XLA_FLAGS": f"--xla_cpu_max_isa={name}", "JAX_PLATFORMS": "cpu"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        command = [sys.executable, __file__, str(tmp_path / name)]
        runs[name] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    ours = dict(zip(layers()[1], measured(), strict=True))
    for name, run in runs.items():
        errors = run.communicate()[1]
        assert run.returncode == 0, errors
        theirs = np.load(tmp_path / f"{name}.npy")
        for (case, bits), other in zip(ours.items(), theirs, strict=True):
            np.testing.assert_allclose(other, bits, atol=1e-6, err_msg=f"{case} with {name}")


def test_it_is_that_of_double_precision():
    from oracles import gaussian_bits

    message, cases = layers()
    masks = [2**NODES - 1, *np.random.default_rng(1).integers(0, 2**NODES, 12)]
    for (case, layer), bits in zip(cases.items(), measured(), strict=True):
        np.testing.assert_allclose(bits[masks], gaussian_bits(message, layer, masks), atol=1e-6, err_msg=case)


if __name__ == "__main__":
    np.save(Path(sys.argv[1]), measured())
