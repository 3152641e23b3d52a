"""How functions are compiled: ``jax.jit`` with compiler options that suit the device, also inside of other programs."""

import functools
import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
from jax.core import Tracer

ALONE = {"xla_cpu_multi_thread_eigen": False}
"""Compiler options of what ``on_all_cores`` runs: every thread multiplies matrices by itself."""
# Most of the compile time goes to XLA's newer code generator for CPUs and to optimisations beyond the first level.
# Nothing runs faster for the latter; passes through networks take three quarters of the time by the newer code, the
# many small loops about subsets and permutations as long as by the older. A flag that XLA does not know is an error.
OLDER_CODE = {"xla_cpu_use_fusion_emitters": False} if version("jaxlib").startswith("0.10.") else {}
REPEATED = {"xla_backend_optimization_level": 1}
"""Compiler options on a CPU of what runs for longer than it compiles: all that makes it run faster."""
QUICK = {**REPEATED, **OLDER_CODE}
"""Compiler options on a CPU: programs compile in about half of the time."""
BRIEF = {"xla_backend_optimization_level": 0, **OLDER_CODE}
"""Compiler options on a CPU of what takes longer to compile than to run: the least optimisation there is."""


def _unless_flagged(options: dict[str, Any]) -> dict[str, Any]:
    """Options but those that ``XLA_FLAGS`` names: who sets flags means them."""
    flags = os.environ.get("XLA_FLAGS", "")
    return {name: value for name, value in options.items() if name not in flags}


class Compiled:
    """A function compiled with options, as ``jax.jit`` does; inside of other programs it is a part of these.

    Example:
        >>> double = Compiled(lambda x: 2 * x)
        >>> double(3.0).item()
        6.0
    """

    def __init__(
        self, function: Callable[..., Any], *static: str, alone: bool = False, on_cpu: dict[str, Any] = QUICK
    ) -> None:
        """Nothing is compiled yet.

        Args:
            function: pure.
            static: names of arguments that are no arrays; they are handed in by name or place.
            alone: whether threads run the program side by side.
            on_cpu: further options on a CPU.
        """
        functools.update_wrapper(self, function)
        options, on_cpu = ALONE if alone else {}, _unless_flagged(on_cpu)
        self._inside = jax.jit(function, static_argnames=static)
        self._on_cpu = jax.jit(function, static_argnames=static, compiler_options=options | on_cpu)
        self._elsewhere = jax.jit(function, static_argnames=static, compiler_options=options)

    @property
    def _outside(self) -> Any:
        """For this device, which is not known before JAX has started."""
        return self._on_cpu if jax.default_backend() == "cpu" else self._elsewhere

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function returns."""
        leaves = jax.tree.leaves((arguments, named))
        return (self._inside if any(isinstance(leaf, Tracer) for leaf in leaves) else self._outside)(
            *arguments, **named
        )

    def lower(self, *arguments: Any, **named: Any) -> Any:
        """As ``jax.jit``'s."""
        return self._outside.lower(*arguments, **named)

    def trace(self, *arguments: Any, **named: Any) -> Any:
        """As ``jax.jit``'s."""
        return self._outside.trace(*arguments, **named)

    def _cache_size(self) -> int:
        """Programs that have been compiled, as ``jax.jit`` counts them."""
        return self._outside._cache_size()


def compiled(*static: str, alone: bool = False, on_cpu: dict[str, Any] = QUICK) -> Callable[[Callable], Compiled]:
    """``Compiled`` as a decorator."""
    return lambda function: Compiled(function, *static, alone=alone, on_cpu=on_cpu)
