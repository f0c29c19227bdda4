/**
 * How the keys of a node are kept: a typed array with room to grow, or a plain array.
 */
import { narrow } from './integers';
import type { KeyArray } from './key-search';

/** Operations on the keys of a node; those that answer an array may answer another one than they were given. */
export interface KeyArrays {
  /** An array for `capacity` keys. Those for none may be one and the same. */
  create(capacity: number): KeyArray;
  /** Puts `key` at `index`, moving up what follows. */
  insert(keys: KeyArray, length: number, index: number, key: unknown): KeyArray;
  /** Takes out the key at `index`, moving down what follows. */
  remove(keys: KeyArray, length: number, index: number): void;
  /** A new array with the keys from `from` up to `to`. */
  slice(keys: KeyArray, from: number, to: number): KeyArray;
  /** Replaces one key. */
  put(keys: KeyArray, length: number, index: number, key: unknown): KeyArray;
}

type NumberArray = Int32Array | Uint32Array | Uint16Array | Float64Array;
type BigArray = BigInt64Array | BigUint64Array;
type Typed = NumberArray | BigArray;
type TypedConstructor = new (length: number) => Typed;

/** A constructor of typed arrays, in memory of their own or in given memory. */
interface TypedFactory<T extends Typed> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): T;
  new (memory: ArrayBuffer, start: number, length: number): T;
}

/** Beyond this many keys the engine's block move beats a loop. */
const LONG_MOVE = 48;

function shiftUp(keys: Typed, length: number, index: number): void {
  if (length - index > LONG_MOVE) {
    keys.copyWithin(index + 1, index, length);
    return;
  }
  for (let i = length; i > index; i--) keys[i] = keys[i - 1]!;
}

/** Room for one more key: powers of two, so that a leaf of 60 or 120 keys needs few steps, then half as much again. */
function roomFor(length: number): number {
  if (length >= 128) return length + (length >>> 1);
  let room = 8;
  while (room <= length) room *= 2;
  return room;
}

function copied(keys: Typed, from: number, to: number, room: number): Typed {
  const result = new (keys.constructor as TypedConstructor)(room);
  for (let i = from; i < to; i++) result[i - from] = keys[i]!;
  return result;
}

function insertTyped(keys: Typed, length: number, index: number, key: unknown): Typed {
  const target = length < keys.length ? keys : copied(keys, 0, length, roomFor(length));
  shiftUp(target, length, index);
  target[index] = key as number;
  return target;
}

function removeTyped(keys: KeyArray, length: number, index: number): void {
  const typed = keys as Typed;
  if (length - index > LONG_MOVE) typed.copyWithin(index, index + 1, length);
  else for (let i = index + 1; i < length; i++) typed[i - 1] = typed[i]!;
}

/** With as much room as the original has: halves of a split leaf will be filled again. */
function sliceTyped(keys: KeyArray, from: number, to: number): KeyArray {
  return copied(keys as Typed, from, to, keys.length);
}

/** Bytes of memory that the keys of small nodes share, and the most of it that one of them gets: little, since one node that stays keeps it all. */
const SLAB = 2048;
const LARGEST_SHARE = 512;

let slab = new ArrayBuffer(SLAB);
let slabUsed = 0;

/**
 * A typed array in shared memory: with memory of its own it would cost several times as much to make, and again to collect. Nodes
 * that are loaded together leave together, mostly. An array that grows moves to memory of its own.
 */
function shared<T extends Typed>(make: TypedFactory<T>, length: number): T {
  const size = length * make.BYTES_PER_ELEMENT;
  if (size > LARGEST_SHARE) return new make(length);
  if (slabUsed + size > SLAB) {
    slab = new ArrayBuffer(SLAB);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed = (start + size + 7) & ~7;
  return new make(slab, start, length);
}

/** Keys of up to 32 bits. */
export function typedArrays(make: TypedFactory<Int32Array | Uint32Array | Uint16Array>): KeyArrays {
  const none = new make(0);
  return {
    create: (capacity) => (capacity === 0 ? none : shared(make, capacity)),
    insert: insertTyped as KeyArrays['insert'],
    remove: removeTyped,
    slice: sliceTyped,
    put(keys, _length, index, key) {
      (keys as Int32Array)[index] = key as number;
      return keys;
    },
  };
}

/** 64-bit keys: a `Float64Array` until a key comes that no number holds, then `wide`. */
export function wideArrays(wide: new (length: number) => BigArray): KeyArrays {
  const widened = (keys: KeyArray, length: number): BigArray => {
    const result = new wide(keys.length);
    for (let i = 0; i < length; i++) result[i] = BigInt(keys[i] as number);
    return result;
  };
  const fit = (keys: KeyArray, length: number, key: unknown): Typed =>
    keys instanceof Float64Array && typeof key === 'bigint' ? widened(keys, length) : (keys as Typed);
  const form = (keys: Typed, key: unknown): unknown =>
    keys instanceof Float64Array || typeof key === 'bigint' ? key : BigInt(key as number);
  const none = new Float64Array(0);
  return {
    create: (capacity) => (capacity === 0 ? none : shared(Float64Array, capacity)),
    insert(keys, length, index, key) {
      const narrowed = typeof key === 'bigint' ? narrow(key) : key;
      const target = fit(keys, length, narrowed);
      return insertTyped(target, length, index, form(target, narrowed));
    },
    remove: removeTyped,
    slice: sliceTyped,
    put(keys, length, index, key) {
      const narrowed = typeof key === 'bigint' ? narrow(key) : key;
      const target = fit(keys, length, narrowed);
      target[index] = form(target, narrowed) as number;
      return target;
    },
  };
}

/** Object keys, in arrays exactly as long as the node. */
export const plainArrays: KeyArrays = {
  create: (capacity) => new Array<unknown>(capacity),
  insert(keys, _length, index, key) {
    insertPlain(keys as unknown[], index, key);
    return keys;
  },
  remove(keys, _length, index) {
    removePlain(keys as unknown[], index);
  },
  slice: (keys, from, to) => (keys as unknown[]).slice(from, to),
  put(keys, _length, index, key) {
    (keys as unknown[])[index] = key;
    return keys;
  },
};

/** `splice` for one element, without its arrays. */
export function insertPlain(items: unknown[], index: number, item: unknown): void {
  const length = items.length;
  if (length - index > LONG_MOVE) {
    items.splice(index, 0, item);
    return;
  }
  items.push(item);
  for (let i = length; i > index; i--) items[i] = items[i - 1];
  items[index] = item;
}

/** `splice` out of one element. */
export function removePlain(items: unknown[], index: number): void {
  const length = items.length;
  if (length - index > LONG_MOVE) {
    items.splice(index, 1);
    return;
  }
  for (let i = index + 1; i < length; i++) items[i - 1] = items[i];
  items.pop();
}
