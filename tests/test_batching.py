"""How many networks are held at once: what fits into memory, and on a CPU what can be saved within minutes."""

import jax
import pytest

from jaxflow import batching
from jaxflow.batching import CPU_TOGETHER, CPU_WORK, MOST_TOGETHER, cores, side_by_side

GIB = 2**30


@pytest.fixture
def eight_gib(monkeypatch):
    """A device with 8 GiB of free memory."""
    monkeypatch.setattr(batching, "free_bytes", lambda: 8 * GIB)


@pytest.fixture
def accelerator(monkeypatch):
    """Anything but a CPU."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.usefixtures("eight_gib", "accelerator")
def test_an_accelerator_gets_all_networks_that_a_quarter_of_its_memory_holds():
    assert side_by_side(GIB // 50, 10**9) == 8 * 50 // 4
    assert side_by_side(GIB // 50, 10**15) == 8 * 50 // 4  # however long they take
    assert side_by_side(1, 1) == MOST_TOGETHER


@pytest.mark.usefixtures("eight_gib")
def test_a_cpu_gets_a_hundred_or_a_minutes_work():
    assert side_by_side(2**20, 1) == CPU_TOGETHER
    assert side_by_side(2**20, CPU_WORK // 20) == 20
    assert side_by_side(GIB // 5, 1) == 8 * 5 // 4
    assert side_by_side(2**20, 10 * CPU_WORK) == cores()  # all of which then work


@pytest.mark.usefixtures("eight_gib", "accelerator")
def test_at_least_one_network_however_large():
    assert side_by_side(2**40, 10**15) == 1
