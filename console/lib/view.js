// The life of one screen: what it asked for, what it listens to, and its end.

import * as api from './api.js';
import * as events from './events.js';

// A list is read again at most so often, however much happens.
const PACE_MS = 700;
// Without events lists are read in turns.
const POLL_MS = 3000;

export class View {
  constructor(root) {
    this.root = root;
    this.sources = new Map();
    this.ending = new AbortController();
    this.ends = [];
  }

  get ended() {
    return this.ending.signal.aborted;
  }

  // Asks and keeps what came, for "as curl" and "as JSON". `slot` names the place of the answer in the view; a newer one replaces it.
  async get(path, slot = path.split('?')[0]) {
    const value = await api.get(path, { signal: this.ending.signal });
    this.sources.set(slot, { method: 'GET', path, value });
    return value;
  }

  // Runs `load` now, and again when something of these kinds happened (`null`: whatever happened).
  async live(kinds, load, { every } = {}) {
    let due = null;
    let running = false;
    let again = false;
    const run = async () => {
      if (this.ended) return;
      if (running || document.hidden) {
        again = true;
        return;
      }
      running = true;
      again = false;
      try {
        await load();
        this.well?.();
      } catch (error) {
        if (!this.ended) this.failed?.(error);
      }
      running = false;
      if (again && !this.ended) later();
    };
    const later = (ms = PACE_MS) => {
      due ??= setTimeout(() => {
        due = null;
        run();
      }, ms);
    };
    const stop = events.on((event) => {
      if (event.of === 'page' || kinds === null || kinds.includes(event.kind) || events.renews(event)) later();
    });
    const turns = setInterval(() => {
      if (every || !events.isConnected()) later(0);
    }, every ?? POLL_MS);
    const shown = () => {
      if (!document.hidden && again) later(0);
    };
    document.addEventListener('visibilitychange', shown);
    this.onEnd(() => {
      stop();
      clearTimeout(due);
      clearInterval(turns);
      document.removeEventListener('visibilitychange', shown);
    });
    await run();
    return () => later(0);
  }

  on(listen) {
    this.onEnd(events.on(listen));
  }

  onEnd(end) {
    this.ends.push(end);
  }

  end() {
    this.ending.abort();
    for (const end of this.ends.splice(0)) end();
  }
}
