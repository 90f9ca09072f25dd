// Several aortas on one Redis, and what becomes of the bindings of one that ends (SPEC 6 and 9):
// those of its connections go, as nobody could be reached through them; those over UDP stay.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertStatus, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN } from './lib/server.mjs';
import { KINDS } from './lib/clients.mjs';
import { openPhone } from './lib/phone.mjs';
import { keyOf, startNode, startRedis } from './lib/redis.mjs';

const REAPED_MS = 10000;
const STREAMS = KINDS.filter((kind) => kind !== 'udp');
const OPTIONS = { config: {}, users: Object.fromEntries(['alice', 'bob', ...KINDS].map((user) => [`${user}@${DOMAIN}`, { password: 'p' }])) };

const phoneOn = (t, node, kind, user) => openPhone(t, node, kind, { user, password: 'p' });

/** A phone of each kind on `node`, each a user of its own, all registered. */
async function oneOfEach(t, node) {
  const phones = {};
  for (const kind of KINDS) {
    phones[kind] = await phoneOn(t, node, kind, kind);
    assertStatus(await phones[kind].register({ expires: 600 }), 200, kind);
  }
  return phones;
}

const pair = async (t, options = OPTIONS) => {
  const redis = await startRedis(t);
  const [one, two] = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, options)));
  return { redis, one, two };
};

const keysOf = async (redis) => (await redis.client.keys('user:*')).sort();
const streamsGone = (redis, ms) =>
  until('bindings of its connections are gone', async () => (await keysOf(redis)).every((key) => !STREAMS.some((kind) => key === keyOf(kind))), ms);

describe('a node that dies (SIGKILL)', { concurrency: true }, () => {
  it("the other one removes its connections' bindings; those over UDP stay, and so do its own", async (t) => {
    const { redis, one, two } = await pair(t);
    await oneOfEach(t, one);
    const bystander = await phoneOn(t, two, 'ws', 'bob');
    assertStatus(await bystander.register({ expires: 600 }), 200);
    await one.kill();
    const killed = Date.now();
    await streamsGone(redis, REAPED_MS);
    t.diagnostic(`gone after ${Date.now() - killed} ms`);
    assert.deepEqual(await keysOf(redis), [keyOf('bob'), keyOf('udp')]);
    assert.equal((await redis.bindings('udp'))[0].node, 'n1');
    assert.deepEqual((await two.registrations()).map((binding) => binding.aor).sort(), [`bob@${DOMAIN}`, `udp@${DOMAIN}`]);
    assertStatus(await bystander.send(bystander.build({ expires: 600 })), 200);
  });

  it('an AOR with contacts on both keeps those of the living one, which become the newest', async (t) => {
    const { redis, one, two } = await pair(t);
    const there = await phoneOn(t, two, 'ws', 'alice');
    assertStatus(await there.register({ expires: 600 }), 200);
    await timerPasses(2);
    const here = await phoneOn(t, one, 'wss', 'alice');
    assertStatus(await here.register({ expires: 600 }), 200);
    assert.equal((await redis.hgetall('alice')).contact, here.uri);
    await one.kill();
    await until('the dead one is gone', async () => (await redis.bindings('alice')).length === 1, REAPED_MS);
    const { contact, protocol } = await redis.hgetall('alice');
    assert.deepEqual({ contact, protocol }, { contact: there.uri, protocol: 'ws' });
  });

  it('alone, its own restart does it', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', OPTIONS);
    const phones = await oneOfEach(t, node);
    await node.kill();
    assert.equal((await keysOf(redis)).length, KINDS.length, 'nobody is there to remove them');
    await node.comeBack();
    await streamsGone(redis, REAPED_MS);
    assert.deepEqual(await keysOf(redis), [keyOf('udp')]);
    assert.deepEqual((await node.registrations()).map((binding) => binding.contact), [phones.udp.uri]);
  });

  it('a client that has come back to it meanwhile is not taken for a dead one', async (t) => {
    const { redis, one, two } = await pair(t);
    await oneOfEach(t, one);
    await one.kill();
    await one.comeBack();
    const again = await phoneOn(t, one, 'ws', 'ws');
    const moved = await phoneOn(t, two, 'tcp', 'tcp');
    for (const phone of [again, moved]) assertStatus(await phone.register({ expires: 600 }), 200);
    await until('the dead ones are gone', async () => (await keysOf(redis)).length === 3, REAPED_MS);
    await timerPasses(3000); // a second look of either would have come by now
    assert.deepEqual(await keysOf(redis), [keyOf('tcp'), keyOf('udp'), keyOf('ws')].sort());
    for (const phone of [again, moved]) {
      assert.deepEqual((await redis.bindings(phone.user)).map((binding) => binding.contact), [phone.uri]);
      assertStatus(await phone.send(phone.build({ expires: 600 })), 200);
    }
  });

  it('its UDP client goes on at another node, and keeps one binding', async (t) => {
    const { redis, one, two } = await pair(t);
    const before = await phoneOn(t, one, 'udp', 'alice');
    assertStatus(await before.register({ expires: 600 }), 200);
    await one.kill();
    const after = await phoneOn(t, two, 'udp', 'alice');
    after.callId = before.callId;
    after.cseq = before.cseq;
    assertStatus(await after.register({ contact: before.contact, expires: 600 }), 200);
    const [binding, ...others] = await redis.bindings('alice');
    assert.deepEqual([binding.contact, binding.node, others.length], [before.uri, 'n2', 0]);
  });

  it('what is configured to outlive its connection does (registrar.closeRemoves)', async (t) => {
    const { redis, one } = await pair(t, { ...OPTIONS, config: { registrar: { closeRemoves: ['ws', 'wss'] } } });
    await oneOfEach(t, one);
    const [stays, goes] = await Promise.all(['tcp', 'ws'].map((kind) => phoneOn(t, one, kind, 'alice')));
    for (const phone of [stays, goes]) assertStatus(await phone.register({ expires: 600 }), 200);
    await one.kill();
    await until('the WebSockets are gone', async () => (await keysOf(redis)).length === 4 && (await redis.bindings('alice')).length < 2, REAPED_MS);
    assert.deepEqual(await keysOf(redis), [keyOf('alice'), keyOf('tcp'), keyOf('tls'), keyOf('udp')]);
    assert.deepEqual((await redis.bindings('alice')).map((binding) => binding.contact), [stays.uri]);
  });
});

describe('a node that ends as it should (SIGTERM)', () => {
  it("removes its connections' bindings at once and keeps those over UDP", async (t) => {
    const { redis, one, two } = await pair(t);
    await oneOfEach(t, one);
    const bystander = await phoneOn(t, two, 'ws', 'bob');
    assertStatus(await bystander.register({ expires: 600 }), 200);
    await one.stop();
    assert.deepEqual(await keysOf(redis), [keyOf('bob'), keyOf('udp')]);
    assert.deepEqual((await two.bindingsOf('udp')).map((binding) => binding.protocol), ['udp']);
  });

  it('the UDP client is refreshed by the same node after its restart', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', OPTIONS);
    const { udp } = await oneOfEach(t, node);
    await node.restart();
    assert.deepEqual(await keysOf(redis), [keyOf('udp')]);
    assertStatus(await udp.register({ expires: 600 }), 200);
    const [binding, ...others] = await redis.bindings('udp');
    assert.equal(others.length, 0);
    assert.equal(binding.cseq, udp.cseq);
    assertStatus(await udp.unregister(), 200);
    assert.deepEqual(await keysOf(redis), []);
  });

  it('with a drain their bindings go as the connections do', async (t) => {
    const { redis, one } = await pair(t, { ...OPTIONS, config: { drainSeconds: 2 } });
    await oneOfEach(t, one);
    one.terminate();
    await streamsGone(redis, 4000);
    await one.stop();
    assert.deepEqual(await keysOf(redis), [keyOf('udp')]);
  });
});
