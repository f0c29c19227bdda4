import { POSKeyError } from '../../src/errors';
import { ROOT_OID, type Oid, type Tid } from '../../src/ids';
import {
  createCache,
  registry as defaultRegistry,
  type CacheOptions,
  type CacheSavepoint,
  type Jar,
  type LoadedRecord,
  type ObjectCache,
  type Registry,
} from '../../src/persistence/index';
import { ConflictError } from '../../src/errors';

/** What several jars share: the committed records, each with its history. */
export class Records {
  readonly revisions = new Map<Oid, LoadedRecord[]>();
  lastTid = 0n as Tid;
  nextOid = 1;
  readonly log: { tid: Tid; oids: Oid[] }[] = [];

  current(oid: Oid, at: Tid): LoadedRecord | undefined {
    return this.revisions.get(oid)?.findLast((record) => record.serial <= at);
  }
}

/** A connection without a storage: records in a `Map`, snapshots by tid, conflicts by serial. The interface is the real one, and so is what it does. */
export class MapJar implements Jar {
  readonly registry: Registry;
  readonly databaseName: string;
  readonly cache: ObjectCache;
  readonly owner = this;
  readonly warnings: string[] = [];
  readonly siblings = new Map<string, Jar>();
  readonly readCurrents: Oid[] = [];
  joined = 0;
  loads = 0;
  batches = 0;
  readOnly = false;
  snapshot: Tid;
  overlay = new Map<Oid, LoadedRecord>();
  readonly #records: Records;

  constructor(
    records = new Records(),
    options: CacheOptions & { registry?: Registry; databaseName?: string } = {},
  ) {
    this.#records = records;
    this.registry = options.registry ?? defaultRegistry;
    this.databaseName = options.databaseName ?? 'main';
    this.snapshot = records.lastTid;
    this.cache = createCache(this, options);
  }

  load(oid: Oid): LoadedRecord {
    this.loads += 1;
    const record = this.#find(oid);
    if (record === undefined) throw new POSKeyError(oid);
    return record;
  }

  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[] {
    this.batches += 1;
    return oids.map((oid) => this.#find(oid));
  }

  newOid(): Oid {
    return this.#records.nextOid++ as Oid;
  }

  objectChanged(): void {
    if (this.readOnly) throw new Error('read-only');
    this.joined += 1;
  }

  readCurrent(oid: Oid): void {
    this.readCurrents.push(oid);
  }

  sibling(databaseName: string): Jar {
    const found = this.siblings.get(databaseName);
    if (found === undefined) throw new Error(`no database ${databaseName}`);
    return found;
  }

  warn(_key: string, message: string): void {
    this.warnings.push(message);
  }

  /** The root, made at the first call. */
  root<T extends object>(make: () => T): T {
    if (this.#find(ROOT_OID) === undefined && this.cache.peek(ROOT_OID) === undefined) {
      const root = make();
      this.cache.addAt(root, ROOT_OID);
      this.commit();
    }
    return this.cache.get(ROOT_OID) as T;
  }

  /** `meanwhile` runs when everything is written and nothing is finished: where an asynchronous commit waits. */
  commit(meanwhile?: () => void): Tid {
    const records = this.#records;
    this.cache.flushExposed();
    const tid = (records.lastTid + 1n) as Tid;
    const stores = new Map<Oid, LoadedRecord>();
    const serials = new Map<Oid, Tid>();
    for (const [oid, record] of this.overlay) {
      serials.set(oid, record.serial);
      stores.set(oid, { data: record.data, serial: tid });
    }
    try {
      for (const { oid, data, serial } of this.cache.serializeChanged()) {
        serials.set(oid, serial);
        stores.set(oid, { data, serial: tid });
      }
      for (const [oid, serial] of serials) {
        const committed = records.current(oid, records.lastTid)?.serial;
        if (committed !== undefined && committed !== serial) {
          throw new ConflictError(undefined, { oid, serials: [committed, serial] });
        }
      }
      meanwhile?.();
    } catch (error) {
      this.abort();
      throw error;
    }
    for (const [oid, record] of stores) {
      const revisions = records.revisions.get(oid);
      if (revisions === undefined) records.revisions.set(oid, [record]);
      else revisions.push(record);
    }
    if (stores.size > 0) {
      records.lastTid = tid;
      records.log.push({ tid, oids: [...stores.keys()] });
    }
    this.overlay = new Map();
    this.cache.afterCommit(tid);
    this.newSnapshot(stores.size > 0 ? tid : undefined);
    return tid;
  }

  abort(): void {
    this.cache.abort();
    this.overlay = new Map();
    this.newSnapshot(undefined);
  }

  savepoint(): { cache: CacheSavepoint; overlay: Map<Oid, LoadedRecord> } {
    this.cache.flushExposed();
    for (const { oid, data, serial } of this.cache.serializeChanged())
      this.overlay.set(oid, { data, serial });
    return { cache: this.cache.savepoint(), overlay: new Map(this.overlay) };
  }

  rollback(savepoint: { cache: CacheSavepoint; overlay: Map<Oid, LoadedRecord> }): void {
    this.cache.rollbackTo(savepoint.cache);
    this.overlay = new Map(savepoint.overlay);
  }

  /** Moves to the newest snapshot, as at the start of a transaction. */
  newSnapshot(own?: Tid): void {
    const since = this.snapshot;
    this.snapshot = this.#records.lastTid;
    for (const { tid, oids } of this.#records.log)
      if (tid > since && tid !== own) this.cache.invalidate(oids);
    this.cache.boundary();
  }

  #find(oid: Oid): LoadedRecord | undefined {
    return this.overlay.get(oid) ?? this.#records.current(oid, this.snapshot);
  }
}
