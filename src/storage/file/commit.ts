import { ConflictError, POSKeyError, ReadConflictError, UndoError } from '../../errors';
import { formatOid, formatTid, ZERO_TID, type Oid, type Tid } from '../../ids';
import type { BlobSource, StorageHost } from '../interfaces';
import { mergeConflict } from '../merge-conflict';
import { undoneData } from '../undo-rule';
import type { BlobDirectory } from './blob-directory';
import type { DataFile } from './data-file';
import { QuotaError, writeFailure } from './errors';
import { DataHeader, DATA_HEADER } from './format';
import type { PendingTransaction } from './pending';

/** What a commit works with. */
export interface CommitContext {
  readonly file: DataFile;
  readonly host: StorageHost | undefined;
  readonly quota: number;
  readonly blobs: () => BlobDirectory;
  readonly isBlob: (record: Uint8Array) => boolean;
}

/** The changes of the transaction under way, checked against what is committed. */
export class FileCommit {
  readonly pending: PendingTransaction;
  readonly #context: CommitContext;
  /** Blobs put in place so far. */
  readonly #blobOids = new Set<Oid>();
  readonly #header = new DataHeader();

  constructor(pending: PendingTransaction, context: CommitContext) {
    this.pending = pending;
    this.#context = context;
  }

  store(oid: Oid, serial: Tid, data: Uint8Array): void {
    const { file } = this.#context;
    const previous = file.index.get(oid);
    this.#append(oid, previous, this.#merged(oid, serial, data, previous, false));
  }

  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource): void {
    const previous = this.#context.file.index.get(oid);
    this.#merged(oid, serial, data, previous, true);
    this.#append(oid, previous, data);
    this.#installBlob(oid, source);
  }

  deleteObject(oid: Oid, serial: Tid): void {
    const previous = this.#requireCurrent(oid);
    const committed = this.#serialAt(previous);
    if (committed !== serial) throw new ConflictError(undefined, { oid, serials: [committed, serial] });
    this.#append(oid, previous, undefined);
  }

  checkCurrent(oid: Oid, serial: Tid): void {
    const committed = this.#serialAt(this.#requireCurrent(oid));
    if (committed !== serial) throw new ReadConflictError(undefined, { oid, serials: [committed, serial] });
  }

  /** @param shareable whether a back pointer to the earlier revision may be written */
  restore(oid: Oid, data: Uint8Array | null, dataTid: Tid | undefined, shareable: boolean): void {
    const previous = this.#context.file.index.get(oid);
    if (data === null) {
      this.#append(oid, previous, undefined);
      return;
    }
    const back = dataTid === undefined ? 0 : this.#revisionWith(oid, dataTid, data);
    if (back !== 0) this.#repeatBlob(oid, back);
    if (back !== 0 && shareable) this.#append(oid, previous, undefined, back);
    else this.#append(oid, previous, data);
  }

  restoreBlob(oid: Oid, data: Uint8Array, source: BlobSource): void {
    this.#append(oid, this.#context.file.index.get(oid), data);
    this.#installBlob(oid, source);
  }

  /** Takes back one transaction; `position` is that of its header. */
  undo(position: number): readonly Oid[] {
    const { file } = this.#context;
    const transaction = file.transaction(position);
    const changes = new Map<Oid, (() => void) | undefined>();
    let at = position + transaction.headerLength;
    while (at < transaction.end) {
      const record = file.header(at, undefined, this.#header);
      const { oid, length } = record;
      // Of two records of an object in one transaction the later one decides.
      changes.set(oid, this.#undoneRecord(record));
      at += length;
    }
    const failed = [...changes].filter(([, change]) => change === undefined).map(([oid]) => oid);
    if (failed.length > 0) {
      throw new UndoError(
        `Transaction ${formatTid(transaction.tid)} can't be undone: later transactions changed ${failed.length} of its ` +
          'objects, and the changes could not be merged.',
        failed,
      );
    }
    for (const change of changes.values()) change!();
    return [...changes.keys()];
  }

  #undoneRecord(record: DataHeader): (() => void) | undefined {
    const { file, host } = this.#context;
    const { oid, tid, previous, position } = record;
    const undone = file.resolve(oid, position);
    const former = previous === 0 ? undefined : file.resolve(oid, previous);
    const newest = file.index.get(oid);
    const current = this.#currentData(oid, newest);
    const isBlob = this.#isBlob(undone?.data) || this.#isBlob(current.data);
    const data = undoneData(
      {
        oid,
        unchanged:
          newest === position ? !this.pending.records.has(oid) : current.position === (undone?.position ?? 0),
        isBlob,
        currentSerial: current.serial,
        current: current.data ?? null,
        undoneSerial: tid,
        undone: undone?.data ?? null,
        previous: former?.data ?? null,
      },
      host,
    );
    if (data === undefined) return undefined;
    if (data === null) return () => this.#append(oid, newest, undefined);
    if (data !== former?.data) return () => this.#append(oid, newest, data, 0, true);
    return () => {
      this.#append(oid, newest, undefined, previous);
      this.#repeatBlob(oid, previous);
    };
  }

  /** What the object is now, changes of this transaction included. */
  #currentData(oid: Oid, newest: number): { position: number; serial: Tid; data: Uint8Array | undefined } {
    const { file } = this.#context;
    const own = this.pending.records.get(oid);
    if (own?.data !== undefined) return { position: own.position, serial: this.pending.tid, data: own.data };
    const position = own?.back ?? newest;
    const resolved = position === 0 ? undefined : file.resolve(oid, position);
    return {
      position: resolved?.position ?? 0,
      serial: own === undefined ? this.#serialAt(newest) : this.pending.tid,
      data: resolved?.data,
    };
  }

  /** The data to store: as given, or merged with what others committed meanwhile. */
  #merged(oid: Oid, serial: Tid, data: Uint8Array, previous: number, isBlob: boolean): Uint8Array {
    if (previous === 0) return data;
    const { file, host } = this.#context;
    const committedSerial = this.#serialAt(previous);
    if (committedSerial === serial) return data;
    const committed = file.resolve(oid, previous)?.data;
    // A new object may take the place of a deleted one.
    if (committed === undefined && serial === ZERO_TID) return data;
    if (committed === undefined || isBlob) {
      throw new ConflictError(undefined, { oid, serials: [committedSerial, serial] });
    }
    const merged = mergeConflict(host, {
      oid,
      committedSerial,
      oldSerial: serial,
      committed,
      newData: data,
      loadOld: () => file.loadSerial(oid, serial),
    });
    this.pending.resolved.push(oid);
    return merged;
  }

  #append(oid: Oid, previous: number, data: Uint8Array | undefined, back = 0, keep = false): void {
    const { quota, file } = this.#context;
    if (this.pending.end + DATA_HEADER + (data?.length ?? 8) + 8 > quota)
      throw new QuotaError(file.path, quota);
    this.pending.append(oid, previous, data, back, keep);
  }

  #requireCurrent(oid: Oid): number {
    const { file } = this.#context;
    const position = file.index.get(oid);
    if (position === 0 || file.dataPosition(oid, position) === 0) throw new POSKeyError(oid);
    return position;
  }

  #serialAt(position: number): Tid {
    return position === 0 ? ZERO_TID : this.#context.file.header(position, undefined, this.#header).tid;
  }

  /** Position of the revision of `tid` when it has these data, else 0. */
  #revisionWith(oid: Oid, tid: Tid, data: Uint8Array): number {
    const { file } = this.#context;
    const position = file.positionOf(oid, tid);
    const found = position === 0 ? undefined : file.resolve(oid, position);
    return found !== undefined && Buffer.compare(found.data, data) === 0 ? position : 0;
  }

  #isBlob(data: Uint8Array | undefined): boolean {
    return data !== undefined && this.#context.isBlob(data);
  }

  #installBlob(oid: Oid, source: BlobSource): void {
    this.#writingBlob(oid, (blobs) => blobs.install(oid, this.pending.tid, source));
  }

  /** The blob of the record at `position` becomes that of this transaction, too. */
  #repeatBlob(oid: Oid, position: number): void {
    const { file } = this.#context;
    const resolved = file.resolve(oid, position);
    if (!this.#isBlob(resolved?.data)) return;
    this.#writingBlob(oid, (blobs) => {
      const direct = this.#serialAt(position);
      const source = blobs.has(oid, direct) ? direct : this.#serialAt(resolved!.position);
      blobs.repeat(oid, source, this.pending.tid);
    });
  }

  #writingBlob(oid: Oid, write: (blobs: BlobDirectory) => void): void {
    try {
      write(this.#beforeBlob(oid));
    } catch (error) {
      throw writeFailure(
        error,
        `The blob ${formatOid(oid)} could not be written to ${this.#context.blobs().path}. Abort the transaction; nothing was changed.`,
      );
    }
  }

  #beforeBlob(oid: Oid): BlobDirectory {
    const blobs = this.#context.blobs();
    const { tid } = this.pending;
    blobs.temporary();
    if (this.#blobOids.size === 0) this.pending.undoOnAbort.push(() => blobs.forgetCommit(tid));
    this.#blobOids.add(oid);
    blobs.noteCommit(tid, this.#blobOids);
    this.pending.undoOnAbort.unshift(() => blobs.remove(oid, tid));
    return blobs;
  }

  /** The transaction is committed: its blobs stay. */
  finished(): void {
    this.pending.undoOnAbort.length = 0;
    if (this.#blobOids.size === 0) return;
    try {
      this.#context.blobs().forgetCommit(this.pending.tid);
    } catch {
      // The list of a commit that is done harms nobody; it goes when the file is opened again.
    }
  }
}
