// The control plane's routes. Nothing but this origin is asked.

import { said, t } from './i18n.js';
import { setToken, token } from './prefs.js';

export const ROOT = '/_localyun';

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// The request did not get an answer; the browser's own words for that are in its language and for programmers.
async function reach(path, sent) {
  try {
    const answer = await fetch(path, sent);
    return { answer, text: await answer.text() };
  } catch (error) {
    if (sent.signal?.aborted) throw error;
    throw new Error(t('unreachable'));
  }
}

let askForToken = null;
// Who asks the reader for the control token; called once at a time.
export function onUnauthorized(ask) {
  let asking = null;
  askForToken = (why) => {
    asking ??= ask(why).finally(() => {
      asking = null;
    });
    return asking;
  };
}

export function headers(more = {}) {
  const given = token();
  return given ? { ...more, authorization: `Bearer ${given}` } : more;
}

// `more`: further headers. `asText`: what comes is wanted as it came, also where it is JSON.
export async function request(method, path, body, options = {}) {
  const { signal, more = {}, asText = false } = options;
  const sent = { method, headers: headers(body === undefined ? more : { ...more, 'content-type': 'application/json' }), signal };
  if (body !== undefined) sent.body = typeof body === 'string' ? body : JSON.stringify(body);
  const { answer, text } = await reach(path.startsWith('/') ? path : `${ROOT}/${path}`, sent);
  let value = text;
  try {
    value = JSON.parse(text);
  } catch {
    // Some answers are text.
  }
  if (answer.ok) return asText ? text : value;
  const told = typeof value === 'object' && value ? said(value.words?.error, value.error) : value;
  const message = typeof told === 'string' ? told : JSON.stringify(told);
  if (answer.status === 401 && askForToken) {
    const given = await askForToken(message);
    if (given) {
      setToken(given);
      return request(method, path, body, options);
    }
  }
  throw new Refused(answer.status, message || `HTTP ${answer.status}`);
}

export const get = (path, options) => request('GET', path, undefined, options);
export const post = (path, body = {}) => request('POST', path, body);
export const put = (path, body) => request('PUT', path, body);
export const remove = (path) => request('DELETE', path);

// A query text of what is set.
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return set.length ? `?${new URLSearchParams(set)}` : '';
}

// A call of the cloud's API in the account's name.
export const call = (action, params) => post('call', { action, params });

// The address of something that an element fetches by itself (a video, a download): such a request carries no token, so it gets a ticket.
export async function mediaUrl(path) {
  if (!token()) return path;
  return (await post('ui/ticket', { path })).url;
}

// As a shell takes it.
export const quoted = (text) => (/^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function asCurl({ method, path, body }) {
  const words = ['curl'];
  if (method !== 'GET') words.push('-X', method);
  if (token()) words.push('-H', '"Authorization: Bearer $LOCALYUN_CONTROL_TOKEN"');
  words.push(quoted(new URL(path.startsWith('/') ? path : `${ROOT}/${path}`, location.href).href));
  if (body !== undefined) words.push('-d', quoted(typeof body === 'string' ? body : JSON.stringify(body)));
  return words.join(' ');
}
