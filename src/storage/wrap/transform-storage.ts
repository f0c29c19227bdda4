import type { Oid, Tid } from '../../ids';
import type {
  BackupReport,
  BlobReader,
  BoundedRecord,
  CheckReport,
  Conflict,
  CurrentRecord,
  DataRecord,
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
} from '../interfaces';
import type { Steps } from '../steps';
import { references } from '../../record/index';
import type { RecordTransform } from './transform';
import { TransformCommitter, TransformContext } from './transform-committer';
import { decodeBounded, decodeRecord, TransformInstance } from './transform-instance';

/**
 * A storage whose records are kept in another form in the storage below it. Whatever that one can do, this one can; closing
 * it closes that one. The storage below must be used through its wrapper only.
 */
export class TransformStorage extends TransformCommitter<Storage> implements Storage {
  readonly name: string;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  readonly sortKey: string;

  readonly undoLog?: (
    first?: number,
    last?: number,
    filter?: (entry: TransactionInfo) => boolean,
  ) => TransactionInfo[];
  readonly history?: (oid: Oid, size?: number) => HistoryEntry[];
  readonly pack?: (options?: PackOptions) => Steps<PackReport>;
  readonly iterate?: (start?: Tid, stop?: Tid) => IterableIterator<TransactionRecord>;
  readonly currentRecords?: (from?: Oid) => IterableIterator<CurrentRecord>;
  readonly openBlob?: (oid: Oid, serial: Tid) => BlobReader;
  readonly blobPath?: (oid: Oid, serial: Tid) => string;
  readonly blobDirectory?: () => string;
  readonly check?: () => Steps<CheckReport>;
  readonly backup?: (path: string) => Steps<BackupReport>;
  readonly vacuum?: () => Steps<void>;

  constructor(base: Storage, transform: RecordTransform) {
    super(base, new TransformContext(base, transform));
    this.context.outer = this;
    this.name = `${transform.name}(${base.name})`;
    this.sortKey = base.sortKey;
    this.readOnly = base.readOnly;
    const ownUndo = transform.boundToTid && base.supports.undo;
    this.supports = Object.freeze({
      ...base.supports,
      blobPaths: base.supports.blobPaths && transform.blobs === undefined,
      undo: ownUndo ? base.supports.iterate && base.supports.deleteObject : base.supports.undo,
    });
    if (base.undoLog) this.undoLog = (first, last, filter) => base.undoLog!(first, last, filter);
    if (base.history) {
      this.history = (oid, size) => base.history!(oid, size).map((entry) => this.#decodedSize(oid, entry));
    }
    if (base.pack) this.pack = (options) => base.pack!(options);
    if (base.check) this.check = () => base.check!();
    if (base.backup) this.backup = (path) => base.backup!(path);
    if (base.vacuum) this.vacuum = () => base.vacuum!();
    if (base.iterate)
      this.iterate = (start, stop) => decodeTransactions(this.context, base.iterate!(start, stop));
    if (base.currentRecords)
      this.currentRecords = (from) => decodeCurrent(this.context, base.currentRecords!(from));
    const { blobs } = transform;
    if (base.openBlob) {
      this.openBlob = blobs
        ? (oid, serial) => blobs.decode(base.openBlob!(oid, serial), oid, serial)
        : (oid, serial) => base.openBlob!(oid, serial);
    }
    if (base.blobPath && blobs === undefined) this.blobPath = (oid, serial) => base.blobPath!(oid, serial);
    if (base.blobDirectory) this.blobDirectory = () => base.blobDirectory!();
    base.registerDB(new DecodingHost(this.context));
  }

  registerDB(host: StorageHost): void {
    this.context.host = host;
  }

  newInstance(options?: InstanceOptions): StorageInstance {
    return new TransformInstance(this.base.newInstance(options), this.context, this.supports);
  }

  lastTransaction(): Tid {
    return this.base.lastTransaction();
  }

  load(oid: Oid): LoadedRecord {
    return decodeRecord(this.context, oid, this.base.load(oid));
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    const record = this.base.loadBefore(oid, tid);
    return record && decodeBounded(this.context, oid, record);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    return decodeRecord(this.context, oid, this.base.loadSerial(oid, tid));
  }

  objectCount(): number {
    return this.base.objectCount();
  }

  size(): number {
    return this.base.size();
  }

  /** The size of the record itself, not of what is stored for it. */
  #decodedSize(oid: Oid, entry: HistoryEntry): HistoryEntry {
    if (entry.size === 0) return entry;
    return { tid: entry.tid, meta: entry.meta, size: this.loadSerial(oid, entry.tid).data.length };
  }

  close(): void {
    this.base.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The host as the storage below sees it: it hands out encoded records, and gets them back encoded. */
class DecodingHost implements StorageHost {
  readonly #context: TransformContext;

  constructor(context: TransformContext) {
    this.#context = context;
  }

  invalidate(tid: Tid, oids: readonly Oid[]): void {
    this.#context.host?.invalidate(tid, oids);
  }

  invalidateAll(): void {
    this.#context.host?.invalidateAll();
  }

  resolveConflict(conflict: Conflict): Uint8Array | undefined {
    const { transform, host } = this.#context;
    const { oid, committedSerial, oldSerial } = conflict;
    const merged = host?.resolveConflict({
      oid,
      committedSerial,
      oldSerial,
      committed: transform.decode(conflict.committed, oid, committedSerial),
      old: transform.decode(conflict.old, oid, oldSerial),
      newData: transform.decode(conflict.newData, oid, undefined),
    });
    if (merged === undefined) return undefined;
    return transform.encode(merged, oid, transform.tidOf?.(conflict.newData) ?? (0n as Tid));
  }

  references(record: Uint8Array): readonly Oid[] {
    const { transform, host } = this.#context;
    const decoded = transform.decode(record, undefined, undefined);
    return host === undefined ? references(decoded) : host.references(decoded);
  }
}

function* decodeCurrent(
  context: TransformContext,
  records: Iterable<CurrentRecord>,
): Generator<CurrentRecord> {
  for (const { oid, serial, data } of records) {
    yield { oid, serial, data: context.transform.decode(data, oid, serial) };
  }
}

function* decodeTransactions(
  context: TransformContext,
  transactions: Iterable<TransactionRecord>,
): Generator<TransactionRecord> {
  for (const transaction of transactions) yield new DecodedTransaction(context, transaction);
}

class DecodedTransaction implements TransactionRecord {
  readonly #context: TransformContext;
  readonly #inner: TransactionRecord;

  constructor(context: TransformContext, inner: TransactionRecord) {
    this.#context = context;
    this.#inner = inner;
  }

  get tid(): Tid {
    return this.#inner.tid;
  }

  get meta(): TransactionRecord['meta'] {
    return this.#inner.meta;
  }

  get status(): TransactionRecord['status'] {
    return this.#inner.status;
  }

  *records(): Generator<DataRecord> {
    const { transform } = this.#context;
    for (const { oid, tid, data, dataTid } of this.#inner.records()) {
      yield { oid, tid, data: data === null ? null : transform.decode(data, oid, tid), dataTid };
    }
  }
}
