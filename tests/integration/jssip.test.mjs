// The real JsSIP against aorta.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, until } from './lib/expect.mjs';
import { DOMAIN, PASSWORD, startServer, withServer } from './lib/server.mjs';
import { JsSIP, next, startUa } from './lib/jssip.mjs';
import { openPhone } from './lib/phone.mjs';
import { ODD_CONTACTS } from './lib/odd_contacts.mjs';

describe('JsSIP', () => {
  const server = withServer();

  for (const kind of ['ws', 'wss'])
    it(`${kind}: registers, and unregistering leaves nothing`, async (t) => {
      const ua = startUa(t, server, kind);
      const { response } = await next(ua, 'registered');
      assert.equal(response.status_code, 200);
      const [binding] = await server.bindingsOf('alice');
      assert.equal(binding.protocol, kind);
      assert.match(binding.instance, /^<urn:uuid:[0-9a-f-]{36}>$/);
      ua.unregister();
      await next(ua, 'unregistered');
      assert.deepEqual(await server.bindingsOf('alice'), []);
    });

  it('a wrong password fails plainly and at once', async (t) => {
    const ua = startUa(t, server, 'wss', { password: 'guess' });
    const { response, cause } = await next(ua, 'registrationFailed');
    assert.equal(response.status_code, 403);
    assert.equal(cause, JsSIP.C.causes.REJECTED);
  });

  it('asks for too little time, is told 423, and takes what it may have', async (t) => {
    const ua = startUa(t, server, 'ws', { register_expires: 20 });
    await next(ua, 'registered');
    const [binding] = await server.bindingsOf('alice');
    assertBetween(binding.expiresIn, 58, 60, 'Min-Expires');
  });

  it('reads a 200 that lists odd contacts of other devices', async (t) => {
    const desk = await openPhone(t, server, 'tcp');
    for (const contact of ODD_CONTACTS) assertStatus(await desk.register({ contact }), 200, contact);
    const ua = startUa(t, server, 'ws');
    const { response } = await next(ua, 'registered');
    assert.equal(response.getHeaders('contact').length, ODD_CONTACTS.length + 1);
    assert.equal((await server.bindingsOf('alice')).length, ODD_CONTACTS.length + 1);
    await desk.unregister();
  });

  it('a second page of the same user is a second binding, a reload with its instance_id is not', async (t) => {
    const instance_id = '8f0e57a4-91d4-4f0c-a55c-6c8b0a2a4f5d';
    const first = startUa(t, server, 'ws', { instance_id });
    await next(first, 'registered');
    const second = startUa(t, server, 'ws');
    await next(second, 'registered');
    assert.equal((await server.bindingsOf('alice')).length, 2);
    const reloaded = startUa(t, server, 'ws', { instance_id });
    await next(reloaded, 'registered');
    assert.equal((await server.bindingsOf('alice')).length, 2);
  });

  it('closing its socket removes the binding at once', async (t) => {
    const ua = startUa(t, server, 'wss', { uri: `sip:bob@${DOMAIN}`, password: PASSWORD.bob });
    await next(ua, 'registered');
    ua.transport.disconnect();
    await until('the binding is gone', async () => (await server.bindingsOf('bob')).length === 0, 1000);
  });
});

describe('JsSIP over time', () => {
  it('refreshes by itself', async (t) => {
    const server = await startServer(t, { config: { registrar: { minExpires: 5 } } });
    const ua = startUa(t, server, 'ws', { register_expires: 10 });
    await next(ua, 'registered');
    const [before] = await server.bindingsOf('alice');
    const later = async () => (await server.bindingsOf('alice')).find((b) => b.expiryTime > before.expiryTime + 1000);
    const after = await until('it refreshes, 5 s before the end', later, 9000);
    assert.ok(after.cseq > before.cseq);
    assert.equal((await server.bindingsOf('alice')).length, 1);
    assert.ok(ua.isRegistered());
  });

  it('comes back after a restart of the server', async (t) => {
    const server = await startServer(t);
    const ua = startUa(t, server, 'wss');
    await next(ua, 'registered');
    await server.restart();
    await next(ua, 'registered', 15000);
    assert.equal((await server.bindingsOf('alice')).length, 1);
  });
});
