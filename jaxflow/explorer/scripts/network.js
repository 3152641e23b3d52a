// The network: nodes shaded by their flows, edges as wide as theirs, pruned edges lit up. Many edges go onto a canvas.

import { colourOf, html, sharpContext, svg } from "./drawing.js";
import { endsOf, layoutOf, listenToPointer } from "./layout.js";
import { edgeFlows, faintNodes, fullFlow, layerName, nodeFlows } from "./view.js";

const MANY_EDGES = 400; // beyond which a canvas is faster
const LIT = 0.6; // opacity of the light behind an edge that all networks prune
const SHADES = 20; // of edges on a canvas

export function makeNetwork(plot, model, on) {
  const layout = layoutOf(model);
  const { width, height } = layout;
  const rims = [];
  const canvas = html("canvas", { "aria-hidden": "true" });
  const above = html("canvas", { "aria-hidden": "true" });
  const discs = html("canvas", { "aria-hidden": "true" });
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  plot.replaceChildren(canvas, above, discs, drawing);
  const onCanvas = model.edges > MANY_EDGES || layout.dense;
  canvas.hidden = above.hidden = discs.hidden = !onCanvas;
  const own = { plot, model, layout, canvas, above, discs, drawing, onCanvas, lines: [], halos: [], sectors: [], rims };
  if (!onCanvas) {
    addLines(own);
    addNodes(own);
  }
  addNames(own);
  own.over = svg("g", { class: "over" }, drawing);
  listenToPointer(own, on);
  return own;
}

function addLines({ model, layout, drawing, lines, halos }) {
  for (const [list, name] of [
    [halos, "halo"],
    [lines, "edge"],
  ]) {
    const group = svg("g", {}, drawing);
    for (let edge = 0; edge < model.edges; edge++)
      list.push(svg("line", { ...endsOf(model, layout, edge), class: name }, group));
  }
}

// Every node is a disc of as many sectors as there are messages, the first on the left.
function addNodes({ model, layout, drawing, sectors, rims }) {
  const { x, y, radius } = layout;
  for (let node = 0; node < model.nodes; node++) {
    const group = svg("g", { transform: `translate(${x[node].toFixed(1)} ${y[node].toFixed(1)})` }, drawing);
    svg("circle", { r: radius, class: "paper" }, group);
    sectors.push(
      model.data.messages.map((_, message) => {
        const path = sectorPath(message, model.messages, radius);
        return svg("path", { d: path, class: `f${message % 7}` }, group);
      }),
    );
    rims.push(
      model.data.messages.map((_, message) => {
        return svg("path", { d: arcPath(message, model.messages, radius), class: "rim" }, group);
      }),
    );
  }
}

function sectorPath(message, count, radius) {
  const arc = arcPath(message, count, radius);
  return count === 1 ? arc : `M0,0${arc.replace("M", "L")}Z`;
}

// The part of a node's rim that a sector has.
function arcPath(message, count, radius) {
  if (count === 1) return `M0,${-radius}A${radius},${radius} 0 1 1 0,${radius}A${radius},${radius} 0 1 1 0,${-radius}Z`;
  const at = (part) => {
    const angle = -Math.PI / 2 - 2 * Math.PI * part; // counterclockwise from above
    return `${(radius * Math.cos(angle)).toFixed(2)},${(radius * Math.sin(angle)).toFixed(2)}`;
  };
  return `M${at(message / count)}A${radius},${radius} 0 0 0 ${at((message + 1) / count)}`;
}

function addNames({ model, layout, drawing }) {
  const { widths } = model.data;
  const group = svg("g", { class: "names" }, drawing);
  const last = widths.length - 1,
    every = Math.ceil(widths.length / 21);
  let first = 0;
  widths.forEach((width, layer) => {
    if (layer === last || (layer % every === 0 && last - layer >= every)) {
      const name = layerName(model, layer);
      const label = svg("text", { x: layout.x[first], y: layout.height - 14, "text-anchor": "middle" }, group);
      label.textContent = widths.length > 12 && layer > 0 ? name.replace(/^(layer|time) /, "") : name;
    }
    first += width;
  });
  for (let node = 0; node < widths[0]; node++) {
    const name = model.data.names[node];
    if (name === undefined || layout.gap < 9) continue;
    const label = svg(
      "text",
      { x: layout.x[node] - layout.radius - 6, y: layout.y[node] + 4, "text-anchor": "end" },
      group,
    );
    label.textContent = name.length > 22 ? `${name.slice(0, 21)}…` : name;
  }
}

// Draws everything. What is shown: place, message, share of networks that lose each edge or null, factor, and which
// edges are brushed or null.
export function drawNetwork(own, shown) {
  const { model } = own;
  own.shown = shown;
  const full = fullFlow(model, shown.place, shown.message);
  if (own.onCanvas) drawCanvas(own, shown, full);
  else drawLines(own, shown, full);
  const about = `${shown.place} ${shown.message}`; // sliders leave the nodes alone
  if (own.about === about && !shown.redraw) return;
  own.about = about;
  if (own.onCanvas && !own.layout.dense) drawDiscs(own, shown);
  const flows = flowsBeside(model, shown.place);
  own.sectors.forEach((parts, node) =>
    parts.forEach((part, message) => {
      const { full, faint } = flows[message];
      part.setAttribute("fill-opacity", shadeOf(flows[message][node], full));
      part.classList.toggle("faint", faint[node] === 1);
      own.rims[node][message].classList.toggle("faint", faint[node] === 1);
    }),
  );
}

// The nodes' flows about every message, what full shade stands for, and which flows may be none.
function flowsBeside(model, place) {
  return model.data.messages.map((_, message) =>
    Object.assign(nodeFlows(model, place, message), {
      full: fullFlow(model, place, message).node,
      faint: faintNodes(model, place, message),
    }),
  );
}

// Many nodes, where elements of their own would take longest to open.
function drawDiscs({ model, layout, discs }, shown) {
  const { x, y, radius } = layout;
  const context = sharpContext(discs, layout.width, layout.height);
  const flows = flowsBeside(model, shown.place);
  const whole = new Path2D(sectorPath(0, 1, radius)),
    [sectors, arcs] = [sectorPath, arcPath].map((path) =>
      flows.map((_, message) => new Path2D(path(message, flows.length, radius))),
    );
  context.lineWidth = 1.1;
  for (let node = 0; node < model.nodes; node++) {
    const disc = (colour, alpha, path) => {
      context.fillStyle = colourOf(colour);
      context.globalAlpha = alpha;
      context.fill(path);
    };
    context.setTransform(context.sharp, 0, 0, context.sharp, context.sharp * x[node], context.sharp * y[node]);
    disc("paper", 1, whole);
    flows.forEach((own, k) =>
      disc(own.faint[node] ? "faint" : `c${k % 7}`, Number(shadeOf(own[node], own.full)), sectors[k]),
    );
    context.globalAlpha = 1;
    flows.forEach(({ faint }, k) => {
      context.strokeStyle = colourOf(faint[node] ? "faint" : "ink");
      context.setLineDash(faint[node] ? [3, 2] : []);
      context.stroke(arcs[k]);
    });
  }
}

function shadeOf(flow, full) {
  return Math.min(1, 0.03 + (0.92 * flow) / full).toFixed(3);
}

// How an edge looks: width, shrunk by the factor where it is pruned, share of networks that prune it, and whether its
// flow may be none.
function looks(own, shown, full) {
  const { model, layout } = own;
  const flows = edgeFlows(model, shown.place, shown.message);
  const faint = faintNodes(model, shown.place, shown.message);
  return (edge) => {
    const share = shown.share ? shown.share[edge] : 0;
    const rest = (flows[edge] * (1 - share + share * Math.abs(shown.factor))) / full.edge;
    return {
      share,
      rest,
      thick: 0.35 + layout.thick * rest,
      faint: faint[model.source[edge]] === 1,
      aside: shown.brushed !== null && !shown.brushed[edge],
    };
  };
}

function drawLines(own, shown, full) {
  const look = looks(own, shown, full);
  own.lines.forEach((line, edge) => {
    const { share, thick, faint, aside } = look(edge);
    line.setAttribute("class", `edge ${faint ? "faint" : `s${shown.message % 7}`}${aside ? " aside" : ""}`);
    line.setAttribute("stroke-width", thick.toFixed(2));
    const halo = own.halos[edge];
    halo.setAttribute("stroke-width", share > 0 ? (thick + 9).toFixed(2) : 0);
    halo.setAttribute("stroke-opacity", (LIT * share).toFixed(3));
  });
}

// All edges as they are go onto one canvas, which sliders leave alone; what is pruned is painted over on another.
function drawCanvas(own, shown, full) {
  const { model, layout, canvas } = own;
  const from = [shown.place, shown.message];
  if (shown.redraw || own.below?.brushed !== shown.brushed || String(own.below.from) !== String(from)) {
    own.below = { brushed: shown.brushed, from };
    const context = sharpContext(canvas, layout.width, layout.height);
    strokeEdges(own, context, shown, looks(own, { ...shown, share: null }, full));
    if (layout.dense) drawCells(own, shown, full, context);
  }
  const context = sharpContext(own.above, layout.width, layout.height);
  if (!shown.share || layout.dense) return;
  const look = looks(own, shown, full),
    before = looks(own, { ...shown, share: null }, full);
  for (let edge = 0; edge < model.edges; edge++) {
    if (!shown.share[edge]) continue;
    const { thick, faint, aside } = look(edge);
    strokeOne(own, context, edge, "paper", before(edge).thick + 0.8, 1);
    strokeOne(own, context, edge, "lit", thick + 5, (aside ? 0.2 : LIT) * shown.share[edge]);
    strokeOne(own, context, edge, faint ? "faint" : `c${shown.message % 7}`, thick, aside ? 0.1 : 0.9);
  }
  context.globalAlpha = 1;
}

function strokeOne(own, context, edge, colour, width, alpha) {
  context.strokeStyle = colourOf(colour);
  context.lineWidth = width;
  context.globalAlpha = alpha;
  context.beginPath();
  trace(own, context, edge);
  context.stroke();
}

// Edges from the palest to the widest; those of a bunch share colour and width.
function strokeEdges(own, context, shown, look) {
  const { model, layout } = own;
  const bunches = Array.from({ length: 4 * SHADES }, () => []);
  for (let edge = 0; edge < model.edges; edge++) {
    const { rest, faint, aside } = look(edge);
    bunches[((aside ? 0 : 2) + (faint ? 0 : 1)) * SHADES + Math.min(SHADES - 1, Math.floor(rest * SHADES))].push(edge);
  }
  bunches.forEach((edges, place) => {
    if (!edges.length) return;
    const [kind, rest] = [Math.floor(place / SHADES), ((place % SHADES) + 0.5) / SHADES];
    context.strokeStyle = colourOf(kind % 2 ? `c${shown.message % 7}` : "faint");
    context.globalAlpha = kind < 2 ? 0.05 : (0.07 + 0.93 * rest) * (kind % 2 ? 1 : 0.5);
    context.lineWidth = 0.35 + layout.thick * rest;
    for (const edge of edges) {
      context.beginPath(); // one by one: half the time of a path with all of them, whose crossings must be found
      trace(own, context, edge);
      context.stroke();
    }
  });
  context.globalAlpha = 1;
}

function trace({ model, layout }, context, edge) {
  context.moveTo(layout.x[model.source[edge]], layout.y[model.source[edge]]);
  context.lineTo(layout.x[model.target[edge]], layout.y[model.target[edge]]);
}

// Very many nodes are cells of a matrix, a point in those of a significant flow.
function drawCells({ model, layout }, shown, full, context) {
  const { x, y } = layout;
  const flows = nodeFlows(model, shown.place, shown.message);
  const [wide, high] = cellOf(layout);
  for (let node = 0; node < model.nodes; node++) {
    context.fillStyle = colourOf("paper");
    context.globalAlpha = 1;
    context.fillRect(x[node] - wide / 2, y[node] - high / 2, wide, high);
    context.fillStyle = colourOf(`c${shown.message % 7}`);
    context.globalAlpha = Number(shadeOf(flows[node], full.node));
    context.fillRect(x[node] - wide / 2, y[node] - high / 2, wide + 0.3, high + 0.3);
  }
  context.globalAlpha = 1;
  context.fillStyle = colourOf("ink");
  const dot = Math.min(2, wide / 3, high / 3);
  const faint = faintNodes(model, shown.place, shown.message);
  for (let node = 0; node < model.nodes; node++) {
    if (!faint[node]) context.fillRect(x[node] - dot / 2, y[node] - dot / 2, dot, dot);
  }
}

function cellOf({ step, gap }) {
  return [Math.min(step, 40), gap];
}

// Rings the node, or marks the edge, that is looked at; null for none.
export function markNetwork(own, item) {
  own.over.replaceChildren();
  if (!item) return;
  const { layout, model } = own;
  if (layout.dense && item.edge === undefined) {
    const [wide, high] = cellOf(layout);
    svg(
      "rect",
      {
        x: layout.x[item.node] - wide / 2,
        y: layout.y[item.node] - high / 2,
        width: wide,
        height: high,
        class: "mark",
      },
      own.over,
    );
  } else if (item.edge !== undefined) {
    svg("line", { ...endsOf(model, layout, item.edge), class: "mark" }, own.over);
  } else {
    svg("circle", { cx: layout.x[item.node], cy: layout.y[item.node], r: layout.radius + 4, class: "mark" }, own.over);
  }
}
