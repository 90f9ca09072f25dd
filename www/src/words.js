// Numbers and answers in words.

const UNITS = [
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** 7500 → "2 hours 5 minutes": the two biggest units that are not nothing. */
export function duration(seconds) {
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0)
      parts.push(`${count} ${name}${count === 1 ? '' : 's'}`);
    else if (parts.length > 0)
      break;
  }
  return parts.slice(0, 2).join(' ') || '0 seconds';
}

/** 589 → "9:49", 3605 → "1:00:05": for columns. */
export function countdown(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  if (whole >= 3600)
    parts.unshift(Math.floor(whole / 3600));
  return parts.map((part, i) => (i === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

/** A time of day as 14:05:33. */
export function clock(ms) {
  return new Date(ms).toLocaleTimeString('en-GB', { hour12: false });
}

/** 1234.5 → "1,234.5": at most one decimal. */
export function amount(value) {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}

/** 15000 → "15K": for axes, where room is short. */
export function compact(value) {
  return value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });
}

/** 90000 ms → "1.5 min", 30000 → "30 s". */
export function span(ms) {
  return ms < 60_000 ? `${amount(ms / 1000)} s` : `${amount(ms / 60_000)} min`;
}

/** 0.42 → "0.42 ms", 12.3 → "12.3 ms", 1234 → "1,234 ms": three digits say enough. */
export function latency(ms) {
  return `${ms.toLocaleString('en-US', { maximumFractionDigits: ms < 10 ? 2 : ms < 100 ? 1 : 0 })} ms`;
}

const REFUSALS = {
  401: 'the server did not accept this way of signing in (401 Unauthorized)',
  403: 'wrong user name or password',
  404: 'the server does not know this domain or user (404 Not Found)',
};

/** Why a REGISTER was refused, for people. retryAfter: the seconds the server asked for, if any. */
export function refusal(code, reason, retryAfter) {
  const why = REFUSALS[code] ?? `the server said ${code} ${reason}`.trim();
  const seconds = Number.parseInt(retryAfter, 10);
  return `Refused: ${why}${seconds > 0 ? `, try again in ${duration(seconds)}` : ''}`;
}
