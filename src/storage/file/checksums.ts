/**
 * The optional `.crc` file beside a `Data.fs`, which has no checksums of its own. It finds damage in the content of records;
 * Python's ZODB takes no notice of it, and what Python adds to the file is taken in at the next opening.
 *
 * ```
 * "ZODBCRC1"                 8 bytes
 * position8 crc4 …           for each data record, in file order: CRC-32 of its header and data (or back pointer)
 * ```
 */
import * as zlib from 'node:zlib';
import type { DataFile } from './data-file';
import { DamagedFileError } from './errors';
import { readFully, writeFully, type FileSystem } from './file-system';
import { DATA_HEADER, FIRST_POSITION, readNumber, writeNumber } from './format';
import { RecordWalker } from './record-walker';

const MAGIC = Buffer.from('ZODBCRC1', 'latin1');
const ENTRY = 12;

/** CRC-32 as of zlib, continued from `start`. */
export const crc32: (bytes: Uint8Array, start?: number) => number = zlib.crc32 ?? crcByTable();

/** The checksums of one file, in memory (12 bytes a record) and on disk. */
export class Checksums {
  readonly #system: FileSystem;
  readonly #fd: number | undefined;
  readonly #path: string;
  #positions = new Float64Array(1024);
  #sums = new Uint32Array(1024);
  #count = 0;
  /** Entries that are on disk. */
  #saved = 0;

  private constructor(system: FileSystem, path: string, fd: number | undefined) {
    this.#system = system;
    this.#path = path;
    this.#fd = fd;
  }

  /**
   * Reads the checksums of a file, and makes those that are missing; with `anew` all of them.
   * @param readOnly write nothing; `undefined` is returned when there is no `.crc` file
   */
  static open(file: DataFile, readOnly: boolean, anew: boolean): Checksums | undefined {
    const path = `${file.path}.crc`;
    const { system } = file;
    const exists = system.size(path) >= 0;
    if (readOnly && !exists) return undefined;
    const fd = system.open(path, readOnly ? 'r' : exists && !anew ? 'r+' : 'w+');
    const sums = new Checksums(system, path, readOnly ? undefined : fd);
    try {
      if (exists && !anew) sums.#read(fd, file.size);
      sums.#addMissing(file);
      if (readOnly) system.close(fd);
      else sums.save();
    } catch (error) {
      system.close(fd);
      throw error;
    }
    return sums;
  }

  /** Compares a record, header included, with its checksum. `DamagedFileError` when they differ. */
  verify(path: string, position: number, bytes: Uint8Array): void {
    const place = this.#find(position);
    if (place < 0 || this.#sums[place] === crc32(bytes)) return;
    throw new DamagedFileError(
      path,
      position,
      'a record is not what was written there: its checksum differs',
    );
  }

  /** Whether there is a checksum for the record at `position`. */
  knows(position: number): boolean {
    return this.#find(position) >= 0;
  }

  /** Adds the checksum of a record behind all others. */
  add(position: number, sum: number): void {
    if (this.#count === this.#sums.length) this.#grow();
    this.#positions[this.#count] = position;
    this.#sums[this.#count] = sum;
    this.#count++;
  }

  /** Writes what was added. */
  save(): void {
    if (this.#fd === undefined || this.#saved === this.#count) return;
    const bytes = Buffer.allocUnsafe((this.#count - this.#saved) * ENTRY);
    for (let place = this.#saved, at = 0; place < this.#count; place++, at += ENTRY) {
      writeNumber(bytes, at, this.#positions[place]!);
      bytes.writeUInt32BE(this.#sums[place]!, at + 8);
    }
    if (this.#saved === 0) writeFully(this.#system, this.#fd, MAGIC, 0);
    writeFully(this.#system, this.#fd, bytes, MAGIC.length + this.#saved * ENTRY);
    this.#saved = this.#count;
  }

  close(): void {
    if (this.#fd === undefined) return;
    try {
      this.save();
      this.#system.sync(this.#fd);
    } finally {
      this.#system.close(this.#fd);
    }
  }

  #read(fd: number, dataSize: number): void {
    const size = this.#system.sizeOf(fd);
    const bytes = Buffer.allocUnsafe(size);
    readFully(this.#system, fd, bytes, 0, size, 0);
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return;
    let last = 0;
    for (let at = MAGIC.length; at + ENTRY <= size; at += ENTRY) {
      const position = readNumber(bytes, at);
      // Beyond the end: of a transaction that was cut off. Not in order: this file is damaged itself.
      if (position <= last || position >= dataSize) break;
      this.add(position, bytes.readUInt32BE(at + 8));
      last = position;
    }
    this.#saved = this.#count;
    if (this.#fd !== undefined) this.#system.truncate(fd, MAGIC.length + this.#count * ENTRY);
  }

  /** For transactions that were written without us. */
  #addMissing(file: DataFile): void {
    const last = this.#count === 0 ? 0 : this.#positions[this.#count - 1]!;
    const walker = new RecordWalker(file);
    let position = last === 0 ? FIRST_POSITION : file.header(last, undefined).transaction;
    while (position < file.size) {
      const transaction = walker.transaction(position);
      for (let record = walker.first(); record !== undefined; record = walker.next()) {
        if (record.position > last) this.add(record.position, crc32(walker.bytes()));
      }
      position = transaction.next;
    }
  }

  #find(position: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const at = this.#positions[middle]!;
      if (at === position) return middle;
      if (at < position) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #grow(): void {
    const positions = new Float64Array(this.#sums.length * 2);
    const sums = new Uint32Array(this.#sums.length * 2);
    positions.set(this.#positions);
    sums.set(this.#sums);
    this.#positions = positions;
    this.#sums = sums;
  }

  get path(): string {
    return this.#path;
  }
}

/** Bytes of a record with its header, given what stands behind the header. */
export function recordLength(size: number): number {
  return DATA_HEADER + (size === 0 ? 8 : size);
}

/** For Nodes before 20.15. */
function crcByTable(): (bytes: Uint8Array, start?: number) => number {
  const table = new Uint32Array(256).map((_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    return sum;
  });
  return (bytes, start = 0) => {
    let sum = ~start;
    for (const byte of bytes) sum = table[(sum ^ byte) & 0xff]! ^ (sum >>> 8);
    return ~sum >>> 0;
  };
}
