"""The reference: signatures as the source has them, names by which they are imported, and none left out."""

import ast
import importlib
import inspect
import re
import textwrap
from functools import cache
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

MODULES = ("jaxflow", "jaxflow.pipeline", "jaxflow.debiasing", "jaxflow.metrics", "jaxflow.information")
SHOWN = ("class", "exception", "function", "data")


@cache
def exported() -> dict[str, Any]:
    """Every public name with what it stands for; the first module that exports a thing is its home."""
    found: dict[str, Any] = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            thing = getattr(module, name)
            if not any(thing is other for other in found.values()):
                found[f"{module.__name__}.{name}"] = thing
    return found


def written_signature(thing: Any) -> tuple[str, str]:
    """Arguments and result as the source writes them: ``ArrayLike``, not the union of what NumPy takes for one."""
    node = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        arguments.args = [argument for argument in arguments.args if argument.arg not in ("self", "cls")]
        return f"({ast.unparse(arguments)})", ast.unparse(node.returns) if node.returns else ""
    assert isinstance(node, ast.ClassDef)
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]  # of a dataclass or a named tuple
    texts = [re.sub(r"field\(default_factory=(\w+)\)", r"\1()", ast.unparse(each)) for each in fields]
    return f"({', '.join(texts)})", ""


def signature(_app: Sphinx, what: str, _name: str, thing: Any, _options: Any, given: str, result: str) -> Any:
    """What autodoc shows, where the source says it more briefly."""
    if what in ("function", "method"):
        return written_signature(thing)
    if what == "class" and not issubclass(thing, Exception) and given not in (None, "()"):
        return written_signature(thing)
    return given, result


def plain_words(line: str) -> str:
    """Bars are of absolute values and of conditions here, not what reStructuredText takes them for."""
    parts = line.split("``")
    line = "``".join(part if i % 2 else part.replace("|", r"\|") for i, part in enumerate(parts))
    return re.sub(r"``(jaxflow\.)?([\w.]+)``", linked, line)


def linked(words: re.Match[str]) -> str:
    """The page of a name that cannot be an argument's: with its module, an underscore or a capital."""
    last = words[2].rpartition(".")[2]
    clear = words[1] or "_" in words[2] or words[2] != words[2].lower()
    name = next((name for name in exported() if name.rpartition(".")[2] == last), None)
    return f":py:obj:`{words[1] or ''}{words[2]} <{name}>`" if clear and name else words[0]


def docstring(_app: Sphinx, what: str, _name: str, thing: Any, _options: Any, lines: list[str]) -> None:
    """A table or tuple of names says which, and other docstrings are taken as they are written."""
    if what == "data" and isinstance(thing, dict | tuple):
        lines[:] = [first_sentence(thing)]
    else:
        lines[:] = [line if line.lstrip().startswith((">>>", "...")) else plain_words(line) for line in lines]


def skipped(_app: Sphinx, what: str, name: str, thing: Any, skip: bool, _options: Any) -> bool | None:
    """Fields are in their class's list of attributes already; of members only methods and properties are shown."""
    if what == "class" and not skip:
        return not (inspect.isroutine(thing) or isinstance(thing, property)) or name.startswith("_")
    return None


def resolved(app: Sphinx, env: BuildEnvironment, node: Any, text: nodes.Element) -> nodes.Element | None:
    """A type by its last name: ``Split`` in a signature is ``jaxflow.Split``."""
    if node.get("refdomain") != "py":
        return None
    last = node["reftarget"].rpartition(".")[2]
    objects = env.get_domain("py").objects  # pyright: ignore[reportAttributeAccessIssue]
    homes = [name for name in objects if name.rpartition(".")[2] == last and objects[name].objtype in SHOWN]
    if not homes:
        return None
    entry = objects[homes[0]]
    target = app.builder.get_relative_uri(node.get("refdoc", env.docname), entry.docname) + "#" + entry.node_id
    return nodes.reference("", "", text, internal=True, refuri=target, reftitle=homes[0])


class Exported(Directive):
    """A table for every module: its names, and the first sentence about each."""

    def run(self) -> list[nodes.Node]:
        """Written as the pages are, and read like them."""
        lines: list[str] = []
        for module in MODULES:
            lines += ["", f"``{module}``", "", ".. list-table::", "   :widths: 30 70", ""]
            for name, thing in exported().items():
                if name.rpartition(".")[0] == module:
                    lines += [
                        f"   * - :py:obj:`{name.removeprefix('jaxflow.')} <{name}>`",
                        f"     - {first_sentence(thing)}",
                    ]
        box = nodes.container()
        self.state.nested_parse(StringList(lines, source="names"), self.content_offset, box)
        return box.children


def first_sentence(thing: Any) -> str:
    """What a docstring begins with; a table or tuple of names says which they are."""
    if isinstance(thing, dict | tuple):
        return ", ".join(f"``{name!r}``" for name in thing) + "."
    documented = inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing)
    return plain_words((inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")) if documented else ""


def check_names(_app: Sphinx, env: BuildEnvironment) -> None:
    """Fail where an exported name is on no page."""
    documented = {entry[0] for entry in env.get_domain("py").get_objects()}
    missing = sorted(set(exported()) - documented)
    if missing:
        raise ExtensionError(f"exported, and on no page of the reference: {', '.join(missing)}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Signatures while pages are read, links and the check when all have been."""
    app.add_directive("exported", Exported)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-skip-member", skipped)
    app.connect("missing-reference", resolved)
    app.connect("env-check-consistency", check_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
