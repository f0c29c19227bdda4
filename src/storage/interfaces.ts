/**
 * The storage contract: records at rest, their revisions, and the two-phase commit that adds to them.
 *
 * One {@link Storage} object stands for one database in this process. The DB opens it, registers itself with
 * {@link Storage.registerDB}, and asks for one {@link StorageInstance} per connection. Instances see snapshots;
 * the storage itself sees what is committed now. Both commit through the same calls, {@link Committer}.
 *
 * A commit goes `tpcBegin` → any number of `store`, `storeBlob`, `deleteObject`, `restore`, `undo`,
 * `checkCurrentSerial` → `tpcVote` → `tpcFinish`; `tpcAbort` ends it at any point before `tpcFinish`. The
 * transaction's {@link TransactionMetaData} object is its identity throughout. One transaction at a time is between
 * `tpcVote` and `tpcFinish`; a storage may let in only one from `tpcBegin` on.
 *
 * What a storage can do beyond that is listed in its frozen {@link StorageSupports}; each capability is an interface
 * of its own whose methods are present exactly when the manifest says so. {@link requireCapability} checks and narrows.
 *
 * Everything is synchronous. Everything on a closed storage or a released instance throws `ClosedError`, except
 * `close`, `release` and `tpcAbort`, which may be repeated.
 */
import type { Oid, Tid } from '../ids';
import type { BlobCapability, BlobReader, BlobSource } from './blob-interfaces';
import type { GroupCommitCall, MaintenanceCapability, PackCapability } from './maintenance-interfaces';
import type { TransactionMetaData } from './transaction-meta';

export type * from './blob-interfaces';
export type * from './maintenance-interfaces';

/** What a storage can do. Frozen; callers ask it instead of trying and catching. */
export interface StorageSupports {
  /** {@link UndoCapability}. */
  readonly undo: boolean;
  /** {@link HistoryCapability}: old revisions are kept until they are packed, and can be listed and loaded. */
  readonly history: boolean;
  /** {@link BlobCapability}. */
  readonly blobs: boolean;
  /** Blobs are files of their own: `blobPath` gives their path. */
  readonly blobPaths: boolean;
  /** {@link PackCapability}. */
  readonly pack: boolean;
  /** {@link IterationCapability}. */
  readonly iterate: boolean;
  /** {@link RestoreCalls}. */
  readonly restore: boolean;
  /** {@link DeleteCall}. */
  readonly deleteObject: boolean;
  /** {@link CurrentRecordCapability}. */
  readonly currentRecords: boolean;
  /** {@link AsyncCommitCapability}. */
  readonly asyncCommit: boolean;
  /** Instances profit from `prefetch`: a load costs a round trip. */
  readonly prefetch: boolean;
  /** {@link MaintenanceCapability}. */
  readonly maintenance: boolean;
  /** Data survive `close` and the end of the process. */
  readonly persistent: boolean;
  /** Several processes or threads may have it open for writing at the same time. */
  readonly multiProcess: boolean;
}

/** One revision of an object. `serial` may be computed when it is read: read it only where it is needed. */
export interface LoadedRecord {
  /** The record. Not to be written to; it may share memory with a cache of the storage. */
  readonly data: Uint8Array;
  /** The tid of the transaction that wrote it. */
  readonly serial: Tid;
}

/** A revision with the time in which it was current: from `serial` up to, not including, `end`. */
export interface BoundedRecord extends LoadedRecord {
  /** The next revision's tid; `undefined` while there is none. */
  readonly end: Tid | undefined;
}

/** The commit calls, on a storage and on each of its instances. */
export interface Committer {
  /** An oid that nobody else, in any process, was or will be given. Throws `ReadOnlyError`. */
  newOid(): Oid;

  /**
   * Begins a commit. `StorageTransactionError` when this transaction has begun already; `ReadOnlyError`;
   * `LockError` (retryable) when another one is under way that can't end before this call returns.
   * `tid` and `status` are given when a transaction is copied with `restore`: it keeps them; tids must ascend.
   */
  tpcBegin(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): void;

  /**
   * Adds a new revision of `oid`. `serial` is the revision it was made from, `ZERO_TID` for a new object. When that
   * is not the current one, the conflict is resolved with {@link StorageHost.resolveConflict} or becomes a
   * `ConflictError`, here or in `tpcVote`. Empty data are refused. The storage may keep `data` without copying it.
   * @param references what the record refers to strongly, when the caller knows; else the storage asks its host
   */
  store(oid: Oid, serial: Tid, data: Uint8Array, txn: TransactionMetaData, references?: readonly Oid[]): void;

  /** Demands that `serial` is still current when the transaction commits; `ReadConflictError` here or in `tpcVote`. */
  checkCurrentSerial(oid: Oid, serial: Tid, txn: TransactionMetaData): void;

  /**
   * Makes the transaction ready, so that `tpcFinish` can't fail for a reason that can be known now. Returns the oids
   * whose stored data differ from what was given (merged conflicts): cached copies of them are stale.
   */
  tpcVote(txn: TransactionMetaData): readonly Oid[];

  /**
   * Commits durably and returns the tid. `callback(tid)` runs before anyone can see the new data; it must not throw.
   * Other instances see the changes from their next `poll` on; this one is not told of its own.
   */
  tpcFinish(txn: TransactionMetaData, callback?: (tid: Tid) => void): Tid;

  /** Forgets the transaction. Silent when it is not (any more) under way. */
  tpcAbort(txn: TransactionMetaData): void;
}

/** `' '` a normal transaction, `'p'` one that was packed. */
export type TransactionStatus = ' ' | 'p';

/** Where undo, restore and so on live: methods of a {@link Committer} that are present when the storage supports them. */
export interface OptionalCommitCalls
  extends
    Partial<UndoCall>,
    Partial<RestoreCalls>,
    Partial<DeleteCall>,
    Partial<StoreBlobCall>,
    Partial<OnePhaseCalls>,
    Partial<AsyncCommitCapability> {}

/** Vote and finish in one call, for who has nobody else to ask in between. Present where that saves something, such as a round trip. */
export interface OnePhaseCalls {
  /** As `tpcVote` and `tpcFinish`. After an error, `tpcAbort` follows, as after that of a vote. */
  tpcCommit(txn: TransactionMetaData): CommitResult;
  tpcCommitAsync(txn: TransactionMetaData): Promise<CommitResult>;
}

/** What `tpcFinish` and `tpcVote` return. */
export interface CommitResult {
  readonly tid: Tid;
  readonly resolved: readonly Oid[];
}

/** Part of {@link UndoCapability}: one more change of a transaction under way. */
export interface UndoCall {
  /**
   * Writes what the objects changed by `tid` were before it. Where later transactions changed them too, the conflict is
   * resolved or becomes an `UndoError`; `UndoError` also when `tid` is unknown or packed away. Returns the oids.
   */
  undo(tid: Tid, txn: TransactionMetaData): readonly Oid[];
}

/** Taking over transactions of another database as they are. */
export interface RestoreCalls {
  /**
   * Adds a revision as it was in another database: no conflict check, no resolution.
   * @param data `null`: from here on the object does not exist
   * @param dataTid hint: the data equal those of this earlier revision, and may be shared with it
   */
  restore(oid: Oid, data: Uint8Array | null, txn: TransactionMetaData, dataTid?: Tid): void;
  /** As `restore`, with the blob's content; present when blobs are supported. */
  restoreBlob?(oid: Oid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void;
}

/** Garbage collection by somebody who sees more than this storage, as with several databases. */
export interface DeleteCall {
  /** From this transaction on the object does not exist. `ConflictError` unless `serial` is its current revision. */
  deleteObject(oid: Oid, serial: Tid, txn: TransactionMetaData): void;
}

/** Part of {@link BlobCapability}. */
export interface StoreBlobCall {
  /**
   * As `store`, with the blob's content. Every revision of a blob has its own: one that `store` makes has none, and
   * `openBlob` throws for it. A connection does not store a blob whose content was not written.
   */
  storeBlob(oid: Oid, serial: Tid, data: Uint8Array, source: BlobSource, txn: TransactionMetaData): void;
}

/**
 * The commit calls for callers that must not block: they wait in turn for the commit lock of this thread and, without
 * holding up the event loop, for other processes. Calls of both forms can be mixed in one transaction.
 */
export interface AsyncCommitCapability {
  tpcBeginAsync(txn: TransactionMetaData, tid?: Tid, status?: TransactionStatus): Promise<void>;
  tpcVoteAsync(txn: TransactionMetaData): Promise<readonly Oid[]>;
  tpcFinishAsync(txn: TransactionMetaData, callback?: (tid: Tid) => void): Promise<Tid>;
}

/** Options of {@link Storage.newInstance}. */
export interface InstanceOptions {
  /** A read-only view of the past: everything committed before this tid, for ever. Needs `supports.history`. */
  readonly before?: Tid;
}

/**
 * One connection's view of the storage: a snapshot, moved by `poll`, and a way to commit. (Between a commit of its own and the
 * next `poll` a storage may show that commit already.) Before the first
 * `poll` there is no snapshot, and loading throws `StorageError`. For use by one thread; it need not be reentrant.
 */
export interface StorageInstance extends Committer, OptionalCommitCalls {
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  /** The last transaction that this snapshot holds. */
  readonly snapshot: Tid;

  /**
   * Moves to the newest snapshot and returns the oids that others changed since the last one, in no order and perhaps
   * more than once (own commits are left out where they are known), or `'all'` when that is not known: then every
   * cached object is stale. On a historical instance it is always empty.
   */
  poll(): readonly Oid[] | 'all';

  /** For storages across a network: waits until everything committed elsewhere before this call is known here. */
  sync?(): void;

  /**
   * The revision of the snapshot. `POSKeyError` when there is none; `ReadConflictError` (retryable) when the snapshot
   * is so old that the revision is gone; `CorruptionError` when it is damaged.
   */
  load(oid: Oid): LoadedRecord;

  /** Loads several at once, in the given order; `undefined` for those that do not exist. */
  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[];

  /** Hint that these will be loaded soon. */
  prefetch?(oids: readonly Oid[]): void;

  /** As {@link Storage.loadBefore}, not bound by the snapshot. */
  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined;

  /** As {@link Storage.loadSerial}, not bound by the snapshot. */
  loadSerial(oid: Oid, tid: Tid): LoadedRecord;

  /** Present when blobs are supported; as on the storage. */
  openBlob?(oid: Oid, serial: Tid): BlobReader;
  blobPath?(oid: Oid, serial: Tid): string;
  blobDirectory?(): string;

  /**
   * Which of these objects do not exist now, whatever the snapshot shows. Called during a commit, between `tpcBegin` and
   * `tpcVote`: what exists then exists when the transaction is committed, or the vote refuses it (retryable).
   */
  missing(oids: readonly Oid[]): readonly Oid[];

  /**
   * A number that changes when objects are removed, by a pack or a deletion, in this process or another: while it stays,
   * what a snapshot showed exists. Absent where that can't be told cheaply.
   */
  removals?(): number;

  /** The connection rests in its pool: the snapshot need not be kept. The next call is `poll` or `release`. */
  suspend(): void;

  /** Gives everything back. A transaction under way is aborted. */
  release(): void;
}

/** What the DB does for its storage. */
export interface StorageHost {
  /**
   * Others committed (another process, a server): called before a `poll` can show it, in order of tids. For listeners
   * only; connections learn it by `poll`.
   */
  invalidate(tid: Tid, oids: readonly Oid[]): void;
  /** As `invalidate`, when it is not known what changed. */
  invalidateAll(): void;
  /** The merged record, or `undefined` when the three can't be merged. */
  resolveConflict(conflict: Conflict): Uint8Array | undefined;
  /** The strong references of a record to objects of the same database. */
  references(record: Uint8Array): readonly Oid[];
}

/** Three revisions of one object that ought to become one. */
export interface Conflict {
  readonly oid: Oid;
  /** The revision that is current now. */
  readonly committedSerial: Tid;
  /** The revision that the new data were made from. */
  readonly oldSerial: Tid;
  readonly committed: Uint8Array;
  readonly old: Uint8Array;
  readonly newData: Uint8Array;
}

/** A database at rest. See the head of this file. */
export interface Storage
  extends
    Committer,
    OptionalCommitCalls,
    Partial<Omit<UndoCapability, keyof UndoCall>>,
    Partial<HistoryCapability>,
    Partial<PackCapability>,
    Partial<IterationCapability>,
    Partial<CurrentRecordCapability>,
    Partial<Omit<BlobCapability, keyof StoreBlobCall>>,
    Partial<GroupCommitCall>,
    Partial<MaintenanceCapability> {
  /** For people: a path, `'memory'`, a URI without secrets. */
  readonly name: string;
  readonly supports: StorageSupports;
  readonly readOnly: boolean;
  /** Orders storages that take part in one transaction, so that two processes lock them in the same order. */
  readonly sortKey: string;

  /** The DB that uses this storage. Called once, before the first instance; a tool may do without. */
  registerDB(host: StorageHost): void;

  /** A view for one connection. The storage's `close` releases what is left of them. */
  newInstance(options?: InstanceOptions): StorageInstance;

  /** Tid of the last committed transaction; `ZERO_TID` when there is none. */
  lastTransaction(): Tid;

  /** The current revision. `POSKeyError` when the object does not exist. */
  load(oid: Oid): LoadedRecord;

  /**
   * The revision that was current just before `tid`; `undefined` when the object was created at `tid` or later.
   * `POSKeyError` when the object is not known or did not exist then. A storage without history answers for the
   * current revision only and throws `ReadConflictError` for what is gone.
   */
  loadBefore(oid: Oid, tid: Tid): BoundedRecord | undefined;

  /** Exactly the revision that `tid` wrote; `POSKeyError` when it did not or the revision is packed away. */
  loadSerial(oid: Oid, tid: Tid): LoadedRecord;

  /** Number of objects, perhaps an estimate. */
  objectCount(): number;
  /** Bytes on disk or in memory, perhaps an estimate. */
  size(): number;

  /** Releases everything; a transaction under way is aborted. May be repeated. */
  close(): void;
}

/** Old revisions of one object. */
export interface HistoryCapability {
  /** Newest first, at most `size` (default 1). `POSKeyError` when the object is not known. */
  history(oid: Oid, size?: number): HistoryEntry[];
}

/** What is known of a past transaction. */
export interface TransactionInfo {
  readonly tid: Tid;
  /** Raw bytes as stored, and views as text and value: see {@link TransactionMetaData}. */
  readonly meta: TransactionMetaData;
  /** Bytes that it takes, where the storage knows that. */
  readonly length?: number;
}

/** One revision in {@link HistoryCapability.history}. */
export interface HistoryEntry extends TransactionInfo {
  /** Bytes of the record; 0 for a deletion. */
  readonly size: number;
}

/** Taking back the changes of a transaction. */
export interface UndoCapability extends UndoCall {
  /**
   * Transactions that can be undone, newest first. Those that `filter` takes are numbered from 0; from `first` up to,
   * not including, `last` are returned; a negative `last` is a count. Defaults: 0, -20.
   */
  undoLog(first?: number, last?: number, filter?: (entry: TransactionInfo) => boolean): TransactionInfo[];
}

/** Walking all transactions. */
export interface IterationCapability {
  /** Transactions with `start <= tid <= stop` in order, as of this call. Ending early closes what it holds. */
  iterate(start?: Tid, stop?: Tid): IterableIterator<TransactionRecord>;
}

/** A transaction met by {@link IterationCapability.iterate}. */
export interface TransactionRecord extends TransactionInfo {
  readonly status: TransactionStatus;
  /** The revisions it wrote that still exist. May be called repeatedly while the storage is open. */
  records(): Iterable<DataRecord>;
}

/** A revision met by {@link IterationCapability.iterate}. */
export interface DataRecord {
  readonly oid: Oid;
  readonly tid: Tid;
  /** `null`: the object was deleted, or its creation undone. */
  readonly data: Uint8Array | null;
  /** The earlier transaction whose data this is, where undo or restore shared them. */
  readonly dataTid: Tid | undefined;
}

/** Walking the current revisions. */
export interface CurrentRecordCapability {
  /** In order of oids, beginning at `from`; as of this call. Ending early closes what it holds. */
  currentRecords(from?: Oid): IterableIterator<CurrentRecord>;
}

/** A record met by {@link CurrentRecordCapability.currentRecords}. */
export interface CurrentRecord extends LoadedRecord {
  readonly oid: Oid;
}
