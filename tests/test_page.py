"""The template of the reproduction's page: what a page leaves out leaves no trace, and no prose is left unused."""

import inspect
import re
from pathlib import Path

import pytest

from jaxflow.reproduction import page as module
from jaxflow.reproduction.page import filled, page
from jaxflow.reproduction.reproduce import read_tables

TABLES = Path(__file__).parents[1] / "docs/reproduction"
ONLY_IN_FULL = ("inversion", "shared_edges_large", "shared_edges_mnist", "alpha")


def test_what_a_page_leaves_out_leaves_no_gap():
    """A quick reproduction in which every number of the paper came out."""
    tables = {name: table for name, table in read_tables(TABLES).items() if name not in ONLY_IN_FULL}
    tables["verdicts"] = tables["verdicts"].assign(verdict="agree")
    tables["numbers"] = tables["numbers"].assign(ours=tables["numbers"]["paper"])
    text = page(tables)
    claims = len(tables["verdicts"])
    assert f"**Of {claims} printed claims: {claims} agree, 0 differ, 0 undecided.** A number agrees" in text
    assert "have our sign.\n" in text
    assert "## Where the program parts from the text\n\n## Table 1: what it cost\n" in text
    assert "\n\n\n" not in text
    for absent in ("Not run yet", "What differs", "Fig. 13's erratic curves", "The kernel SVM's penalty", "$", "<!--"):
        assert absent not in text


def test_a_page_names_the_runs_it_does_without():
    tables = read_tables(TABLES)
    runs = tables["runs"]
    tables["runs"] = runs.assign(networks=runs["networks"].where(runs["run"] != "mnist-gaussian", 0))
    text = page(tables)
    assert "\n\n**Not run yet: mnist-gaussian.** What follows is without them.\n\n**Of " in text
    assert "![fig6b: mnist-gaussian]" not in text
    assert "![fig3: synthetic-kernel-svm](reproduction/fig3.png)" in text


def test_every_piece_of_the_template_is_used_and_there():
    used = re.findall(r'filled\(\s*"(\w+)"', inspect.getsource(module).replace(">>> filled", ""))
    assert set(used) == set(module._pieces())


def test_a_name_without_a_value_is_an_error():
    with pytest.raises(KeyError, match="run"):
        filled("figure", name="fig3")
