import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PATIENCE } from '../zeo/until';

const python = process.env.PYTHON ?? '/usr/bin/python3';

/** Why Python's ZEO can't be used here; `undefined` when it can. */
export function whatZeoLacks(): string | undefined {
  try {
    execFileSync(python, ['-c', 'import ZEO.StorageServer, ZEO.ClientStorage'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const text = String((error as { stderr?: Buffer }).stderr ?? error);
    return text.trim().split('\n').at(-1) ?? 'ZEO can not be imported';
  }
}

/** A running server of Python's. */
export interface PythonServer {
  readonly port: number;
  stop(): void;
}

/** Starts a server with `count` empty storages, `1` to `count`, and blocks until it listens. */
export function startPythonServerNow(count: number, ...options: string[]): PythonServer {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-python-'));
  const output = join(directory, 'output');
  const script = join(__dirname, 'zeo_python_server.py');
  const child = spawn(python, [script, directory, String(count), 'client', ...options], {
    stdio: ['ignore', openSync(output, 'w'), 'ignore'],
  });
  const signal = new Int32Array(new SharedArrayBuffer(4));
  const end = Date.now() + PATIENCE;
  let port = 0;
  while (port === 0 && Date.now() < end) {
    Atomics.wait(signal, 0, 0, 50);
    port = Number(/^(\d+)\n/.exec(readFileSync(output, 'utf8'))?.[1] ?? 0);
  }
  if (port === 0) throw new Error("Python's ZEO server did not start");
  return {
    port,
    stop() {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs a Python program to its end and returns what it printed. */
export function runPython(program: string, ...args: string[]): string {
  return execFileSync(python, ['-c', program, ...args], { encoding: 'utf8' });
}

/** Runs a Python program beside this one; resolves with what it printed. */
export async function startPython(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python, ['-c', program, ...args], { encoding: 'utf8' });
  return stdout;
}
