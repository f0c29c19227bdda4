/**
 * Where each object's newest record is: a sorted map from oids to file positions, at most 16 bytes an object.
 *
 * Oids are dealt out by counting, so they are dense at first and thin out as objects are packed away. A page
 * covers 4,096 oids and is kept in one of two shapes: sparse (sorted offsets and their positions, 10 bytes an entry plus
 * room to grow) while it holds few, dense (one position per oid) once that is smaller. Foreign oids, which
 * are negative numbers in memory, are few, and are kept in a map of their own.
 */
import { oidToBigInt, type Oid } from '../../ids';

const PAGE_SIZE = 4096;
const PAGE_BITS = 12;
/** A bucket of an index file covers 65,536 oids. */
const PAGES_PER_BUCKET = 16;
/** At this many entries a dense page (8 bytes an oid) takes no more than 14 bytes an entry. */
const DENSE_FROM = 2400;

class Page {
  /** Entries that are set. */
  count = 0;
  /** Sorted offsets of a sparse page; undefined in a dense one. */
  offsets: Uint16Array | undefined = new Uint16Array(4);
  /** Positions: by rank in a sparse page, by offset in a dense one (0: none). */
  positions: Float64Array = new Float64Array(4);

  /** Takes in entries `from` to `to` of a bucket with `count` entries. */
  fill(content: Buffer, from: number, to: number, count: number): void {
    const added = to - from;
    if (this.count === 0 && isAscending(content, from, to)) {
      const dense = added >= DENSE_FROM;
      const offsets = dense ? undefined : new Uint16Array(added);
      const positions = new Float64Array(dense ? PAGE_SIZE : added);
      for (let i = 0; i < added; i++) {
        const offset = content.readUInt16BE((from + i) * 2) % PAGE_SIZE;
        if (offsets !== undefined) offsets[i] = offset;
        positions[dense ? offset : i] = readPosition(content, count * 2 + (from + i) * 6);
      }
      this.offsets = offsets;
      this.positions = positions;
      this.count = added;
      return;
    }
    for (let i = from; i < to; i++) {
      this.set(content.readUInt16BE(i * 2) % PAGE_SIZE, readPosition(content, count * 2 + i * 6));
    }
  }

  get(offset: number): number {
    if (this.offsets === undefined) return this.positions[offset]!;
    const rank = this.rank(this.offsets, offset);
    return rank < this.count && this.offsets[rank] === offset ? this.positions[rank]! : 0;
  }

  set(offset: number, position: number): void {
    const { offsets } = this;
    if (offsets === undefined) {
      if (this.positions[offset] === 0) this.count++;
      this.positions[offset] = position;
      return;
    }
    const rank = this.rank(offsets, offset);
    if (rank < this.count && offsets[rank] === offset) {
      this.positions[rank] = position;
    } else if (this.count === DENSE_FROM) {
      this.makeDense(offsets);
      this.set(offset, position);
    } else {
      this.insert(offsets, rank, offset, position);
    }
  }

  delete(offset: number): void {
    const { offsets } = this;
    if (offsets === undefined) {
      if (this.positions[offset] !== 0) this.count--;
      this.positions[offset] = 0;
      return;
    }
    const rank = this.rank(offsets, offset);
    if (rank >= this.count || offsets[rank] !== offset) return;
    offsets.copyWithin(rank, rank + 1, this.count);
    this.positions.copyWithin(rank, rank + 1, this.count);
    this.count--;
  }

  /** First offset ≥ `from` that is set, or -1. */
  next(from: number): number {
    if (this.offsets === undefined) {
      for (let offset = from; offset < PAGE_SIZE; offset++) if (this.positions[offset] !== 0) return offset;
      return -1;
    }
    const rank = this.rank(this.offsets, from);
    return rank < this.count ? this.offsets[rank]! : -1;
  }

  /** Last offset that is set, or -1. */
  last(): number {
    if (this.offsets !== undefined) return this.count === 0 ? -1 : this.offsets[this.count - 1]!;
    for (let offset = PAGE_SIZE - 1; offset >= 0; offset--) if (this.positions[offset] !== 0) return offset;
    return -1;
  }

  private rank(offsets: Uint16Array, offset: number): number {
    const { count } = this;
    if (count === 0 || offsets[count - 1]! < offset) return count;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private insert(offsets: Uint16Array, rank: number, offset: number, position: number): void {
    const { count } = this;
    if (count === offsets.length) {
      const capacity = Math.min(DENSE_FROM, count + (count >> 2) + 4);
      const grownOffsets = new Uint16Array(capacity);
      const grownPositions = new Float64Array(capacity);
      grownOffsets.set(offsets);
      grownPositions.set(this.positions);
      this.offsets = offsets = grownOffsets;
      this.positions = grownPositions;
    }
    if (rank < count) {
      offsets.copyWithin(rank + 1, rank, count);
      this.positions.copyWithin(rank + 1, rank, count);
    }
    offsets[rank] = offset;
    this.positions[rank] = position;
    this.count++;
  }

  private makeDense(offsets: Uint16Array): void {
    const dense = new Float64Array(PAGE_SIZE);
    for (let rank = 0; rank < this.count; rank++) dense[offsets[rank]!] = this.positions[rank]!;
    this.positions = dense;
    this.offsets = undefined;
  }
}

function isAscending(content: Buffer, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) {
    if (content.readUInt16BE(i * 2) <= content.readUInt16BE(i * 2 - 2)) return false;
  }
  return true;
}

function readPosition(content: Buffer, offset: number): number {
  return content.readUInt16BE(offset) * 0x1_0000_0000 + content.readUInt32BE(offset + 2);
}

/** Page numbers below this are found in an array, the rest in a map: oids may begin anywhere below 2^53. */
const ARRAY_PAGES = 1 << 16;

/** A sorted map from oids to file positions. 0 is no position. */
export class OidIndex {
  #size = 0;
  readonly #pages: (Page | undefined)[] = [];
  readonly #farPages = new Map<number, Page>();
  readonly #foreign = new Map<Oid, number>();
  /** Keys of the two maps in order, made when needed. */
  #farOrder: number[] | undefined;
  #foreignOrder: Oid[] | undefined;
  /** The page used last: loads and scans often stay within one. */
  #lastNumber = -1;
  #lastPage: Page | undefined;

  /** Buckets of an index file that nobody looked at yet, by their prefix: see {@link addBucket}. */
  readonly #unread = new Map<number, Buffer>();

  /**
   * Takes in a bucket of an index file: n 2-byte rests of oids, sorted, then n 6-byte positions, for the oids that begin with
   * `prefix`. It is decoded when one of them is asked for, so that opening a large file costs next to nothing.
   */
  addBucket(prefix: number, content: Buffer): void {
    this.#unread.set(prefix, content);
    this.#size += content.length / 8;
  }

  /** Number of objects. */
  get size(): number {
    return this.#size + this.#foreign.size;
  }

  /** Bytes that the entries take, for tests and reports. */
  get bytes(): number {
    let bytes = 0;
    for (const content of this.#unread.values()) bytes += content.length;
    for (const page of [...this.#pages, ...this.#farPages.values()]) {
      // Beside its arrays a page takes about this much for its objects.
      if (page !== undefined) bytes += page.positions.byteLength + (page.offsets?.byteLength ?? 0) + 400;
    }
    return bytes + this.#foreign.size * 40;
  }

  /** The position of `oid`'s newest record, or 0. */
  get(oid: Oid): number {
    if (oid < 0) return this.#foreign.get(oid) ?? 0;
    const number = Math.floor(oid / PAGE_SIZE);
    const page = number === this.#lastNumber ? this.#lastPage : this.#page(number);
    return page === undefined ? 0 : page.get(oid % PAGE_SIZE);
  }

  set(oid: Oid, position: number): void {
    if (oid < 0) {
      if (!this.#foreign.has(oid)) this.#foreignOrder = undefined;
      this.#foreign.set(oid, position);
      return;
    }
    const number = Math.floor(oid / PAGE_SIZE);
    let page = number === this.#lastNumber ? this.#lastPage : this.#page(number);
    if (page === undefined) page = this.#addPage(number);
    const before = page.count;
    page.set(oid % PAGE_SIZE, position);
    this.#size += page.count - before;
  }

  delete(oid: Oid): void {
    if (oid < 0) {
      if (this.#foreign.delete(oid)) this.#foreignOrder = undefined;
      return;
    }
    const page = this.#page(Math.floor(oid / PAGE_SIZE));
    if (page === undefined) return;
    const before = page.count;
    page.delete(oid % PAGE_SIZE);
    this.#size += page.count - before;
  }

  /** The greatest oid as an unsigned integer, or -1n when there is none. */
  maxOid(): bigint {
    const foreign = this.#sortedForeign();
    if (foreign.length > 0) return oidToBigInt(foreign[foreign.length - 1]!);
    const unread = this.#maxUnread();
    const far = this.#sortedFar();
    for (let i = far.length - 1; i >= 0; i--) {
      const last = this.#farPages.get(far[i]!)!.last();
      if (last >= 0) return BigInt(Math.max(unread, far[i]! * PAGE_SIZE + last));
    }
    for (let number = this.#pages.length - 1; number >= 0; number--) {
      const last = this.#pages[number]?.last() ?? -1;
      if (last >= 0) return BigInt(Math.max(unread, number * PAGE_SIZE + last));
    }
    return BigInt(unread);
  }

  /** The greatest oid among the buckets that are not decoded, found without decoding. */
  #maxUnread(): number {
    let prefix = -1;
    for (const each of this.#unread.keys()) prefix = Math.max(prefix, each);
    if (prefix < 0) return -1;
    const content = this.#unread.get(prefix)!;
    // They are sorted.
    const last = content.readUInt16BE(content.length / 4 - 2);
    return prefix * PAGES_PER_BUCKET * PAGE_SIZE + last;
  }

  /** The first oid at or after `from`, in the order of unsigned integers; `undefined` at the end. */
  next(from: Oid): Oid | undefined {
    if (from < 0) return this.#nextForeign(oidToBigInt(from));
    this.#readAll();
    const first = Math.floor(from / PAGE_SIZE);
    const start = from % PAGE_SIZE;
    for (let number = first; number < this.#pages.length; number++) {
      const found = this.#pages[number]?.next(number === first ? start : 0) ?? -1;
      if (found >= 0) return (number * PAGE_SIZE + found) as Oid;
    }
    const far = this.#sortedFar();
    for (let i = lowerBound(far, first); i < far.length; i++) {
      const found = this.#farPages.get(far[i]!)!.next(far[i] === first ? start : 0);
      if (found >= 0) return (far[i]! * PAGE_SIZE + found) as Oid;
    }
    return this.#sortedForeign()[0];
  }

  /** The first oid after `oid`. */
  after(oid: Oid): Oid | undefined {
    return oid < 0 ? this.#nextForeign(oidToBigInt(oid) + 1n) : this.next((oid + 1) as Oid);
  }

  /** Calls `visit` for every entry, in the order of unsigned oids. */
  forEach(visit: (oid: Oid, position: number) => void): void {
    this.#readAll();
    for (let number = 0; number < this.#pages.length; number++) {
      const page = this.#pages[number];
      if (page !== undefined) visitPage(page, number, visit);
    }
    for (const number of this.#sortedFar()) visitPage(this.#farPages.get(number)!, number, visit);
    for (const oid of this.#sortedForeign()) visit(oid, this.#foreign.get(oid)!);
  }

  #readAll(): void {
    for (const prefix of this.#unread.keys()) this.#read(prefix);
  }

  /** Decodes a bucket that was only taken in. */
  #read(prefix: number): void {
    const content = this.#unread.get(prefix)!;
    this.#unread.delete(prefix);
    const count = content.length / 8;
    for (let from = 0; from < count;) {
      const inBucket = content.readUInt16BE(from * 2) >> PAGE_BITS;
      let to = from + 1;
      while (to < count && content.readUInt16BE(to * 2) >> PAGE_BITS === inBucket) to++;
      const number = prefix * PAGES_PER_BUCKET + inBucket;
      const page = this.#page(number) ?? this.#addPage(number);
      const before = page.count;
      page.fill(content, from, to, count);
      // They were counted when they came; an index file in disorder may hold some twice.
      this.#size += page.count - before - (to - from);
      from = to;
    }
  }

  #page(number: number): Page | undefined {
    if (this.#unread.size > 0) {
      const prefix = Math.floor(number / PAGES_PER_BUCKET);
      if (this.#unread.has(prefix)) this.#read(prefix);
    }
    const page = number < ARRAY_PAGES ? this.#pages[number] : this.#farPages.get(number);
    if (page !== undefined) {
      this.#lastNumber = number;
      this.#lastPage = page;
    }
    return page;
  }

  #addPage(number: number): Page {
    const page = new Page();
    if (number < ARRAY_PAGES) {
      while (this.#pages.length < number) this.#pages.push(undefined);
      this.#pages[number] = page;
    } else {
      this.#farPages.set(number, page);
      this.#farOrder = undefined;
    }
    this.#lastNumber = number;
    this.#lastPage = page;
    return page;
  }

  #nextForeign(least: bigint): Oid | undefined {
    const sorted = this.#sortedForeign();
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (oidToBigInt(sorted[middle]!) < least) low = middle + 1;
      else high = middle;
    }
    return sorted[low];
  }

  #sortedFar(): number[] {
    return (this.#farOrder ??= [...this.#farPages.keys()].sort((a, b) => a - b));
  }

  #sortedForeign(): Oid[] {
    return (this.#foreignOrder ??= [...this.#foreign.keys()].sort((a, b) =>
      oidToBigInt(a) < oidToBigInt(b) ? -1 : 1,
    ));
  }
}

function visitPage(page: Page, number: number, visit: (oid: Oid, position: number) => void): void {
  const base = number * PAGE_SIZE;
  for (let offset = page.next(0); offset >= 0; offset = page.next(offset + 1)) {
    visit((base + offset) as Oid, page.get(offset));
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
