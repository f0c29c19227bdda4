import { inspect, type InspectOptions } from 'node:util';
import { ClosedError, InvalidArgumentError } from '../errors';
import { isOid, ROOT_OID, ZERO_TID, type Oid, type Tid } from '../ids';
import {
  jarOf,
  oidOf,
  referencesIn,
  serialOf,
  type CacheStatistics,
  type Jar,
  type ObjectCache,
  type PersistentMapping,
} from '../persistence/index';
import type { TransactionManager } from '../transaction/index';
import { importBlob } from './blob';
import { checkObject } from './connection-jar';
import type { DB } from './db';
import { exportFile, importFile, type ExportReport } from './export-import';
import { inspectConnection } from './inspection';
import type { InvalidationListener } from './invalidation-listeners';
import { oidsOf, type Prefetchable } from './prefetch';
import { makeRoot, type Root } from './root';
import { Session } from './session';
import type { ConnectionParts } from './session-parts';

/** Loads and stores of a connection since it was opened, or since they were cleared. */
export interface TransferCounts {
  readonly loads: number;
  readonly stores: number;
}

/**
 * A view of the database with objects of its own: one snapshot a transaction, changes committed by its transaction
 * manager. For one thread of work at a time. Made by `DB.open`.
 */
export class Connection<R extends object = Record<string, unknown>> {
  readonly db: DB<never>;
  /** The point in the past that this connection shows; `undefined` for the present. */
  readonly before: Tid | undefined;
  /** The root's keys as attributes; called, the root mapping itself. */
  readonly root: Root<R>;
  /** Anything that helps to tell connections apart in `db.connectionDebugInfo()`. */
  debugInfo: unknown = undefined;
  /** @internal */
  readonly session: Session;

  /** @internal */
  constructor(parts: ConnectionParts) {
    this.db = parts.db as unknown as DB<never>;
    this.before = parts.before;
    this.session = new Session(this as unknown as Connection, parts);
    this.root = makeRoot<R>(
      () => this.get(ROOT_OID) as PersistentMapping<string, unknown>,
      () => this.isOpen,
    );
    connections.set(this.session.jar, this as unknown as Connection);
  }

  /** The transaction manager whose transactions this connection takes part in. Throws `ClosedError`. */
  get transactionManager(): TransactionManager {
    return this.session.manager;
  }

  get isOpen(): boolean {
    return this.session.isOpen;
  }

  /** When it was opened; `undefined` while it is closed. */
  get opened(): Date | undefined {
    return this.session.opening.at;
  }

  /** The call stack that opened it, when the database was made with `traceConnections`. */
  get openedAt(): string | undefined {
    return this.session.opening.where;
  }

  get isReadOnly(): boolean {
    return this.session.isReadOnly;
  }

  /** The last transaction that this connection sees. */
  get snapshot(): Tid {
    return this.session.jar.storage.snapshot;
  }

  get cacheStatistics(): CacheStatistics {
    return this.cache.statistics;
  }

  /** The object of an oid. Throws `POSKeyError` when this snapshot has none, `ClosedError` after `close`. */
  get(oid: Oid): object {
    this.#checkOpen();
    if (!isOid(oid)) throw new InvalidArgumentError('get() takes an oid; see oidOf() and parseOid().');
    return this.cache.get(oid);
  }

  /**
   * Gives a new object its oid now and stores it at the next commit, whether or not anything refers to it. An object
   * of this connection stays as it is; one of another is an `InvalidObjectReference`.
   */
  add(object: object): Oid {
    this.#checkOpen();
    checkObject(object, 'add()');
    return this.cache.add(object);
  }

  /**
   * Ends the transaction under way (its changes are lost) and moves to the newest snapshot. On a storage across a network
   * it waits until everything committed elsewhere before this call is known here.
   * @throws ConnectionStateError on a connection of `db.transaction()`, which ends with its transaction
   */
  sync(): void {
    this.#checkOpen();
    this.session.sync();
  }

  /**
   * Demands that an object that this transaction only read has not been changed by others when it commits;
   * else the commit fails with a `ReadConflictError`. A transaction that changes nothing commits in any case.
   */
  readCurrent(object: object): void {
    this.#checkOpen();
    checkObject(object, 'readCurrent()');
    const oid = oidOf(object);
    if (oid === undefined) return;
    if (jarOf(object) !== this.session.jar) {
      throw new InvalidArgumentError('readCurrent() takes an object of this connection, not of another one.');
    }
    this.session.jar.readCurrent(oid, serialOf(object) ?? ZERO_TID);
  }

  /** The state of an object as `tid` wrote it, as plain structure; the object itself is not touched. */
  oldState(object: object, tid: Tid): unknown {
    this.#checkOpen();
    return this.db.oldState(object, tid);
  }

  /**
   * Loads objects in as few storage calls as possible, so that following references to them costs nothing more.
   * Takes objects, oids, and iterables of them; unknown oids are skipped.
   */
  prefetch(...wanted: readonly Prefetchable[]): void {
    this.#checkOpen();
    this.cache.prefetch(oidsOf(wanted));
  }

  /**
   * Loads what these fields of objects refer to (default: all their fields) in one storage call, so that a loop over
   * `order.customer` does not load them one by one. Returns the number of references found.
   *
   * ```ts
   * connection.prefetchReferences(orders, 'customer');
   * ```
   */
  prefetchReferences(objects: Iterable<object>, ...fields: readonly string[]): number {
    this.#checkOpen();
    const oids: Oid[] = [];
    for (const object of objects) {
      checkObject(object, 'prefetchReferences()');
      for (const oid of referencesIn(object, fields.length > 0 ? fields : undefined)) oids.push(oid);
    }
    this.cache.prefetch(oids);
    return oids.length;
  }

  /** The connection to a sibling in the multi-database, in the same transaction. Throws `InvalidObjectReference`. */
  getConnection(databaseName: string): Connection {
    return this.session.siblingOf(databaseName).owner;
  }

  /** Calls `listener` when another connection's commit changes `target`, or any object of that class, once per commit. */
  onInvalidate(target: object, listener: InvalidationListener): () => void {
    return this.session.listeners.add(target, listener);
  }

  /** Loads and stores since the connection was opened or the counters were cleared. */
  getTransferCounts({ clear = false }: { clear?: boolean } = {}): TransferCounts {
    const { jar } = this.session;
    const { loads, stores } = jar;
    if (clear) {
      jar.loads = 0;
      jar.stores = 0;
    }
    return { loads, stores };
  }

  /** Evicts what is beyond the cache's size, here and in sibling connections. */
  cacheGC(): void {
    for (const session of this.session.family()) session.shrinkCache();
  }

  /** Evicts every unchanged object, here and in sibling connections. */
  cacheMinimize(): void {
    for (const { jar } of this.session.family()) jar.cache.minimize();
  }

  /** Writes an object and everything it leads to, blobs included, to a file that Python's ZODB reads, too. */
  exportFile(object: object | Oid, path: string): ExportReport {
    this.#checkOpen();
    return exportFile(this.session.jar, object, path);
  }

  /**
   * Brings in what {@link exportFile} (or Python) wrote, under new oids, in the current transaction; returns the object
   * that was exported, for you to hang somewhere. A path, or the content itself. Throws `ExportError` for a torn file.
   */
  importFile(source: string | Uint8Array): object | undefined {
    this.#checkOpen();
    const { jar, participant } = this.session;
    return importFile(
      {
        jar,
        join: () => {
          jar.objectChanged();
        },
        addBlob: (oid, path) => {
          importBlob(jar, oid, path);
        },
        imported: (oids) => {
          participant.addImported(oids);
        },
      },
      source,
    );
  }

  /** `callback` runs once, when the connection is closed next. Its errors become warnings. */
  onCloseCallback(callback: () => void): void {
    this.session.onClose(callback);
  }

  /**
   * Gives the connection back to its database. Throws `ConnectionStateError` while changes are neither committed nor
   * aborted. May be repeated. Its objects must not be used any more.
   */
  close(): void {
    this.session.close();
  }

  /** As `close`, but aborts what is uncommitted. */
  [Symbol.dispose](): void {
    this.session.dispose();
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return inspectConnection(this as unknown as Connection, options);
  }

  /** @internal */
  get cache(): ObjectCache {
    return this.session.jar.cache;
  }

  #checkOpen(): void {
    if (!this.isOpen) throw new ClosedError('This connection is closed; open another one with db.open().');
  }
}

const connections = new WeakMap<Jar, Connection>();

/** The connection that an object belongs to; `undefined` for an object that is not saved. */
export function connectionOf(object: object): Connection | undefined {
  const jar = jarOf(object);
  return jar && connections.get(jar);
}
