"""A results folder that somebody or something has altered: nothing is lost unsaid, nobody else's file is touched."""

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_runs import Fake, contents, tables_of

from jaxflow import InputError
from jaxflow.running import files
from jaxflow.running.chunks import CHUNK_FILES, PARAMS, RECORD, write_chunk
from jaxflow.running.hosts import Hosts
from jaxflow.running.results import FIGURES, FORMATS, TABLES, Results, locked, run_name

pytestmark = pytest.mark.usefixtures("no_types_are_checked")
FILES = (RECORD, PARAMS, "networks.csv", "dependence.csv")
SECOND = "chunks/000002-000003"


@pytest.fixture
def fake(monkeypatch):
    return Fake(monkeypatch)


@pytest.fixture
def out(tmp_path, fake):
    """A finished run of four networks in two chunks."""
    fake.run(tmp_path / "out")
    return tmp_path / "out"


def cut(file):
    os.truncate(file, file.stat().st_size - 1)


def flip(file):
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)


def lengthen(file):
    with file.open("ab") as end:
        end.write(b"0\n")


def of_the_other_chunk(file):
    shutil.copy(file.parent.parent / "000000-000001" / file.name, file)


def link(file):
    """The right bytes, elsewhere."""
    elsewhere = file.parents[2] / "elsewhere"
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


def pipe(file):
    file.unlink()
    os.mkfifo(file)


DAMAGES = (Path.unlink, lambda file: file.write_bytes(b""), cut, flip, lengthen, of_the_other_chunk, link, pipe)
NAMES = ("removed", "emptied", "cut", "flipped", "lengthened", "of the other chunk", "link", "pipe")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES, ids=NAMES)
def test_a_damaged_chunk_is_computed_again_and_said(out, fake, damage, file):
    """Of a run that had finished and of one that had not, by turns."""
    finished = (FILES.index(file) + DAMAGES.index(damage)) % 2 == 0
    expected = contents(out)
    if not finished:
        write_manifest(out, finished=False, assembled=0, pending=[[2, 4]], files={})
    damage(out / SECOND / file)
    fake.run(out)
    named = (
        file if (file, damage) != (RECORD, flip) else fake.said[0].split("(")[1].split(")")[0]
    )  # any of its checksums
    assert fake.said == [f"chunk 000002-000003 is damaged ({named}) and is computed again"]
    assert fake.computed == [(2, 4)]
    (out / "elsewhere").unlink(missing_ok=True)
    assert contents(out) == expected


def write_manifest(out, **changes):
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize("name", ["another run's", "another chunk's"])
def test_a_chunk_that_belongs_elsewhere_is_computed_again(out, fake, tmp_path, name):
    """Whole in itself, it is of another seed, or of networks 0 and 1."""
    expected = contents(out)
    fake.run(tmp_path / "other", seed=9)
    source = tmp_path / "other" / SECOND if name == "another run's" else out / "chunks/000000-000001"
    shutil.rmtree(out / SECOND)
    shutil.copytree(source, out / SECOND)
    fake.run(out)
    assert fake.said == ["chunk 000002-000003 is damaged (chunk.json) and is computed again"]
    assert contents(out) == expected


def test_a_finished_run_knows_the_checksums_of_its_chunks(out, fake):
    """A table altered together with its record."""
    expected = contents(out)
    record = json.loads((out / SECOND / RECORD).read_text())
    altered = tables_of(7, 2, 4)
    shutil.rmtree(out / SECOND)
    write_chunk(out, (2, 4), record["run"], altered, {"layer_0": {"kernel": [1.0, 2.0]}})
    fake.run(out)
    assert fake.computed == [(2, 4)]
    assert contents(out) == expected


def test_a_missing_chunk_of_a_finished_run_is_said(out, fake):
    expected = contents(out)
    shutil.rmtree(out / SECOND)
    fake.run(out)
    assert fake.said == ["chunk 000002-000003 is missing and is computed again"]
    assert contents(out) == expected


def test_a_larger_run_verifies_what_it_extends(out, fake, tmp_path):
    fake.run(tmp_path / "whole", seeds=7)
    flip(out / SECOND / "networks.csv")
    fake.run(out, seeds=7)
    assert fake.said == ["chunk 000002-000003 is damaged (networks.csv) and is computed again"]
    assert contents(out)["networks.csv"] == contents(tmp_path / "whole")["networks.csv"]


def test_what_is_assembled_is_assembled_again(out, fake):
    """Every table, parameter and figure of a finished run, removed or damaged; nothing is computed."""
    expected = contents(out)
    for name in [name for name in expected if not name.startswith("chunks/")]:
        for damage in (Path.unlink, cut, flip):
            damage(out / name)
            fake.run(out)
            assert fake.computed == fake.said == []
            assert contents(out) == expected
    shutil.rmtree(out / "params")
    shutil.rmtree(out / "figures")
    fake.run(out)
    assert contents(out) == expected


def test_processes_that_share_a_run_mend_it_together(out, fake, tmp_path, monkeypatch):
    """Two chunks are damaged and two more are asked for; each process computes two, and process 0 assembles."""
    fake.run(tmp_path / "alone", seeds=8)
    together = threading.Barrier(2)
    monkeypatch.setattr(Hosts, "check", lambda _: None)
    monkeypatch.setattr(Hosts, "meet", lambda _: together.wait(60))
    monkeypatch.setattr(Hosts, "part", lambda _: together.wait(60))
    cut(out / SECOND / RECORD)
    (out / "chunks/000000-000001/networks.csv").unlink()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fake.run, out, hosts=Hosts(process, 2, "here:1"), seeds=8) for process in (0, 1)]
    assert all(run.result() for run in runs)
    assert sorted(fake.computed) == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert contents(out) == contents(tmp_path / "alone")
    assert Results(out).manifest["finished"]


def test_a_chunk_that_is_damaged_while_the_run_lasts_stops_it(out, fake, monkeypatch):
    run_chunks = fake._run_chunks

    def damaged_meanwhile(*arguments):
        run_chunks(*arguments)
        cut(out / SECOND / PARAMS)

    monkeypatch.setattr("jaxflow.running.experiment._run_chunks", damaged_meanwhile)
    with pytest.raises(InputError, match=r"chunk 000002-000003 of .* is damaged \(params.npz\); the same command"):
        fake.run(out)


def test_tables_of_two_versions_are_not_mixed(out, fake):
    """The chunks are whole, but one lacks a column or a table."""
    record = json.loads((out / SECOND / RECORD).read_text())
    write_manifest(out, finished=False, assembled=0, pending=[], files={})
    tables = tables_of(0, 2, 4)
    for other in ({**tables, "networks": tables["networks"][["network"]]}, dict(list(tables.items())[1:])):
        shutil.rmtree(out / SECOND)
        write_chunk(out, (2, 4), record["run"], other, {"layer_0": {"kernel": [1.0, 2.0]}})
        with pytest.raises(InputError, match="differ in their columns"):
            fake.run(out)


def test_the_manifest_lists_every_file_of_every_chunk(out):
    listed = Results(out).manifest["files"]
    files = {name for name in contents(out) if name.startswith("chunks/") and not name.endswith(RECORD)}
    assert set(listed) == files
    for name, entry in listed.items():
        assert entry["bytes"] == (out / name).stat().st_size
        assert entry.get("rows", 2) == 2
        assert entry.get("shapes", {"layer_0/kernel": [2]}) == {"layer_0/kernel": [2]}


# Clearing


def test_what_cannot_be_deleted_stops_an_overwrite(out, fake, tmp_path, monkeypatch):
    """Whatever file or folder it is, the line names it, and no network of the former run gets into the new one."""
    fake.run(tmp_path / "new", seed=1)
    expected = contents(tmp_path / "new")
    ours = [file for file in out.rglob("*") if ".jaxflow" not in file.parts and file.name != "manifest.json"]
    for stuck in [file.relative_to(out) for file in ours]:
        other = tmp_path / "other"
        shutil.copytree(out, other)

        def refuse(function, stuck=other / stuck):
            def call(path, *arguments, **options):
                if Path(path) == stuck:
                    raise PermissionError(13, "Permission denied", str(path))
                return function(path, *arguments, **options)

            return call

        with monkeypatch.context() as patched:
            for name in ("unlink", "rmdir"):
                patched.setattr(os, name, refuse(getattr(os, name)))
            for _ in range(2):
                with pytest.raises(InputError, match=rf"cannot delete {other / stuck} \(Permission denied\)"):
                    fake.run(other, seed=1, overwrite=True)
        with pytest.raises(InputError, match="is being cleared"):
            _ = Results(other).manifest
        fake.run(other, seed=1)
        assert contents(other) == expected
        shutil.rmtree(other)


def test_clearing_leaves_nothing_of_ours_and_all_that_is_not_ours(out, fake):
    """Foreign files in every folder, also with names like ours in the wrong place."""
    foreign = (
        *("notes.txt", "mine.csv", "chunks/notes.txt", "chunks/networks.csv", "params/notes.npz", "figures/mine.png"),
        *(f"{SECOND}/notes.txt", f"{SECOND}/mine.csv", "chunks/archive/000000-000001/params.npz", ".jaxflow/notes.txt"),
        *("chunks/000002-000003.bak/networks.csv", "params/000000-000001.npz.bak", ".lock", ".partial/notes.txt"),
    )
    for name in foreign:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    fake.run(out, seeds=1, seed=1, overwrite=True)
    left = contents(out)
    assert {name for name, text in left.items() if text == b"mine"} == set(foreign)
    assert not [name for name in left if "000002-000003" in name and name not in foreign]
    fake.run(out, seed=1)
    assert {name for name, text in contents(out).items() if text == b"mine"} == set(foreign)


def test_all_that_a_run_writes_is_known_to_clearing(out):
    figures = [f"{name}.{kind}" for name in FIGURES for kind in FORMATS]
    known = {*CHUNK_FILES, *figures, *(f"{name}.csv" for name in TABLES)}
    assert {Path(name).name for name in contents(out) if not name.startswith("params/")} <= known


# Links


@pytest.mark.parametrize("folder", [".jaxflow", "chunks", "params", "figures", SECOND])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_linked_folder_is_refused(out, fake, tmp_path, folder, overwrite):
    """What lies behind the link stays as it is."""
    shutil.move(out / folder, tmp_path / "elsewhere")
    (out / folder).symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=rf"{folder} is a link or a file, where jaxflow keeps a folder"):
        fake.run(out, overwrite=overwrite)
    assert contents(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("folder", [".jaxflow", "chunks", "params", "figures", SECOND])
def test_a_file_in_place_of_a_folder_is_refused(out, fake, folder):
    shutil.rmtree(out / folder)
    (out / folder).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is a link or a file, where jaxflow keeps a folder"):
            fake.run(out, overwrite=overwrite)
    assert (out / folder).read_text() == "mine"


@pytest.mark.parametrize("name", ["lock", "manifest.json", "networks.csv", "training.png", "000000-000001.npz"])
@pytest.mark.parametrize("how", [os.symlink, os.link])
def test_nothing_is_written_through_links(out, fake, tmp_path, name, how):
    """Where locks and files that are being written go, somebody has put a link to a file of his own."""
    target = tmp_path / "thesis.tex"
    target.write_text("mine")
    (out / ".jaxflow" / name).unlink(missing_ok=True)
    how(target, out / ".jaxflow" / name)
    if name == "lock":
        with pytest.raises(InputError, match=r"lock is (a link|not a file of jaxflow's own)"):
            fake.run(out)
    else:
        fake.run(out)
    assert target.read_text() == "mine"


def test_a_link_in_place_of_a_table_is_replaced(out, fake, tmp_path):
    expected = contents(out)
    (tmp_path / "thesis.tex").write_text("mine")
    for name in ("networks.csv", "params/000000-000001.npz", "figures/training.png"):
        (out / name).unlink()
        (out / name).symlink_to(tmp_path / "thesis.tex")
    fake.run(out)
    assert contents(out) == expected
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_the_lock_is_not_emptied_and_a_pipe_is_no_lock(out, fake):
    (out / ".jaxflow/lock").write_text("mine")
    fake.run(out)
    assert (out / ".jaxflow/lock").read_text() == "mine"
    (out / ".jaxflow/lock").unlink()
    os.mkfifo(out / ".jaxflow/lock")
    with pytest.raises(InputError, match="not a file of jaxflow's own"):
        fake.run(out)


def test_processes_of_one_run_have_locks_of_their_own(out):
    with locked(out), locked(out, 1):
        for process in (0, 1):
            with pytest.raises(InputError, match=rf"another run is writing to {out};"), locked(out, process):
                pass


@pytest.mark.parametrize("names", [("figures",), ("chunks", "params", "figures", ".jaxflow")])
def test_empty_folders_of_ours_are_no_run(fake, tmp_path, names):
    for name in names:
        (tmp_path / "out" / name).mkdir(parents=True)
    fake.run(tmp_path / "out")
    assert len(fake.computed) == 2


def test_a_folder_of_figures_that_are_not_ours_is_left_alone(fake, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/mine.png").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="holds no jaxflow run"):
            fake.run(tmp_path, overwrite=overwrite)


def test_a_run_is_named_by_its_identity():
    assert run_name({"a": 1, "b": [2.0]}) == run_name({"b": [2.0], "a": 1}) != run_name({"a": 1, "b": [2.5]})


def test_a_run_without_figures_ends(fake, tmp_path, monkeypatch):
    """With the threads that sync files, which the other tests do without."""
    monkeypatch.setattr(files, "ThreadPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr("jaxflow.figures.draw_all", lambda *_: ())
    assert fake.run(tmp_path / "out").manifest["finished"]
