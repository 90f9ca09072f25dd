// A WebSocket client that can be as rude as a test needs, and light enough for thousands.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { Inbox } from './inbox.mjs';
import { within } from './expect.mjs';
import { parseResponse } from './sip.mjs';

export const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

export const UPGRADE = {
  Host: 'localhost',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', // RFC 6455 1.3
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Protocol': 'sip',
};
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export function frame(opcode, payload = '', { fin = true, mask = true, rsv = 0 } = {}) {
  const data = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const flag = mask ? 0x80 : 0;
  if (data.length < 126) head.push(flag | data.length);
  else if (data.length < 65536) head.push(flag | 126, data.length >> 8, data.length & 255);
  else head.push(flag | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 255));
  if (!mask) return Buffer.concat([Buffer.from(head), data]);
  const key = crypto.randomBytes(4);
  return Buffer.concat([Buffer.from(head), key, data.map((byte, i) => byte ^ key[i & 3])]);
}

export class RawWs {
  /** Only the connection; `kind` wss does TLS. */
  static async connect(port, { kind = 'ws', host = '127.0.0.1', ...options } = {}) {
    const raw = new this();
    raw.inbox = new Inbox(`raw ${kind}`);
    raw.received = Buffer.alloc(0);
    raw.isUpgraded = false;
    raw.socket =
      kind === 'ws' ? net.connect({ port, host, ...options }) : tls.connect({ port, host, rejectUnauthorized: false, ...options });
    raw.socket.on('data', (data) => raw.take(data));
    raw.socket.on('error', (error) => raw.inbox.close(error.code));
    raw.socket.on('close', () => raw.inbox.close('closed'));
    const ready = kind === 'ws' ? 'connect' : 'secureConnect';
    await new Promise((resolve, reject) => raw.socket.once(ready, resolve).once('error', reject));
    return raw;
  }

  /** Connects and upgrades; fails unless the server agrees to `sip`. */
  static async open(port, options) {
    const raw = await this.connect(port, options);
    const answer = await raw.upgrade();
    assert.equal(answer.status, 101, answer.text);
    assert.equal(answer.headers['sec-websocket-accept'], ACCEPT);
    assert.equal(answer.headers['sec-websocket-protocol'], 'sip');
    assert.equal(answer.headers['sec-websocket-extensions'], undefined);
    return raw;
  }

  /** Sends an upgrade request with `headers` (undefined leaves one out) and returns the answer. */
  async upgrade(headers = {}, path = '/') {
    const lines = Object.entries({ ...UPGRADE, ...headers }).filter(([, value]) => value !== undefined);
    this.write(`GET ${path} HTTP/1.1\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
    return this.inbox.next();
  }

  write(data) {
    if (!this.socket.destroyed) this.socket.write(data);
  }

  send(opcode, payload, options) {
    this.write(frame(opcode, payload, options));
  }

  text(payload) {
    this.write(frame(OP.TEXT, payload));
  }

  /** The next frame: {opcode, payload}. */
  next(ms) {
    return this.inbox.next(ms);
  }

  /** The code of the close frame that must come next. */
  async closeCode(ms) {
    const { opcode, payload } = await this.next(ms);
    assert.equal(opcode, OP.CLOSE, `a close frame, not opcode ${opcode}: ${payload}`);
    return payload.length ? payload.readUInt16BE(0) : 1005;
  }

  closes(ms = 5000) {
    return within(ms, 'connection is closed', this.inbox.closed);
  }

  get isClosed() {
    return this.inbox.isClosed;
  }

  close() {
    this.socket.destroy();
  }

  take(data) {
    this.received = this.received.length ? Buffer.concat([this.received, data]) : data;
    if (!this.isUpgraded && !this.takeHttp()) return;
    while (this.takeFrame());
  }

  takeHttp() {
    const end = this.received.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const text = this.received.subarray(0, end).toString('latin1');
    const [line, ...lines] = text.split('\r\n');
    const headers = Object.fromEntries(
      lines.map((header) => [header.slice(0, header.indexOf(':')).toLowerCase(), header.slice(header.indexOf(':') + 1).trim()])
    );
    this.received = this.received.subarray(end + 4);
    const status = Number(line.split(' ')[1]);
    this.isUpgraded = status === 101;
    this.inbox.push({ status, headers, text });
    return this.isUpgraded;
  }

  takeFrame() {
    const data = this.received;
    if (data.length < 2) return false;
    assert.equal(data[1] & 0x80, 0, 'a server never masks');
    let length = data[1] & 0x7f;
    let at = 2;
    if (length === 126) [length, at] = [data.length < 4 ? Infinity : data.readUInt16BE(2), 4];
    else if (length === 127) [length, at] = [data.length < 10 ? Infinity : Number(data.readBigUInt64BE(2)), 10];
    if (data.length < at + length) return false;
    this.inbox.push({ opcode: data[0] & 0x0f, payload: Buffer.from(data.subarray(at, at + length)) });
    this.received = data.subarray(at + length);
    return true;
  }
}

/** One that a Phone can use: a SIP message a frame. It answers pings as browsers do. */
export class LightWsClient extends RawWs {
  /** Answers pings, as browsers do by themselves, unless told not to. */
  static async connect(port, { answersPings = true, ...options } = {}) {
    const client = await super.connect(port, options);
    if (!answersPings) return client;
    const push = client.inbox.push.bind(client.inbox);
    client.inbox.push = (item) => (item.opcode === OP.PING ? client.write(frame(OP.PONG, item.payload)) : push(item));
    return client;
  }

  send(text) {
    this.text(text);
  }

  async nextResponse(ms) {
    const { opcode, payload } = await this.next(ms);
    if (opcode === OP.CLOSE) throw new Error(`closed with ${payload.readUInt16BE(0)} while an answer was due`);
    return parseResponse(payload.toString('latin1'));
  }
}

/** Opens one for test `t`, which closes it. */
export async function openRawWs(t, server, kind = 'ws') {
  const raw = await RawWs.open(server.port[kind], { kind });
  t.after(() => raw.close());
  return raw;
}
