// What the edits gave: a measure against decision accuracy, before and after, a pair for every network.

import { NEAR_CHANCE, axes, chanceLines, percent, scaleOf, svg, withChance } from "./drawing.js";

const PAIR_BOX = { width: 560, height: 420, left: 62, right: 546, top: 14, bottom: 372 };

export function drawChanges(plot, { data, changes }, shown, on) {
  const drawing = svg("svg", { viewBox: `0 0 ${PAIR_BOX.width} ${PAIR_BOX.height}`, "aria-hidden": "true" });
  plot.replaceChildren(drawing);
  const measure = changes[shown.measure],
    accuracy = changes[data.accuracy];
  const limit = data.limits[shown.measure];
  const [up, across] = [shown.measure, data.accuracy].map((own) => data.chance[own] ?? undefined);
  const widths = [...accuracy.before, ...accuracy.after].filter(isFinite);
  const x = scaleOf(withChance(widths, across, NEAR_CHANCE.x), PAIR_BOX.left, PAIR_BOX.right);
  const asked = limit === null || limit === undefined ? [] : [limit];
  const heights = [...measure.before, ...measure.after, ...asked].filter(isFinite);
  const y = scaleOf(withChance(heights, up, NEAR_CHANCE.y), PAIR_BOX.bottom, PAIR_BOX.top);
  axes(drawing, PAIR_BOX, x, y, "decision accuracy (%)", `${data.measures[shown.measure]} (%)`);
  const named = (value) => value !== undefined && [`at chance, ${percent(value)}`, value];
  chanceLines(drawing, PAIR_BOX, x, y, named(across), named(up));
  for (const own of asked)
    svg("line", { class: "asked", x1: PAIR_BOX.left, x2: PAIR_BOX.right, y1: y(own), y2: y(own) }, drawing);
  const group = svg("g", { class: "pairs" }, drawing);
  const places = data.networks.map((network, k) => ({
    network,
    from: [x(accuracy.before[k]), y(measure.before[k])],
    to: [x(accuracy.after[k]), y(measure.after[k])],
  }));
  const there = places.filter(({ from, to }) => !Number.isNaN(from[1] + to[1] + from[0] + to[0]));
  for (const own of there) if (String(own.network) !== shown.network) addPair(group, own, "pair", 2.6);
  for (const own of there) if (String(own.network) === shown.network) addPair(group, own, "pair chosen", 4.5);
  if (there.length > 1) addMean(group, there);
  drawing.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = PAIR_BOX.width / box.width;
    const at = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const away = (own) => Math.min(...[own.from, own.to].map((end) => Math.hypot(end[0] - at[0], end[1] - at[1])));
    const best = there.reduce((least, own) => (least === null || away(own) < away(least) ? own : least), null);
    if (best && away(best) < 14) on(String(best.network));
  });
}

function addPair(group, { from, to }, name, size) {
  svg("line", { class: name, x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, group);
  svg("circle", { class: "before", cx: from[0], cy: from[1], r: size }, group);
  svg("rect", { class: "after", x: to[0] - size, y: to[1] - size, width: 2 * size, height: 2 * size }, group);
}

function addMean(group, pairs) {
  const mean = (name) => [0, 1].map((k) => pairs.reduce((sum, own) => sum + own[name][k], 0) / pairs.length);
  const own = svg("g", { class: "mean" }, group);
  addPair(own, { from: mean("from"), to: mean("to") }, "pair", 6);
}
