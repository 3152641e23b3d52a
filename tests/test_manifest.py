"""The manifest: whatever it holds, no more than one line comes of it; and the plan of chunks in it."""

import dataclasses
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from fake_runs import CONFIG, Fake, contents, plan_of

from jaxflow import InputError
from jaxflow.reproduction import reproduce
from jaxflow.running import experiment
from jaxflow.running.manifest import FIELDS, fault, planned_chunks
from jaxflow.running.plan import identity_of
from jaxflow.running.results import Results, open_results
from jaxflow.running.summary import summary

pytestmark = pytest.mark.usefixtures("no_types_are_checked")
MISSING = object()
DEEP = json.loads("[" * 900 + "]" * 900)
JUNK = (
    *(
        MISSING,
        None,
        "",
        "text",
        "\ud800",
        -1,
        0,
        1,
        3,
        0.5,
        4.0,
        1e300,
        float("inf"),
        float("nan"),
        10**30,
        -(10**400),
    ),
    *(
        True,
        False,
        [],
        [1],
        [None],
        ["text"],
        DEEP,
        {},
        {"a": None},
        {"a": -1},
        {"a": True},
        {"a": "text"},
        {"a": DEEP},
    ),
    *([[0, 2], [2, 5]], [[0, 2]], [[2, 4]], [[0, 2], [3, 4]], [[0, 3], [2, 4]], [[2, 4], [0, 2]], [[0, 4], [4, 4]]),
    *([[0, 2], [2, "4"]], [[0, 2], [2, 4.0]], [[0, 2, 4]], [[False, 2], [2, 4]], [[-2, 0], [0, 4]], [[0, 10**30]]),
    *({"a": {"bytes": 1, "sha256": "0"}}, {"a": {"bytes": -1, "sha256": "0" * 64}}, {"a": {"bytes": 1}}),
    *({"a": {"bytes": 1, "sha256": "0" * 64, "shapes": {"b": [None]}}}, {"a": float("nan")}, {"a": 1e300}),
)
TYPES = {"experiment": str, "seeds": int, "identity": dict, "chunks": list, "finished": bool, "versions": dict,
         "seconds": dict, "run": str, "pending": list, "assembled": int, "device": str, "files": dict,
         "clearing": bool, "label": str, "attributes": list, "searched": list, "thin": list,
         "dataset": dict, "recording": dict, "chance": dict}  # fmt: skip


@pytest.fixture
def fake(monkeypatch):
    return Fake(monkeypatch)


@pytest.fixture
def out(tmp_path, fake):
    """A finished run of four networks in two chunks."""
    fake.run(tmp_path / "out")
    return tmp_path / "out"


def identity():
    return identity_of(plan_of(CONFIG, Path()))


def opened(out, config):
    return experiment._opened(plan_of(config, out), config)


def resume(out):
    with opened(out, CONFIG):
        pass


def extend(out):
    with opened(out, dataclasses.replace(CONFIG, seeds=7)):
        pass


def go_back(out):
    with opened(out, dataclasses.replace(CONFIG, seeds=1)):
        pass


def overwrite(out):
    open_results(out, identity(), 4, overwrite=True)


def reproduced(out):
    if reproduce._is_finished(Results(out)):
        Results(out).params()


READERS = {"resume": resume, "extend": extend, "go back": go_back, "overwrite": overwrite,
           "read": lambda out: Results(out).params(), "reproduce": reproduced}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_that_cannot_be_is_one_line_that_names_the_field(out, tmp_path, field):
    """Also of the right type; overwriting is always possible while the manifest is one of ours.

    The readers take turns, so that each meets every field and every value.
    """
    manifest = json.loads((out / "manifest.json").read_text())
    shutil.copytree(out, tmp_path / "other")
    readers = list(READERS)
    for turn, junk in enumerate(JUNK, list(FIELDS).index(field)):
        reader = readers[turn % len(readers)]
        altered = {name: value for name, value in manifest.items() if name != field or junk is not MISSING}
        altered |= {} if junk is MISSING else {field: junk}
        (tmp_path / "other/manifest.json").write_text(json.dumps(altered))
        raised = ""
        try:
            READERS[reader](tmp_path / "other")
        except InputError as error:
            raised = str(error)
        assert "\n" not in raised
        wrong = FIELDS[field][0] if junk is MISSING else type(junk) is not TYPES[field]
        if reader != "overwrite" and wrong:
            assert field in raised.split("other")[1], (junk, raised)
        if raised and reader == "overwrite":
            assert "holds no jaxflow run" in raised
            assert junk is MISSING
        if not raised:
            shutil.rmtree(tmp_path / "other")
            shutil.copytree(out, tmp_path / "other")


TEXTS = {
    "empty": b"", "half": b'{"experiment": "mi', "not UTF-8": b"\xff\xfe{}", "NaN": b"NaN", "null": b"null",
    "text": b'"a"', "deep": b"[" * 10**5, "digits": b'{"seeds": ' + b"9" * 5000 + b"}", "array": b"[]", "object": b"{}",
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_manifest_that_is_not_ours_protects_the_folder(out, fake, text):
    (out / "manifest.json").write_bytes(TEXTS[text])
    before = contents(out)
    for how in ({}, {"overwrite": True}):
        with pytest.raises(InputError, match=r"holds no (readable manifest|jaxflow run)") as raised:
            fake.run(out, **how)
        assert "\n" not in str(raised.value)
    assert contents(out) == before


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless", "dangling"])
def test_what_is_no_file_is_no_manifest(out, fake, kind):
    (out / "manifest.json").unlink()
    if kind == "pipe":
        os.mkfifo(out / "manifest.json")
    elif kind == "folder":
        (out / "manifest.json").mkdir()
    else:
        (out / "manifest.json").symlink_to("/dev/zero" if kind == "endless" else "/nowhere")
    for how in ({}, {"overwrite": True}):
        with pytest.raises(InputError, match="holds no readable manifest"):
            fake.run(out, **how)


def test_every_field_that_a_run_writes_is_checked(out):
    assert set(Results(out).manifest) <= set(FIELDS)
    assert fault(Results(out).manifest) == ""


def test_readers_of_a_folder_without_tables_say_so(out, tmp_path):
    for name in ("networks", "tradeoff"):
        (out / f"{name}.csv").unlink(missing_ok=True)
        with pytest.raises(InputError, match=rf"cannot read .*{name}.csv .*makes it again"):
            Results(out).table(name)
    with pytest.raises(InputError, match="cannot read"):
        summary(Results(out))
    (out / "params/000000-000001.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"cannot read .*000000-000001.npz"):
        Results(out).params()
    with pytest.raises(InputError, match=r"nowhere is no results folder, it holds no manifest\.json; name one"):
        Results(tmp_path / "nowhere").params()


# The plan


def test_plans_follow_one_another_to_the_networks_that_are_asked_for():
    """What fits of an earlier plan is kept; new chunks are no wider than asked, and equal but for one."""
    for before, seeds, size in itertools.product(range(0, 14), range(1, 14), range(1, 6)):
        earlier = planned_chunks((), before, size) if before else []
        chunks = planned_chunks(earlier, seeds, size)
        assert [start for start, _ in chunks] == [0, *(stop for _, stop in chunks[:-1])]
        assert chunks[-1][1] == seeds
        kept = [bounds for bounds in earlier if bounds[1] <= seeds]
        assert chunks[: len(kept)] == kept
        widths = [stop - start for start, stop in chunks[len(kept) :]]
        assert all(1 <= width <= size and width >= max(widths) - 1 for width in widths)


def interrupt(fake, out, monkeypatch, chunks, **changes):
    """A larger run that is ended after some of its chunks."""
    run_chunks, write = fake._run_chunks, experiment.Results.write_manifest

    def some(inputs, plan, results, manifest, devices):
        pending = [manifest["pending"][index] for index in chunks]
        run_chunks(inputs, plan, results, {**manifest, "pending": pending}, devices)
        write(results, manifest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(experiment, "_run_chunks", some)
        with pytest.raises(KeyboardInterrupt):
            fake.run(out, **changes)


@pytest.mark.parametrize("chunks", [[], [0], [0, 1], [1], [0, 2]])
def test_an_interrupted_larger_run_can_be_given_up(fake, tmp_path, monkeypatch, chunks):
    """Back to the networks of the tables; what was finished beyond them is used when the larger run is begun again."""
    fake.run(tmp_path / "small", seeds=6)
    fake.run(tmp_path / "large", seeds=1000, chunk=125)
    out = tmp_path / "out"
    fake.run(out, seeds=6, chunk=125)
    expected = {name: text for name, text in contents(out).items() if not name.startswith("chunks")}
    interrupt(fake, out, monkeypatch, chunks, seeds=1000, chunk=125)
    results = fake.run(out, seeds=6, chunk=125)
    assert fake.computed == []
    assert results.manifest["seeds"] == 6
    assert len(results.params()["layer_0"]["kernel"]) == 6
    assert {name: text for name, text in contents(out).items() if not name.startswith("chunks")} == expected
    fake.run(out, seeds=1000, chunk=125)
    assert len(fake.computed) == 8 - len(chunks)
    assert contents(out)["networks.csv"] == contents(tmp_path / "large")["networks.csv"]


@pytest.mark.parametrize(
    ("chunks", "holds"), [([], 6), ([0], 8), ([1], 6), ([0, 2], 8), ([0, 1], 10)]
)  # of [6, 8), [8, 10), [10, 12)
def test_fewer_than_are_finished_without_a_gap_are_refused(fake, tmp_path, monkeypatch, chunks, holds):
    """But anything between that and what was planned is a new plan, which keeps chunks that fit."""
    start = tmp_path / "start"
    fake.run(start, seeds=6)
    interrupt(fake, start, monkeypatch, chunks, seeds=12)
    for seeds in range(1, 14):
        out = tmp_path / str(seeds)
        shutil.copytree(start, out)
        if seeds < holds and seeds != 6:
            with pytest.raises(InputError, match=f"holds {holds} networks?, not the {seeds} asked for"):
                fake.run(out, seeds=seeds)
            fake.run(out, seeds=seeds, overwrite=True)
            assert sum(stop - start for start, stop in fake.computed) == seeds
        else:
            results = fake.run(out, seeds=seeds)
            kept = [6 + 2 * index for index in chunks if 8 + 2 * index <= seeds]
            assert not {start for start, _ in fake.computed} & set(kept)
            assert fake.said == []
            assert results.manifest["seeds"] == len(results.table("networks")) == seeds
        assert contents(out)["networks.csv"].count(b"\n") == seeds + 1


def test_a_run_that_never_ended_can_end_smaller(fake, tmp_path, monkeypatch):
    out = tmp_path / "out"
    interrupt(fake, out, monkeypatch, [0], seeds=100)
    with pytest.raises(InputError, match="no run has ended"):
        Results(out).params()
    assert fake.run(out, seeds=3).manifest["chunks"] == [[0, 2], [2, 3]]
    assert fake.computed == [(2, 3)]
