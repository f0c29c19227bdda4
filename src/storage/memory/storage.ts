import {
  ClosedError,
  InvalidArgumentError,
  POSKeyError,
  refuseUnknownOptions,
  StorageError,
  UndoError,
} from '../../errors';
import { formatTid, MAX_TID, ROOT_OID, tidFromTime, ZERO_TID, type Oid, type Tid } from '../../ids';
import { supportsManifest } from '../capabilities';
import { CommitLock } from '../commit-lock';
import type {
  BlobReader,
  BlobSource,
  BoundedRecord,
  CurrentRecord,
  HistoryEntry,
  InstanceOptions,
  LoadedRecord,
  PackOptions,
  PackReport,
  Storage,
  StorageHost,
  StorageInstance,
  TransactionInfo,
  TransactionRecord,
  TransactionStatus,
} from '../interfaces';
import { MvccAdapter } from '../mvcc-adapter';
import { checkRecord } from '../record-check';
import type { Steps } from '../steps';
import type { TransactionMetaData } from '../transaction-meta';
import { selectUndoable } from '../undo-log';
import { BlobWorkDirectory, MemoryBlobReader, takeBlob } from './blobs';
import { MemoryPack } from './pack';
import { PendingTransaction } from './pending';
import { RevisionTable } from './revisions';
import { MemoryTransaction } from './transaction';

const SUPPORTS = supportsManifest({
  undo: true,
  history: true,
  blobs: true,
  pack: true,
  iterate: true,
  restore: true,
  deleteObject: true,
  currentRecords: true,
  asyncCommit: true,
});

/** Options of {@link MemoryStorage}. */
export interface MemoryStorageOptions {
  /** For people; default `'memory'`. */
  readonly name?: string;
}

/** A database in memory, with every capability but to stay: for tests and scratch work. */
export class MemoryStorage implements Storage {
  readonly name: string;
  readonly supports = SUPPORTS;
  readonly readOnly = false;
  readonly sortKey: string;

  readonly #table = new RevisionTable();
  readonly #adapter = new MvccAdapter(this);
  readonly #lock: CommitLock;
  readonly #work = new BlobWorkDirectory();
  #transactions: MemoryTransaction[] = [];
  #pending: PendingTransaction | undefined;
  #host: StorageHost | undefined;
  #lastOid = 0;
  #lastTid = ZERO_TID;
  #isPacking = false;
  #removals = 0;
  #isClosed = false;

  constructor(options: MemoryStorageOptions = {}) {
    refuseUnknownOptions('Memory storage', options, ['name']);
    this.name = options.name ?? 'memory';
    this.sortKey = `memory:${this.name}`;
    this.#lock = new CommitLock(this.name);
  }

  registerDB(host: StorageHost): void {
    this.#host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.#checkOpen();
    return this.#adapter.newInstance(options);
  }

  newOid(): Oid {
    this.#checkOpen();
    return ++this.#lastOid as Oid;
  }

  lastTransaction(): Tid {
    this.#checkOpen();
    return this.#lastTid;
  }

  load(oid: Oid): LoadedRecord {
    this.#checkOpen();
    return this.#table.current(oid);
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#checkOpen();
    return this.#table.before(oid, tid);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#checkOpen();
    const revision = this.#table.exactly(oid, tid);
    if (revision === undefined || revision.content === null) {
      throw new POSKeyError(oid, `No revision of the object was written at ${formatTid(tid)}.`);
    }
    return revision;
  }

  objectCount(): number {
    this.#checkOpen();
    return this.#table.objects.size;
  }

  size(): number {
    this.#checkOpen();
    return this.#table.size;
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkOpen();
    this.#lock.acquire(txn);
    this.#begin(txn, tid, status);
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkOpen();
    await this.#lock.acquireAsync(txn);
    this.#begin(txn, tid, status);
  }

  #begin(txn: TransactionMetaData, tid: Tid | undefined, status: TransactionStatus | undefined): void {
    this.#pending = new PendingTransaction(txn, this.#table, this.#host, this.#lastTid, tid, status);
  }

  store(oid: Oid, serial: Tid, data: Uint8Array, txn: TransactionMetaData): void {
    const pending = this.#changing(txn);
    checkRecord(oid, data);
    pending.store(oid, serial, data);
    this.#seen(oid);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const pending = this.#changing(txn);
    checkRecord(oid, data);
    pending.store(oid, serial, data, takeBlob(source));
    this.#seen(oid);
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void {
    const pending = this.#changing(txn);
    if (data !== null) checkRecord(oid, data);
    const origin = dataTid === undefined ? undefined : this.#table.exactly(oid, dataTid);
    pending.restore(oid, data, origin && dataTid, origin?.blob);
    this.#seen(oid);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const pending = this.#changing(txn);
    checkRecord(oid, data);
    pending.restore(oid, data, undefined, takeBlob(source));
    this.#seen(oid);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).deleteObject(oid, serial);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).checkCurrent(oid, serial);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    const pending = this.#changing(txn);
    const transaction = this.#transactions.find((candidate) => candidate.tid === tid);
    if (transaction === undefined || tid <= this.#table.packedTo) {
      throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
    }
    pending.undo(tid, transaction.oids);
    return transaction.oids;
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    const pending = this.#changing(txn);
    pending.voted = true;
    return pending.resolved;
  }

  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    return Promise.resolve().then(() => this.tpcVote(txn));
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    this.#checkOpen();
    this.#lock.require(txn);
    const pending = this.#pending!;
    const { tid } = pending;
    callback?.(tid);
    const oids = [...pending.changes.keys()];
    for (const [oid, revision] of pending.changes) this.#table.add(oid, revision);
    this.#transactions.push(new MemoryTransaction(this.#table, tid, txn, pending.status, oids));
    if (oids.some((oid) => pending.changes.get(oid)!.content === null)) this.#removals++;
    this.#adapter.committed(tid, oids, txn);
    this.#lastTid = tid;
    this.#end(txn);
    return tid;
  }

  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return Promise.resolve().then(() => this.tpcFinish(txn, callback));
  }

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#lock.holder === txn) this.#end(txn);
    else this.#lock.release(txn);
  }

  #end(txn: TransactionMetaData): void {
    this.#pending = undefined;
    this.#lock.release(txn);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.#checkOpen();
    return selectUndoable(this.#undoable(), first, last, filter);
  }

  *#undoable(): Generator<TransactionInfo> {
    for (let place = this.#transactions.length - 1; place >= 0; place--) {
      const transaction = this.#transactions[place]!;
      if (transaction.tid <= this.#table.packedTo || transaction.status === 'p') return;
      yield transaction;
    }
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#checkOpen();
    const revisions = this.#table.objects.get(oid);
    if (revisions === undefined) throw new POSKeyError(oid);
    return revisions
      .slice(-size)
      .reverse()
      .map((revision) => ({
        tid: revision.serial,
        meta: this.#transactions.find((transaction) => transaction.tid === revision.serial)!.meta,
        size: revision.content?.length ?? 0,
      }));
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.#checkOpen();
    return this.#transactions.filter(({ tid }) => tid >= start && tid <= stop).values();
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    this.#checkOpen();
    const records: CurrentRecord[] = [];
    for (const oid of this.#table.oids()) {
      const revision = this.#table.newest(oid)!;
      if (oid >= from && revision.content)
        records.push({ oid, data: revision.content, serial: revision.serial });
    }
    return records.values();
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    this.#checkOpen();
    const blob = this.#table.exactly(oid, serial)?.blob;
    if (blob === undefined) throw new POSKeyError(oid, `No blob was written at ${formatTid(serial)}.`);
    return new MemoryBlobReader(blob);
  }

  blobDirectory(): string {
    this.#checkOpen();
    return this.#work.path;
  }

  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.#checkOpen();
    if (this.#isPacking) throw new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
    this.#isPacking = true;
    const steps = this.#pack(options);
    try {
      for (;;) {
        const step = steps.next();
        if (options.dryRun !== true) this.#removals++;
        if (step.done) return step.value;
        yield step.value;
      }
    } finally {
      this.#isPacking = false;
    }
  }

  /** See `StorageInstance.removals`. */
  removals(): number {
    return this.#removals;
  }

  *#pack({ time = Infinity, gc = true, dryRun = false, roots = [] }: PackOptions): Steps<PackReport> {
    if (Number.isNaN(time))
      throw new InvalidArgumentError(`The pack time must be in milliseconds, not ${time}.`);
    // Tids may run ahead of the clock: "now" means everything that is committed.
    const wanted = time >= Date.now() ? this.#lastTid : tidFromTime(time);
    const packTid = this.#transactions.findLast((transaction) => transaction.tid <= wanted)?.tid;
    if (packTid === undefined) return { revisions: 0, objects: 0, blobs: 0, bytes: 0 };
    const pack = new MemoryPack(this.#table, this.#host, packTid);
    if (!gc || !this.#table.objects.has(ROOT_OID)) {
      yield* pack.sweep(undefined, dryRun);
    } else {
      const marked = new Set<Oid>();
      for (const root of [ROOT_OID, ...roots]) yield* pack.mark(root, marked);
      let current = this.#lastTid;
      yield* pack.sweep(() => {
        // What was committed since may refer to what looked like garbage: follow it before anything goes.
        if (current !== this.#lastTid) {
          current = this.#lastTid;
          const again = pack.mark(ROOT_OID, marked);
          while (!again.next().done);
        }
        return marked;
      }, dryRun);
    }
    if (!dryRun) this.#forget(packTid);
    return pack.report;
  }

  /** Marks what was packed; transactions that keep nothing vanish. */
  #forget(packTid: Tid): void {
    this.#table.packedTo = packTid > this.#table.packedTo ? packTid : this.#table.packedTo;
    this.#transactions = this.#transactions.filter((transaction) => {
      if (transaction.tid > packTid) return true;
      transaction.status = 'p';
      return transaction.keepExisting();
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#adapter.close();
    this.#isClosed = true;
    this.#pending = undefined;
    this.#lock.close(this.#closedError());
    this.#work.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #changing(txn: TransactionMetaData): PendingTransaction {
    this.#checkOpen();
    this.#lock.require(txn);
    return this.#pending!;
  }

  #seen(oid: Oid): void {
    if (oid > this.#lastOid) this.#lastOid = oid;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  #closedError(): ClosedError {
    return new ClosedError(`The storage ${this.name} is closed.`);
  }
}
