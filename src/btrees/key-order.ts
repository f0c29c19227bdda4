/**
 * The order of object keys: Python's `<` and `==`, with None before everything
 * (`BTrees/src/BTrees/objectkeymacros.h`). Unlike there, whatever has no total order is refused before it is stored.
 */
import { inspect, types } from 'node:util';
import { isPersistent, isReference } from '../persistence/index';
import { InvalidKeyError } from './errors';
import { compareExact, isExactNumber } from './key-exact';
import { momentOf } from './key-moments';

/** First UTF-16 unit of a surrogate; below it, the order of units is the order of code points. */
const FIRST_SURROGATE = 0xd800;

/** A value class whose objects are ordered, for use as keys. */
export interface Comparable {
  /** Negative, zero or positive as this object sorts before, with or after `other`. */
  compareTo(other: never): number;
}

/** True when the order of `text` against any string is that of its UTF-16 units, which engines compare fast. */
export function comparesByUnits(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) >= FIRST_SURROGATE) return false;
  }
  return true;
}

/** The order of two strings by code point, lone surrogates by their own. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const shared = Math.min(a.length, b.length);
  let i = 0;
  while (i < shared && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i === shared) return a.length - b.length;
  const before = i > 0 ? a.charCodeAt(i - 1) : 0;
  if (isHigh(before) && (isLow(a.charCodeAt(i)) || isLow(b.charCodeAt(i)))) i--;
  return a.codePointAt(i)! - b.codePointAt(i)!;
}

/**
 * The order of two object keys.
 * @throws InvalidKeyError when they can't be compared
 */
export function compareKeys(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  if (isNumeric(a) && isNumeric(b)) return compareNumbers(a, b);
  if (a === null) return b === null ? 0 : -1;
  if (b === null) return 1;
  if (typeof a === 'object' && typeof b === 'object') return compareObjects(a, b);
  return compareExact(a, b) ?? refuse(a, b);
}

/**
 * Checks that `key` belongs to a type with a total order.
 * @throws InvalidKeyError naming the key
 */
export function assertOrderable(key: unknown): void {
  switch (typeof key) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return;
    case 'number':
      if (Number.isNaN(key))
        throw new InvalidKeyError(key, "NaN can't be a key: it has no place in an order.");
      return;
    case 'object':
      if (key === null || types.isUint8Array(key)) return;
      if (Array.isArray(key)) {
        key.forEach(assertOrderable);
        return;
      }
      if (momentOf(key) !== undefined || isExactNumber(key)) return;
      if (isPersistent(key)) {
        throw new InvalidKeyError(
          key,
          `A persistent object (${describeType(key)}) can't be a key: to compare keys must not load objects. Use one of its fields, or its oid.`,
        );
      }
      if (isComparable(key)) return;
  }
  throw new InvalidKeyError(
    key,
    `${describeKey(key)} can't be a key: it has no order. Keys are strings, numbers, bigints, bytes, dates, frozen arrays of these, null, or objects with a compareTo method.`,
  );
}

/** The key to keep: what the caller could still change is copied. */
export function ownKey(key: unknown): unknown {
  if (typeof key !== 'object' || key === null) return key;
  if (types.isUint8Array(key)) return new Uint8Array(key);
  if (Array.isArray(key)) return ownArray(key);
  if (types.isDate(key) && Object.getPrototypeOf(key) === Date.prototype) return new Date(key.getTime());
  return key;
}

/** A key for people, cut to one line. */
export function describeKey(key: unknown): string {
  if (isReference(key)) return 'a reference to a persistent object';
  const text = inspect(key, { depth: 1, breakLength: Infinity, maxArrayLength: 6, maxStringLength: 80 });
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** What a type is called in messages. */
export function describeType(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  if (types.isUint8Array(value)) return 'bytes';
  if (Array.isArray(value)) return Object.isFrozen(value) ? 'tuple' : 'array';
  const { constructor } = value;
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'object';
}

/** Whether Python counts it as a number: `true` is 1 there. */
export function isNumeric(value: unknown): value is number | bigint | boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
}

function compareNumbers(a: number | bigint | boolean, b: number | bigint | boolean): number {
  if (a < b) return -1;
  if (a > b) return 1;
  // Only Python stores NaN; there it sorts after whatever it is compared with.
  return Number.isNaN(a) || Number.isNaN(b) ? 1 : 0;
}

function compareObjects(a: object, b: object): number {
  if (types.isUint8Array(a) && types.isUint8Array(b)) return compareBytes(a, b);
  if (Array.isArray(a) && Array.isArray(b) && Object.isFrozen(a) === Object.isFrozen(b))
    return compareArrays(a, b);
  if (isComparable(a)) return compareBy(a, b);
  if (isComparable(b)) return -compareBy(b, a);
  const [x, y] = [momentOf(a), momentOf(b)];
  if (x !== undefined && y !== undefined && x.order === y.order) return compareNumbers(x.value, y.value);
  return compareExact(a, b) ?? refuse(a, b);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function compareArrays(a: readonly unknown[], b: readonly unknown[]): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const order = compareKeys(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareBy(a: Comparable, b: object): number {
  const order: unknown = a.compareTo(b as never);
  if (typeof order === 'number' && !Number.isNaN(order)) return order;
  throw new InvalidKeyError(
    a,
    `compareTo of ${describeType(a)} answered ${describeKey(order)} for ${describeKey(b)}; it must answer a number.`,
  );
}

function isComparable(value: object): value is Comparable {
  return typeof (value as Partial<Comparable>).compareTo === 'function';
}

function ownArray(key: readonly unknown[]): readonly unknown[] {
  const copy = key.map(ownKey);
  return Object.isFrozen(key) ? Object.freeze(copy) : copy;
}

function refuse(a: unknown, b: unknown): never {
  throw new InvalidKeyError(
    b,
    `${describeKey(b)} (${describeType(b)}) can't be compared with the key ${describeKey(a)} (${describeType(a)}): all keys of a collection must be of one order.`,
  );
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
