// A line of the last values.

import { svg } from '../lib/dom.js';

const [WIDTH, HEIGHT] = [96, 22];

export function spark(values, label) {
  const top = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`);
  return svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: 'img', 'aria-label': label }, svg('polyline', { points: points.join(' ') }));
}
