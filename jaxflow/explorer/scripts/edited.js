// A network with its edits: edges as wide as the weights that were written, those that were scaled or removed in colour.

import { colourOf, html, sharpContext, svg } from "./drawing.js";
import { endsOf, layoutOf, listenToPointer } from "./layout.js";

const REMOVED = 1.6; // width of an edge whose weight was removed and is in no table

// What was edited of every edge of a network: its factor, 1 where nothing was. Of all networks together the share that
// edited it, and the mean of their factors.
export function editsOf(model, network) {
  const share = new Float64Array(model.edges),
    factor = new Float64Array(model.edges);
  const all = network === "all" ? model.data.edits : [model.data.edits[model.data.networks.indexOf(Number(network))]];
  for (const edits of all)
    for (const [edge, by] of edits) {
      share[edge] += 1 / all.length;
      factor[edge] += by / all.length;
    }
  return { share, factor: factor.map((sum, edge) => (share[edge] ? sum / share[edge] : 1)) };
}

// Sizes of the weights as they were written; of all networks together their mean; null where they are not in the page.
export function sizesOf(model, network) {
  const { shown } = model.data;
  const place = shown.indexOf(Number(network));
  if (!model.weight.length || (network !== "all" && place < 0)) return null;
  const sizes = new Float64Array(model.edges);
  const places = network === "all" ? shown.map((_, own) => own) : [place];
  for (const own of places)
    for (let edge = 0; edge < model.edges; edge++)
      sizes[edge] += Math.abs(model.weight[own * model.edges + edge]) / places.length;
  return sizes;
}

export function makeEdited(plot, model, on) {
  const layout = layoutOf(model);
  const canvas = html("canvas", { "aria-hidden": "true" });
  const drawing = svg("svg", { viewBox: `0 0 ${layout.width} ${layout.height}`, "aria-hidden": "true" });
  plot.replaceChildren(canvas, drawing);
  const lines = svg("g", {}, drawing);
  const own = { plot, model, layout, canvas, drawing, lines };
  addDiscs(own);
  own.over = svg("g", {}, drawing);
  listenToPointer(own, on);
  return own;
}

function addDiscs({ model, layout, drawing }) {
  const { x, y, radius, height } = layout;
  const { names, layers } = model.data;
  const group = svg("g", {}, drawing);
  for (let node = 0; node < model.nodes; node++) {
    const place = { cx: x[node].toFixed(1), cy: y[node].toFixed(1), r: radius.toFixed(1) };
    svg("circle", { ...place, class: "paper" }, group);
    svg("circle", { ...place, class: "rim" }, group);
    const layer = model.layerOf[node];
    const last = layers.length - 1;
    if (model.indexOf[node] === 0 && (layer === last || layer % Math.ceil(layers.length / 21) === 0)) {
      const label = svg("text", { x: x[node], y: height - 14, "text-anchor": "middle" }, group);
      label.textContent =
        layer === last ? "output" : layer && layers.length > 12 ? layers[layer] : placeName(model, layer);
    }
    if (layer > 0 || names[node] === undefined || layout.gap < 9) continue;
    const label = svg("text", { x: x[node] - radius - 6, y: y[node] + 4, "text-anchor": "end" }, group);
    label.textContent = names[node].length > 22 ? `${names[node].slice(0, 21)}…` : names[node];
  }
}

export function placeName({ data }, layer) {
  return layer === data.layers.length - 1 ? "output" : `layer ${data.layers[layer]}`;
}

export function discName(model, node) {
  return (model.layerOf[node] === 0 && model.data.names[node]) || `node ${model.indexOf[node]}`;
}

// Draws the edges. Of one network each with its own factor; of all the darker, the more of them edited it.
export function drawEdited(own, network) {
  const { model, layout } = own;
  const { share, factor } = editsOf(model, network),
    sizes = sizesOf(model, network);
  const full = largestOf(model, sizes, factor);
  const wide = (edge, by = 1) => 0.4 + (sizes ? (layout.thick * sizes[edge]) / by / full[edge] : 0);
  own.lines.replaceChildren();
  const context = sharpContext(own.canvas, layout.width, layout.height);
  context.strokeStyle = colourOf("faint");
  context.globalAlpha = model.edges > 400 ? 0.35 : 0.9;
  for (let edge = 0; edge < model.edges; edge++) {
    if (share[edge]) continue;
    context.lineWidth = wide(edge);
    context.beginPath();
    context.moveTo(layout.x[model.source[edge]], layout.y[model.source[edge]]);
    context.lineTo(layout.x[model.target[edge]], layout.y[model.target[edge]]);
    context.stroke();
  }
  for (let edge = 0; edge < model.edges; edge++) if (share[edge]) addEdit(own, edge, share[edge], factor[edge], wide);
}

// An edge that was scaled stands on a pale one as wide as it was before.
function addEdit({ model, layout, lines }, edge, share, factor, wide) {
  const ends = { ...endsOf(model, layout, edge), "stroke-opacity": (0.2 + 0.8 * share).toFixed(2) };
  if (factor === 0) {
    svg("line", { ...ends, class: "removed", "stroke-width": REMOVED }, lines);
    return;
  }
  const was = { ...endsOf(model, layout, edge), class: "was", "stroke-width": wide(edge, Math.abs(factor)).toFixed(2) };
  if (share === 1) svg("line", was, lines);
  svg("line", { ...ends, class: "scaled", "stroke-width": wide(edge).toFixed(2) }, lines);
}

// Of every edge the largest weight that leaves its layer, before the edit where the factor tells it.
function largestOf(model, sizes, factor) {
  const largest = new Float64Array(model.data.layers.length).fill(1e-12);
  const layer = (edge) => model.layerOf[model.source[edge]];
  sizes?.forEach((size, edge) => {
    largest[layer(edge)] = Math.max(largest[layer(edge)], size / (Math.abs(factor[edge]) || 1));
  });
  return Float64Array.from({ length: model.edges }, (_, edge) => largest[layer(edge)]);
}

// Rings the node, or marks the edge, that is looked at; null for none.
export function markEdited({ over, layout, model }, item) {
  over.replaceChildren();
  if (!item) return;
  if (item.edge !== undefined) svg("line", { ...endsOf(model, layout, item.edge), class: "mark" }, over);
  else svg("circle", { cx: layout.x[item.node], cy: layout.y[item.node], r: layout.radius + 4, class: "mark" }, over);
}
