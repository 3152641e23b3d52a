"""The one exception that means "your input, not our code", two warnings, and how foreign text is shown on one line."""

from collections.abc import Callable
from typing import Any


class InputError(ValueError):
    """Something that the user gave cannot be used; the message is one line and names cause and fix.

    Names, paths and other programs' messages become part of it: their line breaks and control characters are escaped.

    Example:
        >>> try:
        ...     load_dataset("adlut")
        ... except InputError as error:
        ...     print(error)
        unknown dataset 'adlut'; choose from synthetic, adult-small, adult-large, mnist
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


class ThinCellsWarning(UserWarning):
    """Classes, or classes within strata, have fewer rows than columns + 2: their information is mostly chance.

    The warning names them. Given by ``network_flows`` and by the estimators ``gaussian`` and ``copula``, where values
    can be looked at; a run says it before it begins, and in its summary.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", ThinCellsWarning)
        ...     bits = gaussian([0, 1, 1], [[0.5, 1.0], [1.0, 0.0], [0.5, 0.0]])
    """


class MissingGlyphsWarning(UserWarning):
    """Names hold characters that the figures' font does not have; the figures show boxes in their place."""


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


CLASS_NUMBERS = "np.unique(values, return_inverse=True)[1] numbers labels of any kind"


def counted(count: Any, noun: str) -> str:
    """``1 node``, ``2 nodes``, ``1,000 classes``."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"
