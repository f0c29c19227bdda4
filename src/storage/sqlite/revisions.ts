import { POSKeyError, ReadConflictError } from '../../errors';
import { formatTid, type Oid, type Tid } from '../../ids';
import type { BoundedRecord, LoadedRecord } from '../interfaces';
import type { Statement } from './driver';
import { oidKey, type Handle } from './handle';
import { HEADER, openRecord, sealedSeq } from './record-format';
import type { Tids } from './tids';

/** A revision; its tid is looked up only when somebody asks for it. */
export class SqliteRecord implements LoadedRecord {
  readonly data: Buffer;
  /** Number of the commit that wrote it. */
  readonly seq: number;
  readonly #tids: Tids;

  constructor(data: Buffer, seq: number, tids: Tids) {
    this.data = data;
    this.seq = seq;
    this.#tids = tids;
  }

  get serial(): Tid {
    return this.#tids.tidOf(this.seq);
  }
}

/** A revision with its end. */
export class BoundedSqliteRecord extends SqliteRecord implements BoundedRecord {
  readonly end: Tid | undefined;

  constructor(data: Buffer, seq: number, tids: Tids, end: Tid | undefined) {
    super(data, seq, tids);
    this.end = end;
  }
}

/** Current and former revisions, as one handle sees them. */
export class Revisions {
  readonly #handle: Handle;
  readonly #tids: Tids;
  readonly #current: Statement<Buffer>;
  readonly #former: Statement<Buffer>;
  readonly #exactly: Statement<Buffer>;
  readonly #next: Statement<number>;

  constructor(handle: Handle, tids: Tids) {
    this.#handle = handle;
    this.#tids = tids;
    this.#current = handle.prepare<Buffer>('SELECT state FROM object WHERE oid = ?').pluck();
    this.#former = handle
      .prepare<Buffer>('SELECT state FROM history WHERE oid = ? AND seq <= ? ORDER BY seq DESC LIMIT 1')
      .pluck();
    this.#exactly = handle.prepare<Buffer>('SELECT state FROM history WHERE oid = ? AND seq = ?').pluck();
    this.#next = handle
      .prepare<number>('SELECT seq FROM history WHERE oid = ? AND seq > ? ORDER BY seq LIMIT 1')
      .pluck();
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

  /** Whether the object exists now. */
  exists(oid: Oid): boolean {
    const row = this.currentRow(oid);
    return row !== undefined && row.length > HEADER;
  }

  /** The revision in a row. `POSKeyError` for a deletion. */
  record(oid: Oid, row: Buffer): SqliteRecord {
    const data = openRecord(oid, row);
    if (row.length === HEADER) throw new POSKeyError(oid);
    return new SqliteRecord(data, sealedSeq(row), this.#tids);
  }

  /** The newest former revision of at most `seq`, as sealed bytes. */
  formerRow(oid: Oid, seq: number): Buffer | undefined {
    try {
      return this.#former.get(oidKey(oid), seq);
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /** Exactly the revision of `seq`, as sealed bytes, current or former. */
  exactRow(oid: Oid, seq: number): Buffer | undefined {
    const row = this.currentRow(oid);
    if (row === undefined || sealedSeq(row) === seq) return row;
    try {
      return this.#exactly.get(oidKey(oid), seq);
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  /**
   * As `Storage.loadBefore`, by the number of the last commit to be seen.
   * @param complete says whether what was current at that commit was kept: then what is not found did not exist
   */
  atSeq(oid: Oid, seq: number, complete: (seq: number) => boolean): BoundedRecord | undefined {
    const current = this.currentRow(oid);
    if (current === undefined) throw new POSKeyError(oid);
    const currentSeq = sealedSeq(current);
    if (currentSeq <= seq) return this.#bounded(oid, current, undefined);
    const row = this.formerRow(oid, seq);
    if (row !== undefined) return this.#bounded(oid, row, this.#nextSeq(oid, sealedSeq(row)) ?? currentSeq);
    if (complete(seq)) return undefined;
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

  #bounded(oid: Oid, row: Buffer, endSeq: number | undefined): BoundedSqliteRecord {
    const { data, seq } = this.record(oid, row);
    return new BoundedSqliteRecord(
      data,
      seq,
      this.#tids,
      endSeq === undefined ? undefined : this.#tids.tidOf(endSeq),
    );
  }

  #nextSeq(oid: Oid, seq: number): number | undefined {
    try {
      return this.#next.get(oidKey(oid), seq);
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }
}
