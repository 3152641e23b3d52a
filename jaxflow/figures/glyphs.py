"""Characters that the figures' font does not have, told in one line."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from jaxflow.errors import MissingGlyphsWarning, printable

LACKING = re.compile(r"Glyph (\d+) \(")  # matplotlib's own warning of one character
SCRIPT = "Matplotlib currently does not support"  # which some of its versions say beside it
MOST = 20  # characters that the line shows


@contextmanager
def missing_glyphs() -> Iterator[None]:
    """Warn once of all characters that figures drawn in the block show as boxes; matplotlib does for each, each time.

    All other warnings go their way.
    """
    lacking: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("always", LACKING.pattern)
        warnings.filterwarnings("ignore", SCRIPT)
        shown = warnings.showwarning

        def keep(message: Warning | str, *args: object) -> None:
            glyph = LACKING.match(str(message))
            if glyph:
                lacking[chr(int(glyph[1]))] = None
            else:
                shown(message, *args)  # pyright: ignore[reportArgumentType]

        warnings.showwarning = keep
        yield
    if lacking:
        some = "".join(list(lacking)[:MOST]) + ("…" if len(lacking) > MOST else "")
        line = f"the font of the figures has no {printable(some)}: they show boxes there; the tables have the names"
        warnings.warn(line, MissingGlyphsWarning, stacklevel=3)
