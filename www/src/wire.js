// The WebSocket as JsSIP uses it, with an ear at the line and a watch in the hand.
import JsSIP from 'jssip';

const PING = '\r\n\r\n'; /* RFC 5626 4.4.1: a double CRLF is answered by one CRLF */
const PONG = '\r\n';

/** Calls heard('out' | 'in', text) for everything that crosses the socket but ping()s, and
 * measured('open' | 'ping', ms) for what took how long. */
export class TappedSocket extends JsSIP.WebSocketInterface {
  #heard;
  #measured;
  #handle = () => {};
  #handleOpen = () => {};
  #decoder = new TextDecoder();
  #startedAt = 0;
  #pingedAt = null; /* no answer to it yet */

  constructor(url, heard, measured) {
    super(url);
    this.#heard = heard;
    this.#measured = measured;
  }

  connect() {
    this.#startedAt = performance.now();
    this.#pingedAt = null;
    super.connect();
    /* JsSIP is silent where the browser forbids the socket outright (ws: on an https: page). */
    if (!this.isConnecting() && !this.isConnected())
      queueMicrotask(() => this.ondisconnect(true, 1006, ''));
  }

  send(message) {
    const sent = super.send(message);
    if (sent)
      this.#heard('out', message);
    return sent;
  }

  /** Asks for a sign of life, one at a time. */
  ping() {
    if (this.#pingedAt !== null || !this.isConnected())
      return;
    this.#pingedAt = performance.now();
    super.send(PING);
  }

  get onconnect() {
    return this.#handleOpen;
  }

  set onconnect(handle) {
    this.#handleOpen = () => {
      this.#measured('open', performance.now() - this.#startedAt);
      handle();
    };
  }

  get ondata() {
    return this.#handle;
  }

  set ondata(handle) {
    this.#handle = (data) => {
      const text = typeof data === 'string' ? data : this.#decoder.decode(data);
      if (text === PONG && this.#pingedAt !== null)
        return this.#pong();
      this.#heard('in', text);
      handle(data);
    };
  }

  #pong() {
    this.#measured('ping', performance.now() - this.#pingedAt);
    this.#pingedAt = null;
  }
}
