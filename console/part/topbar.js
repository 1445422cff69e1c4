// The top of every screen: where the service is, its clock, and what is out of the ordinary.

import * as api from '../lib/api.js';
import * as events from '../lib/events.js';
import { add, empty, h } from '../lib/dom.js';
import { lang, t } from '../lib/i18n.js';
import { missed } from '../lib/missed.js';
import { pref } from '../lib/prefs.js';
import { link } from '../lib/router.js';
import { address, now, onService, readClock, readHealth, service, setting } from '../lib/service.js';
import { button, copyButton } from './controls.js';
import { say } from './notice.js';

const SCREENS = ['now', 'streams', 'recordings', 'callbacks', 'calls', 'rules', 'objects', 'faults', 'state'];
const ADDRESSES = ['api', 'rtmp', 'play', 'oss', 'tls'];
const BADGES_EVERY_MS = 5000;

export function nav(node, chosen) {
  node.setAttribute('aria-label', t('nav.label'));
  const list = h('ul', {}, SCREENS.map((name) => h('li', {}, h('a', { href: link([name]), 'aria-current': name === chosen ? 'page' : null }, t(`nav.${name}`)))));
  // Where the screen is narrow the list opens on demand.
  const menu = h('details', {}, h('summary', {}, `☰ ${t(`nav.${chosen}`)}`), list.cloneNode(true));
  menu.addEventListener('click', (event) => {
    if (event.target.closest('a')) menu.open = false;
  });
  empty(node, list, menu);
}

async function advance(body) {
  const clock = await api.post('clock/advance', body);
  await readClock(clock);
  if (body.next && clock.advanced_ms === 0) say(t('clock.nothing', { now: clock.now }));
  else say(clock.settled === false ? t('clock.unsettled') : t('clock.moved', { now: clock.now }));
}

function clockPart() {
  const shown = h('span', { class: 'time' });
  const freeze = button('', async () => {
    const frozen = !service.clock?.frozen;
    await readClock(await api.post('clock', { frozen }));
  }, { class: 'freeze' });
  const tick = () => {
    const at = new Date(now());
    shown.textContent = `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`;
    const frozen = Boolean(service.clock?.frozen);
    freeze.textContent = t(frozen ? 'clock.run' : 'clock.freeze');
    shown.classList.toggle('frozen', frozen);
  };
  tick();
  const next = button(t('clock.next'), () => advance({ next: true }), { title: t('clock.next_title') });
  return { tick, node: h('div', { class: 'clock', role: 'group', 'aria-label': t('clock.label') }, shown, button(t('clock.3min'), () => advance({ seconds: 180 })), button(t('clock.1h'), () => advance({ seconds: 3600 })), next, freeze) };
}

function addresses() {
  const rows = ADDRESSES.map((name) => [name, address(name)]).filter(([, url]) => url);
  const key = service.config?.access_keys?.find((known) => !known.disabled)?.id;
  return h('details', { class: 'addresses' }, h('summary', {}, t('addresses')),
    h('dl', {}, rows.map(([name, url]) => h('div', {}, h('dt', {}, t(`address.${name}`)), h('dd', {}, h('code', {}, url), copyButton(url)))),
      key && h('div', {}, h('dt', {}, t('key_id')), h('dd', {}, h('code', {}, key), copyButton(key)))));
}

// What makes answers differ from the ordinary.
async function badges(node) {
  const [faults, calls] = await Promise.all([api.get('faults'), missed(), readHealth()]).catch(() => [null, null]);
  const shown = [];
  const armed = faults?.faults?.length ?? 0;
  if (armed) shown.push([link(['faults']), t('badge.faults', { n: armed })]);
  if (setting('auth') === 'off') shown.push([link(['state']), t('badge.auth_off')]);
  if (calls?.size) shown.push([link(['state']), t('badge.missing', { n: calls.size })]);
  if (service.health && service.health.status !== 'ready') shown.push([link(['state']), t('badge.degraded')]);
  if (!events.isConnected()) shown.push([null, t('badge.offline')]);
  const text = JSON.stringify(shown);
  if (node.dataset.shown === text) return;
  node.dataset.shown = text;
  empty(node, shown.map(([href, label]) => h(href ? 'a' : 'span', { class: 'badge wrong', href }, label)));
}

let stop = null;

export function topbar(node, { language, theme }) {
  stop?.();
  const clock = clockPart();
  const signs = h('div', { class: 'badges' });
  const where = h('div', { class: 'where' });
  const version = h('small', {}, '');
  const read = () => {
    version.textContent = service.config?.version ?? '';
    const open = where.querySelector('details')?.open;
    empty(where, addresses());
    where.firstChild.open = Boolean(open);
    clock.tick();
  };
  empty(node);
  add(node, [
    h('a', { class: 'brand', href: link(['now']) }, 'localyun ', version),
    where,
    clock.node,
    signs,
    h('div', { class: 'looks' },
      h('button', { type: 'button', class: 'plain', lang: lang() === 'zh' ? 'en' : 'zh-CN', onclick: () => language(lang() === 'zh' ? 'en' : 'zh') }, lang() === 'zh' ? 'English' : '中文'),
      themeChoice(theme)),
  ]);
  read();
  const unread = onService(read);
  const ticking = setInterval(clock.tick, 500);
  const signing = setInterval(() => !document.hidden && badges(signs), BADGES_EVERY_MS);
  const listening = events.on((event) => {
    if (['fault', 'connected', 'disconnected'].includes(event.kind) || event.code === 'ActionNotImplemented') badges(signs);
  });
  setTimeout(() => badges(signs), 1000);
  stop = () => {
    unread();
    listening();
    clearInterval(ticking);
    clearInterval(signing);
  };
}

function themeChoice(theme) {
  const chosen = pref('theme') ?? 'auto';
  return h('select', { 'aria-label': t('theme.label'), onchange: (event) => theme(event.target.value) },
    ['auto', 'light', 'dark'].map((name) => h('option', { value: name, selected: name === chosen }, t(`theme.${name}`))));
}
