// Programs that others wrote, as Debian ships them: sipp and baresip. They must be installed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { until, within } from './lib/expect.mjs';
import { DOMAIN, PASSWORD, freePort, temporaryFolder, withServer } from './lib/server.mjs';

const BARESIP_MODULES = '/usr/lib/baresip/modules';

function run(t, program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const ended = new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`${program}: ${error.message}`)));
    child.on('close', (code, signal) => resolve({ code, signal, output }));
  });
  ended.catch(() => {});
  t.after(async () => {
    child.kill('SIGKILL');
    await ended.catch(() => {});
  });
  return { child, ended, output: () => output };
}

function folderFor(t) {
  const folder = temporaryFolder();
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('sipp', () => {
  const server = withServer({ config: { registrar: { maxContacts: 1000 } } });
  const scenarios = [
    // file, calls, password
    ['register.xml', 60, PASSWORD.alice],
    ['refused.xml', 20, 'guess'],
  ];
  for (const [transport, mode] of [['udp', 'u1'], ['tcp', 't1']])
    for (const [file, calls, password] of scenarios)
      it(`${transport}: ${file}, ${calls} times`, async (t) => {
        const folder = folderFor(t);
        fs.writeFileSync(path.join(folder, 'users.csv'), `SEQUENTIAL\nalice;[authentication username=alice password=${password}]\n`);
        const scenario = fileURLToPath(new URL(`sipp/${file}`, import.meta.url));
        const args = [
          `127.0.0.1:${server.port[transport]}`, '-i', '127.0.0.1', '-p', await freePort(), '-t', mode, '-sf', scenario, '-inf', 'users.csv',
          '-m', calls, '-r', 100, '-l', 20, '-nostdin', '-nd', '-timeout', '30s', '-timeout_error', '-trace_err',
        ].map(String);
        const { ended } = run(t, 'sipp', args, { cwd: folder, env: { ...process.env, TERM: 'dumb' } });
        const { code, output } = await within(40000, 'sipp ends', ended);
        const errors = fs.readdirSync(folder).filter((name) => name.endsWith('_errors.log'));
        const log = errors.map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('\n');
        assert.equal(code, 0, `${log.slice(0, 3000)}\n${output.slice(-3000)}`);
        assert.deepEqual(await server.bindingsOf('alice'), []);
      });
});

describe('baresip', () => {
  const server = withServer();

  for (const transport of ['udp', 'tcp', 'tls'])
    it(`registers over ${transport} and unregisters when it ends`, async (t) => {
      const folder = folderFor(t);
      const modules = ['account.so', 'g711.so', 'uuid.so', 'stdio.so', 'menu.so'].map((name) => `module ${name}`);
      fs.writeFileSync(
        path.join(folder, 'config'),
        [`module_path ${BARESIP_MODULES}`, 'sip_listen 127.0.0.1:0', 'net_interface 127.0.0.1', 'sip_verify_server no', ...modules, ''].join('\n')
      );
      const proxy = `sip:127.0.0.1:${server.port[transport]};transport=${transport}`;
      fs.writeFileSync(
        path.join(folder, 'accounts'),
        `<sip:bob@${DOMAIN};transport=${transport}>;auth_user=bob;auth_pass=${PASSWORD.bob};outbound="${proxy}";regint=600;answermode=manual\n`
      );
      const { child, ended, output } = run(t, 'baresip', ['-f', folder, '-v'], { stdio: ['ignore', 'pipe', 'pipe'] });
      const [binding] = await until(
        'baresip registers',
        async () => {
          assert.equal(child.exitCode, null, 'baresip has ended');
          const found = await server.bindingsOf('bob');
          return found.length > 0 && found;
        },
        10000
      ).catch((error) => assert.fail(`${error.message}\n${output()}`));
      assert.equal(binding.protocol, transport);
      assert.match(binding.userAgent, /baresip/i);
      child.kill('SIGINT');
      await within(10000, 'baresip ends', ended);
      assert.deepEqual(await server.bindingsOf('bob'), [], output());
    });
});
