// Clients behind a proxy that is trusted: their address is the one that it tells (SPEC 2,
// trustedProxies). The proxy is played by the test itself.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertStatus, until } from './lib/expect.mjs';
import { startServer, withServer } from './lib/server.mjs';
import { RawWs } from './lib/raw_ws.mjs';
import { openPhone } from './lib/phone.mjs';

const PROXIES = ['127.0.0.1', '10.0.0.0/8'];

describe('trustedProxies', () => {
  const server = withServer({ config: { trustedProxies: PROXIES } });

  /** The source that a registration shows which came with these headers from `localAddress`. */
  async function sourceOf(t, headers, { kind = 'ws', localAddress = '127.0.0.1' } = {}) {
    const phone = await openPhone(t, server, kind, { localAddress, headers });
    assertStatus(await phone.register(), 200);
    const [binding] = await server.bindingsOf('alice');
    assertStatus(await phone.unregister(), 200);
    return binding.proxy;
  }

  const rows = [
    // headers, what the registration shows
    [{ 'X-Forwarded-For': '203.0.113.7' }, /^sip:203\.0\.113\.7:\d+$/],
    [{ 'X-Forwarded-For': '198.51.100.1, 203.0.113.7, 10.1.2.3' }, /^sip:203\.0\.113\.7:\d+$/],
    [{ 'X-Forwarded-For': '2001:db8::7' }, /^sip:\[2001:db8::7\]:\d+$/],
    [{ Forwarded: 'for="203.0.113.7:4711";proto=https' }, /^sip:203\.0\.113\.7:4711$/],
    [{ Forwarded: 'for="[2001:db8::7]"', 'X-Forwarded-For': '203.0.113.9' }, /^sip:\[2001:db8::7\]:\d+$/],
    [{ 'X-Forwarded-For': 'nonsense' }, /^sip:127\.0\.0\.1:\d+$/],
    [{}, /^sip:127\.0\.0\.1:\d+$/],
  ];
  for (const [headers, source] of rows)
    it(`${JSON.stringify(headers)}: ${source}`, async (t) => assert.match(await sourceOf(t, headers), source));

  for (const [headers, protocol] of [
    [{ 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https' }, 'wss'],
    [{ Forwarded: 'for=203.0.113.7;proto=https' }, 'wss'],
    [{ 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'http' }, 'ws'],
    [{ 'X-Forwarded-For': '203.0.113.7' }, 'ws'],
  ]) {
    it(`${JSON.stringify(headers)}: stored as ${protocol}, closed and removed as such`, async (t) => {
      const phone = await openPhone(t, server, 'ws', { headers });
      assertStatus(await phone.register(), 200);
      const count = async (kind) => (await server.get('/api/v1/status')).json().connections[kind];
      assert.equal((await server.bindingsOf('alice'))[0].protocol, protocol);
      assert.equal(await count(protocol), 1);
      assertStatus(await phone.register(), 200); // a refresh
      phone.close();
      await until('the binding goes with its connection', async () => (await server.bindingsOf('alice')).length === 0);
      await until('it is counted no more', async () => (await count('ws')) + (await count('wss')) === 0);
    });
  }

  it('what somebody else says of TLS is not believed', async (t) => {
    const phone = await openPhone(t, server, 'ws', { headers: { 'X-Forwarded-Proto': 'https' }, localAddress: '127.0.0.9' });
    assertStatus(await phone.register(), 200);
    assert.equal((await server.bindingsOf('alice'))[0].protocol, 'ws');
  });

  it('over wss too', async (t) =>
    assert.match(await sourceOf(t, { 'X-Forwarded-For': '203.0.113.7' }, { kind: 'wss' }), /^sip:203\.0\.113\.7:/));

  it('from anywhere else the headers are not believed', async (t) => {
    const headers = { 'X-Forwarded-For': '203.0.113.7', Forwarded: 'for=203.0.113.7' };
    assert.match(await sourceOf(t, headers, { localAddress: '127.0.0.9' }), /^sip:127\.0\.0\.9:/);
  });
});

it('limits.connectionsPerIp counts clients, not their proxy', async (t) => {
  const server = await startServer(t, { config: { trustedProxies: PROXIES, limits: { connectionsPerIp: 2 } } });
  const open = [];
  t.after(() => open.forEach((raw) => raw.close()));
  const upgrade = async (client) => {
    const raw = await RawWs.connect(server.port.ws);
    open.push(raw);
    return (await raw.upgrade({ 'X-Forwarded-For': client })).status;
  };
  for (let i = 1; i <= 4; i++) assert.equal(await upgrade(`203.0.113.${i}`), 101, 'many clients, one proxy');
  assert.equal(await upgrade('203.0.113.1'), 101, 'its second');
  assert.equal(await upgrade('203.0.113.1'), 503, 'its third');
  assert.equal(await upgrade('203.0.113.2'), 101, 'of another');
  open[0].close();
  await until('room after the first has gone', async () => (await upgrade('203.0.113.1')) === 101);
});
