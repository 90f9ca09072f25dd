// Bindings in Redis (SPEC 6), layout `hash`: what is written, for how long, and that several nodes
// share it without losing anything.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, inParallel, scaled, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN } from './lib/server.mjs';
import { KINDS } from './lib/clients.mjs';
import { fleetUsers, openFleet } from './lib/fleet.mjs';
import { openPhone } from './lib/phone.mjs';
import { keyOf, startNode, startRedis, withNode, withRedis } from './lib/redis.mjs';

const TOP = ['contact', 'expiryTime', 'protocol', 'proxy', 'sbcAddress'];
const MEMBERS = [
  'contact', 'protocol', 'sbcAddress', 'proxy', 'expiryTime', 'q', 'callId', 'cseq', 'instance', 'regId', 'path', 'userAgent', 'nat', 'node',
  'flow', 'grant',
];
const at = (port, user = 'alice') => `sip:${user}@127.0.0.1:${port}`;
const sorted = (list) => [...list].sort();

function assertUnavailable(response, why) {
  assertStatus(response, 503, why);
  assert.match(response.get('Retry-After') ?? '', /^[1-9]\d*$/, `${why}\n${response.text}`);
}

describe('what is written', () => {
  const redis = withRedis();
  const node = withNode(redis, 'n1');
  const fresh = async (t, kind = 'tcp', options = {}) => {
    const phone = await openPhone(t, node, kind, options);
    assertStatus(await phone.unregister(), 200);
    return phone;
  };
  const own = () => node.listeners[0].replace(/^udp:\/\//, '');

  for (const kind of KINDS)
    it(`${kind}: a hash for each AOR, its fields, and the time it stays`, async (t) => {
      const phone = await fresh(t, kind);
      const before = Date.now();
      assertStatus(await phone.register({ expires: 600, headers: [['User-Agent', 'Desk "1" Å']] }), 200);
      const after = Date.now();

      assert.equal(await redis.client.type(keyOf('alice')), 'hash');
      const fields = await redis.hgetall('alice');
      const ids = Object.keys(fields).filter((name) => name.startsWith('binding:'));
      assert.deepEqual(sorted(Object.keys(fields).filter((name) => !ids.includes(name))), TOP);
      assert.equal(ids.length, 1);
      assert.equal(fields.contact, phone.uri);
      assert.equal(fields.protocol, kind);
      assert.equal(fields.sbcAddress, own());
      assert.match(fields.proxy, /^sip:127\.0\.0\.1:\d+$/);
      if (phone.client.localPort) assert.equal(fields.proxy, `sip:127.0.0.1:${phone.client.localPort}`);
      assert.match(fields.expiryTime, /^\d{13}$/, 'Unix time in ms');
      assertBetween(Number(fields.expiryTime), before + 599000, after + 600000, 'the granted time, without grace');
      assertBetween(await redis.client.pttl(keyOf('alice')), 608000, 610000, 'grant and grace');

      const binding = JSON.parse(fields[ids[0]]);
      for (const name of MEMBERS) assert.ok(name in binding, `${name} in ${fields[ids[0]]}`);
      const { flow, cseq, expiryTime, ...rest } = binding;
      assert.equal(expiryTime, Number(fields.expiryTime));
      assert.equal(cseq, phone.cseq);
      if (kind === 'udp') assert.equal(flow, null);
      else assert.equal(typeof flow, 'string');
      const expected = {
        contact: phone.uri, protocol: kind, sbcAddress: own(), proxy: fields.proxy, q: 1, callId: phone.callId, instance: null, regId: null,
        path: [], userAgent: 'Desk "1" Å', nat: false, node: 'n1', grant: null,
      };
      for (const [name, value] of Object.entries(expected)) assert.deepEqual(rest[name], value, name);

      assertStatus(await phone.register({ contact: `${phone.contact};expires=0` }), 200);
      assert.equal(await redis.client.exists(keyOf('alice')), 0, 'a removal leaves nothing');
    });

  it('everything that a binding may have', async (t) => {
    const phone = await fresh(t);
    const instance = '"<urn:uuid:00000000-0000-4000-8000-00000000beef>"';
    const path = ['<sip:edge2.example.net;lr;ob>', '<sip:edge1.example.net;lr>'];
    const response = await phone.register({
      contact: `${phone.contact};q=0.25;reg-id=2;+sip.instance=${instance};expires=300`,
      headers: [['Supported', 'path, outbound'], ...path.map((value) => ['Path', value])],
    });
    assertStatus(response, 200);
    const [binding] = await redis.bindings('alice');
    assert.equal(binding.q, 0.25);
    assert.equal(binding.regId, 2);
    assert.equal(binding.instance, instance.slice(1, -1));
    assert.deepEqual(binding.path, path);
    const [listed] = await node.bindingsOf('alice');
    for (const name of MEMBERS) assert.deepEqual(listed[name], binding[name], `${name} as it is listed`);
  });

  it('behind NAT the true source is stored', async (t) => {
    const phone = await fresh(t, 'udp');
    assertStatus(await phone.register({ contact: '<sip:alice@10.1.2.3:5060>', expires: 600 }), 200);
    const [binding] = await redis.bindings('alice');
    assert.equal(binding.nat, true);
    assert.equal(binding.proxy, `sip:127.0.0.1:${phone.client.localPort}`);
    assertBetween(await redis.client.pttl(keyOf('alice')), 38000, 40000, 'nat.expires and grace');
  });

  it('the top fields are those of the newest binding; a refresh makes it the newest', async (t) => {
    const phone = await fresh(t);
    const register = async (port, expires) => {
      assertStatus(await phone.register({ contact: `<${at(port)}>`, expires }), 200);
      await timerPasses(2); // so that no two are of the same millisecond
    };
    const newest = async () => {
      const { contact, expiryTime } = await redis.hgetall('alice');
      const own = (await redis.bindings('alice')).find((binding) => binding.contact === contact);
      assert.equal(Number(expiryTime), own.expiryTime, 'of the same binding');
      return contact;
    };
    await register(5001, 600);
    await register(5002, 300);
    assert.equal(await newest(), at(5002));
    assert.equal((await redis.bindings('alice')).length, 2);
    assertBetween(await redis.client.pttl(keyOf('alice')), 607000, 610000, 'until the last of them ends');
    await register(5001, 400);
    assert.equal(await newest(), at(5001));
    assert.equal((await redis.bindings('alice')).length, 2);
    assertBetween(await redis.client.pttl(keyOf('alice')), 407000, 410000, 'and no longer');
    assertStatus(await phone.register({ contact: `<${at(5001)}>;expires=0` }), 200);
    assert.equal(await newest(), at(5002), 'the one that is left');
  });

  for (const kind of KINDS)
    it(`${kind}: a cached refresh moves the time`, async (t) => {
      const phone = await fresh(t, kind);
      assertStatus(await phone.register({ expires: 600 }), 200);
      const first = await redis.hgetall('alice');
      await timerPasses(30);
      assertStatus(await phone.send(phone.build({ expires: 600 })), 200);
      const second = await redis.hgetall('alice');
      assertBetween(Number(second.expiryTime) - Number(first.expiryTime), 20, 3000, 'later');
      const [binding] = await redis.bindings('alice');
      assert.equal(binding.cseq, phone.cseq);
      assert.equal(binding.expiryTime, Number(second.expiryTime));
    });

  for (const kind of KINDS.filter((other) => other !== 'udp'))
    it(`${kind}: a connection that closes takes its binding along at once, and no other`, async (t) => {
      const phone = await fresh(t, kind);
      const desk = await openPhone(t, node, 'udp');
      assertStatus(await desk.register(), 200);
      assertStatus(await phone.register(), 200);
      assert.equal((await redis.hgetall('alice')).contact, phone.uri);
      await phone.close();
      await until('it is gone', async () => (await redis.bindings('alice')).length === 1, 1000);
      assert.equal((await redis.hgetall('alice')).contact, desk.uri);
      await desk.unregister();
    });

  it('all or nothing: what is refused leaves no trace', async (t) => {
    const phone = await fresh(t);
    assertStatus(await phone.register({ contact: [`<${at(5001)}>`, `<${at(5002)}>;expires=5`] }), 423);
    assertStatus(await (await openPhone(t, node, 'tcp', { password: 'guess' })).register(), 403);
    assert.equal(await redis.client.exists(keyOf('alice')), 0);
  });

  it('SCRIPT FLUSH does no harm', async (t) => {
    const phone = await fresh(t);
    assertStatus(await phone.register(), 200);
    await redis.client.script('FLUSH');
    assertStatus(await phone.send(phone.build()), 200);
    await redis.client.script('FLUSH');
    assertStatus(await phone.unregister(), 200);
    assert.equal(await redis.client.exists(keyOf('alice')), 0);
  });

  it('what is no binding in the hash does no harm', async (t) => {
    const phone = await fresh(t);
    const second = `<sip:second@${phone.host}>`;
    assertStatus(await phone.register(), 200);
    for (const odd of ['5', 'null', '"x"', '[]', '{}', '{"refreshedTime":"9"}', '{"refreshedTime":9}', 'garbage', '']) {
      await redis.client.hset(keyOf('alice'), 'binding:00000000000000aa', odd);
      assertStatus(await phone.register({ contact: second }), 200, odd);
      assertStatus(await phone.register({ contact: `${second};expires=0` }), 200, odd);
      assertStatus(await phone.register(), 200, odd);
      assert.equal((await node.bindingsOf('alice')).length, 1, odd);
    }
    assertStatus(await phone.unregister(), 200);
    assert.equal(await redis.client.exists(keyOf('alice')), 0);
  });

  const others = [
    ['a string', (key) => redis.client.set(key, 'somebody else')],
    ['a list', (key) => redis.client.rpush(key, 'a', 'b')],
    ['a set', (key) => redis.client.sadd(key, 'a')],
  ];
  for (const [what, write] of others)
    it(`${what} where a hash should be: 503 for that AOR only, and it is left alone`, async (t) => {
      const phone = await fresh(t);
      const bob = await fresh(t, 'tcp', { user: 'bob' });
      await write(keyOf('alice'));
      const type = await redis.client.type(keyOf('alice'));
      assertUnavailable(await phone.register(), what);
      assertUnavailable(await phone.unregister(), what);
      assertStatus(await bob.register(), 200);
      assert.equal(await node.isReady(), true);
      assert.equal((await node.bindingsOf('bob')).length, 1);
      assert.equal(await redis.client.type(keyOf('alice')), type);
      await redis.client.del(keyOf('alice'));
      assertStatus(await phone.register(), 200);
    });
});

describe('time', () => {
  const redis = withRedis();
  const node = withNode(redis, 'n1', { config: { registrar: { minExpires: 1, graceSeconds: 1 } } });

  it('one binding ends within a hash that stays', async (t) => {
    const phone = await openPhone(t, node, 'tcp');
    assertStatus(await phone.register({ contact: `<${at(5001)}>`, expires: 600 }), 200);
    await timerPasses(2);
    assertStatus(await phone.register({ contact: `<${at(5002)}>`, expires: 1 }), 200);
    assert.equal((await redis.hgetall('alice')).contact, at(5002));
    const began = Date.now();
    await until('it has gone', async () => (await redis.bindings('alice')).length === 1, 6000);
    assert.ok(Date.now() - began > 900, 'not before its time');
    assert.equal((await redis.hgetall('alice')).contact, at(5001));
    assert.deepEqual((await node.bindingsOf('alice')).map((binding) => binding.contact), [at(5001)]);
    assertStatus(await phone.unregister(), 200);
  });

  it('the last one takes the hash along, even if its node is no more', async (t) => {
    const brief = await startNode(redis, 'n2', { config: { registrar: { minExpires: 1, graceSeconds: 1 } } });
    const phone = await openPhone(t, brief, 'udp', { user: 'bob' });
    assertStatus(await phone.register({ expires: 1 }), 200);
    await brief.kill();
    assert.equal(await redis.client.exists(keyOf('bob')), 1);
    await until('Redis ends it', async () => (await redis.client.exists(keyOf('bob'))) === 0, 4000);
  });

  it('a binding outlives its grant by the grace, as clients refresh at the last moment', async (t) => {
    const phone = await openPhone(t, node, 'udp', { user: 'carol' });
    const began = Date.now();
    assertStatus(await phone.register({ expires: 1 }), 200);
    await until('its grant is over', () => Date.now() - began > 1200, 3000);
    assert.equal((await redis.bindings('carol')).length, 1);
    assertStatus(await phone.send(phone.build({ expires: 1 })), 200, 'late, and not too late: no new proof');
    const refreshed = Date.now();
    await until('the first grace would be over', () => Date.now() - began > 2200, 4000);
    if (Date.now() - refreshed < 1900) assert.equal((await redis.bindings('carol')).length, 1);
  });
});

describe('two nodes', () => {
  const CROWD = 40;
  const EACH = Math.max(4, scaled(50));
  const redis = withRedis();
  const options = { users: { ...fleetUsers(600), ...Object.fromEntries(['alice', 'bob'].map((user) => [`${user}@${DOMAIN}`, { password: 'p' }])) } };
  const config = { registrar: { maxContacts: 300 }, limits: { connectionsPerIp: 10000 } };
  const one = withNode(redis, 'n1', { ...options, config });
  const two = withNode(redis, 'n2', { ...options, config });
  const alice = (t, node, kind = 'tcp', more = {}) => openPhone(t, node, kind, { password: 'p', ...more });

  it('both keep their contacts; each lists both', async (t) => {
    const here = await alice(t, one, 'ws');
    const there = await alice(t, two, 'udp');
    assertStatus(await here.register(), 200);
    const response = await there.register();
    assertStatus(response, 200);
    assert.deepEqual(response.contacts.map((contact) => contact.uri), [there.uri, here.uri]);
    for (const node of [one, two]) {
      const listed = await node.bindingsOf('alice');
      assert.deepEqual(sorted(listed.map((binding) => [binding.contact, binding.node].join())), sorted([`${here.uri},n1`, `${there.uri},n2`]));
    }
    const addresses = (await redis.bindings('alice')).map((binding) => binding.sbcAddress);
    assert.deepEqual(sorted(addresses), sorted([one, two].map((node) => node.listeners[0].slice('udp://'.length))));
    assertStatus(await here.send(here.build()), 200, 'a refresh');
    await here.close();
    await until('the one of the closed connection is gone', async () => (await two.bindingsOf('alice')).length === 1, 2000);
    assertStatus(await there.unregister(), 200);
    assert.equal(await redis.client.exists(keyOf('alice')), 0);
  });

  it('one removes what the other has registered', async (t) => {
    const here = await alice(t, one);
    const there = await alice(t, two);
    assertStatus(await here.register(), 200);
    assertStatus(await there.unregister(), 200);
    assert.equal(await redis.client.exists(keyOf('alice')), 0);
    assert.deepEqual(await one.bindingsOf('alice'), []);
    // And the first does not take its word for it: what is gone is registered anew, not refreshed.
    assertStatus(await here.send(here.build()), 401);
    assertStatus(await here.register(), 200);
    assertStatus(await here.unregister(), 200);
  });

  it('the order of CSeq holds over both', async (t) => {
    const here = await alice(t, one);
    const there = await alice(t, two, 'tcp', { user: 'alice' });
    here.cseq = 50;
    assertStatus(await here.register({ expires: 600 }), 200);
    there.callId = here.callId;
    there.cseq = 5;
    assertStatus(await there.register({ contact: here.contact, expires: 300 }), 500);
    const [binding] = await redis.bindings('alice');
    assert.equal(binding.node, 'n1');
    there.cseq = 90;
    assertStatus(await there.register({ contact: here.contact, expires: 300 }), 200, 'a higher one');
    assert.equal((await redis.bindings('alice'))[0].node, 'n2');
    assertStatus(await there.unregister(), 200);
  });

  it('a client that has moved to the other node keeps one binding', async (t) => {
    const instance = ';+sip.instance="<urn:uuid:00000000-0000-4000-8000-0000000000aa>"';
    const before = await alice(t, one, 'ws');
    assertStatus(await before.register({ contact: before.contact + instance }), 200);
    const after = await alice(t, two, 'ws');
    const response = await after.register({ contact: after.contact + instance });
    assertStatus(response, 200);
    assert.deepEqual(response.contacts.map((contact) => contact.uri), [after.uri]);
    await before.close(); // the close of the old one must not take the new one along
    await timerPasses(300);
    assert.deepEqual((await redis.bindings('alice')).map((binding) => binding.contact), [after.uri]);
    assertStatus(await after.unregister(), 200);
  });

  it('maxContacts counts over both', async (t) => {
    for (const overflow of ['reject', 'replaceOldest']) {
      const strict = { ...options, config: { registrar: { maxContacts: 2, overflow } } };
      const own = await startRedis(t);
      const nodes = await Promise.all(['n1', 'n2'].map((name) => startNode(own, name, strict)));
      const phones = [await alice(t, nodes[0]), await alice(t, nodes[1]), await alice(t, nodes[0])];
      for (const phone of phones.slice(0, 2)) {
        assertStatus(await phone.register(), 200);
        await timerPasses(2);
      }
      assertStatus(await phones[2].register(), overflow === 'reject' ? 403 : 200, overflow);
      const expected = overflow === 'reject' ? phones.slice(0, 2) : phones.slice(1);
      assert.deepEqual(sorted((await own.bindings('alice')).map((binding) => binding.contact)), sorted(expected.map((phone) => phone.uri)));
    }
  });

  it(`${CROWD * EACH} phones of ${CROWD} AORs register, refresh and leave at once over both: nothing is lost`, async (t) => {
    const fleets = await Promise.all([one, two].map((node) => openFleet(t, node, CROWD * EACH / 2)));
    const phones = fleets.flat();
    phones.forEach((phone, i) => {
      phone.user = `u${i % CROWD}`;
      phone.name = `p${i}`;
    });
    const contactsOf = async () => sorted((await redis.contacts('user:u*')).map((pair) => pair.join(' ')));
    const expected = (list) => sorted(list.map((phone) => `${phone.user}@${DOMAIN} ${phone.uri}`));

    await inParallel(phones.length, 200, async (i) => assertStatus(await phones[i].register({ expires: 600 }), 200));
    assert.deepEqual(await contactsOf(), expected(phones));

    await inParallel(phones.length, 200, async (i) => {
      const phone = phones[i];
      const leaves = i % 3 === 0;
      const answer = leaves ? await phone.register({ contact: `${phone.contact};expires=0` }) : await phone.send(phone.build({ expires: 600 }));
      assertStatus(answer, 200, leaves ? 'leaves' : 'refreshes');
    });
    const left = phones.filter((_, i) => i % 3 !== 0);
    assert.deepEqual(await contactsOf(), expected(left));

    await inParallel(left.length, 200, async (i) => assertStatus(await left[i].register({ contact: `${left[i].contact};expires=0` }), 200));
    assert.deepEqual(await contactsOf(), []);
  });

  it('all of them can be listed by pages, on either node', async (t) => {
    const count = Math.max(50, scaled(600));
    const fleet = await openFleet(t, one, count);
    await inParallel(count, 100, async (i) => assertStatus(await fleet[i].register({ expires: 600 }), 200));
    for (const node of [one, two]) {
      const seen = [];
      let cursor = null;
      do {
        const page = (await node.get(`/api/v1/registrations?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)).json();
        seen.push(...page.registrations.map((binding) => binding.aor));
        cursor = page.cursor;
        assert.ok(seen.length <= 3 * count, 'no end');
      } while (cursor !== null);
      assert.deepEqual(sorted(new Set(seen)), sorted(fleet.map((phone) => `${phone.user}@${DOMAIN}`)));
    }
    assert.equal((await two.registrations(`realm=${DOMAIN}&limit=1000`)).length, count);
    assert.equal((await two.registrations('realm=ample.com&limit=1000')).length, 0);
    await inParallel(count, 100, async (i) => assertStatus(await fleet[i].unregister(), 200));
    assert.equal((await redis.contacts()).length, 0);
  });
});

describe('configuration', () => {
  it('an ACL user who may do nothing dangerous', async (t) => {
    const config = '--user default off --user admin on >root ~* &* +@all --user aorta on >s3cret ~* &* +@all -@dangerous'.split(' ');
    const redis = await startRedis(t, { config, auth: { username: 'admin', password: 'root' } });
    const node = await startNode(redis, 'n1', { config: { redis: { username: 'aorta', password: 's3cret' } } });
    const phone = await openPhone(t, node, 'ws');
    assertStatus(await phone.register(), 200);
    assert.equal((await redis.bindings('alice')).length, 1);
    assert.equal(await node.isReady(), true);
  });

  it('a password alone (requirepass), a database and a prefix', async (t) => {
    const redis = await startRedis(t, { config: ['--requirepass', 's3cret'], auth: { password: 's3cret' } });
    const node = await startNode(redis, 'n1', { config: { redis: { password: 's3cret', db: 3, prefix: 'jb:user:' } } });
    assertStatus(await (await openPhone(t, node, 'udp')).register(), 200);
    assert.equal(await redis.client.dbsize(), 0, 'nothing in database 0');
    await redis.client.select(3);
    assert.equal(await redis.client.type(`jb:user:alice@${DOMAIN}`), 'hash');
    assert.equal((await node.bindingsOf('alice')).length, 1);
    assert.deepEqual(await redis.client.keys(`user:*`), []);
  });

  for (const [what, wrong] of [['password', { password: 'wrong' }], ['user', { username: 'nobody', password: 's3cret' }]])
    it(`a wrong ${what}: not ready, 503, and the log says why without the password`, async (t) => {
      const redis = await startRedis(t, { config: ['--requirepass', 's3cret'], auth: { password: 's3cret' } });
      const node = await redis.node('n1', { config: { redis: wrong } }).start();
      await node.ready(false);
      assertUnavailable(await (await openPhone(t, node, 'udp')).register(), what);
      assert.match(node.stderr, /WRONGPASS|NOAUTH|password/i);
      assert.doesNotMatch(node.stderr, /s3cret/);
    });

  it('two prefixes in one database are two systems', async (t) => {
    const redis = await startRedis(t);
    const nodes = await Promise.all(['a:', 'b:'].map((prefix, i) => startNode(redis, `n${i}`, { config: { redis: { prefix } } })));
    assertStatus(await (await openPhone(t, nodes[0], 'udp')).register(), 200);
    assert.deepEqual(await nodes[1].registrations(), []);
    assert.equal((await nodes[0].registrations()).length, 1);
  });

  it('the status page counts what this node holds, and says how the store is', async (t) => {
    const redis = await startRedis(t);
    const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name)));
    const client = await openPhone(t, one, 'ws');
    assertStatus(await client.register(), 200);
    assert.equal((await one.page('/api/v1/status')).json().registrations.ws, 1);
    assert.ok('store' in (await two.page('/api/v1/status')).json());
  });

  it('an AOR with odd characters', async (t) => {
    const redis = await startRedis(t);
    const user = 'a!b$c&d*e(f)g_h-i.j~k+l=m';
    const node = await startNode(redis, 'n1', { users: { [`${user}@${DOMAIN}`]: { password: 'p' } } });
    const phone = await openPhone(t, node, 'tcp', { user, password: 'p' });
    assertStatus(await phone.register(), 200);
    assert.equal((await redis.bindings(user)).length, 1);
    assert.equal((await node.bindingsOf(user)).length, 1);
    assertStatus(await phone.unregister(), 200);
    assert.equal(await redis.client.exists(keyOf(user)), 0);
  });
});
