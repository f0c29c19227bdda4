import { type Oid, type Tid } from '../../ids';

interface Entry {
  readonly tid: Tid;
  /** `undefined` when it is not known what the transaction changed. */
  readonly oids: readonly Oid[] | undefined;
}

/** What the last transactions changed, so that a client that was away needs to drop only that from its cache. */
export class InvalidationQueue {
  readonly #size: number;
  /** In order of tids. */
  readonly #entries: Entry[] = [];

  /** @param size number of transactions remembered */
  constructor(size: number) {
    this.#size = Math.max(1, size);
  }

  get newest(): Tid | undefined {
    return this.#entries.at(-1)?.tid;
  }

  /** Notes a transaction; its tid is later than all before. */
  push(tid: Tid, oids: readonly Oid[] | undefined): void {
    this.#entries.push({ tid, oids });
    if (this.#entries.length > this.#size) this.#entries.shift();
  }

  /** Forgets everything: what changed is not known. */
  clear(): void {
    this.#entries.length = 0;
  }

  /** All oids changed after `tid`, and the tid up to which that is true; `undefined` when the queue does not reach back. */
  since(tid: Tid): { tid: Tid; oids: Set<Oid> } | undefined {
    const first = this.#entries[0];
    if (first === undefined || first.tid > tid) return undefined;
    const oids = new Set<Oid>();
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i]!;
      if (entry.tid <= tid) break;
      if (entry.oids === undefined) return undefined;
      for (const oid of entry.oids) oids.add(oid);
    }
    return { tid: this.newest!, oids };
  }
}
