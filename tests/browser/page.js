// Plays a file to its end, then from several places in it, and tells what happened.
'use strict';

const RATE = 8;
// Without a step forward for this long it stands.
const PATIENCE_MS = 15000;
const video = document.getElementById('video');

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until `done()`; false when the media's time stood still or an error came.
async function wait(done, errors) {
  let seen = -1;
  let since = performance.now();
  while (!done()) {
    if (errors.length > 0) return false;
    if (video.currentTime !== seen) {
      seen = video.currentTime;
      since = performance.now();
    } else if (performance.now() - since > PATIENCE_MS) {
      return false;
    }
    await rest(20);
  }
  return true;
}

function attach(by, url, errors, isLive = false) {
  video.addEventListener('error', () => errors.push(`video ${video.error.code} ${video.error.message}`));
  if (by === 'native') {
    video.src = url;
  } else if (by === 'hls') {
    const hls = new Hls({ enableWorker: false });
    hls.on(Hls.Events.ERROR, (_, problem) => {
      if (problem.fatal) errors.push(`hls.js ${problem.type} ${problem.details} ${problem.error || ''}`);
    });
    hls.loadSource(url);
    hls.attachMedia(video);
  } else {
    mpegts.LoggingControl.enableAll = false;
    const player = mpegts.createPlayer({ type: 'flv', url, isLive }, { enableWorker: false });
    player.on(mpegts.Events.ERROR, (kind, detail, info) => errors.push(`mpegts.js ${kind} ${detail} ${JSON.stringify(info)}`));
    player.attachMediaElement(video);
    player.load();
  }
}

const buffered = () => Array.from({ length: video.buffered.length }, (_, n) => [video.buffered.start(n), video.buffered.end(n)]);

// eslint-disable-next-line no-unused-vars
async function play({ by, url, seeks }) {
  const errors = [];
  attach(by, url, errors);
  const report = { errors, seeks: [] };
  const tell = () => Object.assign(report, {
    ended: video.ended, time: video.currentTime, duration: video.duration, width: video.videoWidth, height: video.videoHeight,
    frames: video.getVideoPlaybackQuality().totalVideoFrames, buffered: buffered(),
  });
  if (!await wait(() => video.readyState >= 1, errors)) return tell();
  video.playbackRate = RATE;
  video.play().catch((error) => errors.push(String(error)));
  const ended = await wait(() => video.ended || video.duration - video.currentTime < 0.01, errors);
  tell();
  if (!ended) return report;
  video.playbackRate = 1;
  for (const at of seeks) {
    video.pause();
    video.currentTime = at;
    const found = await wait(() => !video.seeking && video.readyState >= 2, errors);
    const from = video.currentTime;
    video.play().catch((error) => errors.push(String(error)));
    const moved = found && await wait(() => video.ended || video.currentTime > from + 0.2, errors);
    report.seeks.push({ at, from, moved, width: video.videoWidth, buffered: buffered() });
    if (!moved) break;
  }
  return report;
}

// Watches a live stream for some seconds of its own time. Nothing here is muted away: what sound was decoded is told.
// eslint-disable-next-line no-unused-vars
async function watch({ by, url, seconds }) {
  const errors = [];
  const began = performance.now();
  const report = { errors };
  video.addEventListener('loadeddata', () => { report.first_picture_ms = performance.now() - began; }, { once: true });
  attach(by, url, errors, true);
  const tell = () => Object.assign(report, {
    time: video.currentTime, width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames,
    sound: video.webkitAudioDecodedByteCount, pictures: video.webkitVideoDecodedByteCount, buffered: buffered(),
  });
  if (!await wait(() => video.readyState >= 2, errors)) return tell();
  video.play().catch((error) => errors.push(String(error)));
  const from = video.currentTime;
  report.moved = await wait(() => video.currentTime >= from + seconds, errors);
  return tell();
}
