// What is shown, kept in the address after #, so that a link shows what its sender saw.

import { forgetColours } from "./drawing.js";

const LISTS = new Set(["curve"]);

// The state from an address, each value one of those that it may have; what is missing or impossible is the default.
export function readState(hash, defaults, allowed) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = structuredClone(defaults);
  for (const name of Object.keys(defaults)) {
    if (!given.has(name)) continue;
    const values = given.getAll(name).filter((value) => value === "" || allowed(name, value));
    if (LISTS.has(name)) state[name] = values.filter((value) => value !== "");
    else if (values.length) state[name] = values[0];
  }
  return state;
}

// Only what differs from the default.
export function hashOf(state, defaults) {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (String(value) === String(defaults[name])) continue;
    if (!LISTS.has(name)) kept.set(name, value);
    else if (value.length) value.forEach((own) => kept.append(name, own));
    else kept.set(name, "");
  }
  return `#${kept}`;
}

// A few changes a frame are one: a slider that moves fast asks for more than can be drawn.
export function oncePerFrame(what) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      what();
    });
  };
}

// The state of this page, and who draws it.
export const state = {};
export const drawn = {}; // from which state each drawing was made
let defaults = {},
  allowed = () => false,
  drawing = () => {},
  timer = 0;

export function startState(values, check) {
  [defaults, allowed] = [values, check];
  followAddress();
}

// Who draws the page: told when the state has changed.
export function drawnBy(what) {
  drawing = oncePerFrame(what);
}

export function render() {
  drawing();
}

export function change(changes) {
  Object.assign(state, changes);
  render();
  clearTimeout(timer); // browsers refuse addresses that change too often
  timer = setTimeout(() => history.replaceState(null, "", hashOf(state, defaults)), 200);
}

// What the address says, at first and when it was changed by hand or by going back.
export function followAddress() {
  Object.assign(state, readState(location.hash, defaults, allowed));
  render();
}

export function unlessDrawn(name, from, what) {
  const key = JSON.stringify(from);
  if (drawn[name] === key) return;
  drawn[name] = key;
  what();
}

// A node or an edge as the address has it, and back.
export function itemOf(text) {
  return text ? { [text.slice(0, 4)]: Number(text.slice(5)) } : null;
}

export function nameOf(item) {
  return item ? (item.edge === undefined ? `node-${item.node}` : `edge-${item.edge}`) : "";
}

export function isItem(text, { nodes, edges }) {
  return /^(node|edge)-\d+$/.test(text) && Number(text.slice(5)) < (text.startsWith("node") ? nodes : edges);
}

export const found = (id) => document.getElementById(id);

// Once all is drawn: go with the address, the width of a drawing and the scheme, and open all tables for the printer.
export function followWindow(plot, again) {
  let width = plot.clientWidth;
  const redraw = () => {
    width = plot.clientWidth;
    forgetColours();
    document.querySelectorAll("canvas").forEach((own) => (own.shown = undefined));
    again();
    render();
  };
  // told once at first, too, when all is drawn already
  new ResizeObserver(() => plot.clientWidth !== width && redraw()).observe(plot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("hashchange", followAddress);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details.folded").forEach((own) => (own.open = true));
  });
}
