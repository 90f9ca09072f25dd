// Each limit, driven over real sockets: what is answered, that its metric and the log name its key,
// and that a client elsewhere does not notice.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { describe, it } from 'node:test';
import { never, startCallback } from './lib/callback.mjs';
import { TcpClient, UdpClient } from './lib/clients.mjs';
import { SANITIZED, assertBetween, assertStatus, patient, timerPasses, until } from './lib/expect.mjs';
import { openPhone } from './lib/phone.mjs';
import { RawWs, openRawWs } from './lib/raw_ws.mjs';
import { startServer } from './lib/server.mjs';
import { parseResponse, token } from './lib/sip.mjs';

const HERE = '127.0.0.2'; // who meets the limit
const ELSEWHERE = '127.0.0.9';
const KINDS = ['udp', 'tcp', 'ws'];

async function metric(server, key) {
  const answer = await server.get('/metrics');
  assert.equal(answer.status, 200);
  return Number(new RegExp(`^aorta_limit_reached_total\\{key="${key}"\\} (\\d+)$`, 'm').exec(answer.body)[1]);
}

const openHere = (t, server, kind, options) => openPhone(t, server, kind, { localAddress: HERE, ...options });
const silent = (client, ms = 300) => assert.rejects(client.next(ms), /nothing within/);

async function openTcp(t, port, localAddress = HERE) {
  const client = await TcpClient.open(port, { localAddress });
  t.after(() => client.close());
  return client;
}

/** `count` header lines beyond those of an OPTIONS request. */
const withHeaders = (phone, name, count, value) => {
  const request = phone.build({ contact: null });
  for (let i = 0; i < count; i++) request.add(name, value);
  return request;
};

/** Refused with `status` and `reason` over each transport, at `most` + 1, and not at `most`. */
const refusedAbove = (most, build, status, reason) => async (t, server) => {
  for (const kind of KINDS) {
    const phone = await openHere(t, server, kind);
    assertStatus(await phone.send(build(phone, most)), 401, kind);
    const answer = await phone.send(build(phone, most + 1));
    assertStatus(answer, status, kind);
    assert.equal(answer.reason, reason);
  }
};

const contacts = (phone, count) => phone.build({ contact: Array.from({ length: count }, (_, i) => `<sip:c${i}@${phone.host}>`) });
const vias = (phone, count) => {
  const request = phone.build();
  for (let i = 1; i < count; i++) request.headers.splice(1, 0, ['Via', `SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK${token()}`]);
  return request;
};
const WRONG = { digest: { password: 'wrong' }, contact: null }; // a fetch is never granted without being asked
const fillsHeader = (phone, bytes) => {
  const request = phone.build().add('X-Long', '');
  request.set('X-Long', 'x'.repeat(bytes - request.toString().length));
  return request;
};

const rows = [
  {
    key: 'limits.messageBytes',
    limits: { messageBytes: 1024 },
    async drive(t, server) {
      for (const kind of KINDS) {
        const phone = await openHere(t, server, kind);
        const request = phone.build();
        request.body = 'x'.repeat(2000);
        if (kind === 'ws') {
          phone.client.send(request.toString());
          assert.equal(await phone.client.closes(), 1009);
          continue;
        }
        assertStatus(await phone.send(request), 513, kind);
        if (kind === 'tcp') await phone.client.closes();
      }
    },
  },
  {
    key: 'limits.headerBytes',
    limits: { headerBytes: 1000 },
    async drive(t, server) {
      for (const kind of KINDS) {
        const phone = await openHere(t, server, kind);
        assertStatus(await phone.send(fillsHeader(phone, 1000)), 401, `${kind}: just so much`);
        assertStatus(await phone.send(fillsHeader(phone, 1001)), 513, kind);
        if (kind === 'tcp') await phone.client.closes();
      }
      const endless = await openHere(t, server, 'tcp');
      endless.client.send(fillsHeader(endless, 3000).toString().slice(0, 1001));
      assertStatus(await endless.client.nextResponse(), 513, 'before it has ended');
      await endless.client.closes();
    },
  },
  {
    key: 'limits.headerLines',
    limits: { headerLines: 12 },
    drive: refusedAbove(12, (phone, count) => withHeaders(phone, 'X-Line', count - 7, 'x'), 400, 'Too many header lines'),
  },
  { key: 'limits.viasPerRequest', limits: { viasPerRequest: 2 }, drive: refusedAbove(2, vias, 400, 'Too many Via values') },
  { key: 'limits.contactsPerRequest', limits: { contactsPerRequest: 3 }, drive: refusedAbove(3, contacts, 400, 'Too many contacts') },
  {
    key: 'limits.pathsPerRequest',
    limits: { pathsPerRequest: 2 },
    drive: refusedAbove(2, (phone, count) => withHeaders(phone, 'Path', count, '<sip:192.0.2.1;lr>'), 400, 'Too many Path values'),
  },
  {
    key: 'limits.connections',
    limits: { connections: 3 }, // with that of the bystander
    async drive(t, server) {
      const phone = await openHere(t, server, 'tcp');
      assertStatus(await phone.register(), 200);
      const other = await openTcp(t, server.port.tcp, '127.0.0.3');
      await (await openTcp(t, server.port.tcp, '127.0.0.4')).closes();
      assertStatus(await phone.send(phone.build()), 200, 'the first goes on');
      await other.close();
      await until('there is room again', async () => {
        const next = await openTcp(t, server.port.tcp);
        next.send('\r\n\r\n');
        return (await next.next(500).catch(() => null)) === '\r\n';
      });
    },
  },
  {
    key: 'limits.connectionsPerIp',
    limits: { connectionsPerIp: 2 },
    async drive(t, server) {
      for (let i = 0; i < 2; i++) assertStatus(await (await openHere(t, server, 'tcp')).register(), 200);
      await (await openTcp(t, server.port.ws)).closes();
      assertStatus(await (await openPhone(t, server, 'tcp', { localAddress: '127.0.0.3' })).register(), 200, 'from another address');
    },
  },
  {
    key: 'limits.handshakes',
    limits: { handshakes: 2 },
    async drive(t, server) {
      for (let i = 0; i < 2; i++) await openTcp(t, server.port.ws);
      const phone = await openHere(t, server, 'ws');
      assertStatus(await phone.register(), 200, 'comes in behind those who say nothing');
    },
  },
  {
    key: 'limits.handshakeSeconds',
    limits: { handshakeSeconds: 1 },
    async drive(t, server) {
      const peers = await Promise.all(['tls', 'ws', 'wss'].map((kind) => openTcp(t, server.port[kind])));
      await Promise.all(peers.map((peer) => peer.closes()));
    },
  },
  {
    key: 'limits.firstMessageSeconds',
    limits: { firstMessageSeconds: 1 },
    async drive(t, server) {
      const ws = await openHere(t, server, 'ws');
      const tcp = await openHere(t, server, 'tcp');
      const tls = await openHere(t, server, 'tls'); // whose handshake might have taken longer (5 s)
      const began = Date.now();
      assert.equal(await ws.client.closes(), 1008);
      await tcp.client.closes();
      await tls.client.closes();
      assert.ok(Date.now() - began < 4000, `${Date.now() - began} ms`);
    },
  },
  {
    key: 'limits.authenticateSeconds',
    limits: { authenticateSeconds: 1 },
    async drive(t, server) {
      const phone = await openHere(t, server, 'ws');
      assertStatus(await phone.send(phone.build()), 401);
      assert.equal(await phone.client.closes(), 1008);
    },
  },
  {
    key: 'limits.idleSeconds',
    limits: { idleSeconds: 1 },
    async drive(t, server) {
      const phone = await openHere(t, server, 'tcp');
      assertStatus(await phone.register(), 200);
      assertStatus(await phone.unregister(), 200);
      await phone.client.closes();
    },
  },
  {
    key: 'limits.unreadBytes',
    limits: { unreadBytes: 8192 },
    async drive(t, server) {
      const phone = await openHere(t, server, 'tcp');
      assertStatus(await phone.register(), 200);
      phone.client.socket.pause();
      const request = phone.build({ contact: null }).toString();
      await until('it is closed', async () => {
        for (let i = 0; i < 100; i++) phone.client.send(request);
        return (await server.bindingsOf('alice')).length === 0;
      });
    },
  },
  {
    key: 'limits.transactions',
    limits: { transactions: 1, lagMs: 0 },
    callback: never,
    async drive(t, server) {
      const phones = await Promise.all([1, 2].map(() => openHere(t, server, 'ws', { user: 'dave', password: 'x' })));
      const first = phones[0].register().catch(() => {});
      await until('the callback is asked', () => server.callback.requests.length > 0);
      const answer = await phones[1].send(phones[1].build());
      assertStatus(answer, 503);
      assertBetween(Number(answer.get('Retry-After')), 1, 60, 'Retry-After');
      assertStatus(await first, 503, 'the first ends too');
    },
  },
  {
    key: 'limits.requestsPerSecondPerIp',
    limits: { requestsPerSecondPerIp: 5 },
    workers: 2, // who share it
    async drive(t, server) {
      const phones = await Promise.all(['udp', 'udp', 'udp', 'tcp', 'tcp', 'ws', 'ws'].map((kind) => openHere(t, server, kind)));
      for (let i = 0; i < 6; i++) for (const phone of phones) phone.client.send(phone.build({ contact: null }).toString());
      await timerPasses(400);
      const answers = phones.flatMap((phone) => phone.client.inbox.items.splice(0).map(parseResponse));
      const count = (status) => answers.filter((answer) => answer.status === status).length;
      assertBetween(count(401), 5, SANITIZED ? 11 : 8, 'served: five, and what the time earned');
      assertBetween(count(503), 1, 2, 'told so once in a second');
      assert.equal(answers.find((answer) => answer.status === 503).get('Retry-After'), '1');
      await timerPasses(1000);
      assertStatus(await phones[0].register(), 200, 'and served again');
    },
  },
  {
    key: 'limits.failedAuthPerMinute',
    limits: { failedAuthPerMinute: 4, banSeconds: 1, neverBan: [] },
    async drive(t, server) {
      const phone = await openHere(t, server, 'udp');
      for (let i = 0; i < 10; i++) assertStatus(await phone.send(phone.build()), 401, 'no credentials are no wrong ones');
      for (let i = 0; i < 10; i++) assertStatus(await phone.register(), 200, 'nor are right ones');
      const tcp = await openHere(t, server, 'tcp');
      for (let i = 0; i < 2; i++) assertStatus(await phone.register(WRONG), 403);
      for (let i = 0; i < 2; i++) assertStatus(await tcp.register(WRONG), 403);
      assert.deepEqual((await server.get('/api/v1/bans')).json().bans, []);
      assertStatus(await tcp.register(WRONG), 403, 'one too many');
      const [ban] = (await server.get('/api/v1/bans')).json().bans;
      assert.equal(ban.ip, HERE);
      assert.match(ban.reason, /limits\.failedAuthPerMinute/);
      await tcp.client.closes();
      phone.client.send(phone.build().toString());
      await silent(phone.client);
      await until('the ban is over', async () => {
        phone.client.send(phone.build({ contact: null }).toString());
        return phone.client.next(100).catch(() => null);
      });
    },
  },
  {
    key: 'limits.scanners',
    async drive(t, server) {
      const scan = (phone, agent) => phone.build({ method: 'OPTIONS', contact: null }).add('User-Agent', agent);
      const udp = await openHere(t, server, 'udp');
      udp.client.send(scan(udp, 'Friendly-Scanner').toString());
      udp.client.send(scan(udp, 'sipcli/v1.8').set('CSeq', 'broken').toString());
      udp.client.send(scan(udp, 'sundayddr').add('X-Long', 'x'.repeat(70000)).toString().slice(0, 65507));
      await silent(udp.client);
      assertStatus(await udp.send(scan(udp, 'sipsak 0.9.7')), 200, 'a tool that watches');
      assertStatus(await udp.send(scan(udp, 'My friendly-scanner')), 200, 'only at the start');
      const tcp = await openHere(t, server, 'tcp');
      tcp.client.send(scan(tcp, 'pplsip').toString());
      await tcp.client.closes();
      const ws = await openHere(t, server, 'ws');
      ws.client.send(scan(ws, 'sipvicious').toString());
      assert.equal(await ws.client.closes(), 1008);
      assert.equal(await metric(server, 'limits.scanners'), 5);
    },
  },
  {
    key: 'limits.replayBytes',
    limits: { replayBytes: 4096 }, // 512 nonces
    async drive(t, server) {
      const phone = await openHere(t, server, 'udp');
      const old = await phone.challenge();
      for (let i = 0; i < 511; i++) await phone.challenge();
      assertStatus(await phone.register(), 200, 'takes the place of the old one');
      const request = phone.build({ contact: null });
      const answer = await phone.send(phone.authorized(request, old));
      assertStatus(answer, 401);
      assert.match(answer.get('WWW-Authenticate'), /stale=true/);
    },
  },
  {
    key: 'limits.retransmissionBytes',
    limits: { retransmissionBytes: 65536 },
    async drive(t, server) {
      const phone = await openHere(t, server, 'udp');
      const early = phone.build({ contact: null });
      const nonce = async () => phone.lastChallenge(await phone.send(early)).nonce;
      const first = await nonce();
      assert.equal(await nonce(), first, 'the same answer again');
      for (let i = 0; i < 300; i++) await phone.challenge();
      assert.notEqual(await nonce(), first, 'it is forgotten');
    },
  },
];

describe('limits', { concurrency: 4 }, () => {
  for (const { key, limits = {}, workers = 1, callback, drive } of rows)
    it(`${key}: ${JSON.stringify(limits)}`, async (t) => {
      const authCallback = callback && (await startCallback(t));
      authCallback?.behave(callback);
      const server = await startServer(t, {
        config: { workers, limits, ...(authCallback && { authCallback: { uri: authCallback.uri, timeoutMs: 500 } }) },
      });
      server.callback = authCallback;
      const bystander = await openPhone(t, server, key.includes('Seconds') ? 'tcp' : 'wss', { user: 'bob', localAddress: ELSEWHERE });
      assertStatus(await bystander.register(), 200);
      assert.equal(await metric(server, key), 0);
      await drive(t, server);
      assert.ok((await metric(server, key)) > 0, 'its metric has moved');
      assert.match(server.stderr, new RegExp(`limit reached.*key=${key}\\b`));
      assertStatus(await bystander.send(bystander.build()), 200, 'the bystander goes on');
      assert.equal((await server.bindingsOf('bob')).length, 1);
    });

  it('each limit of the program has its row here', async (t) => {
    const server = await startServer(t);
    const all = [...(await server.get('/metrics')).body.matchAll(/^aorta_limit_reached_total\{key="(.*)"\}/gm)].map(([, key]) => key);
    assert.deepEqual(all, [...rows.map(({ key }) => key), 'RLIMIT_NOFILE']);
  });

  it('limits.neverBan is never banned for wrong credentials', async (t) => {
    const server = await startServer(t, { config: { limits: { failedAuthPerMinute: 2 } } });
    const phone = await openPhone(t, server, 'udp');
    for (let i = 0; i < 8; i++) assertStatus(await phone.register(WRONG), 403);
    assertStatus(await phone.register(), 200);
    assert.equal(await metric(server, 'limits.failedAuthPerMinute'), 0);
  });

  describe('of IPv6 a /64 counts as one address', () => {
    const trusted = { trustedProxies: ['127.0.0.1'] };
    const openAs = (t, server, client) => openPhone(t, server, 'ws', { headers: { 'X-Forwarded-For': client } });

    it('limits.failedAuthPerMinute bans all of it, until that is lifted', async (t) => {
      const server = await startServer(t, { config: { ...trusted, limits: { failedAuthPerMinute: 3, neverBan: [] } } });
      const bystander = await openAs(t, server, '2001:db8:1:3::1');
      assertStatus(await bystander.register(), 200);
      const phones = [];
      for (let i = 1; i <= 4; i++) {
        phones.push(await openAs(t, server, `2001:db8:1:2::${i}`));
        assertStatus(await phones.at(-1).register(WRONG), 403);
      }
      const { bans } = (await server.get('/api/v1/bans')).json();
      assert.deepEqual(bans.map(({ ip }) => ip), ['2001:db8:1:2::/64']);
      await Promise.all(phones.map((phone) => phone.client.closes()));
      await assert.rejects(openAs(t, server, '2001:db8:1:2:ffff::5'), /403/);
      assertStatus(await bystander.send(bystander.build()), 200, 'of the next /64');
      assert.equal((await server.api('DELETE', '/api/v1/bans/2001:db8:1:2::1')).status, 404, 'not banned alone');
      assert.equal((await server.api('DELETE', '/api/v1/bans/2001:db8:1:2::%2F64')).status, 204);
      assertStatus(await (await openAs(t, server, '2001:db8:1:2::1')).register(), 200);
    });

    it('but only the address where somebody in it is never banned', async (t) => {
      const limits = { failedAuthPerMinute: 1, neverBan: ['2001:db8:1:2::7'] };
      const server = await startServer(t, { config: { ...trusted, limits } });
      const exempt = await openAs(t, server, '2001:db8:1:2::7');
      const phone = await openAs(t, server, '2001:db8:1:2::1');
      for (let i = 0; i < 2; i++) assertStatus(await phone.register(WRONG), 403);
      assert.deepEqual((await server.get('/api/v1/bans')).json().bans.map(({ ip }) => ip), ['2001:db8:1:2::1']);
      assertStatus(await exempt.register(), 200);
    });

    it('limits.requestsPerSecondPerIp', async (t) => {
      const server = await startServer(t, { config: { ...trusted, limits: { requestsPerSecondPerIp: 4 } } });
      const phones = [];
      for (let i = 1; i <= 8; i++) phones.push(await openAs(t, server, `2001:db8:1:2::${i}`));
      const other = await openAs(t, server, '2001:db8:1:3::1');
      for (const phone of phones) phone.client.send(phone.build({ contact: null }).toString());
      await until('one of them is told', async () => (await metric(server, 'limits.requestsPerSecondPerIp')) > 0);
      assertStatus(await other.send(other.build({ contact: null })), 401, 'the next /64 is not');
    });

    it('limits.connectionsPerIp', async (t) => {
      const server = await startServer(t, { config: { ...trusted, limits: { connectionsPerIp: 2 } } });
      for (const client of ['2001:db8:1:2::1', '2001:db8:1:2::2']) await openAs(t, server, client);
      await assert.rejects(openAs(t, server, '2001:db8:1:2::3'), /503/);
      await openAs(t, server, '2001:db8:1:3::1');
    });
  });

  it('limits.scanners false answers them', async (t) => {
    const server = await startServer(t, { config: { limits: { scanners: false } } });
    const phone = await openPhone(t, server, 'udp');
    assertStatus(await phone.send(phone.build({ method: 'OPTIONS' }).add('User-Agent', 'friendly-scanner')), 200);
  });

  it('an ACK that is too long is not answered', async (t) => {
    const server = await startServer(t, { config: { limits: { messageBytes: 1024 } } });
    const phone = await openPhone(t, server, 'udp');
    const request = phone.build({ method: 'ACK' });
    request.body = 'x'.repeat(2000);
    phone.client.send(request.toString());
    await silent(phone.client);
  });

  it('a flood is logged in one line, not in one each', async (t) => {
    const server = await startServer(t, { config: { workers: 1, limits: { headerLines: 8 } } });
    const client = await UdpClient.open(server.port.udp);
    t.after(() => client.close());
    const phone = await openPhone(t, server, 'udp');
    for (let i = 0; i < 200; i++) assertStatus(await phone.send(withHeaders(phone, 'X-Line', 5, 'x')), 400);
    assert.equal(await metric(server, 'limits.headerLines'), 200);
    assert.equal(server.stderr.match(/limit reached/g).length, 1);
  });
});

describe('the limit of open files', () => {
  const countFiles = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
  const setLimit = (pid, files) => execFileSync('prlimit', ['--pid', pid, `--nofile=${files}`]);
  /** CPU time of the whole process so far, in ms. */
  const cpuMs = (pid) => {
    const task = (id) => Number(fs.readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]);
    return fs.readdirSync(`/proc/${pid}/task`).reduce((sum, id) => sum + task(id), 0) / 1e6;
  };

  it('RLIMIT_NOFILE: newcomers wait, nothing spins, those who are there are served', async (t) => {
    const server = await startServer(t, { config: { workers: 1 } });
    const phones = await Promise.all(['udp', 'tcp', 'wss'].map((kind, i) => openPhone(t, server, kind, { user: ['alice', 'bob', 'carol'][i] })));
    for (const phone of phones) assertStatus(await phone.register(), 200);
    const files = countFiles(server.pid);
    setLimit(server.pid, `${files + 3}:`);
    const crowd = await Promise.all(Array.from({ length: 20 }, () => openTcp(t, server.port.tcp)));
    await until('no file is left', () => countFiles(server.pid) >= files + 3);
    const began = cpuMs(server.pid);
    await timerPasses(1000);
    const spent = cpuMs(server.pid) - began;
    t.diagnostic(`${spent.toFixed(1)} ms of CPU in 1 s with connections waiting`);
    assertBetween(spent, 0, patient(60), 'ms of CPU');
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 200, phone.kind);
    for (const client of crowd.slice(0, -1)) client.close();
    const last = crowd.at(-1);
    last.send('\r\n\r\n');
    assert.equal(await last.next(), '\r\n', 'who waited comes in');
    last.close();
    await until('its metric has moved', async () => (await metric(server, 'RLIMIT_NOFILE').catch(() => 0)) > 0);
    assert.match(server.stderr, /limit reached.*key=RLIMIT_NOFILE/);
  });

  it('limits.connections that does not fit is said at the start, and is lowered', async (t) => {
    const server = await startServer(t, { command: ['prlimit', '--nofile=200:200'], config: { workers: 1 } });
    const [, possible] = /limits\.connections does not fit.*possible=(\d+)/.exec(server.stderr);
    const phone = await openPhone(t, server, 'tcp');
    assertStatus(await phone.register(), 200);
    const crowd = await Promise.all(Array.from({ length: Number(possible) + 10 }, () => openTcp(t, server.port.tcp)));
    await until('who is too many is refused', () => crowd.filter((client) => client.isClosed).length >= 10);
    assert.ok((await metric(server, 'limits.connections')) >= 10);
    assertStatus(await phone.send(phone.build()), 200);
  });

  it('the soft limit is raised to the hard one', async (t) => {
    const server = await startServer(t, { command: ['prlimit', '--nofile=256:1024'] });
    assert.match(fs.readFileSync(`/proc/${server.pid}/limits`, 'utf8'), /Max open files +1024 +1024/);
  });
});
