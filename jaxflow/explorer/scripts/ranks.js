// Ranks of edges, as metrics/flow.py, interventions.py and paths.py make them: in float32, ties by the larger
// numerator and then by index.

export const UNRANKED = 2 ** 30;
export const KNOWN_METRICS = ["bias/acc", "acc/bias", "magnitude"]; // those that follow from the tables alone

// Scores of nodes and edges and what decides between equals. A network is {widths, weights, keep, remove, samples}:
// weights by layer, source and target, flows by layer and node.
export function scoresOf(metric, method, network) {
  const { widths, weights } = network;
  if (metric === "magnitude") {
    const sizes = weights.map(Math.abs);
    if (method !== "node") return { score: sizes, tie: sizes };
    const sums = new Float32Array(sourceCount(widths));
    eachEdge(widths, (edge, source) => (sums[source] = Math.fround(sums[source] + sizes[edge])));
    return { score: sums, tie: sums };
  }
  const [over, under] = metric === "bias/acc" ? [network.remove, network.keep] : [network.keep, network.remove];
  const least = Math.fround(1 / (2 * network.samples * Math.log(2)));
  const count = sourceCount(widths);
  const ratio = new Float32Array(count);
  for (let k = 0; k < count; k++) ratio[k] = over[k] / Math.max(under[k], least);
  if (method === "node") return { score: ratio, tie: over };
  const score = new Float32Array(weights.length),
    tie = new Float32Array(weights.length);
  eachEdge(widths, (edge, source) => {
    score[edge] = Math.abs(weights[edge]) * ratio[source];
    tie[edge] = Math.abs(weights[edge]) * over[source];
  });
  return { score, tie };
}

// Rank of every edge: that of its source node, its own, or that of the first path through it.
export function ranksOf(metric, method, network, most) {
  const { widths } = network;
  const { score, tie } = scoresOf(metric, method, network);
  const count = network.weights.length;
  const ranks = new Int32Array(count).fill(UNRANKED);
  if (method === "path") {
    widestPaths(score, widths, most).forEach((path, rank) => {
      for (const edge of path) ranks[edge] = Math.min(ranks[edge], rank);
    });
    return ranks;
  }
  const size = method === "node" ? sourceCount(widths) : count;
  const order = Array.from({ length: size }, (_, k) => k);
  order.sort((a, b) => score[b] - score[a] || tie[b] - tie[a] || a - b);
  const place = new Int32Array(size);
  order.forEach((own, rank) => (place[own] = rank));
  if (method === "edge") return place;
  eachEdge(widths, (edge, source) => (ranks[edge] = place[source]));
  return ranks;
}

// The widest paths, each as its edges. A path is as wide as its smallest score, then as its second smallest, and so on;
// the best paths into every node suffice, because appending an edge preserves this order.
export function widestPaths(score, widths, count) {
  let into = Array.from({ length: widths[0] }, () => [{ ascending: [], edges: [] }]);
  let start = 0;
  for (let layer = 0; layer + 1 < widths.length; layer++) {
    const [sources, targets] = [widths[layer], widths[layer + 1]];
    const next = [];
    for (let target = 0; target < targets; target++) {
      const candidates = [];
      for (let source = 0; source < sources; source++) {
        const edge = start + source * targets + target;
        for (const path of into[source]) {
          candidates.push({ ascending: inserted(path.ascending, score[edge]), before: path, edge });
        }
      }
      candidates.sort(widerFirst); // stable: among equals the lower source, then the better path into it
      next.push(
        candidates.slice(0, count).map((own) => ({ ascending: own.ascending, edges: [...own.before.edges, own.edge] })),
      );
    }
    into = next;
    start += sources * targets;
  }
  return into
    .flat()
    .sort(widerFirst)
    .slice(0, count)
    .map((path) => path.edges);
}

function widerFirst(a, b) {
  for (let k = 0; k < a.ascending.length; k++) {
    if (a.ascending[k] !== b.ascending[k]) return b.ascending[k] - a.ascending[k];
  }
  return 0;
}

function inserted(ascending, value) {
  let place = ascending.length;
  while (place > 0 && ascending[place - 1] > value) place--;
  return [...ascending.slice(0, place), value, ...ascending.slice(place)];
}

// Nodes that edges leave: all but the output's.
function sourceCount(widths) {
  return widths.slice(0, -1).reduce((sum, width) => sum + width, 0);
}

// Calls what = (edge, source node, target node) for every edge, in the order of the tables.
export function eachEdge(widths, what) {
  let edge = 0,
    first = 0;
  for (let layer = 0; layer + 1 < widths.length; layer++) {
    const next = first + widths[layer];
    for (let source = first; source < next; source++) {
      for (let target = next; target < next + widths[layer + 1]; target++) what(edge++, source, target);
    }
    first = next;
  }
}
