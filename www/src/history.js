// What the node told in the last minutes, and what a chart has to know of it. No page in here.

const KEPT_MS = 15 * 60_000;
const GAP_MS = 20_000; /* without a sample for so long, nobody looked: no line leads across */
const SPANS_MS = [60_000, 2 * 60_000, 5 * 60_000, KEPT_MS];
const STEPS = [1, 2, 4, 6, 8, 10]; /* their halves are whole numbers too, but for the first */

/** Samples in order, { at: Unix ms, values: { name: number } }, none older than fifteen minutes. */
export class History {
  samples = [];

  add(at, values) {
    /* A clock that was set back would make the line run backwards. */
    this.samples = this.samples.filter((sample) => sample.at < at && sample.at >= at - KEPT_MS);
    this.samples.push({ at, values });
  }
}

/** The shortest span in which all samples have room: a page just opened shows its first minute. */
export function spanOf(samples) {
  const age = samples.length > 0 ? samples.at(-1).at - samples[0].at : 0;
  return SPANS_MS.find((span) => age <= span) ?? KEPT_MS;
}

/** Runs of samples without a gap. */
export function runsOf(samples) {
  const runs = [];
  for (const sample of samples) {
    const run = runs.at(-1);
    if (run && sample.at - run.at(-1).at <= GAP_MS)
      run.push(sample);
    else
      runs.push([sample]);
  }
  return runs;
}

/** Marks for an axis from 0 to at least `max`: two or three of them, easy numbers. */
export function marksUpTo(max) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, max)));
  const top = STEPS.find((step) => step * unit >= max) * unit;
  return top === 1 ? [0, 1] : [0, top / 2, top];
}

/** The least and the most of f(sample). */
export function rangeOf(samples, f) {
  const values = samples.map(f);
  return [Math.min(...values), Math.max(...values)];
}
