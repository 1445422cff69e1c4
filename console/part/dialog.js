// A window over the page: the browser's own `dialog`, which keeps the focus inside and closes by Escape.

import { h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { outlive, places } from './notice.js';

export function dialog(title, ...body) {
  const heading = h('h2', { id: 'dialog-title' }, title);
  // A press that begins in the window, to select what stands in a field, may end beside it.
  let beside = false;
  const node = h('dialog', {
    'aria-labelledby': 'dialog-title',
    onclose: () => {
      outlive(node);
      node.remove();
    },
    onpointerdown: (event) => {
      beside = event.target === node;
    },
    onclick: (event) => {
      if (beside && event.target === node) node.close();
    },
  }, h('div', { class: 'window' }, h('header', {}, heading, h('button', { type: 'button', class: 'plain', 'aria-label': t('close'), onclick: () => node.close() }, '×')), body), places());
  document.body.append(node);
  node.showModal();
  return node;
}

// The page behind them is another one: what is open over it (and plays) ends.
export function closeAll() {
  for (const node of document.querySelectorAll('dialog[open]')) node.close();
}

// Asks before what cannot be taken back.
export function confirm(title, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const node = dialog(title, h('p', {}, text), h('footer', {},
      h('button', { type: 'button', onclick: () => node.close() }, t('cancel')),
      h('button', { type: 'button', class: 'danger', onclick: () => { answer = true; node.close(); } }, yes)));
    node.addEventListener('close', () => resolve(answer));
  });
}
