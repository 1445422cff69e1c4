// Faults: what is armed, how often it struck, and ready-made ones with what an application should do.

import { asCurl, get, put, remove } from '../lib/api.js';
import { empty, h } from '../lib/dom.js';
import { count } from '../lib/format.js';
import { t } from '../lib/i18n.js';
import { badge, button, field, form } from '../part/controls.js';
import { code } from '../part/code.js';
import { say } from '../part/notice.js';
import { table } from '../part/table.js';

const BOUNDARIES = ['store', 'object-put', 'callback', 'ingest'];
// Names, with the faults that make them.
const PRESETS = [
  ['receiver', [{ at: 'callback', delay_ms: 0, code: 'ConnectionRefused', first: 300 }]],
  ['bucket', [{ at: 'object-put', code: 'NoSuchBucket' }]],
  ['slow', [{ at: 'object-put', delay_ms: 3000 }, { at: 'store', delay_ms: 500 }]],
  ['throttled', [{ at: 'api:DescribeLiveStreamsOnlineList', code: 'Throttling.User', first: 5 }, { at: 'api:AddLiveAppRecordConfig', code: 'Throttling.User', first: 5 }]],
  ['flaps', [{ at: 'ingest', code: 'Refused', first: 3 }]],
];

// Several may be armed at one place.
function named(faults) {
  const seen = new Map();
  return faults.map((fault) => {
    const nth = seen.get(fault.at) ?? 0;
    seen.set(fault.at, nth + 1);
    return { key: `${fault.at} ${nth}`, fault };
  });
}

// What is put begins to count anew: of each the strikes that are left.
function left(faults) {
  return faults.filter((it) => it.first === undefined || it.first > it.struck).map(({ struck, ...it }) => (it.first === undefined ? it : { ...it, first: it.first - struck }));
}

export async function open(view, body) {
  const armed = table(t('faults.armed'), [
    { name: t('faults.at'), cell: ({ fault }) => h('code', {}, fault.at) },
    { name: t('faults.first'), class: 'number', cell: ({ fault }) => (fault.first ? count(fault.first) : t('faults.always')) },
    { name: t('faults.delay'), class: 'number', cell: ({ fault }) => (fault.delay_ms ? `${count(fault.delay_ms)} ms` : '') },
    { name: t('faults.code'), cell: ({ fault }) => (fault.code ? h('code', {}, fault.code) : '') },
    { name: t('faults.struck'), class: 'number', cell: ({ fault }) => badge(count(fault.struck), fault.struck ? 'wrong' : '') },
    { name: '', aria: t('column.actions'), cell: ({ key }) => button(t('faults.disarm'), () => disarm(key)) },
  ], { key: ({ key }) => key });
  const none = h('p', { class: 'muted' }, t('faults.none'));

  async function load() {
    const { faults } = await view.get('faults', 'faults');
    armed.set(named(faults));
    armed.node.hidden = faults.length === 0;
    none.hidden = faults.length > 0;
    clear.hidden = faults.length === 0;
  }
  // There is no route for one alone: the others are put as they are now.
  async function disarm(key) {
    const { faults } = await get('faults');
    await put('faults', left(named(faults).filter((it) => it.key !== key).map((it) => it.fault)));
    await load();
  }
  // Each takes its own place, and leaves what is armed elsewhere alone.
  async function arm(faults) {
    for (const fault of faults) await put('faults', fault);
    say(t('faults.is_armed'));
    await load();
  }
  const clear = button(t('faults.clear'), async () => {
    await remove('faults');
    await load();
  }, { class: 'danger' });

  const names = h('datalist', { id: 'points' }, BOUNDARIES.map((value) => h('option', { value })));
  get('coverage').then((coverage) => names.append(...coverage.actions.filter((it) => it.standing === 'implemented').map((it) => h('option', { value: `api:${it.action}` }))), () => {});
  const at = field(t('faults.at'), { list: 'points', required: true, value: 'callback', hint: t('faults.at_hint') });
  const first = field(t('faults.first'), { type: 'number', min: '1', placeholder: t('faults.always') });
  const delay = field(t('faults.delay'), { type: 'number', min: '0', max: '600000', placeholder: '0 ms' });
  const failure = field(t('faults.code'), { placeholder: 'Throttling.User' });
  const shown = h('div', {});
  const fault = () => {
    const one = { at: at.value };
    if (first.value) one.first = Number(first.value);
    if (delay.value) one.delay_ms = Number(delay.value);
    if (failure.value) one.code = failure.value;
    return one;
  };
  const draw = () => empty(shown, code(asCurl({ method: 'PUT', path: 'faults', body: fault() }), 'curl'));
  const own = form({ class: 'card' }, async () => {
    await put('faults', fault());
    say(t('faults.is_armed'));
    await load();
  }, h('div', { class: 'fields' }, at.node, first.node, delay.node, failure.node), names, shown, h('footer', {}, h('button', { class: 'main' }, t('faults.arm'))));
  own.addEventListener('input', draw);
  draw();

  body.append(
    h('section', {}, h('h2', {}, t('faults.armed')), none, armed.node, h('div', { class: 'actions' }, clear)),
    h('section', {}, h('h2', {}, t('faults.presets')), h('ul', { class: 'cards' }, PRESETS.map(([name, faults]) => h('li', { class: 'card' }, h('h3', {}, t(`preset.${name}`)), h('p', {}, t(`preset.${name}.text`)), h('p', {}, h('strong', {}, t('faults.should')), ' ', t(`preset.${name}.should`)),
      h('div', { class: 'actions' }, button(t('faults.arm'), () => arm(faults), { 'aria-label': `${t('faults.arm')}: ${t(`preset.${name}`)}` })))))),
    h('section', {}, h('h2', {}, t('faults.own')), own));
  await view.live(['fault', 'call', 'callback'], load, { every: 3000 });
}
