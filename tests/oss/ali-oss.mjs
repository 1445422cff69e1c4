// The OSS dialect as ali-oss speaks it: bucket in the path (sldEnable), in the Host header, and nowhere (cname);
// signature version 1 or 4, by the argument v1 or v4. LOCALYUN_OSS and LOCALYUN_API name the server; its clock is moved past the end of signed
// URLs, so each run wants a server of its own. Run where node_modules has ali-oss: npm install ali-oss@6 && node .../ali-oss.mjs v1
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import events from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const require = createRequire(join(process.cwd(), 'package.json'));
const OSS = require('ali-oss');
const endpoint = process.env.LOCALYUN_OSS ?? 'http://127.0.0.1:9000';
const signature = process.argv[2] ?? 'v1';
const api = process.env.LOCALYUN_API ?? 'http://127.0.0.1:8080';
const accessKeyId = process.env.LOCALYUN_KEY_ID ?? 'testid';
const accessKeySecret = process.env.LOCALYUN_KEY_SECRET ?? 'testsecret';
const KEY = 'rec/a b~中文+/s1.ts';
const MANY = 2500;
const BIG = 100 * 1024 * 1024;

const client = (more) =>
  new OSS({ endpoint, region: 'oss-cn-shanghai', accessKeyId, accessKeySecret, ...more });

async function round(label, more) {
  const bucket = `t-${randomBytes(8).toString('hex')}`;
  await client({ sldEnable: true }).putBucket(bucket);
  const store = client({ bucket, ...more });
  try {
    const put = await store.put(KEY, Buffer.from('hello'), { meta: { author: 'me' } });
    assert.equal(put.res.status, 200);
    assert.equal(put.res.headers.etag, '"5D41402ABC4B2A76B9719D911017C592"');
    const got = await store.get(KEY);
    assert.equal(got.content.toString(), 'hello');
    const part = await store.get(KEY, { headers: { Range: 'bytes=1-3' } });
    assert.equal(part.content.toString(), 'ell');
    const head = await store.head(KEY);
    assert.equal(head.meta.author, 'me');

    await store.put('other', Buffer.from('x'));
    const listed = await store.list({ 'max-keys': 1 });
    assert.equal(listed.isTruncated, true);
    const all = await store.listV2({ 'max-keys': 10 });
    assert.deepEqual(all.objects.map((item) => item.name), ['other', KEY]);
    await store.copy('copied', 'other');
    await store.putACL('copied', 'public-read');
    assert.equal((await store.getACL('copied')).acl, 'public-read');

    const first = await store.append('log', Buffer.from('12345'));
    await store.append('log', Buffer.from('6789'), { position: first.nextAppendPosition });
    assert.equal((await store.get('log')).content.toString(), '123456789');

    const big = randomBytes(350 * 1024);
    await store.multipartUpload('big', big, { partSize: 100 * 1024, parallel: 2 });
    assert.ok((await store.get('big')).content.equals(big));

    await assert.rejects(store.get('absent'), (error) => error.status === 404 && error.code === 'NoSuchKey');
    const gone = await store.deleteMulti(['other', 'copied', 'log', 'big', KEY]);
    assert.equal(gone.deleted.length, 5);
    console.log(`ok: ${label}`);
  } finally {
    await client({ sldEnable: true }).deleteBucket(bucket);
  }
}

const authorizationV4 = signature === 'v4';
await round('bucket in the path', { sldEnable: true, authorizationV4 });
await round('bucket in the Host header', { authorizationV4 });
await round('bucket in the client only', { cname: true, authorizationV4 });

// What one client has to show but once: many keys, a large object, signed URLs.
async function once() {
  const bucket = `t-${randomBytes(8).toString('hex')}`;
  const store = client({ sldEnable: true, authorizationV4, bucket });
  await store.putBucket(bucket);
  await manyKeys(store);
  await largeObject(store);
  await store.put(KEY, Buffer.from('hello'));
  // For version 1 ali-oss makes no URL at an IP address.
  const url = authorizationV4
    ? await store.signatureUrlV4('GET', 60, undefined, KEY)
    : client({ endpoint: 'http://oss-cn-shanghai.aliyuncs.com', bucket }).signatureUrl(KEY, { expires: 60 });
  assert.equal(await fetched(url), '200 hello');
  assert.match(await fetched(url.replace('s1.ts', 's2.ts')), /^403 .*SignatureDoesNotMatch/s);
  const advanced = await fetch(`${api}/_localyun/clock/advance`, { method: 'POST', body: '{"seconds":61}' });
  assert.equal(advanced.status, 200);
  assert.match(await fetched(url), /^403 .*Request has expired\./s);
  await store.delete(KEY);
  await store.deleteBucket(bucket);
  console.log('ok: signed URL valid, tampered, expired');
}

// Status and body of a URL whose host name stands for the store's address.
async function fetched(address) {
  const { host, pathname, search } = new URL(address);
  const { hostname, port } = new URL(endpoint);
  const request = http.get({ hostname, port, path: pathname + search, headers: { host } });
  const [answer] = await events.once(request, 'response');
  return `${answer.statusCode} ${await text(answer)}`;
}

async function manyKeys(store) {
  const wanted = Array.from({ length: MANY }, (_, number) => `many/${String(number).padStart(5, '0')}`);
  const left = wanted.values();
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const key of left) await store.put(key, Buffer.from('x'));
  }));
  const found = [];
  let token;
  do {
    const page = await store.listV2({ prefix: 'many/', 'max-keys': 1000, 'continuation-token': token });
    found.push(...page.objects.map((item) => item.name));
    token = page.nextContinuationToken;
  } while (token);
  assert.deepEqual(found, wanted);
  for (let from = 0; from < MANY; from += 1000) {
    await store.deleteMulti(wanted.slice(from, from + 1000), { quiet: true });
  }
  console.log(`ok: list and delete ${MANY} keys`);
}

async function largeObject(store) {
  const body = randomBytes(BIG);
  await store.multipartUpload('big', body, { partSize: 10 * 1024 * 1024, parallel: 3 });
  assert.ok((await store.get('big')).content.equals(body));
  await store.delete('big');
  console.log('ok: multipart of 100 MB');
}

await once();
