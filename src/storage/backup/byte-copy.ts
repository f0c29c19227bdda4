import { createHash, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import * as zlib from 'node:zlib';
import * as path from 'node:path';
import { CorruptionError } from '../../errors';
import { tidFromBytes, type Tid } from '../../ids';
import { nodeFileSystem, writeFully } from '../file/file-system';
import { readNumber, TRANSACTION_HEADER } from '../file/format';
import { gunzipFile } from './gunzip';
import type { Progress } from '../steps';
import type { BackupFile } from './repository';

const CHUNK = 1 << 20;
/** How much of the end of a backup is kept to find its last transaction. */
const TAIL = 1 << 20;

/** Copies a range of a file to the end of another one, in steps; the MD5 of the bytes. */
export function* copyBytes(
  from: number,
  start: number,
  end: number,
  write: (chunk: Buffer) => void,
): Generator<Progress, Hash, void> {
  const hash = createHash('md5');
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

/**
 * Writes a file, compressed or not, under the name that it has until it is complete: with `.part` added. It is on disk after {@link end};
 * {@link discard} takes away what is not.
 */
export class BackupWriter {
  readonly #part: string;
  readonly #path: string;
  readonly #fd: number;
  readonly #compress: boolean;
  #position = 0;
  #open = true;

  constructor(path: string, compress: boolean) {
    this.#path = path;
    this.#part = `${path}.part`;
    // What a backup that was interrupted left is of no use.
    this.#fd = fs.openSync(this.#part, 'w');
    this.#compress = compress;
  }

  write(chunk: Buffer): void {
    // Gzip members one after another are one gzip file.
    const bytes = this.#compress ? zlib.gzipSync(chunk) : chunk;
    writeFully(nodeFileSystem, this.#fd, bytes, this.#position);
    this.#position += bytes.length;
  }

  /** All was written: it is to be on disk, still under its temporary name. */
  end(): void {
    fs.fsyncSync(this.#fd);
    this.#close();
  }

  /** Gives the file its name, also on disk. */
  publish(): void {
    fs.renameSync(this.#part, this.#path);
    nodeFileSystem.syncDirectory(path.dirname(path.resolve(this.#path)));
  }

  /** Removes what there is under the temporary name; to be called in any case. */
  discard(): void {
    this.#close();
    fs.rmSync(this.#part, { force: true });
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    fs.closeSync(this.#fd);
  }
}

/** The uncompressed content of a backup file, piece by piece. A piece is good until the next one. */
export function* readBackup(file: BackupFile): Generator<Buffer> {
  if (file.isCompressed) {
    yield* gunzipFile(file.path);
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

/** The tid of the last transaction in a backup file. `CorruptionError` when its end is that of no transaction. */
export function lastTidOf(file: BackupFile): Tid {
  let tail: Buffer = Buffer.alloc(0);
  let total = 0;
  for (const piece of readBackup(file)) {
    total += piece.length;
    tail = piece.length >= TAIL ? Buffer.from(piece.subarray(-TAIL)) : joinTail(tail, piece);
  }
  const length = tail.length < 8 ? 0 : readNumber(tail, tail.length - 8);
  const start = total - 8 - length;
  if (length < TRANSACTION_HEADER || start < 0) {
    throw new CorruptionError(`${file.path} does not end with a transaction: the backup is damaged.`, {
      code: 'BACKUP_DAMAGED',
    });
  }
  const inTail = tail.length - 8 - length;
  return tidFromBytes(inTail >= 0 ? tail.subarray(inTail) : rangeOf(file, start, 8), 0);
}

function joinTail(tail: Buffer, piece: Buffer): Buffer {
  return Buffer.concat([tail, piece]).subarray(-TAIL);
}

/** A few bytes out of the middle: of a transaction that is longer than what was kept. */
function rangeOf(file: BackupFile, start: number, length: number): Buffer {
  const found: Buffer[] = [];
  let at = 0;
  for (const piece of readBackup(file)) {
    const from = Math.max(start - at, 0);
    if (from < piece.length) found.push(Buffer.from(piece.subarray(from, start + length - at)));
    at += piece.length;
    if (at >= start + length) break;
  }
  return Buffer.concat(found);
}
