import { POSKeyError } from '../../errors';
import { MAX_TID, type Oid, type Tid } from '../../ids';
import type {
  DataRecord,
  HistoryEntry,
  TransactionInfo,
  TransactionRecord,
  TransactionStatus,
} from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import { selectUndoable } from '../undo-log';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { HEADER, openRecord, sealedSeq } from './record-format';
import { RevisionTrails } from './revision-trails';
import type { Revisions } from './revisions';
import { readMeta } from './schema';
import { prepareTransactions, rowChanges, rowMeta, type TransactionRow } from './transaction-row';
import { nextKey } from './walk';

/** Transactions read at once. */
const CHUNK = 200;

/** The past, transaction by transaction: history, undo log, iteration. */
export class Transactions {
  readonly #engine: Engine;
  readonly #revisions: Revisions;
  readonly #one: Statement<TransactionRow>;
  readonly #forward: Statement<TransactionRow>;
  readonly #backward: Statement<TransactionRow>;

  constructor(engine: Engine, revisions: Revisions) {
    this.#engine = engine;
    this.#revisions = revisions;
    this.#one = prepareTransactions(engine.reader, 'WHERE seq = ?');
    this.#forward = prepareTransactions(engine.reader, 'WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?');
    this.#backward = prepareTransactions(
      engine.reader,
      'WHERE seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?',
    );
  }

  /** As `Storage.history`. */
  history(oid: Oid, size: number): HistoryEntry[] {
    const current = this.#revisions.currentRow(oid);
    if (current === undefined) throw new POSKeyError(oid);
    return this.#guarded(() => {
      const entries: HistoryEntry[] = [];
      for (let row: Buffer | undefined = current; row && entries.length < size;) {
        entries.push(this.#entry(sealedSeq(row), row.length - HEADER));
        row = this.#revisions.priorRow(oid, row);
      }
      return entries;
    });
  }

  #entry(seq: number, size: number): HistoryEntry {
    const row = this.#one.get(seq)!;
    return { tid: row.tid as Tid, meta: rowMeta(row), size };
  }

  /** As `Storage.undoLog`. */
  undoLog(first: number, last: number, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    return selectUndoable(this.#undoable(), first, last, filter);
  }

  *#undoable(): Generator<TransactionInfo> {
    const packed = Number(readMeta(this.#engine.reader, 'packed') ?? 0);
    let before = this.#engine.log.latest + 1;
    for (;;) {
      const rows = this.#guarded(() => this.#backward.all(before, packed, CHUNK));
      for (const row of rows) {
        if (row.packed !== 0n) return;
        yield { tid: row.tid as Tid, meta: rowMeta(row) };
      }
      if (rows.length < CHUNK) return;
      before = -nextKey(this.#engine.path, -before, -Number(rows.at(-1)!.seq));
    }
  }

  /** As `Storage.iterate`: needs no snapshot, since what was committed by now stays what it is. */
  iterate(start: Tid, stop: Tid): IterableIterator<TransactionRecord> {
    const { tids, log } = this.#engine;
    const first = tids.seqAtMost((start - 1n) as Tid, log.latest);
    const last = stop >= MAX_TID ? log.latest : tids.seqAtMost(stop, log.latest);
    return this.#between(first, last);
  }

  *#between(after: number, last: number): Generator<TransactionRecord> {
    const trails = new RevisionTrails(this.#revisions);
    for (;;) {
      this.#engine.checkOpen();
      const rows = this.#guarded(() => this.#forward.all(after, last, CHUNK));
      for (const row of rows) yield new StoredTransaction(row, trails);
      if (rows.length < CHUNK) return;
      after = nextKey(this.#engine.path, after, Number(rows.at(-1)!.seq));
    }
  }

  #guarded<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      throw this.#engine.reader.failed(error);
    }
  }
}

class StoredTransaction implements TransactionRecord {
  readonly tid: Tid;
  readonly status: TransactionStatus;
  readonly meta: TransactionMetaData;
  readonly #seq: number;
  readonly #oids: readonly Oid[];
  readonly #trails: RevisionTrails;

  constructor(row: TransactionRow, trails: RevisionTrails) {
    this.tid = row.tid as Tid;
    this.status = row.packed === 0n ? ' ' : 'p';
    this.meta = rowMeta(row);
    this.#seq = Number(row.seq);
    this.#oids = rowChanges(row);
    this.#trails = trails;
  }

  *records(): Iterable<DataRecord> {
    for (const oid of this.#oids) {
      const row = this.#trails.exactRow(oid, this.#seq);
      if (row === undefined) continue;
      const data = openRecord(oid, row);
      yield { oid, tid: this.tid, data: row.length === HEADER ? null : data, dataTid: undefined };
    }
  }
}
