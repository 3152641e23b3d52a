"""Programs kept between runs: read again, capped, and harmless when an entry is broken."""

import os
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import pytest

from jaxflow.running.compilation import kept_programs, programs_folder

OPTIONS = (
    "jax_compilation_cache_dir", "jax_compilation_cache_max_size", "jax_persistent_cache_min_compile_time_secs",
)  # fmt: skip


@pytest.fixture
def no_cache():
    """The tests' own cache set aside."""
    before = {name: getattr(jax.config, name) for name in OPTIONS}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def compile_program(value: float) -> None:
    """One that no other test compiles, anew whenever it is called: a function of its own."""
    assert float(jax.jit(lambda x: jnp.sin(x) * 1.2345 + x)(value)) != 0


def entries(folder):
    return {file.name for file in folder.glob("*-cache")}


@pytest.mark.usefixtures("no_cache")
def test_the_second_run_finds_what_the_first_compiled(tmp_path):
    with kept_programs(tmp_path) as first:
        compile_program(1.0)
    assert first
    kept = {file: (tmp_path / file).stat().st_mtime_ns for file in entries(tmp_path)}
    assert kept
    with kept_programs(tmp_path) as first:
        compile_program(2.0)
    assert not first
    assert {file: (tmp_path / file).stat().st_mtime_ns for file in entries(tmp_path)} == kept
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize("damage", ["empty", "half", "no time", "no entry"])
def test_a_half_written_entry_does_no_harm(tmp_path, damage):
    with kept_programs(tmp_path):
        compile_program(1.0)
    for name in entries(tmp_path):
        entry, time = tmp_path / name, tmp_path / name.replace("-cache", "-atime")
        if damage == "no time":
            time.unlink()
        elif damage == "no entry":
            entry.unlink()
        else:
            content = entry.read_bytes()
            entry.write_bytes(content[: len(content) // 2] if damage == "half" else b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with kept_programs(tmp_path):
                compile_program(1.0)
    assert entries(tmp_path)
    with kept_programs(tmp_path) as first:
        assert not first


@pytest.mark.usefixtures("no_cache")
def test_other_warnings_are_shown(tmp_path):
    with pytest.warns(UserWarning, match="something else"), kept_programs(tmp_path):
        warnings.warn("something else", UserWarning, stacklevel=1)


def test_a_cache_of_the_users_stays(tmp_path):
    """The tests have set one."""
    before = jax.config.jax_compilation_cache_dir
    with kept_programs(tmp_path / "own") as first:
        assert jax.config.jax_compilation_cache_dir == before
    assert not first
    assert not (tmp_path / "own").exists()


@pytest.mark.usefixtures("no_cache")
def test_a_folder_that_cannot_be_is_not_used(tmp_path):
    (tmp_path / "file").write_text("x")
    with kept_programs(tmp_path / "file" / "folder") as first:
        compile_program(1.0)
    assert not first


def test_importing_keeps_nothing(tmp_path):
    """Nothing is written, and JAX's options stay, until the command runs."""
    modules = "jaxflow, jax, jaxflow.running.experiment, jaxflow.running.compilation"
    code = f"import {modules}; print(jax.config.jax_compilation_cache_dir)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"XDG_CACHE_HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "None"
    assert not (tmp_path / "jaxflow").exists()


def test_the_folder_is_this_processors():
    assert jax.__version__ in programs_folder().name
