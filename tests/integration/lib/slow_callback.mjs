// A process of its own that is an authentication callback, so that nothing else makes it late.
//   node slow_callback.mjs MS USERS   users u0, u1 … with password p; each answer takes MS
// Tells its parent {port}; to any message it answers {questions, mostAboutOne, mostAtOnce}.
import { CallbackServer, slowly, verified } from './callback.mjs';
import { DOMAIN } from './server.mjs';

const [ms, count] = process.argv.slice(2).map(Number);
const users = Object.fromEntries(Array.from({ length: count }, (_, i) => [`u${i}@${DOMAIN}`, 'p']));
const callback = await new CallbackServer({ users }).start();
callback.behave(slowly(ms, verified()));

process.on('message', () => {
  const about = new Map();
  for (const { body } of callback.requests) about.set(body.username, (about.get(body.username) ?? 0) + 1);
  process.send({ questions: callback.requests.length, mostAboutOne: Math.max(0, ...about.values()), mostAtOnce: callback.maxInFlight });
});
process.on('disconnect', () => process.exit(0));
process.send({ port: callback.port });
