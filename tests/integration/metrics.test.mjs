// /metrics: what real clients do changes just the right series, Prometheus' own tool has nothing to
// say against it, and no client can make a series.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import tls from 'node:tls';
import { fail, slowly, status, verified, withCallback } from './lib/callback.mjs';
import { KINDS } from './lib/clients.mjs';
import { SANITIZED, assertStatus, patient, percentile, timerPasses, until, within } from './lib/expect.mjs';
import { assertCounts, parseMetrics, readMetrics, untilMetric } from './lib/metrics.mjs';
import { Phone, openPhone } from './lib/phone.mjs';
import { RawWs } from './lib/raw_ws.mjs';
import { withNode, withRedis } from './lib/redis.mjs';
import { DOMAIN, ROOT, startServer, usersOf, withServer } from './lib/server.mjs';
import { token } from './lib/sip.mjs';

const register = (transport, outcome, n = 1) => ({ [`aorta_registers_total{transport="${transport}",outcome="${outcome}"}`]: n });
const challenge = (reason) => ({ [`aorta_challenges_total{reason="${reason}"}`]: 1 });
const handshake = (result) => ({ [`aorta_tls_handshakes_total{result="${result}"}`]: 1 });
const failure = (reason) => ({ ...handshake('failed'), [`aorta_tls_handshake_failures_total{reason="${reason}"}`]: 1 });
const upgrade = (result) => ({ [`aorta_websocket_upgrades_total{result="${result}"}`]: 1 });
const refused = (reason) => ({ [`aorta_requests_refused_total{reason="${reason}"}`]: 1 });
const callbackSaid = (result) => ({ [`aorta_callbacks_total{result="${result}"}`]: 1, aorta_callback_duration_seconds_count: 1 });
/** `n` messages that were REGISTERs. */
const registers = (n) => ({ aorta_messages_total: n, aorta_register_duration_seconds_count: n });
/** What a first REGISTER over `kind` brings, the connection included. */
const comesIn = (kind) => ({
  ...(['tls', 'wss'].includes(kind) && handshake('full')),
  ...(['ws', 'wss'].includes(kind) && upgrade('ok')),
});

describe('counters of what clients do', () => {
  const server = withServer({ config: { auth: { nonceTtl: 2 } } });

  for (const kind of KINDS) {
    it(`${kind}: registered, refreshed, removed`, async (t) => {
      let phone;
      const first = async () => assertStatus(await (phone = await openPhone(t, server, kind)).register(), 200);
      const expected = { ...comesIn(kind), ...registers(2), ...register(kind, 'challenged'), ...register(kind, 'granted'), ...challenge('no_credentials') };
      await assertCounts(server, first, expected);
      assert.equal((await readMetrics(server))[`aorta_registrations{transport="${kind}"}`], 1);
      if (kind !== 'udp') assert.equal((await readMetrics(server))[`aorta_connections{transport="${kind}"}`], 1);
      const refresh = async () => assertStatus(await phone.send(phone.build()), 200);
      await assertCounts(server, refresh, { ...registers(1), ...register(kind, 'granted_cached') });
      await phone.unregister();
      assert.equal((await readMetrics(server))[`aorta_registrations{transport="${kind}"}`], 0);
    });

    it(`${kind}: wrong credentials, and too short a time`, async (t) => {
      let phone;
      const wrong = async () => assertStatus(await (phone = await openPhone(t, server, kind)).register({ digest: { password: 'wrong' } }), 403);
      await assertCounts(server, wrong, { ...comesIn(kind), ...registers(2), ...register(kind, 'challenged'), ...register(kind, 'refused'), ...challenge('no_credentials') });
      const brief = async () => assertStatus(await phone.register({ expires: 5 }), 423);
      await assertCounts(server, brief, { ...registers(2), ...register(kind, 'challenged'), ...register(kind, 'invalid'), ...challenge('no_credentials') });
    });
  }

  const again = (phone, challenge_, options) => phone.send(phone.authorized(phone.build({ contact: null }), challenge_, options));
  const CHALLENGES = {
    nonce_used: async (phone) => {
      const given = await phone.challenge();
      assertStatus(await again(phone, given), 200);
      return () => again(phone, given);
    },
    nonce_of_other_flow: async (phone, t) => {
      const given = await (await openPhone(t, server, 'tcp')).challenge();
      return () => again(phone, given);
    },
    nonce_expired: async (phone) => {
      const given = await phone.challenge();
      await timerPasses(3100); // auth.nonceTtl, which counts whole seconds
      return () => again(phone, given);
    },
    nonce_foreign: async (phone) => {
      const given = await phone.challenge();
      return () => again(phone, { ...given, nonce: token(20) });
    },
    other_algorithm: async (phone) => {
      const given = await phone.challenge();
      return () => again(phone, { ...given, algorithm: 'SHA-256' });
    },
  };
  for (const [reason, prepare] of Object.entries(CHALLENGES))
    it(`challenged again: ${reason}`, async (t) => {
      const ask = await prepare(await openPhone(t, server, 'tcp'), t);
      await assertCounts(server, async () => assertStatus(await ask(), 401), { ...registers(1), ...register('tcp', 'challenged'), ...challenge(reason) });
    });

  it('a retransmission is none of the REGISTERs', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const request = phone.build().toString();
    const twice = async () => {
      for (let i = 0; i < 2; i++) {
        phone.client.send(request);
        assertStatus(await phone.client.nextResponse(), 401);
      }
    };
    await assertCounts(server, twice, {
      aorta_messages_total: 2, aorta_register_duration_seconds_count: 1, aorta_retransmissions_total: 1, ...register('udp', 'challenged'), ...challenge('no_credentials'),
    });
  });

  const REFUSED = {
    malformed: [(phone) => phone.build().set('Call-ID', undefined), 400],
    method: [(phone) => phone.build({ method: 'INVITE' }), 405],
    extension: [(phone) => phone.build({ headers: [['Require', 'magic']] }), 420],
  };
  for (const [reason, [build, code]] of Object.entries(REFUSED))
    it(`refused before it is served: ${reason}`, async (t) => {
      const phone = await openPhone(t, server, 'tcp');
      const send = async () => {
        phone.client.send(build(phone).toString());
        assertStatus(await phone.client.nextResponse(), code);
      };
      await assertCounts(server, send, { aorta_messages_total: 1, ...refused(reason) });
    });
});

// ---- Whom aorta asks ------------------------------------------------------------------------------

describe('callback and Redis', () => {
  const callback = withCallback();
  const redis = withRedis();
  const server = withNode(redis, 'metrics', {
    config: { workers: 1, users: undefined, realms: { [DOMAIN]: { authCallback: callback.config({ maxConnections: 1 }) }, '*': { users: 'users.json' } } },
    users: usersOf('elsewhere.example'),
  });
  const up = `aorta_callback_up{realm="${DOMAIN}"}`;
  const open = `aorta_callback_circuit_open{realm="${DOMAIN}"}`;

  it('bindings by realm: those that the configuration names, and others as one', async (t) => {
    callback.behave();
    const here = await openPhone(t, server, 'tcp');
    const there = await openPhone(t, server, 'tcp', { domain: 'elsewhere.example' });
    assertStatus(await here.register(), 200);
    assertStatus(await there.register(), 200);
    const realms = async () => {
      const samples = await readMetrics(server);
      return [samples[`aorta_realm_registrations{realm="${DOMAIN}"}`], samples['aorta_realm_registrations{realm="other"}']];
    };
    assert.deepEqual(await realms(), [1, 1]);
    assertStatus(await here.send(here.build()), 200); // a refresh is not another one
    assert.deepEqual(await realms(), [1, 1]);
    await there.close();
    await until('the other one is gone', async () => (await realms())[1] === 0);
    assert.deepEqual(await realms(), [1, 0]);
  });

  it('how long a callback takes, and a REGISTER with it', async (t) => {
    callback.behave(slowly(300, verified()));
    const phone = await openPhone(t, server, 'tcp');
    const before_ = await readMetrics(server);
    assertStatus(await phone.register(), 200);
    const REGISTERS = 'aorta_register_duration_seconds_count'; // the 200 may be here before it is counted
    await untilMetric(server, REGISTERS, (n) => n === before_[REGISTERS] + 2);
    const after = await readMetrics(server);
    for (const name of ['aorta_callback_duration_seconds', 'aorta_register_duration_seconds']) {
      const risen = (le) => after[`${name}_bucket{le="${le}"}`] - before_[`${name}_bucket{le="${le}"}`];
      assert.equal(risen('+Inf') - risen('0.25'), 1, name);
      const sum = after[`${name}_sum`] - before_[`${name}_sum`];
      assert.ok(sum >= 0.29 && sum < patient(1000) / 1000 + 0.3, `${name}: ${sum} s`);
    }
    assert.ok(after.aorta_redis_duration_seconds_count > before_.aorta_redis_duration_seconds_count);
    assert.ok(after.aorta_redis_duration_seconds_sum > before_.aorta_redis_duration_seconds_sum);
  });

  it('what the callback said, and its outage', async (t) => {
    callback.behave();
    const phone = await openPhone(t, server, 'tcp');
    const first = { ...registers(2), ...register('tcp', 'challenged'), ...challenge('no_credentials') };
    await assertCounts(server, async () => assertStatus(await phone.register(), 200), { ...first, ...register('tcp', 'granted'), ...callbackSaid('ok') });
    callback.behave(fail());
    const fetch = async (code) => assertStatus(await phone.register({ contact: null }), code);
    await assertCounts(server, () => fetch(403), { ...first, ...register('tcp', 'refused'), ...callbackSaid('fail') });
    assert.equal((await readMetrics(server))[up], 1);
    callback.behave(status(500));
    await assertCounts(server, () => fetch(503), { ...first, ...register('tcp', 'unavailable'), ...callbackSaid('outage') });
    let samples = await readMetrics(server);
    assert.deepEqual([samples[up], samples[open]], [0, 0]);
    for (let i = 0; i < 4; i++) await fetch(503);
    samples = await readMetrics(server);
    assert.deepEqual([samples[up], samples[open]], [0, 1]);
    const proven = async () => assertStatus(await phone.send(phone.authorized(phone.build(), await phone.challenge())), 200);
    await assertCounts(server, proven, { ...first, ...register('tcp', 'granted_away') });
    callback.behave();
    await until('the callback is back', async () => (await phone.register({ contact: null })).status === 200, 10000);
    samples = await readMetrics(server);
    assert.deepEqual([samples[up], samples[open]], [1, 0]);
  });

  it('who waits for the callback', async (t) => {
    const gate = callback.hold();
    const phones = await Promise.all([1, 2, 3].map(() => openPhone(t, server, 'udp')));
    const answers = phones.map((phone) => phone.register());
    await untilMetric(server, 'aorta_callback_waiting{worker="0"}', (n) => n === 2);
    await untilMetric(server, 'aorta_transactions{worker="0"}', (n) => n === 3);
    assert.equal((await readMetrics(server))['aorta_callback_connections{worker="0"}'], 1);
    gate.release();
    for (const answer of await Promise.all(answers)) assertStatus(answer, 200);
    await untilMetric(server, 'aorta_callback_waiting{worker="0"}', (n) => n === 0);
    await untilMetric(server, 'aorta_transactions{worker="0"}', (n) => n === 0);
  });

  it('a Redis that does not answer, and then is away', async (t) => {
    callback.behave();
    const phone = await openPhone(t, server, 'tcp', { user: 'bob' });
    assert.equal((await readMetrics(server)).aorta_store_up, 1);
    redis.pause();
    try {
      const answer = phone.register();
      await untilMetric(server, 'aorta_store_pending{worker="0"}', (n) => n >= 1);
      await untilMetric(server, 'aorta_store_lag_seconds{worker="0"}', (n) => n >= 0.2);
      assertStatus(await answer, 503);
      await untilMetric(server, 'aorta_store_up', (n) => n === 0);
    } finally {
      redis.resume();
    }
    await untilMetric(server, 'aorta_store_up', (n) => n === 1);
    await untilMetric(server, 'aorta_store_lag_seconds{worker="0"}', (n) => n < 0.2);
  });
});

describe('what is refused to keep up, and bans', () => {
  const callback = withCallback();
  const server = withServer({
    config: { workers: 1, users: undefined, authCallback: callback.config(), limits: { transactions: 1, neverBan: [], failedAuthPerMinute: 2, lagMs: 0 } },
  });
  const limit = (key) => ({ [`aorta_limit_reached_total{key="${key}"}`]: 1 });
  const banned = (reason) => ({ [`aorta_addresses_banned_total{reason="${reason}"}`]: 1 });
  const first = { ...registers(2), ...register('udp', 'challenged'), ...challenge('no_credentials') };

  it('one too many waits', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const other = await openPhone(t, server, 'udp', { user: 'bob' });
    const gate = callback.hold();
    const answer = phone.register();
    await callback.asked();
    const refuse = async () => assertStatus(await other.send(other.build()), 503);
    await assertCounts(server, refuse, { ...registers(1), ...register('udp', 'overloaded'), ...limit('limits.transactions') });
    gate.release();
    assertStatus(await answer, 200);
  });

  it('banned because the callback says so', async (t) => {
    callback.behave(fail({ blacklist: 600 }));
    const phone = await openPhone(t, server, 'udp', { localAddress: '127.0.0.31' });
    const refuse = async () => assertStatus(await phone.register(), 403);
    await assertCounts(server, refuse, { ...first, ...register('udp', 'refused'), ...callbackSaid('fail'), ...banned('callback') });
    assert.equal((await readMetrics(server)).aorta_bans, 1);
  });

  it('banned for wrong credentials, and no longer', async (t) => {
    callback.behave(fail());
    const phone = await openPhone(t, server, 'udp', { localAddress: '127.0.0.32' });
    for (let i = 0; i < 2; i++) assertStatus(await phone.register(), 403);
    const refuse = async () => assertStatus(await phone.register(), 403);
    const expected = { ...first, ...register('udp', 'refused'), ...callbackSaid('fail'), ...banned('failed_auth'), ...limit('limits.failedAuthPerMinute') };
    await assertCounts(server, refuse, expected);
    assert.equal((await readMetrics(server)).aorta_bans, 2);
    for (const ip of ['127.0.0.31', '127.0.0.32']) assert.equal((await server.api('DELETE', `/api/v1/bans/${ip}`)).status, 204);
    assert.equal((await readMetrics(server)).aorta_bans, 0);
  });
});

// ---- Handshakes ---------------------------------------------------------------------------------

describe('handshakes and upgrades', () => {
  const server = withServer({ config: { limits: { handshakeSeconds: 1 }, ws: { origins: ['https://phone.example.com'] } } });

  const sClient = (...args) => spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${server.port.tls}`, ...args], { input: '', timeout: patient(10000) });
  /** Connected, and something said that is no TLS, or nothing; resolves when it has ended. */
  const plain = (text, ends) => {
    const socket = net.connect({ port: server.port.tls, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.resume();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('end', () => socket.destroy());
    socket.on('connect', () => (ends ? socket.end(text) : text && socket.write(text)));
    return within(10000, 'the connection ends', closed);
  };

  const FAILURES = [
    ['protocol', 'no TLS', () => plain('REGISTER sip:example.com SIP/2.0\r\n\r\n')],
    ['protocol', 'TLS 1.1', () => sClient('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')],
    ['protocol', 'no cipher in common', () => sClient('-tls1_2', '-cipher', 'AES128-SHA:@SECLEVEL=0')],
    ['alert', 'a client that does not trust our certificate', () => sClient('-verify_return_error')],
    ['closed', 'nothing said', () => plain('', true)],
    ['timeout', 'nothing said for limits.handshakeSeconds', () => plain('')],
  ];
  for (const [reason, what, task] of FAILURES)
    it(`a TLS handshake fails (${reason}): ${what}`, async () => {
      const late = reason === 'timeout' ? { 'aorta_limit_reached_total{key="limits.handshakeSeconds"}': 1 } : {};
      await assertCounts(server, task, { ...failure(reason), ...late });
    });

  it('a session of TLS 1.2 is resumed', async (t) => {
    const options = { host: '127.0.0.1', port: server.port.tls, rejectUnauthorized: false, maxVersion: 'TLSv1.2' };
    const connect = async (session) => {
      const socket = tls.connect({ ...options, session });
      t.after(() => socket.destroy());
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      return socket;
    };
    let first;
    await assertCounts(server, async () => (first = await connect()), handshake('full'));
    const session = first.getSession();
    await assertCounts(server, async () => assert.ok((await connect(session)).isSessionReused()), handshake('resumed'));
  });

  const UPGRADES = [
    ['ok', {}, 101],
    ['ok', { Origin: 'https://phone.example.com' }, 101],
    ['origin', { Origin: 'https://elsewhere.example.com' }, 403],
    ['bad_request', { 'Sec-WebSocket-Protocol': 'chat' }, 400],
    ['bad_request', { 'Sec-WebSocket-Version': '7' }, 426],
  ];
  for (const [result, headers, code] of UPGRADES)
    it(`upgrade: ${result} with ${JSON.stringify(headers)}`, async (t) => {
      await assertCounts(server, async () => {
        const raw = await RawWs.connect(server.port.ws);
        t.after(() => raw.socket.destroy());
        assert.equal((await raw.upgrade(headers)).status, code);
      }, upgrade(result));
    });
});

// ---- The text -----------------------------------------------------------------------------------

/** What promtool says, given `input`: nothing when it is content. */
function promtool(args, input) {
  const { status: code, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8', timeout: patient(20000) });
  assert.ifError(error);
  return { code, output: stdout + stderr };
}

describe('the text of /metrics', () => {
  const NAMED = Array.from({ length: 1000 }, (_, i) => `customer-${i}.example`);
  const callback = withCallback();
  const server = withServer({
    config: { authCallback: callback.config(), users: undefined, realms: Object.fromEntries([...NAMED, '*'].map((name) => [name, {}])) },
  });

  /** All kinds of strangers, each with a name of his own. */
  async function makeNoise() {
    callback.behave();
    callback.users = usersOf('anywhere.example');
    for (let i = 0; i < 30; i++) {
      const phone = await Phone.open(server, KINDS[i % KINDS.length], { domain: `d${i}-${token(4)}.example` });
      const headers = [['User-Agent', `agent "${token(4)}"`]];
      await phone.register({ headers });
      await phone.send(phone.build({ method: `M${i}`, headers }));
      await phone.close();
    }
  }

  it('promtool has no complaint', async () => {
    await makeNoise();
    const { body } = await server.get('/metrics');
    assert.deepEqual(promtool(['check', 'metrics'], body), { code: 0, output: '' });
    const spoilt = body.replaceAll('aorta_bans', 'aortaBans_total'); // so it does look
    assert.notEqual(promtool(['check', 'metrics'], spoilt).code, 0);
  });

  it('ends well', async () => {
    const { headers, body } = await server.get('/metrics');
    assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(Number(headers['content-length']), Buffer.byteLength(body));
    assert.ok(body.endsWith('\n') && !body.endsWith('\n\n'));
    assert.ok(body.trimEnd().split('\n').at(-1).startsWith('process_start_time_seconds '));
  });

  it('no client makes a series', async () => {
    const names = async () => Object.keys(await readMetrics(server)).sort();
    const before_ = await names();
    await makeNoise();
    assert.deepEqual(await names(), before_);
    const realms = before_.map((series) => /^aorta_realm_registrations\{realm="(.*)"\}$/.exec(series)?.[1]).filter(Boolean);
    assert.deepEqual(realms, [...NAMED, 'other'].sort());
  });

  it('tells of the process', async () => {
    const samples = await readMetrics(server);
    const files = fs.readdirSync(`/proc/${server.pid}/fd`).length;
    assert.ok(Math.abs(samples.process_open_fds - files) <= 2, `${samples.process_open_fds} and ${files}`); // the request's own comes and goes
    assert.ok(samples.process_max_fds >= samples.process_open_fds);
    const pages = Number(fs.readFileSync(`/proc/${server.pid}/statm`, 'latin1').split(' ')[1]);
    assert.ok(Math.abs(samples.process_resident_memory_bytes - pages * 4096) < 16e6, `${samples.process_resident_memory_bytes}`);
    assert.ok(samples.process_cpu_seconds_total > 0 && samples.process_cpu_seconds_total < 600);
    assert.ok(Math.abs(samples.process_start_time_seconds - Date.now() / 1000) < 600);
    assert.ok(Object.keys(samples).some((series) => series.startsWith('aorta_build_info{version="') && samples[series] === 1));
  });

  it('a stall of the threads is seen long after it', async () => {
    process.kill(server.pid, 'SIGSTOP');
    await timerPasses(500);
    process.kill(server.pid, 'SIGCONT');
    for (const worker of [0, 1]) await untilMetric(server, `aorta_loop_lag_seconds{worker="${worker}"}`, (s) => s >= 0.3);
    await timerPasses(1000);
    assert.ok((await readMetrics(server))['aorta_loop_lag_seconds{worker="0"}'] >= 0.3);
  });

  it('a reload brings the realms that it names', async (t) => {
    const config = { logging: { level: 'info' }, users: undefined, authCallback: callback.config() };
    const reloaded = await startServer(t, { config: { ...config, realms: { 'old.example': {} } } });
    const realms = async () => Object.keys(await readMetrics(reloaded)).filter((series) => /callback_up|realm_reg/.test(series));
    const of = (name) => [`aorta_realm_registrations{realm="${name}"}`, 'aorta_realm_registrations{realm="other"}', `aorta_callback_up{realm="${name}"}`];
    assert.deepEqual(await realms(), of('old.example'));
    await reloaded.reload({ config: { realms: { 'old.example': undefined, 'new.example': {} } } });
    await until('both threads have it', async () => (await Promise.all([realms(), realms(), realms(), realms()])).every((list) => list.includes(of('new.example')[0])));
    assert.deepEqual(await realms(), of('new.example'));
  });

  it('is there in 10 ms, with 3,000 series of realms', { skip: SANITIZED && 'sanitizers are slow' }, async () => {
    const took = [];
    for (let i = 0; i < 21; i++) {
      const from = performance.now();
      const { body } = await server.get('/metrics');
      took.push(performance.now() - from);
      assert.ok(body.split('\n').length > 3000);
    }
    assert.ok(percentile(took, 0.5) < 10, `${percentile(took, 0.5)} ms`);
  });
});

// ---- The dashboard ------------------------------------------------------------------------------

describe('the dashboard', () => {
  const callback = withCallback();
  const server = withServer({ config: { authCallback: callback.config() } });
  const dashboard = JSON.parse(fs.readFileSync(path.join(ROOT, 'tests/example/grafana/aorta.json'), 'utf8'));
  const panels = dashboard.panels.filter((panel) => panel.type !== 'row');
  const targets = panels.flatMap((panel) => panel.targets.map((target) => ({ ...target, panel: panel.title })));
  let samples;
  before(async () => (samples = await readMetrics(server)));

  const labelsOf = (name) => new Set(Object.keys(samples).filter((series) => series.split('{')[0] === name).flatMap((series) => [...series.matchAll(/[{,]([a-z_]+)="/g)].map((match) => match[1])));
  const OF_PROMETHEUS = ['job', 'instance'];

  it('asks only for metrics and labels that there are', () => {
    const names = new Set(Object.keys(samples).map((series) => series.split('{')[0]));
    assert.ok(targets.length > 30);
    for (const { expr, panel } of targets) {
      const asked = [...expr.matchAll(/\b((?:aorta|process)_[a-z_]+)\{([^}]*)\}/g)];
      assert.ok(asked.length > 0, `${panel}: ${expr}`);
      for (const [, name, selector] of asked) {
        assert.ok(names.has(name), `${panel}: ${name}`);
        const given = [...selector.matchAll(/([a-z_]+)=/g)].map((match) => match[1]);
        const by = [...expr.matchAll(/ by \(([^)]*)\)/g)].flatMap((match) => match[1].split(',').map((label) => label.trim()));
        for (const label of [...given, ...by]) assert.ok(OF_PROMETHEUS.includes(label) || labelsOf(name).has(label), `${panel}: ${name} has no ${label}`);
      }
      for (const word of expr.match(/\b(?:aorta|process)_[a-z_]+/g)) assert.ok(names.has(word), `${panel}: ${word}`);
    }
  });

  it('is PromQL', () => {
    const rules = targets.map(({ expr }, i) => ({ record: `rule:${i}`, expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(instance|job)/g, '.*') }));
    const file = path.join(server.folder, 'rules.json'); // YAML, as any JSON is
    fs.writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    const { code, output } = promtool(['check', 'rules', file]);
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`SUCCESS: ${rules.length} rules found`));
  });

  it('can be imported beside others: its data source is a variable, and no panel lies on another', () => {
    assert.equal(new Set(dashboard.panels.map((panel) => panel.id)).size, dashboard.panels.length);
    assert.equal(dashboard.templating.list[0].type, 'datasource');
    for (const { datasource } of [...panels, ...targets]) assert.equal(datasource.uid, '${datasource}');
    const taken = new Set();
    for (const { gridPos: { x, y, w, h } } of dashboard.panels)
      for (let row = y; row < y + h; row++)
        for (let column = x; column < x + w; column++) {
          assert.ok(column < 24 && !taken.has(`${row} ${column}`), `${row} ${column}`);
          taken.add(`${row} ${column}`);
        }
  });
});
