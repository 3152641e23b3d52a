"""README and docs: their Python runs, their links lead somewhere, the quick start is what CI runs."""

import importlib
import re
from contextlib import nullcontext
from pathlib import Path

import jax
import pytest
from brief import no_honest_flows

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = "<!-- The Python of this page runs when the site is built. -->"
EXECUTED = [page for page in PAGES if MARK in page.read_text()]
RUN = [page for page in PAGES if page not in EXECUTED]


@pytest.mark.usefixtures("plain_figures")
@pytest.mark.filterwarnings("error:few rows for")
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_python_blocks_run(page, capsys, tmp_path, monkeypatch):
    """Whole runs draw nothing and, where a page does not speak of them, have no honest flows: see ``brief``."""
    monkeypatch.chdir(tmp_path)  # where pages write
    namespace = {}
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    shorter = nullcontext() if any("honest" in block for block in blocks) else no_honest_flows()
    # a reader's session has JAX's own defaults: a bias is added to a batch as it stands
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), shorter:
        for block in blocks:
            exec(compile(block, page.name, "exec"), namespace)
    capsys.readouterr()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path = page.parent / target.partition("#")[0]  # the site's build looks for the headings
        assert target.startswith("https://") or path.exists(), target


def table_of(header):
    """First and second cells of every row of the map's table with this header."""
    lines = (ROOT / "docs/architecture.md").read_text().split(f"\n{header}\n")[1].split("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ")[:2] for line in lines[1:]]


def names_in(cell):
    return re.findall(r"`([a-z_]+)/?`", cell)


def modules_below(folder):
    paths = (path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
    return sorted({path.stem for path in paths} - {"__init__", "__main__"})


def test_the_map_names_every_room_once():
    walls = [name for _, modules in table_of("| part | modules | rule |") for name in names_in(modules)]
    assert sorted(walls) == modules_below(ROOT / "jaxflow")


def test_the_map_says_what_is_inside_of_every_package():
    inside = dict(table_of("| room | what is inside |"))
    for package in (path.parent.name for path in (ROOT / "jaxflow").glob("*/__init__.py")):
        modules = set(modules_below(ROOT / "jaxflow" / package))
        if package not in ("inference", "figures"):  # whose few modules need no list
            missing = modules - set(names_in(inside[f"`{package}/`"]))
            assert not missing, f"{package}/ has {sorted(missing)}, which the map does not name"


def test_quick_start_is_two_commands_and_ci_runs_the_second():
    readme = (ROOT / "README.md").read_text().split("## Quick start")[1].split("\n## ")[0]
    commands = re.findall(r"```sh\n(.*?)\n```", readme, flags=re.DOTALL)
    assert commands == ["pip install . && jaxflow run synthetic", "pip install '.[test]' && pytest"]
    assert commands[1] in (ROOT / ".ci/run").read_text().splitlines()


def test_every_function_that_the_docs_name_exists():
    import importlib

    page = (ROOT / "docs/method.md").read_text()
    sections = ("Equation → function", "Beyond the paper")
    text = "\n".join(page.split(f"## {section}\n")[1].split("\n## ")[0] for section in sections)
    for name in re.findall(r"`([a-z_]+(?:\.(?!csv\b)\w+)+)`", text):
        module, attribute = f"jaxflow.{name}".rsplit(".", 1)
        try:
            importlib.import_module(f"jaxflow.{name}")
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), name


def test_every_page_is_in_the_contents_of_the_site():
    """Pages, the reference's included, without the first: what is in none of its lists is found by nobody."""
    docs = ROOT / "docs"
    lists = re.findall(r"```{toctree}\n(.*?)```", (docs / "index.md").read_text(), flags=re.DOTALL)
    listed = [line for text in lists for line in text.splitlines() if line and line[0] != ":"]
    pages = [path.relative_to(docs).with_suffix("").as_posix() for path in [*docs.glob("*.md"), *docs.glob("*/*.rst")]]
    assert sorted(listed) == sorted(set(pages) - {"index"})


def test_pages_that_run_have_what_to_run_and_ci_builds_the_site():
    names = {page.stem for page in EXECUTED}
    assert {"many_seeds", "your_table", "your_network", "your_recording", "editing", "extending"} <= names
    assert all("```python\n" in page.read_text() for page in EXECUTED)
    conf = (ROOT / "docs/conf.py").read_text()
    install, build = re.findall(r"`(pip install '\.\[docs\]') && (sphinx-build [^`]*)`", conf)[0]
    assert f"{install} && {build}" in (ROOT / "docs/architecture.md").read_text()
    assert build in (ROOT / ".ci/run").read_text()


def test_the_site_has_no_definitions_in_signatures_and_no_headings_without_words(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs/_site")
    mended = importlib.import_module("listened").mended
    parameter = '<em class="sig-param">x</em>,'
    signature = f"f(\n\n<dl>\n<dd>{parameter}</dd>\n<dd>{parameter}</dd>\n</dl>\n\n)"
    line = f'<span class="parameter">{parameter}</span>\n'
    assert mended(signature) == f'f(\n\n<span class="parameters">\n{line}{line}</span>\n\n)'
    assert mended('<th class="head"><p></p></th><th class="head"><p>bits</p></th>').startswith("<td></td><th")
    assert mended("<dl>\n<dt>a</dt>\n</dl>") == "<dl>\n<dt>a</dt>\n</dl>"
