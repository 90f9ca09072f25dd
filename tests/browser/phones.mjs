// Phones that register over UDP, as many as there are users.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { SipRequest, challenges, credentials, parseResponse, token } from '../integration/lib/sip.mjs';
import { ask } from './server.mjs';

/** A phone of one user: { register(), close() }. */
export async function openPhone(aorta, aor, password, { userAgent = 'desk phone' } = {}) {
  const { listen } = await ask(aorta, 'node');
  const port = Number(new URL(listen.find((listener) => listener.startsWith('udp:'))).port);
  const [user, domain] = aor.split('@');
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const here = `127.0.0.1:${socket.address().port}`;
  const callId = token();
  let cseq = 0;

  async function send(authorization = []) {
    const request = new SipRequest(`REGISTER sip:${domain} SIP/2.0`, [
      ['Via', `SIP/2.0/UDP ${here};branch=z9hG4bK${token()};rport`],
      ['Max-Forwards', '70'],
      ['From', `<sip:${aor}>;tag=${token(4)}`],
      ['To', `<sip:${aor}>`],
      ['Call-ID', callId],
      ['CSeq', `${++cseq} REGISTER`],
      ['Contact', `<sip:${user}@${here}>`],
      ['Expires', '600'],
      ['User-Agent', userAgent],
      ...authorization,
    ]);
    socket.send(request.toString(), port, '127.0.0.1');
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
    return parseResponse(answer.toString());
  }

  return {
    async register() {
      const challenge = challenges(await send()).at(-1);
      const answer = await send([['Authorization', credentials(challenge, { user, password, uri: `sip:${domain}` })]]);
      assert.equal(answer.status, 200);
    },
    close: () => socket.close(),
  };
}

/** Registers every user of a users file, and resolves to a function that closes the phones. */
export async function registerAll(aorta, users) {
  const phones = await Promise.all(
    Object.entries(users).map(([aor, { password }]) => openPhone(aorta, aor, password)),
  );
  for (let i = 0; i < phones.length; i += 20)
    await Promise.all(phones.slice(i, i + 20).map((phone) => phone.register()));
  return () => phones.forEach((phone) => phone.close());
}
