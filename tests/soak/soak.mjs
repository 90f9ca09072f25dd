// Clients, reloads and faults at random, watched by a model of what the clients were told.
//   node tests/soak/soak.mjs [--seconds=60] [--seed=N] [--worlds=memory,redis,jambonz] [--trace]
// Without --worlds: memory and redis.
// The seed that is printed brings the same clients, choices and faults back; when they meet is up to
// the machine. Exit status 0: nothing was found that must not be.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { World } from './world.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: process.env.AORTA_SOAK_SECONDS ?? '60' },
    seed: { type: 'string', default: process.env.AORTA_SOAK_SEED ?? String(Math.floor(Math.random() * 1e9)) },
    worlds: { type: 'string', default: 'memory,redis' },
    trace: { type: 'boolean', default: false },
  },
});

const OF_REDIS = { reload: 3, callbackOutage: 2, redisRestart: 2, redisEmptied: 2, redisFrozen: 1, redisFlushed: 1, redisDisconnects: 1, nodeKilled: 1, nodeRestarted: 1 };
const WORLDS = {
  memory: { store: 'memory', nodes: 1, devices: 30, faults: { reload: 5, callbackOutage: 3, nodeRestarted: 0.5 } },
  redis: { store: 'redis', nodes: 2, devices: 40, faults: OF_REDIS },
  jambonz: { store: 'redis', layout: 'jambonz', nodes: 2, devices: 40, faults: OF_REDIS },
};
const MOST_TOLD = 15;

function tell({ name, counts, model, events }) {
  const list = (counted) => Object.entries(counted).map(([what, count]) => `${what} ${count}`).join(', ');
  console.log(`${name}: requests ${list(counts.actions)}; answers ${list(counts.answers)}; faults ${list(counts.faults)}; this process was late ${counts.lags ?? 0} times; the store compared ${model.checked} times`);
  for (const { now, what, entry, history } of model.violations.slice(0, MOST_TOLD)) {
    console.log(`${name}: VIOLATION at ${now}: ${what}`);
    if (entry) console.log(`  ${entry.aor} ${entry.uri}\n    ${history.join('\n    ')}`);
    const around = events.filter((event) => Math.abs(Number.parseInt(event, 10) - now) < 15000);
    console.log(`  meanwhile\n    ${around.join('\n    ')}`);
  }
}

const ms = Number(values.seconds) * 1000;
console.log(`soak: seed ${values.seed}, ${values.seconds} s`);
const worlds = values.worlds.split(',').map((name) => new World({ name, seed: values.seed, ...WORLDS[name] }));
if (values.trace) for (const world of worlds) world.trace = (what) => console.log(`${Date.now()} ${world.name} ${what}`);
await Promise.all(worlds.map((world) => world.start()));
await Promise.all(worlds.map((world) => world.run(ms)));
const isBad = worlds.some(({ model }) => model.violations.length > 0);
const folder = path.join(os.tmpdir(), `aorta-soak-${values.seed}`);
if (isBad) worlds.forEach((world) => world.keepLogs(folder));
await Promise.all(worlds.map((world) => world.stop()));
worlds.forEach(tell);
const found = worlds.reduce((sum, { model }) => sum + model.violations.length, 0);
const checked = worlds.reduce((sum, { model }) => sum + model.checked, 0);
if (found > 0 && fs.existsSync(folder)) console.log(`soak: logs are in ${folder}`);
console.log(`soak: seed ${values.seed}: ${found} violations in ${checked} comparisons with the store`);
process.exit(found > 0 || checked === 0 ? 1 : 0);
