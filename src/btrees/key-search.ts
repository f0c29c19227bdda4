/**
 * Binary search, one routine per representation of keys. Each answers the index of the key, or `~i` (negative)
 * where `i` is the index at which it would be inserted.
 */
import { narrow } from './integers';
import { compareKeys, comparesByUnits } from './key-order';
import { specialise } from './specialise';

/** The keys of a node, at least `length` of them. */
export type KeyArray =
  Int32Array | Uint32Array | Uint16Array | Float64Array | BigInt64Array | BigUint64Array | unknown[];

/** Looks `key` up among the first `length` of `keys`. */
export type Search = (keys: KeyArray, length: number, key: unknown) => number;

type Ordered = ArrayLike<number> | ArrayLike<bigint>;

/** Refers to its arguments only, so that it can be specialised. */
function searchNumeric(keys: Ordered, length: number, key: number | bigint): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low < length && keys[low] === key ? low : ~low;
}

function numericSearch(sample: Ordered): typeof searchNumeric {
  return specialise(searchNumeric, (copy) => copy(sample, 1, sample[0]!));
}

export const searchInt32 = numericSearch(new Int32Array(1)) as Search;
export const searchUint32 = numericSearch(new Uint32Array(1)) as Search;
export const searchUint16 = numericSearch(new Uint16Array(1)) as Search;
const searchFloat64 = numericSearch(new Float64Array(1));
const searchBigInt64 = numericSearch(new BigInt64Array(1));
const searchBigUint64 = numericSearch(new BigUint64Array(1));

/** 64-bit keys: floats as long as all keys of the node are safe integers, else 64-bit integers. */
export const searchWide: Search = (keys, length, key) => {
  if (keys instanceof Float64Array) {
    // A key out of a node of wide keys is a bigint even if it is small.
    const narrowed = typeof key === 'bigint' ? narrow(key) : (key as number);
    if (typeof narrowed === 'number') return searchFloat64(keys, length, narrowed);
    return narrowed > 0n ? ~length : ~0;
  }
  const wide = typeof key === 'number' ? BigInt(key) : (key as bigint);
  return keys instanceof BigInt64Array
    ? searchBigInt64(keys, length, wide)
    : searchBigUint64(keys as BigUint64Array, length, wide);
};

let lastText = '';
let lastTextByUnits = true;

/** Object keys: by the type of the key that is looked for, leaving the fast road at the first key of another type. */
export const searchObjects: Search = (keys, length, key) => {
  if (typeof key === 'string') {
    // One look-up asks once per level of the tree.
    if (key !== lastText) {
      lastText = key;
      lastTextByUnits = comparesByUnits(key);
    }
    return lastTextByUnits
      ? searchStrings(keys as unknown[], length, key)
      : searchOrdered(keys as unknown[], length, key);
  }
  if (typeof key === 'number') return searchNumbers(keys as unknown[], length, key);
  return searchOrdered(keys as unknown[], length, key);
};

function searchStrings(keys: readonly unknown[], length: number, key: string): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const probe = keys[middle];
    if (typeof probe !== 'string') return searchOrdered(keys, length, key);
    if (probe < key) low = middle + 1;
    else high = middle;
  }
  return low < length && keys[low] === key ? low : ~low;
}

function searchNumbers(keys: readonly unknown[], length: number, key: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const probe = keys[middle];
    if (typeof probe !== 'number') return searchOrdered(keys, length, key);
    if (probe < key) low = middle + 1;
    else high = middle;
  }
  return low < length && keys[low] === key ? low : ~low;
}

function searchOrdered(keys: readonly unknown[], length: number, key: unknown): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareKeys(keys[middle], key);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return ~low;
}
