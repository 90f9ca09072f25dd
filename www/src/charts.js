// The two charts of the page: who is registered, and what is asked for.
import { createChart } from './chart.js';
import { History, rangeOf, spanOf } from './history.js';
import { amount, duration } from './words.js';

const TRANSPORTS = ['wss', 'ws', 'tls', 'tcp', 'udp'];

/** Returns add(status), for every /api/v1/status. */
export function startCharts(document) {
  const history = new History();
  const registrations = createChart(document.getElementById('chart-registrations'), {
    stacked: true,
    series: TRANSPORTS.map((key) => ({ key, label: key.toUpperCase(), className: key })),
  });
  const rates = createChart(document.getElementById('chart-rates'), {
    series: [
      { key: 'registers', label: 'REGISTER', className: 'registers' },
      { key: 'challenges', label: '401 challenge', className: 'challenges' },
      { key: 'refused', label: '403 refused', className: 'refused' },
    ],
  });

  return function add(status) {
    history.add(Date.now(), valuesOf(status));
    registrations(history.samples, registrationsInWords(history.samples));
    rates(history.samples, ratesInWords(history.samples));
  };
}

export function valuesOf({ registrations, rates }) {
  const bound = TRANSPORTS.map((key) => [key, registrations[key] ?? 0]);
  return {
    ...Object.fromEntries(bound),
    total: registrations.total,
    registers: rates.registersPerSecond,
    challenges: rates.challengesPerSecond,
    refused: rates.refusedPerSecond,
  };
}

const lately = (samples) => `in the last ${duration(spanOf(samples) / 1000)}`.replace('1 minute', 'minute');

export function registrationsInWords(samples) {
  const now = samples.at(-1).values;
  const [least, most] = rangeOf(samples, ({ values }) => values.total);
  const parts = TRANSPORTS.filter((key) => now[key] > 0).map((key) => `${amount(now[key])} ${key.toUpperCase()}`);
  const range = least === most ? `Steady ${lately(samples)}.` : `Between ${amount(least)} and ${amount(most)} ${lately(samples)}.`;
  return `${amount(now.total)} now${parts.length > 0 ? `: ${parts.join(', ')}` : ''}. ${range}`;
}

export function ratesInWords(samples) {
  const now = samples.at(-1).values;
  const [, most] = rangeOf(samples, ({ values }) => values.registers);
  return `${amount(now.registers)} REGISTERs a second now. At most ${amount(most)} ${lately(samples)}.`;
}
