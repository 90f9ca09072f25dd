// Where the fuzzers begin: the messages of tests/sip, cut and wrapped into what each target takes,
// and a few texts for the targets that read something else.
//   node seeds.mjs FOLDER    writes FOLDER/<target>/<name>
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const sip = path.join(here, '..', 'sip');
const out = process.argv[2];
if (!out) {
  console.error('seeds.mjs: to which folder?');
  process.exit(2);
}

const messages = ['', 'rfc4475', 'rfc5118'].flatMap((folder) => fs.readdirSync(path.join(sip, folder)).filter((name) => name.endsWith('.sip'))
  .map((name) => [path.basename(name, '.sip'), fs.readFileSync(path.join(sip, folder, name))]));

function write(target, seeds) {
  fs.mkdirSync(path.join(out, target), { recursive: true });
  for (const [name, bytes] of seeds) fs.writeFileSync(path.join(out, target, name), bytes);
}

const numbered = (list) => list.map((item, i) => [`${i}`, item]);
const step = (n, bytes) => Buffer.concat([Buffer.from([n]), Buffer.from(bytes)]);

/** A client's frame, with a mask of zeros so that the fuzzer's dictionary fits its payload. */
function frame(opcode, payload, isFinal = true) {
  const bytes = Buffer.from(payload);
  const head = bytes.length < 126 ? [0x80 | bytes.length] : [0xfe, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from([(isFinal ? 0x80 : 0) | opcode, ...head, 0, 0, 0, 0]), bytes]);
}

const texts = messages.map(([, bytes]) => bytes.toString('latin1'));
const found = (pattern) => [...new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map((m) => m[1])))];

// ---- SIP
write('request', messages);
const uris = found(/<?(sips?:[^>\s,"]+)>?/gi);
write('uri', numbered([...uris, ...uris.map((uri) => `${uri}\n${uri}`), 'sip:a@h;transport=udp?x=y\nsip:%61@H;transport=UDP?x=y',
  'sips:alice;day=tuesday@[2001:db8::9]:5061;lr;ttl=5;maddr=192.0.2.1;user=phone']));
write('credentials', numbered([...found(/^Authorization: (.*?)\r?$/gim),
  'Digest username="alice", realm="example.com", nonce="a1", uri="sip:example.com", response="00112233445566778899aabbccddeeff", algorithm=SHA-256, cnonce="x", opaque="", qop=auth, nc=00000001',
  'Digest username="al\\"ice",realm = "a, b" ,nonce=abc', 'Basic YWxpY2U6d29uZGVy', 'digest username*=UTF-8\'\'al%c3%a9']));
write('stream', messages.flatMap(([name, bytes]) => [[name, step(0, bytes)], [`${name}_7`, step(6, Buffer.concat([bytes, Buffer.from('\r\n\r\n'), bytes]))]]));
write('websocket', [
  ...messages.filter(([, bytes]) => bytes.length < 1024).map(([name, bytes]) => [name, step(3, frame(1, bytes))]),
  ['fragments', step(0, Buffer.concat([frame(1, 'REGISTER', false), frame(9, 'ping'), frame(0, ' sip:', false), frame(0, 'x')]))],
  ['control', step(1, Buffer.concat([frame(2, '\r\n\r\n'), frame(10, ''), frame(1, 'E'), frame(8, '\x03\xe8bye')]))],
  ['long', step(50, frame(2, Buffer.alloc(1024, 'E')))],
]);

// ---- HTTP
const upgrade = 'GET /ws?a=b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nOrigin: https://example.com\r\n'
  + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, sip\r\n\r\n';
write('http', numbered([
  upgrade, Buffer.concat([Buffer.from(upgrade), frame(1, 'EHLO')]), 'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
  'HEAD /file HTTP/1.1\r\nHost: h\r\nIf-None-Match: "x"\r\n\r\nGET /file HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.0\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbodyGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  'PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n', 'GET http://h/a HTTP/1.1\r\nHost: h\r\nForwarded: for="[2001:db8::1]:80"\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n\r\n',
].map((text) => step(4, text))));
write('http_answer', numbered([
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n', 'HTTP/1.0 200\r\nX: a\r\n b\r\n\r\nuntil the end',
].map((text) => step(2, text))));
const ok = { status: 'ok', msg: 'hello', expires: 300, ttl: 60, call_hook: { url: 'http://h/' }, ha1: '0123456789abcdef0123456789abcdef',
  'ha1-sha256': '0123456789abcdef'.repeat(4) };
write('callback_answer', numbered([JSON.stringify(ok), '{"status":"fail","msg":"no\\u00e9","blacklist":-1}', '{"status":"fail","blaclist":60.5}', '{}', '[]', 'null',
  '{"status":"ok","expires":"x","x":[1,{"y":null}]}']));

// ---- STUN
const binding = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
write('stun', numbered([step(0, binding), step(1, binding), step(0, Buffer.from('000100082112a442000102030405060708090a0b8022000461626364', 'hex'))]));

// ---- Files
write('users', numbered(['{"alice@example.com":{"password":"wonder"},"bob@example.com":{"ha1":"0123456789abcdef0123456789abcdef"}}',
  `{"c%41rl@h":{"ha1-sha256":"${'ab'.repeat(32)}","ha1-sha512-256":"${'cd'.repeat(32)}"}}`, '{"alice":{}}', '{"a@h":{"password":1},"a@h":2}']));
write('config', numbered([
  '{"listen":["udp://127.0.0.1:0","ws://[::1]:8080"],"advertise":"h:5060","node":"n","workers":2,"users":"u.json","drainSeconds":1}',
  '{"realms":{"example.com":{"users":"u","authCallback":{"uri":"https://h/a","auth":{"username":"u","password":"p"},"timeoutMs":1000,"maxConnections":4},"maxRegistrations":5,"allowForeignAor":true},"*":{}}}',
  '{"auth":{"algorithms":["SHA-256","MD5"],"nonceTtl":10,"refreshCache":false},"registrar":{"minExpires":10,"maxExpires":20,"closeRemoves":["ws"],"overflow":"reject"},"nat":{"expires":30,"transports":["udp"]}}',
  '{"store":"redis","redis":{"host":"${H:-10.0.0.3}","port":6379,"db":1,"password":"secret","prefix":"u:","layout":"jambonz"},"authCallback":{"url":"http://h/"}}',
  '{"limits":{"messageBytes":2000,"neverBan":["10.0.0.0/8","::1"]},"trustedProxies":["192.0.2.0/24"],"ws":{"origins":["https://*.example.com"],"pingSeconds":0},"http":{"www":false,"admin":"http://127.0.0.1:0","adminToken":"${T:-x}"},"logging":{"level":"debug","format":"json"}}',
  '-D\nlisten=["udp://127.0.0.1:0"]\nredis.host=10.0.0.3\nworkers=3\nusers=u', '-D\nlisten\nwrokers=1\nhttp.www=false\nredis.port=70000',
]));

// ---- Redis
const record = JSON.stringify({ contact: 'sip:alice@192.0.2.1:5062;transport=udp', protocol: 'wss', sbcAddress: 'h:5060', proxy: 'sip:[2001:db8::1]:5060', expiryTime: 2000000,
  q: 0.5, callId: 'c', cseq: 3, instance: '<urn:uuid:1>', regId: 1, path: ['<sip:p;lr>'], userAgent: 'x', nat: true, node: 'n', flow: '1.2f.7', grant: { a: 1 },
  epoch: '00000000deadbeef', refreshedTime: 1000000, outbound: true, id: '00000000deadbeef' });
write('redis_binding', [['full', record], ['small', '{"contact":"sip:h","protocol":"udp","proxy":"sip:192.0.2.1:1","expiryTime":2000000,"refreshedTime":1,"id":"1"}']]);
const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
write('redis_reply', numbered([
  step(0, `*4\r\n${bulk('binding:1')}${bulk(record)}${bulk('contact')}${bulk('sip:h')}`), step(1, bulk(record)), step(0, '$-1\r\n:5\r\n+OK\r\n-ERR no\r\n*0\r\n*-1\r\n'),
  step(0, `*2\r\n*2\r\n:1\r\n$1\r\nx\r\n*1\r\n${bulk('y')}`),
]));

// ---- Registrations: the choices of register.c, all of them the usual ones but for these
const COUNTS = [4, 0, 5, 6, 7]; // place in its table of 0, 1, 2 … contacts
const usual = (client, { method = 0, user = 0, domain = 0, step = 0, contacts = [[0, 0, 0, 0]], others = [], answers = [], edits = [], length = 0 } = {}) => [
  0, client, method, user, domain, 0, 0, // step, client, the request line
  0, 0, 0, 0, // Vias
  0, 0, 0, // From, To
  step, 0, 0, // Call-ID, CSeq
  COUNTS[contacts.length], ...contacts.flat(), others.length, ...others,
  answers.length, ...answers.flat(), ...(length ? [255, length] : [0]), ...(edits.length ? [255, edits.length, ...edits.flat()] : [0])];
const right = [0, 0, 0, 0, 1]; // password, user, realm, uri, MD5
const sha = [0, 0, 0, 0, 0];
const wrong = [3, 0, 0, 0, 0];
const again = (client, rest) => usual(client, { answers: [right], ...rest });
const login = (client, rest = {}) => [...usual(client, rest), ...again(client, rest)];
const [a, b, c, d, e, star] = [0, 2, 3, 4, 6, 7].map((uri) => [0, uri, 0, 0]);
const callback = { domain: 3 };
const says = (answer, waits = 0) => [14, 0, answer, waits];
const answer = [15, 0];
const hangUp = (client) => [12, client];
const wait = (x, y = 100) => [13, 0, x, y]; // x * y * 10 ms
write('register', Object.entries({
  udp: [...login(0), ...usual(0), 11, 0, ...wait(200, 200), ...usual(0, { answers: [wrong] })],
  tcp: [...login(2), ...hangUp(2), ...login(2)],
  ws: [...login(4, { contacts: [[0, 2, 0, 5]], others: [6] }), ...again(4, { contacts: [[0, 2, 3, 0]] }), ...hangUp(4)],
  wildcard: [...login(3), ...again(3, { contacts: [star], others: [1] }), ...again(3, { contacts: [] })],
  paths: [...login(0, { others: [6, 8, 9] }), ...login(1, { user: 2, others: [11] }), ...login(0, { contacts: [[0, 2, 0, 5]], others: [6, 9] }),
    ...login(0, { contacts: [[0, 2, 0, 5]], others: [6, 8] })],
  evicted: [...login(0), ...wait(1), ...again(0, { contacts: [b] }), ...wait(1), ...again(0, { contacts: [c] }), ...wait(1), ...again(0, { contacts: [d] }),
    ...again(0, { contacts: [d, e] }), ...again(0, { contacts: [a, b, c, d] })],
  order: [...login(0), ...again(0), ...again(0, { step: 0xf0 }), ...again(0, { step: 0xe0, contacts: [b] }), ...again(0, { step: 0xf0, contacts: [star], others: [1] })],
  nonces: [...login(0), ...again(0, { answers: [[0, 0, 0, 0, 0x31]], contacts: [b] }), ...login(1, { user: 2 }), ...again(0, { answers: [[0, 0, 0, 0, 0xc1]] }),
    ...again(0, { answers: [[0, 0, 0, 0, 3]], contacts: [c] }), ...wait(200, 200), ...again(0, { contacts: [b] })],
  expired: [...login(0, { others: [2] }), ...login(1, { user: 2, others: [0] }), ...wait(255, 30), ...usual(0), ...wait(255, 255), ...login(0)],
  brief: [...login(0, { contacts: [[0, 0, 5, 0]] }), ...login(2, { others: [4] }), ...login(0, { contacts: [[0, 0, 4, 3]] })],
  strangers: [...login(0, { user: 3 }), ...again(0, { answers: [[0, 5, 0, 0, 0]] }), ...again(0, { answers: [[0, 0, 5, 0, 0], sha] }), ...again(0, { domain: 4 }),
    ...again(0, { answers: [[0, 0, 0, 4, 0]] }), ...again(0, { answers: [[0, 6, 0, 3, 0]] }), ...usual(0, { others: [18, 19, 20] })],
  callback: [...login(0, callback), ...says(1, 1), ...usual(0, callback), ...again(0, { ...callback, contacts: [b] }), ...answer, ...hangUp(0)],
  waiting: [...says(0, 1), ...login(2, callback), ...hangUp(2), ...answer, ...login(4, callback), 11, 4, ...answer, ...login(1, callback), 11, 1, ...answer, 11, 1],
  limited: [...says(2), ...login(4, callback), ...usual(4, callback), ...wait(90)],
  banned: [...says(3), ...login(0, callback), ...usual(0, callback), ...login(2, callback), ...wait(10), ...usual(2, callback), ...wait(100), ...login(0)],
  odd: [...says(4), ...login(0, callback), ...says(5), ...again(0, callback), ...says(6), ...again(0, callback)],
  outage: [...login(2, callback), ...says(7), ...[b, c, d, e, b, c].flatMap((contact) => again(2, { ...callback, contacts: [contact] })), ...usual(2, callback),
    ...again(2, callback), ...says(8), ...again(2, callback), ...wait(1), ...says(0), ...again(2, callback)],
  full: [...login(0, { ...callback, contacts: [a, b] }), ...login(1, { ...callback, user: 2, contacts: [c, d] }), ...login(1, { ...callback, user: 2, contacts: [c] })],
  others: [...usual(0, { method: 6 }), ...usual(2, { method: 7 }), ...usual(4, { method: 8 }), ...usual(1, { method: 9 })],
  long: [[0, 180], [1, 0], [0, 220], [0, 120], [0, 90]].flatMap((place) => again(0, { edits: [[...place, 3, 0], [...place, 3, 0], [...place, 3, 0], [...place, 3, 0]] })),
  unframed: [...usual(3, { length: 2 }), ...usual(2, { method: 7, length: 2 }), ...usual(2, { method: 7, length: 5 }), ...usual(2, { length: 5 }), ...usual(3, { length: 3 }), ...usual(0, { length: 1 }), ...usual(2, { method: 7, edits: [[255, 250, 1, 15]] }), ...usual(3, { edits: [[0, 200, 1, 17], [1, 0, 0, 3]] }), ...usual(4, { edits: [[0, 120, 2, 16]] })],
}).map(([name, bytes]) => [name, Buffer.from(bytes)]));

// ---- PROXY protocol
const signature = '\r\n\r\n\0\r\nQUIT\n';
write('proxy_header', numbered([
  'PROXY TCP4 203.0.113.7 127.0.0.1 56324 443\r\n', 'PROXY TCP6 2001:db8::7 ::1 56324 443\r\n', 'PROXY UNKNOWN\r\n',
  `${signature}\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\xdc\x04\x01\xbb`, `${signature}\x20\0\0\0`,
  `${signature}\x21\x21\0\x24${'\x20\x01\x0d\xb8'.repeat(8)}\xdc\x04\x01\xbb`,
].map((text) => Buffer.from(text, 'latin1'))));
