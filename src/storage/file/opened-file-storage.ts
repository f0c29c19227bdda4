import * as path from 'node:path';
import { ClosedError, ReadConflictError, ReadOnlyError, UnsupportedError } from '../../errors';
import { MAX_TID, newTid, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../../ids';
import { references } from '../../record/index';
import { supportsManifest } from '../capabilities';
import type {
  BackupReport,
  BlobReader,
  BoundedRecord,
  CheckReport,
  CurrentRecord,
  HistoryEntry,
  LoadedRecord,
  StorageHost,
  StorageSupports,
  TransactionRecord,
} from '../interfaces';
import { checkFilePlace } from '../file-place';
import type { Steps } from '../steps';
import { BlobDirectory } from './blob-directory';
import { checkFile } from './check';
import { Checksums } from './checksums';
import { copyFile } from './copy-file';
import type { DataFile } from './data-file';
import { nodeFileSystem, type FileSystem } from './file-system';
import { Follower, type ForeignTransaction } from './follow';
import { backwards, currentRecords, FileIterator, forwards, historyOf } from './iterate';
import { encodeIndexFile } from './index-file';
import { lockFile, type FileLock } from './lock-file';
import { openDataFile, saveIndex, type OpenedFile } from './open-file';
import { checkFileOptions, type FileStorageOptions, type FileWarning } from './options';
import { PendingTransaction } from './pending';

const READING = { history: true, iterate: true, currentRecords: true, persistent: true, maintenance: true };
const WRITING = { ...READING, undo: true, pack: true, restore: true, deleteObject: true, asyncCommit: true };
const BLOBS = { blobs: true, blobPaths: true };

const HALF_HOUR = 30 * 60_000;
/** The index is saved after this many bytes of commits, or eight times its own size if that is more. */
const CHECKPOINT_BYTES = 32 << 20;

/** A `Data.fs` that is open: everything that changes nothing, and what reading and writing share. */
export abstract class OpenedFileStorage {
  readonly name: string;
  readonly sortKey: string;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  /** Where the torn end of the file was moved when it was opened, if there was one. */
  readonly savedTail: string | undefined;

  protected readonly options: FileStorageOptions;
  protected readonly system: FileSystem;
  protected readonly fileLock: FileLock | undefined;
  protected readonly blobs: BlobDirectory | undefined;
  protected readonly iterators = new Set<FileIterator<unknown>>();
  protected file: DataFile;
  protected host: StorageHost | undefined;
  protected lastTid: Tid;
  /** The newest pack of this session: before it, revisions may be gone that open snapshots need. */
  protected packedTo = ZERO_TID;
  protected isClosed = false;
  #follower: Follower | undefined;
  /** How far the saved index reaches. */
  protected indexedTo: number;
  /** Bytes of a transaction that was given up may still be behind the end. */
  protected untidy = false;

  constructor(file: string, options: FileStorageOptions) {
    checkFileOptions(file, options);
    this.name = file;
    this.sortKey = `file:${path.resolve(file)}`;
    this.options = options;
    this.system = options.fileSystem ?? nodeFileSystem;
    const readOnly = options.readOnly ?? false;
    checkFilePlace(file, readOnly || options.create === false);
    this.fileLock = readOnly ? undefined : this.#lock(file);
    try {
      const opened = this.#open(readOnly);
      this.file = opened.file;
      this.lastTid = opened.lastTid;
      this.indexedTo = opened.indexedTo;
      this.savedTail = opened.savedTail;
      this.readOnly = readOnly || opened.python2;
      this.blobs = this.#openBlobs();
      this.supports = supportsManifest({
        ...(this.readOnly ? READING : WRITING),
        ...(this.blobs === undefined ? {} : BLOBS),
      });
      if (this.readOnly && options.stop === undefined) this.#follower = new Follower(this.file);
      if (!this.readOnly) this.#tidyUp(opened);
      this.openChecksums(false);
    } catch (error) {
      this.fileLock?.release();
      throw error;
    }
  }

  /** Of a file that is open read-only this is also the moment at which commits of other programs are taken notice of. */
  lastTransaction(): Tid {
    this.checkOpen();
    if (this.#follower !== undefined) this.#follow(this.#follower);
    return this.lastTid;
  }

  load(oid: Oid): LoadedRecord {
    this.checkOpen();
    return this.file.load(oid);
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.checkOpen();
    if (tid > this.lastTid) return this.file.load(oid);
    const found = this.file.loadBefore(oid, tid);
    if (found === undefined && tid <= this.packedTo && this.packedTo !== ZERO_TID) {
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
    this.checkOpen();
    return this.file.loadSerial(oid, tid);
  }

  history(oid: Oid, size = 1): HistoryEntry[] {
    this.checkOpen();
    return historyOf(this.file, oid, size);
  }

  objectCount(): number {
    this.checkOpen();
    return this.file.index.size;
  }

  /** Bytes of the file. */
  size(): number {
    this.checkOpen();
    return this.file.size;
  }

  iterate(start: Tid = ZERO_TID, stop: Tid = MAX_TID): IterableIterator<TransactionRecord> {
    this.checkOpen();
    return this.iterator(forwards(this.file, this.file.size, start, stop));
  }

  /** As {@link iterate}, newest first: transactions with `start >= tid >= stop`. */
  iterateBackwards(start: Tid = MAX_TID, stop: Tid = ZERO_TID): IterableIterator<TransactionRecord> {
    this.checkOpen();
    return this.iterator(backwards(this.file, this.file.size, start, stop));
  }

  currentRecords(from: Oid = ROOT_OID): IterableIterator<CurrentRecord> {
    this.checkOpen();
    return this.iterator(currentRecords(this.file, this.file.size, from));
  }

  openBlob(oid: Oid, serial: Tid): BlobReader {
    return this.requireBlobs().open(oid, serial);
  }

  blobPath(oid: Oid, serial: Tid): string {
    return this.requireBlobs().require(oid, serial);
  }

  blobDirectory(): string {
    return this.requireBlobs().temporary();
  }

  /** Reads the whole file: structure, pointers, checksums where there are any, references, blobs. */
  check(): Steps<CheckReport> {
    this.checkOpen();
    return checkFile({
      file: this.file,
      blobs: this.blobs,
      references: (record) => this.references(record),
    });
  }

  /** Copies the file to `path`, and its blobs to `path` with `.blobs` added. For increments see `docs/backup.md`. */
  backup(path: string): Steps<BackupReport> {
    this.checkOpen();
    return copyFile(this.file, this.blobs, path);
  }

  /** The bytes of an `.index` file for the file as it is now. */
  encodedIndex(): Buffer {
    this.checkOpen();
    return encodeIndexFile(this.file.index, this.file.size);
  }

  protected iterator<Item>(inner: Iterator<Item>): FileIterator<Item> {
    const iterator: FileIterator<Item> = new FileIterator(this.file, inner, () =>
      this.iterators.delete(iterator),
    );
    this.iterators.add(iterator);
    return iterator;
  }

  protected references(record: Uint8Array): readonly Oid[] {
    return this.host === undefined ? references(record) : this.host.references(record);
  }

  protected requireBlobs(): BlobDirectory {
    this.checkOpen();
    if (this.blobs === undefined) {
      throw new UnsupportedError(`${this.name} was opened without blobs ("blobDir: false").`);
    }
    return this.blobs;
  }

  protected checkOpen(): void {
    if (this.isClosed) throw this.closedError();
  }

  protected checkWritable(): void {
    this.checkOpen();
    if (this.readOnly) throw new ReadOnlyError(`${this.name} is open read-only.`);
  }

  protected closedError(): ClosedError {
    return new ClosedError(`The storage ${this.name} is closed.`);
  }

  /** The index can be made again at any time: that it can't be saved is no reason to stop. */
  protected saveIndex(): void {
    const { index, size } = this.file;
    try {
      saveIndex(this.system, this.name, index, size);
      this.indexedTo = size;
    } catch (error) {
      this.warn({
        code: 'INDEX_NOT_SAVED',
        path: `${this.name}.index`,
        message: `The index of ${this.name} could not be saved: ${String(error)}. Opening it will take longer.`,
      });
    }
  }

  /** Saves the index when enough was committed since it was saved last. */
  protected checkpoint(): void {
    const { index, size } = this.file;
    if (size - this.indexedTo > Math.max(CHECKPOINT_BYTES, index.size * 64)) this.saveIndex();
  }

  /** Takes away what a transaction that is given up left behind the end. If that fails, the next one does it. */
  protected discardTail(): void {
    try {
      this.system.truncate(this.file.fd, this.file.size);
      this.untidy = false;
    } catch {
      this.untidy = true;
    }
  }

  /** Side files of a format that Python doesn't know: only where they are wanted, or there already. */
  protected openChecksums(anew: boolean): void {
    const wanted = this.options.checksums ?? this.system.size(`${this.name}.crc`) >= 0;
    if (!wanted) return;
    const checksums = Checksums.open(this.file, this.readOnly, anew);
    this.file.checksums = checksums;
  }

  protected addChecksums(pending: PendingTransaction): void {
    const { checksums } = this.file;
    if (checksums === undefined) return;
    for (const [position, sum] of pending.checksums) checksums.add(position, sum);
    try {
      checksums.save();
    } catch (error) {
      // They are made again when the file is opened.
      this.warn({
        code: 'CHECKSUMS_NOT_SAVED',
        path: checksums.path,
        message: `Checksums of ${this.name} were not saved: ${String(error)}.`,
      });
    }
  }

  protected warn(warning: FileWarning): void {
    const { onWarning } = this.options;
    if (onWarning !== undefined) onWarning(warning);
    else process.emitWarning(warning.message, { type: 'ZodbWarning', code: warning.code });
  }

  /** Others committed, in order; to be known before {@link lastTransaction} shows it. */
  protected abstract committedElsewhere(transactions: readonly ForeignTransaction[]): void;

  /** Another file has the place of the one that was open. */
  protected abstract replacedElsewhere(): void;

  #follow(follower: Follower): void {
    if (follower.isReplaced()) {
      this.#takeReplacement();
      return;
    }
    const found = follower.catchUp(this.lastTid);
    const last = found.at(-1);
    if (last === undefined) return;
    this.committedElsewhere(found);
    this.lastTid = last.tid;
  }

  #takeReplacement(): void {
    let opened: OpenedFile;
    try {
      opened = this.#open(true);
    } catch (error) {
      // It was taken away again. That is no reason to stop showing what there was.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    this.file.release();
    this.file = opened.file;
    this.#follower = new Follower(opened.file);
    this.openChecksums(false);
    this.lastTid = opened.lastTid;
    // It is not known up to where it was packed.
    this.packedTo = opened.lastTid;
    this.replacedElsewhere();
  }

  #open(readOnly: boolean): OpenedFile {
    const { create = true, truncate = false, stop, cacheBytes } = this.options;
    return openDataFile({
      path: this.name,
      system: this.system,
      readOnly,
      create,
      truncate,
      stop,
      cacheBytes,
      warn: (warning) => this.warn(warning),
    });
  }

  #lock(file: string): FileLock {
    const lock = lockFile(file);
    if (lock.by === 'file') {
      this.warn({
        code: 'LOCK_WEAK',
        path: file,
        message: `There is no "flock" program here: nothing keeps a Python program from writing ${file} too.`,
      });
    }
    return lock;
  }

  #openBlobs(): BlobDirectory | undefined {
    const { blobDir, blobLayout, truncate } = this.options;
    if (blobDir === false) return undefined;
    const blobs = new BlobDirectory(blobDir ?? `${this.name}.blobs`, blobLayout, this.readOnly);
    if (truncate) for (const { oid, tid } of blobs.list()) blobs.remove(oid, tid);
    return blobs;
  }

  /** What crashes left behind, and an index for next time. */
  #tidyUp(opened: OpenedFile): void {
    this.system.remove(`${this.name}.pack`);
    this.system.remove(`${this.name}.index_tmp`);
    this.blobs?.sweep((oid, tid) => this.file.positionOf(oid, tid) !== 0);
    if (opened.indexedTo === 0 && opened.scannedTransactions > 0) this.saveIndex();
    const ahead = Number(this.lastTid - newTid(ZERO_TID)) / (0x1_0000_0000 / 60_000);
    if (ahead > HALF_HOUR) {
      this.warn({
        code: 'CLOCK',
        path: this.name,
        message: `The last transaction of ${this.name} lies in the future. Is the clock right? New transactions follow it.`,
      });
    }
  }
}
