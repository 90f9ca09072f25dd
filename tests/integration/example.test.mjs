// The example callback of the README: what it takes for good, and that the README shows this very file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { until, within } from './lib/expect.mjs';
import { AORTA, ROOT, httpRequest, temporaryFolder } from './lib/server.mjs';
import { UdpClient } from './lib/clients.mjs';
import { Phone } from './lib/phone.mjs';
import { ha1, hash, token } from './lib/sip.mjs';

const EXAMPLE = path.join(ROOT, 'tests/example/callback.mjs');

/** Runs it for test `t`: {uri, users: {aor: password}}. */
async function startExample(t, { args = [], env = {} } = {}) {
  const child = spawn(process.execPath, [EXAMPLE, ...args], { env: { ...process.env, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stdout.on('data', (data) => (said += data));
  const uri = await until('it tells its address', () => /^http:\/\/127\.0\.0\.1:\d+\/$/m.exec(said)?.[0]);
  const users = Object.fromEntries([...said.matchAll(/^(\S+@\S+) (\S+)$/gm)].map(([, aor, password]) => [aor, password]));
  return { uri, users };
}

function usersFile(t, users) {
  const folder = temporaryFolder();
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'users.json');
  fs.writeFileSync(file, JSON.stringify(users));
  return file;
}

/** What aorta would post for a REGISTER of `user` who knows `password`. */
function question({ user = 'alice', realm = 'example.com', password, algorithm = 'MD5', qop = true, username = user }) {
  const common = { method: 'REGISTER', expires: 600, scheme: 'digest', username, realm, nonce: token(), uri: `sip:${realm}`, algorithm };
  const counted = qop ? { qop: 'auth', nc: '00000001', cnonce: token() } : {};
  const middle = qop ? [common.nonce, counted.nc, counted.cnonce, counted.qop] : [common.nonce];
  const a2 = hash(algorithm, `REGISTER:${common.uri}`);
  const response = hash(algorithm, [ha1(algorithm, username, realm, password), ...middle, a2].join(':'));
  return { ...common, ...counted, response };
}

const ask = (uri, body, headers) => httpRequest(uri, { method: 'POST', body, headers });

describe('the example callback', () => {
  const known = { 'alice@example.com': { password: 'wonderland', expires: 120 }, 'bob@example.com': { password: 'builder' }, 'hashed@example.com': { ha1: 'x' } };

  const rows = [
    // question, answer
    [{ password: 'wonderland' }, { status: 'ok', expires: 120 }],
    [{ password: 'wonderland', qop: false }, { status: 'ok', expires: 120 }],
    [{ password: 'wonderland', algorithm: 'SHA-256' }, { status: 'ok', expires: 120 }],
    [{ password: 'wonderland', algorithm: 'SHA-512-256' }, { status: 'ok', expires: 120 }],
    [{ password: 'wonderland', username: 'alice@example.com' }, { status: 'ok', expires: 120 }],
    [{ password: 'wonderland', username: 'alice@Example.COM' }, { status: 'ok', expires: 120 }],
    [{ user: 'bob', password: 'builder' }, { status: 'ok' }],
    [{ password: 'wonderland', username: 'alice@x' }, { status: 'fail', msg: 'wrong user or password' }], // of alice%40x, another AOR
    [{ password: 'wonderland', username: 'alice@x@example.com' }, { status: 'fail', msg: 'wrong user or password' }],
    [{ password: 'guess' }, { status: 'fail', msg: 'wrong user or password' }],
    [{ password: '' }, { status: 'fail', msg: 'wrong user or password' }],
    [{ user: 'mallory', password: 'guess' }, { status: 'fail', msg: 'wrong user or password' }],
    [{ user: 'hashed', password: '' }, { status: 'fail', msg: 'wrong user or password' }],
    [{ password: 'wonderland', realm: 'other.example' }, { status: 'fail', msg: 'wrong user or password' }],
  ];
  it('checks the digest', async (t) => {
    const { uri } = await startExample(t, { args: [usersFile(t, known)] });
    for (const [asked, expected] of rows) {
      const answer = await ask(uri, question(asked));
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.json(), expected, JSON.stringify(asked));
    }
    const unknown = { ...question({ password: 'wonderland' }), algorithm: 'MD5-sess' };
    assert.equal((await ask(uri, unknown)).json().status, 'fail');
  });

  it('lives on after nonsense', async (t) => {
    const { uri } = await startExample(t, { args: [usersFile(t, known)] });
    for (const body of [null, 7, [], {}, 'x'.repeat(100000)]) await ask(uri, body).catch(() => {});
    assert.equal((await ask(uri, question({ password: 'wonderland' }))).json().status, 'ok');
  });

  it('asks for Basic authentication where it is told to', async (t) => {
    const env = { CALLBACK_USERNAME: 'aorta', CALLBACK_PASSWORD: 'p:w' };
    const { uri } = await startExample(t, { args: [usersFile(t, known)], env });
    const good = question({ password: 'wonderland' });
    const basic = (text) => ({ Authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    assert.equal((await ask(uri, good)).status, 401);
    assert.equal((await ask(uri, good, basic('aorta:wrong'))).status, 401);
    assert.equal((await ask(uri, good, basic('aorta:p:w'))).status, 200);
  });

  it('draws two users of localhost when it has no file; aorta lets them register', async (t) => {
    const { uri, users } = await startExample(t);
    assert.deepEqual(Object.keys(users), ['alice@localhost', 'bob@localhost']);
    const args = ['-D', `authCallback.uri=${uri}`, '-D', 'listen=["udp://127.0.0.1:0"]', '-D', 'http.admin="http://127.0.0.1:0"', '-D', 'http.www=false', '-D', 'drainSeconds=0'];
    const aorta = spawn(AORTA, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => aorta.on('close', resolve));
    t.after(() => aorta.kill('SIGKILL'));
    let log = '';
    aorta.stderr.on('data', (data) => (log += data));
    const port = await until('it listens', () => /udp:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1]).catch((error) => assert.fail(`${error.message}\n${log}`));
    for (const [user, password] of [['alice', users['alice@localhost']], ['bob', 'guess']]) {
      const client = await UdpClient.open(Number(port));
      t.after(() => client.close());
      const phone = await Phone.open(null, 'udp', { user, domain: 'localhost', password, client });
      assert.equal((await phone.register()).status, user === 'alice' ? 200 : 403);
    }
    aorta.kill('SIGTERM');
    assert.equal(await within(10000, 'aorta ends', ended), 0);
  });

  it('is what the README shows', () => {
    const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
    assert.ok(readme.includes(`\`\`\`js\n${fs.readFileSync(EXAMPLE, 'utf8')}\`\`\`\n`), 'the code block in README.md is not tests/example/callback.mjs');
  });
});
