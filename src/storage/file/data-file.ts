import { POSKeyError } from '../../errors';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import { keepSpecimen } from '../../specimens';
import type { BoundedRecord, LoadedRecord } from '../interfaces';
import { BlockCache } from './block-cache';
import { recordLength, type Checksums } from './checksums';
import { DamagedFileError } from './errors';
import type { FileSystem } from './file-system';
import {
  DataHeader,
  DATA_HEADER,
  FIRST_POSITION,
  readNumber,
  readWord,
  TransactionHeader,
  TRANSACTION_HEADER,
  type Metadata,
} from './format';
import type { OidIndex } from './oid-index';
import { ScanBuffer } from './scan-buffer';

/** A record as it lies in a cached block. Its tid is made into a bigint only when somebody asks for it. */
export class FileRecord implements BoundedRecord {
  readonly data: Uint8Array;
  readonly #tidHigh: number;
  readonly #tidLow: number;

  constructor(data: Uint8Array, tidHigh: number, tidLow: number) {
    this.data = data;
    this.#tidHigh = tidHigh;
    this.#tidLow = tidLow;
  }

  /** It is the newest one. */
  get end(): undefined {
    return undefined;
  }

  get serial(): Tid {
    return ((BigInt(this.#tidHigh) << 32n) | BigInt(this.#tidLow)) as Tid;
  }
}

keepSpecimen(new FileRecord(Buffer.alloc(0), 1, 0xffff_ffff));

/** What a chain of back pointers leads to. */
export interface ResolvedData {
  readonly data: Buffer;
  /** Position of the record that holds the data itself. */
  readonly position: number;
}

/**
 * One `Data.fs` that is open: its index and its committed records. Pack replaces the file and so this object; whoever
 * still reads the old one keeps it open with {@link retain}.
 */
export class DataFile {
  readonly path: string;
  readonly fd: number;
  readonly index: OidIndex;
  readonly system: FileSystem;
  readonly cache: BlockCache;
  /** Checks what is loaded, where checksums are kept. */
  checksums: Checksums | undefined;
  readonly #header = new DataHeader();
  #users = 1;

  constructor(
    system: FileSystem,
    path: string,
    fd: number,
    index: OidIndex,
    size: number,
    cacheBytes?: number,
    passing?: boolean,
  ) {
    this.system = system;
    this.path = path;
    this.fd = fd;
    this.index = index;
    this.cache = new BlockCache(system, fd, path, size, cacheBytes, passing);
  }

  /** Where the last committed transaction ends. */
  get size(): number {
    return this.cache.size;
  }

  /** The tid of the last transaction; `ZERO_TID` when there is none. */
  lastTid(): Tid {
    if (this.size <= FIRST_POSITION) return ZERO_TID;
    const offset = this.cache.find(this.size - 8, 8);
    return this.transaction(this.size - 8 - readNumber(this.cache.block, offset)).tid;
  }

  /** The current revision. */
  load(oid: Oid): FileRecord {
    const position = this.index.get(oid);
    if (position === 0) throw new POSKeyError(oid);
    const offset = this.#find(position, oid);
    const { block } = this.cache;
    const size = readNumber(block, offset + 34);
    const tidHigh = readWord(block, offset + 8);
    const tidLow = readWord(block, offset + 12);
    if (size !== 0) {
      if (this.checksums !== undefined) this.#verify(position, size);
      return new FileRecord(
        this.cache.following(offset + DATA_HEADER, size, position + DATA_HEADER),
        tidHigh,
        tidLow,
      );
    }
    const resolved = this.resolve(oid, position);
    if (resolved === undefined) throw new POSKeyError(oid);
    return new FileRecord(resolved.data, tidHigh, tidLow);
  }

  /** As the contract's `loadBefore`. */
  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    let position = this.index.get(oid);
    if (position === 0) throw new POSKeyError(oid);
    let end: Tid | undefined;
    let header = this.header(position, oid, this.#header);
    while (header.tid >= tid) {
      end = header.tid;
      position = this.#previous(header);
      if (position === 0) return undefined;
      header = this.header(position, oid, header);
    }
    const serial = header.tid;
    const resolved = this.resolve(oid, position);
    if (resolved === undefined) throw new POSKeyError(oid);
    return { data: resolved.data, serial, end };
  }

  /** As the contract's `loadSerial`. */
  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    const position = this.positionOf(oid, tid);
    const resolved = position === 0 ? undefined : this.resolve(oid, position);
    if (resolved === undefined) throw new POSKeyError(oid);
    return { data: resolved.data, serial: tid };
  }

  /** Position of the record that `tid` wrote of `oid`; 0 when there is none. */
  positionOf(oid: Oid, tid: Tid): number {
    let position = this.index.get(oid);
    while (position !== 0) {
      const header = this.header(position, oid, this.#header);
      if (header.tid === tid) return position;
      if (header.tid < tid) return 0;
      position = this.#previous(header);
    }
    return 0;
  }

  /** The tid of the current revision, also of a deletion; `undefined` when nothing is known of the object. */
  currentSerial(oid: Oid): Tid | undefined {
    const position = this.index.get(oid);
    return position === 0 ? undefined : this.header(position, oid, this.#header).tid;
  }

  /** Whether the object exists now. */
  exists(oid: Oid): boolean {
    const position = this.index.get(oid);
    return position !== 0 && this.dataPosition(oid, position) !== 0;
  }

  /** The header of the record at `position`, read into `into`. `DamagedFileError` when it is of another object. */
  header(position: number, oid: Oid | undefined, into = new DataHeader()): DataHeader {
    const offset = this.cache.find(position, DATA_HEADER);
    into.read(this.cache.block, offset, position);
    if (oid !== undefined && into.oid !== oid) {
      throw new DamagedFileError(this.path, position, 'a pointer leads to the record of another object');
    }
    return into;
  }

  /** The header of the transaction at `position`. */
  transaction(position: number, into = new TransactionHeader()): TransactionHeader {
    const offset = this.cache.find(position, TRANSACTION_HEADER);
    return into.read(this.cache.block, offset, position);
  }

  /** The texts of a transaction, as copies. */
  metadata(header: TransactionHeader): Metadata {
    const texts = Buffer.from(
      this.cache.bytes(header.position + TRANSACTION_HEADER, header.headerLength - TRANSACTION_HEADER),
    );
    const descriptionAt = header.userLength;
    const extensionAt = descriptionAt + header.descriptionLength;
    return {
      user: texts.subarray(0, descriptionAt),
      description: texts.subarray(descriptionAt, extensionAt),
      extension: texts.subarray(extensionAt),
    };
  }

  /** What the record at `position` points back to. */
  backPointer(position: number): number {
    const offset = this.cache.find(position + DATA_HEADER, 8);
    return readNumber(this.cache.block, offset);
  }

  /** Position of the record that holds the data of the one at `position`, through all back pointers; 0 when there are none. */
  dataPosition(oid: Oid, position: number): number {
    for (;;) {
      const offset = this.#find(position, oid);
      if (readNumber(this.cache.block, offset + 34) !== 0) return position;
      if (this.checksums !== undefined) this.#verify(position, 0);
      const back = this.backPointer(position);
      if (back === 0) return 0;
      if (!(back < position))
        throw new DamagedFileError(this.path, position, 'a back pointer points forward');
      position = back;
    }
  }

  /** The data of the record at `position`; `undefined` where the object does not exist. */
  resolve(oid: Oid, position: number): ResolvedData | undefined {
    const at = this.dataPosition(oid, position);
    if (at === 0) return undefined;
    const offset = this.cache.find(at, DATA_HEADER);
    const size = readNumber(this.cache.block, offset + 34);
    if (this.checksums !== undefined) this.#verify(at, size);
    return { data: this.cache.bytes(at + DATA_HEADER, size), position: at };
  }

  /**
   * The same file as it is now, read through a cache of its own. Data that it returns are good until its next call. Of use until this one
   * is released; not to be released itself.
   */
  reader(cacheBytes: number): DataFile {
    const reader = new DataFile(this.system, this.path, this.fd, this.index, this.size, cacheBytes, true);
    reader.checksums = this.checksums;
    return reader;
  }

  /** A reader for going through the file once, which leaves the cache alone. */
  scanner(): ScanBuffer {
    return new ScanBuffer(this.system, this.fd, this.path, this.size);
  }

  /** Keeps the file open until {@link release} is called once more. */
  retain(): void {
    this.#users++;
  }

  release(): void {
    if (--this.#users === 0) this.system.close(this.fd);
  }

  #verify(position: number, size: number): void {
    this.checksums!.verify(this.path, position, this.cache.bytes(position, recordLength(size)));
  }

  #find(position: number, oid: Oid): number {
    const offset = this.cache.find(position, DATA_HEADER);
    const { block } = this.cache;
    // Compared as two words: an oid as one number costs more, and this runs on every load.
    const matches =
      oid >= 0
        ? readWord(block, offset + 4) === oid >>> 0 &&
          readWord(block, offset) === Math.floor(oid / 0x1_0000_0000)
        : this.header(position, undefined).oid === oid;
    if (!matches)
      throw new DamagedFileError(this.path, position, 'a pointer leads to the record of another object');
    return oid >= 0 ? offset : this.cache.find(position, DATA_HEADER);
  }

  #previous(header: DataHeader): number {
    const { previous, position } = header;
    if (!(previous < position)) {
      throw new DamagedFileError(this.path, position, 'a pointer to an earlier record points forward');
    }
    return previous;
  }
}
