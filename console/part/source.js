// Where a view's data came from: as curl, and as JSON.

import { asCurl } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { code, json } from './code.js';
import { dialog } from './dialog.js';

export function sources(view) {
  const each = (make) => [...view.sources.values()].map(make);
  return h('div', { class: 'sources' },
    h('button', { type: 'button', class: 'plain', onclick: () => dialog(t('as_curl'), each((source) => code(asCurl(source), source.path))) }, t('as_curl')),
    h('button', { type: 'button', class: 'plain', onclick: () => dialog(t('as_json'), each((source) => [h('h3', {}, `${source.method} ${source.path}`), json(source.value, source.path)])) }, t('as_json')));
}
