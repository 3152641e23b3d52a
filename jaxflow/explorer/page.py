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
MODULES = {  # of each kind of page, in an order in which each finds what it imports
    "run": (
        *("data", "ranks", "drawing", "state", "layout", "view", "network", "tradeoff", "effects", "course", "tables"),
        *("page", "controls", "details", "main"),
    ),
    "edit": ("data", "ranks", "drawing", "state", "layout", "tables", "edited", "changes", "editing"),
}
IMPORT, EXPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE), re.compile(r"^export ", re.MULTILINE)
BLOCK = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- /\1 -->\n", re.DOTALL)  # of the template, with what not every page has
PLACE = re.compile(r"\{\{(\w+)\}\}")


@cache
def script(kind: str) -> str:
    """All modules of a kind of page as one: a file on disk may not import others."""
    texts = [FILES.joinpath("scripts", f"{name}.js").read_text(encoding="utf-8") for name in MODULES[kind]]
    return _unindented("\n".join(EXPORT.sub("", IMPORT.sub("", text)) for text in texts))


@cache
def style() -> str:
    """The style sheet."""
    return _unindented(FILES.joinpath("report.css").read_text(encoding="utf-8"))


def _unindented(text: str) -> str:
    """Lines without the spaces before them, an eighth of the text, and without comments and empty ones."""
    lines = map(str.strip, text.splitlines())
    return "\n" + "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def policy(kind: str) -> str:
    """What the page may do: run its own script, use its own style, and nothing else; it can ask nobody for anything."""
    own = {name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in
           (("script", script(kind)), ("style", style()))}  # fmt: skip
    rules = ("default-src 'none'", f"script-src 'sha256-{own['script']}'", f"style-src 'sha256-{own['style']}'",
             "base-uri 'none'", "form-action 'none'")  # fmt: skip
    return "; ".join(rules)


def filled(
    kind: str, contents: Mapping[str, Any], parts: Mapping[str, str], there: Collection[str] = frozenset()
) -> str:
    """The page.

    Args:
        kind: ``run``, which recordings are as well, or ``edit``.
        contents: what the script reads.
        parts: HTML by the name of its place in the template, escaped already.
        there: names of the template's blocks that this page has.
    """
    own = {
        "policy": escaped(policy(kind)),
        "style": style(),
        "script": script(kind),
        "data": data_block(contents),
        **parts,
    }
    whole, main = (FILES.joinpath(f"{name}.html").read_text(encoding="utf-8") for name in ("page", kind))
    template = whole.replace("{{main}}", main)
    template = BLOCK.sub(lambda block: block[2] if block[1] in there else "", template)
    return PLACE.sub(lambda place: own[place[1]], template)
