// The operator's part, on the admin listener only: who is registered here, and why somebody is not.
import { isToken } from './api.js';
import { make, write } from './dom.js';
import { Listing, MOST_LOADED, MOST_SHOWN } from './listing.js';
import { createTable } from './table.js';
import { explain } from './why.js';
import { amount } from './words.js';

const KEY = 'aorta.adminToken';
const PAGE = 100;

/** Asks for the admin token where one is wanted. onReady({ node, version, listen }) follows every time
 * that the node lets us in. Returns { lock() }, to be called when it wants a token. */
export function startOperator(document, api, storage, onReady) {
  const element = (id) => document.getElementById(id);
  const [lock, desk] = [element('lock'), element('desk')];
  const [token, keep] = [element('token'), element('token-keep')];
  const note = (text) => write(element('operator-note'), text);
  const registrations = startRegistrations(element, api);
  let isLocked = false;

  async function enter() {
    isLocked = false;
    try {
      const node = await api.ask('api/v1/node');
      lock.hidden = true;
      desk.hidden = false;
      note('');
      onReady(node);
      await registrations.load();
    } catch (error) {
      if (error.status !== 401)
        note(error.status ? `The node says: ${error.message}.` : 'The node does not answer. Reload the page to try again.');
    }
  }

  function showLock() {
    if (isLocked)
      return;
    isLocked = true;
    storage.removeItem(KEY);
    desk.hidden = true;
    lock.hidden = false;
  }

  function complain(text) {
    token.setAttribute('aria-invalid', String(text !== ''));
    write(element('token-error'), text);
  }

  lock.addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = token.value.trim();
    if (!isToken(text)) {
      complain(text ? 'This is not the token' : 'The token is missing');
      return token.focus();
    }
    api.useToken(text);
    await enter();
    complain(isLocked ? 'This is not the token' : '');
    if (isLocked)
      return token.focus();
    if (keep.checked)
      storage.setItem(KEY, text);
    token.value = '';
    element('search').focus();
  });
  token.addEventListener('input', () => complain(''));

  const kept = storage.getItem(KEY);
  if (kept)
    api.useToken(kept);
  enter();
  startWhy(element, api);
  return { lock: showLock };
}

function startWhy(element, api) {
  const [form, input, box] = [element('why'), element('why-aor'), element('why-answer')];
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const aor = input.value.trim().replace(/^sips?:/i, '');
    const complaint = aor.includes('@') ? '' : 'A whole address, please: alice@example.com';
    input.setAttribute('aria-invalid', String(complaint !== ''));
    write(element('why-error'), complaint);
    if (complaint)
      return input.focus();
    explain(api, aor, box);
  });
}

function startRegistrations(element, api) {
  const listing = new Listing();
  const [search, more, said] = [element('search'), element('more'), element('listed')];
  const table = createTable(element('registrations'), open);
  const confirm = createConfirm(element);
  let only = null; /* the address that the server was asked for; null: all */
  let turn = 0; /* answers to an older question are late */

  async function ask(parameters) {
    const mine = ++turn;
    try {
      const page = await api.ask(`api/v1/registrations?${new URLSearchParams(parameters)}`);
      if (mine !== turn)
        return;
      if (!parameters.cursor)
        listing.clear();
      listing.add(page, Date.now());
      show();
    } catch (error) {
      if (mine === turn && error.status !== 401)
        write(said, error.status ? `The node says: ${error.message}.` : 'The node does not answer.');
    }
  }

  const load = () => ask(only ? { aor: only } : { limit: PAGE });

  function show(news = '') {
    const found = listing.find(only ? '' : search.value);
    table.show(found);
    element('no-registrations').hidden = found.length > 0;
    element('registrations-table').hidden = found.length === 0;
    more.hidden = !listing.hasMore;
    write(said, [news, countInWords(found.length)].filter(Boolean).join(' '));
  }

  function countInWords(found) {
    const parts = [only ? `${amount(found)} of ${only}` : search.value.trim() ? `${amount(found)} of ${amount(listing.size)} loaded` : `${amount(found)} loaded`];
    if (found > MOST_SHOWN)
      parts.push(`the first ${MOST_SHOWN} are shown`);
    if (listing.cursor !== null)
      parts.push(listing.size < MOST_LOADED ? 'there are more' : 'there are more than this page takes: ask for one by its whole address');
    return `${parts.join('; ')}.`;
  }

  function open({ aor }, box) {
    const why = make('div', 'why-answer');
    const remove = make('button', 'danger', 'Remove');
    remove.type = 'button';
    remove.addEventListener('click', () => confirm(aor, () => removeAll(aor)));
    box.append(make('div', 'headline', [why, remove]));
    explain(api, aor, why);
  }

  async function removeAll(aor) {
    let news = `${aor} was removed.`;
    try {
      await api.ask(`api/v1/registrations/${encodeURIComponent(aor)}`, { method: 'DELETE' });
      listing.remove(aor);
    } catch (error) {
      if (error.status === 404)
        listing.remove(aor);
      news = error.status === 404 ? `${aor} was gone already.` : `${aor} was not removed: ${error.status ? error.message : 'the node does not answer'}.`;
    }
    show(news);
    search.focus();
  }

  element('search-form').addEventListener('submit', (event) => {
    event.preventDefault();
    only = search.value.trim() || null;
    load();
  });
  search.addEventListener('input', () => {
    const wasOnly = only;
    only = null;
    if (wasOnly)
      load();
    else
      show();
  });
  element('refresh').addEventListener('click', load);
  more.addEventListener('click', () => ask({ limit: PAGE, cursor: listing.cursor }));
  return { load };
}

/* Asks before something is gone. */
function createConfirm(element) {
  const dialog = element('confirm');
  let act = null;
  element('confirm-no').addEventListener('click', () => dialog.close());
  element('confirm-yes').addEventListener('click', () => {
    dialog.close();
    act();
  });
  return function confirm(aor, action) {
    act = action;
    write(element('confirm-what'), `Remove ${aor}?`);
    dialog.showModal();
  };
}
