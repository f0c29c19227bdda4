import { ClosedError, ReadOnlyError, ReadOnlyHistoryError } from '../errors';
import type { Oid, Tid } from '../ids';
import type { Jar, Registry } from '../persistence/index';
import type { Storage } from '../storage/index';
import {
  refuseForeignRun,
  type Synchronizer,
  type Transaction,
  type TransactionManager,
} from '../transaction/index';
import { blobWork, setBlobHost } from './blob';
import { ConnectionBlobs } from './blob-host';
import { BlobKeeper } from './blob-keeper';
import type { Connection } from './connection';
import { ConnectionStateError } from './connection-errors';
import { ConnectionJar, type JarOwner } from './connection-jar';
import type { DB } from './db';
import { InvalidationListeners } from './invalidation-listeners';
import { memberNamed } from './multi-database';
import { Participant, type ParticipantOwner } from './participant';
import type { Poolable } from './pool';
import { ReferenceCheck } from './reference-check';
import type { ConnectionParts, Lending, Opening } from './session-parts';
import { SingleLoads } from './single-loads';

/**
 * A connection's life, as pool, transaction and objects drive it: lent, joined, from snapshot to snapshot, given back.
 * The {@link Connection} is what a program sees of it.
 */
export class Session implements Poolable, Synchronizer, JarOwner, ParticipantOwner {
  /** The connection: what `_p_jar` shows. */
  readonly owner: Connection;
  readonly db: DB;
  readonly before: Tid | undefined;
  readonly jar: ConnectionJar;
  readonly participant: Participant;
  readonly listeners = new InvalidationListeners();
  readonly references: ReferenceCheck;
  readonly opening: Opening = { at: undefined, where: undefined, secondary: false };
  readonly #singleLoads: SingleLoads;
  #manager: TransactionManager | undefined;
  #joined = false;
  /** Changes that are found now belong to no transaction. */
  #dropping = false;
  #lent = false;
  /** Is being handed out: stray changes were looked for a moment ago. */
  #lending = false;
  #cacheGeneration = 0;
  #changedElsewhere: readonly Oid[] = [];
  #onClose: (() => void)[] = [];
  #siblings: Map<string, Session> | undefined;
  #primary: Session | undefined;

  constructor(owner: Connection, { db, storage, before, cacheSize, budget }: ConnectionParts) {
    this.owner = owner;
    this.db = db;
    this.before = before;
    this.jar = new ConnectionJar(this, storage, { targetCount: cacheSize, ...(budget && { budget }) });
    const blobs = new BlobKeeper(blobWork);
    setBlobHost(this.jar, new ConnectionBlobs(storage, blobs, db.databaseName));
    this.participant = new Participant(this, this.jar, db.sortKeyFor(), blobs);
    this.references = new ReferenceCheck(this.jar);
    this.#singleLoads = new SingleLoads(db.singleLoadLimit, (key, message) => {
      db.warn(key, message);
    });
  }

  /** Throws `ClosedError`. */
  get manager(): TransactionManager {
    if (!this.#manager) throw new ClosedError('This connection is closed.');
    return this.#manager;
  }

  get isOpen(): boolean {
    return this.jar.open;
  }

  /** Whether it ends with its transaction, as those of `db.transaction()` do. */
  get isLent(): boolean {
    return this.#lent;
  }

  get isReadOnly(): boolean {
    return this.before !== undefined || this.jar.storage.readOnly;
  }

  /** Called by the pools when the connection is handed out. When it throws, the connection is as before. */
  lend(manager: TransactionManager, { lent = false, primary }: Lending = {}): void {
    if (this.#cacheGeneration !== this.db.cacheGeneration) {
      this.jar.cache.clear();
      this.#cacheGeneration = this.db.cacheGeneration;
    }
    this.#manager = manager;
    this.#lent = lent;
    this.#primary = primary;
    this.opening.at = new Date();
    this.opening.secondary = primary !== undefined;
    this.jar.open = true;
    try {
      this.#dropStrayChanges('after its connection had been closed');
      this.#lending = true;
      // During a transaction this calls newTransaction(), which takes the snapshot.
      manager.registerSynch(this);
      if (manager.current === null && !manager.explicit) this.#newSnapshot();
    } catch (error) {
      this.#disconnect();
      throw error;
    } finally {
      this.#lending = false;
    }
  }

  /** `callback` runs once, at the next close. */
  onClose(callback: () => void): void {
    this.#onClose.push(callback);
  }

  /** Moves to the newest snapshot, wherever the changes come from; the transaction under way is aborted. */
  sync(): void {
    if (this.#lent) {
      throw new ConnectionStateError(
        'This connection lives for one transaction of db.transaction(): sync() would end it. Return, and begin another.',
      );
    }
    for (const { jar } of this.family()) jar.storage.sync?.();
    const { manager } = this;
    if (manager.explicit) manager.current?.abort();
    manager.begin();
  }

  /** Gives the connection back to its database. */
  close(): void {
    if (!this.isOpen) return;
    if (this.#primary) {
      throw new ConnectionStateError(
        'This connection came from getConnection(); close the one it came from.',
      );
    }
    for (const session of this.family()) {
      if (session.#findChanges()) {
        throw new ConnectionStateError(
          'This connection has uncommitted changes and stays open: commit or abort them, then close it.',
        );
      }
    }
    this.#end();
  }

  /** Aborts what is uncommitted, and closes. */
  dispose(): void {
    if (!this.isOpen) return;
    this.#manager?.current?.abort();
    this.close();
  }

  /** The database is closed under an open connection. */
  abandon(): void {
    if (!this.isOpen) return;
    try {
      try {
        if (this.#findChanges()) {
          this.warn('uncommitted', 'The database was closed with uncommitted changes: they are lost.');
        }
      } finally {
        this.#manager?.current?.abort();
      }
    } catch (error) {
      // An asynchronous commit is under way: it will find its storage closed.
      this.warn(
        'close',
        `The database was closed during a transaction that could not be aborted: ${String(error)}`,
      );
    }
    if (this.isOpen) this.#close();
  }

  /** The connection to a sibling in the multi-database. Throws `InvalidObjectReference`. */
  siblingOf(databaseName: string): Session {
    if (databaseName === this.databaseName) return this;
    const primary = this.#primary ?? this;
    const known = primary.databaseName === databaseName ? primary : primary.#siblings?.get(databaseName);
    if (known) return known;
    if (!this.isOpen) throw new ClosedError('This connection is closed; open another one with db.open().');
    const session = memberNamed(this.db.databases, databaseName).openSibling(primary);
    (primary.#siblings ??= new Map()).set(databaseName, session);
    return session;
  }

  /** This connection, and those to sibling databases that share its transactions and its end. */
  family(): Session[] {
    const primary = this.#primary ?? this;
    return primary.#siblings ? [primary, ...primary.#siblings.values()] : [primary];
  }

  shrinkCache(): void {
    this.jar.cache.shrink(this.#joined);
  }

  // --- the pool's view

  get warmth(): number {
    return this.jar.cache.statistics.loaded;
  }

  discard(): void {
    this.jar.cache.clear();
    this.jar.overlay.clear();
    this.jar.storage.release();
  }

  // --- the transaction manager's view

  newTransaction(): void {
    if (!this.isOpen) return;
    // What was changed inside plain values before an explicit begin() is aborted by it, as other changes are.
    if (!this.#joined && !this.#lending)
      this.#dropStrayChanges(this.#manager!.explicit ? 'outside of any transaction' : undefined);
    this.#newSnapshot();
  }

  beforeSavepoint(): void {
    this.jar.cache.flushExposed();
  }

  beforeCompletion(): void {
    if (this.jar.open) this.jar.cache.flushExposed();
  }

  afterCompletion(transaction: Transaction): void {
    if (!this.jar.open) return;
    if (this.#lent) {
      // After a failed commit the transaction is still current: its abort comes later, perhaps much later, and would
      // undo the work of whoever had this connection by then.
      if (this.#manager!.current !== transaction || transaction.status === 'Committed') this.#end();
      return;
    }
    // An explicit manager moves to the next snapshot at begin(), so that a transaction asks the storage once.
    if (this.#manager!.explicit) this.jar.cache.boundary();
    else this.#newSnapshot();
  }

  // --- the jar's view

  get crossReferences(): boolean {
    return this.db.crossReferences;
  }

  get registry(): Registry {
    return this.db.registry;
  }

  get databaseName(): string {
    return this.db.databaseName;
  }

  join(): void {
    if (this.#lent) this.checkContext();
    if (this.#joined || this.#dropping) return;
    this.checkWritable();
    const { manager } = this;
    refuseForeignRun(manager);
    manager.get().join(this.participant);
    this.#joined = true;
  }

  checkContext(): void {
    if (this.#lent) this.db.checkContext(this.#manager!);
  }

  sibling(databaseName: string): Jar {
    return this.siblingOf(databaseName).jar;
  }

  followed(owner: object, field: string | undefined): void {
    this.#singleLoads.note(owner, field);
  }

  warn(key: string, message: string): void {
    this.db.warn(key, message);
  }

  // --- the participant's view

  get wholeStorage(): Storage {
    return this.db.storage;
  }

  get largeRecordSize(): number {
    return this.db.largeRecordSize;
  }

  checkWritable(): void {
    if (this.before !== undefined) throw new ReadOnlyHistoryError();
    if (this.jar.storage.readOnly) throw new ReadOnlyError();
  }

  left(): void {
    this.#joined = false;
  }

  changedElsewhere(oids: readonly Oid[]): void {
    this.#changedElsewhere = oids;
  }

  committed(): void {
    this.db.transactionCommitted();
    this.#joined = false;
  }

  /** Whether there is anything to commit; looks inside plain values first. */
  #findChanges(): boolean {
    this.jar.cache.flushExposed();
    return this.#joined;
  }

  /** Takes back changes inside plain values that no transaction knows of. */
  #dropStrayChanges(when: string | undefined): void {
    const { cache } = this.jar;
    this.#dropping = true;
    try {
      cache.flushExposed();
      if (!cache.hasChanges) return;
      const [first] = cache.changedObjects();
      this.participant.abort();
      if (when === undefined) return;
      const name = first?.constructor.name ?? 'object';
      this.warn(
        `stray-change:${name}`,
        `A value inside of a ${name} was changed ${when}. The change is lost. ` +
          'Keep what leaves a transaction as a copy.',
      );
    } finally {
      this.#dropping = false;
    }
  }

  #newSnapshot(): void {
    const { cache, storage, current } = this.jar;
    if (current.size > 0) current.clear();
    this.#singleLoads.restart();
    let changed = storage.poll();
    if (this.#changedElsewhere.length > 0) {
      if (changed !== 'all') changed = [...changed, ...this.#changedElsewhere];
      this.#changedElsewhere = [];
    }
    if (this.references.removedSince() || changed === 'all') {
      cache.invalidateAll();
      this.listeners.notifyAll(cache);
    } else if (changed.length > 0) {
      cache.invalidate(changed);
      this.listeners.notify(changed, cache);
    }
    cache.boundary();
  }

  /** Closes this connection and those it brought along. */
  #end(): void {
    const family = this.family();
    this.#siblings = undefined;
    try {
      for (const session of family) session.#close();
    } finally {
      this.db.pools.give(this);
    }
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
    const secondary = this.#primary !== undefined;
    this.jar.cache.shrink();
    this.#disconnect();
    this.jar.current.clear();
    this.#changedElsewhere = [];
    if (!this.db.isClosed) this.jar.storage.suspend();
    this.db.activityMonitor?.closedConnection(this.jar.loads, this.jar.stores);
    this.jar.loads = 0;
    this.jar.stores = 0;
    if (secondary) this.db.pools.give(this);
  }

  #disconnect(): void {
    this.#manager?.unregisterSynch(this);
    this.#manager = undefined;
    this.#primary = undefined;
    this.#lent = false;
    this.jar.open = false;
    this.opening.at = undefined;
    this.opening.where = undefined;
  }
}
