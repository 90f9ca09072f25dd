// The operator's part: on the admin listener, and nowhere else.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { audit, fillIn, launch, phone, reads, shots, until, visit } from './browser.mjs';
import { openPhone, registerAll } from './phones.mjs';
import { registrations, startAorta } from './server.mjs';

const TOKEN = 's3cret-token';
const LOCKED = /status of 401/;
const users = {
  'alice@example.com': { password: 'wonderland' },
  'bob@example.com': { password: 'builder' },
  ...Object.fromEntries(Array.from({ length: 240 }, (_, i) => [`user${i}@example.com`, { password: 'p' }])),
};
let aorta;
let browser;
let hangUp;

before(async () => {
  [aorta, browser] = await Promise.all([startAorta({ users, token: TOKEN }), launch(), mkdir(shots, { recursive: true })]);
  hangUp = await registerAll(aorta, Object.fromEntries(Object.entries(users).slice(2)));
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  hangUp?.();
  await browser?.close();
  await aorta?.stop();
});

const desk = (page) => ({
  token: page.getByLabel('Admin token'),
  keep: page.getByLabel('Keep it until this tab is closed'),
  unlock: page.getByRole('button', { name: 'Unlock' }),
  search: page.getByLabel('Search'),
  askNode: page.getByRole('button', { name: 'Ask the node' }),
  refresh: page.getByRole('button', { name: 'Refresh' }),
  more: page.getByRole('button', { name: 'Load more' }),
  rows: page.locator('#registrations > tr:not(.details-row)'),
  said: page.locator('#listed'),
});

async function enter(options = {}) {
  const visitor = await visit(browser, `${aorta.admin}/`, options);
  const { token, unlock, said } = desk(visitor.page);
  await token.fill(TOKEN);
  await unlock.click();
  await reads(said, /^100 loaded; there are more\.$/);
  return visitor;
}

test('the public page has no such part, and asks for nothing of it', async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(aorta.page, { waitUntil: 'networkidle' });
  const text = await page.locator('body').textContent();
  assert.doesNotMatch(text, /Admin token|Registrations of this node|admin/i);
  assert.equal(await page.locator('#operator').count(), 0);
  assert.deepEqual(asked.filter((path) => /node|registrations|aors|admin/.test(path)), []);
  assert.equal((await page.goto(`${aorta.page}admin.html`)).status(), 404);
  await context.close();
});

test('asks for the token, takes the right one only, and forgets it with the page', async () => {
  const { page, close } = await visit(browser, `${aorta.admin}/`);
  const { token, unlock, search, rows } = desk(page);
  await reads(page.locator('#token-error'), /^$/);
  assert.equal(await search.isVisible(), false);
  for (const [wrong, words] of [['', 'The token is missing'], ['wrong', 'This is not the token'], ['wrónğ', 'This is not the token']]) {
    await token.fill(wrong);
    await unlock.click();
    await reads(page.locator('#token-error'), new RegExp(`^${words}$`));
    assert.equal(await token.evaluate((input) => input === document.activeElement), true);
  }
  await audit(page);
  await token.fill(TOKEN);
  await page.keyboard.press('Enter');
  await until('rows', async () => (await rows.count()) === 100);
  assert.equal(await token.isVisible(), false);
  await reads(page.locator('#node-pill'), /^Running$/);
  await reads(page.locator('#registrations-total'), /^240$/);

  await page.reload();
  await token.waitFor();
  assert.equal(await page.evaluate((secret) => JSON.stringify(sessionStorage).includes(secret), TOKEN), false);
  await close(LOCKED);
});

test('keeps the token for the tab, if told to, until the node wants another', async () => {
  const { page, close } = await visit(browser, `${aorta.admin}/`);
  const { token, keep, unlock, rows } = desk(page);
  await token.fill(TOKEN);
  await keep.check();
  await unlock.click();
  await until('rows', async () => (await rows.count()) === 100);
  await page.reload();
  await until('rows without being asked', async () => (await rows.count()) === 100);

  await page.route('**/api/v1/status', (route) =>
    route.continue({ headers: { ...route.request().headers(), authorization: 'Bearer another' } }));
  await token.waitFor();
  assert.equal(await rows.first().isVisible(), false);
  assert.equal(await page.evaluate(() => sessionStorage.getItem('aorta.adminToken')), null);
  await close(LOCKED);
});

test('pages by cursor, and searches what is loaded', async () => {
  const { page, close } = await enter();
  const { search, more, rows, said } = desk(page);
  await more.click();
  await reads(said, /^200 loaded; there are more\.$/);
  await more.click();
  await reads(said, /^240 loaded\.$/);
  assert.equal(await more.isVisible(), false);
  assert.equal(await rows.count(), 240);
  const addresses = await rows.locator('th button').allTextContents();
  assert.equal(new Set(addresses).size, 240, 'each once');

  await search.fill('USER23');
  await reads(said, /^11 of 240 loaded\.$/); // 23 and 230 to 239
  assert.ok((await rows.locator('th button').allTextContents()).every((aor) => aor.startsWith('user23')));
  await search.fill('nobody');
  await page.getByText('Nobody.').waitFor();
  await search.fill('');
  await reads(said, /^240 loaded\.$/);
  await close(LOCKED);
});

test('asks the node for a whole address that is not loaded', async () => {
  const { page, close } = await enter();
  const { search, rows, said } = desk(page);
  const loaded = new Set(await rows.locator('th button').allTextContents());
  const absent = Object.keys(users).slice(2).find((aor) => !loaded.has(aor));
  await search.fill(absent);
  await reads(said, /^0 of 100 loaded/);
  await page.keyboard.press('Enter');
  await reads(said, new RegExp(`^1 of ${absent}\\.$`));
  assert.deepEqual(await rows.locator('th button').allTextContents(), [absent]);
  await search.fill('');
  await reads(said, /^100 loaded/);
  await close(LOCKED);
});

test('a row has what matters, and opens for the rest', async (t) => {
  const phone_ = await openPhone(aorta, 'alice@example.com', 'wonderland', { userAgent: '<b>odd</b> & phone' });
  t.after(phone_.close);
  await phone_.register();
  const [binding] = await registrations(aorta, 'alice@example.com');
  const { page, close } = await enter();
  const { search, rows } = desk(page);
  await search.fill('alice@example.com');
  await page.keyboard.press('Enter');
  await until('one row', async () => (await rows.count()) === 1);
  const cells = await rows.first().locator('td').allTextContents();
  assert.deepEqual([cells[0], cells[1], cells[2], cells[4], cells[5]], [
    binding.contact, 'UDP', binding.proxy.replace('sip:', ''), '<b>odd</b> & phone', binding.node,
  ]);
  const left = await reads(rows.first().locator('.left'), /^(10:00|9:5\d)$/);
  await until('it counts down', async () => (await rows.first().locator('.left').textContent()) !== left);

  const opener = page.getByRole('button', { name: 'alice@example.com' });
  assert.equal(await opener.getAttribute('aria-expanded'), 'false');
  await opener.press('Enter');
  assert.equal(await opener.getAttribute('aria-expanded'), 'true');
  const told = await page.locator('.members').textContent();
  for (const text of [binding.callId, String(binding.cseq), binding.sbcAddress, binding.contact])
    assert.ok(told.includes(text), text);
  await opener.press('Enter');
  assert.equal(await page.locator('.members').count(), 0);
  await close(LOCKED);
});

test('says why somebody can, or cannot, be reached', async () => {
  const { page, close } = await enter();
  const [input, explain] = [page.getByLabel('Why is … (not) reachable?'), page.getByRole('button', { name: 'Explain' })];
  const [verdict, facts] = [page.locator('#why-answer .state'), page.locator('#why-answer .facts-list')];
  const why = async (aor) => {
    await input.fill(aor);
    await explain.click();
  };
  await why('user1');
  await reads(page.locator('#why-error'), /^A whole address/);
  assert.equal(await input.evaluate((element) => element === document.activeElement), true);

  await why('sip:user1@example.com');
  const [binding] = await registrations(aorta, 'user1@example.com');
  await reads(verdict, /^Reachable/);
  assert.equal(await verdict.getAttribute('data-tone'), 'good');
  await reads(page.locator('#why-answer .flows'), /UDP: no connection needed$/);
  assert.ok((await page.locator('#why-answer .flows').textContent()).includes(binding.contact));
  await page.locator('#why-answer summary').click();
  await reads(facts, /granted/i);
  assert.ok((await facts.textContent()).includes(binding.proxy.replace('sip:', '')), 'where it came from');

  await fillIn(page, { user: 'bob@example.com', password: 'builder' });
  await phone(page).register.click();
  await reads(phone(page).state, /^Registered/);
  await why('bob@example.com');
  await reads(page.locator('#why-answer .flows'), /WS: connection open, last heard at \d\d:\d\d:\d\d$/);
  await phone(page).unregister.click();
  await reads(phone(page).state, /^Not registered$/);
  await why('bob@example.com');
  await reads(verdict, /^Not registered:/);

  const stranger = await openPhone(aorta, 'user2@example.com', 'wrong');
  await assert.rejects(stranger.register(), /403/);
  stranger.close();
  await why('user2@example.com');
  await page.locator('#why-answer summary').click();
  await reads(facts, /refused \(403\)/);

  await why('nobody@example.com');
  await reads(verdict, /^Not registered:/);
  assert.equal(await verdict.getAttribute('data-tone'), 'bad');

  await page.route('**/why', (route) => route.fulfill({ status: 404, json: { error: { message: 'nothing here' } } }));
  await why('user1@example.com');
  await reads(page.locator('#why-answer'), /^This node cannot say why/);
  await page.route('**/why', (route) => route.fulfill({ status: 503, json: { error: { message: 'the store cannot be reached now' } } }));
  await why('user1@example.com');
  await reads(page.locator('#why-answer'), /^The node says: the store cannot be reached now\.$/);
  await close(/status of (401|404|503)/);
});

test('removes after asking', async () => {
  const { page, close } = await enter();
  const { search, rows, said } = desk(page);
  const aor = 'user7@example.com';
  await search.fill(aor);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: aor }).click();
  const dialog = page.getByRole('dialog', { name: `Remove ${aor}?` });

  await page.getByRole('button', { name: 'Remove' }).click();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await registrations(aorta, aor)).length, 1, 'not without a yes');

  await page.getByRole('button', { name: 'Remove' }).click();
  await audit(page, { least: 5 }); // all but the dialog is inert
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await reads(said, new RegExp(`^${aor} was removed\\.`));
  assert.deepEqual(await registrations(aorta, aor), []);
  assert.equal(await rows.count(), 0);
  await close(LOCKED);
});

test('the softphone offers the addresses of this node', async () => {
  const { page, close } = await enter();
  const offers = await page.locator('#servers button').allTextContents();
  assert.deepEqual(offers.map((address) => new URL(address).protocol), ['ws:', 'wss:']);
  assert.equal(await phone(page).server.inputValue(), offers[0]);
  await page.locator('#servers button').nth(1).click();
  assert.equal(await phone(page).server.inputValue(), offers[1]);
  await page.locator('#servers button').nth(0).click();
  await fillIn(page, { user: 'alice@example.com', password: 'wonderland' });
  await phone(page).register.click();
  await reads(phone(page).state, /^Registered/);
  await reads(page.locator('#figure-version'), /^aorta /);
  await desk(page).search.fill('alice@example.com');
  await page.keyboard.press('Enter');
  await until('in the table too', async () => (await desk(page).rows.filter({ hasText: 'WS' }).count()) === 1);
  await close(LOCKED);
});

test('a node without a token lets in at once', async (t) => {
  const open = await startAorta();
  t.after(() => open.stop());
  const { page, close } = await visit(browser, `${open.admin}/`);
  await page.getByText('Nobody.').waitFor();
  await reads(page.locator('#node-pill'), /^Running$/);
  await close();
});

for (const [name, width, colorScheme] of [
  ['admin-light', 1280, 'light'],
  ['admin-dark', 1280, 'dark'],
  ['admin-phone', 320, 'light'],
  ['admin-phone-dark', 320, 'dark'],
])
  test(`looks right and is accessible: ${name}, ${width} px`, async () => {
    const { page, close } = await enter({ viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' });
    await desk(page).search.fill('user23@example.com');
    await page.keyboard.press('Enter');
    await reads(desk(page).said, /^1 of/);
    await page.getByRole('button', { name: 'user23@example.com' }).click();
    await page.locator('.members').waitFor();
    await page.getByLabel('Why is … (not) reachable?').fill('user1@example.com');
    await page.getByRole('button', { name: 'Explain' }).click();
    await reads(page.locator('#why-answer'), /^Reachable/);
    await reads(page.locator('.opened .why-answer'), /^Reachable/);
    await page.locator('#why-answer summary').click();
    await reads(page.locator('#registrations-summary'), /UDP/);
    await page.screenshot({ path: `${shots}${name}.png`, fullPage: true });
    await audit(page);
    await close(LOCKED);
  });
