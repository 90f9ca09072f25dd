// Realms (SPEC 2): each domain has its users, its callback and its limit; others are not served.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertStatus, inParallel, until } from './lib/expect.mjs';
import { DOMAIN, PASSWORD, startServer, usersOf, withServer } from './lib/server.mjs';
import { passwordsOf, startCallback, withCallback } from './lib/callback.mjs';
import { fleetUsers, openFleet } from './lib/fleet.mjs';
import { openPhone } from './lib/phone.mjs';
import { startNode, startRedis } from './lib/redis.mjs';
import { token } from './lib/sip.mjs';

function assertFull(response, why) {
  assertStatus(response, 503, why);
  assert.match(response.get('Retry-After') ?? '', /^[1-9]\d*$/, `${why}\n${response.text}`);
}

describe('who decides for which domain', () => {
  const callback = withCallback({ users: { ...passwordsOf('asked.example'), ...passwordsOf('anything.example') } });
  const server = withServer({
    config: {
      users: undefined,
      realms: {
        'Files.Example': { users: 'files.json' },
        'asked.example': { authCallback: callback.config() },
        '192.0.2.1': { users: 'address.json' },
        '*': { authCallback: callback.config() },
      },
    },
    files: {
      'files.json': { 'alice@files.example': { password: 'in the file' } },
      'address.json': { 'alice@192.0.2.1': { password: 'in the other file' } },
    },
  });

  const rows = [
    // domain, password, status, the callback was asked
    ['files.example', 'in the file', 200, false],
    ['FILES.example', 'in the file', 200, false],
    ['files.example', PASSWORD.alice, 403, false],
    ['192.0.2.1', 'in the other file', 200, false],
    ['192.0.2.1', 'in the file', 403, false],
    ['asked.example', PASSWORD.alice, 200, true],
    ['asked.example', 'in the file', 403, true],
    ['anything.example', PASSWORD.alice, 200, true],
    ['elsewhere.example', PASSWORD.alice, 403, true],
    ['sub.files.example', 'in the file', 403, true],
  ];
  for (const [domain, password, expected, isAsked] of rows)
    it(`alice@${domain} with "${password}": ${expected}, by the ${isAsked ? 'callback' : 'file'}`, async (t) => {
      const phone = await openPhone(t, server, 'tcp', { domain, password });
      callback.forget();
      const response = await phone.register();
      assertStatus(response, expected);
      assert.equal(callback.requests.length > 0, isAsked);
      if (expected === 200) assertStatus(await phone.unregister(), 200);
    });

  it("the challenge names the request's own realm", async (t) => {
    for (const domain of ['files.example', 'asked.example', 'whatever.example'])
      assert.equal((await (await openPhone(t, server, 'tcp', { domain, password: 'x' })).challenge()).realm, domain);
  });

  it('credentials of one realm are worth nothing in another', async (t) => {
    const phone = await openPhone(t, server, 'tcp', { domain: 'files.example', password: 'in the file' });
    const challenge = await phone.challenge();
    const request = phone.build({ to: 'sip:alice@asked.example' });
    callback.forget();
    const response = await phone.send(phone.authorized(request, challenge));
    assert.ok([401, 403].includes(response.status), response.text);
    assert.equal(callback.requests.length, 0);
    assert.deepEqual(await server.bindingsOf('alice', 'asked.example'), []);
  });
});

describe('a domain that no entry matches', () => {
  const server = withServer({ config: { realms: { [DOMAIN]: {}, 'other.example': {} } }, users: { ...usersOf(DOMAIN), ...usersOf('strange.example') } });

  it('is 403 without a challenge, whatever the users file has', async (t) => {
    const phone = await openPhone(t, server, 'tcp', { domain: 'strange.example' });
    assertStatus(await phone.send(phone.build()), 403);
    assert.deepEqual(await server.bindingsOf('alice', 'strange.example'), []);
  });

  it('an entry of its own with nothing in it takes the common users', async (t) => {
    assertStatus(await (await openPhone(t, server, 'tcp')).register(), 200);
    const nobody = await openPhone(t, server, 'tcp', { domain: 'other.example' });
    assertStatus(await nobody.register(), 403, 'no user of that domain');
  });
});

describe('a users file and a callback side by side', () => {
  it('whom the file has is decided by the file, all others by the callback', async (t) => {
    const callback = await startCallback(t, { users: { [`bob@${DOMAIN}`]: 'asked', [`alice@${DOMAIN}`]: 'asked' } });
    const server = await startServer(t, { config: { authCallback: callback.config() }, users: { [`alice@${DOMAIN}`]: { password: 'file' } } });
    const rows = [
      ['alice', 'file', 200, 0],
      ['alice', 'asked', 403, 0],
      ['bob', 'asked', 200, 1],
      ['bob', 'file', 403, 1],
    ];
    for (const [user, password, expected, times] of rows) {
      const phone = await openPhone(t, server, 'tcp', { user, password });
      callback.forget();
      assertStatus(await phone.register(), expected, `${user} with ${password}`);
      assert.equal(callback.requests.length, times, `${user} with ${password}`);
    }
  });
});

describe('allowForeignAor', () => {
  for (const allowForeignAor of [true, false])
    it(`${allowForeignAor}: ${allowForeignAor ? 'the callback decides' : 'nobody is asked'}`, async (t) => {
      const callback = await startCallback(t);
      const server = await startServer(t, { config: { users: undefined, realms: { [DOMAIN]: { authCallback: callback.config(), allowForeignAor } } } });
      const phone = await openPhone(t, server, 'tcp');
      const request = phone.build({ to: `sip:lobby@${DOMAIN}` });
      const response = await phone.send(phone.authorized(request, await phone.challenge()));
      assertStatus(response, allowForeignAor ? 200 : 403);
      assert.equal(callback.requests.length, allowForeignAor ? 1 : 0);
      if (!allowForeignAor) return;
      assert.equal(callback.requests[0].body.aor, `lobby@${DOMAIN}`);
      assert.equal(callback.requests[0].body.username, 'alice');
      assert.equal((await server.bindingsOf('lobby')).length, 1);
    });
});

describe('maxRegistrations', () => {
  const LIMIT = 3;
  const config = { realms: { [DOMAIN]: { maxRegistrations: LIMIT }, 'free.example': {} } };
  const users = { ...fleetUsers(10), ...fleetUsers(10, 'free.example') };
  const server = withServer({ config, users });
  const phoneOf = (t, i, kind = 'udp', options = {}) => openPhone(t, server, kind, { user: `u${i}`, password: 'p', ...options });

  /** LIMIT phones registered, on a server that has nothing else. */
  async function filled(t, kind = 'udp') {
    const phones = [];
    for (let i = 0; i < LIMIT; i++) {
      phones.push(await phoneOf(t, i, kind));
      assertStatus(await phones[i].register({ expires: 600 }), 200);
    }
    return phones;
  }
  const emptied = async (phones) => {
    for (const phone of phones) assertStatus(await phone.unregister(), 200);
    assert.deepEqual(await server.registrations(), []);
  };

  it('one more is 503 with Retry-After; a refresh never counts', async (t) => {
    const phones = await filled(t);
    const late = await phoneOf(t, 5);
    assertFull(await late.register(), 'full');
    for (const phone of phones) {
      assertStatus(await phone.send(phone.build({ expires: 600 })), 200, 'a cached refresh');
      assertStatus(await phone.register({ expires: 600, callId: token() }), 200, 'the same contact once more');
    }
    assertFull(await late.register(), 'still full');
    assert.deepEqual(await server.bindingsOf('u5'), []);
    await emptied(phones);
  });

  it('a second contact of somebody registered counts', async (t) => {
    const phones = await filled(t);
    assertFull(await phones[0].register({ contact: '<sip:u0@127.0.0.1:9>' }), 'one more of u0');
    await emptied(phones);
  });

  it('two contacts in one request: both or none', async (t) => {
    const one = await phoneOf(t, 0);
    assertStatus(await one.register({ contact: ['<sip:u0@127.0.0.1:7>', '<sip:u0@127.0.0.1:9>'] }), 200);
    const two = await phoneOf(t, 1);
    assertFull(await two.register({ contact: ['<sip:u1@127.0.0.1:7>', '<sip:u1@127.0.0.1:9>'] }), 'room for one only');
    assert.deepEqual(await server.bindingsOf('u1'), []);
    await emptied([one]);
  });

  it('a removal makes room', async (t) => {
    const phones = await filled(t);
    const late = await phoneOf(t, 5);
    assertFull(await late.register(), 'full');
    assertStatus(await phones[0].unregister(), 200);
    assertStatus(await late.register(), 200);
    assertFull(await phones[0].register(), 'full again');
    await emptied([phones[1], phones[2], late]);
  });

  it('a connection that closes makes room', async (t) => {
    const phones = await filled(t, 'ws');
    await phones[0].close();
    const late = await phoneOf(t, 5);
    await until('there is room', async () => (await late.register()).status === 200, 2000);
    await emptied([phones[1], phones[2], late]);
  });

  it('time makes room', async (t) => {
    const brief = await startServer(t, { config: { ...config, registrar: { minExpires: 1, graceSeconds: 0 } }, users });
    for (let i = 0; i < LIMIT; i++)
      assertStatus(await (await openPhone(t, brief, 'udp', { user: `u${i}`, password: 'p' })).register({ expires: 1 }), 200);
    const late = await openPhone(t, brief, 'udp', { user: 'u5', password: 'p' });
    assertFull(await late.register(), 'full');
    await until('there is room', async () => (await late.register()).status === 200, 5000);
  });

  it('other domains are not concerned', async (t) => {
    const phones = await filled(t);
    for (let i = 0; i < 5; i++) assertStatus(await (await phoneOf(t, i, 'udp', { domain: 'free.example' })).register(), 200);
    for (let i = 0; i < 5; i++) assertStatus(await (await phoneOf(t, i, 'udp', { domain: 'free.example' })).unregister(), 200);
    await emptied(phones);
  });
});

describe('maxRegistrations over two nodes of one Redis', () => {
  const LIMIT = 50;
  const users = fleetUsers(200);
  const limited = { config: { realms: { [DOMAIN]: { maxRegistrations: LIMIT } } }, users };

  it(`is exact: of ${4 * LIMIT} at once ${LIMIT} get 200`, async (t) => {
    const redis = await startRedis(t);
    const nodes = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, limited)));
    const fleets = await Promise.all(nodes.map((node, i) => openFleet(t, node, 2 * LIMIT, { first: i * 2 * LIMIT })));
    const phones = fleets.flat();
    const answers = await Promise.all(phones.map((phone) => phone.register({ expires: 600 })));
    const granted = phones.filter((_, i) => answers[i].status === 200);
    assert.equal(granted.length, LIMIT);
    for (const answer of answers) if (answer.status !== 200) assertFull(answer, 'no room');
    const stored = await redis.contacts();
    assert.deepEqual(stored.map(([aor]) => aor).sort(), granted.map((phone) => `${phone.user}@${DOMAIN}`).sort());

    const refused = phones.filter((_, i) => answers[i].status !== 200);
    await inParallel(LIMIT, 16, async (i) => assertStatus(await granted[i].send(granted[i].build({ expires: 600 })), 200, 'a refresh'));
    assertFull(await refused[0].register(), 'still full');

    // Freed on one node, taken on the other.
    const [there, here] = [granted.find((phone) => phones.indexOf(phone) < 2 * LIMIT), refused.find((phone) => phones.indexOf(phone) >= 2 * LIMIT)];
    if (there && here) {
      assertStatus(await there.unregister(), 200);
      assertStatus(await here.register({ expires: 600 }), 200);
      assertFull(await there.register(), 'full again');
    }
  });

  it('a connection that closes on one node makes room on the other; so does a node that dies', async (t) => {
    const redis = await startRedis(t);
    const few = { ...limited, config: { realms: { [DOMAIN]: { maxRegistrations: 2 } } } };
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, few)));
    const web = await openPhone(t, one, 'ws', { user: 'u0', password: 'p' });
    assertStatus(await web.register(), 200);
    assertStatus(await (await openPhone(t, one, 'tcp', { user: 'u1', password: 'p' })).register(), 200);
    const late = await openPhone(t, two, 'udp', { user: 'u2', password: 'p' });
    assertFull(await late.register(), 'full');
    await web.close();
    await until('there is room', async () => (await late.register()).status === 200, 3000);
    const later = await openPhone(t, two, 'udp', { user: 'u3', password: 'p' });
    assertFull(await later.register(), 'full again');
    await one.kill();
    await until('there is room', async () => (await later.register()).status === 200, 12000);
  });

  it('what expires in Redis makes room', async (t) => {
    const redis = await startRedis(t);
    const brief = { realms: { [DOMAIN]: { maxRegistrations: 1 } }, registrar: { minExpires: 1, graceSeconds: 0 } };
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, { config: brief, users })));
    assertStatus(await (await openPhone(t, one, 'udp', { user: 'u0', password: 'p' })).register({ expires: 1 }), 200);
    const late = await openPhone(t, two, 'udp', { user: 'u1', password: 'p' });
    await until('there is room', async () => (await late.register({ expires: 60 })).status === 200, 5000);
    // Redis counts the time from when it is told, some ms later.
    await until('the first one is gone', async () => (await redis.contacts()).map(([aor]) => aor).join() === `u1@${DOMAIN}`, 1000);
  });
});
