// Medians and ratios of what was measured in pairs.
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (!sorted.length) return NaN;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const spread = (values) => ({ median: median(values), min: Math.min(...values), max: Math.max(...values), runs: values.length });

/** The figure `of` each run of `server`, as spread() has it; null without any. */
export function figure(runs, server, of) {
  const values = runs.filter((run) => run.server_name === server).map(of).filter(Number.isFinite);
  return values.length ? spread(values) : null;
}

/** Median of the pairs' ratios, first to second: each pair ran back to back, so that drift cancels out. */
export function ratio(runs, first, second, of) {
  const byPair = (server) => new Map(runs.filter((run) => run.server_name === server).map((run) => [run.pair, of(run)]));
  const [ours, theirs] = [byPair(first), byPair(second)];
  const ratios = [...ours].filter(([pair]) => theirs.has(pair)).map(([pair, value]) => value / theirs.get(pair)).filter(Number.isFinite);
  return ratios.length ? spread(ratios) : null;
}
