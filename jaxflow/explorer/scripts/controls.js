// The controls above the drawings, and the list of curves.

import { html, svg } from "./drawing.js";
import { ATTRIBUTES, MESSAGES, data, levelNow, levelsNow, sweep } from "./page.js";
import { change, found, state } from "./state.js";
import { PAIRS, fateText, markerPath, metricDash, metricLook } from "./tradeoff.js";

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

export function setUp() {
  const many = data.networks.length > 1;
  const some = data.shown.length < data.networks.length ? `, ${data.shown.length} in full` : "";
  const nameOne = (own) => `network ${own}${many && own === data.typical ? " (median bias)" : ""}`;
  options(
    found("network-choice"),
    [...data.shown.map(String), ...(many ? ["mean"] : [])],
    [...data.shown.map(nameOne), ...(many ? [`mean of ${data.networks.length}${some}`] : [])],
  );
  found("network-choice").closest("label").hidden = !many;
  listenTo("network-choice", "network");
  const titles = data.messages.map((own) => own.title);
  radios(found("message-choice"), "message", MESSAGES, titles, (value) => {
    const about = data.attributes?.find((own) => own.message === value);
    change({ message: value, brush: "", ...(about ? { aim: about.name } : {}) });
  });
  if (sweep) setUpSweep();
  document.querySelectorAll("[data-live]").forEach((own) => (own.hidden = false));
}

function listenTo(id, name) {
  found(id).addEventListener("change", (event) => change({ [name]: event.target.value }));
}

function setUpSweep() {
  options(found("metric-choice"), sweep.metrics);
  listenTo("metric-choice", "by");
  options(
    found("aim-choice"),
    ATTRIBUTES,
    data.attributes.map((own) => own.title),
  );
  found("aim-choice").closest("label").hidden = ATTRIBUTES.length < 2;
  listenTo("aim-choice", "aim");
  radios(
    found("method-choice"),
    "method",
    sweep.methods,
    sweep.methods.map((own) => `${own}s`),
    (method) => change({ method }),
  );
  found("level").addEventListener("input", (event) => {
    change({ level: String(levelsNow()[Number(event.target.value)]) });
  });
  const { rising } = sweep; // from removed, on the left, to untouched
  found("factor").max = rising.length - 1;
  found("factor").addEventListener("input", (event) => change({ factor: String(rising[Number(event.target.value)]) }));
  found("factor-low").textContent = rising[0] < 0 ? `× ${rising[0]}, sign reversed`.replace("-", "−") : endText(rising[0]);
  found("factor-high").textContent = endText(rising.at(-1));
  options(found("whose-choice"), ["mean", "own"], [`mean of ${data.networks.length} networks`, "the network above"]);
  found("whose-choice").closest("label").hidden = data.networks.length < 2;
  listenTo("whose-choice", "whose");
  options(found("measure-choice"), Object.keys(PAIRS));
  listenTo("measure-choice", "measure");
  for (const metric of sweep.metrics) found("curves").append(curveRow(metric));
}

function endText(factor) {
  const text = fateText(factor);
  return text.startsWith("×") ? text : `× ${factor}, ${text}`;
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
  return html(
    "li",
    { "data-metric": metric },
    html("label", {}, input, swatch, html("span", {}, metric)),
    html("output", {}),
  );
}

export function showControls() {
  found("network-choice").value = state.network;
  check("message", state.message);
  if (!sweep) return;
  found("metric-choice").value = state.by;
  found("aim-choice").value = state.aim;
  found("measure-choice").value = state.measure;
  check("method", state.method);
  const levels = levelsNow(),
    level = levelNow();
  found("level").max = levels.length - 1;
  found("level").value = levels.indexOf(level);
  const amount = `${level} ${state.method}${level === 1 ? "" : "s"}`;
  found("level-out").value = amount;
  found("level").setAttribute("aria-valuetext", amount);
  found("whose-choice").value = state.whose;
  found("factor").value = sweep.rising.map(String).indexOf(state.factor);
  found("factor-out").value = `× ${state.factor.replace("-", "−")}`;
  found("factor").setAttribute("aria-valuetext", `weights ${fateText(Number(state.factor))}`);
  found("curves")
    .querySelectorAll("input")
    .forEach((own) => (own.checked = state.curve.includes(own.value)));
}

function check(name, value) {
  document.querySelectorAll(`input[name="${name}"]`).forEach((own) => (own.checked = own.value === value));
}
