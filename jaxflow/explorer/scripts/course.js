// A recording's flows over time: a line for every node, dots where it is significant, the noise floor behind them, and
// of the node that is looked at the honest flow with its interval.

import { axes, html, scaleOf, svg } from "./drawing.js";
import { listenToKeys } from "./layout.js";
import { evidenceOf, nodeFlows, nodeName } from "./view.js";

const SIDES = { width: 1160, height: 340, left: 62, right: 1144, top: 12, bottom: 292 };
const NAMED = 7; // lines with a colour of their own: those of the largest significant flows
const NEAR = 40; // how near to a point the pointer must come

export function makeCourse(plot, model, on) {
  const drawing = svg("svg", { viewBox: `0 0 ${SIDES.width} ${SIDES.height}`, "aria-hidden": "true" });
  plot.replaceChildren(drawing);
  const own = { model, drawing, colours: coloursOf(model) };
  const item = (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = SIDES.width / box.width;
    return nearest(own, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
  };
  drawing.addEventListener("pointermove", (event) => on.look(item(event)));
  drawing.addEventListener("pointerleave", () => on.look(null));
  drawing.addEventListener("click", (event) => on.pin(item(event)));
  listenToKeys(plot, model, on);
  return own;
}

// The largest flow of every unit, about any message, that is significant; of few units all have colours.
function coloursOf(model) {
  const { widths, alpha } = model.data;
  const units = Math.max(...widths);
  const largest = new Float64Array(units);
  const { p_max: p } = model.evidence;
  for (let at = 0; at < model.flow.length; at++) {
    const unit = model.indexOf[at % model.nodes];
    if (units <= NAMED || p?.[at] < alpha) largest[unit] = Math.max(largest[unit], model.flow[at]);
  }
  const order = Array.from(largest, (_, unit) => unit).filter((unit) => units <= NAMED || largest[unit] > 0);
  order.sort((a, b) => largest[b] - largest[a] || a - b);
  const named = order.slice(0, NAMED).sort((a, b) => a - b);
  return new Map(named.map((unit, k) => [unit, units <= NAMED ? unit : k]));
}

export function drawCourse(own, message) {
  const { model, drawing, colours } = own;
  const { times, messages, alpha } = model.data;
  const flows = nodeFlows(model, 0, message),
    part = (values) => values?.subarray(message * model.nodes, (message + 1) * model.nodes);
  const { p_max, null95, high } = Object.fromEntries(
    Object.entries(model.evidence).map(([name, values]) => [name, part(values)]),
  );
  own.x = scaleOf(times, SIDES.left, SIDES.right, 0.01);
  own.y = scaleOf([0, ...flows, ...(high ?? []), ...(null95 ?? [])], SIDES.bottom, SIDES.top, 0);
  Object.assign(own, { message, flows, at: (node) => [own.x(times[model.layerOf[node]]), own.y(flows[node])] });
  drawing.replaceChildren();
  if (null95) svg("path", { d: bandOf(own, null95, new Float64Array(model.nodes)), class: "floor" }, drawing);
  axes(drawing, SIDES, own.x, own.y, "time", `flow about ${messages[message].title} (bits)`);
  const behind = svg("g", {}, drawing),
    front = svg("g", {}, drawing);
  for (const [unit, nodes] of unitsOf(model).entries()) {
    const look = colours.has(unit) ? `s${colours.get(unit)}` : "other";
    const group = colours.has(unit) ? front : behind;
    if (joined(model)) svg("path", { d: lineOf(own, nodes), class: `course ${look}` }, group);
    const strong = nodes.filter((node) => p_max?.[node] < alpha);
    svg("path", { d: strong.map((node) => `M${pointOf(own, node)}h0`).join(""), class: `dots ${look}` }, group);
    if (!joined(model)) {
      const weak = nodes.filter((node) => !(p_max?.[node] < alpha));
      svg("path", { d: weak.map((node) => `M${pointOf(own, node)}h0`).join(""), class: `dots small ${look}` }, group);
    }
  }
  own.over = svg("g", { class: "over" }, drawing);
}

// A unit is the same at all times where all layers are as wide; of a network's layers each has its own nodes.
function joined(model) {
  return model.data.widths.every((width) => width === model.data.widths[0]);
}

function unitsOf(model) {
  const units = Array.from({ length: Math.max(...model.data.widths) }, () => []);
  for (let node = 0; node < model.nodes; node++) units[model.indexOf[node]].push(node);
  return units;
}

function pointOf(own, node, values = own.flows) {
  const [x] = own.at(node);
  return `${x.toFixed(1)},${own.y(Math.max(values[node], 0)).toFixed(1)}`;
}

// A line breaks where there is no number.
function lineOf(own, nodes, values = own.flows) {
  let pen = "M";
  return nodes
    .map((node) => {
      if (Number.isNaN(values[node])) return (pen = "M") && "";
      const step = `${pen}${pointOf(own, node, values)}`;
      pen = "L";
      return step;
    })
    .join("");
}

// Between two values of the first node of every layer, or of the given nodes.
function bandOf(own, over, under, nodes = own.model.data.times.map((_, k) => own.model.layerOf.indexOf(k))) {
  const known = nodes.filter((node) => !Number.isNaN(over[node] + under[node]));
  if (!known.length) return "";
  const back = known.map((node) => pointOf(own, node, under)).reverse();
  return `M${known.map((node) => pointOf(own, node, over)).join("L")}L${back.join("L")}Z`;
}

// The line of a node, its honest flow, and the bin that is looked at; null for none.
export function markCourse(own, node) {
  own.over?.replaceChildren();
  if (node === null || !own.over) return;
  const { model, over, colours } = own;
  const unit = model.indexOf[node],
    nodes = joined(model) ? unitsOf(model)[unit] : [node];
  const of = (name) =>
    Object.fromEntries(nodes.map((one) => [one, evidenceOf(model, 0, own.message, one)[name] ?? NaN]));
  const look = colours.has(unit) ? colours.get(unit) : "6";
  const [x, y] = own.at(node);
  svg("line", { class: "rule", x1: x, x2: x, y1: SIDES.top, y2: SIDES.bottom }, over);
  svg("path", { d: bandOf(own, of("high"), of("low"), nodes), class: `interval f${look}` }, over);
  svg("path", { d: lineOf(own, nodes, of("honest")), class: `course honest s${look}` }, over);
  svg("path", { d: lineOf(own, nodes), class: `course chosen s${look}` }, over);
  svg("circle", { class: "mark", r: 5, cx: x.toFixed(1), cy: y.toFixed(1) }, over);
}

// The node whose point lies nearest, those with a colour first.
function nearest(own, px, py) {
  let found = null,
    least = NEAR * NEAR;
  for (let node = 0; node < own.model.nodes; node++) {
    const [x, y] = own.at(node);
    const distance = (x - px) ** 2 + (y - py) ** 2 + (own.colours.has(own.model.indexOf[node]) ? 0 : 9);
    if (distance < least) [found, least] = [{ node }, distance];
  }
  return found;
}

// What the lines are, as items of a list.
export function courseKey({ model, colours }) {
  const units = Math.max(...model.data.widths);
  const item = (mark, text) => {
    const swatch = svg("svg", { viewBox: "0 0 26 14" });
    svg(...mark, swatch);
    return html("li", {}, swatch, text);
  };
  const line = (look) => ["line", { x1: 1, x2: 25, y1: 7, y2: 7, class: `course ${look}` }];
  const items = [...colours].map(([unit, look]) => item(line(`s${look}`), nodeName(model, unit)));
  if (colours.size < units) items.push(item(line("other"), "other nodes"));
  items.push(item(["path", { d: "M13,7h0", class: "dots s6" }], `p_max < ${model.data.alpha}`));
  items.push(item(["rect", { x: 1, y: 2, width: 24, height: 10, class: "floor" }], "below the noise floor"));
  return items;
}
