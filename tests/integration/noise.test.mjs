// Requests with random damage, the same ones in every run: each answer is sound, none costs a stored
// binding, and the server outlives them all. (A sanitizer build looks at every byte it reads.)
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertStatus } from './lib/expect.mjs';
import { withServer } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';

const ROUNDS = 20000;
const BURST = 40;

/** Marsaglia's xorshift32, so that a failure comes again. */
function generator(seed) {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const PIECES = ['\r\n', '\r\n ', '\0', ',', ';', '"', '<', '>', ':', '@', '%', '%0', '\\', '=', '*', '[', ']', '()', ' ', '\xff', 'sip:', '99999999999999999999', ';expires=0', 'Contact: *\r\n', 'Via: '];

function damage(bytes, random) {
  let out = bytes;
  for (let hits = 1 + random(3); hits > 0; hits--) {
    const at = random(out.length);
    const length = random(4) === 0 ? random(40) : random(3);
    const piece = Buffer.from(PIECES[random(PIECES.length)], 'latin1');
    const [head, tail] = [out.subarray(0, at), out.subarray(Math.min(out.length, at + length))];
    out = Buffer.concat(random(3) === 0 ? [head, tail] : [head, piece, tail]);
  }
  return out;
}

describe('noise', () => {
  const server = withServer();

  /** Sends damaged requests in bursts; after each burst a sound one must get its answer. */
  async function endure(phone, send, seed) {
    const random = generator(seed);
    const challenge = await phone.challenge();
    const sound = () =>
      phone.authorized(
        phone.build({
          contact: `"A, B" ${phone.contact};q=0.5;+sip.instance="<urn:uuid:1>";reg-id=1;expires=60`,
          headers: [['Supported', 'path, outbound'], ['Path', '<sip:edge.example.net;lr>']],
        }),
        { ...challenge, realm: 'damaged' } // never to be granted
      );
    for (let done = 0; done < ROUNDS / BURST; done++) {
      for (let i = 0; i < BURST; i++) send(damage(Buffer.from(sound().toString()), random));
      const marker = phone.build({ contact: null, callId: `marker-${done}` });
      send(Buffer.from(marker.toString()));
      for (;;) {
        const answer = await phone.client.nextResponse();
        assert.match(answer.reason, /^[A-Za-z0-9 .,-]+$/, answer.text);
        assert.ok(answer.status >= 400, answer.text);
        if (answer.get('Call-ID') === `marker-${done}`) break;
      }
    }
  }

  for (const kind of ['udp', 'ws'])
    it(`${ROUNDS} damaged requests over ${kind}`, { timeout: 120000 }, async (t) => {
      const keeper = await openPhone(t, server, 'udp', { user: 'bob' });
      assertStatus(await keeper.register({ contact: '<sip:bob@phone.example.net>' }), 200);
      const phone = await openPhone(t, server, kind);
      await endure(phone, (bytes) => phone.client.send(bytes), 0x5eed + kind.length);
      assert.deepEqual((await server.bindingsOf('bob')).map((b) => b.contact), ['sip:bob@phone.example.net']);
      assert.deepEqual(await server.bindingsOf('alice'), []);
    });

  it('damaged streams over tcp, a connection each', { timeout: 120000 }, async (t) => {
    const random = generator(0x5eed);
    for (let i = 0; i < ROUNDS / 100; i++) {
      const phone = await openPhone(t, server, 'tcp');
      const requests = Array.from({ length: 5 }, () => phone.build()).join('');
      phone.client.send(damage(Buffer.from(requests), random));
      phone.client.socket.end();
      await phone.client.closes();
    }
    const phone = await openPhone(t, server, 'tcp');
    assertStatus(await phone.send(phone.build()), 401);
  });
});
