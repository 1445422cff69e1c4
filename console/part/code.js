// Text to be read and taken along: a command, JSON, a body.

import { h } from '../lib/dom.js';
import { copyButton } from './controls.js';

export const code = (text, label) => h('div', { class: 'code' }, h('pre', { tabindex: '0', role: 'region', 'aria-label': label ?? 'code' }, text), copyButton(text, label));

export const json = (value, label = 'JSON') => code(JSON.stringify(value, null, 2), label);

// A body as it came: JSON is shown indented, anything else as it is.
export function body(text, label) {
  try {
    return json(JSON.parse(text), label);
  } catch {
    return text ? code(text, label) : h('p', { class: 'muted' }, '—');
  }
}

// One text in several languages, by tabs.
export function snippets(label, list) {
  const shown = h('div', {});
  const tabs = list.map(([name, text], index) => h('button', { type: 'button', class: 'toggle', 'aria-pressed': String(index === 0), onclick: () => choose(index) }, name));
  function choose(index) {
    tabs.forEach((tab, at) => tab.setAttribute('aria-pressed', String(at === index)));
    shown.replaceChildren(code(list[index][1], `${label} ${list[index][0]}`));
  }
  choose(0);
  return h('div', { class: 'snippets' }, h('div', { class: 'toggles', role: 'group', 'aria-label': label }, tabs), shown);
}
