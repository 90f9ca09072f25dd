// The real SIP.js against aorta.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import './lib/browser_socket.mjs';
import { Registerer, RegistererState, UserAgent } from 'sip.js';
import { assertBetween, assertStatus, until, within } from './lib/expect.mjs';
import { DOMAIN, PASSWORD, startServer, withServer } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';
import { ODD_CONTACTS } from './lib/odd_contacts.mjs';

async function startUa(t, server, kind, { password = PASSWORD.alice, ...options } = {}) {
  const ua = new UserAgent({
    uri: UserAgent.makeURI(`sip:alice@${DOMAIN}`),
    authorizationUsername: 'alice',
    authorizationPassword: password,
    transportOptions: { server: `${kind}://127.0.0.1:${server.port[kind]}` },
    logBuiltinEnabled: false,
    ...options,
  });
  t.after(() => ua.stop());
  await ua.start();
  return ua;
}

/** One register(); resolves with the answer, whatever it is. */
function register(registerer, ms = 8000) {
  const answered = new Promise((resolve, reject) => {
    const requestDelegate = { onAccept: ({ message }) => resolve(message), onReject: ({ message }) => resolve(message) };
    registerer.register({ requestDelegate }).catch(reject);
  });
  return within(ms, 'SIP.js: an answer', answered);
}

const isRegistered = (registerer) => registerer.state === RegistererState.Registered;

describe('SIP.js', () => {
  const server = withServer();

  for (const kind of ['ws', 'wss'])
    it(`${kind}: registers, and unregistering leaves nothing`, async (t) => {
      const registerer = new Registerer(await startUa(t, server, kind));
      assert.equal((await register(registerer)).statusCode, 200);
      await until('Registered', () => isRegistered(registerer));
      assert.equal((await server.bindingsOf('alice'))[0].protocol, kind);
      await registerer.unregister();
      await until('nothing is left', async () => (await server.bindingsOf('alice')).length === 0);
      await until('Unregistered', () => registerer.state === RegistererState.Unregistered);
    });

  it('a wrong password fails plainly', async (t) => {
    const registerer = new Registerer(await startUa(t, server, 'wss', { password: 'guess' }));
    assert.equal((await register(registerer)).statusCode, 403);
    assert.equal(isRegistered(registerer), false);
  });

  it('asks for too little time, is told 423, and takes what it may have', async (t) => {
    const registerer = new Registerer(await startUa(t, server, 'ws'), { expires: 20 });
    await registerer.register();
    await until('Registered', () => isRegistered(registerer));
    const [binding] = await server.bindingsOf('alice');
    assertBetween(binding.expiresIn, 58, 60, 'Min-Expires');
  });

  it('reads a 200 that lists odd contacts of other devices', async (t) => {
    const desk = await openPhone(t, server, 'tcp');
    for (const contact of ODD_CONTACTS) assertStatus(await desk.register({ contact }), 200, contact);
    const registerer = new Registerer(await startUa(t, server, 'ws'));
    const { headers } = await register(registerer);
    assert.equal(headers.Contact.length, ODD_CONTACTS.length + 1);
    await until('Registered', () => isRegistered(registerer));
    await desk.unregister();
  });

  it('with an instance a second user agent takes the place of the first', async (t) => {
    const instanceId = '3f0e57a4-91d4-4f0c-a55c-6c8b0a2a4f5e';
    for (let i = 0; i < 2; i++) {
      const ua = await startUa(t, server, 'ws', { instanceId });
      const registerer = new Registerer(ua, { instanceId, regId: 1 });
      assert.equal((await register(registerer)).statusCode, 200);
    }
    assert.equal((await server.bindingsOf('alice')).length, 1);
  });
});

describe('SIP.js over time', () => {
  it('refreshes by itself, once a period and no oftener', async (t) => {
    const server = await startServer(t, { config: { registrar: { minExpires: 2 } } });
    const registerer = new Registerer(await startUa(t, server, 'ws'), { expires: 4, refreshFrequency: 50 });
    assert.equal((await register(registerer)).statusCode, 200);
    const [first] = await server.bindingsOf('alice');
    const began = Date.now();
    await until('two refreshes', async () => {
      const [now] = await server.bindingsOf('alice');
      return now.expiryTime >= first.expiryTime + 3500;
    }, 9000);
    assertBetween(Date.now() - began, 3000, 8000, 'two halves of four seconds');
    const [last, ...others] = await server.bindingsOf('alice');
    assert.deepEqual(others, []);
    assert.ok(last.cseq - first.cseq <= 6, `${last.cseq - first.cseq} requests for two refreshes`);
    assert.ok(isRegistered(registerer));
  });

  it('comes back after a restart of the server, when its application asks for it', async (t) => {
    const server = await startServer(t);
    const ua = await startUa(t, server, 'wss', { reconnectionAttempts: 5, reconnectionDelay: 1 });
    const registerer = new Registerer(ua);
    assert.equal((await register(registerer)).statusCode, 200);
    const lost = new Promise((resolve) => (ua.transport.onDisconnect = resolve));
    await server.restart();
    await within(5000, 'SIP.js sees the connection end', lost);
    await until('connected again', () => ua.transport.isConnected() || ua.reconnect().catch(() => false), 15000);
    assert.equal((await register(registerer)).statusCode, 200);
    assert.equal((await server.bindingsOf('alice')).length, 1);
  });
});
