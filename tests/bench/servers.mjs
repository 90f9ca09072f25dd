// aorta, Kamailio and what they need around them, each a fresh process in a folder of its own.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../integration/lib/expect.mjs';
import { AORTA, freePort, httpRequest } from '../integration/lib/server.mjs';

export const LOAD = process.env.AORTA_LOAD ?? fileURLToPath(new URL('../../build/tests/aorta-load', import.meta.url));
const KAMAILIO = '/usr/sbin/kamailio';
const DOMAIN = 'example.test'; // aorta-load's
const IS_STREAM = { udp: false, tcp: true, tls: true, ws: true, wss: true };
const HAS_TLS = (kind) => kind === 'tls' || kind === 'wss';
const IS_WEB = (kind) => kind === 'ws' || kind === 'wss';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const temporaryFolder = () => fs.mkdtempSync(path.join(os.tmpdir(), 'aorta-bench-'));

/** A child of ours with what it said; `stop()` ends it and everything below it. */
export class Program {
  constructor(command, args, { folder = temporaryFolder(), cwd = folder, env = process.env } = {}) {
    this.folder = folder;
    this.said = '';
    this.child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on('data', (data) => (this.said = (this.said + data).slice(-100000)));
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => (this.said += error.message));
      this.child.on('close', (code, signal) => {
        running.delete(this.child);
        this.hasEnded = true;
        resolve({ code, signal });
      });
    });
  }

  get pid() {
    return this.child.pid;
  }

  isRunning() {
    if (this.hasEnded) throw new Error(`it ended while starting: ${this.said}`);
    return true;
  }

  async stop() {
    const patience = setTimeout(() => this.child.kill('SIGKILL'), 10000);
    this.child.kill('SIGTERM');
    await this.ended;
    clearTimeout(patience);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

// ---- Around them -------------------------------------------------------------------------------------

export async function startRedis() {
  const port = await freePort();
  const redis = new Program('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']);
  await until('redis-server starts', () => redis.isRunning() && /Ready to accept connections/i.test(redis.said), 10000);
  return Object.assign(redis, { port });
}

/** nginx, which lets everybody in and reads nothing from a disk. */
export async function startCallback() {
  const port = await freePort();
  const folder = temporaryFolder();
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`);
  fs.writeFileSync(
    `${folder}/nginx.conf`,
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/log;
    events { worker_connections 1024; }
    http { access_log off; keepalive_requests 100000000; ${paths.join(' ')}
      server { listen 127.0.0.1:${port}; location / { default_type application/json; return 200 '{"status":"ok"}'; } } }`
  );
  const nginx = new Program('nginx', ['-c', `${folder}/nginx.conf`, '-e', `${folder}/log`], { folder });
  await until('nginx starts', () => nginx.isRunning() && httpRequest(`http://127.0.0.1:${port}/`).catch(() => null), 10000);
  return Object.assign(nginx, { port });
}

// ---- The servers -------------------------------------------------------------------------------------

function makeCertificate(folder) {
  const what = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=localhost'];
  execFileSync('openssl', [...what, '-keyout', `${folder}/server.key`, '-out', `${folder}/server.crt`], { stdio: 'ignore' });
}

/** An aorta for `kind` on `port` (one of its own without), its bindings in memory or in `redis`. */
export async function startAorta({ kind, users, redis, callback, port, config = {} }) {
  const folder = temporaryFolder();
  const [sipPort, adminPort] = [port ?? (await freePort()), await freePort()];
  const admin = `http://127.0.0.1:${adminPort}`;
  if (!callback) execFileSync(LOAD, ['--domain', DOMAIN, '--write-users', `${folder}/users.json`, String(users)]);
  if (HAS_TLS(kind)) makeCertificate(folder);
  const whole = {
    listen: [`${kind}://127.0.0.1:${sipPort}`],
    tls: { cert: `${folder}/server.crt`, key: `${folder}/server.key` },
    http: { www: false, admin },
    limits: { connectionsPerIp: 100000 },
    drainSeconds: 0,
    logging: { level: 'warn' },
    ...(callback ? { authCallback: { uri: `http://127.0.0.1:${callback.port}/` } } : { users: 'users.json' }),
    ...(redis ? { store: 'redis', redis: { port: redis.port } } : {}),
    ...config,
  };
  fs.writeFileSync(`${folder}/aorta.json`, JSON.stringify(whole));
  const aorta = new Program(AORTA, ['-c', `${folder}/aorta.json`], { folder });
  Object.assign(aorta, { port: sipPort, admin });
  const isReady = () => httpRequest(`${admin}/readyz`).then((answer) => answer.status === 200, () => false);
  await until('aorta is ready', () => aorta.isRunning() && isReady(), 60000);
  return aorta;
}

/** Two processes for datagrams, four for WebSockets, one where TLS is spoken: with more of them that
 * release's TLS does not hold. A callback is waited for by its process, so that more of them help. */
function processesOf(kind, asks) {
  if (asks) return { CHILDREN: IS_STREAM[kind] ? 1 : 8, TCP_CHILDREN: HAS_TLS(kind) ? 1 : 8 };
  return { CHILDREN: IS_STREAM[kind] ? 1 : 2, TCP_CHILDREN: HAS_TLS(kind) ? 1 : 4 };
}

export async function startKamailio({ kind, users, redis, callback }) {
  const folder = temporaryFolder();
  const port = await freePort();
  const scheme = { udp: 'udp', tcp: 'tcp', tls: 'tls', ws: 'tcp', wss: 'tls' }[kind];
  const values = {
    ...processesOf(kind, Boolean(callback)),
    NO_TCP: IS_STREAM[kind] ? 'no' : 'yes',
    TLS: HAS_TLS(kind) ? 'yes' : 'no',
    LISTEN: `${scheme}:127.0.0.1:${port}`,
    FOLDER: folder,
    USERS: users,
    HTTP_PORT: callback?.port ?? 0,
    REDIS_PORT: redis?.port ?? 0,
  };
  for (const name of ['kamailio.cfg', 'tls.cfg']) {
    const text = fs.readFileSync(new URL(`kamailio/${name}`, import.meta.url), 'utf8');
    fs.writeFileSync(`${folder}/${name}`, text.replace(/@([A-Z_]+)@/g, (all, key) => values[key] ?? all));
  }
  if (HAS_TLS(kind)) makeCertificate(folder);
  const defines = [HAS_TLS(kind) && 'WITH_TLS', IS_WEB(kind) && 'WITH_WEBSOCKET', callback && 'WITH_CALLBACK'].filter(Boolean);
  const args = ['-f', `${folder}/kamailio.cfg`, '-DD', '-E', '-x', 'fm', '-m', '4096', '-M', '32', '-b', '4194304', '-Y', folder];
  const kamailio = new Program(KAMAILIO, [...args, '-P', `${folder}/pid`, ...defines.flatMap((name) => ['-A', name])], { folder });
  kamailio.port = port;
  await until('Kamailio is ready', () => kamailio.isRunning() && answersSip(kind, port), 60000);
  return kamailio;
}

/** Whether one registration passes: it has no other sign that all its processes are there. */
async function answersSip(kind, port) {
  const probe = new Program(LOAD, ['--transport', kind, '--target', `127.0.0.1:${port}`, '--mode', 'storm', '--clients', '1', '--aors', '1',
    '--count', '1', '--warmup', '0', '--seconds', '1', '--timeout-ms', '400', '--json']);
  const { code } = await probe.ended;
  return code === 0;
}

/** Runs aorta-load to its end and returns its line. */
export async function runLoad(server, args) {
  const load = new Program(LOAD, [...args, '--server-pid', String(server.pid), '--json']);
  await load.ended;
  fs.rmSync(load.folder, { recursive: true, force: true });
  const line = /^\{.*\}$/m.exec(load.said);
  if (!line) throw new Error(`aorta-load ${args.join(' ')}: ${load.said}\nthe server said: ${server.said.slice(-1000)}`);
  return JSON.parse(line[0]);
}

export const startLoad = (server, args) => new Program(LOAD, [...args, '--server-pid', String(server.pid), '--json']);

export const versions = () => ({
  aorta: execFileSync(AORTA, ['--version'], { encoding: 'utf8' }).trim(),
  kamailio: fs.existsSync(KAMAILIO) ? /version: kamailio (\S+)/.exec(execFileSync(KAMAILIO, ['-v'], { encoding: 'utf8' }))[1] : null,
});
