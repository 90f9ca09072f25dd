// A client that does what clients do, at random, and tells the model what came of it.
import { setTimeout as delay } from 'node:timers/promises';
import { Phone } from '../integration/lib/phone.mjs';
import { openClient } from '../integration/lib/clients.mjs';
import { patient } from '../integration/lib/expect.mjs';
import { challenges, token } from '../integration/lib/sip.mjs';

const RESEND_MS = [500, 1000, 2000, 4000]; // RFC 3261 17.1.2, over UDP
const ANSWER_MS = patient(15000);
const EXPIRES_S = [3, 6, 30, 600];
const ACTIONS = {
  udp: { register: 20, refresh: 40, remove: 8, removeAll: 3, fetch: 5, impostor: 5, reconnect: 8, move: 4, rest: 5 },
  stream: { register: 20, refresh: 40, remove: 8, removeAll: 3, fetch: 5, impostor: 5, reconnect: 12, move: 6, vanish: 4, rest: 5 },
};
const CLOSINGS = ['bye', 'end', 'reset'];

class Lost extends Error {}

const socketOf = (client) => client.socket._socket ?? client.socket;

function resetSocket(socket) {
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy(); // TLS on this Node.js
  }
}

export class Device {
  constructor(world, name, { user, domain, random, hasInstance, kinds }) {
    Object.assign(this, { world, name, user, domain, random, kinds });
    this.instance = hasInstance ? `"<urn:uuid:${name}>"` : undefined;
    this.aor = `${user}@${domain}`;
    this.held = new Set(); // contacts of this device that may still be registered
  }

  get model() {
    return this.world.model;
  }

  get isConnected() {
    return this.phone !== undefined && !this.client.isClosed && this.node.life === this.life;
  }

  log(what) {
    this.world.trace?.(`${this.name} ${what}`);
  }

  async run(isOver) {
    await delay(this.random.between(0, 1000));
    while (!isOver()) {
      await this.step().catch((error) => {
        if (!(error instanceof Lost)) throw error;
        this.log(`lost: ${error.message}`);
      });
      await delay(this.random.between(10, this.random.chance(0.1) ? 2500 : 400));
    }
    if (this.isConnected) this.disconnect(this.random.pick(CLOSINGS));
  }

  async step() {
    if (!this.isConnected) {
      await this.connect();
      return;
    }
    if (this.isMuted) {
      await this.wakeUp();
      return;
    }
    const actions = ACTIONS[this.kind === 'udp' ? 'udp' : 'stream'];
    const action = this.random.weighted({ ...actions, mute: this.kind.startsWith('ws') ? 1.5 : 0 });
    this.world.count(action);
    await this[action]();
  }

  // ---- Connections ---------------------------------------------------------------------------------

  async connect() {
    this.phone = undefined;
    const node = this.random.pick(this.world.nodes);
    const kind = this.random.pick(this.kinds);
    if (!node.isUp) return;
    const { life } = node;
    const opening = openClient(node.server, kind);
    opening.catch(() => {});
    const client = await Promise.race([opening, delay(patient(5000))]).catch(() => undefined);
    if (!client) {
      if (node.life === life && node.isUp && !this.world.trouble.isOn('lag')) this.world.violation(`${this.name}: no ${kind} connection to ${node.name}`);
      return;
    }
    Object.assign(this, { node, kind, life, client, isMuted: false });
    this.phone = await Phone.open(node.server, kind, { user: this.user, domain: this.domain, client });
    this.log(`connects by ${kind} to ${node.name} as ${this.phone.uri}`);
    if (kind === 'udp') return;
    const { phone } = this;
    void client.closed.then((cause) => this.onClosed(client, phone, node, life, cause));
  }

  async onClosed(client, phone, node, life, cause) {
    if (client.isOurs) return;
    this.log(`closed by the server: ${JSON.stringify(cause)}`);
    this.model.flowDied(Date.now(), this.aor, phone.uri, this.world.deathMs(node, life), `closed by the server: ${JSON.stringify(cause)}`);
    const isUnauthenticated = cause === 1008 && this.lastGranted !== phone; // 30 s without a 200
    if (cause === 1013) await delay(50); // its 503 came before, and may still be on its way through this process
    const isRefused = cause === 1013 && client.was503; // whoever is refused for load is closed (overload.test.mjs)
    const isExplained = client.wasMuted || isRefused || isUnauthenticated || this.world.trouble.isOn('lag') || node.life !== life || !node.isUp;
    if (!isExplained) this.world.violation(`${this.name}: the server closed its ${phone.kind} connection (${JSON.stringify(cause)})`, this.model.entry(this.aor, phone.uri));
  }

  /** `lateMs`: for how long a request under way may still be answered. */
  disconnect(how, lateMs = 0) {
    const { client, phone, node, life } = this;
    this.phone = undefined;
    client.isOurs = true;
    this.log(`disconnects (${how})`);
    if (this.kind !== 'udp') this.model.flowDied(Date.now(), this.aor, phone.uri, this.world.deathMs(node, life) + lateMs, `${phone.kind} closed by its client (${how})`);
    if (this.kind === 'udp' || how === 'bye') {
      client.close();
      return;
    }
    const socket = socketOf(client);
    if (how === 'reset') resetSocket(socket);
    else socket.end();
    setTimeout(() => socket.destroy(), 1000).unref();
  }

  reconnect() {
    this.disconnect(this.random.pick(CLOSINGS));
  }

  /** As a page that is loaded again: the new connection is there before the old one has gone. */
  async move() {
    const { client, phone, kind, node, life } = this;
    await this.connect();
    if (!this.phone) {
      Object.assign(this, { client, phone, kind, node, life });
      return;
    }
    try {
      if (this.random.chance(0.8)) await this.register();
    } finally {
      client.isOurs = true;
      if (kind !== 'udp') this.model.flowDied(Date.now(), this.aor, phone.uri, this.world.deathMs(node, life), 'moved on');
      client.close();
    }
  }

  /** No pong any more, though the connection stays (RFC 6455 5.5.2 is not for the dead). */
  mute() {
    this.isMuted = true;
    this.client.wasMuted = true;
    this.mutedUntil = Date.now() + this.world.pingMs * 3 + this.world.closeMs + 500;
    socketOf(this.client).pause();
    this.model.flowMuted(Date.now(), this.aor, this.phone.uri, this.world.pingMs, this.world.pingMs * 3 + this.world.closeMs);
    this.log('goes silent');
  }

  async wakeUp() {
    await delay(Math.min(500, Math.max(0, this.mutedUntil - Date.now())));
    if (Date.now() < this.mutedUntil) return;
    this.disconnect('reset');
  }

  // ---- Requests ------------------------------------------------------------------------------------

  /** Sends it, over UDP again and again, and returns the answer to it. */
  async ask(request) {
    const { client, kind, node, life } = this;
    const text = request.toString();
    const timers = kind === 'udp' ? RESEND_MS.map((ms) => setTimeout(() => !client.isClosed && client.send(text), ms)) : [];
    const end = Date.now() + ANSWER_MS;
    client.send(text);
    try {
      for (;;) {
        const response = await this.nextBefore(end, node, life);
        client.was503 = response.status === 503;
        if (response.get('Call-ID') === request.get('Call-ID') && response.get('CSeq') === request.get('CSeq')) return response;
      }
    } finally {
      timers.forEach(clearTimeout);
    }
  }

  async nextBefore(end, node, life) {
    const answer = this.client.nextResponse(ANSWER_MS);
    answer.catch(() => {});
    for (;;) {
      const first = await Promise.race([answer.catch((error) => error), delay(100)]);
      if (first instanceof Error) throw new Lost(first.message);
      if (first !== undefined) return first;
      if (node.life !== life || !node.isUp) throw new Lost(`${node.name} is gone`);
      if (Date.now() > end) throw new Lost('no answer');
    }
  }

  contactHeader(uri = this.phone.uri) {
    return `<${uri}>${this.instance ? `;+sip.instance=${this.instance}` : ''}`;
  }

  /** One request from its beginning to its end in the model. `doAsk` returns the last answer. */
  async request(kind, { uri, replaces, isBroad = false, isPure = false, password, doAsk }) {
    const op = this.model.begin(Date.now(), { aor: this.aor, kind, uri, replaces, isBroad });
    const { node, life, phone, world } = this;
    try {
      const response = await doAsk();
      this.log(`${kind}: ${response.status}`);
      world.answered(kind, response.status);
      this.settle(op, response, { isPure, password });
      return response;
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      const { client } = this;
      const isOpen = this.kind === 'udp' || !client.isClosed;
      if (op.uri !== undefined) this.held.add(op.uri);
      this.model.unknown(Date.now(), op, error.message);
      if (!isOpen && phone) this.model.flowDied(Date.now(), this.aor, phone.uri, world.deathMs(node, life) + world.callbackMs, error.message);
      if (error.message === 'no answer' || /nothing within/.test(error.message)) world.violation(`${this.name}: no answer to ${kind} from ${node.name}`, op.touches[0]);
      throw error;
    }
  }

  /** Another node evicted it, or removed it with all, and Redis fell silent before the node that holds it heard:
   * then it goes on refreshing what it still holds (SPEC 6). */
  mayBeUnheard(op, isStoreTrouble) {
    return isStoreTrouble && op.kind === 'register' && this.lastGranted === this.phone;
  }

  settle(op, response, { isPure, password }) {
    const now = Date.now();
    const { world, model } = this;
    const isStoreTrouble = world.trouble.touched('store', op.start);
    const isTrouble = isStoreTrouble || this.isAuthTrouble(op.start);
    const { status } = response;
    if (status === 200) {
      if (!isPure && !this.mayBeUnheard(op, isStoreTrouble) && !world.mayBeAdmitted(this, password, op.start, now)) world.violation(`${this.name}: 200 to ${op.kind}, though nobody said yes`, op.touches[0]);
      if (op.kind === 'remove') model.removed(now, op);
      else if (op.kind === '*') model.removedAll(now, op);
      else if (op.uri === undefined || op.kind === 'fetch') this.settleFetch(now, op, response, !isStoreTrouble);
      else this.settleGranted(now, op, response, !isStoreTrouble);
      return;
    }
    if (!isTrouble && world.mayBeAdmitted(this, password, op.start, now, true)) world.violation(`${this.name}: ${status} to ${op.kind} by ${this.kind} at ${this.node.name} while all was well\n${response.text}`, op.touches[0]);
    const isRemoval = op.kind === 'remove' || op.kind === '*';
    if (status === 503 && isRemoval && isStoreTrouble && !this.isAuthTrouble(op.start)) model.removedLater(now, op);
    else if (status === 503 && isTrouble && isRemoval) model.unknown(now, op, '503');
    else model.refused(now, op, status, status === 503 && isStoreTrouble);
  }

  settleFetch(now, op, response, isListSure) {
    this.model.end(now, op);
    this.model.compareList(now, op, response.contacts.map(({ uri }) => uri), isListSure);
  }

  settleGranted(now, op, response, isListSure) {
    const listed = response.contacts.map(({ uri }) => uri);
    const own = response.contacts.find(({ uri }) => uri === op.uri);
    this.held.add(op.uri);
    if (!own) {
      this.world.violation(`${this.name}: a 200 without its own contact\n${response.text}`);
      this.model.unknown(now, op, '200 without it');
      return;
    }
    const { node, life } = this;
    this.model.granted(now, op, { expiresS: own.expires, listed, isListSure, holder: { node, life, isStream: this.kind !== 'udp' } });
    if (this.instance) this.held = new Set([op.uri]);
  }

  isAuthTrouble(start) {
    return this.world.isAsked(this.domain) && this.world.trouble.touched('callback', start);
  }

  /** A REGISTER with credentials for the challenge that it gets; the first answer that is not 401. */
  async prove(request, password) {
    let response = await this.ask(request);
    for (let round = 0; response.status === 401 && round < 3; round++) {
      this.phone.password = password;
      const again = this.phone.authorized(request, challenges(response).at(-1));
      this.world.sent(again);
      response = await this.ask(again);
    }
    return response;
  }

  registration(options = {}) {
    return this.phone.build({ contact: this.contactHeader(), expires: this.expiresS, ...options });
  }

  /** What a registration of `uri` takes the place of (RFC 5626 6). */
  replacedBy(uri) {
    return this.instance ? [...this.held].filter((other) => other !== uri) : [];
  }

  async register() {
    this.expiresS = this.random.pick(EXPIRES_S);
    const { phone } = this;
    const password = this.world.passwordOf(this.aor);
    const replaces = this.replacedBy(phone.uri);
    await this.request('register', {
      uri: phone.uri,
      replaces,
      password,
      isPure: this.model.mayBeStored(Date.now(), this.aor, phone.uri), // then no proof is due (SPEC 3.5)
      doAsk: () => this.prove(this.registration(), password),
    }).then((response) => {
      if (response.status === 200) this.lastGranted = phone;
    });
  }

  async refresh() {
    if (this.lastGranted !== this.phone) {
      await this.register();
      return;
    }
    const password = this.world.passwordOf(this.aor);
    const { uri } = this.phone;
    await this.request('refresh', { uri, isPure: true, password, doAsk: () => this.prove(this.registration(), password) });
  }

  async remove() {
    const { uri } = this.phone;
    const password = this.world.passwordOf(this.aor);
    this.lastGranted = undefined;
    await this.request('remove', { uri, replaces: this.replacedBy(uri), password, doAsk: () => this.prove(this.registration({ expires: 0 }), password) });
  }

  async removeAll() {
    const password = this.world.passwordOf(this.aor);
    this.lastGranted = undefined;
    await this.request('*', { uri: this.phone.uri, replaces: [...this.held].filter((uri) => uri !== this.phone.uri), isBroad: true, password, doAsk: () => this.prove(this.phone.build({ contact: '*', expires: 0 }), password) });
  }

  async fetch() {
    const password = this.world.passwordOf(this.aor);
    await this.request('fetch', { password, doAsk: () => this.prove(this.phone.build({ contact: null }), password) });
  }

  /** A wrong password, for a contact of its own or for this device's. */
  async impostor() {
    const isOwn = this.random.chance(0.5);
    const uri = isOwn ? this.phone.uri : `sip:impostor@127.0.0.1:${this.random.between(1024, 65535)}`;
    const options = { contact: `<${uri}>`, expires: this.random.pick([0, 600]), callId: token() };
    const request = this.phone.build(options);
    const response = await this.ask(request).then((first) => (first.status === 401 ? this.prove(request, 'wrong') : first));
    this.world.answered('impostor', response.status);
    if (response.status === 200) this.world.violation(`${this.name}: 200 to a wrong password\n${response.text}`);
  }

  rest() {
    return delay(this.random.between(500, 3000));
  }

  /** Sends a registration and is gone before it can be answered. */
  async vanish() {
    const { client, phone } = this;
    const password = this.world.passwordOf(this.aor);
    const op = this.model.begin(Date.now(), { aor: this.aor, kind: 'vanish', uri: phone.uri, replaces: this.replacedBy(phone.uri) });
    try {
      const request = this.registration({ expires: 600 });
      const response = await this.ask(request);
      if (response.status === 401) {
        const again = phone.authorized(request, challenges(response).at(-1));
        again.set('Authorization', phone.credentials(challenges(response).at(-1), { password, uri: request.uri }));
        this.world.sent(again);
        client.send(again.toString());
        await delay(this.random.pick([0, 0, 1, 3, 10]));
      }
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    } finally {
      this.held.add(phone.uri);
      this.model.unknown(Date.now(), op, 'vanished', 600);
      this.disconnect(this.random.pick(CLOSINGS), this.world.callbackMs);
    }
  }
}
