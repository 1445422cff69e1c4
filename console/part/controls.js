// Buttons and fields. A button is busy while its work runs, and says what went wrong.

import { h, onTop } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { say, wrong } from './notice.js';

export function button(label, work, props = {}) {
  const node = h('button', { type: 'button', ...props }, label);
  node.addEventListener('click', async (event) => {
    event.preventDefault();
    if (node.getAttribute('aria-busy') === 'true') return;
    node.setAttribute('aria-busy', 'true');
    try {
      await work(event);
    } catch (error) {
      wrong(error);
    } finally {
      node.removeAttribute('aria-busy');
    }
  });
  return node;
}

// Whether the browser took it.
async function taken(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard where the page is not from this machine over plain HTTP.
    const area = h('textarea', { class: 'offscreen', 'aria-hidden': 'true', value: text });
    const focused = document.activeElement;
    onTop().append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}

export async function copy(text) {
  if (await taken(text)) say(t('copied'));
  else say(t('copied.not'), 'wrong');
}

// `label`: what the button itself says, where nothing beside it says what is copied; `of` is what that belongs to.
export const copyButton = (text, what, { label = t('copy'), of } = {}) =>
  h('button', { type: 'button', class: 'copy', title: label, 'aria-label': of ? `${label}: ${of}` : t('copy.what', { what: what ?? text }), onclick: () => copy(typeof text === 'function' ? text() : text) }, label);
export const copyAddressButton = (url, of) => copyButton(url, null, { label: t('copy.address'), of });

let number = 0;

// A label over an input. `props.type` may be `select` (with `options`, pairs of value and text), `textarea` or `checkbox`.
export function field(label, props = {}) {
  number += 1;
  const id = `f${number}`;
  const { type = 'text', options, hint, ...rest } = props;
  let input;
  if (type === 'select') {
    input = h('select', { id, ...rest }, options.map(([value, text]) => h('option', { value, selected: value === rest.value }, text)));
  } else if (type === 'textarea') {
    input = h('textarea', { id, spellcheck: 'false', ...rest });
  } else {
    input = h('input', { id, type, autocomplete: 'off', spellcheck: 'false', ...rest });
  }
  const about = hint && h('small', { id: `${id}h` }, hint);
  if (about) input.setAttribute('aria-describedby', `${id}h`);
  const node = type === 'checkbox'
    ? h('div', { class: 'check' }, input, h('label', { for: id }, label), about)
    : h('div', { class: 'field' }, h('label', { for: id }, label), input, about);
  const property = type === 'checkbox' ? 'checked' : 'value';
  return {
    node,
    input,
    get value() { return type === 'checkbox' ? input.checked : input.value.trim(); },
    // Whether it was another one before.
    set(value) {
      if (value === this.value || (!value && !this.value)) return false;
      input[property] = value ?? '';
      return true;
    },
  };
}

// One of several words, as buttons that stay pressed.
export function toggles(label, words, chosen, changed) {
  const on = new Set(chosen);
  const buttons = words.map(([value, text]) => h('button', {
    type: 'button', class: 'toggle', 'aria-pressed': String(on.has(value)),
    onclick: (event) => {
      if (on.has(value)) on.delete(value);
      else on.add(value);
      event.currentTarget.setAttribute('aria-pressed', String(on.has(value)));
      changed([...on]);
    },
  }, text));
  return h('div', { class: 'toggles', role: 'group', 'aria-label': label }, buttons);
}

// Small facts beside each other.
export const line = (...parts) => h('span', { class: 'line muted' }, parts.filter(Boolean).map((part) => (part instanceof Node ? part : h('span', {}, part))));

export const badge = (text, kind = '') => h('span', { class: `badge ${kind}` }, text);

// The form sends on Enter as on its button.
export function form(props, submit, ...children) {
  const node = h('form', { ...props, onsubmit: (event) => {
    event.preventDefault();
    Promise.resolve().then(() => submit(event)).catch(wrong);
  } }, children);
  return node;
}
