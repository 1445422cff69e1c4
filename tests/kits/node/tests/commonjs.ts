// Compiled, never run: what a project of CommonJS modules sees, by the older way of finding types and by the newer one.
import { start, type Cloud } from 'localyun';
import { useLocalyun } from 'localyun/jest';
import { useLocalyun as useInNodeTest } from 'localyun/node-test';

export const perFile: Cloud = useLocalyun({ auth: 'off' });
export const beside: Cloud = useInNodeTest();

export async function own(): Promise<void> {
  const cloud = await start();
  const file = await cloud.waitForFile('s1');
  // @ts-expect-error: types that cannot be found would let everything pass
  file.nothing();
  await cloud[Symbol.asyncDispose]();
}
