// Recordings: sessions with their files, played in the page.

import { call, get, query } from '../lib/api.js';
import { empty, fill, h, once } from '../lib/dom.js';
import { bytes, instant, name, span, stamp, time } from '../lib/format.js';
import { t, word } from '../lib/i18n.js';
import { objectPath, playPath } from '../lib/media.js';
import { keyOf, slicesOf } from '../lib/playlist.js';
import { namesIn, Pages } from '../lib/pages.js';
import { link, requery } from '../lib/router.js';
import { now } from '../lib/service.js';
import { badge, button, copyAddressButton, field, form, line } from '../part/controls.js';
import { json } from '../part/code.js';
import { foot, nothingFits } from '../part/foot.js';
import { guide } from '../part/guide.js';
import { wrong } from '../part/notice.js';
import { player } from '../part/player.js';
import { download } from '../part/download.js';
import { split } from '../part/split.js';
import { facts, renewFacts } from '../part/table.js';

// The API tells of so many files at a time, and it is asked for so many pages.
const ROWS = 30;
const PAGES = 20;
const AROUND_MS = 60_000;
const FORMATS = ['', 'mp4', 'm3u8', 'flv', 'cmaf'];
// One that is going on has no end yet: what it says of that is how far its files are.
const lengthOf = (it) => ((it.state === 'recording' ? now() : instant(it.stop_time)) - instant(it.start_time)) / 1000;

export async function open(view, body, [session], asked) {
  let chosen = session ?? null;
  const filters = () => ({ stream: stream.value, format: format.value, day: day.value });
  const parts = split(() => link(['recordings'], filters()));
  const list = h('ul', { class: 'rows', 'aria-label': t('nav.recordings') });
  const none = h('div', {});
  const stream = field(t('filter.stream'), { type: 'search', value: asked.stream ?? '', placeholder: 'domain/app/stream' });
  const format = field(t('filter.format'), { type: 'select', value: asked.format ?? '', options: FORMATS.map((name) => [name, name || t('any')]) });
  const day = field(t('filter.day'), { type: 'date', value: asked.day ?? '' });
  let current = null;
  let playing = null;
  view.onEnd(() => playing?.stop());

  // The chosen one, where it lies further back than what is listed.
  let apart = null;
  let sought = null;
  async function find() {
    const wanted = chosen;
    apart = chosen && !pages.rows.some((one) => one.session === chosen) ? (await get(`recordings${query({ session: chosen })}`)).recordings[0] : null;
    sought = wanted;
  }

  const fits = (it) => name(it).toLowerCase().includes(stream.value.toLowerCase())
    && (!format.value || it.files.some((file) => file.format === format.value))
    && (!day.value || stamp(it.start_time).startsWith(day.value));
  const pages = new Pages({
    async ask(values) {
      const answer = await view.get(`recordings${query({ ...values, since: day.value && `${day.value}T00:00:00Z` })}`, 'recordings');
      return { rows: answer.recordings, next: answer.next ?? null, total: answer.total };
    },
    keyOf: (it) => it.session,
    select: (rows) => rows.filter(fits),
    isFiltered: () => Boolean(stream.value || format.value || day.value),
    exactly: () => (stream.value ? namesIn(stream.value) : null),
    draw,
  });
  const below = foot(pages);

  function draw() {
    const { shown } = pages;
    fill(list, shown.map((it) => ({ it, here: it.session === chosen, asked: filters() })), ({ it }) => it.session, ({ it, here, asked: of }) => h('li', {}, h('a', { href: link(['recordings', it.session], of), 'aria-current': here ? 'true' : null },
      h('span', { class: 'line' }, h('strong', {}, name(it)), badge(word('state', it.state), it.state === 'recording' ? 'good' : it.state === 'failed' ? 'wrong' : '')),
      line(time(it.start_time, now()), span(lengthOf(it)), it.files.map((file) => file.format).join(' ')))));
    below.draw();
    const nothing = pages.rows.length === 0 && !day.value;
    const print = `${nothing}${shown.length}${pages.searching}${pages.isCut}`;
    if (none.dataset.shown !== print) {
      none.dataset.shown = print;
      empty(none, nothing ? guide() : shown.length ? null : nothingFits(pages));
    }
    parts.node.classList.toggle('nothing', nothing);
    show();
  }

  // What is shown of a recording: its facts and files change, the player beside them goes on.
  function show() {
    const it = pages.rows.find((one) => one.session === chosen) ?? apart ?? undefined;
    // It is not gone as long as it has not been asked for.
    if (!it && chosen && sought !== chosen) return;
    if (current?.session !== (it?.session ?? chosen) || (it && current.gone)) {
      playing?.stop();
      playing = null;
      current = it ? begin(it) : { session: chosen, gone: true };
      if (!it) parts.show(...(chosen ? [h('p', {}, t('recordings.gone'))] : []));
      else parts.show(h('h2', {}, h('a', { href: link(['streams', it.domain, it.app, it.stream]) }, name(it))), current.facts, current.stage, current.files, current.strip, current.row);
    }
    if (!it) return;
    renewFacts(current.facts, facts([t('column.state'), word('state', it.state)], [t('column.start'), time(it.start_time, now())], [t('column.stop'), it.state === 'recording' ? null : time(it.stop_time, now())], [t('column.length'), span(lengthOf(it))], [t('column.slices'), it.slices], [t('column.bucket'), it.bucket], [t('column.session'), h('code', {}, it.session)]));
    // A signed address is another one each time.
    once(current.files, JSON.stringify(it.files, (key, value) => (key === 'signed_url' ? undefined : value)), () => (it.files.length ? h('ul', { class: 'files' }, it.files.map((one) => file(it, one))) : h('p', { class: 'muted' }, t('recordings.no_files'))));
  }

  const begin = (it) => ({
    session: it.session,
    facts: h('div', {}),
    stage: h('div', { class: 'stage' }),
    files: h('div', {}),
    strip: h('div', { class: 'strip', role: 'group', 'aria-label': t('recordings.slices') }),
    row: h('div', {}),
  });

  function play(one, key = one.object) {
    playing?.stop();
    playing = player(playPath(one.bucket, key), t('recordings.playing', { what: key }));
    empty(current.stage, h('p', { class: 'muted key' }, key), playing);
  }

  async function slices(one) {
    const found = await slicesOf(one.bucket, one.object);
    empty(current.strip, found.map((slice, index) => h('button', { type: 'button', class: slice.gap ? 'gap' : '', title: `${slice.duration.toFixed(3)} s · ${slice.uri}`, 'aria-label': t('recordings.slice', { n: index + 1, s: slice.duration.toFixed(1) }), onclick: () => play(one, one.format === 'm3u8' ? keyOf(one.object, slice.uri) : one.object) }, String(index + 1))));
  }

  // The row that the cloud's API answers for this file.
  async function ask(it, one) {
    const { row } = current;
    // Of the session there may be more files than a period or a page takes.
    const params = { DomainName: it.domain, AppName: it.app, StreamName: it.stream, StartTime: stamp(instant(one.start_time) - AROUND_MS), EndTime: stamp(+instant(one.stop_time) + AROUND_MS), PageSize: ROWS };
    let answer;
    let found;
    for (let page = 1; !found && page <= PAGES && (page === 1 || page <= answer.answer?.TotalPage); page += 1) {
      answer = await call('DescribeLiveStreamRecordIndexFiles', { ...params, PageNum: page });
      found = answer.answer?.RecordIndexInfoList?.RecordIndexInfo?.find((info) => info.RecordId === one.id || info.OssObject === one.object);
    }
    empty(row, h('h4', {}, 'DescribeLiveStreamRecordIndexFiles'), found || answer.status >= 300 ? null : h('p', {}, t('recordings.no_row')), json(found ?? answer.answer));
  }

  const file = (it, one) => h('li', { class: 'file' },
    h('div', { class: 'line' }, badge(one.format), h('strong', {}, span(one.duration)), h('span', { class: 'muted' }, bytes(one.size)), time(one.start_time, now()), '–', time(one.stop_time, now())),
    h('div', { class: 'key' }, h('a', { href: link(['objects', one.bucket], { key: one.object }) }, `${one.bucket}/${one.object}`)),
    h('div', { class: 'actions' }, button(t('recordings.play'), () => play(one), { class: 'main' }),
      ['m3u8', 'cmaf'].includes(one.format) ? button(t('recordings.slices'), () => slices(one)) : null,
      one.signed_url ? copyAddressButton(one.signed_url, one.object) : null,
      download(objectPath(one.bucket, one.object), one.object), button(t('recordings.row'), () => ask(it, one))));

  async function load() {
    await pages.load();
    await find();
    draw();
  }

  const remember = () => requery(filters());
  const filtered = () => {
    remember();
    return pages.search().catch(wrong);
  };
  for (const one of [stream, format]) one.input.addEventListener('input', filtered);
  day.input.addEventListener('input', () => {
    remember();
    pages.restart().catch(wrong);
  });
  parts.list.append(list, below.node);
  body.append(form({ class: 'bar', role: 'search' }, filtered, stream.node, format.node, day.node), none, parts.node);
  await view.live(['record', 'file', 'slice', 'publish', 'unpublish'], load);
  return async ([next], query) => {
    chosen = next ?? null;
    const otherDay = day.set(query.day);
    const other = [stream.set(query.stream), format.set(query.format)].includes(true);
    await (otherDay ? pages.restart() : other ? pages.search() : null)?.catch(wrong);
    await find().catch(wrong);
    draw();
  };
}
