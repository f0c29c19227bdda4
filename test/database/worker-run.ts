/** Runs tasks of `worker.ts` in other processes or threads. */
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import type { Task, TaskResult } from './worker';

// Beside node_modules, so that the bundle finds better-sqlite3.
const cache = join(__dirname, '../../node_modules/.cache/zodb-tests');
let built: string | undefined;

function bundle(): string {
  if (built !== undefined) return built;
  const outfile = join(cache, `database-worker-${process.pid}.cjs`);
  mkdirSync(cache, { recursive: true });
  buildSync({
    entryPoints: [join(__dirname, 'worker.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    external: ['better-sqlite3', 'pg', 'lmdb', '@bokuweb/zstd-wasm'],
    logLevel: 'error',
  });
  process.once('exit', () => {
    rmSync(outfile, { force: true });
  });
  return (built = outfile);
}

export type Place = 'process' | 'thread';

/** Does a task elsewhere; rejects with what it wrote to stderr, or threw. */
export function elsewhere(place: Place, task: Task): Promise<TaskResult> {
  const file = bundle();
  return new Promise((resolve, reject) => {
    if (place === 'process') {
      execFile(process.execPath, [file, JSON.stringify(task)], (error, stdout, stderr) => {
        if (error) reject(new Error(stderr || error.message));
        else resolve(JSON.parse(stdout.trim().split('\n').at(-1)!) as TaskResult);
      });
    } else {
      const worker = new Worker(file, { workerData: { task } });
      worker.once('message', resolve);
      worker.once('error', reject);
    }
  });
}
