// A browser, and pages that must not complain.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

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
