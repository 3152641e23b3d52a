"""What a stranger hands in is used or refused in one line, before any work; the tables are in ``hostile.py``."""

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import hostile
import numpy as np
import pandas as pd
import pytest
from splits import half as split_of

from jaxflow import Dataset, InputError, figures
from jaxflow.datasets import sources
from jaxflow.errors import printable, shown
from jaxflow.interventions import Strategy
from jaxflow.pipeline import Config, preset, strategy_grid
from jaxflow.reproduction import reproduce as reproduction
from jaxflow.running.config import factor_grid
from jaxflow.running.engines import dask_engine
from jaxflow.training import Training

pytestmark = pytest.mark.usefixtures("no_types_are_checked")


@pytest.fixture(autouse=True)
def nothing_hangs():
    """What waits for a pipe or reads an endless device ends as a failure."""
    before = signal.signal(signal.SIGALRM, hostile.hanging)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# --- the sweep: in a process without the types that tests check ---------------------------------------------------


XLA_LOG = re.compile(r"[EW]\d{4} \d\d:\d\d:\d\d[.\d]* +\d+ \S+\.cc:\d+\]")  # of machine features, not of ours


@pytest.fixture(scope="module")
def sweep():
    """The outcome of each case, by section; one process loads JAX for all of them."""
    process = subprocess.run([sys.executable, hostile.__file__], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert [line for line in process.stderr.splitlines() if not XLA_LOG.match(line)] == []
    return json.loads(process.stdout)


@pytest.fixture(scope="module", params=hostile.SECTIONS)
def outcomes(request, sweep):
    """Section, and the outcome of each of its cases."""
    return request.param, sweep[request.param]


def test_every_case_is_accepted_or_refused_in_one_line(outcomes):
    section, found = outcomes
    failed = [f"{name}: {text}" for name, text in found.items() if text.startswith("FAILED")]
    assert not failed, f"{len(failed)} of {len(found)}\n" + "\n".join(failed[:20])
    assert len(found) > 500, section


ACCEPTED = {
    "Config.seeds": {"1", "2", "5", "np.int64 5", "np.uint8 5", "int 0-d", "jax int"},
    "Config.seed": {"0", "1", "2", "5", "10**9", "np.int64 5", "np.uint8 5", "int 0-d", "jax int"},
    "Config.first_layer": {"0", "1", "2"},
    "Config.published_alpha": {"False"},
    "Config.estimator": set(),
    "Config.training": set(),
    "Config.name": {"'3'", "'node'", "mathtext", "'mine'", "'Ünïcode 名'", "np.str_"},
    "Config.hidden": {
        *("int 1-d", "int 1 of 1", "big-endian", "empty", "empty int", "object ints", "jax 1-d", "[]", "[1, 2]"),
        *("[1, 1]", "range", "Series", "generator"),
    },
    "Config.factors": {
        *("int 1-d", "int 1 of 1", "big-endian", "float 1-d", "float whole", "object ints", "jax 1-d", "[1, 2]"),
        *("[2.0, 1.0]", "(0,)", "(-1,)", "range", "Series", "generator"),
    },
    "Config.strategies": {"strategies"},
    "Training.epochs": {"1", "2", "5", "np.int64 5", "np.uint8 5", "int 0-d", "jax int"},
    "Training.momentum": {
        *("-0.0", "1e-300", "0", "0.5", "Fraction", "np.float32 0.5", "np.float16 0.5", "longdouble 0.5"),
        *("float 0-d", "jax float"),
    },
    "Strategy.level": {"1", "2", "5", "np.int64 5", "np.uint8 5", "int 0-d", "jax int"},
    "Split.x": {
        *("float64", "float32", "float16", "big-endian", "longdouble", "int", "uint8", "bool", "list", "frame", "jax"),
        *("mixed frame", "Fortran", "strided", "read-only", "object", "unmasked", "matrix rows", "tiny"),
        *("large", "large ints"),
    },
    "Split.y": {
        *("int", "bool", "float", "uint8", "big-endian", "longdouble", "list", "Series", "jax", "objects"),
        *("bool objects", "Boolean"),
    },
    "Hosts.processes": {"1", "2", "5", "np.int64 5", "np.uint8 5", "int 0-d", "jax int"},
    "run overwrite": {"True", "False", "np.True_", "np.bool 0-d"},
}  # fmt: skip


def test_what_is_accepted_is_what_can_be_meant(outcomes):
    """Of the fields listed exactly these values; NumPy's and lists as the plain ones that they stand for."""
    section, found = outcomes
    for field, expected in ACCEPTED.items():
        of_field = {
            name.removeprefix(f"{field} = "): text for name, text in found.items() if name.startswith(f"{field} = ")
        }
        accepted = {name for name, text in of_field.items() if text.startswith("accepted")}
        if of_field:
            assert accepted == expected, (section, field)


def test_numpys_values_become_plain_ones():
    grid = strategy_grid(np.arange(1, 3), pd.Series([2]), [np.uint8(1)], np.array(["random"]))
    config = Config(
        "mine", hidden=np.array([3, 2]), seeds=np.int64(7), factors=np.array([1, 0.5], "f4"), strategies=grid,
        training=Training(np.float32(0.5), epochs=np.int32(3)), linear=(i for i in [1]), data_seed=np.uint32(3),
    )  # fmt: skip
    assert config == Config(
        "mine", hidden=(3, 2), seeds=7, factors=(1.0, 0.5), training=Training(0.5, epochs=3), linear=(1,), data_seed=3,
        strategies=[("random", "node", 1), ("random", "node", 2), ["random", "edge", 2], Strategy("random", "path", 1)],
    )  # fmt: skip
    assert hostile.accepted_config(config)


def test_factors_go_down_to_the_lowest_and_not_beyond():
    assert factor_grid(0.25) == (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
    assert factor_grid(0.3)[-1] == 0.3
    assert factor_grid(-1.0)[-1] == -1.0
    assert factor_grid(1) == (1.0,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": 5.0}, "seeds, the number of networks, must be a whole number, not 5.0"),
        ({"seeds": True}, "must be a whole number, not True"),
        ({"seeds": float("nan")}, "must be a whole number, not nan"),
        ({"seeds": 10**20}, "must be between 1 and 1000000, not 100000000000000000000"),
        ({"factors": (1.0, float("inf"))}, "every factor must be a finite number between"),
        ({"factors": (1.0, 0.5, 0.5)}, "one of the factors is named more than once"),
        ({"strategies": ("bias/acc", "node", 1)}, r"a strategy is \(metric, method, level\)"),
        ({"strategies": [("bias/acc", "node", 1)] * 2}, "one of the strategies is named more than once"),
        ({"strategies": [(lambda _: 1, "node", 1), (lambda _: 2, "node", 1)]}, "two metrics are named '<lambda>'"),
        ({"hidden": "32"}, "must be a list or a tuple, not '32'"),
        ({"name": "../elsewhere"}, "becomes part of a folder's name: .* without /, not '../elsewhere'"),
        ({"name": "a\nb"}, r"not 'a\\nb'"),
    ],
)
def test_the_line_names_cause_and_fix(changes, says):
    with pytest.raises(InputError, match=says):
        Config(**{"name": "mine", **changes})


def test_an_unknown_change_of_a_preset_is_refused():
    with pytest.raises(InputError, match="an experiment has no seedz"):
        preset("synthetic", seedz=3)


def test_messages_are_one_printable_line():
    error = InputError("a\nb\tc\0\ud800\u2028é名")
    assert str(error) == r"a\nb\tc\x00\ud800\u2028é名"
    assert str(InputError(str(error))) == str(error)
    assert printable("plain [text] $x$") == "plain [text] $x$"
    assert shown(np.zeros(1000)).count("\n") == 0
    assert len(shown("x" * 10**6)) == 60
    assert shown(hostile.Raises()) == "<Raises>"


# --- names that matplotlib would take for mathematics ---------------------------------------------------------------

NAMES = (r"$\frac{$", "a\0b", "\ud800", "new\nline", "x" * 500, "<b>&--", r"\$x", "$$", "$a$", "%_^{}~#", "\\", "")


def test_any_name_can_be_drawn():
    layers = ((0, len(NAMES)), (1, 2))
    nodes = [(0, m, layer, i, 0.1, 0, 0.01) for m in "yz" for layer, count in layers for i in range(count)]
    edges = [(0, m, 0, i, j, 1.0, 0.1) for m in "yz" for i in range(len(NAMES)) for j in range(2)]
    figure = figures.flows(
        pd.DataFrame(nodes, columns=["network", "message", "layer", "node", "flow", "witness", "null95"]),
        pd.DataFrame(edges, columns=["network", "message", "layer", "source", "target", "weight", "flow"]),
        0, figures.plain_text(NAMES[0]), NAMES,
    )  # fmt: skip
    figure.set_layout_engine("none")  # whose margins fewer names leave alone
    for suffix in ("png", "svg"):
        figure.savefig(io.BytesIO(), format=suffix)
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    drawn = [text._preprocess_math(text.get_text()) for text in texts]  # pyright: ignore[reportAttributeAccessIssue]
    assert all(mathematics is False for _, mathematics in drawn)
    assert [text for text, _ in drawn[:2]] == [r"$\frac{$", r"a\x00b"]
    assert r"\$x" in [text for text, _ in drawn]


def test_columns_of_a_frame_name_features(rng):
    frame = pd.DataFrame(rng.normal(size=(8, 2)), columns=["age", "hours"])
    half = split_of(frame, np.arange(8) % 2, np.arange(8) // 4)
    assert Dataset("mine", half, half, features=frame.columns).features == ("age", "hours")
    assert Dataset("mine", half, half, features=np.array([1, 2])).features == ("1", "2")


# --- data files: only regular ones, of bounded size -----------------------------------------------------------------

CONTENT = {"toy/plain.data": b"1,2,3\n", "toy/packed.gz": b"packed content"}
ARRAY = np.arange(6, dtype=np.int16).reshape(2, 3)


def load_toy(folder, download=lambda _home: ARRAY):
    """Rows of a dataset of two small files."""
    hashes = {path: sources.hashlib.sha256(content).hexdigest() for path, content in CONTENT.items()}
    return sources.canonical_array(
        "toy", folder, hashes, lambda contents: np.array([len(content) for content in contents]), download,
        sources.array_sha256(ARRAY),
    )  # fmt: skip


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A folder with both files, and a user cache that is empty."""
    monkeypatch.delenv("JAXFLOW_DATA", raising=False)
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    for path, content in CONTENT.items():
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).write_bytes(gzip.compress(content) if path.endswith(".gz") else content)
    return tmp_path / "data"


def replaced(path, how):
    """The file replaced by something else."""
    whole = path.read_bytes() if path.exists() else b"whole"
    path.unlink(missing_ok=True)
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "endless device":
        path.symlink_to("/dev/zero")
    elif how == "terminal":
        path.symlink_to("/dev/ptmx")
    elif how == "loop":
        path.symlink_to(path)
    elif how == "dangling":
        path.symlink_to(path.parent / "nowhere")
    elif how == "huge":
        path.touch()
        os.truncate(path, 2**40)
    elif how == "bomb":
        path.write_bytes(gzip.compress(bytes(2**20)) * 300)
    else:
        path.write_bytes(
            {"empty": b"", "cut": whole[:-1], "more": whole + b"\n", "garbage": bytes(range(256)), "text": b"PK\3\4"}[
                how
            ]
        )


DAMAGES = (
    *("empty", "cut", "more", "garbage", "text", "folder", "pipe", "endless device", "terminal", "loop", "dangling"),
    *("huge", "bomb"),
)


def test_the_toy_files_are_read(toy):
    np.testing.assert_array_equal(load_toy(toy), [6, 14])


@pytest.mark.parametrize("path", CONTENT)
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_data_file_is_one_line(toy, path, how):
    replaced(toy / path, how)
    with pytest.raises(InputError, match=r"cannot be read|truncated or altered") as error:
        load_toy(toy)
    assert str(toy / path) in str(error.value)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_data_folder_is_one_line(toy, how):
    """Also where the files' own folder is something else."""

    def offline(_home):
        raise OSError("no network")

    replaced(toy.with_name("other"), how)
    with pytest.raises(InputError, match=r"cannot be read|not found in"):
        load_toy(toy.with_name("other"), offline)
    if how != "folder":
        (toy / "toy").rename(toy / "moved")
        replaced(toy / "toy", how)
        with pytest.raises(InputError, match=r"cannot be read|not found in|missing"):
            load_toy(toy, offline)


class Pickled:
    """What must not be unpickled."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.parametrize(
    "how", [*(how for how in DAMAGES if how != "folder"), "npz", "pickle", "objects", "header", "other rows"]
)
def test_a_damaged_cache_is_fetched_again_and_replaced(toy, how):
    kept = toy.with_name("cache") / "toy.npy"
    kept.parent.mkdir()
    np.save(kept, ARRAY)
    if how == "npz":
        with kept.open("wb") as file:
            np.savez(file, ARRAY)
    elif how == "pickle":
        kept.write_bytes(__import__("pickle").dumps(Pickled()))
    elif how == "objects":
        np.save(kept, np.array([Pickled()], object), allow_pickle=True)
    elif how == "header":
        kept.write_bytes(kept.read_bytes().replace(b"(2, 3)", b"(2**9,)")[:80] + b"\xff" * 40)
    elif how == "other rows":
        np.save(kept, ARRAY + 1)
    else:
        replaced(kept, how)
    np.testing.assert_array_equal(load_toy(toy / "nothing"), ARRAY)
    np.testing.assert_array_equal(np.load(kept), ARRAY)
    assert kept.is_file()
    assert not kept.is_symlink()


def test_a_folder_in_place_of_a_kept_file_is_one_line(toy):
    (toy.with_name("cache") / "toy.npy").mkdir(parents=True)
    with pytest.raises(InputError, match=r"toy\.npy is a folder where a downloaded file belongs; remove it"):
        load_toy(toy / "nothing")


def test_the_home_folder_is_expanded(toy, monkeypatch):
    monkeypatch.setenv("HOME", str(toy.parent))
    np.testing.assert_array_equal(load_toy("~/data"), [6, 14])


# --- before hours of work -------------------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch):
    """Runs that would be computed."""
    begun = []
    monkeypatch.setattr(reproduction, "run", lambda config, *_, **__: begun.append(config.name))
    return begun


@pytest.mark.parametrize("only", [(), ("fig5",)], ids=["everything", "one figure of adult"])
def test_a_reproduction_without_data_is_refused_before_its_first_run(tmp_path, monkeypatch, runs, only):
    """Synthetic data need no files, and its runs come first and take hours."""

    def refuse(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    for module in (sys.modules["jaxflow.datasets.adult"], sys.modules["jaxflow.datasets.mnist"]):
        monkeypatch.setattr(module, "fetch_openml", refuse)
    with pytest.raises(InputError, match="not found in /nowhere"):
        reproduction.reproduce(tmp_path, tmp_path, only=only, data_dir=Path("/nowhere"), quiet=True)
    assert not runs


def test_a_page_that_cannot_be_written_is_refused_before_the_first_run(tmp_path, runs):
    (tmp_path / "docs").touch()
    with pytest.raises(InputError, match=r"cannot write to .*docs .*choose another --docs"):
        reproduction.reproduce(tmp_path / "docs", tmp_path, only=["fig13"], quiet=True)
    assert not runs


@pytest.mark.parametrize(
    "address", ["", " ", "nonsense", "tcp://h:99999999", "ftp://x:1", "tcp://", "://", "\0", "a\nb"]
)
def test_an_address_without_a_dask_scheduler_is_one_line(address, monkeypatch):
    import distributed

    def connected(given, **_options):  # what the library does with an address, without ten seconds of asking
        distributed.core.normalize_address(distributed.core.coerce_to_address(given))
        raise OSError("nobody answers")

    monkeypatch.setattr(distributed, "Client", connected)
    with pytest.raises(InputError, match="Dask scheduler"), dask_engine(address):
        pass


# --- the real command -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--seeds", "99999999999999999999"), "seeds must be between 1 and 1000000"),
        (("--hidden", "3x100000000"), "in up to 1000 layers"),
        (("--hosts", "1/2@127.0.0.1:99999"), "the port of process 0 must be between 1 and 65535"),
        (("--out", "~nosuchuser/out"), "begins with the home folder of a user who does not exist"),
    ],
)
def test_the_command_refuses_before_jax_is_loaded(arguments, says, tmp_path):
    code = "import sys; from jaxflow.cli import main\ntry: main(sys.argv[1:])\nfinally: assert 'jax' not in sys.modules"
    process = subprocess.run(
        [sys.executable, "-c", code, "run", "synthetic", *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1
    assert says in process.stderr
    assert not list(tmp_path.iterdir())
