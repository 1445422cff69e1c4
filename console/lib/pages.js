// A list that the server gives in pages, the newest first, behind a filter of the screen's own: pages are read until enough of it fits.

import { name } from './format.js';

const PAGE = 100;
const LARGEST = 1000;
// Rows that are looked through before a search stops and says how far it came.
const SEARCHED = 10_000;

const texts = new WeakMap();
// The whole names under which a row is shown: that of its stream, that of its object.
const shownAs = (row) => [name(row), row.bucket && row.key ? `${row.bucket}/${row.key}` : ''].filter(Boolean).join(' ');
// Whether a row has a text in it, wherever, or in one of those names.
export function has(row, text) {
  if (!text) return true;
  if (!texts.has(row)) texts.set(row, `${shownAs(row)} ${JSON.stringify(row)}`.toLowerCase());
  return texts.get(row).includes(text.toLowerCase());
}

// The names of a stream as the routes take them: STREAM, APP/STREAM or DOMAIN/APP/STREAM, where an app may have slashes.
export function namesIn(text) {
  const parts = text.split('/');
  const stream = parts.pop();
  const domain = parts.length > 1 ? parts.shift() : '';
  return { domain, app: parts.join('/'), stream };
}

export class Pages {
  // `ask(values)` answers {rows, next, total} of a part of the list; `keyOf(row)` is what a row is known by; `select(rows)` is what fits, in the
  // list's order. `exactly()` gives what the route itself can filter by, or nothing. `draw` is called whenever there is something else to show.
  constructor({ ask, keyOf, select, isFiltered = () => true, exactly = () => null, first = PAGE, draw }) {
    Object.assign(this, { ask, keyOf, select, isFiltered, exactly, first, draw });
    this.turn = Promise.resolve();
    this.forget();
  }

  forget() {
    this.rows = [];
    // What the route found by a whole name further back than what was looked through.
    this.apart = [];
    this.next = null;
    this.total = 0;
    this.begun = false;
    this.again();
  }

  again() {
    this.wanted = PAGE;
    this.bound = SEARCHED;
    this.searching = false;
  }

  get fitting() {
    return this.select([...this.rows, ...this.apart]);
  }

  get shown() {
    return this.fitting.slice(0, this.wanted);
  }

  get hasMore() {
    return this.next !== null || this.fitting.length > this.wanted;
  }

  // Whether the search came to its bound before it had enough. One that is still on its way there is not cut, nor one whose next page failed.
  get isCut() {
    return !this.searching && this.next !== null && this.rows.length >= this.bound && this.fitting.length < this.wanted;
  }

  // One piece of work after the other, so that none meets rows that another has half read.
  inTurn(work) {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  load() {
    return this.inTurn(async () => {
      const most = this.isFiltered() ? Math.max(this.first, this.rows.length) : this.wanted;
      this.meet(await this.ask({ limit: Math.min(LARGEST, most) }));
      await this.goOn();
    });
  }

  // What was read further back stays, if the new beginning reaches it.
  meet({ rows, next, total }) {
    const last = next === null || rows.length === 0 ? undefined : this.keyOf(rows.at(-1));
    const at = last === undefined ? -1 : this.rows.findIndex((row) => this.keyOf(row) === last);
    const fresh = new Set(rows.map(this.keyOf));
    const rest = at < 0 || !(this.isFiltered() || this.wanted > LARGEST) ? [] : this.rows.slice(at + 1).filter((row) => !fresh.has(this.keyOf(row)));
    if (rest.length === 0 || rows.length + rest.length > this.bound) {
      this.rows = rows;
      this.next = next;
    } else {
      this.rows = [...rows, ...rest];
    }
    this.total = total;
    this.begun = true;
  }

  async goOn() {
    const lacks = () => this.next !== null && this.rows.length < this.bound && this.fitting.length < this.wanted;
    this.apart = [];
    try {
      while (lacks()) {
        this.searching = this.isFiltered();
        this.draw();
        const { rows, next, total } = await this.ask({ limit: this.isFiltered() ? LARGEST : PAGE, cursor: this.next });
        const known = new Set(this.rows.map(this.keyOf));
        this.rows.push(...rows.filter((row) => !known.has(this.keyOf(row))));
        this.next = next;
        this.total = total;
      }
      const names = this.isFiltered() && this.next !== null && this.fitting.length < this.wanted ? this.exactly() : null;
      const found = names ? (await this.ask({ ...names, limit: PAGE })).rows : [];
      const known = new Set(this.rows.map(this.keyOf));
      this.apart = found.filter((row) => !known.has(this.keyOf(row)));
    } finally {
      this.searching = false;
      this.draw();
    }
  }

  // The filter is another one, and the rows are the same.
  search() {
    this.again();
    if (this.begun) this.draw();
    return this.inTurn(() => this.goOn());
  }

  // The route is asked otherwise: what was read is of no use.
  restart() {
    return this.inTurn(() => this.forget()).then(() => this.load());
  }

  more() {
    return this.inTurn(() => {
      if (this.isCut) this.bound = this.rows.length + SEARCHED;
      else this.wanted += PAGE;
      return this.goOn();
    });
  }
}
