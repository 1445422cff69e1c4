// For vitest: `import { test } from 'localyun/vitest'`. A server for each worker, clean for each test.
import { test as base } from 'vitest';
import { start } from './program.cjs';

export const test = base.extend({
  /** Settings of the server; give others by `test.scoped({ localyunSettings: { auth: 'off' } })` or by extending again. */
  localyunSettings: [{}, { scope: 'worker' }],
  localyunServer: [
    async ({ localyunSettings }, use) => {
      const cloud = await start(localyunSettings);
      await use(cloud);
      await cloud.stop();
    },
    { scope: 'worker' },
  ],
  localyun: async ({ localyunServer }, use) => {
    await localyunServer.reset();
    await use(localyunServer);
  },
  callbackSink: async ({ localyun }, use) => use(localyun.sink()),
});
