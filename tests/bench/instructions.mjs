// Counts the instructions of a registration: see instructions.sh.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { until } from '../integration/lib/expect.mjs';
import { Server, freePort } from '../integration/lib/server.mjs';
import { DOMAIN, PASSWORD, Registrant, userName } from './register_load.mjs';

const FILE = new URL('instructions.json', import.meta.url);
const ABOVE = 0.05; // more than this above the file fails
const BELOW = 0.1; // more than this below it: the file should be written anew
const USERS = 100;
const WARM = 200; // registrations before counting: pools filled, lookups of symbols done
const COUNT = 1000;

// ---- The cases ------------------------------------------------------------------------------------

/** 401 and 200 for one user after the other, each time as a new client with a new Call-ID. */
async function storm(registrant) {
  let round = 0;
  return async (count) => {
    for (let i = 0; i < count; i++) await registrant.register(registrant.dialog(i % USERS, round++));
  };
}

/** Refreshes of one binding. */
const refresh = (options) => async (registrant) => {
  const dialog = registrant.dialog(0);
  await registrant.register(dialog);
  return async (count) => {
    for (let i = 0; i < count; i++) await registrant.refresh(dialog, options);
  };
};

/** As storm, but each with a connection and a TLS handshake of its own. */
async function connecting({ kind, port }) {
  let round = 0;
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const client = await Registrant.open(kind, port);
      await client.register(client.dialog(i % USERS, round++));
      client.close();
    }
  };
}

const CASES = {
  'udp-refresh': { kind: 'udp', load: refresh() },
  'udp-storm': { kind: 'udp', load: storm },
  'ws-refresh': { kind: 'ws', load: refresh() },
  'wss-refresh': { kind: 'wss', load: refresh() },
  'wss-cached': { kind: 'wss', load: refresh({ isProven: false }) },
  'wss-storm': { kind: 'wss', load: connecting, count: 100 },
  'udp-refresh-callback-redis': { kind: 'udp', load: refresh(), asks: true },
};

// ---- What the server needs around it ----------------------------------------------------------------

async function startRedis(folder) {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  process.on('exit', () => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (data) => (said += data));
  await until('redis-server starts', () => /Ready to accept connections/i.test(said), 10000);
  return { port, stop: () => child.kill('SIGKILL') };
}

async function startCallback() {
  const server = http.createServer({ keepAliveTimeout: 600000 }, (request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 15 }).end('{"status":"ok"}'));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, stop: () => server.close() && server.closeAllConnections() };
}

const usersFile = () =>
  Object.fromEntries(Array.from({ length: USERS }, (_, i) => [`${userName(i)}@${DOMAIN}`, { password: PASSWORD }]));

/** An aorta under callgrind, which counts nothing yet. */
async function startServer({ kind, asks }, folder, started) {
  const config = { workers: 1, listen: [`${kind}://127.0.0.1:0`], logging: { level: 'warn' }, limits: { lagMs: 0 } };
  if (asks) {
    const redis = await startRedis(folder);
    const callback = await startCallback();
    started.push(redis, callback);
    Object.assign(config, { store: 'redis', redis: { port: redis.port }, users: undefined });
    config.authCallback = { uri: `http://127.0.0.1:${callback.port}/`, timeoutMs: 60000 };
  }
  const command = ['valgrind', '--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${folder}/profile`, '--error-exitcode=9'];
  const server = new Server({ config, users: usersFile(), command });
  started.push({ stop: () => server.kill().catch(() => {}), server });
  await server.start();
  await until('its store is there', async () => (await server.get('/readyz')).status === 200, 30000);
  return server;
}

// ---- Counting -----------------------------------------------------------------------------------------

const count = (server, is) => execFileSync('callgrind_control', ['-i', is ? 'on' : 'off', String(server.pid)], { stdio: 'ignore' });

/** Instructions of everything between, in the server, the kernel's not included. */
function totalOf(file) {
  const found = /^totals: (\d+)$/m.exec(fs.readFileSync(file, 'latin1'));
  if (!found) throw new Error(`${file}: callgrind wrote no total`);
  return Number(found[1]);
}

async function measure(name, keep) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'aorta-instructions-'));
  const started = [];
  try {
    const server = await startServer(CASES[name], folder, started);
    const { kind, load, count: registrations = COUNT } = CASES[name];
    const registrant = await Registrant.open(kind, server.port[kind]);
    started.push({ stop: () => registrant.close() });
    const run = await load(registrant);
    await run(Math.min(WARM, registrations));
    count(server, true);
    await run(registrations);
    count(server, false);
    await server.stop({ ms: 60000 });
    if (keep) {
      fs.mkdirSync(keep, { recursive: true });
      fs.copyFileSync(`${folder}/profile`, `${keep}/${name}.callgrind`);
    }
    return Math.round(totalOf(`${folder}/profile`) / registrations);
  } finally {
    for (const each of started.reverse()) await each.stop();
    for (const each of started) if (each.server) fs.rmSync(each.server.folder, { recursive: true, force: true });
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

// ---- Comparing ------------------------------------------------------------------------------------------

/** What the counts depend on besides the source. */
function systemName() {
  const release = Object.fromEntries(
    fs.readFileSync('/etc/os-release', 'utf8').split('\n').map((line) => line.split('=').map((part) => part.replace(/"/g, '')))
  );
  const hasAvx2 = / avx2 /.test(fs.readFileSync('/proc/cpuinfo', 'latin1')); // the C library's own variants
  return `${release.ID} ${release.VERSION_ID} ${os.arch()}${hasAvx2 ? ' avx2' : ''}`;
}

const percent = (share) => `${share > 0 ? '+' : ''}${(share * 100).toFixed(1)} %`;

/** True unless it costs more than `before` and its tolerance. */
function isWithin(name, now, before) {
  const change = now / before - 1;
  if (change > ABOVE) console.error(`${name}: ${now} instructions a registration, ${percent(change)} against ${before} in instructions.json`);
  if (change < -BELOW) console.error(`${name}: ${percent(change)} against instructions.json: write it anew with --write`);
  return change <= ABOVE;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean' }, keep: { type: 'string' }, repeat: { type: 'string', default: '1' } },
});
const names = positionals.length ? positionals : Object.keys(CASES);
const unknown = names.filter((name) => !(name in CASES));
if (unknown.length) {
  console.error(`no such case: ${unknown.join(' ')} (${Object.keys(CASES).join(', ')})`);
  process.exit(2);
}

const file = fs.existsSync(FILE) ? JSON.parse(fs.readFileSync(FILE)) : { system: systemName(), instructions: {} };
const isComparable = file.system === systemName();
const counted = {};
for (const name of names) {
  const all = [];
  for (let i = 0; i < Number(options.repeat); i++) {
    all.push(await measure(name, options.keep));
    console.log(name, all.at(-1));
  }
  counted[name] = all.sort((a, b) => a - b)[all.length >> 1];
}
if (options.write) {
  const written = { system: systemName(), instructions: isComparable ? { ...file.instructions, ...counted } : counted };
  fs.writeFileSync(FILE, `${JSON.stringify(written, null, 2)}\n`);
} else if (!isComparable) {
  console.error(`skipped: instructions.json was counted on ${file.system}, this is ${systemName()}`);
  process.exitCode = 77;
} else {
  const bad = names.filter((name) => file.instructions[name] && !isWithin(name, counted[name], file.instructions[name]));
  process.exitCode = bad.length ? 1 : 0;
}
