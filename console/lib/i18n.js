// The page's texts: two tables of the same keys.

import en from '../text/en.js';
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

export function t(key, values = {}) {
  const text = TABLES[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// A word of the control plane (a state, a kind, a verdict) in the reader's language; one that no table knows stays as it came.
export const word = (group, value) => TABLES[language][`${group}.${value}`] ?? String(value ?? '');
