// Certificates: made when there is none, refused with the cause when bad (SPEC 1, issue "Certificates").
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { before, describe, it } from 'node:test';
import { assertStatus } from './lib/expect.mjs';
import { runAorta, startServer, temporaryFolder } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';

/** By address, so with no need of a resolver. `options` say what to trust. */
function handshake(port, options) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ...options }, () => {
      resolve({ protocol: socket.getProtocol(), certificate: socket.getPeerX509Certificate() });
      socket.end();
    });
    socket.on('error', reject);
  });
}

describe('a self-made certificate', () => {
  it('is made once, for this host, with a private key that nobody else reads', async (t) => {
    const server = await startServer(t);
    const certs = path.join(server.folder, 'certs');
    const pem = fs.readFileSync(path.join(certs, 'server.crt'));
    assert.equal(fs.statSync(path.join(certs, 'server.key')).mode & 0o777, 0o600);
    const certificate = new crypto.X509Certificate(pem);
    assert.equal(certificate.publicKey.asymmetricKeyType, 'ec');
    assert.equal(certificate.publicKey.asymmetricKeyDetails.namedCurve, 'prime256v1');
    for (const name of ['localhost', os.hostname()]) assert.ok(certificate.checkHost(name), `${name}: ${certificate.subjectAltName}`);
    for (const ip of ['127.0.0.1', '::1']) assert.ok(certificate.checkIP(ip), `${ip}: ${certificate.subjectAltName}`);
    assert.ok(new Date(certificate.validTo) - Date.now() < 398 * 86400e3, 'browsers take no longer');
    assert.ok(new Date(certificate.validFrom) <= Date.now());

    for (const kind of ['tls', 'wss']) {
      const { protocol } = await handshake(server.port[kind], { ca: pem });
      assert.equal(protocol, 'TLSv1.3');
      await handshake(server.port[kind], { ca: pem, servername: 'localhost' });
    }
    await server.restart();
    assert.deepEqual(fs.readFileSync(path.join(certs, 'server.crt')), pem, 'kept over a restart');
  });

  it('is told of', async (t) => {
    const server = await startServer(t, { config: { logging: { level: 'info' } } });
    assert.match(server.stderr, /self.signed/i);
    assert.match(server.stderr, /certs\/server\.crt/);
  });

  it('is not made where no listener needs it', async (t) => {
    const server = await startServer(t, { config: { listen: ['udp://127.0.0.1:0', 'ws://127.0.0.1:0'] } });
    assert.equal(fs.existsSync(path.join(server.folder, 'certs/server.key')), false);
  });
});

describe('given certificates', () => {
  const folder = temporaryFolder();
  const file = (name) => path.join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });

  before(() => {
    for (const name of ['good', 'other', 'rsa']) {
      const key = name === 'rsa' ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
      openssl('req', '-x509', ...key, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}.test`, '-days', '30');
    }
    fs.writeFileSync(file('noise.pem'), 'this is no PEM\n');
    fs.writeFileSync(file('ca.cnf'), [
      '[ca]', 'default_ca=x', '[x]', 'database=index.txt', 'new_certs_dir=.', 'serial=serial', 'default_md=sha256', 'policy=p', '[p]', 'commonName=supplied', '',
    ].join('\n'));
    fs.writeFileSync(file('index.txt'), '');
    fs.writeFileSync(file('serial'), '01\n');
    openssl('req', '-new', '-key', 'good.key', '-subj', '/CN=expired.test', '-out', 'expired.csr');
    openssl('ca', '-config', 'ca.cnf', '-batch', '-selfsign', '-keyfile', 'good.key', '-in', 'expired.csr', '-out', 'expired.crt',
      '-startdate', '20200101000000Z', '-enddate', '20210101000000Z', '-notext');
  });

  for (const name of ['good', 'rsa'])
    it(`a ${name} pair serves`, async (t) => {
      const server = await startServer(t, { config: { tls: { cert: file(`${name}.crt`), key: file(`${name}.key`) } } });
      const { certificate } = await handshake(server.port.wss, { rejectUnauthorized: false });
      assert.match(certificate.subject, new RegExp(`CN=${name}\\.test`));
      assertStatus(await (await openPhone(t, server, 'tls')).register(), 200);
    });

  const rows = [
    // cert, key, file that is named, cause
    ['noise.pem', 'good.key', 'noise.pem', /PEM|certificate/i],
    ['good.crt', 'noise.pem', 'noise.pem', /PEM|key/i],
    ['good.crt', 'other.key', 'other.key', /match|belong/i],
    ['expired.crt', 'good.key', 'expired.crt', /expired/i],
    ['missing.crt', 'good.key', 'missing.crt', /no such file|not.*(exist|found)|missing/i],
    ['good.crt', 'missing.key', 'missing.key', /no such file|not.*(exist|found)|missing/i],
  ];
  for (const [cert, key, named, cause] of rows)
    for (const check of [[], ['--check']])
      it(`${cert} with ${key} ${check.join('')}: status 2, and why`, async () => {
        const config = {
          listen: ['wss://127.0.0.1:0'], users: 'users.json', http: { admin: false, www: false }, tls: { cert, key },
        };
        fs.writeFileSync(file('users.json'), '{"alice@example.com":{"password":"x"}}');
        fs.writeFileSync(file('aorta.json'), JSON.stringify(config));
        const { code, stderr } = await runAorta(['-c', file('aorta.json'), ...check]);
        assert.equal(code, 2, stderr);
        assert.ok(stderr.includes(named), `${named} in: ${stderr}`);
        assert.match(stderr, cause);
        assert.match(stderr, /tls\.(cert|key)/);
        assert.equal(fs.existsSync(file('missing.crt')) || fs.existsSync(file('missing.key')), false, 'nothing is made beside half a pair');
      });
});
