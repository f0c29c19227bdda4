import {
  ClosedError,
  InvalidArgumentError,
  InvalidObjectReference,
  ReadOnlyError,
  ReadOnlyHistoryError,
  ZodbError,
} from '../errors';
import { ROOT_OID, ZERO_TID, type Oid, type Tid } from '../ids';
import {
  isPersistent,
  jarOf,
  oidOf,
  serialOf,
  type CacheBudget,
  type CacheStatistics,
  type Jar,
  type ObjectCache,
  type PersistentMapping,
  type Registry,
} from '../persistence/index';
import type { StorageInstance } from '../storage/index';
import {
  refuseForeignRun,
  type Synchronizer,
  type Transaction,
  type TransactionManager,
} from '../transaction/index';
import { blobWork, setBlobHost } from './blob';
import { ConnectionBlobs } from './blob-host';
import { BlobKeeper } from './blob-keeper';
import { checkObject, ConnectionJar, type JarOwner } from './connection-jar';
import type { DB } from './db';
import { exportFile, importFile, type ExportReport } from './export-import';
import { InvalidationListeners, type InvalidationListener } from './invalidation-listeners';
import { Participant, type ParticipantOwner } from './participant';
import type { Poolable } from './pool';
import { ReferenceCheck } from './reference-check';
import { makeRoot, type Root } from './root';

/** Something was done with a connection that its state does not allow. */
export class ConnectionStateError extends ZodbError {
  constructor(message: string) {
    super(message, { code: 'CONNECTION_STATE' });
  }
}

/** Loads and stores of a connection since it was opened, or since they were cleared. */
export interface TransferCounts {
  readonly loads: number;
  readonly stores: number;
}

/** How a connection is made. */
export interface ConnectionParts {
  readonly db: DB;
  readonly storage: StorageInstance;
  /** For a connection into the past: it sees what was committed before this tid. */
  readonly before: Tid | undefined;
  readonly cacheSize: number;
  readonly budget: CacheBudget | undefined;
}

/**
 * A view of the database with objects of its own: one snapshot a transaction, changes committed by its transaction
 * manager. For one thread of work at a time. Made by `DB.open`.
 */
export class Connection<R extends object = Record<string, unknown>>
  implements Poolable, Synchronizer, JarOwner, ParticipantOwner
{
  readonly db: DB<never>;
  /** The point in the past that this connection shows; `undefined` for the present. */
  readonly before: Tid | undefined;
  /** The root's keys as attributes; called, the root mapping itself. */
  readonly root: Root<R>;
  readonly #db: DB;
  readonly #jar: ConnectionJar;
  readonly #participant: Participant;
  readonly #listeners = new InvalidationListeners();
  /** @internal */
  readonly references: ReferenceCheck;
  #manager: TransactionManager | undefined;
  #joined = false;
  #lent = false;
  #cacheGeneration = 0;
  #onClose: (() => void)[] = [];
  #siblings: Map<string, Connection> | undefined;
  #primary: Connection | undefined;
  #opened: Date | undefined;
  /** Anything that helps to tell connections apart in `db.connectionDebugInfo()`. */
  debugInfo: unknown = undefined;

  /** @internal */
  constructor({ db, storage, before, cacheSize, budget }: ConnectionParts) {
    this.#db = db;
    this.db = db as unknown as DB<never>;
    this.before = before;
    this.#jar = new ConnectionJar(this, storage, { targetCount: cacheSize, ...(budget && { budget }) });
    const blobs = new BlobKeeper((oid) => {
      const object = this.#jar.cache.peek(oid);
      return object && blobWork(object);
    });
    setBlobHost(this.#jar, new ConnectionBlobs(storage, blobs, db.databaseName));
    setBlobHost(this.#jar, new ConnectionBlobs(storage, blobs, db.databaseName));
    this.#participant = new Participant(this, this.#jar, db.sortKeyFor(), blobs);
    this.references = new ReferenceCheck(this.#jar);
    this.root = makeRoot<R>(() => this.get(ROOT_OID) as PersistentMapping<string, unknown>);
    connections.set(this.#jar, this as unknown as Connection);
  }

  /** The transaction manager whose transactions this connection takes part in. Throws `ClosedError`. */
  get transactionManager(): TransactionManager {
    if (!this.#manager) throw new ClosedError('This connection is closed.');
    return this.#manager;
  }

  get isOpen(): boolean {
    return this.#jar.open;
  }

  /** When it was opened; `undefined` while it is closed. */
  get opened(): Date | undefined {
    return this.#opened;
  }

  get isReadOnly(): boolean {
    return this.before !== undefined || this.#jar.storage.readOnly;
  }

  /** The last transaction that this connection sees. */
  get snapshot(): Tid {
    return this.#jar.storage.snapshot;
  }

  get cacheStatistics(): CacheStatistics {
    return this.#jar.cache.statistics;
  }

  /** The object of an oid. Throws `POSKeyError` when this snapshot has none, `ClosedError` after `close`. */
  get(oid: Oid): object {
    this.#checkOpen();
    if (typeof oid !== 'number')
      throw new InvalidArgumentError('get() takes an oid; see oidOf() and parseOid().');
    return this.#jar.cache.get(oid);
  }

  /**
   * Gives a new object its oid now and stores it at the next commit, whether or not anything refers to it. An object
   * of this connection stays as it is; one of another is an `InvalidObjectReference`.
   */
  add(object: object): Oid {
    this.#checkOpen();
    checkObject(object, 'add()');
    return this.#jar.cache.add(object);
  }

  /** Ends the transaction under way (its changes are lost) and moves to the newest snapshot. */
  sync(): void {
    this.#checkOpen();
    this.#jar.storage.sync?.();
    const manager = this.transactionManager;
    if (manager.explicit) {
      manager.abort();
    }
    manager.begin();
  }

  /**
   * Demands that an object that this transaction only read has not been changed by others when it commits;
   * else the commit fails with a `ReadConflictError`.
   */
  readCurrent(object: object): void {
    this.#checkOpen();
    const oid = oidOf(object);
    if (oid === undefined) return;
    this.#jar.readCurrent(oid, serialOf(object) ?? ZERO_TID);
  }

  /** The state of an object as `tid` wrote it, as plain structure; the object itself is not touched. */
  oldState(object: object, tid: Tid): unknown {
    this.#checkOpen();
    return this.#db.oldState(object, tid);
  }

  /**
   * Loads objects in as few storage calls as possible, so that following references to them costs nothing more.
   * Takes objects, oids, and iterables of them; unknown oids are skipped.
   */
  prefetch(...wanted: readonly Prefetchable[]): void {
    this.#checkOpen();
    const oids: Oid[] = [];
    collectOids(wanted, oids);
    this.#jar.cache.prefetch(oids);
  }

  /** The connection to a sibling in the multi-database, in the same transaction. Throws `InvalidArgumentError`. */
  getConnection(databaseName: string): Connection {
    const primary = this.#primary ?? (this as unknown as Connection);
    if (databaseName === this.#db.databaseName) return this as unknown as Connection;
    return primary.#siblingOf(databaseName);
  }

  /** Calls `listener` when another connection's commit changes `target`, or any object of that class, once per commit. */
  onInvalidate(target: object, listener: InvalidationListener): () => void {
    return this.#listeners.add(target, listener);
  }

  /** Loads and stores since the connection was opened or the counters were cleared. */
  getTransferCounts({ clear = false }: { clear?: boolean } = {}): TransferCounts {
    const { loads, stores } = this.#jar;
    if (clear) {
      this.#jar.loads = 0;
      this.#jar.stores = 0;
    }
    return { loads, stores };
  }

  /** Evicts what is beyond the cache's size, here and in sibling connections. */
  cacheGC(): void {
    for (const connection of this.#family()) connection.#jar.cache.shrink(connection.#joined);
  }

  /** Evicts every unchanged object, here and in sibling connections. */
  cacheMinimize(): void {
    for (const connection of this.#family()) connection.#jar.cache.minimize();
  }

  /** Writes an object and everything it leads to, blobs included, to a file that Python's ZODB reads, too. */
  exportFile(object: object | Oid, path: string): ExportReport {
    this.#checkOpen();
    return exportFile(this.#jar, object, path);
  }

  /**
   * Brings in what {@link exportFile} (or Python) wrote, under new oids, in the current transaction; returns the object
   * that was exported, for you to hang somewhere. A path, or the content itself. Throws `ExportError` for a torn file.
   */
  importFile(source: string | Uint8Array): object | undefined {
    this.#checkOpen();
    return importFile(
      {
        jar: this.#jar,
        connection: this as unknown as Connection,
        join: () => this.#jar.objectChanged(),
        addBlob: (oid, path) => this.#participant.blobs.addImported(oid, path),
        imported: (oids) => this.#participant.addImported(oids),
      },
      source,
    );
  }

  /** `callback` runs once, when the connection is closed next. Its errors become warnings. */
  onCloseCallback(callback: () => void): void {
    this.#onClose.push(callback);
  }

  /**
   * Gives the connection back to its database. Throws `ConnectionStateError` while changes are neither committed nor
   * aborted. May be repeated. Its objects must not be used any more.
   */
  close(): void {
    if (!this.#jar.open) return;
    if (this.#primary) {
      throw new ConnectionStateError(
        'This connection came from getConnection(); close the one it came from.',
      );
    }
    for (const connection of this.#family()) {
      connection.#jar.cache.flushExposed();
      if (connection.#joined) {
        throw new ConnectionStateError(
          'A connection with uncommitted changes was to be closed. Commit or abort first.',
        );
      }
    }
    this.#end();
  }

  /** As `close`, but aborts what is uncommitted. */
  [Symbol.dispose](): void {
    if (!this.#jar.open) return;
    this.#manager?.abort();
    if (this.#jar.open) this.close();
  }

  /** @internal Called by the DB when it hands the connection out. */
  lend(
    manager: TransactionManager,
    { lent = false, primary }: { lent?: boolean; primary?: Connection } = {},
  ): void {
    if (this.#cacheGeneration !== this.#db.cacheGeneration) {
      this.#jar.cache.clear();
      this.#cacheGeneration = this.#db.cacheGeneration;
    }
    this.#manager = manager;
    this.#lent = lent;
    this.#primary = primary;
    this.#opened = new Date();
    this.#jar.open = true;
    // During a transaction this calls newTransaction(), which takes the snapshot.
    manager.registerSynch(this);
    if (manager.current === null && !manager.explicit) this.#newSnapshot();
  }

  /** @internal Called by the DB when it is closed under an open connection. */
  abandon(): void {
    if (!this.#jar.open) return;
    this.#manager?.abort();
    if (this.#jar.open) this.#close();
  }

  /** @internal */
  get cache(): ObjectCache {
    return this.#jar.cache;
  }

  /** @internal */
  get jar(): ConnectionJar {
    return this.#jar;
  }

  /** @internal */
  newTransaction(): void {
    if (this.#jar.open) this.#newSnapshot();
  }

  /** @internal */
  beforeSavepoint(): void {
    this.#jar.cache.flushExposed();
  }

  /** @internal */
  beforeCompletion(): void {
    if (this.#jar.open) this.#jar.cache.flushExposed();
  }

  /** @internal */
  afterCompletion(transaction: Transaction): void {
    if (!this.#jar.open) return;
    if (this.#lent) {
      // After a failed commit the transaction is still current: its abort comes later, perhaps much later, and would
      // undo the work of whoever had this connection by then.
      if (this.#manager!.current !== transaction || transaction.status === 'Committed') this.#end();
      return;
    }
    // An explicit manager moves to the next snapshot at begin(), so that a transaction asks the storage once.
    if (this.#manager!.explicit) this.#jar.cache.boundary();
    else this.#newSnapshot();
  }

  /** @internal */
  get crossReferences(): boolean {
    return this.#db.crossReferences;
  }

  /** @internal */
  get owner(): object {
    return this;
  }

  /** @internal */
  get registry(): Registry {
    return this.#db.registry;
  }

  /** @internal */
  get databaseName(): string {
    return this.#db.databaseName;
  }

  /** @internal */
  get largeRecordSize(): number {
    return this.#db.largeRecordSize;
  }

  /** @internal */
  join(): void {
    if (this.#joined) return;
    this.checkWritable();
    refuseForeignRun(this.transactionManager);
    const transaction = this.transactionManager.get();
    transaction.join(this.#participant);
    this.#joined = true;
  }

  /** @internal */
  left(): void {
    this.#joined = false;
  }

  /** @internal */
  checkWritable(): void {
    if (this.before !== undefined) throw new ReadOnlyHistoryError();
    if (this.#jar.storage.readOnly) throw new ReadOnlyError();
  }

  /** @internal */
  checkContext(): void {
    if (this.#lent) this.#db.checkContext(this.#manager!);
  }

  /** @internal */
  committed(tid: Tid, oids: readonly Oid[]): void {
    this.#db.transactionCommitted(tid, oids, this as unknown as Connection);
  }

  /** @internal */
  sibling(databaseName: string): Jar {
    return this.getConnection(databaseName).#jar;
  }

  /** @internal */
  warn(key: string, message: string): void {
    this.#db.warn(key, message);
  }

  /** @internal */
  get warmth(): number {
    return this.#jar.cache.statistics.loaded;
  }

  /** @internal */
  discard(): void {
    this.#jar.cache.clear();
    this.#jar.overlay.clear();
    this.#jar.storage.release();
  }

  /** Closes this connection and those it brought along. */
  #end(): void {
    for (const connection of this.#family()) connection.#close();
    this.#siblings = undefined;
    this.#db.connectionClosed(this as unknown as Connection);
  }

  #close(): void {
    for (const callback of this.#onClose.splice(0)) {
      try {
        callback();
      } catch (error) {
        this.warn(
          `close-callback:${String(error)}`,
          `A callback of a closing connection failed: ${String(error)}`,
        );
      }
    }
    this.#jar.cache.shrink();
    this.#manager?.unregisterSynch(this);
    this.#manager = undefined;
    this.#jar.open = false;
    this.#jar.current.clear();
    this.#opened = undefined;
    if (!this.#db.isClosed) this.#jar.storage.suspend();
    this.#db.connectionCounters(this.getTransferCounts({ clear: true }));
    if (this.#primary) {
      this.#primary = undefined;
      this.#db.connectionClosed(this as unknown as Connection);
    }
  }

  #newSnapshot(): void {
    const { cache, storage, current } = this.#jar;
    current.clear();
    const changed = storage.poll();
    if (this.references.removedSince() || changed === 'all') {
      cache.invalidateAll();
    } else if (changed.length > 0) {
      cache.invalidate(changed);
      this.#listeners.notify(changed, cache);
    }
    cache.boundary();
  }

  #siblingOf(databaseName: string): Connection {
    const known = this.#siblings?.get(databaseName);
    if (known) return known;
    this.#checkOpen();
    const db = this.#db.databases[databaseName];
    if (!db) {
      throw new InvalidObjectReference(
        `There is no database named ${JSON.stringify(databaseName)} in this multi-database. ` +
          `Known: ${Object.keys(this.#db.databases).join(', ')}.`,
      );
    }
    const connection = db.openSibling(this as unknown as Connection, this.before);
    (this.#siblings ??= new Map()).set(databaseName, connection);
    return connection;
  }

  #family(): Connection[] {
    const primary = this.#primary ?? (this as unknown as Connection);
    return [primary, ...(primary.#siblings?.values() ?? [])];
  }

  #checkOpen(): void {
    if (!this.#jar.open) throw new ClosedError('This connection is closed; open another one with db.open().');
  }
}

/** What {@link Connection.prefetch} takes. */
export type Prefetchable = Oid | object | Iterable<Prefetchable>;

function collectOids(wanted: Iterable<Prefetchable>, into: Oid[]): void {
  for (const item of wanted) {
    if (typeof item === 'number') into.push(item as Oid);
    else if (isPersistent(item)) {
      const oid = oidOf(item);
      if (oid !== undefined) into.push(oid);
    } else if (typeof item === 'object' && item !== null && Symbol.iterator in item) {
      collectOids(item as Iterable<Prefetchable>, into);
    } else {
      throw new InvalidArgumentError(
        `prefetch() takes persistent objects, oids and iterables of them, not ${typeof item}.`,
      );
    }
  }
}

const connections = new WeakMap<Jar, Connection>();

/** The connection that an object belongs to; `undefined` for an object that is not saved. */
export function connectionOf(object: object): Connection | undefined {
  const jar = jarOf(object);
  return jar && connections.get(jar);
}
