import { ClientCacheError } from '../errors';
import type { CacheMedium } from './cache-medium';
import { oidFromBytes, oidToBytes, tidFromBytes, tidToBytes, ZERO_TID, type Oid, type Tid } from '../../ids';
import { crc32 } from '../../storage/index';
import {
  ALLOCATED,
  BLOCK_HEADER,
  CACHE_HEADER,
  CACHE_MAGIC,
  checksum,
  dataOf,
  FREE,
  FREE_HEADER,
  isFreeHeader,
  MAX_BLOCK,
  OVERHEAD,
  PYTHON_OVERHEAD,
  writeFreeHeader,
  type Block,
} from './cache-format';

/** Records further behind the ring's head than this part of the size move to the front when they are used. */
const FAR_BEHIND = 0.8;

/** A record and the time in which it was current. */
export interface CachedRecord {
  readonly data: Buffer;
  readonly start: Tid;
  readonly end: Tid | undefined;
}

/** Counters since the cache was opened. */
export interface CacheStatistics {
  readonly records: number;
  /** Bytes of the ring that hold records. */
  readonly bytes: number;
  readonly size: number;
  readonly hits: number;
  readonly misses: number;
  readonly stored: number;
  readonly evicted: number;
  readonly invalidated: number;
  /** Records whose checksum was wrong; they were dropped. */
  readonly damaged: number;
}

/** A ring of records in the format of `cache-format.ts`. */
export class RecordCache {
  readonly #medium: CacheMedium;
  readonly #size: number;
  /** All blocks that hold something, and where free space begins, by offset. */
  readonly #filled = new Map<number, Block | number>();
  readonly #current = new Map<Oid, Block>();
  readonly #old = new Map<Oid, Block[]>();
  #position = CACHE_HEADER;
  #lastTid: Tid = ZERO_TID;
  #bytes = 0;
  #counters = { hits: 0, misses: 0, stored: 0, evicted: 0, invalidated: 0, damaged: 0 };

  /** @param size of the whole, in bytes, the header included */
  constructor(medium: CacheMedium, size: number) {
    this.#medium = medium;
    this.#size = size;
  }

  /** Makes it empty. */
  format(): void {
    this.#medium.write(CACHE_MAGIC, 0);
    this.#forgetAll();
    this.#writeLastTid(ZERO_TID);
    this.#freeRest(CACHE_HEADER, this.#size);
  }

  /** Reads what a file holds. False when it is no cache, or damaged: it has to be formatted then. */
  scan(written: 'by us' | 'perhaps by Python' = 'by us'): boolean {
    const header = Buffer.alloc(CACHE_HEADER);
    this.#medium.read(header, 0);
    if (!header.subarray(0, 4).equals(CACHE_MAGIC)) return false;
    this.#forgetAll();
    this.#lastTid = tidFromBytes(header, 4);
    let firstFree = 0;
    for (let offset = CACHE_HEADER; offset < this.#size;) {
      const size = this.#scanBlock(offset, written === 'by us');
      if (size === 0) return false;
      if (firstFree === 0 && typeof this.#filled.get(offset) === 'number') firstFree = offset;
      offset += size;
    }
    this.#position = firstFree || CACHE_HEADER;
    return true;
  }

  get lastTid(): Tid {
    return this.#lastTid;
  }

  /** Everything in the cache is right up to this transaction. Tids must not go back. */
  setLastTid(tid: Tid): void {
    if (tid > this.#lastTid) this.#writeLastTid(tid);
  }

  get statistics(): CacheStatistics {
    return {
      ...this.#counters,
      records: this.#filledRecords(),
      bytes: this.#bytes,
      size: this.#size,
    };
  }

  /** The revision that was current just before `before`; `undefined` when it is not here. */
  load(oid: Oid, before: Tid): CachedRecord | undefined {
    const block = this.#find(oid, before);
    const record = block && this.#read(block);
    if (record) this.#counters.hits++;
    else this.#counters.misses++;
    return record;
  }

  /** Whether {@link load} would find it. */
  has(oid: Oid, before: Tid): boolean {
    return this.#find(oid, before) !== undefined;
  }

  /** The revision that `start` wrote. */
  loadSerial(oid: Oid, start: Tid): CachedRecord | undefined {
    const current = this.#current.get(oid);
    const block = current?.start === start ? current : this.#old.get(oid)?.find((old) => old.start === start);
    return block && this.#read(block);
  }

  /** Keeps a revision. `end` is `undefined` while there is no later one. */
  store(oid: Oid, start: Tid, end: Tid | undefined, data: Uint8Array): void {
    const known = this.#current.get(oid);
    if (end === undefined) {
      if (known) {
        if (known.start >= start) return;
        this.#endAt(known, start);
      }
    } else if (known?.start === start || this.#old.get(oid)?.some((old) => old.start === start)) return;
    const size = data.length + OVERHEAD;
    if (size > this.#size - CACHE_HEADER || size >= MAX_BLOCK) return;
    this.#put(oid, start, end, data);
  }

  /** A later revision was written at `tid`; `undefined`: it is not known when. */
  invalidate(oid: Oid, tid: Tid | undefined): void {
    const block = this.#current.get(oid);
    if (!block) return;
    this.#counters.invalidated++;
    if (tid === undefined) this.#drop(block);
    else if (tid > block.start) this.#endAt(block, tid);
  }

  /** Forgets all records; the last tid stays. */
  clear(): void {
    const tid = this.#lastTid;
    this.format();
    this.#writeLastTid(tid);
  }

  sync(): void {
    this.#medium.sync();
  }

  close(): void {
    this.#medium.close();
    this.#forgetAll();
  }

  #filledRecords(): number {
    let count = this.#current.size;
    for (const list of this.#old.values()) count += list.length;
    return count;
  }

  #find(oid: Oid, before: Tid): Block | undefined {
    const current = this.#current.get(oid);
    if (current && current.start < before) return current;
    return this.#old.get(oid)?.find((block) => block.start < before && block.end! >= before);
  }

  #read(block: Block): CachedRecord | undefined {
    const data = this.#medium.canBeDamaged ? this.#readChecked(block) : this.#readPlain(block);
    if (!data) {
      this.#counters.damaged++;
      this.#drop(block);
      return undefined;
    }
    if (block.end === undefined) this.#keepHot(block, data);
    return { data, start: block.start, end: block.end };
  }

  #readPlain(block: Block): Buffer {
    const data = Buffer.allocUnsafe(block.size - OVERHEAD);
    this.#medium.read(data, block.offset + BLOCK_HEADER);
    return data;
  }

  #readChecked(block: Block): Buffer | undefined {
    const bytes = Buffer.allocUnsafe(block.size);
    this.#medium.read(bytes, block.offset);
    return dataOf(bytes, block);
  }

  /** Moves a record to the front before the ring reaches it. */
  #keepHot(block: Block, data: Buffer): void {
    const behind = (this.#position - block.offset + this.#size) % this.#size;
    if (behind < FAR_BEHIND * this.#size || data.length * 10 >= this.#size) return;
    this.#drop(block);
    this.#put(block.oid, block.start, undefined, data);
  }

  #put(oid: Oid, start: Tid, end: Tid | undefined, data: Uint8Array): void {
    const size = data.length + OVERHEAD;
    const { offset, freed } = this.#makeRoom(size);
    const rest = freed - size;
    const bytes = Buffer.allocUnsafe(size + Math.min(rest, FREE_HEADER));
    bytes[0] = ALLOCATED;
    bytes.writeUInt32BE(size, 1);
    oidToBytes(oid, bytes, 5);
    tidToBytes(start, bytes, 13);
    tidToBytes(end ?? ZERO_TID, bytes, 21);
    bytes.writeUInt16BE(0, 29);
    bytes.writeUInt32BE(data.length, 31);
    bytes.set(data, BLOCK_HEADER);
    oidToBytes(oid, bytes, size - 16);
    bytes.writeUInt32BE(checksum(bytes, data.length), size - 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(21, 29), 0), size - 4);
    if (rest > 0) {
      writeFreeHeader(bytes, size, rest, offset + size);
      this.#filled.set(offset + size, rest);
    }
    // Until this write a reader of the file sees one free block; a kill can't tear it, and a checksum guards it.
    this.#medium.write(bytes, offset);
    this.#counters.stored++;
    this.#remember({ oid, start, end, offset, size, hasChecksums: true });
    this.#position = offset + size;
  }

  /** Frees `size` bytes, and one more where there is one, at the ring's position. */
  #makeRoom(size: number): { offset: number; freed: number } {
    if (this.#position + size > this.#size) this.#position = CACHE_HEADER;
    const offset = this.#position;
    const wanted = Math.min(offset + size + 1, this.#size);
    let end = offset;
    while (end < wanted) {
      const found = this.#filled.get(end);
      if (found === undefined)
        throw new ClientCacheError('The client cache lost its place; open the storage anew.');
      this.#filled.delete(end);
      if (typeof found === 'number') end += found;
      else {
        this.#counters.evicted++;
        this.#unlist(found);
        this.#bytes -= found.size;
        end += found.size;
      }
    }
    this.#writeFree(offset, end - offset);
    return { offset, freed: end - offset };
  }

  /** Notes and marks free space that may be larger than one block can be. */
  #freeRest(from: number, to: number): void {
    for (let offset = from; offset < to;) {
      const size = Math.min(to - offset, MAX_BLOCK);
      this.#writeFree(offset, size);
      this.#filled.set(offset, size);
      offset += size;
    }
  }

  #writeFree(offset: number, size: number): void {
    const bytes = Buffer.allocUnsafe(Math.min(size, FREE_HEADER));
    writeFreeHeader(bytes, 0, Math.min(size, MAX_BLOCK), offset);
    this.#medium.write(bytes, offset);
  }

  #endAt(block: Block, tid: Tid): void {
    this.#unlist(block);
    block.end = tid;
    const bytes = Buffer.allocUnsafe(8);
    tidToBytes(tid, bytes);
    this.#medium.write(bytes, block.offset + 21);
    if (block.hasChecksums) {
      const check = Buffer.allocUnsafe(4);
      check.writeUInt32BE(crc32(bytes, 0));
      this.#medium.write(check, block.offset + block.size - 4);
    }
    this.#list(block);
  }

  #drop(block: Block): void {
    this.#unlist(block);
    this.#bytes -= block.size;
    this.#filled.set(block.offset, block.size);
    this.#writeFree(block.offset, block.size);
  }

  #remember(block: Block): void {
    this.#filled.set(block.offset, block);
    this.#bytes += block.size;
    this.#list(block);
  }

  #list(block: Block): void {
    if (block.end === undefined) this.#current.set(block.oid, block);
    else {
      const list = this.#old.get(block.oid);
      if (list) list.push(block);
      else this.#old.set(block.oid, [block]);
    }
  }

  #unlist(block: Block): void {
    if (block.end === undefined) {
      this.#current.delete(block.oid);
      return;
    }
    const list = this.#old.get(block.oid);
    if (!list) return;
    list.splice(list.indexOf(block), 1);
    if (list.length === 0) this.#old.delete(block.oid);
  }

  /** Notes the block at `offset`; its size, 0 when it is none. */
  #scanBlock(offset: number, needsChecks: boolean): number {
    const head = Buffer.alloc(BLOCK_HEADER);
    this.#medium.read(head, offset);
    const status = head[0]!;
    if (status >= 0x31 && status <= 0x34) {
      this.#filled.set(offset, status - 0x30);
      return offset + status - 0x30 <= this.#size ? status - 0x30 : 0;
    }
    const size = head.readUInt32BE(1);
    if (size < 5 || offset + size > this.#size) return 0;
    if (status === FREE) {
      if (needsChecks && !isFreeHeader(head, size, offset)) return 0;
      this.#filled.set(offset, size);
      return size;
    }
    const length = head.readUInt32BE(31);
    const hasChecksums = size === length + OVERHEAD;
    if (status !== ALLOCATED || (!hasChecksums && (needsChecks || size !== length + PYTHON_OVERHEAD)))
      return 0;
    const end = tidFromBytes(head, 21);
    const block: Block = {
      oid: oidFromBytes(head, 5),
      start: tidFromBytes(head, 13),
      end: end === ZERO_TID ? undefined : end,
      offset,
      size,
      hasChecksums,
    };
    // Two current revisions of one object can't be: the file is not ours, or was torn.
    if (block.end === undefined && this.#current.has(block.oid)) return 0;
    this.#remember(block);
    return size;
  }

  #writeLastTid(tid: Tid): void {
    this.#medium.noteLastTid(tid);
    this.#lastTid = tid;
    const bytes = Buffer.allocUnsafe(8);
    tidToBytes(tid, bytes);
    this.#medium.write(bytes, 4);
  }

  #forgetAll(): void {
    this.#filled.clear();
    this.#current.clear();
    this.#old.clear();
    this.#bytes = 0;
    this.#position = CACHE_HEADER;
  }
}
