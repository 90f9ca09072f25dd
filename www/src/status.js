// The node's status, asked for again and again while somebody looks.
import { startPulse } from './pulse.js';
import { amount, duration } from './words.js';

const EVERY_MS = 2_000;
const SLOWEST_MS = 30_000;
const GIVE_UP_MS = 5_000;
const TRANSPORTS = ['wss', 'ws', 'tls', 'tcp', 'udp'];
const STATES = {
  running: ['good', 'Running'],
  starting: ['busy', 'Starting'],
  draining: ['busy', 'Draining'],
};

/** Keeps the node card and the pill in the page's head up to date. */
export function startStatus(document, url) {
  const view = createView(document);
  let waitMs = EVERY_MS;
  let timer = null;
  let asking = false;

  async function ask() {
    asking = true;
    try {
      view.show(await fetchStatus(url));
      waitMs = EVERY_MS;
    } catch {
      view.showGone();
      waitMs = Math.min(waitMs * 2, SLOWEST_MS);
    }
    asking = false;
    schedule(waitMs);
  }

  function schedule(ms) {
    clearTimeout(timer);
    if (document.visibilityState === 'visible' && !asking)
      timer = setTimeout(ask, ms);
  }

  document.addEventListener('visibilitychange', () => schedule(0));
  document.defaultView.addEventListener('online', () => schedule(0));
  schedule(0);
}

async function fetchStatus(url) {
  const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!response.ok)
    throw new Error(`status ${response.status}`);
  return response.json();
}

function createView(document) {
  const element = (id) => document.getElementById(id);
  const write = (id, text) => {
    element(id).textContent = text;
  };
  const pill = ([tone, text]) => {
    element('node-pill').dataset.tone = tone;
    write('node-pill', text);
  };
  const rows = TRANSPORTS.map((name) => createRow(document, name));
  element('transports').append(...rows.map((row) => row.element));
  const beat = startPulse(element('pulse'));

  function show(status) {
    const { registrations, connections, rates, store } = status;
    pill(STATES[status.state] ?? ['quiet', status.state]);
    write('node-gone', '');
    element('node-facts').classList.remove('stale');
    write('registrations-total', amount(registrations.total));
    write('connections-total', amount(connections.total));
    for (const row of rows)
      row.show(registrations[row.name], registrations.total, connections[row.name]);
    write('rate-registers', amount(rates.registersPerSecond));
    write('rate-challenges', amount(rates.challengesPerSecond));
    write('rate-refused', amount(rates.refusedPerSecond));
    beat(rates.registersPerSecond);
    write('uptime', duration(status.uptimeSeconds));
    write('store', `${store.kind}, ${store.state}`);
    write('node-name', status.node);
    write('version', status.version);
  }

  function showGone() {
    pill(['bad', 'Not reachable']);
    write('node-gone', 'Server not reachable, trying again…');
    element('node-facts').classList.add('stale');
  }

  return { show, showGone };
}

function createRow(document, name) {
  const row = document.createElement('tr');
  const cell = (tag) => row.appendChild(document.createElement(tag));

  const head = cell('th');
  head.scope = 'row';
  head.textContent = name.toUpperCase();
  const bar = document.createElement('progress');
  bar.setAttribute('aria-hidden', 'true');
  cell('td').append(bar);
  const bound = cell('td');
  const connected = cell('td');

  function show(registrations = 0, total = 0, connections) {
    row.className = registrations || connections ? '' : 'none';
    bar.max = Math.max(1, total);
    bar.value = registrations;
    bound.textContent = amount(registrations);
    connected.textContent = connections === undefined ? '–' : amount(connections); /* UDP has none */
  }

  return { name, element: row, show };
}
