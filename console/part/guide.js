// How a first stream gets here: the commands with the real ports, and a button that publishes a clip.

import * as api from '../lib/api.js';
import { h } from '../lib/dom.js';
import { t } from '../lib/i18n.js';
import { go } from '../lib/router.js';
import { address, endpointOption, setting } from '../lib/service.js';
import { code } from './code.js';
import { button, field, form } from './controls.js';
import { dialog } from './dialog.js';
import { say } from './notice.js';

const CLIPS = ['h264_aac', 'hevc_enhanced', 'audio_only', 'video_only', 'one_per_second'];
const BUCKET = 'recordings';
export const SINK = 'console';

export const firstDomain = () => setting('default-domain') || 'play.example.com';
export const sinkUrl = (name) => `${address('api') ?? location.origin}/_localyun/sink/${name}`;

// The calls that make a stream of this application be recorded in the common formats.
export async function addRule({ domain, app, formats = ['mp4', 'm3u8', 'flv'], delay }) {
  const params = { DomainName: domain, AppName: app, StreamName: '*', OssBucket: BUCKET, OssEndpoint: 'oss-cn-shanghai.aliyuncs.com', OnDemand: '0' };
  if (delay) params.DelayTime = delay;
  formats.forEach((format, at) => {
    params[`RecordFormat.${at + 1}.Format`] = format;
    params[`RecordFormat.${at + 1}.CycleDuration`] = '900';
  });
  return api.call('AddLiveAppRecordConfig', params);
}

const known = (answer, code) => answer.answer?.Code === code;

function made(answer, ...allowed) {
  if (answer.status >= 300 && !allowed.some((code) => known(answer, code))) throw new Error(`${answer.answer?.Code}: ${answer.answer?.Message}`);
}

export function publishForm(preset = {}, after) {
  const domain = field(t('publish.domain'), { value: preset.domain ?? firstDomain(), required: true });
  const app = field(t('publish.app'), { value: preset.app ?? 'live', required: true });
  const stream = field(t('publish.stream'), { value: preset.stream ?? 'demo', required: true });
  const clip = field(t('publish.clip'), { type: 'select', value: 'h264_aac', options: CLIPS.map((name) => [name, t(`clip.${name}`)]) });
  const seconds = field(t('publish.seconds'), { type: 'number', min: '1', max: '604800', step: 'any', value: preset.seconds ?? '60', hint: t('publish.seconds_hint') });
  const speed = field(t('publish.speed'), { type: 'number', min: '0', max: '1000', step: 'any', value: preset.speed ?? '1', hint: t('publish.speed_hint') });
  const record = field(t('publish.record'), { type: 'checkbox', checked: true, hint: t('publish.record_hint', { bucket: BUCKET }) });
  const notify = field(t('publish.notify'), { type: 'checkbox', checked: true, hint: t('publish.notify_hint') });
  const send = button(t('publish.send'), () => submit(), { class: 'main', type: 'submit' });
  async function submit() {
    const named = { domain: domain.value, app: app.value, stream: stream.value };
    // Rules and callbacks are the streaming domain's, also where one that is pushed to is named.
    const { streaming_domain: played } = await api.get(`explain${api.query(named)}`);
    if (record.value) made(await addRule({ domain: played, app: app.value }), 'ConfigAlreadyExists');
    if (notify.value) made(await api.call('AddLiveRecordNotifyConfig', { DomainName: played, NotifyUrl: sinkUrl(SINK), NeedStatusNotify: 'true' }), 'ConfigAlreadyExists');
    const body = { ...named, clip: clip.value, speed: Number(speed.value) };
    if (seconds.value) body.seconds = Number(seconds.value);
    await api.post('streams', body);
    say(t('publish.done', { name: `${played}/${app.value}/${stream.value}` }));
    after?.();
    go(['streams', played.toLowerCase(), app.value, stream.value]);
  }
  return form({ class: 'publish' }, () => {}, h('div', { class: 'fields' }, domain.node, app.node, stream.node, clip.node, seconds.node, speed.node), record.node, notify.node, h('footer', {}, send));
}

export const publishButton = (preset) => h('button', { type: 'button', class: 'main', onclick: () => {
  const window = dialog(t('publish.title'), publishForm(preset, () => window.close()));
} }, t('publish.open'));

export function guide() {
  const domain = firstDomain();
  const rtmp = address('rtmp') ?? 'rtmp://127.0.0.1:1935';
  return h('section', { class: 'guide' },
    h('h2', {}, t('guide.title')),
    h('p', {}, t('guide.text')),
    h('div', { class: 'columns' },
      h('div', { class: 'card' }, h('h3', {}, t('guide.here')), publishForm()),
      h('div', { class: 'card' }, h('h3', {}, t('guide.tools')),
        h('h4', {}, t('guide.command')), code(`localyun publish --domain ${domain} --app live --stream demo --seconds 60${endpointOption()}`, 'localyun'),
        h('h4', {}, 'FFmpeg'), code(`ffmpeg -re -i input.mp4 -c copy -f flv '${rtmp}/live/demo?vhost=${domain}'`, 'FFmpeg'),
        h('h4', {}, 'OBS'), code(`${t('guide.server')}: ${rtmp}/live\n${t('guide.key')}: demo?vhost=${domain}`, 'OBS'))));
}
