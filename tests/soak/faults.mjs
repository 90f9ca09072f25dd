// What goes wrong. Each begins, lasts as long as `random` says, and ends; the world is told what may
// be felt of it.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { OUTAGES } from '../integration/lib/callback.mjs';
import { CALLBACK_SETTLES_MS } from './world.mjs';

async function restartRedis(world, random, keepsData) {
  const began = world.beginStoreTrouble('redis is killed');
  await world.redis.kill();
  await delay(random.between(50, 3000));
  if (!keepsData) for (const name of fs.readdirSync(world.redis.folder)) fs.rmSync(path.join(world.redis.folder, name), { recursive: true });
  await world.redis.start();
  world.endStoreTrouble(began, `redis is back ${keepsData ? 'with its data' : 'empty'}`, !keepsData);
}

/** Some behaviour of OUTAGES, or nobody listens at all. */
async function breakCallback(world, random) {
  const [name, behaviour] = random.pick([['nobody there', undefined], ...OUTAGES]);
  world.event(`callback: ${name}`);
  world.trouble.begin('callback');
  if (behaviour) world.callback.behave(behaviour);
  else await world.callback.close();
  await delay(random.between(300, 4000));
  world.callback.behave(world.honest());
  if (!behaviour) await world.callback.start();
  world.event('callback is well again');
  world.trouble.end('callback', CALLBACK_SETTLES_MS);
}

export const FAULTS = {
  reload: async (world, random) => {
    const level = random.pick(['info', 'info', 'debug']);
    world.event(`reload, log level ${level}`);
    await world.reload({ logging: { level } });
  },
  redisRestart: (world, random) => restartRedis(world, random, true),
  redisEmptied: (world, random) => restartRedis(world, random, false),
  redisFrozen: async (world, random) => {
    const began = world.beginStoreTrouble('redis is frozen');
    world.redis.pause();
    await delay(random.between(50, 3000));
    world.redis.resume();
    world.endStoreTrouble(began, 'redis goes on', false);
  },
  redisFlushed: async (world) => {
    const began = world.beginStoreTrouble('FLUSHALL');
    await world.redis.client.flushall();
    world.endStoreTrouble(began, 'flushed', true);
  },
  redisDisconnects: async (world) => {
    const began = world.beginStoreTrouble('redis closes all connections');
    await world.redis.client.client('KILL', 'TYPE', 'normal');
    world.endStoreTrouble(began, 'closed', false);
  },
  callbackOutage: breakCallback,
  nodeKilled: (world, random) => world.restartNode(random.pick(world.nodes), (server) => server.kill(), random.between(0, 3000)),
  nodeRestarted: (world, random) => world.restartNode(random.pick(world.nodes), (server) => server.stop(), random.between(0, 1000)),
};
