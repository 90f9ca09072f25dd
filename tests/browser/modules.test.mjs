// The parts of the page that need no browser, as tables.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { test } from 'node:test';
import { parseAddress, parseServer, serverOf } from '../../www/src/address.js';
import { leaveInstanceId, takeInstanceId } from '../../www/src/instance.js';
import { headers, maskSecrets, summarize } from '../../www/src/message.js';
import { amount, duration, refusal } from '../../www/src/words.js';

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
