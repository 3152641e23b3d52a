"""The one exception that means "your input, not our code", two warnings, and how foreign text is shown on one line."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

LONGEST_LOOKUP = 200  # characters of a name that similar ones are looked up for


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


def similar_names(name: Any, known: Iterable[Any]) -> list[str]:
    """The names of a list that somebody may have meant: at most three that contain the name, else the most similar one.

    Upper and lower case count as the same.

    Args:
        name: what was given, of any type; only text is similar to anything.
        known: the names that there are.
    """
    by_form = {str(own).casefold(): str(own) for own in known}
    form = name.strip().casefold() if isinstance(name, str) else ""
    if not 0 < len(form) <= LONGEST_LOOKUP:
        return []
    containing = [own for other, own in by_form.items() if form in other]
    if len(form) > 2 and 0 < len(containing) <= 3:
        return containing
    return [by_form[own] for own in difflib.get_close_matches(form, by_form, n=1)]


def did_you_mean(name: Any, known: Iterable[Any]) -> str:
    """``did you mean 'gaussian'?``, or nothing where no known name is similar."""
    return f"did you mean {' or '.join(map(shown, similar))}?" if (similar := similar_names(name, known)) else ""


def alternatives(name: Any, known: Iterable[Any]) -> str:
    """What to give in the place of an unknown name: ``did you mean 'edge'? choose from node, edge, path``."""
    known = [printable(str(own)) for own in known]
    return " ".join(filter(None, (did_you_mean(name, known), f"choose from {', '.join(known)}")))


CLASS_NUMBERS = "np.unique(values, return_inverse=True)[1] numbers labels of any kind"


def counted(count: Any, noun: str) -> str:
    """``1 node``, ``2 nodes``, ``1,000 classes``."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"
