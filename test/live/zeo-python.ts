import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

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
  readonly directory: string;
  stop(): void;
}

/** Starts a server with `count` empty storages, `1` to `count`. */
export async function startPythonServer(count: number, ...options: string[]): Promise<PythonServer> {
  const directory = mkdtempSync(join(tmpdir(), 'zodb-zeo-python-'));
  const script = join(__dirname, 'zeo_python_server.py');
  const child = spawn(python, [script, directory, String(count), 'client', ...options], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const port = Number(await firstLine(child));
  return {
    port,
    directory,
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

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`Python's server ended with ${code}`)));
    createInterface({ input: child.stdout! }).once('line', resolve);
  });
}
