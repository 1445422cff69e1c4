// The same for ES modules.
export { Cloud, RecordedFile, Refused, Sink, TimedOut, program, start } from './index.cjs';
