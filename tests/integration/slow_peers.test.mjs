// Peers that stop halfway, trickle, never read, or vanish, at every stage of a connection: they cost
// nothing that stays, and nobody else notices. After each the server holds what it held before.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { SANITIZED, assertBetween, assertStatus, inParallel, patient, percentile, timerPasses, until } from './lib/expect.mjs';
import { withCallback } from './lib/callback.mjs';
import { DOMAIN, startServer, withServer } from './lib/server.mjs';
import { Phone, openPhone } from './lib/phone.mjs';
import { fileCount, quietFileCount } from './lib/process.mjs';
import { withNode, withRedis } from './lib/redis.mjs';
import { token } from './lib/sip.mjs';
import { ENDINGS, UPGRADE_REQUEST, Wire, recordClientHello } from './lib/wire.mjs';

const STREAMS = ['tcp', 'tls', 'ws', 'wss'];
const isSecure = (kind) => kind === 'tls' || kind === 'wss';
const isWeb = (kind) => kind === 'ws' || kind === 'wss';

const counts = async (server) => (await server.page('/api/v1/status')).json();
const connections = async (server) => (await counts(server)).connections.total;
async function isEmpty(server) {
  const { connections, registrations } = await counts(server);
  return connections.total === 0 && registrations.total === 0;
}

/** A phone of `user` on a connection of `kind` that the test holds itself. */
async function openWirePhone(t, server, kind, options) {
  const wire = await Wire.open(t, server, kind);
  await wire.enter();
  const phone = await Phone.open(server, kind, { ...options, client: wire.client() });
  return { wire, phone };
}

/** A REGISTER that will be granted. */
async function proven(phone, options) {
  const challenge = await phone.challenge();
  return phone.authorized(phone.build(options), challenge);
}

const LONG_HEAD = `X-Long: ${'x'.repeat(3000)}\r\n`;

/** How far a peer of `kind` comes: what it is called, how it gets there. */
function stagesOf(kind, hello) {
  const entered = (then) => async (wire, server) => {
    await wire.enter();
    await then(wire, await Phone.open(server, kind, { client: wire.client() }));
  };
  return [
    ['connected', async () => {}],
    ...(isSecure(kind)
      ? [
          ['in the middle of a ClientHello', (wire) => wire.tcp.write(hello.subarray(0, hello.length / 2))],
          ['after a ClientHello', (wire) => wire.tcp.write(hello)],
          ['after the TLS handshake', (wire) => wire.handshake()],
        ]
      : []),
    ...(isWeb(kind)
      ? [
          ['in the middle of an upgrade', async (wire) => (await wire.handshake()).write(UPGRADE_REQUEST.slice(0, 60))],
          ['after an upgrade request', async (wire) => (await wire.handshake()).write(UPGRADE_REQUEST)],
          ['after an upgrade', (wire) => wire.enter()],
        ]
      : []),
    ['in the middle of a message', entered((wire, phone) => wire.write(wire.sip(`${phone.build()}`).subarray(0, 150)))],
    ['challenged', entered((wire, phone) => phone.challenge())],
    ['before the answer to a REGISTER', entered(async (wire, phone) => wire.write(wire.sip(`${await proven(phone)}`)))],
    ['registered', entered(async (wire, phone) => assertStatus(await phone.register(), 200))],
    ['registered, in the middle of a refresh', entered(async (wire, phone) => {
      assertStatus(await phone.register(), 200);
      await wire.write(wire.sip(`${phone.build()}`.replace('\r\n', `\r\n${LONG_HEAD}`)).subarray(0, 2000));
    })],
  ];
}

const HELLO = await recordClientHello();

// Side by side: some wait for deadlines most of their time.
describe('slow and broken peers', { concurrency: true }, () => {
  describe('an end at every stage', { concurrency: 1 }, () => {
    const server = withServer({ config: { limits: { handshakeSeconds: 60 } } });
    let files;
    before(async () => (files = await quietFileCount(server.pid)));

    for (const kind of STREAMS)
      for (const [stage, reach] of stagesOf(kind, HELLO))
        it(`${kind}: ${stage}`, async (t) => {
          for (const [how, end] of Object.entries(ENDINGS)) {
            const wires = await Promise.all(Array.from({ length: 3 }, () => Wire.open(t, server, kind)));
            await Promise.all(wires.map((wire) => reach(wire, server)));
            wires.forEach(end);
            // All of it at once: the server may accept one of them after its peer is gone.
            await until(`${how}: nothing is left`, async () => fileCount(server.pid) <= files && (await isEmpty(server)), 3000);
          }
          const phone = await openPhone(t, server, kind, { user: 'bob' });
          assertStatus(await phone.register(), 200, 'others are served');
          await phone.close();
          await until('it is gone', async () => fileCount(server.pid) <= files, 3000);
        });
  });

  // ---- Who trickles -----------------------------------------------------------------------------------

  /** Writes `bytes` one by one, `ms` apart, until the connection ends. */
  async function trickle(wire, bytes, ms, write = (byte) => wire.write(byte)) {
    for (const byte of bytes) {
      if (wire.isClosed) return;
      write(Buffer.of(byte));
      await timerPasses(ms);
    }
  }

  describe('one byte now and then', { concurrency: true }, () => {
    it('the deadline for TLS and upgrade does not wait for it', async (t) => {
      const server = await startServer(t, { config: { limits: { handshakeSeconds: 2 } } });
      const files = await quietFileCount(server.pid);
      const hello = Buffer.concat([HELLO, HELLO]);
      const post = Buffer.from(`POST /api/v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5000)}`);
      const rows = [
        // kind, how far it comes at once, what it trickles
        ['tls', async () => {}, hello],
        ['wss', async () => {}, hello],
        ['tls', async (wire) => wire.tcp.write(hello.subarray(0, 200)), hello.subarray(200)],
        ['wss', async (wire) => wire.tcp.write(HELLO), Buffer.from([20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 100, ...Array(100).fill(7)])],
        ['ws', async () => {}, Buffer.from(UPGRADE_REQUEST)],
        ['ws', async (wire) => wire.write('GET / HTTP/1.1\r\nX-Long: '), Buffer.alloc(5000, 'x')],
        ['ws', async () => {}, post],
        ['ws', async (wire) => wire.write(post.subarray(0, 100)), post.subarray(100)],
        ['wss', (wire) => wire.handshake(), Buffer.from(UPGRADE_REQUEST)],
      ];
      await Promise.all(
        rows.map(async ([kind, begin, bytes], i) => {
          const began = Date.now();
          const wire = await Wire.open(t, server, kind);
          await begin(wire);
          trickle(wire, bytes, 150);
          await until(`row ${i} is closed`, () => wire.isClosed, 15000);
          assertBetween(Date.now() - began, 1800, patient(12000), `row ${i} ${kind}`);
          wire.tcp.destroy();
        })
      );
      await until('no connection is left', () => fileCount(server.pid) <= files, 3000);
    });

    const COUNT = SANITIZED ? 200 : 500;
    it(`${COUNT} such connections and normal service; those who never come to the point are gone after 15 s`, async (t) => {
      const server = await startServer(t, { config: { limits: { handshakeSeconds: 12 } } });
      const files = await quietFileCount(server.pid);
      const slow = [];
      const begin = {
        tcp: async () => {},
        tls: (wire) => wire.handshake(),
        ws: (wire) => wire.enter(),
        wss: (wire) => wire.enter(),
      };
      await inParallel(COUNT, 50, async (i) => {
        const kind = i % 5 ? ['tcp', 'ws'][i % 2] : ['tls', 'wss'][i % 2];
        const began = Date.now();
        const wire = await Wire.open(t, server, kind);
        await begin[kind](wire);
        slow.push(wire);
        wire.closed.then(() => (wire.lifeMs = Date.now() - began));
        trickle(wire, wire.sip(`OPTIONS sip:${DOMAIN} SIP/2.0\r\nX-Long: ${'x'.repeat(60)}`), 1000);
      });
      assertBetween(await connections(server), COUNT / 2, COUNT, 'they are there');
      const latencies = [];
      await Promise.all(
        ['udp', ...STREAMS].map(async (kind) => {
          for (let i = 0; i < (SANITIZED ? 10 : 40); i++) {
            const at = performance.now();
            const phone = await openPhone(t, server, kind);
            assertStatus(await phone.register(), 200, kind);
            assertStatus(await phone.send(phone.build()), 200, kind);
            assertStatus(await phone.register({ contact: `${phone.contact};expires=0` }), 200, kind);
            latencies.push(performance.now() - at);
            await phone.close();
          }
        })
      );
      const p99 = percentile(latencies, 0.99);
      t.diagnostic(`connect, register, refresh, remove: median ${percentile(latencies, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
      assertBetween(p99, 0, patient(2000), 'p99 beside them');
      await until('all of them are closed', async () => slow.every((wire) => wire.isClosed), 25000);
      for (const { kind, lifeMs } of slow) assertBetween(lifeMs, 14000, patient(40000), `${kind}: the deadline for a first message`);
      slow.forEach((wire) => wire.tcp.destroy());
      await until('nothing is left', async () => (await connections(server)) === 0 && (await quietFileCount(server.pid)) <= files, 5000);
    });
  });

  // ---- Who is gone when the answer comes --------------------------------------------------------------

  describe('a peer that is gone when the answer comes leaves no binding', { concurrency: 1 }, () => {
    // One worker: its commands go to Redis, and their answers come back, in one order.
    const redis = withRedis();
    const callback = withCallback();
    const authCallback = callback.config({ timeoutMs: 10000 });
    const server = withNode(redis, 'n1', { config: { workers: 1, users: undefined, authCallback, limits: { lagMs: 0 } } });

    /** One phone of each transport, all of one AOR; with a binding already where it is to be a refresh. */
    async function openAll(t, isRefresh) {
      const opened = [];
      for (const kind of STREAMS) {
        const { wire, phone } = await openWirePhone(t, server, kind);
        if (isRefresh) assertStatus(await phone.register(), 200);
        const challenge = await phone.challenge();
        opened.push({ wire, phone, request: phone.authorized(phone.build(), challenge) });
      }
      return opened;
    }

    async function assertNothingLeft(t) {
      const other = await openPhone(t, server, 'tcp', { user: 'bob' });
      assertStatus(await other.register(), 200, 'others are served');
      await until('no binding is left', async () => (await redis.bindings('alice')).length === 0, 5000);
      assert.deepEqual(await server.bindingsOf('alice'), []);
      assert.equal((await counts(server)).registrations.total, 1);
      assertStatus(await other.unregister(), 200);
      assert.deepEqual(await redis.bindings('alice'), []);
      await other.close();
      await until('its connection too', async () => (await connections(server)) === 0);
    }

    for (const isRefresh of [false, true]) {
      const what = isRefresh ? 'a refresh' : 'a first REGISTER';
      for (const [how, end] of Object.entries(ENDINGS)) {
        it(`${what}, ${how} while the callback thinks`, async (t) => {
          const opened = await openAll(t, isRefresh);
          const gate = callback.hold();
          callback.forget();
          for (const { wire, request } of opened) await wire.write(wire.sip(`${request}`));
          await callback.asked(opened.length);
          opened.forEach(({ wire }) => end(wire));
          await until('they are gone', async () => (await connections(server)) === 0);
          gate.release();
          await until('the callback has answered', () => callback.inFlight === 0);
          await assertNothingLeft(t);
        });
      }

      for (const [long, ms] of [['', 200], [', which takes longer than is waited for', 1500]])
        it(`${what}, RST while Redis stands still${long}`, async (t) => {
          const opened = await openAll(t, isRefresh);
          callback.forget();
          await redis.client.call('CLIENT', 'PAUSE', '60000', 'WRITE');
          for (const { wire, request } of opened) await wire.write(wire.sip(`${request}`));
          await callback.asked(opened.length);
          await until('the callback has answered', () => callback.inFlight === 0);
          await timerPasses(100); // the command is on its way to Redis
          opened.forEach(({ wire }) => ENDINGS.RST(wire));
          await timerPasses(ms);
          assert.equal(await connections(server), 0);
          await redis.client.call('CLIENT', 'UNPAUSE');
          await server.ready();
          await assertNothingLeft(t);
        });
    }

    it('a cached refresh, RST while Redis stands still', async (t) => {
      const opened = await openAll(t, true);
      await redis.client.call('CLIENT', 'PAUSE', '60000', 'WRITE');
      for (const { wire, phone } of opened) await wire.write(wire.sip(`${phone.build()}`));
      await timerPasses(100);
      opened.forEach(({ wire }) => ENDINGS.RST(wire));
      await until('they are gone', async () => (await connections(server)) === 0);
      await redis.client.call('CLIENT', 'UNPAUSE');
      await assertNothingLeft(t);
    });
  });
});

// ---- Who never reads --------------------------------------------------------------------------------

describe('a peer that asks and never reads', () => {
  const server = withServer({ config: { ws: { pingSeconds: SANITIZED ? 8 : 2 } } });
  const LONG = 'l'.repeat(600); // is echoed in each answer
  const REQUESTS = 12000; // their answers do not fit in what the system keeps for two sockets

  /** Asks without reading until all is said or the server takes no more. */
  async function ask(wire, batch) {
    wire.stream.pause();
    wire.tcp.pause();
    for (let i = 0; i < 60 && !wire.tcp.destroyed; i++) {
      const isTaken = await Promise.race([wire.write(batch()).then(() => true), wire.closed, timerPasses(2000)]);
      if (!isTaken) return;
    }
  }

  /** Its binding goes with it: at the next answer or ping, or, where no more is to be said, after the
   * 30 s for which a window may stay closed. */
  it(`${REQUESTS} requests over each transport: it is closed, with its binding`, async (t) => {
    const files = await quietFileCount(server.pid);
    const ready = [];
    for (const method of ['OPTIONS', 'REGISTER'])
      for (const kind of STREAMS) {
        const { wire, phone } = await openWirePhone(t, server, kind, { user: method === 'OPTIONS' ? 'alice' : 'carol' });
        assertStatus(await phone.register(), 200);
        const options = { method, to: `${phone.aor};long=${LONG}`, callId: method === 'REGISTER' ? undefined : token() };
        const answer = await phone.send(phone.build(options));
        assertStatus(answer, 200, 'to who reads');
        assert.ok(answer.text.length > LONG.length);
        ready.push({ wire, batch: () => Buffer.concat(Array.from({ length: REQUESTS / 60 }, () => wire.sip(`${phone.build(options)}`))) });
      }
    const asking = ready.map(({ wire, batch }) => ask(wire, batch));
    asking.push(
      Wire.open(t, server, 'ws').then((wire) => ask(wire, () => 'GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(REQUESTS / 60)))
    );
    await Promise.all(asking);
    const began = Date.now();
    const other = await openPhone(t, server, 'wss', { user: 'bob' });
    assertStatus(await other.register(), 200, 'others are served');
    await other.close();
    await until('they are closed', () => fileCount(server.pid) <= files, 45000);
    t.diagnostic(`all closed after ${Date.now() - began} ms`);
    const { connections, registrations } = await counts(server);
    assert.deepEqual([connections.total, registrations.total], [0, 0]);
  });
});
