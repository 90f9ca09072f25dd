// SIP messages as text: what to show of them, and what never to show.

const SECRETS = /\b(response|nonce|cnonce|nextnonce|rspauth)(\s*=\s*)("[^"]*"|[^\s",;]+)/gi;
const BEARER = /^((?:Proxy-)?Authorization\s*:\s*Bearer\s+).+$/gim;

/** The message with everything in it masked that could help somebody else to sign in. */
export function maskSecrets(text) {
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? text : text.slice(0, end);
  const masked = head.replace(BEARER, '$1***').replace(SECRETS, '$1$2"***"');
  return masked + text.slice(head.length);
}

/** All values of a header field, in order. Names are compared without case. */
export function headers(text, name) {
  const [head] = text.split('\r\n\r\n', 1);
  return head
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(/\s*:\s*(.*)/s))
    .filter(([key]) => key.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
}

/** One line for a list: { what: "REGISTER sip:localhost", more: "CSeq 2, signed" }. */
export function summarize(text) {
  if (text.trim() === '')
    return { what: 'keep-alive', more: '' };
  const [first] = text.split('\r\n', 1);
  const cseq = headers(text, 'CSeq')[0]?.split(' ')[0];
  const more = [
    cseq && `CSeq ${cseq}`,
    headers(text, 'Authorization').length > 0 && 'with credentials',
    headers(text, 'Expires')[0] === '0' && 'removes',
  ];
  return {
    what: first.replace(/^SIP\/2\.0 /, '').replace(/ SIP\/2\.0$/, ''),
    more: more.filter(Boolean).join(', '),
  };
}
