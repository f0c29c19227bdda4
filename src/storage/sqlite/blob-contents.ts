/**
 * Contents of blobs inside the database: pieces of {@link PIECE} bytes in `blob_chunk`. They are written before the
 * commit that refers to them, in small transactions, so that a big upload keeps nobody waiting. A content that no
 * `blob` row refers to is being staged, or was left behind: packing removes it when nobody touched it for an hour.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { CorruptionError, ReadConflictError } from '../../errors';
import type { BlobReader, BlobSource } from '../interfaces';
import { crc32 } from './crc32';
import type { Statement } from './driver';
import type { Engine } from './engine';
import type { Handle } from './handle';

/** Bytes of a piece. */
export const PIECE = 64 * 1024;
/** Pieces written, or deleted, in one transaction. */
const BATCH = 16;
/** A content has at most 2^20 pieces: 64 GiB. */
const PIECES = 2 ** 20;

/** Row of `blob_content`. */
interface ContentRow {
  readonly size: number;
  readonly crc: number;
}

/** Writes, reads and removes contents. */
export class BlobContents {
  readonly #engine: Engine;
  readonly #newContent: Statement;
  readonly #lastContent: Statement<number>;
  readonly #newPiece: Statement;
  readonly #touch: Statement;
  readonly #seal: Statement;
  readonly #dropPieces: Statement;
  readonly #drop: Statement;

  constructor(engine: Engine) {
    this.#engine = engine;
    const { writer } = engine;
    this.#newContent = writer.prepare('INSERT INTO blob_content (size, crc, touched) VALUES (0, 0, ?)');
    this.#lastContent = writer.prepare<number>('SELECT last_insert_rowid()').pluck();
    this.#newPiece = writer.prepare('INSERT INTO blob_chunk (id, crc, data) VALUES (?, ?, ?)');
    this.#touch = writer.prepare('UPDATE blob_content SET touched = ? WHERE id = ?');
    this.#seal = writer.prepare('UPDATE blob_content SET size = ?, crc = ?, touched = ? WHERE id = ?');
    this.#dropPieces = writer.prepare(
      'DELETE FROM blob_chunk WHERE id IN (SELECT id FROM blob_chunk WHERE id >= ? AND id < ? LIMIT ?)',
    );
    this.#drop = writer.prepare('DELETE FROM blob_content WHERE id = ?');
  }

  /** Copies a source into the database and returns the content's number. */
  stage(source: BlobSource): number {
    const input = source instanceof Uint8Array ? new BytesInput(source) : new FileInput(source.path);
    try {
      const content = this.write(() => {
        this.#newContent.run(Date.now());
        return this.#lastContent.get()!;
      });
      this.#copy(input, content);
      if (!(source instanceof Uint8Array) && source.consume) rmSync(source.path);
      return content;
    } finally {
      input.close();
    }
  }

  #copy(input: Input, content: number): void {
    let piece = 0;
    for (let more = true; more;) {
      more = this.write(() => {
        for (let left = BATCH; left > 0; left--) {
          const data = input.read();
          if (data.length === 0) return false;
          const id = content * PIECES + piece++;
          this.#newPiece.run(id, crc32(data, id >>> 0), data);
        }
        this.#touch.run(Date.now(), content);
        return true;
      });
    }
    const { size } = input;
    this.write(() => this.#seal.run(size, sizeCrc(content, size), Date.now(), content));
  }

  /** Removes up to a batch of a content's pieces, then the content; false when there is nothing left to do. */
  removeSome(content: number): boolean {
    return this.write(() => {
      const { changes } = this.#dropPieces.run(content * PIECES, (content + 1) * PIECES, BATCH);
      if (changes < BATCH) this.#drop.run(content);
      return changes === BATCH;
    });
  }

  /** Runs `work` within the write transaction that is open, or in a short one of its own. */
  write<Result>(work: () => Result): Result {
    const { writer, options, checkpoints } = this.#engine;
    if (writer.db.inTransaction) return work();
    writer.beginImmediate(options.lockTimeout);
    try {
      const result = work();
      writer.commit();
      if (checkpoints.wrote((BATCH * PIECE) / 4_096)) checkpoints.copy();
      return result;
    } catch (error) {
      writer.rollback();
      throw writer.failed(error);
    }
  }
}

interface Input {
  readonly size: number;
  /** The next piece; empty at the end. */
  read(): Uint8Array;
  close(): void;
}

class BytesInput implements Input {
  readonly size: number;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(): Uint8Array {
    const piece = this.#bytes.subarray(this.#at, this.#at + PIECE);
    this.#at += piece.length;
    return piece;
  }

  close(): void {
    // Nothing is held open.
  }
}

class FileInput implements Input {
  #read = 0;
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
  }

  get size(): number {
    return this.#read;
  }

  read(): Uint8Array {
    const piece = Buffer.allocUnsafe(Math.min(PIECE, Math.max(1, fstatSync(this.#file).size - this.#read)));
    let filled = 0;
    while (filled < piece.length) {
      const count = readSync(this.#file, piece, filled, piece.length - filled, this.#read + filled);
      if (count === 0) break;
      filled += count;
    }
    this.#read += filled;
    return piece.subarray(0, filled);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Checksum of a content's size. */
export function sizeCrc(content: number, size: number): number {
  return crc32(Buffer.from(`${content}:${size}`), 0);
}

/** Reads (BATCH pieces) between two looks at the write-ahead log. */
const READS_PER_LOOK = 64;

/** Reads a content through a read handle whose open transaction keeps it, also from a pack of another process. */
export class ContentReader implements BlobReader {
  readonly size: number;
  readonly #engine: Engine;
  readonly #handle: Handle;
  readonly #content: number;
  readonly #piece: Statement<{ crc: number; data: Buffer }>;
  readonly #row: Statement<ContentRow>;
  #cached = -1;
  #data: Buffer | undefined;
  #readsLeft = READS_PER_LOOK;
  #isClosed = false;

  constructor(engine: Engine, content: number) {
    this.#engine = engine;
    this.#content = content;
    this.#handle = engine.readHandle();
    this.#piece = this.#handle.prepare('SELECT crc, data FROM blob_chunk WHERE id = ?');
    this.#row = this.#handle.prepare('SELECT size, crc FROM blob_content WHERE id = ?');
    this.#handle.begin();
    try {
      this.size = this.#check();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    let done = 0;
    const wanted = Math.min(length, target.length - offset, this.size - position);
    while (done < wanted) {
      const at = position + done;
      const piece = this.#load(Math.floor(at / PIECE));
      const part = piece.subarray(at % PIECE, (at % PIECE) + wanted - done);
      target.set(part, offset + done);
      done += part.length;
    }
    return done;
  }

  #load(number: number): Buffer {
    if (this.#cached === number) return this.#data!;
    if (--this.#readsLeft <= 0) this.#look();
    const id = this.#content * PIECES + number;
    let row;
    try {
      row = this.#piece.get(id);
    } catch (error) {
      throw this.#handle.failed(error);
    }
    const expected = Math.min(PIECE, this.size - number * PIECE);
    if (row === undefined || row.data.length !== expected || crc32(row.data, id >>> 0) !== row.crc) {
      throw new CorruptionError(
        `The content of a blob in ${this.#engine.path} is damaged (piece ${number} of content ${this.#content}).`,
      );
    }
    this.#cached = number;
    return (this.#data = row.data);
  }

  /** A slow reader must not keep the write-ahead log from being reset: it begins anew where the content still is. */
  #look(): void {
    this.#readsLeft = READS_PER_LOOK;
    if (this.#engine.walSize() <= this.#engine.options.walLimit) return;
    this.#handle.rollback();
    this.#handle.begin();
    if (this.#row.get(this.#content) === undefined) {
      throw new ReadConflictError(
        'The blob was packed while it was read, and read too slowly to be kept. Open it again.',
      );
    }
  }

  #check(): number {
    const row = this.#row.get(this.#content);
    if (row === undefined || row.crc !== sizeCrc(this.#content, row.size)) {
      throw new CorruptionError(
        `${this.#engine.path} refers to a blob content (${this.#content}) that is missing or damaged.`,
      );
    }
    return row.size;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handle.rollback();
    this.#engine.giveBack(this.#handle);
  }
}
