/**
 * Snapshots for storages that know revisions but no connections (File, Memory, Demo, ZEO): each
 * {@link StorageInstance} loads "before" a tid of its own, which `poll` moves.
 *
 * The storage owns the adapter and tells it of every commit, its own and foreign ones, with the complete list of oids,
 * in order of tids, and before `lastTransaction()` can show them. Then no poll can see a tid without its oids (the race
 * of ZODB issue 290). (`ZODB/src/ZODB/mvccadapter.py`.)
 */
import { ClosedError, POSKeyError, ReadOnlyHistoryError, StorageError } from '../errors';
import { MAX_TID, ZERO_TID, type Oid, type Tid } from '../ids';
import type {
  AsyncCommitCapability,
  BlobReader,
  BlobSource,
  BoundedRecord,
  CommitResult,
  InstanceOptions,
  LoadedRecord,
  Storage,
  StorageInstance,
  StorageSupports,
  TransactionStatus,
} from './interfaces';
import type { TransactionMetaData } from './transaction-meta';

const NOTHING: readonly Oid[] = Object.freeze([]);
/** More invalidations than this between two polls are not worth remembering one by one. */
const MAX_PENDING = 100_000;

/** What the adapter needs of a storage; `loadManyBefore` and `missingNow` where a batch is cheaper. */
export type PlainStorage = Storage & {
  loadManyBefore?(oids: readonly Oid[], tid: Tid): (LoadedRecord | undefined)[];
  prefetchBefore?(oids: readonly Oid[], tid: Tid): void;
  sync?(): void;
  removals?(): number;
  missingNow?(oids: readonly Oid[]): readonly Oid[];
};

/** Gives a plain storage its instances. */
export class MvccAdapter {
  readonly #storage: PlainStorage;
  readonly #instances = new Set<MvccInstance>();

  constructor(storage: PlainStorage) {
    this.#storage = storage;
  }

  newInstance(options: InstanceOptions = {}): StorageInstance {
    const instance =
      options.before === undefined
        ? new MvccInstance(this.#storage, (closed) => this.#instances.delete(closed))
        : new HistoricalInstance(this.#storage, options.before);
    if (options.before === undefined) this.#instances.add(instance);
    return instance;
  }

  /**
   * A transaction was committed. `txn` is given for one of this process, so that the instance that committed it is not
   * told of its own changes.
   */
  committed(tid: Tid, oids: readonly Oid[], txn?: TransactionMetaData): void {
    for (const instance of this.#instances) instance.committed(tid, oids, txn);
  }

  /** It is not known what changed: every instance drops what it has. */
  invalidateAll(): void {
    for (const instance of this.#instances) instance.invalidateAll();
  }

  /** Releases what is left. */
  close(): void {
    for (const instance of this.#instances) instance.release();
  }
}

class MvccInstance implements StorageInstance {
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  readonly prefetch?: (oids: readonly Oid[]) => void;
  readonly sync?: () => void;
  readonly removals?: () => number;
  readonly undo?: (tid: Tid, txn: TransactionMetaData) => readonly Oid[];
  readonly restore?: NonNullable<Storage['restore']>;
  readonly restoreBlob?: NonNullable<Storage['restoreBlob']>;
  readonly deleteObject?: (oid: Oid, serial: Tid, txn: TransactionMetaData) => void;
  readonly storeBlob?: NonNullable<Storage['storeBlob']>;
  readonly openBlob?: (oid: Oid, serial: Tid) => BlobReader;
  readonly blobPath?: (oid: Oid, serial: Tid) => string;
  readonly blobDirectory?: () => string;
  readonly tpcBeginAsync?: AsyncCommitCapability['tpcBeginAsync'];
  readonly tpcVoteAsync?: AsyncCommitCapability['tpcVoteAsync'];
  readonly tpcFinishAsync?: AsyncCommitCapability['tpcFinishAsync'];
  readonly tpcCommit?: (txn: TransactionMetaData) => CommitResult;
  readonly tpcCommitAsync?: (txn: TransactionMetaData) => Promise<CommitResult>;

  protected readonly storage: PlainStorage;
  /** Loads see what was committed before this tid; `ZERO_TID` before the first poll. */
  protected before: Tid = ZERO_TID;
  readonly #released: (instance: MvccInstance) => void;
  #isReleased = false;
  #txn: TransactionMetaData | undefined;
  /** Its commit rewrites objects behind the connection's back (undo, restore, deletion). */
  #tellOwn = false;
  #newest: Tid = ZERO_TID;
  #pending: (readonly Oid[])[] = [];
  #pendingCount = 0;
  #all = true;

  constructor(storage: PlainStorage, released: (instance: MvccInstance) => void) {
    this.storage = storage;
    this.#released = released;
    this.supports = storage.supports;
    this.readOnly = storage.readOnly;
    if (storage.prefetchBefore) this.prefetch = (oids) => storage.prefetchBefore!(oids, this.before);
    if (storage.sync) this.sync = () => storage.sync!();
    if (storage.removals) this.removals = () => storage.removals!();
    if (storage.undo) {
      this.undo = (tid, txn) => {
        this.#tellOwn = true;
        return storage.undo!(tid, txn);
      };
    }
    if (storage.restore) {
      this.restore = (oid, data, txn, dataTid) => {
        this.#tellOwn = true;
        storage.restore!(oid, data, txn, dataTid);
      };
    }
    if (storage.restoreBlob) {
      this.restoreBlob = (oid, data, source, txn) => {
        this.#tellOwn = true;
        storage.restoreBlob!(oid, data, source, txn);
      };
    }
    if (storage.deleteObject) {
      this.deleteObject = (oid, serial, txn) => {
        this.#tellOwn = true;
        storage.deleteObject!(oid, serial, txn);
      };
    }
    if (storage.storeBlob) {
      this.storeBlob = (
        oid: Oid,
        serial: Tid,
        data: Uint8Array,
        source: BlobSource,
        txn: TransactionMetaData,
      ) => storage.storeBlob!(oid, serial, data, source, txn);
    }
    if (storage.openBlob) this.openBlob = (oid, serial) => storage.openBlob!(oid, serial);
    if (storage.blobPath) this.blobPath = (oid, serial) => storage.blobPath!(oid, serial);
    if (storage.blobDirectory) this.blobDirectory = () => storage.blobDirectory!();
    if (storage.tpcBeginAsync) {
      this.tpcBeginAsync = async (txn, tid, status) => {
        await storage.tpcBeginAsync!(txn, tid, status);
        this.#begun(txn);
      };
      this.tpcVoteAsync = (txn) => storage.tpcVoteAsync!(txn);
      this.tpcFinishAsync = async (txn, callback) => {
        const tid = await storage.tpcFinishAsync!(txn, callback);
        this.#txn = undefined;
        return tid;
      };
    }
    if (storage.tpcCommit) {
      this.tpcCommit = (txn) => {
        const result = storage.tpcCommit!(txn);
        this.#txn = undefined;
        return result;
      };
      this.tpcCommitAsync = async (txn) => {
        const result = await storage.tpcCommitAsync!(txn);
        this.#txn = undefined;
        return result;
      };
    }
  }

  get snapshot(): Tid {
    return (this.before === ZERO_TID ? ZERO_TID : this.before - 1n) as Tid;
  }

  committed(tid: Tid, oids: readonly Oid[], txn: TransactionMetaData | undefined): void {
    if (tid > this.#newest) this.#newest = tid;
    if (this.#all || (txn !== undefined && txn === this.#txn && !this.#tellOwn)) return;
    this.#pending.push(oids);
    this.#pendingCount += oids.length;
    if (this.#pendingCount > MAX_PENDING) this.invalidateAll();
  }

  invalidateAll(): void {
    this.#all = true;
    this.#pending = [];
    this.#pendingCount = 0;
  }

  poll(): readonly Oid[] | 'all' {
    this.#checkOpen();
    const last = this.storage.lastTransaction();
    const newest = last > this.#newest ? last : this.#newest;
    const first = this.before === ZERO_TID;
    this.before = (newest + 1n) as Tid;
    if (this.#all) {
      this.#all = false;
      return first ? NOTHING : 'all';
    }
    if (this.#pending.length === 0) return NOTHING;
    const changed = this.#pending.length === 1 ? this.#pending[0]! : this.#pending.flat();
    this.#pending = [];
    this.#pendingCount = 0;
    return changed;
  }

  load(oid: Oid): LoadedRecord {
    this.#checkOpen();
    if (this.before === ZERO_TID) throw noSnapshot();
    const record = this.storage.loadBefore(oid, this.before);
    if (record === undefined) throw new POSKeyError(oid);
    return record;
  }

  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[] {
    this.#checkOpen();
    if (this.before === ZERO_TID) throw noSnapshot();
    if (this.storage.loadManyBefore) return this.storage.loadManyBefore(oids, this.before);
    return oids.map((oid) => this.#tryLoad(oid));
  }

  #tryLoad(oid: Oid): LoadedRecord | undefined {
    try {
      return this.storage.loadBefore(oid, this.before);
    } catch (error) {
      if (error instanceof POSKeyError) return undefined;
      throw error;
    }
  }

  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined {
    this.#checkOpen();
    return this.storage.loadBefore(oid, tid);
  }

  loadSerial(oid: Oid, tid: Tid): LoadedRecord {
    this.#checkOpen();
    return this.storage.loadSerial(oid, tid);
  }

  missing(oids: readonly Oid[]): readonly Oid[] {
    return this.storage.missingNow?.(oids) ?? oids.filter((oid) => !this.#exists(oid));
  }

  #exists(oid: Oid): boolean {
    try {
      this.storage.load(oid);
      return true;
    } catch (error) {
      if (error instanceof POSKeyError) return false;
      throw error;
    }
  }

  newOid(): Oid {
    this.#checkOpen();
    return this.storage.newOid();
  }

  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void {
    this.#checkOpen();
    this.storage.tpcBegin(txn, tid, status);
    this.#begun(txn);
  }

  #begun(txn: TransactionMetaData): void {
    this.#txn = txn;
    this.#tellOwn = false;
  }

  store(
    oid: Oid,
    serial: Tid,
    data: Uint8Array,
    txn: TransactionMetaData,
    references?: readonly Oid[],
  ): void {
    this.storage.store(oid, serial, data, txn, references);
  }

  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void {
    this.storage.checkCurrentSerial(oid, serial, txn);
  }

  tpcVote(txn: TransactionMetaData): readonly Oid[] {
    return this.storage.tpcVote(txn);
  }

  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid {
    const tid = this.storage.tpcFinish(txn, callback);
    this.#txn = undefined;
    return tid;
  }

  tpcAbort(txn: TransactionMetaData): void {
    if (this.#txn === txn) this.#txn = undefined;
    this.storage.tpcAbort(txn);
  }

  suspend(): void {
    this.#checkOpen();
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#txn) this.tpcAbort(this.#txn);
    this.#released(this);
  }

  #checkOpen(): void {
    if (this.#isReleased)
      throw new ClosedError('This storage instance was released; ask the storage for a new one.');
  }
}

class HistoricalInstance extends MvccInstance {
  override readonly readOnly = true;
  override readonly undo = undefined;
  override readonly restore = undefined;
  override readonly restoreBlob = undefined;
  override readonly deleteObject = undefined;
  override readonly storeBlob = undefined;
  override readonly sync = undefined;

  constructor(storage: PlainStorage, before: Tid) {
    super(storage, () => undefined);
    this.before = before > MAX_TID ? MAX_TID : before;
  }

  override poll(): readonly Oid[] {
    return NOTHING;
  }

  override newOid(): Oid {
    throw new ReadOnlyHistoryError();
  }

  override tpcBegin(): void {
    throw new ReadOnlyHistoryError();
  }

  override store(): void {
    throw new ReadOnlyHistoryError();
  }
}

function noSnapshot(): StorageError {
  return new StorageError('This storage instance has no snapshot yet: call poll() before the first load().');
}
