/**
 * Export files (`ZODB/src/ZODB/ExportImport.py`). Integers are big-endian.
 *
 * ```
 * file   = "ZEXP" entry* end
 * entry  = oid8 length8 record [blob]        the first one is the exported object
 * blob   = "\0BLOBSTART" length8 content     follows the record of a blob
 * end    = 16 × 0xff
 * ```
 */
import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { InvalidArgumentError, ZodbError } from '../errors';
import { formatOid, oidFromBytes, oidToBytes, type Oid } from '../ids';

const MAGIC = Buffer.from('ZEXP', 'latin1');
const BLOB_START = Buffer.from('\0BLOBSTART', 'latin1');
const END = Buffer.alloc(16, 0xff);

/** An export file is torn, or none. Nothing was imported. */
export class ExportError extends ZodbError {
  /** Where in the file, in bytes. */
  readonly position: number;

  constructor(message: string, position: number) {
    super(`${message} (at byte ${position})`, { code: 'EXPORT' });
    this.position = position;
  }
}

/** A file or bytes, read at positions. */
export class ExportSource {
  readonly size: number;
  readonly #fd: number | undefined;
  readonly #bytes: Uint8Array | undefined;

  /** @param source a path, or the content itself */
  constructor(source: string | Uint8Array) {
    if (typeof source !== 'string' && !(source instanceof Uint8Array)) {
      throw new InvalidArgumentError(
        `An export is read from a path or from bytes, not from ${typeof source}.`,
      );
    }
    if (typeof source === 'string') {
      this.#fd = openSync(source, 'r');
      this.size = fstatSync(this.#fd).size;
    } else {
      this.#bytes = source;
      this.size = source.length;
    }
  }

  /** Exactly these bytes. Throws {@link ExportError} when the source ends before. */
  read(position: number, length: number): Buffer {
    if (length > this.size - position) throw new ExportError('The export file is truncated', this.size);
    if (this.#bytes) return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + position, length);
    const buffer = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const count = readSync(this.#fd!, buffer, done, length - done, position + done);
      if (count === 0) throw new ExportError('The export file is truncated', position + done);
      done += count;
    }
    return buffer;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** One object of an export file; a blob's content stays in the source until it is read. */
export interface ExportedObject {
  readonly oid: Oid;
  readonly data: Buffer;
  readonly blob: { readonly position: number; readonly size: number } | undefined;
}

/** The objects of an export file, in its order. Throws {@link ExportError} for a file that is torn or none. */
export function* readExport(source: ExportSource): Generator<ExportedObject, void, void> {
  if (source.size < MAGIC.length || !source.read(0, MAGIC.length).equals(MAGIC)) {
    throw new ExportError('This is no export file: it does not begin with ZEXP', 0);
  }
  let position = MAGIC.length;
  for (;;) {
    const header = source.read(position, 16);
    if (header.equals(END)) return;
    const oid = oidFromBytes(header);
    const length = lengthAt(header, 8, position + 8);
    const data = source.read(position + 16, length);
    position += 16 + length;
    const blob = blobAt(source, position);
    if (blob) position = blob.position + blob.size;
    yield { oid, data, blob };
  }
}

function blobAt(source: ExportSource, position: number): ExportedObject['blob'] {
  const headerLength = BLOB_START.length + 8;
  if (source.size - position < headerLength) return undefined;
  const header = source.read(position, headerLength);
  if (!header.subarray(0, BLOB_START.length).equals(BLOB_START)) return undefined;
  const size = lengthAt(header, BLOB_START.length, position + BLOB_START.length);
  if (size > source.size - position - headerLength) {
    throw new ExportError('The export file is truncated inside a blob', source.size);
  }
  return { position: position + headerLength, size };
}

function lengthAt(bytes: Buffer, offset: number, position: number): number {
  const length = bytes.readBigUInt64BE(offset);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw new ExportError(`${length} is no length`, position);
  return Number(length);
}

/** Writes an export file. It takes its name when it is whole, and a file of that name stays until then. */
export class ExportWriter {
  readonly #path: string;
  readonly #part: string;
  readonly #fd: number;
  #position = 0;

  constructor(path: string) {
    this.#path = path;
    this.#part = `${path}.${process.pid}.part`;
    this.#fd = openSync(this.#part, 'w');
    this.write(MAGIC);
  }

  object(oid: Oid, data: Uint8Array): void {
    const header = Buffer.alloc(16);
    oidToBytes(oid, header);
    header.writeBigUInt64BE(BigInt(data.length), 8);
    this.write(header);
    this.write(data);
  }

  /** Announces a blob of this size; its content follows by {@link write}. */
  blob(size: number): void {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(size));
    this.write(BLOB_START);
    this.write(length);
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#position + done);
    }
    this.#position += bytes.length;
  }

  end(): void {
    this.write(END);
    closeSync(this.#fd);
    renameSync(this.#part, this.#path);
  }

  /** Leaves nothing behind. */
  giveUp(): void {
    closeSync(this.#fd);
    rmSync(this.#part, { force: true });
  }
}

/** An imported object refers to one that the file does not hold. */
export class IncompleteExportError extends ZodbError {
  constructor(missing: Oid) {
    super(
      `The export file refers to object ${formatOid(missing)}, which it does not hold: it was missing when the file was made.`,
      { code: 'INCOMPLETE_EXPORT' },
    );
  }
}
