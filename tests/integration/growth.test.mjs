// Memory does not grow: over REGISTERs of all kinds, and over waves of clients that come and go.
// AORTA_SOAK=1 for the long forms: ten million REGISTERs, 100 waves of 5,000 clients.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { describe, it } from 'node:test';
import { SANITIZED, assertBetween, assertStatus, inParallel, until } from './lib/expect.mjs';
import { AORTA, DOMAIN, startServer } from './lib/server.mjs';
import { SharedUdp } from './lib/fleet.mjs';
import { LightWsClient } from './lib/raw_ws.mjs';
import { Phone } from './lib/phone.mjs';
import { residentKb } from './lib/process.mjs';
import { token } from './lib/sip.mjs';

const LOAD = path.join(path.dirname(AORTA), 'tests/aorta-load');
const LONG = process.env.AORTA_SOAK === '1';
const pick = ({ short, long, sanitized }) => (LONG ? long : SANITIZED ? sanitized : short);

const REGISTERS = pick({ short: 200000, long: 10000000, sanitized: 3000 });
const ROUNDS = pick({ short: 4, long: 20, sanitized: 1 });
// Of them. It fills what has its cap.
const WARM_UP = pick({ short: 0.6, long: 0.5, sanitized: 0.5 });
const WAVES = pick({ short: 6, long: 100, sanitized: 2 });
const WAVE_CLIENTS = pick({ short: 500, long: 5000, sanitized: 50 });
const GROWTH = 0.05; // over all rounds after the warm-up
const WAVE_GROWTH = 0.1; // over the first wave's

const USERS = Math.max(1000, WAVE_CLIENTS);
const users = Object.fromEntries(Array.from({ length: USERS }, (_, i) => [`u${String(i).padStart(7, '0')}@${DOMAIN}`, { password: 'p' }]));

/** Runs the load generator to its end: its report. */
function runLoad(t, server, transport, mode, options) {
  const fixed = { transport, mode, target: `127.0.0.1:${server.port[transport]}`, domain: DOMAIN, password: 'p', 'timeout-ms': 60000 };
  const args = Object.entries({ ...fixed, ...options }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(LOAD, [...args, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (data) => (said += data));
  return new Promise((resolve, reject) =>
    child.on('error', reject).on('close', (code) => {
      const report = said && JSON.parse(said.trimEnd().split('\n').at(-1));
      if (code === 0) resolve(report);
      else reject(new Error(`aorta-load ${args.join(' ')}: ${code} ${said}`));
    })
  );
}

// ---- REGISTERs that a load generator does not send --------------------------------------------------

const BROKEN = [
  (text) => text.replace(/^Contact: .*$/m, 'Contact: <sip:alice'),
  (text) => text.replace(/^CSeq: .*$/m, 'CSeq: one REGISTER'),
  (text) => text.replace(/^To: .*$/m, 'To: <mailto:alice@example.com>'),
  (text) => text.replace(/^Contact: .*$/m, 'Contact: *'),
];

/** One after the other, each with its answer; returns how many REGISTERs that were. */
async function sendOneOfEach(phone) {
  const challenge = await phone.challenge();
  let nc = 0;
  const ask = async (status, options, digest = {}) => {
    const request = phone.authorized(phone.build(options), challenge, { nc: ++nc, ...digest });
    const response = await phone.send(request);
    assertStatus(response, status);
    return request;
  };
  const contact = `<sip:${token()}@phone.example.net>`;
  const first = await ask(200, { contact, callId: token() });
  let count = 2;
  if (phone.kind === 'udp') {
    assertStatus(await phone.send(first), 200, 'a retransmission');
    count++;
  }
  await ask(200, { contact: null });
  await ask(403, { contact }, { password: 'wrong' });
  await ask(423, { contact, expires: 5 });
  await ask(200, { contact: `${contact};expires=0`, callId: token() });
  for (const breakIt of BROKEN) {
    phone.client.send(breakIt(`${phone.build({ callId: token() })}`));
    assert.ok((await phone.client.nextResponse()).status >= 400);
  }
  return count + 4 + BROKEN.length;
}

/** Until `count` are done, over UDP, WS and WSS. */
async function sendOdd(t, server, count) {
  const shared = await SharedUdp.open(server);
  let done = 0;
  await inParallel(12, 12, async (i) => {
    const kind = ['udp', 'udp', 'ws', 'wss'][i % 4];
    const client = kind === 'udp' ? shared.client() : await LightWsClient.open(server.port[kind], { kind });
    const phone = await Phone.open(server, kind, { user: `u${String(i).padStart(7, '0')}`, password: 'p', client });
    while (done < count) done += await sendOneOfEach(phone);
    phone.close();
  });
  shared.close();
  return done;
}

// ---- Mixed ------------------------------------------------------------------------------------------

const MIX = [
  // transport, mode, share of the REGISTERs, REGISTERs for each registration
  ['udp', 'storm', 0.3, 2],
  ['udp', 'refresh', 0.24, 1],
  ['udp', 'cached', 0.2, 1],
  ['udp', 'challenge', 0.05, 2],
  ['ws', 'refresh', 0.05, 1],
  ['ws', 'cached', 0.05, 1],
  ['ws', 'storm', 0.02, 2],
  ['wss', 'refresh', 0.03, 1],
  ['wss', 'cached', 0.02, 1],
  ['wss', 'storm', 0.01, 2],
];
const ODD = 0.03;

async function sendMixed(t, server, count) {
  let sent = 0;
  for (const [transport, mode, share, each] of MIX) {
    const registrations = Math.max(50, Math.round((count * share) / each));
    const report = await runLoad(t, server, transport, mode, { clients: 50, ...(mode === 'storm' && { aors: 500 }), warmup: 0, seconds: 3600, count: registrations });
    assert.deepEqual(report.failures, {});
    sent += report.registrations * each;
  }
  return sent + (await sendOdd(t, server, count * ODD));
}

describe('memory does not grow', () => {
  const growthOf = (list) => `${list.map((kb) => (kb / 1024).toFixed(1)).join(' ')} MB`;

  it(`over ${REGISTERS} REGISTERs of mixed kinds`, { timeout: LONG ? 7200000 : 300000 }, async (t) => {
    // What keeps the latest is as large as it gets once it was filled: answers for retransmissions (32 MB a worker),
    // the counts of nonces (8 MB), the journal (16 MB). The long form's warm-up does that; the short form has less of them.
    const limits = LONG ? {} : { retransmissionBytes: 1 << 20, replayBytes: 1 << 16, journalBytes: 1 << 20 };
    const server = await startServer(t, { users, config: { registrar: { maxContacts: 2 }, limits } });
    const before = residentKb(server.pid);
    const udp = Math.round((REGISTERS * WARM_UP) / 2);
    let sent = 2 * (await runLoad(t, server, 'udp', 'storm', { clients: 100, aors: 1000, warmup: 0, seconds: 3600, count: udp })).registrations;
    sent += await sendMixed(t, server, 2000);
    const resident = [residentKb(server.pid)];
    for (let i = 0; i < ROUNDS; i++) {
      sent += await sendMixed(t, server, (REGISTERS * (1 - WARM_UP)) / ROUNDS);
      resident.push(residentKb(server.pid));
      if (LONG) console.log(`${sent} REGISTERs: ${(resident.at(-1) / 1024).toFixed(1)} MB`);
    }
    t.diagnostic(`${sent} REGISTERs; resident at the start ${(before / 1024).toFixed(1)} MB, after the warm-up and each round ${growthOf(resident)}`);
    // The first mixed round is warm-up too: it is the first over WebSocket.
    if (!SANITIZED) assertBetween(resident.at(-1) / resident[1], 0, 1 + GROWTH, 'what it grew by');
  });

  it(`over ${WAVES} waves of ${WAVE_CLIENTS} WSS clients`, { timeout: LONG ? 7200000 : 300000 }, async (t) => {
    // The first wave fills the journal and the counts of nonces (8 bytes a client).
    const limits = { connectionsPerIp: 20000, journalBytes: 1 << 17, replayBytes: 1 << 12 };
    const server = await startServer(t, { users, config: { limits } });
    const before = residentKb(server.pid);
    const resident = [];
    for (let i = 0; i < WAVES; i++) {
      await runLoad(t, server, 'wss', 'idle', { clients: WAVE_CLIENTS, seconds: 1, warmup: 0 });
      await until('all have gone', async () => {
        const { connections, registrations } = (await server.page('/api/v1/status')).json();
        return connections.total + registrations.total === 0;
      }, 20000);
      resident.push(residentKb(server.pid));
      if (LONG) console.log(`wave ${i + 1}: ${(resident.at(-1) / 1024).toFixed(1)} MB`);
    }
    t.diagnostic(`resident at the start ${(before / 1024).toFixed(1)} MB, after each wave ${growthOf(resident)}`);
    if (!SANITIZED) assertBetween(resident.at(-1) / resident[0], 0, 1 + WAVE_GROWTH, "the last wave's over the first's");
  });
});
