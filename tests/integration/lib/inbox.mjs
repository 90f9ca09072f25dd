// What has arrived and nobody has asked for yet. Once closed, waiting fails with the cause.
import { within } from './expect.mjs';

export class Inbox {
  constructor(what) {
    this.what = what;
    this.items = [];
    this.waiting = [];
    this.isClosed = false;
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
  }

  push(item) {
    const waiter = this.waiting.shift();
    if (waiter) waiter.resolve(item);
    else this.items.push(item);
  }

  /** `cause` is anything that tells how it ended, a close code say. */
  close(cause) {
    if (this.isClosed) return;
    this.isClosed = true;
    this.resolveClosed(cause);
    const error = new Error(`${this.what}: closed (${JSON.stringify(cause)}) while an answer was due`);
    this.waiting.splice(0).forEach((waiter) => waiter.reject(error));
  }

  next(ms = 5000) {
    if (this.items.length) return Promise.resolve(this.items.shift());
    if (this.isClosed) return Promise.reject(new Error(`${this.what}: already closed`));
    let waiter;
    const arrival = new Promise((resolve, reject) => {
      waiter = { resolve, reject };
      this.waiting.push(waiter);
    });
    return within(ms, `${this.what}: an answer`, arrival).finally(() => {
      this.waiting = this.waiting.filter((other) => other !== waiter);
    });
  }
}
