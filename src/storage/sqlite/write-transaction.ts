/**
 * The part of a commit that holds the file's write lock: everything between BEGIN IMMEDIATE and COMMIT. The changes of
 * one transaction are applied in order; each is checked against what is committed.
 */
import { ConflictError, POSKeyError, ReadConflictError, UndoError } from '../../errors';
import { formatOid, formatTid, laterThan, newTid, ZERO_TID, type Oid, type Tid } from '../../ids';
import type { LoadedRecord, TransactionStatus } from '../interfaces';
import { mergeConflict } from '../merge-conflict';
import type { TransactionMetaData } from '../transaction-meta';
import { undoneData } from '../undo-rule';
import { BULK } from './bulk-rows';
import type { SqlValue } from './driver';
import { oidKey, type Handle } from './handle';
import type { SqliteInstance } from './instance';
import { packOids } from './oid-list';
import { HEADER, NOT_KEPT, openRecord, sealedPrior, sealedSeq, sealRecord } from './record-format';
import { findReferences, packReferences } from './references';
import type { SqliteRecord } from './revisions';
import { readMeta, writeMeta } from './schema';
import { prepareTransactions, rowChanges, transactionCrc } from './transaction-row';
import type { LastTransaction, WriteContext } from './write-context';
import type { WriteStatements } from './write-statements';

/** Revisions that one statement moves to the history. */
const SUPERSEDED = 256;

/** One call of {@link WriteTransaction.store}. */
export interface Stored {
  readonly oid: Oid;
  readonly serial: Tid;
  readonly data: Uint8Array;
  readonly references: readonly Oid[] | undefined;
}

/** A transaction that has the write lock. */
export class WriteTransaction implements LastTransaction {
  readonly handle: Handle;
  readonly seq: number;
  readonly tid: Tid;
  past: number;
  objects: number;
  /** Oids changed so far. */
  readonly changed: Oid[] = [];
  /** Oids whose stored data differ from what was given. */
  readonly resolved: Oid[] = [];
  readonly #context: WriteContext;
  readonly #statements: WriteStatements;
  readonly #keepHistory: boolean;
  readonly #instance: SqliteInstance | undefined;
  #removes = false;

  /** The handle of the context holds the write lock. */
  constructor(context: WriteContext, instance: SqliteInstance | undefined, tid: Tid | undefined) {
    this.#context = context;
    this.handle = context.handle;
    this.#statements = context.statements;
    this.#instance = instance;
    this.#keepHistory = context.engine.history !== 'none';
    const last = context.last ?? this.#statements.last();
    context.last = undefined;
    this.seq = last.seq + 1;
    this.tid = tid === undefined ? newTid(last.tid) : laterThan(tid, last.tid);
    this.past = last.past;
    this.objects = last.objects;
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    references: readonly Oid[] | undefined,
    content?: number,
  ): void {
    if (serial === ZERO_TID && this.#insert(oid, data, references)) {
      this.#addBlob(oid, content);
      return;
    }
    const current = this.#currentSeq(oid);
    if (current === undefined) this.#insert(oid, data, references);
    else if (current === this.seq || this.#isCurrent(oid, current, serial)) {
      this.#replace(oid, current, data, references);
    } else {
      this.#merge(oid, current, serial, data, content);
      return;
    }
    this.#addBlob(oid, content);
  }

  /** As {@link store}, for many different objects with oids below 2^53. */
  storeMany(changes: readonly Stored[]): void {
    const added: Stored[] = [];
    const changed: Stored[] = [];
    for (const change of changes) {
      const { oid, serial } = change;
      if (serial === ZERO_TID) {
        added.push(change);
        continue;
      }
      const current = this.#currentSeq(oid);
      if (current !== undefined && current !== this.seq && this.#isCurrent(oid, current, serial)) {
        changed.push(change);
      } else {
        this.store(oid, serial, change.data, change.references);
      }
    }
    this.#insertMany(added);
    this.#replaceMany(changed);
  }

  restore(oid: Oid, data: Uint8Array | null, references: readonly Oid[] | undefined, content?: number): void {
    this.#write(oid, data, references);
    this.#addBlob(oid, content);
  }

  deleteObject(oid: Oid, serial: Tid): void {
    const current = this.#existing(oid);
    if (current.serial !== serial)
      throw new ConflictError(undefined, { oid, serials: [current.serial, serial] });
    this.#write(oid, null, []);
  }

  checkCurrent(oid: Oid, serial: Tid): void {
    const current = this.#existing(oid);
    if (current.seq === this.seq || current.serial === serial) return;
    throw new ReadConflictError(undefined, { oid, serials: [current.serial, serial] });
  }

  /** The count of removals, now that nobody else can remove anything. */
  removals(): number {
    return this.#statements.removals.get() ?? 0;
  }

  /** Throws when a record to be stored refers to an object that was removed since the connection saw it. */
  checkReferences(
    oid: Oid,
    data: Uint8Array,
    references: readonly Oid[] | undefined,
    stored: ReadonlySet<Oid>,
  ): void {
    const { engine, revisions } = this.#context;
    const former = new Set(this.#statements.currentReferences(oid));
    for (const target of references ?? findReferences(data, engine.host) ?? []) {
      if (stored.has(target) || former.has(target) || revisions.exists(target)) continue;
      throw new ReadConflictError(
        `${formatOid(oid)} refers to ${formatOid(target)}, which was removed while the transaction ran. Run it again.`,
        { oid: target },
      );
    }
  }

  /** Takes back what `tid` wrote; the oids. */
  undo(tid: Tid): readonly Oid[] {
    const { engine } = this.#context;
    const seq = engine.tids.seqOf(tid, this.seq - 1);
    const row = seq && prepareTransactions(this.handle, 'WHERE seq = ?').get(seq);
    if (!row || seq <= Number(readMeta(this.handle, 'packed') ?? 0)) {
      throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
    }
    const oids = rowChanges(row);
    const plans = oids.map((oid) => this.#planUndo(oid, seq, tid));
    const failed = oids.filter((_, place) => plans[place] === undefined);
    if (failed.length > 0) {
      throw new UndoError(
        `Transaction ${formatTid(tid)} can't be undone: later transactions changed ${failed.length} of its objects, ` +
          'and the changes could not be merged.',
        failed,
      );
    }
    oids.forEach((oid, place) => {
      const { data, content } = plans[place]!;
      this.#write(oid, data, data === null ? [] : findReferences(data, engine.host));
      this.#addBlob(oid, content);
    });
    return oids;
  }

  /** Writes the transaction's own row. Nothing is left to do but COMMIT. */
  finish(meta: TransactionMetaData, status: TransactionStatus): void {
    const user = meta.userBytes;
    const description = meta.descriptionBytes;
    const extension = meta.extensionBytes;
    const changed = packOids(this.changed);
    if (this.#removes) writeMeta(this.handle, 'removals', this.removals() + 1);
    this.#statements.transaction.run(
      this.seq,
      this.tid,
      status === 'p' ? 1 : 0,
      this.past,
      this.objects,
      transactionCrc(this.seq, this.tid, user, description, extension, changed),
      user.length === 0 ? null : user,
      description.length === 0 ? null : description,
      extension.length === 0 ? null : extension,
      changed.length === 0 ? null : changed,
    );
  }

  /** False when a row with this oid exists. */
  #insert(oid: Oid, data: Uint8Array | null, references: readonly Oid[] | undefined): boolean {
    const refs = data === null ? [] : (references ?? findReferences(data, this.#context.engine.host));
    const done = this.#statements.insert.run(
      oid >= 0 ? oid : oidKey(oid),
      this.seq,
      packReferences(oid, this.seq, refs),
      sealRecord(oid, this.seq, 0, data),
    );
    if (done.changes === 0) return false;
    this.#context.oids.seen(oid);
    this.changed.push(oid);
    this.objects++;
    return true;
  }

  #insertMany(added: readonly Stored[]): void {
    const { bulk } = this.#context;
    const values: SqlValue[] = [];
    let place = 0;
    for (; place + BULK <= added.length; place += BULK) {
      for (let at = 0; at < BULK; at++) this.#setRow(values, at, added[place + at]!, 0);
      const count = bulk.insert(values);
      this.objects += count;
      for (let at = place; at < place + BULK; at++) {
        const { oid, serial, data, references } = added[at]!;
        if (count < BULK && this.#currentSeq(oid) !== this.seq) {
          this.store(oid, serial, data, references);
          continue;
        }
        this.#context.oids.seen(oid);
        this.changed.push(oid);
        // One that existed may have been written before by this same transaction.
        if (count < BULK) this.#replace(oid, this.seq, data, references);
      }
    }
    for (; place < added.length; place++) {
      const { oid, serial, data, references } = added[place]!;
      this.store(oid, serial, data, references);
    }
  }

  /** They are current, and not yet written by this transaction. */
  #replaceMany(changed: readonly Stored[]): void {
    const { bulk } = this.#context;
    const values: SqlValue[] = [];
    const whole = changed.length - (changed.length % BULK);
    const oids = changed.slice(0, whole).map(({ oid }) => oid);
    let prior = NOT_KEPT;
    if (this.#keepHistory) {
      prior = this.past + 1;
      for (let at = 0; at < whole; at += SUPERSEDED) {
        bulk.supersede(prior + at, oids.slice(at, at + SUPERSEDED));
      }
      this.past += whole;
    }
    for (let place = 0; place < whole; place += BULK) {
      for (let at = 0; at < BULK; at++) {
        const former = this.#keepHistory ? prior + place + at : NOT_KEPT;
        this.#setRow(values, at, changed[place + at]!, former);
      }
      bulk.replace(values);
    }
    for (const oid of oids) this.changed.push(oid);
    for (const { oid, serial, data, references } of changed.slice(whole)) {
      this.store(oid, serial, data, references);
    }
  }

  #setRow(values: SqlValue[], row: number, { oid, data, references }: Stored, prior: number): void {
    const refs = references ?? findReferences(data, this.#context.engine.host);
    values[4 * row] = oid;
    values[4 * row + 1] = this.seq;
    values[4 * row + 2] = packReferences(oid, this.seq, refs);
    values[4 * row + 3] = sealRecord(oid, this.seq, prior, data);
  }

  /** A new revision of a row that exists; `current` is its seq. */
  #replace(oid: Oid, current: number, data: Uint8Array | null, references: readonly Oid[] | undefined): void {
    const refs = data === null ? [] : (references ?? findReferences(data, this.#context.engine.host));
    const key = oid >= 0 ? oid : oidKey(oid);
    let prior = NOT_KEPT;
    if (current === this.seq) {
      prior = sealedPrior(this.#context.revisions.currentRow(oid)!);
    } else {
      if (this.#keepHistory) this.#statements.supersede.run((prior = ++this.past), key);
      this.changed.push(oid);
    }
    this.#statements.update.run(
      this.seq,
      packReferences(oid, this.seq, refs),
      sealRecord(oid, this.seq, prior, data),
      key,
    );
  }

  #write(oid: Oid, data: Uint8Array | null, references: readonly Oid[] | undefined): void {
    if (data === null) this.#removes = true;
    const current = this.#currentSeq(oid);
    if (current === undefined) this.#insert(oid, data, references);
    else this.#replace(oid, current, data, references);
  }

  #addBlob(oid: Oid, content: number | undefined): void {
    if (content !== undefined) this.#context.blobs.attach(oid, this.seq, content);
  }

  #currentSeq(oid: Oid): number | undefined {
    return this.#statements.currentSeq.get(oid >= 0 ? oid : oidKey(oid));
  }

  /** Whether a store that was made from `serial` may replace the revision `current`. */
  #isCurrent(oid: Oid, current: number, serial: Tid): boolean {
    if (this.#context.engine.tids.tidOf(current) === serial) return true;
    // A deleted object begins anew.
    return serial === ZERO_TID && this.#context.revisions.currentRow(oid)?.length === HEADER;
  }

  #merge(oid: Oid, current: number, serial: Tid, data: Uint8Array, content: number | undefined): void {
    const { engine, revisions } = this.#context;
    const committedSerial = engine.tids.tidOf(current);
    const row = revisions.currentRow(oid)!;
    const committed = openRecord(oid, row);
    if (row.length === HEADER || content !== undefined) {
      throw new ConflictError(undefined, { oid, serials: [committedSerial, serial] });
    }
    const merged = mergeConflict(engine.host, {
      oid,
      committedSerial,
      oldSerial: serial,
      committed,
      newData: data,
      loadOld: () => this.#oldRevision(oid, serial),
    });
    this.#replace(oid, current, merged, undefined);
    this.resolved.push(oid);
  }

  #oldRevision(oid: Oid, serial: Tid): LoadedRecord {
    const { engine, revisions } = this.#context;
    const seq = engine.tids.seqOf(serial, this.seq - 1);
    const kept = seq === undefined ? undefined : this.#instance?.snapshotRevision(oid, seq);
    return kept ?? revisions.exactly(oid, seq, serial);
  }

  #existing(oid: Oid): SqliteRecord {
    const row = this.#context.revisions.currentRow(oid);
    if (row === undefined) throw new POSKeyError(oid);
    return this.#context.revisions.record(oid, row);
  }

  #planUndo(oid: Oid, seq: number, tid: Tid): { data: Uint8Array | null; content?: number } | undefined {
    const { engine, revisions, blobs } = this.#context;
    const undoneRow = revisions.exactRow(oid, seq);
    const currentRow = revisions.currentRow(oid);
    if (undoneRow === undefined || currentRow === undefined) return undefined;
    const previousRow = revisions.priorRow(oid, undoneRow);
    const currentSeq = sealedSeq(currentRow);
    const undoneContent = blobs.uncommitted.contentOf(oid, seq);
    const currentContent = blobs.uncommitted.contentOf(oid, currentSeq);
    const previousContent = previousRow && blobs.uncommitted.contentOf(oid, sealedSeq(previousRow));
    const isBlob = undoneContent !== undefined || currentContent !== undefined;
    const previous = previousRow === undefined ? null : dataOrNull(oid, previousRow);
    const data = undoneData(
      {
        oid,
        unchanged: currentSeq === seq || (isBlob && undoneContent === currentContent),
        isBlob,
        currentSerial: currentSeq === this.seq ? this.tid : engine.tids.tidOf(currentSeq),
        current: dataOrNull(oid, currentRow),
        undoneSerial: tid,
        undone: dataOrNull(oid, undoneRow),
        previous,
      },
      engine.host,
    );
    if (data === undefined) return undefined;
    return previousContent === undefined || data !== previous ? { data } : { data, content: previousContent };
  }
}

function dataOrNull(oid: Oid, row: Buffer): Buffer | null {
  const data = openRecord(oid, row);
  return row.length === HEADER ? null : data;
}
