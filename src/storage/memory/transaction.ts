import type { Oid, Tid } from '../../ids';
import type { DataRecord, TransactionRecord, TransactionStatus } from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import type { RevisionTable } from './revisions';

/** A committed transaction and the oids it changed. */
export class MemoryTransaction implements TransactionRecord {
  readonly tid: Tid;
  readonly meta: TransactionMetaData;
  status: TransactionStatus;
  oids: readonly Oid[];
  readonly #table: RevisionTable;

  constructor(
    table: RevisionTable,
    tid: Tid,
    meta: TransactionMetaData,
    status: TransactionStatus,
    oids: readonly Oid[],
  ) {
    this.#table = table;
    this.tid = tid;
    this.meta = meta;
    this.status = status;
    this.oids = oids;
  }

  *records(): Iterable<DataRecord> {
    for (const oid of this.oids) {
      const revision = this.#table.exactly(oid, this.tid);
      if (revision) yield { oid, tid: this.tid, data: revision.content, dataTid: revision.dataTid };
    }
  }

  /** Forgets what was packed away; false when nothing is left. */
  keepExisting(): boolean {
    this.oids = this.oids.filter((oid) => this.#table.exactly(oid, this.tid) !== undefined);
    return this.oids.length > 0;
  }
}
