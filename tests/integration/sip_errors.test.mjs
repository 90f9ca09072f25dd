// Odd and bad requests: each gets the answer that a person can act on, and nothing that is stored
// suffers (SPEC 3 step 1, RFC 3261 7, 8.2, 18.2, 20, 25).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertStatus } from './lib/expect.mjs';
import { withServer } from './lib/server.mjs';
import { parseResponse } from './lib/sip.mjs';
import { openPhone } from './lib/phone.mjs';

const SAFE_REASON = /^[A-Za-z0-9 .,-]+$/;

const contact = (value) => (m) => m.set('Contact', value);
const header = (name, value) => (m) => m.set(name, value);
const without = (name) => (m) => m.set(name, undefined);
const also = (name, value) => (m) => m.add(name, value);
const line = (text) => (m) => {
  m.line = text;
  const [method] = text.split(' ');
  return m.set('CSeq', m.get('CSeq').replace('REGISTER', method));
};
const textual = (change) => (m) => change(m.toString());

const table = [
  // what, change, status, reason
  ['no Max-Forwards is tolerated', without('Max-Forwards'), 401],
  ['Max-Forwards 0, since aorta itself answers', header('Max-Forwards', '0'), 401],
  ['a malformed Max-Forwards', header('Max-Forwards', 'many'), 400, /Max-Forwards/],
  ['a negative Max-Forwards', header('Max-Forwards', '-1'), 400, /Max-Forwards/],
  ['Max-Forwards above 255', header('Max-Forwards', '256'), 400, /Max-Forwards/],

  ['no From', without('From'), 400, /From/],
  ['no To', without('To'), 400, /To/],
  ['no Call-ID', without('Call-ID'), 400, /Call-ID/],
  ['no CSeq', without('CSeq'), 400, /CSeq/],
  ['two From headers', also('From', '<sip:bob@example.com>;tag=2'), 400, /From/],
  ['two Call-IDs', also('Call-ID', 'another'), 400, /Call-ID/],
  ['two CSeqs', also('CSeq', '7 REGISTER'), 400, /CSeq/],
  ['a From without a tag (RFC 2543)', header('From', '<sip:alice@example.com>'), [400, 401]],
  ['a From that is no address', header('From', '<sip:alice@'), 400, /From/],
  ['a To that is no address', header('To', 'alice at home'), 400, /To/],
  ['a To without a user', header('To', '<sip:example.com>'), 400, /To/],
  ['a CSeq of another method', header('CSeq', '1 OPTIONS'), 400, /CSeq/],
  ['a CSeq without a number', header('CSeq', 'REGISTER'), 400, /CSeq/],
  ['a CSeq beyond 2^31', header('CSeq', '4294967296 REGISTER'), 400, /CSeq/],
  ['a negative CSeq', header('CSeq', '-1 REGISTER'), 400, /CSeq/],
  ['an empty Call-ID', header('Call-ID', ''), 400, /Call-ID/],

  ['a Contact without its closing bracket', contact('<sip:alice@127.0.0.1'), 400, /Contact/],
  ['an empty Contact', contact(''), 400, /Contact/],
  ['a tel Contact', contact('<tel:+15551234>'), 400, /Contact/],
  ['a mailto Contact', contact('<mailto:alice@example.com>'), 400, /Contact/],
  ["a '#' in the Contact's user", contact('<sip:al#ice@127.0.0.1>'), 400, /Contact/],
  ["a space in the Contact's user", contact('<sip:al ice@127.0.0.1>'), 400, /Contact/],
  ['a Contact host with a numeric last label', contact('<sip:alice@phone.123>'), 400, /Contact/],
  ['a Contact with an IPv6 zone', contact('<sip:alice@[fe80::1%25eth0]>'), 400, /Contact/],
  ['a quoted URI parameter in a Contact', contact('<sip:alice@127.0.0.1;x="y">'), 400, /Contact/],
  ['a Contact port out of range', contact('<sip:alice@127.0.0.1:70000>'), 400, /Contact/],
  ['a Contact parameter without its value', contact('<sip:alice@127.0.0.1>;expires='), 400, /Contact/],
  ['an expires that is no number', contact('<sip:alice@127.0.0.1>;expires=soon'), [400, 401]],
  ['a q above 1', contact('<sip:alice@127.0.0.1>;q=1.5'), 400, /Contact|q/],
  ['a q that is no number', contact('<sip:alice@127.0.0.1>;q=high'), 400, /Contact|q/],
  ['a broken +sip.instance', contact('<sip:alice@127.0.0.1>;+sip.instance="<urn:uuid:1'), 400, /Contact/],
  ['65 Contacts', (m) => {
    for (let i = 0; i < 64; i++) m.add('Contact', `<sip:alice@127.0.0.1:${6000 + i}>`);
    return m;
  }, 400, /contacts/],
  ['an Expires that is no number', header('Expires', 'soon'), 400, /Expires/],
  ['a negative Expires', header('Expires', '-1'), 400, /Expires/],
  ['a Path that is no address', (m) => m.add('Supported', 'path').add('Path', 'nowhere'), 400, /Path/],

  ['an unknown Require', also('Require', 'rocket, path'), 420, /Extension/i, (r) =>
    assert.equal(r.get('Unsupported'), 'rocket')],
  ['two unknown Requires', (m) => m.add('Require', 'rocket').add('Require', 'submarine'), 420, /Extension/i, (r) =>
    assert.deepEqual(r.all('Unsupported').join(', '), 'rocket, submarine')],
  ['a Require that is known', also('Require', 'path'), 401],
  ['a Proxy-Require is for proxies', also('Proxy-Require', 'rocket'), 401],

  ['INVITE', line('INVITE sip:bob@example.com SIP/2.0'), 405, /./, (r) => {
    assert.match(r.get('Allow'), /\bREGISTER\b/);
    assert.match(r.get('Allow'), /\bOPTIONS\b/);
  }],
  ['MESSAGE', line('MESSAGE sip:bob@example.com SIP/2.0'), 405, /./, (r) => assert.match(r.get('Allow'), /\bREGISTER\b/)],
  ['a method nobody knows', line('FLY sip:bob@example.com SIP/2.0'), 405, /./],
  ['CANCEL of nothing', line('CANCEL sip:bob@example.com SIP/2.0'), [405, 481], /./],
  ['a tel Request-URI', line('REGISTER tel:+15551234 SIP/2.0'), 416, /./],
  ['an http Request-URI', line('REGISTER http://example.com/ SIP/2.0'), 416, /./],
  ['a To that is neither sip nor sips', header('To', '<tel:+15551234>'), [400, 416], /./],
  ['a sips Request-URI', line('REGISTER sips:example.com SIP/2.0'), 401],
  ['a Request-URI that is none', line('REGISTER :: SIP/2.0'), [400, 416], /./],
  ['SIP/3.0', line('REGISTER sip:example.com SIP/3.0'), 505, /./],
  ['SIP/1.0', line('REGISTER sip:example.com SIP/1.0'), 505, /./],
  ['lower-case sip/2.0 (RFC 3261 7.1: any case)', line('REGISTER sip:example.com sip/2.0'), 401],
  ['a header line without a colon', textual((s) => s.replace('Max-Forwards: 70', 'Max-Forwards 70')), 400, /./],
  ['a control character in a header', header('Call-ID', 'a\x01b'), 400, /./],

  ['OPTIONS', line('OPTIONS sip:example.com SIP/2.0'), 200, /^OK$/, (r) => {
    assert.match(r.get('Allow'), /\bREGISTER\b.*\bOPTIONS\b|\bOPTIONS\b.*\bREGISTER\b/);
    for (const name of ['Accept', 'Supported']) assert.ok(r.all(name).length > 0, `${name}\n${r.text}`);
    assert.match(r.all('Supported').join(), /\bpath\b/);
    assert.match(r.all('Supported').join(), /\boutbound\b/);
  }],
  ['OPTIONS in a dialog that is none', (m) => line('OPTIONS sip:example.com SIP/2.0')(m.set('To', '<sip:a@example.com>;tag=x')), [200, 481]],

  ['compact header names', textual((s) => {
    const compact = { Via: 'v', From: 'f', To: 't', 'Call-ID': 'i', Contact: 'm', 'Content-Length': 'l' };
    return s.replace(/^([\w-]+):/gm, (all, name) => (compact[name] ? `${compact[name]}:` : all));
  }), 401],
  ['header names in any case, blanks before the colon', textual((s) => s.replace('Call-ID:', 'CALL-id \t:').replace('CSeq:', 'cseq:')), 401],
  ['folded headers', textual((s) => s.replace(/^(From|CSeq): (\S+?)([; ])/gm, '$1:\r\n\t$2\r\n $3')), 401],
  ['a folded header before which a blank stands', textual((s) => s.replace('Max-Forwards: 70', 'Max-Forwards: \r\n  70')), 401],
  ['a display name with quotes, commas and colons', header('From', '"Al \\"the, man\\" <x>: y" <sip:alice@example.com>;tag=1'), 401],
  ['a From without brackets', header('From', 'sip:alice@example.com;tag=1'), 401],
  ['UTF-8 in a display name', header('From', '"Ålice ☎" <sip:alice@example.com>;tag=1'), 401],
  ['headers nobody knows', also('X-Anything', 'at ; all, "really" <>'), 401],
  ['an IPv6 Contact', contact('<sip:alice@[2001:db8::7]:5060;transport=udp>'), 401],
  ['a Contact without brackets has header parameters', contact('sip:alice@127.0.0.1;expires=90'), 401],
  ['an underscore in a host, which both browser libraries read', contact('<sip:alice@my_phone.lan>'), 401],
  ['an underscore in the last label, which SIP.js does not read', contact('<sip:alice@my_phone>'), 400, /Contact/],
  ['an escaped number sign', contact('<sip:al%23ice@127.0.0.1>'), 401],
  ['a body', (m) => {
    m.body = 'hello';
    return m.set('Content-Type', 'text/plain');
  }, 401],
];

describe('bad and odd requests', () => {
  const server = withServer();

  for (const kind of ['udp', 'tcp'])
    for (const [what, change, status, reason = SAFE_REASON, also_] of table)
      it(`${kind}: ${what}: ${status}`, async (t) => {
        const keeper = await openPhone(t, server, 'udp', { user: 'bob' });
        assertStatus(await keeper.register({ contact: '<sip:bob@phone.example.net>' }), 200);

        const phone = await openPhone(t, server, kind);
        const bytes = Buffer.from(change(phone.build()).toString(), 'utf8');
        phone.client.send(bytes);
        const response = await phone.client.nextResponse();
        assert.ok([status].flat().includes(response.status), `${bytes}\n${response.text}`);
        assert.match(response.reason, SAFE_REASON);
        assert.match(response.reason, reason, response.text);
        assert.equal(response.all('Via').length, 1, response.text);
        also_?.(response);

        assert.deepEqual((await server.bindingsOf('bob')).map((b) => b.contact), ['sip:bob@phone.example.net']);
        assert.deepEqual(await server.bindingsOf('alice'), []);
        assertStatus(await phone.send(phone.build()), 401, 'the connection is of use still');
      });

  it('several Vias come back all, in order, the topmost one completed', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const request = phone.build();
    const others = ['SIP/2.0/UDP proxy.example.net:5070;branch=z9hG4bKp1', 'SIP / 2.0 / UDP a.example.net;branch=z9hG4bKp2;received=192.0.2.1'];
    const at = request.headers.findIndex(([name]) => name === 'Via') + 1;
    request.headers.splice(at, 0, ['Via', others[0]], ['v', others[1]]);
    phone.client.send(request.toString());
    const response = await phone.client.nextResponse();
    const vias = response.all('Via').flatMap((value) => value.split(/,\s*/));
    assert.equal(vias.length, 3, response.text);
    assert.ok(vias[0].startsWith(request.get('Via').replace(/;rport$/, '').split(';')[0]));
    assert.deepEqual(vias.slice(1), others);
  });

  it('several Vias in one line', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    const request = phone.build();
    const own = request.get('Via');
    request.set('Via', `${own}, SIP/2.0/TCP far.example.net;branch=z9hG4bKfar`);
    phone.client.send(request.toString());
    const response = await phone.client.nextResponse();
    assert.match(response.all('Via').join(), /SIP\/2\.0\/TCP far\.example\.net;branch=z9hG4bKfar$/);
  });

  it('without rport an answer goes to the port of the Via, with it to the source (RFC 3581)', async (t) => {
    const sender = await openPhone(t, server, 'udp');
    const listener = await openPhone(t, server, 'udp');
    const request = sender.build();
    request.set('Via', `SIP/2.0/UDP 127.0.0.1:${listener.client.localPort};branch=z9hG4bKplain`);
    sender.client.send(request.toString());
    assertStatus(await listener.client.nextResponse(), 401);
    request.set('Via', `SIP/2.0/UDP 127.0.0.1:${listener.client.localPort};branch=z9hG4bKrport;rport`);
    sender.client.send(request.toString());
    assertStatus(await sender.client.nextResponse(), 401);
  });

  const silent = [
    // what, bytes
    ['an ACK', line('ACK sip:alice@example.com SIP/2.0')],
    ['a response', (m) => m.toString().replace(/^.*\r\n/, 'SIP/2.0 200 OK\r\n')],
    ['a broken response', () => 'SIP/2.0 9 \r\nContent-Length: 0\r\n\r\n'],
    ['a request without a Via, which nobody could answer', without('Via')],
  ];
  for (const kind of ['udp', 'tcp', 'ws'])
    for (const [what, change] of silent)
      it(`${kind}: ${what} is not answered, and the next request is`, async (t) => {
        const phone = await openPhone(t, server, kind);
        phone.client.send(change(phone.build()).toString());
        const next = phone.build();
        phone.client.send(next.toString());
        assert.equal((await phone.client.nextResponse()).get('CSeq'), next.get('CSeq'));
      });

  it('tcp: an ACK that cannot be framed is not answered either', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const ack = line('ACK sip:alice@example.com SIP/2.0')(phone.build());
    phone.client.send(ack.toString().replace(/Content-Length: 0\r\n/, ''));
    await assert.rejects(phone.client.next(), /closed/);
  });

  it('a request with LF only is answered or dropped, never half read', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    phone.client.send(phone.build().toString().replaceAll('\r\n', '\n'));
    const next = phone.build();
    phone.client.send(next.toString());
    let response = await phone.client.nextResponse();
    if (response.get('CSeq') !== next.get('CSeq')) {
      assert.ok([400, 401].includes(response.status), response.text);
      response = await phone.client.nextResponse();
    }
    assertStatus(response, 401);
  });

  it('300 header lines are refused before they cost anything', async (t) => {
    const phone = await openPhone(t, server, 'tcp');
    const request = phone.build();
    for (let i = 0; i < 300; i++) request.add('X', 'y');
    phone.client.send(request.toString());
    assertStatus(parseResponse(await phone.client.next()), 400);
  });

  it('a UDP datagram cut short of its Content-Length is 400 (RFC 3261 18.3)', async (t) => {
    const phone = await openPhone(t, server, 'udp');
    phone.client.send(phone.build().set('Content-Length', '10').toString());
    assertStatus(await phone.client.nextResponse(), 400);
  });
});
