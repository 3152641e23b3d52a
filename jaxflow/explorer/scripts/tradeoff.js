// Accuracy against bias under pruning: a curve for every metric that is switched on, and a point at the factor.

import { NEAR_CHANCE, axes, chanceLines, percent, points, scaleOf, svg, withChance } from "./drawing.js";
import { unpackLater } from "./data.js";

// Measures across and up: their columns, what the axes call them, and whether that across is a gap between groups.
export const PAIRS = {
  information: { x: "bias", y: "accuracy", xName: "information", ofFlow: true, yName: "information accuracy" },
  "parity gap": {
    x: "parity_gap",
    y: "argmax_accuracy",
    xName: "parity gap of",
    yName: "decision accuracy",
    gap: true,
  },
  "odds gap": {
    x: "odds_gap",
    y: "argmax_accuracy",
    xName: "odds gap of",
    yName: "decision accuracy",
    gap: true,
  },
  threshold: {
    x: "threshold_bias",
    y: "threshold_accuracy",
    xName: "threshold bias about",
    yName: "threshold accuracy",
  },
};
const LOOKS = { "bias/acc": 0, "acc/bias": 1, random: 6, magnitude: 2 };
const DASHES = { "acc/bias": "7 3", random: "2 3", magnitude: "7 2 2 2" };
const BOX = { width: 560, height: 420, left: 62, right: 546, top: 14, bottom: 372 };

// Strategies, factors and measures as they lie in the arrays.
export function sweepOf(data) {
  const held = data.tradeoff;
  if (!held) return null;
  const { factors, strategies, measures } = held;
  const rising = [...factors].sort((a, b) => a - b); // as the slider has them
  const metrics = [...new Set(strategies.map((own) => own[0]))];
  const methods = [...new Set(strategies.map((own) => own[1]))];
  const sweep = { data, factors, rising, strategies, measures, metrics, methods, own: held.own };
  const { mean, error, own_accuracy: ownAccuracy, own_bias: ownBias, start } = held;
  sweep.start = start;
  return unpackLater(sweep, { mean, error, ownAccuracy, ownBias });
}

export function levelsOf(sweep, method, metric) {
  const found = sweep.strategies.filter((own) => own[1] === method && own[0] === metric).map((own) => own[2]);
  return [...new Set(found)].sort((a, b) => a - b);
}

export function strategyAt(sweep, metric, method, level, attribute) {
  return sweep.strategies.findIndex(
    (own) => own[0] === metric && own[1] === method && own[2] === level && own[3] === attribute,
  );
}

export function metricLook(sweep, metric) {
  const own = sweep.metrics.filter((name) => !(name in LOOKS));
  return metric in LOOKS ? LOOKS[metric] : 3 + (own.indexOf(metric) % 3);
}

export function metricDash(metric) {
  return DASHES[metric] ?? "none";
}

// Mean (and standard error) of two measures at every factor of a strategy; of one network its own, where it is held.
export function curveOf(sweep, strategy, pair, attribute, network) {
  const { factors, strategies, measures, data } = sweep;
  const place =
    network === "mean" || pair !== "information" ? -1 : sweep.own.indexOf(data.shown.indexOf(Number(network)));
  if (place >= 0) {
    const start = (place * strategies.length + strategy) * factors.length;
    return factors.map((factor, k) => ({
      factor,
      x: sweep.ownBias[start + k],
      y: sweep.ownAccuracy[start + k],
      dx: 0,
      dy: 0,
    }));
  }
  const suffix = data.attributes[attribute].suffix;
  const [x, y] = [measures.indexOf(PAIRS[pair].x + suffix), measures.indexOf(PAIRS[pair].y)];
  return factors.map((factor, k) => {
    const at = (measure) => (measure * strategies.length + strategy) * factors.length + k;
    return { factor, x: sweep.mean[at(x)], y: sweep.mean[at(y)], dx: sweep.error[at(x)], dy: sweep.error[at(y)] };
  });
}

export function hasOwnCurve(sweep, network, pair) {
  return network !== "mean" && pair === "information" && sweep.own.includes(sweep.data.shown.indexOf(Number(network)));
}

// What the measures across and up are called.
export function namesOf(sweep, pair, attribute) {
  const about = PAIRS[pair].ofFlow ? titleOf(sweep.data, attribute) : sweep.data.attributes[attribute].title;
  return [`${PAIRS[pair].xName} ${about}`, PAIRS[pair].yName];
}

// Name and value of what the measures come to where an output tells nothing; of a gap 0, where groups are alike.
function chanceOf(sweep, pair, attribute) {
  const { chance, attributes } = sweep.data;
  const { x, y, gap } = PAIRS[pair];
  const named = (what, value) => (value === undefined ? undefined : [`${what} at chance, ${percent(value)}`, value]);
  return [gap ? ["no gap", 0] : named("bias", chance[x + attributes[attribute].suffix]), named("accuracy", chance[y])];
}

// Draws the curves and returns what moves the points: a function of the factor's place.
export function drawTradeoff(plot, sweep, shown) {
  const { metrics, method, level, pair, attribute, network } = shown;
  const drawing = svg("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, "aria-hidden": "true" });
  plot.replaceChildren(drawing);
  const all = curvesOf(sweep, shown);
  const points = all.flatMap((own) => own.curve).filter((own) => !Number.isNaN(own.x + own.y));
  const [across, up] = chanceOf(sweep, pair, attribute);
  const reach = (at, error) => points.flatMap((own) => [own[at] - own[error], own[at] + own[error]]);
  const x = scaleOf(withChance(reach("x", "dx"), across?.[1], NEAR_CHANCE.x), BOX.left, BOX.right);
  const y = scaleOf(withChance(reach("y", "dy"), up?.[1], NEAR_CHANCE.y), BOX.bottom, BOX.top);
  axes(drawing, BOX, x, y, ...namesOf(sweep, pair, attribute).map((name) => `${name} (%)`));
  chanceLines(drawing, BOX, x, y, across, up);
  const group = svg("g", { class: "curves" }, drawing);
  for (const { metric, level: own, curve } of all) {
    if (!metrics.includes(metric)) continue;
    drawCurve(group, sweep, metric, curve, x, y, own === level ? "curve" : "curve other");
  }
  drawStar(group, x, y, all[0]?.curve);
  const rings = metrics.map((metric) => [
    metric,
    svg("circle", { class: `point s${metricLook(sweep, metric)}`, r: 7 }, drawing),
  ]);
  return (place) => {
    for (const [metric, ring] of rings) {
      const own = all.find((one) => one.metric === metric && one.level === level)?.curve[place];
      const there = own && !Number.isNaN(own.x + own.y);
      ring.setAttribute("visibility", there ? "visible" : "hidden");
      if (there)
        [
          ["cx", x(own.x)],
          ["cy", y(own.y)],
        ].forEach(([name, value]) => ring.setAttribute(name, value.toFixed(1)));
      ring.classList.toggle("lit", metric === shown.lit);
    }
  };
}

// The curves of the method at every level; those of other metrics count for the scales only if they are on.
function curvesOf(sweep, { metrics, method, pair, attribute, network, lit }) {
  const wanted = metrics.length ? metrics : [lit];
  return wanted.flatMap((metric) =>
    levelsOf(sweep, method, metric).map((level) => {
      const strategy = strategyAt(sweep, metric, method, level, attribute);
      return { metric, level, curve: curveOf(sweep, strategy, pair, attribute, network) };
    }),
  );
}

function drawCurve(group, sweep, metric, curve, x, y, name) {
  const there = curve.filter((own) => !Number.isNaN(own.x + own.y));
  const look = metricLook(sweep, metric);
  const points = there.map((own) => `${x(own.x).toFixed(1)},${y(own.y).toFixed(1)}`).join(" ");
  svg("polyline", { points, class: `${name} s${look}`, "stroke-dasharray": metricDash(metric) }, group);
  if (name !== "curve") return;
  for (const own of there) {
    const bars = { class: `bar s${look}` };
    if (own.dx)
      svg("line", { ...bars, x1: x(own.x - own.dx), x2: x(own.x + own.dx), y1: y(own.y), y2: y(own.y) }, group);
    if (own.dy)
      svg("line", { ...bars, x1: x(own.x), x2: x(own.x), y1: y(own.y - own.dy), y2: y(own.y + own.dy) }, group);
    svg(
      "path",
      {
        class: `f${look} dot`,
        d: markerPath(look, 3.2),
        transform: `translate(${x(own.x).toFixed(1)} ${y(own.y).toFixed(1)})`,
      },
      group,
    );
  }
}

// Shapes as in the figures: they tell the metrics apart where colours do not.
export function markerPath(look, r) {
  const shapes = {
    0: `M${-r},0A${r},${r} 0 1 1 ${r},0A${r},${r} 0 1 1 ${-r},0Z`,
    1: `M${-r},${-r}H${r}V${r}H${-r}Z`,
    2: `M0,${-r * 1.2}L${r * 1.15},${r}H${-r * 1.15}Z`,
    3: `M0,${-r * 1.3}L${r * 1.3},0L0,${r * 1.3}L${-r * 1.3},0Z`,
    4: `M0,${r * 1.2}L${r * 1.15},${-r}H${-r * 1.15}Z`,
  };
  return (
    shapes[look] ??
    `M${-r},${-r / 3}H${-r / 3}V${-r}H${r / 3}V${-r / 3}H${r}V${r / 3}H${r / 3}V${r}H${-r / 3}V${r / 3}H${-r}Z`
  );
}

// The networks as they are: where all curves begin, if the factors begin with 1.
function drawStar(group, x, y, curve) {
  const start = curve?.find((own) => own.factor === 1);
  if (!start || Number.isNaN(start.x + start.y)) return;
  const points = Array.from({ length: 10 }, (_, k) => {
    const [radius, angle] = [k % 2 ? 4 : 9.5, (Math.PI * k) / 5 - Math.PI / 2];
    return `${(x(start.x) + radius * Math.cos(angle)).toFixed(1)},${(y(start.y) + radius * Math.sin(angle)).toFixed(1)}`;
  });
  svg("polygon", { points: points.join(" "), class: "star" }, group);
}

// A line of text for every metric that is on.
export function readOut(sweep, shown, place) {
  return shown.metrics.map((metric) => {
    const strategy = strategyAt(sweep, metric, shown.method, shown.level, shown.attribute);
    if (strategy < 0) return { metric, text: "not run at this level" };
    const own = curveOf(sweep, strategy, shown.pair, shown.attribute, shown.network)[place];
    const error = (value) => (value ? ` ± ${points(value)}` : "");
    const [x, y] = [percent(own.x), percent(own.y)];
    return {
      metric,
      x,
      y,
      text: `${x.replace(" %", "")}${error(own.dx)} % · ${y.replace(" %", "")}${error(own.dy)} %`,
    };
  });
}

// The sentence below the title, of what the controls say; where no script runs still.py writes it, of the first view.
export function headlineOf(sweep, shown, place) {
  const { metric, method, level, pair, attribute, network } = { ...shown, metric: shown.lit };
  const { data, factors, measures } = sweep;
  const strategy = strategyAt(sweep, metric, method, level, attribute);
  const own = hasOwnCurve(sweep, network, pair);
  const curve = strategy < 0 ? [] : curveOf(sweep, strategy, pair, attribute, network);
  const columns = [PAIRS[pair].x + data.attributes[attribute].suffix, PAIRS[pair].y];
  const [x, y] = columns.map((name) => sweep.start[measures.indexOf(name)]);
  const start = own ? curve.find((one) => one.factor === 1) : { x, y };
  const names = pair === "information" ? [titleOf(data, attribute), "accuracy"] : namesOf(sweep, pair, attribute);
  const said = (at) => `${percent(at.y)} ${names[1]} and ${percent(at.x)} ${names[0]}`;
  const many = data.networks.length > 1 ? `Mean of ${data.networks.length} networks: ` : "";
  const whose = own && many ? `Network ${network}: ` : many;
  const begin = start ? `${said(start)} at the output` : "";
  if (!curve[place]) return `${whose}${begin}.`;
  const what = `${level === 1 ? `the top ${method}` : `the top ${level} ${method}s`} by ${metric}`;
  return `${whose}${begin}${begin && "; "}with ${what} ${fateText(factors[place])}, ${said(curve[place])}.`;
}

function titleOf(data, attribute) {
  return data.messages.find((own) => own.name === data.attributes[attribute].message).title;
}

// What a factor does to the weights that are pruned.
export function fateText(factor) {
  return factor === 0 ? "removed" : factor === 1 ? "untouched" : `× ${String(factor).replace("-", "−")}`;
}
