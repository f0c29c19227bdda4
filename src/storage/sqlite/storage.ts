import { ClosedError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import { supportsManifest } from '../capabilities';
import type {
  BlobReader,
  BlobSource,
  BoundedRecord,
  InstanceOptions,
  LoadedRecord,
  Storage,
  StorageHost,
  StorageInstance,
  StorageSupports,
  TransactionStatus,
} from '../interfaces';
import type { TransactionMetaData } from '../transaction-meta';
import { Blobs } from './blobs';
import { SqliteCommitter } from './committer';
import type { Engine } from './engine';
import { SqliteInstance, type InstanceContext } from './instance';
import { openEngine } from './open';
import { resolveOptions, type SqliteStorageOptions } from './options';
import { Revisions } from './revisions';

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
  readonly #blobs: Blobs;
  readonly #committer: SqliteCommitter;
  readonly #instances = new Set<SqliteInstance>();
  readonly #instanceContext: InstanceContext;

  /** Opens the file at `path`, and makes it when it is missing. */
  constructor(path: string, options: SqliteStorageOptions = {}) {
    this.#engine = openEngine(path, resolveOptions(options));
    this.name = path;
    this.sortKey = `sqlite:${path}`;
    this.readOnly = this.#engine.options.readOnly;
    const history = this.#engine.history !== 'none';
    this.supports = supportsManifest({
      undo: history,
      history,
      asyncCommit: true,
      restore: true,
      deleteObject: true,
      persistent: true,
      multiProcess: true,
    });
    this.#revisions = new Revisions(this.#engine.writer, this.#engine.tids);
    this.#blobs = new Blobs(this.#engine);
    this.#committer = new SqliteCommitter(this.#engine, this.#blobs, () => this.#afterCommit());
    this.#instanceContext = {
      storage: this,
      engine: this.#engine,
      committer: this.#committer,
      blobs: this.#blobs,
      supports: this.supports,
      released: (instance) => this.#instances.delete(instance),
    };
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
    return this.#revisions.atSeq(oid, seq, this.#isComplete);
  }

  readonly #isComplete = (seq: number): boolean => this.#engine.isComplete(this.#engine.writer, seq);

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#engine.checkOpen();
    this.#engine.refresh();
    const { tids, log } = this.#engine;
    return this.#revisions.exactly(oid, tids.seqOf(tid, log.latest), tid);
  }

  objectCount(): number {
    this.#engine.checkOpen();
    const count = this.#engine.writer
      .prepare<number>('SELECT objects FROM txn ORDER BY seq DESC LIMIT 1')
      .pluck()
      .get();
    return count ?? 0;
  }

  size(): number {
    this.#engine.checkOpen();
    const { writer } = this.#engine;
    return Number(writer.pragma('page_count')) * Number(writer.pragma('page_size'));
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

  close(): void {
    if (this.#engine.isClosed) return;
    for (const instance of this.#instances) instance.release();
    this.#committer.close(new ClosedError(`The storage ${this.name} is closed.`));
    this.#blobs.close();
    this.#engine.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #afterCommit(): void {
    if (this.#engine.walSize() <= this.#engine.options.walLimit) return;
    for (const instance of this.#instances) instance.yieldSnapshot();
  }
}
