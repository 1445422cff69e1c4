// Below a list that is read in pages: more of it, and how much of it was looked through.

import { empty, h } from '../lib/dom.js';
import { count } from '../lib/format.js';
import { t } from '../lib/i18n.js';
import { button } from './controls.js';

// `draw(pages)` follows what is shown.
export function foot(pages) {
  const told = h('p', { class: 'muted', role: 'status' });
  const more = button(t('more'), () => pages.more());
  more.hidden = true;
  const node = h('div', { class: 'foot' }, told, more);
  return {
    node,
    draw() {
      more.hidden = !pages.hasMore || pages.searching;
      const label = t(pages.isCut ? 'more.further' : 'more');
      if (more.textContent !== label) more.textContent = label;
      const values = { n: count(pages.rows.length), total: count(pages.total) };
      const text = pages.searching ? t('list.searching', values) : pages.isCut ? t('list.searched', values) : '';
      if (told.textContent !== text) empty(told, text);
    },
  };
}

// What stands where nothing fits.
export const nothingFits = (pages) => (pages.searching ? null : h('p', { class: 'muted' }, t(pages.isCut ? 'none_fits_yet' : 'none_fits')));
