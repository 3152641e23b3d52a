"""HTML from values: everything that comes from a user is escaped here and nowhere else."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from jaxflow.errors import printable

OPEN = 25  # rows of a table that is open at first


def escaped(value: object) -> str:
    """A text as HTML, on one line, fit for content and for attributes in double quotes."""
    return html.escape(printable(str(value)), quote=True)


def element(tag: str, content: str = "", **attributes: object) -> str:
    """An element around content that is HTML already; ``class_`` is ``class``, ``data_x`` is ``data-x``."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    inside = "".join(f' {name}="{escaped(value)}"' for name, value in named.items())
    return f"<{tag}{inside}>{content}</{tag}>"


def data_block(contents: Mapping[str, Any]) -> str:
    """JSON that may stand in a ``script`` element: nothing in it can end that element or begin a comment."""
    text = json.dumps(contents, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def number(value: Any, form: str) -> str:
    """A number as text; a dash where there is none."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    text = format(value, form)
    return (text.lstrip("-") if not text.strip("-0.") else text).replace("-", "−")


def bits(value: Any) -> str:
    """Bits, or a p-value, as the whole page writes them: to four decimals."""
    return number(value, ".4f")


def points(value: Any, sign: str = "") -> str:
    """Per cent or percentage points without their unit, as the whole page writes them: to two decimals.

    Args:
        value: the number.
        sign: ``+`` for changes, which show that they rise.
    """
    return number(value, f"{sign}.2f")


def percent(value: Any) -> str:
    """``points`` with its unit."""
    text = points(value)
    return text if text == "–" else f"{text} %"


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], caption: str, texts: int = 1, **attributes: object
) -> str:
    """A table with a caption.

    Args:
        header: names of the columns.
        rows: their cells, numbers as ``number`` writes them.
        caption: what it shows, escaped already.
        texts: how many of the first columns are text; the first is the row's header.
        attributes: of the table.
    """
    names = [
        element("th", escaped(name), scope="col", class_="text" if 0 < place < texts else None)
        for place, name in enumerate(header)
    ]
    lines = [element("tr", "".join(names))]
    body = []
    for row in rows:
        first, *others = row
        cells = [element("th", escaped(first), scope="row")]
        for place, cell in enumerate(others, start=1):
            cells.append(element("td", escaped(cell), class_="text" if place < texts else None))
        body.append(element("tr", "".join(cells)))
    inside = element("thead", lines[0]) + element("tbody", "\n".join(body))
    return _scrolling(element("caption", caption) + inside, caption, attributes)


def _scrolling(inside: str, caption: str, attributes: Mapping[str, object]) -> str:
    """A table in a box of its own height, which keys can scroll."""
    return element("div", element("table", inside, **attributes), class_="scroll", tabindex=0, role="region",
                   aria_label=html.unescape(caption))  # fmt: skip


def folded(table: str) -> str:
    """A table behind a line that opens it: what is closed is not laid out, which of long tables takes longest.

    Short ones are open. The line is the table's caption.
    """
    caption = table[table.index("<caption>") + len("<caption>") : table.index("</caption>")]
    short = table.count("<tr>") <= OPEN
    return element("details", element("summary", caption) + table, open="" if short else None, class_="folded")
