// A list with the chosen thing beside it; where the screen is narrow, one of the two.

import { add, h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';

// `backTo()`: the address of the list alone.
export function split(backTo) {
  const list = h('div', { class: 'list' });
  const detail = h('section', { class: 'detail', 'aria-label': t('details') });
  const node = h('div', { class: 'split' }, list, detail);
  return {
    node,
    list,
    show(...children) {
      node.classList.toggle('chosen', children.length > 0);
      detail.replaceChildren();
      if (children.length === 0) return;
      add(detail, [h('a', { class: 'back', href: backTo() }, `← ${t('back')}`), children]);
    },
  };
}
