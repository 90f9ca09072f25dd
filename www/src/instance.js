// Who this tab is. A reload keeps the id, so that the tab replaces its own binding (RFC 5626).

const KEY = 'aorta.instance';

/** Takes the id out of the tab's storage, or makes one. A duplicated tab gets a copy of the storage
 * and must not become the same device: so the id is there only between two pages of one tab. */
export function takeInstanceId(storage) {
  const id = storage.getItem(KEY) ?? newUuid();
  storage.removeItem(KEY);
  return id;
}

export function leaveInstanceId(storage, id) {
  storage.setItem(KEY, id);
}

/* crypto.randomUUID() is for secure contexts only, and the page may come over plain HTTP. */
function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; /* version 4 and variant 1 (RFC 9562 5.4) */
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
