"""The report as a file: what it holds is what the tables hold, nothing in it comes from outside, nothing half-written.

``test_report_page`` opens it in a browser.
"""

import base64
import dataclasses
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import FACTORS, fake_edit, fake_recording, fake_run, strategies_of

from jaxflow import InputError, report
from jaxflow.arguments import parser
from jaxflow.cli import main
from jaxflow.explorer.packing import packed, packed_floats, plain
from jaxflow.explorer.page import MODULES
from jaxflow.pipeline import preset
from jaxflow.running import files
from jaxflow.running.commands import command_of, widths_text
from jaxflow.running.config import under_metrics
from jaxflow.running.presets import PRESETS
from jaxflow.running.results import Results
from jaxflow.statistics import edit_changes

HOSTILE = ("</script><script>alert(1)</script>", "<!--<script>", '"><img src=https://x onerror=alert(1)>', "a&lt;b'")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.open = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open = str(dict(attrs).get("id") or tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag):  # noqa: ARG002
        self.open = ""

    def handle_data(self, data):
        if self.open:
            self.inside[self.open] = self.inside.get(self.open, "") + data


def numbers_of(held: dict) -> np.ndarray:
    """What the page's own reader makes of packed numbers, written once more."""
    letters = {c: k for k, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
    found, number, shift, before, known = [], 0, 0, 0, True
    for letter in held["text"]:
        if letter == "~":
            known = False
            continue
        number |= (letters[letter] & 31) << shift
        shift += 5
        if letters[letter] & 32:
            continue
        before = (0 if len(found) % held["run"] == 0 else before) + (-(number >> 1) if number & 1 else number >> 1)
        found.append(before * held["step"] if known else np.nan)
        number, shift, known = 0, 0, True
    return np.array(found)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fake_run(tmp_path_factory.mktemp("report") / "run", features=("age", "hours", "pay"))


@pytest.fixture(scope="module")
def page(run):
    return report(run).read_text()


def contents(page: str) -> dict:
    return json.loads(Elements(page).inside["data"])


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (2, 3, 5)])
def test_packed_numbers_are_within_half_a_step(rng, shape):
    values = rng.normal(size=shape) * 1000
    values.ravel()[::4] = np.nan
    for held in (packed(values, 0.02), plain(values)):
        found = numbers_of(held).reshape(shape)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
        assert np.all(np.isnan(values) | (np.abs(found - values) <= held["step"] * 0.5001))


def test_a_step_keeps_three_digits_of_the_largest_value():
    for largest in (3e-7, 0.0101, 9.99, 123456.0):
        assert 1e-4 * largest < plain(np.array([largest, 0.0]))["step"] <= 1e-2 * largest


def test_zeros_and_small_differences_take_a_character():
    assert len(plain(np.zeros(100), 0.01)["text"]) == 100
    assert len(packed(np.arange(100.0), 1.0)["text"]) == 100


def test_the_page_holds_what_the_tables_hold(run, page):
    """Weights and flows to the bit, means to the last digit that is kept."""
    held = contents(page)
    nodes, edges, tradeoff = (run.table(name) for name in ("node_flows", "edge_flows", "tradeoff"))
    weight = edges["weight"].to_numpy().reshape(4, -1, 2)[:, :, 0]
    assert held["edges"]["weight"] == packed_floats(weight)
    flow = nodes["flow"].to_numpy().reshape(4, -1, 2).transpose(0, 2, 1)
    assert held["nodes"]["flow"] == packed_floats(flow)
    sweep = held["tradeoff"]
    mean = numbers_of(sweep["mean"]).reshape(len(sweep["measures"]), len(sweep["strategies"]), len(FACTORS))
    for k, (metric, method, level, _) in enumerate(sweep["strategies"]):
        rows = tradeoff[(tradeoff["metric"] == metric) & (tradeoff["method"] == method) & (tradeoff["level"] == level)]
        by_factor = rows.groupby("factor", sort=False)[sweep["measures"]].mean().to_numpy().T
        np.testing.assert_allclose(mean[:, k], by_factor, atol=0.00051)
    effect = run.table("dependence")["effect"].to_numpy().reshape(4, -1, 2).transpose(0, 2, 1)
    np.testing.assert_allclose(numbers_of(held["edges"]["effect"]), effect.ravel(), atol=0.006)


def test_a_hundred_small_networks_fit_and_the_same_tables_are_the_same_bytes(tmp_path):
    levels = {"node": (1, 2, 3), "edge": (2, 3, 6, 9), "path": (1, 2, 3)}
    strategies = strategies_of(levels, ("bias/acc", "acc/bias", "random"))
    results = fake_run(tmp_path / "run", networks=100, strategies=strategies)
    first = report(results, tmp_path / "a.html")
    assert first.stat().st_size < 300_000
    assert report(results.path, str(tmp_path / "b.html")).read_bytes() == first.read_bytes()


# --- nothing from outside ---------------------------------------------------------------------------------------------


def test_script_and_style_are_those_that_the_policy_allows(page):
    elements = Elements(page)
    policy = next(own["content"] for tag, own in elements.found if own.get("http-equiv") == "Content-Security-Policy")
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(elements.inside[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("kind", ["run", "edit"])
def test_names_of_the_users_stay_text(tmp_path, kind):
    make = {"run": fake_run, "edit": fake_edit}[kind]
    names = {"label": HOSTILE[0], "attributes": HOSTILE[1:3], "features": (*HOSTILE[:2], HOSTILE[3])}
    elements = Elements(report(make(tmp_path / "made", **names)).read_text())
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2
    assert not {"img", "iframe", "link", "object", "base", "form", "source"} & set(tags)
    attributes = {name for _, own in elements.found for name in own}
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert not set("<>&") & set(elements.inside["data"])
    held = json.loads(elements.inside["data"])
    assert held["names"] == [HOSTILE[0], HOSTILE[1], HOSTILE[3]]
    if kind == "run":
        assert [own["name"] for own in held["messages"]] == [HOSTILE[0], *HOSTILE[1:3]]
    else:
        assert held["measures"][0] == f"parity gap of {HOSTILE[1]} or {HOSTILE[2]}, the larger"


def test_it_can_be_read_without_its_script(page):
    """Figures that stand still, and the tables."""
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert text.count("<svg") >= 2
    assert text.count("<table") == 5
    assert "bias/acc" in text
    assert "at the output; with the top node by bias/acc removed, " in text
    assert "62.00 % accuracy (always the largest class of y)" in text


def test_scripts_import_only_from_one_another_and_share_no_name():
    folder = Path(files.__file__).parents[1] / "explorer" / "scripts"
    assert {name for kind in MODULES.values() for name in kind} == {path.stem for path in folder.glob("*.js")}
    for kind in MODULES.values():
        together = "\n".join((folder / f"{name}.js").read_text() for name in kind)
        names = re.findall(r"^(?:export )?(?:function|const|let) (\w+)", together, re.MULTILINE)
        assert len(set(names)) == len(names)
    sources = "\n".join(path.read_text() for path in folder.glob("*.js"))
    assert all(line.count("`") % 2 == 0 for line in sources.splitlines())  # indents of a longer text would be lost
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|innerHTML|eval|Function)\b", sources)


# --- what is refused, and what is left behind -------------------------------------------------------------------------


def unfinished(folder: Path) -> Path:
    path = fake_run(folder / "run").path
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"finished": False}))
    return path


def without(table: str):
    def made(folder: Path) -> Path:
        path = fake_run(folder / "run").path
        (path / f"{table}.csv").unlink()
        return path

    return made


def cut(table: str):
    def made(folder: Path) -> Path:
        path = fake_run(folder / "run").path / f"{table}.csv"
        path.write_text("\n".join(path.read_text().splitlines()[:-3]))
        return path.parent

    return made


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda folder: folder, "is no results folder, it holds no manifest.json"),
        (lambda folder: folder / "nowhere", "is no results folder, it holds no manifest.json"),
        (unfinished, "has not ended; give its command again"),
        (without("tradeoff"), "cannot read"),
        (cut("node_flows"), "node_flows.csv does not hold every network"),
        (cut("edge_flows"), "does not hold every network"),
        (cut("tradeoff"), "do not fit together"),
    ],
)
def test_what_cannot_be_reported_is_one_line_and_leaves_nothing(tmp_path, capsys, made, says):
    target = tmp_path / "page.html"
    assert main(["report", str(made(tmp_path)), "--out", str(target)]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("jaxflow: ")
    assert says in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert not list(tmp_path.glob("*.html"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("place", ["nowhere/page.html", "folder", "file/page.html", "link", "pipe", "x" * 300])
def test_a_path_that_cannot_be_written_is_one_line(run, tmp_path, capsys, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert main(["report", str(run.path), "--out", str(tmp_path / place)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxflow: ")
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "link", "pipe"]


def test_an_earlier_page_stays_where_a_new_one_cannot_be_written(run, tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("earlier")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        report(run, target)
    assert target.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_command_prints_where_the_page_is(run, tmp_path, capsys):
    assert main(["report", str(run.path), "--out", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out == f"Report: {tmp_path / 'page.html'}\n"
    assert main(["report", str(run.path)]) == 0
    assert capsys.readouterr().out == f"Report: {run.path / 'report.html'}\n"


# --- edits ------------------------------------------------------------------------------------------------------------


def test_an_edit_has_its_factors_and_its_changes(tmp_path):
    """What the page holds is the table, edge by edge, and the means that the summary prints."""
    folder = fake_edit(tmp_path / "edit", networks=5)
    page = report(folder).read_text()
    held, edits = contents(page), Results(folder).table("edits")
    own = edits[edits["written"]]
    with np.load(folder / "params.npz") as arrays:
        kernels = [arrays[f"layer_{layer}/kernel"] for layer in range(2)]
    assert held["weight"] == packed_floats(np.concatenate([w.reshape(5, -1) for w in kernels], axis=1))
    firsts = np.cumsum([0, kernels[0][0].size])
    for found, text in zip(held["edits"], own["edges"], strict=True):
        places = [(part.split("*")[0].split("/"), float(part.split("*")[1])) for part in text.split()]
        numbers = [firsts[int(a)] + int(b) * kernels[int(a)].shape[2] + int(c) for (a, b, c), _ in places]
        assert found == [[number, factor] for number, (_, factor) in zip(numbers, places, strict=True)]
    gap = numbers_of(held["changes"][0]["after"])
    np.testing.assert_allclose(gap, own["parity_gap_after"].abs(), atol=0.00051)
    low, high = edit_changes(own, ["parity_gap"])[["low", "high"]].to_numpy()[0]
    assert f"{low:+.2f} to {high:+.2f}".replace("-", "−") in page
    assert "jaxflow edit RESULTS --measure parity_gap --at-most 10" in page


def test_the_change_of_edits_has_the_interval_of_a_mean():
    """Of 400 normal changes of deviation 2 the standard error is 0.1; signs do not count."""
    rng = np.random.default_rng(0)
    after = 20 + 2 * rng.normal(size=400)
    edits = pd.DataFrame({"network": np.arange(400), "gap_before": -30.0, "gap_pruned": 25.0, "gap_after": -after})
    own = edit_changes(edits, ["gap"]).iloc[0]
    assert own["before"] == 30
    assert own["change"] == pytest.approx(after.mean() - 30)
    assert [own["low"], own["high"]] == pytest.approx(own["change"] + np.array([-1, 1]) * 0.196, abs=0.03)
    assert edit_changes(edits.head(1), ["gap"])[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("0/0/1*", "0/0/9*", "names an edge that the networks do not have"), ("0/0/1*", "0/0/1:", "does not say what was"),
     ("parity_gap_before", "gap", "do not fit together"), ("True", "False", "holds no network")],
)  # fmt: skip
def test_a_damaged_edit_is_one_line_and_leaves_nothing(tmp_path, capsys, old, new, says):
    table = fake_edit(tmp_path / "edit") / "edits.csv"
    table.write_text(table.read_text().replace(old, new))
    assert main(["report", str(table.parent), "--out", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.html"))


# --- recordings, and commands -----------------------------------------------------------------------------------------


def test_a_recording_has_its_flows_and_no_pruning(tmp_path):
    page = report(fake_recording(tmp_path / "recording", messages=("stimulus", "context"))).read_text()
    held = contents(page)
    assert held["kind"] == "recording"
    assert held["widths"] == [3] * 5
    assert held["tradeoff"] is None
    assert 'id="factor"' not in page
    assert 'id="course-plot"' in page
    assert "jaxflow measure mine.npz --message stimulus --message context" in page


def manifest_of(config) -> dict:
    identity = {name: value for name, value in config.as_json().items() if name not in ("seeds", "chunk")}
    return {"experiment": config.name, "seeds": config.seeds, "identity": identity | {"data": ""}}


CHANGES = [
    {},
    {"seeds": 7},
    {"hidden": (16,) * 20},
    {"hidden": (5, 5, 4)},
    {"permutations": 10, "seed": 3, "data_seed": 2},
    {"notion": "odds", "ablation": "mean"},
]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_command_of_a_run_gives_that_run(name, changes):
    config = preset(name, **changes)
    words = command_of(manifest_of(config)).split()
    arguments = parser().parse_args(words[1:])
    fields = ("seeds", "hidden", "estimator", "notion", "ablation", "permutations", "seed", "data_seed")
    given = {field: getattr(arguments, field) for field in fields if hasattr(arguments, field)}
    assert preset(arguments.experiment, **given) == config


def test_the_command_of_a_run_names_its_metrics():
    usual = preset("mnist")
    config = dataclasses.replace(usual, strategies=under_metrics(usual.strategies, ["removal", "saliency"]))
    words = command_of(manifest_of(config)).split()
    assert parser().parse_args(words[1:]).metric == ["removal", "saliency"]
    assert command_of(manifest_of(dataclasses.replace(usual, strategies=config.strategies[1:]))) == ""


def test_a_run_that_no_command_gives_has_none():
    assert command_of(manifest_of(preset("adult-small", factors=(1.0, 0.5)))) == ""
    assert command_of(manifest_of(preset("adult-small")) | {"experiment": "mine"}) == ""
    changed = manifest_of(preset("adult-small"))
    changed["identity"]["params"] = "0"
    assert command_of(changed) == ""


def test_widths_are_written_as_they_are_read():
    assert widths_text([16, 8]) == "16,8"
    assert widths_text([16] * 20) == "16x20"
    assert widths_text([3, 4, 4, 5]) == "3,4x2,5"
