// What the process may do (SECURITY.md): an ordinary user once the ports are bound, for good.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { assertStatus } from './lib/expect.mjs';
import { openPhone } from './lib/phone.mjs';
import { AORTA, Server, runAorta, startServer, temporaryFolder } from './lib/server.mjs';

const IS_ROOT = process.getuid() === 0;
const ONLY_ROOT = IS_ROOT ? false : 'only root can become another user and bind a port below 1024';
const USER = 'nobody';
const id = (flag) => execFileSync('id', [flag, USER], { encoding: 'utf8' }).trim();

/** The fields of /proc/PID/status of every thread. */
function statusOfThreads(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).map((thread) => {
    const text = fs.readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/)));
  });
}

/** Free, and for root alone. */
async function lowPort() {
  for (;;) {
    const port = 600 + Math.floor(Math.random() * 400);
    const probe = net.createServer();
    const isFree = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** A server that root starts and that becomes USER, who may look into its folder where `isReadable`. */
async function startAsRoot(t, { isReadable = true, config = {} } = {}) {
  const port = await lowPort();
  const server = new Server({
    config: { user: USER, listen: [`tls://127.0.0.1:${port}`, 'udp://127.0.0.1:0'], logging: { level: 'info' }, ...config },
    // The leak detector attaches to its own process, which the system no longer allows.
    command: ['env', `ASAN_OPTIONS=${process.env.ASAN_OPTIONS ?? ''}:detect_leaks=0`],
  });
  t.after(() => server.dispose());
  fs.chmodSync(server.folder, isReadable ? 0o755 : 0o700);
  await server.start();
  return server;
}

describe('started as root with a user', { skip: ONLY_ROOT }, () => {
  it('binds a low port, and then no thread has anything of root left', async (t) => {
    const server = await startAsRoot(t);
    assert.ok(server.port.tls < 1024);
    const threads = statusOfThreads(server.pid);
    assert.ok(threads.length >= 3, 'the main thread and two workers');
    for (const status of threads) {
      assert.equal(status.Uid, Array(4).fill(id('-u')).join('\t'));
      assert.equal(status.Gid, Array(4).fill(id('-g')).join('\t'));
      assert.equal(status.Groups.trim(), id('-G'));
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.match(status[set], /^0+$/, set);
      assert.equal(status.NoNewPrivs, '1');
    }
    assert.match(server.stderr, /root no more.*nobody/);
    assert.doesNotMatch(server.stderr, /running as root|cannot read/);
    assertStatus(await (await openPhone(t, server, 'tls')).register(), 200);
  });

  it('reads everything again at SIGHUP, the key included that root has made for it', async (t) => {
    const server = await startAsRoot(t);
    await server.reload({ users: { 'alice@example.com': { password: 'other' } } });
    assertStatus(await (await openPhone(t, server, 'tls', { password: 'other' })).register(), 200);
  });

  it('says at the start which files SIGHUP could not read', async (t) => {
    const server = await startAsRoot(t, { isReadable: false });
    for (const name of ['aorta.json', 'users.json', 'certs/server.crt', 'certs/server.key'])
      assert.ok(server.stderr.split('\n').some((line) => /cannot read/.test(line) && line.includes(name)), `${name} in:\n${server.stderr}`);
    assert.match(await server.hangUp(), /not reloaded/);
    assertStatus(await (await openPhone(t, server, 'udp')).register(), 200);
  });
});

describe('the key user', () => {
  const config = (user) => ({ user, listen: ['udp://127.0.0.1:0'], users: 'users.json', http: { admin: false, www: false } });

  function folderWith(t, user) {
    const folder = temporaryFolder();
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    fs.writeFileSync(path.join(folder, 'users.json'), '{"alice@example.com":{"password":"x"}}');
    fs.writeFileSync(path.join(folder, 'aorta.json'), JSON.stringify(config(user)));
    return folder;
  }

  for (const check of [[], ['--check']])
    it(`of whom the machine does not know ${check.join('')}: status 2`, async (t) => {
      const { code, stderr } = await runAorta(['-c', path.join(folderWith(t, 'no-such-user'), 'aorta.json'), ...check]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /user: there is no user "no-such-user"/);
    });

  it('of somebody whom only root can become: status 1, and why', async (t) => {
    const folder = folderWith(t, IS_ROOT ? 'daemon' : 'root');
    fs.chmodSync(folder, 0o755);
    const program = path.join(folder, 'aorta'); // where anybody may run it
    fs.copyFileSync(AORTA, program);
    const ids = IS_ROOT ? { uid: Number(id('-u')), gid: Number(id('-g')) } : {};
    const { status, stderr } = spawnSync(program, ['-c', path.join(folder, 'aorta.json')], { ...ids, encoding: 'utf8', timeout: 10000 });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /user: only root can become/);
  });
});

describe('for every start', () => {
  it('nothing gains rights by an exec, and a crash leaves no core', async (t) => {
    const server = await startServer(t);
    assert.equal(statusOfThreads(server.pid)[0].NoNewPrivs, '1');
    assert.match(fs.readFileSync(`/proc/${server.pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
  });

  it('root without the key is warned', { skip: ONLY_ROOT }, async (t) => {
    assert.match((await startServer(t)).stderr, /running as root.*user/);
  });
});
