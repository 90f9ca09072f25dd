// A real redis-server of the test's own, on a port and in a folder of its own.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { after, before } from 'node:test';
import Redis from 'ioredis';
import { until, within } from './expect.mjs';
import { DOMAIN, Server, freePort, temporaryFolder } from './server.mjs';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** The key of an AOR with the default `redis.prefix`. */
export const keyOf = (user, domain = DOMAIN) => `user:${user}@${domain}`;

export class RedisServer {
  /** `config`: arguments as redis-server takes them; `aof`: what it was told survives a restart. */
  constructor({ config = [], aof = false, auth } = {}) {
    const append = aof ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
    this.settings = ['--save', '', ...append, ...config];
    this.auth = auth; // {username, password} of the test's own client
    this.folder = temporaryFolder();
    this.nodes = [];
  }

  async start() {
    for (let attempt = 0; ; attempt++) {
      this.port = this.port ?? (await freePort());
      this.spawn();
      if (await this.isUp()) return this;
      if (attempt === 3 || !/in use/.test(this.output)) throw new Error(`redis-server did not start:\n${this.output}`);
      this.port = undefined;
    }
  }

  spawn() {
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--daemonize', 'no'];
    this.child = spawn('redis-server', [...own, ...this.settings], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    this.hasEnded = false;
    this.output = '';
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (data) => (this.output += data));
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => (this.output += error.message));
      this.child.on('close', () => {
        running.delete(this.child);
        this.hasEnded = true;
        resolve();
      });
    });
  }

  async isUp() {
    await until('redis-server starts', () => this.hasEnded || /Ready to accept connections/i.test(this.output), 10000);
    return !this.hasEnded;
  }

  /** A client of the test's own; it comes back when the server does. */
  get client() {
    if (this.connection) return this.connection;
    this.connection = new Redis({ host: '127.0.0.1', port: this.port, ...this.auth, retryStrategy: () => 50, maxRetriesPerRequest: 40 });
    this.connection.on('error', () => {});
    return this.connection;
  }

  /** For `redis` in aorta's configuration; the port is read when the configuration is written. */
  config(extra = {}) {
    const server = this;
    return {
      host: '127.0.0.1',
      ...extra,
      get port() {
        return server.port;
      },
    };
  }

  async hgetall(user, domain) {
    return this.client.hgetall(keyOf(user, domain));
  }

  /** What is stored of each binding: its `binding:<id>` fields, parsed, in no order. */
  async bindings(user, domain) {
    const fields = await this.hgetall(user, domain);
    return Object.entries(fields)
      .filter(([name]) => name.startsWith('binding:'))
      .map(([, value]) => JSON.parse(value));
  }

  /** [id, contact] of every binding whose AOR matches, ids being `user@domain`; one an AOR with `layout` jambonz. */
  async contacts(pattern = 'user:*', layout = 'hash') {
    const keys = [];
    let cursor = '0';
    do {
      const [next, found] = await this.client.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
      keys.push(...found);
      cursor = next;
    } while (cursor !== '0');
    const pipeline = this.client.pipeline();
    const unique = [...new Set(keys)];
    for (const key of unique) layout === 'hash' ? pipeline.hgetall(key) : pipeline.get(key);
    const answers = await pipeline.exec();
    return answers.flatMap(([error, found], i) => {
      if (error) throw error;
      const hash = () => Object.entries(found).filter(([name]) => name.startsWith('binding:')).map(([, value]) => value);
      const bindings = layout === 'hash' ? hash() : [found].filter((value) => value !== null);
      return bindings.map((value) => [unique[i].replace(/^user:/, ''), JSON.parse(value).contact]);
    });
  }

  /** As a power cut. start() brings it back on the same port: empty, or with its AOF. */
  async kill() {
    this.child.kill('SIGKILL');
    await within(5000, 'redis-server is killed', this.ended);
  }

  /** SIGSTOP: connections stay, nobody answers. */
  pause() {
    this.child.kill('SIGSTOP');
  }

  resume() {
    this.child.kill('SIGCONT');
  }

  /** The nodes that use it end first: with it they can end as they should. */
  async dispose() {
    const ends = await Promise.allSettled(this.nodes.map((node) => node.dispose()));
    this.connection?.disconnect();
    if (this.child) await this.kill();
    fs.rmSync(this.folder, { recursive: true, force: true });
    for (const { reason } of ends) if (reason) throw reason;
  }

  /** An aorta named `node` that keeps its bindings here; not started yet. It ends before the Redis. */
  node(node, { config = {}, ...options } = {}) {
    const own = { node, store: 'redis', redis: this.config() };
    const server = new Server({ config: { ...own, ...config, redis: this.config(config.redis) }, ...options });
    this.nodes.push(server);
    return server;
  }
}

/** One Redis for all tests of the enclosing `describe`. */
export function withRedis(options) {
  const redis = new RedisServer(options);
  before(() => redis.start());
  after(() => redis.dispose());
  return redis;
}

/** An aorta on that Redis for all tests of the enclosing `describe`. */
export function withNode(redis, name, options) {
  const server = redis.node(name, options);
  before(() => startReady(redis, server));
  return server;
}

/** It answers before its workers have all reached Redis, which a slow machine shows. */
async function startReady(redis, server) {
  await server.start();
  if (redis.child && !redis.hasEnded && server.port.ws) await server.ready();
  return server;
}

/** One Redis for test `t` alone. */
export async function startRedis(t, options) {
  const redis = new RedisServer(options);
  t.after(() => redis.dispose());
  return redis.start();
}

export function startNode(redis, name, options) {
  return startReady(redis, redis.node(name, options));
}
