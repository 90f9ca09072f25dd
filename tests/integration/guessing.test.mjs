// Who guesses passwords gets limits.failedAuthPerMinute tries and one, however he sends them: over
// many requests at once, while the callback thinks or is away, from each address of a /64.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { slowly, startCallback, status, verified } from './lib/callback.mjs';
import { KINDS } from './lib/clients.mjs';
import { assertStatus, until } from './lib/expect.mjs';
import { openPhone } from './lib/phone.mjs';
import { PASSWORD, startServer } from './lib/server.mjs';
import { ha1 } from './lib/sip.mjs';

const HERE = '127.0.78.1';
const TRIES = 5; // and the one that is too many
const LIMITS = { failedAuthPerMinute: TRIES, neverBan: [] };
const openHere = (t, server, kind, options) => openPhone(t, server, kind, { localAddress: HERE, ...options });
const bansOf = async (server) => (await server.get('/api/v1/bans')).json().bans;

/** A REGISTER with an answer to `challenge`. */
function guess(phone, challenge, password) {
  const request = phone.build();
  return request.set('Authorization', phone.credentials(challenge, { password }));
}

/** How many answers of each status come until none does, or the connection ends. */
async function countAnswers(phone) {
  const counts = {};
  for (;;) {
    const answer = await phone.client.nextResponse(1500).catch(() => null);
    if (!answer) return counts;
    counts[answer.status] = (counts[answer.status] ?? 0) + 1;
  }
}

async function assertOnlyGuesser(server, counts) {
  assert.deepEqual(counts, { 403: TRIES + 1 });
  assert.deepEqual(await server.bindingsOf('alice'), []);
  assert.deepEqual((await bansOf(server)).map(({ ip }) => ip), [HERE]);
}

describe('guessing passwords', { concurrency: 4 }, () => {
  for (const kind of KINDS)
    it(`${kind}: 300 guesses without waiting, the right one last`, async (t) => {
      const server = await startServer(t, { config: { limits: LIMITS } });
      const phone = await openHere(t, server, kind);
      const challenge = await phone.challenge();
      const guesses = Array.from({ length: 300 }, (_, i) => guess(phone, challenge, i < 299 ? `guess${i}` : PASSWORD.alice));
      if (kind === 'tcp' || kind === 'tls') phone.client.send(guesses.join(''));
      else guesses.forEach((request) => phone.client.send(`${request}`));
      await assertOnlyGuesser(server, await countAnswers(phone));
    });

  it('60 guesses that wait for the callback together, the right one last', async (t) => {
    const callback = await startCallback(t);
    callback.behave(slowly(300, verified()));
    const server = await startServer(t, { config: { users: undefined, authCallback: callback.config(), limits: LIMITS } });
    const phone = await openHere(t, server, 'udp');
    const challenges = [];
    for (let i = 0; i < 60; i++) challenges.push(await phone.challenge());
    challenges.forEach((challenge, i) => phone.client.send(`${guess(phone, challenge, i < 59 ? `guess${i}` : PASSWORD.alice)}`));
    await assertOnlyGuesser(server, await countAnswers(phone));
  });

  it('while the callback is away that has told the HA1 before', async (t) => {
    const callback = await startCallback(t);
    const told = { ha1: ha1('MD5', 'alice', 'example.com', PASSWORD.alice), ttl: 3600 };
    callback.behave((exchange) => exchange.json(exchange.server.proves(exchange.body) ? { status: 'ok', ...told } : { status: 'fail' }));
    const server = await startServer(t, { config: { users: undefined, authCallback: callback.config(), auth: { refreshCache: false }, limits: LIMITS } });
    const alice = await openPhone(t, server, 'udp');
    assertStatus(await alice.register(), 200);
    callback.behave(status(500));
    assertStatus(await alice.register(), 200, 'by the HA1 that is kept');
    const guesser = await openHere(t, server, 'udp');
    const challenge = await guesser.challenge();
    for (let i = 0; i <= TRIES; i++) assertStatus(await guesser.send(guess(guesser, challenge, `guess${i}`)), 503);
    assert.deepEqual((await bansOf(server)).map(({ ip }) => ip), [HERE]);
    guesser.client.send(`${guess(guesser, challenge, PASSWORD.alice)}`);
    await assert.rejects(guesser.client.next(300), /nothing within/);
    assert.equal((await server.bindingsOf('alice')).length, 1);
  });

  it('in requests that are too long for the callback', async (t) => {
    const callback = await startCallback(t);
    const told = { ha1: ha1('MD5', 'alice', 'example.com', PASSWORD.alice), ttl: 3600 };
    callback.behave((exchange) => exchange.json(exchange.server.proves(exchange.body) ? { status: 'ok', ...told } : { status: 'fail' }));
    const server = await startServer(t, { config: { users: undefined, authCallback: callback.config(), limits: LIMITS } });
    assertStatus(await (await openPhone(t, server, 'tcp')).register(), 200);
    const guesser = await openHere(t, server, 'tcp');
    const challenge = await guesser.challenge();
    for (let i = 0; i <= TRIES; i++) {
      const request = guess(guesser, challenge, `guess${i}`);
      request.set('Authorization', `${request.get('Authorization')}, opaque="${'x'.repeat(17000)}"`);
      assertStatus(await guesser.send(request), 400);
    }
    assert.deepEqual((await bansOf(server)).map(({ ip }) => ip), [HERE]);
  });

  it('from each address of a /64, while the callback bans them one by one', async (t) => {
    const callback = await startCallback(t);
    callback.behave((exchange) => exchange.json(exchange.server.proves(exchange.body) ? { status: 'ok' } : { status: 'fail', blacklist: 60 }));
    const config = { users: undefined, trustedProxies: ['127.0.0.1'], authCallback: callback.config(), limits: LIMITS };
    const server = await startServer(t, { config });
    const openAs = (client) => openPhone(t, server, 'ws', { headers: { 'X-Forwarded-For': client }, password: 'guess' });
    for (let i = 0; i <= TRIES; i++) assertStatus(await (await openAs(`2001:db8:1:2::${i + 1}`)).register(), 403);
    await assert.rejects(openAs('2001:db8:1:2::9'), /403/);
    await until('the /64 is listed', async () => (await bansOf(server)).some(({ ip }) => ip === '2001:db8:1:2::/64'));
  });

  it('from one address behind a NAT64 bans no other', async (t) => {
    const server = await startServer(t, { config: { trustedProxies: ['127.0.0.1'], limits: LIMITS } });
    const openAs = (client, options) => openPhone(t, server, 'ws', { headers: { 'X-Forwarded-For': client }, ...options });
    const guesser = await openAs('64:ff9b::198.51.100.7', { password: 'guess' });
    for (let i = 0; i <= TRIES; i++) assertStatus(await guesser.register(), 403);
    assert.equal((await bansOf(server)).length, 1);
    assertStatus(await (await openAs('64:ff9b::203.0.113.9')).register(), 200);
  });
});
