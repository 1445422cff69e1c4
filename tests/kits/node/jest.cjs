// For jest: `const localyun = useLocalyun()` at the top of a test file.
'use strict';

const hooks = require('./hooks.cjs');

/** Longer than a server may take to start or to end (program.cjs), so that its own words are told and not jest's. */
const PATIENCE_MS = 60_000;

exports.useLocalyun = (settings = {}) => {
  const { beforeAll, beforeEach, afterAll } = globalThis;
  // Five seconds, which jest gives a hook by itself, are few on a machine that is busy.
  const patient = (hook) => (work) => hook(work, PATIENCE_MS);
  return hooks.useLocalyun({ before: patient(beforeAll), beforeEach: patient(beforeEach), after: patient(afterAll) }, settings);
};
