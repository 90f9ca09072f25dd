// The list of SIP messages.
import { maskSecrets, summarize } from './message.js';

const MOST = 100;

/** Shows messages in the order in which they crossed the wire; returns add(direction, text). */
export function startTrace(document) {
  const list = document.getElementById('trace-list');
  const empty = document.getElementById('trace-empty');

  document.getElementById('trace-clear').addEventListener('click', () => {
    list.replaceChildren();
    empty.hidden = false;
  });

  return function add(direction, text) {
    const followed = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
    list.append(entry(document, direction, maskSecrets(text)));
    while (list.children.length > MOST)
      list.firstElementChild.remove();
    empty.hidden = true;
    if (followed)
      list.scrollTop = list.scrollHeight;
  };
}

function entry(document, direction, text) {
  const make = (tag, name, content) => {
    const element = document.createElement(tag);
    if (name)
      element.className = name;
    element.textContent = content;
    return element;
  };
  const sent = direction === 'out';
  const { what, more } = summarize(text);

  const arrow = make('span', 'arrow', sent ? '→' : '←');
  arrow.setAttribute('aria-hidden', 'true');
  const label = make('span', 'what', what);
  label.prepend(make('span', 'unseen', sent ? 'sent ' : 'received '));
  const summary = document.createElement('summary');
  summary.append(make('time', '', timeOfDay(new Date())), arrow, label, make('span', 'more', more));

  const details = document.createElement('details');
  details.append(summary, make('pre', '', text.replaceAll('\r\n', '\n').trimEnd()));
  const item = make('li', direction, '');
  item.append(details);
  details.addEventListener('toggle', () => details.open && item.scrollIntoView({ block: 'nearest' }));
  return item;
}

function timeOfDay(date) {
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${date.toLocaleTimeString('en-GB', { hour12: false })}.${ms}`;
}
