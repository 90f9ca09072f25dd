// The softphone's form: what was typed, checked and remembered. The password is never stored.
import { parseAddress, parseServer } from './address.js';
import { make } from './dom.js';
import { sipUri } from './phone.js';

const REMEMBERED = ['server', 'user', 'domain'];

/** servers: WebSocket addresses of this node, the best first. onChange(account) is told what stands in
 * the form, without the password: { server, uri, user }, null where there is nothing of use. */
export function createForm(form, storage, { servers = [], onChange = () => {} }) {
  const { server, user, domain, password } = form.elements;
  for (const name of REMEMBERED)
    form.elements[name].value = storage.getItem(`aorta.${name}`) ?? '';
  form.addEventListener('input', ({ target }) => {
    complain(target, '');
    tell();
  });
  offerServers(servers);

  function tell() {
    const address = parseAddress(user.value, domain.value);
    const uri = address.user && address.domain ? sipUri(address.user, address.domain) : null;
    onChange({ server: parseServer(server.value), uri, user: address.user });
  }

  /* With more than one to choose from, there is a button for each. */
  function offerServers(addresses) {
    servers = addresses;
    server.value ||= servers[0] ?? '';
    const buttons = servers.map((address) => {
      const button = make('button', 'offer', address);
      button.type = 'button';
      button.addEventListener('click', () => {
        server.value = address;
        complain(server, '');
        tell();
      });
      return button;
    });
    form.querySelector('#servers').replaceChildren(...(buttons.length > 1 ? buttons : []));
    tell();
  }

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
    server.value = servers[0] ?? server.value;
    tell();
  }

  return { read, remember, fill, offerServers };
}

function complain(input, text) {
  input.setAttribute('aria-invalid', String(text !== ''));
  input.ownerDocument.getElementById(`${input.id}-error`).textContent = text;
}
