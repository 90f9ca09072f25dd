// Redis in trouble (SPEC 6): away, empty, frozen, full, read-only. What this node holds is refreshed,
// nothing new gets a 200 that was not stored, and whatever was said to clients holds in the end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SANITIZED, assertStatus, inParallel, patient, scaled, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN, freePort } from './lib/server.mjs';
import { fleetUsers, openFleet } from './lib/fleet.mjs';
import { Phone, openPhone } from './lib/phone.mjs';
import { LightWsClient } from './lib/raw_ws.mjs';
import { RedisServer, keyOf, startNode, startRedis } from './lib/redis.mjs';

function assertUnavailable(response, why) {
  assertStatus(response, 503, why);
  assert.match(response.get('Retry-After') ?? '', /^[1-9]\d*$/, `${why}\n${response.text}`);
}

const pairOf = (phone) => `${phone.user}@${DOMAIN} ${phone.uri}`;
const storedIn = async (redis) => new Set((await redis.contacts()).map((pair) => pair.join(' ')));

/** Redis has the bindings of all `phones`, within `ms`. */
async function areStored(redis, phones, what, ms = 5000) {
  let missing = [];
  const isDone = async () => {
    const stored = await storedIn(redis);
    missing = phones.map(pairOf).filter((pair) => !stored.has(pair));
    return missing.length === 0;
  };
  await until(what, isDone, ms).catch((error) => assert.fail(`${error.message}: ${missing.length} of ${phones.length} missing, as ${missing[0]}`));
}

/** Neither Redis nor the node has those of `phones` any more. */
async function areGone(redis, node, phones, what, ms = 5000) {
  await until(what, async () => {
    const stored = await storedIn(redis);
    return phones.every((phone) => !stored.has(pairOf(phone)));
  }, ms);
  for (const { user } of phones) assert.deepEqual(await node.bindingsOf(user), [], what);
}

const refresh = (phone) => phone.send(phone.build({ expires: 600 }));
const registerAll = (phones) => inParallel(phones.length, 100, async (i) => assertStatus(await phones[i].register({ expires: 600 }), 200, phones[i].user));

/** `count` phones over WSS, light enough for hundreds; users from u`first` on. */
async function openWebs(t, server, count, first) {
  const phones = [];
  await inParallel(count, 20, async (i) => {
    const client = await LightWsClient.open(server.port.wss, { kind: 'wss' });
    t.after(() => client.close());
    phones[i] = await Phone.open(null, 'wss', { user: `u${first + i}`, password: 'p', client });
  });
  return phones;
}

/** Runs `step` again and again in `width` lanes until stop(), which also tells what failed. */
function keepOn(width, step) {
  let isRunning = true;
  const lane = async (number) => {
    for (let round = 0; isRunning; round++) if ((await step(number, round)) === false) return;
  };
  const ended = Promise.all(Array.from({ length: width }, (_, number) => lane(number)));
  ended.catch(() => {});
  return () => {
    isRunning = false;
    return ended;
  };
}

describe('Redis is killed under load and comes back empty', () => {
  const DESKS = scaled(2000);
  const WEBS = scaled(200);
  const LEAVERS = 10;
  const NEWCOMERS = 1500;
  const users = fleetUsers(DESKS + WEBS + LEAVERS + NEWCOMERS);

  it(`${DESKS} UDP and ${WEBS} WSS clients stay registered, and nobody new is let in meanwhile`, { timeout: patient(90000) }, async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', { users, config: { limits: { connectionsPerIp: 5000 } } });
    const held = [...(await openFleet(t, node, DESKS)), ...(await openWebs(t, node, WEBS, DESKS))];
    const leavers = await openFleet(t, node, LEAVERS, { first: DESKS + WEBS });
    const strangers = await openFleet(t, node, NEWCOMERS, { first: DESKS + WEBS + LEAVERS });
    await registerAll([...held, ...leavers]);
    await areStored(redis, held, 'all are stored', 1000);

    let refreshes = 0;
    const LANES = Math.min(10, held.length);
    const stopRefreshing = keepOn(LANES, async (lane, round) => {
      const own = Math.ceil((held.length - lane) / LANES); // each phone is of one lane: one request at a time
      const phone = held[lane + (round % own) * LANES];
      assertStatus(await refresh(phone), 200, `a refresh of ${phone.user}`);
      refreshes++;
      await timerPasses(5);
    });
    const answers = []; // to strangers
    const stopAsking = keepOn(1, async (_lane, round) => {
      const phone = strangers[round];
      if (!phone) return false;
      const sent = performance.now();
      const response = await phone.register({ expires: 600 });
      answers.push({ phone, response, sent, came: performance.now() });
      await timerPasses(15);
    });
    await until('strangers are let in', () => answers.length > 3);

    await redis.kill();
    await node.ready(false);
    const noticed = performance.now();
    assert.match((await node.page('/readyz')).json().reason, /store|redis/i);
    await inParallel(LEAVERS, LEAVERS, async (i) => assertUnavailable(await leavers[i].unregister(), 'a removal'));
    const refreshedBefore = refreshes;
    await until('refreshes go on', () => refreshes > refreshedBefore + held.length / 2, 10000);
    await until('strangers go on', () => answers.filter(({ sent }) => sent > noticed).length > 10, 10000);
    const over = performance.now();

    await redis.start();
    await areStored(redis, held, 'every living binding is written again', 5000);
    t.diagnostic(`written again ${Math.round(performance.now() - over)} ms after the start of Redis`);
    await node.ready(true);
    await until('strangers are let in again', () => answers.at(-1).response.status === 200);
    await stopRefreshing();
    await stopAsking();

    for (const { response, sent, came } of answers) {
      if (response.status !== 200) assertUnavailable(response, 'a stranger');
      if (sent > noticed && came < over) assertUnavailable(response, 'a stranger while Redis was away');
    }
    const admitted = answers.filter(({ response }) => response.status === 200).map(({ phone }) => phone);
    await areStored(redis, [...held, ...admitted], 'everybody who was told 200 is there');
    await areGone(redis, node, leavers, 'who wanted to leave has left');
  });
});

describe('other faults', { concurrency: SANITIZED ? 1 : 2 }, () => {
  const users = fleetUsers(200);
  const start = async (t, options) => {
    const redis = await startRedis(t, options);
    return { redis, node: await startNode(redis, 'n1', { users }) };
  };

  const faults = [
    {
      what: 'killed, and back with its data',
      options: { aof: true },
      begin: (redis) => redis.kill(),
      end: (redis) => redis.start(),
    },
    {
      what: 'frozen (SIGSTOP)',
      begin: (redis) => redis.pause(),
      end: (redis) => redis.resume(),
    },
    {
      what: 'out of memory',
      isStillThere: true,
      begin: (redis) => redis.client.config('SET', 'maxmemory', '1'),
      end: (redis) => redis.client.config('SET', 'maxmemory', '0'),
    },
    {
      what: 'a read-only replica',
      isStillThere: true,
      begin: (redis) => redis.client.replicaof('127.0.0.1', '1'), // of nobody: what it has it keeps
      end: (redis) => redis.client.replicaof('NO', 'ONE'),
    },
    {
      what: 'a replica that was emptied by its master',
      isStillThere: true,
      begin: async (redis, t) => {
        const master = await startRedis(t);
        await redis.client.replicaof('127.0.0.1', String(master.port));
        await until('it has taken the emptiness over', async () => (await redis.client.dbsize()) === 0, 10000);
      },
      end: (redis) => redis.client.replicaof('NO', 'ONE'),
    },
  ];
  for (const { what, options, begin, end, isStillThere } of faults)
    it(`${what}: refreshes are granted, newcomers are not, and all is well afterwards`, { timeout: patient(60000) }, async (t) => {
      const { redis, node } = await start(t, options);
      const desks = await openFleet(t, node, 30);
      const webs = await openWebs(t, node, 10, 30);
      const [leaver, newcomer] = await openFleet(t, node, 2, { first: 40 });
      const closer = await openPhone(t, node, 'ws', { user: 'u50', password: 'p' });
      const held = [...desks, ...webs];
      await registerAll([...held, leaver, closer]);

      await begin(redis, t);
      await inParallel(held.length, 20, async (i) => assertStatus(await refresh(held[i]), 200, `a refresh of ${held[i].user}`));
      assertUnavailable(await newcomer.register({ expires: 600 }), 'a newcomer');
      assertUnavailable(await held[0].register({ contact: '<sip:another@127.0.0.1:9>' }), 'another contact of somebody known');
      const leaves = await leaver.unregister();
      // A full Redis may still forget something.
      if (!isStillThere || leaves.status !== 200) assertUnavailable(leaves, 'a removal');
      if (!isStillThere) await node.ready(false);
      await closer.close();
      await inParallel(held.length, 20, async (i) => assertStatus(await refresh(held[i]), 200, 'and once more'));

      await end(redis, t);
      await node.ready(true, 10000);
      await until('newcomers are let in', async () => (await newcomer.register({ expires: 600 })).status === 200, 10000);
      await areStored(redis, [...held, newcomer], 'all are stored', 8000);
      await areGone(redis, node, [leaver, closer], 'who has left is gone', 8000);
      // What was granted meanwhile is what is written.
      for (const phone of held)
        await until(`the last refresh of ${phone.user} is written`, async () => (await redis.bindings(phone.user))[0]?.cseq >= phone.cseq, 8000);
      await inParallel(held.length, 20, async (i) => assertStatus(await refresh(held[i]), 200, 'afterwards'));
    });

  it('FLUSHALL by mistake heals by itself within seconds', async (t) => {
    const { redis, node } = await start(t);
    const held = [...(await openFleet(t, node, 50)), ...(await openWebs(t, node, 10, 50))];
    await registerAll(held);
    await redis.client.flushall();
    await areStored(redis, held, 'all are back, though nobody has refreshed', 10000);
    for (const phone of held.slice(0, 5)) {
      const fields = await redis.hgetall(phone.user);
      assert.equal(fields.contact, phone.uri);
      assert.ok((await redis.client.pttl(keyOf(phone.user))) > 500000, 'with its time');
    }
    assertStatus(await refresh(held[0]), 200);
    assertStatus(await held[1].unregister(), 200);
    await timerPasses(1500);
    assert.equal(await redis.client.exists(keyOf(held[1].user)), 0, 'what was removed since stays away');
  });

  it('a refresh after FLUSHALL is granted and stored, without a new proof', async (t) => {
    const { redis, node } = await start(t);
    const held = await openFleet(t, node, 20);
    await registerAll(held);
    await redis.client.flushall();
    for (let i = 0; i < 5 * held.length; i++) {
      assertStatus(await refresh(held[i % held.length]), 200);
      await timerPasses(5);
    }
    await areStored(redis, held, 'stored', 10000);
    // Each worker may see it, and who looks after the lease; not every refresh until that is renewed.
    const seen = node.stderr.match(/redis has lost what it held/g).length;
    assert.ok(seen >= 1 && seen <= 4, `it was seen ${seen} times`);
  });

  it('aorta before Redis: it waits, not ready, and lets nobody in until then', async (t) => {
    const redis = new RedisServer();
    t.after(() => redis.dispose());
    redis.port = await freePort();
    const node = await startNode(redis, 'n1', { users });
    const [phone] = await openFleet(t, node, 1);
    assert.equal(await node.isReady(), false);
    assert.equal((await node.page('/healthz')).status, 200);
    assertUnavailable(await phone.register(), 'before');
    await redis.start();
    await node.ready(true, 5000);
    assertStatus(await phone.register(), 200);
    await areStored(redis, [phone], 'stored', 1000);
  });

  it('it ends in time when Redis is away', async (t) => {
    const { redis, node } = await start(t);
    const webs = await openWebs(t, node, 5, 0);
    await registerAll(webs);
    await redis.kill();
    await node.ready(false);
    await node.stop({ ms: 8000 });
  });

  it('it ends in time when Redis is frozen', async (t) => {
    const { redis, node } = await start(t);
    const webs = await openWebs(t, node, 5, 0);
    await registerAll(webs);
    redis.pause();
    await node.stop({ ms: 8000 });
  });

  it('the client list of Redis stays short over many outages', async (t) => {
    const { redis, node } = await start(t, { aof: true });
    for (let i = 0; i < 5; i++) {
      await redis.client.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await timerPasses(200);
    }
    await node.ready(true, 10000);
    const [phone] = await openFleet(t, node, 1);
    await until('served', async () => (await phone.register()).status === 200);
    const clients = (await redis.client.client('LIST')).trim().split('\n').length;
    assert.ok(clients <= 6, `${clients} connections for two workers and the test`);
  });
});

describe('aorta is killed', () => {
  it('every UDP binding that it acknowledged is in Redis', async (t) => {
    const COUNT = Math.max(60, scaled(400));
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', { users: fleetUsers(COUNT) });
    const fleet = await openFleet(t, node, COUNT);
    const acknowledged = [];
    let killed;
    const work = inParallel(COUNT, 20, async (i) => {
      const response = await fleet[i].register({ expires: 600 });
      if (response.status === 200 && acknowledged.push(fleet[i]) === COUNT / 2) killed = node.kill(); // at once: it is quick
    });
    work.catch(() => {}); // the rest is never answered
    await until('half of them are in', () => acknowledged.length >= COUNT / 2);
    await killed;
    await timerPasses(200); // answers that were on their way
    assert.ok(acknowledged.length < COUNT, 'it was killed in the middle');
    await areStored(redis, acknowledged, 'what was said holds', 1000);
  });
});

describe('who has moved and left', () => {
  const COUNT = 16;
  const users = fleetUsers(COUNT);

  for (const [where, names] of [['another worker', ['n1']], ['another node', ['n1', 'n2']]])
    it(`through ${where} is not written again`, async (t) => {
      const redis = await startRedis(t);
      const nodes = await Promise.all(names.map((name) => startNode(redis, name, { users, config: { workers: 4 } })));
      const instance = (i) => `+sip.instance="<urn:uuid:${i}>"`;
      const keep = await openPhone(t, nodes[0], 'tcp', { user: 'u0', password: 'p' });
      assertStatus(await keep.register({ expires: 600 }), 200);
      for (let i = 1; i < COUNT; i++) {
        const first = await openPhone(t, nodes[0], 'udp', { user: `u${i}`, password: 'p' });
        assertStatus(await first.register({ contact: `${first.contact};${instance(i)}`, expires: 600 }), 200);
        const then = await openPhone(t, nodes.at(-1), 'udp', { user: `u${i}`, password: 'p' });
        const moved = { contact: `${then.contact};${instance(i)}` };
        if (i % 2) assertStatus(await then.register({ ...moved, expires: 600 }), 200);
        assertStatus(await then.register({ ...moved, expires: 0 }), 200);
      }
      await timerPasses(patient(1200)); // a node asks each second what it holds no more
      await redis.kill();
      await redis.start();
      await areStored(redis, [keep], 'who is there is written again');
      for (const node of nodes) await node.ready();
      await timerPasses(300);
      assert.deepEqual(await redis.client.keys('user:*'), [keyOf('u0')]);
    });
});
