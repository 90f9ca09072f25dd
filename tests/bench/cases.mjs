// What is measured: one row a case. `load` is what aorta-load is told for each server; `reach` the figure
// that aorta stands by, in the case's unit, or `reachShare` of another case's rate; `kamailio` what differs for it, null where it has no such thing.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../integration/lib/expect.mjs';
import { runLoad, startAorta, startCallback, startKamailio, startLoad, startRedis } from './servers.mjs';

const START = { aorta: startAorta, kamailio: startKamailio };
const USERS = 10000;

/** `work(server)` with a fresh server and its surroundings, which end with it. */
async function withServer(name, row, options, work) {
  const started = [];
  const start = async (what) => started[started.push(await what) - 1];
  try {
    const around = row.asks ? { redis: await start(startRedis()), callback: await start(startCallback()) } : {};
    const server = await start(START[name]({ kind: row.transport, users: row.users?.[name] ?? USERS, config: row.config, ...around, ...options }));
    return await work(server, start, around);
  } finally {
    for (const program of started.reverse()) await program.stop();
  }
}

const flags = (settings) => Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);

const loadOf = (name, row, server, settings) =>
  flags({ transport: row.transport, target: `127.0.0.1:${server.port}`, ...row.load, ...(name === 'kamailio' ? row.kamailio : {}), ...settings });

/** CPU a registration, and the rate, in a closed loop. */
const cost = (name, row, { seconds }) => withServer(name, row, {}, (server) => runLoad(server, loadOf(name, row, server, { seconds })));

/** Latency at half of the rate that this very server has just reached. */
const latency = (name, row, { seconds }) =>
  withServer(name, row, {}, async (server) => {
    const fastest = await runLoad(server, loadOf(name, row, server, { seconds: Math.min(seconds, 3) }));
    const rate = Math.floor(fastest.per_second / 2);
    const line = await runLoad(server, loadOf(name, row, server, { seconds, rate, 'user-prefix': 'u' }));
    return { ...line, fastest_per_second: fastest.per_second };
  });

const memory = (name, row) =>
  withServer(name, row, {}, (server) => runLoad(server, loadOf(name, row, server, { mode: 'idle', seconds: 2, clients: row.clients[name] })));

/** All clients are there; then their server dies, and another one takes its place. */
const restart = (name, row) =>
  withServer(name, row, {}, async (first, start) => {
    const load = await start(Promise.resolve(startLoad(first, loadOf(name, row, first, { mode: 'reconnect', clients: row.clients[name], seconds: 60 }))));
    await until('all clients are registered', () => load.isRunning() && /waiting for the server to go away/.test(load.said), 120000);
    first.child.kill('SIGKILL');
    await first.ended;
    await start(startAorta({ kind: row.transport, users: USERS, config: row.config, port: first.port }));
    await load.ended;
    const line = /^\{.*\}$/m.exec(load.said);
    if (!line) throw new Error(load.said);
    return JSON.parse(line[0]);
  });

/** The predecessor's own case: sipp, its callback, its Redis. `rate` registrations a second. */
async function sipp(_name, row, { seconds }) {
  const script = fileURLToPath(new URL('callback_redis.sh', import.meta.url));
  const { stdout } = await promisify(execFile)(script, [String(row.rate), String(Math.min(seconds, 10))]).catch((error) => error);
  const line = JSON.parse(/^\{.*\}$/m.exec(stdout)[0]);
  return {
    per_second: line.perSecond,
    registrations: line.registered,
    retransmissions: line.retransmissions,
    failures: line.failed ? { sipp: line.failed } : {},
    server: { cpu_us_per_registration: line.cpuMicroseconds },
  };
}

const cpu = { unit: 'µs', what: 'CPU a registration', of: (run) => run.server?.cpu_us_per_registration };
const bytes = { unit: 'bytes', what: 'memory a client', of: (run) => run.server?.pss_bytes_per_client };
const p99 = { unit: 'ms', what: 'p99', of: (run) => run.latency_ms?.p99 };
const rate = { unit: '/s', what: 'rate', of: (run) => run.per_second };

const REFRESH = { mode: 'refresh', clients: 100 };
const STREAM_STORM = { mode: 'storm', clients: 50, processes: 1 };
const noCache = { auth: { refreshCache: false } };

export const CASES = {
  'udp-refresh': { title: 'UDP refresh', run: cost, ...cpu, reach: 8, transport: 'udp', load: REFRESH, kamailio: {} },
  'udp-storm': { title: 'UDP storm (401, 200)', run: cost, ...cpu, reach: 14, transport: 'udp', load: { mode: 'storm', clients: 100, aors: USERS }, kamailio: {} },
  'ws-refresh': { title: 'WS refresh', run: cost, ...cpu, reach: 10, transport: 'ws', load: REFRESH, kamailio: {} },
  'wss-refresh': { title: 'WSS refresh', run: cost, ...cpu, reach: 13, transport: 'wss', load: REFRESH, kamailio: {} },
  'wss-cached': {
    title: 'WSS refresh as JsSIP does it', run: cost, ...cpu, reach: 12, transport: 'wss', load: { mode: 'cached', clients: 100 }, kamailio: { mode: 'challenge' },
    note: 'without credentials: aorta grants it from its refresh cache, Kamailio has none and challenges each time',
  },
  'wss-storm': { title: 'WSS storm (connect, TLS 1.3, upgrade, 401, 200)', run: cost, ...cpu, reach: 280, transport: 'wss', load: { ...STREAM_STORM, aors: USERS }, kamailio: {} },
  'udp-refresh-callback-redis': { title: 'UDP refresh, HTTP callback, Redis', run: cost, ...cpu, reach: 38, transport: 'udp', asks: true, load: REFRESH, config: noCache, kamailio: {} },
  'wss-refresh-callback-redis': { title: 'WSS refresh, HTTP callback, Redis', run: cost, ...cpu, reach: 45, transport: 'wss', asks: true, load: REFRESH, config: noCache, kamailio: {} },
  'memory-wss-idle': {
    title: 'idle registered WSS client', run: memory, ...bytes, reach: 18000, transport: 'wss', load: { processes: 1 }, clients: { aorta: 5000, kamailio: 5000 }, kamailio: {},
  },
  'memory-udp-binding': {
    title: 'UDP binding', run: memory, ...bytes, reach: 450, transport: 'udp', load: {}, clients: { aorta: 1000000, kamailio: 200000 }, kamailio: {},
    users: { aorta: 1000000, kamailio: 200000 }, once: true, note: '1,000,000 bindings; Kamailio 200,000',
  },
  'latency-udp': { title: 'UDP refresh at half of the maximum', run: latency, ...p99, reach: 1, transport: 'udp', load: REFRESH, kamailio: {} },
  'latency-wss': { title: 'WSS refresh at half of the maximum', run: latency, ...p99, reach: 2, transport: 'wss', load: REFRESH, kamailio: {} },
  'latency-udp-callback': { title: 'UDP refresh with callback and Redis at half of the maximum', run: latency, ...p99, reach: 5, transport: 'udp', asks: true, load: REFRESH, config: noCache, kamailio: {} },
  'restart-wss': {
    title: '10,000 WSS clients come back after a restart', run: restart, ...rate, transport: 'wss', load: { processes: 2, 'timeout-ms': 60000 }, clients: { aorta: 10000 }, kamailio: null, once: true,
    reachShare: { share: 0.9, of: 'wss-storm' }, note: 'clients wait for up to a minute; all of them connect in the same instant; to reach: 90 % of the storm\'s rate',
  },
  'predecessor-sipp': { title: 'sipp UDP (401, 200), callback, Redis', run: sipp, ...rate, reach: 14000, rate: 15000, kamailio: null },
};

export { withServer, flags };
