// Runs the cases of cases.mjs: see run.sh.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { CASES } from './cases.mjs';
import { writeReport } from './report.mjs';
import { versions } from './servers.mjs';
import { figure, ratio } from './statistics.mjs';

const { values: options } = parseArgs({
  options: {
    case: { type: 'string', multiple: true, default: [] },
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    'aorta-only': { type: 'boolean' },
    'no-readme': { type: 'boolean' },
    growth: { type: 'boolean' },
    list: { type: 'boolean' },
  },
});
const names = options.case.length ? options.case : Object.keys(CASES);
const unknown = names.filter((name) => !(name in CASES));
const [pairs, seconds] = [Number(options.pairs), Number(options.seconds)];
if (unknown.length || !(pairs >= 1 && pairs <= 100) || !(seconds >= 1 && seconds <= 600)) {
  console.error(`run.sh: ${unknown.length ? `no such case: ${unknown.join(' ')}` : '--pairs 1 to 100, --seconds 1 to 600'}`);
  process.exit(2);
}

const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
export const about = () => ({
  commit: git('rev-parse', '--short', 'HEAD'),
  changed: git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'include', 'tests/bench') !== '',
  date: new Date().toISOString(),
  kernel: os.release(),
  cpu: os.cpus()[0].model,
  cores: os.cpus().length,
  ...versions(),
});

async function runOnce(name, server, pair) {
  const began = performance.now();
  const run = { server_name: server, pair };
  try {
    Object.assign(run, await CASES[name].run(server, CASES[name], { seconds }));
  } catch (error) {
    run.error = error.message;
  }
  const value = CASES[name].of(run);
  const failures = Object.entries(run.failures ?? {}).map(([why, count]) => `${why} ${count}`).join(', ');
  const took = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${name} ${server} ${pair + 1}: ${value ?? '-'} ${CASES[name].unit}, ${Math.round(run.per_second ?? 0)}/s ${failures} ${run.error ?? ''} [${took} s]`);
  return run;
}

async function runCase(name) {
  const row = CASES[name];
  const servers = options['aorta-only'] || row.kamailio === null ? ['aorta'] : ['aorta', 'kamailio'];
  const runs = [];
  for (let pair = 0; pair < (row.once ? 1 : pairs); pair++) {
    for (const server of servers) runs.push(await runOnce(name, server, pair));
  }
  const result = { case: name, seconds, ...about(), runs };
  fs.mkdirSync(new URL('results/', import.meta.url), { recursive: true });
  fs.writeFileSync(new URL(`results/${name}.json`, import.meta.url), `${JSON.stringify(result, null, 1)}\n`);
  const [ours, theirs] = [figure(runs, 'aorta', row.of), figure(runs, 'kamailio', row.of)];
  const times = ratio(runs, 'kamailio', 'aorta', row.of);
  const told = (one) => (one ? `${one.median} (${one.min} to ${one.max}) ${row.unit}` : '-');
  console.log(`${name}: aorta ${told(ours)}, kamailio ${told(theirs)}, ratio ${times?.median.toFixed(2) ?? '-'}`);
  return runs.every((run) => !run.error && !Object.keys(run.failures ?? {}).length);
}

if (options.list) {
  for (const [name, { title, note }] of Object.entries(CASES)) console.log(`${name}: ${title}${note ? ` (${note})` : ''}`);
} else if (options.growth) {
  const { measureGrowth } = await import('./growth.mjs');
  process.exitCode = (await measureGrowth({ seconds, about: about() })) ? 0 : 1;
} else {
  let isGood = true;
  for (const name of names) isGood = (await runCase(name)) && isGood;
  process.exitCode = isGood ? 0 : 1;
}
if (!options.list && !options['no-readme']) writeReport();
