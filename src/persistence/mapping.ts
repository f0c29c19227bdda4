/** A persistent `Map`, in the format of Python's `persistent.mapping.PersistentMapping`. */
import { inspect, type InspectOptions } from 'node:util';
import './protocol';
import { FieldKind } from '../record/index';
import { registry } from './default-registry';
import { isReference, ManagedContainer } from './managed';
import { privateSlot } from './private-slot';
import { refsIn, rewrite } from './rewriting';

const data = privateSlot<Map<unknown, unknown>>();
const NOTHING: Map<unknown, unknown> = new Map();
/** Maps with references in their keys that nobody followed yet. Few programs have any, so it is made for the first. */
let referring: WeakSet<Map<unknown, unknown>> | undefined;

/**
 * A persistent object with the interface of `Map`. Its entries are stored in one record: for more than some thousand of them use a BTree. Values are loaded one by one, as they are used.
 */
export class PersistentMapping<K = string, V = unknown> extends ManagedContainer implements Map<K, V> {
  constructor(entries?: Iterable<readonly [K, V]> | null) {
    super();
    data.put(this, new Map(entries));
  }

  get size(): number {
    this.activate();
    return data.get(this).size;
  }

  get(key: K): V | undefined {
    const map = this.loadedFor(key);
    const value = map.get(key);
    if (typeof value !== 'object' || value === null) return value;
    const seen = this.follow(value);
    if (seen !== value) map.set(key, seen);
    return seen;
  }

  has(key: K): boolean {
    return this.loadedFor(key).has(key);
  }

  set(key: K, value: V): this {
    this.changed();
    const map = this.loadedFor(key);
    this.take(value);
    map.set(key, value);
    return this;
  }

  /** Removes an entry; nothing is changed when there is none. */
  delete(key: K): boolean {
    if (!this.has(key)) return false;
    this.changed();
    return this.loadedFor(key).delete(key);
  }

  clear(): void {
    if (this.loaded().size > 0) this.writable().clear();
  }

  /** The value of a key; when there is none, `value` is put there first. */
  setDefault(key: K, value: V): V {
    if (this.has(key)) return this.get(key)!;
    this.set(key, value);
    return value;
  }

  /** Takes an entry out and returns its value, or `fallback`. */
  pop(key: K, fallback?: V): V | undefined {
    if (!this.has(key)) return fallback;
    const value = this.get(key);
    this.delete(key);
    return value;
  }

  /** Puts all entries of another map, iterable or plain object in. */
  update(entries: Iterable<readonly [K, V]> | Readonly<Record<string, V>>): void {
    const pairs =
      Symbol.iterator in entries ? (entries as Iterable<readonly [K, V]>) : Object.entries(entries);
    for (const [key, value] of pairs) this.set(key as K, value);
  }

  forEach(callback: (value: V, key: K, map: Map<K, V>) => void, thisArg?: unknown): void {
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this);
  }

  /** Keys in the order they were put in. Changing the mapping while iterating is as with a `Map`. */
  *keys(): MapIterator<K> {
    for (const key of this.loaded().keys()) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  *entries(): MapIterator<[K, V]> {
    this.prefetch([...this.loaded().values()]);
    for (const key of this.loaded().keys()) yield [key, this.get(key)!];
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'PersistentMapping';
  }

  /** A plain object of the entries, for JSON. */
  toJSON(): Record<string, unknown> {
    return Object.fromEntries(this.entries());
  }

  /** @internal */
  override get dataKind(): FieldKind {
    return FieldKind.dict;
  }

  /** @internal */
  override getData(): unknown {
    return data.get(this);
  }

  /** @internal */
  override setData(value: unknown): void {
    const map = new Map<unknown, unknown>(value instanceof Map ? value : Object.entries(value ?? {}));
    if (value instanceof Map && refersInKeys(map)) (referring ??= new WeakSet()).add(map);
    data.put(this, map);
  }

  /** @internal */
  override dropState(): void {
    data.put(this, NOTHING);
  }

  /** @internal */
  override heldValues(): Iterable<unknown> {
    return data.get(this).values();
  }

  /** @internal */
  override replaceValue(old: object, made: object): void {
    const map = data.get(this);
    for (const [key, value] of map) if (value === old) map.set(key, made);
  }

  [inspect.custom](depth: number, options: InspectOptions): unknown {
    return inspectContainer(this, data.get(this), depth, options);
  }

  /** The entries, in memory. */
  protected loaded(): Map<K, V> {
    this.activate();
    const map = data.get(this) as Map<K, V>;
    return referring !== undefined && referring.has(map) ? this.followKeys(map) : map;
  }

  /** The entries, to look for one key: what is behind references in keys matters only when that is an object. */
  protected loadedFor(key: K): Map<K, V> {
    if (referring !== undefined && typeof key === 'object') return this.loaded();
    this.activate();
    return data.get(this) as Map<K, V>;
  }

  /** The entries, about to be changed. */
  protected writable(): Map<K, V> {
    this.changed();
    return this.loaded();
  }

  /** Objects are found as keys by identity: those that stand for them give way to them. @internal */
  followKeys(map: Map<K, V>): Map<K, V> {
    const refs = [...map.keys()].flatMap((key): object[] => {
      if (typeof key !== 'object' || key === null) return [];
      return isReference(key) ? [key] : refsIn(key);
    });
    const objects: object[] = [...refs];
    this.followMany(objects);
    // Loading may have made room at the expense of this very state.
    this.activate();
    if (data.get(this) !== map) return this.loaded();
    const found = new Map<object, object>(refs.map((ref, i) => [ref, objects[i]!]));
    const entries = [...map];
    map.clear();
    for (const [key, value] of entries) {
      const isObject = typeof key === 'object' && key !== null;
      map.set(isObject ? (rewrite(key, (item) => found.get(item) ?? item) as K) : key, value);
    }
    referring!.delete(map);
    return map;
  }
}

function refersInKeys(map: ReadonlyMap<unknown, unknown>): boolean {
  for (const key of map.keys()) {
    if (typeof key === 'object' && key !== null && (isReference(key) || refsIn(key).length > 0)) return true;
  }
  return false;
}

function inspectContainer(self: object, content: unknown, depth: number, options: InspectOptions): string {
  const name = self.constructor.name;
  if (depth < 0) return `[${name}]`;
  return `${name} ${inspect(content, { ...options, depth: depth - 1 })}`;
}

registry.registerBuiltIn('persistent.mapping', 'PersistentMapping', PersistentMapping, [
  'persistent.dict.PersistentDict',
]);
