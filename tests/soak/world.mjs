// One aorta or two, what they depend on, and the clients: a world in which things go wrong at random
// while a model watches that what the clients were told is true.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CallbackServer, verified } from '../integration/lib/callback.mjs';
import { KINDS } from '../integration/lib/clients.mjs';
import { patient } from '../integration/lib/expect.mjs';
import { RedisServer } from '../integration/lib/redis.mjs';
import { Server } from '../integration/lib/server.mjs';
import { Device } from './device.mjs';
import { FAULTS } from './faults.mjs';
import { Model } from './model.mjs';
import { Random } from './random.mjs';
import { Trouble } from './trouble.mjs';

const FILES = 'files.example'; // its users are in a file
const ASKED = 'asked.example'; // the callback knows its users
const GRACE_S = 1;
const MAX_CONTACTS = { hash: 4, jambonz: 1 };
const PING_S = patient(2);
const CALLBACK_TIMEOUT_MS = 2000;
const LOG_KEPT = 1 << 20;

/* How late things may come, and why:
 * a closed connection: the workers' ticks of 100 ms, a round trip to Redis, and two busy cores; */
const CLOSE_MS = patient(1000);
/* a timer of the server (expiry): it goes by the second, is looked at on a tick, and Redis is told then; */
const SLACK_MS = patient(1500);
/* after Redis is back: a second until the next attempt to connect, one until the lease is renewed (by
 * which FLUSHALL is noticed), and the writing; */
export const STORE_SETTLES_MS = patient(3000);
/* after the callback is back: the breaker's probe each second, and what still waits for its timeout; */
export const CALLBACK_SETTLES_MS = patient(1000 + CALLBACK_TIMEOUT_MS + 500);
/* the connections of a dead node: its lease of 5 s, 5 s of patience after Redis came up, a second
 * until the next look, and the sweep. */
const DEATH_MS = patient(13000);

export class World {
  /** `store`: "memory" or "redis", with a `layout`; `nodes`: how many; `faults`: weights by name. */
  constructor({ name, seed, store, layout = 'hash', nodes, faults, devices }) {
    Object.assign(this, { name, seed, store, layout, faults, deviceCount: devices });
    this.random = new Random(seed, `${name} faults`);
    this.model = new Model({ graceMs: GRACE_S * 1000, maxContacts: MAX_CONTACTS[layout], slackMs: SLACK_MS });
    this.trouble = new Trouble();
    this.counts = { actions: {}, answers: {}, faults: {} };
    this.closeMs = CLOSE_MS;
    this.pingMs = PING_S * 1000;
    this.callbackMs = CALLBACK_TIMEOUT_MS + patient(500);
    this.passwords = new Map();
    this.approved = new Map(); // AOR: when the callback said yes last
    this.nodeCount = nodes;
    this.nodes = [];
    this.devices = [];
    this.events = [];
  }

  // ---- Setting out ---------------------------------------------------------------------------------

  async start() {
    this.makeDevices();
    this.callback = await new CallbackServer({ users: Object.fromEntries(this.users(ASKED).map((aor) => [aor, this.passwordOf(aor)])) }).start();
    this.callback.behave(this.honest());
    if (this.store === 'redis') this.redis = await new RedisServer({ aof: true, config: ['--appendfsync', 'everysec'] }).start();
    for (let i = 1; i <= this.nodeCount; i++) {
      const options = { config: this.config(`n${i}`), users: this.usersFile() };
      const server = this.redis ? this.redis.node(`n${i}`, options) : new Server(options);
      this.nodes.push({ name: `n${i}`, server: await server.start(), isUp: true, life: 1 });
      await server.ready();
    }
    return this;
  }

  config(node) {
    return {
      node,
      users: undefined,
      realms: {
        [FILES]: { users: 'users.json' },
        [ASKED]: { authCallback: this.callback.config({ timeoutMs: CALLBACK_TIMEOUT_MS }) },
      },
      redis: { layout: this.layout },
      registrar: { minExpires: 2, maxContacts: MAX_CONTACTS[this.layout], graceSeconds: GRACE_S },
      ws: { pingSeconds: PING_S },
      limits: { handshakeSeconds: 30 }, // not what is measured here, on a busy machine
      logging: { level: 'info' },
    };
  }

  /** One device or two for most AORs, and more than registrar.maxContacts for some. */
  makeDevices() {
    const SHAPES = [1, 1, 1, 2, 2, 6];
    for (let user = 0; this.devices.length < this.deviceCount; user++) {
      const domain = user % 2 ? ASKED : FILES;
      for (let i = 0; i < SHAPES[user % SHAPES.length]; i++) {
        const name = `${this.name}-u${user}-${i}`;
        const random = new Random(this.seed, name);
        const kinds = random.chance(0.5) ? KINDS : [random.pick(KINDS)];
        this.devices.push(new Device(this, name, { user: `u${user}`, domain, random, hasInstance: random.chance(0.6), kinds }));
      }
      this.passwords.set(`u${user}@${domain}`, [{ password: 'p0', mayFrom: 0, sureFrom: 0, sureTo: Infinity, mayTo: Infinity }]);
    }
  }

  users(domain) {
    return [...this.passwords.keys()].filter((aor) => aor.endsWith(`@${domain}`));
  }

  get fileUsers() {
    return this.users(FILES);
  }

  usersFile() {
    return Object.fromEntries(this.users(FILES).map((aor) => [aor, { password: this.passwordOf(aor) }]));
  }

  // ---- What the devices ask -----------------------------------------------------------------------

  passwordOf(aor) {
    return this.passwords.get(aor).at(-1).password;
  }

  isAsked(domain) {
    return domain === ASKED;
  }

  /** The callback as it should be; it remembers to whom it said yes. */
  honest() {
    const answer = verified();
    return (exchange) => {
      if (exchange.body && this.callback.proves(exchange.body)) this.approved.set(exchange.body.aor, Date.now());
      this.callback.requests.length = 0; // hours of them would fill the memory
      answer(exchange);
    };
  }

  sent() {}

  /** Could (`isSure`: must) somebody who gave `password` from `start` to `end` have been let in? */
  mayBeAdmitted(device, password, start, end, isSure = false) {
    if (this.isAsked(device.domain)) return isSure || (this.approved.get(device.aor) ?? 0) >= start;
    const times = this.passwords.get(device.aor).filter((time) => time.password === password);
    return times.some(({ mayFrom, sureFrom, sureTo, mayTo }) => (isSure ? sureFrom <= start && sureTo >= end : mayFrom <= end && mayTo >= start));
  }

  /** How long a binding may stay whose connection to `node` in that `life` has died. */
  deathMs(node, life) {
    return this.redis && (node.life !== life || !node.isUp) ? DEATH_MS : CLOSE_MS;
  }

  count(action) {
    this.counts.actions[action] = (this.counts.actions[action] ?? 0) + 1;
  }

  answered(_kind, status) {
    this.counts.answers[status] = (this.counts.answers[status] ?? 0) + 1;
  }

  violation(what, entry) {
    this.model.violation(Date.now(), what, entry);
  }

  // ---- Faults --------------------------------------------------------------------------------------

  event(what) {
    this.events.push(`${Date.now()} ${what}`);
    if (this.events.length > 200) this.events.shift();
    this.trace?.(`== ${what}`);
  }

  async breakThings(isOver) {
    for (;;) {
      const end = Date.now() + this.random.between(500, 4000);
      while (Date.now() < end && !isOver()) await delay(100);
      if (isOver()) return;
      const name = this.random.weighted(this.faults);
      this.counts.faults[name] = (this.counts.faults[name] ?? 0) + 1;
      await FAULTS[name](this, this.random);
      this.trimLogs();
    }
  }

  beginStoreTrouble(what) {
    this.event(what);
    this.trouble.begin('store');
    return Date.now();
  }

  /** Redis serves again; `isEmpty`: without what it held. Nobody can write again what a node held that
   * has ended since, and whoever sweeps begins anew. */
  endStoreTrouble(began, what, isEmpty) {
    const now = Date.now();
    this.event(what);
    this.trouble.end('store', STORE_SETTLES_MS);
    this.model.each(now, (entry) => {
      const { holder } = entry;
      if (isEmpty && entry.must && holder && holder.node.life !== holder.life) {
        entry.must = false;
        return 'lost, and its node is not there';
      }
      if (!entry.must && entry.deathMs >= DEATH_MS && entry.mayUntil > began) {
        entry.mayUntil = Math.max(entry.mayUntil, now + STORE_SETTLES_MS + DEATH_MS);
        return 'its sweep begins anew';
      }
      return undefined;
    });
  }

  /** `node` ends (`end()` does it) and comes back after `ms`. */
  async restartNode(node, end, ms) {
    this.event(`${node.name} ends`);
    const began = Date.now();
    node.isUp = false;
    const { life } = node;
    node.life++;
    const isHeld = (entry) => entry.holder?.node === node && entry.holder.life === life;
    const goes = (entry) => isHeld(entry) && (!this.redis || entry.holder.isStream);
    const isUnwritten = (entry) => this.trouble.isOn('store') && isHeld(entry);
    this.model.each(Date.now(), (entry) => {
      entry.isOrphan ||= isHeld(entry) && !goes(entry);
      if (!goes(entry) && !isUnwritten(entry)) return undefined;
      entry.must = false;
      return goes(entry) ? `${node.name} is about to end` : `${node.name} ends, perhaps before it has written it again`;
    });
    await end(node.server);
    const now = Date.now();
    this.model.each(now, (entry) => {
      if (!goes(entry)) return undefined;
      entry.must = false;
      // What had closed or gone silent, and nobody had seen to yet, is for the sweep now.
      const mayStand = this.redis && entry.mayUntil > began;
      entry.mayUntil = mayStand ? now + DEATH_MS : Math.min(entry.mayUntil, now);
      entry.deathMs = DEATH_MS;
      return `${node.name} has ended`;
    });
    await delay(ms);
    await node.server.comeBack();
    node.isUp = true;
    this.event(`${node.name} is back`);
    await node.server.ready(true, 10000).catch((error) => !this.trouble.isOn('store') && this.violation(`${node.name}: ${error.message}`));
  }

  /** Some users have another password from now on; all nodes are told. */
  async reload(config) {
    const changed = this.fileUsers.filter(() => this.random.chance(0.2));
    const began = Date.now();
    for (const aor of changed) {
      const times = this.passwords.get(aor);
      times.at(-1).sureTo = began;
      times.push({ password: `p${times.length}`, mayFrom: began, sureFrom: Infinity, sureTo: Infinity, mayTo: Infinity });
    }
    for (const { server, isUp } of this.nodes) if (isUp) await server.reload({ config, users: this.usersFile() });
    const ended = Date.now();
    for (const aor of changed) {
      const [before, now] = this.passwords.get(aor).slice(-2);
      before.mayTo = ended;
      now.sureFrom = ended;
    }
  }

  /** Their logs are kept whole by the tests' Server; hours of them would fill the memory. */
  trimLogs() {
    for (const { server } of this.nodes) {
      if (server.stderr.length < 4 * LOG_KEPT) continue;
      this.findReports(server);
      server.stderr = server.stderr.slice(-LOG_KEPT);
    }
  }

  findReports({ stderr }) {
    if (/(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/.test(stderr)) this.violation(`a sanitizer's report:\n${stderr.slice(-20000)}`);
  }

  // ---- Checks --------------------------------------------------------------------------------------

  async stored() {
    const alive = this.nodes.filter(({ isUp }) => isUp);
    if (this.redis && (alive.length === 0 || this.random.chance(0.8))) return { where: 'redis', pairs: await this.redis.contacts('user:*', this.layout) };
    if (alive.length === 0) return undefined;
    const { name, server } = this.random.pick(alive);
    const pairs = [];
    for (let cursor = ''; cursor !== null; ) {
      const answer = await server.get(`/api/v1/registrations?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      if (answer.status !== 200) return undefined;
      const page = answer.json();
      pairs.push(...page.registrations.map(({ aor, contact }) => [aor, contact]));
      cursor = page.cursor;
    }
    return { where: `the admin API of ${name}`, pairs };
  }

  async check() {
    if (this.trouble.isOn('store')) return;
    const lives = this.nodes.map(({ life }) => life).join();
    const from = Date.now();
    const before = this.model.versions();
    const stored = await this.stored().catch(() => undefined);
    const isDisturbed = this.trouble.touched('store', from) || lives !== this.nodes.map(({ life }) => life).join();
    if (stored && !isDisturbed) this.model.compareStore(from, Date.now(), stored, before);
    this.model.forget(Date.now());
  }

  async watch(isOver) {
    while (!isOver()) {
      await this.check();
      await delay(250);
    }
  }

  /** When this process itself was kept waiting, what it measured means nothing. */
  async watchOwnLag(isOver) {
    const STEP_MS = 50;
    const LATE_MS = 250;
    for (let last = Date.now(); !isOver(); last = Date.now()) {
      await delay(STEP_MS);
      if (Date.now() - last < STEP_MS + LATE_MS) continue;
      this.counts.lags = (this.counts.lags ?? 0) + 1;
      this.trouble.begin('lag');
      this.trouble.end('lag', 3 * this.pingMs + CLOSE_MS);
      for (const name of ['store', 'callback']) {
        this.trouble.begin(name);
        this.trouble.end(name, CLOSE_MS + SLACK_MS);
      }
    }
  }

  // ---- The whole -----------------------------------------------------------------------------------

  async run(ms) {
    const end = Date.now() + ms;
    const isOver = () => Date.now() > end || this.model.violations.length > 50;
    let areGone = false;
    const watching = this.watch(() => areGone);
    const lagging = this.watchOwnLag(() => areGone);
    await Promise.all([this.breakThings(isOver), ...this.devices.map((device) => device.run(isOver))]);
    await delay(Math.max(STORE_SETTLES_MS, CLOSE_MS + this.callbackMs) + 500);
    areGone = true;
    await Promise.all([watching, lagging]);
    await this.check();
  }

  async stop() {
    try {
      for (const { server } of this.nodes) {
        await server.stop();
        this.findReports(server);
      }
    } catch (error) {
      this.violation(`the end: ${error.message}`);
    }
    await (this.redis ? this.redis.dispose() : Promise.all(this.nodes.map(({ server }) => server.dispose())));
    await this.callback.close();
  }

  /** What went on, in a folder of its own. */
  keepLogs(folder) {
    fs.mkdirSync(folder, { recursive: true });
    for (const { name, server } of this.nodes) fs.writeFileSync(path.join(folder, `${this.name}.${name}.log`), server.stderr);
    fs.writeFileSync(path.join(folder, `${this.name}.events`), `${this.events.join('\n')}\n`);
  }
}
