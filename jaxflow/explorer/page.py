"""One HTML file that needs nothing outside: contents, tables, figures, style, script, and a policy that says so."""

import base64
import hashlib
import importlib.resources
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from jaxflow.explorer.writing import data_block, escaped

FILES = importlib.resources.files("jaxflow.explorer")
MODULES = (  # in an order in which each finds what it imports
    *("data", "ranks", "state", "drawing", "layout", "view", "network", "tradeoff", "effects", "course", "tables"),
    *("page", "controls", "details", "main"),
)
IMPORT, EXPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE), re.compile(r"^export ", re.MULTILINE)
BLOCK = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- /\1 -->\n", re.DOTALL)  # of the template, with what not every page has
PLACE = re.compile(r"\{\{(\w+)\}\}")


@cache
def script() -> str:
    """All modules as one: a file on disk may not import others."""
    texts = [FILES.joinpath("scripts", f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    return _unindented("\n".join(EXPORT.sub("", IMPORT.sub("", text)) for text in texts))


@cache
def style() -> str:
    """The style sheet."""
    return _unindented(FILES.joinpath("report.css").read_text(encoding="utf-8"))


def _unindented(text: str) -> str:
    """Lines without the spaces before them, an eighth of the text, and without empty ones."""
    return "\n" + "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())


def policy() -> str:
    """What the page may do: run its own script, use its own style, and nothing else; it can ask nobody for anything."""
    own = {name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in
           (("script", script()), ("style", style()))}  # fmt: skip
    rules = ("default-src 'none'", f"script-src 'sha256-{own['script']}'", f"style-src 'sha256-{own['style']}'",
             "base-uri 'none'", "form-action 'none'")  # fmt: skip
    return "; ".join(rules)


def filled(contents: Mapping[str, Any], parts: Mapping[str, str], there: Collection[str]) -> str:
    """The page.

    Args:
        contents: what the script reads.
        parts: HTML by the name of its place in the template, escaped already.
        there: names of the template's blocks that this page has.
    """
    own = {
        "policy": escaped(policy()),
        "style": style(),
        "script": script(),
        "data": data_block(contents),
        **parts,
    }
    template = FILES.joinpath("page.html").read_text(encoding="utf-8")
    template = BLOCK.sub(lambda block: block[2] if block[1] in there else "", template)
    return PLACE.sub(lambda place: own[place[1]], template)
