import {
  ClosedError,
  CorruptionError,
  POSKeyError,
  ReadConflictError,
  ReadOnlyHistoryError,
  StorageError,
} from '../../errors';
import { ZERO_TID, type Oid, type Tid } from '../../ids';
import type {
  BlobReader,
  BlobSource,
  BoundedRecord,
  LoadedRecord,
  StorageInstance,
  StorageSupports,
  TransactionStatus,
} from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import { BatchRead } from './batch-read';
import type { Statement } from './driver';
import type { Engine } from './engine';
import { oidKey, type Handle } from './handle';
import type { InstanceContext } from './instance-context';
import { HEADER, openRecord, sealedSeq } from './record-format';
import { Revisions, SqliteRecord } from './revisions';
import { SnapshotTransaction } from './snapshot-transaction';
import type { Tids } from './tids';
import type { LastTransaction, WriteContext } from './write-context';

const NOTHING: readonly Oid[] = Object.freeze([]);
/** Loads between two looks at the size of the write-ahead log. */
const LOADS_PER_LOOK = 4_096;

/**
 * A connection's view: a handle with an open read transaction, which is an exact snapshot whatever other
 * processes do. It costs the write-ahead log, which can't be reset meanwhile. When the log grows beyond its limit,
 * {@link yieldSnapshot} ends the transaction; from then on the snapshot is reconstructed from the history, and where
 * that is gone there is a `ReadConflictError`.
 */
export class SqliteInstance implements StorageInstance {
  readonly supports: StorageSupports;
  readonly readOnly: boolean;

  /** What {@link removals} told last: a commit checks that it was still true when it got the write lock. */
  knownRemovals: number | undefined;

  readonly #context: InstanceContext;
  readonly #engine: Engine;
  readonly #handle: Handle;
  readonly #tids: Tids;
  readonly #revisions: Revisions;
  readonly #get: Statement<Buffer>;
  readonly #transaction: SnapshotTransaction;
  readonly #batch: BatchRead;
  /** The last commit that is seen; -1 before the first poll. */
  #seq = -1;
  /** The snapshot was taken and its read transaction ended early. */
  #isStale = false;
  // Set anew in the constructor: V8 takes for constant what never was, and forgets code when the first one is released.
  #isReleased = true;
  #loadsLeft = LOADS_PER_LOOK;
  /** Own commits since the last poll, through the writer. */
  #own: number[] = [];
  /** Nothing happened since the last poll that {@link removals} would have to look for. */
  #isFresh = false;
  #writeContext: WriteContext | undefined;
  #txn: TransactionMetaData | undefined;
  readonly #fixed: boolean;

  constructor(context: InstanceContext, fixedSeq?: number) {
    this.#context = context;
    this.#engine = context.engine;
    this.supports = context.supports;
    this.#fixed = fixedSeq !== undefined;
    this.readOnly = this.#fixed || context.engine.options.readOnly;
    this.#handle = this.#fixed ? context.engine.readHandle() : context.engine.connectionHandle();
    this.#tids = context.engine.tids.through(this.#handle);
    this.#revisions = new Revisions(this.#handle, this.#tids);
    this.#get = this.#handle.prepare<Buffer>('SELECT state FROM object WHERE oid = ?').pluck();
    this.#batch = new BatchRead(this.#handle, this.#tids);
    this.#transaction = new SnapshotTransaction(this.#handle);
    this.#isReleased = false;
    if (fixedSeq !== undefined) {
      this.#seq = fixedSeq;
      this.#isStale = true;
    }
  }

  get snapshot(): Tid {
    return this.#seq <= 0 ? ZERO_TID : this.#tids.tidOf(this.#seq);
  }

  poll(): readonly Oid[] | 'all' {
    if (this.#isReleased) throw this.#released();
    if (this.#fixed) return NOTHING;
    const { log } = this.#engine;
    const own = this.#own;
    if (own.length > 0) this.#own = [];
    this.#isFresh = true;
    if (this.#transaction.isOpen && log.latest === this.#seq) {
      this.#engine.refresh();
      if (log.latest === this.#seq) return NOTHING;
    }
    this.#engine.checkPlace();
    this.#transaction.end();
    const last = this.#seq;
    const newest = this.#transaction.begin();
    this.#isStale = false;
    if (newest === undefined) return NOTHING;
    this.#seq = newest;
    if (this.#writeContext !== undefined) this.#writeContext.last = undefined;
    if (newest === log.latest) {
      // Only commits of this process, which are known; besides, there may have been a pack.
      log.removals = Math.max(log.removals, this.#transaction.removals);
    } else {
      log.refresh();
      if (newest > log.latest) log.catchUp();
    }
    return last < 0 || last === this.#seq ? NOTHING : log.between(last, this.#seq, own);
  }

  /**
   * Makes a write transaction of the read transaction, for a commit: possible as long as nobody wrote since the snapshot.
   * Then the pages that the handle has cached stay good, and the next snapshot need not look for anything.
   */
  beginWriting(): WriteContext | undefined {
    const context = (this.#writeContext ??= this.#context.committer.contextFor(
      this.#handle,
      this.#revisions,
    ));
    return this.#transaction.tryToWrite(context.statements) ? context : undefined;
  }

  /** The committer tells that this was committed here, and that the connection knows what it changed. */
  committed(writing: LastTransaction): void {
    if (!this.#transaction.isWriting) {
      this.#own.push(writing.seq);
      return;
    }
    // Nothing came between the snapshot and this commit: until the next poll it is the snapshot.
    this.#writeContext!.last = writing;
    this.#seq = writing.seq;
    this.#isStale = true;
    this.#transaction.ended();
  }

  /** The committer tells that a transaction of this instance was rolled back. */
  rolledBack(): void {
    if (!this.#transaction.isWriting) return;
    this.#isStale = true;
    this.#transaction.ended();
  }

  load(oid: Oid): LoadedRecord {
    if (--this.#loadsLeft <= 0) this.#look();
    const row = this.#row(oid);
    if (row === undefined) throw this.#missing(oid);
    return this.#record(oid, row);
  }

  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[] {
    this.#loadsLeft -= oids.length;
    if (this.#loadsLeft <= 0) this.#look();
    if (!this.#transaction.isOpen && !this.#isStale) throw this.#unready();
    try {
      const records: (LoadedRecord | undefined)[] | undefined = this.#batch.records(oids, this.#seq);
      if (records !== undefined) {
        for (let i = 0; i < oids.length; i++) records[i] ??= this.#rare(oids[i]!);
        return records;
      }
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      // One by one it is certain which of them is damaged.
    }
    return oids.map((oid) => this.#rare(oid));
  }

  #rare(oid: Oid): LoadedRecord | undefined {
    try {
      return this.load(oid);
    } catch (error) {
      if (error instanceof POSKeyError) return undefined;
      throw error;
    }
  }

  #row(oid: Oid): Buffer | undefined {
    // Only an open transaction or a snapshot that was given up may be read: better-sqlite3 itself would answer always.
    if (!this.#transaction.isOpen && !this.#isStale) throw this.#unready();
    try {
      return this.#get.get(oid >= 0 ? oid : oidKey(oid));
    } catch (error) {
      throw this.#handle.failed(error);
    }
  }

  #record(oid: Oid, row: Buffer): LoadedRecord {
    const seq = sealedSeq(row);
    const data = openRecord(oid, row);
    if (seq > this.#seq) return this.#former(oid);
    if (row.length === HEADER) throw new POSKeyError(oid);
    return new SqliteRecord(data, seq, this.#tids);
  }

  /** A snapshot without its read transaction: the revision that was current then. */
  #former(oid: Oid): LoadedRecord {
    const found = this.#revisions.recordAt(oid, this.#seq, this.#isComplete);
    if (found === undefined) throw new POSKeyError(oid);
    return found;
  }

  readonly #isComplete = (seq: number): boolean => this.#engine.isComplete(this.#handle, seq);

  #missing(oid: Oid): Error {
    if (!this.#isStale || this.#fixed) return new POSKeyError(oid);
    return new ReadConflictError(
      'This snapshot was held so long that its objects may be packed. Run the transaction again.',
      { oid },
    );
  }

  #look(): void {
    this.#loadsLeft = LOADS_PER_LOOK;
    if (this.#transaction.isOpen && this.#engine.walSize() > this.#engine.options.walLimit)
      this.yieldSnapshot();
  }

  /**
   * Ends the read transaction of an outdated snapshot, so that the write-ahead log can be reset. Does nothing when
   * nobody committed since.
   */
  yieldSnapshot(): void {
    if (!this.#transaction.isOpen || this.#transaction.isWriting) return;
    this.#engine.refresh();
    if (this.#engine.log.latest === this.#seq) return;
    this.#transaction.end();
    this.#isStale = true;
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    if (this.#isReleased) throw this.#released();
    return this.#context.storage.loadBefore(oid, tid);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    if (this.#isReleased) throw this.#released();
    return this.#context.storage.loadSerial(oid, tid);
  }

  /** The revision that this snapshot shows, if it is the one of commit `seq`: the file itself may have dropped it. */
  snapshotRevision(oid: Oid, seq: number): LoadedRecord | undefined {
    const row = this.#transaction.isOpen ? this.#row(oid) : undefined;
    return row !== undefined && sealedSeq(row) === seq ? this.#record(oid, row) : undefined;
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    if (this.#isReleased) throw this.#released();
    return this.#context.blobs.open(oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string {
    if (this.#isReleased) throw this.#released();
    return this.#context.blobs.pathOf(oid, serial);
  }

  blobDirectory(): string {
    return this.#context.blobs.workDirectory();
  }

  missing(oids: readonly Oid[]): readonly Oid[] {
    return this.#context.committer.missing(oids, this.#txn);
  }

  removals(): number {
    if (this.#isReleased) throw this.#released();
    if (this.#isFresh) this.#isFresh = false;
    else if (!this.#fixed) this.#engine.refresh();
    return (this.knownRemovals = this.#engine.log.removals);
  }

  newOid(): Oid {
    if (this.#isReleased || this.#fixed) this.#checkWritable();
    return this.#context.committer.newOid();
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkWritable();
    this.#context.committer.tpcBegin(txn, tid, status, this);
    this.#txn = txn;
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkWritable();
    await this.#context.committer.tpcBeginAsync(txn, tid, status, this);
    this.#txn = txn;
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    this.#context.committer.store(oid, serial, data, txn, references);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    this.#context.committer.storeBlob(oid, serial, data, source, txn);
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData): void {
    this.#context.committer.restore(oid, data, txn);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    this.#context.committer.restoreBlob(oid, data, source, txn);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#context.committer.deleteObject(oid, serial, txn);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    return this.#context.committer.undo(tid, txn);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#context.committer.checkCurrentSerial(oid, serial, txn);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    return this.#context.committer.tpcVote(txn);
  }

  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    return this.#context.committer.tpcVoteAsync(txn);
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    this.#txn = undefined;
    return this.#context.committer.tpcFinish(txn, callback);
  }

  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return Promise.resolve().then(() => this.tpcFinish(txn, callback));
  }

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#txn === txn) this.#txn = undefined;
    this.#context.committer.tpcAbort(txn);
  }

  suspend(): void {
    if (this.#isReleased) throw this.#released();
    if (!this.#fixed) this.#transaction.end();
  }

  release(): void {
    if (this.#isReleased) return;
    if (this.#txn) this.tpcAbort(this.#txn);
    this.#isReleased = true;
    this.#isStale = false;
    this.#transaction.end();
    if (this.#fixed) this.#engine.giveBack(this.#handle);
    else this.#engine.giveBackConnection(this.#handle);
    this.#context.released(this);
  }

  #checkWritable(): void {
    if (this.#isReleased) throw this.#released();
    if (this.#fixed) throw new ReadOnlyHistoryError();
  }

  #unready(): Error {
    if (this.#isReleased) return this.#released();
    return new StorageError(
      'This storage instance has no snapshot yet: call poll() before the first load().',
    );
  }

  #released(): ClosedError {
    return new ClosedError('This storage instance was released; ask the storage for a new one.');
  }
}
