// Tables that become cards where the screen is narrow: each cell then shows its column's name.

import { fill, h, replace } from '../lib/dom.js';

// Only the cells that differ are put anew, so that a button stays the one that is being pressed.
export function renew(old, fresh) {
  [...fresh.children].forEach((cell, at) => {
    if (!old.children[at].isEqualNode(cell)) replace(old.children[at], cell);
  });
  old.className = fresh.className;
  return old;
}

// `columns`: {name, cell(item), class}. `set(items)` shows a list. What a cell's buttons do follows from what names the row, and nothing else.
export function table(label, columns, { key, rowClass } = {}) {
  const body = h('tbody', {});
  const head = h('tr', {}, columns.map((column) => h('th', { scope: 'col', class: column.class }, column.name || h('span', { class: 'offscreen' }, column.aria ?? '·'))));
  const node = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, h('table', {}, h('thead', {}, head), body));
  const make = (item) => h('tr', { class: rowClass?.(item) }, columns.map((column) => h('td', { class: column.class, 'data-name': column.name }, column.cell(item))));
  return { node, set: (items) => fill(body, items, key, make, renew) };
}

// Names and values.
export const facts = (...pairs) => h('dl', { class: 'facts' }, pairs.filter(Boolean).filter(([, value]) => value !== undefined && value !== null && value !== '').map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));

// Facts in a node, of which some are others each time: the others, with the links in them and what is selected of them, stay.
export function renewFacts(node, fresh) {
  const old = node.firstElementChild;
  if (old?.children.length === fresh.children.length) renew(old, fresh);
  else if (old) replace(old, fresh);
  else node.append(fresh);
}
