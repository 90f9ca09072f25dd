// What /metrics says, as numbers, and what something changes in it.
import assert from 'node:assert/strict';
import { until } from './expect.mjs';

/** {series: value}, a series as it stands: `name{label="value"}`. */
export function parseMetrics(text) {
  const samples = {};
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, series, value] = /^([a-z_]+(?:\{(?:[a-z_]+="(?:\\.|[^"\\])*",?)*\})?) (\S+)$/.exec(line) ?? assert.fail(`no sample: ${line}`);
    assert.ok(!(series in samples), `twice: ${series}`);
    assert.ok(Number.isFinite(Number(value)), line);
    samples[series] = Number(value);
  }
  return samples;
}

export async function readMetrics(server) {
  const answer = await server.get('/metrics');
  assert.equal(answer.status, 200, answer.body);
  return parseMetrics(answer.body);
}

/** Without those of the process and of Redis, which move by themselves. */
const isEvent = (series) => /^aorta_\w+_(total|count)(\{|$)/.test(series) && !series.startsWith('aorta_redis_');

function changes(before, after) {
  const changed = {};
  for (const series of Object.keys(after))
    if (isEvent(series) && after[series] !== before[series]) changed[series] = after[series] - before[series];
  return changed;
}

/** `task` makes just these counters rise, by so much. */
export async function assertCounts(server, task, expected) {
  const before = await readMetrics(server);
  await task();
  let changed;
  const isSo = async () => {
    changed = changes(before, await readMetrics(server));
    return Object.keys(changed).length === Object.keys(expected).length && Object.keys(expected).every((series) => changed[series] === expected[series]);
  };
  await until('counters', isSo, 2000).catch(() => {});
  assert.deepEqual(changed, expected);
}

/** Waits until that gauge, or counter, is as `is` wants it. */
export function untilMetric(server, series, is, ms = 5000) {
  return until(`${series}: ${is}`, async () => is((await readMetrics(server))[series]), ms);
}
