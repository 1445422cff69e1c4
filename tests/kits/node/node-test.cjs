// For node:test: `const localyun = useLocalyun()` at the top of a test file.
'use strict';

const { after, before, beforeEach } = require('node:test');
const hooks = require('./hooks.cjs');

exports.useLocalyun = (settings = {}) => hooks.useLocalyun({ before, beforeEach, after }, settings);
