// What the tester wants to know of his connection.
import { write } from './dom.js';
import { countdown, latency } from './words.js';

/** Returns { show(figures or null), setNode({ version, isOurs(server) }) }. */
export function createFigures(document) {
  const box = document.getElementById('figures');
  const tell = (name, text) => write(document.getElementById(`figure-${name}`), text);
  const orDash = (value, inWords) => (value === null ? '–' : inWords(value));
  let figures = null;
  let node = { version: '–', isOurs: () => false };

  function show(next) {
    figures = next;
    box.hidden = !figures;
    if (!figures)
      return;
    const { server, openMs, registerMs, pingMs, grantedS } = figures;
    tell('protocol', server.startsWith('wss:') ? 'WSS' : 'WS, not encrypted');
    tell('version', node.isOurs(server) ? `aorta ${node.version}` : 'another server');
    tell('open', orDash(openMs, latency));
    tell('register', orDash(registerMs, latency));
    tell('ping', orDash(pingMs, latency));
    tell('granted', orDash(grantedS, (seconds) => `${seconds} s`));
    tick();
  }

  function tick() {
    if (figures)
      tell('remaining', orDash(figures.validUntil, (until) => countdown((until - Date.now()) / 1000)));
  }

  setInterval(tick, 1_000);
  return {
    show,
    setNode(about) {
      node = about;
      show(figures);
    },
  };
}
