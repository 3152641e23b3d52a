"""What is installed: the command as a module, types for checkers, and a description that stands on PyPI by itself."""

import importlib.resources
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jaxflow
from jaxflow.explorer.citing import RELEASED, citation

ROOT = Path(__file__).parents[1]
PAPER = (ROOT / "paper/paper.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_package_is_a_command():
    for options in ([], ["--help"]):
        process = subprocess.run([sys.executable, "-m", "jaxflow", *options], capture_output=True, text=True)
        assert process.returncode == 0
        assert process.stdout.startswith("usage: jaxflow ")


@pytest.mark.parametrize("name", ["py.typed", "reproduction/page.md", "explorer/page.html", "explorer/report.css"])
def test_what_is_no_python_is_beside_the_code(name):
    """Checkers read the types, pages their templates; hatch packs every file below ``jaxflow``."""
    assert importlib.resources.files("jaxflow").joinpath(name).is_file()
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["jaxflow"]}


def test_pypi_gets_no_links_into_the_repository():
    """Words and captions stay; whole links stay too."""
    description = (ROOT / "README.md").read_text()
    for change in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        description = re.sub(change["pattern"], change["replacement"], description)
    targets = re.findall(r"\]\(([^)]*)\)", description)
    assert targets
    assert all(target.startswith("https://") for target in targets)
    assert "docs/method.md" in description
    assert "![" not in description


def test_the_version_stands_in_one_place():
    """Hatch reads it from there; the changelog and the citation name it, with the same day."""
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "jaxflow/__init__.py"}
    version, day = re.findall(r"^## \[([^]]+)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[0]
    citation_file = (ROOT / "CITATION.cff").read_text()
    assert version == jaxflow.__version__
    assert f"\nversion: {version}\n" in citation_file
    assert f'\ndate-released: "{day}"\n' in citation_file
    assert day == RELEASED


def test_the_citation_names_the_paper_as_a_reference_and_no_person_as_an_author():
    """The paper's authors did not write the software; what is published of the paper is its preprint."""
    software, _, references = (ROOT / "CITATION.cff").read_text().partition("\nreferences:\n")
    assert re.findall(r"- name: (.*)", software) == ["The jaxflow developers"]
    assert "family-names" not in software
    assert re.findall(r"family-names: (.*)", references) == ["Venkatesh", "Dutta", "Mehta", "Grover"]
    assert re.findall(r"https?://\S+|doi: .*", software + references) == ["https://arxiv.org/abs/2111.05299"]


def test_a_report_says_how_to_cite_the_paper_and_the_software_by_the_same_facts():
    """Of another version than this one the year is not said, which nothing there tells."""
    facts = (ROOT / "CITATION.cff").read_text()
    text = citation(jaxflow.__version__)
    for name in ("title", "version", "date-released", "name"):
        value = re.search(rf'^(?:  - )?{name}: "?(.*?)"?$', facts, re.MULTILINE)
        assert value is not None
        assert value[1][: 4 if name == "date-released" else None] in text
    assert "Venkatesh" in text
    assert "http" not in text
    assert "  year " in text.partition("@software")[2]
    other = citation("0.0.1").partition("@software")[2]
    assert re.search(r"version += \{0\.0\.1\}", other)
    assert "year" not in other


def test_what_the_source_distribution_takes_is_there():
    taken = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    assert {"jaxflow", "tests"} < set(taken)
    assert [
        path for path in taken if path != "jaxflow" and not (ROOT / path).exists()
    ] == []  # tests of a wheel lack it


def test_the_paper_is_short():
    assert len(PAPER.split("---", maxsplit=2)[2].split()) <= 1_000


def test_the_paper_has_its_numbers_from_the_documentation():
    """Numbers with a decimal, of at least two digits, or in per cent stand in README or docs as they do there."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    documented = " ".join(" ".join(page.read_text().split()) for page in pages)
    text = " ".join(PAPER.split("---", maxsplit=2)[2].split())
    numbers = set(re.findall(r"(?<![\w.,])[−]?\d[\d,]*\.?\d+(?: %)?(?![\w])", text))
    assert len(numbers) > 10
    assert not {number for number in numbers if not re.search(rf"(?<![\d.,]){number}(?![\d])", documented)}


def test_the_paper_cites_what_its_list_has():
    listed = re.findall(r"^@\w+\{(\w+),", (ROOT / "paper/paper.bib").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"@(\w+)", PAPER)) == set(listed)
