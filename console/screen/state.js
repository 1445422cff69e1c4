// State: snapshots, reset, settings, coverage.

import { asCurl, post, request } from '../lib/api.js';
import { differences } from '../lib/differ.js';
import { empty, h } from '../lib/dom.js';
import { bytes, count, time } from '../lib/format.js';
import { said, t, word } from '../lib/i18n.js';
import * as kept from '../lib/kept.js';
import { missed } from '../lib/missed.js';
import { link } from '../lib/router.js';
import { now, readService } from '../lib/service.js';
import { badge, button, field, form } from '../part/controls.js';
import { code, json } from '../part/code.js';
import { confirm } from '../part/dialog.js';
import { say } from '../part/notice.js';
import { table } from '../part/table.js';

export async function open(view, body) {
  const told = h('div', { 'aria-live': 'polite' });
  const current = async () => JSON.stringify(await view.get('snapshot', 'snapshot'));

  async function load(text, name) {
    const answer = await request('PUT', 'snapshot', text);
    say(t('state.loaded', { name, n: answer.rules ?? 0 }));
    if (answer.missing_secrets?.length) empty(told, h('p', { class: 'wrong' }, t('state.missing_secrets', { n: answer.missing_secrets.length })), json(answer.missing_secrets));
  }
  async function differ(name) {
    const [one, other] = [JSON.parse((await kept.find(name)).text), JSON.parse(await current())];
    const found = differences(one, other);
    const list = table(t('state.differences'), [
      { name: t('column.how'), cell: (it) => word('how', it.how) }, { name: t('column.part'), cell: (it) => it.part }, { name: t('column.name'), cell: (it) => h('code', {}, it.name) },
      { name: 'JSON', cell: (it) => h('details', {}, h('summary', {}, t('details')), it.from ? json(it.from, t('state.before')) : null, it.to ? json(it.to, t('state.after')) : null) },
    ], { key: (it) => `${it.part} ${it.name}` });
    list.set(found.slice(0, 500));
    empty(told, h('h3', {}, t('state.differs', { name, n: found.length })), found.length ? list.node : h('p', {}, t('state.same')));
  }
  function save(name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const anchor = h('a', { href: url, download: `${name}.json` });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  const list = table(t('state.snapshots'), [
    { name: t('column.name'), cell: (it) => h('strong', {}, it.name) },
    { name: t('column.time'), cell: (it) => time(it.at, now()) },
    { name: t('column.size'), class: 'number', cell: (it) => bytes(it.size) },
    { name: '', aria: t('column.actions'), cell: (it) => h('div', { class: 'actions' }, button(t('state.load'), async () => load((await kept.find(it.name)).text, it.name)), button(t('state.diff'), () => differ(it.name)), button(t('download'), async () => save(it.name, (await kept.find(it.name)).text)), button(t('state.drop'), async () => {
      await kept.drop(it.name);
      await show();
    })) },
  ], { key: (it) => it.name });
  async function show() {
    const all = (await kept.all()).map(({ name, at, text }) => ({ name, at, size: text.length })).sort((a, b) => b.at - a.at);
    list.set(all);
    list.node.hidden = all.length === 0;
  }
  const name = field(t('state.name'), { required: true, value: '', placeholder: 'before-test' });
  const file = h('input', { type: 'file', accept: 'application/json', class: 'offscreen', tabindex: '-1', 'aria-label': t('state.from_file'), onchange: async (event) => {
    const [chosen] = event.target.files;
    if (!chosen) return;
    await load(await chosen.text(), chosen.name).catch((error) => say(error.message, 'wrong'));
    event.target.value = '';
  } });
  const snapshots = h('section', {}, h('h2', {}, t('state.snapshots')), h('p', { class: 'muted' }, t('state.snapshots_text')),
    form({ class: 'bar' }, async () => {
      await kept.keep(name.value, now(), await current());
      say(t('state.saved', { name: name.value }));
      await show();
    }, name.node, h('button', { class: 'main' }, t('state.save')), button(t('state.from_file'), () => file.click()), file), list.node, told);

  const reset = h('section', {}, h('h2', {}, t('state.reset')), h('p', {}, t('state.reset_text')), h('div', { class: 'actions' }, button(t('state.reset'), async () => {
    if (!(await confirm(t('state.reset'), t('state.reset_sure'), t('state.reset')))) return;
    await post('reset');
    await readService();
    say(t('state.reset_done'));
  }, { class: 'danger' })), code(asCurl({ method: 'POST', path: 'reset' }), 'curl'));

  const settings = table(t('state.settings'), [
    { name: t('column.setting'), cell: (it) => h('code', {}, it.name) }, { name: t('column.value'), cell: (it) => h('code', {}, it.value === null ? '—' : String(it.value)) }, { name: t('column.source'), cell: (it) => (it.source === 'default' ? h('span', { class: 'muted' }, word('source', it.source)) : it.source) },
  ], { key: (it) => it.name });
  const coverage = table(t('state.coverage'), [
    { name: t('column.action'), cell: (it) => h('a', { href: link(['calls', 'new'], { action: it.action }) }, it.action) }, { name: t('column.family'), cell: (it) => it.family }, { name: t('column.standing'), cell: (it) => badge(word('standing', it.standing), it.missed ? 'wrong' : it.standing === 'implemented' ? 'good' : '') },
    { name: t('state.called'), class: 'number', cell: (it) => (it.missed ? count(it.missed) : '') }, { name: t('column.reason'), cell: (it) => (it.reason ? said(it.words?.reason, it.reason) : '') },
  ], { key: (it) => it.action });
  const summary = h('p', {});
  const filter = field(t('filter.text'), { type: 'search' });
  const which = field(t('column.standing'), { type: 'select', value: 'missed', options: [['missed', t('state.missed')], ['implemented', word('standing', 'implemented')], ['declined', word('standing', 'declined')], ['spec-only', word('standing', 'spec-only')], ['', t('any')]] });
  let known = [];
  let actions = [];
  const nothing = h('p', { class: 'muted' }, t('state.nothing_missed'));
  const draw = () => {
    const shown = actions.filter((it) => (which.value === 'missed' ? it.missed : !which.value || it.standing === which.value) && it.action.toLowerCase().includes(filter.value.toLowerCase()));
    coverage.set(shown);
    coverage.node.hidden = shown.length === 0;
    nothing.hidden = shown.length > 0 || which.value !== 'missed';
  };
  for (const one of [filter, which]) one.input.addEventListener('input', draw);

  // Of a process that is alone there is nothing to see.
  const nodes = table(t('state.nodes'), [
    { name: t('column.name'), cell: (it) => (it.own ? h('strong', {}, it.id) : it.id) },
    { name: t('column.state'), cell: (it) => badge(word('node', it.state), it.state === 'ready' ? 'good' : 'wrong') },
    { name: t('state.lease'), class: 'number', cell: (it) => (it.lease_left_ms === undefined ? '' : count(Math.max(0, it.lease_left_ms))) },
    { name: t('state.publishers'), class: 'number', cell: (it) => count(it.publishers) },
    { name: t('state.streams'), class: 'number', cell: (it) => (it.streams === undefined ? '' : count(it.streams)) },
    { name: 'RTMP', cell: (it) => h('code', {}, it.rtmp) },
    { name: t('state.version'), cell: (it) => it.version },
  ], { key: (it) => it.id });
  const cluster = h('section', { hidden: true }, h('h2', {}, t('state.nodes')), h('p', { class: 'muted' }, t('state.nodes_text')), nodes.node);
  async function readNodes() {
    const answer = await view.get('nodes', 'nodes');
    nodes.set(answer.nodes);
    cluster.hidden = answer.total < 2;
  }

  async function read() {
    const [config, answer] = await Promise.all([view.get('config', 'config'), view.get('coverage', 'coverage')]);
    settings.set(config.settings);
    known = answer.actions;
    summary.textContent = t('state.coverage_text', { implemented: answer.implemented, declined: answer.declined, total: answer.total });
    await tally();
  }
  async function tally() {
    const calls = await missed();
    actions = known.map((it) => ({ ...it, missed: calls.get(it.action) ?? 0 }));
    draw();
  }
  body.append(snapshots, reset, cluster,
    h('section', {}, h('h2', {}, t('state.coverage')), summary, h('div', { class: 'bar' }, which.node, filter.node), nothing, coverage.node),
    h('section', {}, h('h2', {}, t('state.settings')), settings.node));
  await show();
  // Settings and coverage stay as they are while the process runs.
  await read();
  await view.live(['call', 'clock'], tally);
  await view.live(['publish', 'unpublish'], readNodes, { every: 5000 });
}
