// Does what `docker build` would do, without Docker: a fresh Debian for each stage of the Dockerfile, its
// RUN lines in a chroot there, its COPY lines by tar.
//   node build.mjs FOLDER      as root; leaves the final stage in FOLDER/image
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDockerfile } from './dockerfile.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BASES = { 'debian:12-slim': 'bookworm' };
const [folder] = process.argv.slice(2);
const base = path.join(folder, 'base');

const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });

/** Where this machine gets its packages from, the new Debian gets them too. */
function makeBase(suite) {
  run('debootstrap', '--variant=minbase', suite, base);
  for (const what of ['/etc/apt/sources.list', '/etc/apt/sources.list.d', '/etc/apt/apt.conf.d', '/usr/share/keyrings'])
    if (fs.existsSync(what)) run('cp', '-a', '--remove-destination', '-T', what, path.join(base, what));
  fs.copyFileSync('/etc/resolv.conf', path.join(base, 'etc/resolv.conf'));
  fs.writeFileSync(path.join(base, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n'); // as Docker does
}

const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Certificate authorities of this machine's own, for npm. */
const authorities = process.env.NODE_EXTRA_CA_CERTS;
const AUTHORITIES = '/run/extra-authorities.pem';

function runIn(root, workdir, command) {
  const extra = authorities ? `NODE_EXTRA_CA_CERTS=${AUTHORITIES}` : '';
  if (authorities) fs.copyFileSync(authorities, path.join(root, AUTHORITIES));
  const inside = `mount -t proc proc ${quoted(`${root}/proc`)} && exec chroot ${quoted(root)} env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root npm_config_registry=${registry} ${extra} sh -c ${quoted(`cd ${workdir} && ${command}`)}`;
  run('unshare', '--mount', '--pid', '--fork', 'sh', '-c', inside);
  fs.rmSync(path.join(root, AUTHORITIES), { force: true });
}

/** .dockerignore's patterns as tar's: those that begin with two stars match everywhere. */
function excludes() {
  const patterns = fs.readFileSync(path.join(ROOT, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
  return patterns.map((one) => `--exclude=${one.startsWith('**/') ? one.slice(3) : `./${one}`}`);
}

function copy(roots, root, workdir, text) {
  const [, from, source, target] = /^(?:--from=(\S+) )?(\S+) (\S+)$/.exec(text);
  const to = path.join(root, path.resolve(workdir, target));
  if (source === '.') {
    fs.mkdirSync(to, { recursive: true });
    run('sh', '-c', `tar -C ${quoted(ROOT)} ${excludes().map(quoted).join(' ')} -c . | tar -C ${quoted(to)} -x --no-same-owner`);
    return;
  }
  fs.mkdirSync(path.dirname(to), { recursive: true });
  run('cp', '-r', '-T', path.join(from ? roots[from] : ROOT, source), to);
}

const roots = {};
const stages = parseDockerfile(fs.readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8'));
for (const [i, stage] of stages.entries()) {
  if (!BASES[stage.base]) throw new Error(`Dockerfile: ${stage.base} is no base that is known here`);
  if (!fs.existsSync(base)) makeBase(BASES[stage.base]);
  const root = path.join(folder, stage.name ?? 'image');
  roots[stage.name ?? i] = root;
  run('cp', '-a', base, root);
  let workdir = '/';
  for (const { what, text } of stage.steps) {
    console.log(`${stage.name ?? 'image'}: ${what} ${text}`);
    if (what === 'RUN') runIn(root, workdir, text);
    if (what === 'COPY') copy(roots, root, workdir, text);
    if (what === 'WORKDIR') {
      workdir = text;
      fs.mkdirSync(path.join(root, text), { recursive: true });
    }
  }
}
