// The node's status, asked for again and again while somebody looks.
import { startCharts } from './charts.js';
import { write } from './dom.js';
import { amount, duration } from './words.js';

const EVERY_MS = 2_000;
const SLOWEST_MS = 30_000;
const TRANSPORTS = ['wss', 'ws', 'tls', 'tcp', 'udp'];
const STATES = {
  running: ['good', 'Running'],
  starting: ['busy', 'Starting'],
  draining: ['busy', 'Draining'],
};

/** Keeps the node card, the charts and the pill in the page's head up to date, from start() on.
 * onStatus(status) is told every answer. A node that wants another token (401) is left alone until
 * start() is called again. */
export function createStatus(document, api, onStatus) {
  const view = createView(document);
  let waitMs = EVERY_MS;
  let timer = null;
  let asking = false;
  let started = false;

  async function ask() {
    asking = true;
    try {
      const status = await api.ask('api/v1/status');
      view.show(status);
      onStatus(status);
      waitMs = EVERY_MS;
    } catch (error) {
      started = error.status !== 401;
      view.showGone(error.status === 401);
      waitMs = Math.min(waitMs * 2, SLOWEST_MS);
    }
    asking = false;
    schedule(waitMs);
  }

  function schedule(ms) {
    clearTimeout(timer);
    if (started && document.visibilityState === 'visible' && !asking)
      timer = setTimeout(ask, ms);
  }

  document.addEventListener('visibilitychange', () => schedule(0));
  document.defaultView.addEventListener('online', () => schedule(0));
  return {
    start() {
      started = true;
      schedule(0);
    },
  };
}

function createView(document) {
  const element = (id) => document.getElementById(id);
  const tell = (id, text) => write(element(id), text);
  const pill = ([tone, text]) => {
    element('node-pill').dataset.tone = tone;
    tell('node-pill', text);
  };
  const rows = TRANSPORTS.map((name) => createRow(document, name));
  element('transports').append(...rows.map((row) => row.element));
  const chart = startCharts(document);

  function show(status) {
    const { registrations, connections, rates, store } = status;
    pill(STATES[status.state] ?? ['quiet', status.state]);
    tell('node-gone', '');
    element('node-facts').classList.remove('stale');
    tell('registrations-total', amount(registrations.total));
    tell('connections-total', amount(connections.total));
    for (const row of rows)
      row.show(registrations[row.name], registrations.total, connections[row.name]);
    tell('rate-registers', amount(rates.registersPerSecond));
    tell('rate-challenges', amount(rates.challengesPerSecond));
    tell('rate-refused', amount(rates.refusedPerSecond));
    chart(status);
    tell('uptime', duration(status.uptimeSeconds));
    tell('store', `${store.kind}, ${store.state}`);
    tell('node-name', status.node);
    tell('version', status.version);
  }

  function showGone(isLocked) {
    pill(isLocked ? ['quiet', 'Locked'] : ['bad', 'Not reachable']);
    tell('node-gone', isLocked ? '' : 'Server not reachable, trying again…');
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
