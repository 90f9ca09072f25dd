// The softphone: one JsSIP user agent at a time, and its state in words.
import JsSIP from 'jssip';
import { headers } from './message.js';
import { TappedSocket } from './wire.js';
import { clock, refusal } from './words.js';

const NO_ANSWER_MS = 10_000;
const GOODBYE_MS = 2_000;
const EXPIRES_S = 600;
const PING_MS = 10_000;

/** The address of record as JsSIP wants it, or null if no SIP URI can be made of it. */
export function sipUri(user, domain) {
  try {
    return JsSIP.URI.parse(new JsSIP.URI('sip', user, domain).toString())?.toString() ?? null;
  } catch {
    return null;
  }
}

/** onState({ name, tone, text }) is called at every change of state, name being one of idle,
 * connecting, registered, lost, refused and failed; onMessage(direction, text) for every message;
 * onFigures(figures) whenever one changes: { server, openMs, registerMs, pingMs, grantedS, validUntil },
 * each null until it is known, and null in place of all while there is no connection. */
export class Phone {
  #ua = null; /* null unless it connects, is registered or reconnects */
  #account = null;
  #state = null;
  #deadline = null;
  #validUntil = null;
  #turn = 0;
  #figures = null;
  #asked = new Map(); /* CSeq of a REGISTER → when it was sent */
  #socket = null; /* of the user agent */
  #pings = null;
  #instanceId;
  #onState;
  #onMessage;
  #onFigures;

  constructor({ instanceId, onState, onMessage, onFigures }) {
    this.#instanceId = instanceId;
    this.#onState = onState;
    this.#onMessage = onMessage;
    this.#onFigures = onFigures;
    this.#setState('idle', 'quiet', 'Not registered');
  }

  /** account: { server, uri, aor, password }. Takes the place of any registration there is. */
  async register(account) {
    const turn = ++this.#turn;
    this.#setState('connecting', 'busy', 'Connecting…');
    await this.#hangUp();
    if (turn === this.#turn)
      this.#dial(account);
  }

  async unregister() {
    const turn = ++this.#turn;
    await this.#hangUp();
    if (turn === this.#turn)
      this.#setState('idle', 'quiet', 'Not registered');
  }

  /** The page goes away: there is no time for an answer. */
  leave() {
    this.#turn++;
    this.#take()?.stop();
    this.#setState('idle', 'quiet', 'Not registered');
  }

  #setState(name, tone, text) {
    this.#state = name;
    this.#onState({ name, tone, text });
  }

  #dial(account) {
    this.#account = account;
    this.#validUntil = null;
    try {
      this.#ua = this.#createAgent(account);
    } catch (error) {
      return this.#fail(error.message); /* JsSIP is stricter than we are */
    }
    this.#listen(this.#ua);
    this.#expectAnswer();
    this.#ua.start();
  }

  #createAgent({ server, uri, password }) {
    const socket = new TappedSocket(
      server,
      (direction, text) => this.#hear(direction, text),
      (what, ms) => socket === this.#socket && this.#measured(what, ms),
    );
    this.#socket = socket;
    return new JsSIP.UA({
      sockets: [socket],
      uri,
      password,
      instance_id: this.#instanceId,
      register_expires: EXPIRES_S,
      user_agent: `aorta page, JsSIP ${JsSIP.version}`,
    });
  }

  #listen(ua) {
    let connected = false;
    /* A user agent that was let go still talks: only the current one is listened to. */
    const on = (event, react) => ua.on(event, (data) => ua === this.#ua && react(data));
    on('connected', () => {
      connected = true;
      this.#expectAnswer();
    });
    on('disconnected', () => this.#disconnected(connected));
    on('registered', () => this.#registered());
    on('registrationFailed', (failure) => this.#refused(failure));
  }

  #measured(what, ms) {
    if (what === 'open') {
      this.#figures = null;
      this.#asked.clear();
    }
    this.#tell({ [`${what}Ms`]: ms });
  }

  #tell(some) {
    if (!this.#ua)
      return; /* an answer on the heels of a goodbye */
    const none = { openMs: null, registerMs: null, pingMs: null, grantedS: null, validUntil: null };
    this.#figures = { ...none, ...this.#figures, server: this.#account.server, ...some };
    this.#onFigures(this.#figures);
  }

  #forgetFigures() {
    clearInterval(this.#pings);
    this.#figures = null;
    this.#asked.clear();
    this.#onFigures(null);
  }

  #startPings() {
    clearInterval(this.#pings);
    this.#pings = setInterval(() => this.#socket?.ping(), PING_MS);
    this.#socket?.ping();
  }

  /* How long the answer took to a REGISTER with this CSeq, or null. */
  #clockRegister(direction, text) {
    const [cseq, method] = (headers(text, 'CSeq')[0] ?? '').split(/\s+/);
    if (method !== 'REGISTER')
      return null;
    if (direction === 'out') {
      this.#asked.set(cseq, performance.now());
      return null;
    }
    const since = this.#asked.get(cseq);
    this.#asked.delete(cseq);
    return since === undefined ? null : performance.now() - since;
  }

  #hear(direction, text) {
    const registerMs = this.#clockRegister(direction, text);
    this.#onMessage(direction, text);
    const seconds = direction === 'in' ? this.#grantedSeconds(text) : null;
    if (seconds === null)
      return;
    this.#validUntil = Date.now() + seconds * 1000;
    this.#tell({ registerMs, grantedS: seconds, validUntil: this.#validUntil });
    /* JsSIP has an event for the first 200 only, none for those of its refreshes. */
    if (this.#state === 'registered')
      this.#registered();
  }

  /* What a 200 to a REGISTER grants to this very tab, or null. */
  #grantedSeconds(text) {
    if (!/^SIP\/2\.0 2\d\d /.test(text) || !/ REGISTER$/.test(headers(text, 'CSeq')[0] ?? ''))
      return null;
    const contacts = headers(text, 'Contact').flatMap((value) => {
      const parsed = JsSIP.Grammar.parse(value, 'Contact');
      return parsed === -1 ? [] : parsed.map((entry) => entry.parsed);
    });
    const instance = `"<urn:uuid:${this.#instanceId}>"`;
    const mine = contacts.find((contact) => contact.getParam('+sip.instance') === instance);
    const seconds = Number(mine?.getParam('expires') ?? headers(text, 'Expires')[0]);
    return mine && seconds > 0 ? seconds : null;
  }

  #registered() {
    const until = this.#validUntil;
    this.#setState(
      'registered',
      'good',
      `Registered as ${this.#account.aor}${until ? ` until ${clock(until)}` : ''}`,
    );
    this.#startPings();
    if (until)
      this.#arm(until - Date.now(), () => this.#fail(`the registration ran out at ${clock(until)}`));
    else
      this.#disarm();
  }

  #disconnected(connected) {
    const { server } = this.#account;
    if (this.#state === 'registered' || this.#state === 'lost') {
      this.#disarm();
      this.#forgetFigures();
      if (this.#state !== 'lost')
        this.#setState('lost', 'bad', 'Failed: connection lost, reconnecting…');
    } else if (connected) {
      this.#fail('the server closed the connection');
    } else {
      this.#fail(
        `no WebSocket connection to ${server} (is the address right, is the certificate accepted?)`,
      );
    }
  }

  #refused({ response, cause }) {
    if (cause === JsSIP.C.causes.CONNECTION_ERROR)
      return; /* "disconnected" follows, and knows more */
    if (!response)
      this.#fail('no answer from the server');
    else
      this.#end('refused', describe(response));
  }

  #fail(why) {
    this.#end('failed', `Failed: ${why}`);
  }

  #end(name, text) {
    const ua = this.#take();
    this.#setState(name, 'bad', text);
    /* Later, because JsSIP is in the middle of telling us. */
    queueMicrotask(() => drop(ua));
  }

  #expectAnswer() {
    this.#arm(NO_ANSWER_MS, () => this.#fail('no answer from the server within 10 seconds'));
  }

  #arm(ms, react) {
    this.#disarm();
    this.#deadline = setTimeout(react, ms);
  }

  #disarm() {
    clearTimeout(this.#deadline);
  }

  #take() {
    const ua = this.#ua;
    this.#ua = null;
    this.#socket = null;
    this.#disarm();
    this.#forgetFigures();
    return ua;
  }

  /* The registration has to be gone before another of this tab's begins: both have the same instance. */
  async #hangUp() {
    const ua = this.#take();
    if (!ua)
      return;
    if (ua.isRegistered()) {
      const gone = new Promise((resolve) => ua.once('unregistered', resolve));
      ua.unregister();
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, GOODBYE_MS))]);
    }
    drop(ua);
  }
}

function describe(response) {
  return refusal(response.status_code, response.reason_phrase, response.getHeader('Retry-After'));
}

/* stop() alone would keep the connection for two seconds while a request is under way. */
function drop(ua) {
  ua?.stop();
  ua?.transport.disconnect();
}
