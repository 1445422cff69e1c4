// Objects: what lies in the store, with a look at it.

import { put, query, request } from '../lib/api.js';
import { add, empty, h } from '../lib/dom.js';
import { bytes, time } from '../lib/format.js';
import { t } from '../lib/i18n.js';
import { objectPath, playPath } from '../lib/media.js';
import { mediaUrl } from '../lib/api.js';
import { link } from '../lib/router.js';
import { now } from '../lib/service.js';
import { badge, button, copyAddressButton, field } from '../part/controls.js';
import { code } from '../part/code.js';
import { download } from '../part/download.js';
import { guide } from '../part/guide.js';
import { player } from '../part/player.js';
import { say, wrong } from '../part/notice.js';
import { facts, table } from '../part/table.js';

const ACLS = ['private', 'public-read', 'public-read-write'];
const PAGE = 200;
const LARGEST = 1000;
const TEXT_SHOWN_BYTES = 64 * 1024;

export async function open(view, body, [bucket, ...path], asked) {
  const prefix = path.length ? `${path.join('/')}/` : '';
  let playing = null;
  view.onEnd(() => playing?.stop());
  if (!bucket) return buckets(view, body);
  const trail = h('nav', { class: 'trail', 'aria-label': t('objects.trail') }, h('a', { href: link(['objects']) }, t('nav.objects')), ' / ', h('a', { href: link(['objects', bucket]) }, bucket),
    path.map((part, at) => [' / ', h('a', { href: link(['objects', bucket, ...path.slice(0, at + 1)]) }, part)]));
  const detail = h('section', { class: 'card', hidden: true, 'aria-label': t('details') });
  const list = table(t('objects.in', { bucket }), [
    { name: t('column.name'), cell: (it) => (it.prefix ? h('a', { href: link(['objects', bucket, ...it.prefix.split('/').filter(Boolean)]) }, `📁 ${it.prefix.slice(prefix.length)}`) : h('a', { href: link(['objects', bucket, ...path], { key: it.key }) }, it.key.slice(prefix.length))) },
    { name: t('column.size'), class: 'number', cell: (it) => (it.prefix ? '' : bytes(it.size)) },
    { name: t('column.modified'), cell: (it) => (it.prefix ? '' : time(it.last_modified, now())) },
    { name: 'ACL', cell: (it) => (it.prefix ? '' : it.acl) },
    { name: t('column.type'), cell: (it) => h('span', { class: 'long' }, it.content_type ?? '') },
  ], { key: (it) => it.prefix ?? it.key });
  let wanted = PAGE;
  const more = button(t('more'), () => {
    wanted += PAGE;
    return load();
  });

  async function show(key) {
    playing?.stop();
    playing = null;
    detail.hidden = false;
    const it = await view.get(`object${query({ bucket, key })}`, 'object');
    if (view.ended) return;
    const look = h('div', {});
    empty(detail, h('h2', { class: 'key' }, key), facts([t('column.size'), bytes(it.size)], [t('column.type'), it.content_type], [t('column.modified'), time(it.last_modified, now())], ['ACL', it.acl], ['ETag', h('code', {}, it.etag)], ['CRC64', it.crc64 ? h('code', {}, String(it.crc64)) : null]),
      h('div', { class: 'actions' }, it.signed_url ? copyAddressButton(it.signed_url, key) : null, download(objectPath(bucket, key), key)),
      it.signed_url ? code(it.signed_url, t('objects.signed')) : null, look);
    await preview(look, it, key);
  }

  async function preview(look, it, key) {
    const type = it.content_type ?? '';
    if (/mpegurl/.test(type) || /^text\/|json|xml/.test(type)) {
      // No more of it than is shown, as it came: numbers of JSON may be larger than this page counts. Of what is empty there is no part.
      const text = it.size ? await request('GET', await mediaUrl(objectPath(bucket, key)), undefined, { more: { range: `bytes=0-${TEXT_SHOWN_BYTES - 1}` }, asText: true }) : '';
      // A player that is made now would play on unseen.
      if (view.ended) return;
      // The last character may have come in part.
      look.append(code(it.size > TEXT_SHOWN_BYTES ? `${text.replace(/\ufffd$/, '')}…` : text, key));
    }
    if (/^(video|audio)\/|mpegurl/.test(type)) {
      playing = player(playPath(bucket, key), key);
      look.prepend(playing);
    } else if (/^image\/(jpeg|png|gif|webp)/.test(type)) {
      const src = await mediaUrl(objectPath(bucket, key));
      if (!view.ended) look.append(h('img', { src, alt: key }));
    }
  }

  // As much as is shown, from the beginning: what is stored or deleted meanwhile may stand anywhere in it.
  async function read() {
    const rows = [];
    let next = null;
    do {
      const answer = await view.get(`objects${query({ bucket, prefix, delimiter: '/', limit: Math.min(LARGEST, wanted - rows.length), cursor: next })}`, 'objects');
      rows.push(...answer.prefixes.map((one) => ({ prefix: one })), ...answer.objects);
      next = answer.next ?? null;
    } while (next !== null && rows.length < wanted);
    if (view.ended) return;
    list.set(rows);
    more.hidden = next === null;
  }

  // One after the other, so that none shows less than the one before it.
  let turn = Promise.resolve();
  function load() {
    const done = turn.then(read);
    turn = done.catch(() => {});
    return done;
  }

  more.hidden = true;
  add(body, [trail, await aclOf(view, bucket), list.node, more, detail]);
  await view.live(['object', 'file'], load);
  if (asked.key && !view.ended) await show(asked.key).catch((error) => empty(detail, h('p', { class: 'wrong' }, error.message)));
  return null;
}

async function aclOf(view, bucket) {
  const answer = await view.get('buckets', 'buckets');
  const it = answer.buckets.find((one) => one.name === bucket);
  if (!it?.acl) return null;
  const acl = field(t('objects.acl'), { type: 'select', value: it.acl, options: ACLS.map((name) => [name, name]) });
  let known = it.acl;
  acl.input.addEventListener('change', async () => {
    const chosen = acl.value;
    try {
      await put(`buckets/${encodeURIComponent(bucket)}`, { acl: chosen });
      known = chosen;
      say(t('saved'));
    } catch (error) {
      acl.set(known);
      wrong(error);
    }
  });
  return h('div', { class: 'bar' }, acl.node);
}

async function buckets(view, body) {
  const none = h('div', {});
  const list = table(t('objects.buckets'), [
    { name: t('column.name'), cell: (it) => h('a', { href: link(['objects', it.name]) }, it.name) },
    { name: 'ACL', cell: (it) => (it.acl ? badge(it.acl, it.acl === 'private' ? '' : 'open') : '') },
    { name: t('column.created'), cell: (it) => (it.created_at ? time(it.created_at, now()) : '') },
    { name: 'CORS', cell: (it) => (it.cors?.length ? h('span', { class: 'long' }, it.cors.flatMap((rule) => rule.origins).join(', ')) : '') },
  ], { key: (it) => it.name });
  body.append(list.node, none);
  await view.live(['object', 'file', 'call'], async () => {
    const answer = await view.get('buckets', 'buckets');
    list.set(answer.buckets);
    list.node.hidden = answer.buckets.length === 0;
    const print = String(answer.buckets.length === 0);
    if (none.dataset.shown === print) return;
    none.dataset.shown = print;
    empty(none, answer.buckets.length ? null : [h('p', {}, t('objects.none')), guide()]);
  });
  return null;
}
