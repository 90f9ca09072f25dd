// www/openapi.json against the real answers of a real node, and against the routes of src/web/web.c.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import { assertStatus } from './lib/expect.mjs';
import { DOMAIN, ROOT, httpRequest, startServer, withServer } from './lib/server.mjs';
import { openPhone } from './lib/phone.mjs';
import { startNode, startRedis } from './lib/redis.mjs';

const openapi = JSON.parse(fs.readFileSync(path.join(ROOT, 'www/openapi.json'), 'utf8'));
const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });
ajv.addVocabulary(['components', 'paths', 'openapi', 'info', 'security']);
ajv.addSchema({ ...openapi, $id: 'api' });

const ALICE = encodeURIComponent(`alice@${DOMAIN}`);
const operations = Object.entries(openapi.paths).flatMap(([at, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${at}`));
const seen = new Set();

/** Is this answer of `method` at `route` (as the file writes it) one that the file describes? */
function check(method, route, answer) {
  const operation = openapi.paths[route]?.[method.toLowerCase()];
  assert.ok(operation, `${method} ${route} is not described`);
  const response = operation.responses[answer.status];
  assert.ok(response, `${method} ${route}: ${answer.status} is not described: ${answer.body}`);
  seen.add(`${method} ${route} ${answer.status}`);
  if (!response.content) {
    assert.equal(answer.body, '');
    return;
  }
  const [[type, { schema }]] = Object.entries(response.content);
  assert.ok(answer.headers['content-type'].startsWith(type), answer.headers['content-type']);
  if (type !== 'application/json') return;
  const validate = ajv.getSchema(`api${schema.$ref}`);
  assert.ok(validate(answer.json()), `${method} ${route} ${answer.status}: ${ajv.errorsText(validate.errors)}\n${answer.body}`);
}

const asker = (server) => async (method, route, { at = route, body, ...options } = {}) => {
  const answer = await httpRequest(server.admin + at, { method, body, ...options });
  check(method, route, answer);
  return answer;
};

describe('the OpenAPI file', () => {
  const server = withServer({ config: { limits: { neverBan: ['127.0.0.0/8'] } } });
  const ask = (...what) => asker(server)(...what);
  after(() => {
    const never = operations.filter((operation) => ![...seen].some((one) => one.startsWith(`${operation} `)));
    assert.deepEqual(never, [], 'described, but never asked for here');
  });

  it('has the routes of the admin listener, no more and no less', () => {
    const source = fs.readFileSync(path.join(ROOT, 'src/web/web.c'), 'utf8');
    const table = /admin_routes\[\] = \{(.*?)\n\};/s.exec(source)[1];
    const routes = [...table.matchAll(/\{"(GET|POST|PUT|DELETE)", *"([^"]+)"/g)].map(([, method, at]) => `${method} ${at}`);
    assert.ok(routes.length > 10);
    const files = ['GET /', 'GET /{file}']; // the page
    assert.deepEqual(routes.filter((route) => !files.includes(route)).sort(), [...operations].sort());
  });

  it('each schema that is used is there, and each that is there is used', () => {
    const used = new Set([...JSON.stringify(openapi).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    const there = Object.keys(openapi.components.schemas).filter((name) => name !== 'Event'); // of a stream
    assert.deepEqual([...used].sort(), there.sort());
  });

  it('describes what is answered', async (t) => {
    for (const kind of ['udp', 'wss']) {
      const phone = await openPhone(t, server, kind);
      assertStatus(await phone.register({ headers: [['User-Agent', 'x']] }), 200);
    }
    for (const route of ['/healthz', '/readyz', '/metrics', '/api/v1/status', '/api/v1/node', '/api/v1/registrations', '/api/v1/bans', '/api/v1/log-level', '/api/v1/trace'])
      assert.equal((await ask('GET', route)).status, 200);
    assert.equal((await ask('GET', '/api/v1/registrations', { at: '/api/v1/registrations?limit=1' })).status, 200);
    assert.equal((await ask('GET', '/api/v1/registrations', { at: '/api/v1/registrations?limit=x' })).status, 400);
    for (const route of ['/api/v1/aors/{aor}', '/api/v1/aors/{aor}/why']) {
      assert.equal((await ask('GET', route, { at: route.replace('{aor}', ALICE) })).status, 200);
      assert.equal((await ask('GET', route, { at: route.replace('{aor}', '%zz') })).status, 400);
      await ask('GET', route, { at: route.replace('{aor}', 'nobody@nowhere') });
    }
    const remove = '/api/v1/registrations/{aor}';
    assert.equal((await ask('DELETE', remove, { at: `/api/v1/registrations/${ALICE}?closeFlow=x` })).status, 400);
    assert.equal((await ask('DELETE', remove, { at: `/api/v1/registrations/${ALICE}?closeFlow=true` })).status, 204);
    assert.equal((await ask('DELETE', remove, { at: `/api/v1/registrations/${ALICE}` })).status, 404);
    await ask('GET', '/api/v1/aors/{aor}/why', { at: `/api/v1/aors/${ALICE}/why` });

    assert.equal((await ask('POST', '/api/v1/bans', { body: { ip: '192.0.2.1', seconds: 60, reason: 'x' } })).status, 201);
    assert.equal((await ask('POST', '/api/v1/bans', { body: { ip: '127.0.0.1', seconds: 60 } })).status, 409);
    assert.equal((await ask('POST', '/api/v1/bans', { body: { ip: 'x' } })).status, 400);
    assert.equal((await ask('POST', '/api/v1/bans', {})).status, 415);
    for (const [method, status] of [['GET', 200], ['DELETE', 204], ['GET', 404], ['DELETE', 404]])
      assert.equal((await ask(method, '/api/v1/bans/{ip}', { at: '/api/v1/bans/192.0.2.1' })).status, status);

    assert.equal((await ask('PUT', '/api/v1/log-level', { body: { level: 'warn' } })).status, 200);
    assert.equal((await ask('PUT', '/api/v1/log-level', { body: { level: 'x' } })).status, 400);
    assert.equal((await ask('PUT', '/api/v1/log-level', {})).status, 415);

    assert.equal((await ask('POST', '/api/v1/trace', { body: { aor: 'a@b', seconds: 5 } })).status, 201);
    assert.equal((await ask('POST', '/api/v1/trace', { body: { ip: '192.0.2.1', seconds: 5 } })).status, 201);
    assert.equal((await ask('GET', '/api/v1/trace')).status, 200);
    assert.equal((await ask('POST', '/api/v1/trace', { body: {} })).status, 400);
    assert.equal((await ask('DELETE', '/api/v1/trace')).status, 204);
  });

  it('describes what is refused', async (t) => {
    const guarded = await startServer(t, { config: { http: { adminToken: 'secret' } } });
    for (const operation of operations) {
      const [method, route] = operation.split(' ');
      const answer = await httpRequest(guarded.admin + route.replace(/\{\w+\}/, 'x'), { method });
      assert.equal(answer.status, 401, operation);
      if (openapi.paths[route][method.toLowerCase()].security === undefined) check(method, route, answer);
      const rebound = await httpRequest(server.admin + route.replace(/\{\w+\}/, 'x'), { method, headers: { Host: 'evil.example' } });
      if (rebound.status === 403) check(method, route, rebound);
    }
  });

  it('describes a node that ends, and one without its store', async (t) => {
    const redis = await startRedis(t);
    const node = await startNode(redis, 'n1', { config: { drainSeconds: 1 } });
    await redis.kill();
    await node.ready(false);
    const askNode = asker(node);
    assert.equal((await askNode('GET', '/readyz')).status, 503);
    assert.equal((await askNode('GET', '/api/v1/aors/{aor}', { at: `/api/v1/aors/${ALICE}` })).status, 503);
    assert.equal((await askNode('GET', '/api/v1/registrations')).status, 503);
    node.isStopping = true;
    assert.equal((await askNode('POST', '/api/v1/drain')).status, 202);
    assert.equal((await askNode('GET', '/readyz')).status, 503);
  });
});
