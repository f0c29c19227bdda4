import * as fs from 'node:fs';
import * as path from 'node:path';
import { randomBytes } from 'node:crypto';
import { StorageError, StorageTransactionError } from '../../errors';
import type { BlobReader } from '../../storage/index';

/** Bytes of a blob in one message; Python's number. */
export const BLOB_CHUNK = 59_000;
/** So much of a blob that arrives is brought to the disk while the rest is on its way. */
const SYNC_BYTES = 8 << 20;
/** Messages of a blob that leave together. */
const TOGETHER = 16;
/** A byte that a message has nowhere but in its chunk. */
const FILLER = 0xfe;

/** A blob on its way from a client, in a file that the storage can take over. */
export class BlobUpload {
  readonly path: string;
  readonly #descriptor: number;
  #size = 0;
  #open = true;
  /** Bytes that are on the disk, or are being brought there. */
  #synced = 0;
  #syncing = false;

  constructor(directory: string) {
    this.path = path.join(directory, `zeo-${process.pid}-${randomBytes(8).toString('hex')}.tmp`);
    this.#descriptor = fs.openSync(this.path, 'wx', 0o600);
  }

  write(chunk: Uint8Array): void {
    if (!this.#open) throw new StorageTransactionError('A blob chunk came after the end of its blob.');
    // A disk that is nearly full takes a part only.
    for (let done = 0; done < chunk.length;)
      done += fs.writeSync(this.#descriptor, chunk, done, chunk.length - done, this.#size + done);
    this.#size += chunk.length;
    if (this.#size - this.#synced >= SYNC_BYTES && !this.#syncing) this.#syncMeanwhile();
  }

  /** The storage makes sure of the whole blob; then there is not much left to wait for. */
  #syncMeanwhile(): void {
    this.#syncing = true;
    this.#synced = this.#size;
    // An error shows itself when the storage does it.
    fs.fdatasync(this.#descriptor, () => {
      this.#syncing = false;
      if (!this.#open) fs.closeSync(this.#descriptor);
    });
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
    if (this.#open && !this.#syncing) fs.closeSync(this.#descriptor);
    this.#open = false;
  }
}

/**
 * The messages that bring a blob, as `encode` makes them of a chunk. Most are made in one buffer, some at a time: they must have left
 * before the next are asked for. The reader is closed at the end, or when the iteration is given up.
 */
export function* blobMessages(reader: BlobReader, encode: (chunk: Uint8Array) => Buffer): Generator<Buffer> {
  try {
    const whole = Math.floor(reader.size / BLOB_CHUNK);
    if (whole > 0) {
      const filler = Buffer.alloc(BLOB_CHUNK, FILLER);
      const frame = encode(filler);
      const at = frame.lastIndexOf(filler);
      const frames = Buffer.allocUnsafeSlow(frame.length * Math.min(whole, TOGETHER)).fill(frame);
      for (let done = 0; done < whole;) {
        const count = Math.min(TOGETHER, whole - done);
        for (let i = 0; i < count; i++, done++)
          fill(reader, frames, i * frame.length + at, BLOB_CHUNK, done * BLOB_CHUNK);
        yield frames.subarray(0, count * frame.length);
      }
    }
    const rest = reader.size - whole * BLOB_CHUNK;
    if (rest === 0) return;
    const last = Buffer.allocUnsafe(rest);
    fill(reader, last, 0, rest, whole * BLOB_CHUNK);
    yield encode(last);
  } finally {
    reader.close();
  }
}

function fill(reader: BlobReader, target: Buffer, offset: number, length: number, position: number): void {
  for (let filled = 0; filled < length;) {
    const count = reader.read(target, offset + filled, length - filled, position + filled);
    if (count === 0) throw new StorageError('A blob became shorter while it was sent.');
    filled += count;
  }
}
