// Calls of documented actions that are not there: how often each was made, of the calls that the server keeps and of those that come.

import { get } from './api.js';
import * as events from './events.js';

const CODE = 'ActionNotImplemented';
const counted = new Map();
const seen = new Set();
const SEEN = 2000;
let reading = null;

function note(action, id) {
  if (!action || seen.has(id)) return;
  seen.add(id);
  if (seen.size > SEEN) seen.delete(seen.values().next().value);
  counted.set(action, (counted.get(action) ?? 0) + 1);
}

// Heard from the first event on, so that nothing has to be asked for again.
events.on((event) => {
  if (event.kind === 'call' && event.code === CODE) note(event.action, event.request_id);
  else if (event.kind === 'clock' && event.what === 'reset') {
    counted.clear();
    seen.clear();
  } else if (event.of === 'page' && event.kind === 'forgotten') {
    counted.clear();
    seen.clear();
    reading = null;
  }
});

// Action to number of calls.
export async function missed() {
  reading ??= get('requests?problems=true&limit=1000').then((answer) => {
    for (const entry of answer.requests) if (entry.code === CODE) note(entry.action, entry.request_id);
  });
  try {
    await reading;
  } catch (error) {
    reading = null;
    throw error;
  }
  return counted;
}
