/**
 * Changes inside plain values are found by comparison: when the program gets hold of an array, a Map, … of an object's state, a structural copy is taken, and before
 * anything happens to the state the two are compared. The copy keeps structure and primitive values; it is not a value itself.
 */
import { types } from 'node:util';
import { bytesOf, childrenOf, isContainer, Kind, kindOf, ownNames } from './values';

/** One plain value that the program may hold. */
export interface Watch {
  readonly slot: number;
  readonly value: object;
  readonly copy: Copy;
}

/** Stands for an element of an array that does not exist. */
const HOLE = Symbol('hole');

/** A structural copy of one container or scalar. */
export class Copy {
  readonly kind: Kind;
  readonly frozen: boolean;
  /** Names of own properties, for objects and instances (and Maps and Sets of subclasses). */
  readonly keys: readonly string[] | undefined;
  /** What is inside, nested containers as copies; keys and values in turn for Maps. */
  readonly items: unknown[];
  /** A date's time, a copy of bytes, a URL's text. */
  readonly scalar: number | string | Uint8Array | undefined;

  constructor(
    kind: Kind,
    frozen: boolean,
    keys: readonly string[] | undefined,
    items: unknown[],
    scalar: number | string | Uint8Array | undefined,
  ) {
    this.kind = kind;
    this.frozen = frozen;
    this.keys = keys;
    this.items = items;
    this.scalar = scalar;
  }
}

/** Copies a plain value. `own` hears of each container and scalar in it. */
export function copyOf(root: object, own: (value: object) => void): Copy {
  const top = shallow(root, kindOf(root));
  own(root);
  if (!hasObjects(top.items)) return top;
  const copies = new Map<object, Copy>([[root, top]]);
  const stack = [top];
  for (let copy = stack.pop(); copy !== undefined; copy = stack.pop()) {
    const items = copy.items;
    for (let i = 0; i < items.length; i++) {
      const item = items[i];
      if (typeof item !== 'object' || item === null) continue;
      const kind = kindOf(item);
      if (kind > Kind.instance) continue;
      let nested = copies.get(item);
      if (nested === undefined) {
        nested = shallow(item, kind);
        copies.set(item, nested);
        own(item);
        stack.push(nested);
      }
      items[i] = nested;
    }
  }
  return top;
}

/** Whether a value is as it was when the copy was taken: contents, order, aliasing, holes, frozenness. */
export function isAsCopied(root: object, top: Copy): boolean {
  if (!sameShallow(root, top)) return false;
  if (!hasObjects(top.items)) return true;
  const values = new Map<Copy, object>([[top, root]]);
  const copies = new Map<object, Copy>([[root, top]]);
  const stack = [top];
  for (let copy = stack.pop(); copy !== undefined; copy = stack.pop()) {
    const items = copy.items;
    const current = contents(values.get(copy)!, copy.kind);
    for (let i = 0; i < items.length; i++) {
      const nested = items[i];
      if (!(nested instanceof Copy)) continue;
      const value = current[i] as object;
      const known = values.get(nested);
      if (known !== undefined || copies.has(value)) {
        if (known !== value || copies.get(value) !== nested) return false;
        continue;
      }
      if (!sameShallow(value, nested)) return false;
      values.set(nested, value);
      copies.set(value, nested);
      stack.push(nested);
    }
  }
  return true;
}

function shallow(value: object, kind: Kind): Copy {
  const keys = kind === Kind.object || kind === Kind.instance || hasOwnBesides(value, kind) ? ownNames(value) : undefined;
  return new Copy(kind, Object.isFrozen(value), keys, contents(value, kind).slice(), scalarOf(value, kind));
}

/** Compares all but what nested containers hold. */
function sameShallow(value: object, copy: Copy): boolean {
  const kind = kindOf(value);
  if (kind !== copy.kind || Object.isFrozen(value) !== copy.frozen) return false;
  if (kind === Kind.scalar) return sameScalar(scalarOf(value, kind), copy.scalar);
  if (copy.keys !== undefined) {
    if (!sameKeys(ownNames(value), copy.keys)) return false;
  } else if (hasOwnBesides(value, kind)) return false;
  return sameItems(contents(value, kind), copy.items);
}

function sameItems(current: readonly unknown[], items: readonly unknown[]): boolean {
  if (current.length !== items.length) return false;
  for (let i = 0; i < items.length; i++) {
    const was = items[i];
    const is = current[i];
    if (was === is && was !== 0) continue;
    if (was instanceof Copy ? typeof is !== 'object' || is === null || is instanceof Copy : !Object.is(was, is)) return false;
  }
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
