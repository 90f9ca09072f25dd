// The WebSocket as JsSIP uses it, with an ear at the line.
import JsSIP from 'jssip';

/** Calls heard('out' | 'in', text) for everything that crosses the socket. */
export class TappedSocket extends JsSIP.WebSocketInterface {
  #heard;
  #handle = () => {};
  #decoder = new TextDecoder();

  constructor(url, heard) {
    super(url);
    this.#heard = heard;
  }

  connect() {
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

  get ondata() {
    return this.#handle;
  }

  set ondata(handle) {
    this.#handle = (data) => {
      this.#heard('in', typeof data === 'string' ? data : this.#decoder.decode(data));
      handle(data);
    };
  }
}
