"""The one exception that means "your input, not our code", and how foreign text is shown on one line."""

from collections.abc import Callable
from typing import Any


class InputError(ValueError):
    """Something that the user gave cannot be used; the message is one line and names cause and fix.

    Names, paths and other programs' messages become part of it: their line breaks and control characters are escaped.

    Example:
        >>> try:
        ...     jaxflow.load_dataset("adlut")
        ... except jaxflow.InputError as error:
        ...     print(error)
        unknown dataset 'adlut'; choose from synthetic, adult-small, adult-large, mnist
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


def printable(text: str) -> str:
    r"""The text on one line: line breaks, control characters and lone surrogates as escapes such as ``\n``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: Any, longest: int = 60, form: Callable[[Any], str] = repr) -> str:
    """``repr`` (or ``str``) of anything, on one line of at most ``longest`` characters."""
    try:
        text = form(value)
    except Exception:  # a foreign object may raise anything
        text = f"<{type(value).__name__}>"
    text = printable(" ".join(text.split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def cause(error: BaseException) -> str:
    """What the system says of an error, else the first line of its message, else its type."""
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
