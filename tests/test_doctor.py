"""``jaxflow doctor``: what it says of a sound machine and of broken ones, and that it never breaks itself."""

import io
import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import hostile
import pytest

from jaxflow import cli
from jaxflow.running import devices, doctor
from jaxflow.running.doctor import Line

ROOT = Path(__file__).parents[1]
LOOKED_AFTER = {"browser", "cuda12", "cuda13", "dev", "docs", "test"}  # of developers, or seen by the devices there are


@pytest.fixture
def machine(monkeypatch):
    """What JAX would find, without asking it; a test may change it."""
    answer = dict(hostile.MACHINE)
    monkeypatch.setattr(doctor, "asked", lambda: answer)
    return answer


@pytest.fixture
def python(monkeypatch, tmp_path):
    """A program in the place of Python."""

    def replaced(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return replaced


def lines_of(part, **options):
    """The lines of a part of the report by name."""
    return {line.name: line for line in doctor.examined(**options)[part]}


def test_a_sound_machine_with_nowhere_to_keep_things(tmp_path):
    """The command as it is: data and caches are missed, and a run is possible all the same."""
    environment = os.environ | {"XDG_CACHE_HOME": "/dev/null/cache", "JAXFLOW_DATA": "/nowhere"}
    process = subprocess.run(
        [sys.executable, "-m", "jaxflow", "doctor"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert (process.returncode, process.stderr) == (0, "")
    said = process.stdout
    for part in (
        *("Python", "jaxlib", "1 × cpu", "GB of this machine", "cannot be written to (Not a directory)"),
        *("/nowhere, from JAXFLOW_DATA, is no folder", "not found in /nowhere", "A run is possible"),
    ):
        assert part in said, part
    assert "\x1b" not in said
    assert not list(tmp_path.iterdir())


class Shut(io.StringIO):
    """Standard output that cannot be written to."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, _text):
        raise self.error


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("error", "code", "says"),
    [(BrokenPipeError(), 0, ""), (OSError(28, "No space left on device"), 2, "No space left on device")],
    ids=["jaxflow doctor | head -1", "a full disk"],
)
def test_output_that_cannot_be_written_is_at_most_a_line(error, code, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Shut(error))
    assert cli.main(["doctor"]) == code
    line = capsys.readouterr().err
    assert says in line
    assert line.count("\n") == bool(says)


def test_a_platform_that_jax_does_not_have(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "nonsense")
    report = {"Machine": doctor._machine(devices.asked())}
    assert "RuntimeError: Unable to initialize backend 'nonsense'" in doctor.obstacle(report)
    assert "JAX_PLATFORMS is nonsense: unset it, or set it to cpu" in doctor.obstacle(report)


@pytest.mark.parametrize(
    ("script", "says", "advice"),
    [
        ("kill -ILL $$", "Python ended by SIGILL", "instructions that this processor lacks"),
        ("echo first >&2; echo 'no driver' >&2; exit 3", "Python ended by exit code 3: no driver", "JAX_PLATFORMS=cpu"),
        ("exec sleep 60", "JAX did not answer within 0.2 seconds", "JAX_PLATFORMS=cpu"),
        (f'echo \'{devices.MARK}{{"error": "ImportError: x"}}\'', "ImportError: x", "--force-reinstall"),
    ],
)
def test_a_process_that_ends_or_hangs_is_a_line(script, says, advice, python, monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    python(script)
    answer = devices.asked(patience=0.2 if "sleep" in script else 30)
    assert answer["error"] == says
    assert advice in doctor._remedy(answer["error"])


def test_a_python_that_cannot_be_started_is_a_line(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert devices.asked() == {"error": "Python cannot be started (No such file or directory)"}


def test_no_run_is_possible_is_exit_code_1_and_one_line(machine, capsys):
    machine |= {"error": "RuntimeError: no device"}
    assert cli.main(["doctor"]) == 1
    output = capsys.readouterr()
    assert "RuntimeError: no device" in output.out
    assert "A run is possible" not in output.out
    assert (
        output.err
        == "jaxflow: no run is possible: RuntimeError: no device (JAX_PLATFORMS=cpu leaves accelerators out)\n"
    )


def test_a_gpu_that_jax_cannot_use_is_noted(machine, monkeypatch, tmp_path):
    assert lines_of("Machine")["Devices"].state == "good"
    monkeypatch.setattr(doctor, "NVIDIA", tmp_path)
    assert "jaxflow[cuda12]" in lines_of("Machine")["Devices"].advice
    machine |= {"backend": "gpu", "devices": {"NVIDIA H100": 2}}
    assert lines_of("Machine")["Devices"] == Line("Devices", "2 × NVIDIA H100")
    assert lines_of("Machine")["Free memory"].value == "8.0 GB of the first device"


@pytest.mark.usefixtures("machine")
def test_what_is_missing_says_how_to_get_it(monkeypatch):
    installed = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: None if name in ("optax", "h5py") else installed(name))
    assert lines_of("Extras")["recordings"].advice.endswith("pip install 'jaxflow[recordings]'")
    monkeypatch.setattr(doctor, "_installed", lambda name: "0.1" if name == "jax" else installed(name))
    jax = lines_of("Versions")["jax"]
    assert jax.state == "note"
    assert jax.value.startswith("0.1, but jaxflow needs jax")
    assert jax.advice.startswith("pip install 'jax")


@pytest.mark.usefixtures("machine")
def test_an_installation_without_metadata_is_no_obstacle(monkeypatch):
    def missing(_name):
        raise PackageNotFoundError

    monkeypatch.setattr(doctor.importlib.metadata, "requires", missing)
    assert lines_of("Versions")["jaxflow"].state == "good"


@pytest.mark.usefixtures("machine")
def test_a_part_that_raises_is_a_line_and_the_others_are_there(monkeypatch):
    def broken():
        raise ValueError("first\nsecond")

    monkeypatch.setattr(doctor, "_extras", broken)
    report = doctor.examined()
    assert report["Extras"] == [Line("not known", "ValueError: first", "note")]
    assert not doctor.obstacle(report)


@pytest.mark.usefixtures("machine")
def test_data_are_found_whole_or_said_to_be_damaged(tmp_path):
    (tmp_path / "adult").mkdir()
    (tmp_path / "adult/adult.data").write_text("altered")
    (tmp_path / "adult/adult.test").write_text("altered")
    lines = lines_of("Data", data_dir=tmp_path)
    assert "adult.data is truncated or altered" in lines["adult"].value
    assert lines["mnist"].value == f"not found in {tmp_path}"
    assert lines["mnist"].advice.endswith("put its 4 original files into DIR/mnist and give --data-dir DIR")
    assert lines["Folder"] == Line("Folder", f"{tmp_path}, from --data-dir")


@pytest.mark.usefixtures("machine")
def test_the_original_files_are_found(data_dir):
    lines = lines_of("Data", data_dir=data_dir)
    assert {lines[name].value for name in ("adult", "mnist")} == {f"found in {data_dir}, whole"}


@pytest.mark.usefixtures("machine")
def test_a_terminal_without_the_signs_gets_letters(monkeypatch):
    monkeypatch.setattr(doctor, "_can_encode", lambda _: False)
    lines = [Line("name", "value"), Line("other", "a\nb", "note", "do")]
    assert doctor.text({"Part": lines}).splitlines()[:4] == [
        "Part", "  + name   value", "  ! other  a\\nb", "           -> do",
    ]  # fmt: skip


def test_the_extras_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra: {name.split(">")[0] for name in needs} for extra, needs in extras.items()}
    assert {extra: set(packages) for extra, packages in doctor.EXTRAS.items()} == {
        extra: packages for extra, packages in named.items() if extra not in LOOKED_AFTER
    }
    assert set(doctor.PURPOSES) == set(doctor.EXTRAS)
