/**
 * The types of keys: what is accepted, how it is kept in a node, how it stands in a state.
 *
 * | letter | key | kept in |
 * |---|---|---|
 * | O | anything with a total order | a plain array |
 * | I, U | 32-bit integer | `Int32Array`, `Uint32Array` |
 * | L, Q | 64-bit integer, number or bigint | `Float64Array`; `BigInt64Array`, `BigUint64Array` where a key needs it |
 * | f | 2 bytes | `Uint16Array`, big-endian value |
 */
import { types } from 'node:util';
import { InvalidKeyError } from './errors';
import { integerTypes, narrow, NO_INTEGER, type IntegerType } from './integers';
import { plainArrays, typedArrays, wideArrays, type KeyArrays } from './key-arrays';
import { assertOrderable, compareKeys, describeKey, ownKey } from './key-order';
import {
  searchInt32,
  searchObjects,
  searchUint16,
  searchUint32,
  searchWide,
  type KeyArray,
  type Search,
} from './key-search';

/** A key type by its letter. */
export type KeyLetter = 'O' | 'I' | 'U' | 'L' | 'Q' | 'f';

/** What {@link KeyKind.find} answers for something that can't be a key of any entry. */
export const NO_KEY = NO_INTEGER;

/**
 * One type of keys. A key has an outer form (what callers give and get), an inner form (what is compared and kept) and a
 * state form (what is pickled). All kinds are objects of one shape, so that calls through them stay monomorphic.
 */
export class KeyKind {
  readonly letter: KeyLetter;
  /** Binary search over inner keys. */
  readonly search: Search;
  /** Order of two inner keys. */
  readonly compare: (a: unknown, b: unknown) => number;
  readonly arrays: KeyArrays;
  /** The inner key to look up, or {@link NO_KEY}: no entry can have it. */
  readonly find: (key: unknown) => unknown;
  /**
   * The inner key to store in, or look for in, a collection, which is for the message of the error.
   * @throws InvalidKeyError
   */
  readonly accept: (key: unknown, of?: object) => unknown;
  /** The outer form: nothing through which the kept key could be changed. */
  readonly give: (inner: unknown) => unknown;
  /** The state form. */
  readonly save: (inner: unknown) => unknown;
  /** The inner form of a state's key. @throws InvalidKeyError */
  readonly load: (state: unknown) => unknown;

  constructor(parts: Omit<KeyKind, 'fill'>) {
    this.letter = parts.letter;
    this.search = parts.search;
    this.compare = parts.compare;
    this.arrays = parts.arrays;
    this.find = parts.find;
    this.accept = parts.accept;
    this.give = parts.give;
    this.save = parts.save;
    this.load = parts.load;
  }

  /** The keys of a state: `count` of them, every `step`-th item from `start`. @throws InvalidKeyError */
  fill(items: readonly unknown[], start: number, step: number, count: number): KeyArray {
    const { arrays, load } = this;
    let keys = arrays.create(count);
    for (let i = 0, at = start; i < count; i++, at += step) {
      const key = load(items[at]);
      if (typeof key === 'number' && keys instanceof Int32Array) keys[i] = key;
      else keys = arrays.put(keys, i, i, key);
    }
    return keys;
  }
}

const same = (key: unknown): unknown => key;

function compareIntegers(a: unknown, b: unknown): number {
  const [x, y] = [a as number, b as number];
  return x < y ? -1 : x > y ? 1 : 0;
}

function acceptBy({ accept, description }: IntegerType): KeyKind['accept'] {
  return (key, of) => {
    const inner = accept(key);
    return inner !== NO_INTEGER ? inner : refuse(key, of, description);
  };
}

function refuse(key: unknown, of: object | undefined, description: string): never {
  const whose = of === undefined ? 'here' : `of ${of.constructor.name}`;
  throw new InvalidKeyError(key, `${describeKey(key)} can't be a key: keys ${whose} are ${description}.`);
}

function narrowKinds(
  letter: 'I' | 'U',
  search: Search,
  make: typeof Int32Array | typeof Uint32Array,
): KeyKind {
  const type = integerTypes[letter];
  const accept = acceptBy(type);
  return new KeyKind({
    letter,
    search,
    compare: compareIntegers,
    arrays: typedArrays(make),
    find: type.accept,
    accept,
    give: same,
    save: same,
    load: accept,
  });
}

const giveWide = (inner: unknown): unknown => (typeof inner === 'bigint' ? narrow(inner) : inner);

function wideKind(letter: 'L' | 'Q', make: typeof BigInt64Array | typeof BigUint64Array): KeyKind {
  const type = integerTypes[letter];
  const accept = acceptBy(type);
  return new KeyKind({
    letter,
    search: searchWide,
    compare: compareIntegers,
    arrays: wideArrays(make),
    find: type.accept,
    accept,
    give: giveWide,
    save: giveWide,
    load: accept,
  });
}

function packTwo(key: unknown): unknown {
  return types.isUint8Array(key) && key.length === 2 ? (key[0]! << 8) | key[1]! : NO_KEY;
}

function acceptTwo(key: unknown, of?: object): unknown {
  const inner = packTwo(key);
  return inner !== NO_KEY ? inner : refuse(key, of, 'exactly 2 bytes');
}

function unpackTwo(inner: unknown): Uint8Array {
  return Uint8Array.of((inner as number) >> 8, (inner as number) & 0xff);
}

function acceptObject(key: unknown): unknown {
  if (typeof key === 'string') return key;
  assertOrderable(key);
  return ownKey(key);
}

const objectKind = new KeyKind({
  letter: 'O',
  search: searchObjects,
  compare: compareKeys,
  arrays: plainArrays,
  find: (key) => (Number.isNaN(key) ? NO_KEY : key),
  accept: acceptObject,
  give: (inner) => (typeof inner === 'object' ? ownKey(inner) : inner),
  save: same,
  load: same,
});

/** The key types by letter. */
export const keyKinds: Readonly<Record<KeyLetter, KeyKind>> = {
  O: objectKind,
  I: narrowKinds('I', searchInt32, Int32Array),
  U: narrowKinds('U', searchUint32, Uint32Array),
  L: wideKind('L', BigInt64Array),
  Q: wideKind('Q', BigUint64Array),
  f: new KeyKind({
    letter: 'f',
    search: searchUint16,
    compare: compareIntegers,
    arrays: typedArrays(Uint16Array),
    find: packTwo,
    accept: acceptTwo,
    give: unpackTwo,
    save: unpackTwo,
    load: acceptTwo,
  }),
};
