// The data as arrays, and what follows from them: flows of edges, means, ranks, shares of networks that lose an edge.

import { floats, unpackLater } from "./data.js";
import { shapeOf } from "./layout.js";
import { KNOWN_METRICS, ranksOf } from "./ranks.js";

const FULL = 5; // noise floors that full width and shade stand for at least

export function modelOf(data) {
  const held = data.edges;
  const weight = held ? floats(held.weight) : new Float32Array();
  const model = {
    data,
    ...shapeOf(data.widths, weight.length / data.shown.length),
    messages: data.messages.length,
    flow: floats(data.nodes.flow),
    evidence: unpackLater({}, data.nodes.evidence),
    weight,
    known: new Map(),
  };
  return unpackLater(model, {
    witness: data.nodes.witness,
    meanFlow: data.nodes.mean,
    deviation: data.nodes.deviation,
    strong: data.nodes.strong,
    size: held?.size,
    meanEdge: held?.mean,
    effect: held?.effect,
    meanEffect: held?.mean_effect,
  });
}

// Place of a network among those in full; −1 for the mean.
export function placeOf(model, network) {
  return network === "mean" ? -1 : model.data.shown.indexOf(Number(network));
}

// Flow of every node about a message.
export function nodeFlows(model, place, message) {
  const { nodes, messages } = model;
  const start = (place < 0 ? message : place * messages + message) * nodes;
  return (place < 0 ? model.meanFlow : model.flow).subarray(start, start + nodes);
}

// Weights of one network, |w| of the mean.
export function weightsOf(model, place) {
  return place < 0 ? model.size : model.weight.subarray(place * model.edges, (place + 1) * model.edges);
}

// Flow of every edge about a message: |w| times the flow of the node that it leaves.
export function edgeFlows(model, place, message) {
  if (place < 0) return model.meanEdge.subarray(message * model.edges, (message + 1) * model.edges);
  return remembered(model, `edge ${place} ${message}`, () => {
    const flow = nodeFlows(model, place, message),
      weights = weightsOf(model, place);
    return Float32Array.from(weights, (weight, edge) => Math.abs(weight) * flow[model.source[edge]]);
  });
}

// Change of a message's measure, in points, when the edge alone is removed; null where nothing was removed.
export function effectsOf(model, place, message) {
  const all = place < 0 ? model.meanEffect : model.effect;
  const start = (place < 0 ? message : place * model.messages + message) * model.edges;
  return all && all.subarray(start, start + model.edges);
}

// What is known of a node beside its flow: null95, p_max, honest, low, high, witness.
export function evidenceOf(model, place, message, node) {
  const at = (place * model.messages + message) * model.nodes + node;
  const found = Object.fromEntries(Object.entries(model.evidence).map(([name, own]) => [name, own[at]]));
  return { ...found, witness: model.data.nodes.witnesses[model.witness[at]] };
}

// For every node 1 where its flow may have come from nothing; of the mean: where in most networks it may.
export function faintNodes(model, place, message) {
  return remembered(model, `faint ${place} ${message}`, () => {
    const flow = nodeFlows(model, place, message),
      { nodes } = model;
    const start = (place < 0 ? message : place * model.messages + message) * nodes;
    if (place < 0) return Uint8Array.from(flow, (_, node) => (model.strong[start + node] < 0.5 ? 1 : 0));
    const { p_max: p, null95: floor } = model.evidence;
    return Uint8Array.from(flow, (own, node) => {
      const known = p && !Number.isNaN(p[start + node]);
      return (known ? p[start + node] >= model.data.alpha : own <= (floor?.[start + node] ?? NaN)) ? 1 : 0;
    });
  });
}

// Flows that the largest shade and width stand for: at least a few noise floors, so that noise stays pale and thin.
export function fullFlow(model, place, message) {
  return remembered(model, `full ${place} ${message}`, () => {
    const floors = model.evidence.null95,
      first = (Math.max(place, 0) * model.messages + message) * model.nodes;
    let strongest = 1e-12,
      floor = 0,
      widest = 1e-12;
    nodeFlows(model, place, message).forEach((flow, node) => {
      if (flow > strongest) strongest = flow;
      if (floors?.[first + node] > floor) floor = floors[first + node];
    });
    if (model.edges) for (const flow of edgeFlows(model, place, message)) if (flow > widest) widest = flow;
    const over = Math.max(1, (FULL * floor) / strongest);
    return { node: over * strongest, edge: over * widest, widest, strongest };
  });
}

// Whether the tables say which edges a metric prunes.
export function canRank(model, metric) {
  return KNOWN_METRICS.includes(metric) && model.edges > 0 && (metric === "magnitude" || model.data.samples !== null);
}

// Rank of every edge of one network in full.
export function networkRanks(model, place, metric, method, attribute) {
  const { data } = model;
  const most = Math.max(...data.tradeoff.strategies.filter((own) => own[1] === method).map((own) => own[2]));
  return remembered(model, `ranks ${place} ${metric} ${method} ${attribute}`, () => {
    const about = (name) => data.messages.findIndex((own) => own.name === name);
    const network = {
      widths: data.widths,
      weights: weightsOf(model, place),
      keep: nodeFlows(model, place, about(data.label)),
      remove: nodeFlows(model, place, about(data.attributes[attribute].message)),
      samples: data.samples,
    };
    return ranksOf(metric, method, network, most);
  });
}

// Share of networks that lose each edge at a level: 0 or 1 of one network, of the mean over those in full.
export function prunedShare(model, place, metric, method, attribute, level) {
  return remembered(model, `share ${place} ${metric} ${method} ${attribute} ${level}`, () => {
    const share = new Float32Array(model.edges);
    const places = place < 0 ? model.data.shown.map((_, own) => own) : [place];
    for (const own of places) {
      const ranks = networkRanks(model, own, metric, method, attribute);
      for (let edge = 0; edge < share.length; edge++) if (ranks[edge] < level) share[edge] += 1 / places.length;
    }
    return share;
  });
}

function remembered(model, name, make) {
  if (!model.known.has(name)) model.known.set(name, make());
  return model.known.get(name);
}

// What a layer and a node are called.
export function layerName(model, layer) {
  const { data } = model;
  if (data.kind === "recording") return `time ${Number(data.times[layer].toPrecision(6))}`;
  return layer === data.widths.length - 1 ? "output" : `layer ${data.layers[layer]}`;
}

export function nodeName(model, node) {
  const { data } = model;
  const index = model.indexOf[node];
  const named = data.kind === "recording" || model.layerOf[node] === 0 ? data.names[index] : undefined;
  return named === undefined || /^\d+$/.test(named) ? `node ${named ?? index}` : named;
}
