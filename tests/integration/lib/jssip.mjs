// The real JsSIP as a client of a server under test.
import { once } from 'node:events';
import './browser_socket.mjs';
import JsSIP from 'jssip';
import { within } from './expect.mjs';
import { DOMAIN, PASSWORD } from './server.mjs';

export { JsSIP };

/** A user agent of alice for test `t`, which stops it. */
export function startUa(t, server, kind, options = {}) {
  const socket = new JsSIP.WebSocketInterface(`${kind}://127.0.0.1:${server.port[kind]}`);
  const ua = new JsSIP.UA({
    sockets: [socket],
    uri: `sip:alice@${DOMAIN}`,
    password: PASSWORD.alice,
    connection_recovery_min_interval: 1,
    ...options,
  });
  t.after(() => ua.stop());
  ua.start();
  return ua;
}

/** The next `event` of the user agent; any failure to register ends the waiting. */
export async function next(ua, event, ms = 8000) {
  const wait = new AbortController();
  const failure = once(ua, 'registrationFailed', { signal: wait.signal }).then(([e]) => {
    throw new Error(`registration failed: ${e.cause} ${e.response?.status_code}`);
  });
  const races = event === 'registrationFailed' ? [] : [failure];
  try {
    const [detail] = await within(ms, `JsSIP ${event}`, Promise.race([once(ua, event, { signal: wait.signal }), ...races]));
    return detail;
  } finally {
    failure.catch(() => {});
    wait.abort();
  }
}
