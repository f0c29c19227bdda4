/** A mapping whose keys are weakly referenced objects, in the format of Python's `persistent.wref.PersistentWeakKeyDictionary`. */
import { InvalidArgumentError } from '../errors';
import { FieldKind } from '../record/index';
import { registry } from './default-registry';
import { ManagedContainer } from './managed';
import { privateSlot } from './private-slot';
import { isPersistent, jarOf, oidOf } from './protocol';
import { WeakRef } from './weak-ref';

interface Entry {
  readonly key: WeakRef;
  value: unknown;
}

const data = privateSlot<Entry[]>();
const NOTHING: Entry[] = [];

/**
 * Values by persistent object, without keeping the keys in the database: when a key has been packed away, its entry is dropped the next time the mapping is loaded.
 */
export class PersistentWeakKeyDictionary<K extends object = object, V = unknown> extends ManagedContainer {
  constructor(entries?: Iterable<readonly [K, V]>) {
    super();
    data.put(this, []);
    for (const [key, value] of entries ?? []) this.set(key, value);
  }

  /** Entries, those whose key is gone included. */
  get size(): number {
    return this.loaded().length;
  }

  get(key: K): V | undefined {
    const entry = this.find(key);
    if (entry === undefined) return undefined;
    return (entry.value = this.follow(entry.value)) as V;
  }

  has(key: K): boolean {
    return this.find(key) !== undefined;
  }

  /** @throws InvalidArgumentError when the key is no persistent object */
  set(key: K, value: V): this {
    if (!isPersistent(key))
      throw new InvalidArgumentError('The keys of a PersistentWeakKeyDictionary are persistent objects.');
    const found = this.find(key);
    this.changed();
    this.take(value);
    if (found === undefined) data.get(this).push({ key: new WeakRef(key), value });
    else found.value = value;
    return this;
  }

  delete(key: K): boolean {
    const entry = this.find(key);
    if (entry === undefined) return false;
    this.changed();
    const entries = data.get(this);
    entries.splice(entries.indexOf(entry), 1);
    return true;
  }

  update(entries: Iterable<readonly [K, V]>): void {
    for (const [key, value] of entries) this.set(key, value);
  }

  /** The entries whose key still exists, keys loaded. */
  *entries(): IterableIterator<[K, V]> {
    const entries = this.loaded();
    for (const entry of [...entries]) {
      const key = entry.key.deref();
      if (key === undefined) continue;
      // Meanwhile the state may have gone, and another one come.
      const current = this.loaded() === entries ? entry : this.find(key as K);
      if (current !== undefined) yield [key as K, (current.value = this.follow(current.value)) as V];
    }
  }

  *keys(): IterableIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  /** @internal */
  override get dataKind(): FieldKind {
    return FieldKind.list;
  }

  /** @internal */
  override getData(): unknown {
    return data.get(this).map(({ key, value }) => Object.freeze([key, value]));
  }

  /** @internal */
  override setData(value: unknown): void {
    const pairs = Array.isArray(value) ? (value as [WeakRef, unknown][]) : [];
    data.put(
      this,
      pairs.filter(([key]) => key.deref() !== undefined).map(([key, item]) => ({ key, value: item })),
    );
  }

  /** @internal */
  override dropState(): void {
    data.put(this, NOTHING);
  }

  /** @internal */
  override *heldValues(): Iterable<unknown> {
    for (const { value } of data.get(this)) yield value;
  }

  /** @internal */
  override replaceValue(old: object, made: object): void {
    for (const entry of data.get(this)) if (entry.value === old) entry.value = made;
  }

  protected loaded(): Entry[] {
    this.activate();
    return data.get(this);
  }

  protected find(key: K): Entry | undefined {
    const oid = isPersistent(key) ? oidOf(key) : undefined;
    const database = oid === undefined ? undefined : databaseOf(this, key);
    return this.loaded().find((entry) => {
      if (entry.key.made === key) return true;
      return oid !== undefined && entry.key.oid === oid && entry.key.database === database;
    });
  }
}

/** Name of a key's database when it is another one than the mapping's. */
function databaseOf(self: object, key: object): string | undefined {
  const name = jarOf(key)?.databaseName;
  return name === jarOf(self)?.databaseName ? undefined : name;
}

registry.registerBuiltIn('persistent.wref', 'PersistentWeakKeyDictionary', PersistentWeakKeyDictionary);
