// Secrets in the memory of a running server (SECURITY.md): what is found there, and what is not.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ok, startCallback } from './lib/callback.mjs';
import { SANITIZED, assertStatus, until } from './lib/expect.mjs';
import { openPhone } from './lib/phone.mjs';
import { DOMAIN, startServer } from './lib/server.mjs';
import { ha1 } from './lib/sip.mjs';

const MAX_REGION = 1 << 30; // sanitizers reserve much more, and hold no data there
const PIECE = 1 << 20;
const OVERLAP = 256;

/** Where `wanted` (name → Buffer) is found in what the process may write: a set of names. */
function findInMemory(pid, wanted) {
  const found = new Set();
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r');
  const piece = Buffer.alloc(PIECE + OVERLAP);
  for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to, name] = /^(\w+)-(\w+) rw\S* \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
    if (!from || name === '[vvar]') continue;
    const [start, end] = [from, to].map((hex) => Number.parseInt(hex, 16));
    if (end - start > MAX_REGION) continue;
    for (let at = start; at < end; at += PIECE) {
      let bytes = 0;
      try {
        bytes = fs.readSync(memory, piece, 0, Math.min(piece.length, end - at), BigInt(at));
      } catch {
        continue; // a guard page
      }
      const part = piece.subarray(0, bytes);
      for (const [what, secret] of Object.entries(wanted)) if (part.includes(secret)) found.add(what);
    }
  }
  fs.closeSync(memory);
  return found;
}

function whyNot() {
  if (SANITIZED) return 'sanitizers keep what was freed, and stacks of functions that returned';
  try {
    fs.closeSync(fs.openSync('/proc/1/mem', 'r'));
    return false;
  } catch (error) {
    return process.getuid() === 0 ? false : `the memory of other processes cannot be read: ${error.code}`;
  }
}

const raw = (user, password, algorithm = 'MD5') => Buffer.from(ha1(algorithm, user, DOMAIN, password), 'hex');
const hex = (user, password) => text(ha1('MD5', user, DOMAIN, password));
/** What is given back to the allocator loses its first 16 bytes by that alone: only the rest counts. */
const text = (secret) => Buffer.from(secret).subarray(16);
const base64 = (secret) => text(Buffer.from(secret).toString('base64'));

describe('secrets in memory', { skip: whyNot() }, () => {
  it('of a users file: no password at all, and of users who are gone no hash', async (t) => {
    const users = {
      'alice@example.com': { password: 'a1-first-password-that-is-rather-long' },
      'bob@example.com': { password: 'b1-first-password-that-is-rather-long' },
      'carol@example.com': { ha1: ha1('MD5', 'carol', DOMAIN, 'c1-password-that-is-rather-long') },
    };
    const server = await startServer(t, { users, config: { logging: { level: 'info' } } });
    for (const user of ['alice', 'bob']) {
      const phone = await openPhone(t, server, user === 'alice' ? 'udp' : 'wss', { user, password: users[`${user}@${DOMAIN}`].password });
      assertStatus(await phone.register(), 200);
    }
    const before = findInMemory(server.pid, {
      'the hash of alice': raw('alice', 'a1-first-password-that-is-rather-long'),
      'the hash of bob': raw('bob', 'b1-first-password-that-is-rather-long'),
      'the hash of carol': raw('carol', 'c1-password-that-is-rather-long'),
      'the password of alice': text('a1-first-password-that-is-rather-long'),
      'the password of bob': text('b1-first-password-that-is-rather-long'),
      'the written hash of carol': hex('carol', 'c1-password-that-is-rather-long'),
    });
    assert.deepEqual([...before].sort(), ['the hash of alice', 'the hash of bob', 'the hash of carol'], 'hashes are in use, nothing else is there');

    await server.reload({ users: { 'alice@example.com': { password: 'a2-second-password-that-is-rather-long' } } });
    const phone = await openPhone(t, server, 'udp', { password: 'a2-second-password-that-is-rather-long' });
    await until('the settings are in force', async () => (await phone.register()).status === 200);
    const wanted = { 'the new hash of alice': raw('alice', 'a2-second-password-that-is-rather-long'), 'the new password': text('a2-second-password-that-is-rather-long') };
    for (const [user, password] of [['alice', 'a1-first-password-that-is-rather-long'], ['bob', 'b1-first-password-that-is-rather-long'], ['carol', 'c1-password-that-is-rather-long']])
      Object.assign(wanted, {
        [`the old password of ${user}`]: text(password),
        [`the old hash of ${user}`]: raw(user, password),
        [`the old SHA-256 hash of ${user}`]: raw(user, password, 'SHA-256'),
        [`the old hash of ${user} in hex`]: hex(user, password),
      });
    // The last worker lets go of the old settings when it takes the new ones.
    let found;
    await until('the old users go', () => {
      found = [...findInMemory(server.pid, wanted)];
      return found.length === 1;
    }, 2000).catch(() => {});
    assert.deepEqual(found, ['the new hash of alice']);
  });

  it('of the configuration: those in force once, earlier ones not at all', async (t) => {
    const callback = await startCallback(t);
    const secretsOf = (n) => ({
      users: undefined,
      authCallback: { uri: callback.uri, auth: { username: 'aorta', password: `callback-password-that-is-long-${n}` } },
      http: { adminToken: `admin-token-that-is-rather-long-${n}` },
      logging: { level: 'info' },
    });
    const server = await startServer(t, { config: secretsOf(1) });
    const phone = await openPhone(t, server, 'udp');
    assertStatus(await phone.register(), 200);
    await server.reload({ config: secretsOf(2) });
    await until('a worker asks with the new password', async () => {
      assertStatus(await phone.register({ expires: 600 + phone.cseq }), 200);
      return callback.requests.at(-1).headers.authorization.includes(base64('aorta:callback-password-that-is-long-2').toString());
    });
    const wanted = (n) => ({
      [`token ${n}`]: text(`admin-token-that-is-rather-long-${n}`),
      [`password ${n}`]: text(`callback-password-that-is-long-${n}`),
      [`Authorization ${n}`]: base64(`aorta:callback-password-that-is-long-${n}`),
    });
    let found;
    await until('the old settings go', () => {
      found = [...findInMemory(server.pid, { ...wanted(1), ...wanted(2) })].sort();
      return !found.some((what) => what.endsWith('1'));
    }, 2000).catch(() => {});
    assert.ok(found.includes('token 2') && found.includes('password 2'), `they are in use: ${found}`);
    assert.deepEqual(found.filter((what) => what.endsWith('1')), []);
  });

  it('of requests: no Authorization is left once it is answered', async (t) => {
    const callback = await startCallback(t);
    const alone = await startServer(t, { config: { workers: 1 } });
    const asking = await startServer(t, { config: { workers: 1, users: undefined, authCallback: { uri: callback.uri } } });
    for (const [server, kind] of [alone, asking].flatMap((one) => ['udp', 'tcp', 'wss'].map((kind) => [one, kind]))) {
      const phone = await openPhone(t, server, kind);
      const challenge = await phone.challenge();
      const request = phone.build();
      request.set('Authorization', phone.credentials(challenge));
      assertStatus(await phone.send(request), 200);
      const response = /response="(\w+)"/.exec(request.get('Authorization'))[1];
      let found;
      await until('the request ends', () => {
        found = [...findInMemory(server.pid, { response: text(response) })];
        return found.length === 0;
      }, 500).catch(() => {});
      assert.deepEqual(found, [], kind);
    }
  });

  it('of callbacks: no hash as it was written, which is kept for a while', async (t) => {
    const callback = await startCallback(t);
    const server = await startServer(t, { config: { workers: 1, users: undefined, authCallback: { uri: callback.uri } } });
    callback.behave(ok({ ha1: ha1('MD5', 'alice', DOMAIN, 'wonderland'), ttl: 600 }));
    assertStatus(await (await openPhone(t, server, 'udp')).register(), 200);
    const found = findInMemory(server.pid, { written: hex('alice', 'wonderland'), kept: raw('alice', 'wonderland') });
    assert.deepEqual([...found], ['kept']);
  });

  it('of the TLS key: not as the file has it', async (t) => {
    const server = await startServer(t);
    const [, line] = fs.readFileSync(path.join(server.folder, 'certs/server.key'), 'utf8').split('\n');
    assert.ok(line.length >= 60);
    await openPhone(t, server, 'wss');
    assert.deepEqual([...findInMemory(server.pid, { key: text(line) })], []);
  });
});
