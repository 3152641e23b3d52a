// What all parts of the page share: the data, the state, and what follows from it.

import { isItem, startState, state } from "./state.js";
import { PAIRS, levelsOf, sweepOf } from "./tradeoff.js";
import { canRank, modelOf, placeOf, prunedShare } from "./view.js";

export const data = JSON.parse(document.getElementById("data").textContent);
export const model = modelOf(data);
export const sweep = sweepOf(data);
export const MESSAGES = data.messages.map((own) => own.name);
export const ATTRIBUTES = (data.attributes ?? []).map((own) => own.name);
export const RANGE = ["flow-from", "flow-to", "effect-from", "effect-to"]; // of the rectangle
export const parts = {}; // what is on the page

startState(defaultState(), possible);

function defaultState() {
  const method = sweep?.methods[0] ?? "",
    by = sweep?.metrics[0] ?? "";
  const factors = sweep?.factors ?? [];
  return {
    network: String(data.typical), // hidden nodes of different networks do not correspond: no mean at first
    message: data.kind === "run" ? data.attributes[0].message : MESSAGES[0],
    aim: ATTRIBUTES[0] ?? "",
    by,
    method,
    level: sweep ? String(middle(levelsOf(sweep, method, by))) : "",
    factor: String(factors.findLast((own) => own >= 0) ?? factors[0] ?? 1), // removed, as the headline says
    curve: sweep?.metrics ?? [],
    measure: "information",
    whose: "mean",
    sort: "",
    brush: "",
    at: "",
  };
}

function middle(values) {
  return values[(values.length - 1) >> 1];
}

function possible(name, value) {
  const choices = {
    network: () => (value === "mean" && data.networks.length > 1) || data.shown.map(String).includes(value),
    message: () => MESSAGES.includes(value),
    aim: () => ATTRIBUTES.includes(value),
    by: () => Boolean(sweep?.metrics.includes(value)),
    curve: () => Boolean(sweep?.metrics.includes(value)),
    method: () => Boolean(sweep?.methods.includes(value)),
    level: () => /^\d+$/.test(value),
    factor: () => Boolean(sweep?.factors.map(String).includes(value)),
    measure: () => value in PAIRS,
    whose: () => value === "mean" || value === "own",
    sort: () => /^-?\d{1,3}$/.test(value) && Math.abs(Number(value)) <= data.outputs,
    brush: () => /^(-?[\d.]+(e-?\d+)?,){3}-?[\d.]+(e-?\d+)?$/.test(value),
    at: () => isItem(value, model),
  };
  return choices[name]();
}

// Levels of the metric that is chosen, else, where it was not run with this method, of the others.
export function levelsNow() {
  const own = levelsOf(sweep, state.method, state.by);
  return own.length
    ? own
    : [...new Set(sweep.metrics.flatMap((metric) => levelsOf(sweep, state.method, metric)))].sort((a, b) => a - b);
}

export function levelNow() {
  const levels = levelsNow();
  return levels.includes(Number(state.level)) ? Number(state.level) : middle(levels);
}

export function attributeNow() {
  return Math.max(ATTRIBUTES.indexOf(state.aim), 0);
}

export function shareNow() {
  if (!sweep || !canRank(model, state.by) || !levelsOf(sweep, state.method, state.by).length) return null;
  return prunedShare(model, placeOf(model, state.network), state.by, state.method, attributeNow(), levelNow());
}

export function rangeNow() {
  return state.brush ? state.brush.split(",").map(Number) : null;
}
