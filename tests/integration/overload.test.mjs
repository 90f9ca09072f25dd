// More to do than a worker can do: who is served, who waits, who is sent away; and the end of a node
// that has many clients. Nothing is slowed down but by what slows real ones: a process that does not
// get the CPU, a Redis and a callback that take their time.
//   COMING_BACK=10000 node --test overload.test.mjs    with so many clients after a restart
//   LEAVING=5000 node --test overload.test.mjs         with so many clients in a drain
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCallback } from './lib/callback.mjs';
import { SANITIZED, assertBetween, assertStatus, inParallel, patient, scaled, timerPasses, until, within } from './lib/expect.mjs';
import { Phone, openPhone } from './lib/phone.mjs';
import { LightWsClient, RawWs } from './lib/raw_ws.mjs';
import { startNode, startRedis } from './lib/redis.mjs';
import { DOMAIN, startServer } from './lib/server.mjs';
import { token } from './lib/sip.mjs';

const COMING_BACK = Number(process.env.COMING_BACK ?? (SANITIZED ? 1000 : 2000));
const LEAVING = Number(process.env.LEAVING ?? scaled(1500));
const CALLBACK = fileURLToPath(new URL('lib/slow_callback.mjs', import.meta.url));
const STORM = fileURLToPath(new URL('lib/storm.mjs', import.meta.url));
const TRY_LATER = 1013;
const GOING_AWAY = 1001;

/** A process that gets the CPU for `runMs` after each `stopMs` without it, until the test ends or
 * `end()` is called; `set()` changes the two. */
function stutter(t, pid, stopMs, runMs) {
  let times = [stopMs, runMs];
  let timer;
  const go = () => {
    process.kill(pid, 'SIGCONT');
    timer = setTimeout(stop, times[1]);
  };
  const stop = () => {
    process.kill(pid, 'SIGSTOP');
    timer = setTimeout(go, times[0]);
  };
  let hasEnded = false;
  const end = () => {
    clearTimeout(timer);
    if (!hasEnded) process.kill(pid, 'SIGCONT');
    hasEnded = true;
  };
  t.after(end);
  stop();
  return { end, set: (...others) => (times = others) };
}

const LOGGED = {
  1: /overload: newcomers wait outside/,
  2: /overload: new registrations are refused/,
  3: /overload: all registrations are refused/,
  0: /load is normal again/,
};

/** Waits until the log says that `level` was reached, after what it said before. */
async function reaches(server, level, ms) {
  await until(`level ${level}`, () => LOGGED[level].test(server.stderr), ms);
}

function assertRefused(response, why) {
  assertStatus(response, 503, why);
  const [after] = response.headers.filter(([name]) => name === 'Retry-After').map(([, value]) => Number(value));
  assertBetween(after, 5, 15, `${why}: Retry-After`);
}

/** Opens a client of `kind` for test `t`, and registers it. */
async function registered(t, server, kind, options) {
  const phone = await openPhone(t, server, kind, options);
  assertStatus(await phone.register(), 200, `${kind}, before`);
  return phone;
}

/** Someone new is refused; over WebSocket his connection ends so that he comes back by himself. */
async function assertNewIsRefused(t, server, kind, options) {
  const phone = await openPhone(t, server, kind, options);
  assertRefused(await phone.send(phone.build()), `a new one over ${kind}`);
  if (kind.startsWith('ws')) assert.equal(await phone.client.closes(), TRY_LATER, kind);
  else assert.ok(!phone.client.isClosed, kind);
}

describe('a worker that does not get the CPU', () => {
  it('refuses new ones, then all, and goes on as if nothing had been', async (t) => {
    const config = { workers: 1, limits: { lagMs: 60 }, logging: { level: 'info' } };
    const server = await startServer(t, { config });
    const phones = [];
    for (const kind of ['udp', 'tcp', 'ws', 'wss']) phones.push(await registered(t, server, kind));
    const leaver = await registered(t, server, 'ws', { user: 'bob' });

    const cpu = stutter(t, server.pid, 280, 60);
    await reaches(server, 2);
    for (const kind of ['udp', 'tcp', 'ws', 'wss']) await assertNewIsRefused(t, server, kind, { user: 'carol' });
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 200, `a refresh over ${phone.kind}`);
    assertStatus(await leaver.unregister(), 200, 'a removal');
    const second = await Phone.open(server, 'ws', { user: 'carol', client: phones[2].client });
    assertRefused(await second.send(second.build()), 'somebody else over the same connection');
    assertStatus(await phones[2].send(phones[2].build()), 200, 'for whose sake it stays');
    assert.equal((await server.page('/healthz')).status, 200);
    assert.doesNotMatch(server.stderr, LOGGED[3]);

    cpu.set(800, 60);
    await reaches(server, 3, 12000);
    for (const kind of ['udp', 'tcp']) {
      const phone = phones.find((one) => one.kind === kind);
      assertRefused(await phone.send(phone.build()), `a refresh over ${kind}`);
    }

    cpu.end();
    await reaches(server, 0, 8000);
    for (const kind of ['udp', 'tcp', 'ws', 'wss']) await registered(t, server, kind, { user: 'carol' });
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 200, `${phone.kind}, afterwards`);
    const lines = server.stderr.split('\n').filter((line) => /overload|load is normal/.test(line));
    assert.ok(lines.length <= 8, `a line for each change of level:\n${lines.join('\n')}`);
    assert.match(lines[0], /worker=0 late="worker, ms" figure=\d+ mark=(60|180) /);
  });

  it('limits.lagMs 0: nobody is refused', async (t) => {
    const server = await startServer(t, { config: { workers: 1, limits: { lagMs: 0 } } });
    const cpu = stutter(t, server.pid, 300, 60);
    await timerPasses(2000);
    await registered(t, server, 'ws');
    cpu.end();
    assert.doesNotMatch(server.stderr, /overload/);
  });
});

describe('a Redis that takes its time', () => {
  it('new ones are refused, refreshes wait for it', async (t) => {
    const redis = await startRedis(t);
    const config = { workers: 1, limits: { lagMs: 60 }, logging: { level: 'info' }, registrar: { maxContacts: 100 } };
    const server = await startNode(redis, 'late', { config });
    const phone = await registered(t, server, 'tcp');
    const busy = await registered(t, server, 'tcp', { user: 'bob' });
    const slow = stutter(t, redis.child.pid, 700, 60);
    let isOver = false;
    const load = (async () => {
      while (!isOver) assertStatus(await busy.send(busy.build()), 200, 'a refresh');
    })();
    await reaches(server, 2, 12000);
    await assertNewIsRefused(t, server, 'ws', { user: 'carol' });
    assertStatus(await phone.send(phone.build()), 200, 'another refresh');
    assert.match(server.stderr, /late="Redis, ms"/);
    slow.end();
    isOver = true;
    await load;
    await reaches(server, 0, 8000);
    await registered(t, server, 'ws', { user: 'carol' });
  });
});

// ---- Coming back ---------------------------------------------------------------------------------

const HASTE = 0.2; // clients of these tests wait for less than they are told

/** Registers as a browser does that has lost its connection: again and again, on a new connection
 * each time; tells how often. */
async function comeBack(server, user) {
  for (let tries = 1; ; tries++) {
    let client;
    try {
      client = await LightWsClient.open(server.port.ws);
      const phone = await Phone.open(server, 'ws', { user, password: 'p', client });
      const response = await phone.register();
      if (response.status === 200) return { tries, client };
      assertRefused(response, user);
      assert.equal(await client.closeCode(), TRY_LATER);
      client.close();
      await delay(1000 * HASTE * Number(response.headers.find(([name]) => name === 'Retry-After')[1]));
    } catch (error) {
      client?.close();
      if (error.code === 'ERR_ASSERTION' || tries > 20) throw error;
      await delay(200);
    }
  }
}

/** A callback in a process of its own, for users u0 … u`count`. */
async function startSlowCallback(t, ms, count) {
  const child = fork(CALLBACK, [String(ms), String(count)]);
  t.after(() => child.kill('SIGKILL'));
  const told = () => within(20000, 'the callback tells', new Promise((resolve) => child.once('message', resolve)));
  const { port } = await told();
  return {
    uri: `http://127.0.0.1:${port}/`,
    asked: () => {
      child.send('asked');
      return told();
    },
  };
}

describe('questions to a callback', () => {
  it(`${COMING_BACK} clients come back at once to one that takes 50 ms`, async (t) => {
    const callback = await startSlowCallback(t, 50, COMING_BACK);
    const authCallback = { uri: callback.uri, maxConnections: 64, timeoutMs: 3000 };
    const config = { users: undefined, authCallback, limits: { connectionsPerIp: 20000 }, logging: { level: 'error' } };
    const server = await startServer(t, { config });
    const began = Date.now();
    let tries = 0;
    await inParallel(COMING_BACK, COMING_BACK, async (i) => {
      const one = await comeBack(server, `u${i}`);
      tries += one.tries;
      t.after(() => one.client.close());
    });
    const took = (Date.now() - began) / 1000;
    const { questions, mostAboutOne, mostAtOnce } = await callback.asked();
    t.diagnostic(`all registered after ${took.toFixed(1)} s, with ${(tries / COMING_BACK).toFixed(2)} tries each; ` +
      `${questions} questions, at most ${mostAboutOne} about one client, ${mostAtOnce} at once`);
    assert.equal((await server.page('/api/v1/status')).json().registrations.ws, COMING_BACK);
    assert.ok(mostAtOnce <= 64, `${mostAtOnce} questions at once`);
    assert.ok(questions <= 1.1 * COMING_BACK, `${questions} questions`);
    assert.ok(mostAboutOne <= 3, `${mostAboutOne} questions about one client`);
  });

  it('one that is too slow for all works at its full rate for some', async (t) => {
    const count = 100;
    const callback = await startSlowCallback(t, 100, count);
    const authCallback = { uri: callback.uri, maxConnections: 8, timeoutMs: 1000 };
    const config = { workers: 1, users: undefined, authCallback, auth: { refreshCache: false }, registrar: { maxContacts: 100 }, logging: { level: 'error' } };
    const server = await startServer(t, { config });
    const deadline = Date.now() + 4000;
    let registrations = 0;
    let refused = 0;
    await inParallel(count, count, async (i) => {
      const phone = await openPhone(t, server, 'udp', { user: `u${i}`, password: 'p' });
      while (Date.now() < deadline) {
        phone.callId = token(); // each time a new one, as after a restart
        const response = await phone.register();
        if (response.status === 200) registrations++;
        else refused++;
        if (response.status === 503) assertRefused(response, 'refused');
        else assertStatus(response, 200);
      }
    });
    const { questions } = await callback.asked();
    const wasted = questions - registrations;
    t.diagnostic(`${registrations} registered in 4 s, ${refused} refused, ${wasted} of ${questions} questions for nothing`);
    assert.ok(wasted <= 8 + questions / 10, `${wasted} of ${questions} questions came to nothing`);
    assert.ok(questions >= (SANITIZED ? 80 : 160), `${questions} questions in 4 s`);
  });
});

// ---- Leaving -------------------------------------------------------------------------------------

/** `count` WSS clients in two processes; `watch()` tells how their connections end. */
async function openStorm(t, server, count) {
  const parts = [0, 1].map((i) => {
    const child = fork(STORM, ['wss', server.port.wss, i * Math.ceil(count / 2), Math.floor((count + 1 - i) / 2), 50].map(String));
    t.after(() => child.kill('SIGKILL'));
    const said = () =>
      new Promise((resolve, reject) => {
        child.once('message', (message) => (message.error ? reject(new Error(message.error)) : resolve(message)));
        child.once('exit', (code) => reject(new Error(`storm ended with ${code}`)));
      });
    return { child, said, isReady: said() };
  });
  await within(60000 + 30 * count, `${count} clients register`, Promise.all(parts.map((part) => part.isReady)));
  return {
    watch: async () => {
      const told = parts.map((part) => part.said());
      parts.forEach(({ child }) => child.send('watch'));
      return (await Promise.all(told)).flatMap(({ ends }) => ends);
    },
  };
}

describe('a drain', () => {
  it(`of ${LEAVING} WSS clients: all hear of it, one after the other, and nothing stays in Redis`, async (t) => {
    const seconds = 4;
    const redis = await startRedis(t);
    const users = Object.fromEntries(Array.from({ length: LEAVING }, (_, i) => [`u${i}@${DOMAIN}`, { password: 'p' }]));
    const config = { drainSeconds: seconds, limits: { connectionsPerIp: 20000, handshakeSeconds: 60 } };
    const server = await startNode(redis, 'leaver', { users, config });
    const storm = await openStorm(t, server, LEAVING);
    assert.equal((await redis.contacts()).length, LEAVING);
    const ended = storm.watch();
    const began = Date.now();
    server.terminate();
    const ready = await until('readiness falls', async () => {
      const answer = await server.page('/readyz');
      return answer.status === 503 && answer;
    }, 500);
    assert.match(ready.json().reason, /drain/);
    const raw = await RawWs.connect(server.port.ws);
    assert.equal((await raw.upgrade()).status, 503, 'no new ones');
    raw.close();

    const ends = await within(seconds * 1000 + 10000, 'all connections end', ended);
    const others = ends.filter(({ code }) => code !== GOING_AWAY);
    assert.equal(others.length, 0, `${others.length} without a goodbye, as: ${others[0]?.code}`);
    const tenths = Array(10).fill(0);
    for (const { at } of ends) tenths[Math.min(9, Math.floor(((at - began) * 10) / (seconds * 1000)))]++;
    t.diagnostic(`closed in each tenth of drainSeconds: ${tenths}`);
    assert.ok(Math.max(...tenths) <= LEAVING * 0.3, `all at once: ${tenths}`);
    assert.equal((await within(10000, 'aorta ends', server.ended)).code, 0);
    t.diagnostic(`ended after ${Date.now() - began} ms`);
    assert.deepEqual(await redis.contacts(), [], 'no binding stays');
  });

  it('what is under way is answered before its connection closes', async (t) => {
    const callback = await startCallback(t);
    const server = await startServer(t, { config: { users: undefined, authCallback: callback.config(), drainSeconds: 2, registrar: { maxContacts: 100 } } });
    const phones = [];
    for (let i = 0; i < 24; i++) phones.push(await openPhone(t, server, ['ws', 'wss', 'tcp'][i % 3]));
    const asked = await Promise.all(
      phones.map(async (phone) => {
        const request = phone.build();
        return phone.authorized(request, phone.lastChallenge(await phone.send(request)));
      })
    );
    const gate = callback.hold();
    const answers = phones.map((phone, i) => phone.send(asked[i]));
    await callback.asked(phones.length);
    server.terminate();
    await timerPasses(1200); /* most of their connections would be closed by now */
    gate.release();
    for (const answer of await Promise.all(answers)) assertStatus(answer, 200);
    for (const phone of phones) if (phone.isWeb) assert.equal(await phone.client.closes(), GOING_AWAY);
    assert.equal((await within(10000, 'aorta ends', server.ended)).code, 0);
  });

  it('a second SIGTERM ends at once, and still says goodbye', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 60, registrar: { maxContacts: 100 } } });
    const phones = [];
    for (let i = 0; i < 40; i++) phones.push(await registered(t, server, i % 2 ? 'ws' : 'wss'));
    server.terminate();
    await server.ready(false);
    const began = Date.now();
    server.child.kill('SIGTERM');
    assert.equal((await within(3000, 'aorta ends', server.ended)).code, 0);
    assertBetween(Date.now() - began, 0, patient(1500), 'at once');
    for (const phone of phones) assert.equal(await phone.client.closes(), GOING_AWAY);
  });
});
