// The image that build.mjs has made: what is in it, and that it runs as a container would, as its own
// user on a root that nobody can write to. Run by run.sh, in a network namespace of its own, since the
// image's ports are fixed.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { healthCommand, lastOf, parseDockerfile } from './dockerfile.mjs';
import { ROOT } from '../integration/lib/server.mjs';
import { assertStatus, until, within } from '../integration/lib/expect.mjs';
import { openPhone } from '../integration/lib/phone.mjs';

const image = path.join(process.env.AORTA_IMAGES, 'image');
const stage = parseDockerfile(fs.readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8')).at(-1);
const [uid] = lastOf(stage, 'USER').split(':').map(Number);
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', HOSTNAME: 'node1', AORTA_ADVERTISE: '10.1.2.3:5060' };

const ENTER = [
  'mount --bind "$0" "$0"', 'mount -t proc proc "$0/proc"', 'mount -o remount,bind,ro "$0"',
  `exec chroot --userspec=${lastOf(stage, 'USER')} "$0" "$@"`,
].join(' && ');

function inImage(command, environment = ENVIRONMENT) {
  const assigned = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  return ['unshare', ['--mount', 'sh', '-c', ENTER, image, 'env', '-i', ...assigned, ...command]];
}

/** Runs to its end: {status, stderr}. */
function runInImage(command, environment) {
  try {
    execFileSync(...inImage(command, environment), { stdio: 'pipe', timeout: 20000 });
    return { status: 0 };
  } catch (error) {
    return { status: error.status, stderr: String(error.stderr) };
  }
}

describe('what is in the image', () => {
  it('only what runs: no compiler, no headers, no sources, no node', () => {
    const packages = execFileSync('chroot', [image, 'dpkg-query', '-W', '-f=${Package}\n'], { encoding: 'utf8' }).trim().split('\n');
    for (const name of packages) assert.doesNotMatch(name, /^(gcc|g\+\+|cmake|make|nodejs|npm|git)$|-dev$/);
    const megabytes = Number(execFileSync('du', ['-sxm', image], { encoding: 'utf8' }).split('\t')[0]);
    console.log(`# ${packages.length} packages, ${megabytes} MB\n# ${packages.join(' ')}`);
    assert.ok(megabytes < 250, `${megabytes} MB`);
    assert.ok(!fs.existsSync(path.join(image, 'aorta')), 'no sources');
    assert.ok(fs.existsSync(path.join(image, 'usr/local/share/aorta/www/index.html')), 'the page');
  });

  it('finds all its libraries', () => {
    const said = execFileSync('chroot', [image, 'ldd', '/usr/local/bin/aorta'], { encoding: 'utf8' });
    assert.doesNotMatch(said, /not found/);
  });

  it('says what it needs', () => {
    const { status, stderr } = runInImage(['aorta', '-c', '/etc/aorta/aorta.json'], { ...ENVIRONMENT, AORTA_ADVERTISE: 'a:1' });
    assert.equal(status, 2);
    assert.match(stderr, /authCallback\.uri: the environment variable AORTA_CALLBACK is not set/);
  });
});

describe('as a container', () => {
  let callback, callbackUri, aorta, users, stderr = '';
  const command = () => [...lastOf(stage, 'ENTRYPOINT'), ...lastOf(stage, 'CMD')];
  const environment = () => ({ ...ENVIRONMENT, AORTA_CALLBACK: callbackUri });
  const healthy = () => runInImage(healthCommand(stage), environment());
  const server = { port: { udp: 5060, tcp: 5060, ws: 8080 } };

  before(async () => {
    callback = spawn(process.execPath, [path.join(ROOT, 'tests/example/callback.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    callback.stdout.on('data', (data) => (said += data));
    await until('the callback runs', () => /http:\S+/.test(said));
    callbackUri = /http:\S+/.exec(said)[0];
    users = Object.fromEntries(said.split('\n').map((line) => line.split(' ')));
    aorta = spawn(...inImage(command(), environment()), { stdio: ['ignore', 'ignore', 'pipe'] });
    aorta.stderr.on('data', (data) => (stderr += data));
    await until('it is healthy', () => aorta.exitCode !== null || healthy().status === 0, 20000);
    assert.equal(aorta.exitCode, null, stderr);
  });
  after(() => {
    callback.kill();
    aorta.kill('SIGKILL');
  });

  it('runs as its own user, without any capability', () => {
    const status = fs.readFileSync(`/proc/${aorta.pid}/status`, 'utf8');
    assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, 'm'));
    assert.match(status, /^CapEff:\t0000000000000000$/m);
  });

  it('its root is read-only', () => assert.throws(() => fs.writeFileSync(`/proc/${aorta.pid}/root/tmp/x`, ''), { code: 'EROFS' }));

  for (const kind of ['udp', 'tcp', 'ws']) {
    it(`registers over ${kind}`, async (t) => {
      const phone = await openPhone(t, server, kind, { user: 'alice', domain: 'localhost', password: users['alice@localhost'] });
      assertStatus(await phone.register(), 200);
    });
  }

  it('serves its page', async () => {
    const answer = await fetch('http://127.0.0.1:8080/');
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /<title>/);
  });

  it('logs JSON', () => stderr.trim().split('\n').forEach((line) => JSON.parse(line)));

  it(`ends by ${lastOf(stage, 'STOPSIGNAL')} within its drain time, and is healthy no more`, async () => {
    const ended = new Promise((resolve) => aorta.on('exit', (code) => resolve(code)));
    process.kill(aorta.pid, lastOf(stage, 'STOPSIGNAL'));
    assert.equal(await within(9000, 'it ends', ended), 0, stderr);
    const { status, stderr: said } = healthy();
    assert.equal(status, 1);
    assert.match(said, /healthz: Connection refused/);
  });
});
