import * as path from 'node:path';
import {
  ClosedError,
  InvalidArgumentError,
  ReadConflictError,
  ReadOnlyError,
  StorageError,
  UndoError,
  UnsupportedError,
} from '../../errors';
import {
  formatTid,
  MAX_TID,
  newTid,
  oidFromBigInt,
  oidToBigInt,
  ROOT_OID,
  ZERO_TID,
  type Oid,
  type Tid,
} from '../../ids';
import { references } from '../../record/index';
import { supportsManifest } from '../capabilities';
import { CommitLock } from '../commit-lock';
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
import { MvccAdapter } from '../mvcc-adapter';
import { checkRecord } from '../record-check';
import type { Steps } from '../steps';
import type { TransactionMetaData } from '../transaction-meta';
import { selectUndoable } from '../undo-log';
import { BlobDirectory } from './blob-directory';
import { checkFile } from './check';
import { Checksums } from './checksums';
import { copyFile } from './copy-file';
import { isBlob } from './blob-record';
import { FileCommit } from './commit';
import type { DataFile } from './data-file';
import { nodeFileSystem, type FileSystem } from './file-system';
import { MAX_METADATA, Status, type Metadata } from './format';
import {
  backwards,
  currentRecords,
  FileIterator,
  findUnpacked,
  forwards,
  historyOf,
  undoable,
} from './iterate';
import { encodeIndexFile } from './index-file';
import { lockFile, type FileLock } from './lock-file';
import { openDataFile, saveIndex, type OpenedFile } from './open-file';
import { checkFileOptions, type FileStorageOptions, type FileWarning } from './options';
import { packFile } from './pack';
import { PackGate } from './pack-gate';
import { PendingTransaction } from './pending';

const READING = { history: true, iterate: true, currentRecords: true, persistent: true, maintenance: true };
const WRITING = { ...READING, undo: true, pack: true, restore: true, deleteObject: true, asyncCommit: true };
const BLOBS = { blobs: true, blobPaths: true };

/** The index is saved after this many bytes of commits, or eight times its own size if that is more. */
const CHECKPOINT_BYTES = 32 << 20;
const HALF_HOUR = 30 * 60_000;

/**
 * A database in one file, `Data.fs`, as Python's ZODB keeps it: a log of transactions that only grows, an index of it in memory
 * (saved beside it), and a directory of blobs. One process at a time has it open for writing; `docs/migrating-from-python.md`
 * says how a file moves between the two languages.
 */
export class FileStorage implements Storage {
  readonly name: string;
  readonly sortKey: string;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  /** Where the torn end of the file was moved when it was opened, if there was one. */
  readonly savedTail: string | undefined;

  readonly #options: FileStorageOptions;
  readonly #system: FileSystem;
  readonly #adapter = new MvccAdapter(this);
  readonly #commitLock: CommitLock;
  readonly #fileLock: FileLock | undefined;
  readonly #blobs: BlobDirectory | undefined;
  readonly #iterators = new Set<FileIterator<unknown>>();
  #file: DataFile;
  #host: StorageHost | undefined;
  #commit: FileCommit | undefined;
  #lastTid: Tid;
  #lastOid: bigint;
  /** The newest pack of this session: before it, revisions may be gone that open snapshots need. */
  #packedTo = ZERO_TID;
  #isPacking = false;
  #isClosed = false;
  #removals = 0;
  /** How far the saved index reaches. */
  #indexedTo: number;
  /** Bytes of a transaction that was given up may still be behind the end. */
  #untidy = false;

  /** Opens or makes the file. `LockError` when another program has it open for writing, `FormatError` when it is none. */
  constructor(file: string, options: FileStorageOptions = {}) {
    checkFileOptions(file, options);
    this.name = file;
    this.sortKey = `file:${path.resolve(file)}`;
    this.#options = options;
    this.#system = options.fileSystem ?? nodeFileSystem;
    const readOnly = options.readOnly ?? false;
    this.#fileLock = readOnly ? undefined : this.#lock(file);
    try {
      const opened = this.#open(readOnly);
      this.#file = opened.file;
      this.#lastTid = opened.lastTid;
      this.#indexedTo = opened.indexedTo;
      this.savedTail = opened.savedTail;
      this.readOnly = readOnly || opened.python2;
      this.#lastOid = maxBigInt(opened.file.index.maxOid(), 0n);
      this.#blobs = this.#openBlobs();
      this.supports = supportsManifest({
        ...(this.readOnly ? READING : WRITING),
        ...(this.#blobs === undefined ? {} : BLOBS),
      });
      this.#commitLock = new CommitLock(file);
      if (!this.readOnly) this.#tidyUp(opened);
      this.#openChecksums(false);
    } catch (error) {
      this.#fileLock?.release();
      throw error;
    }
  }

  registerDB(host: StorageHost): void {
    this.#host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    this.#checkOpen();
    return this.#adapter.newInstance(options);
  }

  lastTransaction(): Tid {
    this.#checkOpen();
    return this.#lastTid;
  }

  load(oid: Oid): LoadedRecord {
    this.#checkOpen();
    return this.#file.load(oid);
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#checkOpen();
    if (tid > this.#lastTid) return this.#file.load(oid);
    const found = this.#file.loadBefore(oid, tid);
    if (found === undefined && tid <= this.#packedTo && this.#packedTo !== ZERO_TID) {
      throw new ReadConflictError(
        'The revision that this snapshot needs was packed away. Run the transaction again.',
        {
          oid,
        },
      );
    }
    return found;
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#checkOpen();
    return this.#file.loadSerial(oid, tid);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.#checkOpen();
    return historyOf(this.#file, oid, size);
  }

  objectCount(): number {
    this.#checkOpen();
    return this.#file.index.size;
  }

  /** Bytes of the file. */
  size(): number {
    this.#checkOpen();
    return this.#file.size;
  }

  newOid(): Oid {
    this.#checkWritable();
    return oidFromBigInt(++this.#lastOid);
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkWritable();
    const metadata = metadataOf(txn);
    this.#commitLock.acquire(txn);
    this.#begin(txn, metadata, tid, status);
  }

  async tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void> {
    this.#checkWritable();
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
    const position = findUnpacked(this.#file, tid);
    if (position === 0) {
      throw new UndoError(`Transaction ${formatTid(tid)} is unknown or was packed; it can't be undone.`);
    }
    return commit.undo(position);
  }

  undoLog(first = 0, last = -20, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[] {
    this.#checkOpen();
    return selectUndoable(undoable(this.#file), first, last, filter);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    const { pending } = this.#changing(txn);
    if (pending.voted) return pending.resolved;
    const { fd } = this.#file;
    try {
      if (this.#untidy) this.#system.truncate(fd, this.#file.size);
      this.#untidy = true;
      pending.vote();
      // What follows the mark must not reach the disk after it.
      if (this.#options.durability !== 'normal') this.#system.sync(fd);
    } catch (error) {
      this.#discardTail();
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
      pending.markComplete();
      this.#system.sync(this.#file.fd);
    } catch (error) {
      this.#fail(error);
    }
    this.#untidy = false;
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

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#commitLock.holder !== txn) {
      this.#commitLock.release(txn);
      return;
    }
    // An asynchronous begin has the lock a moment before it begins.
    const pending = this.#commit?.pending;
    try {
      if (pending?.inFile) this.#discardTail();
      for (const step of pending?.undoOnAbort ?? []) step();
    } finally {
      this.#end(txn);
    }
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.#checkOpen();
    return this.#iterator(forwards(this.#file, this.#file.size, start, stop));
  }

  /** As {@link iterate}, newest first: transactions with `start >= tid >= stop`. */
  iterateBackwards(start: Tid = MAX_TID, stop: Tid = ZERO_TID): IterableIterator<TransactionRecord> {
    this.#checkOpen();
    return this.#iterator(backwards(this.#file, this.#file.size, start, stop));
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    this.#checkOpen();
    return this.#iterator(currentRecords(this.#file, this.#file.size, from));
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    return this.#blobDirectory().open(oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string {
    return this.#blobDirectory().require(oid, serial);
  }

  blobDirectory(): string {
    return this.#blobDirectory().temporary();
  }

  /** Reads the whole file: structure, pointers, checksums where there are any, references, blobs. */
  check(): Steps<CheckReport> {
    this.#checkOpen();
    return checkFile({
      file: this.#file,
      blobs: this.#blobs,
      references: (record) => this.#references(record),
    });
  }

  /** Copies the file to `path`, and its blobs to `path` with `.blobs` added. For increments see `docs/backup.md`. */
  backup(path: string): Steps<BackupReport> {
    this.#checkOpen();
    return copyFile(this.#file, this.#blobs, path);
  }

  /** The bytes of an `.index` file for the file as it is now. */
  encodedIndex(): Buffer {
    this.#checkOpen();
    return encodeIndexFile(this.#file.index, this.#file.size);
  }

  *pack(options: PackOptions = {}): Steps<PackReport> {
    this.#checkWritable();
    if (this.#isPacking) throw new StorageError('A pack of this storage is under way.', { code: 'PACKING' });
    this.#isPacking = true;
    try {
      return yield* packFile({
        file: this.#file,
        path: this.name,
        system: this.#system,
        options: { gc: this.#options.packGc ?? true, ...options },
        keepOld: this.#options.packKeepOld ?? true,
        references: (record) => this.#references(record),
        blobs: this.#blobs,
        verify: (position, walker) => this.#file.checksums?.verify(this.name, position, walker.bytes()),
        gate: new PackGate(this.#commitLock, this.name),
        replace: (file, packedTo) => this.#replaceFile(file, packedTo),
        failed: (cause) => this.#fail(cause),
        cacheBytes: this.#options.cacheBytes,
      });
    } finally {
      this.#isPacking = false;
    }
  }

  /** See `StorageInstance.removals`. */
  removals(): number {
    return this.#removals;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#adapter.close();
    const holder = this.#commitLock.holder;
    try {
      if (holder !== undefined) this.tpcAbort(holder);
      if (!this.readOnly && this.#file.size > this.#indexedTo) this.#saveIndex();
    } finally {
      this.#release();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(readOnly: boolean): OpenedFile {
    const { create = true, truncate = false, stop, cacheBytes } = this.#options;
    return openDataFile({
      path: this.name,
      system: this.#system,
      readOnly,
      create,
      truncate,
      stop,
      cacheBytes,
      warn: (warning) => this.#warn(warning),
    });
  }

  #lock(file: string): FileLock {
    const lock = lockFile(file);
    if (lock.by === 'file') {
      this.#warn({
        code: 'LOCK_WEAK',
        path: file,
        message: `There is no "flock" program here: nothing keeps a Python program from writing ${file} too.`,
      });
    }
    return lock;
  }

  #openBlobs(): BlobDirectory | undefined {
    const { blobDir, blobLayout, truncate } = this.#options;
    if (blobDir === false) return undefined;
    const blobs = new BlobDirectory(blobDir ?? `${this.name}.blobs`, blobLayout, this.readOnly);
    if (truncate) for (const { oid, tid } of blobs.list()) blobs.remove(oid, tid);
    return blobs;
  }

  /** What crashes left behind, and an index for next time. */
  #tidyUp(opened: OpenedFile): void {
    this.#system.remove(`${this.name}.pack`);
    this.#system.remove(`${this.name}.index_tmp`);
    this.#blobs?.sweep((oid, tid) => this.#file.positionOf(oid, tid) !== 0);
    if (opened.indexedTo === 0 && opened.scannedTransactions > 0) this.#saveIndex();
    const ahead = Number(this.#lastTid - newTid(ZERO_TID)) / (0x1_0000_0000 / 60_000);
    if (ahead > HALF_HOUR) {
      this.#warn({
        code: 'CLOCK',
        path: this.name,
        message: `The last transaction of ${this.name} lies in the future. Is the clock right? New transactions follow it.`,
      });
    }
  }

  #begin(
    txn: TransactionMetaData,
    metadata: Metadata,
    tid: Tid | undefined,
    status: TransactionStatus | undefined,
  ): void {
    try {
      this.#checkWritable();
      if (tid !== undefined && tid <= this.#lastTid) {
        throw new InvalidArgumentError(
          `Transaction ${formatTid(tid)} can't follow ${formatTid(this.#lastTid)} in ${this.name}: tids ascend.`,
        );
      }
      const pending = new PendingTransaction(
        {
          system: this.#system,
          fd: this.#file.fd,
          base: this.#file.size,
          withChecksums: this.#file.checksums !== undefined,
        },
        txn,
        tid ?? newTid(this.#lastTid),
        status === 'p' ? Status.PACKED : Status.COMPLETE,
        metadata,
      );
      this.#commit = new FileCommit(pending, {
        file: this.#file,
        host: this.#host,
        quota: this.#options.quota ?? Infinity,
        blobs: () => this.#blobDirectory(),
        isBlob: this.#blobs === undefined ? () => false : isBlob,
      });
    } catch (error) {
      this.#commitLock.release(txn);
      throw error;
    }
  }

  /** Lets everybody see what was committed. */
  #show(commit: FileCommit, txn: TransactionMetaData): void {
    const { pending } = commit;
    const file = this.#file;
    for (const [oid, { position, back }] of pending.records) {
      file.index.set(oid, position);
      if (back === 0) this.#removals++;
    }
    file.cache.grow(pending.end);
    this.#addChecksums(pending);
    commit.finished();
    this.#adapter.committed(pending.tid, [...pending.records.keys()], txn);
    this.#lastTid = pending.tid;
    this.#end(txn);
    if (file.size - this.#indexedTo > Math.max(CHECKPOINT_BYTES, file.index.size * 64)) this.#saveIndex();
  }

  #end(txn: TransactionMetaData): void {
    this.#commit = undefined;
    this.#commitLock.release(txn);
  }

  /** Takes away what a transaction that is given up left behind the end. If that fails, the next one does it. */
  #discardTail(): void {
    try {
      this.#system.truncate(this.#file.fd, this.#file.size);
      this.#untidy = false;
    } catch {
      this.#untidy = true;
    }
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
    this.#isClosed = true;
    for (const iterator of this.#iterators) iterator.return();
    this.#commit = undefined;
    this.#commitLock.close(this.#closedError());
    this.#file.checksums?.close();
    this.#file.release();
    this.#fileLock?.release();
  }

  #replaceFile(file: DataFile, packedTo: Tid): void {
    this.#file.checksums?.close();
    this.#file.release();
    this.#file = file;
    this.#removals++;
    if (packedTo > this.#packedTo) this.#packedTo = packedTo;
    this.#untidy = false;
    this.#openChecksums(true);
    this.#saveIndex();
  }

  /** The index can be made again at any time: that it can't be saved is no reason to stop. */
  #saveIndex(): void {
    const { index, size } = this.#file;
    try {
      saveIndex(this.#system, this.name, index, size);
      this.#indexedTo = size;
    } catch (error) {
      this.#warn({
        code: 'INDEX_NOT_SAVED',
        path: `${this.name}.index`,
        message: `The index of ${this.name} could not be saved: ${String(error)}. Opening it will take longer.`,
      });
    }
  }

  /** Side files of a format that Python doesn't know: only where they are wanted, or there already. */
  #openChecksums(anew: boolean): void {
    const wanted = this.#options.checksums ?? this.#system.size(`${this.name}.crc`) >= 0;
    if (!wanted) return;
    const checksums = Checksums.open(this.#file, this.readOnly, anew);
    this.#file.checksums = checksums;
  }

  #addChecksums(pending: PendingTransaction): void {
    const { checksums } = this.#file;
    if (checksums === undefined) return;
    for (const [position, sum] of pending.checksums) checksums.add(position, sum);
    try {
      checksums.save();
    } catch (error) {
      // They are made again when the file is opened.
      this.#warn({
        code: 'CHECKSUMS_NOT_SAVED',
        path: checksums.path,
        message: `Checksums of ${this.name} were not saved: ${String(error)}.`,
      });
    }
  }

  #iterator<Item>(inner: Iterator<Item>): FileIterator<Item> {
    const iterator: FileIterator<Item> = new FileIterator(this.#file, inner, () =>
      this.#iterators.delete(iterator),
    );
    this.#iterators.add(iterator);
    return iterator;
  }

  #changing(txn: TransactionMetaData): FileCommit {
    this.#checkWritable();
    this.#commitLock.require(txn);
    return this.#commit!;
  }

  #references(record: Uint8Array): readonly Oid[] {
    return this.#host === undefined ? references(record) : this.#host.references(record);
  }

  #seen(oid: Oid): void {
    if (oid > this.#lastOid) this.#lastOid = BigInt(oid);
    else if (oid < 0) this.#lastOid = maxBigInt(this.#lastOid, oidToBigInt(oid));
  }

  #blobDirectory(): BlobDirectory {
    this.#checkOpen();
    if (this.#blobs === undefined) {
      throw new UnsupportedError(`${this.name} was opened without blobs ("blobDir: false").`);
    }
    return this.#blobs;
  }

  #warn(warning: FileWarning): void {
    const { onWarning } = this.#options;
    if (onWarning !== undefined) onWarning(warning);
    else process.emitWarning(warning.message, { type: 'ZodbWarning', code: warning.code });
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

function metadataOf(txn: TransactionMetaData): Metadata {
  const metadata = { user: txn.userBytes, description: txn.descriptionBytes, extension: txn.extensionBytes };
  for (const [name, bytes] of Object.entries(metadata)) {
    if (bytes.length > MAX_METADATA) {
      throw new InvalidArgumentError(
        `The ${name} of a transaction takes ${bytes.length} bytes; a Data.fs has room for ${MAX_METADATA}.`,
      );
    }
  }
  return metadata;
}

function maxBigInt(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
