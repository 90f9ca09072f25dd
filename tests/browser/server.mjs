// Starts aorta as a user would for a first look, on free ports.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const binary = process.env.AORTA_BIN ?? path.join(root, 'build/aorta');
const www = process.env.AORTA_WWW ?? path.join(path.dirname(binary), 'www');

/** Resolves to { page, admin, passwords, stop() } as soon as aorta has told them. `users` is a users file
 * in place of the demo's own; `token`, the admin token. */
export async function startAorta({ users, token, config = {} } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), 'aorta-browser-'));
  if (users)
    await writeFile(path.join(folder, 'users.json'), JSON.stringify(users));
  const overrides = {
    listen: '["ws://127.0.0.1:0","wss://127.0.0.1:0","udp://127.0.0.1:0"]',
    'http.admin': 'http://127.0.0.1:0',
    'http.www': www,
    'tls.cert': path.join(folder, 'server.crt'),
    'tls.key': path.join(folder, 'server.key'),
    ...(users && { users: path.join(folder, 'users.json') }),
    ...(token && { 'http.adminToken': token }),
    ...config,
  };
  const args = Object.entries(overrides).flatMap(([key, value]) => ['-D', `${key}=${value}`]);
  const child = spawn(binary, ['--demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (text) => (log += text));
  const exited = once(child, 'exit');

  async function stop(signal = 'SIGTERM') {
    child.kill(signal);
    const [code] = await exited;
    await rm(folder, { recursive: true, force: true });
    return code;
  }

  try {
    return { ...(await readGreeting(child, users ? 0 : 2)), token, stop };
  } catch (error) {
    await stop('SIGKILL');
    throw new Error(`${binary} did not start: ${error.message}\n${log}`);
  }
}

async function readGreeting(child, userCount) {
  const told = { page: null, admin: null, passwords: {} };
  const impatience = setTimeout(() => child.stdout.destroy(new Error('it says too little')), 10_000);
  for await (const line of createInterface({ input: child.stdout })) {
    const user = /^(\S+@\S+) (\S+)$/.exec(line);
    if (user)
      told.passwords[user[1]] = user[2];
    else if (/\badmin\b/.test(line))
      told.admin = /https?:\/\/[^\s/]+/.exec(line)?.[0] ?? null;
    else
      told.page ??= /https:\/\/[^\s/]+\//.exec(line)?.[0] ?? null;
    if (told.page && told.admin && Object.keys(told.passwords).length >= userCount)
      break;
  }
  clearTimeout(impatience);
  if (!told.page || !told.admin)
    throw new Error('its standard output ended early');
  child.stdout.resume();
  return told;
}

/** The admin listener's answer to a GET. */
export async function ask(aorta, path_) {
  const headers = aorta.token ? { Authorization: `Bearer ${aorta.token}` } : {};
  const response = await fetch(`${aorta.admin}/api/v1/${path_}`, { headers });
  return response.json();
}

/** The bindings of an AOR, as the admin listener tells them. */
export const registrations = async (aorta, aor) =>
  (await ask(aorta, `registrations?aor=${encodeURIComponent(aor)}`)).registrations;

/** A line to the server that can be cut: { port, cut(), close() }. Without a target it swallows all. */
export async function startLine(target) {
  const sockets = new Set();
  const keep = (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((near) => {
    keep(near);
    if (!target)
      return near.resume();
    const far = keep(connect(Number(new URL(target).port), '127.0.0.1'));
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    port: server.address().port,
    cut,
    close() {
      server.close();
      cut();
    },
  };
}
