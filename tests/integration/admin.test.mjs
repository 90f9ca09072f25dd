// What the admin listener and signals do to a running node: SIP traces, drain, log level.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, timerPasses, until, within } from './lib/expect.mjs';
import { DOMAIN, httpRequest, startServer, withServer } from './lib/server.mjs';
import { UdpClient } from './lib/clients.mjs';
import { openPhone } from './lib/phone.mjs';

const trace = (server, body) => server.api('POST', '/api/v1/trace', body);
const SECRETS = /response="?[0-9a-f]{32}|nonce="?[0-9A-Za-z+/=_-]{8,}|cnonce="?[0-9a-f]/i;

describe('a trace of SIP messages', () => {
  const server = withServer({ config: { logging: { format: 'json' } } });
  const everything = () => server.stderr.split('\n').slice(0, -1).filter(Boolean).map((line) => JSON.parse(line)); // but one that is not whole
  const lines = () => everything().filter(({ event }) => event === 'sip in' || event === 'sip out');
  const linesOf = (callId) => lines().filter((line) => line.call_id === callId);
  const end = async () => assert.equal((await server.api('DELETE', '/api/v1/trace')).status, 204);

  it('of an AOR: what came and went, without what proves who it is', async (t) => {
    const alice = await openPhone(t, server, 'wss');
    const bob = await openPhone(t, server, 'wss', { user: 'bob' });
    const begun = await trace(server, { aor: `sip:alice@${DOMAIN.toUpperCase()}`, seconds: 60 });
    assert.equal(begun.status, 201, begun.body);
    assert.deepEqual(begun.json(), { aor: `alice@${DOMAIN}`, ip: null, expiresIn: 60 });
    for (const phone of [alice, bob]) assertStatus(await phone.register(), 200);
    const [first, challenge, second, granted, ...more] = await until('four messages', () => linesOf(alice.callId).length >= 4 && linesOf(alice.callId));
    assert.deepEqual(more, []);
    assert.match(first.message, /^REGISTER sip:.*\r\nVia: /);
    assert.match(challenge.message, /^SIP\/2\.0 401 .*\r\nWWW-Authenticate: Digest realm="example\.com", nonce=\*\*\*, algorithm=MD5, qop="auth"\r\n/s);
    assert.match(second.message, /\r\nAuthorization: Digest username="alice", realm="example\.com", nonce=\*\*\*, uri="sip:example\.com", response=\*\*\*/);
    assert.match(granted.message, /^SIP\/2\.0 200 OK\r\n.*\r\n\r\n$/s);
    assert.deepEqual([first, challenge, second, granted].map(({ event }) => event), ['sip in', 'sip out', 'sip in', 'sip out']);
    for (const line of [first, granted]) assert.deepEqual([line.protocol, line.peer.split(':')[0], line.parts], ['wss', '127.0.0.1', 1]);
    assert.doesNotMatch(server.stderr, SECRETS);
    assert.deepEqual(linesOf(bob.callId), []);
    await end();
    assertStatus(await alice.register(), 200);
    assert.equal(linesOf(alice.callId).length, 4);
  });

  it('a stranger cannot fill the log with it', async (t) => {
    assert.equal((await trace(server, { aor: `alice@${DOMAIN}`, seconds: 60 })).status, 201);
    const stranger = await openPhone(t, server, 'tcp');
    for (let i = 0; i < 2000; i++) stranger.client.send(`${stranger.build({ method: 'OPTIONS', contact: null })}`);
    for (let i = 0; i < 2000; i++) await stranger.client.nextResponse(10000);
    await timerPasses(50); // for a token
    assertStatus(await stranger.send(stranger.build({ contact: null })), 401);
    const seen = () => linesOf(stranger.callId).filter(({ event }) => event === 'sip in').length;
    const leftOut = () => everything().reduce((sum, { event, count }) => sum + (event === 'sip requests left out of the trace' ? count : 0), 0);
    await until('each request is there or was counted', () => seen() + leftOut() === 2001);
    assertBetween(seen(), 100, 1500, 'requests in the log');
    await end();
  });

  it('of an address: whatever comes from there, SIP or not, also in parts', async (t) => {
    const host = '127.0.77.1';
    assert.equal((await trace(server, { ip: host, seconds: 60 })).status, 201);
    const phone = await openPhone(t, server, 'udp', { localAddress: host });
    const long = 'x'.repeat(3000);
    assertStatus(await phone.register({ headers: [['X-Long', long]] }), 200);
    const parts = await until('all parts', () => linesOf(phone.callId).filter(({ event, parts }) => event === 'sip in' && parts > 1).slice(0, 4).length >= 3 && linesOf(phone.callId));
    const whole = parts.filter(({ event }) => event === 'sip in').slice(0, parts[0].parts).map(({ message }) => message).join('');
    assert.ok(whole.includes(long), 'the parts are the message');
    const stranger = await UdpClient.open(server.port.udp, { localAddress: host });
    t.after(() => stranger.close());
    stranger.send('HELLO sip:x SIP/2.0\r\n\r\n');
    await until('what is no SIP', () => lines().some(({ message }) => message.startsWith('HELLO')));
    await end();
  });

  it('ends by itself', async (t) => {
    assert.equal((await trace(server, { aor: `alice@${DOMAIN}`, seconds: 1 })).status, 201);
    const { traces } = (await server.get('/api/v1/trace')).json();
    assert.deepEqual(traces.map(({ aor, ip }) => [aor, ip]), [[`alice@${DOMAIN}`, null]]);
    assertBetween(traces[0].expiresIn, 0, 1, 'expiresIn');
    await timerPasses(1100);
    assert.deepEqual((await server.get('/api/v1/trace')).json(), { traces: [] });
    const phone = await openPhone(t, server, 'tcp');
    assertStatus(await phone.register(), 200);
    assert.deepEqual(linesOf(phone.callId), []);
  });

  for (const [body, code] of [
    [{}, 'bad_target'],
    [{ seconds: 5 }, 'bad_target'],
    [{ aor: 'a@b', ip: '127.0.0.1', seconds: 5 }, 'bad_target'],
    [{ aor: '', seconds: 5 }, 'bad_target'],
    [{ ip: 'nowhere', seconds: 5 }, 'bad_ip'],
    [{ aor: 'a@b' }, 'bad_seconds'],
    [{ aor: 'a@b', seconds: 0 }, 'bad_seconds'],
    [{ aor: 'a@b', seconds: 3601 }, 'bad_seconds'],
    [{ aor: 'a@b', seconds: 1.5 }, 'bad_seconds'],
    [{ aor: 'a@b', seconds: 5, level: 'all' }, 'unknown_member'],
    [{ aor: `${'a'.repeat(600)}@b`, seconds: 5 }, 'bad_target'],
  ])
    it(`${JSON.stringify(body).slice(0, 60)}: 400 ${code}`, async () => {
      const answer = await trace(server, body);
      assert.deepEqual([answer.status, answer.json().error.code], [400, code]);
      assert.deepEqual((await server.get('/api/v1/trace')).json(), { traces: [] });
    });

  it('no more than 16', async () => {
    for (let i = 0; i < 16; i++) assert.equal((await trace(server, { aor: `u${i}@b`, seconds: 60 })).status, 201);
    const full = await trace(server, { aor: 'one@more', seconds: 60 });
    assert.deepEqual([full.status, full.json().error.code], [409, 'full']);
    assert.equal((await trace(server, { aor: 'u3@b', seconds: 60 })).status, 201, 'one that is there already');
    await end();
  });
});

describe('POST /api/v1/drain', () => {
  it('drains as SIGTERM does, however often it is asked', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 2 } });
    const phone = await openPhone(t, server, 'ws');
    assertStatus(await phone.register(), 200);
    server.isStopping = true;
    const answer = await server.api('POST', '/api/v1/drain');
    assert.deepEqual([answer.status, answer.json()], [202, { state: 'draining', seconds: 2 }]);
    const begun = Date.now();
    await until('not ready', async () => (await server.get('/readyz')).json().reason === 'draining');
    assert.equal((await server.api('POST', '/api/v1/drain')).status, 202);
    assert.equal(await phone.client.closes(), 1001);
    assert.deepEqual(await within(5000, 'it ends', server.ended), { code: 0, signal: null });
    assertBetween(Date.now() - begun, 1500, 4500, 'ms of drain: the second request did not end it at once');
  });

  it('SIGTERM after it is no second one: a drain that was begun by a preStop hook is not cut short', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 2 } });
    server.isStopping = true;
    assert.equal((await server.api('POST', '/api/v1/drain')).status, 202);
    const begun = Date.now();
    await until('not ready', async () => (await server.get('/readyz')).status === 503);
    server.child.kill('SIGTERM');
    await within(5000, 'it ends', server.ended);
    assertBetween(Date.now() - begun, 1500, 4500, 'ms of drain');
  });

  it('nor is it one itself, after SIGTERM; but the next SIGTERM is', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 60 } });
    server.terminate();
    await until('not ready', async () => (await server.get('/readyz')).status === 503);
    assert.equal((await server.api('POST', '/api/v1/drain')).status, 202);
    await timerPasses(300);
    assert.equal(server.hasEnded, false);
    server.child.kill('SIGTERM');
    await within(5000, 'it ends', server.ended);
  });

  it('a page from elsewhere cannot', async (t) => {
    const server = await startServer(t, {});
    const url = `${server.admin}/api/v1/drain`;
    const form = await httpRequest(url, { method: 'POST', headers: { Origin: 'https://evil.example', 'Content-Type': 'text/plain' } });
    assert.deepEqual([form.status, form.json().error.code], [415, 'unsupported_media_type']);
    const rebound = await httpRequest(url, { method: 'POST', headers: { Host: 'evil.example' } });
    assert.deepEqual([rebound.status, rebound.json().error.code], [403, 'forbidden']);
    assert.equal((await server.get('/readyz')).status, 200);
  });

  it('nor can who has no token', async (t) => {
    const server = await startServer(t, { config: { http: { adminToken: 'let-me-in' } } });
    assert.equal((await httpRequest(`${server.admin}/api/v1/drain`, { method: 'POST' })).status, 401);
    assert.equal((await server.get('/readyz')).status, 200);
  });
});

describe('the log level', () => {
  it('SIGUSR1 tells more, SIGUSR2 as much as the configuration says', async (t) => {
    const server = await startServer(t, { config: { logging: { level: 'warn' } } });
    const level = async () => (await server.get('/api/v1/log-level')).json().level;
    for (const next of ['info', 'debug', 'trace', 'trace']) {
      server.child.kill('SIGUSR1');
      await until(next, async () => (await level()) === next);
    }
    server.child.kill('SIGUSR2');
    await until('warn', async () => (await level()) === 'warn');
  });
});

describe('the log', () => {
  for (const format of ['json', 'text'])
    it(`${format}: a refusal is one line, with whom it is about; a flood of them is a few`, async (t) => {
      const server = await startServer(t, { config: { workers: 1, logging: { level: 'info', format }, limits: { neverBan: ['127.0.0.0/8'] } } });
      const phone = await openPhone(t, server, 'ws', { user: 'mallory', password: 'x' });
      assertStatus(await phone.register(), 403);
      const refusals = () => server.stderr.split('\n').filter((line) => line.includes('register refused'));
      await until('the line', () => refusals().length === 1);
      const [line] = refusals();
      const expected = { aor: `mallory@${DOMAIN}`, call_id: phone.callId, why: 'unknown user' };
      if (format === 'json') {
        const { time, level, event, conn, source, ...rest } = JSON.parse(line);
        assert.deepEqual(rest, expected);
        assert.deepEqual([level, event, source.split(':')[0]], ['info', 'register refused', '127.0.0.1']);
        assert.match(`${time} ${conn}`, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9a-f]+\.[0-9a-f]+\.[0-9a-f]+$/);
      } else {
        assert.match(line, /^\S+Z INFO {2}register refused conn=\S+ why="unknown user" aor=mallory@example\.com source=127\.0\.0\.1:\d+ call_id=\S+$/);
      }
      const begun = Date.now();
      for (let i = 0; i < 300; i++) assertStatus(await phone.register(), 403);
      const seconds = Math.ceil((Date.now() - begun) / 1000);
      assertBetween(refusals().length, 2, 12 + 10 * seconds, 'lines');
    });
});
