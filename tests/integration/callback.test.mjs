// The HTTP authentication callback (SPEC 3 steps 4 to 6, and 5): what it is asked, what its answers
// do, and that its outages admit nobody and delay nobody else.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { SANITIZED, assertBetween, assertStatus, patient, percentile, scaled, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN, PASSWORD, startServer, temporaryFolder, withServer } from './lib/server.mjs';
import { OUTAGES, chunked, fail, json, never, ok, slowly, startCallback, status, text, verified, withCallback } from './lib/callback.mjs';
import { issue, makeAuthority } from './lib/certificates.mjs';
import { KINDS } from './lib/clients.mjs';
import { fleetUsers, openFleet } from './lib/fleet.mjs';
import { JsSIP, next, startUa } from './lib/jssip.mjs';
import { openPhone } from './lib/phone.mjs';
import { startNode, startRedis } from './lib/redis.mjs';
import { ha1, parseAuth, token } from './lib/sip.mjs';

const isStale = (response) => / stale=true(,|$)/i.test(response.get('WWW-Authenticate'));
const isAbsent = (value) => value === undefined || value === null || value === '';

/** Options of a server whose only authority is `callback`. */
const asking = (callback, { authCallback = {}, ...config } = {}) => ({
  config: { users: undefined, authCallback: callback.config(authCallback), ...config },
});

function assertUnavailable(response, why) {
  assertStatus(response, 503, why);
  assert.match(response.get('Retry-After') ?? '', /^[1-9]\d*$/, `${why}: Retry-After\n${response.text}`);
}

/** A REGISTER with credentials, not sent yet. */
async function proven(phone, options = {}, digest = {}) {
  return phone.authorized(phone.build(options), await phone.challenge(), digest);
}

describe('what it is asked', () => {
  const callback = withCallback();
  const auth = { username: 'aorta', password: 's3:cret"' };
  const server = withServer({
    ...asking(callback, { authCallback: { auth }, auth: { algorithms: ['SHA-512-256', 'SHA-256', 'MD5'] } }),
  });

  /** Sends `request` and returns the one request that came of it. */
  async function askedFor(phone, request, expected = 200) {
    callback.forget();
    assertStatus(await phone.send(request), expected);
    assert.equal(callback.requests.length, 1);
    return callback.requests[0];
  }

  it('the members of the predecessor and those beyond, each of its type', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const request = await proven(phone, { expires: 600, headers: [['User-Agent', 'Desk "1" \\ Å']] });
    request.set('Authorization', `${request.get('Authorization')}, opaque="o p,q"`);
    const { username, realm, nonce, uri, response, nc, cnonce } = parseAuth(request.get('Authorization'));
    const { body } = await askedFor(phone, request);
    const { contact, ...others } = body;
    assert.deepEqual(others, {
      method: 'REGISTER',
      expires: 600,
      scheme: 'digest',
      username,
      realm,
      nonce,
      uri,
      response,
      qop: 'auth',
      nc,
      cnonce,
      algorithm: 'MD5',
      opaque: 'o p,q',
      aor: `alice@${DOMAIN}`,
      source_address: '127.0.0.1',
      source_port: phone.client.localPort,
      protocol: 'udp',
      call_id: phone.callId,
      user_agent: 'Desk "1" \\ Å',
    });
    assert.equal(typeof contact, 'string');
    assert.ok(contact.includes(phone.uri), contact);
    assert.equal(nc, '00000001');
  });

  it('as a POST of JSON, with Basic authentication, and nothing of the client in its headers', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const asked = await askedFor(phone, await proven(phone));
    assert.equal(asked.method, 'POST');
    assert.equal(asked.path, '/');
    assert.match(asked.headers['content-type'], /^application\/json\b/);
    assert.equal(asked.headers.authorization, `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`);
    assert.equal(asked.headers.expect, undefined, 'no 100-continue');
    assert.equal(asked.headers.host, `127.0.0.1:${callback.port}`);
    assert.ok(!JSON.stringify(asked.headers).includes(phone.callId));
  });

  for (const kind of KINDS)
    it(`over ${kind}: protocol and source`, async (t) => {
      const phone = await openPhone(t, server, kind);
      const { body } = await askedFor(phone, await proven(phone));
      assert.equal(body.protocol, kind);
      assert.equal(body.source_address, '127.0.0.1');
      assert.equal(typeof body.source_port, 'number');
      if (phone.client.localPort) assert.equal(body.source_port, phone.client.localPort);
    });

  const times = [
    // options of the REGISTER, expires, why
    [{}, 3600, 'the default'],
    [{ expires: 700 }, 700, 'the header'],
    [{ expires: 700, contact: '<sip:alice@127.0.0.1:5001>;expires=900' }, 900, 'the parameter'],
    [{ contact: '*', expires: 0 }, 0, 'a removal'],
    [{ contact: '<sip:alice@127.0.0.1:5001>;expires=0' }, 0, 'a removal of one'],
  ];
  for (const [options, expires, why] of times)
    it(`expires is ${expires}: ${why}`, async (t) => {
      const phone = await openPhone(t, server, 'tcp');
      const { body } = await askedFor(phone, await proven(phone, options));
      assert.strictEqual(body.expires, expires);
    });

  it('without qop (RFC 2069) its members are not there', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const { body } = await askedFor(phone, await proven(phone, {}, { qop: false }));
    for (const name of ['qop', 'nc', 'cnonce']) assert.ok(isAbsent(body[name]), `${name}: ${body[name]}`);
  });

  it('an algorithm that was not written is MD5', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const request = await proven(phone);
    request.set('Authorization', request.get('Authorization').replace(/, algorithm=MD5/, ''));
    assert.equal((await askedFor(phone, request)).body.algorithm, 'MD5');
  });

  for (const algorithm of ['SHA-256', 'SHA-512-256'])
    it(`${algorithm} arrives as it is, where the predecessor made MD5 of it`, async (t) => {
      const phone = await openPhone(t, server, 'tcp');
      const challenge = { ...(await phone.challenge()), algorithm };
      const { body } = await askedFor(phone, phone.authorized(phone.build(), challenge));
      assert.equal(body.algorithm, algorithm);
    });

  it('odd spelling that the predecessor died of', async (t) => {
    const phone = await openPhone(t, server, 'tcp', { user: 'alice' });
    const request = await proven(phone);
    const odd = request.get('Authorization').replace('username=', 'Username = ').replace('qop=auth', 'qop="auth"').replace(', nc=', ' ,\t nc =');
    request.set('Authorization', odd);
    assert.equal((await askedFor(phone, request)).body.username, 'alice');
  });

  it('whatever bytes a client sends, it is valid JSON', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const request = (await proven(phone, { headers: [['User-Agent', 'X']] })).toString();
    callback.forget();
    phone.client.send(Buffer.from(request.replace('User-Agent: X', 'User-Agent: \xff\xc0\x80 "\\" \x01'), 'latin1'));
    const response = await phone.client.nextResponse();
    assert.ok([200, 400].includes(response.status), response.text);
    for (const { body, isUtf8, text: sent } of callback.requests) assert.ok(body && isUtf8, sent);
  });

  it('connections are kept', async (t) => {
    const phones = await Promise.all(KINDS.map((kind) => openPhone(t, server, kind)));
    for (const phone of phones) assertStatus(await phone.send(await proven(phone)), 200);
    callback.forget();
    for (let i = 0; i < 10; i++)
      for (const phone of phones) assertStatus(await phone.send(await proven(phone, { callId: token() })), 200);
    assert.equal(callback.requests.length, 10 * phones.length);
    assert.ok(callback.connections <= 2, `${callback.connections} new connections`);
  });

  it('without `auth` there is no Authorization header; `url` is the predecessor\'s spelling of `uri`', async (t) => {
    const plain = await startCallback(t);
    const config = { users: undefined, authCallback: { url: `${plain.uri}register?tenant=7` } };
    const other = await startServer(t, { config });
    assertStatus(await (await openPhone(t, other, 'ws')).register(), 200);
    assert.equal(plain.requests[0].headers.authorization, undefined);
    assert.equal(plain.requests[0].path, '/register?tenant=7');
  });
});

describe('what its answers do', () => {
  const callback = withCallback();
  const server = withServer(asking(callback));
  const phoneFor = async (t, kind = 'tcp', options = {}) => {
    callback.behave();
    const phone = await openPhone(t, server, kind, options);
    assertStatus(await phone.unregister(), 200);
    callback.forget();
    return phone;
  };

  it('an honest one: right passwords are in, wrong ones and unknown users are 403, alike', async (t) => {
    const phone = await phoneFor(t);
    assertStatus(await phone.register(), 200);
    assert.equal((await server.bindingsOf('alice')).length, 1);
    const wrong = await openPhone(t, server, 'tcp', { user: 'bob', password: 'guess' });
    const unknown = await openPhone(t, server, 'tcp', { user: 'mallory', password: 'guess' });
    const [a, b] = [await wrong.register(), await unknown.register()];
    for (const response of [a, b]) {
      assertStatus(response, 403);
      assert.equal(response.reason, 'Forbidden');
    }
    assert.deepEqual(a.headers.map(([name]) => name), b.headers.map(([name]) => name));
    for (const user of ['bob', 'mallory']) assert.deepEqual(await server.bindingsOf(user), []);
  });

  const verdicts = [
    // answer, status
    [ok(), 200],
    [chunked(), 200],
    [text('  {\n"status" : "ok"\n}\n'), 200],
    [text('{"status":"\\u006fk"}'), 200],
    [text('{"status":"ok"}', { type: 'text/plain' }), 200],
    [ok({ expires: 'soon' }), 200],
    [ok({ blacklist: 'yes' }), 200],
    [ok({ msg: 7, call_hook: null }), 200],
    [fail(), 403],
    [fail({ msg: 'not today', expires: 3600 }), 403],
    [json({ status: 'denied' }), 403],
    [json({ status: '' }), 403],
    [json({ status: 'okay' }), 403],
  ];
  for (const [i, [answer, expected]] of verdicts.entries())
    it(`answer ${i + 1} of the table: ${expected}`, async (t) => {
      const phone = await phoneFor(t);
      callback.once(answer);
      assertStatus(await phone.register(), expected);
      assert.equal((await server.bindingsOf('alice')).length, expected === 200 ? 1 : 0);
    });

  const limits = [
    // asked, the callback's expires, granted
    [600, 120, 120],
    [100, 120, 100],
    [600, 600, 600],
    [undefined, 90, 90],
    [600, 7200, 600],
    [600, 0, 600], // and what is no positive whole number is ignored
    [600, -5, 600],
    [600, 90.5, 600],
    [600, '90', 600],
    [600, null, 600],
    [600, 1e300, 600],
  ];
  for (const [asked, limit, granted] of limits)
    it(`asked for ${asked}, at most ${JSON.stringify(limit)}: granted ${granted}`, async (t) => {
      const phone = await phoneFor(t);
      callback.once(ok({ expires: limit }));
      const response = await phone.register({ expires: asked });
      assertStatus(response, 200);
      assertBetween(response.contacts[0].expires, granted - 1, granted, 'granted');
      const refreshed = await phone.send(phone.build({ expires: asked }));
      assertStatus(refreshed, 200);
      assertBetween(refreshed.contacts[0].expires, granted - 1, granted, 'a refresh that asked nobody');
      assert.equal(callback.requests.length, 1);
    });

  it('further members are kept with the binding as its grant; the known ones are not', async (t) => {
    const phone = await phoneFor(t);
    const kept = { call_hook: 'https://example.com/call', call_status_hook: { url: 'https://example.com/status' }, tenant: { id: 7, tags: ['a', 'Å"'] } };
    callback.once(ok({ expires: 300, msg: 'hello', blacklist: 0, ...kept }));
    assertStatus(await phone.register(), 200);
    assert.deepEqual((await server.bindingsOf('alice'))[0].grant, kept);
    assertStatus(await phone.send(phone.build()), 200);
    assert.deepEqual((await server.bindingsOf('alice'))[0].grant, kept, 'and outlive a refresh');
  });

  it('without any the grant is null', async (t) => {
    const phone = await phoneFor(t);
    assertStatus(await phone.register(), 200);
    assert.equal((await server.bindingsOf('alice'))[0].grant, null);
  });

  it('the grant is in Redis too', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', asking(callback));
    callback.behave(ok({ call_hook: 'https://example.com/call' }));
    assertStatus(await (await openPhone(t, node, 'ws')).register(), 200);
    const [binding] = await redis.bindings('alice');
    assert.deepEqual(binding.grant, { call_hook: 'https://example.com/call' });
    assert.deepEqual((await node.bindingsOf('alice'))[0].grant, binding.grant);
    callback.behave();
  });

  it('a removal asks it too, and it may refuse', async (t) => {
    const phone = await phoneFor(t);
    assertStatus(await phone.register(), 200);
    callback.once(fail());
    assertStatus(await phone.unregister(), 403);
    assert.equal((await server.bindingsOf('alice')).length, 1);
    assertStatus(await phone.unregister(), 200);
  });

  it('a refresh that changes nothing does not ask it', async (t) => {
    for (const kind of KINDS) {
      const phone = await phoneFor(t, kind);
      assertStatus(await phone.register(), 200);
      for (let i = 0; i < 3; i++) assertStatus(await phone.send(phone.build()), 200);
      assert.equal(callback.requests.length, 1, kind);
    }
  });

  it('its msg is not told to the client', async (t) => {
    const phone = await phoneFor(t);
    callback.once(fail({ msg: 'tenant 7 has not paid' }));
    const refused = await phone.register();
    assert.equal(refused.get('Warning'), undefined);
    assert.doesNotMatch(refused.text, /paid/);
  });
});

describe('auth.exposeMessage', () => {
  const callback = withCallback();
  const server = withServer(asking(callback, { auth: { exposeMessage: true } }));

  const rows = [
    // msg, the text in the Warning header
    ['not paid yet', /^not paid yet$/],
    ['He said "no" \\ and left', /^He said \\"no\\" \\\\ and left$/],
    ['two\r\nInjected: yes\r\n\r\nlines', /^two.*Injected: yes.*lines$/],
    ['100 % <b>', /%/],
    ['Zürich ☎', /rich/],
    ['\u0001\u001b[31mred', /red/],
  ];
  for (const [msg, expected] of rows)
    it(`${JSON.stringify(msg)} on one line, quoted`, async (t) => {
      callback.once(fail({ msg }));
      const refused = await (await openPhone(t, server, 'tcp')).register();
      assertStatus(refused, 403);
      assert.equal(refused.reason, 'Forbidden', 'never in the reason phrase');
      assert.equal(refused.all('Warning').length, 1, refused.text);
      assert.equal(refused.get('Injected'), undefined);
      const [, quoted] = /^399 [^\s"]+ "((?:[^"\\]|\\.)*)"$/.exec(refused.get('Warning')) ?? assert.fail(refused.text);
      assert.match(quoted, expected);
      assert.doesNotMatch(quoted, /[\x00-\x08\x0a-\x1f\x7f]/);
    });

  it('an absurdly long one does not hurt', async (t) => {
    callback.once(fail({ msg: 'x'.repeat(60000) }));
    const refused = await (await openPhone(t, server, 'udp')).register();
    assertStatus(refused, 403);
    assert.ok(refused.text.length < 2000, `${refused.text.length} bytes`);
  });

  for (const msg of [undefined, '', 7, null, ['a']])
    it(`no Warning for msg ${JSON.stringify(msg)}`, async (t) => {
      callback.once(fail({ msg }));
      const refused = await (await openPhone(t, server, 'tcp')).register();
      assertStatus(refused, 403);
      assert.equal(refused.get('Warning'), undefined);
    });
});

describe('outages', () => {
  const callback = withCallback();
  const server = withServer(asking(callback, { authCallback: { timeoutMs: SANITIZED ? 1500 : 500 } }));

  for (const [what, behaviour] of OUTAGES)
    it(`${what}: 503 with Retry-After, and nothing is stored`, async (t) => {
      const phone = await openPhone(t, server, 'tcp');
      callback.behave(behaviour);
      callback.forget();
      assertUnavailable(await phone.register(), what);
      assert.deepEqual(await server.bindingsOf('alice'), []);
      // Twice where a connection that was kept turned out to be dead before any answer.
      assertBetween(callback.requests.length, 1, 2, 'times that it was asked');
      callback.behave();
      // The good answer also keeps the breaker closed for the next row.
      assertStatus(await phone.register(), 200, 'and then again as if nothing had been');
      assertStatus(await phone.unregister(), 200);
    });

  it('nobody listens: 503, until somebody does', async (t) => {
    const phone = await openPhone(t, server, 'ws');
    await callback.close();
    assertUnavailable(await phone.register(), 'refused');
    await callback.start();
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.unregister(), 200);
  });

  it('timeoutMs is the whole time, and no more', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const limit = server.config.authCallback.timeoutMs;
    callback.once(never);
    const request = await proven(phone);
    const began = performance.now();
    assertUnavailable(await phone.send(request), 'late');
    assertBetween(performance.now() - began, limit - 20, limit + patient(500), 'ms');
    callback.once(slowly(limit / 4, verified()));
    assertStatus(await phone.register(), 200, 'slow, and in time');
    assertStatus(await phone.unregister(), 200);
  });

  it('an answer that comes too late counts for nobody', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const limit = server.config.authCallback.timeoutMs;
    callback.once(slowly(limit + 200, ok()));
    assertUnavailable(await phone.register(), 'late');
    await timerPasses(400);
    assert.deepEqual(await server.bindingsOf('alice'), []);
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.unregister(), 200);
  });
});

describe('the end', () => {
  it('while it hangs, the breaker is open and the store is Redis: who waits is told, and nothing breaks', async (t) => {
    const redis = await startRedis(t);
    const callback = await startCallback(t);
    const node = await startNode(redis, 'last', asking(callback, { workers: 1, authCallback: { timeoutMs: 20000 } }));
    const phone = await openPhone(t, node, 'udp');
    callback.behave(status(500));
    for (let i = 0; i < 5; i++) assertUnavailable(await phone.register(), `failure ${i + 1}`);
    callback.forget();
    callback.behave(never);
    await timerPasses(1100); // then the breaker lets one through
    const waiting = phone.register();
    await until('it is asked', () => callback.requests.length === 1);
    await node.stop({ ms: 15000 });
    assertUnavailable(await waiting, 'at the end');
  });
});

describe('the breaker', () => {
  const OPENS_AFTER = 5;
  const failing = status(500);

  /** One worker, and so many failures that it is open. */
  async function opened(t, config = {}) {
    const callback = await startCallback(t);
    const server = await startServer(t, asking(callback, { workers: 1, ...config }));
    const open = async () => {
      callback.behave(failing);
      const phone = await openPhone(t, server, 'tcp', { user: 'bob' });
      for (let i = 0; i < OPENS_AFTER; i++) assertUnavailable(await phone.register(), `failure ${i + 1}`);
      callback.forget();
    };
    return { callback, server, open };
  }

  it('opens: 503 at once and about one probe a second; closes with a good answer', async (t) => {
    const { callback, server, open } = await opened(t);
    const phone = await openPhone(t, server, 'tcp');
    await open();
    const times = [];
    const began = performance.now();
    while (performance.now() - began < 3000) {
      const sent = performance.now();
      assertUnavailable(await phone.register(), 'open');
      times.push(performance.now() - sent);
      await timerPasses(10);
    }
    const seconds = (performance.now() - began) / 1000;
    assert.ok(times.length > 10, `${times.length} attempts`);
    assertBetween(callback.requests.length, 1, Math.ceil(seconds) + 1, `probes in ${seconds.toFixed(1)} s`);
    assert.ok(percentile(times, 0.5) < patient(50), `median ${percentile(times, 0.5)} ms`);
    assert.deepEqual(await server.bindingsOf('alice'), []);

    callback.behave();
    await until('it closes', async () => (await phone.register()).status === 200, 3000);
    callback.forget();
    for (let i = 0; i < 5; i++) assertStatus(await phone.register({ callId: token() }), 200, 'closed');
    assert.equal(callback.requests.length, 5);
  });

  it('a failure now and then does not open it', async (t) => {
    const { callback, server } = await opened(t);
    const phone = await openPhone(t, server, 'tcp');
    for (let i = 0; i < 3; i++) {
      callback.once(...Array(OPENS_AFTER - 1).fill(failing));
      for (let j = 1; j < OPENS_AFTER; j++) assertUnavailable(await phone.register(), 'a failure');
      assertStatus(await phone.register({ callId: token() }), 200, 'not open');
    }
  });

  it('a refusal is an answer: it opens nothing', async (t) => {
    const { callback, server } = await opened(t);
    callback.behave(fail());
    const phone = await openPhone(t, server, 'tcp');
    for (let i = 0; i < 2 * OPENS_AFTER; i++) assertStatus(await phone.register(), 403);
    callback.behave();
    assertStatus(await phone.register(), 200);
  });

  const caches = [{ refreshCache: false }, { refreshCacheSeconds: 1 }];
  for (const auth of caches)
    it(`while open a living WebSocket is refreshed and nothing new is let in (${JSON.stringify(auth)})`, async (t) => {
      const { callback, server, open } = await opened(t, { auth });
      const phone = await openPhone(t, server, 'ws');
      assertStatus(await phone.register({ expires: 600 }), 200);
      const registered = Date.now();
      await open();
      await until('the last proof has aged', () => Date.now() - registered > 1100, 3000);
      const [before] = await server.bindingsOf('alice');

      const refreshed = await phone.register({ expires: 600 });
      assertStatus(refreshed, 200, 'a refresh');
      assertBetween(refreshed.contacts[0].expires, 599, 600, 'granted anew');
      assert.ok((await server.bindingsOf('alice'))[0].expiryTime > before.expiryTime);

      assertUnavailable(await phone.register({ contact: `<sip:new@${phone.host};transport=ws>` }), 'another contact');
      assertUnavailable(await phone.unregister(), 'a removal');
      const other = await openPhone(t, server, 'ws');
      assertUnavailable(await other.register(), 'another connection');
      assertUnavailable(await (await openPhone(t, server, 'tcp', { user: 'carol' })).register(), 'another user');
      assert.deepEqual((await server.bindingsOf('alice')).map((b) => b.contact), [phone.uri]);

      callback.behave();
      await until('it closes', async () => (await other.register()).status === 200, 3000);
      assertStatus(await phone.unregister(), 200);
    });
});

describe('what never reaches it', () => {
  const callback = withCallback();
  const server = withServer(asking(callback));

  const rows = [
    // what, status, how the request is built
    ['no credentials', 401, (phone) => phone.build()],
    ['a nonce of another connection', 401, async (phone, t) => phone.authorized(phone.build(), await (await openPhone(t, server, 'tcp')).challenge())],
    ['a nonce that we never gave', 401, async (phone) => phone.authorized(phone.build(), { ...(await phone.challenge()), nonce: token(20) })],
    ['a foreign realm', [401, 403], async (phone) => phone.authorized(phone.build(), { ...(await phone.challenge()), realm: 'other.example' })],
    ['a foreign user', 403, async (phone) => proven(phone, {}, { user: 'bob', password: PASSWORD.bob })],
    ['a foreign AOR', 403, async (phone) => phone.authorized(phone.build({ to: `sip:bob@${DOMAIN}` }), await phone.challenge())],
    ['a digest uri of another server', 403, async (phone) => proven(phone, {}, { uri: 'sip:elsewhere.example.net' })],
    ['another scheme', 401, (phone) => phone.build({ headers: [['Authorization', 'Bearer abcdef']] })],
    ['Basic', 401, (phone) => phone.build({ headers: [['Authorization', 'Basic YWxpY2U6d29uZGVybGFuZA==']] })],
    ['a Digest without a response', [400, 401], (phone) => phone.build({ headers: [['Authorization', 'Digest username="alice"']] })],
    ['unbalanced quotes', 400, (phone) => phone.build({ headers: [['Authorization', 'Digest username="alice']] })],
  ];
  for (const [what, expected, build] of rows)
    it(`${what}: ${expected}`, async (t) => {
      const phone = await openPhone(t, server, 'tcp');
      const request = await build(phone, t);
      callback.forget();
      const response = await phone.send(request);
      assert.ok([expected].flat().includes(response.status), response.text);
      assert.equal(callback.requests.length, 0);
    });

  it('a replayed request: stale, whether its first was right or not', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const challenge = await phone.challenge();
    assertStatus(await phone.send(phone.authorized(phone.build(), challenge, { nc: 3 })), 200);
    callback.forget();
    for (const nc of [3, 2, 1]) {
      const replay = phone.authorized(phone.build({ callId: token() }), challenge, { nc });
      const response = await phone.send(replay);
      assertStatus(response, 401, `nc ${nc}`);
      assert.ok(isStale(response), response.text);
    }
    assert.equal(callback.requests.length, 0);
    assertStatus(await phone.unregister(), 200);
  });

  it('a nonce that is too old', async (t) => {
    const brief = await startServer(t, asking(callback, { auth: { nonceTtl: 1 } }));
    const phone = await openPhone(t, brief, 'udp');
    const request = await proven(phone);
    callback.forget();
    await timerPasses(2100);
    const response = await phone.send(request);
    assertStatus(response, 401);
    assert.ok(isStale(response), response.text);
    assert.equal(callback.requests.length, 0);
  });
});

describe('while it thinks', () => {
  const callback = withCallback();
  const server = withServer(asking(callback, { workers: 1, authCallback: { maxConnections: 4, timeoutMs: SANITIZED ? 20000 : 5000 } }));

  it('a nonce is asked about once at a time', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const challenge = await phone.challenge();
    callback.behave(slowly(200, verified()));
    callback.forget();
    const requests = [1, 2, 3].map((nc) => phone.authorized(phone.build({ callId: token() }), challenge, { nc }));
    for (const request of requests) phone.client.send(request.toString());
    const answers = [];
    for (const _ of requests) answers.push(await phone.client.nextResponse());
    callback.behave();
    assert.equal(callback.maxInFlight, 1);
    assert.equal(answers.filter((answer) => answer.status === 200).length >= 1, true);
    for (const answer of answers) assert.ok([200, 401, 503].includes(answer.status), answer.text);
    assertStatus(await phone.unregister(), 200);
  });

  it('at most maxConnections requests are under way; the others wait and are served', async (t) => {
    callback.behave(slowly(50, verified()));
    const phones = await Promise.all(Array.from({ length: 24 }, (_, i) => openPhone(t, server, 'tcp', { user: ['alice', 'bob', 'carol'][i % 3] })));
    callback.forget();
    const answers = await Promise.all(phones.map((phone) => phone.register({ contact: `<sip:x@127.0.0.1:${phone.client.localPort}>` })));
    callback.behave();
    for (const answer of answers) assertStatus(answer, 200);
    assertBetween(callback.maxInFlight, 2, 4, 'at once');
    assert.ok(callback.connections <= 4, `${callback.connections} connections`);
    for (const user of ['alice', 'bob', 'carol']) assertStatus(await (await openPhone(t, server, 'tcp', { user })).unregister(), 200);
  });

  for (const kind of ['tcp', 'ws'])
    it(`${kind}: a client that is gone when the answer comes leaves nothing`, async (t) => {
      const gate = callback.hold();
      const phone = await openPhone(t, server, kind);
      const request = await proven(phone);
      callback.forget();
      phone.client.send(request.toString());
      const asked = await callback.asked();
      await phone.close();
      await until('its connection is gone', async () => (await server.get('/api/v1/status')).json().connections[kind] === 0);
      gate.release();
      await until('the callback has answered', () => asked.hasEnded);
      // One worker, and answers in their order: once this one is served, the other has been.
      const other = await openPhone(t, server, 'tcp', { user: 'bob' });
      assertStatus(await other.register(), 200);
      assert.deepEqual(await server.bindingsOf('alice'), []);
      assertStatus(await other.unregister(), 200);
    });

  it('retransmissions over UDP ask it once and end in one answer', async (t) => {
    const gate = callback.hold();
    const phone = await openPhone(t, server, 'udp');
    const request = (await proven(phone)).toString();
    callback.forget();
    for (let i = 0; i < 5; i++) {
      phone.client.send(request);
      await timerPasses(50);
    }
    await callback.asked();
    gate.release();
    const answer = await phone.client.next();
    assert.match(answer, /^SIP\/2\.0 200 /);
    phone.client.send(request); // and one that comes after
    assert.equal(await phone.client.next(), answer);
    assert.equal(callback.requests.length, 1);
    assert.equal((await server.bindingsOf('alice')).length, 1);
    assertStatus(await phone.unregister(), 200);
  });

  it('everything else is served meanwhile', async (t) => {
    const waiting = await openPhone(t, server, 'tcp');
    const refreshing = await openPhone(t, server, 'ws', { user: 'bob' });
    assertStatus(await refreshing.register(), 200);
    const gate = callback.hold();
    callback.forget();
    waiting.client.send((await proven(waiting)).toString());
    await callback.asked();
    assertStatus(await refreshing.send(refreshing.build()), 200);
    assertStatus(await waiting.send(waiting.build({ method: 'OPTIONS', contact: null })), 200, 'on the same connection too');
    gate.release();
    assertStatus(await waiting.client.nextResponse(), 200);
    assertStatus(await waiting.unregister(), 200);
  });

  it('SIGTERM waits for it no longer than it must', async (t) => {
    const stuck = await startCallback(t);
    const brief = await startServer(t, asking(stuck, { authCallback: { timeoutMs: 60000 } }));
    const phone = await openPhone(t, brief, 'tcp');
    stuck.behave(never);
    phone.client.send((await proven(phone)).toString());
    await stuck.asked();
    await brief.stop({ ms: 8000 });
  });
});

describe('realms do not wait for each other', () => {
  const SLOW = 'slow.example';
  const FAST = 'fast.example';
  const COUNT = SANITIZED ? 40 : 200;
  const slow = withCallback({ users: Object.fromEntries(Object.keys(fleetUsers(COUNT, SLOW)).map((aor) => [aor, 'p'])) });
  const fast = withCallback({ users: { [`u0@${FAST}`]: 'p' } });
  const server = withServer({
    config: {
      users: undefined,
      realms: { [SLOW]: { authCallback: slow.config({ timeoutMs: 20000 }) }, [FAST]: { authCallback: fast.config() } },
    },
  });

  it(`${COUNT} slow answers for one do not delay the other`, async (t) => {
    slow.behave(slowly(1000, verified()));
    const fleet = await openFleet(t, server, COUNT, { domain: SLOW });
    const answers = Promise.all(fleet.map((phone) => phone.register({ expires: 600 })));
    await until('as many as may are under way', () => slow.inFlight >= Math.min(32, COUNT));

    const phone = await openPhone(t, server, 'tcp', { user: 'u0', domain: FAST, password: 'p' });
    const times = [];
    for (let i = 0; i < scaled(40); i++) {
      const began = performance.now();
      assertStatus(await phone.register({ callId: token() }), 200);
      times.push(performance.now() - began);
    }
    t.diagnostic(`median ${percentile(times, 0.5).toFixed(1)} ms, worst ${Math.max(...times).toFixed(1)} ms`);
    assert.ok(percentile(times, 0.9) < patient(100), `${times}`);
    assert.ok(slow.inFlight > 0, 'the slow ones were under way all the time');
    for (const answer of await answers) assertStatus(answer, 200);
  });
});

describe('an ha1 in its answer (RFC 7616 3.4.2) saves asking', () => {
  const TTL = 2;
  const callback = withCallback();
  const server = withServer(asking(callback, { workers: 1 }));
  const known = () => {
    callback.behave(({ body, json: answer, server: honest }) =>
      answer(honest.proves(body) ? { status: 'ok', ha1: ha1('MD5', 'alice', DOMAIN, PASSWORD.alice), ttl: TTL, tenant: 7 } : { status: 'fail' })
    );
    callback.forget();
  };

  it('until its ttl is over', async (t) => {
    known();
    const began = Date.now();
    assertStatus(await (await openPhone(t, server, 'tcp')).register(), 200);
    for (const kind of KINDS) assertStatus(await (await openPhone(t, server, kind)).register(), 200, kind);
    const asked = callback.requests.length;
    if (Date.now() - began < 1000 * TTL) assert.equal(asked, 1);
    await until('its time is over', () => Date.now() - began > 1000 * TTL + 1100, 8000);
    assertStatus(await (await openPhone(t, server, 'tcp')).register(), 200);
    assert.equal(callback.requests.length, asked + 1);
  });

  it('it is a secret: neither grant nor log has it', async (t) => {
    known();
    const phone = await openPhone(t, server, 'tcp');
    assertStatus(await phone.register(), 200);
    const secret = ha1('MD5', 'alice', DOMAIN, PASSWORD.alice);
    const listed = JSON.stringify(await server.registrations());
    assert.ok(!listed.includes(secret) && !server.stderr.includes(secret));
    for (const { grant } of await server.bindingsOf('alice')) assert.deepEqual(Object.keys(grant ?? {}).filter((name) => name !== 'tenant'), []);
  });

  it('a password that does not fit asks at once: it may have been changed', async (t) => {
    const other = await startServer(t, asking(callback, { workers: 1 }));
    known();
    assertStatus(await (await openPhone(t, other, 'tcp')).register(), 200);
    assert.equal(callback.requests.length, 1);
    assertStatus(await (await openPhone(t, other, 'tcp', { password: 'guess' })).register(), 403);
    assert.equal(callback.requests.length, 2);
    callback.users[`alice@${DOMAIN}`] = 'changed';
    assertStatus(await (await openPhone(t, other, 'tcp', { password: 'changed' })).register(), 200);
    callback.users[`alice@${DOMAIN}`] = PASSWORD.alice;
    callback.behave();
  });
});

describe('https', () => {
  const folder = temporaryFolder();
  makeAuthority(folder);
  const callback = withCallback({ tls: issue(folder, 'callback') });
  const caFile = path.join(folder, 'ca.crt');

  it('with an authority of its own (authCallback.caFile)', async (t) => {
    const server = await startServer(t, asking(callback, { authCallback: { caFile } }));
    const phone = await openPhone(t, server, 'wss');
    for (let i = 0; i < 5; i++) assertStatus(await phone.register({ callId: token() }), 200);
    assert.ok(callback.connections <= 2, 'TLS connections are kept');
  });

  it('a relative path starts at the configuration', async (t) => {
    const files = { 'my-ca.pem': fs.readFileSync(caFile, 'utf8') };
    const server = await startServer(t, { ...asking(callback, { authCallback: { caFile: 'my-ca.pem' } }), files });
    assertStatus(await (await openPhone(t, server, 'tcp')).register(), 200);
  });

  it('an unknown authority is an outage, and hears nothing', async (t) => {
    const server = await startServer(t, asking(callback));
    callback.forget();
    assertUnavailable(await (await openPhone(t, server, 'tcp')).register(), 'not trusted');
    assert.equal(callback.requests.length, 0);
  });

  it("somebody else's certificate is an outage", async (t) => {
    const other = await startCallback(t, { tls: issue(folder, 'other', { altNames: 'DNS:other.example' }) });
    const server = await startServer(t, asking(other, { authCallback: { caFile } }));
    assertUnavailable(await (await openPhone(t, server, 'tcp')).register(), 'another name');
    assert.equal(other.requests.length, 0);
  });
});

describe('JsSIP', () => {
  const callback = withCallback();
  const server = withServer(asking(callback));

  for (const kind of ['ws', 'wss'])
    it(`${kind}: registers through it and unregisters`, async (t) => {
      const ua = startUa(t, server, kind);
      await next(ua, 'registered');
      assert.equal(callback.requests.at(-1).body.protocol, kind);
      assert.equal((await server.bindingsOf('alice')).length, 1);
      ua.unregister();
      await next(ua, 'unregistered');
      assert.deepEqual(await server.bindingsOf('alice'), []);
    });

  it('is refused by it', async (t) => {
    const ua = startUa(t, server, 'ws', { password: 'guess' });
    const { cause, response } = await next(ua, 'registrationFailed');
    assert.equal(response.status_code, 403);
    assert.equal(cause, JsSIP.C.causes.REJECTED);
  });
});
