// localyun in a test: a server of its own, what it recorded, what it told, and its clock.
'use strict';

const { Cloud, RecordedFile, Refused, Sink, TimedOut } = require('./cloud.cjs');
const { program, start } = require('./program.cjs');

module.exports = { Cloud, RecordedFile, Refused, Sink, TimedOut, program, start };
