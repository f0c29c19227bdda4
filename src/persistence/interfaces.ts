/**
 * What this floor and the one above it agree on.
 *
 * A *connection* (`src/database`) implements {@link Jar} and owns one {@link ObjectCache}, which does everything an object needs: identity, loading,
 * tracking, saving, abort. This floor does no I/O of its own: all it learns of records comes through the jar.
 *
 * The order of events in a transaction, as the connection drives it:
 *
 * | when | call |
 * |---|---|
 * | an object changes for the first time | the cache calls `jar.objectChanged()`; the connection joins its transaction |
 * | before commit, savepoint, abort, close (the connection is a synchronizer) | `cache.flushExposed()`: finds changes inside plain values, which may call `objectChanged()` |
 * | commit | `for (const record of cache.serializeChanged())` → `storage.store(…)`: iterative; objects newly reached get an oid and follow as further records |
 * | a store was resolved by conflict resolution | `cache.resolved(oid)` before `afterCommit` |
 * | `tpcFinish` returned a tid | `cache.afterCommit(tid)` |
 * | savepoint | `serializeChanged()` into the overlay, then `cache.savepoint()`; `jar.load` reads the overlay first |
 * | rollback to a savepoint | `cache.rollbackTo(savepoint)`, then drop the overlay's later records: new objects that were evicted are loaded once more, to be set free with their fields |
 * | abort, or a commit that failed | `cache.abort()`, then drop the overlay |
 * | a new snapshot begins | `cache.invalidate(oids)` or `cache.invalidateAll()`, when the jar already answers from the new snapshot |
 * | transaction boundary (after commit or abort, and at open and close) | `cache.boundary()`: eviction of any clean object, refresh of invalidated live ones in one batch |
 */
import type { Oid, Tid } from '../ids';

/** A class by the names that are stored: Python's module and qualified class name. */
export interface ClassName {
  readonly module: string;
  readonly name: string;
}

/** Any class, abstract ones included. */
export type AnyClass = abstract new (...args: never[]) => object;

/** One stored revision, as a jar hands it out. */
export interface LoadedRecord {
  /** The data record: class pickle and state pickle. It may be a view; the cache reads it before it returns. */
  readonly data: Uint8Array;
  /** Tid of the revision (for a record from a savepoint's overlay, the tid the object was read at). */
  readonly serial: Tid;
}

/** What stands between objects and a storage: implemented by `Connection`, and by a `Map` of records in tests. */
export interface Jar {
  /** Finds classes by stored name and back. */
  readonly registry: import('./registry').Registry;
  /** Name of the database, for references from and to others. */
  readonly databaseName: string;

  /**
   * The revision of `oid` in the current snapshot.
   * @throws POSKeyError when there is none; ClosedError after close; what reading can throw
   */
  load(oid: Oid): LoadedRecord;
  /** As {@link load}, for many in one storage call; `undefined` where there is none. Same order as asked. */
  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[];
  /** An oid never used before in this database. */
  newOid(): Oid;

  /**
   * Called before the first object of a transaction is marked changed, and whenever the list of changed objects was empty: the connection joins its transaction.
   * If it throws (closed, read-only, historical, doomed elsewhere, foreign async context), nothing has changed.
   */
  objectChanged(): void;
  /** Asks that commit fails with ReadConflictError unless `oid` is still at `serial`; BTree nodes use it. */
  readCurrent(oid: Oid, serial: Tid): void;
  /**
   * The jar of another database of this multi-database, in the same transaction.
   * @throws InvalidObjectReference when there is none of that name
   */
  sibling(databaseName: string): Jar;
  /** What `_p_jar` shows: the connection. Default: the jar itself. */
  readonly owner?: object;
  /** False forbids references to objects of other databases. Default true. */
  readonly crossReferences?: boolean;
  /** This jar's cache (a sibling's is reached through {@link sibling}). */
  readonly cache: ObjectCache;
  /** A reference in this field of `owner` was followed by a load of its own: for warnings of loading one by one. */
  followed?(owner: object, field: string | undefined): void;
  /** Something a programmer should know, said once a process and `key` (a container with very many references, …). */
  warn(key: string, message: string): void;
}

/** One object ready to be stored. */
export interface SerializedObject {
  readonly oid: Oid;
  /** The revision it was read at; `ZERO_TID` for one that was never stored. */
  readonly serial: Tid;
  readonly data: Uint8Array;
  /** Oids this record refers to strongly within its database, each once, in order of appearance. */
  readonly references: readonly Oid[];
  /** Whether some of them may be to objects that are not loaded: only then {@link ObjectCache.isGhost} can be true of one. */
  readonly refersToGhosts: boolean;
  readonly className: ClassName;
  /** The live object. */
  readonly object: object;
  /** True when the object has no stored revision yet. */
  readonly isNew: boolean;
}

/** A point to come back to within a transaction. */
export interface CacheSavepoint {
  /** Counts up within a cache; a later savepoint has a greater number. */
  readonly sequence: number;
}

/** Figures of one cache. */
export interface CacheStatistics {
  /** Objects with their state loaded, managed and tracked. */
  readonly loaded: number;
  /** Objects known by identity whose state is not loaded; those that died since the last sweep included. */
  readonly ghosts: number;
  /** Estimated bytes of loaded states (the size of their records). */
  readonly bytes: number;
  /** Objects on probation: set aside, dropped unless they are touched before the next round. */
  readonly probation: number;
  /** Objects whose plain values are watched for changes. */
  readonly exposed: number;
  /** Objects changed or added and not yet committed. */
  readonly changed: number;
  /** Target number of loaded objects. */
  readonly targetCount: number;
  /** States loaded, and dropped, since the cache was made. */
  readonly loads: number;
  readonly evictions: number;
}

/** One object of {@link ObjectCache.details}. */
export interface CacheDetail {
  readonly oid: Oid;
  readonly className: string;
  readonly status: PersistentStatus;
  readonly estimatedSize: number;
}

/** The words of `_p_status`. */
export type PersistentStatus = 'unsaved' | 'ghost' | 'saved' | 'changed' | 'sticky';

/** Sizes of a cache. */
export interface CacheOptions {
  /** Target number of loaded objects. 0 keeps nothing across a boundary. Default 10,000. */
  targetCount?: number;
  /** The bytes this cache shares with the other connections of its DB. Default: no limit. */
  budget?: CacheBudget;
}

/** A limit in bytes (estimated) that the caches of one DB share. */
export interface CacheBudget {
  /** 0: no limit. May be changed at any time. */
  limit: number;
  /** Bytes now held by all caches of the budget. */
  readonly used: number;
}

/** The objects of one connection. See the table above for who calls what when. */
export interface ObjectCache {
  /**
   * The object of an oid: always the same one as long as anyone holds it. Its state is loaded (a managed collection may be a ghost).
   * @throws POSKeyError
   */
  get(oid: Oid): object;
  /** As {@link get}, for many, those missing in memory in one batch. @throws POSKeyError for the first that does not exist */
  getMany(oids: readonly Oid[]): object[];
  /** As {@link getMany}, without results and without complaint about missing oids: fills the cache. */
  prefetch(oids: readonly Oid[]): void;
  /** The object of an oid if it is in memory, ghost or not; loads nothing. */
  peek(oid: Oid): object | undefined;
  /** Whether the object of an oid is in memory, and not loaded. */
  isGhost(oid: Oid): boolean;
  /**
   * Gives a new object an oid and this jar; it is stored at the next commit even if nothing refers to it.
   * @throws InvalidObjectReference when it belongs to another jar; a TypeError-like error when it isn't persistent
   */
  add(object: object): Oid;
  /** Adds a new object under a given oid: for making the root and for import. */
  addAt(object: object, oid: Oid): void;

  /** Compares what was read out of loaded objects with how it was; marks what differs as changed. Cheap when nothing is exposed. */
  flushExposed(): void;
  /** True when something is to be committed (after {@link flushExposed}). */
  readonly hasChanges: boolean;
  /** Objects changed or added, not those reachable from them only. */
  changedObjects(): object[];
  /**
   * The records of all changed and added objects, and of every new object that is reached from them. Lazily: store each before asking for
   * the next, or collect them. What changes from here on, until {@link afterCommit} or {@link abort}, belongs to the next transaction. Errors name class and path: `bank.Account.history[3].callback: functions cannot be saved`.
   */
  serializeChanged(): IterableIterator<SerializedObject>;
  /** As {@link serializeChanged}, one call for each record, for commits of many: begin once, then until there is none. */
  beginSerializing(): void;
  nextSerialized(): SerializedObject | undefined;
  /** The committed state of this object differs from the one in memory (conflict resolution): it is loaded again at its next use. */
  resolved(oid: Oid): void;
  /** What was serialized is committed under `tid`. Never throws. */
  afterCommit(tid: Tid): void;
  /** Changed fields come back from the storage, new objects lose oid and jar, added fields go. Never throws. */
  abort(): void;
  /** What was serialized is now in the overlay: later changes count from here. */
  savepoint(): CacheSavepoint;
  /** Objects changed since are loaded again (from the overlay), objects made since lose oid and jar. */
  rollbackTo(savepoint: CacheSavepoint): void;

  /**
   * These objects have newer revisions in the snapshot the jar now shows. Loaded states are dropped. An object with unsaved changes keeps
   * them and its old serial, so that its commit conflicts; likewise one whose exposed values turn out to be changed.
   */
  invalidate(oids: Iterable<Oid>): void;
  /** Everything may have changed. */
  invalidateAll(): void;
  /** A transaction boundary: invalidated objects that are held are loaded again in one batch; then {@link shrink}. */
  boundary(): void;

  /** Evicts down to the target and the budget. `inTransaction` spares exposed objects. */
  shrink(inTransaction?: boolean): void;
  /** Drops every clean state. */
  minimize(): void;
  /** Forgets all objects: those that are held lose their jar's protection and stay as they are. For `resetCaches`. */
  clear(): void;
  targetCount: number;
  readonly statistics: CacheStatistics;
  /** Every object in memory. */
  details(): IterableIterator<CacheDetail>;
}
