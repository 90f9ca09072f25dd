// The parts of the page that need no browser, as tables.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { test } from 'node:test';
import { parseAddress, parseServer, serverOf, serversOf } from '../../www/src/address.js';
import { ratesInWords, registrationsInWords } from '../../www/src/charts.js';
import { History, marksUpTo, runsOf, spanOf } from '../../www/src/history.js';
import { leaveInstanceId, takeInstanceId } from '../../www/src/instance.js';
import { Listing } from '../../www/src/listing.js';
import { headers, maskSecrets, summarize } from '../../www/src/message.js';
import { jssipCode, sipjsCode } from '../../www/src/snippets.js';
import { amount, compact, countdown, duration, latency, refusal, span } from '../../www/src/words.js';

globalThis.crypto ??= webcrypto; // every browser has it; Node.js has from version 20 on

test('addresses', () => {
  for (const [address, domain, user, host] of [
    ['alice', 'example.com', 'alice', 'example.com'],
    ['alice@example.com', '', 'alice', 'example.com'],
    ['alice@example.com', 'other.example', 'alice', 'example.com'],
    ['sip:alice@Example.COM', '', 'alice', 'example.com'],
    ['<sips:alice@example.com>', '', 'alice', 'example.com'],
    ['sip:alice@example.com:5060;transport=ws?x=y', '', 'alice', 'example.com'],
    ['alice@[::1]:5060', '', 'alice', '[::1]'],
    ['alice@[::1]', '', 'alice', '[::1]'],
    ['a@b@example.com', '', 'a@b', 'example.com'],
    [' Alice ', ' sip:example.com ', 'Alice', 'example.com'],
    ['', 'example.com', '', 'example.com'],
    ['alice', '', 'alice', ''],
  ])
    assert.deepEqual(parseAddress(address, domain), { user, domain: host }, address);
});

test('server addresses', () => {
  for (const [page, server] of [
    ['https://sip.example.com/', 'wss://sip.example.com/'],
    ['https://127.0.0.1:8443/index.html?a#b', 'wss://127.0.0.1:8443/'],
    ['http://[::1]:8080/', 'ws://[::1]:8080/'],
  ])
    assert.equal(serverOf(page), server);
  for (const [text, server] of [
    [' wss://example.com ', 'wss://example.com/'],
    ['ws://127.0.0.1:8080/sip#x', 'ws://127.0.0.1:8080/sip'],
    ['https://example.com/', null],
    ['example.com', null],
    ['', null],
  ])
    assert.equal(parseServer(text), server);
});

test('addresses of a node, as a page reaches them', () => {
  const listen = ['udp://10.0.0.1:5060', 'wss://0.0.0.0:443', 'wss://10.0.0.1:8443?proxy=v1v2', 'ws://127.0.0.1:8080', 'ws://[::]:80'];
  for (const [page, servers] of [
    ['http://10.0.0.1:8081/', ['ws://127.0.0.1:8080/', 'ws://10.0.0.1/', 'wss://10.0.0.1/']],
    ['https://sip.example.com/', ['wss://sip.example.com/', 'ws://127.0.0.1:8080/', 'ws://sip.example.com/']],
  ])
    assert.deepEqual(serversOf(listen, page), servers);
});

test('history keeps fifteen minutes, and knows its gaps', () => {
  const history = new History();
  for (let at = 0; at <= 1_000_000; at += 2_000)
    history.add(at, {});
  assert.equal(history.samples.length, 451);
  assert.equal(history.samples[0].at, 100_000);
  history.add(500_000, {});
  assert.equal(history.samples.at(-1).at, 500_000, 'a clock that was set back');
  assert.ok(history.samples.every(({ at }, i, all) => i === 0 || at > all[i - 1].at));

  const at = (...times) => times.map((time) => ({ at: time }));
  for (const [samples, spanMs, runs] of [
    [[], 60_000, []],
    [at(0), 60_000, [1]],
    [at(0, 20_000, 60_000), 60_000, [2, 1]],
    [at(0, 60_001), 120_000, [1, 1]],
    [at(0, 2_000, 300_001), 900_000, [2, 1]],
  ]) {
    assert.equal(spanOf(samples), spanMs);
    assert.deepEqual(runsOf(samples).map((run) => run.length), runs);
  }
});

test('marks of an axis', () => {
  for (const [max, marks] of [
    [0, [0, 1]], [0.3, [0, 1]], [1, [0, 1]], [1.1, [0, 1, 2]], [3, [0, 2, 4]], [9, [0, 5, 10]], [10, [0, 5, 10]],
    [11, [0, 10, 20]], [68, [0, 40, 80]], [81, [0, 50, 100]], [12_345, [0, 10_000, 20_000]],
  ])
    assert.deepEqual(marksUpTo(max), marks, String(max));
});

test('charts in words', () => {
  const sample = (at, wss, udp, registers) => ({ at, values: { wss, ws: 0, tls: 0, tcp: 0, udp, total: wss + udp, registers } });
  const samples = [sample(0, 0, 2, 0), sample(100_000, 1200, 34, 7.5)];
  assert.equal(registrationsInWords(samples), '1,234 now: 1,200 WSS, 34 UDP. Between 2 and 1,234 in the last 2 minutes.');
  assert.equal(registrationsInWords(samples.slice(1)), '1,234 now: 1,200 WSS, 34 UDP. Steady in the last minute.');
  assert.equal(ratesInWords(samples), '7.5 REGISTERs a second now. At most 7.5 in the last 2 minutes.');
});

test('the listing has each registration once, and finds by address', () => {
  const listing = new Listing();
  const one = (aor, contact = 'sip:x', expiresIn = 60) => ({ aor, contact, callId: 'c', instance: null, expiresIn });
  listing.add({ registrations: [one('u10@x'), one('u9@x'), one('u9@x', 'sip:y')], cursor: '7' }, 0);
  listing.add({ registrations: [one('u9@x', 'sip:x', 90), one('Alice@x')], cursor: null }, 1_000);
  assert.equal(listing.size, 4);
  assert.deepEqual(listing.find('').map(({ aor, endsAt }) => [aor, endsAt]), [
    ['Alice@x', 61_000], ['u9@x', 91_000], ['u9@x', 60_000], ['u10@x', 60_000],
  ]);
  assert.equal(listing.find(' sip:ALICE').length, 1);
  assert.equal(listing.hasMore, false);
  listing.remove('u9@x');
  assert.equal(listing.find('u9').length, 0);
});

test('code to copy cannot be broken out of', () => {
  const odd = { server: "wss://x/'\\", uri: "sip:a'b\n@x", user: "a'b\n" };
  for (const code of [jssipCode(odd), sipjsCode(odd)]) {
    assert.ok(code.includes("'wss://x/\\'\\\\'"), code);
    assert.ok(code.includes("'sip:a\\'b@x'"), code);
  }
  const none = { server: null, uri: null, user: '' };
  assert.match(jssipCode(none), /wss:\/\/sip\.example\.com\/[^]*sip:alice@example\.com/);
  assert.match(sipjsCode(none), /authorizationUsername: 'alice'/);
});

test('secrets are masked, the rest stays', () => {
  for (const [line, masked] of [
    [
      'Authorization: Digest username="alice", realm="localhost", nonce="a,b", uri="sip:localhost", response="00ff", qop=auth, cnonce="x", nc=00000001',
      'Authorization: Digest username="alice", realm="localhost", nonce="***", uri="sip:localhost", response="***", qop=auth, cnonce="***", nc=00000001',
    ],
    ['Authorization: Digest response=00ff,nonce = "x"', 'Authorization: Digest response="***",nonce = "***"'],
    ['authorization: bearer abc.def', 'authorization: bearer ***'],
    ['WWW-Authenticate: Digest realm="r", nonce="n", stale=true', 'WWW-Authenticate: Digest realm="r", nonce="***", stale=true'],
    ['Contact: <sip:a@b.invalid>;expires=600', 'Contact: <sip:a@b.invalid>;expires=600'],
  ])
    assert.equal(
      maskSecrets(`REGISTER sip:x SIP/2.0\r\n${line}\r\n\r\nresponse=body`),
      `REGISTER sip:x SIP/2.0\r\n${masked}\r\n\r\nresponse=body`,
    );
});

test('messages in one line', () => {
  for (const [text, what, more] of [
    ['REGISTER sip:x SIP/2.0\r\nCSeq: 1 REGISTER\r\n\r\n', 'REGISTER sip:x', 'CSeq 1'],
    ['REGISTER sip:x SIP/2.0\r\nCSeq: 2 REGISTER\r\nExpires: 0\r\nAuthorization: Digest x\r\n\r\n', 'REGISTER sip:x', 'CSeq 2, with credentials, removes'],
    ['SIP/2.0 401 Unauthorized\r\ncseq : 1 REGISTER\r\n\r\n', '401 Unauthorized', 'CSeq 1'],
    ['\r\n\r\n', 'keep-alive', ''],
  ])
    assert.deepEqual(summarize(text), { what, more });
  assert.deepEqual(headers('X y\r\nContact: <a>;x=":"\r\nCONTACT:<b>\r\n\r\nContact: <c>', 'contact'), ['<a>;x=":"', '<b>']);
});

test('words', () => {
  for (const [seconds, words] of [
    [0, '0 seconds'],
    [1, '1 second'],
    [80, '1 minute 20 seconds'],
    [3600, '1 hour'],
    [3605, '1 hour'],
    [7500, '2 hours 5 minutes'],
    [266400, '3 days 2 hours'],
  ])
    assert.equal(duration(seconds), words);
  assert.equal(amount(1234.56), '1,234.6');
  for (const [seconds, text] of [[0, '0:00'], [-3, '0:00'], [9.2, '0:10'], [589, '9:49'], [3605, '1:00:05']])
    assert.equal(countdown(seconds), text);
  assert.deepEqual([compact(15_000), compact(7), span(30_000), span(150_000)], ['15K', '7', '30 s', '2.5 min']);
  assert.deepEqual([0.123, 12.34, 1234.5].map(latency), ['0.12 ms', '12.3 ms', '1,235 ms']);
  assert.equal(refusal(403, 'Forbidden'), 'Refused: wrong user name or password');
  assert.equal(refusal(503, 'Service Unavailable'), 'Refused: the server said 503 Service Unavailable');
  assert.equal(refusal(503, '', '5 (busy)'), 'Refused: the server said 503, try again in 5 seconds');
});

test('the instance id is away while its page lives', () => {
  const map = new Map();
  const storage = {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, value),
    removeItem: (key) => map.delete(key),
  };
  const id = takeInstanceId(storage);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(takeInstanceId(storage), id, 'a duplicated tab');
  leaveInstanceId(storage, id);
  assert.equal(takeInstanceId(storage), id, 'a reload');
});
