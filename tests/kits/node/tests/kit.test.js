// The kit's promises: a clean cloud for each test, told reasons, a server that goes away.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect } from 'vitest';
import { program, Refused, start, TimedOut } from 'localyun';
import { test } from 'localyun/vitest';

describe.each([1, 2, 3, 4, 5, 6])('test %i', () => {
  test('has a clean cloud', async ({ localyun, callbackSink }) => {
    expect(await localyun.recordings()).toEqual([]);
    expect(await callbackSink.requests()).toEqual([]);
    await localyun.record({ notifyUrl: callbackSink.url });
    await localyun.publish('s1', { seconds: 5 });
    await localyun.advance(181);
    expect((await localyun.waitForFile('s1')).format).toBe('mp4');
    expect(await localyun.recordings({ stream: 's1' })).toHaveLength(1);
    expect(await callbackSink.wait({ count: 3 })).toHaveLength(3);
  });
});

test('a file that cannot come is told with the reason', async ({ localyun }) => {
  const waiting = localyun.waitForFile('s1', { timeoutMs: 100 });
  await expect(waiting).rejects.toThrow(TimedOut);
  await expect(waiting).rejects.toThrow(/no recording rule.*AddLiveAppRecordConfig/);
});

test('a refusal has the code of the product', async ({ localyun }) => {
  const call = localyun.call('DescribeLiveRecordConfig');
  await expect(call).rejects.toThrow(Refused);
  await expect(call).rejects.toThrow(/400: MissingDomainName/);
});

test('a sink answers as it is told', async ({ callbackSink }) => {
  await callbackSink.answer({ status: 503, body: { no: true } });
  const answer = await fetch(callbackSink.url, { method: 'POST', body: '{"a":1}' });
  expect([answer.status, await answer.json()]).toEqual([503, { no: true }]);
  expect(await callbackSink.wait({ fields: { a: 1 } })).toEqual([{ a: 1 }]);
});

test('variables are those of localyun env', async ({ localyun }) => {
  const lines = execFileSync(program(), ['env', '--shell', 'bash', '--endpoint', localyun.url], { encoding: 'utf8' }).split('\n');
  const told = lines.map((line) => /^export (\w+)='(.*)'$/.exec(line)).filter(Boolean);
  expect(localyun.env).toEqual(Object.fromEntries(told.map(([, name, value]) => [name, value])));
});

test('a server of its own has settings, and goes away', async () => {
  const cloud = await start({ clockStart: '2026-03-01T02:00:00Z', controlToken: 't0ken', accessKeys: 'a1:s1' });
  expect((await cloud.clock()).now).toMatch(/^2026-03-01T02:00/);
  await cloud.record();
  await cloud.stop();
  expect(existsSync(dirname(cloud.log))).toBe(false);
  expect(() => process.kill(cloud.ready.pid, 0)).toThrow();
});

test('another store is told as it is reached', async () => {
  const cloud = await start({ ossPublicUrl: 'http://store.example.com:9000' });
  expect(cloud.env.OSS_ENDPOINT).toBe('http://store.example.com:9000');
  await cloud.stop();
});

test('a server that cannot start says why', async () => {
  await expect(start({ apiAddr: 'nowhere' })).rejects.toThrow(/API_ADDR/);
});
