// Code for people's own pages, with this server's address in it. Passwords never get here.
import { write } from './dom.js';

const EXAMPLE = { server: 'wss://sip.example.com/', uri: 'sip:alice@example.com', user: 'alice' };
const PASSWORD = 'your password';

const quote = (text) => `'${text.replace(/[\\']/g, '\\$&').replace(/[\0-\x1f\u2028\u2029]/g, '')}'`;

export function jssipCode(account) {
  const { server, uri } = withExample(account);
  return `import JsSIP from 'jssip'

const socket = new JsSIP.WebSocketInterface(${quote(server)})
const ua = new JsSIP.UA({
  sockets: [socket],
  uri: ${quote(uri)},
  password: ${quote(PASSWORD)},
})
ua.on('registered', () => console.log('registered'))
ua.on('registrationFailed', (e) => console.log(e.cause))
ua.start()
`;
}

export function sipjsCode(account) {
  const { server, uri, user } = withExample(account);
  return `import { Registerer, UserAgent } from 'sip.js'

const userAgent = new UserAgent({
  uri: UserAgent.makeURI(${quote(uri)}),
  transportOptions: { server: ${quote(server)} },
  authorizationUsername: ${quote(user)},
  authorizationPassword: ${quote(PASSWORD)},
})
const registerer = new Registerer(userAgent)
registerer.stateChange.addListener(console.log)
await userAgent.start()
await registerer.register()
`;
}

function withExample({ server, uri, user }) {
  return { server: server ?? EXAMPLE.server, uri: uri ?? EXAMPLE.uri, user: uri ? user : EXAMPLE.user };
}

/** Returns show(account), which writes both. */
export function createSnippets(document) {
  const said = document.getElementById('copied');
  for (const button of document.querySelectorAll('[data-copies]')) {
    const code = document.getElementById(button.dataset.copies);
    button.addEventListener('click', async () => {
      const name = button.dataset.name;
      said.textContent = ''; /* the same words twice would be read out once */
      const copied = await copy(code);
      said.textContent = copied ? `The ${name} code is on the clipboard.` : `The browser did not allow it: the ${name} code is marked, copy it by hand.`;
      button.textContent = copied ? 'Copied' : 'Marked';
      setTimeout(() => (button.textContent = 'Copy'), 2_000);
    });
  }

  return function show(account) {
    write(document.getElementById('snippet-jssip'), jssipCode(account));
    write(document.getElementById('snippet-sipjs'), sipjsCode(account));
  };
}

/* navigator.clipboard is there in secure contexts only, and the page may come over plain HTTP. */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand('copy');
  }
}
