// A browser, and pages that must not complain.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Where pictures of the pages are kept, for eyes. */
export const shots = fileURLToPath(new URL('screenshots/', import.meta.url));

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A fresh visitor: { page, complaints(), close() }. Whatever the console says in red is a complaint,
 * violations of the content security policy included. */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const complaints = [];
  context.on('page', (page) => {
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
  });
  const page = await context.newPage();
  await page.goto(url);
  return {
    page,
    async close(excused = /^$/) {
      await context.close();
      assert.deepEqual(complaints.filter((text) => !excused.test(text)), []);
    },
  };
}

export const phone = (page) => ({
  state: page.getByRole('status'),
  server: page.getByLabel('Server', { exact: true }),
  user: page.getByLabel('SIP address or user'),
  domain: page.getByLabel('Domain'),
  password: page.getByLabel('Password'),
  register: page.getByRole('button', { name: 'Register', exact: true }),
  unregister: page.getByRole('button', { name: 'Unregister', exact: true }),
});

export async function fillIn(page, { user, domain = '', password, server }) {
  const form = phone(page);
  await form.user.fill(user);
  await form.domain.fill(domain);
  await form.password.fill(password);
  if (server)
    await form.server.fill(server);
}

/** The page fits its window, and axe-core finds nothing to complain about, though it finds something to
 * look at: `least` rules that hold. */
export async function audit(page, { least = 20 } = {}) {
  const overflow = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
  assert.equal(overflow, 0, 'scrolls sideways');
  await page.evaluate(axe);
  const { passes, violations } = await page.evaluate(() => window.axe.run());
  assert.ok(passes.length > least, 'axe looked at the page');
  assert.deepEqual(
    violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => html + failureSummary)]),
    [],
  );
}

/** Waits until an element's text matches, and returns it; says what stood there instead. */
export async function reads(locator, pattern, timeout = 10_000) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const text = (await locator.textContent()).trim();
    if (pattern.test(text))
      return text;
    assert.ok(Date.now() < deadline, `"${text}" does not become ${pattern}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function until(what, ask, timeout = 10_000) {
  const deadline = Date.now() + timeout;
  while (!(await ask())) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
