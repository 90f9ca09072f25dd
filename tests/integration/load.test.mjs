// The load generator against a real server, and against servers that lie to it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { SANITIZED, patient, timerPasses, within } from './lib/expect.mjs';
import { AORTA, DOMAIN, temporaryFolder, withServer } from './lib/server.mjs';

const LOAD = path.join(path.dirname(AORTA), 'tests/aorta-load');
const CLIENTS = SANITIZED ? 4 : 20;
const COUNT = SANITIZED ? 20 : 200; // registrations of a run
const PASSWORD = 's3cret';
const users = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [`u${String(i).padStart(7, '0')}@${DOMAIN}`, { password: PASSWORD }])
);

/** Starts it: {child, ended}; `ended` resolves with {code, stderr, report}. */
function start(t, args) {
  const child = spawn(LOAD, args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  const waits = new Promise((resolve) =>
    child.stderr.on('data', (data) => {
      stderr += data;
      if (stderr.includes('waiting')) resolve();
    })
  );
  const closed = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const ended = closed.then((code) => {
    const line = stdout.trimEnd().split('\n').at(-1);
    return { code, stdout, stderr, report: line.startsWith('{') ? JSON.parse(line) : null };
  });
  return { child, waits, ended: within(30000, `aorta-load ${args.join(' ')}`, ended) };
}

const run = (t, args) => start(t, args).ended;

function against(server, transport, mode) {
  return [
    '--transport', transport, '--mode', mode, '--target', `127.0.0.1:${server.port[transport]}`, '--domain', DOMAIN, '--password', PASSWORD,
    '--clients', CLIENTS, '--aors', 40, '--warmup', 0, '--server-pid', server.pid, '--json',
    ...(mode === 'idle' ? ['--seconds', 0.2] : ['--seconds', 10, '--count', COUNT]),
  ];
}

function assertGood({ code, stderr, report }) {
  assert.equal(code, 0, `${stderr}${JSON.stringify(report)}`);
  assert.deepEqual(report.failures, {});
  assert.ok(report.registrations > 0);
  assert.ok(report.per_second > 0);
  assert.equal(report.timeouts, 0);
  const { p50, p90, p99, p999, max } = report.latency_ms;
  assert.ok(p50 > 0 && p50 <= p90 && p90 <= p99 && p99 <= p999 && p999 <= max, JSON.stringify(report.latency_ms));
}

const TRANSPORTS = ['udp', 'tcp', 'tls', 'ws', 'wss'];

describe('every transport, without the refresh cache', () => {
  const server = withServer({ users, config: { auth: { refreshCache: false } } });

  for (const transport of TRANSPORTS)
    for (const mode of ['storm', 'refresh', 'challenge'])
      it(`${transport} ${mode}`, async (t) => {
        const result = await run(t, against(server, transport, mode));
        assertGood(result);
        const { registrations, challenged, server: cost, load } = result.report;
        assert.equal(registrations, COUNT);
        assert.equal(challenged, mode === 'challenge' ? COUNT : 0);
        assert.ok(cost.cpu_us_per_registration > 0 && load.cpu_us_per_registration > 0);
        assert.ok(cost.pss_kb_before > 0 && cost.pss_kb_after > 0);
      });

  it('the clients are really registered', async (t) => {
    assertGood(await run(t, against(server, 'udp', 'refresh')));
    const [binding] = await server.bindingsOf('u0000001', DOMAIN);
    assert.equal(binding.protocol, 'udp');
  });

  it('a rate is kept, over all processes', async (t) => {
    const result = await run(t, [...against(server, 'udp', 'refresh'), '--rate', 200, '--processes', 2, '--seconds', 0.5, '--count', 1000]);
    assertGood(result);
    assert.equal(result.report.registrations, 100);
    assert.equal(result.report.rate, 200);
  });

  it('a storm with a rate, until a count is reached', async (t) => {
    const result = await run(t, [...against(server, 'ws', 'storm'), '--rate', 500, '--count', 30]);
    assertGood(result);
    assert.equal(result.report.registrations, 30);
  });

  for (const [what, args] of [['sessions are resumed', ['--resume']], ['connections are reset', ['--close', 'rst']]])
    it(`wss storm, ${what}`, async (t) => assertGood(await run(t, [...against(server, 'wss', 'storm'), ...args])));

  it('a wrong password is a failure', async (t) => {
    const { code, report } = await run(t, [...against(server, 'udp', 'storm'), '--password', 'guess', '--seconds', 0.3]);
    assert.equal(code, 1);
    assert.equal(report.registrations, 0);
    assert.ok(report.failures.status_403 > 0, JSON.stringify(report));
  });
});

describe('every transport, with the refresh cache', () => {
  const server = withServer({ users });

  for (const transport of TRANSPORTS) {
    it(`${transport} cached`, async (t) => {
      const result = await run(t, against(server, transport, 'cached'));
      assertGood(result);
      assert.equal(result.report.challenged, 0);
    });
    it(`${transport} idle`, async (t) => {
      const result = await run(t, against(server, transport, 'idle'));
      assertGood(result);
      assert.equal(result.report.registrations, CLIENTS);
      assert.ok(Number.isFinite(result.report.server.pss_bytes_per_client));
    });
  }

  it('all come back after a restart', async (t) => {
    const load = start(t, [...against(server, 'wss', 'reconnect'), '--processes', 2]);
    await within(10000, 'all are registered', load.waits);
    await server.kill();
    await server.comeBack();
    const result = await load.ended;
    assertGood(result);
    assert.equal(result.report.registrations, CLIENTS);
  });

  it('all come back on SIGUSR1', async (t) => {
    const load = start(t, against(server, 'tcp', 'reconnect'));
    await within(10000, 'all are registered', load.waits);
    load.child.kill('SIGUSR1');
    assertGood(await load.ended);
  });

  it('SIGINT ends it with what it has', async (t) => {
    const load = start(t, [...against(server, 'udp', 'cached'), '--seconds', 60, '--count', 1e9, '--processes', 2]);
    await timerPasses(patient(500));
    load.child.kill('SIGINT');
    assertGood(await load.ended);
  });
});

// ---- Servers that lie ----------------------------------------------------------------------------

/** A UDP server that registers everybody, after `lie` has changed its answer. */
async function liar(t, lie) {
  const socket = dgram.createSocket('udp4');
  t.after(() => socket.close());
  socket.on('message', (data, { port }) => {
    const request = data.toString();
    const line = (name) => new RegExp(`^${name}: .*$`, 'm').exec(request)[0].trimEnd();
    const to = `${line('To')};tag=t`;
    const head = ['SIP/2.0 200 OK', line('Via'), line('From'), to, line('Call-ID'), line('CSeq'), line('Contact'), 'Content-Length: 0'];
    socket.send(lie(`${head.join('\r\n')}\r\n\r\n`), port, '127.0.0.1');
  });
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return socket.address().port;
}

describe('a server that lies is found out', () => {
  const lies = [
    // what it does, how, the failure
    ['tells the truth', (answer) => answer, null],
    ['another client’s Call-ID', (answer) => answer.replace(/^Call-ID: .*$/m, 'Call-ID: other'), 'call_id'],
    ['a Call-ID that goes on', (answer) => answer.replace(/^(Call-ID: .*?)\r$/m, '$1x\r'), 'call_id'],
    ['the CSeq before', (answer) => answer.replace(/CSeq: (\d+)/, (_, n) => `CSeq: ${n - 1}`), 'cseq'],
    ['another method', (answer) => answer.replace(/(CSeq: \d+) REGISTER/, '$1 INVITE'), 'cseq'],
    ['another branch', (answer) => answer.replace(/branch=z9hG4bK./, 'branch=z9hG4bKx'), 'branch'],
    ['another From tag', (answer) => answer.replace(/(From: .*;tag=)./, '$1x'), 'from_tag'],
    ['no Contact', (answer) => answer.replace(/^Contact: .*\r\n/m, ''), 'contact'],
    ['somebody else’s Contact', (answer) => answer.replace('<sip:u', '<sip:v').replace(/Contact: <sip:u/, 'Contact: <sip:v'), 'contact'],
    ['no expires', (answer) => answer.replace(/;expires=\d+/, ''), 'contact_expires'],
    ['expires=0', (answer) => answer.replace(/;expires=\d+/, ';expires=0'), 'contact_expires'],
    ['more than asked', (answer) => answer.replace(/;expires=\d+/, ';expires=601'), 'contact_expires'],
    ['no SIP', () => 'hello', 'malformed'],
    ['a body that is not there', (answer) => answer.replace('Content-Length: 0', 'Content-Length: 5'), 'malformed'],
    ['503', (answer) => answer.replace('200 OK', '503 Service Unavailable'), 'status_503'],
    ['401 without a challenge', (answer) => answer.replace('200 OK', '401 Unauthorized'), 'challenge'],
    ['nothing', () => '', 'timeout'],
  ];
  for (const [what, lie, failure] of lies)
    it(what, async (t) => {
      const port = await liar(t, lie);
      const args = ['--target', `127.0.0.1:${port}`, '--clients', 2, '--seconds', 0.3, '--warmup', 0, '--timeout-ms', 100, '--json'];
      const { code, report } = await run(t, args);
      assert.equal(code, failure ? 1 : 0, JSON.stringify(report));
      if (failure) assert.ok(report.failures[failure] > 0, JSON.stringify(report.failures));
      else assert.deepEqual(report.failures, {});
      assert.equal(report.registrations > 0, !failure);
    });
});

describe('command line', () => {
  const rows = [
    // arguments, exit status
    [['--help'], 0],
    [['--transport', 'sctp'], 2],
    [['--mode', 'flood'], 2],
    [['--clients', '0'], 2],
    [['--clients', '1.5'], 2],
    [['--seconds', '3601'], 2],
    [['--rate', 'nan'], 2],
    [['--target', '192.0.2.1:5060'], 2],
    [['--target', 'no-such-host.invalid:5060'], 2],
    [['--mode', 'reconnect'], 2],
    [['--mode', 'idle', '--rate', '5'], 2],
    [['--no-such-option'], 2],
    [['something'], 2],
  ];
  for (const [args, code] of rows)
    it(args.join(' '), async (t) => {
      const result = await run(t, args);
      assert.equal(result.code, code, result.stderr);
      assert.equal(result.stderr === '', code === 0);
      assert.equal(result.report, null);
    });

  it('writes a users file', async (t) => {
    const folder = temporaryFolder();
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'users.json');
    const { code } = await run(t, ['--write-users', file, 3, '--domain', DOMAIN, '--password', 'x', '--user-prefix', 'phone']);
    assert.equal(code, 0);
    const user = (n) => [`phone000000${n}@${DOMAIN}`, { password: 'x' }];
    assert.deepEqual(JSON.parse(fs.readFileSync(file)), Object.fromEntries([0, 1, 2].map(user)));
  });
});
