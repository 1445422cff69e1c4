// Two strings that should be one, with the first place where they part.

import { h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

function marked(text, at, label) {
  const pre = h('pre', { tabindex: '0', role: 'region', 'aria-label': label });
  if (at === null || at === undefined) {
    pre.append(text);
    return pre;
  }
  // Counted in bytes; both texts are read as UTF-8.
  const raw = new TextEncoder().encode(text);
  const part = (from, to) => new TextDecoder().decode(raw.slice(from, to));
  let end = at + 1;
  while (end < raw.length && (raw[end] & 0xc0) === 0x80) end += 1;
  pre.append(part(0, at), h('mark', {}, at < raw.length ? part(at, end) : '⏎'), part(end));
  return pre;
}

export function difference(diagnosis) {
  const at = diagnosis.first_difference?.at;
  const one = (label, text) => h('div', {}, h('h4', {}, label), text === null || text === undefined ? h('p', { class: 'muted' }, t('calls.unknown_string')) : marked(text, at, label));
  return h('div', { class: 'difference' }, one(t('calls.client_string'), diagnosis.client_string), one(t('calls.server_string'), diagnosis.server_string));
}
