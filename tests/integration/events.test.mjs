// What happens to registrations, as it is told: by GET /api/v1/events and on Redis' channel.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, inParallel, patient, timerPasses, until, within } from './lib/expect.mjs';
import { DOMAIN, startServer, withServer } from './lib/server.mjs';
import { EventStream, Subscriber } from './lib/events.mjs';
import { fleetUsers } from './lib/fleet.mjs';
import { Phone, openPhone } from './lib/phone.mjs';
import { startNode, startRedis, withNode, withRedis } from './lib/redis.mjs';

const BRIEF = { registrar: { minExpires: 1, graceSeconds: 0, maxContacts: 2 }, limits: { neverBan: [] } };
const metric = async (server, name) => Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\d+)$`, 'm').exec((await server.get('/metrics')).body)[1]);
const dropped = (server) => metric(server, 'aorta_events_dropped_total');

function assertEvent(event, phone, server, expected) {
  const { time, source, ...rest } = event;
  assertBetween(time, Date.now() - patient(20000), Date.now() + 1000, 'time');
  assert.match(source, /^127\.0\.0\.1:\d+$/);
  if (phone.client.localPort) assert.equal(source, `127.0.0.1:${phone.client.localPort}`);
  assert.deepEqual(rest, { node: server.config.node ?? rest.node, aor: `${phone.user}@${DOMAIN}`, contact: phone.uri, protocol: phone.kind, ...expected });
}

/** Everything that may happen to one client; returns what is to be told of it. */
async function liveThrough(t, server, kind) {
  const told = [];
  const tell = (type, reason, phone, contact = phone.uri) => told.push({ type, reason, contact });
  const phone = await openPhone(t, server, kind, { user: 'alice' });
  assertStatus(await phone.unregister(), 200);

  assertStatus(await phone.register(), 200);
  tell('registered', 'new contact', phone);
  assertStatus(await phone.register(), 200);
  tell('refreshed', 'refreshed by its client', phone);
  assertStatus(await phone.register({ contact: `${phone.contact};expires=0` }), 200);
  tell('unregistered', 'removed by its client', phone);

  for (const port of [5001, 5002, 5003]) {
    const contact = `sip:alice@127.0.0.1:${port}`;
    if (port === 5003) tell('unregistered', 'replaced: registrar.maxContacts', phone, 'sip:alice@127.0.0.1:5001');
    assertStatus(await phone.register({ contact: `<${contact}>` }), 200);
    tell('registered', 'new contact', phone, contact);
    await timerPasses(2); // so that one of them is the oldest
  }
  assertStatus(await phone.unregister(), 200);
  tell('unregistered', 'removed by its client', phone, 'sip:alice@127.0.0.1:5003');
  tell('unregistered', 'removed by its client', phone, 'sip:alice@127.0.0.1:5002');

  assertStatus(await phone.register({ expires: 1 }), 200);
  tell('registered', 'new contact', phone);
  tell('expired', 'not refreshed in time', phone);
  await until('it has expired', async () => (await server.bindingsOf('alice')).length === 0);
  await until('and was told', async () => /"expired"/.test(JSON.stringify(server.heard())));

  assertStatus(await phone.register(), 200);
  tell('registered', 'new contact', phone);
  assert.equal((await server.api('DELETE', `/api/v1/registrations/alice@${DOMAIN}`)).status, 204);
  tell('unregistered', 'removed by the admin API', phone);

  if (kind !== 'udp') {
    assertStatus(await phone.register(), 200);
    tell('registered', 'new contact', phone);
    phone.close();
    tell('flow-closed', 'its connection closed', phone);
  }
  return told;
}

async function assertAllIsTold(t, server, listeners, kind) {
  const stream = await EventStream.open(t, server);
  const all = [stream, ...listeners];
  server.heard = () => stream.events;
  const told = await liveThrough(t, server, kind);
  for (const listener of all) {
    await listener.until(told.length);
    const heard = listener.events.map(({ type, reason, contact }) => ({ type, reason, contact }));
    assert.deepEqual(heard, told);
    for (const event of listener.events) {
      assert.equal(event.aor, `alice@${DOMAIN}`);
      assert.equal(event.protocol, kind);
    }
  }
  for (const listener of listeners) assert.deepEqual(listener.events, stream.events);
}

describe('events, bindings in memory', () => {
  const server = withServer({ config: { ...BRIEF, node: 'n1' } });

  it('are Server-Sent Events with who, where and why', async (t) => {
    const stream = await EventStream.open(t, server);
    assert.equal(stream.headers['content-type'], 'text/event-stream');
    assert.equal(stream.headers['content-length'], undefined);
    assert.equal(stream.headers['cache-control'], 'no-store');
    const phone = await openPhone(t, server, 'udp', { user: 'bob' });
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.unregister(), 200);
    const [first, second, ...rest] = await stream.until(2);
    assertEvent(first, phone, server, { type: 'registered', reason: 'new contact' });
    assertEvent(second, phone, server, { type: 'unregistered', reason: 'removed by its client' });
    assert.deepEqual(rest, []);
  });

  for (const kind of ['udp', 'tcp', 'ws', 'wss'])
    it(`${kind}: each change once, in its order`, (t) => assertAllIsTold(t, server, [], kind));

  it('a ban, by hand and for wrong passwords', async (t) => {
    const stream = await EventStream.open(t, server, '?type=banned');
    const made = await server.api('POST', '/api/v1/bans', { ip: '192.0.2.7', seconds: 600, reason: 'too "fast"' });
    assert.equal(made.status, 201, made.body);
    const phone = await openPhone(t, server, 'udp', { localAddress: '127.0.77.1', password: 'wrong' });
    for (let i = 0; i < 40 && stream.events.length < 2; i++) {
      phone.client.send(phone.build().toString());
      const response = await phone.client.nextResponse(500).catch(() => null);
      if (!response) break;
      phone.client.send(phone.authorized(phone.build(), phone.lastChallenge(response)).toString());
      await phone.client.nextResponse(500).catch(() => null);
    }
    const [first, second] = await stream.until(2);
    const { time, ...rest } = first;
    assert.deepEqual(rest, { type: 'banned', node: 'n1', ip: '192.0.2.7', seconds: 600, reason: 'too "fast"' });
    assert.equal(second.ip, '127.0.77.1');
    assert.equal(second.reason, 'more than limits.failedAuthPerMinute');
    assert.ok(second.seconds > 0);
  });

  it('a refused REGISTER is no event', async (t) => {
    const stream = await EventStream.open(t, server);
    const stranger = await openPhone(t, server, 'udp', { user: 'carol', password: 'wrong' });
    assertStatus(await stranger.register(), 403);
    const phone = await openPhone(t, server, 'udp', { user: 'carol' });
    assertStatus(await phone.register(), 200);
    const older = phone.build({ cseq: 1 });
    const challenge = await phone.challenge();
    assertStatus(await phone.send(phone.authorized(older, challenge).set('CSeq', '1 REGISTER')), 500);
    assertStatus(await phone.unregister(), 200);
    await stream.hears(['registered', 'unregistered']);
  });

  it('by type and address', async (t) => {
    const queries = ['', '?type=registered', '?type=refreshed,unregistered', `?aor=bob@${DOMAIN}`, `?aor=sip%3Abob@${DOMAIN.toUpperCase()}&type=registered`];
    const streams = [];
    for (const query of queries) streams.push(await EventStream.open(t, server, query));
    for (const user of ['bob', 'carol']) {
      const phone = await openPhone(t, server, 'udp', { user });
      for (const act of ['register', 'register', 'unregister']) assertStatus(await phone[act](), 200);
    }
    const three = ['registered', 'refreshed', 'unregistered'];
    const expected = [[...three, ...three], ['registered', 'registered'], ['refreshed', 'unregistered', 'refreshed', 'unregistered'], three, ['registered']];
    await streams[0].hears(expected[0]);
    for (const [i, stream] of streams.entries()) await stream.hears(expected[i]);
    for (const query of ['?type=gone', '?type=', '?aor=%4'])
      assert.equal((await server.get(`/api/v1/events${query}`)).status, 400, query);
  });

  it('HEAD gives the head and ends; other methods are refused', async () => {
    const head = await server.api('HEAD', '/api/v1/events');
    assert.equal(head.status, 200);
    assert.equal(head.body, '');
    assert.equal((await server.api('POST', '/api/v1/events')).status, 405);
  });

  it('32 streams, and no more until one goes', async (t) => {
    const streams = [];
    await until('earlier ones are gone', async () => {
      const stream = await EventStream.open(t, server);
      if (stream.status !== 200) return false;
      streams.push(stream);
      return true;
    });
    while (streams.length < 32) {
      const stream = await EventStream.open(t, server);
      if (stream.status === 200) streams.push(stream);
    }
    assert.equal((await EventStream.open(t, server)).status, 503);
    const phone = await openPhone(t, server, 'tcp', { user: 'bob' });
    assertStatus(await phone.register(), 200);
    for (const stream of streams) await stream.until(1);
    streams[7].close();
    await until('there is room again', async () => (await EventStream.open(t, server)).status === 200);
    for (const stream of streams) stream.close();
  });

  it('are not for a page from elsewhere, nor on the public ports', async (t) => {
    assert.equal((await EventStream.open(t, server, '', { headers: { Host: 'evil.example' } })).status, 403);
    assert.equal((await server.page('/api/v1/events')).status, 404);
  });
});

describe('events of many clients', () => {
  it('come from all threads, those of each client in their order', async (t) => {
    const clients = 40;
    const users = fleetUsers(clients);
    const server = await startServer(t, { users });
    const streams = await Promise.all([EventStream.open(t, server), EventStream.open(t, server), EventStream.open(t, server)]);
    const names = Object.keys(users).map((aor) => aor.split('@')[0]);
    await inParallel(clients, 8, async (i) => {
      const kind = ['udp', 'tcp', 'ws'][i % 3];
      const phone = await Phone.open(server, kind, { user: names[i], password: users[`${names[i]}@${DOMAIN}`].password });
      for (let k = 0; k < 5; k++) assertStatus(await phone.register(), 200);
      assertStatus(await phone.unregister(), 200);
      phone.close();
    });
    const expected = ['registered', 'refreshed', 'refreshed', 'refreshed', 'refreshed', 'unregistered'];
    for (const stream of streams) {
      await stream.until(clients * expected.length);
      for (const name of names)
        assert.deepEqual(stream.events.filter(({ aor }) => aor === `${name}@${DOMAIN}`).map(({ type }) => type), expected);
      assert.ok(stream.events.every(({ time }, i) => i === 0 || time >= stream.events[i - 1].time - 1000));
    }
    assert.equal(await dropped(server), 0);
  });

  it('a reader that does not read is dropped; others, and REGISTERs, go on', async (t) => {
    const server = await startServer(t, { config: { limits: { unreadBytes: 65536 } } });
    const good = await EventStream.open(t, server);
    const idle = net.connect({ port: server.adminPort, host: '127.0.0.1' });
    t.after(() => idle.destroy());
    const ended = new Promise((resolve) => idle.on('close', resolve).on('error', () => {}));
    idle.pause();
    idle.write('GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const phone = await openPhone(t, server, 'tcp');
    const contact = `<sip:alice@127.0.0.1:5060;x=${'y'.repeat(1900)}>`;
    const unread = () => metric(server, 'aorta_limit_reached_total{key="limits.unreadBytes"}');
    let sent = 0;
    let slowest = 0;
    while ((await unread()) === 0 && sent < 8000) {
      for (let i = 0; i < 100; i++, sent++) {
        const before = performance.now();
        assertStatus(await phone.register({ contact }), 200);
        slowest = Math.max(slowest, performance.now() - before);
      }
      await good.until(sent);
    }
    assert.equal(await unread(), 1);
    assert.ok(sent < 8000, 'and not for a time that has passed');
    assert.ok(slowest < patient(1000), `a REGISTER took ${slowest} ms`);
    idle.resume();
    await within(5000, 'its connection is closed', ended);
    assertStatus(await phone.unregister(), 200);
    await good.until(sent + 1);
    assert.equal(good.events.at(-1).type, 'unregistered');
  });

  it('with a token only who has it; streams end with the node, after its last events', async (t) => {
    const server = await startServer(t, { config: { workers: 1, http: { adminToken: 'sesame' } } });
    const stream = await EventStream.open(t, server);
    assert.equal((await EventStream.open(t, server, '', { headers: { Authorization: 'Bearer other' } })).status, 401);
    const phone = await openPhone(t, server, 'ws');
    assertStatus(await phone.register(), 200);
    await stream.until(1);
    await server.stop();
    assert.equal(await within(1000, 'the stream ends', stream.ended), 'end');
    await stream.hears(['registered', 'flow-closed']);
  });
});

for (const layout of ['hash', 'jambonz'])
  describe(`events, bindings in Redis, layout ${layout}`, () => {
    const redis = withRedis();
    const node = withNode(redis, 'n1', { config: { ...BRIEF, registrar: { ...BRIEF.registrar, maxContacts: layout === 'jambonz' ? undefined : 2 }, redis: { layout } } });

    if (layout === 'hash') // two contacts
      it('each change once, to streams and to the channel', async (t) => {
        for (const kind of ['udp', 'ws']) await assertAllIsTold(t, node, [await Subscriber.open(t, redis)], kind);
      });

    it('nobody needs to listen to a stream', async (t) => {
      const subscriber = await Subscriber.open(t, redis);
      const phone = await openPhone(t, node, 'tcp', { user: 'bob' });
      assertStatus(await phone.register(), 200);
      assertStatus(await phone.register(), 200);
      const made = await node.api('POST', '/api/v1/bans', { ip: '192.0.2.9', seconds: 60, reason: 'test' });
      assert.equal(made.status, 201);
      await subscriber.until(3);
      assert.equal((await node.api('DELETE', `/api/v1/registrations/bob@${DOMAIN}`)).status, 204);
      assertStatus(await phone.register(), 200);
      phone.close();
      await subscriber.until(6);
      const sorted = subscriber.events.map(({ type }) => type).sort();
      assert.deepEqual(sorted, ['banned', 'flow-closed', 'refreshed', 'registered', 'registered', 'unregistered']);
      assert.equal(await dropped(node), 0);
    });
  });

describe('events of several nodes', () => {
  it('a client that moves is refreshed, whoever held it says nothing; one tells of what an admin removes', async (t) => {
    const redis = await startRedis(t);
    const [n1, n2] = [await startNode(redis, 'n1'), await startNode(redis, 'n2')];
    const subscriber = await Subscriber.open(t, redis);
    const here = await openPhone(t, n1, 'udp');
    const contact = `<sip:alice@127.0.0.1:5060>;+sip.instance="<urn:uuid:00000000-0000-4000-8000-000000000001>"`;
    assertStatus(await here.register({ contact }), 200);
    await subscriber.until(1);
    const there = await openPhone(t, n2, 'udp');
    assertStatus(await there.register({ contact }), 200);
    await subscriber.until(2);
    await timerPasses(20); // the clocks of the two differ
    assert.equal((await n1.api('DELETE', `/api/v1/registrations/alice@${DOMAIN}`)).status, 204);
    await subscriber.until(3);
    const bob = await openPhone(t, n2, 'udp', { user: 'bob' });
    assertStatus(await bob.register(), 200);
    const of = ({ type, node, aor }) => `${node} ${type} ${aor.split('@')[0]}`;
    await subscriber.hears(['n1 registered alice', 'n2 refreshed alice', 'n1 unregistered alice', 'n2 registered bob'], of);
  });

  it('while Redis is away they are dropped and counted, and streams go on', async (t) => {
    const redis = await startRedis(t, { aof: true });
    const node = await startNode(redis, 'n1');
    const subscriber = await Subscriber.open(t, redis);
    const stream = await EventStream.open(t, node);
    const phone = await openPhone(t, node, 'tcp');
    assertStatus(await phone.register(), 200);
    await subscriber.until(1);
    await redis.kill();
    await node.ready(false);
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.register(), 200);
    await stream.hears(['registered', 'refreshed', 'refreshed']);
    await until('they are counted', async () => (await dropped(node)) === 2);
    assert.match(node.stderr, /events dropped .*why="Redis is away or too busy"/);
    await redis.start();
    await node.ready();
    await until('the subscriber is back', async () => (await redis.client.pubsub('NUMSUB', 'user:events'))[1] === 1);
    assertStatus(await phone.register(), 200);
    await subscriber.hears(['registered', 'refreshed']);
    await stream.until(4);
    assert.equal(await dropped(node), 2);
  });
});
