// Callbacks: what was told to whom, each try with its answer; told again, changed, or told to somebody else.

import { get, post, put, query, remove } from '../lib/api.js';
import { empty, fill, h, once } from '../lib/dom.js';
import { name, time } from '../lib/format.js';
import { t, word } from '../lib/i18n.js';
import { md5 } from '../lib/md5.js';
import { has, namesIn, Pages } from '../lib/pages.js';
import { go, link, requery } from '../lib/router.js';
import { now } from '../lib/service.js';
import { badge, button, field, form, line } from '../part/controls.js';
import { body as bodyOf, code, json } from '../part/code.js';
import { dialog } from '../part/dialog.js';
import { foot, nothingFits } from '../part/foot.js';
import { guide, SINK, sinkUrl } from '../part/guide.js';
import { say, wrong } from '../part/notice.js';
import { split } from '../part/split.js';
import { facts, renewFacts, table } from '../part/table.js';

const STATES = ['', 'pending', 'success', 'failed'];

const stateKind = (state) => (state === 'failed' ? 'wrong' : state === 'success' ? 'good' : '');

function headersOf(attempt) {
  const lines = typeof attempt.headers === 'string' ? attempt.headers.split('\n').filter(Boolean).map((line) => line.split(/:\s*/, 2)) : Object.entries(attempt.headers ?? {});
  return new Map(lines.map(([key, value]) => [key.toLowerCase(), value]));
}

// Whether a signature is made with a key: md5(host|timestamp|key). The host is that of the receiver's address for recordings, the ingest
// domain for pushes.
function signatureBox(callback, attempt) {
  const sent = headersOf(attempt);
  const signature = sent.get('ali-live-signature');
  if (!signature) return h('p', { class: 'muted' }, t('callbacks.unsigned'));
  const key = field(t('callbacks.key'), { type: 'password', hint: t('callbacks.key_hint') });
  const verdict = h('p', { role: 'status' });
  const check = () => {
    if (!key.value) return empty(verdict);
    const hosts = [URL.parse(callback.url)?.hostname, callback.domain].filter(Boolean);
    const good = hosts.some((host) => md5(`${host}|${sent.get('ali-live-timestamp')}|${key.value}`) === signature);
    return empty(verdict, h('span', { class: good ? 'good' : 'wrong' }, t(good ? 'callbacks.signature_good' : 'callbacks.signature_bad')));
  };
  key.input.addEventListener('input', check);
  return h('div', { class: 'check-signature' }, key.node, verdict);
}

// One try, with what it was about.
const attemptOf = ({ attempt, url, domain }) => h('li', { class: attempt.status === 200 ? '' : 'wrong' },
  h('div', { class: 'line' }, time(attempt.at, now()), badge(attempt.status ?? t('callbacks.no_answer'), attempt.status === 200 ? 'good' : 'wrong'), attempt.error ? h('span', {}, attempt.error) : null),
  attempt.headers && headersOf(attempt).size ? code([...headersOf(attempt)].map((pair) => pair.join(': ')).join('\n'), t('callbacks.headers')) : null,
  attempt.response ? bodyOf(attempt.response, t('callbacks.answer')) : null,
  signatureBox({ url, domain }, attempt));

export async function open(view, body, [id], asked) {
  let chosen = id ?? null;
  let current = null;
  const filters = () => ({ text: text.value, state: state.value });
  const parts = split(() => link(['callbacks'], filters()));
  const list = h('ul', { class: 'rows', 'aria-label': t('nav.callbacks') });
  const none = h('div', {});
  const sinkPart = h('div', {});
  const text = field(t('filter.text'), { type: 'search', value: asked.text ?? '', placeholder: t('filter.text_hint') });
  const state = field(t('filter.state'), { type: 'select', value: asked.state ?? '', options: STATES.map((name) => [name, name ? word('state', name) : t('any')]) });
  const pause = button('', async () => {
    const to = !paused;
    await put('callbacks', { paused: to });
    await load();
    say(t(to ? 'callbacks.paused' : 'callbacks.resumed'));
  });
  // Until it is known whether they are paused, there is nothing to press.
  pause.hidden = true;
  let paused = false;

  const pages = new Pages({
    async ask(values) {
      const answer = await view.get(`callbacks${query({ ...values, state: state.value })}`, 'callbacks');
      if (answer.paused !== undefined) paused = answer.paused;
      pause.hidden = answer.paused === undefined;
      pause.textContent = t(paused ? 'callbacks.resume' : 'callbacks.pause');
      pause.setAttribute('aria-pressed', String(paused));
      return { rows: answer.callbacks, next: answer.next ?? null, total: answer.total };
    },
    keyOf: (it) => it.id,
    select: (rows) => rows.filter((it) => (!state.value || it.state === state.value) && has(it, text.value)),
    isFiltered: () => Boolean(text.value),
    exactly: () => namesIn(text.value),
    draw,
  });
  const below = foot(pages);

  function draw() {
    const { shown } = pages;
    fill(list, shown.map((it) => ({ it, here: String(it.id) === chosen, asked: filters() })), ({ it }) => it.id, ({ it, here, asked: of }) => h('li', {}, h('a', { href: link(['callbacks', String(it.id)], of), 'aria-current': here ? 'true' : null },
      h('span', { class: 'line' }, h('strong', {}, word('event', it.kind)), badge(word('state', it.state), stateKind(it.state))),
      line(time(it.created_at, now()), name(it), t('callbacks.tries', { n: it.attempts?.length ?? 0 })))));
    below.draw();
    const nothing = pages.rows.length === 0 && !state.value;
    const print = `${nothing}${shown.length}${pages.searching}${pages.isCut}`;
    if (none.dataset.shown !== print) {
      none.dataset.shown = print;
      empty(none, nothing ? [h('p', {}, t('callbacks.none')), guide()] : shown.length ? null : nothingFits(pages));
    }
    parts.node.classList.toggle('nothing', nothing && chosen !== 'sink');
    show().catch((error) => {
      if (!view.ended) view.failed?.(error);
    });
  }

  // By its id: the first one before the id behind it.
  async function one(id) {
    const { callbacks } = await get(`callbacks${query({ limit: 1, cursor: Number(id) + 1 })}`);
    return callbacks.find((it) => String(it.id) === String(id));
  }

  async function show() {
    if (chosen === 'sink') return sink();
    const wanted = chosen;
    let it = pages.rows.find((one) => String(one.id) === wanted);
    // One that lies further back than what is listed.
    if (!it && /^\d+$/.test(wanted ?? '')) it = await one(wanted);
    if (view.ended || chosen !== wanted) return null;
    if (current?.id !== wanted || current.gone !== !it) {
      current = it ? begin(it) : { id: wanted, gone: true, nodes: wanted ? [h('p', {}, t('callbacks.gone'))] : [] };
      parts.show(...current.nodes);
    }
    current.draw?.(it);
    return null;
  }

  // What is shown of a callback: a try comes behind those that were, so that the key stays that somebody types into one of them.
  function begin(first) {
    let it = first;
    const attempts = () => it.attempts ?? [];
    const title = h('h2', {});
    const about = h('div', {});
    const request = h('div', {});
    const tries = h('h3', {});
    const rows = h('ol', { class: 'attempts' });
    const untried = h('p', { class: 'muted' }, t('callbacks.not_tried'));
    const resend = button(t('callbacks.resend'), async () => {
      const before = attempts().length;
      await tried((await post(`callbacks/${it.id}/replay`)).replayed, before);
      await load();
    }, { class: 'main' });
    return {
      id: String(first.id),
      gone: false,
      nodes: [title, h('div', { class: 'actions' }, resend, button(t('callbacks.edit'), () => edit(it))), about, h('h3', {}, t('callbacks.request')), request, tries, rows, untried],
      draw(next) {
        it = next;
        once(title, JSON.stringify([it.kind, it.state]), () => [word('event', it.kind), ' ', badge(word('state', it.state), stateKind(it.state))]);
        renewFacts(about, facts([t('column.stream'), h('a', { href: link(['streams', it.domain, it.app, it.stream]) }, name(it))], [t('column.created'), time(it.created_at, now())], [t('callbacks.next'), it.next_try ? time(it.next_try, now()) : null]));
        once(request, JSON.stringify([it.method, it.url, it.body]), () => [code(`${it.method} ${it.url}`, t('callbacks.request')), it.body ? bodyOf(it.body, t('callbacks.body')) : null]);
        once(tries, String(attempts().length), () => t('callbacks.attempts', { n: attempts().length }));
        fill(rows, attempts().map((attempt, at) => ({ attempt, at, url: it.url, domain: it.domain })), ({ at }) => at, attemptOf);
        rows.hidden = attempts().length === 0;
        untried.hidden = !rows.hidden;
      },
    };
  }

  // How the try went that was just made.
  async function tried(id, before) {
    const it = await one(id);
    const attempts = it?.attempts ?? [];
    const last = attempts.at(-1);
    if (!it || attempts.length <= before) say(t('callbacks.waits'));
    else if (last.status === 200) say(t('callbacks.resent'));
    else say(t('callbacks.not_taken', { why: last.error ?? last.status ?? t('callbacks.no_answer') }), 'wrong');
  }

  function edit(it) {
    const url = field('URL', { value: it.url, required: true, type: 'url' });
    const content = field(t('callbacks.body'), { type: 'textarea', rows: '10', value: it.body });
    // What is secret in an address is not shown: one that nobody has changed is not sent, and stays the one that the server holds.
    const shown = url.value;
    const window = dialog(t('callbacks.edit'), form({}, async () => {
      const change = it.method === 'GET' ? {} : { body: content.input.value };
      if (url.value !== shown) change.url = url.value;
      const sent = await post(`callbacks/${it.id}/replay`, change);
      window.close();
      await tried(sent.replayed, sent.replayed === it.id ? (it.attempts?.length ?? 0) : 0);
      await load();
      if (sent.replayed !== undefined) go(['callbacks', String(sent.replayed)]);
    }, url.node, h('p', {}, button(t('callbacks.to_sink'), () => { url.input.value = sinkUrl(SINK); })), it.method === 'GET' ? null : content.node, h('footer', {}, h('button', { class: 'main' }, t('callbacks.send')))));
  }

  // The built-in receiver: its form stays the one that somebody may be typing into, what came is put anew.
  let receiver = null;
  let turns = 0;
  async function sink() {
    if (view.ended) return;
    turns += 1;
    const turn = turns;
    const answer = await view.get(`sinks/${SINK}?limit=1000`, 'sink');
    if (view.ended || chosen !== 'sink' || turn !== turns) return;
    if (current !== 'sink') {
      current = 'sink';
      receiver = beginSink(answer.answer);
      parts.show(...receiver.nodes);
    }
    receiver.draw(answer);
  }

  function beginSink(settings) {
    let told = settings;
    const status = field(t('sink.status'), { type: 'number', min: '200', max: '599', value: told.status ?? 200 });
    const delay = field(t('sink.delay'), { type: 'number', min: '0', max: '60000', value: told.delay_ms ?? 0 });
    const content = field(t('sink.body'), { type: 'textarea', rows: '2', value: told.body ?? '' });
    // As the field has it: a browser's lines end otherwise than the server's may.
    let body = content.input.value;
    const kept = table(t('sink.kept'), [
      { name: t('column.time'), cell: (it) => time(it.at, now()) },
      { name: t('column.method'), cell: (it) => it.method },
      { name: t('callbacks.body'), cell: (it) => (it.body ? h('details', {}, h('summary', {}, String(it.body).slice(0, 90)), bodyOf(String(it.body), t('callbacks.body')), json(it.headers ?? {}, t('callbacks.headers'))) : h('span', { class: 'long' }, it.query ?? it.path ?? '')) },
    ], { key: (it) => it.number });
    const nothing = h('p', { class: 'muted' }, t('sink.none'));
    // What a script has set meanwhile stands in the fields that nobody has changed.
    function follow(next) {
      if (status.value === String(told.status ?? 200)) status.set(String(next.status ?? 200));
      if (delay.value === String(told.delay_ms ?? 0)) delay.set(String(next.delay_ms ?? 0));
      if (next.body !== told.body) {
        const untouched = content.input.value === body;
        if (untouched) content.input.value = next.body ?? '';
        body = untouched ? content.input.value : null;
      }
      told = next;
    }
    return {
      nodes: [h('h2', {}, t('sink.title')), h('p', {}, t('sink.text')), code(sinkUrl(SINK), 'URL'),
        form({ class: 'bar' }, async () => {
          const typed = content.input.value;
          const sent = { status: Number(status.value), delay_ms: Number(delay.value), body: typed === body ? told.body : typed };
          // The form has no field for it.
          if (told.content_type) sent.content_type = told.content_type;
          told = (await put(`sinks/${SINK}`, sent)).answer;
          body = typed;
          say(t('saved'));
          // An answer that is under way knows nothing of it yet.
          await sink();
        }, status.node, delay.node, content.node, h('button', { class: 'main' }, t('sink.save')), button(t('sink.empty'), async () => {
          await remove(`sinks/${SINK}`);
          await sink();
        })),
        h('h3', {}, t('sink.kept')), kept.node, nothing],
      draw({ answer: next, requests }) {
        follow(next);
        kept.set([...requests].reverse());
        kept.node.hidden = requests.length === 0;
        nothing.hidden = requests.length > 0;
      },
    };
  }

  async function load() {
    await pages.load();
  }

  const remember = () => requery(filters());
  text.input.addEventListener('input', () => {
    remember();
    pages.search().catch(wrong);
  });
  state.input.addEventListener('input', () => {
    remember();
    pages.restart().catch(wrong);
  });
  parts.list.append(list, below.node);
  body.append(h('div', { class: 'bar' }, text.node, state.node, h('div', { class: 'push' }, pause, h('a', { class: 'button', href: link(['callbacks', 'sink']) }, t('sink.open')))), none, parts.node);
  // One that waits is there before its first try: with what it is about.
  await view.live(['callback', 'publish', 'unpublish', 'record', 'file'], load);
  return ([next], query) => {
    chosen = next ?? null;
    current = null;
    draw();
    const [otherState, other] = [state.set(query.state), text.set(query.text)];
    if (otherState) pages.restart().catch(wrong);
    else if (other) pages.search().catch(wrong);
  };
}
