// Faults: what is armed, how often it struck, and ready-made ones with what an application should do.

import { get, put, remove } from '../lib/api.js';
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

export async function open(view, body) {
  const armed = table(t('faults.armed'), [
    { name: t('faults.at'), cell: (it) => h('code', {}, it.at) },
    { name: t('faults.first'), class: 'number', cell: (it) => (it.first ? count(it.first) : t('faults.always')) },
    { name: t('faults.delay'), class: 'number', cell: (it) => (it.delay_ms ? `${count(it.delay_ms)} ms` : '') },
    { name: t('faults.code'), cell: (it) => (it.code ? h('code', {}, it.code) : '') },
    { name: t('faults.struck'), class: 'number', cell: (it) => badge(count(it.struck), it.struck ? 'wrong' : '') },
    { name: '', aria: t('column.actions'), cell: (it) => button(t('faults.disarm'), () => disarm(it)) },
  ], { key: (it) => it.number });
  const none = h('p', { class: 'muted' }, t('faults.none'));
  let list = [];

  async function load() {
    const answer = await view.get('faults', 'faults');
    list = answer.faults;
    armed.set(list.map((fault, number) => ({ ...fault, number })));
    armed.node.hidden = list.length === 0;
    none.hidden = list.length > 0;
    clear.hidden = list.length === 0;
  }
  async function disarm({ number }) {
    await put('faults', list.filter((_, at) => at !== number));
    await load();
  }
  async function arm(faults) {
    const answer = await get('faults');
    await put('faults', [...answer.faults, ...faults]);
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
  const draw = () => empty(shown, code(`curl -X PUT ${location.origin}/_localyun/faults -d '${JSON.stringify(fault())}'`, 'curl'));
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
