// The slices of a media playlist (RFC 8216).

import { get, mediaUrl } from './api.js';
import { objectPath } from './media.js';

export function parse(text) {
  const slices = [];
  let at = 0;
  let gap = false;
  let next = null;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#EXTINF:')) next = Number.parseFloat(line.slice(8)) || 0;
    else if (line === '#EXT-X-DISCONTINUITY') gap = true;
    else if (line && !line.startsWith('#') && next !== null) {
      slices.push({ at, duration: next, gap, uri: line });
      at += next;
      gap = false;
      next = null;
    }
  }
  return slices;
}

// The key of a slice: its address is relative to the playlist's, or whole.
export function keyOf(playlist, uri) {
  const base = new URL(`http://store/${playlist.split('/').map(encodeURIComponent).join('/')}`);
  const url = new URL(uri, base);
  return decodeURIComponent(url.pathname.slice(1));
}

export async function slicesOf(bucket, key) {
  const text = await get(await mediaUrl(objectPath(bucket, key)));
  return typeof text === 'string' ? parse(text) : [];
}
