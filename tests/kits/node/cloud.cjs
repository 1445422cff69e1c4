// A running server, as a test talks to it: the control plane in the words of a test. Nothing here polls: what has not happened yet is
// waited for by `GET /_localyun/wait`.

'use strict';

const { createHmac, randomUUID } = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const { runInNewContext } = require('node:vm');

/** That of a context of its own: fake timers replace the test's, and may have done so before this module was loaded. The server's time goes on. */
const Date = runInNewContext('Date');

/** Milliseconds that a test waits for what should happen at once: fewer than the 5 s after which vitest and jest end a test without a word of why. */
const PATIENCE_MS = 4_000;
/** Milliseconds that one question to the server waits; a longer patience asks again. */
const ONE_WAIT_MS = 30_000;
/** The store that rules name; every name leads to the one store there is. */
const OSS_ENDPOINT = 'oss-cn-shanghai.aliyuncs.com';
const DOMAIN = 'play.example.com';
const APP = 'live';

/**
 * What asks a server, by the scheme of its address: `fetch` would ask the environment's proxy (NODE_USE_ENV_PROXY), a dispatcher that was set for
 * the whole process or what a test has put in its place, and none of them is for the machine itself.
 */
const WAYS = {
  'http:': { request: http.request, agent: new http.Agent({ keepAlive: true }) },
  'https:': { request: https.request, agent: new https.Agent({ keepAlive: true }) },
};

const present = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

const escaped = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** The form of a call, with signature version 1.0. */
function sign(parameters, { id, secret, token }) {
  const form = {
    // A test may send another one, to see it refused.
    ...present({ SecurityToken: token }),
    ...present(parameters),
    Format: 'JSON',
    Version: '2016-11-01',
    AccessKeyId: id,
    SignatureMethod: 'HMAC-SHA1',
    SignatureVersion: '1.0',
    SignatureNonce: randomUUID(),
    Timestamp: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
  };
  const words = Object.keys(form).sort().map((name) => `${escaped(name)}=${escaped(form[name])}`).join('&');
  const signature = createHmac('sha1', `${secret}&`).update(`POST&%2F&${escaped(words)}`).digest('base64');
  return `${words}&Signature=${escaped(signature)}`;
}

/** One request; the status and the bytes of its answer. */
function ask(url, { method = 'GET', headers = {}, body } = {}) {
  const { request, agent } = WAYS[new URL(url).protocol];
  // A body of a method that seldom has one (DELETE) would go without a length.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, method, headers: { ...headers, ...length } }, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => resolve({ status: answer.statusCode, content: Buffer.concat(pieces) }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** One request; the JSON of its answer. */
async function exchange(url, request) {
  const { status, content } = await ask(url, request);
  const text = content.toString();
  const told = /^[{[]/.test(text) ? JSON.parse(text) : text;
  if (status >= 300) throw new Refused(status, told);
  return told;
}

/** The control plane or the API refused. */
class Refused extends Error {
  constructor(status, told) {
    super(`${status}: ${told?.error ?? (told?.Code ? `${told.Code}: ${told.Message}` : told)}`);
    this.name = 'Refused';
    this.status = status;
    this.told = told;
  }
}

/** What was waited for did not happen; the text says what did. */
class TimedOut extends Error {
  constructor(text) {
    super(text);
    this.name = 'TimedOut';
  }
}

/** A recorded file that is in the store. */
class RecordedFile {
  #cloud;

  constructor(cloud, told) {
    this.#cloud = cloud;
    this.format = told.format;
    this.bucket = told.bucket;
    this.object = told.object;
    this.size = told.size;
    /** In seconds. */
    this.duration = told.duration_ms / 1000;
  }

  /** An address that plays without a key. */
  async url() {
    return (await this.#cloud.get('signed', { bucket: this.bucket, key: this.object })).url;
  }

  async read() {
    const { status, content } = await ask(await this.url());
    if (status >= 300) throw new Refused(status, content.toString());
    return content;
  }
}

/** A receiver of callbacks, in the server itself. */
class Sink {
  #cloud;

  constructor(cloud, name) {
    this.#cloud = cloud;
    this.name = name;
    /** What a notify URL is set to. */
    this.url = `${cloud.url}/_localyun/sink/${name}`;
  }

  /** What came, in order: `method`, `headers`, `body`, `json`, … */
  async requests() {
    return (await this.#cloud.get(`sinks/${this.name}`, { limit: 1000 })).requests;
  }

  /** The JSON bodies of what came. */
  async bodies() {
    return (await this.requests()).map((request) => request.json);
  }

  /** What it answers from now on. */
  answer({ status = 200, body = '', delayMs = 0 } = {}) {
    return this.#cloud.send('PUT', `sinks/${this.name}`, { status, body, delay_ms: delayMs });
  }

  clear() {
    return this.#cloud.send('DELETE', `sinks/${this.name}`);
  }

  /** The JSON bodies of what came, as soon as `count` of those that have these fields are there. */
  async wait({ count = 1, timeoutMs = PATIENCE_MS, fields = {} } = {}) {
    const end = Date.now() + timeoutMs;
    const wanted = Object.entries(fields);
    let since;
    for (;;) {
      const bodies = await this.bodies();
      const fit = bodies.filter((body) => wanted.every(([name, value]) => body?.[name] === value));
      if (fit.length >= count) return fit;
      const left = end - Date.now();
      if (left <= 0) {
        throw new TimedOut(`waited ${timeoutMs} ms for ${count} callback(s) ${JSON.stringify(fields)}; there is ${JSON.stringify(bodies)}`);
      }
      try {
        // A sink is also reached by what tells no event; so it looks once a second at least.
        since = (await this.#cloud.get('wait', { kind: 'callback', since, timeout_s: Math.min(1000, left) / 1000 })).next;
      } catch (refused) {
        if (refused.status !== 408) throw refused;
      }
    }
  }
}

/** A running server. */
class Cloud {
  #headers;
  #stop;

  constructor(ready, { key, token, log, stop }) {
    this.ready = ready;
    /** The address of the API with its scheme, and as SDKs want it. */
    this.url = ready.api;
    this.endpoint = new URL(ready.api).host;
    this.rtmp = ready.rtmp;
    this.play = ready.play;
    this.oss = ready.oss;
    this.keyId = key.id;
    this.keySecret = key.secret;
    /** That of the key, where it has one. */
    this.securityToken = key.token;
    this.log = log;
    this.#headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
    this.#stop = stop;
  }

  /** Ends the server. */
  stop() {
    return this.#stop();
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.#stop();
  }

  // --- for the code under test

  /** Variables that lead SDKs and tools here, as `localyun env` prints them. */
  get env() {
    return {
      ALIBABA_CLOUD_ENDPOINT: this.endpoint,
      ALIBABA_CLOUD_ACCESS_KEY_ID: this.keyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: this.keySecret,
      LOCALYUN_ENDPOINT: this.url,
      LOCALYUN_PUSH_URL: `${this.rtmp}/live/STREAM?vhost=DOMAIN`,
      LOCALYUN_PLAY_URL: `${this.play}/live/STREAM.flv?vhost=DOMAIN`,
      OSS_ENDPOINT: this.oss,
      OSS_ACCESS_KEY_ID: this.keyId,
      OSS_ACCESS_KEY_SECRET: this.keySecret,
      AWS_ENDPOINT_URL_S3: this.oss,
      AWS_ACCESS_KEY_ID: this.keyId,
      AWS_SECRET_ACCESS_KEY: this.keySecret,
      AWS_REGION: 'us-east-1',
      ...present({
        ALIBABA_CLOUD_SECURITY_TOKEN: this.securityToken,
        OSS_SESSION_TOKEN: this.securityToken,
        AWS_SESSION_TOKEN: this.securityToken,
      }),
    };
  }

  /** What `new Config(…)` of `@alicloud/openapi-client` takes. */
  get config() {
    const key = { accessKeyId: this.keyId, accessKeySecret: this.keySecret, ...present({ securityToken: this.securityToken }) };
    return { ...key, endpoint: this.endpoint, protocol: 'http' };
  }

  pushUrl(stream, { domain = DOMAIN, app = APP } = {}) {
    return `${this.rtmp}/${app}/${stream}?vhost=${domain}`;
  }

  // --- what a test sets up

  /** A rule that records, and the domain's callback address. */
  async record({ formats = ['mp4'], domain = DOMAIN, app = APP, stream = '*', bucket = 'recordings', notifyUrl } = {}) {
    const wanted = { DomainName: domain, AppName: app, StreamName: stream, OssBucket: bucket, OssEndpoint: OSS_ENDPOINT };
    formats.forEach((format, at) => (wanted[`RecordFormat.${at + 1}.Format`] = format));
    await this.call('AddLiveAppRecordConfig', wanted);
    if (notifyUrl) await this.call('AddLiveRecordNotifyConfig', { DomainName: domain, NotifyUrl: notifyUrl, NeedStatusNotify: true });
  }

  /** One signed call of the cloud's API, without an SDK. */
  call(action, parameters = {}) {
    const key = { id: this.keyId, secret: this.keySecret, token: this.securityToken };
    const form = sign({ ...parameters, Action: action }, key);
    return exchange(`${this.url}/`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form });
  }

  /** Puts a seed beside what is there. */
  seed(seed) {
    return this.send('POST', 'seed', seed);
  }

  /** Pushes a clip over RTMP, without a client: as fast as it goes, and to its end. */
  publish(stream, { domain = DOMAIN, app = APP, clip = 'h264_aac', seconds = 10, speed = 0, query, wait = true } = {}) {
    return this.send('POST', 'streams', present({ domain, app, stream, clip, seconds, speed, query, wait }));
  }

  unpublish(stream, { domain = DOMAIN, app = APP } = {}) {
    return this.send('DELETE', `streams/${[domain, app, stream].map(encodeURIComponent).join('/')}`);
  }

  /** Arms a fault at `api:ACTION`, `store`, `object-put`, `callback` or `ingest`: a failure (`InternalError` where no code is named), or a delay. */
  fault(at, { first, code, delayMs } = {}) {
    const named = code ?? (delayMs === undefined ? 'InternalError' : undefined);
    return this.send('PUT', 'faults', present({ at, first, code: named, delay_ms: delayMs }));
  }

  clearFaults() {
    return this.send('DELETE', 'faults');
  }

  /** Forgets everything: a clean cloud, in milliseconds. */
  reset() {
    return this.send('POST', 'reset');
  }

  sink(name = 'callbacks') {
    return new Sink(this, name);
  }

  // --- the clock

  clock() {
    return this.get('clock');
  }

  /** Moves the service clock by seconds, to `'next'` or to an instant. What falls due on the way is done when this returns. */
  advance(by = 'next') {
    if (typeof by === 'number') return this.send('POST', 'clock/advance', { seconds: by });
    return this.send('POST', 'clock/advance', by === 'next' ? { next: true } : { until: by });
  }

  /** Stops the clock, so that only `advance` moves it. */
  freeze(frozen = true) {
    return this.send('POST', 'clock', { frozen });
  }

  // --- what a test looks at

  streams(filters) {
    return this.#pages('streams', filters);
  }

  /** Recording sessions with their files, the newest first. */
  recordings(filters) {
    return this.#pages('recordings', filters);
  }

  /** Callbacks with every attempt, the newest first. */
  callbacks(filters) {
    return this.#pages('callbacks', filters);
  }

  /** The journal of API calls, the newest first. */
  requests(filters) {
    return this.#pages('requests', filters);
  }

  /** Which rule records a stream and why, or why none does. */
  explain(stream, { domain = DOMAIN, app = APP } = {}) {
    return this.get('explain', { domain, app, stream });
  }

  snapshot() {
    return this.get('snapshot');
  }

  // --- what a test waits for

  /** Events of a kind, as soon as `count` of them have happened since the last reset; `domain`, `app`, `stream` choose. */
  async waitFor(kind, { count = 1, timeoutMs = PATIENCE_MS, since, ...names } = {}) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, Math.min(ONE_WAIT_MS, end - Date.now()));
      try {
        return (await this.get('wait', { kind, count, since, timeout_s: left / 1000, ...names })).events;
      } catch (refused) {
        if (refused.status !== 408) throw refused;
        if (Date.now() >= end) {
          throw new TimedOut(`waited ${timeoutMs} ms for ${count} ${kind} ${JSON.stringify(names)}: ${JSON.stringify(refused.told)}`);
        }
      }
    }
  }

  /** The first file of a stream and a format that is in the store. */
  async waitForFile(stream, { format, timeoutMs = PATIENCE_MS, ...names } = {}) {
    const end = Date.now() + timeoutMs;
    const wanted = present({ stream, ...names });
    let since;
    for (;;) {
      let event;
      try {
        [event] = await this.waitFor('file', { since, timeoutMs: Math.max(0, end - Date.now()), ...wanted });
      } catch (error) {
        if (!(error instanceof TimedOut)) throw error;
        throw new TimedOut(await this.#noFile(`waited ${timeoutMs} ms for a file ${format ?? ''} ${JSON.stringify(wanted)}`, stream, names));
      }
      if (!format || event.format === format) return new RecordedFile(this, event);
      since = event.id;
    }
  }

  /** Why a file did not come, in the server's own words. */
  async #noFile(words, stream, names) {
    const due = (await this.clock()).next_due;
    const hint = due ? `; the clock has work at ${due}: advance() goes there` : '';
    if (!stream) return words + hint;
    const { why, cure } = await this.explain(stream, names);
    return `${words}${hint}; explain: ${why}${cure ? ` -> ${cure}` : ''}`;
  }

  // --- the control plane itself

  get(path, query = {}) {
    const words = new URLSearchParams(present(query)).toString();
    return this.send('GET', words ? `${path}?${words}` : path);
  }

  /** One request to `/_localyun/{path}`; the JSON of its answer. */
  send(method, path, body) {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    return exchange(`${this.url}/_localyun/${path}`, { method, headers: this.#headers, body: sent });
  }

  async #pages(name, filters = {}) {
    const rows = [];
    let cursor;
    do {
      const answer = await this.get(name, { limit: 1000, cursor, ...filters });
      rows.push(...answer[name]);
      cursor = answer.next;
    } while (cursor && filters.limit === undefined);
    return rows;
  }
}

module.exports = { Cloud, RecordedFile, Refused, Sink, TimedOut, present };
