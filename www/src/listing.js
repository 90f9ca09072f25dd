// Registrations as loaded so far, page by page. No page in here.

export const MOST_LOADED = 5_000;
export const MOST_SHOWN = 300;

const byAddress = new Intl.Collator('en', { numeric: true }).compare; /* user9 before user10 */
const keyOf = ({ aor, contact, callId, instance }) => JSON.stringify([aor, contact, callId, instance]);

/** What /api/v1/registrations gave, each registration once. */
export class Listing {
  #rows = new Map();
  cursor = null; /* of the next page; null: there is none */

  get size() {
    return this.#rows.size;
  }

  get hasMore() {
    return this.cursor !== null && this.size < MOST_LOADED;
  }

  clear() {
    this.#rows.clear();
    this.cursor = null;
  }

  /* A store outside of the node may list one twice: the later is the newer. */
  add({ registrations, cursor }, at) {
    for (const registration of registrations)
      this.#rows.set(keyOf(registration), { ...registration, endsAt: at + registration.expiresIn * 1000 });
    this.cursor = cursor;
  }

  remove(aor) {
    for (const [key, row] of this.#rows)
      if (row.aor === aor)
        this.#rows.delete(key);
  }

  /** Those whose address holds the text, by address; with or without sip:, in any case. */
  find(text) {
    const wanted = text.trim().replace(/^sips?:/i, '').toLowerCase();
    return [...this.#rows.values()]
      .filter(({ aor }) => aor.toLowerCase().includes(wanted))
      .sort((a, b) => byAddress(a.aor, b.aor) || b.endsAt - a.endsAt);
  }
}

/** "sip:192.0.2.1:5060" → "192.0.2.1:5060". */
export const sourceOf = ({ proxy }) => (proxy ?? '').replace(/^sips?:/, '');
