// Layout `jambonz` (SPEC 6): what the npm package @jambonz/mw-registrar reads, read by that package.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Registrar from '@jambonz/mw-registrar';
import { assertBetween, assertStatus, inParallel, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN, usersOf } from './lib/server.mjs';
import { ok, withCallback } from './lib/callback.mjs';
import { KINDS } from './lib/clients.mjs';
import { fleetUsers, openFleet } from './lib/fleet.mjs';
import { openPhone } from './lib/phone.mjs';
import { keyOf, startNode, startRedis, withNode, withRedis } from './lib/redis.mjs';

const LAYOUT = { redis: { layout: 'jambonz' } };
const ZSET = 'active-user';

/** The package's reader of `redis`. The timer that it starts, and nobody can stop, must not keep us. */
function readerOf(redis) {
  const { setInterval } = globalThis;
  globalThis.setInterval = (...args) => setInterval(...args).unref();
  try {
    return new Registrar(null, redis.client);
  } finally {
    globalThis.setInterval = setInterval;
  }
}

const stored = async (redis, user = 'alice', domain = DOMAIN) => JSON.parse(await redis.client.get(keyOf(user, domain)));
const score = (redis, user = 'alice', domain = DOMAIN) => redis.client.zscore(ZSET, keyOf(user, domain));

describe('what is written', () => {
  const redis = withRedis();
  const node = withNode(redis, 'n1', { config: LAYOUT });

  for (const kind of KINDS)
    it(`${kind}: a string for each AOR, its time, and its place among the active`, async (t) => {
      const phone = await openPhone(t, node, kind);
      const before = Date.now();
      assertStatus(await phone.register({ expires: 600 }), 200);
      const after = Date.now();
      assert.equal(await redis.client.type(keyOf('alice')), 'string');
      const value = await stored(redis);
      assert.equal(value.contact, phone.uri);
      assert.equal(value.protocol, kind);
      assert.equal(value.sbcAddress, node.listeners[0].slice('udp://'.length));
      assert.match(value.proxy, /^sip:127\.0\.0\.1:\d+$/);
      assert.equal(typeof value.expiryTime, 'number');
      assertBetween(value.expiryTime, before + 599000, after + 600000, 'the granted time');
      assertBetween(await redis.client.pttl(keyOf('alice')), 608000, 610000, 'grant and grace');
      assert.equal(await redis.client.type(ZSET), 'zset');
      assert.equal(Number(await score(redis)), value.expiryTime);

      assertStatus(await phone.unregister(), 200);
      assert.equal(await redis.client.exists(keyOf('alice')), 0);
      assert.equal(await score(redis), null);
    });

  it('GET /api/v1/registrations reads it too', async (t) => {
    const phone = await openPhone(t, node, 'ws');
    assertStatus(await phone.register({ expires: 600 }), 200);
    const [listed, ...others] = await node.bindingsOf('alice');
    assert.equal(others.length, 0);
    assert.equal(listed.contact, phone.uri);
    assert.equal(listed.protocol, 'ws');
    assert.equal(listed.expiryTime, (await stored(redis)).expiryTime);
    assertStatus(await phone.unregister(), 200);
  });

  it('one contact an AOR: the newest wins, and the one before is no longer listed', async (t) => {
    const first = await openPhone(t, node, 'udp');
    const second = await openPhone(t, node, 'ws');
    assertStatus(await first.register({ expires: 600 }), 200);
    await timerPasses(2);
    const response = await second.register({ expires: 300 });
    assertStatus(response, 200);
    assert.deepEqual(response.contacts.map((contact) => contact.uri), [second.uri]);
    const value = await stored(redis);
    assert.equal(value.contact, second.uri);
    assert.equal(Number(await score(redis)), value.expiryTime);
    assert.equal(await redis.client.zcard(ZSET), 1);
    await second.close();
    await until('it goes with its connection', async () => (await redis.client.exists(keyOf('alice'))) === 0, 1000);
    assert.equal(await score(redis), null);
  });

  it('two contacts in one request are 403', async (t) => {
    const phone = await openPhone(t, node, 'tcp');
    assertStatus(await phone.register({ contact: ['<sip:a@127.0.0.1:7>', '<sip:b@127.0.0.1:9>'] }), 403);
    assert.equal(await redis.client.exists(keyOf('alice')), 0);
  });

  for (const kind of ['udp', 'ws'])
    it(`${kind}: a refresh moves the time and the place`, async (t) => {
      const phone = await openPhone(t, node, kind);
      assertStatus(await phone.register({ expires: 600 }), 200);
      const first = await stored(redis);
      await timerPasses(30);
      assertStatus(await phone.send(phone.build({ expires: 600 })), 200, 'without a new proof');
      const second = await stored(redis);
      assertBetween(second.expiryTime - first.expiryTime, 20, 3000, 'later');
      assert.equal(Number(await score(redis)), second.expiryTime);
      assertStatus(await phone.unregister(), 200);
    });

  it('the order of CSeq holds in this layout too', async (t) => {
    const phone = await openPhone(t, node, 'tcp');
    phone.cseq = 50;
    assertStatus(await phone.register({ expires: 600 }), 200);
    const old = phone.build({ expires: 300, cseq: 7 });
    const challenge = await phone.challenge();
    old.set('Authorization', phone.credentials(challenge));
    assertStatus(await phone.send(old), 500);
    assertStatus(await phone.unregister(), 200);
  });
});

describe('hooks of the callback', () => {
  const callback = withCallback();
  const redis = withRedis();
  const node = withNode(redis, 'n1', { config: { users: undefined, authCallback: callback.config(), ...LAYOUT } });

  const rows = [
    // the callback's members, callHook, callStatusHook
    [{ call_hook: 'https://example.com/call', call_status_hook: 'https://example.com/status' }, 'https://example.com/call', 'https://example.com/status'],
    [{ call_hook: { url: 'https://example.com/call', method: 'POST' } }, { url: 'https://example.com/call', method: 'POST' }, undefined],
    [{ tenant: 7 }, undefined, undefined],
    [{}, undefined, undefined],
  ];
  for (const [members, callHook, callStatusHook] of rows)
    it(JSON.stringify(members), async (t) => {
      const phone = await openPhone(t, node, 'wss');
      callback.once(ok(members));
      assertStatus(await phone.register({ expires: 600 }), 200);
      const check = async () => {
        const value = await stored(redis);
        assert.deepEqual(value.callHook ?? undefined, callHook);
        assert.deepEqual(value.callStatusHook ?? undefined, callStatusHook);
      };
      await check();
      assertStatus(await phone.send(phone.build({ expires: 600 })), 200);
      await check(); // a refresh asks nobody, and keeps them
      assertStatus(await phone.unregister(), 200);
    });
});

describe('@jambonz/mw-registrar reads it', () => {
  const OTHER = 'other.org';
  const redis = withRedis();
  const users = { ...usersOf(DOMAIN), ...usersOf(OTHER), ...fleetUsers(120) };
  const node = withNode(redis, 'n1', { config: LAYOUT, users });

  it('query(), getCountOfUsers(realm), getRegisteredUsersDetailsForRealm(realm)', async (t) => {
    const reader = readerOf(redis);
    const alice = await openPhone(t, node, 'ws');
    const bob = await openPhone(t, node, 'udp', { user: 'bob' });
    const elsewhere = await openPhone(t, node, 'tcp', { domain: OTHER });
    for (const phone of [alice, bob, elsewhere]) assertStatus(await phone.register({ expires: 600 }), 200);

    const found = await reader.query(`alice@${DOMAIN}`);
    assert.equal(found.contact, alice.uri);
    assert.equal(found.protocol, 'ws');
    assert.equal(found.sbcAddress, node.listeners[0].slice('udp://'.length));
    assert.equal(await reader.query(`nobody@${DOMAIN}`), null);

    assert.equal(await reader.getCountOfUsers(DOMAIN), 2);
    assert.equal(await reader.getCountOfUsers(OTHER), 1);
    assert.deepEqual((await reader.getRegisteredUsersForRealm(DOMAIN)).sort(), ['alice', 'bob']);
    const details = await reader.getRegisteredUsersDetailsForRealm(DOMAIN);
    assert.deepEqual(
      details.map(({ name, contact, protocol, proxy }) => ({ name, contact, protocol, hasProxy: /^sip:127/.test(proxy) })).sort((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: 'alice', contact: alice.uri, protocol: 'ws', hasProxy: true },
        { name: 'bob', contact: bob.uri, protocol: 'udp', hasProxy: true },
      ]
    );

    assertStatus(await bob.unregister(), 200);
    assert.equal(await reader.getCountOfUsers(DOMAIN), 1);
    assert.equal(await reader.query(`bob@${DOMAIN}`), null);
    await alice.close();
    await until('alice is gone', async () => (await reader.getCountOfUsers(DOMAIN)) === 0, 2000);
    assertStatus(await elsewhere.unregister(), 200);
  });

  it('many, registered and refreshed at once', async (t) => {
    const reader = readerOf(redis);
    const fleet = await openFleet(t, node, 120);
    await inParallel(120, 60, async (i) => assertStatus(await fleet[i].register({ expires: 600 }), 200));
    await inParallel(120, 60, async (i) => assertStatus(await fleet[i].send(fleet[i].build({ expires: 600 })), 200));
    assert.equal(await reader.getCountOfUsers(DOMAIN), 120);
    await inParallel(120, 60, async (i) => assertStatus(await fleet[i].unregister(), 200));
    assert.equal(await reader.getCountOfUsers(DOMAIN), 0);
  });

  it('what it removes is gone for aorta too; what it adds aorta does not choke on', async (t) => {
    const reader = readerOf(redis);
    const there = { contact: 'sip:bob@198.51.100.7:5060', sbcAddress: '198.51.100.1:5060', protocol: 'udp' };
    assert.equal(await reader.add(`bob@${DOMAIN}`, there, 600), true);
    const bob = await openPhone(t, node, 'tcp', { user: 'bob' });
    assertStatus(await bob.register({ expires: 600 }), 200);
    assert.equal((await reader.query(`bob@${DOMAIN}`)).contact, bob.uri);
    assertStatus(await bob.unregister(), 200);
    assert.equal(await reader.getCountOfUsers(DOMAIN), 0);
  });
});

describe('time, and nodes', () => {
  it('what has expired is neither read nor counted', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', { config: { ...LAYOUT, registrar: { minExpires: 1, graceSeconds: 0 } } });
    const reader = readerOf(redis);
    assertStatus(await (await openPhone(t, node, 'udp')).register({ expires: 1 }), 200);
    assert.equal(await reader.getCountOfUsers(DOMAIN), 1);
    await until('it is over', async () => (await reader.query(`alice@${DOMAIN}`)) === null, 4000);
    assert.equal(await reader.getCountOfUsers(DOMAIN), 0);
  });

  it('two nodes: the newest of both; a node that dies leaves only UDP; an empty Redis is filled again', { timeout: 60000 }, async (t) => {
    const redis = await startRedis(t);
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, { config: LAYOUT })));
    const here = await openPhone(t, one, 'ws');
    const there = await openPhone(t, two, 'ws');
    assertStatus(await here.register({ expires: 600 }), 200);
    await timerPasses(2);
    assertStatus(await there.register({ expires: 600 }), 200);
    assert.equal((await stored(redis)).contact, there.uri);
    await here.close();
    await timerPasses(300);
    assert.equal((await stored(redis)).contact, there.uri, 'the close of the older one takes nothing along');

    const bob = await openPhone(t, one, 'udp', { user: 'bob' });
    const carol = await openPhone(t, one, 'tcp', { user: 'carol' });
    for (const phone of [bob, carol]) assertStatus(await phone.register({ expires: 600 }), 200);
    await redis.kill();
    await redis.start();
    for (const user of ['alice', 'bob', 'carol']) {
      await until(`${user} is there again`, async () => (await redis.client.exists(keyOf(user))) === 1, 6000);
      assert.equal(Number(await score(redis, user)), (await stored(redis, user)).expiryTime);
    }

    await one.kill();
    await until('carol is gone', async () => (await redis.client.exists(keyOf('carol'))) === 0, 12000);
    assert.equal(await score(redis, 'carol'), null);
    assert.equal((await stored(redis, 'bob')).contact, bob.uri);
    assert.equal((await stored(redis, 'alice')).contact, there.uri);
  });
});
