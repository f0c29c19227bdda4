/** The sample as real programs: a server, a reader that is notified, writers, and a Python program where there is one. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ensureBuilt } from '../built';
import { whatZeoLacks } from '../live/zeo-python';
import { freePort } from './program';

const programs: ChildProcess[] = [];

function program(name: string, ...args: string[]): ChildProcess {
  const child = spawn(
    process.execPath,
    ['node_modules/ts-node/dist/bin.js', `samples/shared-board/${name}`, ...args],
    {
      stdio: ['ignore', 'pipe', args.length > 0 ? 'inherit' : 'ignore'],
    },
  );
  programs.push(child);
  return child;
}

function lines(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
}

function ended(child: ChildProcess): Promise<number | null> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((resolve) => child.once('exit', resolve));
}

beforeAll(ensureBuilt, 900_000);

afterAll(() => {
  for (const child of programs) child.kill('SIGKILL');
});

test('programs pin notes to one board, and the reader prints each as it comes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-board-'));
  const [file, port] = [join(directory, 'board.sqlite'), String(await freePort())];
  const server = program('server.ts', file, port);
  const address = (await lines(server).next()).value as string;
  expect(address).toBe(`127.0.0.1:${port}`);
  expect(await ended(program('writer.ts', address, 'ann', 'first'))).toBe(0);
  const withPython = whatZeoLacks() === undefined;
  const reader = program('reader.ts', address, withPython ? '6' : '5');
  const printed = lines(reader);
  expect((await printed.next()).value).toBe('ann: first');
  const codes = await Promise.all(
    [
      program('writer.ts', address, 'ben', 'second', 'third'),
      program('writer.ts', address, 'cec', 'fourth'),
    ].map(ended),
  );
  expect(codes).toEqual([0, 0]);
  const others = [await printed.next(), await printed.next(), await printed.next()].map(
    ({ value }) => value as string,
  );
  expect(others.filter((line) => line.startsWith('ben'))).toEqual(['ben: second', 'ben: third']);
  expect(others).toContain('cec: fourth');
  if (withPython) {
    execFileSync(process.env.PYTHON ?? '/usr/bin/python3', [
      'samples/shared-board/pin.py',
      address,
      'from afar',
    ]);
    expect((await printed.next()).value).toBe('Python: from afar');
  }
  server.kill('SIGTERM');
  expect(await ended(server)).toBe(0);
  const again = program('server.ts', file, port);
  expect((await lines(again).next()).value).toBe(address);
  expect(await ended(program('writer.ts', address, 'dan', 'after the break'))).toBe(0);
  expect((await printed.next()).value).toBe('dan: after the break');
  expect(await ended(reader)).toBe(0);
  again.kill('SIGINT');
  expect(await ended(again)).toBe(0);
  rmSync(directory, { recursive: true });
}, 600_000);

test('a program that is called wrongly says how to', async () => {
  for (const name of ['writer.ts', 'reader.ts']) expect(await ended(program(name))).toBe(2);
});
