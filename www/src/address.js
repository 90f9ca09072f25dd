// What people type as their SIP address, taken apart. No JsSIP and no page in here.

/** "alice@example.com", "sip:alice@example.com:5060" or "alice" with a domain: { user, domain }.
 * Either is empty when it was not given. An address with an @ wins over the domain. */
export function parseAddress(address, domain) {
  const plain = address.trim().replace(/^<|>$/g, '').replace(/^sips?:/i, '').replace(/[;?].*$/, '');
  const at = plain.lastIndexOf('@');
  return {
    user: at < 0 ? plain : plain.slice(0, at),
    domain: hostOf(at < 0 ? domain : plain.slice(at + 1)),
  };
}

/* An address of record has no port (RFC 3261 10.2): only the host counts. */
function hostOf(text) {
  const host = text.trim().replace(/^sips?:/i, '');
  return host.replace(/(^\[[^\]]*\]|^[^:[\]]+):\d+$/, '$1').toLowerCase();
}

/** The WebSocket address that belongs to a page's own address. */
export function serverOf(pageUrl) {
  const url = new URL('.', pageUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** The WebSocket addresses among a node's listeners, as a page from pageUrl reaches them. Over plain http
 * those come first that need no certificate, which nobody could accept there. */
export function serversOf(listeners, pageUrl) {
  const page = new URL(pageUrl);
  const urls = listeners
    .filter((listener) => /^wss?:/.test(listener))
    .map((listener) => new URL(listener))
    .filter(({ search }) => !search); /* ?proxy= serves a proxy only */
  for (const url of urls)
    if (/^(0\.0\.0\.0|\[::\])$/.test(url.hostname))
      url.hostname = page.hostname;
  const first = page.protocol === 'https:' ? 'wss:' : 'ws:';
  return urls.sort((a, b) => (b.protocol === first) - (a.protocol === first)).map(({ href }) => href);
}

/** A WebSocket address as it should be written, or null. */
export function parseServer(text) {
  try {
    const url = new URL(text.trim());
    url.hash = '';
    return /^wss?:$/.test(url.protocol) && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}
