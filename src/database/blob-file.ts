import * as fs from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import { InvalidArgumentError } from '../errors';
import type { BlobReader } from '../storage/index';
import { BlobError } from './blob-errors';

/** What a {@link BlobFile} is opened on. */
export type BlobTarget = { readonly fd: number; readonly path: string } | { readonly reader: BlobReader };

const CHUNK = 1 << 16;

/**
 * An open blob: a file with a position. Reads and writes go on from there unless they are told a place. Close it, or let `using` close it:
 * a blob that is open for writing can't be committed.
 */
export class BlobFile {
  readonly #target: BlobTarget;
  readonly #writable: boolean;
  readonly #onClose: (file: BlobFile) => void;
  #position: number;
  #isOpen = true;

  /** @internal */
  constructor(target: BlobTarget, writable: boolean, position: number, onClose: (file: BlobFile) => void) {
    this.#target = target;
    this.#writable = writable;
    this.#position = position;
    this.#onClose = onClose;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isWritable(): boolean {
    return this.#writable;
  }

  /** Descriptor of the file, for Node's own functions; it is closed with this object. `BlobError` when there is no file. */
  get fd(): number {
    this.#checkOpen();
    if ('fd' in this.#target) return this.#target.fd;
    throw new BlobError('This storage keeps blobs in the database, not in files; use read().');
  }

  /** Path of the file; `undefined` when the content lies in the database. */
  get path(): string | undefined {
    return 'fd' in this.#target ? this.#target.path : undefined;
  }

  /** Bytes. */
  get size(): number {
    this.#checkOpen();
    return 'fd' in this.#target ? fs.fstatSync(this.#target.fd).size : this.#target.reader.size;
  }

  /** Where the next read or write takes place. */
  get position(): number {
    return this.#position;
  }
  set position(position: number) {
    this.#position = position;
  }

  /** Fills `target` as far as there is content; the number of bytes read, 0 at the end. */
  readInto(target: Uint8Array, position = this.#position): number {
    this.#checkOpen();
    const count =
      'fd' in this.#target
        ? fs.readSync(this.#target.fd, target, 0, target.length, position)
        : this.#target.reader.read(target, 0, target.length, position);
    this.#position = position + count;
    return count;
  }

  /** The next `length` bytes, or what is left of them; without `length` all that is left. */
  read(length = Infinity): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - this.#position));
    const bytes = Buffer.allocUnsafe(wanted);
    let done = 0;
    while (done < wanted) {
      const count = this.readInto(bytes.subarray(done));
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  /** All that is left, as text. */
  readText(encoding: BufferEncoding = 'utf8'): string {
    return this.read().toString(encoding);
  }

  /** Writes all of it and goes on behind it. */
  write(content: string | Uint8Array, position = this.#position): void {
    const fd = this.#writableFd();
    const bytes = contentBytes(content);
    let done = 0;
    while (done < bytes.length) done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    this.#position = position + done;
  }

  /** Cuts the content off, or fills it up with zeros. */
  truncate(size = 0): void {
    fs.ftruncateSync(this.#writableFd(), size);
  }

  /** What is left, as a stream. The file is closed at its end. */
  readable(): Readable {
    this.#checkOpen();
    return new Readable({ highWaterMark: CHUNK, ...streamReading(this) });
  }

  /** A stream that writes from here on. The file is closed at its end. */
  writable(): Writable {
    this.#writableFd();
    return new Writable({
      highWaterMark: CHUNK,
      write: (chunk: Buffer, _encoding, done) => finish(() => this.write(chunk), done),
      final: (done) => finish(() => this.close(), done),
      destroy: (error, done) => {
        this.close();
        done(error);
      },
    });
  }

  /** May be repeated. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if ('fd' in this.#target) fs.closeSync(this.#target.fd);
    else this.#target.reader.close();
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #writableFd(): number {
    this.#checkOpen();
    if (!this.#writable || !('fd' in this.#target))
      throw new BlobError('This blob file is open for reading only.');
    return this.#target.fd;
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw new BlobError('This blob file is closed.');
  }
}

function streamReading(file: BlobFile): {
  read(this: Readable, size: number): void;
  destroy: ReadableDestroy;
} {
  return {
    read(size) {
      try {
        const chunk = file.read(size);
        this.push(chunk.length === 0 ? null : chunk);
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    destroy(error, done) {
      file.close();
      done(error);
    },
  };
}

type ReadableDestroy = (error: Error | null, done: (error?: Error | null) => void) => void;

function finish(action: () => void, done: (error?: Error | null) => void): void {
  try {
    action();
    done();
  } catch (error) {
    done(error as Error);
  }
}

/** Text is stored as UTF-8. */
export function contentBytes(content: string | Uint8Array): Uint8Array {
  if (typeof content === 'string') return Buffer.from(content, 'utf8');
  if (isUint8Array(content)) return content;
  throw new InvalidArgumentError(
    `A blob holds text or bytes (a Buffer or Uint8Array), not ${content === null ? 'null' : typeof content}.`,
  );
}
