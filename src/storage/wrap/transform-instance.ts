import { ClosedError } from '../../errors';
import type { Oid, Tid } from '../../ids';
import type {
  BlobReader,
  BoundedRecord,
  LoadedRecord,
  StorageInstance,
  StorageSupports,
  TransactionStatus,
} from '../interfaces';
import { TransactionMetaData } from '../transaction-meta';
import { TransformCommitter, type TransformContext } from './transform-committer';

/** Holds no lock. */
const NO_TRANSACTION = new TransactionMetaData();

/** A connection's view of the storage below, decoded. */
export class TransformInstance extends TransformCommitter<StorageInstance> implements StorageInstance {
  #isReleased = false;
  #txn: TransactionMetaData | undefined;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  readonly sync?: () => void;
  readonly prefetch?: (oids: readonly Oid[]) => void;
  readonly removals?: () => number;
  readonly openBlob?: (oid: Oid, serial: Tid) => BlobReader;
  readonly blobPath?: (oid: Oid, serial: Tid) => string;
  readonly blobDirectory?: () => string;

  constructor(base: StorageInstance, context: TransformContext, supports: StorageSupports) {
    super(base, context);
    this.supports = supports;
    this.readOnly = base.readOnly;
    const { blobs } = context.transform;
    if (base.sync) this.sync = () => base.sync!();
    if (base.prefetch) this.prefetch = (oids) => base.prefetch!(oids);
    if (base.removals) this.removals = () => base.removals!();
    if (base.openBlob) {
      this.openBlob = blobs
        ? (oid, serial) => blobs.decode(base.openBlob!(oid, serial), oid, serial)
        : (oid, serial) => base.openBlob!(oid, serial);
    }
    if (base.blobPath && blobs === undefined) this.blobPath = (oid, serial) => base.blobPath!(oid, serial);
    if (base.blobDirectory) this.blobDirectory = () => base.blobDirectory!();
  }

  get snapshot(): Tid {
    return this.base.snapshot;
  }

  poll(): readonly Oid[] | 'all' {
    const changed = this.base.poll();
    if (changed === 'all' || this.undone.length === 0) return changed;
    const own = this.undone;
    this.undone = [];
    return [...changed, ...own];
  }

  load(oid: Oid): LoadedRecord {
    return decodeRecord(this.context, oid, this.base.load(oid));
  }

  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[] {
    return this.base
      .loadMany(oids)
      .map((record, place) => record && decodeRecord(this.context, oids[place]!, record));
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    const record = this.base.loadBefore(oid, tid);
    return record && decodeBounded(this.context, oid, record);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    return decodeRecord(this.context, oid, this.base.loadSerial(oid, tid));
  }

  missing(oids: readonly Oid[]): readonly Oid[] {
    return this.base.missing(oids);
  }

  suspend(): void {
    this.base.suspend();
  }

  release(): void {
    this.#isReleased = true;
    this.context.lock.release(this.#txn ?? NO_TRANSACTION);
    this.base.release();
  }

  override tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    super.tpcBegin(txn, tid, status);
    this.#txn = txn;
  }

  protected override checkOpen(): void {
    if (this.#isReleased)
      throw new ClosedError('This storage instance was released; ask the storage for a new one.');
    super.checkOpen();
  }
}

/** A record whose serial is found out when it is asked for: for some storages that costs. */
class DecodedRecord implements LoadedRecord {
  readonly data: Uint8Array;
  readonly #inner: LoadedRecord;

  constructor(data: Uint8Array, inner: LoadedRecord) {
    this.data = data;
    this.#inner = inner;
  }

  get serial(): Tid {
    return this.#inner.serial;
  }
}

export function decodeRecord({ transform }: TransformContext, oid: Oid, record: LoadedRecord): LoadedRecord {
  const serial = transform.boundToTid ? record.serial : undefined;
  return new DecodedRecord(transform.decode(record.data, oid, serial), record);
}

export function decodeBounded(
  { transform }: TransformContext,
  oid: Oid,
  record: BoundedRecord,
): BoundedRecord {
  const { serial, end } = record;
  return { data: transform.decode(record.data, oid, serial), serial, end };
}
