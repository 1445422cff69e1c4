// Any documented action with its own parameters, from the spec.

import { get } from '../lib/api.js';
import { empty, h } from '../lib/dom.js';
import { said, t, word } from '../lib/i18n.js';
import { field } from './controls.js';
import { callForm } from './callform.js';
import { wrong } from './notice.js';

// A parameter's field; a list is written flat, as it travels (`RecordFormat.1.Format`).
function fieldOf(param) {
  const label = param.required ? `${param.name} *` : param.name;
  if (param.values?.length) return [param.name, field(label, { type: 'select', value: '', options: [['', '—'], ...param.values.map((value) => [String(value), String(value)])], hint: param.type })];
  return [param.name, field(label, { hint: [param.type, param.default !== null && param.default !== undefined ? `${t('calls.default')} ${param.default}` : ''].filter(Boolean).join(' · ') })];
}

function fieldsOf(params) {
  return params.flatMap((param) => {
    if (!param.members?.length) return [fieldOf(param)];
    const repeated = param.type === 'array';
    return param.members.map((member) => fieldOf({ ...member, name: repeated ? `${param.name}.1${member.name ? `.${member.name}` : ''}` : `${param.name}.${member.name}`, required: member.required && param.required }));
  });
}

export function makeCall(preset) {
  const place = h('div', {});
  const choice = field(t('call.action'), { list: 'actions', value: preset ?? '', placeholder: 'DescribeLiveRecordConfig' });
  const names = h('datalist', { id: 'actions' });
  async function draw() {
    const action = choice.value;
    if (!names.querySelector(`option[value="${CSS.escape(action)}"]`)) return;
    try {
      const spec = await get(`actions/${encodeURIComponent(action)}`);
      empty(place, h('p', { class: 'muted' }, `${word('standing', spec.standing)}${spec.reason ? ` — ${said(spec.words?.reason, spec.reason)}` : ''}`), callForm(action, fieldsOf(spec.params)));
    } catch (error) {
      wrong(error);
    }
  }
  choice.input.addEventListener('input', draw);
  get('coverage').then((coverage) => {
    names.append(...coverage.actions.map((it) => h('option', { value: it.action }, word('standing', it.standing))));
    // Somebody may have typed one before the list was there.
    if (choice.value) draw();
  }, wrong);
  return h('div', { class: 'anycall' }, choice.node, names, place);
}
