// The README's picture of the page:  node picture.mjs   writes www/picture.png
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { fillIn, launch, phone, reads, visit } from './browser.mjs';
import { openPhone } from './phones.mjs';
import { startAorta } from './server.mjs';

const SECONDS = 48; // of life for the charts
const PHONES = 58;
const FILE = fileURLToPath(new URL('../../www/picture.png', import.meta.url));

const users = Object.fromEntries(['alice', ...Array.from({ length: PHONES }, (_, i) => `u${i}`)].map((name) => [`${name}@example.com`, { password: 'p' }]));
const aorta = await startAorta({ users, config: { node: 'sip1' } });
const browser = await launch();
const { page, close } = await visit(browser, aorta.page, { viewport: { width: 1280, height: 1345 }, colorScheme: 'light' });
await fillIn(page, { user: 'alice', domain: 'example.com', password: 'p' });
await phone(page).register.click();
await reads(phone(page).state, /^Registered/);
const phones = [];
for (let i = 0; i < SECONDS; i++) {
  for (let n = 1 + ((i % 20) > 12); n > 0 && phones.length < PHONES; n--) {
    phones.push(await openPhone(aorta, `u${phones.length}@example.com`, 'p'));
    await phones.at(-1).register();
  }
  await delay(1000);
}
phones.forEach((one) => one.close());
await page.evaluate(() => window.scrollTo(0, 0));
await page.screenshot({ path: FILE });
await close();
await browser.close();
await aorta.stop();
