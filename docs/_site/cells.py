"""Pages stay plain Markdown that any reader shows: on those that run, the Python blocks become cells on the way in."""

import re
from pathlib import Path

from sphinx.application import Sphinx

MARK = "<!-- The Python of this page runs when the site is built. -->\n"
HEAD = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
# What a reader's own session has is not what a page wants: crisp figures, and no warning passed over.
FIRST = """```{code-cell}
:tags: [remove-cell]
%matplotlib inline
%config InlineBackend.figure_formats = ["svg"]
import warnings
import pandas
pandas.set_option("display.width", 110, "display.max_columns", 20)
warnings.simplefilter("error")
for category in (DeprecationWarning, PendingDeprecationWarning):  # of the kernel's own parts
    warnings.simplefilter("ignore", category)
```
"""
BLOCK = re.compile(r"^(?:<!-- figure: (?P<alt>[^\n]*) -->\n)?```python\n", flags=re.MULTILINE)
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]*)\]\((?P<target>[^)#:]+)\)")


def opened(block: re.Match[str]) -> str:
    """The first lines of a cell; a comment before it says what its figure shows to those who do not see it."""
    alt = block["alt"]
    return "```{code-cell}\n" + (f"---\nmystnb:\n  image:\n    alt: >-\n      {alt}\n---\n" if alt else "")


def inside(page: Path, link: re.Match[str]) -> str:
    """A link that stays on the site: README's words are on the first page, and a folder is no page."""
    target = (page.parent / link["target"]).resolve()
    if target.name == "README.md":
        return f"[{link['words']}](index.md)"
    return link["words"] if target.is_dir() else link[0]


def prepare(app: Sphinx, name: str, source: list[str]) -> None:
    """Cells and links of one page."""
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md":
        source[0] = LINK.sub(lambda link: inside(page, link), source[0])
    if MARK in source[0]:
        source[0] = HEAD + BLOCK.sub(opened, source[0].replace(MARK, FIRST))


def setup(app: Sphinx) -> dict[str, bool]:
    """Before a page is read."""
    app.connect("source-read", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
