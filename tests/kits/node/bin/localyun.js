#!/usr/bin/env node
// `npx localyun …`: the program of this platform's package, with the same arguments, streams, signals and exit status.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { program } from '../program.cjs';

/** Milliseconds within which the same signal says the same again: npm, too, hands on what this process got by itself. */
const SAID_AGAIN_MS = 500;

let path;
try {
  path = program();
} catch (error) {
  console.error(`localyun: ${error.message}`);
  process.exit(2);
}
// Asked before anything happens: a terminal that has been closed is none any more.
const atTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
const child = spawn(path, process.argv.slice(2), { stdio: 'inherit' });
const handedOn = new Map();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
  // Heard in any case: this process outlives its child, to exit as that does.
  process.on(signal, () => {
    // A terminal sends these two to the child by itself, and the second one tells it to drop what it has left to do.
    if (atTerminal && signal !== 'SIGTERM') return;
    const now = performance.now();
    if (now - (handedOn.get(signal) ?? -Infinity) < SAID_AGAIN_MS) return;
    handedOn.set(signal, now);
    child.kill(signal);
  });
}
child.on('error', (error) => {
  console.error(`localyun: ${path}: ${error.message}`);
  process.exitCode = 2;
});
child.on('exit', (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
});
