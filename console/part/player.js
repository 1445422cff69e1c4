// Plays a live stream or a stored object in the page. Whatever its format, the server makes a fragmented MP4 of what a browser does not play.

import { mediaUrl } from '../lib/api.js';
import { h } from '../lib/dom.js';
import { said, t } from '../lib/i18n.js';
import { problem } from './notice.js';

const WHY = { 1: 'player.aborted', 2: 'player.network', 3: 'player.decode', 4: 'player.unsupported' };

// `path`: what to play. The node has the video, or says why there is none.
export function player(path, label, { live = false } = {}) {
  const node = h('div', { class: 'player' });
  const video = h('video', { controls: true, playsinline: true, 'aria-label': label, preload: 'auto' });
  video.muted = true;
  video.autoplay = true;
  video.addEventListener('error', async () => {
    if (!video.error || !node.isConnected) return;
    const why = t(WHY[video.error.code] ?? 'player.decode');
    // The server's own sentence says more than the browser's number.
    const told = await fetch(video.currentSrc, { headers: { range: 'bytes=0-0' } }).then((answer) => (answer.ok ? '' : answer.text()), () => '');
    let reason = '';
    try {
      const refused = JSON.parse(told);
      reason = said(refused.words?.error, refused.error);
    } catch {
      reason = '';
    }
    node.replaceChildren(problem(reason || why, live ? null : h('p', {}, t('player.download_hint'))));
  });
  mediaUrl(path).then((url) => {
    video.src = url;
  }, (error) => node.replaceChildren(problem(error.message)));
  node.append(video);
  node.stop = () => {
    video.removeAttribute('src');
    video.load();
  };
  return node;
}
