// Flow of an edge against the effect of its removal: a point for every edge and network, brushed with a rectangle.

import { axes, colourOf, html, scaleOf, sharpContext, svg } from "./drawing.js";
import { edgeFlows, effectsOf, layerName } from "./view.js";

const FRAME = { width: 560, height: 420, left: 62, right: 546, top: 14, bottom: 372 };
const MOST_POINTS = 20_000; // of networks that stand behind the chosen one

export function makeEffects(plot, model, on) {
  const canvas = html("canvas", { "aria-hidden": "true" });
  const drawing = svg("svg", { viewBox: `0 0 ${FRAME.width} ${FRAME.height}`, "aria-hidden": "true" });
  plot.replaceChildren(canvas, drawing);
  const own = { plot, model, canvas, drawing };
  listenToBrush(own, on);
  return own;
}

// Which networks' points are drawn: those in full, and of very many every few.
function placesOf(model) {
  const { shown } = model.data;
  const every = Math.ceil((shown.length * model.edges) / MOST_POINTS);
  return shown.map((_, place) => place).filter((place) => place % every === 0);
}

export function drawEffects(own, shown) {
  const { model, drawing, canvas } = own;
  const { place, message } = shown;
  const places = placesOf(model);
  const all = place < 0 || places.includes(place) ? places : [...places, place];
  const points = all.map((one) => ({
    place: one,
    flow: edgeFlows(model, one, message),
    effect: effectsOf(model, one, message),
  }));
  own.x = scaleOf(
    points.flatMap(({ flow }) => extremes(flow)),
    FRAME.left,
    FRAME.right,
    0.03,
  );
  own.y = scaleOf(
    points.flatMap(({ effect }) => extremes(effect)),
    FRAME.bottom,
    FRAME.top,
    0.04,
  );
  Object.assign(own, { points, shown });
  drawing.replaceChildren();
  const title = model.data.messages[message].title;
  axes(
    drawing,
    FRAME,
    own.x,
    own.y,
    `weighted ${title} flow of the edge (bits)`,
    `change of ${title} without it (points)`,
  );
  svg("line", { class: "zero", x1: FRAME.left, x2: FRAME.right, y1: own.y(0), y2: own.y(0) }, drawing);
  own.brush = svg("rect", { class: "brush", visibility: "hidden" }, drawing);
  own.over = svg("g", { class: "over" }, drawing);
  const context = sharpContext(canvas, FRAME.width, FRAME.height);
  for (const one of points) if (one.place !== place) drawPoints(own, context, one, place < 0 ? 0.45 : 0.16);
  for (const one of points) if (one.place === place) drawPoints(own, context, one, 0.95);
}

function extremes(values) {
  let low = Infinity,
    high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// A colour for every layer, discs and squares in turn.
function drawPoints({ model, x, y }, context, { flow, effect }, alpha) {
  const { widths } = model.data;
  const layers = widths.length - 1;
  context.globalAlpha = alpha;
  let edge = 0; // they come layer by layer
  for (let layer = 0; layer < layers; layer++) {
    context.fillStyle = layerColour(layer, layers);
    for (const end = edge + widths[layer] * widths[layer + 1]; edge < end; edge++) {
      const px = x(flow[edge]),
        py = y(effect[edge]);
      if (layer % 2 || layers > 7) {
        context.fillRect(px - 1.7, py - 1.7, 3.4, 3.4);
      } else {
        context.beginPath();
        context.arc(px, py, 2, 0, 7);
        context.fill();
      }
    }
  }
  context.globalAlpha = 1;
}

function layerColour(layer, layers) {
  return layers <= 7 ? colourOf(`c${layer}`) : `hsl(${265 - (205 * layer) / (layers - 1)} 60% 50%)`;
}

// What the colours mean: every layer, of many the first, the middle and the last.
export function layerKey(model) {
  const layers = model.data.widths.length - 1;
  const named = layers <= 7 ? [...Array(layers).keys()] : [0, layers >> 1, layers - 1];
  return named.map((layer) => {
    const mark = svg("svg", { viewBox: "0 0 26 14" });
    const round = layer % 2 || layers > 7 ? 0 : 4;
    const fill = layers <= 7 ? { class: `f${layer}` } : { fill: layerColour(layer, layers) };
    svg("rect", { x: 9, y: 3, width: 8, height: 8, rx: round, ...fill }, mark);
    return html("li", {}, mark, `edges that leave ${layerName(model, layer)}`);
  });
}

// Rings around the points of an edge, of all networks or of the chosen one.
export function markEffects(own, edge) {
  own.over?.replaceChildren();
  if (edge === null || !own.points) return;
  const chosen = own.points.filter((one) => own.shown.place < 0 || one.place === own.shown.place);
  for (const { flow, effect } of chosen.slice(0, 200)) {
    svg(
      "circle",
      { class: "mark", r: 4, cx: own.x(flow[edge]).toFixed(1), cy: own.y(effect[edge]).toFixed(1) },
      own.over,
    );
  }
}

// Which edges have a point in the rectangle [flow from, to, effect from, to]; null without a rectangle.
export function brushedEdges(own, range) {
  if (!range || !own.points) return { edges: null, points: 0 };
  const [fromFlow, toFlow, fromEffect, toEffect] = range;
  const edges = new Uint8Array(own.model.edges);
  let points = 0;
  for (const { place, flow, effect } of own.points) {
    if (own.shown.place >= 0 && place !== own.shown.place) continue;
    for (let edge = 0; edge < edges.length; edge++) {
      const inside =
        flow[edge] >= fromFlow && flow[edge] <= toFlow && effect[edge] >= fromEffect && effect[edge] <= toEffect;
      if (inside) [edges[edge], points] = [1, points + 1];
    }
  }
  return { edges, points };
}

export function showBrush(own, range) {
  if (!own.brush) return;
  own.brush.setAttribute("visibility", range ? "visible" : "hidden");
  if (!range) return;
  const [left, right] = [own.x(Math.max(range[0], own.x.low)), own.x(Math.min(range[1], own.x.high))];
  const [bottom, top] = [own.y(Math.max(range[2], own.y.low)), own.y(Math.min(range[3], own.y.high))];
  const place = { x: left, y: top, width: Math.max(right - left, 0), height: Math.max(bottom - top, 0) };
  Object.entries(place).forEach(([name, value]) => own.brush.setAttribute(name, value.toFixed(1)));
}

function listenToBrush(own, on) {
  const { drawing } = own;
  let start = null;
  const place = (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = FRAME.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    return [Math.min(Math.max(px, FRAME.left), FRAME.right), Math.min(Math.max(py, FRAME.top), FRAME.bottom)];
  };
  const rangeTo = ([px, py]) => {
    const [x, y] = [[start[0], px].sort((a, b) => a - b), [start[1], py].sort((a, b) => b - a)];
    return [...x.map(own.x.inverse), ...y.map(own.y.inverse)];
  };
  drawing.addEventListener("pointerdown", (event) => {
    start = place(event);
    drawing.setPointerCapture(event.pointerId);
  });
  drawing.addEventListener("pointermove", (event) => start && on.brush(rangeTo(place(event))));
  drawing.addEventListener("pointerup", (event) => {
    if (!start) return;
    const [px, py] = place(event);
    on.brush(Math.abs(px - start[0]) + Math.abs(py - start[1]) < 4 ? null : rangeTo([px, py]));
    start = null;
  });
}
