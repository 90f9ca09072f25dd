// What is out of order at the moment, and until when it may still be felt. Names: "store", "callback".
export class Trouble {
  constructor() {
    this.under = new Map(); // name: how many
    this.feltUntil = new Map();
  }

  begin(name) {
    this.under.set(name, (this.under.get(name) ?? 0) + 1);
  }

  /** It is over, and may be felt for `ms` more. */
  end(name, ms) {
    this.under.set(name, this.under.get(name) - 1);
    this.feltUntil.set(name, Math.max(this.feltUntil.get(name) ?? 0, Date.now() + ms));
  }

  isOn(name) {
    return (this.under.get(name) ?? 0) > 0 || (this.feltUntil.get(name) ?? 0) > Date.now();
  }

  /** Was it on at any time from `start` on? */
  touched(name, start) {
    return this.isOn(name) || (this.feltUntil.get(name) ?? 0) >= start;
  }
}
