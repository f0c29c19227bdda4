import * as fs from 'node:fs';

/**
 * The calls by which a File storage touches the disk. They exist as an interface so that tests can let any one of them fail
 * (disk full, EIO), cut it short, or drop what was not synced; everything else uses {@link nodeFileSystem}.
 */
export interface FileSystem {
  /** `flags` as of `fs.openSync`. */
  open(path: string, flags: string): number;
  close(fd: number): void;
  /** Reads up to `length` bytes; the number read. */
  read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number;
  /** Writes up to `length` bytes; the number written. */
  write(fd: number, source: Uint8Array, offset: number, length: number, position: number): number;
  truncate(fd: number, length: number): void;
  /** Waits until the content, and the length, of the file are on disk. */
  sync(fd: number): void;
  /** Waits until the entries of a directory are on disk: after a file was created or renamed in it. */
  syncDirectory(path: string): void;
  /** Length of the file; -1 when there is none. */
  size(path: string): number;
  sizeOf(fd: number): number;
  /** Tells files apart, whatever their names; `undefined` when there is none. */
  identity(path: string): string | undefined;
  identityOf(fd: number): string;
  rename(from: string, to: string): void;
  /** Removes a file; nothing happens when there is none. */
  remove(path: string): void;
}

// Taken out once: a load is little more than one call of `readSync`, and looking that up each time is measurable.
const { readSync, writeSync } = fs;

/** The file system of Node. */
export const nodeFileSystem: FileSystem = {
  open: (path, flags) => fs.openSync(path, flags),
  close: (fd) => fs.closeSync(fd),
  read: (fd, target, offset, length, position) => readSync(fd, target, offset, length, position),
  write: (fd, source, offset, length, position) => writeSync(fd, source, offset, length, position),
  truncate: (fd, length) => fs.ftruncateSync(fd, length),
  sync: (fd) => fs.fdatasyncSync(fd),
  syncDirectory(path) {
    // Windows can't open a directory; there a rename is on disk with its own journal.
    if (process.platform === 'win32') return;
    const fd = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
  size: (path) => fs.statSync(path, { throwIfNoEntry: false })?.size ?? -1,
  sizeOf: (fd) => fs.fstatSync(fd).size,
  identity(path) {
    const stats = fs.statSync(path, { throwIfNoEntry: false });
    return stats && identityIn(stats);
  },
  identityOf: (fd) => identityIn(fs.fstatSync(fd)),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { force: true }),
};

function identityIn({ dev, ino }: fs.Stats): string {
  return `${dev}:${ino}`;
}

/** Writes all of `bytes`, in as many calls as it takes. */
export function writeFully(system: FileSystem, fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += system.write(fd, bytes, done, bytes.length - done, position + done);
}

/** Reads up to `length` bytes, fewer only at the end of the file; the number read. */
export function readFully(
  system: FileSystem,
  fd: number,
  target: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  let done = 0;
  while (done < length) {
    const count = system.read(fd, target, offset + done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
