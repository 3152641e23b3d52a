"""How the command's arguments are read: refusals of one line, and the types of options. Needs no JAX."""

import argparse
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from jaxflow.errors import InputError, alternatives, did_you_mean, printable, shown
from jaxflow.values import FLOAT32, LAYERS, WIDTH, folder, real, whole


class Parser(argparse.ArgumentParser):
    """Errors are one line on stderr, exit code 2; they name what comes nearest to a word that is not known."""

    def error(self, message: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Name the cause and where to look."""
        message = printable(re.sub("^argument ([^ ]+): must ", r"\1 must ", message).removeprefix("argument "))
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists the options\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Refuse what is not known here, where the command's own options are at hand, and not in the parser above."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = [option for option in self._option_string_actions if option.startswith("--")]
            hint = did_you_mean(unknown[0].split("=")[0], options) if unknown[0].startswith("-") else ""
            self.error(f"unrecognized arguments: {shown(' '.join(unknown), form=str)}{hint and f' ({hint})'}")
        return known, unknown

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Refuse ``--seeds=--``, which argparse takes for no value at all."""
        values = super()._get_values(action, arg_strings)
        if action.nargs is None and values == []:
            raise argparse.ArgumentError(action, "expected one argument")
        return values

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of an option's choices."""
        if action.choices is not None and value not in action.choices:
            choose = f"{shown(value)}; {alternatives(value, action.choices)}"
            if action.option_strings:
                raise argparse.ArgumentError(action, f"unknown value {choose}")
            raise argparse.ArgumentError(None, f"unknown {action.dest} {choose}")


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults that are a value; that nothing is given by itself need not be said."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        """The help with the default, or as it is."""
        unsaid = action.default is None or action.default is False or action.default == ()
        return action.help if unsaid else super()._get_help_string(action)


def refused_at_once(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """An argparse type from a check of the library's, which so refuses before JAX is loaded.

    The check is given no name, since argparse says which option the value belongs to.
    """

    def checked(text: str) -> Any:
        try:
            return convert(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error).strip()) from None

    return checked


def number(low: int, high: int) -> Callable[[str], int]:
    """The type of an option that is an integer."""
    digits = re.compile(r"[-+]?[0-9]{1,100}")
    return refused_at_once(lambda text: whole("", int(text) if digits.fullmatch(text) else text, low, high))


def decimal(low: float = -FLOAT32, high: float = FLOAT32) -> Callable[[str], float]:
    """The type of an option that is a number between two others."""

    def converted(text: str) -> float:
        try:
            value: Any = float(text)
        except ValueError:
            value = text
        return real("", value, low, high)

    return refused_at_once(converted)


path = refused_at_once(partial(folder, ""))
"""The type of an option that is a file or a folder."""


def widths(text: str) -> tuple[int, ...]:
    """Widths of layers from ``16,8`` or ``32x20`` or both."""
    parts = [re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", part.strip()) for part in text.split(",")]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{shown(text)} are no widths; write 16,8 or 32x20")
    counts = [(int(part[1]), int(part[2] or 1)) for part in parts if part]
    if not all(1 <= width <= WIDTH and count > 0 for width, count in counts) or sum(n for _, n in counts) > LAYERS:
        limits = f"1 to {WIDTH} nodes, in up to {LAYERS} layers"
        raise argparse.ArgumentTypeError(f"{shown(text)}: hidden layers have {limits}")
    return tuple(width for width, count in counts for _ in range(count))
