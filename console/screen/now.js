// Now: everything that happens, newest first.

import * as events from '../lib/events.js';
import { empty, fill, h } from '../lib/dom.js';
import { count } from '../lib/format.js';
import { t, word } from '../lib/i18n.js';
import { has } from '../lib/pages.js';
import { link, requery } from '../lib/router.js';
import { button, field, toggles } from '../part/controls.js';
import { guide, publishButton } from '../part/guide.js';
import { happening, isWrong, KINDS } from '../part/happening.js';

const SHOWN = 300;
const DRAW_MS = 250;
// What is counted, each read again when something has happened that can change it.
const COUNTED = [
  { name: 'live', path: 'streams?limit=1', kinds: ['publish', 'unpublish'], href: () => link(['streams']) },
  { name: 'recordings', path: 'recordings?limit=1', kinds: ['record'], href: () => link(['recordings']) },
  { name: 'failed', path: 'callbacks?state=failed&limit=1', kinds: ['callback'], href: () => link(['callbacks'], { state: 'failed' }), bad: true },
  { name: 'refused', path: 'requests?problems=true&limit=1', kinds: ['call'], href: () => link(['calls'], { problems: '1' }), bad: true },
];

function fits(event, filter) {
  if (filter.kinds.length && !filter.kinds.includes(event.kind)) return false;
  if (filter.problems && !isWrong(event)) return false;
  return has(event, filter.text);
}

export async function open(view, body, parts, query) {
  const filter = { text: query.text ?? '', kinds: (query.kinds ?? '').split(',').filter(Boolean), problems: query.problems === '1' };
  let paused = false;
  let frozen = [];
  // Whether nothing was ever published: then the screen teaches how. A reset and calls are events too.
  let bare = false;
  const counters = h('ul', { class: 'counters' });
  const list = h('ol', { class: 'happenings', 'aria-label': t('now.list') });
  const none = h('div', {});
  const remember = () => {
    requery({ text: filter.text, kinds: filter.kinds.join(','), problems: filter.problems ? '1' : '' });
    draw();
  };
  const text = field(t('filter.text'), { value: filter.text, type: 'search', placeholder: t('filter.text_hint') });
  text.input.addEventListener('input', () => {
    filter.text = text.value;
    remember();
  });
  const problems = field(t('filter.problems'), { type: 'checkbox', checked: filter.problems });
  problems.input.addEventListener('change', () => {
    filter.problems = problems.value;
    remember();
  });
  const pause = button(t('now.pause'), () => {
    paused = !paused;
    frozen = paused ? [...events.recent()] : [];
    pause.textContent = t(paused ? 'now.resume' : 'now.pause');
    pause.setAttribute('aria-pressed', String(paused));
    draw();
  }, { 'aria-pressed': 'false' });
  const clear = button(t('now.clear'), () => {
    events.forget();
    frozen = [];
    draw();
  });

  function draw() {
    const all = paused ? frozen : events.recent();
    const shown = all.filter((event) => fits(event, filter)).slice(-SHOWN).reverse();
    fill(list, shown, (event) => event.id ?? JSON.stringify(event), happening);
    const nothing = bare && !all.some((event) => event.kind === 'publish');
    if (none.dataset.shown !== `${nothing}${shown.length === 0}`) {
      none.dataset.shown = `${nothing}${shown.length === 0}`;
      empty(none, nothing ? guide() : shown.length ? null : h('p', { class: 'muted' }, t('now.none')));
    }
  }
  let due = null;
  const later = () => {
    due ??= setTimeout(() => {
      due = null;
      draw();
    }, list.firstChild ? DRAW_MS : 0);
  };

  const totals = {};
  function tally() {
    if (COUNTED.some(({ name }) => totals[name] === undefined)) return;
    bare = totals.live === 0 && totals.recordings === 0;
    draw();
    const one = ({ name, href, bad }) => h('li', { class: bad && totals[name] ? 'wrong' : '' }, h('a', { href: href() }, h('strong', {}, count(totals[name])), ' ', t(`counter.${name}`)));
    fill(counters, COUNTED.map((it) => ({ it, n: totals[it.name] })), ({ it }) => it.name, ({ it }) => one(it));
  }

  body.append(counters,
    h('div', { class: 'bar' }, text.node, problems.node, toggles(t('filter.kinds'), KINDS.map((kind) => [kind, word('kind', kind)]), filter.kinds, (kinds) => {
      filter.kinds = kinds;
      remember();
    }), h('div', { class: 'push' }, pause, clear, publishButton())),
    none, list);
  view.on((event) => {
    if (event.of !== 'page' || event.kind === 'forgotten') later();
  });
  view.onEnd(() => clearTimeout(due));
  draw();
  await Promise.all(COUNTED.map(({ name, path, kinds }) => view.live([...kinds, 'snapshot', 'clock'], async () => {
    totals[name] = (await view.get(path)).total;
    tally();
  })));
}
