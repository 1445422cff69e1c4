// Short messages: what was done, and what went wrong. Screen readers hear both.

import { h, onTop } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

const SHOWN_MS = 6000;

// Where notes stand in a window, as in the page: they are there before the first note, so that a screen reader hears it.
export const places = () => [h('div', { class: 'status', role: 'status' }), h('div', { class: 'alerts', role: 'alert' })];

function put(note) {
  const place = onTop().querySelector(`:scope > .${note.classList.contains('wrong') ? 'alerts' : 'status'}`);
  // The same once more is one message.
  for (const before of [...place.children]) if (before.firstChild.textContent === note.firstChild.textContent) before.remove();
  place.append(note);
}

// What was said in a window that is closed is said behind it.
export function outlive(window) {
  for (const note of window.querySelectorAll('.note')) put(note);
}

export function say(text, kind = 'done') {
  const note = h('div', { class: `note ${kind}` }, h('span', {}, text), h('button', { class: 'plain', 'aria-label': t('close'), onclick: () => note.remove() }, '×'));
  put(note);
  setTimeout(() => note.remove(), kind === 'wrong' ? SHOWN_MS * 2 : SHOWN_MS);
}

export const wrong = (error) => say(error.message ?? String(error), 'wrong');

// A problem as part of the page, with the way out of it.
export const problem = (text, ...more) => h('div', { class: 'problem' }, h('p', {}, text), more);
