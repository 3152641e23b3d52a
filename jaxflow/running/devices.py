"""What JAX finds on this machine, by a program of its own: a broken installation may end its process, or never answer.

``python -m jaxflow.running.devices`` prints one JSON object; ``asked`` runs it and reads what it says.
"""

import json
import os
import signal
import subprocess
import sys
from typing import Any

from jaxflow.errors import cause, printable

PATIENCE = 120  # seconds; a driver that does not answer keeps JAX waiting without end
MARK = "jaxflow devices: "  # before the answer: libraries may print lines of their own


def seen() -> dict[str, Any]:
    """Devices, after a computation on each, with free memory, cores and the folder of compiled programs.

    Everything that a run imports is imported, so that what is broken shows here.
    """
    import jax

    from jaxflow import pipeline
    from jaxflow.batching import cores, free_bytes
    from jaxflow.running.compilation import DIRECTORY, programs_folder

    del pipeline
    devices = jax.local_devices()
    for device in devices:
        (jax.device_put(1.0, device) + 1).block_until_ready()
    kinds = [device.device_kind for device in devices]
    return {
        "backend": jax.default_backend(),
        "devices": {kind: kinds.count(kind) for kind in kinds},
        "free": free_bytes(),
        "cores": cores(),
        "programs": str(getattr(jax.config, DIRECTORY) or programs_folder()),
    }


def asked(patience: float = PATIENCE) -> dict[str, Any]:
    """What ``seen`` returns in a process of its own, or ``{"error": why it returned nothing}``."""
    # Its imports are those of this process, and a graphics card's memory is not taken from those who compute on it.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    command = [sys.executable, "-P", "-m", "jaxflow.running.devices"]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return {"error": f"JAX did not answer within {patience:g} seconds"}
    except OSError as error:
        return {"error": f"Python cannot be started ({cause(error)})"}
    for line in process.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    said = [line for line in process.stderr.splitlines() if line.strip()]
    how = f"exit code {process.returncode}" if process.returncode >= 0 else _signal_name(-process.returncode)
    return {"error": printable(f"Python ended by {how}" + (f": {said[-1].strip()}" if said else ""))}


def _signal_name(number: int) -> str:
    """Such as ``SIGILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def main() -> int:
    """Print what is seen, or the error in one line."""
    try:
        answer = seen()
    except Exception as error:  # an import or a driver may raise anything
        kind, said = type(error).__name__, cause(error)
        answer = {"error": printable(f"{kind}: {said}" if said != kind else f"{kind} without a word")}
    print(f"{MARK}{json.dumps(answer)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
