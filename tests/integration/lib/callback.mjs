// An authentication callback in the test's own process (SPEC 5). It checks the digest as a
// customer's would, unless a test tells it to behave in another way, and keeps what it was asked.
import { isUtf8 } from 'node:buffer';
import http from 'node:http';
import https from 'node:https';
import { after, before } from 'node:test';
import { until } from './expect.mjs';
import { DOMAIN, PASSWORD } from './server.mjs';
import { ha1, hash } from './sip.mjs';

const MEGABYTE = 1 << 20;

// ---- Ways to behave: a function of an exchange {body, headers, response, server, ...} ------------

/** `members` beside the verdict that the credentials deserve. */
export const verified = (members = {}) => (exchange) =>
  exchange.json(exchange.server.proves(exchange.body) ? { status: 'ok', ...members } : { status: 'fail' });

export const ok = (members = {}) => json({ status: 'ok', ...members });
export const fail = (members = {}) => json({ status: 'fail', ...members });

/** Any JSON value, or text as it stands. */
export const json = (value) => (exchange) => exchange.json(value);
export const text = (content, { status = 200, type = 'application/json' } = {}) => (exchange) => {
  exchange.response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(content) });
  exchange.response.end(content);
};
export const status = (code, value = { status: 'ok' }) => text(JSON.stringify(value), { status: code });

/** Thinks for `ms` before it does what `then` says. */
export const slowly = (ms, then = ok()) => (exchange) => {
  const timer = setTimeout(() => then(exchange), ms);
  exchange.response.on('close', () => clearTimeout(timer));
};

/** One answer, a byte at a time and in chunks. */
export const chunked = (value = { status: 'ok' }) => async ({ response }) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  for (const letter of JSON.stringify(value)) response.write(letter);
  response.end();
};
export const chunkedForEver = ({ response }) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.write('{"status":"ok"}');
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};
export const chunkedBrokenOff = ({ response }) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.write('{"status":"ok"}', () => response.socket?.destroy());
};
export const cutShort = ({ response }) => {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100 });
  response.write('{"status":"ok"}', () => response.socket?.destroy());
};
export const reset = ({ response }) => {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100 });
  response.write('{"status":"ok"}', () => response.socket?.resetAndDestroy());
};
export const closes = ({ response }) => response.socket.destroy();
export const never = () => {};
export const redirects = ({ response, server }) => {
  response.writeHead(302, { Location: `${server.uri}${GOOD}`, 'Content-Length': 0 });
  response.end();
};
const GOOD = 'good'; // where redirects lead; always answers "ok"

/** Every way that is an outage (SPEC 5): what it is called, what it does. */
export const OUTAGES = [
  ['status 500', status(500)],
  ['status 404', status(404)],
  ['status 204', ({ response }) => response.writeHead(204).end()],
  ['status 201 with a verdict', status(201)],
  ['a page of HTML', text('<html><body>status: ok</body></html>', { type: 'text/html' })],
  ['nothing at all', text('')],
  ['{}', json({})],
  ['null', text('null')],
  ['a list', text('[{"status":"ok"}]')],
  ['a string', text('"ok"')],
  ['status true', json({ status: true })],
  ['status 1', json({ status: 1 })],
  ['status null', json({ status: null })],
  ['status as an object', json({ status: { status: 'ok' } })],
  ['half a JSON', text('{"status":"ok"')],
  ['something after its JSON', text('{"status":"ok"} trailing')],
  ['a megabyte', text(JSON.stringify({ status: 'ok', msg: 'x'.repeat(MEGABYTE) }))],
  ['a chunked answer that never ends', chunkedForEver],
  ['a chunked answer that breaks off', chunkedBrokenOff],
  ['less than its Content-Length', cutShort],
  ['a reset in the middle', reset],
  ['a connection that closes at once', closes],
  ['a redirect to a good answer', redirects],
  ['no answer', never],
];

// ---- The server ----------------------------------------------------------------------------------

export class CallbackServer {
  /** `users` {aor: password}; `tls` {key, cert} makes it https. */
  constructor({ users = passwordsOf(DOMAIN), tls, host = '127.0.0.1' } = {}) {
    this.users = users;
    this.host = host;
    this.tls = tls;
    this.usual = verified();
    this.next = [];
    this.forget();
    this.inFlight = 0;
  }

  /** On `port`, or one that the system picks. */
  async start(port = this.port ?? 0) {
    const take = (request, response) => this.take(request, response);
    const options = { keepAliveTimeout: 60000 };
    this.http = this.tls ? https.createServer({ ...options, ...this.tls }, take) : http.createServer(options, take);
    this.http.on('connection', () => this.connections++);
    this.http.on('clientError', (_error, socket) => socket.destroy());
    await new Promise((resolve, reject) => this.http.once('error', reject).listen(port, this.host, resolve));
    this.port = this.http.address().port;
    return this;
  }

  get uri() {
    return `${this.tls ? 'https' : 'http'}://${this.host}:${this.port}/`;
  }

  /** For `authCallback`; its address is read when the configuration is written. */
  config(extra = {}) {
    const server = this;
    return {
      ...extra,
      get uri() {
        return server.uri;
      },
    };
  }

  /** From now on; without an argument as an honest one. */
  behave(behaviour = verified()) {
    this.usual = behaviour;
    this.next = [];
  }

  /** For the next requests, one each. */
  once(...behaviours) {
    this.next.push(...behaviours);
  }

  /** Lets requests wait until `release()` is called on what it returns. */
  hold(then = verified()) {
    const held = [];
    const gate = {
      release: () => {
        this.behave(then);
        held.splice(0).forEach((exchange) => then(exchange));
      },
    };
    this.behave((exchange) => held.push(exchange));
    return gate;
  }

  forget() {
    this.requests = [];
    this.connections = 0;
    this.maxInFlight = 0;
  }

  /** Resolves with the request number `count`, counted from 1 since the last forget(). */
  asked(count = 1, ms = 5000) {
    return until(`the callback is asked ${count} times`, () => this.requests[count - 1], ms);
  }

  async take(request, response) {
    const exchange = {
      server: this,
      response,
      path: request.url,
      method: request.method,
      headers: request.headers,
      remotePort: request.socket.remotePort,
      at: performance.now(),
      hasEnded: false,
      json: (value) => text(JSON.stringify(value))(exchange),
    };
    response.on('error', () => {});
    request.on('error', () => {});
    this.maxInFlight = Math.max(this.maxInFlight, ++this.inFlight);
    response.on('close', () => {
      exchange.hasEnded = true;
      this.inFlight--;
    });
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    exchange.isUtf8 = isUtf8(bytes);
    exchange.text = bytes.toString();
    try {
      exchange.body = JSON.parse(exchange.text);
    } catch {
      exchange.body = null;
    }
    if (request.url.endsWith(GOOD)) return exchange.json({ status: 'ok' });
    this.requests.push(exchange);
    (this.next.shift() ?? this.usual)(exchange);
  }

  /** RFC 7616 3.4.1, and RFC 2069 where there is no qop. */
  proves({ method, username, realm, nonce, uri, response, qop, nc, cnonce, algorithm = 'MD5' }) {
    const password = this.users[`${username.split('@')[0]}@${realm}`];
    if (password === undefined) return false;
    const middle = qop ? `${nonce}:${nc}:${cnonce}:${qop}` : nonce;
    const a2 = hash(algorithm, `${method}:${uri}`);
    return response === hash(algorithm, `${ha1(algorithm, username, realm, password)}:${middle}:${a2}`);
  }

  /** Drops every connection and stops listening; start() brings it back on the same port. */
  async close() {
    if (!this.http) return;
    const closed = new Promise((resolve) => this.http.close(resolve));
    this.http.closeAllConnections();
    await closed;
    this.http = undefined;
  }
}

/** {aor: password} of the three default users in `domain`. */
export const passwordsOf = (domain) =>
  Object.fromEntries(Object.entries(PASSWORD).map(([user, password]) => [`${user}@${domain}`, password]));

/** One callback server for all tests of the enclosing `describe`; declare it before the aorta that asks it. */
export function withCallback(options) {
  const callback = new CallbackServer(options);
  before(() => callback.start());
  after(() => callback.close());
  return callback;
}

/** One for test `t` alone. */
export async function startCallback(t, options) {
  const callback = new CallbackServer(options);
  t.after(() => callback.close());
  return callback.start();
}
