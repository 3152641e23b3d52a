"""``jaxflow edit``: a folder that holds what it says, or one line and nothing."""

import json
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from brief import no_honest_flows
from flax.traverse_util import unflatten_dict

import jaxflow as jf
from jaxflow import cli, figures, pipeline
from jaxflow.editing.preparing import rows_of_halves
from jaxflow.outputs import Roles
from jaxflow.pipeline import strategy_grid
from jaxflow.running import edits
from jaxflow.running.config import measured_messages
from jaxflow.running.rebuilt import remember_table

STRATEGIES = strategy_grid(nodes=(1, 2), edges=(3,), metrics=("bias/acc", "random"))
CONFIG = pipeline.Config(
    *("people", (3,)), training=jf.Training(0.03, epochs=2), strategies=STRATEGIES, factors=(1, 0.5, 0), seeds=3,
    permutations=0,
)  # fmt: skip


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on a table of two attributes, and the table."""
    folder, rng = tmp_path_factory.mktemp("edit"), np.random.default_rng(0)
    sex, region = rng.integers(0, 2, 600), rng.integers(0, 3, 600)
    hired = np.where(rng.random(600) < 0.4, sex, rng.integers(0, 2, 600))
    columns = {f"f{k}": rng.normal(size=600) + k * hired + (2 - k) * sex + 0.4 * region for k in range(3)}
    table = folder / "people.csv"
    pd.DataFrame({"hired": hired, "sex": sex, "region": region, **columns}).to_csv(table, index=False)
    data = jf.read_table(table, "hired", ["sex", "region"])
    with no_honest_flows(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "draw_all", lambda *_: ())
        pipeline.run(CONFIG, data, out=folder / "run")
    remember_table(folder / "run", str(table))
    return folder / "run", data


def edit(*arguments):
    return cli.main(["edit", *map(str, arguments), "--quiet", "--no-cache"])


AIM = ("--attribute", "sex", "--measure", "parity_gap")
ASKED = (*AIM, "--at-most", "30")


@pytest.fixture(scope="module")
def edited(run, tmp_path_factory):
    """An edit of the run, its folder and its table."""
    out = tmp_path_factory.mktemp("edited") / "out"
    assert edit(run[0], *ASKED, "--out", out) == 0
    return out, pd.read_csv(out / "edits.csv", keep_default_na=False)


def params_of(file):
    """Parameters from flat names, as any framework would read them."""
    with np.load(file) as arrays:
        return unflatten_dict({name: arrays[name] for name in arrays}, sep="/")


def test_the_parameters_reproduce_the_reported_numbers(run, edited):
    """Of the written edits, on the half that did not choose; before them, those of the run's own networks."""
    (folder, data), (out, table) = run, edited
    roles = Roles("hired", ("sex", "region"))
    second = np.asarray(rows_of_halves(jax.random.key(0), measured_messages(roles, data), roles))[1]
    messages = {name: own[second] for name, own in data.test.messages.items()}
    network = CONFIG.network(data)
    for when, file in (("after", out / "params.npz"), ("before", folder / "params/000000-000002.npz")):
        params = jax.tree.map(jnp.asarray, params_of(file))
        for k, row in table[table["written"]].reset_index().iterrows():
            own = jax.tree.map(lambda leaf, k=k: leaf[k], params)
            shown = jf.measure_outputs(network, own, data.test.x[second], messages, label="hired")
            for name, value in shown.items():
                np.testing.assert_allclose(row[f"{name}_{when}"], value, atol=2e-3, err_msg=name)
    assert params_of(out / "params/000000-000002.npz").keys() == params_of(out / "params.npz").keys()


def test_the_table_says_what_was_scaled_by_what(run, edited):
    (folder, _), (out, table) = run, edited
    before, after = params_of(folder / "params/000000-000002.npz"), params_of(out / "params.npz")
    written = table[table["written"]]
    assert list(written["network"]) == [0, 1, 2]
    assert list(table["chosen_on"]) == [0, 1] * 3
    assert (written["edges"] != "").any()
    for k, text in enumerate(written["edges"]):
        expected = {layer: own["kernel"][k].copy() for layer, own in before.items()}
        for edge in text.split():
            place, factor = edge.split("*")
            layer, source, target = map(int, place.split("/"))
            expected[f"layer_{layer}"][source, target] *= np.float32(factor)
        for layer, kernel in expected.items():
            np.testing.assert_allclose(after[layer]["kernel"][k], kernel, rtol=1e-6)
        same = np.array_equal(after["layer_1"]["bias"][k], before["layer_1"]["bias"][k])
        assert same == (text == "")  # the output's bias alone is refitted
    assert set(written["recalibrated"]) <= {"bias", "none"}


def test_the_folder_is_whole(edited):
    out, _ = edited
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["edit"]["at_most"] == 30
    assert manifest["reached"] == manifest["networks"] == 3
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {*manifest["files"], "manifest.json"}
    assert {"params.npz", "figures/edits.png", "figures/edits.svg", "edits.csv"} < files
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_the_report_shows_the_edit_and_the_command_that_makes_it(edited, tmp_path):
    """Of the very folder that the command leaves: every measure before and after, with the numbers of the table."""
    page = jf.report(edited[0], tmp_path / "page.html").read_text()
    own = edited[1][edited[1]["written"]]
    assert "people, edited" in page
    assert "jaxflow edit RESULTS --attribute sex --measure parity_gap --at-most 30" in page
    for measure in ("parity_gap_sex", "parity_gap_region", "bias_sex", "argmax_accuracy"):
        for when in ("before", "after"):
            assert f"{own[f'{measure}_{when}'].abs().mean():.2f}" in page


def test_some_reach_the_target_and_the_others_are_told(run, tmp_path, capsys):
    """At a limit between the networks' best; those beyond stay as they are. An earlier edit may be replaced."""
    folder, _ = run
    args = (*AIM, "--out", tmp_path / "out")
    assert edit(folder, *args, "--at-most", "0") == 2
    least = float(capsys.readouterr().err.split("possible is ")[1].split()[0])
    assert not (tmp_path / "out").exists()
    assert edit(folder, *args, "--at-most", f"{least + 0.01:.3f}") == 0
    printed = capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "out/edits.csv", keep_default_na=False)
    rows = rows[rows["written"]].reset_index()
    assert 0 < rows["reached"].sum() < 3
    assert f"{3 - rows['reached'].sum()} cannot reach it and are as they were" in printed
    before, after = params_of(folder / "params/000000-000002.npz"), params_of(tmp_path / "out/params.npz")
    for k in np.flatnonzero(~rows["reached"]):
        assert rows["edges"][k] == ""
        np.testing.assert_array_equal(after["layer_0"]["kernel"][k], before["layer_0"]["kernel"][k])
    assert edit(folder, *args, "--at-most", "100") == 2
    assert "holds an edit; choose another --out, or --overwrite it" in capsys.readouterr().err
    assert edit(folder, *args, "--at-most", "100", "--overwrite") == 0
    assert (pd.read_csv(tmp_path / "out/edits.csv")["edges"].isna()).all()  # met already


def changed(key, value):
    def change(folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        where = manifest
        for name in key[:-1]:
            where = where[name]
        where[key[-1]] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return change


def damaged(folder):
    file = folder / "params/000000-000002.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def moved(folder):
    (folder / ".jaxflow/table").unlink()


def other_rows(folder):
    other = folder / "elsewhere/people.csv"
    other.parent.mkdir()
    table = pd.read_csv((folder / ".jaxflow/table").read_text())
    table.assign(f0=table["f0"] + 1.0 * (table["hired"] == 1)).to_csv(other, index=False)
    (folder / ".jaxflow/table").write_text(str(other))


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        (None, (), "one of the arguments --at-most --keep-accuracy is required"),
        (None, ("--at-most", 1, "--keep-accuracy", 2), "not allowed with argument --at-most"),
        (None, ("--at-most", "nan"), "--at-most must be a finite number between 0 and 100"),
        (None, ("--keep-accuracy", "much"), "--keep-accuracy must be a number, not 'much'"),
        (None, ("--at-most", 5, "--attribute", "age"), "there is no attribute 'age'; choose from sex, region"),
        (None, ("--at-most", 5, "--metric", "flow"), "--metric: unknown value 'flow'; choose from bias/acc"),
        (None, ("--at-most", 5, "--out", "."), "choose another --out"),
        (changed(["finished"], False), ("--at-most", 5), "has not ended; its command goes on with it"),
        (changed(["versions", "jaxflow"], "0.0.9"), ("--at-most", 5), "was filled by jaxflow 0.0.9, this is"),
        (changed(["identity", "strategies"], 3), ("--at-most", 5), "cannot be used"),
        (changed(["identity", "params"], "x"), ("--at-most", 5), "were trained elsewhere"),
        (changed(["identity", "estimator"], {"function": "f"}), ("--at-most", 5), "an estimator of your own"),
        (changed(["recording"], {}), ("--at-most", 5), "holds a recording"),
        (changed(["dataset", "source"], {}), ("--at-most", 5), "were handed in from Python"),
        (damaged, ("--at-most", 5), "is damaged"),
        (moved, ("--at-most", 5), "the table people.csv of the run in"),
        (other_rows, ("--at-most", 5), "have changed since"),
        (
            lambda folder: (folder / "manifest.json").unlink(),
            ("--at-most", 5),
            "is no results folder, it holds no manifest.json",
        ),
    ],
)
def test_what_cannot_be_edited_is_one_line_and_nothing_is_written(run, tmp_path, capsys, change, arguments, says):
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    if change is not None:
        change(folder)
    before = sorted(tmp_path.rglob("*"))
    try:
        code = edit(folder, *arguments)
    except SystemExit as ended:  # argparse
        code = ended.code
    errors = capsys.readouterr().err
    assert code == 2
    assert says in errors
    assert errors.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_table_is_found_where_it_is_now(run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run[0], folder)
    shutil.copy((folder / ".jaxflow/table").read_text(), tmp_path / "people.csv")
    moved(folder)
    assert edit(folder, "--data-dir", tmp_path, *ASKED) == 0
    assert (tmp_path / "run-edit/params.npz").exists()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "people: parity gap of sex at most 30 %, at the least loss of decision accuracy"
    assert printed[-1] == f"Results: {tmp_path / 'run-edit'}"


def test_a_write_that_fails_leaves_nothing(run, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edits, "write_csv", full)
    assert edit(run[0], *ASKED, "--out", tmp_path / "new/out") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list((tmp_path / "new").iterdir()) == []


def test_interrupted_it_has_written_nothing(run, tmp_path, reads_only):
    command = [sys.executable, "-m", "jaxflow", "edit", str(run[0]), *ASKED, "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=reads_only) as process:
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "jaxflow: interrupted; nothing was written"
    assert list(tmp_path.iterdir()) == []
