// The page: data into a model, controls into a state, the state into drawings and into the address.

import { setUp, showControls } from "./controls.js";
import { courseKey, drawCourse, makeCourse } from "./course.js";
import { look } from "./details.js";
import { bits } from "./drawing.js";
import { brushedEdges, drawEffects, layerKey, makeEffects, showBrush } from "./effects.js";
import { drawNetwork, makeNetwork } from "./network.js";
import { MESSAGES, RANGE, attributeNow, data, levelNow, model, parts, rangeNow, shareNow, sweep } from "./page.js";
import { change, drawn, drawnBy, followWindow, found, itemOf, nameOf, render, state, unlessDrawn } from "./state.js";
import { cueColumns, makeTable, markRow, nextOrder, sortTable } from "./tables.js";
import { drawTradeoff, hasOwnCurve, headlineOf, levelsOf, readOut } from "./tradeoff.js";
import { fullFlow, placeOf } from "./view.js";

function draw() {
  showControls();
  const place = placeOf(model, state.network),
    message = MESSAGES.indexOf(state.message);
  if (parts.effects) unlessDrawn("effects", [place, message], () => drawEffects(parts.effects, { place, message }));
  if (parts.course) unlessDrawn("course", message, () => drawCourse(parts.course, message));
  const range = rangeNow();
  const brushed = parts.effects ? brushedEdges(parts.effects, range) : { edges: null, points: 0 };
  const share = shareNow(),
    factor = Number(state.factor);
  if (parts.share !== share) listPruned((parts.share = share));
  captionNetwork(share, place, message);
  if (sweep) drawSweep();
  if (parts.effects) {
    showBrush(parts.effects, range);
    const where = range
      ? `${brushed.points} points, ${brushed.edges.reduce((sum, own) => sum + own, 0)} edges in the rectangle`
      : "";
    found("brush-out").textContent = where;
    RANGE.forEach((id, k) => {
      if (document.activeElement !== found(id)) found(id).value = range ? Number(range[k].toPrecision(3)) : "";
    });
  }
  if (parts.table) unlessDrawn("sort", [state.sort], () => sortTable(parts.table, state.sort));
  if (parts.table) markRow(parts.table, state.network);
  look(itemOf(state.at));
  // last, as a canvas asks how wide it is shown: the page is then laid out once
  drawNetwork(parts.network, { place, message, share, factor, brushed: brushed.edges, redraw: !drawn.again });
  drawn.again = "done";
}

// Numbers of the pruned edges, for whoever reads the page by a program.
function listPruned(share) {
  const edges = [];
  share?.forEach((own, edge) => own > 0 && edges.push(edge));
  found("network-plot").dataset.pruned = edges.join(" ");
}

function captionNetwork(share, place, message) {
  const full = fullFlow(model, place, message);
  const widest = `The widest edge carries ${bits(full.widest)} bits, the darkest node ${bits(full.strongest)} bits. `;
  const scale = model.edges ? widest : `The largest flow is ${bits(full.strongest)} bits. `;
  const most = place < 0 ? " in most networks" : "";
  const halves = model.messages > 1 ? " (an edge, or a node’s part of that colour)" : "";
  const known = model.strong.some((own) => !Number.isNaN(own));
  const sure = (sign) => (known ? `significant (p_max ${sign} ${data.alpha})` : "above the noise floor");
  const grey = `Grey and dashed${halves}: flow not ${sure("≥")}${most}. `;
  const dashed = parts.network.layout.dense ? `Dots: flow ${sure("<")}${most}. ` : grey;
  let lit = "";
  const run = sweep && levelsOf(sweep, state.method, state.by).length;
  if (sweep && !run) lit = `${state.method}s were not pruned by “${state.by}”.`;
  else if (sweep && model.edges && !share)
    lit = `Which edges “${state.by}” prunes does not follow from the tables: none are lit.`;
  else if (sweep && share)
    lit =
      place < 0
        ? `Lit: pruned edges, the stronger in the more of ${data.shown.length} networks.`
        : "Lit: pruned edges, as wide as the factor leaves them.";
  const typical = data.networks.length > 1 && state.network === String(data.typical);
  const whose = typical ? `Network ${data.typical}, whose bias is the median of all ${data.networks.length}. ` : "";
  found("network-caption").textContent = whose + scale + dashed + lit;
  const mixed = place < 0 && data.widths.length > 2;
  found("mean-note").hidden = !mixed;
  found("network-plot").parentElement.classList.toggle("mixed", mixed);
}

function drawSweep() {
  const attribute = attributeNow();
  const shown = {
    metrics: state.curve,
    method: state.method,
    level: levelNow(),
    pair: state.measure,
    attribute,
    network: state.whose === "own" ? state.network : "mean",
    lit: state.by,
  };
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
  document.querySelector(".headline").textContent = headlineOf(sweep, shown, place);
  const one = shown.network !== "mean" && data.networks.length > 1;
  const whose = hasOwnCurve(sweep, shown.network, state.measure) && data.networks.length > 1
    ? `network ${shown.network}`
    : data.networks.length === 1
      ? "the network"
      : `mean of ${data.networks.length} networks, ± standard error`;
  found("tradeoff-caption").textContent =
    `Bias · accuracy, ${whose}${one && !whose.startsWith("network") ? " (this network’s own curve is not in the page)" : ""}. Star: unpruned. Pale: the other levels.`;
}

function begin() {
  setUp();
  drawnBy(draw);
  const on = { look, pin: (item) => change({ at: nameOf(item) }), pinned: () => itemOf(state.at) };
  parts.network = makeNetwork(found("network-plot"), model, on);
  if (found("course-plot")) {
    parts.course = makeCourse(found("course-plot"), model, on);
    found("course-key").replaceChildren(...courseKey(parts.course));
  }
  if (found("networks")) {
    parts.table = makeTable(found("networks"), {
      has: (number) => data.shown.map(String).includes(number),
      sort: (column) => change({ sort: nextOrder(state.sort, column) }),
      choose: (network) =>
        change({ network: state.network === network ? String(data.typical) : network }),
    });
  }
  document.documentElement.classList.add("live");
  document.documentElement.classList.toggle("deep", data.widths.length > 8);
  document.documentElement.classList.toggle("dense", parts.network.layout.dense);
  draw();
  setTimeout(follow); // what lies below the first view comes after it
}

function follow() {
  cueColumns();
  if (data.edges?.effect && found("effects-plot")) beginEffects();
  followWindow(found("network-plot"), () => (drawn.effects = drawn.again = undefined));
  render();
}

function beginEffects() {
  const brush = (range) => change({ brush: range ? range.map((own) => Number(own.toPrecision(4))).join(",") : "" });
  parts.effects = makeEffects(found("effects-plot"), model, { brush });
  found("layers-key").replaceChildren(...layerKey(model));
  RANGE.forEach((id) =>
    found(id).addEventListener("input", () => {
      const values = RANGE.map((own, k) => (found(own).value === "" ? (k % 2 ? 1e6 : -1e6) : Number(found(own).value)));
      change({ brush: RANGE.some((own) => found(own).value !== "") ? values.join(",") : "" });
    }),
  );
  found("brush-clear").addEventListener("click", () => change({ brush: "" }));
}

begin();
