// One event as a line: what, of which stream, how it went, and where to look further.

import { h } from '../lib/dom.js';
import { said, t, word } from '../lib/i18n.js';
import { bytes, count, micros, name, span, time } from '../lib/format.js';
import { link } from '../lib/router.js';
import { now } from '../lib/service.js';
import { badge } from './controls.js';

export const KINDS = ['call', 'publish', 'unpublish', 'record', 'slice', 'file', 'callback', 'play', 'snapshot', 'fault', 'clock', 'object'];
// A callback is tried so often by itself; whoever sends it again makes more of it.
const TRIES = 6;
// Whether it is something to look at.
export function isWrong(event) {
  switch (event.kind) {
    case 'call': return event.status >= 400;
    case 'callback': return event.state === 'failed' || Boolean(event.error) || event.status !== 200;
    case 'record': return event.what === 'error' || event.what === 'not_recorded';
    case 'fault': return true;
    default: return Boolean(event.error) || event.what === 'refused';
  }
}

export function target(event) {
  switch (event.kind) {
    case 'call': return link(['calls', event.request_id ?? '']);
    case 'callback': return link(['callbacks'], { text: event.stream });
    case 'file': return link(['recordings', event.session]);
    case 'object': return link(['objects', event.bucket], { key: event.what === 'delete' ? '' : event.key });
    case 'fault': return link(['faults']);
    case 'snapshot':
    case 'clock': return link(['state']);
    default: return event.stream ? link(['streams', event.domain, event.app, event.stream]) : null;
  }
}

// Why a recording failed or a push is not recorded.
export const whyOf = (event) => (event.what === 'error' ? word('fault', event.code, event.message) : said(event.words?.why, event.why));

const seconds = (event) => (event.duration_ms === undefined ? '' : span(event.duration_ms / 1000));
const rule = (event) => (event.rule ? `${event.rule.app}/${event.rule.stream} → ${event.bucket}` : '');

// What else there is to say, by kind.
const DETAILS = {
  call: (it) => [it.code, it.caller, micros(it.took_us ?? 0)],
  publish: (it) => [it.client, it.ingest_domain === it.domain ? '' : it.ingest_domain],
  unpublish: (it) => [it.frames === undefined ? '' : t('frames', { n: count(it.frames) }), bytes(it.bytes)],
  record: (it) => [whyOf(it), said(it.words?.cure, it.cure), rule(it), (it.formats ?? []).join(' ')],
  slice: (it) => [it.format, `#${it.sequence}`, seconds(it), bytes(it.size)],
  file: (it) => [it.format, seconds(it), bytes(it.size), it.object],
  callback: (it) => [word('event', it.callback), it.attempt > TRIES ? t('callbacks.try', { n: it.attempt }) : `${it.attempt}/${TRIES}`, it.error ?? it.status, word('state', it.state)],
  fault: (it) => [it.point, it.code, it.delay_ms ? `${it.delay_ms} ms` : '', it.struck === undefined ? '' : `×${it.struck}`],
  clock: (it) => [it.by_ms === undefined ? '' : `+${span(it.by_ms / 1000)}`],
  object: (it) => [it.size === undefined || it.size === null ? '' : bytes(it.size)],
};
const UNTOLD = new Set(['id', 'kind', 'at', 'at_ms', 'domain', 'app', 'stream', 'what', 'session']);

function detail(event) {
  const told = DETAILS[event.kind]?.(event) ?? Object.entries(event).filter(([name, value]) => !UNTOLD.has(name) && typeof value !== 'object').map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`);
  return told.filter((part) => part !== '' && part !== undefined && part !== null).join(' · ');
}

export function happening(event) {
  const wrong = isWrong(event);
  const subject = event.action || name(event) || (event.bucket ? `${event.bucket}/${event.key}` : '');
  const href = target(event);
  return h('li', { class: wrong ? 'wrong' : '' },
    time(event.at, now()),
    badge(word('kind', event.kind), wrong ? 'wrong' : ''),
    href ? h('a', { href }, subject || word('kind', event.kind)) : h('span', {}, subject),
    event.what ? h('span', {}, word('what', event.what)) : null,
    h('span', { class: 'muted' }, detail(event)));
}
