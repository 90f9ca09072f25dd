// Certificates for tests, made by openssl: an authority of our own and what it signs.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function openssl(folder, ...args) {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** NAME.crt and NAME.key in `folder`, signed by themselves: the path of the certificate. */
export function makeAuthority(folder, name = 'ca') {
  openssl(
    folder, 'req', '-x509', ...NEW_KEY, '-days', '30', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name} of a test`,
    '-addext', 'keyUsage=critical,keyCertSign,cRLSign'
  );
  return path.join(folder, `${name}.crt`);
}

/** NAME.crt and NAME.key for `altNames`, signed by `authority` of the same folder: {cert, key} as PEM. */
export function issue(folder, name, { authority = 'ca', altNames = 'IP:127.0.0.1,DNS:localhost', isRsa = false } = {}) {
  const newKey = isRsa ? ['-newkey', 'rsa:2048', '-nodes'] : NEW_KEY;
  openssl(folder, 'req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  fs.writeFileSync(path.join(folder, `${name}.ext`), `subjectAltName=${altNames}\nbasicConstraints=CA:FALSE\n`);
  openssl(
    folder, 'x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial',
    '-days', '30', '-extfile', `${name}.ext`, '-out', `${name}.crt`
  );
  const read = (ending) => fs.readFileSync(path.join(folder, `${name}.${ending}`), 'utf8');
  return { cert: read('crt'), key: read('key') };
}
