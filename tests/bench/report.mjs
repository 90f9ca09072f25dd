// The table and plots of README.md, from the lines in results/.
import fs from 'node:fs';
import { CASES } from './cases.mjs';
import { figure, ratio } from './statistics.mjs';

const README = new URL('../../README.md', import.meta.url);
const RESULTS = new URL('results/', import.meta.url);
const [BEGIN, END] = ['<!-- bench:begin -->', '<!-- bench:end -->'];

const short = (value) => (value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3))));
const withUnit = (value, unit) => (unit === '/s' ? `${short(value)}/s` : `${short(value)} ${unit}`);

function told(one, unit) {
  if (!one) return '–';
  const { median, min, max, runs } = one;
  return withUnit(median, unit) + (runs > 1 ? ` (${short(min)}–${short(max)})` : '');
}

/** Every case that has been measured, in the order of the cases. */
function measured() {
  return Object.entries(CASES).flatMap(([name, row]) => {
    const file = new URL(`${name}.json`, RESULTS);
    if (!fs.existsSync(file)) return [];
    const result = JSON.parse(fs.readFileSync(file));
    const of = (server, pick) => figure(result.runs, server, pick);
    return [{
      name, row, result,
      ours: of('aorta', row.of), theirs: of('kamailio', row.of),
      ourRate: of('aorta', (run) => run.per_second), theirRate: of('kamailio', (run) => run.per_second),
      ourKernel: of('aorta', (run) => run.server?.system_us), theirKernel: of('kamailio', (run) => run.server?.system_us),
      times: ratio(result.runs, 'kamailio', 'aorta', row.of),
    }];
  });
}

const rateOf = (one, unit) => (one && unit === 'µs' ? `${short(one.median)}/s` : '');
const kernelOf = (one, unit) => (one && unit === 'µs' ? short(one.median) : '');

/** A figure, or a share of another case's rate in the same results. */
function reachOf(row, cases) {
  if (!row.reachShare) return row.reach;
  const other = cases.find(({ name }) => name === row.reachShare.of)?.ourRate;
  return other && row.reachShare.share * other.median;
}

function tableOf(cases) {
  const lines = cases.map(({ name, row, ours, theirs, ourRate, theirRate, ourKernel, theirKernel, times }) => {
    const reach = reachOf(row, cases);
    return [
      row.title, row.what, told(ours, row.unit), kernelOf(ourKernel, row.unit), rateOf(ourRate, row.unit),
      told(theirs, row.unit), kernelOf(theirKernel, row.unit), rateOf(theirRate, row.unit),
      times ? `${times.median.toFixed(1)} ×` : '', reach ? `${row.unit === '/s' ? '≥' : '≤'} ${withUnit(reach, row.unit)}` : '', `\`${name}\``,
    ].join(' | ');
  });
  const head = ['case', 'figure', 'aorta', 'kernel', 'rate', 'Kamailio', 'kernel', 'rate', 'Kamailio : aorta', 'to reach', '`--case`'].join(' | ');
  return [`| ${head} |`, `|${' --- |'.repeat(11)}`, ...lines.map((line) => `| ${line} |`)].join('\n');
}

// ---- Plots ---------------------------------------------------------------------------------------------

const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const STYLE = `<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f } .aorta { fill: #0a7d5a } .kamailio { fill: #b35900 } line { stroke: #8c959f }
  .small { font-size: 12px }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .aorta { fill: #3fb68b } .kamailio { fill: #e3954a } line { stroke: #6e7681 } }
</style>`;
const [LEFT, WIDTH, BAR, ROW] = [300, 760, 16, 52];

/** Bars beside each other, a pair a case; each pair has a scale of its own where figures lie far apart. */
function plotOf(title, cases) {
  const room = WIDTH - LEFT - 90;
  const longest = Math.max(...cases.flatMap(({ ours, theirs }) => [ours?.median ?? 0, theirs?.median ?? 0]));
  const bar = (server, one, unit, y) => {
    if (!one) return `<text class="small" x="${LEFT + 6}" y="${y + 13}">–</text>`;
    const length = Math.max(2, (one.median / longest) * room);
    const at = (value) => LEFT + (value / longest) * room;
    return [
      `<rect class="${server}" x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="${BAR}"/>`,
      `<line x1="${at(one.min).toFixed(1)}" x2="${at(one.max).toFixed(1)}" y1="${y + BAR / 2}" y2="${y + BAR / 2}"/>`,
      `<text class="small" x="${(Math.max(LEFT + length, at(one.max)) + 6).toFixed(1)}" y="${y + 13}">${withUnit(one.median, unit)}</text>`,
    ].join('\n');
  };
  const rows = cases.map(({ row, ours, theirs }, i) => {
    const y = 64 + i * ROW;
    return [`<text text-anchor="end" x="${LEFT - 10}" y="${y + 21}">${escaped(row.title.replace(/ \(connect.*/, ''))}</text>`, bar('aorta', ours, row.unit, y), bar('kamailio', theirs, row.unit, y + BAR + 2)].join('\n');
  });
  const height = 64 + cases.length * ROW + 4;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
${STYLE}
<text x="10" y="22" font-weight="600">${escaped(title)}</text>
<rect class="aorta" x="10" y="36" width="12" height="12"/><text class="small" x="28" y="47">aorta</text>
<rect class="kamailio" x="84" y="36" width="12" height="12"/><text class="small" x="102" y="47">Kamailio (shorter is better; line: lowest to highest run)</text>
${rows.join('\n')}
</svg>
`;
}

const PLOTS = [
  ['cpu', 'CPU a registration, bindings in memory', (name, row) => row.unit === 'µs' && !row.asks && name !== 'wss-storm'],
  ['cpu-callback', 'CPU a registration, HTTP callback and Redis; a whole WSS storm client', (name, row) => row.unit === 'µs' && (row.asks || name === 'wss-storm')],
  ['memory', 'Memory for an idle WSS client, and for a UDP binding', (_name, row) => row.unit === 'bytes'],
  ['latency', 'p99 of the latency at half of the maximum', (_name, row) => row.unit === 'ms'],
];

/** Text between the two marks of README.md, which is left alone where it has none. */
export function writeReport() {
  const cases = measured();
  if (!cases.length) return;
  const plots = [];
  for (const [name, title, belongs] of PLOTS) {
    const shown = cases.filter((one) => belongs(one.name, one.row) && one.ours);
    if (!shown.length) continue;
    fs.writeFileSync(new URL(`${name}.svg`, RESULTS), plotOf(title, shown));
    plots.push(`![${title}](tests/bench/results/${name}.svg)`);
  }
  const { commit, date, kernel, cpu, cores, kamailio } = cases.map((one) => one.result).sort((a, b) => (a.date < b.date ? 1 : -1))[0];
  const where = `Commit ${commit}, ${date.slice(0, 10)}, Linux ${kernel}, ${cores} cores of ${cpu}, which the load generator shares; Kamailio ${kamailio ?? 'not measured'}.`;
  const notes = cases.filter(({ row }) => row.note).map(({ row }) => `${row.title}: ${row.note}.`);
  const section = [BEGIN, where, 'Medians (lowest–highest); the ratio is the median of the pairs; "kernel" is the share of the CPU time that the kernel spent, in µs.', ...notes, '', tableOf(cases), '', plots.join('\n\n'), END].join('\n');
  const readme = fs.readFileSync(README, 'utf8');
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (from < 0 || to < from) return;
  fs.writeFileSync(README, readme.slice(0, from) + section + readme.slice(to + END.length));
}
