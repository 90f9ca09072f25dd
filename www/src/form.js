// The softphone's form: what was typed, checked and remembered. The password is never stored.
import { parseAddress, parseServer, serverOf } from './address.js';
import { sipUri } from './phone.js';

const REMEMBERED = ['server', 'user', 'domain'];

export function createForm(form, storage) {
  const { server, user, domain, password } = form.elements;
  for (const name of REMEMBERED)
    form.elements[name].value = storage.getItem(`aorta.${name}`) ?? '';
  server.value ||= serverOf(form.baseURI);
  form.addEventListener('input', ({ target }) => complain(target, ''));

  /* The account that the form names, or null once it has told what is missing. */
  function read() {
    const address = parseAddress(user.value, domain.value);
    const account = {
      server: parseServer(server.value),
      uri: address.user && address.domain ? sipUri(address.user, address.domain) : null,
      aor: `${address.user}@${address.domain}`,
      password: password.value,
    };
    const complaints = [
      [server, !account.server && 'A WebSocket address begins with wss:// or ws://'],
      [user, !address.user && 'Who are you? For example alice'],
      [domain, address.user && !address.domain && 'Which domain? For example example.com'],
      [user, address.user && address.domain && !account.uri && 'This is no SIP address'],
      [password, !account.password && 'The password is missing'],
    ];
    for (const input of [server, user, domain, password])
      complain(input, '');
    const wrong = complaints.filter(([, text]) => text);
    for (const [input, text] of wrong)
      complain(input, text);
    wrong[0]?.[0].focus();
    return wrong.length === 0 ? account : null;
  }

  function remember() {
    for (const name of REMEMBERED)
      storage.setItem(`aorta.${name}`, form.elements[name].value);
  }

  function fill(account) {
    user.value = account.aor;
    domain.value = '';
    password.value = account.password;
    server.value = serverOf(form.baseURI);
  }

  return { read, remember, fill };
}

function complain(input, text) {
  input.setAttribute('aria-invalid', String(text !== ''));
  input.ownerDocument.getElementById(`${input.id}-error`).textContent = text;
}
