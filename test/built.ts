/** For tests of whole programs, which import the package by its name: that is the build. */
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockError } from '../src/errors';
import { lockFile, type FileLock } from '../src/storage/file/lock-file';

const root = join(__dirname, '..');

/** Brings the build up to date. Test files run at the same time: none may write it while the programs of another read it. */
export async function ensureBuilt(): Promise<void> {
  const lock = await locked(join(root, 'node_modules', 'zodb-build'));
  try {
    if (isFresh()) return;
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, encoding: 'utf8' });
  } finally {
    lock.release();
  }
}

/** Whether nothing among the sources, their folders included, is younger than the build. */
function isFresh(): boolean {
  const built = statSync(join(root, 'dist', 'index.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = readdirSync(join(root, 'src'), { recursive: true }) as string[];
  return ['.', ...sources].every((name) => statSync(join(root, 'src', name)).mtimeMs < built);
}

async function locked(path: string): Promise<FileLock> {
  for (;;) {
    try {
      return lockFile(path);
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
      await sleep(100);
    }
  }
}
