// Many phones that share a few UDP sockets: answers are told apart by Call-ID and CSeq, and what is
// not answered is sent again (RFC 3261 17.1.2), so that a full socket buffer is no lost client.
import { UdpClient } from './clients.mjs';
import { within } from './expect.mjs';
import { Phone } from './phone.mjs';
import { DOMAIN } from './server.mjs';
import { parseResponse } from './sip.mjs';

const RESEND_MS = [500, 1000, 2000, 4000];
const header = (text, name) => new RegExp(`\r\n${name}: *([^\r]*)`, 'i').exec(text)?.[1];
const keyOf = (text) => `${header(text, 'Call-ID')} ${header(text, 'CSeq')}`;

/** A UDP socket for several phones. */
export class SharedUdp {
  static async open(server) {
    const shared = new SharedUdp();
    shared.udp = await UdpClient.open(server.port.udp);
    shared.waiting = new Map();
    shared.udp.inbox.push = (text) => shared.take(text);
    return shared;
  }

  take(text) {
    const key = keyOf(text);
    this.waiting.get(key)?.resolve(text);
    this.waiting.delete(key);
  }

  /** Sends it until there is an answer, which it returns. */
  async ask(text, ms) {
    const key = keyOf(text);
    const timers = RESEND_MS.map((wait) => setTimeout(() => this.udp.send(text), wait));
    const answer = new Promise((resolve, reject) => this.waiting.set(key, { resolve, reject }));
    this.udp.send(text);
    try {
      return await within(ms, `an answer to ${key}`, answer);
    } finally {
      timers.forEach(clearTimeout);
      this.waiting.delete(key);
    }
  }

  /** What a Phone needs of a client. */
  client() {
    let asked;
    return {
      host: this.udp.host,
      localPort: this.udp.localPort,
      send: (text) => {
        asked = text;
      },
      nextResponse: async (ms = 10000) => parseResponse(await this.ask(asked, ms)),
      close: () => {},
    };
  }

  /** Who still waits for an answer is told. */
  close() {
    this.udp.close();
    for (const { reject } of this.waiting.values()) reject(new Error('closed while an answer was due'));
  }
}

/** `count` phones over UDP, users u0, u1 … with password p; closed with test `t`. */
export async function openFleet(t, server, count, { sockets = 20, first = 0, domain = DOMAIN } = {}) {
  const shared = await Promise.all(Array.from({ length: Math.min(sockets, count) }, () => SharedUdp.open(server)));
  t.after(() => shared.forEach((socket) => socket.close()));
  return Promise.all(
    Array.from({ length: count }, (_, i) => {
      const client = shared[i % shared.length].client();
      return Phone.open(server, 'udp', { user: `u${first + i}`, domain, password: 'p', client });
    })
  );
}

/** The users file for them. */
export const fleetUsers = (count, domain = DOMAIN) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`u${i}@${domain}`, { password: 'p' }]));
