// Why somebody can, or cannot, be reached: the node's own words, laid out.
import { make, makeList } from './dom.js';
import { clock } from './words.js';

const FLOWS = {
  open: 'connection open',
  closed: 'connection closed',
  datagram: 'no connection needed',
  elsewhere: 'on another node',
};

/** Asks for one address and fills the box with the answer. Resolves to its sentence. */
export async function explain(api, aor, box) {
  box.replaceChildren(make('p', 'hint', 'Asking…'));
  try {
    const answer = await api.ask(`api/v1/aors/${encodeURIComponent(aor)}/why`);
    box.replaceChildren(...layOut(answer));
  } catch (error) {
    box.replaceChildren(make('p', 'hint', excuse(error)));
  }
}

function excuse({ status, message }) {
  if (status === 404)
    return 'This node cannot say why: it keeps no notes on addresses.';
  return status === undefined ? 'The node does not answer.' : `The node says: ${message}.`;
}

function layOut({ reachable, sentence, bindings = [], facts = [] }) {
  const verdict = make('p', 'state', sentence);
  verdict.dataset.tone = reachable ? 'good' : 'bad';
  return [verdict, bindings.length > 0 && bindingList(bindings), facts.length > 0 && factList(facts)].filter(Boolean);
}

function bindingList(bindings) {
  return make('ul', 'flows', bindings.map((binding) => {
    const heard = binding.heardTime ? `, last heard at ${clock(binding.heardTime)}` : '';
    const pings = binding.unansweredPings > 0 ? `, ${binding.unansweredPings} pings without an answer` : '';
    const state = make('b', '', FLOWS[binding.flowState] ?? binding.flowState);
    return make('li', '', [make('code', '', binding.contact), ` ${binding.protocol.toUpperCase()}: `, state, heard + pings]);
  }));
}

/* The newest first: it is what the sentence is about. */
function factList(facts) {
  const box = make('details', 'facts-told');
  box.append(make('summary', '', [make('span', 'what', `What was noted (${facts.length})`)]));
  box.append(makeList('facts-list', facts.slice().reverse().map((fact) => {
    const from = [fact.protocol?.toUpperCase(), fact.source].filter(Boolean).join(' ');
    const text = fact.times > 1 ? `${fact.text} (${fact.times} times)` : fact.text;
    return [clock(fact.time), [text, from && make('small', '', ` ${from}`)].filter(Boolean)];
  })));
  return box;
}
