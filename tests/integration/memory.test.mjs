// Nothing leaks and nothing is read that was not written, with connections open at the end
// (valgrind; the sanitizer build looks for the same in every other test).
import { it } from 'node:test';
import { SANITIZED, assertStatus } from './lib/expect.mjs';
import { Server } from './lib/server.mjs';
import { KINDS } from './lib/clients.mjs';
import { openPhone } from './lib/phone.mjs';

const VALGRIND = ['valgrind', '--quiet', '--leak-check=full', '--errors-for-leak-kinds=definite', '--error-exitcode=99'];

if (!SANITIZED)
  it('ends clean under valgrind', { timeout: 180000 }, async (t) => {
    const server = new Server({ command: VALGRIND, config: { limits: { lagMs: 0 } } });
    await server.start();
    for (const kind of KINDS) {
      const phone = await openPhone(t, server, kind);
      assertStatus(await phone.register(), 200);
      assertStatus(await phone.send(phone.build()), 200);
    }
    await server.page('/readyz');
    await server.stop({ ms: 60000 });
    await server.dispose();
  });
