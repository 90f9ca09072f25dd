// Addresses that the callback blocks (SPEC 5): `blacklist` in a refusal, what it stops and for how
// long, and that all nodes of a Redis share it. Clients come from addresses of their own in
// 127.0.0.0/8, which is exempt unless limits.neverBan says otherwise.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, timerPasses, until, within } from './lib/expect.mjs';
import { startServer, withServer } from './lib/server.mjs';
import { fail, ok, withCallback } from './lib/callback.mjs';
import { KINDS, openClient } from './lib/clients.mjs';
import { RawWs } from './lib/raw_ws.mjs';
import { openPhone } from './lib/phone.mjs';
import { startNode, startRedis } from './lib/redis.mjs';
import { token } from './lib/sip.mjs';

const SHARED_MS = 2000;
const STREAMS = KINDS.filter((kind) => kind !== 'udp');

let lastHost = 9;
/** An address that no other test comes from. */
const freshAddress = () => `127.0.77.${++lastHost}`;

const banning = (callback, config = {}) => ({
  config: { users: undefined, authCallback: callback.config(), ...config, limits: { neverBan: [], ...config.limits } },
});

const bansOf = async (server) => (await server.get('/api/v1/bans')).json().bans;
const banOf = async (server, ip) => (await bansOf(server)).find((ban) => ban.ip === ip);
const lift = (server, ip) => server.api('DELETE', `/api/v1/bans/${encodeURIComponent(ip)}`);

/** Registers from `localAddress` and is refused with `members`; returns the phone. */
async function refused(t, server, callback, members, { kind = 'udp', localAddress = freshAddress(), ...options } = {}) {
  const phone = await openPhone(t, server, kind, { localAddress, ...options });
  callback.once(fail(members));
  assertStatus(await phone.register(), 403, 'the refusal itself is told');
  return phone;
}

/** Whether `localAddress` gets any answer at all over `kind`. */
async function isServed(server, kind, localAddress) {
  const client = await openClient(server, kind, { localAddress }).catch(() => null);
  if (!client) return false;
  try {
    client.send(
      [
        'OPTIONS sip:example.com SIP/2.0', `Via: SIP/2.0/${kind.toUpperCase()} 127.0.0.1;branch=z9hG4bK${token()};rport`, 'Max-Forwards: 70',
        'From: <sip:a@example.com>;tag=1', 'To: <sip:a@example.com>', `Call-ID: ${token()}`, 'CSeq: 1 OPTIONS', 'Content-Length: 0', '', '',
      ].join('\r\n')
    );
    return await client.next(700).then(() => true, () => false);
  } finally {
    client.close();
  }
}

describe('blacklist', () => {
  const callback = withCallback();
  const server = withServer(banning(callback));

  for (const member of ['blacklist', 'blaclist'])
    it(`${member}: the address is listed, and not heard over any transport; others are`, async (t) => {
      const ip = freshAddress();
      await refused(t, server, callback, { [member]: 600, msg: 'enough' }, { localAddress: ip });
      const ban = await banOf(server, ip);
      assertBetween(ban.expiresIn, 598, 600, 'expiresIn');
      assert.equal(typeof ban.reason, 'string');
      for (const kind of KINDS) assert.equal(await isServed(server, kind, ip), false, `${kind} from ${ip}`);
      for (const kind of KINDS) assert.equal(await isServed(server, kind, freshAddress()), true, `${kind} from another`);
      callback.forget();
      const phone = await openPhone(t, server, 'udp', { localAddress: ip });
      phone.client.send(phone.build().toString());
      await assert.rejects(phone.client.next(500));
      assert.equal((await lift(server, ip)).status, 204);
      assert.equal(await banOf(server, ip), undefined);
      for (const kind of KINDS) assert.equal(await isServed(server, kind, ip), true, `${kind} after it was lifted`);
      assert.equal((await lift(server, ip)).status, 404, 'only once');
    });

  it('-1 is for ever', async (t) => {
    const ip = freshAddress();
    await refused(t, server, callback, { blacklist: -1 }, { localAddress: ip });
    assert.equal((await banOf(server, ip)).expiresIn, null);
    assert.equal(await isServed(server, 'udp', ip), false);
    assert.equal((await lift(server, ip)).status, 204);
  });

  it('ends after its seconds', async (t) => {
    const ip = freshAddress();
    const began = Date.now();
    await refused(t, server, callback, { blacklist: 2 }, { localAddress: ip });
    assert.equal(await isServed(server, 'tcp', ip), false);
    await until('it is served again', () => isServed(server, 'tcp', ip), 6000);
    assertBetween(Date.now() - began, 1900, 5000, 'ms');
    assert.equal(await banOf(server, ip), undefined);
    assertStatus(await (await openPhone(t, server, 'udp', { localAddress: ip })).register(), 200);
  });

  for (const kind of STREAMS)
    it(`${kind}: open connections of the address are closed${kind.startsWith('ws') ? ' with 1008' : ''}, and their bindings go`, async (t) => {
      const ip = freshAddress();
      const registered = await openPhone(t, server, kind, { localAddress: ip });
      assertStatus(await registered.register(), 200);
      const bystander = await openPhone(t, server, kind, { user: 'bob' });
      assertStatus(await bystander.register(), 200);
      const culprit = await refused(t, server, callback, { blacklist: 600 }, { kind, localAddress: ip, user: 'carol' });
      for (const phone of [registered, culprit]) {
        const cause = await phone.client.closes(3000);
        if (kind.startsWith('ws')) assert.equal(cause, 1008);
      }
      await until('its binding is gone', async () => !(await server.bindingsOf('alice')).some(({ contact }) => contact === registered.uri), 2000);
      assertStatus(await bystander.send(bystander.build()), 200);
      assertStatus(await bystander.unregister(), 200);
      assert.equal((await lift(server, ip)).status, 204);
    });

  const harmless = [
    // what the callback answers, status
    [ok({ blacklist: 600 }), 200], // it counts in a refusal only
    [fail({ blacklist: 0 }), 403],
    [fail({ blacklist: -2 }), 403],
    [fail({ blacklist: 1.5 }), 403],
    [fail({ blacklist: '600' }), 403],
    [fail({ blacklist: null }), 403],
    [fail(), 403],
  ];
  for (const [i, [answer, expected]] of harmless.entries())
    it(`answer ${i + 1} of the table blocks nobody`, async (t) => {
      const ip = freshAddress();
      const phone = await openPhone(t, server, 'tcp', { localAddress: ip });
      callback.once(answer);
      assertStatus(await phone.register(), expected);
      assert.equal(await banOf(server, ip), undefined);
      assertStatus(await phone.register(), 200);
      assertStatus(await phone.unregister(), 200);
    });

  it('HTTP from the address is refused as well, but not the admin listener', async (t) => {
    const ip = freshAddress();
    await refused(t, server, callback, { blacklist: 600 }, { localAddress: ip });
    await assert.rejects(server.page('/healthz', { localAddress: ip }));
    assert.equal((await server.page('/healthz')).status, 200);
    assert.equal((await server.get('/api/v1/bans')).status, 200);
    assert.equal((await lift(server, ip)).status, 204);
  });
});

describe('limits.neverBan', () => {
  const callback = withCallback();

  it('by default loopback is never banned, whatever the callback says', async (t) => {
    const server = await startServer(t, { config: { users: undefined, authCallback: callback.config() } });
    for (const kind of KINDS) {
      const phone = await openPhone(t, server, kind);
      callback.once(fail({ blacklist: -1 }));
      assertStatus(await phone.register(), 403);
      assertStatus(await phone.register(), 200, 'the next try');
    }
    assert.deepEqual(await bansOf(server), []);
  });

  it('is a list of networks', async (t) => {
    const server = await startServer(t, banning(callback, { limits: { neverBan: ['127.0.78.0/24', '127.0.79.1'] } }));
    for (const [ip, isBanned] of [['127.0.78.9', false], ['127.0.79.1', false], ['127.0.79.2', true]]) {
      await refused(t, server, callback, { blacklist: 600 }, { localAddress: ip });
      assert.equal((await banOf(server, ip)) !== undefined, isBanned, ip);
      assert.equal(await isServed(server, 'udp', ip), !isBanned, ip);
    }
  });
});

describe('behind a proxy that is trusted', () => {
  const callback = withCallback();
  const server = withServer(banning(callback, { trustedProxies: ['127.0.0.1'] }));
  const through = (address) => ({ headers: { 'X-Forwarded-For': address } });

  /** Upgrades as the proxy does for `address`: the HTTP status, or null when there was none. */
  async function upgradeFor(address, localAddress = '127.0.0.1') {
    const raw = await RawWs.connect(server.port.ws, { localAddress }).catch(() => null);
    if (!raw) return null;
    const answer = await raw.upgrade({ 'X-Forwarded-For': address }).catch(() => null);
    raw.close();
    return answer && answer.status;
  }

  it("the client's address is banned, not the proxy's", async (t) => {
    const culprit = await refused(t, server, callback, { blacklist: 600 }, { kind: 'ws', localAddress: '127.0.0.1', ...through('203.0.113.7') });
    assert.equal(callback.requests.at(-1).body.source_address, '203.0.113.7');
    assert.equal(await culprit.client.closes(3000), 1008);
    assert.deepEqual((await bansOf(server)).map((ban) => ban.ip), ['203.0.113.7']);

    assert.notEqual(await upgradeFor('203.0.113.7'), 101, 'the banned client through the proxy');
    assert.notEqual(await upgradeFor('198.51.100.1, 203.0.113.7'), 101, 'what it writes itself does not count');
    assert.equal(await upgradeFor('203.0.113.8'), 101, 'another client through the proxy');
    const other = await openPhone(t, server, 'ws', { user: 'bob', localAddress: '127.0.0.1', ...through('203.0.113.8') });
    assertStatus(await other.register(), 200);
    assert.equal(await isServed(server, 'udp', '127.0.0.1'), true, 'the proxy itself');
    assert.equal((await lift(server, '203.0.113.7')).status, 204);
  });

  it('from anywhere else the header is not believed', async (t) => {
    const ip = freshAddress();
    await refused(t, server, callback, { blacklist: 600 }, { kind: 'ws', localAddress: ip, ...through('203.0.113.9') });
    assert.equal(callback.requests.at(-1).body.source_address, ip);
    assert.deepEqual((await bansOf(server)).map((ban) => ban.ip), [ip]);
    assert.equal(await upgradeFor('203.0.113.9'), 101);
    assert.equal((await lift(server, ip)).status, 204);
  });

  it('a proxy that is trusted cannot be banned at all', async (t) => {
    const phone = await openPhone(t, server, 'udp', { localAddress: '127.0.0.1' });
    callback.once(fail({ blacklist: -1 }));
    assertStatus(await phone.register(), 403);
    assert.deepEqual(await bansOf(server), []);
    assertStatus(await phone.register(), 200);
  });
});

describe('several nodes on one Redis', () => {
  const callback = withCallback();
  const startPair = async (t) => {
    const redis = await startRedis(t, { aof: true });
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, banning(callback))));
    return { redis, one, two };
  };

  it('a ban of one holds on the other, closes connections there, and is lifted from either', async (t) => {
    const { one, two } = await startPair(t);
    const ip = freshAddress();
    const there = await openPhone(t, two, 'ws', { localAddress: ip });
    assertStatus(await there.register(), 200);
    await refused(t, one, callback, { blacklist: 600 }, { localAddress: ip });
    assert.equal(await within(SHARED_MS, 'closed on the other node', there.client.closed), 1008);
    await until('listed there', () => banOf(two, ip), SHARED_MS);
    assertBetween((await banOf(two, ip)).expiresIn, 590, 600, 'expiresIn');
    assert.equal(await isServed(two, 'udp', ip), false);

    assert.equal((await lift(two, ip)).status, 204);
    assert.equal(await isServed(two, 'udp', ip), true, 'at once where it was lifted');
    await until('lifted on the first', async () => !(await banOf(one, ip)), SHARED_MS);
    assert.equal(await isServed(one, 'udp', ip), true);
  });

  it('so is one for wrong credentials, of IPv6 with its /64', async (t) => {
    const redis = await startRedis(t);
    const config = { ...banning(callback).config, trustedProxies: ['127.0.0.1'] };
    config.limits.failedAuthPerMinute = 1;
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, { config })));
    const openAs = (node, client) => openPhone(t, node, 'ws', { headers: { 'X-Forwarded-For': client } });
    const there = await openAs(two, '2001:db8:1:2::3');
    assertStatus(await there.register(), 200);
    const guesser = await openAs(one, '2001:db8:1:2::1');
    for (let i = 0; i < 2; i++) {
      callback.once(fail());
      assertStatus(await guesser.register(), 403);
    }
    assert.equal(await within(SHARED_MS, 'closed on the other node', there.client.closed), 1008);
    assert.match((await banOf(two, '2001:db8:1:2::/64')).reason, /limits\.failedAuthPerMinute/);
    assert.equal((await lift(two, '2001:db8:1:2::/64')).status, 204);
    await until('lifted on the first', async () => (await bansOf(one)).length === 0, SHARED_MS);
    assertStatus(await (await openAs(one, '2001:db8:1:2::1')).register(), 200);
  });

  it('bans outlive a restart, and a node that starts later has them', async (t) => {
    const { redis, one, two } = await startPair(t);
    const [brief, forEver] = [freshAddress(), freshAddress()];
    await refused(t, one, callback, { blacklist: 600 }, { localAddress: brief });
    await refused(t, two, callback, { blacklist: -1 }, { localAddress: forEver });
    for (const [ip, node] of [[brief, two], [forEver, one]]) await until(`${ip} is shared`, () => banOf(node, ip), SHARED_MS);
    await one.restart();
    const three = await startNode(redis, 'n3', banning(callback));
    for (const node of [one, three]) {
      for (const ip of [brief, forEver]) {
        await until(`${ip} is known after a start`, () => banOf(node, ip), SHARED_MS);
        assert.equal(await isServed(node, 'tcp', ip), false);
      }
      assertBetween((await banOf(node, brief)).expiresIn, 500, 600, 'what is left');
      assert.equal((await banOf(node, forEver)).expiresIn, null);
    }
  });

  it('bans made while Redis is away are shared once it is back', async (t) => {
    const { redis, one, two } = await startPair(t);
    await redis.kill();
    await one.ready(false);
    const ip = freshAddress();
    await refused(t, one, callback, { blacklist: 600 }, { localAddress: ip });
    assert.equal(await isServed(one, 'udp', ip), false, 'here at once');
    await redis.start();
    await one.ready(true, 10000);
    await until('and there when Redis is back', () => banOf(two, ip), 8000);
  });

  it('one that ends meanwhile ends everywhere', async (t) => {
    const { one, two } = await startPair(t);
    const ip = freshAddress();
    await refused(t, one, callback, { blacklist: 3 }, { localAddress: ip });
    await until('shared', () => banOf(two, ip), SHARED_MS);
    await timerPasses(3000);
    for (const node of [one, two]) await until('over', async () => !(await banOf(node, ip)), SHARED_MS);
    assert.equal(await isServed(two, 'udp', ip), true);
  });
});
