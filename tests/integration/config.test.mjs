// Command line and configuration (SPEC 1 and 2): what is printed, and the exit status.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { until } from './lib/expect.mjs';
import { AORTA, freePort, httpRequest, runAorta, temporaryFolder } from './lib/server.mjs';
import { spawn } from 'node:child_process';
import { WsClient } from './lib/clients.mjs';
import { Phone } from './lib/phone.mjs';

const USERS = '{"alice@example.com":{"password":"wonderland-secret"}}';
const BASE = { listen: ['udp://127.0.0.1:0'], users: 'users.json', http: { admin: false, www: false } };

/** A folder with a configuration and a users file; returns the configuration's path. */
function folderWith(t, config = BASE, users = USERS) {
  const folder = temporaryFolder();
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.writeFileSync(path.join(folder, 'users.json'), users);
  const file = path.join(folder, 'aorta.json');
  fs.writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  return file;
}

describe('command line', () => {
  it('--version', async () => {
    for (const flag of ['-V', '--version']) {
      const { code, stdout, stderr } = await runAorta([flag]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^aorta \d+\.\d+\.\d+\n/);
    }
  });

  it('--help tells every option and key', async () => {
    for (const flag of ['-h', '--help']) {
      const { code, stdout } = await runAorta([flag]);
      assert.equal(code, 0);
      for (const word of ['-c', '-D', '--demo', '--check', '--print-config', 'listen', 'registrar.minExpires', 'ws.pingSeconds', 'drainSeconds'])
        assert.ok(stdout.includes(word), `${word} in:\n${stdout}`);
      for (const word of ['authCallback.auth.password', 'realms.DOMAIN.maxRegistrations', 'redis.host', 'limits.neverBan', 'trustedProxies'])
        assert.ok(stdout.includes(word), `${word} in:\n${stdout}`);
    }
  });

  const rows = [
    // arguments, standard error
    [['--chekc'], /--chekc/],
    [['-c'], /-c/],
    [['-D', 'noequals'], /noequals/],
    [['-D', 'registrar.minexpires=3'], /registrar\.minexpires.*did you mean.*minExpires/],
    [['stray'], /stray/],
    [['-c', '/nonexistent/aorta.json'], /\/nonexistent\/aorta\.json.*(o such file)/],
    [[], /users/], // it never accepts everyone
    [['--demo', '-D', 'listen=["udp://0.0.0.0:0"]'], /loopback/],
    [['--demo', '-D', 'http.admin="http://0.0.0.0:0"'], /loopback/],
  ];
  for (const [args, message] of rows)
    it(`aorta ${args.join(' ')}: status 2`, async (t) => {
      const cwd = path.dirname(folderWith(t));
      const { code, stderr } = await runAorta(args, { cwd });
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    });
});

describe('--check and --print-config', () => {
  it('a good one: status 0 and nothing started', async (t) => {
    const { code, stderr } = await runAorta(['-c', folderWith(t), '--check']);
    assert.equal(code, 0, stderr);
  });

  it('prints the effective configuration, secrets masked', async (t) => {
    const file = folderWith(t, { ...BASE, http: { admin: 'http://127.0.0.1:0', adminToken: 'hush-hush', www: false } });
    const args = ['-c', file, '-D', 'registrar.maxExpires=1234', '-D', 'node=${NODE_NAME:-fallback}', '--print-config'];
    const { code, stdout, stderr } = await runAorta(args);
    assert.equal(code, 0, stderr);
    const printed = JSON.parse(stdout);
    assert.equal(printed.registrar.maxExpires, 1234);
    assert.equal(printed.registrar.minExpires, 60);
    assert.equal(printed.node, 'fallback');
    assert.equal(printed.http.adminToken, '***');
    assert.doesNotMatch(stdout, /hush-hush|wonderland/);
  });

  it('takes its own output again', async (t) => {
    const { stdout } = await runAorta(['-c', folderWith(t), '--print-config']);
    const { code, stderr } = await runAorta(['-c', folderWith(t, stdout), '--check']);
    assert.equal(code, 0, `${stderr}\n${stdout}`);
  });

  it('environment variables', async (t) => {
    const file = folderWith(t, { ...BASE, node: 'n-${AORTA_TEST_NAME}-${AORTA_TEST_UNSET:-x}' });
    const good = await runAorta(['-c', file, '--print-config'], { env: { AORTA_TEST_NAME: 'one' } });
    assert.equal(JSON.parse(good.stdout).node, 'n-one-x');
    const bad = await runAorta(['-c', file, '--check'], { env: { AORTA_TEST_NAME: undefined } });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /node:.*AORTA_TEST_NAME/);
  });
});

describe('callback, realms and Redis', () => {
  /** What --print-config says of `config`, which listens on UDP alone, and of -D arguments. */
  async function print(t, config, ...overrides) {
    const file = folderWith(t, { listen: BASE.listen, http: BASE.http, ...config });
    const args = ['-c', file, ...overrides.flatMap((text) => ['-D', text])];
    const { code, stdout, stderr } = await runAorta([...args, '--print-config']);
    assert.equal(code, 0, stderr);
    return { ...JSON.parse(stdout), text: stdout, file };
  }

  for (const spelling of ['uri', 'url'])
    it(`the predecessor's configuration, with ${spelling}`, async (t) => {
      const old = {
        redis: { host: '127.0.0.1', port: 6379 },
        logging: { level: 'info' },
        authCallback: { [spelling]: 'http://127.0.0.1:4000/auth', auth: { username: 'foo', password: 'hush-hush' } },
      };
      const printed = await print(t, old);
      assert.deepEqual(printed.authCallback, {
        uri: 'http://127.0.0.1:4000/auth',
        auth: { username: 'foo', password: '***' },
        timeoutMs: 3000,
        maxConnections: 64,
        caFile: null,
      });
      assert.deepEqual(printed.redis, { host: '127.0.0.1', port: 6379, db: 0, username: null, password: null, prefix: 'user:', layout: 'hash' });
      assert.equal(printed.logging.level, 'info');
      assert.equal(printed.store, 'memory');
      assert.doesNotMatch(printed.text, /hush-hush/);

      const { code, stderr } = await runAorta(['-c', folderWith(t, old), '-D', `listen=${JSON.stringify(BASE.listen)}`, '--check']);
      assert.equal(code, 0, stderr);
    });

  it('realms, each with what it has and what it has not', async (t) => {
    const printed = await print(t, {
      users: 'users.json',
      realms: {
        'SIP.Example.com': { users: 'users.json', maxRegistrations: 5000 },
        'b.example': { authCallback: { uri: 'https://b.example/auth', auth: { username: 'b', password: 'hush-hush' }, timeoutMs: 500 }, allowForeignAor: true },
        '*': {},
      },
    });
    assert.deepEqual(Object.keys(printed.realms), ['sip.example.com', 'b.example', '*']);
    const { 'sip.example.com': first, 'b.example': second, '*': others } = printed.realms;
    assert.equal(first.users, path.join(path.dirname(printed.file), 'users.json'));
    assert.equal(first.maxRegistrations, 5000);
    assert.equal(first.allowForeignAor, false);
    assert.equal(first.authCallback.uri, null);
    assert.equal(second.users, null);
    assert.deepEqual(second.authCallback, {
      uri: 'https://b.example/auth',
      auth: { username: 'b', password: '***' },
      timeoutMs: 500,
      maxConnections: 64,
      caFile: null,
    });
    assert.equal(second.allowForeignAor, true);
    assert.equal(others.maxRegistrations, 0);
    assert.doesNotMatch(printed.text, /hush-hush/);
  });

  it('its own output is a configuration again', async (t) => {
    const realms = { a: { users: '/u' }, b: { authCallback: { url: 'http://b' } } };
    const printed = await print(t, { realms, store: 'redis', redis: { layout: 'jambonz' } });
    const { code, stdout, stderr } = await runAorta(['-c', folderWith(t, printed.text), '--print-config']);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, printed.text);
  });

  it('-D reaches all of it', async (t) => {
    const printed = await print(
      t,
      { authCallback: { uri: 'http://a' } },
      'authCallback.auth={"username":"u","password":"hush-hush"}',
      'authCallback.auth.username=v',
      'authCallback.timeoutMs=50',
      'realms={"a.example":{"maxRegistrations":7}}',
      'redis.layout=jambonz',
      'limits.neverBan=["192.0.2.0/24","2001:db8::1"]',
      'trustedProxies=["10.0.0.0/8"]',
      'auth.exposeMessage=true'
    );
    assert.equal(printed.authCallback.timeoutMs, 50);
    assert.deepEqual(printed.authCallback.auth, { username: 'v', password: '***' });
    assert.equal(printed.realms['a.example'].maxRegistrations, 7);
    assert.equal(printed.registrar.maxContacts, 1, 'jambonz has room for one');
    assert.deepEqual(printed.limits.neverBan, ['192.0.2.0/24', '2001:db8::1']);
    assert.deepEqual(printed.trustedProxies, ['10.0.0.0/8']);
    assert.equal(printed.auth.exposeMessage, true);
    assert.doesNotMatch(printed.text, /hush-hush/);
  });

  it('a secret from the environment', async (t) => {
    const config = { ...BASE, store: 'redis', redis: { password: '${REDIS_PASSWORD}' } };
    const good = await runAorta(['-c', folderWith(t, config), '--print-config'], { env: { REDIS_PASSWORD: 'hush-hush' } });
    assert.equal(JSON.parse(good.stdout).redis.password, '***');
    const bad = await runAorta(['-c', folderWith(t, config), '--check'], { env: { REDIS_PASSWORD: undefined } });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /redis\.password:.*REDIS_PASSWORD/);
  });

  it('ten thousand realms', async (t) => {
    const names = Array.from({ length: 10000 }, (_, i) => `customer-${i}.example.com`);
    const realms = Object.fromEntries(names.map((name, i) => [name, { users: 'users.json', maxRegistrations: i }]));
    const printed = await print(t, { realms });
    assert.deepEqual(Object.keys(printed.realms), names);
    assert.equal(printed.realms['customer-9999.example.com'].maxRegistrations, 9999);
  });
});

describe('configuration errors: FILE:LINE:COLUMN: key: what is wrong', () => {
  const rows = [
    // text, expected lines (after the file's name)
    ['{\n  "workers": "many"\n}', [/:2:\d+: workers: /]],
    ['{\n  "workers": 0\n}', [/:2:\d+: workers: /]],
    ['{\n  "workers": 1.5\n}', [/:2:\d+: workers: /]],
    ['{"lissen": []}', [/:1:2: lissen: .*did you mean "?listen/]],
    ['{"registrar": {"minExpire": 3}}', [/:1:16: registrar\.minExpire: .*did you mean.*minExpires/]],
    ['{"registrar": 7}', [/:1:\d+: registrar: /]],
    ['{"registrar": {"minExpires": 100, "maxExpires": 50}}', [/registrar\.(min|max)Expires: /]],
    ['{"listen": ["sctp://127.0.0.1:5060"]}', [/:1:13: listen(\[0\]|\.0)?: .*sctp/]],
    ['{"listen": ["udp://127.0.0.1:99999"]}', [/:1:13: listen/]],
    ['{"listen": ["udp://localhost:5060"]}', [/:1:13: listen/]],
    ['{"listen": []}', [/:1:\d+: listen: /]],
    ['{"auth": {"algorithms": ["MD5", "SHA-256"]}}', [/auth\.algorithms.*MD5.*last/i]],
    ['{"auth": {"algorithms": ["SHA-1"]}}', [/auth\.algorithms.*SHA-1/]],
    ['{"store": "disk"}', [/:1:11: store: .*memory or redis/]],
    ['{"redis": {"host": "x:1"}}', [/:1:20: redis\.host: .*without a port/]],
    ['{"redis": {"hosts": "x"}}', [/:1:12: redis\.hosts: .*did you mean.*redis\.host/]],
    ['{"redis": {"prefix": "user:*"}}', [/:1:22: redis\.prefix: /]],
    ['{"redis": {"layout": "jambonz"}, "registrar": {"maxContacts": 5}}', [/:1:63: registrar\.maxContacts: .*jambonz.*one contact/]],
    ['{"authCallback": "http://127.0.0.1/"}', [/:1:18: authCallback: must be an object/]],
    ['{"authCallback": {"uri": "ftp://127.0.0.1/"}}', [/:1:26: authCallback\.uri: .*https?:/]],
    ['{"authCallback": {"uri": "http://u:hush-hush@127.0.0.1/"}}', [/:1:26: authCallback\.uri: .*authCallback\.auth/]],
    ['{"authCallback": {"uri": "http://a", "url": "http://a"}}', [/:1:38: authCallback\.url: .*authCallback\.uri/]],
    ['{"authCallback": {"uri": "http://a", "auth": {"username": "u:v", "password": "p"}}}', [/:1:59: authCallback\.auth\.username: .*colon/]],
    ['{"authCallback": {"uri": "http://a", "auth": {"username": "u"}}}', [/:1:59: authCallback\.auth\.username: .*password/]],
    ['{"authCallback": {"uri": "http://a", "auth": {"usernam": "u"}}}', [/:1:47: authCallback\.auth\.usernam: .*did you mean.*username/]],
    ['{"authCallback": {"timeoutMs": 100}}', [/:1:32: authCallback\.timeoutMs: .*uri/]],
    ['{"realms": {"Example.com": {"users": "u"}, "example.COM": {"users": "u"}}}', [/:1:44: realms\.example\.COM: .*same domain/]],
    ['{"realms": {"example.com": {}}}', [/:1:13: realms\.example\.com: nobody could register/]],
    ['{"realms": {"example.com": "users.json"}}', [/:1:28: realms\.example\.com: must be an object/]],
    ['{"realms": {"not a domain": {"users": "u"}}}', [/:1:13: "realms\.not a domain": /]],
    ['{"realms":\n{"example.com":\n{"maxregistration": 1}}}', [/:3:2: realms\.example\.com\.maxregistration: .*did you mean.*maxRegistrations/]],
    ['{"realms":\n{"example.com":\n{"maxRegistrations": -1}}}', [/:3:22: realms\.example\.com\.maxRegistrations: /]],
    ['{"limits": {"neverBan": ["127.0.0.1/8"]}}', [/:1:26: limits\.neverBan: .*127\.0\.0\.1\/8/]],
    ['{"trustedProxies": ["10.0.0.0/8", "proxy"]}', [/:1:35: trustedProxies: .*proxy/]],
    ['{"workers": 1, "workers": 2}', [/:1:16: .*already/]],
    ['{"workers": 1,}', [/:1:14: .*comma/]],
    ['{"workers": 1', [/:1:14: /]],
    ['[]', [/:1:1: /]],
    ['', [/:1:1: /]],
    ['{\n"logging": {"level": "loud"},\n"ws": {"pingSeconds": -1},\n"nodes": 1}', [/:2:\d+: logging\.level: /, /:3:\d+: ws\.pingSeconds: /, /:4:1: nodes: /]],
  ];
  for (const [text, lines] of rows)
    it(JSON.stringify(text), async (t) => {
      const file = folderWith(t, text);
      const { code, stderr } = await runAorta(['-c', file, '--check']);
      assert.equal(code, 2, stderr);
      for (const line of lines) {
        assert.match(stderr, line);
        const whole = stderr.split('\n').find((l) => line.test(l));
        assert.ok(whole.startsWith(`aorta: ${file}:`), whole);
      }
      assert.doesNotMatch(stderr, /hush-hush/);
    });

  const users = [
    ['{"alice@example.com":{"password":7}}', /:1:\d+: .*alice@example\.com/],
    ['{"alice":{"password":"x"}}', /alice/],
    ['{"alice@example.com":{"ha1":"short"}}', /:1:29: alice@example\.com: .*32 hex/],
    ['{"alice@example.com":{}}', /alice@example\.com/],
    ['no json', /:1:1: /],
  ];
  for (const [text, message] of users)
    it(`users file ${text}`, async (t) => {
      const file = folderWith(t, BASE, text);
      const { code, stderr } = await runAorta(['-c', file]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.match(stderr, /users\.json/);
    });

  it('a users file that is not there', async (t) => {
    const { code, stderr } = await runAorta(['-c', folderWith(t, { ...BASE, users: 'gone.json' })]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /gone\.json: .*No such file/);
  });
});

describe('starting', () => {
  for (const kind of ['udp', 'tcp', 'ws'])
    it(`a ${kind} port in use: status 1, and which`, async (t) => {
      const taken = kind === 'udp' ? (await import('node:dgram')).createSocket('udp4') : net.createServer();
      const port = await freePort();
      await new Promise((resolve) => (kind === 'udp' ? taken.bind(port, '127.0.0.1', resolve) : taken.listen(port, '127.0.0.1', resolve)));
      t.after(() => taken.close());
      const { code, stderr } = await runAorta(['-c', folderWith(t, { ...BASE, listen: [`${kind}://127.0.0.1:${port}`] })]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(`${port}.*in use`));
    });

  it('a second aorta on the same port is refused too, though its workers share ports', async (t) => {
    const port = await freePort();
    const config = { ...BASE, listen: [`udp://127.0.0.1:${port}`, `tcp://127.0.0.1:${port}`] };
    const first = spawn(AORTA, ['-c', folderWith(t, config)], { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => first.on('close', resolve));
    await until('the first listens', () =>
      new Promise((resolve) => {
        const probe = net.connect(port, '127.0.0.1', () => resolve(probe.destroy()));
        probe.on('error', () => resolve(false));
      })
    );
    const { code, stderr } = await runAorta(['-c', folderWith(t, config)]);
    first.kill('SIGTERM');
    await ended;
    assert.equal(code, 1, stderr);
    assert.match(stderr, new RegExp(`${port}.*in use`));
  });

  it('--demo prints the page, the admin address and users that can register', async (t) => {
    const folder = path.dirname(folderWith(t));
    const listen = ['udp', 'tcp', 'tls', 'ws', 'wss'].map((kind) => `${kind}://127.0.0.1:0`);
    const args = ['--demo', '-D', `listen=${JSON.stringify(listen)}`, '-D', 'http.admin="http://127.0.0.1:0"', '-D', 'http.www=false', '-D', 'drainSeconds=0'];
    const demo = spawn(AORTA, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise((resolve) => demo.on('close', resolve));
    t.after(() => demo.kill('SIGKILL'));
    let stdout = '';
    demo.stdout.on('data', (data) => (stdout += data));
    await until('it tells its users', () => /^\S+@\S+ \S+$/m.test(stdout) && /^admin http:/m.test(stdout) && /https:/.test(stdout));
    const [, admin] = /^admin (http:\/\/127\.0\.0\.1:\d+)/m.exec(stdout);
    assert.match(stdout, /https:\/\/(localhost|127\.0\.0\.1):\d+/);
    const users = [...stdout.matchAll(/^([^@\s]+)@(\S+) (\S+)$/gm)].map(([, user, domain, password]) => ({ user, domain, password }));
    assert.ok(users.some(({ user }) => user === 'alice') && users.some(({ user }) => user === 'bob'), stdout);

    const node = (await httpRequest(`${admin}/api/v1/node`)).json();
    const wss = new URL(node.listen.find((l) => l.startsWith('wss:'))).port;
    const [{ user, domain, password }] = users;
    const phone = await Phone.open(null, 'wss', { user, password, domain, client: await WsClient.open(wss, { kind: 'wss' }) });
    assert.equal((await phone.register()).status, 200);
    await phone.close();
    demo.kill('SIGTERM');
    assert.equal(await ended, 0);
  });
});
