import type { Tid } from '../ids';
import type { CacheBudget } from '../persistence/index';
import { Connection } from './connection';
import type { DB } from './db';
import type { Settings } from './options';
import { Pool } from './pool';

/** Says when a connection was forgotten instead of closed. */
const leaks = new FinalizationRegistry<() => void>((report) => report());

/** All connections of a database: a pool for the present, and one for each point in the past. */
export class ConnectionPools {
  readonly #db: DB;
  readonly #budget: CacheBudget;
  readonly #settings: Settings;
  readonly #present: Pool<Connection>;
  #past = new Map<Tid, Pool<Connection>>();
  #closesDatabase = new WeakSet<Connection>();
  #cacheSize: number;

  constructor(db: DB, budget: CacheBudget, settings: Settings) {
    this.#db = db;
    this.#budget = budget;
    this.#settings = settings;
    this.#cacheSize = settings.cacheSize;
    this.#present = this.#makePool(undefined, settings.poolSize, settings.poolTimeout);
  }

  get size(): number {
    return this.#present.size;
  }

  set size(size: number) {
    this.#present.size = size;
  }

  get cacheSize(): number {
    return this.#cacheSize;
  }

  set cacheSize(objects: number) {
    this.#cacheSize = objects;
    for (const connection of [...this.#present.used, ...this.#present.free])
      connection.cache.targetCount = objects;
  }

  take(before: Tid | undefined): Connection {
    return this.#pool(before).take();
  }

  /** As {@link take} for the present, waiting in turn while the pool is used up. */
  takeWhenFree(): Promise<Connection> | Connection {
    return this.#present.takeWhenFree(this.#db.poolWait);
  }

  give(connection: Connection): void {
    const pool = this.#pool(connection.before);
    pool.give(connection);
    if (connection.before !== undefined && pool.used.size === 0 && pool.free.length === 0) {
      this.#past.delete(connection.before);
    }
    if (this.#closesDatabase.has(connection)) this.#db.close();
  }

  /** Closing this connection shall close the database. */
  closeDatabaseWith(connection: Connection): void {
    this.#closesDatabase.add(connection);
  }

  used(): Connection[] {
    return this.#pools().flatMap((pool) => [...pool.used]);
  }

  all(): Connection[] {
    return this.#pools().flatMap((pool) => [...pool.used, ...pool.free]);
  }

  close(): void {
    for (const pool of this.#pools()) pool.close();
    this.#past.clear();
  }

  #pools(): Pool<Connection>[] {
    return [this.#present, ...this.#past.values()];
  }

  #pool(before: Tid | undefined): Pool<Connection> {
    if (before === undefined) return this.#present;
    let pool = this.#past.get(before);
    if (!pool) {
      pool = this.#makePool(before, this.#settings.historicalPoolSize, this.#settings.historicalTimeout);
      this.#past.set(before, pool);
      this.#dropIdlePast();
    }
    return pool;
  }

  /** Pools of the past are many and little used: only the latest few keep idle connections. */
  #dropIdlePast(): void {
    for (const [tid, pool] of this.#past) {
      if (this.#past.size <= this.#settings.historicalPoolSize) break;
      if (pool.used.size > 0) continue;
      pool.close();
      this.#past.delete(tid);
    }
  }

  #makePool(before: Tid | undefined, size: number, idleTimeout: number): Pool<Connection> {
    return new Pool<Connection>({
      size,
      idleTimeout,
      make: () => this.#make(before),
      warn: (message, code) => {
        this.#db.warn(`pool:${code}`, message);
      },
    });
  }

  #make(before: Tid | undefined): Connection {
    const storage = this.#db.storage.newInstance(before === undefined ? {} : { before });
    const cacheSize = before === undefined ? this.#cacheSize : this.#settings.historicalCacheSize;
    const connection = new Connection({ db: this.#db, storage, before, cacheSize, budget: this.#budget });
    leaks.register(connection, () => {
      storage.release();
    });
    return connection;
  }
}
