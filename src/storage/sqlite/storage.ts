import { ClosedError, ReadOnlyError } from '../../errors';
import { MAX_TID, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import { supportsManifest } from '../capabilities';
import type {
  BackupReport,
  BlobReader,
  BlobSource,
  BoundedRecord,
  CheckReport,
  CurrentRecord,
  HistoryEntry,
  InstanceOptions,
  LoadedRecord,
  PackOptions,
  PackReport,
  Storage,
  StorageHost,
  StorageInstance,
  StorageSupports,
  TransactionInfo,
  TransactionRecord,
  TransactionStatus,
} from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import type { Steps } from '../steps';
import { backupSteps } from './backup';
import { Blobs } from './blobs';
import { Check } from './check';
import { SqliteCommitter } from './committer';
import { CurrentScan } from './current-scan';
import type { Engine } from './engine';
import { SqliteInstance } from './instance';
import { InstanceContext } from './instance-context';
import { openEngine } from './open';
import { resolveOptions, type SqliteStorageOptions } from './options';
import { Pack, vacuumSteps } from './pack';
import { Revisions } from './revisions';
import { Transactions } from './transactions';
import { HistoryTrim } from './trim';

/** How often the length of the write-ahead log is looked at, in milliseconds. */
const LOG_INTERVAL = 2_000;

/**
 * A database in one SQLite file, for any number of processes and worker threads of one machine. See schema.ts for what
 * the file holds, instance.ts for how snapshots work, committer.ts for commits.
 */
export class SqliteStorage implements Storage {
  readonly name: string;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  readonly sortKey: string;

  readonly #engine: Engine;
  readonly #revisions: Revisions;
  readonly #transactions: Transactions;
  readonly #blobs: Blobs;
  readonly #trim: HistoryTrim;
  readonly #committer: SqliteCommitter;
  /** A program that rests may hold a snapshot too. */
  readonly #timer: NodeJS.Timeout;
  readonly #instances = new Set<SqliteInstance>();
  readonly #instanceContext: InstanceContext;

  /** Opens the file at `path`, and makes it when it is missing. */
  constructor(path: string, options: SqliteStorageOptions = {}) {
    this.#engine = openEngine(path, resolveOptions(options));
    this.name = path;
    this.sortKey = `sqlite:${path}`;
    this.readOnly = this.#engine.options.readOnly;
    const history = this.#engine.history !== 'none';
    this.#revisions = new Revisions(this.#engine.reader, this.#engine.tids);
    this.#transactions = new Transactions(this.#engine, this.#revisions);
    this.#blobs = new Blobs(this.#engine);
    this.#trim = new HistoryTrim(this.#engine);
    this.supports = supportsManifest({
      undo: history,
      history,
      blobs: true,
      blobPaths: this.#blobs.files !== undefined,
      pack: true,
      iterate: true,
      restore: true,
      deleteObject: true,
      currentRecords: true,
      asyncCommit: true,
      maintenance: true,
      persistent: true,
      multiProcess: true,
    });
    this.#committer = new SqliteCommitter(this.#engine, this.#blobs, this.#revisions, this.#afterCommit);
    this.#timer = setInterval(() => this.#relieveLog(), LOG_INTERVAL).unref();
    const released = (instance: SqliteInstance): void => void this.#instances.delete(instance);
    this.#instanceContext = new InstanceContext(
      this,
      this.#engine,
      this.#committer,
      this.#blobs,
      this.supports,
      released,
    );
  }

  registerDB(host: StorageHost): void {
    this.#engine.host = host;
  }

  newInstance(options: InstanceOptions = {}): StorageInstance {
    this.#engine.checkOpen();
    const instance = new SqliteInstance(this.#instanceContext, this.#fixedSeq(options.before));
    this.#instances.add(instance);
    return instance;
  }

  #fixedSeq(before: Tid | undefined): number | undefined {
    if (before === undefined) return undefined;
    this.#engine.refresh();
    return this.#engine.tids.seqAtMost((before - 1n) as Tid, this.#engine.log.latest);
  }

  lastTransaction(): Tid {
    this.#engine.checkOpen();
    this.#engine.refresh();
    return this.#engine.log.latestTid;
  }

  load(oid: Oid): LoadedRecord {
    this.#engine.checkOpen();
    return this.#revisions.current(oid);
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#engine.checkOpen();
    this.#engine.refresh();
    const { tids, log } = this.#engine;
    const seq = tid > log.latestTid ? log.latest : tids.seqAtMost((tid - 1n) as Tid, log.latest);
    return this.#revisions.boundedAt(oid, seq, this.#isComplete);
  }

  readonly #isComplete = (seq: number): boolean => this.#engine.isComplete(this.#engine.reader, seq);

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#engine.checkOpen();
    this.#engine.refresh();
    const { tids, log } = this.#engine;
    return this.#revisions.exactly(oid, tids.seqOf(tid, log.latest), tid);
  }

  objectCount(): number {
    this.#engine.checkOpen();
    const count = this.#engine.reader
      .prepare<number>('SELECT objects FROM txn ORDER BY seq DESC LIMIT 1')
      .pluck()
      .get();
    return count ?? 0;
  }

  size(): number {
    this.#engine.checkOpen();
    const { reader } = this.#engine;
    return Number(reader.pragma('page_count')) * Number(reader.pragma('page_size'));
  }

  newOid(): Oid {
    return this.#committer.newOid();
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#committer.tpcBegin(txn, tid, status);
  }

  tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    return this.#committer.tpcBeginAsync(txn, tid, status);
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    this.#committer.store(oid, serial, data, txn, references);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    this.#committer.storeBlob(oid, serial, data, source, txn);
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData): void {
    this.#committer.restore(oid, data, txn);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    this.#committer.restoreBlob(oid, data, source, txn);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#committer.deleteObject(oid, serial, txn);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#committer.checkCurrentSerial(oid, serial, txn);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    return this.#committer.undo(tid, txn);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    return this.#committer.tpcVote(txn);
  }

  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    return this.#committer.tpcVoteAsync(txn);
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    return this.#committer.tpcFinish(txn, callback);
  }

  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return Promise.resolve().then(() => this.tpcFinish(txn, callback));
  }

  tpcAbort(txn: TransactionMetaData): void {
    this.#committer.tpcAbort(txn);
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    this.#engine.checkOpen();
    return this.#blobs.open(oid, serial);
  }

  blobDirectory(): string {
    this.#engine.checkOpen();
    return this.#blobs.workDirectory();
  }

  blobPath(oid: Oid, serial: Tid): string {
    this.#engine.checkOpen();
    return this.#blobs.pathOf(oid, serial);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#engine.checkOpen();
    this.#engine.refresh();
    return this.#transactions.history(oid, size);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.#engine.checkOpen();
    if (!this.supports.undo) return [];
    this.#engine.refresh();
    return this.#transactions.undoLog(first, last, filter);
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.#engine.checkOpen();
    this.#engine.refresh();
    return this.#transactions.iterate(start, stop);
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    this.#engine.checkOpen();
    return new CurrentScan(this.#engine, from);
  }

  /** As `Storage.pack`. Ended early, or killed, it leaves the database whole; call it again to go on. */
  pack(options: PackOptions = {}): Steps<PackReport> {
    this.#engine.checkOpen();
    if (this.readOnly) throw new ReadOnlyError(`${this.name} is open read-only.`);
    return new Pack(this.#engine, this.#blobs, options).run();
  }

  check(): Steps<CheckReport> {
    this.#engine.checkOpen();
    this.#engine.refresh();
    return new Check(this.#engine, this.#blobs).run();
  }

  backup(path: string): Steps<BackupReport> {
    this.#engine.checkOpen();
    return backupSteps(this.#engine, this.#blobs, path);
  }

  *vacuum(): Steps<void> {
    this.#engine.checkOpen();
    const handle = this.#engine.writeHandle();
    try {
      yield* vacuumSteps(handle);
    } finally {
      this.#engine.closeHandle(handle);
    }
  }

  close(): void {
    if (this.#engine.isClosed) return;
    clearInterval(this.#timer);
    for (const instance of this.#instances) instance.release();
    this.#committer.close(new ClosedError(`The storage ${this.name} is closed.`));
    this.#engine.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #afterCommit = (pages: number, committer: SqliteInstance | undefined): void => {
    const { checkpoints } = this.#engine;
    this.#trim.afterCommit();
    if (!checkpoints.wrote(pages)) return;
    // Outdated snapshots keep the log from beginning anew: whoever has just committed takes a new one next.
    committer?.yieldSnapshot();
    this.#relieveLog();
    checkpoints.copy();
  };

  /** Ends old snapshots of this process when the write-ahead log has grown too long. */
  #relieveLog(): void {
    if (this.#engine.walSize() <= this.#engine.options.walLimit) return;
    for (const instance of this.#instances) instance.yieldSnapshot();
  }
}
