"""What is installed: the command as a module, types for checkers, and a description that stands on PyPI by itself."""

import importlib.resources
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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
