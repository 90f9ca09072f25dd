// The public page in light and dark, narrow and wide: pictures for eyes, and axe-core's opinion.
import { mkdir } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { audit, fillIn, launch, phone, reads, shots, visit } from './browser.mjs';
import { startAorta } from './server.mjs';

const ALICE = 'alice@localhost';
let aorta;
let browser;

before(async () => {
  [aorta, browser] = await Promise.all([startAorta(), launch(), mkdir(shots, { recursive: true })]);
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await aorta?.stop();
});

async function register(page, password) {
  await fillIn(page, { user: ALICE, password });
  await phone(page).register.click();
}

for (const [name, width, colorScheme] of [
  ['light', 1280, 'light'],
  ['dark', 1280, 'dark'],
  ['desk', 1920, 'dark'],
  ['tablet', 768, 'light'],
  ['phone', 320, 'light'],
  ['phone-dark', 320, 'dark'],
])
  test(`looks right and is accessible: ${name}, ${width} px`, async () => {
    const { page, close } = await visit(browser, aorta.page, {
      viewport: { width, height: 900 },
      colorScheme,
      reducedMotion: 'reduce',
    });
    await page.screenshot({ path: `${shots}${name}-idle.png`, fullPage: true });
    await audit(page);

    await register(page, aorta.passwords[ALICE]);
    await reads(phone(page).state, /^Registered as alice@localhost until \d\d:\d\d:\d\d$/);
    await page.locator('summary').nth(2).click();
    await reads(page.locator('#registrations-total'), /^1$/);
    await page.screenshot({ path: `${shots}${name}.png`, fullPage: true });
    await audit(page);

    await register(page, 'wrong');
    await reads(phone(page).state, /^Refused/);
    await audit(page);
    await close();
  });
