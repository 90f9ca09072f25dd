// The table of registrations: a row each, and its details beneath it when they are asked for.
import { make, makeList, write } from './dom.js';
import { MOST_SHOWN, sourceOf } from './listing.js';
import { clock, countdown } from './words.js';

const NAMES = {
  sbcAddress: 'SIP address of the node',
  expiresIn: null, /* the row counts it down */
  expiryTime: 'Expires at',
  callId: 'Call-ID',
  cseq: 'CSeq',
  instance: 'Instance',
  regId: 'reg-id',
  userAgent: 'User agent',
  nat: 'Behind NAT',
  proxy: 'Source',
  flow: 'Connection',
  grant: 'Granted with',
  q: 'q',
  aor: 'Address',
  endsAt: null, /* our own */
};

/** onOpen(registration, box) fills the details' box when a row is opened. */
export function createTable(body, onOpen) {
  const heads = body.closest('table').querySelectorAll('thead th');
  let shown = []; /* { registration, left: the cell that counts down } */
  let open = null; /* the key of the row with its details */
  const keyOf = ({ aor, contact, callId }) => `${aor} ${contact} ${callId}`;

  function show(registrations) {
    shown = registrations.slice(0, MOST_SHOWN).map((registration) => row(registration));
    if (!shown.some(({ key }) => key === open))
      open = null;
    const focused = document.activeElement?.dataset?.key;
    body.replaceChildren(...shown.flatMap(({ line, details }) => (details ? [line, details] : [line])));
    tick();
    if (focused)
      body.querySelector(`button[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  function row(registration) {
    const key = keyOf(registration);
    const button = make('button', 'opener', registration.aor);
    button.type = 'button';
    button.dataset.key = key;
    button.setAttribute('aria-expanded', String(key === open));
    const head = make('th', '', [button]);
    head.scope = 'row';
    const left = make('td', 'left');
    const line = make('tr', '', [
      head,
      make('td', 'contact', registration.contact),
      make('td', 'protocol', registration.protocol.toUpperCase()),
      make('td', 'source', sourceOf(registration)),
      left,
      make('td', 'agent', registration.userAgent || '–'),
      make('td', 'home', registration.node),
    ]);
    const entry = { key, registration, line, left, button, details: null };
    button.addEventListener('click', () => toggle(entry));
    if (key === open)
      entry.details = details(entry);
    return entry;
  }

  function toggle(entry) {
    const before = shown.find(({ details }) => details);
    before?.details.remove();
    before?.button.setAttribute('aria-expanded', 'false');
    if (before)
      before.details = null;
    open = before === entry ? null : entry.key;
    if (!open)
      return;
    entry.button.setAttribute('aria-expanded', 'true');
    entry.details = details(entry);
    entry.line.after(entry.details);
  }

  function details({ registration }) {
    const box = make('div', 'opened');
    const cell = make('td', '', [box]);
    cell.colSpan = columns();
    onOpen(registration, box);
    box.append(makeList('members', Object.entries(registration)
      .filter(([name]) => NAMES[name] !== null)
      .map(([name, value]) => [NAMES[name] ?? name[0].toUpperCase() + name.slice(1), inWords(name, value)])));
    return make('tr', 'details-row', [cell]);
  }

  /* A narrow window has fewer of them, and a cell across more than there are makes more. */
  const columns = () => [...heads].filter((head) => head.offsetParent !== null).length || 1;

  function tick() {
    for (const { registration, left } of shown)
      write(left, countdown((registration.endsAt - Date.now()) / 1000));
  }

  new ResizeObserver(() => {
    for (const { details } of shown)
      if (details)
        details.firstElementChild.colSpan = columns();
  }).observe(body.closest('section'));
  setInterval(tick, 1_000);
  return { show };
}

function inWords(name, value) {
  if (name === 'expiryTime')
    return `${new Date(value).toLocaleDateString('en-CA')} ${clock(value)}`;
  if (name === 'proxy')
    return sourceOf({ proxy: value });
  if (value === null || value === '' || (Array.isArray(value) && value.length === 0))
    return '–';
  if (typeof value === 'boolean')
    return value ? 'yes' : 'no';
  return Array.isArray(value) || typeof value !== 'object' ? String(value) : JSON.stringify(value);
}
