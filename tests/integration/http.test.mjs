// Pages, probes, the admin part and the end (SPEC 8 and 9).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, inParallel, until, within } from './lib/expect.mjs';
import { DOMAIN, ROOT, httpRequest, startServer, withServer } from './lib/server.mjs';
import { KINDS, TcpClient, WsClient } from './lib/clients.mjs';
import { RawWs } from './lib/raw_ws.mjs';
import { Phone, openPhone } from './lib/phone.mjs';

const WWW = path.join(ROOT, 'build/www');

/** Everything a server says on a plain connection until it closes it. */
function rawHttp(port, bytes) {
  return new Promise((resolve) => {
    let said = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (data) => (said += data));
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
    socket.setTimeout(5000, () => socket.destroy());
  });
}

describe('probes and status', () => {
  const server = withServer();

  it('/healthz and /readyz are 200', async () => {
    assert.equal((await server.page('/healthz')).status, 200);
    assert.equal((await server.page('/readyz')).status, 200);
  });

  it('wss serves them too', async (t) => {
    const https = await import('node:https');
    const status = await new Promise((resolve, reject) =>
      https
        .get(`https://127.0.0.1:${server.port.wss}/healthz`, { rejectUnauthorized: false, agent: false }, (r) => resolve(r.resume().statusCode))
        .on('error', reject)
    );
    assert.equal(status, 200);
  });

  it('/api/v1/status counts, and names no user', async (t) => {
    const phones = await Promise.all(KINDS.map((kind) => openPhone(t, server, kind)));
    for (const phone of phones) assertStatus(await phone.register(), 200);
    const answer = await server.page('/api/v1/status');
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^application\/json/);
    const status = answer.json();
    assert.match(status.version, /^\d+\.\d+\.\d+/);
    assert.equal(typeof status.uptimeSeconds, 'number');
    for (const kind of KINDS) {
      assert.equal(status.registrations[kind], 1, `registrations over ${kind}\n${answer.body}`);
      if (kind !== 'udp') assert.equal(status.connections[kind] >= 1, true, `connections over ${kind}`);
    }
    assert.ok('rates' in status && 'store' in status, answer.body);
    assert.doesNotMatch(answer.body, /alice|example\.com|127\.0\.0\.1/);
  });

  const rows = [
    // method, path, status
    ['GET', '/nowhere', 404],
    ['GET', '/../../etc/passwd', [400, 404]],
    ['GET', '/%2e%2e/%2e%2e/etc/passwd', [400, 404]],
    ['GET', '/metrics', 404], // admin's
    ['GET', '/api/v1/registrations', 404], // admin's
    ['GET', '/api/v1/node', 404], // admin's
    ['POST', '/healthz', 405],
    ['DELETE', '/api/v1/status', 405],
    ['HEAD', '/healthz', 200],
  ];
  for (const [method, path_, status] of rows)
    it(`${method} ${path_}: ${status}`, async () => {
      const answer = await server.page(path_, { method });
      assert.ok([status].flat().includes(answer.status), `${answer.status} ${answer.body}`);
      if (answer.status === 405) assert.match(answer.headers.allow, /GET/);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    });

  it('several requests on one connection, also in one write', async () => {
    const get = (close) => `GET /healthz HTTP/1.1\r\nHost: x\r\n${close ? 'Connection: close\r\n' : ''}\r\n`;
    const said = await rawHttp(server.port.ws, get() + get() + get(true));
    assert.equal(said.match(/HTTP\/1\.1 200/g)?.length, 3, said);
  });

  const bad = [
    ['a header of 64 kB', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(65536)}\r\n\r\n`, /^HTTP\/1\.1 (400|431)/],
    ['a thousand headers', `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(1000)}Host: x\r\n\r\n`, /^HTTP\/1\.1 (400|431)/],
    ['no HTTP', 'HELO there\r\n\r\n', /^(HTTP\/1\.1 400|$)/],
    ['SIP on the WebSocket port', 'REGISTER sip:example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n', /^(HTTP\/1\.1 (400|505)|$)/],
    ['HTTP/3.0', 'GET / HTTP/3.0\r\nHost: x\r\n\r\n', /^(HTTP\/1\.1 (400|505)|$)/],
  ];
  for (const [what, bytes, answer] of bad)
    it(`${what} gets ${answer}`, async () => {
      assert.match(await rawHttp(server.port.ws, bytes), answer);
      assert.equal((await server.page('/healthz')).status, 200);
    });
});

describe('requests with a body', () => {
  const server = withServer();
  const post = (length, more = '') =>
    `PUT /api/v1/log-level HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${more}Content-Length: ${length}\r\n\r\n`;
  const LAST = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  const level = '{"level":"warn"}';
  const statuses = (said) => [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));

  const rows = [
    // what is sent, the statuses that come back
    ['a body and the next request in one write', `${post(level.length)}${level}${LAST}`, [200, 200]],
    ['a body of 64 KiB', `${post(65536)}${level}${' '.repeat(65536 - level.length)}${LAST}`, [200, 200]],
    ['a longer one', `${post(65537)}${' '.repeat(65537)}${LAST}`, [413]],
    ['a chunked one', `PUT /api/v1/log-level HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${LAST}`, [411]],
    ['two lengths', `${post(2, 'Content-Length: 3\r\n')}{}${LAST}`, [400]],
    ['one that nobody asked for', `GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello${LAST}`, [200, 200]],
  ];
  for (const [what, bytes, expected] of rows)
    it(`${what}: ${expected}`, async () => assert.deepEqual(statuses(await rawHttp(server.adminPort, bytes)), expected));

  it('100 comes before a body that waits for it', async () => {
    const said = await new Promise((resolve, reject) => {
      let text = '';
      const socket = net.connect(server.adminPort, '127.0.0.1', () => socket.write(post(level.length, 'Expect: 100-continue\r\n')));
      socket.on('data', (data) => {
        if (text === '' && /^HTTP\/1\.1 100 Continue\r\n\r\n$/.test(data)) socket.write(level + LAST);
        text += data;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
      socket.setTimeout(5000, () => socket.destroy());
    });
    assert.deepEqual(statuses(said), [100, 200, 200]);
  });

  it('one that never comes ends the connection', async (t) => {
    const hasty = await startServer(t, { config: { limits: { handshakeSeconds: 1 } } });
    assert.equal(await within(4000, 'the end', rawHttp(hasty.adminPort, `${post(100)}half of it`)), '');
  });
});

describe('the page', () => {
  const server = withServer({ config: { http: { www: WWW } } });

  it('/ with its security headers, and all that it refers to', async () => {
    const page = await server.page('/');
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    const policy = page.headers['content-security-policy'];
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|script-src[^;]*\*/);
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.doesNotMatch(page.body, /(src|href)="(https?:)?\/\//, 'nothing from elsewhere');
    assert.doesNotMatch(page.body, /<script(?![^>]*\bsrc=)|\son\w+=/, 'no inline script');
    const files = [...page.body.matchAll(/(?:src|href)="([^"#?]+)"/g)].map(([, file]) => new URL(file, 'http://x/').pathname);
    assert.ok(files.length > 0);
    for (const file of files) assert.equal((await server.page(file)).status, 200, file);
  });

  it('an unchanged file is 304', async () => {
    const { headers } = await server.page('/app.js');
    assert.match(headers['content-type'], /javascript/);
    assert.ok(headers.etag);
    assert.equal((await server.page('/app.js', { headers: { 'If-None-Match': headers.etag } })).status, 304);
  });

  it('false serves none, the rest stays', async (t) => {
    const bare = await startServer(t);
    assert.equal((await bare.page('/')).status, 404);
    assert.equal((await bare.page('/healthz')).status, 200);
  });
});

describe('admin', () => {
  const users = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`u${i}@${i % 2 ? 'odd.example' : DOMAIN}`, { password: 'p' }]));
  const server = withServer({ users });

  it('/api/v1/node gives the bound listeners', async () => {
    const node = (await server.get('/api/v1/node')).json();
    assert.deepEqual(node.listen.map((l) => new URL(l).protocol), ['udp:', 'tcp:', 'tls:', 'ws:', 'wss:']);
    for (const listener of node.listen) assert.match(listener, /^\w+:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(node.pid, server.pid);
    assert.ok(node.node && node.version);
  });

  it('registrations: all members of each, pages by cursor, filters by realm and AOR', async (t) => {
    await inParallel(30, 10, async (i) => {
      const phone = await openPhone(t, server, 'tcp', { user: `u${2 * i}`, password: 'p' });
      assertStatus(await phone.register({ contact: [phone.contact, `<sip:second@127.0.0.1:${7000 + i}>;q=0.3`] }), 200);
    });
    const all = await server.registrations();
    assert.equal(all.length, 60);
    const [one] = all;
    assert.deepEqual(Object.keys(one).sort(), [
      'aor', 'callId', 'contact', 'cseq', 'expiresIn', 'expiryTime', 'flow', 'grant', 'instance', 'nat', 'node',
      'path', 'protocol', 'proxy', 'q', 'regId', 'sbcAddress', 'userAgent',
    ].sort());
    assertBetween(one.expiresIn, 3590, 3600, 'expiresIn');
    assertBetween(one.expiryTime - Date.now(), 3590000, 3601000, 'expiryTime is Unix time in ms');
    assert.equal(typeof one.flow, 'string');
    assert.equal(one.nat, false);
    assert.deepEqual(one.path, []);
    assert.equal(one.regId, null);
    assert.match(one.sbcAddress, /^127\.0\.0\.1:\d+$/);

    const seen = [];
    let cursor = null;
    do {
      const page = (await server.get(`/api/v1/registrations?limit=7${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)).json();
      assert.ok(page.registrations.length <= 8, 'about the limit, an AOR kept whole');
      seen.push(...page.registrations);
      cursor = page.cursor;
      assert.ok(seen.length <= 60, 'no end');
    } while (cursor !== null);
    const key = (b) => `${b.aor} ${b.contact}`;
    assert.deepEqual(seen.map(key).sort(), all.map(key).sort());

    assert.equal((await server.registrations(`realm=${DOMAIN}&limit=1000`)).length, 60);
    assert.equal((await server.registrations('realm=odd.example')).length, 0);
    assert.equal((await server.registrations(`realm=ample.com`)).length, 0, 'no substring');
    assert.equal((await server.registrations(`aor=u4%40${DOMAIN}`)).length, 2);
    assert.equal((await server.registrations('aor=nobody%40example.com')).length, 0);
  });

  const rows = [
    ['GET', '/nowhere', 404],
    ['POST', '/api/v1/node', 405],
    ['PUT', '/api/v1/registrations', 405],
    ['GET', '/api/v1/registrations?limit=many', 400],
    ['GET', '/api/v1/registrations?limit=0', 400],
    ['GET', '/api/v1/registrations?cursor=nonsense', 400],
  ];
  for (const [method, path_, status] of rows)
    it(`${method} ${path_}: ${status}, as JSON`, async () => {
      const answer = await httpRequest(server.admin + path_, { method });
      assert.equal(answer.status, status, answer.body);
      const { error } = answer.json();
      assert.ok(error.code && error.message, answer.body);
    });

  it('DELETE removes all bindings of an AOR: 204, then 404', async (t) => {
    const phone = await openPhone(t, server, 'ws', { user: 'u2', password: 'p' });
    assertStatus(await phone.register(), 200);
    for (const [aor, status] of [['u2@nowhere.example', 404], [`U2@${DOMAIN}`, 404], [`u2%40${DOMAIN.toUpperCase()}`, 204], [`u2@${DOMAIN}`, 404]])
      assert.equal((await server.api('DELETE', `/api/v1/registrations/${aor}`)).status, status, aor);
    assert.equal((await server.registrations(`aor=u2@${DOMAIN}`)).length, 0);
    assertStatus(await phone.register(), 200, 'he may come back');
    assertStatus(await phone.unregister(), 200);
  });

  it('the log level is told and set', async (t) => {
    const level = async () => (await server.get('/api/v1/log-level')).json();
    const before = await level();
    t.after(() => server.api('PUT', '/api/v1/log-level', before));
    const set = await server.api('PUT', '/api/v1/log-level', { level: 'debug' });
    assert.equal(set.status, 200, set.body);
    assert.deepEqual(set.json(), { level: 'debug' });
    assert.deepEqual(await level(), { level: 'debug' });
    (await RawWs.open(server.port.ws)).close();
    await until('the log says more', () => /connection open/.test(server.stderr));
    for (const body of [{ level: 'loud' }, {}, { level: 'info', for: 60 }])
      assert.equal((await server.api('PUT', '/api/v1/log-level', body)).status, 400);
    assert.deepEqual(await level(), { level: 'debug' });
  });

  it('405 tells what a path allows', async () => {
    const rows405 = [
      ['/api/v1/bans', 'GET, HEAD, POST'],
      ['/api/v1/bans/192.0.2.1', 'GET, HEAD, DELETE'],
      ['/api/v1/registrations/a', 'DELETE'],
      ['/api/v1/log-level', 'GET, HEAD, PUT'],
    ];
    for (const [path_, allow] of rows405) {
      const answer = await server.api('PATCH', path_);
      assert.equal(answer.status, 405, path_);
      assert.equal(answer.headers.allow, allow);
    }
  });

  it('a token is asked for, and compared whole', async (t) => {
    const guarded = await startServer(t, { config: { http: { adminToken: 's3cret' } } });
    const attempts = [
      [undefined, 401],
      ['Bearer s3cre', 401],
      ['Bearer s3crets', 401],
      ['Basic s3cret', 401],
      ['Bearer s3cret', 200],
      ['bearer s3cret', 200], // RFC 7235 2.1: schemes in any case
    ];
    for (const [value, status] of attempts) {
      const answer = await httpRequest(`${guarded.admin}/api/v1/node`, { headers: value ? { Authorization: value } : {} });
      assert.equal(answer.status, status, value);
      if (status === 401) assert.match(answer.headers['www-authenticate'], /^Bearer/);
    }
  });
});

describe('drain (SPEC 9)', () => {
  it('readiness falls at once, WebSockets close with 1001 one by one, bindings go, status 0', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 2, registrar: { maxContacts: 100 } } });
    const phones = [];
    for (let i = 0; i < 20; i++) phones.push(await openPhone(t, server, i % 2 ? 'ws' : 'wss'));
    for (const phone of phones) assertStatus(await phone.register(), 200);
    const codes = [];
    const closedAt = [];
    const allClosed = Promise.all(
      phones.map(async (phone) => {
        codes.push(await phone.client.closed);
        closedAt.push(Date.now());
      })
    );

    const began = Date.now();
    server.terminate();
    const ready = await until('readiness falls', async () => {
      const answer = await server.page('/readyz');
      return answer.status === 503 && answer;
    }, 500);
    assert.match(ready.json().reason, /drain/i);
    assert.equal((await server.page('/healthz')).status, 200);
    const upgrade = await RawWs.connect(server.port.ws);
    assert.equal((await upgrade.upgrade()).status, 503);
    upgrade.close();
    await TcpClient.open(server.port.tcp).then((client) => client.closes(1000), () => {});
    await until('bindings go with their connections', async () => (await server.bindingsOf('alice')).length < 20, 2000);

    await allClosed;
    assert.deepEqual([...new Set(codes)], [1001]);
    assert.ok(closedAt.at(-1) - closedAt[0] > 500, `spread over ${closedAt.at(-1) - closedAt[0]} ms`);
    await server.stop();
    assertBetween(Date.now() - began, 500, 5000, 'ended');
  });

  it('a registration that arrives while draining is answered on its old connection', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 2 } });
    const phone = await openPhone(t, server, 'tcp');
    assertStatus(await phone.register(), 200);
    server.terminate();
    await until('it drains', async () => (await server.page('/readyz')).status === 503, 500);
    assert.ok([200, 503].includes((await phone.send(phone.build())).status));
  });

  it('SIGINT does the same, and a second signal does not wait', async (t) => {
    const server = await startServer(t, { config: { drainSeconds: 30 } });
    const client = await WsClient.open(server.port.ws);
    t.after(() => client.close());
    server.terminate();
    await until('it drains', async () => (await server.page('/readyz')).status === 503, 500);
    server.child.kill('SIGINT');
    const { code } = await server.ended;
    assert.equal(code, 0);
  });
});

it('the page is built', () => assert.ok(fs.existsSync(path.join(WWW, 'app.js')), `${WWW}: build the release first`));
