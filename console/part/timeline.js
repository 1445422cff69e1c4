// What happened on one axis, in service time: a lane for each sort of thing.

import { empty, h, once, svg } from '../lib/dom.js';
import { count } from '../lib/format.js';
import { t } from '../lib/i18n.js';
import { button } from './controls.js';

const LABELS = 92;
const LANE = 26;
const AXIS = 24;
const STEPS_S = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400];
const SMALLEST_MS = 2000;
const LISTED = 500;
// What is left out neither of the drawing nor of the list.
const WRONG = /gap|bad/;

const clockText = (ms) => new Date(ms).toISOString().slice(11, 19);

// `lanes`: {name, items: [{from, to, kind, label, data}]}; an item without `to` is a mark. `chosen(item)` hears of a click.
export function timeline(label, chosen) {
  const drawing = svg('svg', { class: 'lanes', role: 'img', 'aria-label': label });
  const list = h('details', { class: 'aslist' });
  let lanes = [];
  let range = null;
  let fitted = true;
  let nowMs = 0;

  const all = () => lanes.flatMap((lane) => lane.items);
  function fit() {
    let [low, high] = [Infinity, -Infinity];
    for (const item of all()) {
      low = Math.min(low, item.from);
      high = Math.max(high, item.to ?? item.from);
    }
    if (low > high) return [nowMs - 60_000, nowMs];
    const margin = Math.max(1000, (high - low) * 0.03);
    return [low - margin, high + margin];
  }
  function zoom(factor, middle = 0.5) {
    const [low, high] = range;
    const wide = Math.max(SMALLEST_MS, (high - low) * factor);
    const centre = low + (high - low) * middle;
    range = [centre - wide * middle, centre + wide * (1 - middle)];
    fitted = false;
    show();
  }
  function move(part) {
    const by = (range[1] - range[0]) * part;
    range = [range[0] + by, range[1] + by];
    fitted = false;
    show();
  }

  function draw() {
    if (fitted || !range) range = fit();
    const width = Math.max(280, node.clientWidth || 800);
    const labels = width < 560 ? 0 : LABELS;
    const lane = labels ? LANE : LANE + 14;
    const height = AXIS + lanes.length * lane + 4;
    const [low, high] = range;
    const x = (ms) => labels + ((ms - low) / (high - low)) * (width - labels - 8);
    drawing.setAttribute('viewBox', `0 0 ${width} ${height}`);
    drawing.setAttribute('width', width);
    drawing.setAttribute('height', height);
    empty(drawing);
    drawing.append(svg('defs', {}, svg('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, svg('rect', { width: 2, height: 6, class: 'hatch' })),
      svg('clipPath', { id: 'inside' }, svg('rect', { x: labels, y: 0, width: width - labels, height }))));
    const step = STEPS_S.find((seconds) => ((seconds * 1000) / (high - low)) * (width - labels) > 70) ?? STEPS_S.at(-1);
    for (let at = Math.ceil(low / (step * 1000)) * step * 1000; at < high; at += step * 1000) {
      drawing.append(svg('line', { class: 'grid', x1: x(at), x2: x(at), y1: AXIS - 6, y2: height }), svg('text', { class: 'tick', x: x(at) + 3, y: 12 }, clockText(at)));
    }
    lanes.forEach((row, index) => {
      const top = AXIS + index * lane;
      const bar = top + lane - LANE + 4;
      drawing.append(svg('line', { class: 'grid', x1: 0, x2: width, y1: top + lane, y2: top + lane }), svg('text', { class: 'lane', x: 2, y: labels ? top + 17 : top + 11 }, row.name));
      const inside = svg('g', { 'clip-path': 'url(#inside)' });
      // Where a day stands on a thousand pixels, what would cover the mark before it is left out until somebody zooms in; what is wrong is not.
      let drawn = -Infinity;
      for (const item of row.items) {
        const [from, to] = [x(item.from), item.to === undefined ? null : x(item.to)];
        if ((to ?? from) < labels || from > width) continue;
        if ((to ?? from) - drawn < 1 && from >= drawn - 1 && !WRONG.test(item.kind)) continue;
        drawn = to ?? from;
        const mark = to === null
          ? svg('circle', { class: `mark ${item.kind}`, cx: from, cy: bar + 9, r: 5 })
          : svg('rect', { class: `mark ${item.kind}`, x: from, y: bar, width: Math.max(2, to - from), height: 18, rx: 2 });
        mark.addEventListener('click', () => chosen(item));
        mark.append(svg('title', {}, `${clockText(item.from)}${item.to === undefined ? '' : `–${clockText(item.to)}`} ${item.label}`));
        inside.append(mark);
        if (to !== null && to - from > item.label.length * 6.4 + 8) inside.append(svg('text', { class: `inside ${item.kind}`, x: from + 5, y: bar + 13 }, item.label));
      }
      drawing.append(inside);
    });
    if (nowMs > low && nowMs < high) drawing.append(svg('line', { class: 'nowline', x1: x(nowMs), x2: x(nowMs), y1: AXIS - 8, y2: height }));
  }

  let rows = [];
  // As a list: what is drawn, the newest of it and everything that is wrong. What lasts yet ends later each time: as a list it is the same, and its
  // data are those that came last.
  function write() {
    const [low, high] = range;
    const drawn = lanes.flatMap((lane) => lane.items.map((item) => ({ lane: lane.name, item })))
      .filter(({ item }) => item.from <= high && (item.to ?? item.from) >= low)
      .sort((a, b) => a.item.from - b.item.from);
    rows = drawn.filter(({ item }, at) => at >= drawn.length - LISTED || WRONG.test(item.kind));
    const left = drawn.length - rows.length;
    once(list, JSON.stringify([left, rows.map(({ lane, item }) => [lane, item.from, item.kind, item.label])]), () => [
      h('summary', {}, t('timeline.list', { n: rows.length })), left ? h('p', { class: 'muted' }, t('timeline.left_out', { n: count(left) })) : null, h('ol', {}, rows.map(({ lane, item }, at) => h('li', {},
        h('button', { type: 'button', class: 'plain', onclick: () => chosen(rows[at].item) }, clockText(item.from)), ' ', h('span', {}, lane), ' ', h('span', { class: item.kind.includes('bad') ? 'wrong' : '' }, item.label)))),
    ]);
  }

  function show() {
    draw();
    write();
  }

  drawing.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = drawing.getBoundingClientRect();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, Math.min(1, Math.max(0, (event.clientX - box.left - LABELS) / (box.width - LABELS))));
  }, { passive: false });
  const node = h('div', { class: 'timeline' },
    h('div', { class: 'bar small', role: 'group', 'aria-label': t('timeline.zoom') },
      button('−', () => zoom(2), { 'aria-label': t('timeline.out') }), button('+', () => zoom(0.5), { 'aria-label': t('timeline.in') }),
      button('←', () => move(-0.3), { 'aria-label': t('timeline.earlier') }), button('→', () => move(0.3), { 'aria-label': t('timeline.later') }),
      button(t('timeline.fit'), () => { fitted = true; show(); })),
    drawing, list);
  new ResizeObserver(() => lanes.length && draw()).observe(node);
  return {
    node,
    set(next, now) {
      lanes = next;
      nowMs = now;
      show();
    },
  };
}
