// The OSS dialect as ali-oss speaks it: bucket in the path (sldEnable), in the Host header, and nowhere (cname);
// signature versions 1 and 4. Run: npm install ali-oss@6 && node ali-oss.mjs
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'package.json'));
const OSS = require('ali-oss');
const endpoint = process.env.LOCALYUN_OSS ?? 'http://127.0.0.1:9000';
const accessKeyId = process.env.LOCALYUN_KEY_ID ?? 'testid';
const accessKeySecret = process.env.LOCALYUN_KEY_SECRET ?? 'testsecret';
const KEY = 'rec/a b~中文+/s1.ts';

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

for (const authorizationV4 of [false, true]) {
  const version = authorizationV4 ? 'V4' : 'V1';
  await round(`bucket in the path, ${version}`, { sldEnable: true, authorizationV4 });
  await round(`bucket in the Host header, ${version}`, { authorizationV4 });
  await round(`bucket in the client only, ${version}`, { cname: true, authorizationV4 });
}
