"""README and docs: their Python runs, their links lead somewhere, the quick start is what CI runs."""

import re
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, capsys):
    namespace = {}
    # a reader's session has JAX's own defaults: a bias is added to a batch as it stands
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
            exec(compile(block, page.name, "exec"), namespace)
    capsys.readouterr()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


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
