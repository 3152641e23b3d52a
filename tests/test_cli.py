"""The command, through real processes."""

import hashlib
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import openml_cache
import pandas as pd
import pytest

from jaxflow import InputError, __version__, read_table
from jaxflow import pipeline as jaxflow_pipeline
from jaxflow.cli import main
from jaxflow.datasets import sources
from jaxflow.running.parsing import widths

RUN = (sys.executable, "-m", "jaxflow.cli", "run")
TINY = ("synthetic", "--seeds", "3", "--chunk", "1", "--estimator", "gaussian")  # compiles fastest
SHORT = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from brief import no_honest_flows
from jaxflow import cli, figures
figures.draw_all = lambda *_: ()
with no_honest_flows():
    sys.exit(cli.main(["run", *sys.argv[1:]]))
"""
BRIEF = (sys.executable, "-c", SHORT)  # the command with a shorter program, and without figures


def jaxflow(*arguments):
    return subprocess.run([*BRIEF, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def tables(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run with its report, its folder and what it printed."""
    folder = tmp_path_factory.mktemp("cli") / "out"
    return folder, jaxflow(*TINY, "--report", "--out", folder)


def test_a_run_prints_its_summary_and_nothing_else(finished):
    folder, process = finished
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[0] == "synthetic: 3 networks, means at the output (%)"
    assert lines[-2:] == [f"Results: {folder}", f"Report: {folder / 'report.html'}"]
    assert "jaxflow run synthetic --estimator gaussian --seeds 3" in (folder / "report.html").read_text()
    assert any(line.startswith("unpruned") for line in lines)
    assert any(line.startswith("accuracy") for line in lines)
    assert len(tables(folder)) == 9


def test_progress_is_plain_lines_on_stderr(finished):
    """How many networks and which seed, every stage once, and at the end that the figures take a few seconds."""
    lines = finished[1].stderr.splitlines()
    assert "synthetic: starting, 3 networks, seed 0" in lines
    assert sum(line.startswith("synthetic: training") for line in lines) == 1
    assert re.fullmatch(r"synthetic: tables and figures, [0-9]+ %, about 0:[0-9]+ left", lines[-1])
    assert "\x1b" not in finished[1].stderr


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_bytes(finished, tmp_path, reads_only):
    folder = tmp_path / "out"
    command = [*BRIEF, *TINY, "--quiet", "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=reads_only) as process:
        while not (folder / "chunks/000000-000000").exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "tradeoff.csv").exists()
    again = jaxflow(*TINY, "--quiet", "--out", folder)
    assert again.returncode == 0
    assert again.stderr == ""
    assert tables(folder) == tables(finished[0])


@pytest.mark.parametrize("delay", [0.8, 3.0, pytest.param(None, marks=pytest.mark.slow)])
def test_interrupted_is_130_and_says_how_to_go_on(tmp_path, delay, reads_only):
    """While modules are imported; while XLA compiles, for which no cache is at hand; (None) after the first chunk."""
    folder, command = tmp_path / "out", [*(RUN if delay else BRIEF), *TINY, "--out", str(tmp_path / "out")]
    environment = reads_only | ({"JAX_COMPILATION_CACHE_DIR": ""} if delay else {})
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        time.sleep(delay or 0)
        while delay is None and not (folder / "chunks/000000-000000").exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "jaxflow: interrupted; the same command goes on from the last finished chunk"
    assert "Traceback" not in errors


def test_a_summary_that_cannot_be_written_is_one_line(finished):
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [*BRIEF, *TINY, "--quiet", "--out", str(finished[0])], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert process.returncode == 2
    assert process.stderr == "jaxflow: cannot print the summary (No space left on device); the results are complete\n"


@pytest.mark.slow
def test_a_full_disk_is_one_line(tmp_path, reads_only):
    """A limit on the size of files stands in for a full disk: the first table beyond it cannot be written.

    ``test_kills`` has disks that fail at any operation.
    """
    command = shlex.join([*BRIEF, *TINY, "--quiet", "--out", str(tmp_path / "out")])
    limited = f"ulimit -f 40; exec {command}"  # blocks of 512 bytes
    process = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, env=reads_only)
    assert process.returncode == 2
    assert process.stderr.startswith("jaxflow: cannot write to")
    assert process.stderr.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.csv"))


BAD = {
    (
        "run",
        "adult",
    ): "unknown experiment 'adult'; did you mean 'adult-small' or 'adult-large'? choose from synthetic, adult-small",
    ("run", "people.csv"): "a table of yours needs --label COLUMN",
    ("run", "people.csv", "--label", "hired"): "a table of yours needs --attribute COLUMN",
    (
        "run",
        "people.csv",
        "--label",
        "hired",
        "--attribute",
        "sex",
    ): "the table people.csv cannot be read (No such file",
    ("run", "synthetic", "--label", "y"): "--label is for a table of yours; synthetic has its own",
    ("run", "synthetic", "--keep-attributes"): "--keep-attributes is for a table of yours",
    ("run", "synthetic", "--learning-rate", "0"): "--learning-rate is for a table of yours",
    ("run", "synthetic", "--notion", "fairness"): "--notion: unknown value 'fairness'; choose from parity, odds",
    ("run", "synthetic", "--estimator", "magic"): "--estimator: unknown value 'magic'; choose from gaussian",
    ("run", "synthetic", "--seeds", "0"): "run: --seeds must be between 1 and 1000000, not 0",
    ("run", "synthetic", "--seeds", "-5"): "between 1 and 1000000, not -5",
    ("run", "synthetic", "--seeds", "many"): "a whole number, not 'many'",
    ("run", "synthetic", "--chunk", "0"): "chunk",
    ("run", "synthetic", "--seed", "-1"): "run: --seed must be between 0 and",
    ("run", "synthetic", "--hidden", "3by3"): "'3by3' are no widths; write 16,8 or 32x20",
    ("run", "synthetic", "--hidden", "0x3"): "1 to 100000 nodes",
    ("run", "synthetic", "--colour", "red"): "unrecognized arguments: --colour red",
    ("run",): "required: EXPERIMENT",
    ("reproduce", "--only", "fig99"): "--only: unknown value 'fig99'; did you mean 'fig9'? choose from fig2",
    ("measure", "cells.npz"): "required: --message",
    ("measure", "cells.npz", "--message", "s"): "the recording cells.npz cannot be read (No such file or directory)",
    (
        "measure",
        "cells.npz",
        "--message",
        "s",
        "--estimator",
        "knn",
    ): "--estimator: unknown value 'knn'; choose from gaussian",
    (
        "measure",
        "cells.npz",
        "--message",
        "s",
        "--permutations",
        "0",
    ): "measure: --permutations must be between 1 and 1000000",
    ("fly",): "unknown command 'fly'; choose from run, measure",
    ("rn", "synthetic"): "unknown command 'rn'; did you mean 'run'?",
    ("run", "synthetic", "--estimator", "gausian"): "did you mean 'gaussian'?",
    ("run", "synthetic", "--metric", "removl"): "--metric: unknown value 'removl'; did you mean 'removal'?",
    ("run", "synthetic", "--seedss", "5"): "unrecognized arguments: --seedss 5 (did you mean '--seeds'?)",
    ("edit", "nowhere", "--at-most", "101"): "edit: --at-most must be a finite number between 0 and 100, not 101",
    ("edit", "nowhere", "--at-most", "5"): "nowhere is no results folder",
    ("report", "nowhere"): "nowhere is no results folder",
    ("run", "synthetic", "--seeds", "1", "--out", "/proc/jaxflow"): "cannot write to /proc/jaxflow",
    ("run", "synthetic", "--seeds", "1", "--out", "/dev/null"): "cannot write to /dev/null",
    ("run", "adult-small", "--data-dir", "/nowhere"): "not found in /nowhere",
    ("run", "adult-small", "--data-dir", "~nosuchuser/data"): "a user who does not exist",
    ("run", "adult-small", "--data-dir", "x" * 300): "cannot be read",
}


@pytest.mark.parametrize(
    ("text", "expected"), [("3", (3,)), ("16,8", (16, 8)), ("32x20", (32,) * 20), ("4, 3x2", (4, 3, 3))]
)
def test_widths_are_counted_or_listed(text, expected):
    assert widths(text) == expected


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_input_is_one_line_and_exit_code_2(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXFLOW_DATA", raising=False)
    for name, value in (("https_proxy", "http://127.0.0.1:1"), ("HOME", tmp_path), ("XDG_CACHE_HOME", tmp_path)):
        monkeypatch.setenv(name, str(value))
    try:
        code = main([*arguments, *(["--quiet"] if len(arguments) > 2 else [])])
    except SystemExit as end:
        code = end.code
    printed, errors = capfd.readouterr()
    assert (code, printed) == (2, "")
    assert errors.count("\n") == 1
    assert BAD[arguments] in errors
    assert not (tmp_path / "results").exists()


def refused(*arguments):
    """What the command says in one line; nothing is loaded, since a refusal must not wait for JAX."""
    command = f"import sys; from jaxflow.cli import main; main({[*map(str, arguments)]}); print('jax' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=60)
    assert process.stdout == "False\n"
    assert process.stderr.count("\n") == 1
    return process.stderr.removeprefix("jaxflow: ")


def test_what_cannot_be_done_with_a_folder_is_said_before_anything_is_loaded(finished, tmp_path):
    folder = finished[0]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter").touch()
    edit = ("edit", folder, "--at-most", "5")
    assert refused(*edit, "--out", "/proc/x").startswith("cannot write to /proc/x (")
    assert refused(*edit, "--out", tmp_path / "mine").endswith("is not empty and holds no edit; choose another --out\n")
    assert refused(*edit, "--attribute", "sex") == "there is no attribute 'sex'; choose from z\n"
    assert "is the folder of a run, not a recording; jaxflow report" in refused("measure", folder, "--message", "s")
    assert refused("run", "synthetic", "--out", "/proc/x").startswith("cannot write to /proc/x (")
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_another_seed_has_a_folder_of_its_own(tmp_path, monkeypatch):
    """Of the three commands, whose default folders no seed but 0 shares."""
    from jaxflow.running.places import default_folder, edit_folder

    assert default_folder("synthetic", "quadratic", 0) == Path("results/synthetic-quadratic")
    assert default_folder("synthetic", "quadratic", 5) == Path("results/synthetic-quadratic-seed5")
    assert [edit_folder(Path("results/a"), seed).name for seed in (0, 5)] == ["a-edit", "a-edit-seed5"]
    monkeypatch.chdir(tmp_path)
    assert edit_folder(Path("."), 0) == tmp_path.parent / f"{tmp_path.name}-edit"


def test_chance_and_gaps_that_rise_are_told(finished):
    """The row of chance holds what the manifest says; of gaps the one that has surely risen is named."""
    from jaxflow.running.summary import _risen

    folder, process = finished
    chance = json.loads((folder / "manifest.json").read_text())["chance"]
    row = next(line for line in process.stdout.splitlines() if line.startswith("chance: nothing is told"))
    assert row.split()[-3:] == [f"{chance[name]:.1f}" for name in ("accuracy", "bias", "argmax_accuracy")]
    rows = [("bias", 60, 55, -5, -6, -4), ("parity_gap", 2.7, 4.4, 1.7, 0.8, 2.6), ("odds_gap", 5, 6, 1, -1, 3)]
    changes = pd.DataFrame(rows, columns=["measure", "before", "after", "change", "low", "high"])
    warning = "Warning: the edits raise the parity gap by 1.7 points (2.7 to 4.4 %); --measure parity_gap lowers"
    assert _risen(changes, ["bias"]) == ["", f"{warning} that instead"]
    assert _risen(changes, ["bias", "parity_gap"]) == []


def write_people(path):
    """A table of 300 rows with a label, two attributes, and a product of them worth asking for."""
    rng = np.random.default_rng(0)
    sex, race, hired = rng.choice(["f", "m"], 300), rng.choice(["a", "b", "c"], 300), rng.integers(0, 2, 300)
    frame = pd.DataFrame({"age": rng.normal(40, 9, 300) + 9 * hired, "hours": rng.normal(size=300) + (sex == "f")})
    frame.assign(sex=sex, race=race, hired=np.where(hired, "yes", "no")).to_csv(path, index=False)


@pytest.mark.usefixtures("plain_figures", "no_honest_flows")
def test_a_table_of_the_users_is_described_and_run(tmp_path, capfd):
    """The description goes to stderr, the summary names both attributes, and the same command goes on."""
    write_people(tmp_path / "people.csv")
    options = ("--label", "hired", "--attribute", "sex", "--attribute", "race", "--seeds", "2", "--epochs", "2")
    command = ["run", str(tmp_path / "people.csv"), *options, "--out", str(tmp_path / "out"), "--no-cache"]
    assert main(command) == 0
    printed, errors = capfd.readouterr()
    assert "hired" in errors
    assert printed.startswith("people: 2 networks")
    assert printed.index("bias sex") < printed.index("bias race")
    text = (tmp_path / "out/manifest.json").read_text()
    assert str(tmp_path) not in text
    about = json.loads(text)["dataset"]
    sha256 = hashlib.sha256((tmp_path / "people.csv").read_bytes()).hexdigest()
    assert about["source"].items() >= {"table": "people.csv", "sha256": sha256, "attributes": ["sex", "race"]}.items()
    assert about["values"] == {"hired": ["no", "yes"], "sex": ["f", "m"], "race": ["a", "b", "c"]}
    assert about["notes"][-1] == "halves are drawn with seed 0"
    assert about["features"] == ["age", "hours"]
    assert about["rows"] == {"train": 150, "test": 150}
    before = tables(tmp_path / "out")
    again = [*command, "--quiet"]
    assert main(again) == 0
    assert capfd.readouterr() == (printed, "")
    assert tables(tmp_path / "out") == before
    assert main([*again, "--notion", "odds"]) == 2
    assert "differs in notion" in capfd.readouterr().err


def test_the_favourable_class_is_announced_and_many_classes_get_a_wider_layer(tmp_path, monkeypatch, capsys):
    """Nothing is computed: the config that would be run."""
    write_people(tmp_path / "people.csv")
    begun = []

    def stop(config, *_, **__):
        begun.append(config)
        raise InputError("stop")

    monkeypatch.setattr(jaxflow_pipeline, "run", stop)
    command = ("run", str(tmp_path / "people.csv"), "--attribute", "sex", "--no-cache")
    for label, hidden in (("hired", (3,)), ("race", (6,))):
        for options in ((), ("--hidden", "5,4")):
            assert main([*command, "--quiet", "--label", label, *options]) == 2
            assert begun.pop().hidden == ((5, 4) if options else hidden)
    for options, told in (((), "hired = yes, its class 1"), (("--favourable", "no"), "hired = no, its class 0")):
        capsys.readouterr()
        assert main([*command, "--label", "hired", "--notion", "opportunity", *options]) == 2
        assert f"\nbias is measured in the rows of {told} (opportunity)\n" in capsys.readouterr().err
    assert main([*command, "--label", "hired", "--notion", "opportunity", "--favourable", "y", "--quiet"]) == 2
    assert "hired has no class 'y' that could be the favourable; choose from no, yes" in capsys.readouterr().err
    assert main([*command, "--label", "hired", "--favourable", "no", "--quiet"]) == 2
    assert "belongs to the notion 'opportunity'" in capsys.readouterr().err


OPENML = ("run", "openml:people@3", "--label", "hired", "--attribute", "sex", "--attribute", "race", "--seeds", "2",
          "--epochs", "2", "--no-cache")  # fmt: skip


@pytest.mark.usefixtures("plain_figures", "no_honest_flows")
def test_a_table_of_openml_runs_as_the_file_does(tmp_path, monkeypatch, capsys):
    """From scikit-learn's cache, as a first fetch leaves it there."""
    write_people(tmp_path / "people.csv")
    frame = pd.read_csv(tmp_path / "people.csv")
    kinds = {"age": "NUMERIC", "hours": "NUMERIC", "sex": "{f,m}", "race": "{a,b,c}", "hired": "{no,yes}"}
    rows = frame[list(kinds)].to_csv(index=False, header=False).encode()
    openml_cache.prepare(tmp_path / "openml", "people", 3, list(kinds.items()), "hired", rows)
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path)
    assert main([*OPENML, "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert "note: version 3 of OpenML's table people" in output.err
    assert output.out.startswith("people: 2 networks")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["dataset"]["source"]["table"] == "openml:people@3"
    assert manifest["identity"]["data"] == read_table(frame, "hired", ["sex", "race"]).fingerprint()


@pytest.mark.parametrize("error", [URLError("[Errno -3] no such host"), HTTPError("x", 412, "Failed", None, None)])
def test_openml_without_a_network_is_one_line(tmp_path, monkeypatch, capsys, error):
    def offline(*_args, **_options):
        raise error

    monkeypatch.setattr(sources, "fetch_openml", offline)
    assert main([*OPENML, "--quiet", "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith("jaxflow: openml:people@3 was not fetched (")
    assert "check name and version on openml.org and the connection" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [("run", "adult"), ("run", "synthetic", "--seeds", "0")], ids=" ".join)
def test_a_process_ends_with_that_line_and_code(arguments, tmp_path):
    command = [sys.executable, "-m", "jaxflow.cli", *arguments]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.count("\n") == 1
    assert BAD[arguments] in process.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--help"], "run an experiment of the paper"), ([], "COMMAND"), (["--version"], f"jaxflow {__version__}\n"),
     (["run", "--help"], "--data-seed"), (["report", "--help"], "FILE.html"),
     (["doctor", "--help"], "--data-dir DIR")],
)  # fmt: skip
def test_help_and_version(arguments, says):
    process = subprocess.run([sys.executable, "-m", "jaxflow.cli", *arguments], capture_output=True, text=True)
    assert process.returncode == 0
    assert says in process.stdout


def test_choices_of_the_command_are_those_of_the_library():
    from jaxflow import ablations, arguments, outputs
    from jaxflow.datasets import DATASETS
    from jaxflow.information import ESTIMATORS
    from jaxflow.metrics import METRICS
    from jaxflow.reproduction.drawings import FIGURES
    from jaxflow.running.presets import PRESETS

    assert arguments.NOTIONS == outputs.NOTIONS
    assert arguments.ABLATIONS == ablations.ABLATIONS
    assert tuple(METRICS) == arguments.METRICS
    assert tuple(FIGURES) == arguments.FIGURES
    assert arguments.EXPERIMENTS == tuple(PRESETS) == tuple(DATASETS)
    assert tuple(ESTIMATORS) == arguments.ESTIMATORS
