import { createHash, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import * as zlib from 'node:zlib';
import { CorruptionError } from '../../errors';
import type { Progress } from '../steps';
import type { BackupFile } from './repository';

const CHUNK = 1 << 20;

/** Copies a range of a file to the end of another one, in steps; the MD5 of the bytes. */
export function* copyBytes(
  from: number,
  start: number,
  end: number,
  write: (chunk: Buffer) => void,
  hash: Hash = createHash('md5'),
): Generator<Progress, Hash, void> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let at = start; at < end;) {
    const count = fs.readSync(from, chunk, 0, Math.min(CHUNK, end - at), at);
    if (count === 0) throw new CorruptionError('A file became shorter while it was read.');
    hash.update(chunk.subarray(0, count));
    write(chunk.subarray(0, count));
    at += count;
    yield { phase: 'copy', done: at - start, total: end - start };
  }
  return hash;
}

/** Writes a file, compressed or not, and waits until it is on disk. */
export class BackupWriter {
  readonly #fd: number;
  readonly #compress: boolean;

  constructor(path: string, compress: boolean) {
    this.#fd = fs.openSync(path, 'wx');
    this.#compress = compress;
  }

  write(chunk: Buffer): void {
    // Gzip members one after another are one gzip file.
    fs.writeSync(this.#fd, this.#compress ? zlib.gzipSync(chunk) : chunk);
  }

  close(): void {
    fs.fsyncSync(this.#fd);
    fs.closeSync(this.#fd);
  }
}

/** The uncompressed content of a backup file, piece by piece. */
export function* readBackup(file: BackupFile): Generator<Buffer> {
  if (file.isCompressed) {
    // Gzip knows no random access, and Node no synchronous stream of it: an increment is read whole.
    const content = gunzip(file.path);
    for (let at = 0; at < content.length; at += CHUNK) yield content.subarray(at, at + CHUNK);
    return;
  }
  const fd = fs.openSync(file.path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      const count = fs.readSync(fd, chunk, 0, CHUNK, null);
      if (count === 0) return;
      yield chunk.subarray(0, count);
    }
  } finally {
    fs.closeSync(fd);
  }
}

function gunzip(path: string): Buffer {
  try {
    return zlib.gunzipSync(fs.readFileSync(path));
  } catch (cause) {
    throw new CorruptionError(`${path} is no whole gzip file: the backup is damaged.`, {
      code: 'BACKUP_DAMAGED',
      cause,
    });
  }
}
