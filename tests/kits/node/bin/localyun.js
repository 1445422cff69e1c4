#!/usr/bin/env node
// `npx localyun …`: the program of this platform's package, with the same arguments, streams, signals and exit status.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { program } from '../program.cjs';

let path;
try {
  path = program();
} catch (error) {
  console.error(`localyun: ${error.message}`);
  process.exit(2);
}
const child = spawn(path, process.argv.slice(2), { stdio: 'inherit' });
// A terminal sends its signals to both; the others are handed on.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`localyun: ${path}: ${error.message}`);
  process.exitCode = 2;
});
child.on('exit', (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
});
