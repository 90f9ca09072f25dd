// What the page shows a tester: charts, the figures of his connection, and code to take along.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { fillIn, launch, phone, reads, until, visit } from './browser.mjs';
import { openPhone } from './phones.mjs';
import { ask, registrations, startAorta } from './server.mjs';

const ALICE = 'alice@localhost';
const BOB = 'bob@localhost';
let aorta;
let browser;

before(async () => {
  [aorta, browser] = await Promise.all([startAorta(), launch()]);
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await aorta?.stop();
});

async function registerAlice(page) {
  await fillIn(page, { user: ALICE, password: aorta.passwords[ALICE] });
  await phone(page).register.click();
  await reads(phone(page).state, /^Registered/);
}

const copyButton = (page, name) => page.locator('.snippet', { hasText: name }).getByRole('button');
const summary = (page, name) => page.locator(`#${name}-summary`);
const curve = (page, name, series) => page.locator(`#chart-${name} .plot path.line.${series}`);

test('charts draw what registers, by transport, and tell it in words', async (t) => {
  const { page, close } = await visit(browser, aorta.page);
  await reads(summary(page, 'registrations'), /^0 now\. Steady in the last minute\.$/);
  assert.equal(await curve(page, 'registrations', 'wss').count(), 0, 'nobody, no line');

  await registerAlice(page);
  const desk = await openPhone(aorta, BOB, aorta.passwords[BOB]);
  t.after(desk.close);
  await desk.register();
  await reads(summary(page, 'registrations'), /^2 now: 1 WSS, 1 UDP\. Between 0 and 2 in the last minute\.$/);
  await reads(summary(page, 'rates'), /^[\d.]+ REGISTERs a second now\. At most [\d.]*[1-9][\d.]* in the last minute\.$/);
  const [wss, udp, rate] = await Promise.all(
    [['registrations', 'wss'], ['registrations', 'udp'], ['rates', 'registers']].map(async ([name, series]) =>
      heightsOf(await curve(page, name, series).getAttribute('d'))),
  );
  assert.ok(wss[0] > wss.at(-1), 'the line goes up');
  assert.ok(udp.at(-1) < wss.at(-1), 'UDP stands on top of WSS');
  assert.ok(Math.max(...rate) > Math.min(...rate), 'so does the rate');
  const label = page.locator('#chart-registrations text').nth(2);
  assert.equal(await label.textContent(), '2', 'the axis goes up to two');

  await phone(page).unregister.click();
  await reads(summary(page, 'registrations'), /^1 now: 1 UDP\. Between 0 and 2/);
  assert.ok(heightsOf(await curve(page, 'registrations', 'wss').getAttribute('d')).at(-1) > wss.at(-1));
  await close();
});

const heightsOf = (path) => [...path.matchAll(/[ML]\S+ ([\d.]+)/g)].map(([, y]) => Number(y));

test('single values, by pointer and by keyboard', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await registerAlice(page);
  const chart = page.getByRole('img', { name: 'Chart of the registrations by transport' });
  await reads(summary(page, 'registrations'), /1 WSS/);
  const tip = page.locator('#chart-registrations .tip');
  const spoken = page.locator('#chart-registrations [aria-live]');

  await chart.hover({ position: { x: 5, y: 50 } });
  const first = await reads(tip, /^\d\d:\d\d:\d\dWSS0/);
  const [{ width, height }, tipBox] = [await chart.boundingBox(), await tip.boundingBox()];
  assert.ok(tipBox.width < width && tipBox.height < height, 'the tip is smaller than its chart');
  await chart.hover({ position: { x: width - 2, y: 50 } });
  assert.notEqual(await reads(tip, /^\d\d:\d\d:\d\dWSS1/), first);
  await page.mouse.move(1, 1);
  await until('the tip goes with the pointer', () => tip.isHidden());

  await chart.focus();
  await page.keyboard.press('Home');
  await reads(spoken, /^\d\d:\d\d:\d\d: WSS 0, WS 0, TLS 0, TCP 0, UDP \d$/);
  await page.keyboard.press('End');
  await reads(spoken, /: WSS 1,/);
  const end = await spoken.textContent();
  await page.keyboard.press('ArrowLeft');
  await reads(spoken, new RegExp(`^(?!${end})\\d\\d:`));
  assert.equal(await tip.isVisible(), true);
  await page.keyboard.press('Escape');
  assert.equal(await tip.isHidden(), true);
  await close();
});

test('the charts are drawn anew when the window gets narrow, and never move what is below', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await reads(summary(page, 'registrations'), /now/);
  const below = () => page.locator('#trace-title').evaluate((element) => element.getBoundingClientRect().top + scrollY);
  const top = await below();
  await page.waitForTimeout(2_500); // one answer more
  assert.equal(await below(), top);
  await page.setViewportSize({ width: 320, height: 700 });
  const fits = () => page.locator('#chart-registrations').evaluate((figure) => {
    const edge = figure.querySelector('svg').getBoundingClientRect();
    return [...figure.querySelectorAll('text')].every((text) => {
      const box = text.getBoundingClientRect();
      return box.left >= edge.left && box.right <= edge.right;
    });
  });
  await until('all labels inside', fits, 2_000);
  await close();
});

test('the figures of the connection', async () => {
  const { page, close } = await visit(browser, aorta.page);
  const figure = (name) => page.locator(`#figure-${name}`);
  assert.equal(await page.locator('#figures').isVisible(), false);
  await registerAlice(page);
  const took = Object.fromEntries(await Promise.all(['open', 'register', 'ping'].map(async (name) =>
    [name, Number.parseFloat(await reads(figure(name), /^[\d.]+ ms$/))])));
  for (const [name, ms] of Object.entries(took))
    assert.ok(ms > 0 && ms < 2_000, `${name}: ${ms} ms`);
  assert.equal(await figure('protocol').textContent(), 'WSS');
  assert.equal(await figure('version').textContent(), `aorta ${(await ask(aorta, 'node')).version}`);
  assert.equal(await figure('granted').textContent(), '600 s');
  const left = await reads(figure('remaining'), /^(10:00|9:5\d)$/);
  await reads(figure('remaining'), new RegExp(`^(?!${left}$)9:5\\d$`));

  await phone(page).unregister.click();
  await until('they go with the connection', () => page.locator('#figures').isHidden());
  await close();
});

test('another server is not taken for this one', async (t) => {
  const other = await startAorta();
  t.after(() => other.stop());
  const { page, close } = await visit(browser, aorta.page);
  await fillIn(page, { user: ALICE, password: other.passwords[ALICE], server: other.page.replace('https:', 'wss:') });
  await phone(page).register.click();
  await reads(phone(page).state, /^Registered/);
  await reads(page.locator('#figure-version'), /^another server$/);
  await close();
});

/* Bundled as its reader would, and run in a blank page. */
async function runSnippet(context, code) {
  const { outputFiles } = await esbuild.build({
    stdin: { contents: code.replace("'your password'", `'${aorta.passwords[ALICE]}'`), resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    format: 'esm',
    write: false,
  });
  const page = await context.newPage();
  await page.addScriptTag({ type: 'module', content: outputFiles[0].text });
  return page;
}

for (const name of ['JsSIP', 'SIP.js'])
  test(`the ${name} code is copied, and registers`, async () => {
    const { page, close } = await visit(browser, aorta.page, { permissions: ['clipboard-read', 'clipboard-write'] });
    await fillIn(page, { user: 'alice', domain: 'localhost', password: aorta.passwords[ALICE] });
    await copyButton(page, name).click();
    await reads(page.locator('#copied'), new RegExp(`^The ${name} code is on the clipboard\\.$`));
    const code = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(code.includes(`'${aorta.page.replace('https:', 'wss:')}'`), code);
    assert.ok(code.includes("'sip:alice@localhost'"), code);
    assert.ok(!code.includes(aorta.passwords[ALICE]), 'never the password');

    const own = await runSnippet(page.context(), code);
    await until('registered by the code', async () => (await registrations(aorta, ALICE)).length === 1);
    await own.close();
    await until('gone again', async () => (await registrations(aorta, ALICE)).length === 0);
    await close();
  });

test('without a clipboard the code is marked for copying by hand', async () => {
  const { page, close } = await visit(browser, aorta.page);
  await page.evaluate(() => {
    navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'));
    document.execCommand = () => false;
  });
  await copyButton(page, 'JsSIP').click();
  await reads(page.locator('#copied'), /the JsSIP code is marked, copy it by hand/);
  assert.match(await page.evaluate(() => String(getSelection())), /^import JsSIP/);
  await close();
});
