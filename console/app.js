// The console: one page, ten screens. See docs/design/console.md.

import * as api from './lib/api.js';
import * as events from './lib/events.js';
import { empty, h } from './lib/dom.js';
import { lang, setLang, t } from './lib/i18n.js';
import { pref, setPref } from './lib/prefs.js';
import { here, link } from './lib/router.js';
import { readClock, readService } from './lib/service.js';
import { View } from './lib/view.js';
import { closeAll, dialog } from './part/dialog.js';
import { field, form } from './part/controls.js';
import { problem } from './part/notice.js';
import { sources } from './part/source.js';
import { nav, topbar } from './part/topbar.js';
import * as calls from './screen/calls.js';
import * as callbacks from './screen/callbacks.js';
import * as faults from './screen/faults.js';
import * as now from './screen/now.js';
import * as objects from './screen/objects.js';
import * as recordings from './screen/recordings.js';
import * as rules from './screen/rules.js';
import * as state from './screen/state.js';
import * as streams from './screen/streams.js';
import * as stream from './screen/stream.js';

const SCREENS = { now, streams, recordings, callbacks, calls, rules, objects, faults, state };
const CLOCK_PACE_MS = 300;
const main = document.getElementById('main');
let view = null;
let shown = null;

const screenOf = (parts) => (parts[0] === 'streams' && parts.length === 4 ? stream : SCREENS[parts[0]]) ?? now;

async function open() {
  const { parts, query } = here();
  const screen = screenOf(parts);
  // A screen that can follow a change of its own address does so.
  if (view && shown?.screen === screen && shown.follow) {
    shown.follow(parts.slice(1), query);
    return;
  }
  view?.end();
  const next = new View(main);
  view = next;
  shown = { screen };
  const title = t(`nav.${parts[0] in SCREENS ? parts[0] : 'now'}`);
  document.title = `${title} · localyun`;
  const heading = h('h1', {}, title);
  const body = h('div', { class: `screen ${parts[0] ?? 'now'}` });
  const failed = h('div', {});
  next.failed = (error) => empty(failed, problem(error.message));
  next.well = () => failed.firstChild && empty(failed);
  empty(main, h('div', { class: 'title' }, heading, sources(next)), failed, body);
  next.title = (text) => {
    heading.textContent = text;
    document.title = `${text} · localyun`;
  };
  nav(document.getElementById('nav'), parts[0] in SCREENS ? parts[0] : 'now');
  try {
    const follow = await screen.open(next, body, parts.slice(1), query);
    if (view === next) shown.follow = follow;
  } catch (error) {
    if (!next.ended) next.failed(error);
  }
}

function askForToken(why) {
  return new Promise((resolve) => {
    const given = field(t('token.label'), { type: 'password', required: true, autofocus: true });
    const window = dialog(t('token.title'), form({}, () => {
      const value = given.value;
      window.close();
      resolve(value);
    }, h('p', {}, t('token.text')), h('p', { class: 'muted' }, why), given.node, h('footer', {}, h('button', { class: 'main' }, t('token.send')))));
    window.addEventListener('close', () => resolve(null));
  });
}

function dress() {
  document.documentElement.dataset.theme = pref('theme') ?? 'auto';
  document.getElementById('skip').textContent = t('skip');
}

async function start() {
  setLang(lang());
  dress();
  api.onUnauthorized(askForToken);
  const top = document.getElementById('top');
  const draw = () => topbar(top, {
    language(next) {
      setLang(next);
      dress();
      draw();
      shown = null;
      open();
    },
    theme(next) {
      setPref('theme', next);
      dress();
    },
  });
  draw();
  try {
    await readService();
  } catch (error) {
    empty(main, problem(error.message));
  }
  // Many events at once are one reason to look.
  let due = null;
  events.on((event) => {
    if (event.kind !== 'clock' && event.kind !== 'connected') return;
    due ??= setTimeout(() => {
      due = null;
      (event.kind === 'connected' ? readService() : readClock()).catch(() => {});
    }, CLOCK_PACE_MS);
  });
  window.addEventListener('hashchange', () => {
    closeAll();
    const before = view;
    // Where the same screen follows, its list and its filters keep the focus; what is shown beside the list is another thing then.
    const beside = main.querySelector('.detail')?.contains(document.activeElement);
    open();
    if (view !== before || beside) main.focus({ preventScroll: true });
  });
  document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
  if (!location.hash) history.replaceState(null, '', link(['now']));
  // From the first event that is kept, so that what was before stands there too. They come while the screen asks for what it needs.
  events.start('0');
  await open();
}

start();
