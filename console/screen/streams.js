// Streams: what is live now, and what was.

import { get, query, remove } from '../lib/api.js';
import { empty, h } from '../lib/dom.js';
import { bytes, count, kbps, name, span, time } from '../lib/format.js';
import { t, word } from '../lib/i18n.js';
import { namesIn, Pages } from '../lib/pages.js';
import { link, requery } from '../lib/router.js';
import { instant } from '../lib/format.js';
import { now } from '../lib/service.js';
import { button, field } from '../part/controls.js';
import { foot, nothingFits } from '../part/foot.js';
import { guide, publishButton } from '../part/guide.js';
import { livePath } from '../lib/media.js';
import { player } from '../part/player.js';
import { dialog } from '../part/dialog.js';
import { say, wrong } from '../part/notice.js';
import { command, recorderState, verdict } from '../part/recorder.js';
import { spark } from '../part/spark.js';
import { table } from '../part/table.js';

const POLL_MS = 2000;
const SHOWN = 100;
// Sessions that are read first: a stream may have several.
const SESSIONS = 200;
const PAGE = 1000;
// Why is asked for streams that nothing records, a few at a time.
const EXPLAINED = 20;
const POINTS = 30;
const rates = new Map();

// The rate since the last look, kept for the line.
function rate(stream) {
  const key = name(stream);
  const known = rates.get(key) ?? { since: stream.since, points: [] };
  if (known.since !== stream.since) Object.assign(known, { since: stream.since, points: [], bytes: undefined });
  const at = performance.now();
  if (known.bytes !== undefined && at - known.at > 500) {
    known.points.push(Math.max(0, ((stream.bytes - known.bytes) * 8) / (at - known.at)));
    known.points.splice(0, known.points.length - POINTS);
  }
  if (known.bytes === undefined || at - known.at > 500) Object.assign(known, { bytes: stream.bytes, at });
  rates.set(key, known);
  return known.points;
}

// The codec of the picture; null where it is known that there is none.
export const pictureOf = (stream) => (stream?.media?.video_codec ?? (stream?.media?.audio_codec ? null : undefined));

export function media(facts) {
  if (!facts) return '';
  const picture = facts.video_codec ? `${facts.video_codec.toUpperCase()} ${facts.width || '?'}×${facts.height || '?'}${facts.frame_rate ? ` ${Math.round(facts.frame_rate)} fps` : ''}` : t('streams.no_picture');
  const sound = facts.audio_codec ? `${facts.audio_codec.toUpperCase()} ${facts.sample_rate ? `${facts.sample_rate / 1000} kHz` : ''} ${facts.channels ? `${facts.channels} ch` : ''}` : t('streams.no_sound');
  return h('div', {}, h('div', {}, picture), h('div', {}, sound), (facts.unsupported ?? []).map((what) => h('div', { class: 'wrong' }, t('streams.unsupported', { what }))));
}

export async function end(stream) {
  await remove(`streams/${[stream.domain, stream.app, stream.stream].map(encodeURIComponent).join('/')}`);
  say(t('streams.ended', { name: name(stream) }));
}

export function watch(stream) {
  const shown = player(livePath(stream), name(stream), { live: true, codec: pictureOf(stream) });
  dialog(t('streams.watching', { name: name(stream) }), shown).addEventListener('close', () => shown.stop());
}

export const controls = (stream) => h('div', { class: 'actions' },
  button(t('streams.watch'), () => watch(stream)),
  button(t('streams.start'), () => command(stream, 'start')),
  button(t('streams.stop'), () => command(stream, 'stop')),
  button(t('streams.restart'), () => command(stream, 'restart')),
  button(t('streams.end'), () => end(stream), { class: 'danger' }));

export async function open(view, body, parts, asked) {
  const whys = new Map();
  const filter = field(t('filter.stream'), { type: 'search', value: asked.text ?? '', placeholder: 'domain/app/stream' });
  const summary = h('p', { class: 'muted' });
  const none = h('div', {});
  const live = table(t('streams.live'), [
    { name: t('column.stream'), cell: ({ stream }) => h('div', {}, h('a', { href: link(['streams', stream.domain, stream.app, stream.stream]) }, name(stream)), h('div', { class: 'muted' }, stream.ingest_domain === stream.domain ? stream.client : `${stream.ingest_domain} → ${stream.domain} · ${stream.client}`)) },
    { name: t('column.media'), cell: ({ stream }) => media(stream.media) },
    { name: t('column.rate'), cell: ({ stream, points }) => h('div', {}, h('div', {}, kbps(points.at(-1) ?? stream.bitrate_kbps)), spark(points, t('column.rate')), h('div', { class: 'muted' }, bytes(stream.bytes))) },
    { name: t('column.for'), class: 'short', cell: ({ stream }) => span((now() - instant(stream.since)) / 1000) },
    { name: t('column.recorder'), cell: ({ stream, why }) => h('div', {}, recorderState(stream), why ? verdict(why, stream) : null) },
    { name: '', aria: t('column.actions'), cell: ({ stream }) => controls(stream) },
  ], { key: ({ stream }) => name(stream) });
  const past = table(t('streams.past'), [
    { name: t('column.stream'), cell: (it) => h('a', { href: link(['streams', it.domain, it.app, it.stream]) }, name(it)) },
    { name: t('column.sessions'), class: 'number', cell: (it) => count(it.sessions) },
    { name: t('column.last'), cell: (it) => time(it.stop, now()) },
    { name: t('column.state'), class: 'short', cell: (it) => word('state', it.state) },
  ], { key: name });

  // Of a stream that is explained no more nothing is kept, neither for "as curl" and "as JSON".
  function forget(key) {
    whys.delete(key);
    view.sources.delete(`explain ${key}`);
  }

  async function explain(stream) {
    const idle = !stream.recorder?.rule;
    if (!idle) {
      forget(name(stream));
      return;
    }
    const path = `explain${query({ domain: stream.ingest_domain, app: stream.app, stream: stream.stream })}`;
    whys.set(name(stream), await view.get(path, `explain ${name(stream)}`));
  }

  const fits = (it) => name(it).toLowerCase().includes(filter.value.toLowerCase());
  let streaming = null;
  let total = 0;

  // The newest session of a stream tells whether it is live: of those that are not shown above, too.
  function ended(sessions) {
    const before = new Map();
    for (const session of sessions) {
      const key = name(session);
      if (!before.has(key)) before.set(key, { domain: session.domain, app: session.app, stream: session.stream, sessions: 0, stop: session.stop_time, state: session.state });
      before.get(key).sessions += 1;
    }
    return [...before.values()].filter((it) => it.state !== 'recording' && !streaming?.has(name(it)) && fits(it));
  }
  const pages = new Pages({
    async ask(values) {
      const answer = await view.get(`recordings${query(values)}`, 'recordings');
      return { rows: answer.recordings, next: answer.next ?? null, total: answer.total };
    },
    keyOf: (it) => it.session,
    select: ended,
    exactly: () => (filter.value ? namesIn(filter.value) : null),
    first: SESSIONS,
    draw: drawPast,
  });
  const below = foot(pages);

  // Without a filter the first of them are all that is shown; with one every page is looked through until enough fit.
  async function chosenOnes() {
    let answer = await view.get(`streams${query({ limit: filter.value ? PAGE : SHOWN })}`, 'streams');
    const { total } = answer;
    const chosen = answer.streams.filter(fits);
    while (filter.value && answer.next && chosen.length < SHOWN) {
      answer = await get(`streams${query({ limit: PAGE, cursor: answer.next })}`);
      chosen.push(...answer.streams.filter(fits));
    }
    return { total, chosen: chosen.slice(0, SHOWN) };
  }

  async function loadLive() {
    const found = await chosenOnes();
    const { chosen } = found;
    total = found.total;
    const explained = chosen.slice(0, EXPLAINED);
    await Promise.all(explained.map(explain));
    streaming = new Set(chosen.map(name));
    for (const key of rates.keys()) if (!streaming.has(key)) rates.delete(key);
    // A reason that is not asked for any more may not hold any more.
    const told = new Set(explained.map(name));
    for (const key of whys.keys()) if (!told.has(key)) forget(key);
    live.set(chosen.map((stream) => ({ stream, points: [...rate(stream)], why: whys.get(name(stream)) })));
    summary.textContent = t('streams.count', { n: count(total), shown: count(chosen.length) });
    live.node.hidden = chosen.length === 0;
    drawPast();
  }

  function drawPast() {
    if (!pages.begun || !streaming) return;
    const { shown } = pages;
    past.set(shown);
    past.node.hidden = shown.length === 0;
    // As long as there may be more of them, how many there are is not known.
    pastCount.textContent = pages.next === null ? t('streams.past_count', { n: count(pages.fitting.length), shown: count(shown.length) }) : t('streams.past_some', { shown: count(shown.length) });
    below.draw();
    pastPart.hidden = shown.length === 0 && !pages.hasMore && !pages.searching;
    const nothing = total === 0 && pages.rows.length === 0;
    const print = `${nothing}${streaming.size === 0 && pastPart.hidden}`;
    if (none.dataset.shown === print) return;
    none.dataset.shown = print;
    empty(none, nothing ? guide() : streaming.size === 0 && pastPart.hidden ? nothingFits(pages) : null);
  }

  const pastCount = h('p', { class: 'muted' });
  const pastPart = h('section', { hidden: true }, h('h2', {}, t('streams.past')), pastCount, past.node, below.node);
  body.append(h('div', { class: 'bar' }, filter.node, h('div', { class: 'push' }, publishButton())), summary, live.node, none, pastPart);
  const [again] = await Promise.all([
    view.live(['publish', 'unpublish', 'record', 'call'], loadLive, { every: POLL_MS }),
    view.live(['unpublish', 'record', 'snapshot'], () => pages.load()),
  ]);
  filter.input.addEventListener('input', () => {
    requery({ text: filter.value });
    again();
    pages.search().catch(wrong);
  });
}
