// Who listens to GET /api/v1/events, and who has subscribed to the same in Redis.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import Redis from 'ioredis';
import { until, within } from './expect.mjs';
import { ROOT } from './server.mjs';

const { Event } = JSON.parse(fs.readFileSync(path.join(ROOT, 'www/openapi.json'), 'utf8')).components.schemas;
const isEvent = new Ajv2020({ allErrors: true }).compile(Event);

/** An event as it is documented. */
function parseEvent(json) {
  const event = JSON.parse(json);
  assert.ok(isEvent(event), `${json}: ${JSON.stringify(isEvent.errors)}`);
  return event;
}

class Listener {
  constructor() {
    this.events = []; // as parsed, in their order
  }

  /** The events so far, once there are `count` of them. */
  async until(count, ms = 5000) {
    await until(`${count} events`, () => this.events.length >= count, ms).catch((error) => {
      throw new Error(`${error.message}:\n${JSON.stringify(this.events, null, 1)}`);
    });
    return this.events;
  }

  /** Exactly those, by what `of` makes of each; more would have come by then. */
  async hears(expected, of = (event) => event.type) {
    await this.until(expected.length);
    assert.deepEqual(this.events.map(of), expected);
  }
}

export class EventStream extends Listener {
  /** {status} that is not 200 for one that was refused. */
  static async open(t, server, query = '', { headers = {} } = {}) {
    const stream = new EventStream();
    const token = server.config.http.adminToken;
    stream.text = '';
    stream.comments = 0;
    stream.ended = new Promise((resolve) => (stream.end = resolve));
    const options = { agent: false, headers: { ...(token && { Authorization: `Bearer ${token}` }), ...headers } };
    stream.request = http.get(`${server.admin}/api/v1/events${query}`, options);
    t.after(() => stream.close());
    const response = await within(5000, 'the stream is answered', new Promise((resolve, reject) => {
      stream.request.on('response', resolve).on('error', reject);
    }));
    stream.request.on('error', () => stream.end('reset'));
    Object.assign(stream, { status: response.statusCode, headers: response.headers });
    response.setEncoding('utf8').on('data', (data) => stream.take(data));
    response.on('end', () => stream.end('end')).on('error', () => stream.end('reset'));
    if (stream.status === 200) await until('the first line', () => stream.comments > 0);
    else await within(5000, 'the answer ends', stream.ended);
    return stream;
  }

  take(data) {
    this.text += data;
    for (let end; (end = this.text.indexOf('\n\n')) >= 0; this.text = this.text.slice(end + 2)) {
      const block = this.text.slice(0, end);
      if (block === ':') {
        this.comments++;
        continue;
      }
      const [, type, json] = /^event: ([a-z-]+)\ndata: (\{.*\})$/.exec(block) ?? assert.fail(`no event: ${block}`);
      const event = parseEvent(json);
      assert.equal(event.type, type);
      this.events.push(event);
    }
  }

  close() {
    this.request.destroy();
  }
}

export class Subscriber extends Listener {
  static async open(t, redis, channel = 'user:events') {
    const subscriber = new Subscriber();
    const client = new Redis({ host: '127.0.0.1', port: redis.port, retryStrategy: () => 50, maxRetriesPerRequest: 40 });
    client.on('error', () => {});
    t.after(() => client.disconnect());
    client.on('message', (from, message) => {
      assert.equal(from, channel);
      subscriber.events.push(parseEvent(message));
    });
    await client.subscribe(channel);
    subscriber.client = client;
    return subscriber;
  }
}
