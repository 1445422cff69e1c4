// Numbers and times as people read them.

import { h } from './dom.js';
import { lang } from './i18n.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(n) {
  if (n === null || n === undefined) return '';
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

// 75.3 is 1:15, 3675 is 1:01:15.
export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return '';
  const whole = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export const count = (n) => (n ?? 0).toLocaleString(lang() === 'zh' ? 'zh-CN' : 'en-GB');
export const kbps = (n) => (n ? `${count(Math.round(n))} kbit/s` : '');
export const micros = (us) => (us < 1000 ? `${us} µs` : us < 1e6 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1e6).toFixed(2)} s`);

// Instants of the control plane are text, some are milliseconds.
export const instant = (at) => (typeof at === 'number' ? new Date(at) : new Date(at ?? NaN));

const iso = (date) => date.toISOString().replace(/\.\d+Z$/, 'Z');
export const stamp = (at) => (Number.isNaN(+instant(at)) ? '' : iso(instant(at)));

// Time of day in UTC, as file names and the API have it; the date where it is another day than the clock's.
export function time(at, now = Date.now()) {
  const date = instant(at);
  if (Number.isNaN(+date)) return h('span', {}, '');
  const text = iso(date);
  const near = text.slice(0, 10) === new Date(now).toISOString().slice(0, 10);
  return h('time', { datetime: text, title: text }, near ? text.slice(11, 19) : text.slice(0, 19).replace('T', ' '));
}

export const name = (it) => [it.domain, it.app, it.stream].filter(Boolean).join('/');
