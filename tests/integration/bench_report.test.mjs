// What turns the runs of tests/bench into the README's figures.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { figure, median, ratio } from '../bench/statistics.mjs';
import { CASES } from '../bench/cases.mjs';

const run = (server_name, pair, value) => ({ server_name, pair, value });
const value = (one) => one.value;

describe('bench: figures', () => {
  for (const [what, values, expected] of [
    ['one', [3], 3],
    ['odd', [9, 1, 5], 5],
    ['even', [4, 1, 2, 10], 3],
    ['not sorted as text', [100, 9, 20], 20],
  ]) {
    it(`median: ${what}`, () => assert.equal(median(values), expected));
  }

  it('median of nothing is no number', () => assert.ok(Number.isNaN(median([]))));

  it("a server's figure: its own runs only, without those that failed", () => {
    const runs = [run('aorta', 0, 2), run('kamailio', 0, 50), run('aorta', 1, undefined), run('aorta', 2, 4)];
    assert.deepEqual(figure(runs, 'aorta', value), { median: 3, min: 2, max: 4, runs: 2 });
    assert.equal(figure(runs, 'nobody', value), null);
  });

  it('a ratio compares the two of a pair, and no others', () => {
    const runs = [run('aorta', 0, 1), run('kamailio', 0, 3), run('aorta', 1, 10), run('kamailio', 1, 20), run('aorta', 2, 7)];
    assert.deepEqual(ratio(runs, 'kamailio', 'aorta', value), { median: 2.5, min: 2, max: 3, runs: 2 });
    assert.equal(ratio([run('aorta', 0, 1), run('kamailio', 1, 1)], 'kamailio', 'aorta', value), null);
  });

  it('a share is asked of a case that there is', () => {
    for (const [name, row] of Object.entries(CASES)) if (row.reachShare) assert.ok(row.reachShare.of in CASES, name);
  });
});
