// A process of its own that registers many users, one client each, and keeps them connected.
//   node storm.mjs KIND PORT FIRST COUNT WIDTH
// Tells its parent {latencies} (ms from the first byte to the 200) once all are registered; on the
// message "watch" it tells {ends} when all connections have ended, on any other it ends itself.
import { setMaxListeners } from 'node:events';
import { UdpClient } from './clients.mjs';
import { inParallel } from './expect.mjs';
import { Phone } from './phone.mjs';
import { LightWsClient } from './raw_ws.mjs';

const [kind, ...numbers] = process.argv.slice(2);
const [port, first, count, width] = numbers.map(Number);
setMaxListeners(0);

const OPEN = {
  wss: () => LightWsClient.open(port, { kind: 'wss' }),
  udp: () => UdpClient.open(port),
};
const clients = [];
const idle = []; // UDP sockets are shared, one request at a time

async function registerOne(i) {
  const began = performance.now();
  const client = (kind === 'udp' && idle.pop()) || (await OPEN[kind]());
  clients.push(client);
  const phone = await Phone.open(null, kind, { user: `u${first + i}`, password: 'p', client });
  const response = await phone.register();
  if (response.status !== 200) throw new Error(response.text);
  if (kind === 'udp') idle.push(client);
  return performance.now() - began;
}

/** How each of the connections ends, {code, at}; a server that says goodbye sends a close frame. */
async function watch() {
  const ends = await Promise.all(
    clients.map(async (client) => {
      const code = await client.closeCode(60000).catch((error) => error.message);
      const at = Date.now();
      client.close();
      return { code, at };
    })
  );
  process.send({ ends });
}

process.on('message', (message) => (message === 'watch' ? watch() : process.exit(0)));
process.on('disconnect', () => process.exit(0));
const latencies = [];
try {
  await inParallel(count, width, async (i) => latencies.push(await registerOne(i)));
  process.send({ latencies });
} catch (error) {
  process.send({ error: `after ${latencies.length}: ${error.stack}` });
}
