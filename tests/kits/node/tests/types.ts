// Compiled, never run: the types say what the code does.
import { start, type Cloud, type RecordedFile } from 'localyun';
import { useLocalyun } from 'localyun/jest';
import { test } from 'localyun/vitest';

test('types', async ({ localyun, callbackSink }) => {
  const cloud: Cloud = localyun;
  await cloud.record({ formats: ['m3u8', 'mp4'], notifyUrl: callbackSink.url });
  const file: RecordedFile = await cloud.waitForFile('s1', { format: 'mp4', timeoutMs: 100 });
  const size: number = (await file.read()).length;
  // @ts-expect-error: a kind that there is not
  await cloud.waitFor('flie');
  await cloud.advance(size);
});

export const perFile: Cloud = useLocalyun({ auth: 'off' });
export const own: Promise<Cloud> = start({ clockStart: '2026-03-01T02:00:00Z', controlToken: process.env.NO_SUCH_TOKEN });
