// Many clients, and rude ones that must not slow the others. Sanitizer builds take fewer.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { assertStatus, patient, percentile, scaled, until, within } from './lib/expect.mjs';
import { DOMAIN, startServer, withServer } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';

const WSS_CLIENTS = scaled(5000);
const UDP_BINDINGS = scaled(50000);
const PROCESSES = 2;
const STORM = fileURLToPath(new URL('lib/storm.mjs', import.meta.url));
const LIMITS = { limits: { connectionsPerIp: 20000 }, registrar: { maxContacts: 100 } };

const users = Object.fromEntries(Array.from({ length: UDP_BINDINGS }, (_, i) => [`u${i}@${DOMAIN}`, { password: 'p' }]));

/** Registers `count` users from several processes, which stay until `t` ends; their latencies. */
async function storm(t, kind, port, count, width) {
  const share = Math.ceil(count / PROCESSES);
  const reports = Array.from({ length: PROCESSES }, (_, i) => {
    const args = [kind, port, i * share, Math.min(share, count - i * share), width].map(String);
    const child = fork(STORM, args);
    t.after(() => child.kill('SIGKILL'));
    return new Promise((resolve, reject) => {
      child.on('message', ({ latencies, error }) => (error ? reject(new Error(error)) : resolve(latencies)));
      child.on('exit', (code) => reject(new Error(`storm ended with ${code}`)));
    });
  });
  return (await within(120000, `${count} ${kind} clients register`, Promise.all(reports))).flat();
}

/** CPU ticks that each thread of the server has used. */
function threadTicks(pid) {
  return Object.fromEntries(
    fs.readdirSync(`/proc/${pid}/task`).map((thread) => {
      const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [thread, Number(fields[11]) + Number(fields[12])];
    })
  );
}

/** What the server holds in memory, in kB, its share of shared pages counted once. */
function heldKb(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

function assertBothWorked(pid, before) {
  const now = threadTicks(pid);
  const used = Object.keys(now).map((thread) => now[thread] - (before[thread] ?? 0)).sort((a, b) => b - a);
  assert.ok(used[1] > used[0] / 4, `ticks of each thread: ${used}`);
}

const total = async (server, kind) => (await server.page('/api/v1/status')).json().registrations[kind];

describe('many', () => {
  const server = withServer({ users, config: LIMITS });

  it(`${WSS_CLIENTS} WSS clients registered at once, spread over both workers; when they go, so do their bindings`, async (t) => {
    const before = threadTicks(server.pid);
    const heldBefore = heldKb(server.pid);
    const latencies = await storm(t, 'wss', server.port.wss, WSS_CLIENTS, 50);
    assert.equal(latencies.length, WSS_CLIENTS);
    assert.equal(await total(server, 'wss'), WSS_CLIENTS);
    assert.equal((await server.page('/api/v1/status')).json().connections.wss, WSS_CLIENTS);
    const kbEach = (heldKb(server.pid) - heldBefore) / WSS_CLIENTS;
    t.diagnostic(`memory: ${kbEach.toFixed(1)} kB per registered client`);
    if (!process.env.AORTA_SANITIZED) assert.ok(kbEach < 25, `${kbEach} kB per client`);
    assertBothWorked(server.pid, before);
    const phone = await openPhone(t, server, 'udp', { user: 'u0', password: 'p' });
    assertStatus(await phone.register(), 200, 'others are served meanwhile');
    assertStatus(await phone.unregister(), 200);
    t.diagnostic(`connect to 200: median ${percentile(latencies, 0.5).toFixed()} ms, p99 ${percentile(latencies, 0.99).toFixed()} ms`);
  });

  it('they have all gone, with their bindings', async () => {
    await until('none is left', async () => (await total(server, 'wss')) === 0, 20000);
  });

  it(`${UDP_BINDINGS} bindings over UDP`, async (t) => {
    const before = threadTicks(server.pid);
    const latencies = await storm(t, 'udp', server.port.udp, UDP_BINDINGS, 32);
    assert.equal(latencies.length, UDP_BINDINGS);
    assert.equal(await total(server, 'udp'), UDP_BINDINGS);
    assertBothWorked(server.pid, before);
    t.diagnostic(`401 and 200: median ${percentile(latencies, 0.5).toFixed(1)} ms, p99 ${percentile(latencies, 0.99).toFixed(1)} ms`);
  });

  it('and all of them can be listed by pages', async () => {
    const seen = new Set();
    let cursor = null;
    do {
      const page = (await server.get(`/api/v1/registrations?limit=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)).json();
      for (const { aor } of page.registrations) seen.add(aor);
      cursor = page.cursor;
    } while (cursor !== null);
    assert.equal(seen.size, UDP_BINDINGS);
  });
});

/** A pipe to the server that, once told so, lets only half of what is written through. */
class HalvingPipe extends Duplex {
  constructor(port) {
    super();
    this.isHalving = false;
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.on('data', (data) => this.push(data));
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.push(null));
  }

  _read() {}

  _write(chunk, _encoding, done) {
    this.socket.write(this.isHalving ? chunk.subarray(0, chunk.length / 2) : chunk, () => done());
  }
}

describe('rude clients', () => {
  const server = withServer({ config: { ...LIMITS, limits: { connectionsPerIp: 1000, handshakeSeconds: 60 } } });

  async function stall(t, port, when) {
    const pipe = new HalvingPipe(port);
    t.after(() => pipe.socket.destroy());
    pipe.isHalving = when === 'handshake';
    const socket = tls.connect({ socket: pipe, rejectUnauthorized: false });
    socket.on('error', () => {});
    if (when === 'handshake') return;
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    pipe.isHalving = true;
    socket.write(`REGISTER sip:${DOMAIN} SIP/2.0\r\nX-Long: ${'x'.repeat(10000)}\r\n`);
  }

  /** Half a request that is never finished, and answers that are never read. */
  function neverReads(t, port, phone) {
    const socket = net.connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.pause();
    socket.write(Array.from({ length: 2000 }, () => phone.build({ contact: null })).join(''));
  }

  it('contacts that take long to compare slow nobody else', async (t) => {
    const server = await startServer(t, { config: { workers: 1 } });
    const params = Array.from({ length: 30 }, (_, i) => `;${'p'.repeat(22)}${i + 10}=x`).join('');
    const contact = Array.from({ length: 64 }, (_, i) => `<sip:u@h.example${params};ttl=${i + 1}>`);
    const phone = await openPhone(t, server, 'tcp', { user: 'bob' });
    assertStatus(await phone.register(), 200);
    const rude = await openPhone(t, server, 'tcp');
    const challenge = await rude.challenge();
    const requests = Array.from({ length: 100 }, (_, i) =>
      rude.build({ contact }).set('Authorization', rude.credentials(challenge, { nc: i + 1 }))
    );
    rude.client.send(requests.join(''));
    const began = performance.now();
    for (let i = 0; i < 20; i++) assertStatus(await phone.send(phone.build()), 200);
    const ms = performance.now() - began;
    for (const request of requests) assertStatus(await rude.client.nextResponse(20000), 403, request.get('CSeq'));
    t.diagnostic(`20 refreshes beside ${requests.length} of them: ${ms.toFixed(1)} ms`);
    assert.ok(ms < patient(500), `${ms} ms`);
  });

  it('half handshakes, half records and full buffers slow nobody else', async (t) => {
    const phones = [];
    for (const kind of ['udp', 'tcp', 'tls', 'ws', 'wss', 'tls', 'wss', 'ws']) {
      const phone = await openPhone(t, server, kind);
      assertStatus(await phone.register(), 200);
      phones.push(phone);
    }
    for (let i = 0; i < 8; i++)
      for (const kind of ['tls', 'wss']) for (const when of ['handshake', 'record']) await stall(t, server.port[kind], when);
    for (let i = 0; i < 4; i++) neverReads(t, server.port.tcp, phones[1]);

    const latencies = [];
    const rounds = scaled(500);
    await Promise.all(
      phones.map(async (phone) => {
        for (let i = 0; i < rounds; i++) {
          const began = performance.now();
          assertStatus(await phone.send(phone.build()), 200);
          latencies.push(performance.now() - began);
        }
      })
    );
    const p99 = percentile(latencies, 0.99);
    t.diagnostic(`refresh: median ${percentile(latencies, 0.5).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
    assert.ok(p99 < patient(100), `p99 ${p99} ms`);
  });
});
