/**
 * Where each object's newest record is: a sorted map from oids to file positions, at most 16 bytes an object.
 *
 * Oids are dealt out by counting, so they are dense at first and thin out as objects are packed away. What comes from an index file stays
 * in the form that it has there ({@link StoredBucket}) until an oid is added to it; what is added is kept in pages ({@link Page}). Foreign
 * oids, which are negative numbers in memory, are few, and are kept in a map of their own.
 */
import { oidToBigInt, type Oid } from '../../ids';
import { Page, PAGE_SIZE } from './index-page';
import { StoredBucket } from './stored-bucket';

/** Oids of a bucket of an index file. */
const BUCKET_SIZE = 0x1_0000;
const PAGES_PER_BUCKET = BUCKET_SIZE / PAGE_SIZE;
/** Page numbers below this are found in an array, the rest in a map: oids may begin anywhere below 2^53. */
const ARRAY_PAGES = 1 << 16;
/** What a page takes beside its arrays, about. */
const PAGE_BYTES = 400;

/** A sorted map from oids to file positions. 0 is no position. */
export class OidIndex {
  #size = 0;
  /** By prefix. Those of one prefix are either in a stored bucket or in pages. */
  readonly #stored = new Map<number, StoredBucket>();
  readonly #pages: (Page | undefined)[] = [];
  readonly #farPages = new Map<number, Page>();
  readonly #foreign = new Map<Oid, number>();
  /** Keys of the maps in order, made when needed. */
  #storedOrder: number[] | undefined;
  #farOrder: number[] | undefined;
  #foreignOrder: Oid[] | undefined;
  /** The page used last: loads and scans often stay within one. */
  #lastNumber = -1;
  #lastPage: Page | undefined;

  /** Takes in a bucket of an index file, with the oids that begin with `prefix`; none of them may be in the index. */
  addBucket(prefix: number, content: Buffer): void {
    if (content.length === 0) return;
    const bucket = new StoredBucket(content);
    this.#stored.set(prefix, bucket);
    this.#storedOrder = undefined;
    this.#size += bucket.count;
  }

  /** A copy, in its smallest form. */
  clone(): OidIndex {
    const copy = new OidIndex();
    for (const { prefix, content } of this.buckets()) copy.addBucket(prefix, Buffer.from(content));
    for (const [oid, position] of this.#foreign) copy.#foreign.set(oid, position);
    return copy;
  }

  /** Number of objects. */
  get size(): number {
    return this.#size + this.#foreign.size;
  }

  /** Bytes that the entries take, for tests and reports. */
  get bytes(): number {
    let bytes = 0;
    for (const { content } of this.#stored.values()) bytes += content.length;
    for (const page of [...this.#pages, ...this.#farPages.values()]) {
      if (page !== undefined)
        bytes += page.positions.byteLength + (page.offsets?.byteLength ?? 0) + PAGE_BYTES;
    }
    return bytes + this.#foreign.size * 40;
  }

  /** The position of `oid`'s newest record, or 0. */
  get(oid: Oid): number {
    if (oid < 0) return this.#foreign.get(oid) ?? 0;
    const number = Math.floor(oid / PAGE_SIZE);
    if (number === this.#lastNumber) return this.#lastPage!.get(oid % PAGE_SIZE);
    if (this.#stored.size > 0) {
      const prefix = Math.floor(oid / BUCKET_SIZE);
      const bucket = this.#stored.get(prefix);
      if (bucket !== undefined) {
        const rank = bucket.find(oid - prefix * BUCKET_SIZE);
        if (rank >= 0) return bucket.position(rank);
        if (bucket.isAscending()) return 0;
        this.#decode(prefix);
      }
    }
    const page = this.#page(number);
    return page === undefined ? 0 : page.get(oid % PAGE_SIZE);
  }

  set(oid: Oid, position: number): void {
    if (oid < 0) {
      if (!this.#foreign.has(oid)) this.#foreignOrder = undefined;
      this.#foreign.set(oid, position);
      return;
    }
    if (this.#stored.size > 0 && this.#setStored(oid, position)) return;
    const number = Math.floor(oid / PAGE_SIZE);
    const page = this.#page(number) ?? this.#addPage(number);
    const before = page.count;
    page.set(oid % PAGE_SIZE, position);
    this.#size += page.count - before;
  }

  delete(oid: Oid): void {
    if (oid < 0) {
      if (this.#foreign.delete(oid)) this.#foreignOrder = undefined;
      return;
    }
    const prefix = Math.floor(oid / BUCKET_SIZE);
    if (this.#stored.has(prefix)) this.#decode(prefix);
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
    return BigInt(Math.max(this.#maxStored(), this.#maxInPages()));
  }

  /** The first oid at or after `from`, in the order of unsigned integers; `undefined` at the end. */
  next(from: Oid): Oid | undefined {
    if (from < 0) return this.#nextForeign(oidToBigInt(from));
    const stored = this.#stored.size === 0 ? -1 : this.#nextStored(from);
    const paged = this.#nextInPages(from, stored < 0 ? Infinity : stored / PAGE_SIZE);
    if (paged >= 0 && (stored < 0 || paged < stored)) return paged as Oid;
    return stored >= 0 ? (stored as Oid) : this.#sortedForeign()[0];
  }

  /** The first oid after `oid`. */
  after(oid: Oid): Oid | undefined {
    return oid < 0 ? this.#nextForeign(oidToBigInt(oid) + 1n) : this.next((oid + 1) as Oid);
  }

  /** Calls `visit` for every entry, in the order of unsigned oids. */
  forEach(visit: (oid: Oid, position: number) => void): void {
    for (const prefix of this.#prefixes()) {
      const bucket = this.#stored.get(prefix);
      if (bucket === undefined) {
        const first = prefix * PAGES_PER_BUCKET;
        for (let number = first; number < first + PAGES_PER_BUCKET; number++) {
          const page = this.#pageAt(number);
          if (page !== undefined) visitPage(page, number, visit);
        }
      } else {
        const base = prefix * BUCKET_SIZE;
        for (let rank = 0; rank < bucket.count; rank++)
          visit((base + bucket.suffix(rank)) as Oid, bucket.position(rank));
      }
    }
    for (const oid of this.#sortedForeign()) visit(oid, this.#foreign.get(oid)!);
  }

  /** Buckets as an index file has them, in order, foreign oids left out; some may be empty. */
  *buckets(): IterableIterator<{ readonly prefix: number; readonly content: Buffer }> {
    for (const prefix of this.#prefixes()) {
      const stored = this.#stored.get(prefix);
      yield { prefix, content: stored === undefined ? this.#encode(prefix) : stored.content };
    }
  }

  /** The foreign oids in order. */
  foreign(): readonly Oid[] {
    return this.#sortedForeign();
  }

  /** The prefixes that occur, in order. Buckets in disorder are pages afterwards. */
  #prefixes(): number[] {
    for (const [prefix, bucket] of this.#stored) if (!bucket.isAscending()) this.#decode(prefix);
    const prefixes = new Set(this.#stored.keys());
    for (let number = 0; number < this.#pages.length; number++) {
      if (this.#pages[number] !== undefined) prefixes.add(Math.floor(number / PAGES_PER_BUCKET));
    }
    for (const number of this.#farPages.keys()) prefixes.add(Math.floor(number / PAGES_PER_BUCKET));
    return [...prefixes].sort((a, b) => a - b);
  }

  #encode(prefix: number): Buffer {
    const first = prefix * PAGES_PER_BUCKET;
    let count = 0;
    for (let place = 0; place < PAGES_PER_BUCKET; place++) count += this.#pageAt(first + place)?.count ?? 0;
    const content = Buffer.allocUnsafeSlow(count * 8);
    const bucket = new StoredBucket(content);
    let rank = 0;
    const add = (oid: Oid, position: number): void => {
      content.writeUInt16BE(oid % BUCKET_SIZE, rank * 2);
      bucket.setPosition(rank++, position);
    };
    for (let place = 0; place < PAGES_PER_BUCKET; place++) {
      const page = this.#pageAt(first + place);
      if (page !== undefined) visitPage(page, first + place, add);
    }
    return content;
  }

  /** True when the oid is in a stored bucket, and has its position there now. */
  #setStored(oid: Oid, position: number): boolean {
    const prefix = Math.floor(oid / BUCKET_SIZE);
    const bucket = this.#stored.get(prefix);
    if (bucket === undefined) return false;
    const rank = bucket.find(oid % BUCKET_SIZE);
    if (rank < 0) {
      this.#decode(prefix);
      return false;
    }
    bucket.setPosition(rank, position);
    return true;
  }

  /** Makes pages of a stored bucket. */
  #decode(prefix: number): void {
    const bucket = this.#stored.get(prefix)!;
    this.#stored.delete(prefix);
    this.#storedOrder = undefined;
    const { count } = bucket;
    for (let from = 0; from < count;) {
      const inBucket = Math.floor(bucket.suffix(from) / PAGE_SIZE);
      let to = from + 1;
      while (to < count && Math.floor(bucket.suffix(to) / PAGE_SIZE) === inBucket) to++;
      const number = prefix * PAGES_PER_BUCKET + inBucket;
      const page = this.#page(number) ?? this.#addPage(number);
      const before = page.count;
      page.fill(bucket, from, to);
      // They were counted when they came; an index file in disorder may hold some twice.
      this.#size += page.count - before - (to - from);
      from = to;
    }
  }

  #pageAt(number: number): Page | undefined {
    return number < ARRAY_PAGES ? this.#pages[number] : this.#farPages.get(number);
  }

  #page(number: number): Page | undefined {
    if (number === this.#lastNumber) return this.#lastPage;
    const page = this.#pageAt(number);
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

  #nextStored(from: number): number {
    const order = (this.#storedOrder ??= [...this.#stored.keys()].sort((a, b) => a - b));
    const first = Math.floor(from / BUCKET_SIZE);
    for (let i = lowerBound(order, first); i < order.length; i++) {
      const prefix = order[i]!;
      const bucket = this.#stored.get(prefix)!;
      if (!bucket.isAscending()) {
        this.#decode(prefix);
        return this.#nextStored(from);
      }
      const rank = prefix === first ? bucket.from(from % BUCKET_SIZE) : 0;
      if (rank < bucket.count) return prefix * BUCKET_SIZE + bucket.suffix(rank);
    }
    return -1;
  }

  /** The first oid at or after `from` in a page up to number `last`, or -1. */
  #nextInPages(from: number, last: number): number {
    const first = Math.floor(from / PAGE_SIZE);
    const start = from % PAGE_SIZE;
    for (let number = first; number <= last && number < this.#pages.length; number++) {
      const found = this.#pages[number]?.next(number === first ? start : 0) ?? -1;
      if (found >= 0) return number * PAGE_SIZE + found;
    }
    if (this.#farPages.size === 0) return -1;
    const far = this.#sortedFar();
    for (let i = lowerBound(far, first); i < far.length && far[i]! <= last; i++) {
      const found = this.#farPages.get(far[i]!)!.next(far[i] === first ? start : 0);
      if (found >= 0) return far[i]! * PAGE_SIZE + found;
    }
    return -1;
  }

  #maxStored(): number {
    let prefix = -1;
    for (const each of this.#stored.keys()) prefix = Math.max(prefix, each);
    if (prefix < 0) return -1;
    const bucket = this.#stored.get(prefix)!;
    return prefix * BUCKET_SIZE + bucket.suffix(bucket.count - 1);
  }

  #maxInPages(): number {
    const far = this.#sortedFar();
    for (let i = far.length - 1; i >= 0; i--) {
      const last = this.#farPages.get(far[i]!)!.last();
      if (last >= 0) return far[i]! * PAGE_SIZE + last;
    }
    for (let number = this.#pages.length - 1; number >= 0; number--) {
      const last = this.#pages[number]?.last() ?? -1;
      if (last >= 0) return number * PAGE_SIZE + last;
    }
    return -1;
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
