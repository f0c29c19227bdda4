/**
 * Kinds of values inside a state. What is asked here is asked of values of any realm: jest and `structuredClone` make objects with another `Object.prototype`.
 */
import { types } from 'node:util';
import { Global, PyTimezone, UUID } from '../pickle/index';
import { modelOfPrototype } from './class-model';
import { modelFor } from './guard';
import { ForeignRef, Ref } from './ref';
import { stampOf } from './stamp';
import { WeakRef } from './weak-ref';

/** How a value inside a state is treated. The first five are plain values: they belong to the one object they are in. */
export const Kind = {
  array: 0,
  /** a plain object */
  object: 1,
  map: 2,
  set: 3,
  /** Date, bytes, URL: compared as a whole */
  scalar: 4,
  /** an object of some other class (`@value`, a value class of the pickle floor): its own properties count */
  instance: 5,
  /** an object with an oid, or one that will have one */
  persistent: 6,
  /** a reference not followed yet */
  ref: 7,
  /** weak references, regular expressions, classes by name, UUIDs: can't be changed, so any number of objects may hold the same one */
  opaque: 8,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** The kind of an object inside a state. */
export function kindOf(value: object): Kind {
  if (Array.isArray(value)) return stampOf(value) === undefined ? Kind.array : Kind.persistent;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Object.prototype || prototype === null) return Kind.object;
  if (stampOf(value) !== undefined) return Kind.persistent;
  // Before `instanceof`, which the guard above a persistent class makes slow.
  if (prototype === Ref.prototype) return Kind.ref;
  if (modelOfPrototype(prototype) !== undefined) return Kind.persistent;
  if (value instanceof ForeignRef) return Kind.ref;
  if (types.isMap(value)) return modelFor(value) ? Kind.persistent : Kind.map;
  if (types.isSet(value)) return modelFor(value) ? Kind.persistent : Kind.set;
  if (types.isDate(value) || ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return Kind.scalar;
  if (Object.getPrototypeOf(prototype) === null) return Kind.object;
  return kindOfInstance(value);
}

function kindOfInstance(value: object): Kind {
  if (modelFor(value) !== undefined) return Kind.persistent;
  if (value instanceof WeakRef || types.isRegExp(value) || isShared(value)) return Kind.opaque;
  if (value instanceof URL) return Kind.scalar;
  return Kind.instance;
}

/** Of these the reader of pickles gives one and the same to all objects, of this process and of all its connections; and a UUID is never another. */
function isShared(value: object): boolean {
  return value instanceof Global || value instanceof UUID || value === PyTimezone.utc;
}

/** Whether a value may hold others. */
export function isContainer(kind: Kind): boolean {
  return kind <= Kind.set || kind === Kind.instance;
}

/** Names of the own properties of an instance, or of a Map or Set of a subclass, that are part of its value. */
export function ownNames(value: object): string[] {
  return types.isNativeError(value) ? Object.getOwnPropertyNames(value) : Object.keys(value);
}

/** The bytes of a view or buffer. */
export function bytesOf(value: ArrayBufferView | ArrayBufferLike): Uint8Array {
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
}

/** Everything directly inside a container, keys of Maps included. */
export function childrenOf(value: object, kind: Kind): unknown[] {
  switch (kind) {
    case Kind.array:
      return value as unknown[];
    case Kind.map: {
      const children: unknown[] = [];
      Map.prototype.forEach.call(value, (item: unknown, key: unknown) => void children.push(key, item));
      return withOwn(value, children);
    }
    case Kind.set: {
      const children: unknown[] = [];
      Set.prototype.forEach.call(value, (item: unknown) => void children.push(item));
      return withOwn(value, children);
    }
    case Kind.object:
      return Object.values(value);
    case Kind.instance:
      return withOwn(value, []);
    default:
      return [];
  }
}

function withOwn(value: object, children: unknown[]): unknown[] {
  for (const name of ownNames(value)) children.push((value as Record<string, unknown>)[name]);
  return children;
}

/** Calls `visit` for each plain container reachable from `root` through plain values, once each. Iterative: depth costs no stack. */
export function walkContainers(root: object, visit: (value: object, kind: Kind) => void): void {
  const first = kindOf(root);
  if (first > Kind.instance) return;
  visit(root, first);
  if (!isContainer(first)) return;
  // Most hold scalars and persistent objects only.
  let stack: object[] | undefined;
  for (const child of childrenOf(root, first)) {
    if (typeof child !== 'object' || child === null || kindOf(child) > Kind.instance) continue;
    if (stack === undefined) stack = [child];
    else stack.push(child);
  }
  if (stack !== undefined) walkFrom(root, stack, visit);
}

/** Goes on from plain values directly inside of `root`. */
function walkFrom(root: object, stack: object[], visit: (value: object, kind: Kind) => void): void {
  const seen = new Set<object>([root]);
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (seen.has(value)) continue;
    seen.add(value);
    const kind = kindOf(value);
    if (kind > Kind.instance) continue;
    visit(value, kind);
    if (!isContainer(kind)) continue;
    for (const child of childrenOf(value, kind)) {
      if (typeof child === 'object' && child !== null && !seen.has(child)) stack.push(child);
    }
  }
}
