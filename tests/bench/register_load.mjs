// Registrations one after the other, from one client: the load under which instructions are counted.
// Every text has the same length each time, so that runs can be compared.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { Inbox } from '../integration/lib/inbox.mjs';
import { LightWsClient } from '../integration/lib/raw_ws.mjs';
import { challenges, credentials, parseResponse } from '../integration/lib/sip.mjs';

export const DOMAIN = 'example.com';
export const PASSWORD = 'secret';
export const userName = (i) => `u${String(i).padStart(7, '0')}`;

class UdpClient {
  static async open(port) {
    const client = new UdpClient();
    client.inbox = new Inbox('udp');
    client.socket = dgram.createSocket('udp4');
    client.socket.on('message', (data) => client.inbox.push(data.toString('latin1')));
    await new Promise((resolve) => client.socket.bind(0, '127.0.0.1', resolve));
    await new Promise((resolve) => client.socket.connect(port, '127.0.0.1', resolve));
    client.port = client.socket.address().port;
    return client;
  }

  send(text) {
    this.socket.send(text);
  }

  async nextResponse(ms) {
    return parseResponse(await this.inbox.next(ms));
  }

  close() {
    this.socket.close();
  }
}

const ANSWER_MS = 30000; // valgrind makes a server fifty times slower

export class Registrant {
  /** `kind`: udp, ws or wss, on `port`. */
  static async open(kind, port) {
    const registrant = new Registrant();
    registrant.isWeb = kind !== 'udp';
    registrant.client = registrant.isWeb ? await LightWsClient.open(port, { kind }) : await UdpClient.open(port);
    registrant.kind = kind;
    registrant.port = port;
    registrant.sent = 0;
    return registrant;
  }

  close() {
    this.client.close();
  }

  /** One client's registration: what stays the same from one REGISTER to the next. */
  dialog(i, callId = 0) {
    const user = userName(i);
    const host = this.isWeb ? 'b4k9q2m7x1z5.invalid' : `127.0.0.1:${this.client.port}`;
    const instance = `"<urn:uuid:5f9b2a44-0d3e-4c8a-9b1e-${String(i).padStart(12, '0')}>"`;
    const contact = this.isWeb
      ? `<sip:k3n8v2p6@${host};transport=ws>;+sip.ice;reg-id=1;+sip.instance=${instance};expires=600`
      : `<sip:${user}@${host};transport=udp>;expires=600`;
    return { user, host, contact, callId: `c${String(callId).padStart(9, '0')}d${String(i).padStart(9, '0')}`, cseq: 1000000, nc: 0 };
  }

  text(dialog, authorization) {
    const { user, host, contact, callId } = dialog;
    const branch = `z9hG4bK${String(++this.sent).padStart(10, '0')}`;
    const lines = [
      `REGISTER sip:${DOMAIN} SIP/2.0`,
      `Via: SIP/2.0/${this.kind.toUpperCase()} ${host};branch=${branch}${this.isWeb ? '' : ';rport'}`,
      'Max-Forwards: 69',
      `To: <sip:${user}@${DOMAIN}>`,
      `From: "${user}" <sip:${user}@${DOMAIN}>;tag=a1b2c3d4e5`,
      `Call-ID: ${callId}`,
      `CSeq: ${++dialog.cseq} REGISTER`,
      ...(authorization ? [`Authorization: ${authorization}`] : []),
      `Contact: ${contact}`,
      'Expires: 600',
      'Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY',
      'Supported: path,gruu,outbound',
      'User-Agent: aorta bench 1.0',
      'Content-Length: 0',
    ];
    return `${lines.join('\r\n')}\r\n\r\n`;
  }

  async ask(dialog, isProven) {
    this.client.send(this.text(dialog, isProven ? this.proof(dialog) : ''));
    const response = await this.client.nextResponse(ANSWER_MS);
    assert.equal(response.get('CSeq'), `${dialog.cseq} REGISTER`, response.text);
    assert.equal(response.get('Call-ID'), dialog.callId, response.text);
    if (response.status === 200) assert.ok(response.contacts[0].expires > 0, response.text);
    return response;
  }

  proof(dialog) {
    const nc = ++dialog.nc;
    return credentials(dialog.challenge, { uri: `sip:${DOMAIN}`, user: dialog.user, password: PASSWORD, nc, cnonce: 'c0ffee00c0ffee00' });
  }

  /** 401 and 200, as whoever is new. */
  async register(dialog) {
    const refused = await this.ask(dialog, false);
    assert.equal(refused.status, 401, refused.text);
    dialog.challenge = challenges(refused).at(-1);
    dialog.nc = 0;
    const granted = await this.ask(dialog, true);
    assert.equal(granted.status, 200, granted.text);
  }

  /** 200, with the nonce from before, or without credentials. */
  async refresh(dialog, { isProven = true } = {}) {
    const granted = await this.ask(dialog, isProven);
    assert.equal(granted.status, 200, granted.text);
  }
}
