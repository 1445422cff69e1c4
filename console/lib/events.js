// Everything that happens, as the server tells it (server-sent events), read by `fetch`, since an EventSource cannot send the token.

import { ROOT, headers, query } from './api.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
// A browser has six connections to a server, and whoever follows holds one of them: a page that was not seen for so long lets go of it.
const UNSEEN_MS = 5000;
// Events that a screen can show which opens later.
const KEPT = 1000;
const listeners = new Set();
const kept = [];
let last = '';
// Null while nobody sees the page and it follows nothing: that is told to nobody, and how it goes on is told anew.
let connected = false;
// Aborted when the page was not seen for a while.
let seeing = new AbortController();
// Of what was before the page came, no more is asked for than is kept.
let begun = false;

// `listen` gets each event {id, kind, …data}; the function that comes back ends that.
export function on(listen) {
  listeners.add(listen);
  return () => listeners.delete(listen);
}

export const isConnected = () => connected === true;
// The newest last.
export const recent = () => kept;
export const forget = () => kept.splice(0);
// Whether everything may be another: a reset, or a snapshot that was loaded.
export const renews = (event) => isReset(event) || event.kind === 'snapshot';

function tell(event) {
  for (const listen of listeners) {
    try {
      listen(event);
    } catch (error) {
      console.error(error);
    }
  }
}

function became(state) {
  if (connected === state) return;
  connected = state;
  tell({ kind: state ? 'connected' : 'disconnected', of: 'page' });
}

// What the server says, as a comment, to who comes with an id that another run gave out, or whose events are not kept any more. What is
// kept comes anew then, and what was there before is of a service that is not there any more.
const MISSED = ': some of the events';
const isReset = (event) => event.kind === 'clock' && event.what === 'reset';

function read(block) {
  const event = { kind: 'message', data: '' };
  for (const line of block.split('\n')) {
    if (line.startsWith(MISSED)) {
      forget();
      tell({ kind: 'forgotten', of: 'page' });
    }
    const at = line.indexOf(':');
    if (at <= 0) continue;
    const value = line.slice(at + 1).replace(/^ /, '');
    const field = line.slice(0, at);
    if (field === 'id') event.id = value;
    else if (field === 'event') event.kind = value;
    else if (field === 'data') event.data += event.data ? `\n${value}` : value;
  }
  if (event.id !== undefined) last = event.id;
  if (!event.data) return;
  try {
    const told = { ...JSON.parse(event.data), id: event.id, kind: event.kind };
    // A reset forgets everything, what happened before it too.
    if (isReset(told)) forget();
    kept.push(told);
    if (kept.length > KEPT) kept.shift();
    tell(told);
  } catch {
    // A line that is no JSON is nobody's event.
  }
}

async function follow() {
  const answer = await fetch(`${ROOT}/events${query({ since: last, limit: begun ? '' : KEPT })}`, {
    headers: headers({ accept: 'text/event-stream' }),
    signal: seeing.signal,
  });
  if (!answer.ok || !answer.body) throw new Error(`HTTP ${answer.status}`);
  begun = true;
  became(true);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest = (rest + value).replaceAll('\r\n', '\n');
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) read(block);
  }
}

// A quick look elsewhere breaks nothing.
function watchSight() {
  let due = null;
  const look = () => {
    clearTimeout(due);
    if (document.hidden) due = setTimeout(() => seeing.abort(), UNSEEN_MS);
  };
  document.addEventListener('visibilitychange', look);
  look();
}

async function seen() {
  while (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

// Follows for as long as the page is open and seen. After a break it goes on behind what it had.
export async function start(since = '') {
  last = since;
  watchSight();
  let wait = FIRST_WAIT_MS;
  for (;;) {
    const began = performance.now();
    try {
      await follow();
    } catch {
      // The server is away, and is asked again; or nobody sees the page.
    }
    if (seeing.signal.aborted) {
      connected = null;
      await seen();
      seeing = new AbortController();
      wait = FIRST_WAIT_MS;
      continue;
    }
    became(false);
    wait = performance.now() - began > LONGEST_WAIT_MS ? FIRST_WAIT_MS : Math.min(wait * 2, LONGEST_WAIT_MS);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
