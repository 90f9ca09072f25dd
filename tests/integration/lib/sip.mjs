// Just enough SIP for a client: requests as lists of headers that a test may spoil, answers as
// objects, and digest credentials (RFC 7616).
import assert from 'node:assert/strict';
import crypto from 'node:crypto';

export const token = (bytes = 6) => crypto.randomBytes(bytes).toString('hex');

export class SipRequest {
  constructor(line, headers, body = '') {
    this.line = line;
    this.headers = headers; // [name, value] in order
    this.body = body;
  }

  get method() {
    return this.line.split(' ')[0];
  }

  get uri() {
    return this.line.split(' ')[1];
  }

  get(name) {
    return this.headers.find(([n]) => n.toLowerCase() === name.toLowerCase())?.[1];
  }

  /** Replaces every header of that name by one; `undefined` only removes. */
  set(name, value) {
    const at = this.headers.findIndex(([n]) => n.toLowerCase() === name.toLowerCase());
    this.headers = this.headers.filter(([n]) => n.toLowerCase() !== name.toLowerCase());
    if (value !== undefined) this.headers.splice(at < 0 ? this.headers.length : at, 0, [name, value]);
    return this;
  }

  add(name, value) {
    this.headers.push([name, value]);
    return this;
  }

  toString() {
    const hasLength = this.headers.some(([name]) => /^(content-length|l)$/i.test(name));
    const length = hasLength ? [] : [['Content-Length', Buffer.byteLength(this.body)]];
    const lines = [...this.headers, ...length].map(([name, value]) => `${name}: ${value}`);
    return [this.line, ...lines, '', this.body].join('\r\n');
  }
}

export function parseResponse(text) {
  const [head, ...rest] = text.split('\r\n\r\n');
  const [line, ...lines] = head.split('\r\n');
  const [, status, reason] = /^SIP\/2\.0 (\d{3}) (.*)$/.exec(line) ?? assert.fail(`no SIP answer: ${text}`);
  const headers = lines.map((header) => {
    const colon = header.indexOf(':');
    return [header.slice(0, colon), header.slice(colon + 1).trim()];
  });
  const all = (name) => headers.filter(([n]) => n.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return {
    text,
    status: Number(status),
    reason,
    headers,
    body: rest.join('\r\n\r\n'),
    all,
    get: (name) => all(name)[0],
    contacts: all('Contact').flatMap(splitList).map(parseContact),
    branch: /;branch=([^;,\s]+)/.exec(all('Via')[0] ?? '')?.[1],
  };
}

/** Splits at commas outside quotes and angle brackets. */
function splitList(value) {
  return value.match(/(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^,])+/g).map((part) => part.trim());
}

function parseContact(text) {
  const [, uri, rest] = /^(?:[^<]*)<([^>]*)>(.*)$/.exec(text) ?? assert.fail(`odd contact: ${text}`);
  const params = {};
  for (const [, name, value] of rest.matchAll(/;\s*([^=;\s]+)(?:=("(?:\\.|[^"\\])*"|[^;]*))?/g))
    params[name.toLowerCase()] = value ?? true;
  return { uri, params, expires: Number(params.expires) };
}

/** What every answer to a sane request owes to it (RFC 3261 8.2.6.2, SPEC 3 step 8). */
export function assertAnswers(request, response) {
  const text = `${request}\n${response.text}`;
  assert.match(response.reason, /^[A-Za-z0-9 .,-]+$/, 'reason phrase');
  for (const name of ['From', 'Call-ID', 'CSeq'])
    assert.deepEqual(response.all(name), [request.get(name)], `${name}\n${text}`);
  const to = request.get('To');
  assert.equal(response.all('To').length, 1, text);
  assert.ok(response.get('To').startsWith(to), text);
  assert.match(response.get('To'), /;tag=[^;\s]+/, text);
  assert.equal(response.get('Content-Length'), '0', text);
}

// ---- Digest ------------------------------------------------------------------------------------

const HASH = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' };

export const hash = (algorithm, text) => crypto.createHash(HASH[algorithm]).update(text).digest('hex');

export const ha1 = (algorithm, user, realm, password) => hash(algorithm, `${user}:${realm}:${password}`);

/** `Digest a="b", c=d` as an object of unquoted values, with its scheme and the line as it stood. */
export function parseAuth(line) {
  const [, scheme, list] = /^(\S+)\s+(.*)$/.exec(line);
  const parsed = { scheme, line };
  for (const [, name, quoted, plain] of list.matchAll(/([\w-]+)=(?:"((?:\\.|[^"\\])*)"|([^,\s]*))/g))
    parsed[name] = quoted ?? plain;
  return parsed;
}

/** The challenges of a 401, in their order. */
export const challenges = (response) => response.all('WWW-Authenticate').map(parseAuth);

/** The value of Authorization. `qop: false` answers as RFC 2069 did. */
export function credentials(challenge, { method = 'REGISTER', uri, user, password, nc = 1, qop = true, cnonce = token() }) {
  const { realm, nonce, algorithm = 'MD5' } = challenge;
  const count = nc.toString(16).padStart(8, '0');
  const a1 = ha1(algorithm, user, realm, password);
  const a2 = hash(algorithm, `${method}:${uri}`);
  const middle = qop ? `${nonce}:${count}:${cnonce}:auth` : nonce;
  const response = hash(algorithm, `${a1}:${middle}:${a2}`);
  const counted = qop ? `, qop=auth, nc=${count}, cnonce="${cnonce}"` : '';
  return (
    `Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", ` +
    `response="${response}", algorithm=${algorithm}${counted}`
  );
}
