"""Mermaid's blocks, which GitHub draws in the browser, as drawings that need no script and nothing from outside."""

import re

import mmdr
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx


class Mermaid(Directive):
    """The drawing, in the page itself so that it takes the page's colours (``site.css``); its words are its text."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """One SVG, whose names are those of this drawing."""
        number = self.state.document.settings.env.new_serialno("mermaid")
        drawing = mmdr.render("\n".join(self.content)).svg()
        drawing = re.sub(r"\bmerman", f"diagram-{number}", drawing)
        return [nodes.raw("", f'<div class="diagram">{drawing}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """As a fence's name: Markdown's ```mermaid is this directive."""
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
