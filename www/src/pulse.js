// The curve of registers a second over the last two minutes.

const SAMPLES = 60;
const WIDTH = 100;
const HEIGHT = 30;

/** Returns add(value), which moves the curve on by one sample. */
export function startPulse(svg) {
  const values = new Array(SAMPLES).fill(0);
  const line = svg.querySelector('.line');
  const area = svg.querySelector('.area');

  return function add(value) {
    values.push(value);
    values.shift();
    const curve = path(values);
    line.setAttribute('d', curve);
    area.setAttribute('d', `${curve}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`);
  };
}

/* At least one register a second fills the height: a quiet node shall look quiet. */
function path(values) {
  const top = Math.max(1, ...values);
  const points = values.map((value, i) => {
    const x = (i / (values.length - 1)) * WIDTH;
    const y = HEIGHT - 1 - (value / top) * (HEIGHT - 4);
    return `${x.toFixed(2)} ${y.toFixed(2)}`;
  });
  return `M${points.join('L')}`;
}
