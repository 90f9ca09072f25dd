// The five transports from the client's side, alike: send(), next() message, closed, close().
import dgram from 'node:dgram';
import net from 'node:net';
import tls from 'node:tls';
import WebSocket from 'ws';
import { Inbox } from './inbox.mjs';
import { within } from './expect.mjs';
import { parseResponse } from './sip.mjs';

class Client {
  /** `host` is the server's; `from`, when given, the address of ours to come from. */
  constructor(kind, host, from = host) {
    this.kind = kind;
    this.inbox = new Inbox(kind);
    this.host = from.includes(':') ? `[${from}]` : from;
  }

  /** Next message as text; on streams a pong is the message "\r\n". */
  next(ms) {
    return this.inbox.next(ms);
  }

  async nextResponse(ms) {
    return parseResponse(await this.next(ms));
  }

  /** How the connection ended, once it has. */
  get closed() {
    return this.inbox.closed;
  }

  /** Like `closed`, but fails when the server leaves it open. */
  closes(ms = 5000) {
    return within(ms, `${this.kind} connection is closed`, this.closed);
  }

  get isClosed() {
    return this.inbox.isClosed;
  }
}

export class UdpClient extends Client {
  static async open(port, { host = '127.0.0.1', localAddress = host } = {}) {
    const client = new UdpClient('udp', host, localAddress);
    client.socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    client.socket.on('message', (data) => client.inbox.push(data.toString('latin1')));
    await new Promise((resolve) => client.socket.bind(0, localAddress, resolve));
    await new Promise((resolve) => client.socket.connect(port, host, resolve));
    client.socket.on('error', () => {}); // the server is gone: seen by who waits
    client.socket.unref(); // one that a failed test left open must not keep the process
    client.localPort = client.socket.address().port;
    return client;
  }

  send(data) {
    this.socket.send(data);
  }

  close() {
    if (this.isClosed) return;
    this.inbox.close('by us');
    this.socket.close();
  }
}

class StreamClient extends Client {
  attach(socket) {
    this.socket = socket;
    this.localPort = socket.localPort;
    this.received = '';
    socket.setNoDelay(true);
    socket.on('data', (data) => this.take(data.toString('latin1')));
    socket.on('error', (error) => this.inbox.close(error.code));
    socket.on('close', () => this.inbox.close('closed'));
    return this;
  }

  take(text) {
    this.received += text;
    for (;;) {
      const length = firstMessageLength(this.received);
      if (!length) return;
      this.inbox.push(this.received.slice(0, length));
      this.received = this.received.slice(length);
    }
  }

  send(data) {
    if (!this.socket.destroyed) this.socket.write(data);
  }

  close() {
    this.socket.destroy();
    return this.closed;
  }
}

function firstMessageLength(text) {
  if (text.startsWith('\r\n')) return 2;
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  const body = Number(/\r\nContent-Length: *(\d+)/i.exec(text.slice(0, head + 2))?.[1] ?? 0);
  return text.length >= head + 4 + body ? head + 4 + body : 0;
}

export class TcpClient extends StreamClient {
  static async open(port, { host = '127.0.0.1', localAddress } = {}) {
    const socket = net.connect({ port, host, localAddress });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new TcpClient('tcp', host, localAddress).attach(socket);
  }
}

export class TlsClient extends StreamClient {
  static async open(port, { host = '127.0.0.1', localAddress } = {}) {
    const socket = tls.connect({ port, host, localAddress, rejectUnauthorized: false });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return new TlsClient('tls', host, localAddress).attach(socket);
  }
}

export class WsClient extends Client {
  static async open(port, { kind = 'ws', host = '127.0.0.1', protocol = 'sip', ...options } = {}) {
    const client = new WsClient(kind, host, options.localAddress);
    const socket = new WebSocket(`${kind}://${host}:${port}/`, protocol, {
      rejectUnauthorized: false,
      perMessageDeflate: false,
      ...options,
    });
    client.socket = socket;
    socket.on('message', (data) => client.inbox.push(data.toString('latin1')));
    socket.on('close', (code) => client.inbox.close(code));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.on('error', () => {}); // told by its close code
    return client;
  }

  /** Text as a text message, a Buffer as a binary one. */
  send(data, options) {
    this.socket.send(data, { binary: typeof data !== 'string', ...options });
  }

  close() {
    this.socket.close();
    return this.closed;
  }
}

const OPEN = {
  udp: (port, options) => UdpClient.open(port, options),
  tcp: (port, options) => TcpClient.open(port, options),
  tls: (port, options) => TlsClient.open(port, options),
  ws: (port, options) => WsClient.open(port, { kind: 'ws', ...options }),
  wss: (port, options) => WsClient.open(port, { kind: 'wss', ...options }),
};
export const KINDS = Object.keys(OPEN);

export const openClient = (server, kind, options) => OPEN[kind](server.port[kind], options);
