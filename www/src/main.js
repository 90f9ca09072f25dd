// Puts the page together. On the admin listener it is admin.html, which has the operator's part too.
import { serverOf, serversOf } from './address.js';
import { createApi } from './api.js';
import { offerDemoUsers } from './demo.js';
import { createFigures } from './figures.js';
import { createForm } from './form.js';
import { leaveInstanceId, takeInstanceId } from './instance.js';
import { startOperator } from './operator.js';
import { Phone } from './phone.js';
import { createSnippets } from './snippets.js';
import { createStatus } from './status.js';
import { startTrace } from './trace.js';

const BUSY = ['connecting', 'registered', 'lost'];
const isAdmin = document.getElementById('operator') !== null;
const formElement = document.getElementById('phone-form');
const unregister = document.getElementById('unregister');
const instanceId = takeInstanceId(sessionStorage);
const figures = createFigures(document);
let servers = isAdmin ? [] : [serverOf(document.baseURI)];

const form = createForm(formElement, sessionStorage, { servers, onChange: createSnippets(document) });
const phone = new Phone({
  instanceId,
  onState: showState,
  onMessage: startTrace(document),
  onFigures: figures.show,
});

function showState({ name, tone, text }) {
  const state = document.getElementById('phone-state');
  state.dataset.tone = tone;
  if (state.textContent !== text)
    state.textContent = text;
  unregister.setAttribute('aria-disabled', String(!BUSY.includes(name)));
}

function register() {
  const account = form.read();
  if (!account)
    return;
  form.remember();
  phone.register(account);
}

formElement.addEventListener('submit', (event) => {
  event.preventDefault();
  register();
});
unregister.addEventListener('click', () => {
  if (unregister.getAttribute('aria-disabled') === 'false')
    phone.unregister();
});
addEventListener('pagehide', () => {
  phone.leave();
  leaveInstanceId(sessionStorage, instanceId);
});
addEventListener('pageshow', ({ persisted }) => {
  if (persisted)
    takeInstanceId(sessionStorage);
});

let operator = null;
const api = createApi(document.baseURI, () => operator?.lock());
const status = createStatus(document, api, ({ version }) =>
  figures.setNode({ version, isOurs: (server) => servers.some((ours) => new URL(ours).host === new URL(server).host) }));

if (isAdmin) {
  operator = startOperator(document, api, sessionStorage, ({ listen }) => {
    servers = serversOf(listen, document.baseURI);
    form.offerServers(servers);
    status.start();
  });
} else {
  status.start();
  offerDemoUsers(document, new URL('api/v1/demo', document.baseURI), (user) => {
    form.fill(user);
    register();
  });
}
