import { ConflictError, POSKeyError, ReadConflictError, UndoError } from '../../errors';
import { formatTid, laterThan, newTid, ZERO_TID, type Oid, type Tid } from '../../ids';
import { mergeConflict } from '../merge-conflict';
import type { StorageHost, TransactionStatus } from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import { undoneData } from '../undo-rule';
import { Revision, type RevisionTable } from './revisions';

/** The transaction under way: what it will add, checked against what is committed. */
export class PendingTransaction {
  readonly meta: TransactionMetaData;
  readonly tid: Tid;
  readonly status: TransactionStatus;
  readonly changes = new Map<Oid, Revision>();
  readonly resolved: Oid[] = [];
  voted = false;
  readonly #table: RevisionTable;
  readonly #host: StorageHost | undefined;
  readonly #expected = new Map<Oid, Tid>();

  constructor(
    meta: TransactionMetaData,
    table: RevisionTable,
    host: StorageHost | undefined,
    last: Tid,
    tid?: Tid,
    status: TransactionStatus = ' ',
  ) {
    this.meta = meta;
    this.#table = table;
    this.#host = host;
    this.tid = tid === undefined ? newTid(last) : laterThan(tid, last);
    this.status = status;
  }

  store(oid: Oid, serial: Tid, data: Uint8Array, blob?: Uint8Array): void {
    const newest = this.#table.newest(oid);
    const revived = newest?.content === null && serial === ZERO_TID;
    if (newest === undefined || newest.serial === serial || revived) {
      this.changes.set(oid, new Revision(this.tid, data, undefined, blob));
      return;
    }
    if (newest.content === null || blob !== undefined) {
      throw new ConflictError(undefined, { oid, serials: [newest.serial, serial] });
    }
    const merged = mergeConflict(this.#host, {
      oid,
      committedSerial: newest.serial,
      oldSerial: serial,
      committed: newest.content,
      newData: data,
      loadOld: () => this.#exactly(oid, serial),
    });
    this.changes.set(oid, new Revision(this.tid, merged));
    this.resolved.push(oid);
  }

  restore(oid: Oid, data: Uint8Array | null, dataTid?: Tid, blob?: Uint8Array): void {
    this.changes.set(oid, new Revision(this.tid, data, dataTid, blob));
  }

  deleteObject(oid: Oid, serial: Tid): void {
    const current = this.#table.current(oid);
    if (current.serial !== serial)
      throw new ConflictError(undefined, { oid, serials: [current.serial, serial] });
    this.changes.set(oid, new Revision(this.tid, null));
  }

  checkCurrent(oid: Oid, serial: Tid): void {
    const current = this.#table.current(oid).serial;
    if (current !== serial) {
      throw new ReadConflictError(undefined, { oid, serials: [current, serial] });
    }
    this.#expected.set(oid, serial);
  }

  /** Takes back what `tid` wrote; the changes of this transaction so far count as current. */
  undo(tid: Tid, oids: readonly Oid[]): void {
    const failed: Oid[] = [];
    const undone = new Map<Oid, Revision>();
    for (const oid of oids) {
      const revision = this.#undoOne(oid, tid);
      if (revision === undefined) failed.push(oid);
      else undone.set(oid, revision);
    }
    if (failed.length > 0) {
      throw new UndoError(
        `Transaction ${formatTid(tid)} can't be undone: later transactions changed ${failed.length} of its objects, ` +
          'and the changes could not be merged.',
        failed,
      );
    }
    for (const [oid, revision] of undone) this.changes.set(oid, revision);
  }

  #undoOne(oid: Oid, tid: Tid): Revision | undefined {
    const undone = this.#table.exactly(oid, tid);
    const current = this.changes.get(oid) ?? this.#table.newest(oid);
    if (undone === undefined || current === undefined) return undefined;
    const previous = this.#table.predecessor(oid, tid);
    const data = undoneData(
      {
        oid,
        unchanged: current.origin === undone.origin,
        isBlob: current.blob !== undefined || undone.blob !== undefined,
        currentSerial: current.serial,
        current: current.content,
        undoneSerial: tid,
        undone: undone.content,
        previous: previous?.content ?? null,
      },
      this.#host,
    );
    if (data === undefined) return undefined;
    if (data !== (previous?.content ?? null)) return new Revision(this.tid, data);
    return new Revision(this.tid, data, previous?.origin, previous?.blob);
  }

  #exactly(oid: Oid, tid: Tid): Revision {
    const revision = this.#table.exactly(oid, tid);
    if (revision === undefined || revision.content === null) throw new POSKeyError(oid);
    return revision;
  }
}
