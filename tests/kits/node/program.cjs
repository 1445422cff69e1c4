// The program: where it is, how it starts, how it ends.
'use strict';

const { spawn } = require('node:child_process');
const { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { delimiter, join } = require('node:path');
// Not those of the global object, which the fake timers of a test replace while they are in force.
const { clearTimeout, setTimeout } = require('node:timers');
const { Cloud, present } = require('./cloud.cjs');

/** Every listener takes a free port, so that any number of servers stand side by side. */
const LISTENERS = { apiAddr: '127.0.0.1:0', rtmpAddr: '127.0.0.1:0', ossAddr: '127.0.0.1:0', playAddr: '127.0.0.1:0' };

/** Milliseconds in which a server is up. */
const PATIENCE_MS = 30_000;

/** The path of the program: `LOCALYUN_BIN`, else this platform's package, else that of PATH. */
function program() {
  if (process.env.LOCALYUN_BIN) return process.env.LOCALYUN_BIN;
  const platform = `@localyun/${process.platform}-${process.arch}`;
  try {
    return require.resolve(`${platform}/bin/localyun`);
  } catch {
    // npm leaves out the packages of other platforms; those that pnpm installs from a file lie beside the project's own alone.
  }
  try {
    return require.resolve(`${platform}/bin/localyun`, { paths: [process.cwd()] });
  } catch {
    // PATH is left.
  }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'localyun');
    // Not the script of this package, which asks here.
    if (folder && existsSync(path) && !readFileSync(path).subarray(0, 2).equals(Buffer.from('#!'))) return path;
  }
  throw new Error(`no program for this machine: ${platform} is not installed, no LOCALYUN_BIN, none on PATH`);
}

function environment(settings) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('LOCALYUN_'));
  const own = Object.entries(settings).map(([name, value]) => [
    `LOCALYUN_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).replaceAll('-', '_').toUpperCase()}`,
    value === true ? 'on' : value === false ? 'off' : String(value),
  ]);
  return Object.fromEntries([...kept, ...own]);
}

/** The key to sign with: the first that is not disabled. Where all of them are, the first one: the server's refusal says why it does not work. */
function firstKey(keys) {
  const pairs = keys.split(',').map((pair) => pair.trim()).filter(Boolean);
  const found = pairs.map((pair) => {
    const [id, secret, ...rest] = pair.split(':');
    return { id, secret, token: rest.length > 0 ? rest.join(':') : undefined };
  });
  const usable = found.find(({ token }) => token !== 'disabled');
  return usable ?? { id: 'testid', secret: 'testsecret', ...found[0], token: undefined };
}

/** The line that says where everything listens. */
function ready(child, log) {
  return new Promise((resolve, reject) => {
    let text = '';
    const said = () => readFileSync(log, 'utf8').slice(-4000);
    const over = setTimeout(() => reject(new Error(`localyun was not ready within ${PATIENCE_MS} ms:\n${said()}`)), PATIENCE_MS);
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (piece) => {
      text += piece;
      if (!text.includes('\n')) return;
      clearTimeout(over);
      resolve(JSON.parse(text.slice(0, text.indexOf('\n'))));
    });
    child.on('error', (error) => (clearTimeout(over), reject(error)));
    child.on('exit', () => (clearTimeout(over), reject(new Error(`localyun did not start:\n${said()}`))));
  });
}

/**
 * Starts a server on free ports, with a folder of its own that goes away with it. `settings` are those of `localyun serve`:
 * `start({ auth: 'off', clockStart: '2026-03-01T02:00:00Z' })`; one that is undefined or null is left out. End it by `stop()`, or write
 * `await using cloud = await start()`.
 */
async function start(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'localyun-'));
  const log = join(folder, 'localyun.log');
  const told = openSync(log, 'a');
  const env = environment({ ...LISTENERS, dataDir: join(folder, 'data'), ...present(settings) });
  const child = spawn(program(), ['serve'], { env, stdio: ['ignore', 'pipe', told] });
  closeSync(told);
  const ended = new Promise((resolve) => child.once('close', resolve));
  // A worker that ends early takes its server along.
  const abandoned = () => child.kill();
  process.once('exit', abandoned);
  const stop = async () => {
    process.off('exit', abandoned);
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(late);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const line = await ready(child, log);
    child.removeAllListeners('exit');
    const key = firstKey(env.LOCALYUN_ACCESS_KEYS ?? '');
    const cloud = new Cloud(line, { key, token: env.LOCALYUN_CONTROL_TOKEN, log, stop });
    if (env.LOCALYUN_OSS_ENDPOINT || env.LOCALYUN_OSS_PUBLIC_URL) {
      // The line knows the server's own store alone. A store that is away is told with a refusal.
      const told = await cloud.get('health').catch((refused) => refused.told);
      cloud.oss = told?.oss ?? cloud.oss;
    }
    return cloud;
  } catch (error) {
    await stop();
    throw error;
  }
}

module.exports = { program, start };
