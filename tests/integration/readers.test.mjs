// The examples of tests/example/readers find in Redis whom aorta has registered, in three languages.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { assertStatus } from './lib/expect.mjs';
import { DOMAIN, ROOT, temporaryFolder } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';
import { withNode, withRedis } from './lib/redis.mjs';

const FOLDER = path.join(ROOT, 'tests/example/readers');
const C = path.join(temporaryFolder(), 'read');
const READERS = [
  ['node', [path.join(FOLDER, 'read.mjs')]],
  ['/usr/bin/python3', [path.join(FOLDER, 'read.py')]],
  [C, []],
];

describe('readers of the store', () => {
  const redis = withRedis();
  const node = withNode(redis, 'n1', { config: { registrar: { minExpires: 1, graceSeconds: 60 } } });
  before(() => {
    const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'hiredis', 'libcjson'], { encoding: 'utf8' }).trim().split(/\s+/);
    execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-o', C, path.join(FOLDER, 'read.c'), ...flags]);
  });

  for (const [program, args] of READERS)
    it(`${path.basename(program)}: the best first, none that has expired, nothing of others`, async (t) => {
      const phones = {};
      for (const kind of ['udp', 'wss', 'tcp']) phones[kind] = await openPhone(t, node, kind);
      assertStatus(await phones.udp.unregister(), 200); // what the test before has left
      const other = await openPhone(t, node, 'udp', { user: 'bob' });
      assertStatus(await other.register(), 200);
      assertStatus(await phones.udp.register({ contact: `${phones.udp.contact};q=0.3` }), 200);
      assertStatus(await phones.wss.register({ contact: `${phones.wss.contact};q=0.9` }), 200);
      assertStatus(await phones.tcp.register({ expires: 1 }), 200);
      await new Promise((resolve) => setTimeout(resolve, 2100)); // C counts in whole seconds
      const env = { ...process.env, REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port) };
      const ask = async (aor) => {
        const { stdout } = await promisify(execFile)(program, [...args, aor], { env, cwd: path.join(ROOT, 'tests/integration') });
        return stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
      };
      const found = await ask(`alice@${DOMAIN}`);
      assert.deepEqual(found.map(({ contact, protocol }) => [contact, protocol]), [[phones.wss.uri, 'wss'], [phones.udp.uri, 'udp']]);
      assert.equal(found[1].proxy, `sip:127.0.0.1:${phones.udp.client.localPort}`);
      assert.deepEqual(await ask(`nobody@${DOMAIN}`), []);
    });
});
