// Memory runs out at one allocation after the other: each time 503, a closed connection, or over UDP
// silence; never a crash, never a half-made binding; and the next try succeeds (SECURITY.md).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startCallback } from './lib/callback.mjs';
import { assertStatus, patient, until } from './lib/expect.mjs';
import { Faults, NO_FAULTS } from './lib/faults.mjs';
import { Phone } from './lib/phone.mjs';
import { startRedis } from './lib/redis.mjs';
import { startServer } from './lib/server.mjs';
import { parseResponse } from './lib/sip.mjs';

const MOST = 2000; // allocations of one request
const SILENCE_MS = 150;
const IN_A_ROW = [1, 1000000]; // one fails; all fail from one on

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
    return (await this.server.bindingsOf('alice')).map(({ contact, callId }) => `${contact} ${callId}`);
  }

  /** Brings it to the state in which each attempt begins. */
  async settle(isRegistered) {
    const phone = await this.phone();
    assertStatus(await phone.register(isRegistered ? {} : { contact: '*', expires: 0 }), 200);
    await until('the state to begin with', async () => (await this.bindings()).length === Number(isRegistered));
  }
}

const ACTS = [
  // what, the state before, the request, how many bindings a 200 leaves
  ['a first question', false, async (trial) => (await trial.phone()).build(), 0],
  ['a registration', false, (trial) => trial.proven(), 1],
  ['a refresh from the cache', true, async (trial) => (await trial.phone()).build(), 1],
  ['a refresh with credentials', true, (trial) => trial.proven(), 1],
  ['a second contact', true, (trial) => trial.proven({ contact: '<sip:other@198.51.100.7:5060>;expires=600' }), 2],
  ['a removal', true, (trial) => trial.proven({ contact: '*', expires: 0 }), 0],
];

async function attempt(trial, faults, [what, isRegistered, make, left], nth, length) {
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
      const count = await eachAllocation((nth) => attempt(trial, faults, act, nth, length));
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
});
