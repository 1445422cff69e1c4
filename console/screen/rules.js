// Rules and domains: in order of precedence; who wins for a stream, why the others lose; forms that show their calls.

import { query } from '../lib/api.js';
import { fill, h, once } from '../lib/dom.js';
import { span, stamp, time } from '../lib/format.js';
import { said, t, word } from '../lib/i18n.js';
import { requery } from '../lib/router.js';
import { now } from '../lib/service.js';
import { badge, button, field, form } from '../part/controls.js';
import { callForm } from '../part/callform.js';
import { dialog } from '../part/dialog.js';
import { firstDomain } from '../part/guide.js';
import { verdict } from '../part/recorder.js';
import { table } from '../part/table.js';

const choice = (values, texts) => values.map((value, at) => [value, texts?.[at] ?? value]);

function ruleForm(after) {
  const domain = field(t('publish.domain'), { value: firstDomain(), required: true });
  const app = field('AppName', { value: 'live', required: true, hint: t('rules.any_hint') });
  const stream = field('StreamName', { value: '*', hint: t('rules.any_hint') });
  const bucket = field('OssBucket', { value: 'recordings', required: true });
  const format = field(t('column.format'), { type: 'select', value: 'mp4', options: choice(['mp4', 'm3u8', 'flv', 'cmaf']) });
  const cycle = field(t('rules.cycle'), { type: 'number', value: '', min: '1', hint: t('rules.cycle_hint') });
  const more = [t('rules.second'), t('rules.third')].map((label) => field(label, { type: 'select', value: '', options: choice(['', 'mp4', 'm3u8', 'flv', 'cmaf'], ['—']) }));
  const demand = field('OnDemand', { type: 'select', value: '0', options: choice(['0', '1', '2', '7'], ['0', '1', '2', '7'].map((code) => `${code}: ${t(`demand.${code}`)}`)) });
  const delay = field(t('rules.delay'), { type: 'number', value: '', placeholder: '180', min: '15', max: '21600' });
  const endpoint = field('OssEndpoint', { value: 'oss-cn-shanghai.aliyuncs.com', required: true });
  // One cycle for all of them.
  const also = more.flatMap((one, at) => [[`RecordFormat.${at + 2}.Format`, one], [`RecordFormat.${at + 2}.CycleDuration`, { node: null, get value() { return one.value ? cycle.value : ''; } }]]);
  return callForm('AddLiveAppRecordConfig', [['DomainName', domain], ['AppName', app], ['StreamName', stream], ['OssBucket', bucket], ['OssEndpoint', endpoint], ['RecordFormat.1.Format', format], ['RecordFormat.1.CycleDuration', cycle], ...also, ['OnDemand', demand], ['DelayTime', delay]], { submit: t('rules.add'), done: after });
}

function notifyForm(after) {
  const domain = field(t('publish.domain'), { value: firstDomain(), required: true });
  const url = field('NotifyUrl', { type: 'url', value: '', required: true });
  const ask = field('OnDemandUrl', { type: 'url', value: '' });
  const status = field('NeedStatusNotify', { type: 'checkbox', checked: true });
  return callForm('AddLiveRecordNotifyConfig', [['DomainName', domain], ['NotifyUrl', url], ['OnDemandUrl', ask], ['NeedStatusNotify', status]], { submit: t('rules.add'), done: after });
}

function mappingForm(after) {
  const pull = field(t('rules.play_domain'), { value: firstDomain(), required: true });
  const push = field(t('rules.ingest_domain'), { value: 'push.example.com', required: true });
  return callForm('AddLiveDomainMapping', [['PullDomain', pull], ['PushDomain', push]], { submit: t('rules.add'), done: after });
}

export async function open(view, body, parts, asked) {
  const groups = h('div', {});
  const none = h('p', { hidden: true }, t('rules.none'));
  const answered = h('div', {});
  const notes = h('div', {});
  const domain = field(t('publish.domain'), { value: asked.domain ?? firstDomain(), required: true });
  const app = field(t('publish.app'), { value: asked.app ?? 'live', required: true });
  const stream = field(t('publish.stream'), { value: asked.stream ?? 'demo', required: true });
  const considered = table(t('rules.considered'), [
    { name: t('column.rule'), cell: (it) => h('strong', {}, `${it.app}/${it.stream}`) },
    { name: t('column.format'), cell: (it) => it.formats.join(', ') },
    { name: t('column.window'), cell: (it) => word('window', it.window) },
    { name: t('column.verdict'), cell: (it) => badge(word('verdict', it.verdict), it.verdict === 'wins' ? 'good' : '') },
  ], { key: (it) => JSON.stringify([it.app, it.stream]), rowClass: (it) => (it.verdict === 'wins' ? 'wins' : '') });
  considered.node.hidden = true;
  const told = h('div', { 'aria-live': 'polite' }, considered.node, notes);

  const typed = () => (domain.value && app.value && stream.value ? { domain: domain.value, app: app.value, stream: stream.value } : null);
  // What is explained, and again when something has happened: not what somebody is typing meanwhile.
  let names = typed();

  async function explain() {
    const wanted = names;
    if (!wanted) return;
    const why = await view.get(`explain${query(wanted)}`, 'explain');
    if (view.ended || wanted !== names) return;
    // Of what is live it counts by which rule it is recorded; its media say nothing here.
    once(answered, JSON.stringify({ ...why, considered: null, notes: null, live: why.live && (why.live.recorder?.rule ?? '') }), () => verdict(why));
    considered.set(why.considered);
    considered.node.hidden = why.considered.length === 0;
    once(notes, JSON.stringify(why.notes ?? []), () => ((why.notes ?? []).length ? h('ul', {}, why.notes.map((note) => h('li', {}, `${note.action}: ${note.notes.map((text, at) => said(note.words?.notes[at], text)).join(' ')}`))) : null));
  }

  async function ask() {
    const [before, wanted] = [names, typed()];
    if (!wanted) return;
    names = wanted;
    requery(wanted);
    try {
      await explain();
    } catch (error) {
      if (view.ended) return;
      if (names === wanted) names = before;
      throw error;
    }
  }

  function removeRule(rule) {
    const fields = [['DomainName', rule.domain], ['AppName', rule.app], ['StreamName', rule.stream]].map(([name, value]) => [name, field(name, { value })]);
    const window = dialog(t('rules.remove'), callForm('DeleteLiveAppRecordConfig', fields, { submit: t('rules.remove'), done: async () => {
      window.close();
      await load();
    } }));
  }

  const add = (title, make) => button(title, () => {
    const window = dialog(title, make(async () => {
      await load();
    }));
    return window;
  });

  const sections = new Map();
  function begin(it) {
    const about = h('div', {});
    const rules = table(t('rules.of', { domain: it.domain }), [
      { name: t('column.precedence'), class: 'number', cell: (rule) => rule.precedence },
      { name: t('column.rule'), cell: (rule) => h('strong', {}, `${rule.app}/${rule.stream}`) },
      { name: t('column.format'), cell: (rule) => rule.formats.map((format) => `${format.format} ${span(format.cycle_s)}`).join(', ') },
      { name: t('column.bucket'), cell: (rule) => rule.oss_bucket },
      { name: 'OnDemand', cell: (rule) => word('ondemand', rule.on_demand) },
      { name: 'DelayTime', cell: (rule) => `${rule.delay_s} s` },
      { name: t('column.window'), cell: (rule) => (rule.start_time || rule.end_time ? `${rule.start_time ? stamp(rule.start_time) : '…'} – ${rule.end_time ? stamp(rule.end_time) : '…'}` : word('window', 'open')) },
      { name: t('column.created'), cell: (rule) => time(rule.created_at, now()) },
      { name: '', aria: t('column.actions'), cell: (rule) => button(t('rules.remove'), () => removeRule(rule), { class: 'danger' }) },
    ], { key: (rule) => JSON.stringify([rule.app, rule.stream]) });
    const bare = h('p', { class: 'muted' }, t('rules.none_here'));
    return { node: h('section', {}, h('h3', {}, it.domain), about, rules.node, bare), about, rules, bare };
  }

  // The part of one domain: the same one for as long as there is the domain.
  function section(it) {
    if (!sections.has(it.domain)) sections.set(it.domain, begin(it));
    const { node, about, rules, bare } = sections.get(it.domain);
    once(about, JSON.stringify({ ...it, rules: null }), () => [
      it.ingest?.length ? h('p', {}, t('rules.pushed_at', { domains: it.ingest.join(', ') })) : null, it.play_domain ? h('p', {}, t('rules.plays_at', { domain: it.play_domain })) : null,
      it.play_domain ? h('p', { class: 'muted' }, t('rules.ingest_here', { domain: it.play_domain })) : null,
      it.notify ? h('p', {}, t('rules.notifies'), ' ', h('code', {}, it.notify.notify_url ?? '—'), it.notify.on_demand_url ? [' · OnDemandUrl ', h('code', {}, it.notify.on_demand_url)] : null) : null,
    ]);
    rules.set(it.rules);
    rules.node.hidden = it.rules.length === 0;
    bare.hidden = it.rules.length > 0 || Boolean(it.play_domain);
    return node;
  }

  async function load() {
    if (view.ended) return;
    const { domains } = await view.get('rules', 'rules');
    if (view.ended) return;
    fill(groups, domains, (it) => it.domain, section, (old) => old);
    for (const name of sections.keys()) if (!domains.some((it) => it.domain === name)) sections.delete(name);
    none.hidden = domains.length > 0;
    await explain();
  }

  body.append(
    h('section', { class: 'card' }, h('h2', {}, t('rules.who')), form({ class: 'bar' }, ask, domain.node, app.node, stream.node, h('button', { class: 'main' }, t('rules.ask'))), answered, told),
    h('div', { class: 'actions' }, add(t('rules.new'), ruleForm), add(t('rules.new_notify'), notifyForm), add(t('rules.new_mapping'), mappingForm)),
    h('h2', {}, t('rules.all')), h('p', { class: 'muted' }, t('rules.precedence')), none, groups);
  await view.live(['call', 'snapshot'], load);
}
