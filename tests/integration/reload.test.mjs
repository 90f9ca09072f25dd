// SIGHUP (SPEC 1): what changes without a restart, that a bad file changes nothing, and that neither
// connections nor bindings nor requests under way notice.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { describe, it } from 'node:test';
import { SANITIZED, assertBetween, assertStatus, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN, NOT_RELOADED, PASSWORD, startServer, temporaryFolder, usersOf, withServer } from './lib/server.mjs';
import { startCallback, withCallback } from './lib/callback.mjs';
import { issue, makeAuthority } from './lib/certificates.mjs';
import { KINDS, UdpClient } from './lib/clients.mjs';
import { openPhone } from './lib/phone.mjs';
import { startNode, startRedis } from './lib/redis.mjs';
import { token } from './lib/sip.mjs';

const TOLD = { logging: { level: 'info' } };

/** For test `t`, with a log that tells of reloads. */
const start = (t, { config = {}, ...options } = {}) => startServer(t, { config: { ...TOLD, ...config }, ...options });

async function answerTo(t, server, kind = 'tcp', options = {}) {
  const phone = await openPhone(t, server, kind, options);
  return phone.register(options.register);
}

/** The certificate that new TLS clients of `port` are shown. */
function shown(port) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate().subject);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('what a reload changes', () => {
  it('users: added, removed, another password', async (t) => {
    const server = await start(t, { users: { [`alice@${DOMAIN}`]: { password: 'old' }, [`bob@${DOMAIN}`]: { password: 'b' } } });
    assertStatus(await answerTo(t, server, 'tcp', { password: 'old' }), 200);
    assertStatus(await answerTo(t, server, 'tcp', { user: 'carol', password: 'c' }), 403);
    await server.reload({ users: { [`alice@${DOMAIN}`]: { password: 'new' }, [`carol@${DOMAIN}`]: { password: 'c' } } });
    const rows = [['alice', 'old', 403], ['alice', 'new', 200], ['bob', 'b', 403], ['carol', 'c', 200]];
    for (const [user, password, expected] of rows)
      for (const kind of KINDS) assertStatus(await answerTo(t, server, kind, { user, password }), expected, `${user} over ${kind}`);
  });

  it('realms', async (t) => {
    const users = { ...usersOf(DOMAIN), ...usersOf('second.example') };
    const server = await start(t, { users, config: { realms: { [DOMAIN]: {} } } });
    assertStatus(await answerTo(t, server), 200);
    assertStatus(await answerTo(t, server, 'tcp', { domain: 'second.example' }), 403);
    await server.reload({ config: { realms: { 'second.example': {} } } });
    assertStatus(await answerTo(t, server, 'tcp', { domain: 'second.example' }), 200);
    await server.reload({ config: { realms: { [DOMAIN]: undefined } } });
    assertStatus(await answerTo(t, server), 403);
    assert.equal((await server.bindingsOf('alice')).length > 0, true, 'who was registered is not thrown out');
  });

  it('maxRegistrations', async (t) => {
    const server = await start(t, { config: { realms: { [DOMAIN]: { maxRegistrations: 1 } } } });
    assertStatus(await answerTo(t, server), 200);
    assertStatus(await answerTo(t, server, 'tcp', { user: 'bob' }), 503);
    await server.reload({ config: { realms: { [DOMAIN]: { maxRegistrations: 2 } } } });
    assertStatus(await answerTo(t, server, 'tcp', { user: 'bob' }), 200);
    assertStatus(await answerTo(t, server, 'tcp', { user: 'carol' }), 503);
  });

  it("the callback's address; one that is being waited for still decides", async (t) => {
    const [first, second] = [await startCallback(t), await startCallback(t)];
    const server = await start(t, { config: { users: undefined, authCallback: { uri: first.uri } } });
    assertStatus(await answerTo(t, server), 200);
    const gate = first.hold();
    const waiting = await openPhone(t, server, 'ws', { user: 'bob' });
    const answer = waiting.register();
    await first.asked(2);
    await server.reload({ config: { authCallback: { uri: second.uri } } });
    gate.release();
    assertStatus(await answer, 200);
    first.forget();
    assertStatus(await answerTo(t, server, 'tcp', { user: 'carol' }), 200);
    assert.equal(first.requests.length, 0);
    assert.equal(second.requests.length, 1);
  });

  it('from a users file to a callback and back', async (t) => {
    const callback = await startCallback(t, { users: { [`alice@${DOMAIN}`]: 'asked' } });
    const server = await start(t);
    assertStatus(await answerTo(t, server, 'tcp', { password: 'asked' }), 403);
    await server.reload({ config: { users: undefined, authCallback: { uri: callback.uri } } });
    assertStatus(await answerTo(t, server, 'tcp', { password: 'asked' }), 200);
    await server.reload({ config: { users: 'users.json', authCallback: undefined } });
    assertStatus(await answerTo(t, server, 'tcp', { password: 'asked' }), 403);
    assertStatus(await answerTo(t, server), 200);
  });

  it('minExpires, maxExpires and maxContacts', async (t) => {
    const server = await start(t);
    assertStatus(await answerTo(t, server, 'tcp', { register: { expires: 20 } }), 423);
    await server.reload({ config: { registrar: { minExpires: 10, maxExpires: 90, maxContacts: 1 } } });
    assertStatus(await answerTo(t, server, 'tcp', { register: { expires: 20 } }), 200);
    const response = await answerTo(t, server, 'ws', { register: { expires: 600 } });
    assertStatus(response, 200);
    assert.equal(response.contacts.length, 1);
    assertBetween(response.contacts[0].expires, 89, 90, 'the new upper bound');
  });

  it('the algorithms of the challenges', async (t) => {
    const server = await start(t);
    const phone = await openPhone(t, server, 'tcp');
    assert.equal((await phone.send(phone.build())).all('WWW-Authenticate').length, 1);
    await server.reload({ config: { auth: { algorithms: ['SHA-256', 'MD5'] } } });
    const challenged = await phone.send(phone.build());
    assert.equal(challenged.all('WWW-Authenticate').length, 2);
    assertStatus(await phone.register(), 200);
  });

  it('the log level', async (t) => {
    const server = await start(t);
    const said = async () => {
      const from = server.stderr.length;
      assertStatus(await answerTo(t, server, 'tcp', { register: { callId: token() } }), 200);
      await timerPasses(50);
      return server.stderr.slice(from);
    };
    assert.doesNotMatch(await said(), / DEBUG /);
    await server.reload({ config: { logging: { level: 'debug' } } });
    assert.match(await said(), / DEBUG /);
    await server.reload({ config: { logging: { level: 'info' } } });
    assert.doesNotMatch(await said(), / DEBUG /);
  });

  it('networks that are never banned: a ban of one of them is lifted', async (t) => {
    const server = await start(t, { config: { limits: { neverBan: [] } } });
    assert.equal((await server.api('POST', '/api/v1/bans', { ip: '127.0.76.1', seconds: 600, reason: 'a test' })).status, 201);
    const options = { localAddress: '127.0.76.1' };
    const client = await UdpClient.open(server.port.udp, options);
    t.after(() => client.close());
    const phone = await openPhone(t, server, 'udp', { client });
    client.send(phone.build().toString());
    await assert.rejects(client.next(400));
    await server.reload({ config: { limits: { neverBan: ['127.0.76.0/24'] } } });
    assertStatus(await phone.register(), 200);
    assert.deepEqual((await server.get('/api/v1/bans')).json().bans, []);
  });

  it('what only a start can change stays, and the log names it', async (t) => {
    const server = await start(t);
    const from = server.stderr.length;
    await server.reload({ config: { workers: 1, node: 'renamed', registrar: { minExpires: 10 } } });
    for (const key of [/\bworkers\b/, /\bnode\b/]) await until(`the log names ${key}`, () => key.test(server.stderr.slice(from)), 1000);
    assert.notEqual((await server.get('/api/v1/node')).json().node, 'renamed');
    assertStatus(await answerTo(t, server, 'tcp', { register: { expires: 20 } }), 200, 'the rest is in force');
  });
});

describe('certificates', () => {
  const folder = temporaryFolder();
  makeAuthority(folder);
  const [first, second, third] = ['first', 'second', 'third'].map((name) => issue(folder, name));
  const pair = ({ cert, key }) => ({ 'my.crt': cert, 'my.key': key });
  const config = { tls: { cert: 'my.crt', key: 'my.key' } };

  it('new handshakes see the new one; open connections live on', async (t) => {
    const server = await start(t, { config, files: pair(first) });
    const phones = await Promise.all(['tls', 'wss', 'wss'].map((kind) => openPhone(t, server, kind)));
    for (const phone of phones) assertStatus(await phone.register(), 200);
    for (const kind of ['tls', 'wss']) assert.match(await shown(server.port[kind]), /CN=first/);

    await server.reload({ files: pair(second) });
    // Each of the workers has its own ear: ask often enough to meet all of them.
    for (let i = 0; i < 12; i++) for (const kind of ['tls', 'wss']) assert.match(await shown(server.port[kind]), /CN=second/);
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 200, 'on its old connection');
    assertStatus(await answerTo(t, server, 'wss', { user: 'bob' }), 200);

    await server.reload({ config: { tls: { cert: 'other.crt', key: 'other.key' } }, files: { 'other.crt': third.cert, 'other.key': third.key } });
    for (let i = 0; i < 6; i++) assert.match(await shown(server.port.wss), /CN=third/);
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 200);
  });

  it('a certificate with a key of another type takes its place as well', async (t) => {
    const rsa = issue(folder, 'rsa', { isRsa: true });
    const server = await start(t, { config, files: pair(first) });
    for (const [next, name] of [[rsa, 'rsa'], [second, 'second'], [rsa, 'rsa']]) {
      await server.reload({ files: pair(next) });
      for (let i = 0; i < 6; i++) assert.match(await shown(server.port.wss), new RegExp(`CN=${name}`));
    }
  });

  it('a renewal that is half written changes nothing, and the next one does', async (t) => {
    const server = await start(t, { config, files: pair(first) });
    for (const broken of [{ 'my.crt': second.cert }, { 'my.crt': second.cert.slice(0, 200) }, { 'my.crt': '' }]) {
      for (const [name, content] of Object.entries(broken)) server.writeFile(name, content);
      assert.match(await server.hangUp(), NOT_RELOADED);
      for (let i = 0; i < 6; i++) assert.match(await shown(server.port.wss), /CN=first/);
    }
    await server.reload({ files: pair(second) });
    for (let i = 0; i < 6; i++) assert.match(await shown(server.port.wss), /CN=second/);
  });
});

describe('a bad file changes nothing', () => {
  const callback = withCallback();
  const server = withServer({ config: { ...TOLD, realms: { [DOMAIN]: {}, 'asked.example': { users: 'own.json', authCallback: callback.config() } } }, files: { 'own.json': usersOf('asked.example') } });

  const rows = [
    // what, file, its content, what the log says
    ['no JSON', 'aorta.json', '{ "listen": ', /aorta\.json:\d+:\d+/],
    ['an empty file', 'aorta.json', '', /aorta\.json:1:1/],
    ['an unknown key', 'aorta.json', (config) => ({ ...config, registar: {} }), /aorta\.json:\d+:\d+: registar: .*did you mean/],
    ['a value out of range', 'aorta.json', (config) => ({ ...config, registrar: { minExpires: -1 } }), /registrar\.minExpires/],
    ['a users file that is not there', 'aorta.json', (config) => ({ ...config, users: 'gone.json' }), /gone\.json/],
    ['neither users nor callback', 'aorta.json', (config) => ({ ...config, users: undefined, realms: {} }), /users/],
    ['a broken users file', 'users.json', '{"alice@example.com":{"password":7}}', /users\.json:\d+:\d+/],
    ["a broken users file of a realm's", 'own.json', '[]', /own\.json/],
  ];
  for (const [what, name, content, cause] of rows)
    it(what, async (t) => {
      const phone = await openPhone(t, server, 'ws');
      assertStatus(await phone.register(), 200);
      const from = server.stderr.length;
      server.writeFile(name, typeof content === 'function' ? content(server.config) : content);
      assert.match(await server.hangUp(), NOT_RELOADED);
      await until('the log says why', () => cause.test(server.stderr.slice(from)), 1000);
      server.writeFiles();
      assertStatus(await phone.send(phone.build()), 200);
      assertStatus(await answerTo(t, server, 'tcp', { user: 'bob' }), 200);
      assertStatus(await answerTo(t, server, 'tcp', { domain: 'asked.example', password: PASSWORD.alice }), 200);
      assertStatus(await answerTo(t, server, 'tcp', { register: { expires: 20 } }), 423);
      await phone.close();
    });

  it('and a good one afterwards does', async (t) => {
    await server.reload({ config: { registrar: { minExpires: 10 } } });
    assertStatus(await answerTo(t, server, 'tcp', { register: { expires: 20 } }), 200);
  });
});

describe('nobody notices', () => {
  it('connections, bindings and nonces survive', async (t) => {
    const server = await start(t);
    const phones = await Promise.all(KINDS.map((kind) => openPhone(t, server, kind)));
    for (const phone of phones) assertStatus(await phone.register({ expires: 600 }), 200);
    const challenged = await Promise.all(KINDS.map((kind) => openPhone(t, server, kind, { user: 'bob' })));
    const given = await Promise.all(challenged.map((phone) => phone.challenge()));
    const before = await server.registrations();
    await server.reload({ config: { registrar: { maxExpires: 7200 } } });
    assert.deepEqual((await server.registrations()).map(({ expiresIn, ...rest }) => rest), before.map(({ expiresIn, ...rest }) => rest));
    for (const phone of phones) {
      assert.equal(phone.client.isClosed, false);
      assertStatus(await phone.send(phone.build({ expires: 600 })), 200, `${phone.kind}: a refresh without a proof`);
    }
    for (const [i, phone] of challenged.entries()) assertStatus(await phone.send(phone.authorized(phone.build(), given[i])), 200, `${phone.kind}: a nonce from before`);
    assert.equal((await server.get('/api/v1/node')).json().pid, server.pid);
  });

  it('with Redis the bindings stay where they are', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', { config: TOLD });
    const phones = await Promise.all(KINDS.map((kind) => openPhone(t, node, kind)));
    for (const phone of phones) assertStatus(await phone.register({ expires: 600 }), 200);
    await node.reload({ config: { registrar: { minExpires: 10 } } });
    assert.equal(await node.isReady(), true);
    assert.equal((await redis.bindings('alice')).length, KINDS.length);
    for (const phone of phones) assertStatus(await phone.send(phone.build({ expires: 600 })), 200);
  });

  it('50 reloads under load', async (t) => {
    const RELOADS = SANITIZED ? 10 : 50;
    const callback = await startCallback(t);
    const realms = { 'asked.example': { authCallback: callback.config() }, [DOMAIN]: { users: 'users.json' } };
    callback.users = { 'alice@asked.example': PASSWORD.alice };
    const server = await start(t, { config: { realms, registrar: { maxContacts: 100 } } });
    let isRunning = true;
    let answers = 0;
    const lanes = KINDS.flatMap((kind) => [
      async () => {
        const phone = await openPhone(t, server, kind);
        assertStatus(await phone.register(), 200);
        for (; isRunning; answers++) assertStatus(await phone.send(phone.build()), 200, `${kind}: a refresh`);
      },
      async () => {
        const phone = await openPhone(t, server, kind, { domain: 'asked.example' });
        for (; isRunning; answers++) assertStatus(await phone.register({ callId: token() }), 200, `${kind}: by callback`);
      },
      async () => {
        for (; isRunning; answers++) {
          const phone = await openPhone(t, server, kind, { user: 'bob' });
          assertStatus(await phone.register(), 200, `${kind}: a new connection`);
          await phone.close();
        }
      },
    ]);
    const load = Promise.all(lanes.map((lane) => lane()));
    load.catch(() => (isRunning = false));
    for (let i = 0; i < RELOADS && isRunning; i++) {
      const before = answers;
      await server.reload({ config: { registrar: { maxExpires: 3600 + i } }, users: { ...usersOf(DOMAIN), [`u${i}@${DOMAIN}`]: { password: 'p' } } });
      await until('the load goes on', () => answers > before || !isRunning);
    }
    isRunning = false;
    await load;
    t.diagnostic(`${answers} answers during ${RELOADS} reloads`);
    assertStatus(await answerTo(t, server, 'udp', { user: `u${RELOADS - 1}`, password: 'p' }), 200, 'the last one is in force');
  });
});
