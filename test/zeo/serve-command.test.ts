import { buildSync } from 'esbuild';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/cli/program';
import { RawPeer } from './raw-peer';
import { freePort } from './program';
import { until } from './until';

const directory = mkdtempSync(join(tmpdir(), 'zodb-serve-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function serve(...args: string[]): { done: Promise<number>; errors: string[] } {
  const errors: string[] = [];
  const done = runCommand(['serve', '--log-level', 'silent', ...args], {
    env: {},
    isTerminal: false,
    out: () => undefined,
    err: (text) => void errors.push(text),
  });
  return { done, errors };
}

/** Waits for the file that says that the server listens. */
const listening = (pidFile: string): Promise<void> =>
  until(() => existsSync(pidFile), 'the start of the server');

test('zodb serve: serves databases by name, shows its status, and stops at a signal', async () => {
  const [port, status] = [await freePort(), await freePort()];
  const pidFile = join(directory, 'pid');
  const { done } = serve(
    ...['--address', `127.0.0.1:${port}`, '-a', join(directory, 'socket')],
    `main=${join(directory, 'main.fs')}`,
    `other=sqlite:${join(directory, 'other.sqlite')}`,
    ...['--status', `127.0.0.1:${status}`, '--pid-file', pidFile, '--transaction-timeout', '5'],
  );
  await listening(pidFile);
  expect(readFileSync(pidFile, 'utf8')).toBe(`${process.pid}\n`);
  const peer = await new RawPeer(port, 'M').register('other');
  const page = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${status}${path}`)).text();
  const state = JSON.parse(await page('/status')) as Record<string, Record<string, unknown>>;
  expect(Object.keys(state)).toEqual(['main', 'other']);
  expect(state.other).toMatchObject({ connections: 1, commits: 0, 'timeout-thread-is-alive': true });
  const metrics = await page('/metrics');
  expect(metrics).toContain('zeo_connections{storage="other"} 1');
  expect(metrics).toContain('# TYPE zeo_commits_total counter');
  expect(metrics).toMatch(/^process_resident_memory_bytes \d+$/m);
  expect(metrics).toMatch(/^zeo_open_sockets 1$/m);
  expect(await page('/health')).toBe('ok\n');
  expect((await fetch(`http://127.0.0.1:${status}/status`, { method: 'POST' })).status).toBe(405);
  process.emit('SIGTERM', 'SIGTERM');
  expect(await done).toBe(0);
  await peer.end();
  expect(existsSync(pidFile)).toBe(false);
});

test.each([
  [['memory:', '--address', 'nonsense'], 'is no ZEO address'],
  [['memory:', '--status', '/run/status.sock'], '--status takes host:port or a port, not /run/status.sock'],
  [['memory:', '--log-level', 'loud'], 'Allowed choices are trace, debug'],
  [['memory:', '--transaction-timeout', 'soon'], 'is no number'],
  [['memory:', '--tls-cert', 'x.pem'], 'TLS takes'],
  [
    ['memory:', '--tls-cert', __filename, '--tls-key', __filename, '--tls-ca', __filename],
    'must be PEM files',
  ],
  [['memory:', '--tls-cert', 'no.pem', '--tls-key', 'no.pem', '--tls-ca', 'no.pem'], 'no such file'],
  [['x=memory:', 'x=memory:'], 'Two databases have the name x'],
  [[], 'missing required argument'],
])('zodb serve %j is refused', async (args, message) => {
  const { done, errors } = serve(...args);
  expect(await done).not.toBe(0);
  expect(errors.join('')).toContain(message);
});

test('zodb serve: an address in use ends it, and what it had opened is free again', async () => {
  const taken = createServer();
  const [free, port] = [await freePort(), await freePort()];
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
  const database = join(directory, 'again.fs');
  const { done, errors } = serve(database, '-a', `127.0.0.1:${free}`, '-a', `127.0.0.1:${port}`);
  expect(await done).toBe(1);
  expect(errors.join('')).toContain('EADDRINUSE');
  await new Promise((resolve) => taken.close(resolve));
  const pidFile = join(directory, 'again.pid');
  const second = serve(
    database,
    ...['-a', `127.0.0.1:${free}`, '-a', `127.0.0.1:${port}`],
    ...['--pid-file', pidFile],
  );
  await listening(pidFile);
  process.emit('SIGTERM', 'SIGTERM');
  expect(await second.done).toBe(0);
});

test('zodb serve --no-create refuses a database that is not there', async () => {
  const database = join(directory, 'mistyped.fs');
  const { done, errors } = serve(database, '--no-create', '--address', `127.0.0.1:${await freePort()}`);
  expect(await done).toBe(1);
  expect(errors.join('')).toContain('There is no database');
  expect(existsSync(database)).toBe(false);
});

test('zodb serve --shared-blobs takes blobs that clients put into its directory', async () => {
  const port = await freePort();
  const pidFile = join(directory, 'shared.pid');
  const { done } = serve(
    join(directory, 'shared.fs'),
    ...['--shared-blobs', '--address', `127.0.0.1:${port}`, '--pid-file', pidFile],
  );
  await listening(pidFile);
  const root = readdirSync(directory).find((name) => name.startsWith('shared.fs.') && /blob/.test(name))!;
  const place = join(directory, root, ...Array<string>(7).fill('0x00'), '0x05');
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'upload.tmp-'), 'its content');
  const oid = Buffer.from('0000000000000005', 'hex');
  const data = Buffer.from('\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N.', 'latin1');
  const peer = await new RawPeer(port).register();
  peer.oneWay('tpc_begin', 1, Buffer.alloc(0), Buffer.alloc(0), new Map(), null, ' ');
  peer.oneWay('storeBlobShared', oid, Buffer.alloc(8), data, 'upload.tmp-', 1);
  expect((await peer.call('vote', 1)).flag).toBe(0);
  const tid = Buffer.from((await peer.call('tpc_finish', 1)).args as Uint8Array).toString('hex');
  expect(readdirSync(place)).toEqual([`0x${tid}.blob`]);
  expect(readFileSync(join(place, `0x${tid}.blob`), 'utf8')).toBe('its content');
  peer.destroy();
  process.emit('SIGTERM', 'SIGTERM');
  expect(await done).toBe(0);
});

test('zodb serve --shared-blobs is refused where there is no such directory', async () => {
  const { done, errors } = serve('memory:', '--shared-blobs', '--address', `127.0.0.1:${await freePort()}`);
  expect(await done).toBe(1);
  expect(errors.join('')).toContain('no blob directory that clients could share');
});

test('zodb serve as a process: says what it does in lines of JSON, and ends with 0 at a signal', async () => {
  const program = join(__dirname, '../../node_modules/.cache', `zodb-serve-${process.pid}.cjs`);
  buildSync({
    entryPoints: [join(__dirname, '../../src/cli/main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    outfile: program,
    external: ['better-sqlite3', '@bokuweb/zstd-wasm', 'pino'],
    logLevel: 'error',
  });
  const database = join(directory, 'process.fs');
  const child = spawn(process.execPath, [program, 'serve', database, '-a', `127.0.0.1:${await freePort()}`]);
  try {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      const listened = text.includes('listening');
      text += part;
      if (!listened && text.includes('listening')) child.kill('SIGTERM');
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      [40, 'there was no such database; a new one was made'],
      [30, 'listening'],
      [30, 'stopping'],
      [30, 'stopped'],
    ]);
    expect(lines[0]).toMatchObject({ storage: '1', database });
    expect(lines[2]).toMatchObject({ signal: 'SIGTERM', connections: 0 });
    expect(code).toBe(0);
  } finally {
    child.kill('SIGKILL');
    rmSync(program, { force: true });
  }
});
