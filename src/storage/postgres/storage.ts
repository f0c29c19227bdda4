import { ClosedError, ReadOnlyError, StorageError, StorageTransactionError } from '../../errors';
import { MAX_TID, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
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
import { BlobWorkDirectory } from '../memory/blobs';
import { MvccAdapter } from '../mvcc-adapter';
import { checkRecord } from '../record-check';
import type { Steps } from '../steps';
import type { TransactionMetaData } from '../transaction-meta';
import { selectUndoable } from '../undo-log';
import { fetchContent, takeSource } from './blob-contents';
import { CatchUp } from './catch-up';
import { changesAfter } from './changes';
import { PendingTransaction } from './commit';
import { commitOutcome } from './commit-outcome';
import { connectionSetup } from './connection-setup';
import { resolveOptions, type PostgresStorageOptions, type ResolvedOptions } from './options';
import { News } from './news';
import { OidSource } from './oid-source';
import { packSteps } from './pack';
import { packIsUnderWay } from './pack-session';
import { RevisionReader } from './revisions';
import { prepareSchema, Schema } from './schema';
import { Server, type ServerWork } from './server';
import { Channel } from './server-worker';
import { historyOf, undoable, walkCurrent, walkTransactions } from './transactions';
import { undo } from './undo';

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
  persistent: true,
  multiProcess: true,
});

/**
 * A database in PostgreSQL, for any number of programs on any number of machines. Each call is a round trip to the server, made by a thread
 * of its own. All revisions are kept until they are packed.
 */
export class PostgresStorage implements Storage {
  readonly name: string;
  readonly supports = SUPPORTS;
  readonly readOnly: boolean;
  readonly sortKey: string;

  readonly #options: ResolvedOptions;
  readonly #schema: Schema;
  readonly #server: Server;
  readonly #reader: RevisionReader;
  readonly #adapter = new MvccAdapter(this);
  readonly #lock: CommitLock;
  readonly #work = new BlobWorkDirectory();
  readonly #news = new News(this.#adapter);
  readonly #oids: OidSource;
  readonly #catchUp: CatchUp;
  #pending: PendingTransaction | undefined;
  #isPacking = false;
  #isClosed = false;

  /**
   * @param url `postgres://user:password@host:port/database`; what it leaves out comes from the environment variables of PostgreSQL (`PGHOST`, `PGUSER`, `PGPASSWORD`, …)
   * @throws StorageError when the package `pg` is not installed, or the server can't be reached
   */
  constructor(url: string, options: PostgresStorageOptions = {}) {
    this.#options = resolveOptions(options);
    this.readOnly = this.#options.readOnly;
    this.#schema = new Schema(this.#options.schema);
    const { setup, name } = connectionSetup(url, this.#options, this.#schema);
    this.name = name;
    this.sortKey = `postgres:${name}`;
    this.#lock = new CommitLock(name);
    this.#reader = new RevisionReader(this.#schema);
    this.#server = new Server(setup, name, this.#options.callTimeout);
    this.#oids = new OidSource(this.#server, this.#schema);
    try {
      this.#server.run(prepareSchema(this.#schema, this.#options));
    } catch (error) {
      this.#server.close();
      throw error;
    }
    this.#catchUp = new CatchUp(this.#server, this.#schema, this.#news);
  }

  registerDB(host: StorageHost): void {
    this.#news.host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.#checkOpen();
    return this.#adapter.newInstance(options);
  }

  newOid(): Oid {
    this.#checkWritable();
    return this.#oids.next();
  }

  lastTransaction(): Tid {
    this.#checkOpen();
    this.#news.tell(this.#server.run(changesAfter(this.#schema, Channel.read, this.#news.last)));
    return this.#news.last!;
  }

  load(oid: Oid): LoadedRecord {
    return this.#run(this.#reader.current(oid));
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    return this.#run(this.#reader.before(oid, tid > MAX_TID ? MAX_TID : tid));
  }

  /** See `PlainStorage`. */
  loadManyBefore(oids: readonly Oid[], tid: Tid): (LoadedRecord | undefined)[] {
    return this.#run(this.#reader.manyBefore(oids, tid));
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    return this.#run(this.#reader.exactly(oid, tid));
  }

  /** See `PlainStorage`: asked during a commit. */
  missingNow(oids: readonly Oid[]): readonly Oid[] {
    const missing = this.#run(this.#reader.missing(oids));
    this.#pending?.refersTo(oids.filter((oid) => !missing.has(oid)));
    return [...missing];
  }

  /** See `StorageInstance.removals`. */
  removals(): number {
    if (this.#news.removals === undefined) this.lastTransaction();
    return this.#news.removals!;
  }

  objectCount(): number {
    return this.#number(
      `SELECT coalesce((SELECT objects FROM ${this.#schema.txn} ORDER BY tid DESC LIMIT 1), 0)`,
    );
  }

  size(): number {
    const { revision, txn, blob, blobChunk } = this.#schema;
    const sizes = [revision, txn, blob, blobChunk].map(
      (table) => `pg_total_relation_size('${table.replaceAll("'", "''")}')`,
    );
    return this.#number(`SELECT ${sizes.join(' + ')}`);
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkWritable();
    this.#lock.acquire(txn);
    this.#begin(txn, tid, status);
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkWritable();
    await this.#lock.acquireAsync(txn);
    this.#begin(txn, tid, status);
  }

  #begin(txn: TransactionMetaData, tid: Tid | undefined, status: TransactionStatus | undefined): void {
    const around = {
      schema: this.#schema,
      news: this.#news,
      oids: this.#oids,
      lockTimeout: this.#options.lockTimeout,
      transaction: this.#server.newTransaction(),
    };
    this.#pending = new PendingTransaction(txn, around, tid, status);
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    const pending = this.#changing(txn);
    checkRecord(oid, data);
    pending.store(oid, serial, data, references);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const pending = this.#changing(txn);
    checkRecord(oid, data);
    pending.store(oid, serial, data, undefined, takeSource(source, this.#work.path));
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void {
    const pending = this.#changing(txn);
    if (data !== null) checkRecord(oid, data);
    pending.restore(oid, data, dataTid);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const pending = this.#changing(txn);
    checkRecord(oid, data);
    pending.restore(oid, data, undefined, takeSource(source, this.#work.path));
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).deleteObject(oid, serial);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).checkCurrent(oid, serial);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    return this.#server.run(undo(this.#changing(txn), this.#news.host, tid));
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    return this.#server.run(this.#changing(txn).vote());
  }

  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    return this.#server.runAsync(this.#changing(txn).vote());
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    return this.#server.run(this.#finish(txn, callback));
  }

  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return this.#server.runAsync(this.#finish(txn, callback));
  }

  *#finish(txn: TransactionMetaData, callback: ((tid: Tid) => void) | undefined): ServerWork<Tid> {
    const pending = this.#changing(txn);
    const { tid } = pending;
    if (pending.serverId === undefined) {
      throw new StorageTransactionError(
        `This transaction has not voted on ${this.name}: call tpcVote first.`,
      );
    }
    callback?.(tid);
    const commit = { tid, txn, oids: () => [...pending.changes.keys()] };
    this.#news.finishing(commit);
    try {
      yield* pending.finish();
    } catch (error) {
      const transaction = this.#server.newTransaction();
      // Whoever lost the connection does not know whether it was in time.
      if (!(yield* commitOutcome(this.#schema, transaction, this.#options.callTimeout, pending, error)))
        throw error;
    } finally {
      this.#news.finishing(undefined);
    }
    this.#news.committed(commit);
    this.#end(txn);
    return tid;
  }

  tpcAbort(txn: TransactionMetaData): void {
    const pending = this.#pending;
    if (this.#lock.holder !== txn || pending === undefined) {
      this.#lock.release(txn);
      return;
    }
    try {
      if (!this.#isClosed) this.#server.run(pending.abort());
    } catch (error) {
      // With its connection the transaction is gone as well.
      if (!(error instanceof StorageError)) throw error;
    } finally {
      this.#end(txn);
    }
  }

  #end(txn: TransactionMetaData): void {
    this.#pending?.dropSources();
    this.#pending = undefined;
    this.#lock.release(txn);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    return selectUndoable(undoable(this.#server, this.#schema, this.lastTransaction()), first, last, filter);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#checkOpen();
    return historyOf(this.#server, this.#schema, oid, size);
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    const last = this.lastTransaction();
    return walkTransactions(this.#server, this.#schema, start, stop < last ? stop : last);
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    return walkCurrent(this.#server, this.#schema, from, this.lastTransaction());
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    return this.#run(fetchContent(this.#schema, oid, serial, this.#work.path));
  }

  blobDirectory(): string {
    this.#checkOpen();
    return this.#work.path;
  }

  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.#checkWritable();
    const last = this.lastTransaction();
    // The server's lock is for other connections.
    if (this.#isPacking) throw packIsUnderWay();
    this.#isPacking = true;
    const work = {
      server: this.#server,
      schema: this.#schema,
      news: this.#news,
      lockTimeout: this.#options.lockTimeout,
    };
    try {
      return yield* packSteps(work, last, options);
    } finally {
      this.#isPacking = false;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#adapter.close();
    if (this.#pending) this.tpcAbort(this.#pending.meta);
    this.#isClosed = true;
    this.#catchUp.close();
    this.#lock.close(this.#closedError());
    this.#server.close();
    this.#work.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #run<Result>(work: ServerWork<Result>): Result {
    this.#checkOpen();
    return this.#server.run(work);
  }

  #number(text: string): number {
    this.#checkOpen();
    const rows = this.#server.call({ channel: Channel.read, text });
    rows.next();
    return rows.number();
  }

  #changing(txn: TransactionMetaData): PendingTransaction {
    this.#checkOpen();
    this.#lock.require(txn);
    return this.#pending!;
  }

  #checkWritable(): void {
    this.#checkOpen();
    if (this.readOnly) throw new ReadOnlyError(`${this.name} is open read-only.`);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  #closedError(): ClosedError {
    return new ClosedError(`The storage ${this.name} is closed.`);
  }
}
