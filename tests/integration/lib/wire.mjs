// A TCP connection that stops, or ends in a bad way, at any stage of its way in: TLS runs beside the
// socket, so that the test holds the socket itself.
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { within } from './expect.mjs';
import { OP, UPGRADE, frame } from './raw_ws.mjs';
import { parseResponse } from './sip.mjs';

const isSecure = (kind) => kind === 'tls' || kind === 'wss';
const isWeb = (kind) => kind === 'ws' || kind === 'wss';

/** What a browser says first. */
export async function recordClientHello() {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const socket = tls.connect({ port: listener.address().port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.on('error', () => {});
  const hello = await new Promise((resolve) => listener.once('connection', (peer) => peer.on('error', () => {}).once('data', resolve)));
  socket.destroy();
  listener.close();
  return hello;
}

export const UPGRADE_REQUEST = `GET / HTTP/1.1\r\n${Object.entries(UPGRADE).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;

/** How a peer may end a connection. */
export const ENDINGS = {
  RST: (wire) => wire.tcp.resetAndDestroy(),
  'half-close': (wire) => wire.tcp.end(),
  close: (wire) => wire.tcp.destroy(),
};

export class Wire {
  /** Connected, and nothing said yet. */
  static async open(t, server, kind) {
    const wire = new Wire();
    wire.kind = kind;
    wire.received = '';
    wire.tcp = net.connect({ port: server.port[kind], host: '127.0.0.1', allowHalfOpen: true }).setNoDelay(true);
    wire.isClosed = false;
    wire.closed = new Promise((resolve) => wire.tcp.on('close', resolve).on('end', resolve)).then(() => (wire.isClosed = true));
    wire.tcp.on('error', () => {});
    t.after(() => wire.tcp.destroy());
    await within(10000, 'a connection', new Promise((resolve, reject) => wire.tcp.once('connect', resolve).once('error', reject)));
    wire.stream = wire.tcp;
    if (!isSecure(kind)) wire.listen();
    return wire;
  }

  listen() {
    this.stream.on('data', (data) => (this.received += data.toString('latin1')));
    this.stream.on('error', () => {});
  }

  async handshake() {
    if (!isSecure(this.kind)) return this;
    const { tcp } = this;
    const pipe = new Duplex({
      read: () => tcp.resume(),
      write: (chunk, _, done) => (tcp.destroyed ? done() : tcp.write(chunk, () => done())),
    });
    tcp.on('data', (data) => pipe.push(data) || tcp.pause()).on('end', () => pipe.push(null));
    this.stream = tls.connect({ socket: pipe, rejectUnauthorized: false });
    this.listen();
    await within(10000, 'a TLS handshake', new Promise((resolve, reject) => this.stream.once('secureConnect', resolve).once('error', reject)));
    return this;
  }

  /** Ready for SIP. */
  async enter() {
    await this.handshake();
    if (!isWeb(this.kind)) return this;
    await this.write(UPGRADE_REQUEST);
    await this.hears(/^HTTP\/1.1 101 [^]*\r\n\r\n/);
    return this;
  }

  /** Resolves when the bytes are the system's. */
  write(data) {
    return new Promise((resolve) => this.stream.write(data, resolve));
  }

  sip(text) {
    return isWeb(this.kind) ? frame(OP.TEXT, text) : Buffer.from(text);
  }

  /** Resolves once what was received matches, and forgets it then. */
  hears(pattern, ms = 10000) {
    const match = new Promise((resolve) => {
      const look = () => {
        const found = pattern.exec(this.received);
        if (!found) return;
        this.received = '';
        this.stream.off('data', look);
        resolve(found);
      };
      this.stream.on('data', look);
      look();
    });
    return within(ms, `${this.kind}: ${pattern}`, match);
  }

  /** What a Phone needs of a client. */
  client() {
    return {
      host: '127.0.0.1',
      localPort: this.tcp.localPort,
      send: (text) => this.write(this.sip(text)),
      nextResponse: async () => parseResponse((await this.hears(/SIP\/2\.0 \d{3} [^]*?\r\n\r\n/))[0]),
      close: () => this.tcp.destroy(),
    };
  }
}
