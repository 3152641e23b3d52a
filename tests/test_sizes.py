"""How large the package's pieces may be: lines of code in a function, lines in a file, rooms on top of one another.

A room is a module or a package at the top of ``jaxflow``. Imports for type checkers alone do not count.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxflow"
MODULES = sorted(PACKAGE.rglob("*.py"))
FUNCTION, MODULE, CHAIN = 40, 350, 7
OUTSIDE = {  # every other room belongs to the core
    *("__init__", "__main__", "arguments", "cli", "pipeline", "running", "reproduction"),
    *("datasets", "tables", "statistics", "figures", "explorer"),
}
UPPER = {"editing"}  # as pure as the core, and above it: nothing of the core needs it
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def end_of(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def code_lines(text: str) -> set[int]:
    """Numbers of the lines that hold code, be it part of a longer string: neither blank nor a comment alone."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {line for own in tokens if own.type not in NO_CODE for line in range(own.start[0], own.end[0] + 1)}


def function_sizes(path: Path) -> Iterator[tuple[str, int]]:
    """Every function or method of a file with its lines of code from ``def`` to its end, without docstrings."""
    lines = code_lines(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree(path)))
    for node in nodes:
        documented = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        if documented and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, end_of(node.body[0]) + 1))
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, len(lines & set(range(node.lineno, end_of(node) + 1)))


def imported(path: Path) -> Iterator[str]:
    """Rooms that a file imports, wherever in the file."""
    pending: list[ast.AST] = [tree(path)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("jaxflow."))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def room_imports() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for path in MODULES:
        found.setdefault(room(path), set()).update(imported(path))
    return {name: frozenset(others - {name}) for name, others in found.items()}


def core() -> set[str]:
    return set(room_imports()) - OUTSIDE - UPPER


def longest_chain(start: str, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The longest way down from a room of the core through other rooms of the core."""
    assert start not in above, f"imports go in a circle: {' → '.join((*above, start))}"
    below = [longest_chain(name, (*above, start)) for name in room_imports()[start] & core()]
    return (start, *max(below, key=len, default=()))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_and_files_are_short(path):
    long = {name: size for name, size in function_sizes(path) if size > FUNCTION}
    assert not long, f"more than {FUNCTION} lines of code"
    count = len(path.read_text(encoding="utf-8").splitlines())
    assert count <= MODULE


def test_imports_of_the_core_go_one_way_and_not_deep():
    """Counted in rooms, the tools that stand below them (errors, values) included."""
    chain = max(map(longest_chain, sorted(core())), key=len)
    assert len(chain) <= CHAIN, " → ".join(chain)


def test_the_core_knows_nothing_of_tables_files_and_figures():
    outside = {name: room_imports()[name] & OUTSIDE for name in sorted(core() | UPPER)}
    outside |= {name: outside[name] | (room_imports()[name] & UPPER) for name in core()}
    assert not {name: others for name, others in outside.items() if others}


def test_code_is_counted_without_docstrings_comments_and_blank_lines(tmp_path):
    path = tmp_path / "own.py"
    path.write_text('def f(x):\n    """One.\n\n    Two.\n    """\n    # why\n\n    return (\n        x\n    )\n')
    assert list(function_sizes(path)) == [("f", 4)]
