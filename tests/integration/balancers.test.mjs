// Two aortas on one Redis behind a real balancer, as README's files set it up: HAProxy that ends TLS,
// HAProxy that passes it through with the PROXY protocol, nginx. Clients are JsSIP, and phones of our own.
import assert from 'node:assert/strict';
import https from 'node:https';
import { describe, it } from 'node:test';
import { assertStatus, timerPasses, until } from './lib/expect.mjs';
import { DOMAIN } from './lib/server.mjs';
import { startHaproxy, startNginx } from './lib/balancer.mjs';
import { openPhone } from './lib/phone.mjs';
import { next, startUa } from './lib/jssip.mjs';
import { startNode, startRedis } from './lib/redis.mjs';

const WAYS = [
  { name: 'HAProxy ends TLS', kind: 'ws', listen: 'ws://127.0.0.1:0', start: (t, ports, options) => startHaproxy(t, 'haproxy-tls-ends-here.cfg', ports, { kind: 'ws', ...options }) },
  { name: 'HAProxy passes TLS through', kind: 'wss', listen: 'wss://127.0.0.1:0?proxy=v1v2', start: (t, ports, options) => startHaproxy(t, 'haproxy-tls-passes-through.cfg', ports, { kind: 'wss', ...options }) },
  { name: 'nginx ends TLS', kind: 'ws', listen: 'ws://127.0.0.1:0', start: startNginx },
];
const USERS = Object.fromEntries(['alice', ...Array.from({ length: 8 }, (_, i) => `u${i}`)].map((user) => [`${user}@${DOMAIN}`, { password: 'p' }]));

async function twoNodes(t, way, { balancer, config = {} } = {}) {
  const redis = await startRedis(t);
  const options = { users: USERS, config: { listen: [way.listen], trustedProxies: ['127.0.0.1'], ws: { pingSeconds: 1 }, drainSeconds: 1, ...config } };
  const nodes = await Promise.all(['n1', 'n2'].map((name) => startNode(redis, name, options)));
  const front = await way.start(t, nodes.map((node) => node.port[way.kind]), balancer);
  return { redis, nodes, front };
}

/** What a probe is answered through the balancer. */
function askReadiness(front) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: front.port.wss, path: '/readyz', rejectUnauthorized: false, agent: false };
    const answered = (response) => {
      response.resume();
      resolve(response.statusCode);
    };
    https.get(options, answered).on('error', reject);
  });
}

describe('behind a balancer', { concurrency: true }, () => {
  for (const way of WAYS) {
    describe(way.name, { concurrency: true }, () => {
      it('JsSIP registers and stays, longer idle than the balancer allows; the client shows as what it is', async (t) => {
        const { redis, front } = await twoNodes(t, way, { balancer: { idle: '4s' } });
        const ua = startUa(t, front, 'wss', { password: 'p' });
        let lost = 0;
        await next(ua, 'registered');
        ua.on('disconnected', () => lost++);

        const phone = await openPhone(t, front, 'wss', { user: 'u0', password: 'p', localAddress: '127.0.0.9' });
        assertStatus(await phone.register(), 200);
        const [binding] = await redis.bindings('u0');
        assert.match(binding.proxy, /^sip:127\.0\.0\.9:\d+$/);
        assert.equal(binding.protocol, 'wss');

        await timerPasses(8000);
        assert.equal(lost, 0, "aorta's pings keep the connection open");
        assert.equal((await redis.bindings('alice')).length, 1);
        assertStatus(await phone.register(), 200);
      });

      it('a node drains: its clients come back once, to the other one, and nobody else notices', async (t) => {
        const { redis, nodes, front } = await twoNodes(t, way);
        assert.equal(await askReadiness(front), 200);
        const clients = [];
        for (let i = 0; i < 8; i++) {
          const ua = startUa(t, front, 'wss', { uri: `sip:u${i}@${DOMAIN}`, password: 'p', connection_recovery_min_interval: 2 });
          const client = { ua, lost: 0, registered: 0, user: `u${i}` };
          ua.on('disconnected', () => client.lost++);
          ua.on('registered', () => client.registered++);
          clients.push(client);
          await next(ua, 'registered');
        }
        for (const client of clients) client.node = (await redis.bindings(client.user))[0].node;
        const moved = clients.filter(({ node }) => node === 'n1');
        assert.ok(moved.length > 0 && moved.length < clients.length, 'both nodes have some');

        nodes[0].terminate();
        await until('all are registered with the other node', async () => {
          const lists = await Promise.all(clients.map(({ user }) => redis.bindings(user)));
          return lists.every((list) => list.length === 1 && list[0].node === 'n2');
        }, 20000);
        for (const { user, node, lost } of clients) assert.equal(lost, node === 'n1' ? 1 : 0, user);
      });
    });
  }
});
