import { ClosedError, InvalidArgumentError } from '../errors';
import { formatOid, type Oid, type Tid } from '../ids';
import {
  createCache,
  type CacheOptions,
  type Jar,
  type LoadedRecord,
  type ObjectCache,
  type Registry,
} from '../persistence/index';
import type { StorageInstance } from '../storage/index';
import { Overlay } from './overlay';
import { tracing, type LoadMessage } from './tracing';

/** What a connection does for its jar. */
export interface JarOwner {
  /** What `_p_jar` shows. */
  readonly owner: object;
  readonly crossReferences: boolean;
  readonly registry: Registry;
  readonly databaseName: string;
  /** An object changed: join the transaction, or throw, also when the calling code may not use this connection. */
  join(): void;
  /** Throws unless the calling code may use this connection. */
  checkContext(): void;
  sibling(databaseName: string): Jar;
  /** A reference in this field of an object was followed by a load of its own. */
  followed(owner: object, field: string | undefined): void;
  warn(key: string, message: string): void;
}

/**
 * Where a connection's objects get their records from: the savepoints' overlay, then the storage's snapshot. It counts
 * and traces loads, and refuses them once the connection is closed.
 */
export class ConnectionJar implements Jar {
  readonly storage: StorageInstance;
  readonly cache: ObjectCache;
  readonly overlay = new Overlay();
  /** Objects that must not have changed when this transaction commits, with the revision that was read. */
  readonly current = new Map<Oid, Tid>();
  loads = 0;
  stores = 0;
  open = false;
  readonly registry: Registry;
  readonly crossReferences: boolean;
  readonly owner: object;
  readonly databaseName: string;
  readonly #owner: JarOwner;

  constructor(owner: JarOwner, storage: StorageInstance, cacheOptions: CacheOptions) {
    this.#owner = owner;
    this.registry = owner.registry;
    this.crossReferences = owner.crossReferences;
    this.owner = owner.owner;
    this.databaseName = owner.databaseName;
    this.storage = storage;
    this.cache = createCache(this, cacheOptions);
  }

  load(oid: Oid): LoadedRecord {
    this.#check(oid);
    if (this.overlay.size > 0) {
      const saved = this.overlay.get(oid);
      if (saved) return saved;
    }
    this.loads++;
    const record = this.storage.load(oid);
    if (tracing.load.hasSubscribers) this.#trace(oid, record);
    return record;
  }

  loadMany(oids: readonly Oid[]): (LoadedRecord | undefined)[] {
    if (oids.length === 0) return [];
    this.#check(oids[0]!);
    if (this.overlay.size > 0 && oids.some((oid) => this.overlay.has(oid))) {
      const stored = oids.filter((oid) => !this.overlay.has(oid));
      const found = this.loadMany(stored);
      let next = 0;
      return oids.map((oid) => this.overlay.get(oid) ?? found[next++]);
    }
    this.loads += oids.length;
    const records = this.storage.loadMany(oids);
    if (tracing.load.hasSubscribers) {
      records.forEach((record, index) => record && this.#trace(oids[index]!, record));
    }
    return records;
  }

  newOid(): Oid {
    return this.storage.newOid();
  }

  objectChanged(): void {
    if (!this.open) throw new ClosedError(closedMessage('changed'));
    this.#owner.join();
  }

  readCurrent(oid: Oid, serial: Tid): void {
    if (serial !== 0n) this.current.set(oid, serial);
  }

  sibling(databaseName: string): Jar {
    return this.#owner.sibling(databaseName);
  }

  followed(owner: object, field: string | undefined): void {
    this.#owner.followed(owner, field);
  }

  warn(key: string, message: string): void {
    this.#owner.warn(key, message);
  }

  #check(oid: Oid): void {
    if (!this.open) throw new ClosedError(closedMessage(`loaded (${formatOid(oid)})`));
    this.#owner.checkContext();
  }

  #trace(oid: Oid, { data }: LoadedRecord): void {
    tracing.load.publish({ database: this.databaseName, oid, size: data.length } satisfies LoadMessage);
  }
}

function closedMessage(what: string): string {
  return (
    `An object cannot be ${what} after its connection was closed. ` +
    'Use objects only until their connection is closed, or until the function given to db.transaction() ends.'
  );
}

/** Throws unless `value` can be an object that a connection stores. */
export function checkObject(value: unknown, where: string): asserts value is object {
  if (typeof value !== 'object' || value === null) {
    throw new InvalidArgumentError(
      `${where} takes a persistent object, not ${value === null ? 'null' : typeof value}.`,
    );
  }
}
