/** A persistent array, in the format of Python's `persistent.list.PersistentList`. */
import { inspect, type InspectOptions } from 'node:util';
import './protocol';
import { FieldKind } from '../record/index';
import { registry } from './default-registry';
import { IS_ELEMENT } from './guard';
import { ManagedContainer, WRAP } from './managed';
import { privateSlot } from './private-slot';
import { Ref } from './ref';
import { recordOf } from './stamp';

const data = privateSlot<unknown[]>();
const NOTHING: unknown[] = [];
/** So many elements are loaded at once by methods that look at all of them. */
const BATCH = 1000;

/**
 * The class behind {@link PersistentList}: its objects are proxies, which serve indexes from the array in {@link data}. What only reads is taken from `Array.prototype` and runs on the
 * proxy; what changes elements works on that array.
 */
class ListImplementation extends ManagedContainer {
  constructor(items?: Iterable<unknown>) {
    super();
    data.put(this, items === undefined ? [] : [...items]);
  }

  get length(): number {
    return this.loaded().length;
  }

  set length(length: number) {
    if (length !== this.loaded().length) this.writable().length = length;
  }

  /** The element at an index, loaded; no negative indexes (see `at`). */
  item(index: number): unknown {
    const items = this.loaded();
    const value = items[index];
    if (typeof value !== 'object' || value === null) return value;
    const seen = this.follow(value);
    if (seen !== value) items[index] = seen;
    return seen;
  }

  setItem(index: number, value: unknown): void {
    const items = this.writable();
    this.take(value);
    while (items.length < index) items.push(undefined);
    items[index] = value;
  }

  push(...values: unknown[]): number {
    if (values.length === 0) return this.length;
    const items = this.writable();
    for (const value of values) this.take(value);
    return items.push(...values);
  }

  unshift(...values: unknown[]): number {
    if (values.length === 0) return this.length;
    const items = this.writable();
    for (const value of values) this.take(value);
    return items.unshift(...values);
  }

  pop(): unknown {
    if (this.length === 0) return undefined;
    const last = this.item(this.length - 1);
    this.writable().pop();
    return last;
  }

  shift(): unknown {
    if (this.length === 0) return undefined;
    const first = this.item(0);
    this.writable().shift();
    return first;
  }

  splice(start?: number, count?: number, ...values: unknown[]): unknown[] {
    const args = (arguments.length === 1 ? [start] : [start, count, ...values]) as [
      number,
      number,
      ...unknown[],
    ];
    if (arguments.length === 0) return [];
    const before = this.loaded();
    const removed = [...before].splice(...args);
    if (removed.length === 0 && values.length === 0) return removed;
    this.followMany(removed);
    const results = removed.map((value) => this.follow(value));
    for (const value of values) this.take(value);
    this.writable().splice(...args);
    return results;
  }

  sort(compare?: (a: unknown, b: unknown) => number): this {
    this.followAll();
    const sorted = [...this.loaded()].sort(compare);
    this.writable().splice(0, sorted.length, ...sorted);
    return this;
  }

  reverse(): this {
    if (this.length > 1) this.writable().reverse();
    return this;
  }

  fill(value: unknown, start?: number, end?: number): this {
    const items = this.writable();
    this.take(value);
    items.fill(value, start, end);
    return this;
  }

  copyWithin(target: number, start: number, end?: number): this {
    this.followAll();
    this.writable().copyWithin(target, start, end);
    return this;
  }

  /** Finds objects by identity, without loading any. */
  indexOf(wanted: unknown, from?: number): number {
    const items = this.loaded();
    const oid = typeof wanted === 'object' && wanted !== null ? recordOf(wanted)?.oid : undefined;
    if (oid === undefined) return items.indexOf(wanted, from);
    const start = from === undefined ? 0 : from < 0 ? Math.max(items.length + from, 0) : from;
    for (let i = start; i < items.length; i++) {
      const value = items[i];
      if (value === wanted || (value instanceof Ref && value.oid === oid)) return i;
    }
    return -1;
  }

  includes(wanted: unknown, from?: number): boolean {
    if (typeof wanted === 'object' && wanted !== null) return this.indexOf(wanted, from) >= 0;
    return this.loaded().includes(wanted, from);
  }

  /** An ordinary array of the elements, for JSON. */
  toJSON(): unknown[] {
    return Array.from(this as unknown as ArrayLike<unknown>);
  }

  override get dataKind(): FieldKind {
    return FieldKind.list;
  }

  override getData(): unknown {
    return data.get(this);
  }

  override setData(value: unknown): void {
    data.put(this, Array.isArray(value) ? (value as unknown[]) : []);
  }

  override dropState(): void {
    data.put(this, NOTHING);
  }

  override heldValues(): Iterable<unknown> {
    return data.get(this);
  }

  override replaceValue(old: object, made: object): void {
    const items = data.get(this);
    items.forEach((value, i) => {
      if (value === old) items[i] = made;
    });
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    const name = this.constructor.name;
    return depth < 0 ? `[${name}]` : `${name} ${inspect(data.get(this), { ...options, depth: depth - 1 })}`;
  }

  get [Symbol.isConcatSpreadable](): boolean {
    return true;
  }

  [IS_ELEMENT](name: string): boolean {
    return indexOfKey(name) >= 0;
  }

  /** Loads what a method will look at, in batches. */
  followAll(): void {
    const items = this.loaded();
    for (let at = 0; at < items.length; at += BATCH)
      this.followMany(items, at, Math.min(at + BATCH, items.length));
  }

  /** The elements, in memory. */
  protected loaded(): unknown[] {
    this.activate();
    return data.get(this);
  }

  /** The elements, about to be changed. */
  protected writable(): unknown[] {
    this.changed();
    return data.get(this);
  }

  static override [WRAP](object: object): object {
    const proxy = new Proxy(object as ListImplementation, handler);
    proxies.set(object, proxy);
    return proxy;
  }
}

const READERS = [
  'at',
  'entries',
  'keys',
  'lastIndexOf',
  'toLocaleString',
  'toString',
  'values',
  'with',
] as const;
const READERS_OF_ALL = [
  'concat',
  'every',
  'filter',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'flat',
  'flatMap',
  'forEach',
  'join',
  'map',
  'reduce',
  'reduceRight',
  'slice',
  'some',
  'toReversed',
  'toSorted',
  'toSpliced',
] as const;

type AnyMethod = (this: unknown, ...args: unknown[]) => unknown;

for (const name of READERS) define(name, Array.prototype[name] as AnyMethod);
define(Symbol.iterator, Array.prototype.values as AnyMethod);
for (const name of READERS_OF_ALL) {
  const method = Array.prototype[name] as AnyMethod;
  define(name, function (this: unknown, ...args: unknown[]): unknown {
    (this as ListImplementation).followAll();
    return method.apply(this, args);
  });
}

function define(name: PropertyKey, value: AnyMethod): void {
  Object.defineProperty(ListImplementation.prototype, name, { value, writable: true, configurable: true });
}

/** The index a property key means, or -1. */
function indexOfKey(key: PropertyKey): number {
  if (typeof key !== 'string') return -1;
  const first = key.charCodeAt(0);
  if (!(first >= 48 && first <= 57)) return -1;
  const index = Number(key);
  return Number.isInteger(index) && String(index) === key ? index : -1;
}

const handler: ProxyHandler<ListImplementation> = {
  get(target, key, receiver: ListImplementation): unknown {
    const index = indexOfKey(key);
    return index < 0 ? Reflect.get(target, key, receiver) : receiver.item(index);
  },
  set(target, key, value, receiver: ListImplementation): boolean {
    const index = indexOfKey(key);
    if (index < 0) return Reflect.set(target, key, value, receiver);
    receiver.setItem(index, value);
    return true;
  },
  has(target, key): boolean {
    const index = indexOfKey(key);
    return index < 0 ? Reflect.has(target, key) : index < listOf(target).length;
  },
  ownKeys(target): (string | symbol)[] {
    return [
      ...Array.from({ length: listOf(target).length }, (_, i) => String(i)),
      ...Reflect.ownKeys(target),
    ];
  },
  getOwnPropertyDescriptor(target, key): PropertyDescriptor | undefined {
    const index = indexOfKey(key);
    if (index < 0) return Reflect.getOwnPropertyDescriptor(target, key);
    const list = listOf(target);
    if (index >= list.length) return undefined;
    return { value: list.item(index), writable: true, enumerable: true, configurable: true };
  },
  defineProperty(target, key, descriptor): boolean {
    const index = indexOfKey(key);
    if (index < 0) return Reflect.defineProperty(target, key, descriptor);
    if (descriptor.get !== undefined || descriptor.set !== undefined) return false;
    listOf(target).setItem(index, descriptor.value);
    return true;
  },
  deleteProperty(target, key): boolean {
    return indexOfKey(key) < 0 && Reflect.deleteProperty(target, key);
  },
};

/** The proxy of a target: most traps are not told. */
const proxies = new WeakMap<object, ListImplementation>();

function listOf(target: object): ListImplementation {
  return proxies.get(target)!;
}

/** A persistent object with indexes and the whole interface of an array. */
export type PersistentList<T = unknown> = T[];

/**
 * An array that is a persistent object of its own: its elements are stored in one record, references in it are loaded one by one as elements are read, and several objects may share it.
 * `Array.isArray` says false; `slice`, `map` and the like give ordinary arrays. Elements can't be deleted (`delete list[0]`), lists have no holes.
 */
export const PersistentList = ListImplementation as unknown as new <T = unknown>(
  items?: Iterable<T>,
) => PersistentList<T>;

Object.defineProperty(ListImplementation, 'name', { value: 'PersistentList' });
registry.registerBuiltIn('persistent.list', 'PersistentList', ListImplementation);
