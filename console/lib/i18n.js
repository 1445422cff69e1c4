// The page's texts: two tables of the same keys.

import en from '../text/en.js';
import told from '../text/told.js';
import zh from '../text/zh.js';
import { pref, setPref } from './prefs.js';

const TABLES = { en, zh };
let language = pref('language') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');
if (!TABLES[language]) language = 'en';

export const lang = () => language;

export function setLang(next) {
  language = next;
  setPref('language', next);
  document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en';
}

// A value may be sentences of the server's.
const plain = (value) => (Array.isArray(value) ? value.map((one) => said(one, one.code)).join('；') : value);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export const t = (key, values = {}) => fill(TABLES[language][key] ?? key, values);

// A sentence of the server's in the reader's language: `words` is its code with values, `text` what it says in English. One that has no code,
// or a code that no table knows, stays as it came.
export function said(words, text) {
  const known = language === 'zh' && words ? told[words.code] : undefined;
  return known === undefined ? text : fill(known, Object.fromEntries(Object.entries(words.values ?? {}).map(([name, value]) => [name, plain(value)])));
}

// A word of the control plane (a state, a kind, a verdict) in the reader's language; one that no table knows stays as it came.
export const word = (group, value, otherwise = value) => TABLES[language][`${group}.${value}`] ?? String(otherwise ?? '');
