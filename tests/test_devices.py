"""Many devices and many processes: the same tables as one of each; the loss of a process is one line and made good."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from brief import no_honest_flows

from jaxflow import InputError, figures, pipeline
from jaxflow.batching import batched_map, local_mesh
from jaxflow.running.hosts import Hosts, parse_hosts
from jaxflow.running.results import Results
from jaxflow.training import Training

TABLES = (
    *("networks", "training", "information", "node_flows", "edge_flows", "tradeoff", "dependence"),
    *("correlations", "predictors"),
)
DEVICES = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count="
SMALL = pipeline.Config(
    "synthetic", training=Training(learning_rate=0.03, epochs=2), first_layer=1, chunk=2, factors=(1.0, 0.5, 0.0),
    strategies=pipeline.strategy_grid(nodes=(1,)), estimator="gaussian", seeds=8,
)  # fmt: skip
COMMAND = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from brief import no_honest_flows
from jaxflow import cli
cli._explain_loss()  # as the command does, before JAX is loaded
from jaxflow import pipeline
from jaxflow.running import experiment, hosts
from jaxflow.running.config import Config
from jaxflow.interventions import Strategy
from jaxflow.training import Training
hosts.HEARTBEAT = 5
experiment.figures.draw_all = lambda *_: ()
pipeline.PRESETS["synthetic"] = {SMALL!r}
with no_honest_flows():
    sys.exit(cli.main(["run", "synthetic", "--estimator", "gaussian", "--seeds", "8", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module", autouse=True)
def jax_speaks():
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)  # which JAX has set in this process
        yield


def start(*options, devices=1, environment=os.environ):
    """The command on small networks without figures, in a process of its own."""
    environment = {**environment, "XLA_FLAGS": f"{DEVICES}{devices}"}
    command = [sys.executable, "-c", COMMAND, "--quiet", *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run_alone(code, devices):
    """Python with this folder's modules, in a process with so many devices."""
    environment = {**os.environ, "XLA_FLAGS": f"{DEVICES}{devices}", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr


def finish(process):
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def tables(folder):
    return {name: (folder / f"{name}.csv").read_bytes() for name in TABLES}


def run_here(folder):
    """The same run in this process, on one device."""
    with no_honest_flows(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "draw_all", lambda *_: ())
        pipeline.run(SMALL, out=folder)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process computes on one device."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    run_here(folder)
    return folder


@pytest.mark.slow
def test_eight_devices_give_the_tables_of_one(alone, tmp_path):
    """A chunk of two networks is filled up to one for each device. Only float32 rounding differs."""
    code, _, err = finish(start("--out", tmp_path / "out", devices=8))
    assert (code, err) == (0, "")
    for name in TABLES:
        ours, theirs = Results(tmp_path / "out").table(name), Results(alone).table(name)
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-6, atol=2e-5)


def test_a_map_is_shared_out_among_all_devices():
    """Every device holds its part of the result, of a count that does not divide, and nested maps stay its own."""
    code = """
import jax, jax.numpy as jnp, numpy as np
from jaxflow.batching import batched_map, local_mesh, spread_over

@jax.jit
def squares(x, shift):
    inner = lambda row, shift: batched_map(lambda value: (value + shift[0]) ** 2, row, 4)
    return batched_map(inner, x, 4, shift)

x = jnp.arange(30.0).reshape(10, 3)
shift = jnp.ones(2)
for devices in (1, 3, 8):
    with spread_over(local_mesh(devices)):
        np.testing.assert_array_equal(squares(x, shift), (np.asarray(x) + 1) ** 2)
        even = squares(x[:devices], shift)
        assert len(even.sharding.device_set) == devices, even.sharding
        assert {shard.data.shape for shard in even.addressable_shards} == {(1, 3)}
"""
    run_alone(code, devices=8)


def test_more_devices_than_there_are_are_refused_before_anything_is_written(tmp_path):
    for devices in (0, -1, len(jax.local_devices()) + 1):
        with pytest.raises(InputError, match="devices must be between 1 and"):
            pipeline.run(pipeline.preset("synthetic"), out=tmp_path / "out", devices=devices)
    assert not (tmp_path / "out").exists()


def test_without_a_mesh_a_map_is_a_map():
    x = jnp.arange(7.0)
    np.testing.assert_array_equal(batched_map(lambda a, b: a * b[1], x, 2**14, jnp.array([0.0, 3.0])), 3 * x)
    assert local_mesh().size == len(jax.local_devices())


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def pair(address, folder, **how):
    return [start("--hosts", f"{i}/2@{address}", "--out", folder, **how) for i in (0, 1)]


@pytest.mark.slow
def test_two_processes_fill_one_folder(alone, tmp_path, address):
    """The bytes of one process; only process 0 prints."""
    first, second = (finish(process) for process in pair(address, tmp_path / "out"))
    assert (first[0], first[2]) == (0, "")
    assert second == (0, "", "")
    assert first[1].splitlines()[0].startswith("synthetic: 8 networks")
    assert tables(tmp_path / "out") == tables(alone)
    assert Results(tmp_path / "out").manifest["finished"]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_the_loss_of_a_process_is_one_line_and_made_good(alone, tmp_path, address, lost, reads_only):
    """Killed after its first chunk; then one process alone goes on and keeps the chunks that were finished."""
    folder = tmp_path / "out"
    processes = pair(address, folder, environment=reads_only)
    own = folder / "chunks" / f"{2 * lost:06d}-{2 * lost + 1:06d}"
    while not own.exists():
        assert processes[lost].poll() is None
        time.sleep(0.01)
    processes[lost].kill()
    code, out, err = finish(processes[1 - lost])
    assert finish(processes[lost])[0] == -signal.SIGKILL
    assert (code, out) == (1, "")
    assert (
        err == "jaxflow: another process did not come, or was lost; the same commands go on from the finished chunks\n"
    )
    assert not (folder / "tradeoff.csv").exists()
    before = own.stat().st_mtime_ns
    run_here(folder)
    assert own.stat().st_mtime_ns == before
    assert tables(folder) == tables(alone)


@pytest.mark.slow
def test_processes_with_another_command_are_refused(tmp_path, address):
    """Process 1 asks for other networks than process 0: it says so, and process 0 ends as well."""
    first = start("--hosts", f"0/2@{address}", "--out", tmp_path / "out")
    second = start("--hosts", f"1/2@{address}", "--out", tmp_path / "out", "--seed", 1)
    code, _, err = finish(second)
    assert code == 2
    assert err.startswith("jaxflow: ")
    assert "differs in seed" in err
    code, _, err = finish(first)
    assert code == 1
    assert err.startswith("jaxflow: another process")


@pytest.mark.parametrize("text", ["0/2", "2/2@host:1", "a/b@host:1", "0/2@host", "0/2@:1", "-1/2@host:1", "0/0@host:1"])
def test_hosts_that_cannot_be(text):
    with pytest.raises(
        InputError, match=r"hosts are given as I/P@HOST:PORT|numbered from 0|number of processes must be"
    ):
        parse_hosts(text)


def test_hosts_are_read():
    assert parse_hosts("1/4@node7.cluster:4321") == Hosts(1, 4, "node7.cluster:4321")
    assert parse_hosts("0/2@[::1]:4321").address == "[::1]:4321"


@pytest.mark.slow
def test_estimators_that_choose_folds_and_honest_flows_are_shared_out_too():
    """Four layers on three devices: the bits of one device."""
    code = """
import jax
import numpy as np
from searches import three_draws
from jaxflow import honest_flows
from jaxflow.batching import local_mesh, spread_over
from jaxflow.information import ESTIMATORS
from jaxflow.messages import as_message, unpermuted
rng = np.random.default_rng(0)
messages = unpermuted({name: as_message(rng.integers(0, 2, 60)) for name in "yz"})
layers = (rng.normal(size=(4, 60, 2)) + messages["y"].values[0][None, :, None]).astype(np.float32)
for estimator in ("quadratic", "linear-svm"):
    found = []
    for devices in (1, 3):
        with spread_over(local_mesh(devices)), three_draws():
            found.append(ESTIMATORS[estimator].estimate(layers, messages, np.ones((1, 2), bool))["y"].bits)
    np.testing.assert_allclose(*found, atol=1e-6, err_msg=estimator)
    assert found[0].max() > 0.1
found = []
for devices in (1, 3):
    with spread_over(local_mesh(devices)):
        found.append(np.stack(honest_flows(jax.random.key(0), messages["y"].values[0], layers)))
np.testing.assert_allclose(*found, atol=1e-6)
assert found[0][0].max() > 0.1
"""
    run_alone(code, devices=3)
