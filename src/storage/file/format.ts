/**
 * The byte layout of a `Data.fs`, as in `ZODB/src/ZODB/FileStorage/format.py`. All integers are unsigned, big-endian.
 *
 * ```
 * file         "FS30" (or "FS21": the same layout, written by Python 2), then transactions end to end
 *
 * transaction   0  tid          8
 *               8  length       8   without the copy at its end
 *              16  status       1   ' ' complete, 'p' rewritten by pack, 'c' voted but not finished, 'u' skip it
 *              17  user         2   ┐
 *              19  description  2   ├ lengths
 *              21  extension    2   ┘
 *              23  user, description (UTF-8), extension (a pickled dict, or nothing)
 *                  data records
 *          length  length       8   the same again, for walking back
 *
 * data record   0  oid          8
 *               8  tid          8   its transaction's
 *              16  previous     8   position of this object's previous record; 0: none, or packed away
 *              24  transaction  8   position of its transaction
 *              32  version      2   0 (a feature of ZODB before 3.9)
 *              34  size         8
 *              42  data                      if size > 0
 *                  back pointer 8            if size = 0: position of the record whose data this one repeats; 0: no object
 * ```
 */
import { oidFromBytes, oidToBytes, tidFromBytes, tidToBytes, type Oid, type Tid } from '../../ids';

/** What a file written by Python 3 or by this package starts with. */
export const MAGIC = 'FS30';
/** What a file written by Python 2 starts with. It is read, never written: its records hold 8-bit strings. */
export const PYTHON_2_MAGIC = 'FS21';
/** Length of the magic: the position of the first transaction. */
export const FIRST_POSITION = 4;
/** Length of the fixed part of a transaction's header. */
export const TRANSACTION_HEADER = 23;
/** Length of a data record's header. */
export const DATA_HEADER = 42;
/** Longest user, description or extension, in bytes. */
export const MAX_METADATA = 0xffff;
/** Where in a transaction's header its length is. */
export const LENGTH_OFFSET = 8;
/** Where in a transaction's header its status is. */
export const STATUS_OFFSET = 16;

/** The status bytes of a transaction. */
export const Status = {
  COMPLETE: 0x20,
  PACKED: 0x70,
  VOTED: 0x63,
  UNDONE: 0x75,
} as const;

const TWO_32 = 0x1_0000_0000;

/** A 4-byte number that is known to be there: `Buffer.readUInt32BE` checks that, and costs more than all else in a load. */
export function readWord(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}

/** An 8-byte position or length. Beyond 2^53, which only damage brings about, it is rounded and fits no file. */
export function readNumber(bytes: Uint8Array, offset: number): number {
  return readWord(bytes, offset) * TWO_32 + readWord(bytes, offset + 4);
}

/** Writes an 8-byte position or length. */
export function writeNumber(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / TWO_32), offset);
  bytes.writeUInt32BE(value % TWO_32, offset + 4);
}

/** The fixed part of a transaction's header. One instance can be read into again and again. */
export class TransactionHeader {
  position = 0;
  tid = 0n as Tid;
  length = 0;
  status = 0;
  userLength = 0;
  descriptionLength = 0;
  extensionLength = 0;

  /** Length of the header with its texts. */
  get headerLength(): number {
    return TRANSACTION_HEADER + this.userLength + this.descriptionLength + this.extensionLength;
  }

  /** Position after the data records, where the copy of the length is. */
  get end(): number {
    return this.position + this.length;
  }

  /** Position of the next transaction. */
  get next(): number {
    return this.position + this.length + 8;
  }

  /** Reads {@link TRANSACTION_HEADER} bytes at `offset`, found at `position` of the file. */
  read(bytes: Buffer, offset: number, position: number): this {
    this.position = position;
    this.tid = tidFromBytes(bytes, offset);
    this.length = readNumber(bytes, offset + 8);
    this.status = bytes[offset + STATUS_OFFSET]!;
    this.userLength = bytes.readUInt16BE(offset + 17);
    this.descriptionLength = bytes.readUInt16BE(offset + 19);
    this.extensionLength = bytes.readUInt16BE(offset + 21);
    return this;
  }
}

/** The texts of a transaction as bytes. */
export interface Metadata {
  readonly user: Uint8Array;
  readonly description: Uint8Array;
  readonly extension: Uint8Array;
}

/** A transaction's header with its texts. `length` is that of the whole transaction, without the copy at its end. */
export function encodeTransactionHeader(
  tid: Tid,
  length: number,
  status: number,
  metadata: Metadata,
): Buffer {
  const { user, description, extension } = metadata;
  const bytes = Buffer.allocUnsafe(TRANSACTION_HEADER + user.length + description.length + extension.length);
  tidToBytes(tid, bytes, 0);
  writeNumber(bytes, 8, length);
  bytes[STATUS_OFFSET] = status;
  bytes.writeUInt16BE(user.length, 17);
  bytes.writeUInt16BE(description.length, 19);
  bytes.writeUInt16BE(extension.length, 21);
  bytes.set(user, TRANSACTION_HEADER);
  bytes.set(description, TRANSACTION_HEADER + user.length);
  bytes.set(extension, TRANSACTION_HEADER + user.length + description.length);
  return bytes;
}

/** A data record's header. One instance can be read into again and again. */
export class DataHeader {
  position = 0;
  oid = 0 as Oid;
  previous = 0;
  transaction = 0;
  version = 0;
  size = 0;
  tidHigh = 0;
  tidLow = 0;

  get tid(): Tid {
    return ((BigInt(this.tidHigh) << 32n) | BigInt(this.tidLow)) as Tid;
  }

  /** Length of the record with its data or back pointer. */
  get length(): number {
    return DATA_HEADER + (this.size === 0 ? 8 : this.size);
  }

  /** Reads {@link DATA_HEADER} bytes at `offset`, found at `position` of the file. */
  read(bytes: Buffer, offset: number, position: number): this {
    this.position = position;
    this.oid = oidFromBytes(bytes, offset);
    this.tidHigh = readWord(bytes, offset + 8);
    this.tidLow = readWord(bytes, offset + 12);
    this.previous = readNumber(bytes, offset + 16);
    this.transaction = readNumber(bytes, offset + 24);
    this.version = bytes.readUInt16BE(offset + 32);
    this.size = readNumber(bytes, offset + 34);
    return this;
  }
}

/** Writes a data record's header into `bytes`. */
export function encodeDataHeader(
  bytes: Buffer,
  offset: number,
  oid: Oid,
  tid: Tid,
  previous: number,
  transaction: number,
  size: number,
): void {
  oidToBytes(oid, bytes, offset);
  tidToBytes(tid, bytes, offset + 8);
  writeNumber(bytes, offset + 16, previous);
  writeNumber(bytes, offset + 24, transaction);
  bytes.writeUInt16BE(0, offset + 32);
  writeNumber(bytes, offset + 34, size);
}
