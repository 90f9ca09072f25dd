// A chart of values over time. It can be read by eye, by pointer, by keyboard and by ear.
import { make, makeSvg, write } from './dom.js';
import { marksUpTo, runsOf, spanOf } from './history.js';
import { amount, clock, compact, span } from './words.js';

const PAD = { top: 10, right: 10, bottom: 24, left: 40 };
const ASIDE = 14; /* the tip stands beside what it tells of */
const MOVES = { ArrowLeft: -1, ArrowRight: 1, PageUp: -15, PageDown: 15, Home: -Infinity, End: Infinity };

/** Fills a <figure class="chart">. series: [{ key, label, className }], the lowest first where they are
 * stacked. Returns show(samples, summary), to be called at every sample. */
export function createChart(figure, { series, stacked = false }) {
  const plot = figure.querySelector('.plot');
  const svg = plot.querySelector('svg');
  const tip = plot.appendChild(make('div', 'tip'));
  const spoken = plot.appendChild(make('p', 'unseen'));
  const layers = svg.appendChild(makeSvg('g'));
  const cursor = svg.appendChild(makeSvg('g', { class: 'cursor' }));
  const legend = createLegend(figure.querySelector('.legend'), series);
  let samples = [];
  let chosen = null; /* the sample that the tip tells of */

  tip.hidden = true;
  tip.setAttribute('aria-hidden', 'true');
  spoken.setAttribute('aria-live', 'polite');

  function draw() {
    const area = areaOf(svg, samples, series, stacked);
    layers.replaceChildren(...axes(area), ...lines(area, samples, series, stacked));
    if (!samples.includes(chosen))
      chosen = null;
    point(area);
  }

  function point(area = areaOf(svg, samples, series, stacked)) {
    tip.hidden = chosen === null;
    cursor.replaceChildren(...(chosen ? marks(area, chosen, series, stacked) : []));
    legend.show((chosen ?? samples.at(-1))?.values);
    if (!chosen)
      return;
    tip.replaceChildren(make('strong', '', clock(chosen.at)), ...rows(chosen, series));
    const x = area.x(chosen.at);
    const left = x > area.width / 2 ? x - tip.offsetWidth - ASIDE : x + ASIDE;
    tip.style.left = `${Math.max(0, Math.min(area.width - tip.offsetWidth, left))}px`;
  }

  function choose(sample) {
    chosen = sample;
    point();
  }

  function move(step) {
    const last = samples.length - 1;
    const from = chosen ? samples.indexOf(chosen) : last + (step < 0 ? 1 : 0);
    choose(samples[Math.max(0, Math.min(last, from + step))] ?? null);
    if (chosen)
      write(spoken, `${clock(chosen.at)}: ${inWords(chosen, series)}`);
  }

  svg.addEventListener('pointermove', ({ offsetX }) => choose(nearest(samples, areaOf(svg, samples, series, stacked), offsetX)));
  svg.addEventListener('pointerleave', () => choose(null));
  svg.addEventListener('blur', () => choose(null));
  svg.addEventListener('keydown', (event) => {
    if (event.key === 'Escape')
      choose(null);
    else if (event.key in MOVES && !event.altKey && !event.ctrlKey && !event.metaKey)
      move(MOVES[event.key]);
    else
      return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(plot);

  return function show(all, summary) {
    samples = all;
    write(figure.querySelector('.summary'), summary);
    draw();
  };
}

const total = ({ values }, series) => series.reduce((sum, { key }) => sum + values[key], 0);
const inWords = (sample, series) =>
  series.map(({ key, label }) => `${label} ${amount(sample.values[key])}`).join(', ');

/* Where things go, in pixels: the drawing is made anew for each width, so that text keeps its size. */
function areaOf(svg, samples, series, stacked) {
  const { clientWidth: width, clientHeight: height } = svg;
  const ends = samples.at(-1)?.at ?? Date.now();
  const spanMs = spanOf(samples);
  const tops = samples.map((sample) =>
    stacked ? total(sample, series) : Math.max(...series.map(({ key }) => sample.values[key])));
  const ticks = marksUpTo(Math.max(0, ...tops));
  const x0 = PAD.left, x1 = width - PAD.right, y0 = height - PAD.bottom, y1 = PAD.top;
  return {
    width, height, spanMs, ticks, x0, x1, y0, y1,
    x: (at) => x1 - ((ends - at) / spanMs) * (x1 - x0),
    y: (value) => y0 - (value / ticks.at(-1)) * (y0 - y1),
  };
}

function axes({ x0, x1, y0, y, ticks, spanMs, height }) {
  const text = (x, at, anchor, content) => {
    const label = makeSvg('text', { x, y: at, 'text-anchor': anchor });
    label.textContent = content;
    return label;
  };
  return [
    ...ticks.map((tick) => makeSvg('line', { class: tick ? 'grid' : 'base', x1: x0, x2: x1, y1: y(tick), y2: y(tick) })),
    ...ticks.map((tick) => text(x0 - 8, y(tick) + 4, 'end', compact(tick))),
    text(x0, height - 6, 'start', `${span(spanMs)} ago`),
    text((x0 + x1) / 2, height - 6, 'middle', span(spanMs / 2)),
    text(x1, y0 + 18, 'end', 'now'),
  ];
}

/* [lower, upper] of every series at a sample. */
function bandsOf(sample, series, stacked) {
  let base = 0;
  return series.map(({ key }) => {
    const lower = stacked ? base : 0;
    base = lower + sample.values[key];
    return [lower, base];
  });
}

function lines(area, samples, series, stacked) {
  const runs = runsOf(samples).map((run) => run.map((sample) => ({
    x: area.x(sample.at).toFixed(1),
    bands: bandsOf(sample, series, stacked).map((band) => band.map((value) => area.y(value).toFixed(1))),
  })));
  return series.flatMap(({ key, className }, i) => {
    if (!samples.some(({ values }) => values[key] > 0))
      return []; /* the legend says 0 */
    const upper = runs.map((run) => run.map(({ x, bands }) => `${x} ${bands[i][1]}`));
    const lower = runs.map((run) => run.map(({ x, bands }) => `${x} ${bands[i][0]}`).reverse());
    const line = upper.map((points) => `M${points.length > 1 ? points.join('L') : `${points[0]}h-3`}`).join('');
    const fill = upper.map((points, r) => `M${[...points, ...lower[r]].join('L')}Z`).join('');
    return [
      makeSvg('path', { class: `area ${className}`, d: fill }),
      makeSvg('path', { class: `line ${className}`, d: line }),
    ];
  });
}

function marks(area, sample, series, stacked) {
  const x = area.x(sample.at);
  const bands = bandsOf(sample, series, stacked);
  const dots = series.map(({ key, className }, i) =>
    sample.values[key] > 0 && makeSvg('circle', { class: `dot ${className}`, cx: x, cy: area.y(bands[i][1]), r: 4 }));
  return [makeSvg('line', { class: 'hair', x1: x, x2: x, y1: area.y1, y2: area.y0 }), ...dots.filter(Boolean)];
}

function nearest(samples, area, x) {
  const distance = (sample) => Math.abs(area.x(sample.at) - x);
  return samples.reduce((best, sample) => (!best || distance(sample) < distance(best) ? sample : best), null);
}

function swatch(className) {
  const svg = makeSvg('svg', { class: 'swatch', viewBox: '0 0 20 8', 'aria-hidden': 'true', focusable: 'false' });
  svg.append(makeSvg('path', { class: `line ${className}`, d: 'M0 4H20' }));
  return svg;
}

const rows = (sample, series) =>
  series.map(({ key, label, className }) =>
    make('span', 'value', [swatch(className), make('span', '', label), make('b', '', amount(sample.values[key]))]));

function createLegend(list, series) {
  const values = series.map(({ label, className }) => {
    const value = make('b', '', '–');
    list.append(make('li', '', [swatch(className), make('span', '', label), value]));
    return value;
  });
  return {
    show: (current) => series.forEach(({ key }, i) => write(values[i], current ? amount(current[key]) : '–')),
  };
}
