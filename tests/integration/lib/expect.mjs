// What tests wait with and compare with. Everything has a deadline; nothing sleeps for luck.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

/** The server under test is a sanitizer build: slower, so counts shrink and deadlines grow. */
export const SANITIZED = process.env.AORTA_SANITIZED === '1';
const PATIENCE = Number(process.env.AORTA_PATIENCE ?? (SANITIZED ? 4 : 1));

export const scaled = (count) => (SANITIZED ? Math.ceil(count / 20) : count);
export const patient = (ms) => ms * PATIENCE;

/** Resolves as `promise` does, or fails when that takes longer than `ms`. */
export async function within(ms, what, promise) {
  const stop = new AbortController();
  const late = delay(patient(ms), null, { signal: stop.signal }).then(() => {
    throw new Error(`${what}: nothing within ${patient(ms)} ms`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}

/** Asks again and again until `probe` returns something true, and returns that. */
export async function until(what, probe, ms = 5000) {
  const end = Date.now() + patient(ms);
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not so within ${patient(ms)} ms`);
    await delay(20);
  }
}

/** For what a specified timer of the server needs; says so by its name. */
export const timerPasses = (ms) => delay(ms);

export function assertStatus(response, status, why = '') {
  assert.equal(response.status, status, `${why}\n${response.text}`);
}

export function assertBetween(value, low, high, why) {
  assert.ok(value >= low && value <= high, `${why}: ${value} is not in ${low}..${high}`);
}

/** Runs `task(0..count-1)`, at most `width` of them at a time. */
export async function inParallel(count, width, task) {
  let next = 0;
  const run = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, run));
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
