/**
 * Changes inside plain values are found by comparison: when the program gets hold of an array, a Map, … of an object's state, a note is made of each container in it, and before
 * anything happens to the state the containers are compared with their notes. Containers inside are told apart by identity, so that a note is flat, and aliases need no care.
 */
import { types } from 'node:util';
import { bytesOf, childrenOf, isContainer, Kind, kindOf, ownNames } from './values';

/** The slot of values inside managed collections: there may be many, told apart by identity. */
export const INSIDE = -1;

/** One plain value that the program may hold. */
export interface Watch {
  readonly slot: number;
  readonly value: object;
  readonly copies: readonly Copy[];
}

/** Stands for an element of an array that does not exist. */
const HOLE = Symbol('hole');

/** What one container or scalar held. */
export class Copy {
  readonly source: object;
  readonly kind: Kind;
  readonly frozen: boolean;
  /** Names of own properties, for objects and instances (and Maps and Sets of subclasses). */
  readonly keys: readonly string[] | undefined;
  /** What is directly inside; keys and values in turn for Maps. */
  readonly items: readonly unknown[];
  /** A date's time, a copy of bytes, a URL's text. */
  readonly scalar: number | string | Uint8Array | undefined;

  constructor(
    source: object,
    kind: Kind,
    frozen: boolean,
    keys: readonly string[] | undefined,
    items: readonly unknown[],
    scalar: number | string | Uint8Array | undefined,
  ) {
    this.source = source;
    this.kind = kind;
    this.frozen = frozen;
    this.keys = keys;
    this.items = items;
    this.scalar = scalar;
  }
}

/**
 * Notes what a plain value holds: one copy for each container and scalar in it; `undefined` when a reference is among them that must be followed first.
 */
export function copiesOf(root: object): Copy[] | undefined {
  const top = shallow(root, kindOf(root));
  const copies = [top];
  if (!hasObjects(top.items)) return copies;
  const seen = new Set<unknown>([root]);
  for (let next = 0; next < copies.length; next++) {
    for (const item of copies[next]!.items) {
      if (typeof item !== 'object' || item === null || seen.has(item)) continue;
      seen.add(item);
      const kind = kindOf(item);
      if (kind === Kind.ref) return undefined;
      if (kind <= Kind.instance) copies.push(shallow(item, kind));
    }
  }
  return copies;
}

/** Whether everything is as it was noted: contents, order, identities, holes, frozenness. */
export function areAsCopied(copies: readonly Copy[]): boolean {
  for (const copy of copies) if (!isSame(copy)) return false;
  return true;
}

function shallow(value: object, kind: Kind): Copy {
  const keys =
    kind === Kind.object || kind === Kind.instance || hasOwnBesides(value, kind)
      ? ownNames(value)
      : undefined;
  return new Copy(
    value,
    kind,
    Object.isFrozen(value),
    keys,
    contents(value, kind).slice(),
    scalarOf(value, kind),
  );
}

function isSame(copy: Copy): boolean {
  const { source, kind } = copy;
  if (Object.isFrozen(source) !== copy.frozen) return false;
  if (kind === Kind.array) return sameArray(source as unknown[], copy.items);
  if (kind === Kind.object) return sameObject(source as Record<string, unknown>, copy.keys!, copy.items);
  if (kind === Kind.scalar) return sameScalar(scalarOf(source, kind), copy.scalar);
  if (copy.keys !== undefined) {
    if (!sameKeys(ownNames(source), copy.keys)) return false;
  } else if (hasOwnBesides(source, kind)) return false;
  return sameItems(contents(source, kind), copy.items);
}

function sameArray(array: readonly unknown[], items: readonly unknown[]): boolean {
  if (array.length !== items.length) return false;
  for (let i = 0; i < items.length; i++) {
    const was = items[i];
    const is = array[i];
    if (is === was && is !== 0 && is !== undefined) continue;
    if (is === undefined && !(i in array)) {
      if (was !== HOLE) return false;
    } else if (!Object.is(is, was)) return false;
  }
  return true;
}

/** Without making lists of keys and values. */
function sameObject(
  object: Record<string, unknown>,
  keys: readonly string[],
  items: readonly unknown[],
): boolean {
  let i = 0;
  for (const key in object) {
    if (key !== keys[i]) return false;
    const was = items[i++];
    const is = object[key];
    if ((is !== was || is === 0) && !Object.is(is, was)) return false;
  }
  return i === keys.length;
}

function sameItems(current: readonly unknown[], items: readonly unknown[]): boolean {
  if (current.length !== items.length) return false;
  for (let i = 0; i < items.length; i++) if (!Object.is(current[i], items[i])) return false;
  return true;
}

function sameKeys(current: readonly string[], keys: readonly string[]): boolean {
  if (current.length !== keys.length) return false;
  for (let i = 0; i < keys.length; i++) if (current[i] !== keys[i]) return false;
  return true;
}

/** What is inside; for arrays with holes a list that marks them. */
function contents(value: object, kind: Kind): readonly unknown[] {
  if (kind !== Kind.array) return isContainer(kind) ? childrenOf(value, kind) : NOTHING;
  const array = value as unknown[];
  if (!array.includes(undefined)) return array;
  return Array.from(array, (item, i) => (i in array ? item : HOLE));
}

const NOTHING: readonly unknown[] = [];

function hasObjects(items: readonly unknown[]): boolean {
  for (const item of items) if (typeof item === 'object' && item !== null) return true;
  return false;
}

/** Own properties of a Map, Set or array: what a subclass keeps, or what was put there against custom. */
function hasOwnBesides(value: object, kind: Kind): boolean {
  if (kind === Kind.map || kind === Kind.set) return Object.keys(value).length > 0;
  return false;
}

function scalarOf(value: object, kind: Kind): number | string | Uint8Array | undefined {
  if (kind !== Kind.scalar) return undefined;
  if (types.isDate(value)) return Date.prototype.getTime.call(value);
  if (value instanceof URL) return value.href;
  return bytesOf(value as ArrayBufferView | ArrayBufferLike).slice();
}

function sameScalar(a: Copy['scalar'], b: Copy['scalar']): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return Object.is(a, b);
  return Buffer.compare(a, b) === 0;
}
