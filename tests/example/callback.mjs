// An authentication callback for aorta: says who may register, by checking his digest.
//   PORT=4000 node callback.mjs [users.json]    users.json: {"alice@example.com": {"password": "…"}}
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const { HOST = '127.0.0.1', PORT = 0, CALLBACK_USERNAME: name, CALLBACK_PASSWORD: secret = '' } = process.env;
const drawn = () => ({ password: randomBytes(9).toString('base64url') });
const [file] = process.argv.slice(2);
const users = file ? JSON.parse(readFileSync(file)) : { 'alice@localhost': drawn(), 'bob@localhost': drawn() };
const HASHES = { 'MD5': 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' };

const hash = (algorithm, ...parts) => createHash(algorithm).update(parts.join(':')).digest('hex');
const same = (a, b) => timingSafeEqual(Buffer.from(hash('sha256', a)), Buffer.from(hash('sha256', b)));
const basic = `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;

function decide({ method, username, realm, nonce, uri, response, qop, nc, cnonce, algorithm = 'MD5' }) {
  const suffix = `@${realm}`; // some phones write it behind their name, and nothing else may be cut off
  const user = String(username).toLowerCase().endsWith(suffix.toLowerCase()) ? username.slice(0, -suffix.length) : username;
  const { password, expires } = users[user + suffix] ?? {};
  const digest = HASHES[algorithm];
  if (!digest) return { status: 'fail', msg: `unknown algorithm ${algorithm}` };
  const ha1 = hash(digest, username, realm, password ?? drawn().password); // takes as long for unknown users
  const ha2 = hash(digest, method, uri);
  const expected = qop ? hash(digest, ha1, nonce, nc, cnonce, qop, ha2) : hash(digest, ha1, nonce, ha2);
  if (!password || !same(expected, response)) return { status: 'fail', msg: 'wrong user or password' };
  return { status: 'ok', expires }; // without expires where the users file has none
}

const server = createServer(async (request, response) => {
  if (name && !same(basic, request.headers.authorization ?? '')) return response.writeHead(401).end();
  let body = '';
  try {
    for await (const chunk of request.setEncoding('utf8')) if ((body += chunk).length > 65536) return request.destroy();
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(decide(JSON.parse(body))));
  } catch {
    response.writeHead(400).end();
  }
});
server.listen(PORT, HOST, () => {
  for (const [user, { password }] of file ? [] : Object.entries(users)) console.log(user, password);
  console.log(`http://${HOST}:${server.address().port}/`);
});
