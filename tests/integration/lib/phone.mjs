// A user agent of one user over one transport: builds its REGISTERs, answers a challenge.
import { DOMAIN, PASSWORD } from './server.mjs';
import { openClient } from './clients.mjs';
import { SipRequest, assertAnswers, challenges, credentials, token } from './sip.mjs';

export class Phone {
  /** `client` is a transport to share; without it the phone opens its own of `kind`. */
  static async open(server, kind, { user = 'alice', domain = DOMAIN, password = PASSWORD[user], client, ...rest } = {}) {
    const phone = new Phone();
    phone.user = user;
    phone.domain = domain;
    phone.password = password;
    phone.client = client ?? (await openClient(server, kind, rest));
    phone.kind = kind;
    phone.callId = token();
    phone.fromTag = token(4);
    phone.cseq = 0;
    phone.isWeb = kind.startsWith('ws');
    phone.name = phone.isWeb ? token(4) : user;
    phone.host = phone.isWeb ? `${token(6).replace(/^\d/, 'x')}.invalid` : `${phone.client.host}:${phone.client.localPort}`;
    return phone;
  }

  get aor() {
    return `sip:${this.user}@${this.domain}`;
  }

  get uri() {
    const transport = this.isWeb ? 'ws' : this.kind;
    return `sip:${this.name}@${this.host};transport=${transport}`;
  }

  get contact() {
    return `<${this.uri}>`;
  }

  get via() {
    return `SIP/2.0/${this.kind.toUpperCase()} ${this.host};branch=z9hG4bK${token()}${this.isWeb ? '' : ';rport'}`;
  }

  /** A REGISTER. `contact` may be a list, or null for none; `headers` are added at the end. */
  build({ contact = this.contact, expires, cseq = ++this.cseq, callId = this.callId, headers = [], method = 'REGISTER', to = this.aor } = {}) {
    const contacts = contact === null ? [] : [contact].flat();
    return new SipRequest(`${method} sip:${this.domain} SIP/2.0`, [
      ['Via', this.via],
      ['Max-Forwards', '70'],
      ['From', `<${this.aor}>;tag=${this.fromTag}`],
      ['To', `<${to}>`],
      ['Call-ID', callId],
      ['CSeq', `${cseq} ${method}`],
      ...contacts.map((value) => ['Contact', value]),
      ...(expires === undefined ? [] : [['Expires', String(expires)]]),
      ...headers,
    ]);
  }

  /** Sends it as it stands and returns its answer, which must belong to it. */
  async send(request) {
    this.client.send(request.toString());
    const response = await this.client.nextResponse();
    assertAnswers(request, response);
    return response;
  }

  /** The same request once more, with credentials for `challenge`, a fresh branch and the next CSeq. */
  authorized(request, challenge, options = {}) {
    const again = new SipRequest(request.line, [...request.headers], request.body);
    this.cseq = Number.parseInt(request.get('CSeq'), 10) + 1;
    again.set('Via', this.via).set('CSeq', `${this.cseq} ${request.method}`);
    return again.set('Authorization', this.credentials(challenge, { uri: request.uri, ...options }));
  }

  credentials(challenge, options = {}) {
    return credentials(challenge, { user: this.user, password: this.password, uri: `sip:${this.domain}`, ...options });
  }

  /** Registers as a client does: asked for credentials, it gives them once. */
  async register(options = {}) {
    const request = this.build(options);
    const response = await this.send(request);
    if (response.status !== 401) return response;
    return this.send(this.authorized(request, await this.lastChallenge(response), options.digest));
  }

  /** A challenge for this connection, got by a fetch without credentials. */
  async challenge() {
    return this.lastChallenge(await this.send(this.build({ contact: null })));
  }

  lastChallenge(response) {
    return challenges(response).at(-1);
  }

  unregister() {
    return this.register({ contact: '*', expires: 0 });
  }

  close() {
    return this.client.close();
  }
}

/** Opens one for test `t`, which closes it. */
export async function openPhone(t, server, kind, options) {
  const phone = await Phone.open(server, kind, options);
  t.after(() => phone.close());
  return phone;
}
