// What records a stream, or why nothing does and what cures it.

import * as api from '../lib/api.js';
import { h } from '../lib/dom.js';
import { said, t, word } from '../lib/i18n.js';
import { link } from '../lib/router.js';
import { code } from './code.js';
import { badge, button } from './controls.js';
import { addRule } from './guide.js';
import { say } from './notice.js';

export const ruleName = (rule) => `${rule.app}/${rule.stream}`;

export async function command(it, what) {
  const answer = await api.call('RealTimeRecordCommand', { DomainName: it.domain, AppName: it.app, StreamName: it.stream, Command: what });
  if (answer.status >= 300) throw new Error(`${answer.answer?.Code}: ${answer.answer?.Message}`);
  say(t('streams.commanded', { what: t(`streams.${what}`) }));
}

const refusedBy = (answer) => new Error(`${answer.answer?.Code}: ${answer.answer?.Message}`);

// What cures it: the line that `explain` gives, and where that is a rule or a mapping, a button that makes the call.
export function cure(why) {
  if (!why.cure) return null;
  const words = why.words?.cure;
  const { play: pull, push } = words?.code === 'MapOrAddRule' ? words.values : {};
  const make = (label, title, work) => button(label, async () => {
    const answer = await work();
    if (answer.status >= 300) throw refusedBy(answer);
    say(t('streams.cured'));
  }, { title });
  return [
    code(said(words, why.cure), t('streams.cure_line')),
    h('div', { class: 'actions' },
      pull ? make(t('streams.map', { push, pull }), 'AddLiveDomainMapping', () => api.call('AddLiveDomainMapping', { PullDomain: pull, PushDomain: push })) : null,
      why.cure.includes('AddLiveAppRecordConfig') ? make(t('streams.cure'), 'AddLiveAppRecordConfig', () => addRule({ domain: why.streaming_domain, app: why.app })) : null),
  ];
}

export function recorderState(stream) {
  const recorder = stream.recorder ?? {};
  const state = recorder.state ?? 'idle';
  return h('div', { class: 'recorder' }, badge(word('state', state), state === 'recording' ? 'good' : ''),
    recorder.rule ? h('a', { href: link(['rules'], { domain: stream.domain, app: stream.app, stream: stream.stream }) }, ruleName(recorder.rule)) : null,
    recorder.last_error ? h('p', { class: 'wrong' }, word('fault', recorder.last_error)) : null,
    (recorder.refused_formats ?? []).map((refused, at) => h('p', { class: 'wrong' }, said(recorder.words?.refused_formats?.[at], refused))));
}

// `live`: the stream as it is published now, if it is. One whose push had no rule is not recorded before the next push, whatever the rules say.
export function verdict(why, live = why.live) {
  const heading = why.records ? (live && !live.recorder?.rule ? 'rules.records_next' : 'rules.records') : 'rules.records_not';
  return h('div', { class: why.records ? 'verdict' : 'verdict wrong' },
    h('strong', {}, t(heading)), ' ', h('span', {}, said(why.words?.why, why.why)), why.note ? h('p', {}, said(why.words?.note, why.note)) : null, why.records ? null : cure(why));
}
