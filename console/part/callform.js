// A form that shows the call it makes, makes it in the account's name, and shows the answer.

import { asCurl, call, quoted } from '../lib/api.js';
import { empty, h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { endpointOption } from '../lib/service.js';
import { badge, button, form } from './controls.js';
import { json, snippets } from './code.js';

// `fields`: [parameter, field]; empty ones are left out.
export function callForm(action, fields, { done, submit = t('call.send') } = {}) {
  const shown = h('div', { class: 'thecall' });
  const answerPart = h('div', { 'aria-live': 'polite' });
  const params = () => Object.fromEntries(fields.map(([name, one]) => [name, one.value === true ? 'true' : one.value === false ? '' : one.value]).filter(([, value]) => value !== ''));
  function draw() {
    const given = params();
    const line = ['localyun call', action, ...Object.entries(given).map(([name, value]) => quoted(`${name}=${value}`))].join(' ') + endpointOption();
    const curl = asCurl({ method: 'POST', path: 'call', body: { action, params: given } });
    empty(shown, snippets(t('call.made'), [['localyun', line], ['curl', curl], ['JSON', JSON.stringify({ action, params: given }, null, 2)]]));
  }
  async function send() {
    const answer = await call(action, params());
    const good = answer.status < 300;
    empty(answerPart, h('h4', {}, t('call.answer'), ' ', badge(answer.status, good ? 'good' : 'wrong')), json(answer.answer));
    if (good) await done?.(answer);
  }
  const node = form({ class: 'callform' }, () => {}, h('div', { class: 'fields' }, fields.map(([, one]) => one.node)), shown, h('footer', {}, button(submit, send, { class: 'main', type: 'submit' })), answerPart);
  node.addEventListener('input', draw);
  draw();
  return node;
}
