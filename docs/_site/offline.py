"""What a finished site is asked for: no page may need anything from outside."""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SOURCE = r"<(?:script|img|iframe|source|audio|video)\b[^>]*\bsrc=\"(?:https?:)?//"
OUTSIDE = re.compile(SOURCE + r"|<link\b[^>]*\bhref=\"(?:https?:)?//")
IMPORTED = re.compile(r"@import\s+[\"'u]|url\(\s*[\"']?(?:https?:)?//")


def check_requests(app: Sphinx, failure: Exception | None) -> None:
    """Fail where a page or a style asks another place for something; links that a reader follows are none."""
    if failure is None and app.builder.format == "html":
        for path in sorted([*Path(app.outdir).rglob("*.html"), *Path(app.outdir).rglob("*.css")]):
            found = (OUTSIDE if path.suffix == ".html" else IMPORTED).search(path.read_text(encoding="utf-8"))
            if found:
                raise ExtensionError(f"{path.relative_to(app.outdir)} asks for something outside: {found[0]}")


def setup(app: Sphinx) -> dict[str, bool]:
    """When all is written."""
    app.connect("build-finished", check_requests)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
