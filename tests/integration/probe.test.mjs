// aorta --probe, which a container's HEALTHCHECK runs.
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { freePort, runAorta, startServer } from './lib/server.mjs';
import { startNode, startRedis } from './lib/redis.mjs';

const probe = (server, what = '--probe', args = []) => runAorta(['-c', path.join(server.folder, 'aorta.json'), ...args, what]);

describe('--probe', () => {
  it('asks the admin listener; 1 when nobody is there any more', async (t) => {
    const server = await startServer(t);
    assert.deepEqual(await probe(server), { code: 0, signal: null, stdout: '', stderr: '' });
    assert.equal((await probe(server, '--probe=ready')).code, 0);
    await server.stop();
    const { code, stderr } = await probe(server);
    assert.equal(code, 1);
    assert.match(stderr, /^aorta: http:\/\/127\.0\.0\.1:\d+\/healthz: Connection refused\n$/);
  });

  it('without one, the first plain ws listener, by loopback when it listens everywhere', async (t) => {
    const port = await freePort();
    const server = await startServer(t, { config: { listen: ['udp://127.0.0.1:0', `ws://0.0.0.0:${port}`] } });
    assert.equal((await probe(server, '--probe', ['-D', 'http.admin=false'])).code, 0);
  });

  it('alive, but not ready without Redis', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1');
    assert.equal((await probe(node, '--probe=ready')).code, 0);
    await redis.kill();
    await node.ready(false);
    assert.equal((await probe(node)).code, 0);
    const { code, stderr } = await probe(node, '--probe=ready');
    assert.equal(code, 1);
    assert.match(stderr, /\/readyz: status 503\n$/);
  });

  it('somebody who does not answer is waited for 3 s; one who speaks no HTTP is no aorta', async (t) => {
    for (const [greeting, message] of [['', /Connection timed out/], ['SSH-2.0-OpenSSH\r\n', /Protocol error/]]) {
      const other = net.createServer((socket) => socket.on('error', () => {}).end(greeting || undefined));
      if (!greeting) other.removeAllListeners('connection').on('connection', (socket) => t.after(() => socket.destroy()));
      await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
      t.after(() => other.close());
      const { code, stderr } = await runAorta(['--demo', '-D', `http.admin="http://127.0.0.1:${other.address().port}"`, '--probe']);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });

  it('with nothing to ask: 2, and what it needs', async () => {
    const { code, stderr } = await runAorta(['--demo', '-D', 'http.admin=false', '-D', 'listen=["udp://127.0.0.1:0","wss://127.0.0.1:8443"]', '--probe']);
    assert.equal(code, 2);
    assert.match(stderr, /--probe asks http\.admin, or a ws listener/);
  });

  it('knows what it can ask for', async () => assert.equal((await runAorta(['--demo', '--probe=wealth'])).code, 2));
});
