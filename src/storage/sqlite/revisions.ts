import { POSKeyError, ReadConflictError } from '../../errors';
import { formatTid, type Oid, type Tid } from '../../ids';
import { keepSpecimen } from '../../specimens';
import type { BoundedRecord, LoadedRecord } from '../interfaces';
import { areDoomed } from './doomed';
import type { Statement } from './driver';
import { oidKey, type Handle } from './handle';
import { damaged, HEADER, NOT_KEPT, openRecord, sealedPrior, sealedSeq } from './record-format';
import { Tids } from './tids';

/** A revision; its tid is looked up only when somebody asks for it. */
export class SqliteRecord implements LoadedRecord {
  readonly data: Uint8Array;
  /** Number of the commit that wrote it. */
  readonly seq: number;
  readonly #tids: Tids;

  constructor(data: Uint8Array, seq: number, tids: Tids) {
    this.data = data;
    this.seq = seq;
    this.#tids = tids;
  }

  get serial(): Tid {
    return this.#tids.tidOf(this.seq);
  }
}

keepSpecimen(new SqliteRecord(Buffer.alloc(0), 0, Object.create(Tids.prototype) as Tids));

/** A revision with its end. */
export class BoundedSqliteRecord extends SqliteRecord implements BoundedRecord {
  readonly end: Tid | undefined;

  constructor(data: Uint8Array, seq: number, tids: Tids, end: Tid | undefined) {
    super(data, seq, tids);
    this.end = end;
  }
}

/** A superseded revision. */
export interface FormerRow {
  /** Sealed bytes. */
  readonly row: Buffer;
  /** Number of the commit that superseded it. */
  readonly end: number;
}

/**
 * Current and former revisions, as one handle sees them. Each row says where the one before it is in the history: an index
 * would cost a page more at every commit, and what is asked for is nearly always among the last.
 */
export class Revisions {
  readonly #handle: Handle;
  readonly #tids: Tids;
  readonly #current: Statement<Buffer>;
  readonly #exists: Statement<number>;
  readonly #missing: Statement<number>;
  readonly #removals: Statement<number>;
  readonly #former: Statement<Buffer>;
  readonly #first: Statement<number>;

  #doomed: Statement<number> | undefined;

  constructor(handle: Handle, tids: Tids) {
    this.#handle = handle;
    this.#tids = tids;
    this.#current = handle.prepare<Buffer>('SELECT state FROM object WHERE oid = ?').pluck();
    this.#exists = handle
      .prepare<number>(`SELECT length(state) > ${HEADER} FROM object WHERE oid = ?`)
      .pluck();
    this.#missing = handle
      .prepare<number>(
        `SELECT value FROM json_each(?) LEFT JOIN object ON oid = value WHERE ifnull(length(state), 0) <= ${HEADER}`,
      )
      .pluck();
    this.#removals = handle.prepare<number>("SELECT value FROM meta WHERE name = 'removals'").pluck();
    this.#former = handle.prepare<Buffer>('SELECT state FROM history WHERE id = ?').pluck();
    this.#first = handle.prepare<number>('SELECT min(id) FROM history').pluck();
  }

  /** The sealed bytes of the current row; `undefined` when there is none. */
  currentRow(oid: Oid): Buffer | undefined {
    try {
      return this.#current.get(oid >= 0 ? oid : oidKey(oid));
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /** The current revision. `POSKeyError` when the object does not exist. */
  current(oid: Oid): SqliteRecord {
    const row = this.currentRow(oid);
    if (row === undefined) throw new POSKeyError(oid);
    return this.record(oid, row);
  }

  /** Whether the object exists now, and is not doomed by a pack. */
  exists(oid: Oid): boolean {
    try {
      return this.#exists.get(oid >= 0 ? oid : oidKey(oid)) === 1 && !this.isDoomed(oid);
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /** Those of these objects that do not exist now, or are doomed by a pack. */
  missing(oids: readonly Oid[]): Oid[] {
    if (this.#areDoomed() || oids.some((oid) => oid < 0)) return oids.filter((oid) => !this.exists(oid));
    try {
      const missing = new Set<number>(this.#missing.all(`[${oids.join()}]`));
      return missing.size === 0 ? [] : oids.filter((oid) => missing.has(oid));
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /** Whether a pack is going to remove the object. */
  isDoomed(oid: Oid): boolean {
    try {
      if (!this.#areDoomed()) return false;
      this.#doomed ??= this.#handle.prepare<number>('SELECT 1 FROM doomed WHERE oid = ?').pluck();
      return this.#doomed.get(oidKey(oid)) === 1;
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  #areDoomed(): boolean {
    return areDoomed(this.#removals.get() ?? 0);
  }

  /** The revision in a row. `POSKeyError` for a deletion. */
  record(oid: Oid, row: Buffer): SqliteRecord {
    const data = openRecord(oid, row);
    if (row.length === HEADER) throw new POSKeyError(oid);
    return new SqliteRecord(data, sealedSeq(row), this.#tids);
  }

  /** What the revision in `row` superseded, as sealed bytes; `undefined` when there is none, or it is packed. */
  priorRow(oid: Oid, row: Buffer): Buffer | undefined {
    const prior = sealedPrior(row);
    return prior === 0 || prior === NOT_KEPT ? undefined : this.rowAt(oid, prior, sealedSeq(row));
  }

  /**
   * The row of the history with this id, a former revision of `oid` before commit `end`; `undefined` when it is packed.
   * `CorruptionError` when it is something else.
   */
  rowAt(oid: Oid, id: number, end: number): Buffer | undefined {
    try {
      const row = this.#former.get(id);
      if (row === undefined) {
        // Packing removes from the beginning on.
        const first = this.#first.get();
        if (first !== undefined && first !== null && first <= id) throw damaged(oid);
        return undefined;
      }
      openRecord(oid, row);
      if (sealedSeq(row) >= end) throw damaged(oid);
      return row;
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /** The newest revision of at most `seq` before the one in `later`; `undefined` when there is none, or it is packed. */
  formerRow(oid: Oid, later: Buffer, seq: number): FormerRow | undefined {
    openRecord(oid, later);
    for (;;) {
      const row = this.priorRow(oid, later);
      if (row === undefined) return undefined;
      if (sealedSeq(row) <= seq) return { row, end: sealedSeq(later) };
      later = row;
    }
  }

  /** Exactly the revision of `seq`, as sealed bytes, current or former. */
  exactRow(oid: Oid, seq: number): Buffer | undefined {
    const current = this.currentRow(oid);
    if (current === undefined || sealedSeq(current) === seq) return current;
    const former = this.formerRow(oid, current, seq);
    return former !== undefined && sealedSeq(former.row) === seq ? former.row : undefined;
  }

  /**
   * As `Storage.loadBefore`, by the number of the last commit to be seen.
   * @param complete says whether what was current at that commit was kept: then what is not found did not exist
   */
  boundedAt(oid: Oid, seq: number, complete: (seq: number) => boolean): BoundedRecord | undefined {
    const found = this.#rowAtSeq(oid, seq, complete);
    if (found === undefined) return undefined;
    const record = this.record(oid, found.row);
    const end = found.end === undefined ? undefined : this.#tids.tidOf(found.end);
    return new BoundedSqliteRecord(record.data, record.seq, this.#tids, end);
  }

  /** As {@link boundedAt}, without the end: it may not be committed yet. */
  recordAt(oid: Oid, seq: number, complete: (seq: number) => boolean): SqliteRecord | undefined {
    const found = this.#rowAtSeq(oid, seq, complete);
    return found && this.record(oid, found.row);
  }

  #rowAtSeq(
    oid: Oid,
    seq: number,
    complete: (seq: number) => boolean,
  ): { row: Buffer; end: number | undefined } | undefined {
    const current = this.currentRow(oid);
    if (current === undefined) throw new POSKeyError(oid);
    openRecord(oid, current);
    if (sealedSeq(current) <= seq) return { row: current, end: undefined };
    let oldest = current;
    for (let row = this.priorRow(oid, oldest); row !== undefined; row = this.priorRow(oid, oldest)) {
      if (sealedSeq(row) <= seq) return { row, end: sealedSeq(oldest) };
      oldest = row;
    }
    if (sealedPrior(oldest) === 0 && complete(seq)) return undefined;
    throw new ReadConflictError(
      'The revision that this snapshot needs is gone: it was packed, or the database keeps no history. ' +
        'Run the transaction again.',
      { oid },
    );
  }

  /** As `Storage.loadSerial`. */
  exactly(oid: Oid, seq: number | undefined, tid: Tid): SqliteRecord {
    const row = seq === undefined ? undefined : this.exactRow(oid, seq);
    if (row === undefined)
      throw new POSKeyError(oid, `No revision of the object was written at ${formatTid(tid)}.`);
    return this.record(oid, row);
  }
}
