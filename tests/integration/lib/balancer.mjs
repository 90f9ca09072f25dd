// A real HAProxy or nginx of the test's own, with the very files of tests/example/balancers: only
// addresses, paths and times are put in their place.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { issue, makeAuthority } from './certificates.mjs';
import { until, within } from './expect.mjs';
import { ROOT, freePort, temporaryFolder } from './server.mjs';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

function exampleWith(name, changes) {
  let text = fs.readFileSync(path.join(ROOT, 'tests/example/balancers', name), 'utf8');
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `${name} has ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

async function start(t, command, args, port, folder) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const ended = new Promise((resolve) => child.on('close', resolve).on('error', resolve));
  t.after(async () => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 1000).unref();
    await within(3000, `${command} ends`, ended);
    running.delete(child);
    fs.rmSync(folder, { recursive: true });
  });
  const isUp = () =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
  await until(`${command} listens`, async () => child.exitCode !== null || (await isUp()), 10000);
  assert.equal(child.exitCode, null, output);
  return { port: { wss: port }, child };
}

function certificate(folder) {
  makeAuthority(folder);
  return issue(folder, 'balancer');
}

/** `nodes` are two ports of aortas; `idle` takes the place of the file's 60 s. */
export async function startHaproxy(t, name, nodes, { idle = '60s', kind }) {
  const [folder, port] = [temporaryFolder(), await freePort()];
  const { cert, key } = certificate(folder);
  fs.writeFileSync(path.join(folder, 'both.pem'), cert + key);
  const inside = kind === 'ws' ? 8080 : 8443;
  const pem = kind === 'ws' ? [['/etc/haproxy/example.com.pem', path.join(folder, 'both.pem')]] : [];
  const changes = [
    ['bind :443', `bind 127.0.0.1:${port}`],
    [`10.0.0.11:${inside}\n`, `127.0.0.1:${nodes[0]}\n`],
    [`10.0.0.12:${inside}\n`, `127.0.0.1:${nodes[1]}\n`],
    ['inter 1s', 'inter 100ms'],
    [' 60s', ` ${idle}`],
    ...pem,
  ];
  fs.writeFileSync(path.join(folder, 'haproxy.cfg'), exampleWith(name, changes));
  return start(t, 'haproxy', ['-db', '-f', path.join(folder, 'haproxy.cfg')], port, folder);
}

export async function startNginx(t, nodes, { idle = '60s' } = {}) {
  const [folder, port] = [temporaryFolder(), await freePort()];
  certificate(folder);
  const file = (name) => path.join(folder, name);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${file(what)};`).join(' ');
  const changes = [
    ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
    ['/etc/nginx/example.com.crt', file('balancer.crt')],
    ['/etc/nginx/example.com.key', file('balancer.key')],
    ['server 10.0.0.11:8080;', `server 127.0.0.1:${nodes[0]};`],
    ['server 10.0.0.12:8080;', `server 127.0.0.1:${nodes[1]};`],
    ['timeout 60s', `timeout ${idle}`],
    ['worker_connections 16384', 'worker_connections 512'],
    ['http {', `http { access_log off; ${temporary}`],
  ];
  const own = `daemon off; pid ${file('nginx.pid')}; error_log ${file('error.log')};\n`;
  fs.writeFileSync(file('nginx.conf'), own + exampleWith('nginx.conf', changes));
  return start(t, 'nginx', ['-c', file('nginx.conf'), '-e', file('error.log')], port, folder);
}
