// The torture messages of RFC 4475 (its sections in the table) and RFC 5118 (IPv6), each with what a
// registrar owes to it, over UDP and TCP. What is not for a registrar is refused: 405. The heads are
// the RFCs'; all session descriptions are the same one, and the longest words are shorter. They come
// through a proxy, whose Via stands on top, so that the answers find back here.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'node:test';
import { assertStatus } from './lib/expect.mjs';
import { withServer, usersOf } from './lib/server.mjs';
import { challenges, credentials, token } from './lib/sip.mjs';
import { openPhone } from './lib/phone.mjs';

const SIP = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'sip');
const PASSWORD = 'torture';
const SAFE_REASON = /^[A-Za-z0-9 .,-]+$/;

const SILENCE = 'silence'; // not answered; the next request is
const WAITS = 'waits'; // over TCP: the rest of the message is still to come

// name, section, what it is about, the answer's status, and what else there is to it: the statuses
// over TCP where they are others; that the connection ends; for a REGISTER what is sent again with
// credentials of `user`, and then has these contacts.
const RFC4475 = [
  ['wsinv', '3.1.1.1', 'a short tortuous INVITE', 405],
  // RFC 3261 would have the quoted BEL, NUL and DEL; aorta takes no control characters at all.
  ['intmeth', '3.1.1.2', 'a wide range of valid characters, and control characters', 400],
  ['esc01', '3.1.1.3', 'escapes', 405],
  ['escnull', '3.1.1.4', 'escaped nulls', 401, { user: 'null-%00-null', contacts: ['sip:%00@host5.example.com', 'sip:%00%00@host5.example.com'] }],
  ['esc02', '3.1.1.5', 'a % that is no escape', 405],
  ['lwsdisp', '3.1.1.6', 'no blank between display name and <', 200],
  ['longreq', '3.1.1.7', 'long values, 34 Vias', 405],
  ['dblreq', '3.1.1.8', 'a second request in the datagram; over TCP two requests', 401, { user: 'j.user', contacts: ['sip:j.user@host.example.com'], tcp: [401, 405] }],
  ['semiuri', '3.1.1.9', 'semicolons in the user part', 200],
  ['transports', '3.1.1.10', 'unknown transports in Via', 200],
  ['mpart01', '3.1.1.11', 'a multipart body', 405],
  ['unreason', '3.1.1.12', 'an unusual reason phrase', SILENCE],
  ['noreason', '3.1.1.13', 'no reason phrase', SILENCE],
  ['badinv01', '3.1.2.1', 'stray separators', 400, { hasBrokenVia: true }],
  ['clerr', '3.1.2.2', 'a Content-Length beyond the message', 400, { tcp: WAITS }],
  ['ncl', '3.1.2.3', 'a negative Content-Length', 400, { closes: true }],
  ['scalar02', '3.1.2.4', 'numbers out of range', 400],
  ['scalarlg', '3.1.2.5', 'numbers out of range in a response', SILENCE],
  ['quotbal', '3.1.2.6', 'an open quote', 400],
  ['ltgtruri', '3.1.2.7', '<> round the Request-URI', 400],
  ['lwsruri', '3.1.2.8', 'a blank in the Request-URI', 400],
  ['lwsstart', '3.1.2.9', 'two blanks in the request line', 400],
  ['trws', '3.1.2.10', 'blanks behind the request line', 400],
  ['escruri', '3.1.2.11', 'headers in the Request-URI', 405],
  ['baddate', '3.1.2.12', 'a Date that is not in GMT', 405],
  ['regbadct', '3.1.2.13', 'a Contact with a ? that lacks its <>', 400],
  ['badaspec', '3.1.2.14', 'blanks within <>', 400],
  ['baddn', '3.1.2.15', 'a comma in a display name without quotes', 400],
  ['badvers', '3.1.2.16', 'SIP/7.0', 505],
  ['mismatch01', '3.1.2.17', 'another method in CSeq', 400],
  ['mismatch02', '3.1.2.18', 'another method in CSeq, and an unknown one', 400],
  ['bigcode', '3.1.2.19', 'a status that is none', SILENCE],
  ['badbranch', '3.2.1', 'a branch that is only the cookie', 200],
  ['insuf', '3.3.1', 'no Call-ID, From or To', 400],
  ['unkscm', '3.3.2', 'an unknown scheme', 416],
  ['novelsc', '3.3.3', 'a known scheme that is not SIP', 416],
  ['unksm2', '3.3.4', 'unknown schemes in To, From and Contact', [400, 416]],
  ['bext01', '3.3.5', 'an unknown Require', 420, { header: ['Unsupported', 'nothingSupportsThis, nothingSupportsThisEither'] }],
  ['invut', '3.3.6', 'a body of an unknown type', 405],
  ['regaut01', '3.3.7', 'an unknown scheme in Authorization', 401, { user: 'j.user', contacts: [] }],
  ['multi01', '3.3.8', 'each header twice', 400],
  ['mcl01', '3.3.9', 'two Content-Lengths', 400, { closes: true }],
  ['bcast', '3.3.10', 'a response to a broadcast address', SILENCE],
  ['zeromf', '3.3.11', 'Max-Forwards 0', 200],
  ['cparam01', '3.3.12', 'an unknown header parameter', 401, { user: 'watson', contacts: ['sip:+19725552222@gw1.example.net'] }],
  ['cparam02', '3.3.13', 'an unknown URI parameter', 401, { user: 'watson', contacts: ['sip:+19725552222@gw1.example.net;unknownparam'] }],
  ['regescrt', '3.3.14', 'headers in a Contact URI', 401, { user: 'user', contacts: ['sip:user@example.com?Route=%3Csip:sip.example.com%3E'] }],
  ['sdp01', '3.3.15', 'an Accept that cannot be met', 405],
  ['inv2543', '3.4.1', 'an INVITE of RFC 2543', 400, { closes: true }],
];

const CALLER = { user: 'user', contacts: ['sip:caller@[2001:db8::1]'] };
const RFC5118 = [
  ['ipv6-good', '4.1', 'an IPv6 reference', 401, CALLER],
  ['ipv6-bad', '4.2', 'one without brackets', 400],
  ['port-ambiguous', '4.3', 'a port within the brackets: it is none', 401, CALLER],
  ['port-unambiguous', '4.4', 'a port behind them', 401, CALLER],
  ['via-received-param-with-delim', '4.5', 'brackets in received', 405],
  ['via-received-param-no-delim', '4.5', 'none in received', 200],
  ['ipv6-in-sdp', '4.6', 'IPv6 in the body', 405],
  ['mult-ip-in-header', '4.7', 'both families in Vias', 405],
  ['mult-ip-in-sdp', '4.8', 'both families in the body', 405],
  ['ipv4-mapped-ipv6', '4.9', 'IPv4-mapped addresses', 405],
  ['ipv6-bug-abnf-3-colons', '4.10', 'three colons, which RFC 3261 let through', 400],
];

const read = (rfc, name) => fs.readFileSync(path.join(SIP, rfc, `${name}.sip`)).toString('latin1');

/** With the proxy's Via below the start line. */
function viaProxy(text, phone) {
  const end = text.indexOf('\r\n');
  return `${text.slice(0, end)}\r\nVia: ${phone.via}${text.slice(end)}`;
}

const send = (phone, text) => phone.client.send(Buffer.from(text, 'latin1'));

/** The next request is answered, and nothing was before it. */
async function assertServes(phone) {
  const probe = phone.build({ contact: null });
  send(phone, probe.toString());
  assert.equal((await phone.client.nextResponse()).get('Call-ID'), probe.get('Call-ID'));
}

/** Vias that were sent, each as it stood but for blanks, which a reader may take for one. */
const squeezed = (values) => values.map((value) => value.replace(/\s+/g, ' ')).join(', ');

function assertEchoes(response, text, phone) {
  const sent = text.slice(0, text.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' ');
  const vias = [...sent.matchAll(/^v(?:ia)?[ \t]*:[ \t]*(.*)$/gim)].map(([, value]) => value.trim());
  const answered = response.all('Via');
  assert.ok(answered[0].startsWith(phone.via.split(';')[0]), response.text);
  assert.equal(squeezed(answered.slice(1)), squeezed(vias.slice(1).flatMap((value) => value.split(/\s*,\s*(?=SIP)/))), response.text);
}

async function assertAnswer(phone, text, status, { header, hasBrokenVia } = {}) {
  const response = await phone.client.nextResponse();
  assert.ok([status].flat().includes(response.status), `${status} expected\n${text}\n--- got\n${response.text}`);
  assert.match(response.reason, SAFE_REASON);
  if (!hasBrokenVia) assertEchoes(response, text, phone);
  if (header) assert.equal(response.get(header[0]), header[1]);
  return response;
}

/** The same as its user would send it again; then it is forgotten. */
async function assertRegisters(server, phone, text, challenged, { user, contacts }) {
  const challenge = challenges(challenged).at(-1);
  const value = credentials(challenge, { user, password: PASSWORD, uri: /^REGISTER (\S+)/.exec(text)[1] });
  const again = text
    .slice(0, text.indexOf('\r\n\r\n') + 4)
    .replace(/^Authorization:.*\r\n/m, '')
    .replace(/\r\n/, `\r\nAuthorization: ${value}\r\n`)
    .replace(/branch=z9hG4bK\w+/, `branch=z9hG4bK${token()}`);
  send(phone, again);
  const response = await phone.client.nextResponse();
  assertStatus(response, 200, again);
  assert.deepEqual(response.contacts.map((contact) => contact.uri).sort(), [...contacts].sort());
  await server.api('DELETE', `/api/v1/registrations/${encodeURIComponent(`${user}@example.com`)}`);
}

for (const [rfc, table] of Object.entries({ rfc4475: RFC4475, rfc5118: RFC5118 }))
  describe(`torture messages of ${rfc}`, () => {
    const users = Object.fromEntries(['user', 'j.user', 'watson', 'null-%00-null'].map((user) => [`${user}@example.com`, { password: PASSWORD }]));

    for (const kind of ['udp', 'tcp']) {
      const server = withServer({ users: { ...usersOf('example.com'), ...users } });

      for (const [name, section, what, status, more = {}] of table)
        it(`${kind}: ${section} ${name}: ${what}`, async (t) => {
          const phone = await openPhone(t, server, kind);
          const text = viaProxy(read(rfc, name), phone);
          const isTcp = kind === 'tcp';
          const expected = isTcp && more.tcp !== undefined ? more.tcp : status;
          const before = await server.registrations();
          send(phone, text);
          if (expected === SILENCE) return assertServes(phone);
          if (expected === WAITS) {
            await assert.rejects(phone.client.next(200));
            return undefined;
          }
          const all = isTcp && Array.isArray(more.tcp) ? more.tcp : [expected];
          const response = await assertAnswer(phone, text, all[0], more);
          if (all.length > 1) assertStatus(await phone.client.nextResponse(), all[1]);
          assert.deepEqual(await server.registrations(), before);
          if (isTcp && more.closes) return phone.client.closes();
          if (more.contacts) await assertRegisters(server, phone, text, response, more);
          return assertServes(phone);
        });
    }

    it('has a row for every message', () => {
      assert.deepEqual(table.map(([name]) => `${name}.sip`).sort(), fs.readdirSync(path.join(SIP, rfc)).sort());
    });
  });
