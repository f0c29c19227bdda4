import type { Oid, Tid } from '../../ids';
import type { StorageHost } from '../interfaces';
import type { Statement } from './driver';
import type { Handle } from './handle';
import type { Tids } from './tids';
import { prepareTransactions, rowChanges, type TransactionRow } from './transaction-row';

/** How many changed oids are remembered for connections that poll late. */
const MAX_OIDS = 200_000;
/** How many commits of others are read one by one before it is cheaper to drop every cache. */
const MAX_BEHIND = 10_000;

/**
 * What changed lately, commit by commit, for this process: its own commits are added, those of other processes and
 * threads are noticed by SQLite's `data_version` and read from `txn`. Instances ask what they have missed.
 */
export class ChangeLog {
  /** The newest commit that is known here. */
  latest = 0;
  /** Its tid. */
  latestTid: Tid;
  /** Counts removals of objects by packs and deletions, as far as is known here. */
  removals = 0;

  readonly #handle: Handle;
  readonly #tids: Tids;
  readonly #host: () => StorageHost | undefined;
  readonly #version: Statement<number>;
  readonly #newest: Statement<[bigint, bigint]>;
  readonly #rows: Statement<TransactionRow>;
  readonly #removals: Statement<number>;
  /** Oids of the commits `#first`, `#first` + 1, … up to `latest`. */
  #entries: (readonly Oid[])[] = [];
  #first = 1;
  #oidCount = 0;
  #dataVersion = -1;

  constructor(handle: Handle, tids: Tids, host: () => StorageHost | undefined) {
    this.#handle = handle;
    this.#tids = tids;
    this.#host = host;
    this.#version = handle.prepare<number>('PRAGMA data_version').pluck();
    this.#newest = handle
      .prepare<[bigint, bigint]>('SELECT seq, tid FROM txn ORDER BY seq DESC LIMIT 1')
      .raw()
      .safeIntegers();
    this.#rows = prepareTransactions(handle, 'WHERE seq > ? ORDER BY seq');
    this.#removals = handle.prepare<number>("SELECT value FROM meta WHERE name = 'removals'").pluck();
    this.latestTid = 0n as Tid;
    this.#dataVersion = this.#version.get()!;
    this.removals = this.#removals.get() ?? 0;
    this.#jump(this.#readNewest());
  }

  /** Notices what other processes and threads committed. One short statement when there is nothing. */
  refresh(): void {
    try {
      const version = this.#version.get()!;
      if (version === this.#dataVersion) return;
      this.catchUp();
      this.#dataVersion = version;
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /** Reads what was committed after `latest`, without asking whether there is something. */
  catchUp(): void {
    this.removals = this.#removals.get() ?? 0;
    const newest = this.#readNewest();
    if (newest[0] === this.latest) return;
    if (newest[0] - this.latest > MAX_BEHIND || newest[0] < this.latest) {
      this.#jump(newest);
      this.#host()?.invalidateAll();
      return;
    }
    for (const row of this.#rows.all(this.latest)) this.#foreign(row);
  }

  /** Adds a commit of this process; all before it must be known. */
  add(seq: number, tid: Tid, oids: readonly Oid[]): void {
    this.#entries.push(oids);
    this.#oidCount += oids.length;
    this.latest = seq;
    this.latestTid = tid;
    this.#tids.add(seq, tid);
    while (this.#oidCount > MAX_OIDS && this.#entries.length > 1) {
      this.#oidCount -= this.#entries.shift()!.length;
      this.#first++;
    }
  }

  /** Oids changed by the commits after `from` up to `to`, but those in `own`; `'all'` when that is forgotten. */
  between(from: number, to: number, own: readonly number[]): readonly Oid[] | 'all' {
    if (from + 1 < this.#first) return 'all';
    if (to === from + 1) return own.includes(to) ? [] : this.#entries[to - this.#first]!;
    const oids: Oid[] = [];
    for (let seq = from + 1; seq <= to; seq++) {
      if (!own.includes(seq)) for (const oid of this.#entries[seq - this.#first]!) oids.push(oid);
    }
    return oids;
  }

  #foreign(row: TransactionRow): void {
    const seq = Number(row.seq);
    if (seq !== this.latest + 1) {
      this.#jump([seq, row.tid]);
      this.#host()?.invalidateAll();
      return;
    }
    const oids = rowChanges(row);
    this.add(seq, row.tid as Tid, oids);
    this.#host()?.invalidate(row.tid as Tid, oids);
  }

  #readNewest(): [number, bigint] {
    try {
      const row = this.#newest.get();
      return row ? [Number(row[0]), row[1]] : [0, 0n];
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  #jump([seq, tid]: [number, bigint]): void {
    this.#entries = [];
    this.#oidCount = 0;
    this.#first = seq + 1;
    this.latest = seq;
    this.latestTid = tid as Tid;
  }
}
