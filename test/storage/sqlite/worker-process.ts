import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import type { Task } from './worker';

// Beside node_modules, so that the bundle finds better-sqlite3.
const cache = join(__dirname, '../../../node_modules/.cache/zodb-tests');
const bundle = join(cache, `storage-worker-${process.pid}.cjs`);
let isBuilt = false;

/** Path of the bundled worker.ts. */
export function workerBundle(): string {
  if (!isBuilt) {
    mkdirSync(cache, { recursive: true });
    buildSync({
      entryPoints: [join(__dirname, 'worker.ts')],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      target: 'node20',
      external: ['better-sqlite3'],
    });
    isBuilt = true;
    process.once('exit', () => rmSync(bundle, { force: true }));
  }
  return bundle;
}

/** Another process at work on a database. */
export class Worker {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly exited: Promise<number | null>;
  errors = '';
  #rest = '';
  #waiting: (() => void)[] = [];
  #isGone = false;

  constructor(task: Task, command: string[] = []) {
    const [program, ...args] = [...command, process.execPath, workerBundle(), JSON.stringify(task)];
    this.process = spawn(program!, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.process.stdout!.on('data', (data: Buffer) => {
      const parts = (this.#rest + data.toString()).split('\n');
      this.#rest = parts.pop()!;
      this.lines.push(...parts);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.process.stderr!.on('data', (data: Buffer) => (this.errors += data.toString()));
    this.exited = new Promise((resolve) =>
      this.process.once('close', (code) => {
        this.#isGone = true;
        for (const wake of this.#waiting.splice(0)) wake();
        resolve(code);
      }),
    );
  }

  /** Waits until so many lines have come, and returns the last of them. */
  async line(count: number): Promise<string> {
    while (this.lines.length < count) {
      if (this.#isGone) throw new Error(`The worker ended early: ${this.errors}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.lines[count - 1]!;
  }

  /** Waits for its own end; its output. */
  async done(): Promise<string[]> {
    const code = await this.exited;
    if (code !== 0) throw new Error(`The worker failed (${code}): ${this.errors}`);
    return this.lines;
  }

  async kill(): Promise<void> {
    // With all that it started: it leads a group of its own.
    if (this.#isGone) throw new Error(`The worker ended early: ${this.errors}`);
    process.kill(-this.process.pid!, 'SIGKILL');
    await this.exited;
  }
}
