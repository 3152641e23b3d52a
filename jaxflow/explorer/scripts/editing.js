// The page of edits: data into a model, controls into a state, the state into drawings and into the address.

import { drawChanges } from "./changes.js";
import { floats, unpackLater } from "./data.js";
import { html, shortNumber } from "./drawing.js";
import { discName, drawEdited, editsOf, makeEdited, markEdited, placeName, sizesOf } from "./edited.js";
import { shapeOf } from "./layout.js";
import {
  change,
  drawn,
  drawnBy,
  followWindow,
  found,
  isItem,
  itemOf,
  nameOf,
  startState,
  state,
  unlessDrawn,
} from "./state.js";
import { cueColumns, makeTable, markRow, nextOrder, sortTable } from "./tables.js";

const data = JSON.parse(found("data").textContent);
const edges = data.widths.slice(1).reduce((sum, width, layer) => sum + width * data.widths[layer], 0);
const model = {
  data,
  ...shapeOf(data.widths, edges),
  weight: floats(data.weight),
  changes: data.changes.map((own) => unpackLater({}, own)),
};
const parts = {};

startState({ network: String(data.typical), measure: "0", sort: "", at: "" }, (name, value) => {
  const choices = {
    network: () => value === "all" || data.networks.map(String).includes(value),
    measure: () => value in data.measures,
    sort: () => /^-?\d{1,3}$/.test(value) && Math.abs(Number(value)) <= data.columns,
    at: () => isItem(value, model),
  };
  return choices[name]();
});

function draw() {
  found("network-choice").value = state.network;
  found("measure-choice").value = state.measure;
  unlessDrawn("changes", [state.network, state.measure], () =>
    drawChanges(found("change-plot"), model, state, (network) => change({ network })),
  );
  unlessDrawn("sort", state.sort, () => sortTable(parts.table, state.sort));
  markRow(parts.table, state.network);
  captionEdits();
  look(itemOf(state.at));
  unlessDrawn("network", state.network, () => drawEdited(parts.network, state.network));
}

function captionEdits() {
  const limit = data.limits[state.measure];
  const one = `Network ${state.network}. `;
  const widths = sizesOf(model, state.network)
    ? "Edges as wide as the weights that were written; pale: as they were before. "
    : "The weights of this network are not in the page. ";
  const { share, factor } = editsOf(model, state.network);
  const edited = share.reduce((sum, own) => sum + (own > 0), 0),
    removed = share.reduce((sum, own, edge) => sum + (own > 0 && factor[edge] === 0), 0);
  const many = `All ${data.networks.length} networks: mean weights; the darker an edge, the more of them edited it. `;
  const count = `${edited} of ${model.edges} edges edited${removed ? `, ${removed} of them removed` : ""}.`;
  found("network-caption").textContent = (state.network === "all" ? many : one + widths) + count;
  found("network-plot").dataset.edited = [...share.keys()].filter((edge) => share[edge]).join(" ");
  const asked = limit === null || limit === undefined ? "" : ` Dashed: at most ${limit} % was asked for.`;
  const mean = data.networks.length > 1 ? " Large: the mean over networks." : "";
  found("change-caption").textContent =
    `Circles: before; squares: after, on rows that did not choose the edit.${mean}${asked} A click chooses a network.`;
}

function look(item) {
  const shown = item ?? itemOf(state.at);
  unlessDrawn("details", [shown, state.network], () => {
    markEdited(parts.network, shown);
    found("details").replaceChildren(...(shown ? detailsOf(shown) : [hintOf()]));
  });
}

function hintOf() {
  const text =
    "Point at a node or an edge; a click keeps it. In the drawing arrow keys move between nodes, and e steps through the edges that leave one.";
  return html("p", { class: "hint" }, text);
}

function edgeName(edge) {
  const [from, to] = [model.source[edge], model.target[edge]];
  return `${discName(model, from)} → ${discName(model, to)}`;
}

// Of an edge what was done to it; of a node the edges that leave it and reach it, where they were edited.
function detailsOf({ node, edge }) {
  const { share } = editsOf(model, state.network);
  if (edge !== undefined) {
    const layer = model.layerOf[model.source[edge]];
    const title = `${edgeName(edge)}, ${placeName(model, layer)} → ${placeName(model, layer + 1)}`;
    return [html("h3", {}, title), html("p", {}, fateOf(edge))];
  }
  const title = `${discName(model, node)}, ${placeName(model, model.layerOf[node])}`;
  const own = [...share.keys()].filter((k) => share[k] && (model.source[k] === node || model.target[k] === node));
  const items = own.slice(0, 40).map((k) => html("li", {}, `${edgeName(k)}: ${fateOf(k)}`));
  const none = html("p", {}, "None of its edges was edited.");
  return [html("h3", {}, title), items.length ? html("ul", { class: "edits" }, ...items) : none];
}

function fateOf(edge) {
  const { share, factor } = editsOf(model, state.network),
    sizes = sizesOf(model, state.network);
  if (state.network === "all") {
    const count = Math.round(share[edge] * data.networks.length);
    const by = count ? `, by a mean factor of ${shortNumber(factor[edge])}` : "";
    return `edited in ${count} of ${data.networks.length} networks${by}`;
  }
  const weight = sizes ? `, size of the weight ${shortNumber(sizes[edge])}` : "";
  if (!share[edge]) return `not edited${weight}`;
  if (factor[edge] === 0) return "removed (weight × 0)";
  const before = sizes ? `, before ${shortNumber(sizes[edge] / Math.abs(factor[edge]))}` : "";
  return `weight × ${shortNumber(factor[edge])}${weight}${before}`;
}

function fillChoices() {
  const option = (value, text) => html("option", { value }, text);
  const all = data.networks.length > 1 ? [option("all", `all ${data.networks.length} together`)] : [];
  found("network-choice").replaceChildren(...all, ...data.networks.map((own) => option(own, `network ${own}`)));
  found("measure-choice").replaceChildren(...data.measures.map((own, k) => option(k, own)));
  for (const name of ["network", "measure"])
    found(`${name}-choice`).addEventListener("change", (event) => change({ [name]: event.target.value }));
  document.querySelectorAll("[data-live]").forEach((own) => (own.hidden = false));
}

function beginEdits() {
  fillChoices();
  drawnBy(draw);
  const on = { look, pin: (item) => change({ at: nameOf(item) }), pinned: () => itemOf(state.at) };
  parts.network = makeEdited(found("network-plot"), model, on);
  parts.table = makeTable(found("networks"), {
    has: (number) => data.networks.map(String).includes(number),
    sort: (column) => change({ sort: nextOrder(state.sort, column) }),
    choose: (network) => change({ network: state.network === network && data.networks.length > 1 ? "all" : network }),
  });
  document.documentElement.classList.add("live");
  document.documentElement.classList.toggle("deep", data.widths.length > 8);
  draw();
  setTimeout(() => {
    cueColumns();
    followWindow(found("network-plot"), () => (drawn.network = undefined));
  });
}

beginEdits();
