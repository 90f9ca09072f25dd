// SIGHUP again and again while a fleet of browsers refreshes: nobody notices, and nothing leaks.
// AORTA_SOAK=1 for the long form.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { describe, it } from 'node:test';
import { SANITIZED, assertBetween, assertStatus, until, within } from './lib/expect.mjs';
import { DOMAIN, NOT_RELOADED, RELOADED, startServer, temporaryFolder, usersOf } from './lib/server.mjs';
import { issue, makeAuthority } from './lib/certificates.mjs';
import { LightWsClient } from './lib/raw_ws.mjs';
import { openPhone } from './lib/phone.mjs';
import { quietFileCount, residentKb } from './lib/process.mjs';

const CLIENTS = SANITIZED ? 10 : 30;
const RELOADS = SANITIZED ? 50 : process.env.AORTA_SOAK === '1' ? 1000 : 300;
const WARM_UP = RELOADS / 10;
const GROWTH_KB = 1024; // over the other nine tenths, of a process of some 15 MB

/** The name in the certificate that a new client is shown. */
function shown(port) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(/CN=(\S+)/.exec(socket.getPeerX509Certificate().subject)[1]);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** SIGHUP; resolves with the line that the log has of it, as soon as it is there. */
function hangUp(server) {
  const from = server.stderr.length;
  const line = new Promise((resolve) => {
    const look = () => {
      const said = server.stderr.slice(from);
      if (!RELOADED.test(said) && !NOT_RELOADED.test(said)) return;
      server.child.stderr.off('data', look);
      resolve(said);
    };
    server.child.stderr.on('data', look);
  });
  server.child.kill('SIGHUP');
  return within(10000, 'the log tells of the reload', line);
}

describe('a fleet that refreshes while the configuration is read again', () => {
  it(`${RELOADS} reloads: no connection, binding or answer is lost, and neither memory nor files grow`, async (t) => {
    const folder = temporaryFolder();
    makeAuthority(folder);
    const pairs = ['one', 'two'].map((name) => [name, issue(folder, name)]);
    const filesOf = ([, { cert, key }]) => ({ 'my.crt': cert, 'my.key': key });
    const realms = { [DOMAIN]: {}, 'other.example': { users: 'other.json' } };
    const server = await startServer(t, {
      config: { logging: { level: 'info' }, tls: { cert: 'my.crt', key: 'my.key' }, realms, registrar: { maxContacts: 100 } },
      files: { ...filesOf(pairs[0]), 'other.json': usersOf('other.example') },
    });
    const phones = [];
    for (let i = 0; i < CLIENTS; i++) {
      const client = await LightWsClient.open(server.port.wss, { kind: 'wss' });
      const phone = await openPhone(t, server, 'wss', { client, user: ['alice', 'bob', 'carol'][i % 3] });
      assertStatus(await phone.register(), 200);
      phones.push(phone);
    }

    let isRunning = true;
    let answers = 0;
    const load = Promise.all(
      phones.map(async (phone) => {
        for (; isRunning; answers++) {
          assertStatus(await phone.send(phone.build()), 200, 'a refresh');
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      })
    );
    load.catch(() => (isRunning = false));

    const reloadWith = (i) => {
      for (const [name, content] of Object.entries(filesOf(pairs[i % 2]))) server.writeFile(name, content);
      server.writeFile('users.json', { ...usersOf(DOMAIN), [`u${i}@${DOMAIN}`]: { password: 'p' } });
      server.writeFile('aorta.json', {
        ...server.config,
        limits: { connectionsPerIp: 500 + (i % 2) },
        realms: i % 2 ? realms : { [DOMAIN]: {} },
        logging: { level: i % 20 === 1 ? 'debug' : 'info' },
      });
    };
    const measured = [];
    let files;
    for (let i = 0; i < RELOADS && isRunning; i++) {
      reloadWith(i);
      assert.match(await hangUp(server), /configuration reloaded/);
      if (i % WARM_UP !== WARM_UP - 1) continue;
      measured.push(residentKb(server.pid));
      files ??= await quietFileCount(server.pid);
      assert.equal(await shown(server.port.wss), pairs[i % 2][0], 'new handshakes see the new one');
      // A pair that does not fit together keeps the old one, and says so.
      server.writeFile('my.crt', pairs[(i + 1) % 2][1].cert);
      assert.match(await hangUp(server), /configuration not reloaded.*my\.key/);
      assert.equal(await shown(server.port.wss), pairs[i % 2][0], 'the old one stays');
    }
    isRunning = false;
    await load;
    assert.ok(phones.every((phone) => !phone.client.isClosed), 'no connection was lost');
    assert.equal((await server.registrations()).length, CLIENTS, 'no binding was lost');
    await until('no file stays open', async () => (await quietFileCount(server.pid)) <= files, 3000);

    const phone = await openPhone(t, server, 'tcp', { user: `u${RELOADS - 1}`, password: 'p' });
    assertStatus(await phone.register(), 200, 'the last one is in force');
    t.diagnostic(`${answers} refreshes; resident kB after each ${WARM_UP} reloads: ${measured.join(' ')}; ${files} files`);
    if (!SANITIZED) assertBetween(measured.at(-1) - measured[0], -Infinity, GROWTH_KB, 'kB more than after the warm-up');
  });
});
