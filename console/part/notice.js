// Short messages: what was done, and what went wrong. Screen readers hear both.

import { h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

const SHOWN_MS = 6000;

export function say(text, kind = 'done') {
  const place = document.getElementById(kind === 'wrong' ? 'alerts' : 'status');
  const note = h('div', { class: `note ${kind}` }, h('span', {}, text), h('button', { class: 'plain', 'aria-label': t('close'), onclick: () => note.remove() }, '×'));
  // The same once more is one message.
  for (const before of [...place.children]) if (before.firstChild.textContent === text) before.remove();
  place.append(note);
  setTimeout(() => note.remove(), kind === 'wrong' ? SHOWN_MS * 2 : SHOWN_MS);
}

export const wrong = (error) => say(error.message ?? String(error), 'wrong');

// A problem as part of the page, with the way out of it.
export const problem = (text, ...more) => h('div', { class: 'problem' }, h('p', {}, text), more);
