/**
 * The lock that keeps two programs from writing one `Data.fs`: `flock` on `Data.fs.lock`, as `zc.lockfile` takes it for Python's
 * ZODB. The file holds the owner's process id as text, a space before and a newline after it.
 *
 * Node has no call for `flock`, but a lock belongs to the open file, not to the process that asked for it: a
 * program that is handed our descriptor can take the lock for us and end, and the lock stays until the descriptor is
 * closed, or the process is gone. The `flock` program (util-linux) does that, and so does Perl. Where
 * there is neither, a second file, made exclusively, keeps other programs of this package out, though not Python's.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { LockError } from '../../errors';

/** Exit status that the locking programs use for "somebody else has it". */
const TAKEN = 75;

const PERL = `use Fcntl ":flock"; open(my $f, "+<&=", 3) or exit 1; exit(flock($f, LOCK_EX | LOCK_NB) ? 0 : ${TAKEN})`;

/** Programs that can lock descriptor 3, in the order they are tried. */
export const LOCKERS: readonly (readonly [program: string, ...args: string[]])[] = [
  ['flock', '--exclusive', '--nonblock', '--conflict-exit-code', String(TAKEN), '3'],
  // BusyBox knows short options only, and ends with 1 when the lock is taken.
  ['flock', '-x', '-n', '3'],
  ['perl', '-e', PERL],
];

/** A lock that is held. */
export interface FileLock {
  /** How it was taken: the program that did it, or `'file'` where Python would not notice it. */
  readonly by: string;
  release(): void;
}

/**
 * Takes the lock of a database file. `LockError` when somebody else has it.
 * @param lockers replaces the programs that are tried
 */
export function lockFile(path: string, lockers = LOCKERS): FileLock {
  const lockPath = `${path}.lock`;
  const fd = fs.openSync(lockPath, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o666);
  try {
    for (const [program, ...args] of lockers) {
      const { error, status } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'ignore', fd] });
      if (error !== undefined) continue;
      if (status === TAKEN || (status === 1 && program === 'flock')) throw taken(path, fd);
      if (status !== 0) continue;
      writeOwner(fd);
      return { by: program, release: once(() => fs.closeSync(fd)) };
    }
    const remove = lockByFile(path);
    writeOwner(fd);
    return {
      by: 'file',
      release: once(() => {
        remove();
        fs.closeSync(fd);
      }),
    };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function writeOwner(fd: number): void {
  fs.ftruncateSync(fd);
  fs.writeSync(fd, ` ${process.pid}\n`, 0);
}

function taken(path: string, fd: number): LockError {
  const text = Buffer.alloc(64);
  const owner = text.toString('latin1', 0, fs.readSync(fd, text, 0, 64, 0)).trim();
  const who = /^\d+$/.test(owner) ? `process ${owner}` : 'another process';
  return new LockError(
    `${path} is open for writing in ${who} (its lock file is ${path}.lock). Close it there, open it here read-only, ` +
      'or share it through a ZEO server.',
  );
}

/** The way without `flock`: a file that only one can make, and that a dead owner's successor may replace. */
function lockByFile(path: string): () => void {
  const ownerPath = `${path}.lock.owner`;
  for (;;) {
    try {
      fs.writeFileSync(ownerPath, String(process.pid), { flag: 'wx' });
      return () => fs.rmSync(ownerPath, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(fs.readFileSync(ownerPath, 'utf8'));
    if (owner !== process.pid && !isAlive(owner)) {
      fs.rmSync(ownerPath, { force: true });
      continue;
    }
    throw new LockError(
      `${path} is open for writing in process ${owner} (${ownerPath} says so). Close it there, or open it here read-only.`,
    );
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
