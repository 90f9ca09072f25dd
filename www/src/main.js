// Puts the page together.
import { offerDemoUsers } from './demo.js';
import { createForm } from './form.js';
import { leaveInstanceId, takeInstanceId } from './instance.js';
import { Phone } from './phone.js';
import { startStatus } from './status.js';
import { startTrace } from './trace.js';

const BUSY = ['connecting', 'registered', 'lost'];
const formElement = document.getElementById('phone-form');
const unregister = document.getElementById('unregister');
const form = createForm(formElement, sessionStorage);
const instanceId = takeInstanceId(sessionStorage);

const phone = new Phone({ instanceId, onState: showState, onMessage: startTrace(document) });

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

startStatus(document, new URL('api/v1/status', document.baseURI));
offerDemoUsers(document, new URL('api/v1/demo', document.baseURI), (user) => {
  form.fill(user);
  register();
});
