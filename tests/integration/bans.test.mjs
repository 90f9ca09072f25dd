// Addresses that are blocked by hand, through the admin listener (SPEC 5 and 8). Clients come from
// addresses of their own in 127.0.0.0/8, which is exempt unless limits.neverBan says otherwise.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { assertBetween, assertStatus, until, within } from './lib/expect.mjs';
import { startServer, withServer } from './lib/server.mjs';
import { KINDS, TcpClient, UdpClient } from './lib/clients.mjs';
import { RawWs } from './lib/raw_ws.mjs';
import { openPhone } from './lib/phone.mjs';

let lastHost = 9;
/** An address that no other test comes from. */
const freshAddress = () => `127.0.76.${++lastHost}`;
const ban = (server, ip, seconds = 600, reason = 'test') => server.api('POST', '/api/v1/bans', { ip, seconds, reason });
const lift = (server, ip) => server.api('DELETE', `/api/v1/bans/${encodeURIComponent(ip)}`);

describe('bans by the admin listener', () => {
  const server = withServer({ config: { limits: { neverBan: [] } } });

  it('are made, shown, listed and lifted', async () => {
    for (const [ip, path] of [[freshAddress(), null], ['2001:db8::7', '[2001:db8::7]']]) {
      const made = await ban(server, ip, 600, 'too "fast"');
      assert.equal(made.status, 201, made.body);
      assert.deepEqual(made.json(), { ip, expiresIn: 600, reason: 'too "fast"' });
      const at = `/api/v1/bans/${path ?? ip}`;
      const shown = await server.get(at);
      assert.equal(shown.status, 200, shown.body);
      assertBetween(shown.json().expiresIn, 590, 600, 'expiresIn');
      const { bans } = (await server.get('/api/v1/bans')).json();
      assert.deepEqual(bans.map((one) => one.ip), [ip]);
      assert.equal((await server.api('DELETE', at)).status, 204);
      for (const method of ['GET', 'DELETE']) assert.equal((await server.api(method, at)).status, 404);
      assert.deepEqual((await server.get('/api/v1/bans')).json(), { bans: [] });
    }
  });

  it('-1 is for ever', async () => {
    const ip = freshAddress();
    assert.equal((await ban(server, ip, -1)).json().expiresIn, null);
    assert.equal((await lift(server, ip)).status, 204);
  });

  for (const kind of KINDS)
    it(`${kind}: ${kind === 'udp' ? 'nothing is answered' : `connections are closed${kind.startsWith('ws') ? ' with 1008' : ''}, and refused`} until it is lifted`, async (t) => {
      const ip = freshAddress();
      const phone = await openPhone(t, server, kind, { localAddress: ip });
      assertStatus(await phone.register(), 200);
      const bystander = await openPhone(t, server, kind, { user: 'bob' });
      assert.equal((await ban(server, ip)).status, 201);
      if (kind === 'udp') {
        phone.client.send(phone.build().toString());
        await assert.rejects(phone.client.next(500));
      } else {
        const cause = await phone.client.closes(2000);
        if (kind.startsWith('ws')) assert.equal(cause, 1008);
        await until('its binding is gone', async () => (await server.bindingsOf('alice')).length === 0, 2000);
        await assert.rejects(async () => {
          const again = await openPhone(t, server, kind, { localAddress: ip });
          await within(1000, 'an answer', again.register());
        });
      }
      assertStatus(await bystander.register(), 200);
      assertStatus(await bystander.unregister(), 200);
      assert.equal((await lift(server, ip)).status, 204);
      const back = await openPhone(t, server, kind, { localAddress: ip });
      assertStatus(await back.register(), 200);
      assertStatus(await back.unregister(), 200);
    });

  it('STUN is not answered either', async (t) => {
    const ip = freshAddress();
    const client = await UdpClient.open(server.port.udp, { localAddress: ip });
    t.after(() => client.close());
    const binding = Buffer.concat([Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]), Buffer.alloc(12, 7)]);
    client.socket.send(binding);
    assert.ok((await client.next(2000)).length > 0);
    await ban(server, ip);
    client.socket.send(binding);
    await assert.rejects(client.next(500));
    await lift(server, ip);
  });

  it('a connection that is not yet a WebSocket goes as well', async (t) => {
    const ip = freshAddress();
    const raw = await RawWs.connect(server.port.ws, { localAddress: ip });
    t.after(() => raw.close());
    await ban(server, ip);
    await raw.closes(2000);
    await lift(server, ip);
  });

  it('the admin listener stays open to who is banned, so that he can lift it', async () => {
    assert.equal((await ban(server, '127.0.0.1')).status, 201);
    await assert.rejects(server.page('/healthz'));
    await assert.rejects(TcpClient.open(server.port.tcp).then(async (client) => {
      await client.closes(1000);
      throw new Error('closed');
    }));
    assert.equal((await lift(server, '127.0.0.1')).status, 204);
    assert.equal((await server.page('/healthz')).status, 200);
  });

  const wrong = [
    // body, status, code
    [{ ip: '192.0.2.1' }, 400, 'bad_seconds'],
    [{ ip: '192.0.2.1', seconds: 0 }, 400, 'bad_seconds'],
    [{ ip: '192.0.2.0/24', seconds: 60 }, 400, 'bad_ip'],
    [{ ip: '192.0.2.1', seconds: 60, forever: true }, 400, 'unknown_member'],
    [[], 400, 'bad_json'],
  ];
  for (const [body, status, code] of wrong)
    it(`POST ${JSON.stringify(body)}: ${status} ${code}`, async () => {
      const answer = await server.api('POST', '/api/v1/bans', body);
      assert.equal(answer.status, status, answer.body);
      assert.equal(answer.json().error.code, code);
    });

  it('as a form, it is 415', () =>
    new Promise((resolve, reject) => {
      const form = 'POST /api/v1/bans HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}';
      let said = '';
      net
        .connect(server.adminPort, '127.0.0.1', function () { this.write(form); })
        .on('data', (data) => (said += data))
        .on('error', reject)
        .on('close', () => resolve(assert.match(said, /^HTTP\/1\.1 415 /)));
    }));
});

describe('limits.neverBan and trustedProxies', () => {
  it('loopback is exempt by default: 409', async (t) => {
    const server = await startServer(t);
    for (const ip of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
      const answer = await ban(server, ip);
      assert.equal(answer.status, 409, `${ip} ${answer.body}`);
    }
    assert.equal((await ban(server, '192.0.2.1')).status, 201);
  });

  it('so is a trusted proxy', async (t) => {
    const server = await startServer(t, { config: { limits: { neverBan: [] }, trustedProxies: ['127.0.0.1'] } });
    assert.equal((await ban(server, '127.0.0.1')).status, 409);
    assert.equal((await ban(server, '127.0.0.2')).status, 201);
  });
});
