"""The report in a browser: Chromium through Playwright, where both are there (the latter by the extra ``browser``)."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_results import FACTORS, LEVELS, METRICS, SAMPLES, fake_edit, fake_recording, fake_run, strategies_of

from jaxflow import report
from jaxflow.flows import Flows
from jaxflow.interventions import Strategy, strategy_ranks
from jaxflow.running.results import Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[browser]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: pip install '.[browser]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
SCRIPTS = Path(__file__).parents[1] / "jaxflow" / "explorer" / "scripts"
WIDTHS = (3, 4, 3, 2)
FEATURES = ("age", "</script><b>hours", "pay")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # the sandbox needs rights that a container's user does not have
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """A page with what it said and what it asked for."""

    def __init__(self, browser, path: Path, state: str = "", **options) -> None:
        self.context = browser.new_context(viewport={"width": 1300, "height": 900}, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri() + state)
        self.page.wait_for_selector("html.live")
        self.settle()

    def settle(self) -> None:
        """Until what was asked for is drawn: a change is drawn at the next frame."""
        self.page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done, 30))))")

    @property
    def state(self) -> str:
        """What stands in the address after a while."""
        self.page.wait_for_timeout(300)
        return self.page.url.partition("#")[2]

    def slide(self, name: str, place: int) -> None:
        self.page.locator(f"#{name}").fill(str(place))
        self.settle()

    def scale(self, factor: float) -> None:
        """The slider of the factor, which rises from removed to untouched."""
        self.slide("factor", sorted(FACTORS).index(factor))

    def choose(self, name: str, value: str) -> None:
        """A radio button, whose label is what a pointer hits."""
        self.page.locator(f'input[name="{name}"][value="{value}"]').check(force=True)
        self.settle()

    @property
    def headline(self) -> str:
        return self.page.locator(".headline").text_content()

    @property
    def pruned(self) -> set[int]:
        return set(map(int, self.page.locator("#network-plot").get_attribute("data-pruned").split()))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fake_run(tmp_path_factory.mktemp("page") / "run", WIDTHS, networks=5, features=FEATURES)


@pytest.fixture(scope="module")
def path(run):
    return report(run)


@pytest.fixture
def opened(browser, path):
    """The page; whatever a test did with it, it may have said nothing and asked for nothing but itself."""
    own = Opened(browser, path)
    yield own
    assert own.said == []
    assert [url for url in own.asked if not url.startswith(path.as_uri())] == []
    own.context.close()


# --- ranks -----------------------------------------------------------------------------------------------------------


def ranks_of_the_page(browser, networks: list[dict], metric: str, method: str, most: int) -> np.ndarray:
    """What the page's own functions rank, called as they are written."""
    text = re.sub(r"^export ", "", (SCRIPTS / "ranks.js").read_text(), flags=re.MULTILINE)
    page = browser.new_page()
    call = """(networks) => networks.map((own) => [...ranksOf(METRIC, METHOD, {
        ...own, weights: Float32Array.from(own.weights), keep: Float32Array.from(own.keep),
        remove: Float32Array.from(own.remove)}, MOST)])"""
    for name, value in (("METRIC", metric), ("METHOD", method), ("MOST", most)):
        call = call.replace(name, json.dumps(value))
    page.evaluate(f"() => {{ {text}\nObject.assign(globalThis, {{ ranksOf }}); }}")
    found = page.evaluate(call, networks)
    page.close()
    return np.array(found)


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("method", LEVELS)
def test_the_page_ranks_edges_as_jaxflow_does(browser, method, ties):
    """Twenty networks by every metric that follows from the tables; with ties most scores are equal."""
    rng, count = np.random.default_rng(1), 20

    def drawn(values, *shape):
        return (rng.choice(values, shape) if ties else rng.normal(size=shape)).astype(np.float32)

    flows = [np.abs(drawn([0, 0.25, 0.5], 2, count, n)) for n in WIDTHS]
    weights = [drawn([-1, 0.5, 1], count, n, m) for n, m in pairwise(WIDTHS)]
    metrics, most = ("bias/acc", "acc/bias", "magnitude"), 6
    strategies = [Strategy(metric, method, most) for metric in metrics]

    def of_one(kept, removed, own):
        both = {"y": dict(enumerate(kept)), "z": dict(enumerate(removed))}
        return strategy_ranks(own, Flows(both, samples=SAMPLES), strategies)

    every = [jnp.asarray(own) for own in weights]
    expected = jax.vmap(of_one)([jnp.asarray(own[0]) for own in flows], [jnp.asarray(own[1]) for own in flows], every)
    networks = [
        {"widths": WIDTHS, "samples": SAMPLES,
         "weights": np.concatenate([own[k].ravel() for own in weights]).tolist(),
         "keep": np.concatenate([own[0, k] for own in flows]).tolist(),
         "remove": np.concatenate([own[1, k] for own in flows]).tolist()}
        for k in range(count)
    ]  # fmt: skip
    for place, metric in enumerate(metrics):
        found = ranks_of_the_page(browser, networks, metric, method, most)
        padded = np.asarray(expected)[:, place]
        own = [padded[:, layer, :n, :m].reshape(count, -1) for layer, (n, m) in enumerate(pairwise(WIDTHS))]
        np.testing.assert_array_equal(np.minimum(found, 2**29), np.minimum(np.concatenate(own, axis=1), 2**29), metric)


# --- what the controls do --------------------------------------------------------------------------------------------


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(" %", ""))


def rows_of(run, metric: str, method: str, level: int, factor: float):
    table = run.table("tradeoff")
    chosen = (table["metric"] == metric) & (table["method"] == method) & (table["level"] == level)
    return table[chosen & (table["factor"] == factor)]


@pytest.mark.parametrize("method", LEVELS)
def test_the_sliders_move_the_points_to_the_means_of_the_table(opened, run, method):
    opened.choose("method", method)
    for place, level in enumerate(LEVELS[method]):
        opened.slide("level", place)
        for factor in FACTORS[::2]:
            opened.scale(factor)
            for metric in METRICS:
                row = opened.page.locator(f'#curves li[data-metric="{metric}"]')
                rows = rows_of(run, metric, method, level, factor)[["bias", "accuracy"]]
                mean, error = rows.mean(), rows.sem()
                said = row.locator("output").text_content().replace(" %", "").split(" · ")
                errors = [number(part.split(" ± ")[1]) for part in said]
                assert errors == pytest.approx([error["bias"], error["accuracy"]], abs=0.0056)
                assert number(row.get_attribute("data-x")) == pytest.approx(mean["bias"], abs=0.0056)
                assert number(row.get_attribute("data-y")) == pytest.approx(mean["accuracy"], abs=0.0056)
            said = re.findall(r"[\d.]+(?= %)", opened.headline)
            mean = rows_of(run, METRICS[0], method, level, factor)[["accuracy", "bias"]].mean()
            assert list(map(float, said[2:])) == pytest.approx(mean.tolist(), abs=0.0056)
            fate = {0.0: "removed", 1.0: "untouched"}.get(factor, f"× {factor:g}")
            assert f" by {METRICS[0]} {fate}, " in opened.headline


def test_the_page_opens_in_the_state_that_its_headline_tells(opened, path):
    """The same sentence as without a script; one network, as hidden nodes of different ones do not correspond."""
    assert f'<p class="headline">{opened.headline}</p>' in path.read_text()
    assert opened.page.locator("#factor-out").text_content() == "× 0"
    ends = opened.page.locator("#factor-low, #factor-high").all_text_contents()
    assert ends == ["× 0, removed", "× 1, untouched"]
    assert "whose bias is the median of all 5" in opened.page.locator("#network-caption").text_content()
    assert opened.page.locator("#tradeoff-caption").text_content().startswith("Bias · accuracy, mean of 5 networks")
    note = opened.page.locator("#mean-note")
    assert not note.is_visible()
    opened.page.locator("#network-choice").select_option("mean")
    opened.settle()
    assert note.is_visible()
    assert "do not correspond" in note.text_content()


def test_levels_of_chance_are_lines_with_names(opened):
    """At 62 and 55 per cent, as the manifest says, on the scales of the curves; of gaps none is."""
    assert "62.00 % accuracy (always the largest class of y)" in opened.page.locator(".chance-line").text_content()
    names = opened.page.locator("#tradeoff-plot .chance text")
    assert sorted(name.strip("←↓→↑ ") for name in names.all_text_contents()) == [
        "accuracy at chance, 62.00 %",
        "bias at chance, 55.00 %",
    ]
    opened.page.locator("#measure-choice").select_option("parity gap")
    opened.settle()
    assert {name.strip("←↓→↑ ") for name in names.all_text_contents()} == {"accuracy at chance, 62.00 %", "no gap"}


def test_the_sliders_light_up_the_edges_that_are_pruned(opened, run):
    """Of one network exactly as many as the level says; none where the table does not tell which."""
    opened.page.locator("#network-choice").select_option("2")
    opened.choose("method", "edge")
    for place, level in enumerate(LEVELS["edge"]):
        opened.slide("level", place)
        assert len(opened.pruned) == level
        halos = opened.page.locator("line.halo").evaluate_all(
            "all => all.map(own => Number(own.getAttribute('stroke-opacity')))"
        )
        assert {edge for edge, opacity in enumerate(halos) if opacity > 0} == opened.pruned
    weights = run.table("edge_flows").query("network == 2 and message == 'y'")["weight"].abs().to_numpy()
    opened.page.locator("#metric-choice").select_option("magnitude")
    opened.settle()
    assert opened.pruned == set(np.argsort(-weights)[: LEVELS["edge"][-1]].tolist())
    opened.page.locator("#metric-choice").select_option("random")
    opened.settle()
    assert opened.pruned == set()
    assert "does not follow from the tables" in opened.page.locator("#network-caption").text_content()


def test_a_pruned_edge_is_as_wide_as_the_factor_leaves_it(opened):
    opened.page.locator("#network-choice").select_option("1")
    opened.choose("method", "edge")
    opened.scale(1.0)
    edge = min(opened.pruned)
    line = opened.page.locator("line.edge").nth(edge)
    whole = float(line.get_attribute("stroke-width"))
    opened.scale(0.0)
    gone = float(line.get_attribute("stroke-width"))
    opened.scale(0.5)
    assert float(line.get_attribute("stroke-width")) == pytest.approx((whole + gone) / 2, abs=0.011)
    assert gone == pytest.approx(0.35)


def test_a_network_of_its_own_has_its_own_curve(opened, run):
    opened.page.locator("#network-choice").select_option("3")
    opened.page.locator("#whose-choice").select_option("own")
    opened.scale(0.5)
    assert opened.headline.startswith("Network 3: ")
    row = opened.page.locator('#curves li[data-metric="bias/acc"]')
    own = rows_of(run, "bias/acc", "node", 1, 0.5).query("network == 3").iloc[0]
    assert number(row.get_attribute("data-x")) == pytest.approx(own["bias"], abs=0.0151)
    assert number(row.get_attribute("data-y")) == pytest.approx(own["accuracy"], abs=0.0151)


def test_strategies_are_switched_on_and_off(opened):
    assert opened.page.locator("#tradeoff-plot circle.point").count() == len(METRICS)
    for metric in METRICS[1:]:
        opened.page.locator(f'#curves input[value="{metric}"]').uncheck()
    opened.settle()
    assert opened.page.locator("#tradeoff-plot circle.point").count() == 1
    assert opened.page.locator('#curves li[data-metric="random"] output').text_content() == ""


def test_a_node_and_an_edge_show_what_the_tables_say(opened, run):
    """By keys alone: into the drawing, to a node, to the edges that leave it."""
    opened.page.locator("#network-choice").select_option("0")
    opened.page.locator("#network-plot").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):  # the first key goes to the first node
        opened.page.keyboard.press(key)
    opened.settle()
    details = opened.page.locator("#details")
    assert details.locator("h3").text_content() == "node 1, layer 1"
    node = run.table("node_flows").query("network == 0 and layer == 1 and node == 1 and message == 'y'").iloc[0]
    cells = details.locator("tbody tr").evaluate_all("rows => rows.map(row => row.cells[1].textContent)")
    assert cells[0] == f"{node['flow']:.4f}"
    assert cells[1] == f"{node['p_max']:.4f}"
    names = {"": "no other node", "0": "node 0", "0+1": "node 0, node 1"}
    assert cells[4] == names[node["witness"]]
    opened.page.keyboard.press("e")
    opened.settle()
    assert details.locator("h3").text_content() == "node 1 → node 0, layer 1 → layer 2"
    edge = run.table("dependence").query(
        "network == 0 and layer == 1 and source == 1 and target == 0 and message == 'y'"
    )
    cells = details.locator("tbody tr").evaluate_all("rows => rows.map(row => row.cells[1].textContent)")
    assert cells[0] == f"{edge['flow'].iloc[0]:.4f}"
    assert number(cells[1]) == pytest.approx(edge["effect"].iloc[0], abs=0.011)
    rims, halves = (opened.page.locator(f"#network-plot {own}") for own in ("path.rim", "path:is(.f0, .f1)"))
    p_max = run.table("node_flows").query("network == 0")["p_max"].to_numpy()  # messages within nodes
    for parts in (rims, halves):  # each half by its own significance
        faint = parts.evaluate_all("all => all.map(own => own.classList.contains('faint'))")
        assert faint == (p_max >= 0.05).tolist()
    opened.page.keyboard.press("Escape")
    opened.settle()
    assert "Point at a node" in details.text_content()


def test_a_pointer_finds_a_node(opened):
    box = opened.page.locator("#network-plot path.rim").first.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.settle()
    assert opened.page.locator("#details h3").text_content() == "age, layer 0"


def test_a_rectangle_picks_the_edges_inside(opened, run):
    """Drawn with the pointer over everything it holds all points; given by numbers those that the table holds."""
    points = run.table("dependence").query("message == 'z'")
    opened.page.locator("#network-choice").select_option("mean")
    opened.page.locator("#effects-plot").scroll_into_view_if_needed()
    box = opened.page.locator("#effects-plot svg").bounding_box()
    opened.page.mouse.move(box["x"] + 0.12 * box["width"], box["y"] + 8)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + box["width"], box["y"] + 0.88 * box["height"])
    opened.page.mouse.up()
    opened.settle()
    said = opened.page.locator("#brush-out").text_content()
    assert int(said.split()[0]) >= 0.9 * len(points)
    opened.page.locator("details.ranges summary").click()
    opened.page.locator("#brush-clear").click()
    opened.page.locator("#flow-from").fill("0.1")
    opened.settle()
    inside = points[points["flow"] >= 0.1]
    edges = len(inside[["layer", "source", "target"]].drop_duplicates())
    said = opened.page.locator("#brush-out").text_content()
    assert said == f"{len(inside)} points, {edges} edges in the rectangle"
    assert opened.page.locator("line.edge.aside").count() == 24 + 2 * 3 - edges


def test_the_table_sorts_and_chooses_a_network(opened, run):
    column = opened.page.locator("#networks thead th").nth(3)
    column.locator("button").click()
    opened.settle()
    assert column.get_attribute("aria-sort") == "ascending"
    values = opened.page.locator("#networks tbody tr").evaluate_all(
        "rows => rows.map(row => Number(row.cells[3].textContent))"
    )
    assert values == sorted(values)
    assert opened.page.locator(".networks .scroll:not(.wider)").evaluate("own => own.scrollWidth <= own.clientWidth")
    order = run.table("networks").sort_values("output_bias")["network"].tolist()
    opened.page.locator("#networks tbody button").first.click()
    opened.settle()
    assert opened.page.locator("#network-choice").input_value() == str(order[0])
    assert f"network={order[0]}" in opened.state


# --- the page as a whole ---------------------------------------------------------------------------------------------


def test_the_address_brings_back_what_was_shown(browser, opened, path):
    opened.page.locator("#network-choice").select_option("3")
    opened.page.locator("#metric-choice").select_option("acc/bias")
    opened.choose("message", "y")
    opened.choose("method", "path")
    opened.slide("level", 1)
    opened.scale(0.25)
    opened.page.locator("#whose-choice").select_option("own")
    opened.page.locator('#curves input[value="random"]').uncheck()
    opened.page.locator("#measure-choice").select_option("odds gap")
    opened.page.locator("#network-plot").focus()
    opened.page.keyboard.press("ArrowDown")
    opened.settle()
    again = Opened(browser, path, f"#{opened.state}")
    for selector in (
        "#network-plot",
        "#tradeoff-plot",
        "#curves",
        "#details",
        "#network-caption",
        "#tradeoff-caption",
        ".headline",
    ):
        first, second = (own.page.locator(selector).inner_html().replace(' class=""', "") for own in (opened, again))
        assert first == second, selector
    assert again.pruned == opened.pruned
    again.context.close()


@pytest.mark.parametrize("state", ["#network=99&level=abc&brush=1&at=node-999&sort=77", "#%%%", "#factor=7&curve=<b>"])
def test_an_impossible_address_is_the_first_view(browser, opened, path, state):
    again = Opened(browser, path, state)
    assert again.said == []
    assert again.page.locator("#network-plot").inner_html() == opened.page.locator("#network-plot").inner_html()
    again.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["run", "recording", "dense", "attributes", "deep", "edit"])
def test_nothing_is_said_or_asked_and_axe_finds_nothing(browser, tmp_path, kind, scheme):
    makers = {
        "run": lambda folder: fake_run(folder, WIDTHS, features=FEATURES),
        "recording": lambda folder: fake_recording(folder, 30, messages=("stimulus", "context"), weights=True),
        "dense": lambda folder: fake_recording(folder, bins=450),
        "attributes": lambda folder: fake_run(folder, label="hired", attributes=("sex", "<!--race")),
        "deep": lambda folder: fake_run(folder, (3, *[8] * 9, 2), networks=2),
        "edit": lambda folder: fake_edit(folder, label="hired", attributes=("sex", "<!--race"), features=FEATURES),
    }
    path = report(makers[kind](tmp_path / kind))
    opened = Opened(browser, path, color_scheme=scheme)
    opened.page.locator("#network-plot").focus()
    opened.page.keyboard.press("ArrowDown")  # with details
    opened.settle()
    found = axe.Axe().run(opened.page)
    assert found.violations_count == 0, found.generate_report()
    assert opened.said == []
    assert opened.asked == [path.as_uri()]
    opened.context.close()


def test_edges_of_a_recording_are_as_wide_as_their_flows(browser, tmp_path):
    results = fake_recording(tmp_path / "recording", messages=("stimulus", "context"), weights=True)
    opened = Opened(browser, report(results))
    opened.choose("message", "context")
    flow = results.table("edge_flows").query("message == 'context'")["flow"].to_numpy()
    lines = opened.page.locator("line.edge")
    widths = np.array(lines.evaluate_all("all => all.map(own => Number(own.getAttribute('stroke-width')))"))
    assert np.ptp(widths) > 1
    np.testing.assert_allclose((widths - 0.35) / (widths.max() - 0.35), flow / flow.max(), atol=0.01)
    opened.context.close()


POINTS_OF = (
    """(path) => path.getAttribute('d').match(/-?[\\d.]+,-?[\\d.]+/g).map((own) => own.split(',').map(Number))"""
)


def test_the_course_of_a_recording_is_its_table(browser, tmp_path):
    """Lines are straight in time and flow, dots where p_max is small; what is chosen in one drawing is in both."""
    results = fake_recording(tmp_path / "recording", 8, messages=("stimulus", "context"))
    opened = Opened(browser, report(results))
    table = results.table("node_flows").query("message == 'context'")
    opened.choose("message", "context")
    for node in range(3):
        own = table[table["node"] == node]
        line = opened.page.locator("#course-plot path.course").nth(node).evaluate(POINTS_OF)
        for drawn, column in zip(np.transpose(line), (own["time"], own["flow"]), strict=True):
            fit = np.polyfit(column, drawn, 1)
            np.testing.assert_allclose(np.polyval(fit, column), drawn, atol=0.1)
        dots = opened.page.locator("#course-plot path.dots").nth(node).get_attribute("d").count("M")
        assert dots == (own["p_max"] < 0.05).sum()
    assert opened.page.locator("#course-plot .over path").count() == 0
    opened.page.locator("#network-plot").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):  # the first key goes to the first node
        opened.page.keyboard.press(key)
    opened.settle()
    assert opened.page.locator("#details h3").text_content() == "unit 1, time 0.2"
    ring = opened.page.locator("#course-plot .over circle")
    at = [float(ring.get_attribute(name)) for name in ("cx", "cy")]
    assert at in opened.page.locator("#course-plot .over path.chosen").evaluate(POINTS_OF)
    x, y = opened.page.locator("#course-plot path.course").nth(2).evaluate(POINTS_OF)[-1]
    scale = opened.page.locator("#course-plot svg").bounding_box()["width"] / 1160
    opened.page.locator("#course-plot svg").click(position={"x": x * scale, "y": y * scale})
    opened.settle()
    assert opened.page.locator("#details h3").text_content() == "unit 2, time 0.7"
    assert "at=node-23" in opened.state
    assert opened.said == []
    opened.context.close()


def test_an_edit_shows_what_was_scaled_and_what_it_gave(browser, tmp_path):
    """Edges, factors and measures of the table; the address brings them back."""
    folder = fake_edit(tmp_path / "edit", attributes=("sex", "race"), features=FEATURES)
    path = report(folder)
    opened, table = Opened(browser, path), Results(folder).table("edits").query("written")
    for own in table.to_dict("records"):
        opened.page.locator("#network-choice").select_option(str(own["network"]))
        opened.settle()
        places = [[int(k) for k in part.split("*")[0].split("/")] for part in own["edges"].split()]
        edges = sorted((0 if layer == 0 else 12) + a * (4 if layer == 0 else 2) + b for layer, a, b in places)
        assert opened.page.locator("#network-plot").get_attribute("data-edited") == " ".join(map(str, edges))
        assert opened.page.locator("#network-plot line.removed").count() == 1
        assert opened.page.locator("#network-plot line.scaled").count() == 2
    opened.page.locator("#network-plot").focus()
    for key in ("e", "e", "e"):  # to the first node, its first edge, its second
        opened.page.keyboard.press(key)
    opened.settle()
    factor = table["edges"].iloc[-1].split()[0].split("*")[1]
    assert f"weight × {factor}" in opened.page.locator("#details").text_content()
    opened.page.locator("#network-choice").select_option("all")
    opened.page.locator("#measure-choice").select_option("1")
    opened.settle()
    assert "edited in 4 of 4 networks, by a mean factor of 0.25" in opened.page.locator("#details").text_content()
    squares = opened.page.locator("#change-plot .pairs > rect").evaluate_all(
        "all => all.map(own => own.y.baseVal.value)"
    )
    after = table["argmax_accuracy_after"]
    np.testing.assert_allclose(np.polyval(np.polyfit(after, squares, 1), after), squares, atol=0.01)
    column = opened.page.locator("#networks thead th").nth(5)
    column.locator("button").click()
    opened.settle()
    worst = table[["parity_gap_sex_before", "parity_gap_race_before"]].abs().max(axis=1)
    first = opened.page.locator("#networks tbody th").first
    assert first.text_content() == str(table["network"].iloc[int(worst.to_numpy().argmin())])
    # of two attributes the columns are too many: the table says that there are more, and keys scroll it
    opened.page.wait_for_selector(".networks .scroll.wider[tabindex='0']")
    again = Opened(browser, path, f"#{opened.state}")
    for selector in ("#network-plot", "#change-plot", "#details", "#network-caption"):
        assert again.page.locator(selector).inner_html() == opened.page.locator(selector).inner_html(), selector
    assert (again.said, opened.said) == ([], [])
    again.context.close()
    opened.context.close()


def test_all_tables_are_open_for_the_printer(opened):
    closed = opened.page.locator("details.folded:not([open])")
    opened.page.evaluate("document.querySelectorAll('.folded').forEach((own) => own.removeAttribute('open'))")
    assert closed.count() == 4
    opened.page.pdf()
    assert closed.count() == 0


def test_without_javascript_it_shows_figures_and_tables(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("#network-plot svg").is_visible()
    assert page.locator("#tradeoff-plot svg").is_visible()
    assert page.locator("#networks tbody tr").count() == 5
    assert not page.locator("#toolbar").is_visible()
    context.close()


def main_thread_seconds(session) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(own["value"] for own in metrics if own["name"] == "TaskDuration")


SLIDING = """async ([name, frames]) => {
  const slider = document.getElementById(name);
  for (let k = 0; k < frames; k++) {
    slider.value = k % (Number(slider.max) + 1);
    slider.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
}"""


@pytest.mark.parametrize(
    ("widths", "opens", "frame"), [((5, 8, 6, 2), 0.5, 1 / 60), ((3, *[16] * 20, 2), 0.5, 1 / 20)], ids=["100", "5000"]
)
def test_it_opens_at_once_and_sliders_are_smooth(browser, tmp_path, widths, opens, frame):
    """In seconds of the page's main thread, which other work on the machine does not add to."""
    path = report(fake_run(tmp_path / "run", widths, networks=4))
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    page.wait_for_selector("html.live")
    assert main_thread_seconds(session) < opens
    page.wait_for_timeout(1000)
    for name in ("factor", "level"):
        before = main_thread_seconds(session)
        page.evaluate(SLIDING, [name, 60])
        assert (main_thread_seconds(session) - before) / 60 < frame, name
    context.close()


def test_strategies_that_are_not_all_there_are_shown_as_they_are(browser, tmp_path):
    """A metric of the user's, one level alone, and a metric that was run with one method only."""
    strategies = [
        *strategies_of({"edge": (1, 2, 5)}, ("mine", "bias/acc")),
        ("random", "edge", 2),
        ("saliency", "node", 1),
    ]
    path = report(fake_run(tmp_path / "run", strategies=strategies))
    opened = Opened(browser, path)
    assert opened.said == []
    assert "“mine” prunes does not follow" in opened.page.locator("#network-caption").text_content()
    opened.slide("level", 0)
    assert opened.page.locator('#curves li[data-metric="random"] output').text_content() == "not run at this level"
    opened.page.locator("#metric-choice").select_option("saliency")
    opened.settle()
    assert opened.page.locator("#network-caption").text_content().endswith("edges were not pruned by “saliency”.")
    opened.choose("method", "node")
    assert "“saliency” prunes does not follow" in opened.page.locator("#network-caption").text_content()
    assert opened.said == []
    opened.context.close()
