/**
 * The `.index` file beside a `Data.fs`: a saved {@link OidIndex}, so that opening need not read all of the data. Its form is that of
 * `ZODB/src/ZODB/fsIndex.py`, a stream of pickles (protocol 3):
 *
 * ```
 * int                        end position: the index covers the file up to here
 * (bytes, bytes) …           in order of oids: the first 6 bytes of an oid,
 *                            then n 2-byte rests of oids, sorted, followed by n 6-byte positions, big-endian
 * None
 * ```
 *
 * An older form is one pickled dict, `{'index': …, 'pos': …}`.
 */
import { oidFromBigInt, oidToBigInt } from '../../ids';
import { loads } from '../../pickle/index';
import { OidIndex } from './oid-index';
import { StoredBucket } from './stored-bucket';

const Op = { PROTO: 0x80, STOP: 0x2e, TUPLE2: 0x86, NONE: 0x4e, BINPUT: 0x71, LONG_BINPUT: 0x72 } as const;
const IntOp = { BININT: 0x4a, BININT1: 0x4b, BININT2: 0x4d, LONG1: 0x8a } as const;
const BytesOp = { SHORT_BINBYTES: 0x43, BINBYTES: 0x42, SHORT_BINSTRING: 0x55, BINSTRING: 0x54 } as const;

/** From this prefix on oids are beyond 2^53. */
const FOREIGN_PREFIX = 0x20_0000_0000;

/** A saved index and how far it goes. */
export interface SavedIndex {
  /** The end of the last transaction that it covers. */
  readonly position: number;
  readonly index: OidIndex;
}

/** The bytes of an index file. They are Python's, byte for byte. */
export function encodeIndexFile(index: OidIndex, position: number): Buffer {
  return Buffer.concat([...indexFileParts(index, position)]);
}

/** As {@link encodeIndexFile}, piece by piece. */
export function* indexFileParts(index: OidIndex, position: number): IterableIterator<Buffer> {
  yield pickled(encodeInt(position));
  for (const { prefix, content } of index.buckets()) {
    if (content.length > 0) yield* encodeBucket(prefix, content);
  }
  yield* foreignParts(index);
  yield pickled(Buffer.from([Op.NONE]));
}

function* foreignParts(index: OidIndex): IterableIterator<Buffer> {
  const oids = index.foreign();
  for (let from = 0; from < oids.length;) {
    const prefix = oidToBigInt(oids[from]!) >> 16n;
    let to = from + 1;
    while (to < oids.length && oidToBigInt(oids[to]!) >> 16n === prefix) to++;
    const content = Buffer.allocUnsafe((to - from) * 8);
    const bucket = new StoredBucket(content);
    for (let rank = 0; rank < to - from; rank++) {
      const oid = oids[from + rank]!;
      content.writeUInt16BE(Number(oidToBigInt(oid) & 0xffffn), rank * 2);
      bucket.setPosition(rank, index.get(oid));
    }
    yield* encodeBucket(Number(prefix), content);
    from = to;
  }
}

/** Reads an index file of either form; `undefined` when it is none. The index keeps the bytes, and changes them when it is changed. */
export function decodeIndexFile(bytes: Buffer): SavedIndex | undefined {
  try {
    return new IndexReader(bytes).read() ?? decodeOldForm(bytes);
  } catch {
    // Whatever is wrong with it: the index can be made again from the data.
    return undefined;
  }
}

function pickled(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([Op.PROTO, 3]), body, Buffer.from([Op.STOP])]);
}

function encodeInt(value: number): Buffer {
  if (value < 0x100) return Buffer.from([IntOp.BININT1, value]);
  if (value < 0x1_0000) return Buffer.from([IntOp.BININT2, value & 0xff, value >> 8]);
  if (value < 0x8000_0000) {
    const bytes = Buffer.alloc(5);
    bytes[0] = IntOp.BININT;
    bytes.writeUInt32LE(value, 1);
    return bytes;
  }
  const digits = Buffer.alloc(9);
  digits.writeBigUInt64LE(BigInt(value));
  let length = 8;
  // The least number of bytes of two's complement.
  while (digits[length - 1] === 0 && digits[length - 2]! < 0x80) length--;
  return Buffer.concat([Buffer.from([IntOp.LONG1, length]), digits.subarray(0, length)]);
}

function* encodeBucket(prefix: number, content: Buffer): IterableIterator<Buffer> {
  const { length } = content;
  const short = length < 256;
  const head = Buffer.allocUnsafe(short ? 12 : 15);
  head[0] = Op.PROTO;
  head[1] = 3;
  head[2] = BytesOp.SHORT_BINBYTES;
  head[3] = 6;
  head.writeUIntBE(prefix, 4, 6);
  head[10] = short ? BytesOp.SHORT_BINBYTES : BytesOp.BINBYTES;
  if (short) head[11] = length;
  else head.writeUInt32LE(length, 11);
  yield head;
  yield content;
  yield Buffer.from([Op.TUPLE2, Op.STOP]);
}

/** Reads the few opcodes that index files are made of. */
class IndexReader {
  readonly #bytes: Buffer;
  #at = 0;
  #lastPrefix = -1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): SavedIndex | undefined {
    const position = this.#int();
    if (position === undefined) return undefined;
    const index = new OidIndex();
    while (this.#bucket(index));
    return { position, index };
  }

  #int(): number | undefined {
    this.#begin();
    const op = this.#bytes[this.#at++];
    let value: number;
    if (op === IntOp.BININT1) value = this.#bytes.readUInt8(this.#skip(1));
    else if (op === IntOp.BININT2) value = this.#bytes.readUInt16LE(this.#skip(2));
    else if (op === IntOp.BININT) value = this.#bytes.readInt32LE(this.#skip(4));
    else if (op === IntOp.LONG1) value = this.#bytes.readUIntLE(this.#at + 1, this.#bytes[this.#skip(1)]!);
    else return undefined;
    if (op === IntOp.LONG1) this.#at += this.#bytes[this.#at - 1]!;
    this.#end();
    return value;
  }

  /** Reads one bucket into `index`; false at the end. */
  #bucket(index: OidIndex): boolean {
    this.#begin();
    if (this.#bytes[this.#at] === Op.NONE) {
      this.#at++;
      this.#end();
      return false;
    }
    const prefix = this.#byteString();
    const content = this.#byteString();
    if (this.#bytes[this.#at++] !== Op.TUPLE2) throw new RangeError('no tuple');
    this.#end();
    this.#fill(index, prefix, content);
    return true;
  }

  #fill(index: OidIndex, prefixBytes: Buffer, content: Buffer): void {
    const count = content.length / 8;
    if (prefixBytes.length !== 6 || !Number.isInteger(count)) throw new RangeError('no bucket');
    const prefix = prefixBytes.readUIntBE(0, 6);
    if (prefix <= this.#lastPrefix) throw new RangeError('no order');
    this.#lastPrefix = prefix;
    if (prefix < FOREIGN_PREFIX) {
      index.addBucket(prefix, content);
      return;
    }
    const bucket = new StoredBucket(content);
    for (let rank = 0; rank < count; rank++) {
      const oid = oidFromBigInt((BigInt(prefix) << 16n) | BigInt(bucket.suffix(rank)));
      index.set(oid, bucket.position(rank));
    }
  }

  #byteString(): Buffer {
    const op = this.#bytes[this.#at++];
    let length: number;
    if (op === BytesOp.SHORT_BINBYTES || op === BytesOp.SHORT_BINSTRING)
      length = this.#bytes.readUInt8(this.#skip(1));
    else if (op === BytesOp.BINBYTES || op === BytesOp.BINSTRING)
      length = this.#bytes.readUInt32LE(this.#skip(4));
    else throw new RangeError('no bytes');
    const start = this.#skip(length);
    if (this.#at > this.#bytes.length) throw new RangeError('cut short');
    this.#skipMemo();
    return this.#bytes.subarray(start, start + length);
  }

  #begin(): void {
    if (this.#bytes[this.#at] === Op.PROTO) this.#at += 2;
  }

  #end(): void {
    this.#skipMemo();
    if (this.#bytes[this.#at++] !== Op.STOP) throw new RangeError('no end');
  }

  #skipMemo(): void {
    if (this.#bytes[this.#at] === Op.BINPUT) this.#at += 2;
    else if (this.#bytes[this.#at] === Op.LONG_BINPUT) this.#at += 5;
  }

  #skip(length: number): number {
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

function decodeOldForm(bytes: Buffer): SavedIndex | undefined {
  const value = loads(bytes, { unknown: 'broken' });
  const position = entry(value, 'pos');
  const content = entry(value, 'index');
  if (typeof position !== 'number' || content === undefined) return undefined;
  const index = new OidIndex();
  for (const [key, at] of pairs(content)) {
    if (typeof at !== 'number') return undefined;
    const oid = keyBytes(key);
    if (oid?.length !== 8) return undefined;
    index.set(oidFromBigInt(oid.readBigUInt64BE()), at);
  }
  return { position, index };
}

function entry(value: unknown, key: string): unknown {
  if (value instanceof Map) return value.get(key) as unknown;
  if (typeof value === 'object' && value !== null) return (value as Record<string, unknown>)[key];
  return undefined;
}

function pairs(content: unknown): Iterable<[unknown, unknown]> {
  return content instanceof Map ? (content as Map<unknown, unknown>) : Object.entries(content as object);
}

/** Keys were 8-bit strings, which come back as bytes or as text of code points below 256. */
function keyBytes(key: unknown): Buffer | undefined {
  if (key instanceof Uint8Array) return Buffer.from(key);
  return typeof key === 'string' ? Buffer.from(key, 'latin1') : undefined;
}
