// Clients through a balancer that passes TCP or TLS through and tells who they are by the PROXY
// protocol (listen, ?proxy=v1v2). The balancer is played by the test itself; haproxy.test.mjs has a real one.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertStatus, patient, until, within } from './lib/expect.mjs';
import { startServer, withServer } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';

const KINDS = ['tcp', 'tls', 'ws', 'wss'];
const config = {
  listen: [...KINDS.map((kind) => `${kind}://127.0.0.1:0?proxy=v1v2`), 'udp://127.0.0.1:0'],
  trustedProxies: ['127.0.0.1'],
};

const V1 = Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 56324 443\r\n');
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const v2 = (command, family, rest) => Buffer.concat([signature, Buffer.from([command, family, rest.length >> 8, rest.length & 255]), rest]);
const V2 = v2(0x21, 0x11, Buffer.from([203, 0, 113, 7, 127, 0, 0, 1, 56324 >> 8, 56324 & 255, 1, 187]));
const V2_V6 = v2(0x21, 0x21, Buffer.concat([Buffer.from('20010db8000000000000000000000007'.padEnd(64, '0'), 'hex'), Buffer.from([0xdc, 4, 1, 187])]));
const LOCAL = v2(0x20, 0, Buffer.alloc(0));

/** A balancer of one listener: says `header` to the server, in pieces of `size`, then passes bytes through. */
async function balancer(t, port, header, { size = header.length, from = '127.0.0.1' } = {}) {
  const proxy = net.createServer(async (client) => {
    const server = net.connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
    t.after(() => server.destroy());
    server.on('error', () => client.destroy());
    client.on('error', () => server.destroy());
    server.on('close', () => client.destroy());
    client.pause();
    for (let at = 0; at < header.length && !server.destroyed; at += size) {
      server.write(header.subarray(at, at + size));
      if (size < header.length) await sleep(3);
    }
    client.pipe(server).pipe(client);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  return proxy.address().port;
}

describe('?proxy=v1v2', () => {
  const server = withServer({ config });

  async function sourceOf(t, kind, header, options) {
    const port = await balancer(t, server.port[kind], header, options);
    const phone = await openPhone(t, { port: { [kind]: port } }, kind);
    assertStatus(await phone.register(), 200);
    const [binding] = await server.bindingsOf('alice');
    assertStatus(await phone.unregister(), 200);
    return binding.proxy;
  }

  for (const kind of KINDS) {
    it(`${kind}: version 1`, async (t) => assert.equal(await sourceOf(t, kind, V1), 'sip:203.0.113.7:56324'));
    it(`${kind}: version 2, byte by byte`, async (t) => assert.equal(await sourceOf(t, kind, V2, { size: 1 }), 'sip:203.0.113.7:56324'));
  }
  it('version 1, byte by byte', async (t) => assert.equal(await sourceOf(t, 'wss', V1, { size: 1 }), 'sip:203.0.113.7:56324'));
  it('IPv6', async (t) => assert.equal(await sourceOf(t, 'wss', V2_V6), 'sip:[2001:db8::7]:56324'));
  it("a health check is the balancer's own", async (t) => assert.match(await sourceOf(t, 'wss', LOCAL), /^sip:127\.0\.0\.1:/));
  it('the page and its probes are served behind it too', async () => {
    const socket = net.connect(server.port.ws, '127.0.0.1');
    socket.write(Buffer.concat([V1, Buffer.from('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')]));
    const [data] = await within(3000, 'an answer', new Promise((resolve) => socket.once('data', (...all) => resolve(all))));
    assert.match(data.toString(), /^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  /** Resolves when the server has closed; fails when it says anything before. */
  const closed = (socket) =>
    within(5000, 'the connection is closed', new Promise((resolve, reject) => {
      socket.on('data', (data) => reject(new Error(`it said ${data}`)));
      socket.on('error', resolve).on('close', resolve);
    }));

  for (const [what, bytes] of [
    ['no header', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a broken header', 'PROXY TCP4 203.0.113.7 127.0.0.1 56324\r\nGET / HTTP/1.1\r\n\r\n'],
    ['an endless line', `PROXY UNKNOWN ${'x'.repeat(200)}`],
    ['an endless version 2', Buffer.concat([signature, Buffer.from([0x21, 0x11, 0xff, 0xff]), Buffer.alloc(500)])],
  ]) {
    it(`${what}: closed without a word`, async () => {
      const socket = net.connect(server.port.ws, '127.0.0.1');
      socket.write(bytes);
      await closed(socket);
    });
  }

  it('TLS without a header: closed', async () => {
    const socket = tls.connect({ port: server.port.wss, host: '127.0.0.1', rejectUnauthorized: false });
    await closed(socket);
  });

  it('whoever is not in trustedProxies is refused, with a header too', async () => {
    const socket = net.connect({ port: server.port.ws, host: '127.0.0.1', localAddress: '127.0.0.9' });
    socket.write(Buffer.concat([V1, Buffer.from('GET /healthz HTTP/1.0\r\n\r\n')]));
    await closed(socket);
    await until('the log tells why', () => /connection refused.*trustedProxies only.*127\.0\.0\.9/.test(server.stderr));
  });

  it('many peers that leave before, within or right after their header', async (t) => {
    const connections = async () => JSON.stringify((await server.get('/api/v1/status')).json().connections);
    const before = await connections();
    for (let i = 0; i < 60; i++) {
      const socket = net.connect(server.port.wss, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(V2.subarray(0, i % (V2.length + 1)));
      setTimeout(() => (i % 2 ? socket.resetAndDestroy() : socket.destroy()), i);
    }
    await sleep(150);
    await t.test('others are served', async (inner) => assert.equal(await sourceOf(inner, 'wss', V1), 'sip:203.0.113.7:56324'));
    await until('they are gone', async () => (await connections()) === before);
  });
});

it('limits.handshakeSeconds is all the time for the header', async (t) => {
  const server = await startServer(t, { config: { ...config, limits: { handshakeSeconds: 1 } } });
  const socket = net.connect(server.port.ws, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write('PROXY TCP4');
  const began = Date.now();
  await within(5000, 'the connection is closed', new Promise((resolve) => socket.on('close', resolve).on('error', () => {}).resume()));
  assert.ok(Date.now() - began > 800, 'not at once');
  assert.ok(Date.now() - began < patient(2500), 'nor late');
});

it('limits and bans meet the client, not the balancer', async (t) => {
  const server = await startServer(t, { config: { ...config, limits: { connectionsPerIp: 1 } } });
  const port = await balancer(t, server.port.ws, V1);
  const behind = { port: { ws: port } };
  const phone = await openPhone(t, behind, 'ws');
  assertStatus(await phone.register(), 200);
  await assert.rejects(openPhone(t, behind, 'ws'), 'a second one of 203.0.113.7');
  const other = await balancer(t, server.port.ws, V2_V6);
  assertStatus(await (await openPhone(t, { port: { ws: other } }, 'ws', { user: 'bob' })).register(), 200);

  await server.api('POST', '/api/v1/bans', { ip: '203.0.113.7', seconds: 60, reason: 'test' });
  await until("the banned client's connection is closed", async () => (await server.bindingsOf('alice')).length === 0);
  assert.equal((await server.bindingsOf('bob')).length, 1);
});
