"""Compiled programs kept between runs: JAX's persistent cache in a folder of the user, for the command alone."""

import hashlib
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jax
import platformdirs
from jax.experimental.compilation_cache.compilation_cache import reset_cache

MOST_BYTES = 2**29
DIRECTORY = "jax_compilation_cache_dir"  # JAX's option
ENTRY, USED = "-cache", "-atime"  # JAX's endings of a program's file and of the file that says when it was last used
UNREADABLE = "Error reading persistent compilation cache entry"


def programs_folder() -> Path:
    """Where this processor's programs are kept; another processor, or another JAX, cannot run them."""
    try:
        features = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):  # no Linux, or another architecture
        features = platform.processor()
    name = f"jax-{jax.__version__}-{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"
    return Path(platformdirs.user_cache_dir("jaxflow")) / "compiled" / name


@contextmanager
def kept_programs(folder: Path | None = None) -> Iterator[bool]:
    """While the block lasts, JAX reads what it compiles from a folder if it is there, and keeps it there if not.

    The folder is capped at half a gigabyte, the least recently used programs go first; JAX locks it, so that runs may
    share it. A run that was killed can leave half an entry: it is compiled anew and the folder emptied at the end, as
    JAX would never replace it. A folder that cannot be written to is not used. A cache that the user has set by
    ``JAX_COMPILATION_CACHE_DIR`` stays as it is.

    Args:
        folder: ``programs_folder()`` if not given.

    Yields:
        Whether nothing has been kept yet, so that everything will be compiled.
    """
    folder = folder or programs_folder()
    if getattr(jax.config, DIRECTORY) is not None or not _usable(folder):
        yield False
        return
    first = not any(folder.glob(f"*{ENTRY}"))
    _drop_halves(folder)
    options = {
        DIRECTORY: str(folder),
        "jax_compilation_cache_max_size": MOST_BYTES,
        "jax_persistent_cache_min_compile_time_secs": 0,
    }
    before = {name: getattr(jax.config, name) for name in options}
    _set(options)
    try:
        with _unreadable_entries() as unreadable:
            yield first
    finally:
        _set(before)
    if unreadable:
        for file in folder.glob(f"*{ENTRY}"):
            file.unlink(missing_ok=True)
        _drop_halves(folder)


def _usable(folder: Path) -> bool:
    """Whether files can be written into the folder, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".written").touch()
    except OSError:
        return False
    return True


def _drop_halves(folder: Path) -> None:
    """Delete entries without the time of their use, and the other way round: JAX stops at such a pair."""
    files = {file.name for file in folder.iterdir()}
    for ending, other in ((ENTRY, USED), (USED, ENTRY)):
        for name in files:
            if name.endswith(ending) and name.removesuffix(ending) + other not in files:
                with suppress(OSError):
                    (folder / name).unlink(missing_ok=True)


def _set(options: dict[str, object]) -> None:
    """Set JAX's options, and have the cache opened anew with them."""
    for name, value in options.items():
        jax.config.update(name, value)
    reset_cache()


@contextmanager
def _unreadable_entries() -> Iterator[list[str]]:
    """What JAX says of entries that it cannot read, instead of a warning for each."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", UNREADABLE)
        shown = warnings.showwarning

        def keep(message: Warning | str, *args: object) -> None:
            if str(message).startswith(UNREADABLE):
                found.append(str(message))
            else:
                shown(message, *args)  # pyright: ignore[reportArgumentType]

        warnings.showwarning = keep
        yield found
