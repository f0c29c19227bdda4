import type { Oid, Tid } from '../../ids';
import type { StorageHost } from '../interfaces';
import type { MvccAdapter } from '../mvcc-adapter';
import type { TransactionMetaData } from '../transaction-meta';
import type { Changes } from './changes';

/** A commit of this storage. */
interface OwnCommit {
  readonly tid: Tid;
  readonly oids: () => readonly Oid[];
  readonly txn: TransactionMetaData;
}

/** What instances and the host have been told of: every commit once, in order. */
export class News {
  host: StorageHost | undefined;
  /** How often objects were removed, as far as is known here; `undefined` before the first look. */
  removals: number | undefined;
  readonly #adapter: MvccAdapter;
  #last: Tid | undefined;
  /** The commit whose end is on its way: whoever hears of it first must know that it is ours. */
  #finishing: OwnCommit | undefined;

  constructor(adapter: MvccAdapter) {
    this.#adapter = adapter;
  }

  /** The last transaction that was told; `undefined` before the first look. */
  get last(): Tid | undefined {
    return this.#last;
  }

  /** A commit of this storage is going to end, or (`undefined`) has ended otherwise. */
  finishing(commit: OwnCommit | undefined): void {
    this.#finishing = commit;
  }

  /** Tells of a commit of this storage. */
  committed({ tid, oids, txn }: OwnCommit): void {
    if (this.#last !== undefined && tid <= this.#last) return;
    this.#adapter.committed(tid, oids(), txn);
    this.#last = tid;
  }

  /** Objects were removed, so often by now. */
  removed(removals: number): void {
    if (this.removals === undefined || removals > this.removals) this.removals = removals;
  }

  /** Tells what others committed. */
  tell({ last, removals, transactions }: Changes): void {
    this.removed(removals);
    const known = this.#last;
    // Another call may have told of it meanwhile.
    if (known !== undefined && last <= known) return;
    if (known !== undefined && transactions === undefined) {
      this.#adapter.invalidateAll();
      this.host?.invalidateAll();
    } else if (known !== undefined) {
      for (const [tid, oids] of transactions!) if (tid > known) this.#tellOne(tid, oids);
    }
    this.#last = last;
  }

  #tellOne(tid: Tid, oids: readonly Oid[]): void {
    // Another one may have the same tid, if ours was lost with its connection.
    if (tid === this.#finishing?.tid && sameOids(this.#finishing.oids(), oids)) {
      this.committed(this.#finishing);
      return;
    }
    this.#adapter.committed(tid, oids);
    this.host?.invalidate(tid, oids);
  }
}

function sameOids(one: readonly Oid[], other: readonly Oid[]): boolean {
  const found = new Set(other);
  return one.length === found.size && one.every((oid) => found.has(oid));
}
