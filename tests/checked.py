"""The type checker of the tests: beartype, which looks once at every function, however often it is defined.

jaxtyping has every ``def`` of the package checked, also those inside of functions, each time that these are called. For
each it makes functions of the same signature and hands them to the checker. To compile those anew took a tenth of
the tests' time.
"""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

by_beartype: Any = beartype(conf=BeartypeConf(is_pep484_tower=True))
_known: dict[Any, Callable[..., Any]] = {}


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its arguments and result checked.

    What jaxtyping hands in does nothing but return, so that one does for all of the same place, arguments and types.
    """
    code: Any = getattr(function, "__code__", None)
    if code is None:
        return by_beartype(function)
    shape = code.co_varnames, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    key = function.__module__, function.__qualname__, *shape, *function.__annotations__.items()
    try:
        known = _known.get(key)
    except TypeError:  # a type that cannot be looked up
        return by_beartype(function)
    if known is None:
        known = _known[key] = by_beartype(function)
    return known
