// Whether a REGISTER costs the same with many bindings and connections as with few, and how a start with a
// million bindings in Redis goes: run.sh --growth.
import fs from 'node:fs';
import { execFileSync } from 'node:child_process';
import { withServer, flags } from './cases.mjs';
import { runLoad, startAorta, startRedis } from './servers.mjs';

const BINDINGS = [1000, 10000, 100000, 1000000];
const CONNECTIONS = [100, 1000, 10000, 18000];
const FLAT = 0.15;
const ROUNDS = 3; // of all sizes, one after the other, so that drift meets all alike

const RATE = 8000; // the same for all sizes, spread over all clients: every binding's turn comes

const loadFor = (transport, clients, server, seconds) =>
  flags({ transport, target: `127.0.0.1:${server.port}`, mode: 'refresh', clients, rate: RATE, seconds, processes: transport === 'ws' && clients > 9000 ? 2 : 1 });

async function cost(transport, clients, seconds) {
  const row = { transport, users: { aorta: Math.max(clients, 1000) }, config: { workers: 2 } };
  const line = await withServer('aorta', row, {}, (server) => runLoad(server, loadFor(transport, clients, server, seconds)));
  console.log(`${transport} ${clients}: ${line.server.cpu_us_per_registration} µs, failures ${JSON.stringify(line.failures)}, challenged ${line.challenged}`);
  return { transport, clients, ...line };
}

async function series(transport, sizes, seconds) {
  const runs = [];
  for (let round = 0; round < ROUNDS; round++) for (const size of sizes) runs.push(await cost(transport, size, seconds));
  return sizes.map((size) => {
    const all = runs.filter((run) => run.clients === size).map((run) => run.server.cpu_us_per_registration);
    all.sort((a, b) => a - b);
    return { transport, clients: size, cpu_us: all[0], median_us: all[all.length >> 1], runs: all };
  });
}

/** By the lowest of each size's runs: what else goes on in a shared machine only adds. */
function isFlat(points) {
  const costs = points.map((point) => point.cpu_us);
  const growth = Math.max(...costs) / costs[0] - 1;
  for (const { clients, cpu_us, median_us } of points) console.log(`${points[0].transport} ${clients}: lowest ${cpu_us} µs, median ${median_us} µs`);
  console.log(`${points[0].transport}: the dearest is ${(growth * 100).toFixed(0)} % above that of ${points[0].clients} (${FLAT * 100} % allowed)`);
  return growth <= FLAT;
}

// ---- A start with a million bindings ---------------------------------------------------------------------

const MANY = 1000000;
/** Copies of one binding under other names, a slice at a time; Redis waits for nobody meanwhile. */
const COPY = "for i=tonumber(ARGV[1]),tonumber(ARGV[2]) do redis.call('COPY', KEYS[1], 'user:many'..i..'@example.test') end";

const redisCli = (redis, ...args) => execFileSync('redis-cli', ['-p', String(redis.port), ...args.map(String)], { encoding: 'utf8' });

async function registerOne(aorta, seconds = 1) {
  return runLoad(aorta, flags({ transport: 'udp', target: `127.0.0.1:${aorta.port}`, mode: 'storm', clients: 1, aors: 1, count: 1, warmup: 0, seconds }));
}

async function startWithMany() {
  const redis = await startRedis();
  try {
    const first = await startAorta({ kind: 'udp', users: 1000, redis, config: { node: 'one' } });
    await registerOne(first);
    await first.stop();
    for (let i = 0; i < MANY; i += 50000) redisCli(redis, 'EVAL', COPY, 1, 'user:u0000000@example.test', i + 1, i + 50000);
    const keys = Number(redisCli(redis, 'DBSIZE'));
    const began = performance.now();
    const again = await startAorta({ kind: 'udp', users: 1000, redis, config: { node: 'one' } });
    try {
      const readyMs = performance.now() - began;
      const line = await registerOne(again);
      const answeredMs = performance.now() - began;
      const busy = await runLoad(again, flags({ transport: 'udp', target: `127.0.0.1:${again.port}`, mode: 'refresh', clients: 50, rate: 500, seconds: 5, warmup: 0 }));
      const result = { keys, ready_ms: Math.round(readyMs), first_register_ms: Math.round(answeredMs), then: busy.latency_ms, failures: { ...line.failures, ...busy.failures } };
      console.log(`start with ${keys} bindings in Redis: ready after ${result.ready_ms} ms, a REGISTER granted after ${result.first_register_ms} ms, then p99 ${busy.latency_ms.p99} ms, ${JSON.stringify(result.failures)}`);
      return result;
    } finally {
      await again.stop();
    }
  } finally {
    await redis.stop();
  }
}

/** True when both are flat and the start keeps nobody waiting for more than three seconds. */
export async function measureGrowth({ seconds, about }) {
  const bindings = await series('udp', BINDINGS, seconds);
  const connections = await series('ws', CONNECTIONS, seconds);
  const start = await startWithMany();
  fs.mkdirSync(new URL('results/', import.meta.url), { recursive: true });
  fs.writeFileSync(new URL('results/growth.json', import.meta.url), `${JSON.stringify({ ...about, bindings, connections, start }, null, 1)}\n`);
  const flat = [bindings, connections].map(isFlat);
  return flat.every(Boolean) && start.first_register_ms < 3000 && !Object.keys(start.failures).length;
}
