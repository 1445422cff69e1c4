// Where the page gets media from: this server, whatever the format and wherever the store is.

import { query } from './api.js';

// What the browser plays as it is; everything else is made to.
const NATIVE = /\.(mp4|m4a|mp3|aac|webm)$/i;

export const objectPath = (bucket, key) => `/_localyun/ui/object${query({ bucket, key })}`;
export const playPath = (bucket, key) => (NATIVE.test(key) ? objectPath(bucket, key) : `/_localyun/ui/play${query({ bucket, key })}`);
export const livePath = (it) => `/_localyun/ui/live${query({ domain: it.domain, app: it.app, stream: it.stream })}`;
