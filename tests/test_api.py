"""The public names: each is a page of documentation, and its examples run as they stand."""

import doctest
import inspect
import types
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from searches import few_steps, three_draws

import jaxflow
from jaxflow import debiasing

PUBLIC = {name: getattr(jaxflow, name) for name in jaxflow.__all__}
MODULES = {name: thing for name, thing in PUBLIC.items() if isinstance(thing, types.ModuleType)}
PUBLIC |= {f"pipeline.{name}": getattr(jaxflow.pipeline, name) for name in ("Config", "analyse", "preset", "run")}
PUBLIC |= {f"debiasing.{name}": getattr(debiasing, name) for name in debiasing.__all__}
TABLES = ("METRICS", "debiasing.DEBIASERS")
DOCUMENTED = {name: thing for name, thing in PUBLIC.items() if name not in (*MODULES, *TABLES)}
IMPORTS = "import jax, jax.numpy as jnp, numpy as np\nfrom jaxflow import *"  # what all examples begin with
SHORTER = {"linear_svm": three_draws, "kernel_svm": three_draws, "probe": few_steps}
NAMESPACE: dict[str, Any] = {}
exec(IMPORTS, NAMESPACE)
OF_DEBIASING = {name: getattr(debiasing, name) for name in debiasing.__all__}


def sections(docstring: str) -> set[str]:
    """Headings of a docstring in Google's style, such as Args."""
    return {line[:-1] for line in docstring.splitlines() if line.endswith(":") and line[:-1].isalpha()}


def expected_sections(thing: object) -> set[str]:
    """What the docstring of a public function or class must have."""
    if isinstance(thing, type):
        # an exception holds nothing but its message, and a contract is what its methods say
        return {"Example"} if issubclass(thing, Exception) else {"Attributes", "Example"}
    return {"Returns", "Raises", "Example"} | ({"Args"} if inspect.signature(thing).parameters else set())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_public_name_is_a_page_of_documentation(name):
    docstring = inspect.getdoc(DOCUMENTED[name]) or ""
    missing = expected_sections(DOCUMENTED[name]) - sections(docstring)
    assert not missing, f"the docstring of {name} lacks {sorted(missing)}"


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if inspect.isfunction(DOCUMENTED[name])])
def test_every_argument_is_explained(name):
    docstring = inspect.getdoc(DOCUMENTED[name]) or ""
    arguments = docstring.partition("Args:\n")[2]
    for parameter in inspect.signature(DOCUMENTED[name]).parameters:
        assert f"    {parameter}: " in arguments, f"{name} does not explain {parameter}"


@pytest.mark.filterwarnings("error:few rows for")
@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_examples_run(name):
    docstring = inspect.getdoc(DOCUMENTED[name]) or ""
    names = NAMESPACE | (OF_DEBIASING if name.startswith("debiasing.") else {})
    examples = doctest.DocTestParser().get_doctest(docstring, names, name, None, 0)
    assert examples.examples
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    said: list[str] = []
    with SHORTER.get(name, nullcontext)():
        runner.run(examples, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", [*MODULES, *TABLES])
def test_a_module_and_a_table_say_what_they_are(name):
    assert isinstance(PUBLIC[name], dict) or (PUBLIC[name].__doc__ or "").strip().endswith(".")


def test_public_names_are_listed_once_and_imported_when_used():
    assert len(set(jaxflow.__all__)) == len(jaxflow.__all__)
    assert set(jaxflow.__all__) - set(MODULES) == set(jaxflow._HOMES)


def test_readers_are_told_what_the_examples_begin_with():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert IMPORTS.replace("\n", "\n    ") in (jaxflow.__doc__ or "")
    assert IMPORTS.replace("\n", "; ") in readme


def test_names_complete():
    assert set(jaxflow.__all__) <= set(dir(jaxflow))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("edge_flows", ["flow", "weights"]),
        ("read_table", ["path_or_frame", "label", "attributes", "seed", "name"]),
        ("rank", ["network", "params", "flows", "metric", "method", "keep", "remove", "key"]),
        ("select", ["network", "params", "ranks", "level"]),
        ("prune", ["params", "selection", "factor"]),
    ],
)
def test_arguments_have_the_names_that_are_relied_on(name, arguments):
    assert list(inspect.signature(PUBLIC[name]).parameters)[: len(arguments)] == arguments
