"""What a user's function is known by: a run records it, and goes on with the same one only."""

import hashlib
import inspect
import re
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import jax
import numpy as np

from jaxflow.errors import InputError, shown


def function_identity(function: Any) -> dict[str, str]:
    """What a manifest records of a user's function: its qualified name, and the SHA-256 of its source.

    Where there is no source, its compiled code with names and constants. Defaults and a closure's variables belong to
    it; of a ``functools.partial`` the arguments, of a method its object's attributes, of an object that is called its
    class and its attributes. ``jax.jit`` of a function is that function; what another decorator makes of one counts by
    the decorator's source too. Functions among these count by their own identity, other objects by what they print,
    without the address. Global variables are not seen.

    Raises:
        InputError: no function.
    """
    if not callable(function):
        raise InputError(f"a config cannot hold {shown(function)}")
    return _identity(function, ())


def _identity(function: Any, above: tuple[Any, ...]) -> dict[str, str]:
    """``function_identity`` of a function that those ``above`` hold, the outermost first."""
    if isinstance(function, partial):
        inner, own = _identity(function.func, above), (*above, function)
        keywords = _printed(sorted(function.keywords.items()), own)
        given = f"{inner['sha256']} {_printed(function.args, own)} {keywords}".encode()
        return {"function": inner["function"], "sha256": hashlib.sha256(given).hexdigest()}
    if not hasattr(function, "__code__") and callable(getattr(function, "__wrapped__", None)):  # jax.jit
        return _identity(function.__wrapped__, above)
    named = hasattr(function, "__qualname__")
    code = function if named else type(function)
    inner = getattr(function, "__code__", None)
    try:
        source = inspect.getsource(inner if named and inner else code).encode()  # of a decorated function its own
    except (OSError, TypeError):  # typed into a console, or compiled
        compiled = getattr(code, "__code__", None)
        source = code.__qualname__.encode() if compiled is None else _printed(compiled).encode()
    source += _held(function, named, (*above, function)).encode()
    return {"function": f"{code.__module__}.{code.__qualname__}", "sha256": hashlib.sha256(source).hexdigest()}


def _held(function: Any, named: bool, above: tuple[Any, ...]) -> str:
    """What belongs to a function beside its source; nothing of a plain one, whose folders go on by its source alone."""
    if not named:
        return _printed(vars(function), above) if hasattr(function, "__dict__") else ""
    inner = getattr(function, "__code__", None)
    cells = dict(zip(inner.co_freevars if inner else (), getattr(function, "__closure__", None) or (), strict=False))
    bound = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None), cells]
    owner = vars(function.__self__) if inspect.ismethod(function) and hasattr(function.__self__, "__dict__") else {}
    return (_printed(bound, above) if any(bound) else "") + (_printed(owner, above) if owner else "")


def _printed(value: Any, above: tuple[Any, ...] = ()) -> str:
    """What a value is known by in a function's identity: the same in every process, so without addresses."""
    if isinstance(value, CodeType):
        return f"{value.co_code.hex()} {value.co_names} {value.co_freevars} {_printed(value.co_consts)}"
    if isinstance(value, CellType):
        try:
            return _printed(value.cell_contents, above)
        except ValueError:  # not assigned yet
            return "nothing"
    if isinstance(value, dict):
        pairs = (f"{_printed(key, above)}: {_printed(own, above)}" for key, own in value.items())
        return f"{{{', '.join(sorted(pairs))}}}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(_printed(own, above) for own in value)})"
    if isinstance(value, (set, frozenset)):
        return f"set({', '.join(sorted(_printed(own, above) for own in value))})"
    if isinstance(value, (np.ndarray, jax.Array)):  # printed they would be abridged
        array = np.asarray(value)
        return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if _is_function(value) and not any(value is own for own in above):  # one that calls itself holds itself
        return _printed(_identity(value, above))
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _is_function(value: Any) -> bool:
    """Whether a value counts by its own identity: a function, a method, a partial, or ``jax.jit`` of one."""
    return isinstance(value, (FunctionType, MethodType, partial)) or (
        not isinstance(value, type) and callable(value) and callable(getattr(value, "__wrapped__", None))
    )
