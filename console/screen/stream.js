// One stream: its state, why it is recorded or not, and everything that happened to it on one axis.

import * as events from '../lib/events.js';
import { post, query } from '../lib/api.js';
import { empty, h, once } from '../lib/dom.js';
import { bytes, instant, kbps, name, span, stamp, time } from '../lib/format.js';
import { t, word } from '../lib/i18n.js';
import { slicesOf } from '../lib/playlist.js';
import { link } from '../lib/router.js';
import { now, readClock } from '../lib/service.js';
import { badge, button } from '../part/controls.js';
import { json } from '../part/code.js';
import { isWrong, whyOf } from '../part/happening.js';
import { publishButton } from '../part/guide.js';
import { livePath } from '../lib/media.js';
import { player } from '../part/player.js';
import { recorderState, verdict } from '../part/recorder.js';
import { facts, renewFacts } from '../part/table.js';
import { timeline } from '../part/timeline.js';
import { controls, media, pictureOf } from './streams.js';

const POLL_MS = 3000;
const PAINT_MS = 250;
const ms = (at) => +instant(at);

// Playlists that were read, the newest last. One that grows is another one each time.
const playlists = new Map();
const PLAYLISTS = 1000;
const AT_ONCE = 4;

// Slices are read from playlists that are whole, and once, beside everything else: the page is not kept waiting for those of a day.
function sliceReader(view, redraw) {
  const asked = new Set();
  const queue = [];
  let busy = 0;
  async function work() {
    if (busy >= AT_ONCE) return;
    busy += 1;
    for (let next = queue.shift(); next && !view.ended; next = queue.shift()) {
      playlists.set(next.key, await slicesOf(next.file.bucket, next.file.object).catch(() => []));
      if (playlists.size > PLAYLISTS) playlists.delete(playlists.keys().next().value);
      redraw();
    }
    busy -= 1;
  }
  return (file) => {
    const key = `${file.bucket}/${file.object}/${file.size}`;
    if (!playlists.has(key) && !asked.has(key)) {
      asked.add(key);
      queue.push({ key, file });
      work();
    }
    return playlists.get(key) ?? [];
  };
}

function slices(file, read) {
  if (file.format !== 'm3u8' && file.format !== 'cmaf') return [];
  return read(file).map((slice) => ({ from: ms(file.start_time) + slice.at * 1000, to: ms(file.start_time) + (slice.at + slice.duration) * 1000, kind: slice.gap ? 'slice gap' : 'slice', label: `${slice.duration.toFixed(1)} s`, data: slice }));
}

function pushes(heard, live) {
  const items = [];
  let open = null;
  for (const event of heard) {
    if (event.kind === 'publish' && event.what !== 'refused') open = { from: ms(event.at), kind: 'push', label: t('timeline.push'), data: event };
    else if (event.kind === 'publish') items.push({ from: ms(event.at), kind: 'bad', label: event.why ?? t('what.refused'), data: event });
    else if (event.kind === 'unpublish') {
      items.push({ ...(open ?? { from: ms(event.at), kind: 'push', label: t('timeline.push'), data: event }), to: ms(event.at) });
      open = null;
    }
  }
  if (live) items.push({ from: ms(live.since), to: now(), kind: 'push', label: t('timeline.push'), data: live });
  return items;
}

function lanes({ live, recordings, callbacks, heard, why, read }) {
  const sessions = [];
  const uploads = [];
  const cuts = [];
  const formats = new Map();
  let closes = null;
  for (const session of recordings) {
    const from = ms(session.start_time);
    const open = session.state === 'recording';
    const to = open ? Math.max(now(), ms(session.stop_time)) : ms(session.stop_time);
    sessions.push({ from, to, kind: 'record', label: word('state', session.state), data: session });
    if (session.state === 'paused') {
      const delay = session.closes_at ? ms(session.closes_at) : ms(session.stop_time) + (why?.rule?.delay_s ?? 180) * 1000;
      closes = delay;
      sessions.push({ from: to, to: delay, kind: 'delay', label: t('timeline.closes', { at: stamp(delay).slice(11, 19) }), data: session });
    }
    for (const file of session.files) {
      const list = formats.get(file.format) ?? [];
      list.push({ from: ms(file.start_time), to: ms(file.stop_time), kind: 'file', label: `${file.format} ${span(file.duration)} ${bytes(file.size)}`, data: file });
      formats.set(file.format, list);
      cuts.push(...slices(file, read));
    }
  }
  const drawn = new Set(cuts.map((cut) => Math.round(cut.from / 1000)));
  for (const event of heard) {
    if (event.kind === 'slice') {
      const from = ms(event.start_time ?? event.at);
      const to = event.stop_time ? ms(event.stop_time) : undefined;
      if (!drawn.has(Math.round(from / 1000))) cuts.push({ from, to, kind: event.discontinuity ? 'slice gap' : 'slice', label: to ? `${((to - from) / 1000).toFixed(1)} s` : t('kind.slice'), data: event });
    } else if (event.kind === 'file') {
      uploads.push({ from: ms(event.at), kind: 'upload', label: event.object, data: event });
    } else if (event.kind === 'record' && isWrong(event)) {
      sessions.push({ from: ms(event.at), kind: 'bad', label: whyOf(event), data: event });
    }
  }
  const told = callbacks.flatMap((callback) => {
    const tries = (callback.attempts ?? []).map((attempt, index) => ({ from: ms(attempt.at), kind: attempt.status === 200 ? 'told' : 'bad', label: `${word('event', callback.kind)} ${index + 1}: ${attempt.status ?? attempt.error}`, data: { ...callback, attempts: [attempt] } }));
    return tries.length ? tries : [{ from: ms(callback.created_at), kind: 'waits', label: `${word('event', callback.kind)}: ${word('state', callback.state)}`, data: callback }];
  });
  return {
    closes,
    lanes: [
      { name: t('lane.push'), items: pushes(heard, live) },
      { name: t('lane.record'), items: sessions },
      { name: t('lane.slices'), items: cuts },
      ...[...formats].map(([format, items]) => ({ name: format, items })),
      { name: t('lane.uploads'), items: uploads },
      { name: t('lane.callbacks'), items: told },
    ],
  };
}

export async function open(view, body, [domain, app, stream]) {
  const it = { domain, app, stream };
  view.title(name(it));
  const of = query({ domain, app, stream });
  const ours = (other) => other.domain === domain && other.app === app && other.stream === stream;
  const state = h('div', {});
  const recorded = h('div', {});
  const watching = h('div', {});
  const closing = h('div', {});
  const detail = h('div', {});
  const chart = timeline(t('timeline.label', { name: name(it) }), (item) => empty(detail, h('h3', {}, item.label), json(item.data)));
  let playing = null;
  const watch = button(t('streams.watch'), () => {
    playing?.stop();
    playing = playing ? null : player(livePath(it), name(it), { live: true, codec: pictureOf(heardOf?.live) });
    empty(watching, playing);
    watch.textContent = t(playing ? 'streams.unwatch' : 'streams.watch');
  });
  view.onEnd(() => playing?.stop());
  const files = h('ul', { class: 'links' });
  let heardOf = null;
  let due = null;
  const read = sliceReader(view, () => {
    due ??= setTimeout(paint, PAINT_MS);
  });
  view.onEnd(() => clearTimeout(due));

  function paint() {
    due = null;
    const drawn = lanes({ ...heardOf, read });
    chart.set(drawn.lanes, now());
    return drawn;
  }

  async function load() {
    const [streams, recordings, callbacks, why] = await Promise.all([
      view.get(`streams${of}`, 'streams'), view.get(`recordings${of}&limit=50`, 'recordings'),
      view.get(`callbacks${of}&limit=200`, 'callbacks'), view.get(`explain${of}`, 'explain'),
    ]);
    const live = streams.streams.find(ours);
    const sessions = recordings.recordings.filter(ours);
    const heard = events.recent().filter((event) => ours(event) || (event.stream === stream && event.app === app && event.domain === live?.ingest_domain));
    if (view.ended) return;
    heardOf = { live, recordings: sessions, callbacks: callbacks.callbacks.filter(ours), heard, why };
    const drawn = paint();
    renewFacts(state, live
      ? facts([t('column.state'), badge(t('streams.is_live'), 'good')], [t('column.media'), media(live.media)], [t('column.rate'), `${kbps(live.bitrate_kbps)} · ${bytes(live.bytes)}`], [t('column.client'), live.client],
        [t('streams.ingest'), live.ingest_domain === domain ? null : `${live.ingest_domain} → ${domain}`], [t('column.for'), span((now() - ms(live.since)) / 1000)], [t('column.recorder'), recorderState(live)])
      : facts([t('column.state'), sessions.length ? word('state', sessions[0].state) : t('streams.not_live')], [t('column.last'), sessions.length ? time(sessions[0].stop_time, now()) : null]));
    // Of what is live it counts by which rule it is recorded; how far it is, is another thing each time.
    const pushed = live ?? why.live;
    once(recorded, JSON.stringify([{ ...why, live: null }, Boolean(pushed), pushed?.recorder?.rule]), () => verdict(why, pushed));
    once(actions, String(Boolean(live)), () => (live ? [watch, [...controls(it).children].slice(1)] : publishButton(it)));
    const at = drawn.closes && drawn.closes > now() ? stamp(drawn.closes) : '';
    once(closing, at, () => at && h('p', {}, t('timeline.closes_at', { at }), ' ', button(t('timeline.advance'), async () => readClock(await post('clock/advance', { seconds: Math.max(1, Math.ceil((drawn.closes - now()) / 1000) + 1) })))));
    const formats = (session) => session.files.map((file) => file.format);
    once(files, JSON.stringify(sessions.map((session) => [session.session, session.start_time, session.state, formats(session)])), () => sessions.map((session) => h('li', {}, h('a', { href: link(['recordings', session.session]) }, t('recordings.of', { at: session.start_time })), ' ', h('span', { class: 'muted' }, [word('state', session.state), ...formats(session)].join(' · ')))));
  }

  const actions = h('div', { class: 'actions' });
  body.append(state, recorded, actions, watching, h('h2', {}, t('timeline.title')), closing, chart.node, detail, h('h2', {}, t('nav.recordings')), files);
  await view.live(['publish', 'unpublish', 'record', 'slice', 'file', 'callback', 'clock'], load, { every: POLL_MS });
}

