// The page as people meet it: in Chromium, over https, served by aorta --demo.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { audit, fillIn as fillForm, launch, phone, reads, shots, until, visit } from './browser.mjs';
import { registrations, startAorta, startLine } from './server.mjs';

const ALICE = 'alice@localhost';
const BOB = 'bob@localhost';
let aorta;
let browser;

before(async () => {
  [aorta, browser] = await Promise.all([startAorta(), launch(), mkdir(shots, { recursive: true })]);
});
/* What a failed test left open must not disturb the next one. */
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await aorta?.stop();
});

const fillIn = (page, how = {}) => fillForm(page, { user: ALICE, password: aorta.passwords[ALICE], ...how });

async function registerAlice(page, how = {}) {
  await fillIn(page, how);
  await phone(page).register.click();
  return reads(phone(page).state, /^Registered as alice@localhost until \d\d:\d\d:\d\d$/);
}

const bindingsBecome = (aor, count) =>
  until(`${count} bindings of ${aor}`, async () => (await registrations(aorta, aor)).length === count);

test('registers and unregisters with the controls of the page', async () => {
  const { page, close } = await visit(browser, aorta.page);
  const form = phone(page);
  assert.equal(await form.state.textContent(), 'Not registered');
  assert.equal(await form.server.inputValue(), aorta.page.replace('https:', 'wss:'));

  await registerAlice(page);
  const [binding] = await registrations(aorta, ALICE);
  assert.equal(binding.protocol, 'wss');

  await form.unregister.click();
  await reads(form.state, /^Not registered$/);
  await bindingsBecome(ALICE, 0);
  await close();
});

test('takes an address in every usual way of writing it', async () => {
  const { page, close } = await visit(browser, aorta.page);
  for (const how of [
    { user: 'alice', domain: 'localhost' },
    { user: 'sip:alice@localhost' },
    { user: ' alice@LOCALHOST ', domain: 'ignored.example' },
  ])
    await registerAlice(page, how);
  await bindingsBecome(ALICE, 1);
  await close();
});

test('registering again replaces the registration', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await registerAlice(page);
  const [first] = await registrations(aorta, ALICE);
  await phone(page).register.click();
  await until('another binding', async () => {
    const now = await registrations(aorta, ALICE);
    return now.length === 1 && now[0].callId !== first.callId;
  });
  await reads(phone(page).state, /^Registered/);

  await page.getByRole('button', { name: `Use ${BOB}` }).click();
  await reads(phone(page).state, /^Registered as bob@localhost/);
  await bindingsBecome(ALICE, 0);
  await close();
  await bindingsBecome(BOB, 0);
});

test('a reload drops the binding, and the tab stays the same device', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await registerAlice(page);
  const [before] = await registrations(aorta, ALICE);
  await page.reload();
  await reads(phone(page).state, /^Not registered$/);
  await bindingsBecome(ALICE, 0);
  assert.equal(await phone(page).user.inputValue(), ALICE);
  assert.equal(await phone(page).password.inputValue(), '', 'a password is never remembered');

  await registerAlice(page);
  const [after, ...others] = await registrations(aorta, ALICE);
  assert.deepEqual(others, []);
  assert.equal(after.instance, before.instance);
  await close();
  await bindingsBecome(ALICE, 0);
});

test('a duplicated tab is another device', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await registerAlice(page);
  const [copy] = await Promise.all([
    page.waitForEvent('popup'),
    page.evaluate(() => void window.open(location.href)),
  ]);
  await copy.waitForLoadState('load'); // its script fills in what the tab remembers
  await registerAlice(copy);
  await bindingsBecome(ALICE, 2);
  await copy.close();
  await bindingsBecome(ALICE, 1);
  await close();
});

test('works over plain http and ws as well', async () => {
  const node = await (await fetch(`${aorta.admin}/api/v1/node`)).json();
  const server = `${node.listen.find((address) => address.startsWith('ws://'))}/`;
  const { page, close } = await visit(browser, server.replace('ws:', 'http:'));
  assert.equal(await phone(page).server.inputValue(), server);
  await registerAlice(page);
  const [binding] = await registrations(aorta, ALICE);
  assert.equal(binding.protocol, 'ws');
  await close();
});

test('a wrong password is refused in a plain sentence', async () => {
  const { page, close } = await visit(browser, aorta.page);
  for (const how of [{ password: 'wrong' }, { user: 'nobody@localhost' }]) {
    await fillIn(page, how);
    await phone(page).register.click();
    await reads(phone(page).state, /^Refused: wrong user name or password$/);
  }
  await registerAlice(page);
  await close();
});

test('tells what is missing, next to the field', async () => {
  const { page, close } = await visit(browser, aorta.page);
  const form = phone(page);
  for (const [how, field, words] of [
    [{ user: '' }, 'user', 'Who are you? For example alice'],
    [{ user: 'alice' }, 'domain', 'Which domain? For example example.com'],
    [{ user: 'alice@no domain' }, 'user', 'This is no SIP address'],
    [{ password: '' }, 'password', 'The password is missing'],
    [{ server: 'https://localhost/' }, 'server', 'A WebSocket address begins with wss:// or ws://'],
  ]) {
    await fillIn(page, how);
    await form.register.click();
    await reads(page.locator(`#${field}-error`), new RegExp(`^${words.replace('?', '\\?')}$`));
    assert.equal(await form[field].getAttribute('aria-invalid'), 'true');
    assert.equal(await form[field].evaluate((input) => input === document.activeElement), true);
  }
  await audit(page);
  assert.equal(await form.state.textContent(), 'Not registered');
  await close();
});

test('one click makes two browsers alice and bob', async () => {
  const visitors = [];
  for (const aor of [ALICE, BOB]) {
    const visitor = await visit(browser, aorta.page);
    await visitor.page.getByRole('button', { name: `Use ${aor}` }).click();
    await reads(phone(visitor.page).state, new RegExp(`^Registered as ${aor} until`));
    visitors.push(visitor);
  }
  await bindingsBecome(ALICE, 1);
  await bindingsBecome(BOB, 1);
  await reads(visitors[0].page.locator('#registrations-total'), /^2$/);
  for (const { close } of visitors)
    await close();
});

test('works with the keyboard alone', async () => {
  const { page, close } = await visit(browser, aorta.page);
  const form = phone(page);
  const tabTo = (target, key = 'Tab') =>
    until('focus by keyboard', async () => {
      await page.keyboard.press(key);
      return target.evaluate((element) => element === document.activeElement);
    });

  await tabTo(form.user);
  await page.keyboard.type('alice');
  await tabTo(form.domain);
  await page.keyboard.type('localhost');
  await tabTo(form.password);
  await page.keyboard.type(aorta.passwords[ALICE]);
  await page.keyboard.press('Enter');
  await reads(form.state, /^Registered/);

  const first = page.locator('summary').first();
  await tabTo(first);
  await page.keyboard.press('Enter');
  await page.locator('details[open] pre').waitFor();

  await tabTo(form.unregister, 'Shift+Tab');
  await page.keyboard.press('Space');
  await reads(form.state, /^Not registered$/);
  await close();
});

test('the status of the node is live', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await reads(page.locator('#node-pill'), /^Running$/);
  await reads(page.locator('#registrations-total'), /^0$/);
  const uptime = await reads(page.locator('#uptime'), /second|minute/);
  await registerAlice(page);
  const wss = page.getByRole('row', { name: 'WSS' });
  await reads(page.locator('#registrations-total'), /^1$/);
  await reads(wss.getByRole('cell').nth(1), /^1$/);
  await reads(wss.getByRole('cell').nth(2), /^[1-9]/);
  assert.notEqual(await reads(page.locator('#uptime'), /second|minute/), uptime);
  await phone(page).unregister.click();
  await reads(page.locator('#registrations-total'), /^0$/);
  await close();
});

test('a hidden tab leaves the server alone', async () => {
  const { page, close } = await visit(browser, aorta.page);
  let asked = 0;
  page.on('request', (request) => (asked += request.url().endsWith('/status')));
  await until('a question', () => asked > 0);
  const look = (state) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  await look('hidden');
  await page.waitForTimeout(500);
  asked = 0;
  await page.waitForTimeout(3_000);
  assert.equal(asked, 0);
  await look('visible');
  await until('a question', () => asked > 0, 1_000);
  await close();
});

test('the trace shows what crossed the wire, and no secret', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await registerAlice(page);
  const lines = await page.locator('summary .what').allTextContents();
  assert.deepEqual(lines, [
    'sent REGISTER sip:localhost',
    'received 401 Unauthorized',
    'sent REGISTER sip:localhost',
    'received 200 OK',
  ]);
  const trace = (await page.locator('#trace-list pre').allTextContents()).join('\n');
  assert.match(trace, /^Authorization: Digest .*response="\*\*\*"/m);
  assert.match(trace, /^Contact: .*\+sip\.instance=/m);
  for (const secret of trace.matchAll(/\b(?:response|nonce|cnonce)=("?[^",\s]*)/g))
    assert.equal(secret[1], '"***');
  assert.ok(!trace.includes(aorta.passwords[ALICE]));

  await page.getByRole('button', { name: 'Clear' }).click();
  assert.equal(await page.locator('#trace-list li').count(), 0);
  await page.getByText('Nothing yet.').waitFor();
  await close();
});

test('the trace keeps the last hundred messages', async () => {
  const { page, close } = await visit(browser, aorta.page);
  for (let round = 0; round < 26; round++) {
    await registerAlice(page);
    await phone(page).unregister.click();
    await reads(phone(page).state, /^Not registered$/);
  }
  assert.equal(await page.locator('#trace-list li').count(), 100);
  await close();
});

test('a lost connection is told and comes back by itself', async (t) => {
  const line = await startLine(aorta.page);
  t.after(() => line.close());
  const { page, close } = await visit(browser, aorta.page);
  await registerAlice(page, { server: `wss://127.0.0.1:${line.port}/` });
  line.cut();
  await reads(phone(page).state, /^Failed: connection lost, reconnecting…$/);
  await bindingsBecome(ALICE, 0);
  await reads(phone(page).state, /^Registered as alice@localhost until/, 20_000);
  await bindingsBecome(ALICE, 1);
  await close();
});

test('a server that is not there, and one that says nothing', async (t) => {
  const line = await startLine(null);
  t.after(() => line.close());
  const { page, close } = await visit(browser, aorta.page);
  const gone = await startLine(null);
  gone.close();
  await fillIn(page, { server: `wss://127.0.0.1:${gone.port}/` });
  await phone(page).register.click();
  await reads(
    phone(page).state,
    /^Failed: no WebSocket connection to wss:\/\/127\.0\.0\.1:\d+\/ \(is the address right, is the certificate accepted\?\)$/,
  );

  await fillIn(page, { server: `wss://127.0.0.1:${line.port}/` });
  await phone(page).register.click();
  await reads(phone(page).state, /^Connecting…$/);
  await reads(phone(page).state, /^Failed: no answer/, 15_000);
  await registerAlice(page, { server: aorta.page.replace('https:', 'wss:') });
  await close(/WebSocket connection to 'wss:.*' failed/);
});

test('a node that goes away is told in both cards', async (t) => {
  const mortal = await startAorta();
  t.after(() => mortal.stop('SIGKILL'));
  const { page, close } = await visit(browser, mortal.page);
  await page.getByRole('button', { name: `Use ${ALICE}` }).click();
  await reads(phone(page).state, /^Registered/);
  await mortal.stop('SIGKILL');
  await reads(phone(page).state, /^Failed: connection lost, reconnecting…$/);
  await reads(page.getByRole('alert'), /^Server not reachable/);
  await page.screenshot({ path: `${shots}gone.png`, fullPage: true });
  await audit(page);
  await close(/ERR_CONNECTION_REFUSED/);
});

test('without demo users there is no demo box', async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.route('**/api/v1/demo', (route) => route.fulfill({ status: 404, body: '{}' }));
  await page.goto(aorta.page, { waitUntil: 'networkidle' });
  assert.equal(await page.getByRole('button', { name: /^Use / }).count(), 0);
  assert.equal(await page.locator('#demo').isVisible(), false);
  await context.close();
});
