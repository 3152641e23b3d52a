// What is said of the node or the edge that is looked at.

import { markCourse } from "./course.js";
import { bits, html, points, shortNumber } from "./drawing.js";
import { markEffects } from "./effects.js";
import { markNetwork } from "./network.js";
import { attributeNow, data, levelNow, model, parts, shareNow } from "./page.js";
import { UNRANKED } from "./ranks.js";
import { found, itemOf, state, unlessDrawn } from "./state.js";
import {
  edgeFlows,
  effectsOf,
  evidenceOf,
  layerName,
  networkRanks,
  nodeFlows,
  nodeName,
  placeOf,
  weightsOf,
} from "./view.js";

export function look(item) {
  const shown = item ?? itemOf(state.at);
  unlessDrawn("details", [shown, state.network, state.message, state.by, state.method, state.level, state.aim], () => {
    markNetwork(parts.network, shown);
    if (parts.effects) markEffects(parts.effects, shown?.edge ?? null);
    if (parts.course) markCourse(parts.course, shown?.node ?? model.source[shown?.edge] ?? null);
    found("details").replaceChildren(
      ...(shown ? (shown.edge === undefined ? nodeDetails(shown.node) : edgeDetails(shown.edge)) : hint()),
    );
  });
}

function hint() {
  return [
    html(
      "p",
      { class: "hint" },
      "Point at a node or an edge; a click keeps it. In the drawing arrow keys move between nodes, and e steps through the edges that leave one.",
    ),
  ];
}

function tableOf(caption, header, rows) {
  const head = html("tr", {}, ...header.map((own) => html("th", { scope: "col" }, own)));
  const body = rows.map(([first, ...others]) =>
    html("tr", {}, html("th", { scope: "row" }, first), ...others.map((own) => html("td", {}, own))),
  );
  return html("table", {}, html("caption", {}, caption), html("thead", {}, head), html("tbody", {}, ...body));
}

function nodeDetails(node) {
  const place = placeOf(model, state.network);
  const title = `${nodeName(model, node)}, ${layerName(model, model.layerOf[node])}`;
  if (place < 0) {
    const rows = data.messages.map(({ title: name }, message) => {
      const at = message * model.nodes + node;
      const strong = model.strong[at];
      return [
        name,
        bits(model.meanFlow[at]),
        bits(model.deviation[at]),
        Number.isNaN(strong) ? "–" : `in ${Math.round(strong * data.networks.length)}`,
      ];
    });
    const header = ["about", "mean flow", "deviation", "significant"];
    const layer = model.layerOf[node];
    const hidden = layer > 0 && layer < data.widths.length - 1;
    const other = html("p", { class: "warning" }, "A hidden node: it is another one in every network.");
    return [
      html("h3", {}, title),
      tableOf(`Over all ${data.networks.length} networks, bits`, header, rows),
      ...(hidden ? [other] : []),
    ];
  }
  const rows = data.messages.map(({ title: name }, message) => {
    const own = evidenceOf(model, place, message, node);
    const witness =
      own.witness === ""
        ? "no other node"
        : own.witness
            .split("+")
            .map((one) => companion(node, Number(one)))
            .join(", ");
    const interval = Number.isNaN(own.honest ?? NaN)
      ? "–"
      : `${bits(own.honest)} [${bits(own.low)}, ${bits(own.high)}]`;
    return [
      name,
      bits(nodeFlows(model, place, message)[node]),
      bits(own.p_max),
      interval,
      bits(own.null95),
      witness,
    ];
  });
  const turned = [
    "flow (bits)",
    "p_max",
    `honest flow (bits), ${100 * data.confidence} %`,
    "noise floor (bits)",
    "in company of",
  ].map((name, k) => [name, ...rows.map((row) => row[k + 1])]);
  return [html("h3", {}, title), tableOf(captionOf(), ["about", ...rows.map((row) => row[0])], turned)];
}

function captionOf() {
  return data.networks.length > 1 ? `Network ${state.network}` : "Flow and evidence";
}

function companion(node, index) {
  return nodeName(model, node - model.indexOf[node] + index);
}

function edgeDetails(edge) {
  const place = placeOf(model, state.network);
  const [from, to] = [model.source[edge], model.target[edge]];
  const title = `${nodeName(model, from)} → ${nodeName(model, to)}, ${layerName(model, model.layerOf[from])} → ${layerName(model, model.layerOf[to])}`;
  const effects = data.messages.map((_, message) => effectsOf(model, place, message));
  const rows = [
    ["flow (bits)", ...data.messages.map((_, message) => bits(edgeFlows(model, place, message)[edge]))],
  ];
  if (effects[0]) rows.push(["effect of removal (points)", ...effects.map((own) => points(own[edge]))]);
  const header = ["about", ...data.messages.map((own) => own.title)];
  const weight = `${place < 0 ? "mean size of the weight" : "weight"} ${shortNumber(weightsOf(model, place)[edge])}`;
  return [
    html("h3", {}, title),
    tableOf(place < 0 ? "Means over all networks" : captionOf(), header, rows),
    html("p", {}, weight),
    ...fate(edge, place),
  ];
}

// What the chosen strategy does to an edge.
function fate(edge, place) {
  const share = shareNow();
  if (!share) return [];
  const what = `the top ${levelNow()} ${state.method}${levelNow() === 1 ? "" : "s"} by ${state.by}`;
  if (place < 0)
    return [
      html("p", {}, `Among ${what} in ${Math.round(share[edge] * data.shown.length)} of ${data.shown.length} networks`),
    ];
  const rank = networkRanks(model, place, state.by, state.method, attributeNow())[edge];
  const order =
    rank >= UNRANKED ? `on none of the ranked ${state.method}s` : `${state.method} number ${rank + 1} by ${state.by}`;
  return [html("p", {}, `${share[edge] ? "Among" : "Not among"} ${what}: ${order}`)];
}
