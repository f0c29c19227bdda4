/**
 * The part of a commit that holds the file's write lock: everything between BEGIN IMMEDIATE and COMMIT. The changes of
 * one transaction are applied in order; each is checked against what is committed.
 */
import { ConflictError, POSKeyError, ReadConflictError, UndoError } from '../../errors';
import { formatTid, laterThan, newTid, ZERO_TID, type Oid, type Tid } from '../../ids';
import { keepSpecimen, objectList } from '../../specimens';
import type { LoadedRecord, TransactionStatus } from '../interfaces';
import { mergeConflict } from '../merge-conflict';
import type { TransactionMetaData } from '../transaction-meta';
import { undoneData } from '../undo-rule';
import { BULK, type BulkRows } from './bulk-rows';
import type { Change } from './change';
import { oidKey, type Handle } from './handle';
import type { SqliteInstance } from './instance';
import { packOids } from './oid-list';
import { HEADER, NOT_KEPT, openRecord, sealedPrior, sealedSeq, sealRecord } from './record-format';
import { findReferences, NO_REFERENCES, packReferences } from './references';
import type { SqliteRecord } from './revisions';
import { readMeta, writeMeta } from './schema';
import { prepareTransactions, rowChanges, transactionCrc } from './transaction-row';
import type { LastTransaction, WriteContext } from './write-context';
import type { WriteStatements } from './write-statements';

/** Revisions that one statement moves to the history. */
const SUPERSEDED = 256;

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

  /** Does what a transaction's call asks for. */
  apply({ kind, oid, serial, data, references, content }: Change): void {
    if (kind === 'store') this.store(oid, serial, data!, references, content);
    else if (kind === 'restore') this.restore(oid, data, references, content);
    else if (kind === 'delete') this.deleteObject(oid, serial);
    else this.checkCurrent(oid, serial);
  }

  /** Applies checks, and stores of many different objects with oids below 2^53. */
  storeMany(changes: readonly Change[]): void {
    const added = objectList<Change>();
    const changed = objectList<Change>();
    for (let i = 0; i < changes.length; i++) this.#sort(changes[i]!, added, changed);
    // In the order that their oids mostly have, in which the list of them is packed.
    this.#replaceMany(changed);
    this.#insertMany(added);
    for (const change of changes) if (change.kind === 'check') this.checkCurrent(change.oid, change.serial);
  }

  /** Lists a store with those that are written alike, or applies it. */
  #sort(change: Change, added: Change[], changed: Change[]): void {
    if (change.kind === 'check') return;
    if (change.serial === ZERO_TID) added.push(change);
    else if (this.#mayReplace(change)) changed.push(change);
    else this.apply(change);
  }

  /** Whether a revision that another transaction wrote is the one that the change was made from. */
  #mayReplace({ oid, serial }: Change): boolean {
    const current = this.#currentSeq(oid);
    return current !== undefined && current !== this.seq && this.#isCurrent(oid, current, serial);
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

  #insertMany(added: readonly Change[]): void {
    let place = 0;
    for (; place + BULK <= added.length; place += BULK) this.#insertRows(added, place);
    for (; place < added.length; place++) this.apply(added[place]!);
  }

  /** Inserts {@link BULK} of them, from number `place` on. */
  #insertRows(added: readonly Change[], place: number): void {
    const { bulk, oids } = this.#context;
    let greatest = 0 as Oid;
    for (let row = 0; row < BULK; row++) {
      const change = added[place + row]!;
      this.#setRow(bulk, row, change, 0);
      if (change.oid > greatest) greatest = change.oid;
    }
    const count = bulk.insert();
    this.objects += count;
    oids.seen(greatest);
    if (count < BULK) this.#insertedSome(added, place);
    else for (let row = 0; row < BULK; row++) this.changed.push(added[place + row]!.oid);
  }

  /** Some of these rows were there before, and are as they were. */
  #insertedSome(added: readonly Change[], place: number): void {
    for (const change of added.slice(place, place + BULK)) {
      const { oid, data, references } = change;
      if (this.#currentSeq(oid) !== this.seq) {
        this.apply(change);
        continue;
      }
      this.changed.push(oid);
      // One that existed may have been written before by this same transaction.
      this.#replace(oid, this.seq, data, references);
    }
  }

  /** They are current, and not yet written by this transaction. */
  #replaceMany(changed: readonly Change[]): void {
    const whole = changed.length - (changed.length % BULK);
    if (whole > 0) this.#replaceWhole(changed.slice(0, whole));
    for (let place = whole; place < changed.length; place++) this.apply(changed[place]!);
  }

  /** As {@link #replaceMany}, of a multiple of {@link BULK}. */
  #replaceWhole(changed: readonly Change[]): void {
    const { bulk } = this.#context;
    const oids = changed.map(({ oid }) => oid);
    let prior = NOT_KEPT;
    if (this.#keepHistory) {
      prior = this.past + 1;
      for (let at = 0; at < oids.length; at += SUPERSEDED) {
        bulk.supersede(prior + at, oids.slice(at, at + SUPERSEDED));
      }
      this.past += oids.length;
    }
    for (let place = 0; place < changed.length; place += BULK) {
      for (let row = 0; row < BULK; row++) {
        this.#setRow(bulk, row, changed[place + row]!, this.#keepHistory ? prior + place + row : NOT_KEPT);
      }
      bulk.replace();
    }
    for (const oid of oids) this.changed.push(oid);
  }

  #setRow(bulk: BulkRows, row: number, { oid, data, references }: Change, prior: number): void {
    const refs = references ?? findReferences(data!, this.#context.engine.host);
    const packed = refs?.length === 0 ? NO_REFERENCES : packReferences(oid, this.seq, refs);
    bulk.set(row, oid, this.seq, packed, prior, data!);
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

const start = { seq: 0, tid: ZERO_TID, past: 0, objects: 0 };
const nowhere = { engine: { history: 'none' }, last: start } as WriteContext;
keepSpecimen(new WriteTransaction(nowhere, undefined, undefined));

function dataOrNull(oid: Oid, row: Buffer): Buffer | null {
  const data = openRecord(oid, row);
  return row.length === HEADER ? null : data;
}
