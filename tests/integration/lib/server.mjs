// Starts an aorta of its own for a test, in a folder of its own, and ends it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';
import { SANITIZED, patient, until, within } from './expect.mjs';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const AORTA = path.resolve(process.env.AORTA_BIN ?? path.join(ROOT, 'build/aorta'));
export const DOMAIN = 'example.com';
export const PASSWORD = { alice: 'wonderland', bob: 'builder', carol: 'christmas' };

const CONFIG = {
  listen: ['udp', 'tcp', 'tls', 'ws', 'wss'].map((kind) => `${kind}://127.0.0.1:0`),
  workers: 2,
  users: 'users.json',
  drainSeconds: 0,
  ...(SANITIZED && { limits: { lagMs: 1000 } }), // late as they are, they shall do what they are asked
  http: { www: false },
  logging: { level: process.env.AORTA_LOG ?? 'warn' },
};
export const RELOADED = /configuration reloaded/;
export const NOT_RELOADED = /configuration not reloaded/;
const SANITIZER_REPORT = /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/;

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/* Below the ephemeral range, so that no outgoing connection of another test takes it meanwhile. Each process has
 * a slice of its own, and gives no port twice: a server that was killed finds its ports free when it comes back. */
const FIRST_PORT = 20000;
const [SLICES, SLICE] = [24, 500];
const given = new Set();

export async function freePort() {
  for (;;) {
    const port = FIRST_PORT + (process.pid % SLICES) * SLICE + Math.floor(Math.random() * SLICE);
    if (given.size > SLICE / 2) given.clear();
    if (given.has(port)) continue;
    given.add(port);
    const probe = net.createServer();
    const isFree = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

function isPlainObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** `over` laid over `base`, object by object; an undefined value leaves a key out of the file. */
export function merge(base, over) {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over))
    merged[key] = isPlainObject(value) && isPlainObject(merged[key]) ? merge(merged[key], value) : value;
  return merged;
}

/** One HTTP exchange on a connection of its own: {status, headers, body}; `json()` parses it. `body`
 * is sent as JSON. */
export function httpRequest(url, { body: sent, headers = {}, ...options } = {}) {
  const type = sent === undefined ? {} : { 'Content-Type': 'application/json' };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent: false, headers: { ...type, ...headers }, ...options }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode, headers: response.headers, body, json: () => JSON.parse(body) });
      });
    });
    request.on('error', reject);
    request.setTimeout(patient(5000), () => request.destroy(new Error(`${url}: no answer`)));
    request.end(sent === undefined ? undefined : JSON.stringify(sent));
  });
}

export function temporaryFolder() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'aorta-test-'));
}

/** Runs aorta to its end: {code, stdout, stderr}. For what is expected to end by itself. */
export function runAorta(args, { cwd, env, ms = 10000 } = {}) {
  const child = spawn(AORTA, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  return within(ms, `aorta ${args.join(' ')} ends`, ended).finally(() => child.kill('SIGKILL'));
}

/** The three default users of `domain`, as a users file has them. */
export const usersOf = (domain) =>
  Object.fromEntries(Object.entries(PASSWORD).map(([user, password]) => [`${user}@${domain}`, { password }]));

export class Server {
  /** `config` is laid over the tests' defaults; `users` replaces the three default users; `files`
   * lie beside them, {name: object or text}. */
  constructor({ config = {}, users = usersOf(DOMAIN), files = {}, args = [], command = [] } = {}) {
    this.overrides = config;
    this.users = users;
    this.files = files;
    this.args = args;
    this.command = command; // runs aorta under something else
    this.folder = temporaryFolder();
    this.listeners = [];
    this.port = {};
    this.stderr = '';
    this.stdout = '';
  }

  async start() {
    for (let attempt = 0; ; attempt++) {
      this.adminPort = this.adminPort ?? (await freePort());
      this.admin = `http://127.0.0.1:${this.adminPort}`;
      this.writeFiles();
      this.spawn();
      if (await this.isUp()) break;
      if (attempt === 3 || !/in use/.test(this.stderr)) throw new Error(`aorta did not start:\n${this.stderr}`);
      this.adminPort = undefined;
    }
    return this;
  }

  writeFiles() {
    this.config = merge(merge(CONFIG, { http: { admin: this.admin } }), this.overrides);
    const files = { 'aorta.json': this.config, 'users.json': this.users, ...this.files };
    for (const [name, content] of Object.entries(files)) this.writeFile(name, content);
  }

  writeFile(name, content) {
    const text = typeof content === 'string' ? content : JSON.stringify(content, null, 2);
    fs.writeFileSync(path.join(this.folder, name), text);
  }

  /** SIGHUP, after `config` was laid over the configuration and `users` and `files` replaced theirs.
   * Waits until the log tells what came of it. At log level info at least, before and after. */
  async reload({ config = {}, users = this.users, files = {} } = {}) {
    this.overrides = merge(this.overrides, config);
    this.users = users;
    this.files = { ...this.files, ...files };
    this.writeFiles();
    const said = await this.hangUp();
    assert.match(said, RELOADED);
  }

  /** SIGHUP for files as they lie there; returns what the log said of it. */
  async hangUp() {
    const from = this.stderr.length;
    this.child.kill('SIGHUP');
    return until('the log tells of the reload', () => {
      const said = this.stderr.slice(from);
      return (RELOADED.test(said) || NOT_RELOADED.test(said)) && said;
    });
  }

  spawn() {
    const [program, ...first] = [...this.command, AORTA];
    const args = [...first, '-c', path.join(this.folder, 'aorta.json'), ...this.args];
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    this.hasEnded = false;
    this.isStopping = false;
    this.child.stdout.on('data', (data) => (this.stdout += data));
    this.child.stderr.on('data', (data) => (this.stderr += data));
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => (this.stderr += error.message));
      this.child.on('close', (code, signal) => {
        running.delete(this.child);
        this.hasEnded = true;
        resolve({ code, signal });
      });
    });
  }

  /** True once the admin listener answers; false when the process has ended instead. */
  async isUp() {
    const node = await until(
      'aorta starts',
      async () => this.hasEnded || (await this.get('/api/v1/node').catch(() => null)),
      this.command.length ? 60000 : 10000
    );
    if (node === true) return false;
    this.listeners = node.json().listen;
    for (const listener of this.listeners) {
      const { protocol, port } = new URL(listener);
      this.port[protocol.slice(0, -1)] ??= Number(port);
    }
    return true;
  }

  get pid() {
    return this.child.pid;
  }

  /** Asks the admin listener, with its token if it has one. */
  api(method, path_, body) {
    const token = this.config.http.adminToken;
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return httpRequest(this.admin + path_, { method, headers, body });
  }

  get(path_) {
    return this.api('GET', path_);
  }

  /** Asks the public part, on the ws port. */
  page(path_, options = {}) {
    return httpRequest(`http://127.0.0.1:${this.port.ws}${path_}`, options);
  }

  async isReady() {
    return (await this.page('/readyz')).status === 200;
  }

  /** Readiness as a load balancer sees it, within `ms`. */
  async ready(is = true, ms = 5000) {
    await until(`/readyz is ${is ? 200 : 503}`, async () => (await this.isReady()) === is, ms);
  }

  async registrations(query = 'limit=1000') {
    const answer = await this.get(`/api/v1/registrations?${query}`);
    assert.equal(answer.status, 200, answer.body);
    return answer.json().registrations;
  }

  bindingsOf(user, domain = DOMAIN) {
    return this.registrations(`aor=${encodeURIComponent(`${user}@${domain}`)}`);
  }

  /** As a power cut: SIGKILL. `comeBack()` starts it anew. */
  async kill() {
    this.isStopping = true;
    this.wasKilled = true;
    this.child.kill('SIGKILL');
    await within(5000, 'aorta is killed', this.ended);
  }

  terminate() {
    this.isStopping = true;
    this.child.kill('SIGTERM');
  }

  /** SIGTERM, and it must end in time, with status 0 and no sanitizer's report. */
  async stop({ ms = 10000 } = {}) {
    if (!this.child || this.wasKilled) return;
    if (!this.hasEnded) this.terminate();
    const { code, signal } = await within(ms, 'aorta ends', this.ended).finally(() => this.child.kill('SIGKILL'));
    assert.doesNotMatch(this.stderr, SANITIZER_REPORT);
    assert.ok(this.isStopping, `aorta ended by itself (${code ?? signal}):\n${this.stderr}`);
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, this.stderr);
  }

  /** Ends it and starts it again on the same ports. */
  async restart() {
    await this.stop();
    await this.comeBack();
  }

  /** Starts it again on the ports that it had. */
  async comeBack() {
    this.overrides = { ...this.overrides, listen: this.listeners };
    this.wasKilled = false;
    await this.start();
  }

  dispose() {
    this.disposed ??= this.stop().finally(() => fs.rmSync(this.folder, { recursive: true, force: true }));
    return this.disposed;
  }
}

/** One server for all tests of the enclosing `describe`. */
export function withServer(options) {
  const server = new Server(options);
  before(() => server.start());
  after(() => server.dispose());
  return server;
}

/** One server for test `t` alone. */
export async function startServer(t, options) {
  const server = new Server(options);
  t.after(() => server.dispose());
  return server.start();
}
