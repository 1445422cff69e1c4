// The kit's promises: a clean cloud for each test, told reasons, a server that goes away.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, vi } from 'vitest';
import { program, Refused, start, TimedOut } from 'localyun';
import { test } from 'localyun/vitest';

describe.each([1, 2, 3, 4, 5, 6])('test %i', () => {
  test('has a clean cloud', async ({ localyun, callbackSink }) => {
    expect(await localyun.recordings()).toEqual([]);
    expect(await callbackSink.requests()).toEqual([]);
    await localyun.record({ notifyUrl: callbackSink.url });
    await localyun.publish('s1', { seconds: 5 });
    await localyun.advance(181);
    expect((await localyun.waitForFile('s1')).format).toBe('mp4');
    expect(await localyun.recordings({ stream: 's1' })).toHaveLength(1);
    expect(await callbackSink.wait({ count: 3 })).toHaveLength(3);
  });
});

test('a file that cannot come is told with the reason', async ({ localyun }) => {
  const waiting = localyun.waitForFile('s1', { timeoutMs: 100 });
  await expect(waiting).rejects.toThrow(TimedOut);
  await expect(waiting).rejects.toThrow(/no recording rule.*AddLiveAppRecordConfig/);
});

test('a refusal has the code of the product', async ({ localyun }) => {
  const call = localyun.call('DescribeLiveRecordConfig');
  await expect(call).rejects.toThrow(Refused);
  await expect(call).rejects.toThrow(/400: MissingDomainName/);
});

test('a sink answers as it is told', async ({ callbackSink }) => {
  await callbackSink.answer({ status: 503, body: { no: true } });
  const answer = await fetch(callbackSink.url, { method: 'POST', body: '{"a":1}' });
  expect([answer.status, await answer.json()]).toEqual([503, { no: true }]);
  expect(await callbackSink.wait({ fields: { a: 1 } })).toEqual([{ a: 1 }]);
});

test.for(['testid:testsecret', 'a1:s1:t1'])('variables are those of localyun env: %s', async (accessKeys) => {
  const cloud = await start({ accessKeys });
  const env = { ...process.env, LOCALYUN_ACCESS_KEYS: accessKeys };
  const lines = execFileSync(program(), ['env', '--shell', 'bash', '--endpoint', cloud.url], { encoding: 'utf8', env }).split('\n');
  const told = lines.map((line) => /^export (\w+)='(.*)'$/.exec(line)).filter(Boolean);
  expect(cloud.env).toEqual(Object.fromEntries(told.map(([, name, value]) => [name, value])));
  await cloud.stop();
});

test('a server of its own has settings, and goes away', async () => {
  const cloud = await start({ clockStart: '2026-03-01T02:00:00Z', controlToken: 't0ken', accessKeys: 'a1:s1' });
  expect((await cloud.clock()).now).toMatch(/^2026-03-01T02:00/);
  await cloud.record();
  await cloud.stop();
  expect(existsSync(dirname(cloud.log))).toBe(false);
  expect(() => process.kill(cloud.ready.pid, 0)).toThrow();
});

test.for([
  ['a1:s1:t1', 'a1', 's1', 't1'],
  ['a1:s1:t1:2,b:c', 'a1', 's1', 't1:2'],
  ['old:x:disabled, new:y', 'new', 'y', undefined],
  ['', 'testid', 'testsecret', undefined],
])('the first key that is not disabled signs: %s', async ([accessKeys, ...used]) => {
  const cloud = await start({ accessKeys });
  expect([cloud.keyId, cloud.keySecret, cloud.securityToken]).toEqual(used);
  expect(cloud.config.securityToken).toBe(used[2]);
  await cloud.record();
  await cloud.stop();
});

test('where every key is disabled the refusal says so', async () => {
  const cloud = await start({ accessKeys: 'old:x:disabled' });
  await expect(cloud.record()).rejects.toThrow(/InvalidAccessKeyId\.Inactive/);
  await cloud.stop();
});

test('a token of the test goes before that of the key', async () => {
  const cloud = await start({ accessKeys: 'a1:s1:t1' });
  const call = cloud.call('DescribeLiveRecordConfig', { DomainName: 'play.example.com', SecurityToken: 'another' });
  await expect(call).rejects.toThrow(/InvalidSecurityToken/);
  await cloud.stop();
});

test('a setting that is undefined or null is left out', async () => {
  const cloud = await start({ controlToken: undefined, accessKeys: null, apiAddr: undefined });
  await cloud.record();
  await cloud.reset();
  // The kit's own choice, and not the port that `serve` takes by itself.
  expect(cloud.endpoint).not.toMatch(/:8080$/);
  await cloud.stop();
});

describe('fake timers', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('stop neither a call nor a wait', async ({ localyun, callbackSink }) => {
    await localyun.call('DescribeLiveRecordConfig', { DomainName: 'play.example.com' });
    await expect(localyun.waitFor('file', { timeoutMs: 100 })).rejects.toThrow(TimedOut);
    await expect(localyun.waitForFile('s1', { timeoutMs: 100 })).rejects.toThrow(TimedOut);
    await expect(callbackSink.wait({ timeoutMs: 100 })).rejects.toThrow(TimedOut);
  });

  test('that are run to their end leave a server its time to start', async () => {
    const starting = start();
    await vi.runAllTimersAsync();
    const cloud = await starting;
    await cloud.stop();
  });
});

test('a fetch of the test gets nothing that is for the server', async ({ localyun }) => {
  vi.stubGlobal('fetch', () => Promise.reject(new Error('not for this')));
  try {
    await localyun.record();
    await localyun.publish('s1', { seconds: 5 });
    await localyun.advance(181);
    expect((await (await localyun.waitForFile('s1')).read()).subarray(4, 8).toString()).toBe('ftyp');
  } finally {
    vi.unstubAllGlobals();
  }
});

test('a proxy of the environment gets nothing that is for the server', () => {
  const proxy = 'http://127.0.0.1:9';
  // Versions of Node that do not know the switch ask no proxy anyway.
  const env = { ...process.env, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: '', no_proxy: '' };
  const script = "require('localyun').start().then((cloud) => cloud.record().finally(() => cloud.stop()))";
  execFileSync(process.execPath, ['-e', script], { cwd: dirname(fileURLToPath(import.meta.url)), env, timeout: 20_000 });
}, 30_000);

describe('npx localyun', () => {
  const wrapper = join(dirname(createRequire(import.meta.url).resolve('localyun/package.json')), 'bin/localyun.js');
  const folder = mkdtempSync(join(tmpdir(), 'localyun-'));
  const counting = join(folder, 'counting');
  const env = { ...process.env, LOCALYUN_BIN: counting };
  beforeAll(() => {
    // In the place of the program: it tells each SIGINT and ends with 7 by SIGTERM.
    const script = [
      "process.on('SIGINT', () => console.log('SIGINT'));",
      "process.on('SIGTERM', () => process.exit(7));",
      'setInterval(() => {}, 1000);',
      "console.log('ready');",
    ];
    writeFileSync(counting, [`#!${process.execPath}`, ...script, ''].join('\n'), { mode: 0o755 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('hands on a signal once, and exits as its child does', async () => {
    const wrapped = spawn(process.execPath, [wrapper], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    wrapped.stdout.on('data', (piece) => (said += piece));
    const ended = new Promise((resolve) => wrapped.on('close', resolve));
    await vi.waitUntil(() => said.includes('ready'), { timeout: 5_000 });
    wrapped.kill('SIGINT');
    await pause(50);
    wrapped.kill('SIGINT');
    await pause(1_000);
    expect(said.split('SIGINT')).toHaveLength(2);
    // What comes later is a wish of its own.
    wrapped.kill('SIGINT');
    await vi.waitUntil(() => said.split('SIGINT').length === 3, { timeout: 5_000 });
    wrapped.kill('SIGTERM');
    expect(await ended).toBe(7);
  }, 20_000);

  test('leaves it to a terminal to tell its child of Ctrl-C', () => {
    // Ctrl-C, and what npm hands on beside it.
    const script = `
import os, pty, signal, sys, time
wrapper, terminal = pty.fork()
if wrapper == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
def read():
    global said
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        piece = b""
    said += piece
    return piece
while b"ready" not in said and read():
    pass
os.write(terminal, b"\\x03")
time.sleep(0.1)
os.kill(wrapper, signal.SIGINT)
time.sleep(0.3)
os.kill(wrapper, signal.SIGTERM)
while read():
    pass
print(said.count(b"SIGINT"), os.waitstatus_to_exitcode(os.waitpid(wrapper, 0)[1]))
`;
    const said = execFileSync('python3', ['-c', script, process.execPath, wrapper], { encoding: 'utf8', env, timeout: 15_000 });
    expect(said.trim()).toBe('1 7');
  }, 20_000);
});

test('another store is told as it is reached', async () => {
  const cloud = await start({ ossPublicUrl: 'http://store.example.com:9000' });
  expect(cloud.env.OSS_ENDPOINT).toBe('http://store.example.com:9000');
  await cloud.stop();
});

test('a server that cannot start says why', async () => {
  await expect(start({ apiAddr: 'nowhere' })).rejects.toThrow(/API_ADDR/);
});
