// What is shown, kept in the address after #, so that a link shows what its sender saw.

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
