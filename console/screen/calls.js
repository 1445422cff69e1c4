// Calls: the API's requests; why one was refused, and how to make it again.

import { get, query } from '../lib/api.js';
import { empty, fill, h } from '../lib/dom.js';
import { micros, time } from '../lib/format.js';
import { said, t, word } from '../lib/i18n.js';
import { has, Pages } from '../lib/pages.js';
import { link, requery } from '../lib/router.js';
import { now } from '../lib/service.js';
import { badge, field, line } from '../part/controls.js';
import { snippets } from '../part/code.js';
import { difference } from '../part/difference.js';
import { foot, nothingFits } from '../part/foot.js';
import { makeCall } from '../part/anycall.js';
import { wrong as report } from '../part/notice.js';
import { split } from '../part/split.js';
import { facts, table } from '../part/table.js';

const NAMES = { localyun: 'localyun', curl: 'curl', python: 'Python', node: 'Node.js', go: 'Go', java: 'Java' };
const wrong = (it) => it.verdict !== 'ok';

export async function open(view, body, [id], asked) {
  let chosen = id ?? null;
  let current = null;
  const specs = new Map();
  const filters = () => ({ text: text.value, problems: problems.value ? '1' : '' });
  const parts = split(() => link(['calls'], filters()));
  const list = h('ul', { class: 'rows', 'aria-label': t('nav.calls') });
  const none = h('div', {});
  const text = field(t('filter.text'), { type: 'search', value: asked.text ?? '', placeholder: t('calls.text_hint') });
  const problems = field(t('filter.problems'), { type: 'checkbox', checked: asked.problems === '1' });
  const pages = new Pages({
    async ask(values) {
      const answer = await view.get(`requests${query({ ...values, problems: problems.value ? 'true' : '' })}`, 'requests');
      return { rows: answer.requests, next: answer.next ?? null, total: answer.total };
    },
    keyOf: (it) => it.request_id,
    select: (rows) => rows.filter((it) => (!problems.value || wrong(it)) && has(it, text.value)),
    isFiltered: () => Boolean(text.value),
    draw,
  });
  const below = foot(pages);

  function draw() {
    const { shown } = pages;
    fill(list, shown.map((it) => ({ it: { ...it, again: null }, here: it.request_id === chosen, asked: filters() })), ({ it }) => it.request_id, ({ it, here, asked: of }) => h('li', {}, h('a', { href: link(['calls', it.request_id], of), 'aria-current': here ? 'true' : null },
      h('span', { class: 'line' }, h('strong', {}, it.action || t('calls.no_action')), badge(it.status, wrong(it) ? 'wrong' : 'good')),
      line(time(it.at, now()), it.caller ?? t('calls.nobody'), it.scheme, micros(it.took_us), it.fault ? badge(t('kind.fault'), 'wrong') : null),
      it.code ? h('span', { class: 'line wrong' }, it.code) : null)));
    below.draw();
    const nothing = pages.rows.length === 0 && !problems.value;
    const print = `${nothing}${shown.length === 0}${pages.searching}${pages.isCut}`;
    if (none.dataset.shown !== print) {
      none.dataset.shown = print;
      empty(none, nothing ? [h('p', {}, t('calls.none')), makeCall()] : shown.length ? null : nothingFits(pages));
    }
    parts.node.classList.toggle('nothing', nothing && chosen !== 'new');
    return show();
  }

  async function show() {
    if (chosen === 'new') {
      if (current === 'new') return;
      current = 'new';
      parts.show(h('h2', {}, t('call.title')), makeCall(asked.action));
      return;
    }
    let it = pages.rows.find((one) => one.request_id === chosen);
    // One that lies further back than what is listed, or that the filter leaves out.
    if (!it && chosen) [it] = (await get(`requests${query({ request_id: chosen })}`)).requests;
    const print = JSON.stringify(it ?? chosen);
    if (print === current) return;
    current = print;
    if (!it) {
      parts.show(...(chosen ? [h('p', {}, t('calls.gone'))] : []));
      return;
    }
    if (it.action && !specs.has(it.action)) {
      specs.set(it.action, await view.get(`actions/${encodeURIComponent(it.action)}`, 'action').catch(() => null));
      if (view.ended || current !== print) return;
    }
    parts.show(...one(it, specs.get(it.action)));
  }

  // Each parameter that came, and each that the spec gives a value where none came.
  function parameters(it, spec) {
    const known = new Map((spec?.params ?? []).map((param) => [param.name, param]));
    const ignored = new Set(it.ignored);
    const rowsOf = it.params.map(([name, value]) => {
      const about = known.get(name) ?? known.get(name.split('.')[0]);
      const signing = ['AccessKeyId', 'Action', 'Format', 'Signature', 'SignatureMethod', 'SignatureNonce', 'SignatureType', 'SignatureVersion', 'Timestamp', 'Version', 'SecurityToken', 'BearerToken', 'RegionId'].includes(name);
      const standing = ignored.has(name) ? (about ? 'ignored' : 'unknown') : signing ? 'signing' : about || !spec ? 'taken' : 'unknown';
      return { name, value, standing, about };
    });
    const given = new Set(rowsOf.map((row) => row.name.split('.')[0]));
    for (const param of spec?.params ?? []) {
      if (given.has(param.name)) continue;
      if (param.required) rowsOf.push({ name: param.name, value: '', standing: 'missing', about: param });
      else if (param.default !== null && param.default !== undefined) rowsOf.push({ name: param.name, value: String(param.default), standing: 'defaulted', about: param });
    }
    const shown = table(t('calls.parameters'), [
      { name: t('column.parameter'), cell: (row) => h('code', {}, row.name) },
      { name: t('column.value'), cell: (row) => h('code', {}, row.value) },
      { name: t('column.standing'), cell: (row) => badge(word('param', row.standing), ['unknown', 'ignored', 'missing'].includes(row.standing) ? 'wrong' : '') },
      { name: t('column.type'), cell: (row) => (row.about ? `${row.about.type}${row.about.required ? ` · ${t('calls.required')}` : ''}` : '') },
    ], { key: (row) => row.name });
    shown.set(rowsOf);
    return shown.node;
  }

  function one(it, spec) {
    const again = Object.entries(it.again ?? {}).map(([language, line]) => [NAMES[language] ?? language, line]);
    return [
      h('h2', {}, it.action || t('calls.no_action'), ' ', badge(it.status, wrong(it) ? 'wrong' : 'good')),
      it.code ? h('div', { class: 'problem' }, h('p', {}, h('strong', {}, it.code), ' ', h('span', { lang: 'en' }, it.message)), it.cause ? h('p', { lang: 'en' }, it.cause) : null, it.fault ? h('p', {}, t('calls.by_fault')) : null) : null,
      it.signature ? h('section', {}, h('h3', {}, t('calls.signature')), h('p', { class: 'finding' }, said(it.signature.words?.finding, it.signature.finding)), it.signature.mistakes?.length ? h('ul', {}, it.signature.mistakes.map((mistake, at) => h('li', {}, said(it.signature.words?.mistakes[at], mistake)))) : null, difference(it.signature)) : null,
      (it.notes ?? []).length ? h('section', {}, h('h3', {}, t('calls.notes')), h('ul', {}, it.notes.map((note, at) => h('li', {}, said(it.words?.notes[at], note))))) : null,
      facts([t('column.time'), time(it.at, now())], [t('column.caller'), it.caller], [t('column.scheme'), it.scheme], [t('column.method'), it.method], [t('column.took'), micros(it.took_us)], ['RequestId', h('code', {}, it.request_id)]),
      h('h3', {}, t('calls.parameters')), parameters(it, spec),
      h('h3', {}, t('calls.again')), again.length ? snippets(t('calls.again'), again) : null,
    ];
  }

  async function load() {
    await pages.load();
  }

  const remember = () => requery(filters());
  text.input.addEventListener('input', () => {
    remember();
    pages.search().catch(report);
  });
  problems.input.addEventListener('input', () => {
    remember();
    pages.restart().catch(report);
  });
  parts.list.append(list, below.node);
  body.append(h('div', { class: 'bar' }, text.node, problems.node, h('div', { class: 'push' }, h('a', { class: 'button', href: link(['calls', 'new']) }, t('call.open')))), none, parts.node);
  await view.live(['call'], load);
  return ([next], query) => {
    chosen = next ?? null;
    draw();
    const [otherProblems, other] = [problems.set(query.problems === '1'), text.set(query.text)];
    if (otherProblems) pages.restart().catch(report);
    else if (other) pages.search().catch(report);
  };
}
