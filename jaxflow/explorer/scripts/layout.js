// Where nodes and edges lie in a drawing, what is at a place of it, and where keys lead.

import { eachEdge } from "./ranks.js";

const MANY_NODES = 1200; // beyond which they are cells of a matrix
const REACH = 7; // how near to an edge the pointer must come

// Layer and place in it of every node, and the two ends of every edge, in the order of the tables.
export function shapeOf(widths, edges) {
  const nodes = widths.reduce((sum, width) => sum + width, 0);
  const layerOf = new Int32Array(nodes),
    indexOf = new Int32Array(nodes);
  widths.reduce((first, width, layer) => {
    for (let k = 0; k < width; k++) [layerOf[first + k], indexOf[first + k]] = [layer, k];
    return first + width;
  }, 0);
  const source = new Int32Array(edges),
    target = new Int32Array(edges);
  if (edges) eachEdge(widths, (edge, from, to) => ([source[edge], target[edge]] = [from, to]));
  return { nodes, edges, layerOf, indexOf, source, target };
}

// Where everything lies, in the units of the drawing.
export function layoutOf(model) {
  const { widths, names } = model.data;
  const widest = Math.max(...widths);
  const narrow = widths.length <= 8;
  const width = narrow ? 720 : 1240;
  const height = Math.round(Math.min(Math.max(narrow ? 460 : 360, 24 * widest + 90), 760));
  const recorded = model.data.kind === "recording";
  const longest = Math.max(0, ...names.slice(0, recorded ? widest : widths[0]).map((name) => name.length));
  const letter = narrow && innerWidth <= 700 ? 12 : 6.2; // on a telephone letters are larger beside the drawing
  const left = 40 + Math.min(longest, 22) * letter;
  const gap = Math.min((height - 110) / Math.max(widest - 1, 1), 150);
  const step = (width - left - 40) / Math.max(widths.length - 1, 1);
  const x = Float64Array.from(
    { length: model.nodes },
    (_, k) => left + (widths.length > 1 ? step * model.layerOf[k] : step / 2),
  );
  const y = Float64Array.from({ length: model.nodes }, (_, k) => {
    const own = recorded ? widest : widths[model.layerOf[k]]; // of a recording a row is the same unit at all times
    return 35 + (height - 110) / 2 + (model.indexOf[k] - (own - 1) / 2) * gap;
  });
  const radius = Math.min(narrow ? 17 : 11, 0.4 * gap, 0.42 * step);
  const crowd = Math.max(model.edges / widths.length, 1); // edges between two layers, about
  const thick = Math.min(9, Math.max(1.5, 1.1 * radius)) * Math.min(1, Math.sqrt(15 / crowd));
  return { width, height, x, y, gap, step, radius, thick, dense: model.nodes > MANY_NODES };
}

export function endsOf(model, { x, y }, edge) {
  const [from, to] = [model.source[edge], model.target[edge]];
  return { x1: x[from].toFixed(1), y1: y[from].toFixed(1), x2: x[to].toFixed(1), y2: y[to].toFixed(1) };
}

// The node at a place of the drawing, else the nearest edge, else null.
function itemAt({ model, layout }, px, py) {
  const near = layout.dense ? Math.max(layout.step, layout.gap) / 2 : layout.radius + 3;
  let found = null,
    least = near * near;
  for (let node = 0; node < model.nodes; node++) {
    const distance = (layout.x[node] - px) ** 2 + (layout.y[node] - py) ** 2;
    if (distance < least) [found, least] = [{ node }, distance];
  }
  if (found) return found;
  least = REACH * REACH;
  for (let edge = 0; edge < model.edges; edge++) {
    const [from, to] = [model.source[edge], model.target[edge]];
    if (px < layout.x[from] || px > layout.x[to]) continue;
    const [dx, dy] = [layout.x[to] - layout.x[from], layout.y[to] - layout.y[from]];
    const across = (dx * (py - layout.y[from]) - dy * (px - layout.x[from])) ** 2 / (dx * dx + dy * dy);
    if (across < least) [found, least] = [{ edge }, across];
  }
  return found;
}

export function listenToPointer(own, on) {
  const { plot, model, layout, drawing } = own;
  const place = (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = layout.width / box.width;
    return itemAt(own, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
  };
  drawing.addEventListener("pointermove", (event) => on.look(place(event)));
  drawing.addEventListener("pointerleave", () => on.look(null));
  drawing.addEventListener("click", (event) => on.pin(place(event)));
  listenToKeys(plot, model, on);
}

export function listenToKeys(plot, model, on) {
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const next = stepped(model, on.pinned(), event.key);
    if (next === undefined) return;
    event.preventDefault();
    on.pin(next);
  });
}

// Where a key leads from a node or an edge; undefined for keys that mean nothing here.
export function stepped(model, item, key) {
  if (key === "Escape") return null;
  if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "e", "E"].includes(key)) return undefined;
  if (!item) return { node: 0 };
  const node = item.edge === undefined ? item.node : model.source[item.edge];
  if (key === "e" || key === "E") return nextEdge(model, item, node, key === "e" ? 1 : -1);
  const layer = model.layerOf[node],
    { widths } = model.data;
  const first = node - model.indexOf[node];
  const index = model.indexOf[node];
  if (key === "ArrowUp") return { node: first + Math.max(index - 1, 0) };
  if (key === "ArrowDown") return { node: first + Math.min(index + 1, widths[layer] - 1) };
  const to = key === "ArrowLeft" ? layer - 1 : layer + 1;
  if (to < 0 || to >= widths.length) return { node };
  const start = key === "ArrowLeft" ? first - widths[to] : first + widths[layer];
  return { node: start + Math.min(index, widths[to] - 1) };
}

function nextEdge(model, item, node, by) {
  const out = [];
  for (let edge = 0; edge < model.edges; edge++) if (model.source[edge] === node) out.push(edge);
  if (!out.length) return item;
  const at = item.edge === undefined ? (by > 0 ? -1 : 0) : out.indexOf(item.edge);
  return { edge: out[(at + by + out.length) % out.length] };
}
