// One AOR as the admin listener shows it: what is registered, what became of its connections, why it is
// or is not reachable (GET /api/v1/aors/{aor} and …/why), and its removal with DELETE.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, until } from './lib/expect.mjs';
import { DOMAIN, startServer, withServer } from './lib/server.mjs';
import { KINDS } from './lib/clients.mjs';
import { fail, never, slowly, withCallback } from './lib/callback.mjs';
import { openPhone } from './lib/phone.mjs';
import { startNode, startRedis } from './lib/redis.mjs';

const ASKED = 'asked.example';
const aorOf = (user) => `${user}@${DOMAIN}`;
const pathOf = (user) => `/api/v1/aors/${encodeURIComponent(aorOf(user))}`;

async function why(server, user = 'alice') {
  const answer = await server.get(`${pathOf(user)}/why`);
  assert.equal(answer.status, 200, answer.body);
  return answer.json();
}
const kinds = ({ facts }) => facts.map((fact) => fact.kind);
const users = (...names) => Object.fromEntries(names.map((name) => [aorOf(name), { password: 'p' }]));
const phoneOf = (t, server, kind, user, options) => openPhone(t, server, kind, { user, password: 'p', ...options });

describe('one AOR', () => {
  const server = withServer({ users: users(...KINDS, 'many', 'gone', 'never') });

  for (const kind of KINDS)
    it(`${kind}: its binding, its flow, and what led to it`, async (t) => {
      const phone = await phoneOf(t, server, kind, kind);
      const before = Date.now();
      assertStatus(await phone.register({ expires: 600 }), 200);
      const answer = await server.get(pathOf(kind));
      assert.equal(answer.status, 200, answer.body);
      const shown = answer.json();
      assert.deepEqual([shown.aor, shown.reachable, shown.bindings.length], [aorOf(kind), true, 1]);
      const [binding] = shown.bindings;
      const [listed] = await server.bindingsOf(kind);
      for (const name of Object.keys(listed)) if (name !== 'aor' && name !== 'expiresIn') assert.deepEqual(binding[name], listed[name], name);
      assert.equal(binding.flowState, kind === 'udp' ? 'datagram' : 'open');
      assert.equal(binding.unansweredPings, 0);
      if (kind === 'udp') assert.equal(binding.heardTime, null);
      else assertBetween(binding.heardTime, before - 200, Date.now(), 'heardTime'); // to a tick of the loop

      const told = await why(server, kind);
      assert.deepEqual(told.bindings.map((one) => one.contact), [phone.uri]);
      assert.deepEqual(kinds(told), kind === 'udp' ? ['challenged', 'granted'] : ['connected', 'challenged', 'granted']);
      assert.match(told.sentence, new RegExp(`^Reachable: over ${kind} at 127\\.0\\.0\\.1:\\d+,.* for another (9|10) min\\.$`));
      for (const fact of told.facts) {
        assertBetween(fact.time, before - 10000, Date.now(), fact.kind);
        assert.equal(fact.protocol, kind);
        assert.match(fact.source, /^127\.0\.0\.1:\d+$/);
        assert.equal(fact.flow, kind === 'udp' ? null : binding.flow);
        assert.ok(fact.text.length > 0 && fact.times === 1);
      }
    });

  it('its connections are found on whichever thread they are', async (t) => {
    const phones = [];
    for (let i = 0; i < 8; i++) phones.push(await phoneOf(t, server, KINDS[1 + (i % 4)], 'many'));
    for (const phone of phones) assertStatus(await phone.register(), 200);
    const { bindings } = (await server.get(pathOf('many'))).json();
    assert.equal(bindings.length, 8);
    assert.ok(new Set(bindings.map((binding) => binding.flow.split('.')[0])).size === 2, 'both threads have some'); // else by chance 1 in 128
    for (const binding of bindings) assert.equal(binding.flowState, 'open', binding.contact);
    phones[0].client.socket.destroy();
    await until('seven are left', async () => (await server.get(pathOf('many'))).json().bindings.length === 7);
  });

  it('nobody: 404, and why says so', async () => {
    for (const user of ['never', 'nobody']) {
      const answer = await server.get(pathOf(user));
      assert.deepEqual([answer.status, answer.json().error.code], [404, 'not_found']);
      const told = await why(server, user);
      assert.deepEqual([told.reachable, told.bindings, told.facts], [false, [], []]);
      assert.match(told.sentence, /^Not registered: in the \d+ \w+ that this node remembers, it had nothing to do with this AOR\.$/);
    }
  });

  it('how it is written: sip: before it, its domain in any case, escapes', async (t) => {
    const phone = await phoneOf(t, server, 'tcp', 'many');
    assertStatus(await phone.register(), 200);
    for (const written of [`sip:many@${DOMAIN}`, `many@${DOMAIN.toUpperCase()}`, `%6dany@${DOMAIN}`])
      assert.equal((await server.get(`/api/v1/aors/${encodeURIComponent(written)}`)).json().aor, aorOf('many'));
    assert.equal((await server.get('/api/v1/aors/%zz')).json().error.code, 'bad_path');
    assert.equal((await server.get('/api/v1/aors//why')).status, 404);
    assert.equal((await server.api('PUT', `${pathOf('many')}/why`)).status, 405);
  });

  it('refreshes in a row are one fact, and no more than 32 are told', async (t) => {
    const phone = await phoneOf(t, server, 'ws', 'many');
    assertStatus(await phone.register(), 200);
    for (let i = 0; i < 5; i++) assertStatus(await phone.send(phone.build()), 200);
    const last = (await why(server, 'many')).facts.at(-1);
    assert.deepEqual([last.kind, last.times], ['refreshed', 5]);
    for (let i = 0; i < 40; i++) assertStatus(await phone.send(phone.build({ contact: null })), 401);
    const { facts } = await why(server, 'many');
    assert.deepEqual([facts.length, new Set(facts.map((fact) => fact.kind)).size], [32, 1]);
  });
});

describe('why it is not reachable', () => {
  const callback = withCallback({ users: { [`alice@${ASKED}`]: 'p' } });
  const server = withServer({
    users: users('closed', 'dead', 'silent', 'wrong', 'left', 'late', 'removed', 'evicted'),
    config: {
      realms: { [ASKED]: { authCallback: callback.config() }, '*': {} },
      registrar: { minExpires: 1, graceSeconds: 1, maxContacts: 2 },
      ws: { pingSeconds: 1 },
    },
  });
  const sentenceIs = (user, pattern) =>
    until(`${user}: ${pattern}`, async () => {
      const told = await why(server, user);
      return !told.reachable && pattern.test(told.sentence) && told;
    });

  it('its client closed the WebSocket: with which code', async (t) => {
    const phone = await phoneOf(t, server, 'ws', 'closed');
    assertStatus(await phone.register(), 200);
    phone.client.socket.close(4001);
    const told = await sentenceIs('closed', /^Not registered: its connection closed: the client closed it \(close code 4001\), \d+ s ago; and took its binding along\.$/);
    assert.equal(kinds(told).at(-1), 'flow-closed');
  });

  for (const kind of ['tcp', 'tls', 'ws', 'wss'])
    it(`${kind}: its connection broke`, async (t) => {
      const phone = await phoneOf(t, server, kind, 'dead');
      assertStatus(await phone.register(), 200);
      (phone.client.socket._socket ?? phone.client.socket).destroy();
      await sentenceIs('dead', /its connection closed: ended by the client without a goodbye, or broken, \d+ s ago/);
    });

  it('it answered no ping', async (t) => {
    const phone = await phoneOf(t, server, 'ws', 'silent', { autoPong: false });
    assertStatus(await phone.register(), 200);
    await until('a ping is not answered', async () => / \(\d pings? not answered yet\)/.test((await why(server, 'silent')).sentence));
    await sentenceIs('silent', /its connection closed: the client answered no ping \(ws\.pingSeconds\)/);
  });

  it('it gave a wrong password, or none', async (t) => {
    const phone = await phoneOf(t, server, 'udp', 'wrong', { password: 'x' });
    await phone.challenge();
    await sentenceIs('wrong', /^Not registered: challenged \(401\): no credentials for this realm, \d+ s ago; no REGISTER with credentials followed\.$/);
    assertStatus(await phone.register(), 403);
    await sentenceIs('wrong', /^Not registered: refused \(403\): wrong password, \d+ s ago\.$/);
  });

  it('it unregistered', async (t) => {
    const phone = await phoneOf(t, server, 'tcp', 'left');
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.unregister(), 200);
    await sentenceIs('left', /^Not registered: unregistered by its client, \d+ s ago\.$/);
    phone.client.socket.destroy();
    await until('its connection closed', async () => kinds(await why(server, 'left')).at(-1) === 'disconnected');
    await sentenceIs('left', /^Not registered: unregistered by its client, \d+ s ago\.$/);
  });

  it('it did not refresh in time', async (t) => {
    const phone = await phoneOf(t, server, 'udp', 'late');
    assertStatus(await phone.register({ expires: 1 }), 200);
    await sentenceIs('late', /^Not registered: expired: it was not refreshed in time, \d+ s ago\.$/);
  });

  it('it asked for too short a time', async (t) => {
    const strict = await startServer(t, { users: users('brief') });
    const phone = await phoneOf(t, strict, 'ws', 'brief');
    assertStatus(await phone.register({ expires: 5 }), 423);
    assert.match((await why(strict, 'brief')).sentence, /^Not registered: not served \(423\): Interval Too Brief, \d+ s ago\.$/);
  });

  it('it was removed by hand, with its connection or without', async (t) => {
    const phones = [await phoneOf(t, server, 'ws', 'removed'), await phoneOf(t, server, 'wss', 'removed')];
    const path = `/api/v1/registrations/${encodeURIComponent(aorOf('removed'))}`;
    for (const phone of phones) assertStatus(await phone.register(), 200);
    assert.equal((await server.api('DELETE', `${path}?closeFlow=perhaps`)).json().error.code, 'bad_query');
    assert.equal((await server.bindingsOf('removed')).length, 2);
    assert.equal((await server.api('DELETE', path)).status, 204);
    await sentenceIs('removed', /^Not registered: removed through the admin API, \d+ s ago\.$/);
    for (const phone of phones) assertStatus(await phone.register(), 200, 'its connection was left alone');
    assert.equal((await server.api('DELETE', `${path}?closeFlow=true`)).status, 204);
    for (const phone of phones) assert.equal(await phone.client.closes(), 1008);
    assert.equal((await server.api('DELETE', `${path}?closeFlow=true`)).status, 404);
  });

  it('one of its contacts made room for another: whose', async (t) => {
    const phones = [];
    for (let i = 0; i < 3; i++) phones.push(await phoneOf(t, server, 'tcp', 'evicted'));
    for (const phone of phones) assertStatus(await phone.register(), 200);
    const told = await why(server, 'evicted');
    const evicted = told.facts.find((fact) => fact.kind === 'evicted');
    assert.match(evicted.text, new RegExp(`make room for a newer one .* from 127\\.0\\.0\\.1:${phones[2].client.localPort}$`));
    assert.equal(told.bindings.length, 2);
  });

  it('what the callback said, and how long it took', async (t) => {
    const phone = await openPhone(t, server, 'wss', { domain: ASKED, password: 'p' });
    const ask = async () => (await server.get(`/api/v1/aors/alice%40${ASKED}/why`)).json();
    callback.once(slowly(120, fail()));
    assertStatus(await phone.register(), 403);
    let { facts, sentence } = await ask();
    const said = facts.find((fact) => fact.kind === 'callback');
    assert.match(said.text, /^the callback was asked, \d+ ms: the callback refuses$/);
    assertBetween(Number(/(\d+) ms/.exec(said.text)[1]), 100, 5000, 'ms');
    assert.match(sentence, /^Not registered: refused \(403\): the callback refuses/);
    callback.once(never);
    await callback.close();
    assertStatus(await phone.register(), 503);
    ({ sentence } = await ask());
    assert.match(sentence, /^Not registered: told to come again in \d+ s \(503\): the callback refuses connections, \d+ s ago; it has not come back since\.$/);
    await callback.start();
  });
});

describe('a connection whose end leaves the binding (registrar.closeRemoves)', () => {
  it('is told as closed, and the AOR as not reachable', async (t) => {
    const server = await startServer(t, { users: users('alice'), config: { registrar: { closeRemoves: [] } } });
    const phone = await phoneOf(t, server, 'tcp', 'alice');
    assertStatus(await phone.register({ expires: 600 }), 200);
    phone.client.socket.destroy();
    const told = await until('it is closed', async () => {
      const now = await why(server);
      return now.bindings[0].flowState === 'closed' && now;
    });
    assert.match(told.sentence, /^Not reachable: it is registered, but its tcp connection is closed; it stays for another (9|10) min \(registrar\.closeRemoves\)\.$/);
  });
});

describe('with limits.journalBytes', () => {
  it('0: nothing is remembered', async (t) => {
    const server = await startServer(t, { users: users('alice'), config: { limits: { journalBytes: 0 } } });
    const phone = await phoneOf(t, server, 'ws', 'alice');
    assertStatus(await phone.register(), 200);
    const told = await why(server);
    assert.deepEqual([told.reachable, told.facts], [true, []]);
  });

  it('for eight facts: the oldest make room', async (t) => {
    const server = await startServer(t, { users: users('alice', 'bob'), config: { workers: 1, limits: { journalBytes: 512 } } });
    const [alice, bob] = [await phoneOf(t, server, 'udp', 'alice'), await phoneOf(t, server, 'udp', 'bob')];
    assertStatus(await alice.register(), 200);
    for (let i = 0; i < 8; i++) await bob.challenge();
    assert.deepEqual((await why(server, 'alice')).facts, []);
    assert.equal((await why(server, 'bob')).facts.length, 8);
  });
});

describe('two nodes of one Redis', () => {
  it('each tells where the other one has it', async (t) => {
    const redis = await startRedis(t);
    const options = { users: users('alice') };
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, options)));
    const phone = await phoneOf(t, one, 'wss', 'alice');
    assertStatus(await phone.register({ expires: 600 }), 200);
    for (let i = 0; i < 8; i++) // whichever thread is asked
      assert.match((await why(one)).sentence, /^Reachable: over wss at 127\.0\.0\.1:\d+, heard \d+ s ago, for another (9|10) min\.$/);
    const told = await why(two);
    assert.deepEqual(told.bindings.map((binding) => [binding.flowState, binding.node, binding.heardTime]), [['elsewhere', 'n1', null]]);
    assert.match(told.sentence, /^Reachable: through node n1, over wss, for another (9|10) min\.$/);
    phone.client.close();
    await until('both know', async () => !(await why(one)).reachable && !(await why(two)).reachable);
  });
});
