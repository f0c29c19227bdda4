import { inspect, type InspectOptions } from 'node:util';
import { resolveConflict } from '../conflict/index';
import { ClosedError, InvalidArgumentError } from '../errors';
import { dateOfTid, type Oid, type Tid } from '../ids';
import {
  createBudget,
  oidOf,
  registry as processRegistry,
  type CacheBudget,
  type Registry,
} from '../persistence/index';
import { readStructure, references } from '../record/index';
import {
  openStorage,
  runSteps,
  runStepsAsync,
  type Conflict,
  type PackReport,
  type Storage,
  type StorageOptions,
  type TransactionInfo,
} from '../storage/index';
import { transaction as ambient, TransactionManager, type Transaction } from '../transaction/index';
import { ActivityMonitor } from './activity';
import { CommitBell, watchChanges, type Change, type ChangesOptions } from './changes';
import type { Connection } from './connection';
import { ConnectionPools } from './connection-pools';
import { foreignReferencesTo } from './foreign-references';
import { revisionsOf, type Revision } from './history';
import { checkNameIsFree } from './multi-database';
import { splitArguments, type DBOptions, type RootFactories, type RootOf, type Settings } from './options';
import { startPack, type PackArguments, type Packed } from './packing';
import { pointInTime, type OpenOptions } from './point-in-time';
import { inspectDatabase, type ConnectionDebugInfo } from './inspection';
import { initialiseRoot } from './root-setup';
import type { Session } from './session';
import { checkContext, runTransaction, type TransactionOptions } from './transaction-run';
import { undoEntry, UndoParticipant, type UndoEntry } from './undo';

/** A database: a storage, its connections, and what spans them (`ZODB/src/ZODB/DB.py`). */
export class DB<F extends RootFactories = RootFactories> {
  readonly storage: Storage;
  readonly registry: Registry;
  readonly databaseName: string;
  /** The members of the multi-database by name; this one is among them. */
  readonly databases: Record<string, DB>;
  /** Counts of loads and stores over time; set one to have them recorded. */
  activityMonitor: ActivityMonitor | undefined;
  readonly #settings: Settings;
  readonly #pools: ConnectionPools;
  readonly #budget: CacheBudget;
  readonly #bell = new CommitBell();
  readonly #warned = new Set<string>();
  #closed = false;
  #participants = 0;
  /** @internal Raised by {@link resetCaches}: connections begin with an empty cache when they are opened next. */
  cacheGeneration = 0;

  /**
   * @param where nothing or `null`: in memory; a path: SQLite, or File when it ends in `.fs`; a URI (`sqlite:`, `file:`,
   *   `memory:`, `demo:`, `zeo:`); or a storage. See docs/storages.md.
   * @throws InvalidArgumentError for an unknown option and for a place that is `undefined`, and what opening the storage throws
   */
  constructor(where?: string | Storage | null, options?: DBOptions<F> & StorageOptions);
  constructor(...args: [where?: string | Storage | null, options?: DBOptions<F> & StorageOptions]) {
    const { where, options, settings, rest } = splitArguments(args);
    this.#settings = settings;
    this.registry = options.registry ?? processRegistry;
    this.databaseName = settings.databaseName;
    this.databases = options.databases ?? {};
    checkNameIsFree(this.databases, this.databaseName);
    this.storage = openStorage(where, rest as StorageOptions);
    try {
      this.storage.registerDB(this);
      this.#budget = createBudget(settings.cacheSizeBytes);
      this.#pools = new ConnectionPools(this as unknown as DB, this.#budget, settings);
      this.databases[this.databaseName] = this as unknown as DB;
      initialiseRoot(this as unknown as DB, settings.root);
    } catch (error) {
      delete this.databases[this.databaseName];
      this.storage.close();
      throw error;
    }
  }

  /** A connection: from the pool, with a warm cache, or a new one. Close it when it is done with. */
  open(options: OpenOptions = {}): Connection<RootOf<F>> {
    this.#checkOpen();
    const before = pointInTime(this.storage, options);
    const manager = options.transactionManager ?? ambient.manager;
    if (!(manager instanceof TransactionManager)) {
      throw new InvalidArgumentError(
        `transactionManager must be a TransactionManager, not ${typeof manager}.`,
      );
    }
    return this.#pools.open(before, manager) as unknown as Connection<RootOf<F>>;
  }

  /**
   * Runs `fn` in a transaction of its own on a connection of its own, commits it, and runs it again when the commit
   * met a conflict. When `fn` returns a promise, so does this, and other work goes on meanwhile. Within another
   * `db.transaction()` of the same context it is a savepoint of that one.
   */
  transaction<T>(
    fn: (root: RootOf<F>, connection: Connection<RootOf<F>>) => T,
    options?: TransactionOptions,
  ): T {
    this.#checkOpen();
    return runTransaction(this as unknown as DB, fn as never, {
      attempts: this.#settings.attempts,
      ...options,
    }) as T;
  }

  /** Undoes one past transaction when the current one commits. See {@link undoLog} for ids. Throws `UndoError` then. */
  undo(id: Tid, transaction: Transaction = ambient.get()): void {
    this.undoMultiple([id], transaction);
  }

  /** Undoes several past transactions together, in the given order. */
  undoMultiple(ids: readonly Tid[], transaction: Transaction = ambient.get()): void {
    this.#checkOpen();
    const finished = () => {
      this.transactionCommitted();
    };
    transaction.join(new UndoParticipant(this.storage, ids, this.sortKeyFor(), finished));
  }

  /** Transactions that can be undone, newest first; `first` and `last` as in `slice`, a negative `last` is a count. */
  undoLog(first = 0, last = -20, filter?: (entry: UndoEntry) => boolean): UndoEntry[] {
    this.#checkOpen();
    if (!this.storage.supports.undo) return [];
    const entry = (info: TransactionInfo) => undoEntry(info, dateOfTid);
    return this.storage.undoLog!(first, last, filter && ((info) => filter(entry(info)))).map(entry);
  }

  /** As {@link undoLog}, for entries whose fields equal those of `specification`. */
  undoInfo(first = 0, last = -20, specification: Readonly<Record<string, unknown>> = {}): UndoEntry[] {
    const wanted = Object.entries(specification);
    return this.undoLog(first, last, (entry) =>
      wanted.every(([name, value]) => ((entry as never)[name] ?? entry.extension[name]) === value),
    );
  }

  /** The newest revisions of an object, newest first, with who changed which fields when. */
  history(object: object | Oid, { size = 20 }: { size?: number } = {}): Revision[] {
    this.#checkOpen();
    const oid = typeof object === 'number' ? (object as Oid) : oidOf(object);
    if (oid === undefined) throw new InvalidArgumentError('An object that was never saved has no history.');
    return revisionsOf(this.storage, oid, size);
  }

  /** An object's state as `tid` wrote it, as plain structure. */
  oldState(object: object | Oid, tid: Tid): unknown {
    const oid = typeof object === 'number' ? (object as Oid) : oidOf(object);
    if (oid === undefined)
      throw new InvalidArgumentError('An object that was never saved has no old states.');
    return readStructure(this.storage.loadSerial(oid, tid).data).state;
  }

  /** Removes superseded revisions and unreachable objects. Blocks until it is done: see {@link packAsync}. */
  pack(options: PackArguments = {}): PackReport {
    this.#checkOpen();
    return startPack(this.#packed(), options, (steps) => runSteps(steps, options));
  }

  /** As {@link pack}, in slices between which the event loop goes on. */
  async packAsync(options: PackArguments = {}): Promise<PackReport> {
    this.#checkOpen();
    return startPack(this.#packed(), options, (steps) => runStepsAsync(steps, options));
  }

  /** Every transaction committed from now on (or since `since`), by this process or another, in order. */
  changes(options: ChangesOptions = {}): AsyncGenerator<Change, void, void> {
    this.#checkOpen();
    const since = options.since ?? this.storage.lastTransaction();
    return watchChanges(this.storage, this.#bell, () => this.#closed, { ...options, since });
  }

  lastTransaction(): Tid {
    this.#checkOpen();
    return this.storage.lastTransaction();
  }

  objectCount(): number {
    this.#checkOpen();
    return this.storage.objectCount();
  }

  /** Bytes at rest. */
  getSize(): number {
    this.#checkOpen();
    return this.storage.size();
  }

  get name(): string {
    return this.storage.name;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get supportsUndo(): boolean {
    return this.storage.supports.undo;
  }

  get largeRecordSize(): number {
    return this.#settings.largeRecordSize;
  }

  get crossReferences(): boolean {
    return this.#settings.crossReferences;
  }

  get poolSize(): number {
    return this.#pools.size;
  }

  set poolSize(size: number) {
    this.#pools.size = size;
  }

  get cacheSize(): number {
    return this.#pools.cacheSize;
  }

  set cacheSize(objects: number) {
    this.#pools.cacheSize = objects;
  }

  get cacheSizeBytes(): number {
    return this.#budget.limit;
  }

  set cacheSizeBytes(bytes: number) {
    this.#budget.limit = bytes;
  }

  /** Connections in use, in the order they were opened. */
  get openConnections(): readonly Connection[] {
    return this.#pools.used().map(({ owner }) => owner);
  }

  /** Loaded objects by class, over all connections: `[['bank.Account', 120], …]`, sorted by class. */
  cacheDetail(): [className: string, count: number][] {
    const counts = new Map<string, number>();
    for (const { jar } of this.#pools.all()) {
      for (const { className, status } of jar.cache.details()) {
        if (status !== 'ghost') counts.set(className, (counts.get(className) ?? 0) + 1);
      }
    }
    return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Loaded objects of each connection. */
  cacheDetailSize(): { connection: Connection; loaded: number; known: number; bytes: number }[] {
    return this.#pools.all().map(({ owner: connection, jar }) => {
      const { loaded, ghosts, bytes } = jar.cache.statistics;
      return { connection, loaded, known: loaded + ghosts, bytes };
    });
  }

  /** Evicts every unchanged object of every connection. */
  cacheMinimize(): void {
    for (const { jar } of this.#pools.all()) jar.cache.minimize();
  }

  /** Makes every connection begin with an empty cache when it is opened next. */
  resetCaches(): void {
    this.cacheGeneration++;
  }

  /** What is open: since when, to which point in time, and what {@link Connection.debugInfo} says. */
  connectionDebugInfo(): ConnectionDebugInfo[] {
    return this.openConnections.map(({ opened, openedAt, debugInfo, before }) => ({
      opened,
      openedAt,
      info: debugInfo,
      before,
    }));
  }

  /** Aborts what is under way in open connections, and closes everything. May be repeated. */
  close(): void {
    if (this.#closed) return;
    for (const session of this.#pools.used()) session.abandon();
    this.#pools.close();
    this.#closed = true;
    if (this.databases[this.databaseName] === (this as unknown as DB))
      delete this.databases[this.databaseName];
    this.storage.close();
    this.#bell.ring();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return inspectDatabase(this as unknown as DB, options);
  }

  // --- as the storage's host (`StorageHost`)

  /** @internal Somebody else committed. */
  invalidate(): void {
    this.#bell.ring();
  }

  /** @internal */
  invalidateAll(): void {
    this.#bell.ring();
  }

  /** @internal */
  resolveConflict(conflict: Conflict): Uint8Array | undefined {
    return resolveConflict(this.registry, conflict);
  }

  /** @internal */
  references(record: Uint8Array): readonly Oid[] {
    return references(record);
  }

  /** @internal */
  transactionCommitted(): void {
    this.#bell.ring();
  }

  /** @internal */
  get pools(): ConnectionPools {
    return this.#pools;
  }

  /** @internal How many loads one by one along one path are worth a warning. */
  get singleLoadLimit(): number {
    return this.#settings.singleLoadWarning;
  }

  /** @internal */
  openSibling(primary: Session): Session {
    this.#checkOpen();
    return this.#pools.open(primary.before, primary.manager, { primary }).session;
  }

  /** @internal */
  checkContext(manager: TransactionManager): void {
    checkContext(manager);
  }

  /** @internal Orders participants: by storage, so that processes lock in one order, then by age. */
  sortKeyFor(): string {
    return `${this.storage.sortKey}:${String(this.#participants++).padStart(9, '0')}`;
  }

  /** @internal Says something once a database and `key`. */
  warn(key: string, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    process.emitWarning(message, {
      type: 'ZodbWarning',
      code: `ZODB_${key.split(':')[0]!.toUpperCase().replaceAll('-', '_')}`,
    });
  }

  #packed(): Packed {
    return {
      storage: this.storage,
      databaseName: this.databaseName,
      foreignReferences: () => foreignReferencesTo(this as unknown as DB),
    };
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError('This database is closed; open it again with new DB().');
  }
}

/**
 * Opens a database and one connection to it; closing the connection closes the database.
 * Arguments are those of {@link DB}.
 */
export function connection<F extends RootFactories = RootFactories>(
  where?: string | Storage | null,
  options?: DBOptions<F> & StorageOptions,
): Connection<RootOf<F>> {
  const db = new DB<F>(where, options);
  const opened = db.open();
  db.pools.closeDatabaseWith(opened.session);
  return opened;
}
