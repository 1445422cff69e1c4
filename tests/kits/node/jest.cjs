// For jest: `const localyun = useLocalyun()` at the top of a test file.
'use strict';

const hooks = require('./hooks.cjs');

exports.useLocalyun = (settings = {}) => {
  const { beforeAll: before, beforeEach, afterAll: after } = globalThis;
  return hooks.useLocalyun({ before, beforeEach, after }, settings);
};
