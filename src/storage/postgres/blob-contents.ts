/** Contents of blobs: stored in pieces, read into a file of this machine, so that an open blob outlives a pack. */
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { POSKeyError, ReadConflictError } from '../../errors';
import { formatTid, type Oid, type Tid } from '../../ids';
import { newWorkingFile } from '../blob-working-files';
import type { BlobReader, BlobSource } from '../interfaces';
import { oidParameter } from './rows';
import { CHUNK, type Schema } from './schema';
import type { ServerWork, Statement } from './server';
import { Channel, type Place } from './server-worker';

/** Stores a content in the transaction under way; its number. */
export function* storeContent(
  { blob, blobChunk }: Schema,
  source: BlobSource,
  place: Place,
): ServerWork<string> {
  const inside = (text: string, values: readonly unknown[]): Statement => ({
    channel: Channel.commit,
    place,
    text,
    values,
    isGiven: true,
  });
  const pieces = openSource(source);
  try {
    const rows = yield inside(`INSERT INTO ${blob} (size) VALUES ($1) RETURNING id`, [pieces.size]);
    rows.next();
    const id = rows.text()!;
    for (let number = 0, at = 0; at < pieces.size; number++) {
      const piece = pieces.read(at);
      // It is handed over.
      const { length } = piece;
      yield inside(`INSERT INTO ${blobChunk} VALUES ($1, $2, $3)`, [id, number, piece]);
      at += length;
    }
    return id;
  } finally {
    pieces.close();
  }
}

interface Pieces {
  readonly size: number;
  read(at: number): Uint8Array;
  close(): void;
}

function openSource(source: BlobSource): Pieces {
  if (source instanceof Uint8Array) {
    return { size: source.length, read: (at) => source.subarray(at, at + CHUNK), close: () => undefined };
  }
  const file = openSync(source.path, 'r');
  const { size } = fstatSync(file);
  return {
    size,
    read(at) {
      const bytes = Buffer.alloc(Math.min(CHUNK, size - at));
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, at));
    },
    close: () => closeSync(file),
  };
}

/** Takes a content over until it is stored: whoever gave it may go on with it. A file is kept in `directory`. */
export function takeSource(source: BlobSource, directory: string): BlobSource {
  if (source instanceof Uint8Array) return Uint8Array.from(source);
  const path = newWorkingFile(directory);
  if (!source.consume) copyFileSync(source.path, path, constants.COPYFILE_FICLONE);
  else {
    try {
      renameSync(source.path, path);
    } catch {
      // Another file system.
      copyFileSync(source.path, path);
      rmSync(source.path);
    }
  }
  return { path, consume: true };
}

/** The content is stored, or is not going to be. */
export function dropSource(source: BlobSource): void {
  if (!(source instanceof Uint8Array)) rmSync(source.path, { force: true });
}

/** Reads the content of a revision into a file in `directory`. `POSKeyError` when it has none. */
export function* fetchContent(
  { revision, blob, blobChunk }: Schema,
  oid: Oid,
  serial: Tid,
  directory: string,
): ServerWork<BlobReader> {
  const found = yield read(
    `SELECT r.blob, b.size FROM ${revision} AS r LEFT JOIN ${blob} AS b ON b.id = r.blob WHERE r.oid = $1 AND r.tid = $2`,
    [oidParameter(oid), serial],
  );
  const id = found.next() ? found.text() : null;
  if (id === null) throw new POSKeyError(oid, `No blob was written at ${formatTid(serial)}.`);
  const size = found.number();
  const path = newWorkingFile(directory);
  const file = openSync(path, 'wx+', 0o600);
  // Nobody else needs its name, and it is gone with the last that reads it.
  rmSync(path);
  try {
    for (let number = 0, at = 0; at < size; number++) {
      const rows = yield read(`SELECT data FROM ${blobChunk} WHERE blob = $1 AND number = $2`, [id, number]);
      const data = rows.next() ? rows.bytes() : null;
      // A pack may remove it while it is fetched.
      if (data === null || data.length === 0) {
        throw new ReadConflictError('The blob was packed while it was read. Run the transaction again.', {
          oid,
        });
      }
      for (let done = 0; done < data.length;) done += writeSync(file, data, done);
      at += data.length;
    }
    return new FileReader(file);
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function read(text: string, values: readonly unknown[]): Statement {
  return { channel: Channel.read, text, values };
}

class FileReader implements BlobReader {
  readonly size: number;
  #file: number | undefined;

  constructor(file: number) {
    this.#file = file;
    this.size = fstatSync(file).size;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    return readSync(this.#file!, target, offset, Math.min(length, target.length - offset), position);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
