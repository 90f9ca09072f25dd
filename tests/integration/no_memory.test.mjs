// Memory runs out at one allocation after the other: each time 503, a closed connection, or over UDP
// silence; never a crash, never a half-made binding; and the next try succeeds (SECURITY.md).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startCallback } from './lib/callback.mjs';
import { SANITIZED, assertStatus, patient, timerPasses, until } from './lib/expect.mjs';
import { Faults, NO_FAULTS } from './lib/faults.mjs';
import { Phone, openPhone } from './lib/phone.mjs';
import { startRedis } from './lib/redis.mjs';
import { RELOADED, Server, startServer } from './lib/server.mjs';
import { parseResponse } from './lib/sip.mjs';

const MOST = 2000; // allocations of one request
const SILENCE_MS = 150;
const ALL = 1000000;
const IN_A_ROW = [1, ALL]; // one fails; all fail from one on
const LONG = process.env.AORTA_LONG === '1';

/** What comes of `request`: {status} of an answer, {closed} or {silent}. */
async function outcomeOf(phone, request) {
  phone.client.send(request.toString());
  const end = Date.now() + patient(phone.kind === 'udp' ? SILENCE_MS : 5000);
  for (;;) {
    if (phone.client.inbox.items.length) {
      const response = parseResponse(phone.client.inbox.items.shift());
      if (Number.parseInt(response.get('CSeq'), 10) === phone.cseq) return response;
    }
    if (phone.client.isClosed) return { closed: true };
    if (Date.now() > end) return { silent: true };
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function refusedOrClosed(open) {
  try {
    return await open();
  } catch {
    return null;
  }
}

/** With Redis, its connection may have had to be made anew. */
async function bindingsOf(server) {
  await server.ready();
  return server.bindingsOf('alice');
}

class Trial {
  constructor(server, kind) {
    this.server = server;
    this.kind = kind;
  }

  async phone() {
    if (!this.current || this.current.client.isClosed) {
      this.current = await Phone.open(this.server, this.kind);
      this.challenge = undefined;
    }
    return this.current;
  }

  /** The request with credentials, with a challenge that was got while there was memory. */
  async proven(options) {
    const phone = await this.phone();
    const challenge = await phone.challenge();
    const request = phone.build(options);
    return request.set('Authorization', phone.credentials(challenge));
  }

  async bindings() {
    return (await bindingsOf(this.server)).map(({ contact, callId }) => `${contact} ${callId}`);
  }

  /** Brings it to the state in which each attempt begins. */
  async settle(isRegistered) {
    const phone = await this.phone();
    if (isRegistered && (await this.bindings()).length > 1) // a 200 although something failed: an event was dropped, say
      assertStatus(await phone.unregister(), 200);
    assertStatus(await phone.register(isRegistered ? {} : { contact: '*', expires: 0 }), 200);
    await until('the state to begin with', async () => (await this.bindings()).length === Number(isRegistered));
  }
}

/** More than what is allocated once for all requests holds. */
const LARGE = {
  contact: Array.from({ length: 9 }, (_, i) => `<sip:alice@198.51.100.${i + 1}:5060;note=${'x'.repeat(900)}>`),
  headers: [...Array.from({ length: 8 }, (_, i) => ['Path', `<sip:proxy${i}.example.net;lr;note=${'x'.repeat(100)}>`]), ['X-Filler', 'x'.repeat(20000)]],
};

const ACTS = [
  // what, the state before, the request, how many bindings a 200 leaves
  ['a first question', false, async (trial) => (await trial.phone()).build(), 0],
  ['a registration', false, (trial) => trial.proven(), 1],
  ['a refresh from the cache', true, async (trial) => (await trial.phone()).build(), 1],
  ['a refresh with credentials', true, (trial) => trial.proven(), 1],
  ['a second contact', true, (trial) => trial.proven({ contact: '<sip:other@198.51.100.7:5060>;expires=600' }), 2],
  ['a large request', false, (trial) => trial.proven(LARGE), 9],
  ['a removal', true, (trial) => trial.proven({ contact: '*', expires: 0 }), 0],
];

async function attempt(trial, ...rest) {
  try {
    return await attemptOnce(trial, ...rest);
  } catch (error) {
    // What a sanitizer says comes with the end of the process.
    await Promise.race([trial.server.ended, timerPasses(1000)]);
    error.message += `\n${rest[0][0]} over ${trial.kind}, allocation ${rest[1]}, ${rest[2]} in a row\n${trial.server.stderr}`;
    throw error;
  }
}

async function attemptOnce(trial, [what, isRegistered, make, left], nth, length, faults) {
  await trial.settle(isRegistered);
  const before = await trial.bindings();
  const request = await make(trial);
  const phone = trial.current;
  faults.arm(nth, length);
  const outcome = await outcomeOf(phone, request);
  const fault = faults.disarm();
  const where = `${what} over ${trial.kind}, allocation ${nth}, ${length} in a row, at ${fault.where}: ${JSON.stringify({ ...outcome, headers: 0 })}`;
  assert.equal(trial.server.hasEnded, false, `${where}\n${trial.server.stderr}`);
  if (outcome.closed)
    return until(`${where}: the bindings of the closed connection go`, async () => (await trial.bindings()).length === 0).then(() => fault);
  const after = await trial.bindings();
  if (outcome.status === 200) assert.equal(after.length, left, where);
  else assert.deepEqual(after, before, where);
  if (outcome.silent) assert.equal(trial.kind, 'udp', where);
  else assert.ok([200, 401, 503].includes(outcome.status), where);
  if (fault.failed === 0) assert.ok(outcome.status === 200 || left === 0, where);
  assertStatus(await phone.register(), 200, where);
  return fault;
}

async function eachAllocation(once) {
  for (let nth = 1; nth < MOST; nth++) if ((await once(nth)).failed === 0) return nth - 1;
  assert.fail('no end of allocations');
}

async function tryAll(t, kind, config) {
  const faults = new Faults(t);
  const server = await startServer(t, { command: faults.command, config: { workers: 1, logging: { level: 'error' }, ...config } });
  for (const act of ACTS)
    for (const length of IN_A_ROW) {
      const trial = new Trial(server, kind);
      const count = await eachAllocation((nth) => attempt(trial, act, nth, length, faults));
      t.diagnostic(`${act[0]}, ${length === 1 ? 'one fails' : 'all fail from one on'}: ${count} allocations`);
      await trial.settle(false);
      await trial.current.close();
    }
}

describe('each allocation of a request fails in turn', { skip: NO_FAULTS }, () => {
  for (const kind of ['udp', 'ws']) {
    it(`${kind}, a users file, in memory`, (t) => tryAll(t, kind, {}));

    it(`${kind}, a callback, in memory`, async (t) => {
      const callback = await startCallback(t);
      await tryAll(t, kind, { users: undefined, authCallback: { uri: callback.uri } });
    });

    it(`${kind}, a users file, in Redis`, async (t) => {
      const redis = await startRedis(t);
      await tryAll(t, kind, { store: 'redis', redis: { port: redis.port } });
    });
  }
});

/** Nothing is pooled yet: a server of its own for each allocation, from the first message on. */
async function tryCold(t, kind, nth, length, config) {
  const faults = new Faults(t);
  const server = new Server({ command: faults.command, config: { workers: 1, logging: { level: 'error' }, ...config } });
  try {
    await server.start();
    const phone = await Phone.open(server, kind);
    faults.arm(nth, length);
    let outcome = await outcomeOf(phone, phone.build());
    if (outcome.status === 401) outcome = await outcomeOf(phone, phone.authorized(phone.build(), phone.lastChallenge(outcome)));
    const fault = faults.disarm();
    const where = `cold ${kind}, allocation ${nth} at ${fault.where}, ${length} in a row: ${JSON.stringify({ ...outcome, headers: 0 })}`;
    assert.equal(server.hasEnded, false, `${where}\n${server.stderr}`);
    if (!outcome.closed) assert.equal((await bindingsOf(server)).length, outcome.status === 200 ? 1 : 0, where);
    assert.ok(outcome.closed ? kind === 'ws' : outcome.silent ? kind === 'udp' : [200, 503].includes(outcome.status), where);
    if (fault.failed === 0) assert.equal(outcome.status, 200, where);
    const again = outcome.closed ? await Phone.open(server, kind) : phone;
    assertStatus(await again.register(), 200, where);
    await again.close();
    return fault;
  } finally {
    await server.dispose();
  }
}

describe('each allocation of the first requests fails in turn', { skip: NO_FAULTS }, () => {
  for (const kind of SANITIZED && !LONG ? ['ws'] : ['udp', 'ws'])
    for (const length of LONG ? IN_A_ROW : [kind === 'udp' ? 1 : ALL]) {
      const many = length === 1 ? 'one fails' : 'all fail from one on';
      it(`${kind}, a callback and Redis, ${many}`, async (t) => {
        const callback = await startCallback(t);
        const redis = await startRedis(t);
        const config = { users: undefined, authCallback: { uri: callback.uri }, store: 'redis' };
        await eachAllocation((nth) => tryCold(t, kind, nth, length, { ...config, redis: { port: redis.port, prefix: `${nth}:` } }));
      });
      it(`${kind}, a users file, in memory, ${many}`, { skip: !LONG && 'a long form: AORTA_LONG=1' }, (t) =>
        eachAllocation((nth) => tryCold(t, kind, nth, length, {})));
    }
});

describe('each allocation fails in turn', { skip: NO_FAULTS }, () => {
  it('of a WebSocket that opens', async (t) => {
    const faults = new Faults(t);
    const server = await startServer(t, { command: faults.command, config: { workers: 1 } });
    for (const kind of ['ws', 'wss', 'tcp'])
      for (const length of IN_A_ROW)
        await eachAllocation(async (nth) => {
          faults.arm(nth, length);
          const phone = await refusedOrClosed(() => Phone.open(server, kind));
          const outcome = phone ? await outcomeOf(phone, phone.build()) : { closed: true };
          const fault = faults.disarm();
          assert.ok(outcome.closed || [401, 503].includes(outcome.status), `allocation ${nth} at ${fault.where}: ${JSON.stringify(outcome)}`);
          assert.equal(server.hasEnded, false, server.stderr);
          if (fault.failed === 0) assert.equal(outcome.status, 401);
          await phone?.close();
          const again = await Phone.open(server, kind);
          assertStatus(await again.register(), 200);
          await again.close();
          return fault;
        });
  });

  it('of what the admin part answers', async (t) => {
    const faults = new Faults(t);
    const server = await startServer(t, { command: faults.command, config: { workers: 1 } });
    const phone = await openPhone(t, server, 'udp');
    assertStatus(await phone.register(), 200);
    const asks = [
      ['GET', '/api/v1/registrations'],
      ['GET', '/api/v1/status'],
      ['POST', '/api/v1/bans', { ip: '192.0.2.1', seconds: 60, reason: 'a test' }],
      ['GET', '/api/v1/bans'],
    ];
    for (const [method, path, body] of asks)
      for (const length of IN_A_ROW)
        await eachAllocation(async (nth) => {
          faults.arm(nth, length);
          const answer = await refusedOrClosed(() => server.api(method, path, body));
          const fault = faults.disarm();
          const where = `${method} ${path}, allocation ${nth} at ${fault.where}`;
          assert.ok(!answer || [200, 201, 500, 503].includes(answer.status), `${where}: ${answer?.status}`);
          if (answer?.status === 200) answer.json(); // not cut short
          assert.equal((await server.bindingsOf('alice')).length, 1, where);
          return fault;
        });
  });

  it('of a reload, which then changes nothing and says so, or everything', async (t) => {
    const faults = new Faults(t);
    const server = await startServer(t, { command: faults.command, config: { workers: 1, logging: { level: 'info' } } });
    let password = 'wonderland';
    for (let nth = 1, failed = 1; failed > 0; nth += LONG || nth < 20 ? 1 : 13) {
      const next = `secret-${nth}`;
      server.users = { 'alice@example.com': { password: next } };
      server.writeFiles();
      faults.arm(nth);
      const said = await server.hangUp();
      const fault = faults.disarm();
      failed = fault.failed;
      if (RELOADED.test(said)) password = next;
      const phone = await Phone.open(server, 'udp', { password });
      // A worker without memory for the new settings takes them a second later.
      await until(`allocation ${nth} at ${fault.where}: ${said}`, async () => (await phone.register()).status === 200);
      await phone.close();
      assert.ok(failed > 0 || RELOADED.test(said), said);
    }
  });
});
