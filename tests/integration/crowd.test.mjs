// Crowds that come in at once: those who have something to say, and those who only stand in the door.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { TcpClient } from './lib/clients.mjs';
import { SANITIZED, assertBetween, assertStatus, inParallel, patient, within } from './lib/expect.mjs';
import { AORTA, DOMAIN, startServer } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';
import { recordClientHello } from './lib/wire.mjs';

const LOAD = path.join(path.dirname(AORTA), 'tests/aorta-load');
const PLACES = 512; // of a worker, for peers that are coming in
const COMING_BACK = SANITIZED ? 500 : 1500;

/** `count` connections, from five addresses, which say `text(i)` and nothing more. */
async function crowd(t, port, count, text) {
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await inParallel(count, 64, async (i) => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (i % 5)}` });
    sockets.push(socket);
    socket.on('error', () => {});
    await within(10000, 'a connection', new Promise((resolve) => socket.once('connect', resolve)));
    const said = text(i);
    if (said.length > 0) socket.write(said);
  });
}

describe('crowds', () => {
  it('newcomers beyond what a worker can bring in wait outside, where no deadline runs', async (t) => {
    const hello = await recordClientHello();
    const server = await startServer(t, { config: { workers: 1, limits: { handshakeSeconds: 4 } } });
    await crowd(t, server.port.wss, PLACES + 20, () => hello);
    const began = Date.now();
    const next = await TcpClient.open(server.port.wss);
    t.after(() => next.close());
    const phone = await openPhone(t, server, 'wss');
    assertStatus(await phone.register(), 200, 'it too comes in');
    assertBetween(Date.now() - began, 0, patient(3500), 'once those who stopped halfway have lost their places');
    await next.closes(12000);
    assertBetween(Date.now() - began, 4600, patient(9000), 'four seconds from when there was room');
  });

  for (const { what, text, count } of [
    { what: 'say nothing', count: PLACES + 200, text: () => '' },
    { what: 'say half a word', count: PLACES + 200, text: (hello) => hello.subarray(0, hello.length / 2) },
    { what: 'stop in the middle of their handshakes', count: 500, text: (hello) => hello },
  ])
    it(`${count} that ${what} keep nobody out`, async (t) => {
      const hello = await recordClientHello();
      const server = await startServer(t, { config: { workers: 1, limits: { handshakeSeconds: 60 } } });
      await crowd(t, server.port.wss, count, () => text(hello));
      for (const kind of ['wss', 'tls', 'ws']) {
        const began = Date.now();
        const phone = await openPhone(t, server, kind);
        assertStatus(await phone.register(), 200);
        t.diagnostic(`${kind}: registered after ${Date.now() - began} ms`);
        assertBetween(Date.now() - began, 0, patient(1500), kind);
      }
    });

  it(`${COMING_BACK} WSS clients come back at once, all of them`, async (t) => {
    const users = Object.fromEntries(Array.from({ length: COMING_BACK }, (_, i) => [`u${String(i).padStart(7, '0')}@${DOMAIN}`, { password: 'p' }]));
    const server = await startServer(t, { users, config: { limits: { connectionsPerIp: 5000 } } });
    const args = ['--transport', 'wss', '--mode', 'reconnect', '--target', `127.0.0.1:${server.port.wss}`, '--domain', DOMAIN, '--password', 'p',
      '--clients', COMING_BACK, '--timeout-ms', 30000, '--json'];
    const load = spawn(LOAD, args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => load.kill('SIGKILL'));
    let said = '';
    const ended = new Promise((resolve) => load.on('close', resolve));
    load.stdout.on('data', (data) => (said += data));
    const waits = new Promise((resolve) => load.stderr.on('data', (data) => String(data).includes('waiting') && resolve()));
    await within(30000, 'all are registered', waits);
    await server.kill();
    await server.comeBack();
    assert.equal(await within(30000, 'all are back', ended), 0, said);
    const report = JSON.parse(said.trimEnd().split('\n').at(-1));
    assert.equal(report.registrations, COMING_BACK);
    t.diagnostic(`${report.per_second.toFixed()} registrations a second`);
  });
});
