// What must be in the store, what may be, and what must not, by what the clients were told. Times are
// arguments (ms); nothing here waits or asks anybody.
//
// An entry is one contact of one AOR. It `must` be stored until `mustUntil`, and may be until
// `mayUntil`; while a request about it is under way (`flux`) nothing is asked of it. What a request
// came to can remain unknown (it met another one of the same AOR, or its answer never came): then the
// entry may be there, and need not, until the next answer settles it.

const HISTORY = 100; // lines for an entry, and as many for its AOR

export class Model {
  /** `graceMs` and `maxContacts` as configured; `slackMs`: how much later than due a timer of the
   * server may act. */
  constructor({ graceMs, maxContacts, slackMs }) {
    Object.assign(this, { graceMs, maxContacts, slackMs });
    this.aors = new Map();
    this.violations = [];
    this.checked = 0;
  }

  aor(name) {
    if (!this.aors.has(name)) this.aors.set(name, { name, entries: new Map(), active: new Set(), broadEnd: -1, history: [] });
    return this.aors.get(name);
  }

  entry(aorName, uri) {
    const { entries } = this.aor(aorName);
    if (!entries.has(uri))
      entries.set(uri, { aor: aorName, uri, must: false, mustUntil: 0, mayUntil: 0, expiresUntil: 0, isOrphan: false, flux: 0, version: 0, touched: -1, refreshed: [0, 0], history: [] });
    return entries.get(uri);
  }

  /** Nobody asks of what is gone for long. */
  forget(now) {
    for (const { entries } of this.aors.values())
      for (const [uri, entry] of entries) if (!entry.must && entry.flux === 0 && entry.mayUntil < now - 60000) entries.delete(uri);
  }

  violation(now, what, entry) {
    this.violations.push({ now, what, entry, history: entry ? [...entry.history, '--', ...this.aor(entry.aor).history] : [] });
  }

  note(entry, now, what) {
    entry.version++;
    for (const history of [entry.history, this.aor(entry.aor).history]) {
      history.push(`${now} ${entry.uri}: ${what}`);
      if (history.length > HISTORY) history.shift();
    }
  }

  // ---- Requests ----------------------------------------------------------------------------------

  /** A request is sent. `uri`: the contact that it is about; `replaces`: URIs that it takes the place
   * of (one instance); `isBroad`: it may remove what others have registered ("*", or too many). */
  begin(now, { aor: name, kind, uri, replaces = [], isBroad = false }) {
    const aor = this.aor(name);
    isBroad ||= uri !== undefined && this.isFull(now, aor, uri);
    const op = { aor: name, kind, uri, isBroad, start: now, isContested: false };
    for (const other of aor.active) {
      other.isContested ||= isBroad;
      op.isContested ||= other.isBroad;
    }
    aor.active.add(op);
    op.touches = [uri, ...replaces].filter((touched) => touched !== undefined).map((touched) => this.entry(name, touched));
    op.replaced = op.touches.slice(uri === undefined ? 0 : 1);
    for (const entry of op.touches) {
      entry.flux++;
      this.note(entry, now, `${kind} sent`);
    }
    return op;
  }

  /** May one contact more push another one out? */
  isFull(now, aor, uri) {
    const there = [...aor.entries.values()].filter((entry) => entry.must || entry.flux > 0 || entry.mayUntil > now);
    const isNew = !there.some((entry) => entry.uri === uri && entry.must);
    return isNew && there.length + 1 > this.maxContacts;
  }

  mayBeStored(now, aor, uri) {
    const entry = this.aor(aor).entries.get(uri);
    return entry !== undefined && (entry.must || entry.flux > 0 || entry.mayUntil > now);
  }

  end(now, op) {
    const aor = this.aor(op.aor);
    aor.active.delete(op);
    if (op.isBroad) aor.broadEnd = now;
    for (const entry of op.touches) {
      entry.flux--;
      entry.touched = now;
    }
  }

  /** 200 to a registration. `listed`: the URIs in it; `isListSure`: the store was well all the time;
   * `holder`: who keeps it. */
  granted(now, op, { expiresS, listed, isListSure, holder }) {
    this.end(now, op);
    const [own] = op.touches;
    own.must = !op.isContested;
    own.mustUntil = op.start + expiresS * 1000;
    own.mayUntil = own.expiresUntil = now + expiresS * 1000 + this.graceMs + this.slackMs;
    own.refreshed = [op.start, now];
    own.holder = holder;
    own.deathMs = 0;
    own.isOrphan = false;
    this.note(own, now, `200 to ${op.kind}, ${expiresS} s${op.isContested ? ', contested' : ''}`);
    for (const entry of op.replaced) this.absent(now, entry, `replaced by ${own.uri}`, op);
    if (isListSure && !listed.includes(own.uri)) this.violation(now, 'a 200 does not list the contact that it is for', own);
    this.compareList(now, op, listed, isListSure);
  }

  /** The other bindings of the AOR, as a 200 lists them. */
  compareList(now, op, listed, isListSure) {
    const { entries, active } = this.aor(op.aor);
    const others = [...entries.values()].filter((entry) => !op.touches.includes(entry));
    const isAlone = active.size === 0 && !op.isContested;
    isListSure &&= !op.isContested && ![...active].some(({ isBroad }) => isBroad);
    for (const entry of others) {
      const isSettled = entry.flux === 0 && entry.touched < op.start;
      const isListed = listed.includes(entry.uri);
      if (isListSure && isSettled && entry.must && entry.mustUntil > now && !isListed) {
        if (listed.length >= this.maxContacts) {
          this.evicted(now, entry, listed, entries, isAlone);
          continue;
        }
        this.violation(now, `a 200 to ${op.kind} of another contact does not list it`, entry);
      } else if (isSettled && entry.mayUntil < op.start && isListed && isListSure) {
        this.violation(now, `a 200 to ${op.kind} of another contact still lists it`, entry);
      } else if (!isListed && !entry.flux && entry.must && (op.isBroad || op.isContested || active.size > 0)) {
        entry.must = false;
        this.note(entry, now, 'perhaps evicted');
      }
    }
    if (!isListSure) return;
    for (const uri of listed)
      if (!entries.has(uri)) this.violation(now, `a 200 of ${op.aor} lists ${uri}, which nobody registered`);
  }

  /** SPEC 2, registrar.overflow: the one that was refreshed longest ago. */
  evicted(now, entry, listed, entries, isAlone) {
    const older = listed.map((uri) => entries.get(uri)).find((other) => other && other.flux === 0 && other.must && other.refreshed[1] < entry.refreshed[0]);
    if (isAlone && older) this.violation(now, `evicted, although ${older.uri} was refreshed longer ago`, entry);
    entry.must = false;
    entry.mayUntil = isAlone ? now : entry.mayUntil;
    this.note(entry, now, 'evicted');
  }

  absent(now, entry, why, op) {
    entry.must = false;
    if (!op?.isContested) entry.mayUntil = now;
    this.note(entry, now, `gone: ${why}`);
  }

  /** 200 to the removal of the request's own contact. */
  removed(now, op) {
    this.end(now, op);
    for (const entry of op.touches) this.absent(now, entry, 'removed');
  }

  /** 200 to "*": all that were not touched meanwhile are gone. */
  removedAll(now, op) {
    this.end(now, op);
    for (const entry of this.aor(op.aor).entries.values()) {
      const isSettled = entry.flux === 0 && (entry.touched < op.start || op.touches.includes(entry));
      if (isSettled) this.absent(now, entry, 'removed with all');
      else entry.must = false;
    }
  }

  /** Refused: all is as it was. `mayBeUndone`: the store may have carried it out unheard, which is undone later;
   * but whose binding at another node it replaced has none until he asks again. */
  refused(now, op, status, mayBeUndone = false) {
    this.end(now, op);
    if (mayBeUndone) for (const entry of op.replaced) entry.must = false;
    for (const entry of op.touches) {
      if (op.isContested) entry.must = false;
      this.note(entry, now, `${status} to ${op.kind}`);
    }
  }

  /** 503 to a removal while the store was away: it is made up for. */
  removedLater(now, op) {
    this.end(now, op);
    const meant = op.kind === '*' ? [...this.aor(op.aor).entries.values()] : op.touches;
    for (const entry of meant) {
      const isSettled = entry.flux === 0 && (entry.touched < op.start || op.touches.includes(entry));
      entry.must = false;
      if (isSettled) entry.mayUntil = now;
      this.note(entry, now, `503 to ${op.kind}, to be made up for`);
    }
  }

  /** No answer, or one that leaves it open. `expiresS`: the longest that it can stay. */
  unknown(now, op, why, expiresS = 3600) {
    this.end(now, op);
    const meant = op.isBroad ? [...this.aor(op.aor).entries.values()].filter((entry) => entry.must || op.touches.includes(entry)) : op.touches;
    for (const entry of meant) {
      entry.must = false;
      if (op.touches.includes(entry)) entry.mayUntil = Math.max(entry.mayUntil, now + expiresS * 1000 + this.graceMs + this.slackMs);
      this.note(entry, now, `${op.kind}: ${why}`);
    }
  }

  // ---- What happens without a request --------------------------------------------------------------

  /** The connection that carried it is gone since `now`; the store may take `ms` to hear of it. */
  flowDied(now, aor, uri, ms, how) {
    const entry = this.entry(aor, uri);
    entry.must = false;
    entry.mayUntil = Math.min(entry.mayUntil, now + ms);
    entry.deathMs = ms;
    this.note(entry, now, `flow died: ${how}`);
  }

  /** Its peer stopped answering: found out not before `mustMs` and not after `mayMs`. */
  flowMuted(now, aor, uri, mustMs, mayMs) {
    const entry = this.entry(aor, uri);
    entry.mustUntil = Math.min(entry.mustUntil, now + mustMs);
    entry.mayUntil = Math.min(entry.mayUntil, now + mayMs);
    this.note(entry, now, 'silent');
  }

  /** `change(entry)` for all of them; it returns what to note, if it did anything. */
  each(now, change) {
    for (const { entries } of this.aors.values())
      for (const entry of entries.values()) {
        const what = change(entry);
        if (what) this.note(entry, now, what);
      }
  }

  // ---- The store ---------------------------------------------------------------------------------

  versions() {
    const versions = new Map();
    for (const { entries } of this.aors.values()) for (const entry of entries.values()) versions.set(entry, entry.version);
    return versions;
  }

  /** `stored`: what was read between `from` and `to`, {where, pairs: [aor, uri]}; `before`: versions()
   * before it. */
  compareStore(from, to, { where, pairs }, before) {
    // An orphan that has expired is nobody's to take out of Redis until its AOR is next written: readers leave it
    // out (README), and so does every answer. One that was removed or taken over must go as everybody else.
    const mayStand = ({ isOrphan, mayUntil, expiresUntil }) => isOrphan && where === 'redis' && mayUntil === expiresUntil;
    const there = new Set(pairs.map(([aor, uri]) => `${aor} ${uri}`));
    this.checked++;
    for (const entry of before.keys()) {
      const isStored = there.delete(`${entry.aor} ${entry.uri}`);
      if (entry.flux > 0 || before.get(entry) !== entry.version) continue;
      const aor = this.aor(entry.aor);
      const mayJustGo = aor.broadEnd >= from || [...aor.active].some(({ isBroad }) => isBroad);
      if (entry.must && entry.mustUntil > to && !isStored && !mayJustGo) {
        this.violation(to, `not in the store, says ${where} (read from ${from} to ${to})`, entry);
        entry.must = false; // told once
      } else if (isStored && entry.mayUntil < from && !mayStand(entry)) {
        this.violation(to, `still in the store, says ${where}, ${from - entry.mayUntil} ms after it should have gone`, entry);
        entry.mayUntil = to + 600000;
      }
    }
    for (const pair of there) {
      const [aor, uri] = pair.split(' ');
      if (!this.aor(aor).entries.has(uri)) this.violation(to, `in the store, says ${where}, but nobody registered it: ${pair}`);
    }
  }
}
