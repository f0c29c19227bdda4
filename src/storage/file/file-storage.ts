import { InvalidArgumentError, StorageError, UndoError } from '../../errors';
import { formatTid, newTid, oidFromBigInt, oidToBigInt, type Oid, type Tid } from '../../ids';
import { CommitLock } from '../commit-lock';
import type {
  BlobSource,
  InstanceOptions,
  PackOptions,
  PackReport,
  Storage,
  StorageHost,
  StorageInstance,
  TransactionInfo,
  TransactionStatus,
} from '../interfaces';
import { MvccAdapter } from '../mvcc-adapter';
import { checkRecord } from '../record-check';
import type { Steps } from '../steps';
import type { TransactionMetaData } from '../transaction-meta';
import { selectUndoable } from '../undo-log';
import { isBlob } from './blob-record';
import { FileCommit } from './commit';
import { CommitSync } from './commit-sync';
import type { DataFile } from './data-file';
import { writeFailure } from './errors';
import type { ForeignTransaction } from './follow';
import { Status, type Metadata } from './format';
import { findUnpacked, undoable } from './iterate';
import { metadataOf } from './metadata';
import { type FileStorageOptions } from './options';
import { packFile } from './pack';
import { PackGate } from './pack-gate';
import { PendingTransaction } from './pending';
import { OpenedFileStorage } from './opened-file-storage';

/** A pack goes all over the file: what it reads is worth no more memory, and not what others read. */
const PACK_CACHE_BYTES = 2 << 20;

/**
 * A database in one file, `Data.fs`, as Python's ZODB keeps it: a log of transactions that only grows, an index of it in memory
 * (saved beside it), and a directory of blobs. One process at a time has it open for writing; `docs/migrating-from-python.md`
 * says how a file moves between the two languages.
 */
export class FileStorage extends OpenedFileStorage implements Storage {
  readonly #adapter = new MvccAdapter(this);
  readonly #commitLock: CommitLock;
  readonly #sync: CommitSync;
  #commit: FileCommit | undefined;
  #lastOid: bigint;
  #isPacking = false;
  #removals = 0;

  /** Opens or makes the file. `LockError` when another program has it open for writing, `FormatError` when it is none. */
  constructor(file: string, options: FileStorageOptions = {}) {
    super(file, options);
    this.#lastOid = maxBigInt(this.file.index.maxOid(), 0n);
    this.#commitLock = new CommitLock(file);
    this.#sync = new CommitSync(this.system, this.options.durability !== 'normal');
  }

  registerDB(host: StorageHost): void {
    this.host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.checkOpen();
    return this.#adapter.newInstance(options);
  }

  newOid(): Oid {
    this.checkWritable();
    return oidFromBigInt(++this.#lastOid);
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.checkWritable();
    const metadata = metadataOf(txn);
    this.#commitLock.acquire(txn);
    this.#begin(txn, metadata, tid, status);
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.checkWritable();
    const metadata = metadataOf(txn);
    await this.#commitLock.acquireAsync(txn);
    this.#begin(txn, metadata, tid, status);
  }

  store(oid: Oid, serial: Tid, data: Uint8Array, txn: TransactionMetaData): void {
    const commit = this.#changing(txn);
    checkRecord(oid, data);
    commit.store(oid, serial, data);
    this.#seen(oid);
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const commit = this.#changing(txn);
    checkRecord(oid, data);
    commit.storeBlob(oid, serial, data, source);
    this.#seen(oid);
  }

  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).deleteObject(oid, serial);
  }

  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void {
    const commit = this.#changing(txn);
    if (data !== null) checkRecord(oid, data);
    // A pack under way may be dropping the revision that a back pointer would need.
    commit.restore(oid, data, dataTid, !this.#isPacking);
    this.#seen(oid);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void {
    const commit = this.#changing(txn);
    checkRecord(oid, data);
    commit.restoreBlob(oid, data, source);
    this.#seen(oid);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.#changing(txn).checkCurrent(oid, serial);
  }

  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[] {
    const commit = this.#changing(txn);
    if (this.#isPacking) {
      throw new UndoError(
        'Nothing can be undone while the storage is being packed. Try again when the pack has ended.',
      );
    }
    const position = findUnpacked(this.file, tid);
    if (position === 0) {
      throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
    }
    return commit.undo(position);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.checkOpen();
    return selectUndoable(undoable(this.file), first, last, filter);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    const { pending } = this.#changing(txn);
    if (pending.voted) return pending.resolved;
    const { fd } = this.file;
    try {
      if (this.untidy) this.system.truncate(fd, this.file.size);
      this.untidy = true;
      pending.vote();
      // What follows the mark must not reach the disk after it.
      this.#sync.written(fd);
    } catch (error) {
      this.discardTail();
      pending.voted = false;
      throw new StorageError(
        `The transaction could not be written to ${this.name}. Nothing was changed; make room, or look after the disk, and try again.`,
        { code: 'WRITE_FAILED', cause: error },
      );
    }
    return pending.resolved;
  }

  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]> {
    return Promise.resolve().then(() => this.tpcVote(txn));
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    const commit = this.#changing(txn);
    const { pending } = commit;
    if (!pending.voted)
      throw new StorageError('Call tpcVote before tpcFinish.', { code: 'STORAGE_TRANSACTION' });
    try {
      this.#sync.complete(this.file.fd, commit);
    } catch (error) {
      this.#fail(error);
    }
    this.untidy = false;
    try {
      callback?.(pending.tid);
    } finally {
      this.#show(commit, txn);
    }
    return pending.tid;
  }

  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid> {
    return Promise.resolve().then(() => this.tpcFinish(txn, callback));
  }

  /** Many commits, for one sync (or two, as the option `durability` says). */
  commitTogether(work: () => void): void {
    this.checkWritable();
    this.#sync.begin();
    try {
      work();
    } finally {
      try {
        for (const commit of this.#sync.end(this.file.fd)) this.#durable(commit);
      } catch (error) {
        this.#fail(error);
      }
      this.checkpoint();
    }
  }

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#commitLock.holder !== txn) {
      this.#commitLock.release(txn);
      return;
    }
    // An asynchronous begin has the lock a moment before it begins.
    const pending = this.#commit?.pending;
    try {
      if (pending?.inFile) this.discardTail();
      for (const step of pending?.undoOnAbort ?? []) step();
    } finally {
      this.#end(txn);
    }
  }

  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.checkWritable();
    if (this.#isPacking) throw new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
    this.#isPacking = true;
    try {
      return yield* packFile({
        file: this.file,
        reader: this.file.reader(Math.min(PACK_CACHE_BYTES, this.options.cacheBytes ?? PACK_CACHE_BYTES)),
        path: this.name,
        system: this.system,
        options: { gc: this.options.packGc ?? true, ...options },
        keepOld: this.options.packKeepOld ?? true,
        references: (record) => this.references(record),
        blobs: this.blobs,
        verify: (position, walker) => this.file.checksums?.verify(this.name, position, walker.bytes()),
        gate: new PackGate(this.#commitLock, this.name),
        replace: (file, packedTo) => this.#replaceFile(file, packedTo),
        failed: (cause) => this.#fail(cause),
        cacheBytes: this.options.cacheBytes,
      });
    } catch (error) {
      throw writeFailure(
        error,
        `${this.name} could not be packed. It is as it was; make room, and pack again.`,
      );
    } finally {
      this.#isPacking = false;
    }
  }

  /** See `StorageInstance.removals`. */
  removals(): number {
    return this.#removals;
  }

  close(): void {
    if (this.isClosed) return;
    this.#adapter.close();
    const holder = this.#commitLock.holder;
    try {
      if (holder !== undefined) this.tpcAbort(holder);
      if (!this.readOnly && this.file.size > this.indexedTo) this.saveIndex();
    } finally {
      this.#release();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #begin(
    txn: TransactionMetaData,
    metadata: Metadata,
    tid: Tid | undefined,
    status: TransactionStatus | undefined,
  ): void {
    try {
      this.checkWritable();
      if (tid !== undefined && tid <= this.lastTid) {
        throw new InvalidArgumentError(
          `Transaction ${formatTid(tid)} can't follow ${formatTid(this.lastTid)} in ${this.name}: tids ascend.`,
        );
      }
      const pending = new PendingTransaction(
        {
          system: this.system,
          fd: this.file.fd,
          base: this.file.size,
          withChecksums: this.file.checksums !== undefined,
        },
        txn,
        tid ?? newTid(this.lastTid),
        status === 'p' ? Status.PACKED : Status.COMPLETE,
        metadata,
      );
      this.#commit = new FileCommit(pending, {
        file: this.file,
        host: this.host,
        quota: this.options.quota ?? Infinity,
        blobs: () => this.requireBlobs(),
        isBlob: this.blobs === undefined ? () => false : isBlob,
      });
    } catch (error) {
      this.#commitLock.release(txn);
      throw error;
    }
  }

  /** Lets everybody see what was committed. */
  #show(commit: FileCommit, txn: TransactionMetaData): void {
    const { pending } = commit;
    const file = this.file;
    for (const [oid, { position, back }] of pending.records) {
      file.index.set(oid, position);
      if (back === 0) this.#removals++;
    }
    file.cache.grow(pending.end);
    if (!this.#sync.isTogether) this.#durable(commit);
    this.#adapter.committed(pending.tid, [...pending.records.keys()], txn);
    this.lastTid = pending.tid;
    this.#end(txn);
    if (!this.#sync.isTogether) this.checkpoint();
  }

  #durable(commit: FileCommit): void {
    this.addChecksums(commit.pending);
    commit.finished();
  }

  protected override committedElsewhere(transactions: readonly ForeignTransaction[]): void {
    for (const { tid, oids } of transactions) {
      this.host?.invalidate(tid, oids);
      this.#adapter.committed(tid, oids);
    }
  }

  protected override replacedElsewhere(): void {
    this.host?.invalidateAll();
    this.#adapter.invalidateAll();
  }

  #end(txn: TransactionMetaData): void {
    this.#commit = undefined;
    this.#commitLock.release(txn);
  }

  /** The last step of a commit failed: what is on disk is not known, and only opening the file again can tell. */
  #fail(cause: unknown): never {
    this.#adapter.close();
    this.#release();
    throw new StorageError(
      `The end of a commit could not be written to ${this.name}, so that it is not known whether it is stored. ` +
        'The storage was closed; open it again to see.',
      { code: 'FINISH_FAILED', cause },
    );
  }

  #release(): void {
    this.isClosed = true;
    for (const iterator of this.iterators) iterator.return();
    this.#commit = undefined;
    this.#commitLock.close(this.closedError());
    this.file.checksums?.close();
    this.file.release();
    this.fileLock?.release();
  }

  #replaceFile(file: DataFile, packedTo: Tid): void {
    this.file.checksums?.close();
    this.file.release();
    this.file = file;
    this.#removals++;
    if (packedTo > this.packedTo) this.packedTo = packedTo;
    this.untidy = false;
    this.openChecksums(true);
    this.saveIndex();
  }

  #changing(txn: TransactionMetaData): FileCommit {
    this.checkWritable();
    this.#commitLock.require(txn);
    return this.#commit!;
  }

  #seen(oid: Oid): void {
    if (oid > this.#lastOid) this.#lastOid = BigInt(oid);
    else if (oid < 0) this.#lastOid = maxBigInt(this.#lastOid, oidToBigInt(oid));
  }
}

function maxBigInt(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
