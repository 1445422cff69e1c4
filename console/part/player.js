// Plays a live stream or a stored object in the page. Whatever its format, the server makes a fragmented MP4 of what a browser does not play.

import { mediaUrl } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { said, t } from '../lib/i18n.js';
import { problem } from './notice.js';

const WHY = { 1: 'player.aborted', 2: 'player.network', 3: 'player.decode', 4: 'player.unsupported' };

// Media of which so much was played without a picture has none that the browser can show.
const PICTURE_AFTER_S = 0.5;

function soundAlone(codec) {
  if (codec === null) return t('player.sound_alone');
  return codec ? t('player.undecoded', { codec: codec.toUpperCase() }) : t('player.no_picture');
}

// `path`: what to play. The node has the video, or says why there is none. `codec`: that of the picture; null where there is none, and undefined
// where nobody knows.
export function player(path, label, { live = false, codec } = {}) {
  const node = h('div', { class: 'player' });
  const told = h('div', { role: 'status' });
  const video = h('video', { controls: true, playsinline: true, 'aria-label': label, preload: 'auto' });
  video.muted = true;
  video.autoplay = true;
  // A browser that cannot decode the picture plays the sound and says nothing.
  const look = () => {
    if (video.currentTime < PICTURE_AFTER_S) return;
    video.removeEventListener('timeupdate', look);
    if (!video.videoWidth) told.append(h('p', { class: codec === null ? 'muted' : 'wrong' }, soundAlone(codec)), codec === null || live ? '' : h('p', {}, t('player.download_hint')));
  };
  video.addEventListener('timeupdate', look);
  if (live) video.addEventListener('ended', () => told.append(h('p', {}, t('player.ended'))), { once: true });
  video.addEventListener('error', async () => {
    if (!video.error || !node.isConnected) return;
    const why = t(WHY[video.error.code] ?? 'player.decode');
    // The server's own sentence says more than the browser's number.
    const answered = await fetch(video.currentSrc, { headers: { range: 'bytes=0-0' } }).then((answer) => (answer.ok ? '' : answer.text()), () => '');
    let reason = '';
    try {
      const refused = JSON.parse(answered);
      reason = said(refused.words?.error, refused.error);
    } catch {
      reason = '';
    }
    node.replaceChildren(problem(reason || why, live ? null : h('p', {}, t('player.download_hint'))));
  });
  mediaUrl(path).then((url) => {
    video.src = url;
  }, (error) => node.replaceChildren(problem(error.message)));
  node.append(video, told);
  node.stop = () => {
    video.removeAttribute('src');
    video.load();
  };
  return node;
}
