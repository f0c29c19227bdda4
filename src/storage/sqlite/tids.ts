import { CorruptionError } from '../../errors';
import { ZERO_TID, type Tid } from '../../ids';
import type { Statement } from './driver';
import type { Handle } from './handle';

const PAGE_BITS = 8;
const PAGE = 1 << PAGE_BITS;
/** Pages of {@link PAGE} tids that are kept. */
const MAX_PAGES = 1024;

/**
 * Commit numbers to tids and back. Kept in pages: a page is read as a whole from the second miss in it on, so that both
 * scattered and neighbouring lookups stay cheap.
 */
export class Tids {
  readonly #pages: Map<number, (Tid | undefined)[]>;
  readonly #one: Statement<bigint>;
  readonly #range: Statement<[bigint, bigint]>;
  readonly #atMost: Statement<[bigint, bigint]>;
  readonly #handle: Handle;
  /** Who is asked first. */
  readonly #shared: Tids | undefined;
  /** What was asked for last: the objects of a batch are mostly of one commit. */
  #lastSeq = -1;
  #lastTid: Tid = ZERO_TID;

  constructor(handle: Handle, shared?: Tids) {
    this.#handle = handle;
    this.#shared = shared;
    this.#pages = shared === undefined ? new Map<number, (Tid | undefined)[]>() : shared.#pages;
    this.#one = handle.prepare<bigint>('SELECT tid FROM txn WHERE seq = ?').pluck().safeIntegers();
    this.#range =
      shared === undefined
        ? handle
            .prepare<[bigint, bigint]>('SELECT seq, tid FROM txn WHERE seq >= ? AND seq < ?')
            .raw()
            .safeIntegers()
        : shared.#range;
    this.#atMost =
      shared === undefined
        ? handle
            .prepare<[bigint, bigint]>('SELECT seq, tid FROM txn WHERE seq <= ? ORDER BY seq DESC LIMIT 1')
            .raw()
            .safeIntegers()
        : shared.#atMost;
  }

  /**
   * The same with a look through another handle at what is not found: a pack takes commits away whose records a snapshot still shows. No more than what is
   * asked for is read there, as a handle that writes shows a commit that may not come to be.
   */
  through(handle: Handle): Tids {
    return handle === this.#handle ? this : new Tids(handle, this);
  }

  /** The tid of a commit. */
  tidOf(seq: number): Tid {
    if (seq === this.#lastSeq) return this.#lastTid;
    const page = this.#pages.get(Math.floor(seq / PAGE));
    const tid = page?.[seq & (PAGE - 1)] ?? this.#read(seq, page);
    this.#lastSeq = seq;
    return (this.#lastTid = tid);
  }

  /** Remembers a tid that is known. */
  add(seq: number, tid: Tid): void {
    const number = Math.floor(seq / PAGE);
    const page = this.#pages.get(number) ?? this.#newPage(number);
    page[seq & (PAGE - 1)] = tid;
  }

  /** The number of the last commit with a tid of at most `tid`; 0 when there is none. `last` is the newest commit. */
  seqAtMost(tid: Tid, last: number): number {
    // Commits are numbered in the order of their tids. Packing leaves gaps: each probe looks at the row at or below.
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const found = this.#notAfter(middle);
      if (found === undefined || found[1] <= tid) low = middle;
      else high = found[0] - 1;
    }
    return low === 0 ? 0 : (this.#notAfter(low)?.[0] ?? 0);
  }

  /** The number of exactly that commit; `undefined` when there is none. */
  seqOf(tid: Tid, last: number): number | undefined {
    if (tid === ZERO_TID) return undefined;
    const seq = this.seqAtMost(tid, last);
    return seq > 0 && this.tidOf(seq) === tid ? seq : undefined;
  }

  #notAfter(seq: number): [number, Tid] | undefined {
    const known = this.#pages.get(Math.floor(seq / PAGE))?.[seq & (PAGE - 1)];
    if (known !== undefined) return [seq, known];
    try {
      const row = this.#atMost.get(seq);
      return row && [Number(row[0]), row[1] as Tid];
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  #read(seq: number, page: (Tid | undefined)[] | undefined): Tid {
    try {
      const tid =
        this.#shared === undefined
          ? this.#find(seq, page)
          : (this.#shared.#find(seq, page) ?? this.#findOne(seq));
      if (tid === undefined) throw this.#unknown(seq);
      return tid;
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  #find(seq: number, page: (Tid | undefined)[] | undefined): Tid | undefined {
    if (page === undefined) return this.#findOne(seq);
    const first = seq - (seq & (PAGE - 1));
    for (const [found, tid] of this.#range.all(first, first + PAGE)) {
      page[Number(found) & (PAGE - 1)] = tid as Tid;
    }
    return page[seq & (PAGE - 1)];
  }

  #findOne(seq: number): Tid | undefined {
    const tid = this.#one.get(seq);
    if (tid !== undefined) this.add(seq, tid as Tid);
    return tid as Tid | undefined;
  }

  #newPage(number: number): (Tid | undefined)[] {
    if (this.#pages.size >= MAX_PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    const page = new Array<Tid | undefined>(PAGE).fill(undefined);
    this.#pages.set(number, page);
    return page;
  }

  #unknown(seq: number): CorruptionError {
    return new CorruptionError(
      `${this.#handle.path} has records of a transaction (number ${seq}) that it does not list.`,
    );
  }
}
