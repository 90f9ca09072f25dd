// Where is somebody registered? With ioredis:  node read.mjs alice@example.com
// Host and port of Redis come from REDIS_HOST and REDIS_PORT. One JSON line a contact, the best first.
import { createRequire } from 'node:module';
import process from 'node:process';

const require = createRequire(`${process.cwd()}/`); // the ioredis of your own project
const Redis = require('ioredis');

const redis = new Redis({ host: process.env.REDIS_HOST ?? '127.0.0.1', port: Number(process.env.REDIS_PORT ?? 6379) });
const fields = await redis.hgetall(`user:${process.argv[2]}`);
redis.disconnect();

const bindings = Object.entries(fields)
  .filter(([name]) => name.startsWith('binding:'))
  .map(([, json]) => JSON.parse(json))
  .filter(({ expiryTime }) => expiryTime > Date.now()) // in its grace, it may be gone any moment
  .sort((a, b) => b.q - a.q || b.expiryTime - a.expiryTime); // RFC 3261 16.6: the highest q first

for (const { contact, protocol, proxy, sbcAddress } of bindings) console.log(JSON.stringify({ contact, protocol, proxy, sbcAddress }));
