// What is said of the node or the edge that is looked at.

import { markCourse } from "./course.js";
import { html, percent, shortNumber } from "./drawing.js";
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
        shortNumber(model.meanFlow[at]),
        shortNumber(model.deviation[at]),
        Number.isNaN(strong) ? "–" : percent(100 * strong, 0),
      ];
    });
    return [
      html("h3", {}, title),
      tableOf("Over all networks, bits", ["about", "mean flow", "deviation", "significant"], rows),
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
      : `${shortNumber(own.honest)} [${shortNumber(own.low)}, ${shortNumber(own.high)}]`;
    return [
      name,
      shortNumber(nodeFlows(model, place, message)[node]),
      shortNumber(own.p_max),
      interval,
      shortNumber(own.null95),
      witness,
    ];
  });
  const turned = [
    "flow (bits)",
    "p_max",
    `honest flow, ${100 * data.confidence} %`,
    "noise floor",
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
    ["flow (bits)", ...data.messages.map((_, message) => shortNumber(edgeFlows(model, place, message)[edge]))],
  ];
  if (effects[0]) rows.push(["effect of removal (points)", ...effects.map((own) => shortNumber(own[edge]))]);
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
    return [html("p", {}, `Among ${what} in ${percent(100 * share[edge], 0)} of ${data.shown.length} networks`)];
  const rank = networkRanks(model, place, state.by, state.method, attributeNow())[edge];
  const order =
    rank >= UNRANKED ? `on none of the ranked ${state.method}s` : `${state.method} number ${rank + 1} by ${state.by}`;
  return [html("p", {}, `${share[edge] ? "Among" : "Not among"} ${what}: ${order}`)];
}
