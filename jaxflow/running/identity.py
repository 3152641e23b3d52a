"""What a user's function is known by: a run records it, and goes on with the same one only."""

import hashlib
import inspect
import re
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any

import jax
import numpy as np

from jaxflow.errors import InputError, shown


def function_identity(function: Any) -> dict[str, str]:
    """What a manifest records of a user's function: its qualified name, and the SHA-256 of its source.

    Where there is no source, its compiled code with names and constants. Defaults and a closure's variables belong to
    it; of a ``functools.partial`` the arguments, of an object that is called its class and its attributes. Functions
    among these count by their own identity, other objects by what they print, without the address. Global variables
    are not seen.

    Raises:
        InputError: no function.
    """
    if not callable(function):
        raise InputError(f"a config cannot hold {shown(function)}")
    if isinstance(function, partial):
        inner = function_identity(function.func)
        given = f"{inner['sha256']} {_printed(function.args)} {_printed(sorted(function.keywords.items()))}".encode()
        return {"function": inner["function"], "sha256": hashlib.sha256(given).hexdigest()}
    named = hasattr(function, "__qualname__")
    code = function if named else type(function)
    try:
        source = inspect.getsource(code).encode()
    except (OSError, TypeError):  # typed into a console, or compiled
        compiled = getattr(code, "__code__", None)
        source = code.__qualname__.encode() if compiled is None else _printed(compiled).encode()
    inner = getattr(function, "__code__", None)
    cells = dict(zip(inner.co_freevars if inner else (), getattr(function, "__closure__", None) or (), strict=False))
    bound = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None), cells]
    if named and any(bound):  # a plain function keeps the identity of its source alone, so that folders go on
        source += _printed(bound).encode()
    if not named:
        source += _printed(vars(function)).encode() if hasattr(function, "__dict__") else b""
    return {"function": f"{code.__module__}.{code.__qualname__}", "sha256": hashlib.sha256(source).hexdigest()}


def _printed(value: Any) -> str:
    """What a value is known by in a function's identity: the same in every process, so without addresses."""
    if isinstance(value, CodeType):
        return f"{value.co_code.hex()} {value.co_names} {value.co_freevars} {_printed(value.co_consts)}"
    if isinstance(value, CellType):
        try:
            return _printed(value.cell_contents)
        except ValueError:  # not assigned yet
            return "nothing"
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{_printed(key)}: {_printed(own)}' for key, own in value.items()))}}}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(map(_printed, value))})"
    if isinstance(value, (set, frozenset)):
        return f"set({', '.join(sorted(map(_printed, value)))})"
    if isinstance(value, (np.ndarray, jax.Array)):  # printed they would be abridged
        array = np.asarray(value)
        return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, FunctionType):
        return _printed(function_identity(value)) if value.__closure__ is None else _printed(value.__code__)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
