// SVG elements, axes and numbers as text.

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, parent = null) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

export function html(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

// Three significant digits, and a dash where there is no number.
export function shortNumber(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size < 1e-4 ? value.toExponential(1) : size >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

// One rule for the whole page, as in writing.py: bits and p-values to four decimals, per cent and points to two.
export function bits(value) {
  return fixed(value, 4);
}

export function points(value) {
  return fixed(value, 2);
}

export function percent(value) {
  const text = points(value);
  return text === "–" ? text : `${text} %`;
}

function fixed(value, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toFixed(decimals).replace(/^-(?=0\.0*$)/, "").replace("-", "−");
}

// Round numbers within [low, high], about as many as asked for.
export function ticksOf(low, high, count = 5) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((own) => own * power).find((own) => own >= raw);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++)
    ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}

// A linear scale with some room at both ends.
export function scaleOf(values, from, to, room = 0.06) {
  let low = Infinity,
    high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low <= high)) [low, high] = [0, 1];
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05];
  const gap = (high - low) * room;
  [low, high] = [low - gap, high + gap];
  const scale = (value) => from + ((value - low) / (high - low)) * (to - from);
  scale.low = low;
  scale.high = high;
  scale.inverse = (place) => low + ((place - from) / (to - from)) * (high - low);
  return scale;
}

// What a scale shall show: the values, and the level of chance unless it lies so far beyond that it would squeeze them.
export function withChance(values, chance) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.5 * (high - low); // as in figures/levels.py
  const near = chance !== undefined && chance >= low - room && chance <= high + room;
  return near ? [...values, chance] : values;
}

// Thin lines at the levels of chance, each with its name; where one lies outside, an arrow that points there.
export function chanceLines(parent, box, x, y, across, up) {
  const group = svg("g", { class: "chance" }, parent);
  const label = (text, place) => (svg("text", place, group).textContent = text);
  if (up) {
    const [name, value] = up,
      at = y(value);
    const inside = value >= y.low && value <= y.high;
    if (inside) svg("line", { x1: box.left, x2: box.right, y1: at, y2: at }, group);
    const below = value < y.low;
    const place = { x: box.right - 4, y: inside ? at + (at > box.bottom - 20 ? -5 : 14) : below ? box.bottom - 6 : box.top + 12 };
    label(`${inside ? "" : below ? "↓ " : "↑ "}${name}`, { ...place, "text-anchor": "end" });
  }
  if (across) {
    const [name, value] = across,
      at = x(value);
    const inside = value >= x.low && value <= x.high;
    if (inside) svg("line", { x1: at, x2: at, y1: box.top, y2: box.bottom }, group);
    const left = inside ? at < (box.left + box.right) / 2 : value < x.low;
    const place = { x: inside ? at + (left ? 5 : -5) : left ? box.left + 5 : box.right - 5, y: box.top + 12 };
    const text = inside ? name : left ? `← ${name}` : `${name} →`;
    label(text, { ...place, "text-anchor": left ? "start" : "end" });
  }
}

// Axes left and below, with labels; returns the group.
export function axes(parent, box, x, y, xLabel, yLabel) {
  const group = svg("g", { class: "axes", "aria-hidden": "true" }, parent);
  const xTicks = ticksOf(x.low, x.high, Math.max(2, Math.floor((box.right - box.left) / 90)));
  for (const tick of xTicks) {
    svg("line", { x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 4 }, group);
    svg("text", { x: x(tick), y: box.bottom + 17, "text-anchor": "middle" }, group).textContent = shortNumber(tick, 6);
  }
  for (const tick of ticksOf(y.low, y.high, Math.max(2, Math.floor((box.bottom - box.top) / 60)))) {
    svg("line", { x1: box.left - 4, x2: box.left, y1: y(tick), y2: y(tick) }, group);
    svg("line", { class: "rule", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }, group);
    svg("text", { x: box.left - 7, y: y(tick) + 4, "text-anchor": "end" }, group).textContent = shortNumber(tick, 6);
  }
  svg("line", { x1: box.left, x2: box.left, y1: box.top, y2: box.bottom }, group);
  svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, group);
  svg(
    "text",
    { class: "name", x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" },
    group,
  ).textContent = fitted(xLabel, box.right - box.left);
  const middle = (box.top + box.bottom) / 2;
  const upright = {
    class: "name",
    x: 0,
    y: 0,
    "text-anchor": "middle",
    transform: `translate(14 ${middle}) rotate(-90)`,
  };
  svg("text", upright, group).textContent = fitted(yLabel, box.bottom - box.top);
  return group;
}

// A text that is cut where it would be longer than its place.
export function fitted(text, room) {
  const most = Math.floor(room / 6.4);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

// A colour of the style sheet, as canvas needs it; asked for once, until the scheme changes.
const COLOURS = new Map();
export function colourOf(name) {
  if (!COLOURS.has(name))
    COLOURS.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return COLOURS.get(name);
}

export function forgetColours() {
  COLOURS.clear();
}

// A canvas as sharp as the screen; returns its context in the units of the drawing.
export function sharpContext(canvas, width, height) {
  canvas.shown ??= canvas.getBoundingClientRect().width || width; // measured again when the window changes
  const scale = (canvas.shown / width) * Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.sharp = scale;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
