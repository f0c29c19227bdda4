import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/cli/program';
import { RawPeer } from './raw-peer';
import { freePort } from './program';

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

test('zodb serve: serves databases by name, shows its status, and stops at a signal', async () => {
  const [port, status] = [await freePort(), await freePort()];
  const pidFile = join(directory, 'pid');
  const { done } = serve(
    `main=${join(directory, 'main.fs')}`,
    `other=sqlite:${join(directory, 'other.sqlite')}`,
    ...['--address', `127.0.0.1:${port}`, join(directory, 'socket')],
    ...['--status', `127.0.0.1:${status}`, '--pid-file', pidFile, '--transaction-timeout', '5'],
  );
  while (!existsSync(pidFile)) await new Promise((resolve) => setTimeout(resolve, 20));
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
  expect(await page('/health')).toBe('ok\n');
  expect((await fetch(`http://127.0.0.1:${status}/status`, { method: 'POST' })).status).toBe(405);
  process.emit('SIGTERM', 'SIGTERM');
  expect(await done).toBe(0);
  await peer.end();
  expect(existsSync(pidFile)).toBe(false);
});

test.each([
  [['memory:', '--address', 'nonsense'], 'is no ZEO address'],
  [['memory:', '--transaction-timeout', 'soon'], 'is no number'],
  [['memory:', '--tls-cert', 'x.pem'], 'TLS takes'],
  [['x=memory:', 'x=memory:'], 'Two databases have the name x'],
  [[], 'missing required argument'],
])('zodb serve %j is refused', async (args, message) => {
  const { done, errors } = serve(...args);
  expect(await done).not.toBe(0);
  expect(errors.join('')).toContain(message);
});
