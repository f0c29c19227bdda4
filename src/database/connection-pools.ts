import type { Tid } from '../ids';
import type { CacheBudget } from '../persistence/index';
import type { StorageInstance } from '../storage/index';
import type { TransactionManager } from '../transaction/index';
import { Connection } from './connection';
import type { DB } from './db';
import type { Settings } from './options';
import { Pool } from './pool';
import type { Session } from './session';
import type { Lending, Opening } from './session-parts';

/** So many frames of the call stack say where a connection was opened. */
const FRAMES_KEPT = 5;

/** What is known of a connection when it is gone. */
interface Remains {
  readonly pool: Pool<Session>;
  readonly reference: WeakRef<Session>;
  readonly storage: StorageInstance;
  readonly opening: Opening;
}

/** All connections of a database: a pool for the present, and one for each point in the past. */
export class ConnectionPools {
  readonly #db: DB;
  readonly #budget: CacheBudget;
  readonly #settings: Settings;
  readonly #present: Pool<Session>;
  #past = new Map<Tid, Pool<Session>>();
  /** The connections of `db.transaction()` by the manager that they were lent to; some have gone back meanwhile. */
  readonly lentTo = new WeakMap<TransactionManager, Connection>();
  #closesDatabase = new WeakSet<Session>();
  /** Finds connections that were forgotten instead of closed. */
  readonly #forgotten = new FinalizationRegistry<Remains>((remains) => {
    this.#reportForgotten(remains);
  });
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
    for (const { jar } of [...this.#present.used, ...this.#present.free]) jar.cache.targetCount = objects;
  }

  /** A connection from the pool, handed out to `manager`. */
  open(before: Tid | undefined, manager: TransactionManager, lending?: Lending): Connection {
    return this.lend(this.#pool(before).take(), manager, lending);
  }

  /** As {@link open} for the present, but waits in turn while the pool is used up; to be handed to {@link lend}. */
  takeWhenFree(): Promise<Session> | Session {
    return this.#present.takeWhenFree(this.#settings.poolWait);
  }

  /** Hands out what was taken. When that fails it is not given back: its storage instance may be in any state. */
  lend(session: Session, manager: TransactionManager, lending?: Lending): Connection {
    try {
      session.lend(manager, lending);
    } catch (error) {
      this.#pool(session.before).drop(session);
      throw error;
    }
    if (this.#settings.traceConnections) session.opening.where = callerOf(this.#db);
    return session.owner;
  }

  give(session: Session): void {
    const { before } = session;
    const pool = this.#pool(before);
    pool.give(session);
    if (before !== undefined && pool.isIdle && pool.free.length === 0) this.#past.delete(before);
    if (this.#closesDatabase.has(session)) this.#db.close();
  }

  /** Closing this connection shall close the database. */
  closeDatabaseWith(session: Session): void {
    this.#closesDatabase.add(session);
  }

  used(): Session[] {
    return this.#pools().flatMap((pool) => pool.used);
  }

  all(): Session[] {
    return this.#pools().flatMap((pool) => [...pool.used, ...pool.free]);
  }

  close(): void {
    for (const pool of this.#pools()) pool.close();
    this.#past.clear();
  }

  #pools(): Pool<Session>[] {
    return [this.#present, ...this.#past.values()];
  }

  #pool(before: Tid | undefined): Pool<Session> {
    if (before === undefined) return this.#present;
    let pool = this.#past.get(before);
    if (!pool) {
      pool = this.#makePool(before, this.#settings.historicalPoolSize, this.#settings.historicalTimeout);
      this.#past.set(before, pool);
      this.#dropIdlePast(before);
    }
    return pool;
  }

  /** Pools of the past are many and little used: only the latest few keep idle connections. */
  #dropIdlePast(except: Tid): void {
    for (const [tid, pool] of this.#past) {
      if (this.#past.size <= this.#settings.historicalPoolSize) break;
      if (tid === except || !pool.isIdle) continue;
      pool.close();
      this.#past.delete(tid);
    }
  }

  #makePool(before: Tid | undefined, size: number, idleTimeout: number): Pool<Session> {
    const pool: Pool<Session> = new Pool<Session>({
      size,
      idleTimeout,
      make: () => this.#make(before),
      warn: (message, code) => {
        this.#db.warn(`pool:${code}`, message);
      },
      describe: ({ opening: { at, where } }) =>
        at ? `The oldest has been open since ${at.toISOString()}${where ? `, ${where}` : ''}.` : '',
      made: (session, reference) => {
        const { jar, opening } = session;
        this.#forgotten.register(session, { pool, reference, storage: jar.storage, opening });
      },
    });
    return pool;
  }

  #reportForgotten({ pool, reference, storage, opening }: Remains): void {
    if (this.#db.isClosed || !pool.lost(reference)) return;
    storage.release();
    if (opening.secondary) return;
    const where = opening.where ?? 'make the database with { traceConnections: true } to see where.';
    this.#db.warn(
      `connection-leak:${where}`,
      `A connection opened at ${opening.at?.toISOString()} was never closed, and is lost: ${where}`,
    );
  }

  #make(before: Tid | undefined): Session {
    const storage = this.#db.storage.newInstance(before === undefined ? {} : { before });
    const cacheSize = before === undefined ? this.#cacheSize : this.#settings.historicalCacheSize;
    return new Connection({ db: this.#db, storage, before, cacheSize, budget: this.#budget }).session;
  }
}

/** The call stack of the program's call of the database. */
function callerOf({ open, transaction }: Pick<DB, 'open' | 'transaction'>): string | undefined {
  const here: { stack?: string } = {};
  for (const door of [open, transaction]) {
    Error.captureStackTrace(here, door);
    const frames = here.stack!.split('\n').slice(1, 1 + FRAMES_KEPT);
    if (frames.length > 0) return frames.map((frame) => frame.trim()).join(', ');
  }
  return undefined;
}
