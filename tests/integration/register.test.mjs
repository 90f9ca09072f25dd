// REGISTER and its answers (SPEC 3 and 4, RFC 3261 10, RFC 3327, RFC 5626, RFC 7616, RFC 8760).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN, PASSWORD, startServer, withServer } from './lib/server.mjs';
import { KINDS, UdpClient } from './lib/clients.mjs';
import { challenges, ha1, token } from './lib/sip.mjs';
import { Phone, openPhone } from './lib/phone.mjs';

const DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;
const isStale = (response) => / stale=true(,|$)/i.test(response.get('WWW-Authenticate')); // unquoted

const instanceOf = (uuid) => `"<urn:uuid:${uuid}>"`;
const uuid = () => `00000000-0000-4000-8000-${token(6)}`;

describe('register over each transport', () => {
  const server = withServer();

  for (const kind of KINDS)
    it(`${kind}: 401, then 200, then gone again`, async (t) => {
      const phone = await openPhone(t, server, kind);

      const first = await phone.send(phone.build({ expires: 600 }));
      assertStatus(first, 401);
      assert.equal(first.reason, 'Unauthorized');
      assert.equal(first.all('WWW-Authenticate').length, 1);
      assert.match(
        first.get('WWW-Authenticate'),
        /^Digest realm="example\.com", ?nonce="[^"]+", ?algorithm=MD5, ?qop="auth"$/
      );

      const registered = await phone.register({ expires: 600 });
      assertStatus(registered, 200);
      assert.equal(registered.reason, 'OK');
      assert.deepEqual(registered.contacts.map((c) => c.uri), [phone.uri]);
      assertBetween(registered.contacts[0].expires, 599, 600, 'granted');
      assert.match(registered.get('Date'), DATE);

      const [binding] = await server.bindingsOf('alice');
      assert.equal(binding.protocol, kind);
      assert.equal(binding.contact, phone.uri);
      assert.equal(binding.aor, 'alice@example.com');
      assert.equal(binding.callId, phone.callId);
      if (kind === 'udp') assert.equal(binding.proxy, `sip:127.0.0.1:${phone.client.localPort}`);
      assert.match(binding.proxy, /^sip:127\.0\.0\.1:\d+$/);

      const gone = await phone.register({ contact: `${phone.contact};expires=0` });
      assertStatus(gone, 200);
      assert.deepEqual(gone.contacts, []);
      assert.deepEqual(await server.bindingsOf('alice'), []);
    });

  it('the Via comes back with received and rport (RFC 3581)', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const request = phone.build();
    request.set('Via', `SIP/2.0/UDP phone.example.net;branch=z9hG4bKabc;rport`);
    const via = (await phone.send(request)).get('Via');
    assert.match(via, /^SIP\/2\.0\/UDP phone\.example\.net;/);
    assert.match(via, /;branch=z9hG4bKabc(;|$)/);
    assert.match(via, /;received=127\.0\.0\.1(;|$)/);
    assert.match(via, new RegExp(`;rport=${phone.client.localPort}(;|$)`));
  });

  it('an AOR is user and lower-case host: no port, no parameters, escapes normalised', async (t) => {
    const phone = await openPhone(t, server, 'tcp', { user: 'bob' });
    const to = 'sip:b%6fb@EXAMPLE.com:5070;user=phone';
    const request = phone.build({ to });
    assertStatus(await phone.send(phone.authorized(request, await phone.challenge())), 200);
    assert.equal((await server.bindingsOf('bob')).length, 1);
  });

  it('the user part keeps its case', async (t) => {
    const phone = await openPhone(t, server, 'tcp', { user: 'Alice', password: PASSWORD.alice });
    assertStatus(await phone.register(), 403);
  });
});

describe('credentials', () => {
  const server = withServer();

  it('a wrong password and an unknown user get the same 403', async (t) => {
    const wrong = await openPhone(t, server, 'tcp', { password: 'guess' });
    const unknown = await openPhone(t, server, 'tcp', { user: 'mallory', password: 'guess' });
    const [a, b] = [await wrong.register(), await unknown.register()];
    assertStatus(a, 403);
    assertStatus(b, 403);
    assert.equal(a.reason, b.reason);
    assert.deepEqual(a.headers.map(([name]) => name), b.headers.map(([name]) => name));
    assert.deepEqual(await server.bindingsOf('alice'), []);
  });

  it("right credentials for another user's AOR are 403", async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const request = phone.build({ to: `sip:bob@${DOMAIN}` });
    assertStatus(await phone.send(phone.authorized(request, await phone.challenge())), 403);
    assert.deepEqual(await server.bindingsOf('bob'), []);
  });

  const uris = [
    // digest uri, status, why
    ['sip:example.com', 200, 'the Request-URI'],
    ['sip:127.0.0.1:5060', 200, 'an address of this node, as sipp writes it'],
    ['sip:elsewhere.example.net', 403, 'made for another server'],
  ];
  for (const [uri, status, why] of uris)
    it(`digest uri ${uri}: ${status} (${why})`, async (t) => {
      const phone = await openPhone(t, server, 'tcp');
      assertStatus(await phone.send(phone.authorized(phone.build(), await phone.challenge(), { uri })), status, why);
    });

  it('digest uri may name the realm where the Request-URI names the node', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const request = phone.build();
    request.line = `REGISTER sip:127.0.0.1:${server.port.tcp} SIP/2.0`;
    const digest = { uri: `sip:${DOMAIN}` };
    assertStatus(await phone.send(phone.authorized(request, await phone.challenge(), digest)), 200);
  });

  it('a username with @realm is the same user', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const digest = { user: `alice@${DOMAIN}` };
    const response = await phone.send(phone.authorized(phone.build(), await phone.challenge(), digest));
    assertStatus(response, 200);
  });

  const malformed = [
    // Authorization, status, why
    ['Digest username="alice', 400, 'unbalanced quotes'],
    ['Digest username="alice", username="bob"', 400, 'a parameter twice'],
    ['Bearer abcdef', 401, 'another scheme is no credentials'],
    [`Digest username="alice", realm="other.example", nonce="x", uri="sip:${DOMAIN}", response="${'0'.repeat(32)}"`, 401, 'a nonce of somebody else'],
  ];
  for (const [authorization, status, why] of malformed)
    it(`${why}: ${status}`, async (t) => {
      const phone = await openPhone(t, server, 'udp');
      const response = await phone.send(phone.build({ headers: [['Authorization', authorization]] }));
      assertStatus(response, status, why);
      if (status === 401) assert.ok(!isStale(response), 'stale only for nonces of ours');
    });

  it('a nonce serves again while its nc rises, from any start; a repeated or lower nc is stale', async (t) => {
    const phone = await openPhone(t, server, 'ws');
    const challenge = await phone.challenge();
    const steps = [
      [2, 200], // as both browser libraries begin with a new nonce
      [3, 200],
      [9, 200],
      [9, 401],
      [5, 401],
      [10, 200],
    ];
    for (const [nc, status] of steps) {
      const request = phone.authorized(phone.build({ headers: [['X-Step', String(nc)]] }), challenge, { nc });
      request.set('Call-ID', token()); // no refresh, so that it must authenticate
      const response = await phone.send(request);
      assertStatus(response, status, `nc=${nc}`);
      if (status === 401) assert.ok(isStale(response), response.text);
    }
  });

  it('a wrong answer does not use up its nc', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const challenge = await phone.challenge();
    assertStatus(await phone.send(phone.authorized(phone.build(), challenge, { password: 'guess' })), 403);
    assertStatus(await phone.send(phone.authorized(phone.build(), challenge)), 200);
  });

  it('without qop (RFC 2069) a nonce is good once', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const challenge = await phone.challenge();
    const old = { qop: false };
    assertStatus(await phone.send(phone.authorized(phone.build(), challenge, old)), 200);
    const again = await phone.send(phone.authorized(phone.build({ contact: null }), challenge, old));
    assertStatus(again, 401);
    assert.ok(isStale(again), again.text);
  });

  for (const kind of ['tcp', 'ws'])
    it(`${kind}: a nonce given to another connection is refused`, async (t) => {
      const one = await openPhone(t, server, kind, { user: 'carol' });
      const other = await openPhone(t, server, kind, { user: 'carol' });
      const stolen = await one.challenge();
      assertStatus(await other.send(other.authorized(other.build(), stolen)), 401);
      assert.deepEqual(await server.bindingsOf('carol'), []);
    });

  it('over UDP a nonce belongs to the address, not to the port', async (t) => {
    const one = await openPhone(t, server, 'udp');
    const other = await openPhone(t, server, 'udp');
    const challenge = await one.challenge();
    assertStatus(await other.send(other.authorized(other.build(), challenge)), 200);
  });
});

describe('stale nonces', () => {
  it('too old (auth.nonceTtl)', async (t) => {
    const server = await startServer(t, { config: { auth: { nonceTtl: 1 } } });
    const phone = await openPhone(t, server, 'tls');
    const challenge = await phone.challenge();
    await timerPasses(2100);
    const stale = await phone.send(phone.authorized(phone.build(), challenge));
    assertStatus(stale, 401);
    assert.ok(isStale(stale), stale.text);
    assertStatus(await phone.send(phone.authorized(phone.build(), phone.lastChallenge(stale), { nc: 2 })), 200);
  });

  it('from before a restart', async (t) => {
    const server = await startServer(t);
    const phone = await openPhone(t, server, 'udp');
    const challenge = await phone.challenge();
    await server.restart();
    const stale = await phone.send(phone.authorized(phone.build(), challenge));
    assertStatus(stale, 401);
    assert.ok(isStale(stale), stale.text);
  });
});

describe('algorithms', () => {
  const realm = DOMAIN;
  const hashed = (algorithm) => ha1(algorithm, 'bob', realm, PASSWORD.bob);
  const server = withServer({
    config: { auth: { algorithms: ['SHA-512-256', 'SHA-256', 'MD5'] } },
    users: {
      [`alice@${realm}`]: { password: PASSWORD.alice },
      [`bob@${realm}`]: { ha1: hashed('MD5'), 'ha1-sha256': hashed('SHA-256') },
    },
  });

  it('one challenge a line, in the configured order', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const response = await phone.send(phone.build());
    assert.deepEqual(challenges(response).map((c) => c.algorithm), ['SHA-512-256', 'SHA-256', 'MD5']);
    assert.equal(new Set(challenges(response).map((c) => c.nonce)).size, 1);
  });

  const rows = [
    // user, algorithm, what the users file holds
    ['alice', 'MD5', 'a password'],
    ['alice', 'SHA-256', 'a password'],
    ['alice', 'SHA-512-256', 'a password'],
    ['bob', 'MD5', 'ha1'],
    ['bob', 'SHA-256', 'ha1-sha256'],
  ];
  for (const [user, algorithm, known] of rows)
    it(`${user} by ${algorithm}, known by ${known}`, async (t) => {
      const phone = await openPhone(t, server, 'tcp', { user });
      const offered = challenges(await phone.send(phone.build()));
      const challenge = offered.find((c) => c.algorithm === algorithm);
      assertStatus(await phone.send(phone.authorized(phone.build(), challenge)), 200);
      const digest = { password: 'guess', nc: 2 };
      assertStatus(await phone.send(phone.authorized(phone.build({ contact: null }), challenge, digest)), 403);
    });
});

describe('refresh cache (SPEC 3, step 5)', () => {
  const server = withServer();
  const registered = async (t, kind) => {
    const phone = await openPhone(t, server, kind);
    assertStatus(await phone.register({ expires: 600 }), 200);
    return phone;
  };

  for (const kind of KINDS)
    it(`${kind}: a pure refresh needs no credentials`, async (t) => {
      const phone = await registered(t, kind);
      const refreshed = await phone.send(phone.build({ expires: 600 }));
      assertStatus(refreshed, 200);
      assertBetween(refreshed.contacts.find((c) => c.uri === phone.uri).expires, 599, 600, 'granted anew');
    });

  const changes = [
    // what differs, how the request is built
    ['another contact', (phone) => ({ contact: `<sip:${phone.name}@127.0.0.1:9;transport=tcp>` })],
    ['one contact more', (phone) => ({ contact: [phone.contact, '<sip:x@127.0.0.1:9>'] })],
    ['another Call-ID', () => ({ callId: token() })],
    ['a removal', (phone) => ({ contact: `${phone.contact};expires=0` })],
    ['removal of everything', () => ({ contact: '*', expires: 0 })],
    ['a fetch', () => ({ contact: null })],
    ['an instance', (phone) => ({ contact: `${phone.contact};+sip.instance=${instanceOf(uuid())}` })],
  ];
  for (const [what, options] of changes)
    it(`${what} is challenged`, async (t) => {
      const phone = await registered(t, 'tcp');
      assertStatus(await phone.send(phone.build({ expires: 600, ...options(phone) })), 401, what);
      assert.ok((await server.bindingsOf('alice')).some((b) => b.contact === phone.uri), 'still there');
    });

  for (const kind of ['udp', 'tcp'])
    it(`${kind}: the same request from another port or connection is challenged`, async (t) => {
      const phone = await registered(t, kind);
      const thief = await openPhone(t, server, kind);
      thief.cseq = phone.cseq;
      assertStatus(await thief.send(thief.build({ contact: phone.contact, callId: phone.callId })), 401);
    });

  it('can be switched off', async (t) => {
    const strict = await startServer(t, { config: { auth: { refreshCache: false } } });
    const phone = await openPhone(t, strict, 'tcp');
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.send(phone.build()), 401);
  });

  it('lasts refreshCacheSeconds after the last real authentication', async (t) => {
    const brief = await startServer(t, { config: { auth: { refreshCacheSeconds: 1 } } });
    const phone = await openPhone(t, brief, 'tcp');
    assertStatus(await phone.register(), 200);
    await until('the cache forgets', async () => (await phone.send(phone.build())).status === 401);
    assertStatus(await phone.register(), 200);
    assertStatus(await phone.send(phone.build()), 200);
  });
});

describe('bindings (RFC 3261 10.3)', () => {
  const server = withServer({ config: { registrar: { minExpires: 60, maxExpires: 3600, defaultExpires: 1800, maxContacts: 4 } } });
  const fresh = async (t, kind = 'tcp') => {
    const phone = await openPhone(t, server, kind);
    assertStatus(await phone.unregister(), 200);
    return phone;
  };
  const at = (port) => `sip:alice@127.0.0.1:${port}`;

  const grants = [
    // Contact parameter, Expires header, granted, why
    ['', undefined, 1800, 'the default'],
    ['', 700, 700, 'the header'],
    [';expires=900', 700, 900, 'the parameter comes first'],
    [';expires=60', undefined, 60, 'the least'],
    ['', 4000000, 3600, 'never above the most'],
    [';expires=99999999999', undefined, 3600, 'absurd, yet a number'],
  ];
  for (const [parameter, expires, granted, why] of grants)
    it(`grants ${granted}: ${why}`, async (t) => {
      const phone = await fresh(t);
      const response = await phone.register({ contact: `<${at(5001)}>${parameter}`, expires });
      assertStatus(response, 200);
      assertBetween(response.contacts[0].expires, granted - 1, granted, why);
    });

  it('too brief: 423 with Min-Expires, all or nothing', async (t) => {
    const phone = await fresh(t);
    const response = await phone.register({ contact: [`<${at(5001)}>;expires=600`, `<${at(5002)}>;expires=59`] });
    assertStatus(response, 423);
    assert.equal(response.get('Min-Expires'), '60');
    assert.deepEqual(await server.bindingsOf('alice'), []);
  });

  it('several contacts at once, with q and a time each; then one of them goes', async (t) => {
    const phone = await fresh(t);
    const contact = [`<${at(5001)}>;q=0.5;expires=600`, `"Desk" <${at(5002)}>;q=1.0;expires=900`];
    const both = await phone.register({ contact });
    assertStatus(both, 200);
    assert.deepEqual(both.contacts.map((c) => c.uri), [at(5001), at(5002)]);
    assertBetween(both.contacts[1].expires, 899, 900, 'its own time');
    const stored = await server.bindingsOf('alice');
    assert.deepEqual(stored.map((b) => [b.contact, b.q]).sort(), [[at(5001), 0.5], [at(5002), 1]]);

    const left = await phone.register({ contact: `<${at(5001)}>;expires=0` });
    assert.deepEqual(left.contacts.map((c) => c.uri), [at(5002)]);
  });

  it('several contacts in one header line', async (t) => {
    const phone = await fresh(t);
    const response = await phone.register({ contact: `"Desk, left" <${at(5001)}>, <${at(5002)}>;expires=100` });
    assertStatus(response, 200);
    assert.deepEqual(response.contacts.map((c) => c.uri), [at(5001), at(5002)]);
  });

  it('a fetch lists everything and changes nothing', async (t) => {
    const phone = await fresh(t);
    await phone.register({ contact: [`<${at(5001)}>`, `<${at(5002)}>`], expires: 600 });
    const fetched = await phone.register({ contact: null });
    assertStatus(fetched, 200);
    assert.deepEqual(fetched.contacts.map((c) => c.uri).sort(), [at(5001), at(5002)]);
    assert.equal((await server.bindingsOf('alice')).length, 2);
  });

  const wildcards = [
    // contacts, Expires, status
    [['*'], 0, 200],
    [['*'], undefined, 400],
    [['*'], 10, 400],
    [['*', `<${at(5009)}>`], 0, 400],
  ];
  for (const [contact, expires, status] of wildcards)
    it(`Contact: ${contact.join(' and ')} with Expires ${expires}: ${status}`, async (t) => {
      const phone = await fresh(t);
      await phone.register({ contact: [`<${at(5001)}>`, `<${at(5002)}>`] });
      assertStatus(await phone.register({ contact, expires }), status);
      assert.equal((await server.bindingsOf('alice')).length, status === 200 ? 0 : 2);
    });

  it('the same contact is a refresh by RFC 3261 19.1.4, not by its bytes', async (t) => {
    const phone = await fresh(t);
    await phone.register({ contact: '<sip:al%69ce@Phone.Example.NET;b=2;a=1>' });
    const response = await phone.register({ contact: '<sip:alice@phone.example.net;a=1;b=2>' });
    assertStatus(response, 200);
    assert.deepEqual(response.contacts.map((c) => c.uri), ['sip:alice@phone.example.net;a=1;b=2'], 'as registered last');
  });

  it('an old CSeq of the same Call-ID is 500 and changes nothing', async (t) => {
    const phone = await fresh(t);
    phone.cseq = 50;
    await phone.register({ expires: 600 });
    const old = phone.build({ expires: 0, cseq: 7 });
    const challenge = await phone.challenge();
    old.set('Authorization', phone.credentials(challenge));
    assertStatus(await phone.send(old), 500);
    assert.equal((await server.bindingsOf('alice')).length, 1);
  });

  it('the 200 has the own contact first and every other with its own time', async (t) => {
    const desk = await fresh(t);
    const web = await openPhone(t, server, 'wss');
    await desk.register({ expires: 600 });
    const response = await web.register({ expires: 300 });
    assert.deepEqual(response.contacts.map((c) => c.uri), [web.uri, desk.uri]);
    assertBetween(response.contacts[0].expires, 299, 300, 'own');
    assertBetween(response.contacts[1].expires, 590, 600, "the desk phone's");
  });

  it('a reloaded page with its old instance replaces its own binding', async (t) => {
    await fresh(t);
    const instance = instanceOf(uuid());
    const before = await openPhone(t, server, 'ws');
    const parameters = (phone) => ({ contact: `${phone.contact};+sip.ice;reg-id=1;+sip.instance=${instance};expires=600` });
    assertStatus(await before.register(parameters(before)), 200);
    const after = await openPhone(t, server, 'ws');
    const response = await after.register(parameters(after));
    assertStatus(response, 200);
    assert.deepEqual(response.contacts.map((c) => c.uri), [after.uri]);
    assert.equal(response.contacts[0].params['+sip.instance'], instance);
    const [binding] = await server.bindingsOf('alice');
    assert.equal(binding.contact, after.uri);
    assert.equal(binding.instance, instance.slice(1, -1), 'without its quotes');
  });

  it('outbound: reg-id keys flows apart, and the answer requires outbound (RFC 5626 6)', async (t) => {
    await fresh(t);
    const instance = instanceOf(uuid());
    const flows = [];
    for (const regId of [1, 2]) {
      const phone = await openPhone(t, server, 'tcp');
      const response = await phone.register({
        contact: `${phone.contact};reg-id=${regId};+sip.instance=${instance}`,
        headers: [['Supported', 'path, outbound']],
      });
      assertStatus(response, 200);
      assert.match(response.all('Require').join(), /\boutbound\b/);
      assert.match(response.all('Supported').join(), /\boutbound\b/);
      flows.push(phone);
    }
    const stored = await server.bindingsOf('alice');
    assert.deepEqual(stored.map((b) => b.regId).sort(), [1, 2]);

    const again = await openPhone(t, server, 'tcp');
    const response = await again.register({
      contact: `${again.contact};reg-id=2;+sip.instance=${instance}`,
      headers: [['Supported', 'path, outbound']],
    });
    assert.deepEqual(response.contacts.map((c) => c.uri), [again.uri, flows[0].uri]);
  });

  it('a client without outbound is not told that it is required', async (t) => {
    const phone = await fresh(t);
    assert.deepEqual((await phone.register()).all('Require'), []);
  });

  it('Path is stored and echoed (RFC 3327)', async (t) => {
    const phone = await fresh(t);
    const path = ['<sip:edge2.example.net;lr;ob>', '<sip:edge1.example.net;lr>'];
    const response = await phone.register({ headers: [['Supported', 'path'], ...path.map((p) => ['Path', p])] });
    assertStatus(response, 200);
    assert.deepEqual(response.all('Path').join(', '), path.join(', '));
    const [binding] = await server.bindingsOf('alice');
    assert.deepEqual(binding.path, path);
  });

  it('overflow: the one refreshed longest ago goes', async (t) => {
    const phone = await fresh(t);
    for (const port of [5001, 5002, 5003, 5004, 5001, 5005]) {
      assertStatus(await phone.register({ contact: `<${at(port)}>` }), 200);
      await timerPasses(2); // so that no two are refreshed in the same millisecond
    }
    const stored = await server.bindingsOf('alice');
    assert.deepEqual(stored.map((b) => b.contact).sort(), [at(5001), at(5003), at(5004), at(5005)]);
  });

  it('overflow: more new contacts in one request than there may be is 403', async (t) => {
    const phone = await fresh(t);
    await phone.register({ contact: `<${at(5001)}>` });
    const contact = [1, 2, 3, 4, 5].map((n) => `<${at(5010 + n)}>`);
    assertStatus(await phone.register({ contact }), 403);
    assert.deepEqual((await server.bindingsOf('alice')).map((b) => b.contact), [at(5001)]);
  });

  it('whatever was stored is listed, however long the answer gets', async (t) => {
    const roomy = await startServer(t, { config: { registrar: { maxContacts: 200 } } });
    const phone = await openPhone(t, roomy, 'tcp');
    for (let batch = 1; batch <= 8; batch++) {
      const contact = Array.from({ length: 25 }, (_, i) => `<${at(6000 + batch * 25 + i)};x=${'y'.repeat(1900)}>`);
      const answer = await phone.register({ contact });
      assertStatus(answer, 200);
      assert.equal(answer.contacts.length, batch * 25); // about 380 kB at the end
    }
  });

  it('overflow "reject": 403 for one more, a refresh never counts', async (t) => {
    const strict = await startServer(t, { config: { registrar: { maxContacts: 2, overflow: 'reject' } } });
    const phone = await openPhone(t, strict, 'tcp');
    const steps = [[5001, 200], [5002, 200], [5003, 403], [5001, 200]];
    for (const [port, status] of steps) assertStatus(await phone.register({ contact: `<${at(port)}>` }), status, String(port));
    assert.deepEqual((await strict.bindingsOf('alice')).map((b) => b.contact).sort(), [at(5001), at(5002)]);
  });
});

describe('time', () => {
  it('a binding outlives its grant by graceSeconds, then goes', async (t) => {
    const server = await startServer(t, { config: { registrar: { minExpires: 1, graceSeconds: 2 } } });
    const phone = await openPhone(t, server, 'tcp');
    assertStatus(await phone.register({ expires: 1 }), 200);
    const began = Date.now();
    await until('its grant is over', async () => Date.now() - began > 1500, 3000);
    assert.equal((await server.bindingsOf('alice')).length, 1, 'within its grace');
    await until('it is gone', async () => (await server.bindingsOf('alice')).length === 0, 5000);
    assertBetween(Date.now() - began, 2900, 6000, 'after one second and two of grace');
  });
});

describe('NAT (SPEC 3, step 9)', () => {
  const server = withServer();
  const rows = [
    // transport, Contact host, Via sent-by, granted, why
    ['udp', '10.1.2.3:5060', null, 30, 'a private contact'],
    ['udp', '100.64.9.9', null, 30, 'RFC 6598'],
    ['udp', '192.0.2.7', null, 30, 'another address than the source'],
    ['udp', 'x4f7.invalid', null, 30, 'an .invalid name'],
    ['udp', null, '192.168.7.7:5060', 30, 'a private sent-by'],
    ['udp', null, null, 600, 'no NAT'],
    ['udp', 'phone.example.net', null, 600, 'a name may be anything'],
    ['tcp', '10.1.2.3:5060', null, 600, 'nat.transports is udp only'],
    ['ws', 'x4f7.invalid', null, 600, 'browsers always do so'],
  ];
  for (const [kind, host, sentBy, granted, why] of rows)
    it(`${kind}, contact at ${host ?? 'its source'}, via ${sentBy ?? 'its source'}: ${granted} (${why})`, async (t) => {
      const phone = await openPhone(t, server, kind);
      await phone.unregister();
      if (sentBy) phone.host = sentBy;
      const contact = `<sip:alice@${host ?? `127.0.0.1:${phone.client.localPort}`}>`;
      const response = await phone.register({ contact, expires: 600 });
      assertStatus(response, 200);
      assertBetween(response.contacts[0].expires, granted - 1, granted, why);
      const [binding] = await server.bindingsOf('alice');
      if (kind === 'udp') assert.equal(binding.nat, granted === 30, why);
      if (kind === 'udp') assert.equal(binding.proxy, `sip:127.0.0.1:${phone.client.localPort}`);
    });

  it('behind NAT its own bound stands in for minExpires', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const contact = '<sip:alice@10.1.2.3>';
    assertStatus(await phone.register({ contact, expires: 30 }), 200, 'below minExpires, fine here');
    const brief = await phone.register({ contact, expires: 10 });
    assertStatus(brief, 423);
    assert.equal(brief.get('Min-Expires'), '30');
  });
});

describe('IPv6', () => {
  const server = withServer({ config: { listen: ['udp://[::1]:0', 'tcp://[::1]:0'] } });
  for (const kind of ['udp', 'tcp'])
    it(`${kind} on [::1]`, async (t) => {
      const phone = await openPhone(t, server, kind, { host: '::1' });
      const response = await phone.register();
      assertStatus(response, 200);
      assert.deepEqual(response.contacts.map((c) => c.uri), [phone.uri]);
      const [binding] = await server.bindingsOf('alice');
      assert.match(binding.proxy, /^sip:\[::1\]:\d+$/);
      await phone.unregister();
    });

  it('received holds the address without brackets or with, rport the port', async (t) => {
    const client = await UdpClient.open(server.port.udp, { host: '::1' });
    const phone = await Phone.open(server, 'udp', { client });
    t.after(() => phone.close());
    phone.host = 'phone.example.net';
    assert.match((await phone.send(phone.build({ contact: null }))).get('Via'), /;received=\[?::1\]?(;|$)/);
  });
});
