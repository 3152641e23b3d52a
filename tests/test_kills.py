"""A run that is killed, or loses power, before any one of its file operations is completed by the same command."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from fake_runs import Fake, contents

from jaxflow import InputError

pytestmark = pytest.mark.usefixtures("no_types_are_checked")
OPERATIONS = ("open", "mkdir", "replace", "unlink", "rmdir", "fsync")
FINISHED = {"seeds": 4, "seed": 9}


class Killed(BaseException):
    """Ends a run as a signal would."""


class Disk:
    """Counts the operations that change a folder, and fails from a chosen one on: nothing follows a kill.

    It also knows which files have been synced since they were made: a loss of power empties all others.
    """

    def __init__(self, monkeypatch, folder: Path, moment: int = 10**9, failure=Killed) -> None:
        self.folder, self.moment, self.failure, self.count = folder, moment, failure, 0
        self.safe = {file.stat().st_ino for file in folder.rglob("*")}
        self.functions = {name: getattr(os, name) for name in OPERATIONS}
        for name in ("mkdir", "replace", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._counted(self.functions[name]))
        monkeypatch.setattr(os, "open", self._open)
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _step(self) -> None:
        if self.count >= self.moment:
            raise self.failure
        self.count += 1

    def _counted(self, function):
        def call(path, *arguments, **options):
            if self.folder in (path := Path(path), *path.parents):
                self._step()
            return function(path, *arguments, **options)

        return call

    def _open(self, path, flags, *arguments, **options):
        if not flags & os.O_CREAT:
            return self.functions["open"](path, flags, *arguments, **options)
        descriptor = self._counted(self.functions["open"])(path, flags, *arguments, **options)
        self.safe.discard(os.fstat(descriptor).st_ino)
        return descriptor

    def _fsync(self, descriptor):
        self._step()
        self.safe.add(os.fstat(descriptor).st_ino)

    def lose_power(self) -> None:
        for file in self.folder.rglob("*"):
            if file.is_file() and file.stat().st_ino not in self.safe:
                os.truncate(file, 0)


def finished(fake, out):
    fake.run(out, **FINISHED)


def with_foreign_files(fake, out):
    finished(fake, out)
    for name in ("notes.txt", "chunks/notes.txt", "chunks/000000-000001/notes.txt", "figures/notes.txt"):
        (out / name).write_text("mine")


def interrupted(fake, out):
    """Three chunks had ended, two more were asked for, of which the second is finished."""
    fake.run(out, seeds=6)
    manifest = fake.run(out, seeds=10).manifest
    shutil.rmtree(out / "chunks/000006-000007")
    manifest |= {"finished": False, "assembled": 6, "pending": manifest["chunks"][3:]}
    (out / "manifest.json").write_text(json.dumps(manifest))


def damaged(fake, out):
    fake.run(out)
    (out / "chunks/000002-000003/dependence.csv").write_text("")


CASES = {
    "fresh": (lambda *_: None, {}),
    "overwrite": (with_foreign_files, {"overwrite": True}),
    "extend": (finished, {"seed": 9, "seeds": 7}),
    "go on": (interrupted, {"seeds": 10}),
    "go back": (interrupted, {"seeds": 6}),
    "mend": (damaged, {}),
    "again": (finished, FINISHED),
}


def killed_and_completed(case, folder, monkeypatch, moments, powers):
    """Every file that the completed runs leave is that of a run that was not killed."""
    prepare, command = CASES[case]
    fake = Fake(monkeypatch)
    prepare(fake, folder / "start")
    (folder / "start").mkdir(exist_ok=True)
    shutil.copytree(folder / "start", folder / "whole")
    with monkeypatch.context() as patched:
        whole = Disk(patched, folder / "whole")
        fake.run(folder / "whole", **command)
    expected = contents(folder / "whole")
    assert whole.count > 60
    for moment in range(whole.count)[moments]:
        for power in powers(moment):
            out = folder / f"{moment}-{power}"
            shutil.copytree(folder / "start", out)
            with monkeypatch.context() as patched:
                disk = Disk(patched, out, moment)
                with pytest.raises(Killed):
                    fake.run(out, **command)
            if power:
                disk.lose_power()
            fake.run(out, **command)
            assert contents(out) == expected, f"killed before operation {moment}, loss of power: {power}"
            shutil.rmtree(out)


@pytest.mark.parametrize("case", CASES)
def test_killed_before_any_operation_the_same_command_ends_with_the_same_bytes(case, tmp_path, monkeypatch):
    """A new run at every seventh operation, the others at every eleventh, all when slow; without power by turns."""
    every = 7 if case == "fresh" else 11
    killed_and_completed(case, tmp_path, monkeypatch, slice(None, None, every), lambda moment: [moment % 2 == 0])


@pytest.mark.parametrize("case", ["fresh", "overwrite"])
def test_a_disk_that_fails_at_any_operation_is_one_line(case, tmp_path, monkeypatch):
    """It is full, or has become read-only; the same command completes the run."""
    prepare, command = CASES[case]
    fake = Fake(monkeypatch)
    prepare(fake, tmp_path / "start")
    (tmp_path / "start").mkdir(exist_ok=True)
    shutil.copytree(tmp_path / "start", tmp_path / "whole")
    with monkeypatch.context() as patched:
        whole = Disk(patched, tmp_path / "whole")
        fake.run(tmp_path / "whole", **command)
    for moment in range(0, whole.count, 13):
        out = tmp_path / str(moment)
        shutil.copytree(tmp_path / "start", out)
        number = (errno.ENOSPC, errno.EROFS)[moment % 2]
        line = rf"^cannot (write to|delete) {out}.* \({re.escape(os.strerror(number))}\).*(?!\n)$"
        with monkeypatch.context() as patched:
            Disk(patched, out, moment, OSError(number, os.strerror(number)))
            with pytest.raises(InputError, match=line):
                fake.run(out, **command)
        fake.run(out, **command)
        assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.parametrize("case", CASES)
def test_killed_or_without_power_before_every_operation(case, tmp_path, monkeypatch):
    """Every operation: those whose number is odd without power, which the others of the shorter test are."""
    killed_and_completed(case, tmp_path, monkeypatch, slice(None), lambda moment: [moment % 2 == 1])
