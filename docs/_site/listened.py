"""What Sphinx writes, mended for those who listen to a page instead of looking at it."""

import re
from typing import Any

from sphinx.application import Sphinx

PARAMETERS = re.compile(r'<dl>\n((?:<dd><em class="sig-param.*</dd>\n)+)</dl>')  # of a signature of several lines
CORNER = '<th class="head"><p></p></th>'


def mended(body: str) -> str:
    """A page whose signatures are no lists of definitions, and whose tables have no heading without words."""
    return PARAMETERS.sub(_lines, body).replace(CORNER, "<td></td>")


def _lines(found: re.Match[str]) -> str:
    """The parameters of a signature, each a line of its own (see ``site.css``)."""
    inside = found[1].replace("<dd>", '<span class="parameter">').replace("</dd>", "</span>")
    return f'<span class="parameters">\n{inside}</span>'


def mend(_app: Sphinx, _name: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Before a page is written."""
    if "body" in context:
        context["body"] = mended(context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """For every page."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
