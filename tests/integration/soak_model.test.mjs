// The soak test's model says what it should of stores that lie.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Model } from '../soak/model.mjs';

const AOR = 'a@h';
const GRANT = { expiresS: 10, isListSure: true, holder: {} };
const world = () => new Model({ graceMs: 1000, maxContacts: 2, slackMs: 500 });

/** `uri` is registered from `at` to `at` + 10. */
function register(model, at, uri, listed = [uri]) {
  model.granted(at + 10, model.begin(at, { aor: AOR, kind: 'register', uri }), { ...GRANT, listed });
}

function look(model, at, ...uris) {
  lookIn(model, 'here', at, ...uris);
}

function lookIn(model, where, at, ...uris) {
  model.compareStore(at, at + 5, { where, pairs: uris.map((uri) => [AOR, uri]) }, model.versions());
}

function orphan(model, uri) {
  model.entry(AOR, uri).isOrphan = true;
}

function remove(model, at, uri) {
  model.removed(at + 10, model.begin(at, { aor: AOR, kind: 'remove', uri }));
}

describe('the model of the soak test', () => {
  const rows = [
    // what happens, how many violations, why
    [(m) => [register(m, 1000, 'x'), look(m, 2000, 'x')], 0, 'it is there'],
    [(m) => [register(m, 1000, 'x'), look(m, 2000)], 1, 'a 200, and it is not there'],
    [(m) => [register(m, 1000, 'x'), look(m, 2000, 'x', 'y')], 1, 'nobody registered y'],
    [(m) => [register(m, 1000, 'x'), look(m, 11500)], 0, 'expired'],
    [(m) => [register(m, 1000, 'x'), look(m, 12400, 'x')], 0, 'within grace and slack'],
    [(m) => [register(m, 1000, 'x'), look(m, 12600, 'x')], 1, 'it should have expired'],
    [(m) => [register(m, 1000, 'x'), orphan(m, 'x'), lookIn(m, 'redis', 12600, 'x')], 0, 'expired, and its node is dead'],
    [(m) => [register(m, 1000, 'x'), orphan(m, 'x'), remove(m, 2000, 'x'), lookIn(m, 'redis', 2020, 'x')], 1, 'removed, though its node is dead'],
    [(m) => [register(m, 1000, 'x'), orphan(m, 'x'), look(m, 12600, 'x')], 1, 'an answer lists what a dead node held'],
    [(m) => [register(m, 1000, 'x'), orphan(m, 'x'), register(m, 2000, 'x'), lookIn(m, 'redis', 13600, 'x')], 1, 'another node holds it now'],
    [(m) => [register(m, 1000, 'x'), remove(m, 2000, 'x'), look(m, 2020, 'x')], 1, 'it was removed'],
    [(m) => [register(m, 1000, 'x'), m.flowDied(2000, AOR, 'x', 100, ''), look(m, 2050, 'x')], 0, 'its connection has just closed'],
    [(m) => [register(m, 1000, 'x'), m.flowDied(2000, AOR, 'x', 100, ''), look(m, 2200, 'x')], 1, 'its connection is gone'],
    [(m) => [register(m, 1000, 'x'), m.begin(2000, { aor: AOR, kind: 'remove', uri: 'x' }), look(m, 2001)], 0, 'a request is under way'],
    [(m) => [register(m, 1000, 'x'), register(m, 2000, 'y', ['y', 'x'])], 0, 'both are listed'],
    [(m) => [register(m, 1000, 'x'), register(m, 2000, 'y', ['y'])], 1, 'the 200 does not list x'],
    [(m) => [register(m, 1000, 'x'), register(m, 2000, 'y', ['y', 'x']), register(m, 3000, 'z', ['z', 'y']), look(m, 4000, 'y', 'z')], 0, 'x had to go'],
    [(m) => [register(m, 1000, 'x'), register(m, 2000, 'y', ['y', 'x']), register(m, 3000, 'z', ['z', 'x'])], 1, 'y was refreshed after x'],
    [(m) => [register(m, 1000, 'x'), m.refused(2010, m.begin(2000, { aor: AOR, kind: 'refresh', uri: 'x' }), 403), look(m, 3000)], 1, 'a refusal changes nothing'],
  ];
  for (const [play, count, why] of rows)
    it(why, () => {
      const model = world();
      play(model);
      assert.equal(model.violations.length, count, JSON.stringify(model.violations));
    });
});
