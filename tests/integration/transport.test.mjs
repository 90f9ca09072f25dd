// How bytes become messages and connections end (SPEC 2, 3 and 7; RFC 3261 18, RFC 5626, RFC 6455,
// RFC 7118, RFC 8489).
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import { assertBetween, assertStatus, inParallel, timerPasses, until } from './lib/expect.mjs';
import { startServer, withServer } from './lib/server.mjs';
import { TcpClient, TlsClient, openClient } from './lib/clients.mjs';
import { parseResponse } from './lib/sip.mjs';
import { LightWsClient, OP, RawWs, frame, openRawWs } from './lib/raw_ws.mjs';
import { Phone, openPhone } from './lib/phone.mjs';

const STREAMS = ['tcp', 'tls'];

async function open(t, server, kind) {
  const client = await openClient(server, kind);
  t.after(() => client.close());
  return client;
}

describe('stream framing', () => {
  const server = withServer();

  for (const kind of STREAMS) {
    it(`${kind}: byte by byte`, async (t) => {
      const phone = await openPhone(t, server, kind);
      const request = phone.build().toString();
      for (const byte of request) {
        phone.client.send(byte);
        await new Promise(setImmediate);
      }
      assertStatus(await phone.client.nextResponse(), 401);
    });

    it(`${kind}: five requests in one write, and a half one, answered in order`, async (t) => {
      const phone = await openPhone(t, server, kind);
      const requests = Array.from({ length: 6 }, () => phone.build());
      const bytes = requests.join('');
      phone.client.send(bytes.slice(0, -40));
      for (const request of requests.slice(0, 5))
        assert.equal((await phone.client.nextResponse()).get('CSeq'), request.get('CSeq'));
      phone.client.send(bytes.slice(-40));
      assert.equal((await phone.client.nextResponse()).get('CSeq'), requests[5].get('CSeq'));
    });

    it(`${kind}: a body is skipped by its length`, async (t) => {
      const phone = await openPhone(t, server, kind);
      const first = phone.build({ headers: [['Content-Type', 'text/plain']] });
      first.body = 'REGISTER sip:not.a.request SIP/2.0\r\n\r\n';
      const second = phone.build();
      phone.client.send(`${first}${second}`);
      assert.equal((await phone.client.nextResponse()).get('CSeq'), first.get('CSeq'));
      assert.equal((await phone.client.nextResponse()).get('CSeq'), second.get('CSeq'));
    });

    it(`${kind}: CRLF CRLF is answered by CRLF, blank lines before a request are skipped (RFC 5626 4.4.1)`, async (t) => {
      const phone = await openPhone(t, server, kind);
      phone.client.send('\r\n\r\n');
      assert.equal(await phone.client.next(), '\r\n');
      phone.client.send(`\r\n${phone.build()}`);
      assertStatus(await phone.client.nextResponse(), 401);
    });

    const broken = [
      // what, bytes, status answered or null, why
      ['no Content-Length', (m) => `${m}`.replace(/Content-Length: 0\r\n/, ''), 400],
      ['a Content-Length that is no number', (m) => m.set('Content-Length', 'ten').toString(), 400],
      ['two Content-Lengths that differ', (m) => m.add('Content-Length', '0').add('Content-Length', '5').toString(), 400],
      ['a body beyond limits.messageBytes', (m) => m.set('Content-Length', '70000').toString(), 513],
      ['a head beyond limits.messageBytes', (m) => m.set('X-Long', 'x'.repeat(70000)).toString(), null],
      ['no SIP at all', () => 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', null],
      ['binary noise', () => crypto.createHash('sha512').update('noise').digest(), null],
    ];
    for (const [what, bytes, status] of broken)
      it(`${kind}: ${what}: ${status ? `${status} and ` : ''}closed`, async (t) => {
        const phone = await openPhone(t, server, kind);
        phone.client.send(bytes(phone.build()));
        if (status) assertStatus(await phone.client.nextResponse(), status);
        await phone.client.closes();
        const other = await openPhone(t, server, kind);
        assertStatus(await other.send(other.build()), 401, 'nobody else is affected');
      });
  }
});

/** A TLS connection whose segments are cut by the test: what TLS writes waits for flush(). */
class CutTls {
  static async open(t, server, maxVersion) {
    const cut = new CutTls();
    const tcp = net.connect(server.port.tls, '127.0.0.1').setNoDelay(true);
    t.after(() => tcp.destroy());
    await new Promise((resolve, reject) => tcp.once('connect', resolve).once('error', reject));
    cut.tcp = tcp;
    cut.held = [];
    cut.isOpen = true; // until the handshake is over for us, or nearly
    const pipe = new Duplex({
      read() {},
      write(chunk, _, done) {
        if (cut.isOpen) tcp.write(chunk);
        else cut.held.push(chunk);
        done();
      },
    });
    tcp.on('data', (data) => pipe.push(data)).on('end', () => pipe.push(null));
    tcp.on('error', () => {});
    const socket = tls.connect({ socket: pipe, rejectUnauthorized: false, maxVersion });
    if (maxVersion !== 'TLSv1.2') setImmediate(() => (cut.isOpen = false)); // the hello is out: hold our last word
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    cut.isOpen = false;
    cut.client = new TlsClient('tls', '127.0.0.1').attach(socket);
    cut.client.localPort = tcp.localPort;
    return cut;
  }

  /** Each text in TLS records of its own; their bytes. */
  async seal(...texts) {
    for (const text of texts) await new Promise((resolve) => this.client.socket.write(text, resolve));
    return this.take();
  }

  take() {
    const bytes = Buffer.concat(this.held);
    this.held = [];
    return bytes;
  }
}

describe('TLS records and TCP segments', () => {
  const server = withServer();

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const openCut = async (t) => {
      const cut = await CutTls.open(t, server, version);
      const phone = await Phone.open(server, 'tls', { client: cut.client });
      const expectAnswer = async (request) => assert.equal((await cut.client.nextResponse()).get('CSeq'), request.get('CSeq'));
      const settle = async () => {
        const request = phone.build();
        cut.tcp.write(await cut.seal(`${request}`));
        await expectAnswer(request);
      };
      return { cut, phone, expectAnswer, settle };
    };

    it(`${version}: requests that come with the last word of the handshake`, async (t) => {
      const { cut, phone, expectAnswer } = await openCut(t);
      const requests = [phone.build(), phone.build()];
      cut.tcp.write(await cut.seal(...requests.map(String)));
      for (const request of requests) await expectAnswer(request);
    });

    it(`${version}: half a request with the handshake, the rest later`, async (t) => {
      const { cut, phone, expectAnswer } = await openCut(t);
      const request = phone.build();
      const bytes = await cut.seal(`${request}`);
      cut.tcp.write(bytes.subarray(0, -100));
      await delay(50);
      cut.tcp.write(bytes.subarray(-100));
      await expectAnswer(request);
    });

    it(`${version}: two records and a half in one segment`, async (t) => {
      const { cut, phone, expectAnswer, settle } = await openCut(t);
      await settle();
      const requests = [phone.build(), phone.build(), phone.build()];
      const bytes = await cut.seal(...requests.map(String));
      cut.tcp.write(bytes.subarray(0, -100));
      await expectAnswer(requests[0]);
      await expectAnswer(requests[1]);
      cut.tcp.write(bytes.subarray(-100));
      await expectAnswer(requests[2]);
    });

    it(`${version}: a segment that ends within the head of a record`, async (t) => {
      const { cut, phone, expectAnswer, settle } = await openCut(t);
      await settle();
      const requests = [phone.build(), phone.build()];
      const first = await cut.seal(`${requests[0]}`);
      const second = await cut.seal(`${requests[1]}`);
      cut.tcp.write(Buffer.concat([first, second.subarray(0, 3)]));
      await expectAnswer(requests[0]);
      cut.tcp.write(second.subarray(3));
      await expectAnswer(requests[1]);
    });

    it(`${version}: records of one byte, all in one write`, async (t) => {
      const { cut, phone, expectAnswer, settle } = await openCut(t);
      await settle();
      const requests = [phone.build(), phone.build()];
      cut.tcp.write(await cut.seal(...requests.join('')));
      for (const request of requests) await expectAnswer(request);
    });

    it(`${version}: byte by byte`, async (t) => {
      const { cut, phone, expectAnswer } = await openCut(t);
      const request = phone.build();
      for (const byte of await cut.seal(`${request}`)) {
        cut.tcp.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      await expectAnswer(request);
    });

    it(`${version}: requests as long as three records, one after the other`, async (t) => {
      const { cut, phone, expectAnswer, settle } = await openCut(t);
      await settle();
      const requests = Array.from({ length: 5 }, () => phone.build({ headers: [['Content-Type', 'text/plain']] }));
      for (const request of requests) request.body = 'x'.repeat(40000);
      const last = phone.build();
      cut.tcp.write(await cut.seal(requests.join('') + last));
      for (const request of [...requests, last]) await expectAnswer(request);
    });
  }
});

describe('TLS sessions', () => {
  const server = withServer({ config: { workers: 2 } });

  /** {isReused, session}: of a connection that was good for an answer. */
  async function connect(version, session) {
    const socket = tls.connect({ port: server.port.tls, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: version, minVersion: version, session });
    let ticket = null;
    socket.on('session', (got) => (ticket = got));
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    socket.write('\r\n\r\n');
    await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
    const isReused = socket.isSessionReused();
    socket.destroy();
    return { isReused, session: ticket };
  }

  it('a client of TLS 1.2, which saves a round trip by it, resumes at any worker', async () => {
    const first = await connect('TLSv1.2');
    assert.ok(first.session && !first.isReused);
    for (let i = 0; i < 12; i++) assert.ok((await connect('TLSv1.2', first.session)).isReused);
  });

  it('one of TLS 1.3 gets no ticket', async () => {
    assert.equal((await connect('TLSv1.3')).session, null);
  });
});

describe('WebSocket handshake (RFC 7118 4)', () => {
  const server = withServer({ config: { ws: { origins: ['https://*.example.com', 'https://page.test'] } } });

  const rows = [
    // changed headers, path, status, why
    [{}, '/', 101, 'plain'],
    [{}, '/any/path?x=1', 101, 'any path upgrades'],
    [{ 'Sec-WebSocket-Protocol': 'xmpp, sip' }, '/', 101, 'sip among others'],
    [{ 'Sec-WebSocket-Protocol': undefined }, '/', 400, 'no subprotocol'],
    [{ 'Sec-WebSocket-Protocol': 'xmpp' }, '/', 400, 'a foreign subprotocol'],
    [{ 'Sec-WebSocket-Protocol': 'sipx' }, '/', 400, 'one that only begins like sip'],
    [{ 'Sec-WebSocket-Key': undefined }, '/', 400, 'no key'],
    [{ 'Sec-WebSocket-Version': '8' }, '/', [400, 426], 'an old version'],
    [{ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }, '/', 101, 'no compression'],
    [{ Origin: 'https://a.example.com' }, '/', 101, 'an allowed origin'],
    [{ Origin: 'https://page.test' }, '/', 101, 'an allowed origin'],
    [{ Origin: 'https://page.test.evil.example' }, '/', 403, 'another origin'],
    [{ Origin: 'https://evilexample.com' }, '/', 403, 'no dot before the domain'],
    [{ Origin: 'http://page.test' }, '/', 403, 'another scheme'],
    [{ Origin: 'null' }, '/', 403, 'a sandboxed page'],
  ];
  for (const kind of ['ws', 'wss'])
    for (const [headers, path, status, why] of rows)
      it(`${kind}: ${why}: ${status}`, async (t) => {
        const raw = await RawWs.connect(server.port[kind], { kind });
        t.after(() => raw.close());
        const answer = await raw.upgrade(headers, path);
        assert.ok([status].flat().includes(answer.status), answer.text);
        if (status !== 101) return;
        assert.equal(answer.headers['sec-websocket-protocol'], 'sip');
        assert.equal(answer.headers['sec-websocket-extensions'], undefined);
      });

  it('TLS offers http/1.1 only, also to who prefers h2', async (t) => {
    const raw = await RawWs.connect(server.port.wss, { kind: 'wss', ALPNProtocols: ['h2', 'http/1.1'] });
    t.after(() => raw.close());
    assert.equal(raw.socket.alpnProtocol, 'http/1.1');
  });
});

describe('WebSocket frames (RFC 6455 5, SPEC 7)', () => {
  const server = withServer();
  const register = async (raw) => (await Phone.open(server, 'ws', { client: raw })).build().toString();
  const status = async (raw) => parseResponse((await raw.next()).payload.toString()).status;

  for (const kind of ['ws', 'wss']) {
    it(`${kind}: text and binary messages alike`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      for (const opcode of [OP.TEXT, OP.BINARY]) {
        raw.send(opcode, await register(raw));
        assert.equal(await status(raw), 401);
      }
    });

    it(`${kind}: fragments are joined, a ping between them is answered`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      const text = await register(raw);
      raw.send(OP.TEXT, text.slice(0, 50), { fin: false });
      raw.send(OP.CONTINUATION, text.slice(50, 90), { fin: false });
      raw.send(OP.PING, 'are you there');
      const pong = await raw.next();
      assert.deepEqual([pong.opcode, pong.payload.toString()], [OP.PONG, 'are you there']);
      raw.send(OP.CONTINUATION, text.slice(90));
      assert.equal(await status(raw), 401);
    });

    it(`${kind}: a message in TCP pieces of one byte`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      const phone = await Phone.open(server, kind, { client: raw });
      for (const byte of frame(OP.TEXT, phone.build().toString())) {
        raw.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
      assert.equal(await status(raw), 401);
    });

    it(`${kind}: CRLF CRLF is answered by CRLF`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      raw.text('\r\n\r\n');
      assert.equal((await raw.next()).payload.toString(), '\r\n');
    });

    it(`${kind}: a Content-Length that the message lacks or lies about`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      raw.text((await register(raw)).replace(/Content-Length: 0\r\n/, ''));
      assert.equal(await status(raw), 401, 'the frame tells its length (RFC 7118 5)');
      raw.text((await register(raw)).replace(/Content-Length: 0/, 'Content-Length: 10'));
      assert.equal(await status(raw), 400);
    });

    const rude = [
      // what, frames, close code
      ['an unmasked frame', (raw, text) => raw.send(OP.TEXT, text, { mask: false }), 1002],
      ['text that is no UTF-8', (raw) => raw.send(OP.TEXT, Buffer.from([0x41, 0xff, 0xfe])), 1007],
      ['a reserved bit', (raw, text) => raw.send(OP.TEXT, text, { rsv: 4 }), 1002],
      ['an unknown opcode', (raw) => raw.send(3, 'x'), 1002],
      ['a fragmented ping', (raw) => raw.send(OP.PING, 'x', { fin: false }), 1002],
      ['a ping of 126 bytes', (raw) => raw.send(OP.PING, 'x'.repeat(126)), 1002],
      ['a continuation of nothing', (raw) => raw.send(OP.CONTINUATION, 'x'), 1002],
      ['one message over limits.messageBytes', (raw) => raw.send(OP.TEXT, 'x'.repeat(65537)), 1009],
      [
        'fragments that add up to more',
        (raw) => {
          raw.send(OP.TEXT, 'x'.repeat(40000), { fin: false });
          raw.send(OP.CONTINUATION, 'x'.repeat(40000), { fin: false });
        },
        1009,
      ],
    ];
    for (const [what, send, code] of rude)
      it(`${kind}: ${what}: ${code}`, async (t) => {
        const raw = await openRawWs(t, server, kind);
        send(raw, await register(raw));
        assert.equal(await raw.closeCode(), code);
        await raw.closes();
      });

    it(`${kind}: a length of 2^62 is refused by its header alone`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      raw.write(Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
      assert.equal(await raw.closeCode(), 1009);
    });

    it(`${kind}: a close is answered by a close`, async (t) => {
      const raw = await openRawWs(t, server, kind);
      raw.send(OP.CLOSE, Buffer.from([0x03, 0xe8]));
      assert.equal(await raw.closeCode(), 1000);
      await raw.closes();
    });
  }

  it('no SIP in a message: no answer, the connection goes on', async (t) => {
    const raw = await openRawWs(t, server);
    raw.text('hello');
    raw.text(await register(raw));
    assert.equal(await status(raw), 401);
  });

  it('right up to limits.messageBytes', async (t) => {
    const raw = await openRawWs(t, server);
    const text = await register(raw);
    raw.text(text.replace('\r\n', `\r\nX-Long: ${'x'.repeat(65536 - text.length - 10)}\r\n`));
    assert.ok([400, 401].includes(await status(raw)));
  });
});

describe('pings and deadlines', () => {
  it('an idle WebSocket is pinged; who answers stays, who is silent goes', async (t) => {
    const server = await startServer(t, { config: { ws: { pingSeconds: 1 } } });
    const polite = await openPhone(t, server, 'ws'); // its library answers pings
    assertStatus(await polite.register(), 200);
    const silent = await LightWsClient.open(server.port.ws, { answersPings: false });
    const page = await openPhone(t, server, 'ws', { client: silent });
    assertStatus(await page.register(), 200);
    const stranger = await openRawWs(t, server); // has not even said a word
    const began = Date.now();
    assert.equal((await stranger.next()).opcode, OP.PING);
    assert.equal((await silent.next()).opcode, OP.PING);
    assertBetween(Date.now() - began, 700, 2500, 'after one idle second');
    await silent.closes();
    assertBetween(Date.now() - began, 1700, 5000, 'after two pings without an answer');
    assert.equal(polite.client.isClosed, false);
    assert.deepEqual((await server.bindingsOf('alice')).map((b) => b.contact), [polite.uri]);
  });

  it('a connection that never finishes its handshake is closed after handshakeSeconds', async (t) => {
    const server = await startServer(t, { config: { limits: { handshakeSeconds: 1 } } });
    const opened = ['tls', 'ws', 'wss'].map(async (kind) => {
      const silent = await TcpClient.open(server.port[kind]);
      t.after(() => silent.close());
      const began = Date.now();
      await silent.closes();
      assertBetween(Date.now() - began, 900, 3500, kind);
    });
    const halfUpgrade = await RawWs.connect(server.port.wss, { kind: 'wss' });
    t.after(() => halfUpgrade.close());
    halfUpgrade.write('GET / HTTP/1.1\r\nHost: x\r\n');
    await Promise.all([...opened, halfUpgrade.closes()]);
  });

  it('15 s for the first SIP message, 30 s to authenticate; who has registered stays', async (t) => {
    const server = await startServer(t);
    const registered = await openPhone(t, server, 'tcp');
    assertStatus(await registered.register(), 200);
    const began = Date.now();
    const lives = async (client, low, high, what) => {
      await client.closes(high);
      assertBetween(Date.now() - began, low, high, what);
    };
    const asking = await Promise.all(['tcp', 'ws'].map((kind) => openPhone(t, server, kind)));
    for (const phone of asking) assertStatus(await phone.send(phone.build()), 401);
    await Promise.all([
      ...['tcp', 'tls', 'ws'].map(async (kind) => lives(await open(t, server, kind), 13000, 22000, `silent ${kind}`)),
      ...asking.map((phone) => lives(phone.client, 28000, 37000, `unauthenticated ${phone.kind}`)),
    ]);
    assert.equal(registered.client.isClosed, false);
  });

  it('idleSeconds closes a stream without bindings, and only such', async (t) => {
    const server = await startServer(t, { config: { limits: { idleSeconds: 1 } } });
    const registered = await openPhone(t, server, 'tcp');
    assertStatus(await registered.register(), 200);
    const idle = await openPhone(t, server, 'tcp', { user: 'bob' });
    assertStatus(await idle.register(), 200);
    assertStatus(await idle.unregister(), 200);
    await idle.client.closes(4000);
    assert.equal(registered.client.isClosed, false);
  });
});

describe('closing and limits', () => {
  const server = withServer();

  for (const kind of ['tcp', 'tls', 'ws', 'wss'])
    it(`${kind}: a connection that closes takes its bindings along, and no others`, async (t) => {
      const desk = await openPhone(t, server, 'udp');
      assertStatus(await desk.unregister(), 200);
      assertStatus(await desk.register(), 200);
      const phone = await openPhone(t, server, kind);
      assertStatus(await phone.register(), 200);
      assert.equal((await server.bindingsOf('alice')).length, 2);
      await phone.close();
      await until('its binding is gone', async () => (await server.bindingsOf('alice')).length === 1, 1000);
      assert.equal((await server.bindingsOf('alice'))[0].contact, desk.uri);
    });

  it('a reset connection too', async (t) => {
    const phone = await openPhone(t, server, 'tcp', { user: 'carol' });
    assertStatus(await phone.register(), 200);
    phone.client.socket.resetAndDestroy();
    await until('its binding is gone', async () => (await server.bindingsOf('carol')).length === 0, 1000);
  });

  it('a binding that moved to a new connection survives the end of the old one', async (t) => {
    const before = await openPhone(t, server, 'tcp', { user: 'bob' });
    assertStatus(await before.register({ contact: '<sip:bob@phone.example.net>' }), 200);
    const after = await openPhone(t, server, 'tcp', { user: 'bob' });
    assertStatus(await after.register({ contact: '<sip:bob@phone.example.net>' }), 200);
    await before.close();
    const status = async () => (await server.page('/api/v1/status')).json().connections.tcp;
    await until('the server has seen it close', async () => (await status()) === 1);
    assert.equal((await server.bindingsOf('bob')).length, 1);
  });

  it('registrar.closeRemoves may leave a transport out', async (t) => {
    const keeping = await startServer(t, { config: { registrar: { closeRemoves: ['ws', 'wss'] } } });
    const phone = await openPhone(t, keeping, 'tcp');
    const web = await openPhone(t, keeping, 'ws');
    assertStatus(await phone.register(), 200);
    assertStatus(await web.register(), 200);
    await Promise.all([phone.close(), web.close()]);
    await until('the browser is gone', async () => (await keeping.bindingsOf('alice')).length === 1, 1000);
    assert.equal((await keeping.bindingsOf('alice'))[0].contact, phone.uri);
  });

  it('connectionsPerIp: one too many is closed, the others are served', async (t) => {
    const small = await startServer(t, { config: { limits: { connectionsPerIp: 3 } } });
    const phones = [];
    for (const kind of ['tcp', 'tls', 'ws']) phones.push(await openPhone(t, small, kind));
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 401, 'accepted, and not only queued');
    const refused = await open(t, small, 'tcp').catch((error) => error);
    if (!(refused instanceof Error)) await refused.closes();
    for (const phone of phones) assertStatus(await phone.send(phone.build()), 401);
    await phones[0].close();
    await until('its place is free', async () => {
      const again = await openPhone(t, small, 'tcp');
      again.client.send(again.build().toString());
      return again.client.nextResponse(500).then(() => true, () => false);
    });
  });
});

describe('UDP', () => {
  const server = withServer();

  it('a STUN binding request is answered with the mapped address (RFC 5626 4.4.2)', async (t) => {
    const client = await open(t, server, 'udp');
    const cookie = Buffer.from([0x21, 0x12, 0xa4, 0x42]);
    const id = crypto.randomBytes(12);
    client.send(Buffer.concat([Buffer.from([0, 1, 0, 0]), cookie, id]));
    const answer = Buffer.from(await client.next(), 'latin1');
    assert.equal(answer.readUInt16BE(0), 0x0101, 'binding success');
    assert.equal(answer.readUInt16BE(2), answer.length - 20);
    assert.deepEqual(answer.subarray(4, 20), Buffer.concat([cookie, id]));
    const at = answer.indexOf(Buffer.from([0x00, 0x20, 0x00, 0x08]), 20);
    assert.ok(at > 0, 'XOR-MAPPED-ADDRESS');
    assert.equal(answer[at + 5], 1, 'IPv4');
    assert.equal(answer.readUInt16BE(at + 6) ^ 0x2112, client.localPort);
    const address = [...answer.subarray(at + 8, at + 12)].map((byte, i) => byte ^ cookie[i]);
    assert.equal(address.join('.'), '127.0.0.1');
  });

  const ignored = [
    ['nothing', Buffer.alloc(0)],
    ['a keep-alive', '\r\n\r\n'],
    ['a NUL keep-alive', Buffer.from([0, 0, 0, 0])],
    ['half a STUN header', Buffer.from([0, 1, 0, 0, 0x21, 0x12])],
    ['noise', crypto.createHash('sha512').update('noise').digest()],
  ];
  for (const [what, datagram] of ignored)
    it(`${what} is let pass, and the next request served`, async (t) => {
      const phone = await openPhone(t, server, 'udp');
      phone.client.send(datagram);
      assertStatus(await phone.send(phone.build()), 401);
    });

  it('a retransmission gets the same bytes again and runs nothing twice', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const challenge = await phone.challenge();
    const request = phone.authorized(phone.build(), challenge);
    const first = await phone.send(request);
    assertStatus(first, 200);
    for (let i = 0; i < 2; i++) {
      const again = await phone.send(request); // run anew it would be an old CSeq and a used nc
      assert.equal(again.text, first.text);
    }
    assert.equal((await server.bindingsOf('alice')).length, 1);
  });

  it('the same branch with another CSeq or from another port is no retransmission', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const request = phone.build();
    const first = await phone.send(request);
    request.set('CSeq', '99 REGISTER');
    assert.notEqual((await phone.send(request)).text, first.text);
    const other = await openPhone(t, server, 'udp');
    assert.match((await other.send(request)).get('Via'), new RegExp(`rport=${other.client.localPort}`));
  });

  it('two workers serve 200 sources', async (t) => {
    const branches = new Set();
    await inParallel(200, 20, async () => {
      const phone = await openPhone(t, server, 'udp', { user: 'bob' });
      const response = await phone.send(phone.build({ contact: null }));
      assertStatus(response, 401);
      branches.add(response.branch);
    });
    assert.equal(branches.size, 200);
  });

  it('two workers serve 100 WebSockets, each with its registration', async (t) => {
    const many = await startServer(t, { config: { registrar: { maxContacts: 100 } } });
    await inParallel(100, 20, async () => {
      const phone = await openPhone(t, many, 'ws', { user: 'bob' });
      assertStatus(await phone.register(), 200);
    });
    const stored = await many.bindingsOf('bob');
    assert.equal(stored.length, 100);
    assert.equal(new Set(stored.map((b) => b.flow)).size, 100);
  });
});
