// The page: data into a model, controls into a state, the state into drawings and into the address.

import { forgetColours, html, percent, shortNumber, svg } from "./drawing.js";
import { brushedEdges, drawEffects, layerKey, makeEffects, markEffects, showBrush } from "./effects.js";
import { drawNetwork, makeNetwork, markNetwork } from "./network.js";
import { hashOf, oncePerFrame, readState } from "./state.js";
import { makeTable, markRow, sortTable } from "./tables.js";
import { PAIRS, drawTradeoff, hasOwnCurve, levelsOf, markerPath, metricDash, metricLook, readOut, sweepOf } from "./tradeoff.js";
import { canRank, edgeFlows, effectsOf, evidenceOf, layerName, modelOf, networkRanks, nodeFlows, nodeName, placeOf, prunedShare, weightsOf } from "./view.js";
import { UNRANKED } from "./ranks.js";

const data = JSON.parse(document.getElementById("data").textContent);
const model = modelOf(data);
const sweep = sweepOf(data);
const found = (id) => document.getElementById(id);
const MESSAGES = data.messages.map((own) => own.name);
const ATTRIBUTES = (data.attributes ?? []).map((own) => own.name);
const RANGE = ["flow-from", "flow-to", "effect-from", "effect-to"]; // of the rectangle
const parts = {}; // what is on the page
const drawn = {}; // from which state each drawing was made

const defaults = defaultState();
let state = readState(location.hash, defaults, allowed);

function defaultState() {
  const method = sweep?.methods[0] ?? "", by = sweep?.metrics[0] ?? "";
  const factors = sweep?.factors ?? [];
  return {
    network: data.networks.length === 1 ? String(data.networks[0]) : "mean",
    message: data.kind === "run" ? data.attributes[0].message : MESSAGES[0],
    aim: ATTRIBUTES[0] ?? "", by, method,
    level: sweep ? String(middle(levelsOf(sweep, method, by))) : "",
    factor: String(factors.includes(0.5) ? 0.5 : (factors.findLast((own) => own >= 0) ?? factors[0] ?? 1)),
    curve: sweep?.metrics ?? [], measure: "information", sort: "", brush: "", at: "",
  };
}

function middle(values) {
  return values[(values.length - 1) >> 1];
}

function allowed(name, value) {
  const choices = {
    network: () => (value === "mean" && data.networks.length > 1) || data.shown.map(String).includes(value),
    message: () => MESSAGES.includes(value),
    aim: () => ATTRIBUTES.includes(value),
    by: () => Boolean(sweep?.metrics.includes(value)),
    curve: () => Boolean(sweep?.metrics.includes(value)),
    method: () => Boolean(sweep?.methods.includes(value)),
    level: () => /^\d+$/.test(value),
    factor: () => Boolean(sweep?.factors.map(String).includes(value)),
    measure: () => value in PAIRS,
    sort: () => /^-?\d{1,3}$/.test(value) && Math.abs(Number(value)) <= Object.keys(data.outputs).length,
    brush: () => /^(-?[\d.]+(e-?\d+)?,){3}-?[\d.]+(e-?\d+)?$/.test(value),
    at: () => /^(node|edge)-\d+$/.test(value) && Number(value.slice(5)) < (value.startsWith("node") ? model.nodes : model.edges),
  };
  return choices[name]();
}

// --- what follows from the state -------------------------------------------------------------------------------------

// Levels of the metric that is chosen, else, where it was not run with this method, of the others.
function levelsNow() {
  const own = levelsOf(sweep, state.method, state.by);
  return own.length ? own : [...new Set(sweep.metrics.flatMap((metric) => levelsOf(sweep, state.method, metric)))].sort((a, b) => a - b);
}

function levelNow() {
  const levels = levelsNow();
  return levels.includes(Number(state.level)) ? Number(state.level) : middle(levels);
}

function attributeNow() {
  return Math.max(ATTRIBUTES.indexOf(state.aim), 0);
}

function itemOf(text) {
  return text ? { [text.slice(0, 4)]: Number(text.slice(5)) } : null;
}

function shareNow() {
  if (!sweep || !canRank(model, state.by) || !levelsOf(sweep, state.method, state.by).length) return null;
  return prunedShare(model, placeOf(model, state.network), state.by, state.method, attributeNow(), levelNow());
}

function rangeNow() {
  return state.brush ? state.brush.split(",").map(Number) : null;
}

function change(changes) {
  Object.assign(state, changes);
  render();
  later();
}

const render = oncePerFrame(draw);
let timer = 0;
function later() {
  clearTimeout(timer); // browsers refuse addresses that change too often
  timer = setTimeout(() => history.replaceState(null, "", hashOf(state, defaults)), 200);
}

// --- controls --------------------------------------------------------------------------------------------------------

function options(select, values, texts = values) {
  select.replaceChildren(...values.map((value, k) => html("option", { value }, texts[k])));
}

function radios(box, name, values, texts, on) {
  values.forEach((value, k) => {
    const input = html("input", { type: "radio", name, value });
    input.addEventListener("change", () => on(value));
    box.append(html("label", {}, input, html("span", {}, texts[k])));
  });
}

function setUp() {
  const many = data.networks.length > 1;
  const some = data.shown.length < data.networks.length ? `, ${data.shown.length} in full` : "";
  options(found("network-choice"), [...(many ? ["mean"] : []), ...data.shown.map(String)], [
    ...(many ? [`mean of ${data.networks.length}${some}`] : []), ...data.shown.map((own) => `network ${own}`)]);
  found("network-choice").closest("label").hidden = !many;
  listenTo("network-choice", "network");
  const titles = data.messages.map((own) => own.title);
  radios(found("message-choice"), "message", MESSAGES, titles, (value) => {
    const about = data.attributes?.find((own) => own.message === value);
    change({ message: value, brush: "", ...(about ? { aim: about.name } : {}) });
  });
  data.messages.forEach((_, k) => found("message-choice").querySelectorAll("span")[k].classList.add(`under${k % 7}`));
  if (sweep) setUpSweep();
  document.querySelectorAll("[data-live]").forEach((own) => (own.hidden = false));
  document.querySelectorAll("[data-still]").forEach((own) => (own.hidden = true));
}

function listenTo(id, name) {
  found(id).addEventListener("change", (event) => change({ [name]: event.target.value }));
}

function setUpSweep() {
  options(found("metric-choice"), sweep.metrics);
  listenTo("metric-choice", "by");
  options(found("aim-choice"), ATTRIBUTES);
  found("aim-choice").closest("label").hidden = ATTRIBUTES.length < 2;
  listenTo("aim-choice", "aim");
  radios(found("method-choice"), "method", sweep.methods, sweep.methods.map((own) => `${own}s`), (method) => change({ method }));
  found("level").addEventListener("input", (event) => {
    change({ level: String(levelsNow()[Number(event.target.value)]) });
  });
  found("factor").max = sweep.factors.length - 1;
  found("factor").addEventListener("input", (event) => change({ factor: String(sweep.factors[Number(event.target.value)]) }));
  options(found("measure-choice"), Object.keys(PAIRS));
  listenTo("measure-choice", "measure");
  for (const metric of sweep.metrics) found("curves").append(curveRow(metric));
}

function curveRow(metric) {
  const look = metricLook(sweep, metric);
  const input = html("input", { type: "checkbox", value: metric });
  input.addEventListener("change", () => {
    const on = new Set(state.curve);
    input.checked ? on.add(metric) : on.delete(metric);
    change({ curve: sweep.metrics.filter((own) => on.has(own)) });
  });
  const swatch = svg("svg", { viewBox: "0 0 34 12", class: "swatch", "aria-hidden": "true" });
  svg("line", { x1: 1, x2: 33, y1: 6, y2: 6, class: `s${look}`, "stroke-dasharray": metricDash(metric) }, swatch);
  svg("path", { d: markerPath(look, 3.2), class: `f${look}`, transform: "translate(17 6)" }, swatch);
  return html("li", { "data-metric": metric }, html("label", {}, input, swatch, html("span", {}, metric)), html("output", {}));
}

function showControls() {
  found("network-choice").value = state.network;
  check("message", state.message);
  if (!sweep) return;
  found("metric-choice").value = state.by;
  found("aim-choice").value = state.aim;
  found("measure-choice").value = state.measure;
  check("method", state.method);
  const levels = levelsNow(), level = levelNow();
  found("level").max = levels.length - 1;
  found("level").value = levels.indexOf(level);
  const amount = `${level} ${state.method}${level === 1 ? "" : "s"}`;
  found("level-out").value = amount;
  found("level").setAttribute("aria-valuetext", amount);
  found("factor").value = sweep.factors.map(String).indexOf(state.factor);
  found("factor-out").value = `× ${state.factor.replace("-", "−")}`;
  found("factor").setAttribute("aria-valuetext", `weights times ${state.factor}`);
  found("curves").querySelectorAll("input").forEach((own) => (own.checked = state.curve.includes(own.value)));
}

function check(name, value) {
  document.querySelectorAll(`input[name="${name}"]`).forEach((own) => (own.checked = own.value === value));
}

// --- drawings --------------------------------------------------------------------------------------------------------

function draw() {
  showControls();
  const place = placeOf(model, state.network), message = MESSAGES.indexOf(state.message);
  if (parts.effects) unlessDrawn("effects", [place, message], () => drawEffects(parts.effects, { place, message }));
  const range = rangeNow();
  const brushed = parts.effects ? brushedEdges(parts.effects, range) : { edges: null, points: 0 };
  const share = shareNow(), factor = Number(state.factor);
  const full = drawNetwork(parts.network, { place, message, share, factor, brushed: brushed.edges, redraw: !drawn.again });
  drawn.again = "done";
  if (parts.share !== share) listPruned((parts.share = share));
  captionNetwork(full, share, place);
  if (sweep) drawSweep();
  if (parts.effects) {
    showBrush(parts.effects, range);
    const where = range ? `${brushed.points} points, ${brushed.edges.reduce((sum, own) => sum + own, 0)} edges in the rectangle` : "";
    found("brush-out").textContent = where;
    RANGE.forEach((id, k) => {
      if (document.activeElement !== found(id)) found(id).value = range ? Number(range[k].toPrecision(3)) : "";
    });
  }
  if (parts.table) unlessDrawn("sort", [state.sort], () => sortTable(parts.table, state.sort));
  if (parts.table) markRow(parts.table, state.network);
  look(itemOf(state.at));
}

// Numbers of the pruned edges, for whoever reads the page by a program.
function listPruned(share) {
  const edges = [];
  share?.forEach((own, edge) => own > 0 && edges.push(edge));
  found("network-plot").dataset.pruned = edges.join(" ");
}

function unlessDrawn(name, from, what) {
  const key = JSON.stringify(from);
  if (drawn[name] === key) return;
  drawn[name] = key;
  what();
}

function captionNetwork(full, share, place) {
  const widest = `The widest edge carries ${shortNumber(full.widest)} bits, the darkest node ${shortNumber(full.strongest)} bits. `;
  const scale = model.edges ? widest : `The largest flow is ${shortNumber(full.strongest)} bits. `;
  const most = place < 0 ? " in most networks" : "";
  const grey = `Grey${model.edges ? " and dashed" : " rim"}: flow not significant (p_max ≥ ${data.alpha})${most}. `;
  const dashed = parts.network.layout.dense ? `Dots: flow significant (p_max < ${data.alpha})${most}. ` : grey;
  let lit = "";
  const run = sweep && levelsOf(sweep, state.method, state.by).length;
  if (sweep && !run) lit = `${state.method}s were not pruned by “${state.by}”.`;
  else if (sweep && model.edges && !share) lit = `Which edges “${state.by}” prunes does not follow from the tables: none are lit.`;
  else if (sweep && share) lit = place < 0 ? `Lit: pruned edges, the stronger in the more of ${data.shown.length} networks.` : "Lit: pruned edges, as wide as the factor leaves them.";
  found("network-caption").textContent = scale + dashed + lit;
}

function drawSweep() {
  const attribute = attributeNow();
  const shown = { metrics: state.curve, method: state.method, level: levelNow(), pair: state.measure, attribute, network: state.network, lit: state.by };
  unlessDrawn("tradeoff", shown, () => (parts.move = drawTradeoff(found("tradeoff-plot"), sweep, shown)));
  const place = sweep.factors.map(String).indexOf(state.factor);
  parts.move(place);
  const rows = new Map(readOut(sweep, shown, place).map((own) => [own.metric, own]));
  for (const row of found("curves").children) {
    const own = rows.get(row.dataset.metric);
    row.querySelector("output").value = own?.text ?? "";
    row.dataset.x = own?.x ?? "";
    row.dataset.y = own?.y ?? "";
    row.classList.toggle("lit", row.dataset.metric === state.by);
  }
  const one = state.network !== "mean" && data.networks.length > 1;
  const whose = hasOwnCurve(sweep, state.network, state.measure) ? `network ${state.network}` : `mean of ${data.networks.length} networks, ± standard error`;
  found("tradeoff-caption").textContent = `Bias · accuracy, ${whose}${one && !whose.startsWith("network") ? " (this network’s own curve is not in the page)" : ""}. Star: unpruned. Pale: the other levels.`;
}

// --- details ---------------------------------------------------------------------------------------------------------

function look(item) {
  const shown = item ?? itemOf(state.at);
  unlessDrawn("details", [shown, state.network, state.message, state.by, state.method, state.level, state.aim], () => {
    markNetwork(parts.network, shown);
    if (parts.effects) markEffects(parts.effects, shown?.edge ?? null);
    found("details").replaceChildren(...(shown ? (shown.edge === undefined ? nodeDetails(shown.node) : edgeDetails(shown.edge)) : hint()));
  });
}

function hint() {
  return [html("p", { class: "hint" }, "Point at a node or an edge; a click keeps it. In the drawing arrow keys move between nodes, and e steps through the edges that leave one.")];
}

function tableOf(caption, header, rows) {
  const head = html("tr", {}, ...header.map((own) => html("th", { scope: "col" }, own)));
  const body = rows.map(([first, ...others]) => html("tr", {}, html("th", { scope: "row" }, first), ...others.map((own) => html("td", {}, own))));
  return html("table", {}, html("caption", {}, caption), html("thead", {}, head), html("tbody", {}, ...body));
}

function nodeDetails(node) {
  const place = placeOf(model, state.network);
  const title = `${nodeName(model, node)}, ${layerName(model, model.layerOf[node])}`;
  if (place < 0) {
    const rows = data.messages.map(({ title: name }, message) => {
      const at = message * model.nodes + node;
      const strong = model.strong[at];
      return [name, shortNumber(model.meanFlow[at]), shortNumber(model.deviation[at]), Number.isNaN(strong) ? "–" : percent(100 * strong, 0)];
    });
    return [html("h3", {}, title), tableOf("Over all networks, bits", ["about", "mean flow", "deviation", "significant"], rows)];
  }
  const rows = data.messages.map(({ title: name }, message) => {
    const own = evidenceOf(model, place, message, node);
    const witness = own.witness === "" ? "no other node" : own.witness.split("+").map((one) => companion(node, Number(one))).join(", ");
    const interval = Number.isNaN(own.honest ?? NaN) ? "–" : `${shortNumber(own.honest)} [${shortNumber(own.low)}, ${shortNumber(own.high)}]`;
    return [name, shortNumber(nodeFlows(model, place, message)[node]), shortNumber(own.p_max), interval, shortNumber(own.null95), witness];
  });
  const turned = ["flow (bits)", "p_max", "honest flow, 95 %", "noise floor", "in company of"].map((name, k) => [name, ...rows.map((row) => row[k + 1])]);
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
  const rows = [["flow (bits)", ...data.messages.map((_, message) => shortNumber(edgeFlows(model, place, message)[edge]))]];
  if (effects[0]) rows.push(["effect of removal (points)", ...effects.map((own) => shortNumber(own[edge]))]);
  const header = ["about", ...data.messages.map((own) => own.title)];
  const weight = `${place < 0 ? "mean size of the weight" : "weight"} ${shortNumber(weightsOf(model, place)[edge])}`;
  return [html("h3", {}, title), tableOf(place < 0 ? "Means over all networks" : captionOf(), header, rows), html("p", {}, weight), ...fate(edge, place)];
}

// What the chosen strategy does to an edge.
function fate(edge, place) {
  const share = shareNow();
  if (!share) return [];
  const what = `the top ${levelNow()} ${state.method}${levelNow() === 1 ? "" : "s"} by ${state.by}`;
  if (place < 0) return [html("p", {}, `Among ${what} in ${percent(100 * share[edge], 0)} of ${data.shown.length} networks`)];
  const rank = networkRanks(model, place, state.by, state.method, attributeNow())[edge];
  const order = rank >= UNRANKED ? `on none of the ranked ${state.method}s` : `${state.method} number ${rank + 1} by ${state.by}`;
  return [html("p", {}, `${share[edge] ? "Among" : "Not among"} ${what}: ${order}`)];
}

// --- begin -----------------------------------------------------------------------------------------------------------

function begin() {
  setUp();
  const name = (item) => (item ? (item.edge === undefined ? `node-${item.node}` : `edge-${item.edge}`) : "");
  parts.network = makeNetwork(found("network-plot"), model, {
    look,
    pin: (item) => change({ at: name(item) }),
    pinned: () => itemOf(state.at),
  });
  if (found("networks")) {
    parts.table = makeTable(found("networks"), {
      has: (number) => data.shown.map(String).includes(number),
      sort: (column) => change({ sort: state.sort === String(column) ? `-${column}` : state.sort === `-${column}` ? "" : String(column) }),
      choose: (network) => change({ network: state.network === network && data.networks.length > 1 ? "mean" : network }),
    });
  }
  document.documentElement.classList.add("live");
  document.documentElement.classList.toggle("deep", data.widths.length > 8);
  document.documentElement.classList.toggle("dense", parts.network.layout.dense);
  draw();
  setTimeout(follow); // what lies below the first view comes after it
}

function follow() {
  if (model.effect && found("effects-plot")) beginEffects();
  const again = () => {
    forgetColours();
    document.querySelectorAll("canvas").forEach((own) => (own.shown = undefined));
    drawn.effects = drawn.again = undefined;
    render();
  };
  new ResizeObserver(again).observe(found("network-plot"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("hashchange", () => {
    state = readState(location.hash, defaults, allowed);
    render();
  });
  render();
}

function beginEffects() {
  const brush = (range) => change({ brush: range ? range.map((own) => Number(own.toPrecision(4))).join(",") : "" });
  parts.effects = makeEffects(found("effects-plot"), model, { brush });
  found("layers-key").replaceChildren(...layerKey(model));
  RANGE.forEach((id) => found(id).addEventListener("input", () => {
    const values = RANGE.map((own, k) => (found(own).value === "" ? (k % 2 ? 1e6 : -1e6) : Number(found(own).value)));
    change({ brush: RANGE.some((own) => found(own).value !== "") ? values.join(",") : "" });
  }));
  found("brush-clear").addEventListener("click", () => change({ brush: "" }));
}

begin();
