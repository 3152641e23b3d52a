"""Asks the peers of ``truth.py`` by another Python, with arrays exchanged by files."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SCRIPT = Path(__file__).with_name("truth_peers.py")


def available_outside(python: str) -> list[str]:
    """The peers that another Python has."""
    done = subprocess.run([python, str(SCRIPT)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def asked_outside(python: str, name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, float]]:
    """What a peer says of pairs of message and columns, and its seconds; see ``truth_peers.asked``."""
    with tempfile.TemporaryDirectory() as folder:
        given, answers = Path(folder, "given.npz"), Path(folder, "answers.json")
        arrays: dict[str, Any] = {f"message {i}": message for i, (message, _) in enumerate(pairs)}
        arrays |= {f"x {i}": x for i, (_, x) in enumerate(pairs)}
        np.savez(given, name=np.array(name), count=np.array(len(pairs)), **arrays)
        subprocess.run([python, str(SCRIPT), str(given), str(answers)], check=True, capture_output=True)
        return [tuple(own) for own in json.loads(answers.read_text(encoding="utf-8"))]
