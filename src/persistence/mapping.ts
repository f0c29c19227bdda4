/** A persistent `Map`, in the format of Python's `persistent.mapping.PersistentMapping`. */
import { inspect, type InspectOptions } from 'node:util';
import './protocol';
import { FieldKind } from '../record/index';
import { registry } from './default-registry';
import { ManagedContainer } from './managed';
import { privateSlot } from './private-slot';

const data = privateSlot<Map<unknown, unknown>>();
const NOTHING: Map<unknown, unknown> = new Map();

/**
 * A persistent object with the interface of `Map`. Its entries are stored in one record: for more than some thousand of them use a BTree. Values are loaded one by one, as they are used.
 */
export class PersistentMapping<K = string, V = unknown> extends ManagedContainer implements Map<K, V> {
  constructor(entries?: Iterable<readonly [K, V]> | null) {
    super();
    data.put(this, new Map(entries));
  }

  get size(): number {
    return this.loaded().size;
  }

  get(key: K): V | undefined {
    const map = this.loaded();
    const value = map.get(key);
    if (typeof value !== 'object' || value === null) return value;
    const seen = this.follow(value);
    if (seen !== value) map.set(key, seen);
    return seen;
  }

  has(key: K): boolean {
    return this.loaded().has(key);
  }

  set(key: K, value: V): this {
    const map = this.writable();
    this.take(value);
    map.set(key, value);
    return this;
  }

  /** Removes an entry; nothing is changed when there is none. */
  delete(key: K): boolean {
    if (!this.loaded().has(key)) return false;
    return this.writable().delete(key);
  }

  clear(): void {
    if (this.loaded().size > 0) this.writable().clear();
  }

  /** The value of a key; when there is none, `value` is put there first. */
  setDefault(key: K, value: V): V {
    if (this.loaded().has(key)) return this.get(key)!;
    this.set(key, value);
    return value;
  }

  /** Takes an entry out and returns its value, or `fallback`. */
  pop(key: K, fallback?: V): V | undefined {
    if (!this.loaded().has(key)) return fallback;
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
    data.put(this, new Map(value instanceof Map ? value : Object.entries(value ?? {})));
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
    return data.get(this) as Map<K, V>;
  }

  /** The entries, about to be changed. */
  protected writable(): Map<K, V> {
    this.changed();
    return data.get(this) as Map<K, V>;
  }
}

function inspectContainer(self: object, content: unknown, depth: number, options: InspectOptions): string {
  const name = self.constructor.name;
  if (depth < 0) return `[${name}]`;
  return `${name} ${inspect(content, { ...options, depth: depth - 1 })}`;
}

registry.registerBuiltIn('persistent.mapping', 'PersistentMapping', PersistentMapping, [
  'persistent.dict.PersistentDict',
]);
