import * as fs from 'node:fs';
import * as path from 'node:path';
import { randomBytes } from 'node:crypto';
import { StorageTransactionError } from '../../errors';
import type { BlobReader } from '../../storage/index';

/** Bytes of a blob in one message; Python's number. */
export const BLOB_CHUNK = 59_000;

/** A blob on its way from a client, in a file that the storage can take over. */
export class BlobUpload {
  readonly path: string;
  readonly #descriptor: number;
  #size = 0;
  #open = true;

  constructor(directory: string) {
    this.path = path.join(directory, `zeo-${process.pid}-${randomBytes(8).toString('hex')}.tmp`);
    this.#descriptor = fs.openSync(this.path, 'wx', 0o600);
  }

  write(chunk: Uint8Array): void {
    if (!this.#open) throw new StorageTransactionError('A blob chunk came after the end of its blob.');
    fs.writeSync(this.#descriptor, chunk, 0, chunk.length, this.#size);
    this.#size += chunk.length;
  }

  /** The whole blob has arrived. */
  finish(): string {
    this.#close();
    return this.path;
  }

  /** The client went away, or gave it up. */
  discard(): void {
    this.#close();
    fs.rmSync(this.path, { force: true });
  }

  #close(): void {
    if (this.#open) fs.closeSync(this.#descriptor);
    this.#open = false;
  }
}

/** The chunks of a blob; the reader is closed at the end, or when the iteration is given up. */
export function* blobChunks(reader: BlobReader): Generator<Buffer> {
  try {
    for (let position = 0; position < reader.size;) {
      const chunk = Buffer.allocUnsafe(Math.min(BLOB_CHUNK, reader.size - position));
      const count = reader.read(chunk, 0, chunk.length, position);
      if (count === 0) return;
      position += count;
      yield count === chunk.length ? chunk : chunk.subarray(0, count);
    }
  } finally {
    reader.close();
  }
}
