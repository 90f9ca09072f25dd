// TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers, and nothing besides (SECURITY.md).
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { SANITIZED, patient, within } from './lib/expect.mjs';
import { issue, makeAuthority } from './lib/certificates.mjs';
import { temporaryFolder, withServer } from './lib/server.mjs';

/** What `openssl s_client` said; at security level 0 it offers whatever it was built with. */
function sClient(port, ...args) {
  return new Promise((resolve) => {
    const all = ['s_client', '-connect', `127.0.0.1:${port}`, ...args];
    const child = execFile('openssl', all, { timeout: patient(10000) }, (_error, stdout, stderr) => resolve(stdout + stderr));
    child.stdin.end();
  });
}

/** An RSA certificate, with which the old suites would work. */
function rsaFiles() {
  const folder = temporaryFolder();
  makeAuthority(folder);
  const { cert, key } = issue(folder, 'rsa', { isRsa: true });
  fs.rmSync(folder, { recursive: true });
  return { 'rsa.crt': cert, 'rsa.key': key };
}

const negotiated = (said) => /New, (TLSv1\.[23]), Cipher is (\S+)/.exec(said)?.slice(1).join(' ');
const LEVEL_0 = '@SECLEVEL=0';

describe('TLS', { skip: SANITIZED && 'OpenSSL is the same in every build' }, () => {
  const config = { listen: ['tls://127.0.0.1:0', 'wss://127.0.0.1:0'], workers: 1 };
  const server = withServer({ config });
  const rsa = withServer({ config: { ...config, tls: { cert: 'rsa.crt', key: 'rsa.key' } }, files: rsaFiles() });

  const TAKEN = [
    // arguments, what comes of it
    [['-tls1_3'], 'TLSv1.3 TLS_AES_128_GCM_SHA256'],
    [['-tls1_3', '-ciphersuites', 'TLS_AES_256_GCM_SHA384'], 'TLSv1.3 TLS_AES_256_GCM_SHA384'],
    [['-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'], 'TLSv1.3 TLS_CHACHA20_POLY1305_SHA256'],
    [['-tls1_2'], 'TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256'],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'], 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384'],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305'], 'TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305'],
  ];
  for (const [args, suite] of TAKEN)
    it(`${args.join(' ')}: ${suite}`, async () => {
      for (const kind of ['tls', 'wss']) {
        const said = await sClient(server.port[kind], ...args);
        assert.equal(negotiated(said), suite, said);
        assert.match(said, /Compression: NONE/);
      }
    });

  const REFUSED = [
    // arguments, why
    [['-tls1', '-cipher', `ALL:${LEVEL_0}`], 'TLS 1.0'],
    [['-tls1_1', '-cipher', `ALL:${LEVEL_0}`], 'TLS 1.1'],
    [['-tls1_2', '-cipher', `AES128-SHA:AES256-SHA:AES128-GCM-SHA256:AES256-GCM-SHA384:${LEVEL_0}`], 'no forward secrecy: static RSA'],
    [['-tls1_2', '-cipher', `ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:${LEVEL_0}`], 'CBC'],
    [['-tls1_2', '-cipher', `ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8:${LEVEL_0}`], 'CCM, of which CCM8 has a short tag'],
    [['-tls1_2', '-cipher', `kDHE:${LEVEL_0}`], 'finite-field Diffie-Hellman'],
    [['-tls1_2', '-cipher', `aNULL:eNULL:${LEVEL_0}`], 'nobody proven, or nothing encrypted'],
    [['-tls1_2', '-cipher', `PSK:${LEVEL_0}`, '-psk', '00ff'], 'shared secrets'],
    [['-tls1_2', '-cipher', `ARIA:CAMELLIA:${LEVEL_0}`], 'ciphers that nobody uses'],
    [['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_8_SHA256'], 'CCM8'],
  ];
  for (const [args, why] of REFUSED)
    it(`${args.join(' ')} is refused: ${why}`, async () => {
      for (const { port } of [server, rsa]) {
        const said = await sClient(port.tls, ...args);
        assert.match(said, /New, \(NONE\), Cipher is \(NONE\)/, said);
        // The server said no, not the client that it cannot ask.
        assert.match(said, /alert (handshake failure|protocol version|insufficient security)/i, said);
      }
    });

  it('a client of TLS 1.2 cannot renegotiate', async (t) => {
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.port.tls}`, '-tls1_2']);
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    const ended = new Promise((resolve) => child.on('close', resolve));
    const isConnected = new Promise((resolve) => {
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data) => {
          said += data;
          if (/Verify return code[^]*---\n/.test(said)) resolve();
        });
    });
    await within(10000, 'the handshake', isConnected);
    child.stdin.write('R\n'); // s_client's command: renegotiate
    await within(10000, 'openssl ends', ended);
    assert.match(said, /RENEGOTIATING/);
    assert.match(said, /no renegotiation|unexpected eof|alert/i, said);
  });
});
